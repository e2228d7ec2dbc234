"""One's own text: plans that keep to a budget, honest sentences, and the command itself."""

import json
import os
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from ieee_lib import InputError, recipes
from ieee_lib.claims.your_text import answers, edge_warnings, gain_text, in_words, verdict
from ieee_lib.config import CorpusConfig, ModelConfig
from ieee_lib.config.your_text import shape_near, your_scale
from ieee_lib.laws import compare_recipes, fit_power_law, rise_with
from ieee_lib.laws.estimates import assumed
from ieee_lib.recipes import text_plan
from ieee_lib.recipes.budget import deadline_after, until
from ieee_lib.runs.frames import Noise
from ieee_lib.text.corpus import folder_of, open_corpus
from tests.conftest import ROOT, run
from tests.kinds import KINDS


def write_text(path, n_character):
    """Write a file of real text: sources of the running Python."""
    text = ""
    for source in sorted(Path(os.__file__).parent.glob("*.py")):
        text += source.read_text(errors="ignore")
        if len(text) > n_character:
            break
    path.write_text(text[:n_character])
    return f"files:{path}"


@pytest.fixture
def text(home, monkeypatch):
    """A file of 400 kB on a machine whose rate is known."""
    monkeypatch.setattr(text_plan, "_rate_of_worker", lambda study, minutes: 4e10)
    monkeypatch.setattr(text_plan, "worker_count", lambda execution: 2)
    return write_text(home / "mine.txt", 400_000)


def total(scale):
    return [model.count().total for model in scale.models.values()]


@pytest.mark.parametrize("N", [2e4, 7e4, 1.4e5, 3.2e5, 1e6, 1e7])
def test_a_shape_has_about_the_parameters_asked_for(N):
    model = ModelConfig(**shape_near(N), vocab_size=1024, block_size=64)
    assert model.count().total == pytest.approx(N, rel=0.2)


def test_searches_start_at_what_is_suggested_and_no_longer(text):
    for ratio in (0.5, 5.0):
        study, _ = recipes.open_text(
            text, tokens=32_768, parameters=int(ratio * 32_768), minutes=60
        )
        (start,) = study.scale.regularized
        (N,) = total(study.scale)
        near = recipes.suggest_settings(N, 32_768, 512).start
        assert (start.wd, start.lr) == (near["wd"], near["lr"])
        assert start.epochs == min(near["epochs"], text_plan.MOST_EPOCHS)


def test_a_plan_keeps_to_its_budget_and_a_larger_one_buys_more(text):
    sizes = []
    for minutes in (3.0, 8.0, 120.0):
        study, plan = recipes.open_text(text, minutes=minutes)
        needed = 60 * plan.table.minutes[:-1].sum()
        assert needed <= 60 * minutes - text_plan.start_up(minutes)
        assert len(plan.table) == 4 and (plan.table.flops > 0).all()
        sizes.append((study.scale.base_tokens, total(study.scale)))
        again, _ = recipes.open_text(text, minutes=minutes)
        assert again.scale == study.scale, "another plan for the same request"
    (D3, N3), (D8, N8), (D120, N120) = sizes
    assert D3 < D8 <= D120 and N3[0] < N8[0]
    assert len(N120) == 2 and 0.7 <= N120[0] / D120 <= 2 < N120[1] / D120 <= 7
    assert 0.7 <= N3[0] / D3 <= 3


@pytest.mark.parametrize("name", ["mine.txt", "joined.txt", *KINDS])
def test_every_kind_of_input_is_planned_for_alike(text, home, name):
    """One long file, one joined by separators, and all that is read elsewhere: the same text."""
    whole = (home / "mine.txt").read_text()[:120_000]
    texts = [whole[start : start + 4_000] for start in range(0, len(whole), 4_000)]
    corpus = f"files:{home / name} --vocab-size 300"
    if name == "joined.txt":
        (home / name).write_text("<|endoftext|>".join(texts))
        corpus += " --split '<|endoftext|>'"
    elif name in KINDS:
        KINDS[name](home / name, texts)
    study, plan = recipes.open_text(corpus, tokens=8_192, parameters=20_000, minutes=4)
    assert study.scale.base_tokens == 8_192 and len(plan.table) == 4
    documents = open_corpus(folder_of(study.scale.corpus)).manifest["documents"]
    if name == "mine.txt":  # one document, whose end is held out
        assert documents["cut"] == documents["train"] == 1, documents
    else:
        assert documents["train"] + documents["val"] == 30, documents


def test_given_D_and_N_are_taken_or_refused_with_what_fits(text):
    study, _ = recipes.open_text(text, tokens=20_000, parameters=40_000, minutes=10)
    assert study.scale.base_tokens == 18_432 and total(study.scale) == [38_736]
    with pytest.raises(InputError) as error:
        recipes.open_text(text, tokens=65_536, parameters=3_000_000, minutes=3)
    said = str(error.value)
    assert "minutes = 3" in said and "take about" in said and "would fit" in said
    with pytest.raises(InputError, match="tokens = 9000000: the text has"):
        recipes.open_text(text, tokens=9_000_000, minutes=10)


BAD = [
    ({"corpus": ""}, "corpus = '': must name your text"),
    ({"corpus": "--split line"}, "must name your text"),
    ({"minutes": 0.0}, "minutes = 0.0: must be a number at least 0.5"),
    ({"tokens": -1}, "tokens = -1: must be a whole number"),
    ({"parameters": 1.5}, "parameters = 1.5: must be a whole number"),
    ({"source": "archive"}, "source = 'archive': allowed are train, records"),
]


@pytest.mark.parametrize(("given", "message"), BAD)
def test_bad_requests_are_one_clear_line(text, given, message):
    with pytest.raises(InputError) as error:
        recipes.open_text(**{"corpus": text, **given})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_text_too_short_to_say_anything_is_refused(home):
    short = write_text(home / "short.txt", 6_000)
    with pytest.raises(InputError, match=r"too short to say anything: .* bring more text"):
        recipes.open_text(short)


def test_a_plan_ends_when_its_block_says():
    with until(time.monotonic() - 1):
        assert deadline_after(20) < time.monotonic()
    assert deadline_after(20) > time.monotonic() + 1000


VERDICTS = [
    (0.05, 0.01, "gain", "Decay gains 0.05"),
    (-0.05, 0.01, "loss", "No gain at this size: decay loses 0.05"),
    (0.0, 0.002, "no gain", "No gain at this size: decay gains "),
    (0.01, 0.02, "inconclusive", "Inconclusive: decay gains 0.010 [−0.0"),
]


@pytest.mark.parametrize(("value", "sigma", "expected", "text"), VERDICTS)
def test_a_sentence_says_what_its_interval_says(value, sigma, expected, text):
    gain = assumed(value, sigma=sigma, name="a gain")
    assert verdict(gain) == expected and gain_text("decay", gain).startswith(text)


def certificate(recipe, status="certified", wd=0.1, epochs=16):
    """Return the centre and its neighbours as `recipes.certificate` gives them."""
    axes = ["centre", "lr-", "lr+", "epochs-", "epochs+"]
    axes += ["wd-", "wd+"] if recipe == "regularized" else []
    rows = {"axis": axes, "wd": wd, "lr": 3e-3, "epochs": epochs, "model": "0.1M", "D": 8192}
    return pd.DataFrame(rows).assign(recipe=recipe, status=status)


def row(loss, wd, sigma=0.005, n=0):
    ids = tuple(f"{16 * n + i:016x}" for i in range(3))
    settings = {"model": "0.1M", "N": 1e5, "D": 8192, "wd": wd, "lr": 3e-3, "epochs": 16}
    noise = {"sigma": sigma, "dof": 8.0, "status": "certified", "flops": 1e10, "run_ids": ids}
    return pd.DataFrame([{**settings, "loss": loss, **noise}])


def answered(decay=0.1, sigma=0.005, statuses=("certified", "certified"), rise=0.05, wd=1.6):
    """Return the answers of a text without ensembles and students."""
    one, two = row(4.5, 0.1, sigma), row(4.5 - decay, wd, sigma, n=1)
    by_data = pd.concat(
        [row(4.5 + 0.4 * i, 0.1, sigma, n=i + 2).assign(D=8192 >> i) for i in (2, 1)] + [one]
    )
    student = pd.DataFrame([{"minutes": 2.5, "flops": 1e11, "loss": None, "run_ids": ()}])
    compared = compare_recipes(one, two, {}, student, fit_power_law(by_data, x="D"))
    certificates = [certificate("standard", statuses[0]), certificate("regularized", statuses[1])]
    longer = pd.DataFrame(
        {
            "epochs": [16, 16, 32],
            "status": "done",
            "train_loss": [3.0, 3.0, 2.0],
            "val_loss": [4.5, 4.5, 4.5 + rise],
            "run_id": [f"{i:016x}" for i in range(3)],
        }
    )
    noise = Noise(sigma, 8.0)
    table = answers(
        compared, two, rise_with("epochs", longer, noise), longer, pd.concat(certificates),
        by_data, {}, student,
    )  # fmt: skip
    return table.set_index("question")


def test_answers_follow_from_the_numbers():
    table = answered()
    assert list(table.verdict) == [
        "yes", "gain", "left out", "gain", "left out", "gain", "gain", "certified",
    ]  # fmt: skip
    decay = table.answer["Does tuned decay help?"]
    assert decay.startswith("Tuned decay gains 0.100 [") and "wd 1.6" in decay
    assert "about 3 min more" in table.answer["What would a student keep?"]
    assert "the time was over" in table.answer["Do K members help?"]
    words = in_words(table.reset_index())
    assert "- **Does tuned decay help?** Tuned" in words._repr_markdown_() and "*" not in repr(
        words
    )


def test_no_gain_and_no_overfitting_are_said_as_plainly():
    lost = answered(decay=-0.1, rise=-0.1)
    assert lost.verdict.iloc[0] == "no" and lost.answer.iloc[0].startswith("Not yet: ")
    assert lost.answer["Does tuned decay help?"].startswith("No gain at this size: tuned decay l")
    assert (
        "1.0x the training FLOPs, not worth it" in lost.answer["Is it worth its training compute?"]
    )
    unclear = answered(decay=0.005, sigma=0.02, rise=0.001)
    assert set(unclear.verdict.iloc[:2]) == {"inconclusive"}
    same = answered(wd=0.1)
    assert "the search ends at the standard recipe" in same.answer["Does tuned decay help?"]


def test_what_an_unfinished_search_flatters_is_inconclusive():
    for statuses, decay, recipe in (
        (("uncertified", "certified"), 0.1, "standard"),
        (("certified", "uncertified"), -0.1, "regularized"),
    ):
        table = answered(decay, statuses=statuses)
        answer = table.answer["Does tuned decay help?"]
        assert table.verdict["Does tuned decay help?"] == "inconclusive"
        assert f"the {recipe} recipe is not tuned to the end" in answer
        assert table.verdict["How far was it tuned?"] == "uncertified"
    assert (
        answered(statuses=("certified", "uncertified")).verdict["Does tuned decay help?"] == "gain"
    )


def test_an_optimum_at_the_edge_of_the_grid_is_warned_of():
    both = pd.concat([certificate("standard"), certificate("regularized", wd=6.4, epochs=64)])
    warnings = edge_warnings(both)
    assert len(warnings) == 2 and all("regularized recipe (0.1M)" in line for line in warnings)
    assert "wd = 6.4" in warnings[0] and "epochs = 64" in warnings[1]


def test_large_models_are_multiplied_in_bf16_where_the_cpu_has_it():
    corpus = CorpusConfig(source="stdlib", vocab_size=1024)

    def precision(N, has_bf16):
        sizes, start = (N,), lambda N, D: {"wd": 0.8, "lr": 1e-2, "epochs": 16}
        scale = your_scale("text-a", corpus, D=262_144, sizes=sizes, start=start, has_bf16=has_bf16)
        return scale.training.precision

    assert precision(5e5, lambda: True) == "bf16-products"
    assert precision(5e5, lambda: False) == "32-true"
    assert precision(1e5, lambda: pytest.fail("asked of a small model")) == "32-true"


def run_try(home, *arguments):
    began = time.monotonic()
    done = run("ieee_lib", "try", *arguments, home=home, check=False)
    return done, time.monotonic() - began


@pytest.mark.slow
def test_one_command_answers_within_its_budget_and_trains_nothing_twice(home):
    """A tiny text; whatever ends for want of time goes on, until nothing is left."""
    (home / "notebooks").symlink_to(ROOT / "notebooks")
    words = ["--corpus", write_text(home / "mine.txt", 100_000), "--vocab-size", "300"]
    words += ["--tokens", "8192", "--parameters", "6000", "--minutes", "2.9"]
    records: dict[str, int] = {}
    for _ in range(4):
        done, seconds = run_try(home, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert seconds < 174 + 60, "the budget, packing and the measuring of the machine"
        (folder,) = (home / "data" / "runs").iterdir()
        now = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}
        assert records.items() <= now.items(), "a run was trained twice"
        if now == records:
            break
        records = now
    else:
        raise AssertionError("the same command never came to an end")
    plan, _, said = done.stdout.partition("- Does this N and D overfit?")
    assert "D = 8,192 tokens, N = 6," in plan and "teach a student" in plan and said
    assert "Left out" not in said and "As K → ∞ it would gain" in said and "teachers" in done.stdout
    (executed,) = (home / "data" / "executed" / folder.name).glob("*.ipynb")
    outputs = nbformat.read(executed, as_version=4).cells[-1].outputs
    assert "Does this N and D overfit?" in outputs[0].data["text/markdown"]
    figure = home / "figures" / folder.name / "fig22_your_text"
    assert figure.with_suffix(".png").stat().st_size > 5_000
    numbers = json.loads(figure.with_suffix(".json").read_text())
    assert {"recipes", "by data", "law"} <= set(numbers)

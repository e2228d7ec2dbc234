"""Contenders of the speed benchmark train the same shape; ratios are against the plain loop."""

import dataclasses
import json

import pandas as pd
import pytest

from ieee_lib import Scale, benchmarks
from ieee_lib.benchmarks import agreement, budget, contenders, mfu, precision, speed, write
from ieee_lib.cli import main
from ieee_lib.errors import InputError
from ieee_lib.model import products
from ieee_lib.training import fit as train
from tests.benchmarks import records, text, textbook
from tests.conftest import TINY


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(contenders, "WIDTHS", (1, 2))
    return dataclasses.replace(Scale.load("smoke"), models={"tiny": TINY})


def test_nothing_is_begun_that_would_not_end_in_time(monkeypatch):
    now = iter([100.0, 101.0, 131.0, 141.0, 172.0])
    monkeypatch.setattr(budget.time, "monotonic", lambda: next(now))
    left = budget.Budget(90)
    asked = [left.allows_another() for _ in range(4)]
    assert asked == [True, True, True, False], "the longest took 31 s, and 72 have passed"


def test_every_contender_takes_its_steps(tiny):
    found = {c.name: c for c in contenders.contenders() if not c.compiled}
    assert {contenders.PLAIN, "stack of 2, eager", "Lightning Trainer"} < set(found)
    for contender in found.values():
        assert contender.build(TINY, 2, "cpu")(2) > 0
    assert contenders.stack(2, False, TINY, 2, "cpu", bf16=True)(2) > 0


@pytest.mark.parametrize(("has", "device"), [(True, "cpu"), (False, "cpu"), (True, "cuda")])
def test_bf16_products_contend_on_the_cpus_that_have_them(tiny, monkeypatch, has, device):
    monkeypatch.setattr(products, "has_bf16", lambda: has)
    names = [c.name for c in contenders.contenders(device) if c.bf16]
    expected = ["stack of 1, compiled, bf16", "stack of 2, compiled, bf16"]
    assert names == (expected if has and device == "cpu" else [])


@pytest.mark.slow
def test_the_table_compares_with_the_plain_loop(tiny, monkeypatch):
    kept = [c for c in contenders.contenders() if c.name == contenders.PLAIN or "eager" in c.name]
    kept = [c for c in kept if "2" in c.name or c.n_member == 1]
    monkeypatch.setattr(speed, "contenders", lambda device: kept)
    monkeypatch.setattr(speed, "SECONDS", 0.01)
    frame = speed.run(tiny, device="cpu")["tab_speed"].frame.set_index("contender")
    assert list(frame.K) == [1, 1, 2]
    plain, alone, two = (frame.loc[c.name] for c in kept)
    assert plain.gain == 1.0 and plain.workers == 1
    assert (frame["fraction of peak"] > 0).all() and (frame["tokens/s"] > 0).all()
    state = 16 * TINY.count().total / 1e6
    assert alone["peak memory (MB)"] > state
    assert 1.5 < two["peak memory (MB)"] / alone["peak memory (MB)"] < 2.1
    assert two["of bound"] < 1


def test_a_worker_group_reports_what_went_wrong_in_it(tmp_path):
    group = speed.WorkerGroup(1, 1, str(tmp_path))
    with pytest.raises(KeyError, match="never built"):
        group.take(contenders.Contender("never built", 1, contenders.plain), 1)
    group.close()


def test_utilisation_tries_larger_batches_until_they_gain_nothing(tiny, monkeypatch):
    monkeypatch.setattr(
        mfu, "stack", lambda n, compiled, *about: contenders.stack(n, False, *about)
    )
    monkeypatch.setattr(mfu, "LARGEST", 2)
    frame = mfu.run(tiny, device="cpu")["tab_mfu"].frame
    assert list(frame["sequences a pass"]) in ([1, 2], [1])
    assert ((frame.MFU > 0) & (frame.MFU < 1)).all()
    rates = {1: 10.0, 2: 19.0, 4: 19.1, 8: 99.0}
    monkeypatch.setattr(mfu, "LARGEST", 8)
    monkeypatch.setattr(mfu, "_measured", lambda shape, sequences, device: (rates[sequences], 0))
    assert list(mfu.run(tiny, device="cpu")["tab_mfu"].frame["sequences a pass"]) == [1, 2, 4]


@pytest.mark.slow
def test_text_is_measured(home, monkeypatch):
    monkeypatch.setattr(text, "CHARACTERS", 400_000)
    words = [f"line {i} of a text that says {i * i % 97} things\n" * 20 for i in range(40)]
    (home / "words.jsonl").write_text("\n".join(json.dumps({"text": w}) for w in words))
    frame = text.run(Scale.load("smoke"), corpus=f"files:{home}/words.jsonl")["tab_text"].frame
    assert len(frame) == 3 and (frame["million characters/s"] > 0).all()
    assert 0.05 < frame["peak memory (GB)"][2] < 1
    assert 0.2 < frame["of tokenizers"][1] < 2


def test_tables_and_their_numbers_are_written(home, monkeypatch, capsys):
    monkeypatch.setattr(benchmarks, "DATA_SETS", 2)
    made = home / "made.json"
    assert main(("bench", "coverage", "--scale", "smoke", "--json", str(made))) == 0
    rows = json.loads(made.read_text())["tab_coverage"]
    assert rows and all(0 <= row["coverage"] <= 1 for row in rows)
    assert (home / "figures" / "bench" / "tab_coverage.md").is_file()
    assert "coverage" in capsys.readouterr().out


def test_what_cannot_be_measured_is_refused(home):
    (home / "a.txt").write_text("\n")
    with pytest.raises(InputError, match="holds no text to repeat"):
        text.run(Scale.load("smoke"), corpus=f"files:{home}/a.txt")
    with pytest.raises(InputError, match="matches no file; name a glob"):
        text.run(Scale.load("smoke"), corpus="files:no/*.txt")
    with pytest.raises(InputError, match="is missing; task piqa needs it"):
        textbook.run(Scale.load("smoke"), corpus="stdlib", files="nowhere")
    with pytest.raises(InputError, match="there is no recorded book of"):
        records.run(Scale.load("smoke"))


def test_a_figure_is_written_with_its_numbers(home):
    frame = pd.DataFrame(
        {"model": "m", "width": width, "contender": name, "K": n, "gain": gain}
        | {"tokens/s": 1e3 * gain, "fraction of peak": 0.1, "of bound": 0.9}
        for width in (8, 16)
        for name, n, gain in (
            ("plain loop", 1, 1.0),
            ("stack of 8, compiled", 8, 5.0),
            ("stack of 8, compiled, bf16", 8, 7.0),
        )
    )
    figure = speed.items(frame, "a caption")["fig_speed"]
    drawn = {line.get_label(): line.get_linestyle() for line in figure.figure.axes[0].lines}
    assert (drawn["stack of 8"], drawn["the same in float32"]) == ("-", ":")
    write({"fig_speed": figure}, home)
    numbers = json.loads((home / "fig_speed.json").read_text())
    assert [row["gain"] for row in numbers["gains"]] == [5.0, 7.0, 5.0, 7.0]
    assert (home / "fig_speed.svg").is_file()


def test_records_are_loaded_and_the_chain_is_fitted(monkeypatch):
    monkeypatch.setattr(records, "RECORDS", 50)
    frame = records.run(Scale.load("laptop"))["tab_records"].frame
    assert list(frame.what) == [
        "read and verify 50 records into a frame",
        "fit K, N and D in turn, 1,000 draws, and draw (notebook 05)",
    ]
    assert (frame.seconds > 0).all()


def test_gains_are_of_the_stack_of_eight_over_the_others_and_one_of_its_own():
    rates = {"plain loop": 10.0, "litgpt GPT": 20.0, "stack of 4, compiled": 1.0}
    rates |= {"stack of 8, compiled": 50.0, "stack of 1, compiled": 25.0}
    rates |= {"stack of 8, compiled, bf16": 80.0, "stack of 1, compiled, bf16": 20.0}
    rows = [
        {"model": "m", "width": 8, "contender": name, "tokens/s": rate, "fraction of peak": 0.5}
        | {"of bound": 0.9}
        for name, rate in rates.items()
    ]
    row, half = speed.gains_frame(pd.DataFrame(rows)).to_dict("records")
    assert row["against plain loop"] == 5.0 and row["against litgpt GPT"] == 2.5
    assert row["against stack of 1"] == 2.0 and row["against float32"] == 1.0
    assert (half["precision"], half["against plain loop"]) == ("bf16", 8.0)
    assert half["against stack of 1"] == 4.0 and half["against float32"] == 1.6
    assert sum("stack" in name for name in row) == 1


@pytest.mark.slow
def test_a_run_is_the_same_in_every_way_that_should_not_matter(home, smoke_corpora, monkeypatch):
    monkeypatch.setattr(train, "can_compile", lambda on_gpu: False)  # test_train.py compiles
    (home / "data").mkdir()
    (home / "data" / "corpora").symlink_to(smoke_corpora)
    table = agreement.run(Scale.load("smoke"), device="cpu")["tab_agreement"].frame.set_index("way")
    assert table.holds.all(), table
    assert table.apart["stopped in the middle and resumed"] == 0
    assert table.apart["bf16-mixed"] > 0, "nothing was computed in bfloat16"


@pytest.mark.slow
def test_final_losses_in_both_precisions_stand_beside_the_noise(home, smoke_corpora, monkeypatch):
    monkeypatch.setattr(train, "can_compile", lambda on_gpu: False)
    monkeypatch.setattr(precision, "SEEDS", 2)
    (home / "data").mkdir()
    (home / "data" / "corpora").symlink_to(smoke_corpora)
    scale = Scale.load("smoke")
    frame = precision.run(scale)["tab_precision"].frame
    assert list(frame.model) == scale.ladder_models()
    assert (frame["bf16 - float32"] != 0).all(), "nothing was multiplied in bf16"
    assert (frame["bf16 - float32"].abs() < 0.02).all() and (frame["noise of a seed"] > 0).all()
    assert list(frame["within noise"]) == list(
        frame["bf16 - float32"].abs() <= frame["noise of a seed"]
    )

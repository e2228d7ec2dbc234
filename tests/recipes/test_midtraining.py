"""Continuing from trained weights on another text: where it starts, and what it is worth."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from ieee_lib import InputError, Scale
from ieee_lib.config import CorpusConfig
from ieee_lib.config.execution import Execution
from ieee_lib.errors import MissingRuns, TrainingError
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.recipes.midtraining import (
    continued_pretraining,
    continued_probe,
    continued_setting,
)
from ieee_lib.runs.reader import UNPREPARED
from ieee_lib.runs.store import RunStore
from ieee_lib.study import Study
from ieee_lib.text.packing import prepare
from ieee_lib.text.sources import open_source
from ieee_lib.training.fit import train

EXECUTION = Execution(compile="never", accelerator="cpu", logger="none")


@pytest.fixture
def base(home, spec, corpus):
    TrainJob((spec,), corpus.folder, "smoke", weights=True).run(EXECUTION)
    return spec


def test_a_continued_run_starts_where_its_base_ended(base, corpus):
    store = RunStore.of("smoke")
    weights = load_file(store.weights_path(base.run_id))
    members = [base.replace(start=base.run_id, data_seed=s, epochs=1, lr=1e-9) for s in (0, 1)]
    assert members[0].run_id != base.replace(epochs=1, lr=1e-9).run_id
    for result in train(members, corpus, execution=EXECUTION, start=weights):
        for name, value in result.weights.items():
            assert torch.allclose(value, weights[name], atol=1e-6), name
        assert result.curve[-1]["val_loss"] == pytest.approx(
            store.get(base.run_id)["val_loss"], abs=1e-4
        )
    TrainJob(tuple(members), corpus.folder, "smoke", weights=False).run(EXECUTION)
    assert store.get(members[0].run_id)["spec"]["start"] == base.run_id


def test_members_differ_by_order_alone(base, corpus):
    with pytest.raises(InputError, match=r"init_seed.*must be 0 where the run continues"):
        base.replace(start=base.run_id, init_seed=1)
    members = [base.replace(start=base.run_id, data_seed=s, epochs=1) for s in (0, 1)]
    TrainJob(tuple(members), corpus.folder, "smoke", weights=False).run(EXECUTION)
    losses = {RunStore.of("smoke").get(m.run_id)["val_loss"] for m in members}
    assert len(losses) == 2


def test_a_bad_start_is_named(base, corpus, spec):
    wild = spec.replace(lr=1e9, wd=0.0, clip_norm=1e9)
    TrainJob((wild,), corpus.folder, "smoke", weights=True).run(EXECUTION)
    other = spec.replace(seed_tokens=2048)
    TrainJob((other,), corpus.folder, "smoke", weights=False).run(EXECUTION)
    cases = [
        (spec.replace(start=wild.run_id), InputError, "diverged"),
        (spec.replace(start=other.run_id), TrainingError, "has no weights"),
        (spec.replace(start="0" * 16), TrainingError, "has no weights"),
    ]
    wider = spec.replace(start=base.run_id, model=Scale.load("smoke").models["9.0k"])
    wider = wider.replace(seed_tokens=1024)
    for bad, error, words in cases:
        with pytest.raises(error, match=words):
            TrainJob((bad,), corpus.folder, "smoke", weights=False).run(EXECUTION)
    with pytest.raises(InputError, match=r"start.*is a ModelConfig\(.*, not a ModelConfig"):
        TrainJob((wider,), corpus.folder, "smoke", weights=False).run(EXECUTION)
    with pytest.raises(InputError, match="weights must be given"):
        train([spec.replace(start=base.run_id)], corpus, execution=EXECUTION)


def test_code_and_prose_share_nothing(home):
    code, prose = open_source("stdlib:code"), open_source("stdlib:prose")
    assert not set(code.paths()) & set(prose.paths())
    assert set(code.paths()) | set(prose.paths()) <= set(open_source("stdlib").paths()) | set(
        prose.paths()
    )
    texts = list(prose.documents())
    assert len(texts) > 60 and any("assert_stmt" in text for text in texts)


def test_the_target_is_cut_into_the_bases_tokens(home):
    study = Study.open("smoke")
    setting = continued_setting(study)
    names = ("tokenizer.json",)
    folders = (setting.base.corpus_folder, setting.target.corpus_folder)
    first, second = (folder / names[0] for folder in folders)
    assert first.read_bytes() == second.read_bytes()
    assert setting.target.fingerprint not in (study.fingerprint, setting.base.fingerprint)
    assert setting.target.executor is study.executor
    reader = continued_setting(study.reading())
    assert reader.target.fingerprint == setting.target.fingerprint
    with pytest.raises(MissingRuns):
        reader.train()
    study.close()


def test_a_target_that_the_base_has_seen_is_refused(home):
    study = Study(Scale.load("smoke"), "records", RunStore.of("smoke"), UNPREPARED, None)
    own = dataclasses.replace(study.scale.midtraining, base_corpus="")
    scale = dataclasses.replace(study.scale, midtraining=own)
    with pytest.raises(InputError, match=r"midtraining\.target = 'stdlib:prose': shares text"):
        continued_setting(dataclasses.replace(study, scale=scale))
    assert study.scale.on("stdlib") == study.scale  # the scale's own text changes nothing
    assert study.scale.on("files:mine/*.txt").midtraining.base_corpus == ""


def test_the_base_takes_what_a_short_text_has(home):
    words = [" ".join(f"word{i}x{j}" for j in range(40)) for i in range(50)]
    (home / "mine.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in words))
    scale = Scale.load("smoke").on(f"files:{home}/mine.jsonl")
    study_wants = scale.midtraining.base.seed_tokens
    few = dataclasses.replace(scale.training, val_sequences=16)
    scale = dataclasses.replace(scale, seed_tokens=(4096,), training=few)
    setting = continued_setting(Study.open(scale))
    packed = setting.base.corpus_table().loc["training tokens", "corpus"]
    assert packed - 128 < setting.base_spec.seed_tokens <= packed
    assert setting.base_spec.seed_tokens < study_wants


def test_records_of_a_text_never_packed_are_missing(home):
    study = Study(Scale.load("smoke"), "records", RunStore.of("smoke"), UNPREPARED, None)
    setting = continued_setting(study)
    assert setting.target.fingerprint == setting.base.fingerprint == UNPREPARED
    assert len(study.missing(setting.all_specs())) > 5


def test_the_papers_own_rows(home):
    """Sec. 7.2: 2,000 and 16,000 steps on 4B tokens, 64,000 with four epochs; 17.5x the text."""
    study = Study(Scale.load("paper"), "records", RunStore.of("paper"), UNPREPARED, None)
    setting = continued_setting(study)
    steps = {name: setting.specs(r)[0].n_step for name, r in setting.recipes().items()}
    assert steps == {"default": 2_000, "smaller batch": 16_000, "+ epoching": 64_000}
    most = list(setting.more_data().values())[-1]
    assert setting.specs(most)[0].n_step == 280_000 / 8
    assert setting.base is None and len(setting.ensemble.members) == 8
    member = setting.specs(most)[0]
    assert member.start == "hub:meta-llama/Llama-3.2-3B@main" and member.lr == 3e-5
    assert member.model.count().non_embedding == 2_818_747_392  # 3,212,749,824 with one matrix


def test_a_target_of_two_fields(home):
    lines = [f'{{"question": "How {i}?", "answer": "So {i}."}}' for i in range(30)]
    (home / "qa.jsonl").write_text("\n".join(lines))
    source = f"files:{home}/qa.jsonl"
    found = list(open_source(source, "question+answer").documents())
    assert found[3] == "How 3?\nSo 3."
    with pytest.raises(InputError, match=r"text_field = 'reply'.*question, answer"):
        prepare(CorpusConfig(source=source, vocab_size=300, text_field="question+reply"))


def test_the_recorded_rows_of_table_1():
    setting = continued_setting(Study.open("laptop", source="archive"))
    continued, probe = continued_pretraining(setting), continued_probe(setting)
    names = ["default", "smaller batch", "+ epoching", "+ ensemble", "default", "default"]
    assert list(continued.recipe) == names and list(continued.K) == [1, 1, 1, 4, 1, 1]
    assert list(continued.D) == [8192] * 4 + [32768, 131072]
    assert list(probe.recipe[::2]) == names
    assert set(probe.chance_error) == {0.75}
    one, ensemble = continued.run_ids[2], continued.run_ids[3]
    assert ensemble[: len(one)] == one  # the seeds of "+ epoching" are its first members
    losses = [loss.value for loss in continued.loss]
    assert losses[:4] == sorted(losses[:4], reverse=True)
    assert (continued.flops[3], continued.tokens[3]) == (
        4 * continued.flops[2],
        4 * continued.tokens[2],
    )
    assert repr(setting).endswith("\nbase: stdlib:code")

"""Samples follow the model's own next-token distribution, with or without a cache."""

import pytest
import torch
from scipy.stats import chisquare

from ieee_lib import InputError
from ieee_lib.config import EnsembleSpec, SampleSpec
from ieee_lib.config.execution import Execution
from ieee_lib.jobs.sample_job import SampleJob, open_sample
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.runs.store import RunStore
from ieee_lib.training.data import StepBatches
from ieee_lib.training.sampling import draw, sample
from tests.benchmarks.sampling import recomputed
from tests.conftest import TINY
from tests.training.test_scoring import trained_like

EXECUTION = Execution(compile="never", accelerator="cpu", logger="none")


def test_the_cache_changes_nothing():
    model = StackedDecoder(TINY, seeds=[0, 1])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # logits of a trained model's size
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, TINY.vocab_size, (2, 3, TINY.block_size), generator=generator)
    cache = model.new_cache(3)
    steps = [model.next_logits(ids[..., t], cache) for t in range(TINY.block_size)]
    assert torch.stack(steps, dim=2).detach() == pytest.approx(model(ids).detach(), abs=1e-5)


def test_under_autocast_keys_and_values_are_kept_in_its_type():
    model = StackedDecoder(TINY, seeds=[0, 1])
    ids = torch.randint(0, TINY.vocab_size, (2, 3, TINY.block_size))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        cache = model.new_cache(3)
        steps = [model.next_logits(ids[..., t], cache) for t in range(TINY.block_size)]
        whole = model(ids)
    assert {cache[0].keys.dtype, cache[0].values.dtype} == {torch.bfloat16}
    assert torch.stack(steps, dim=2).float() == pytest.approx(whole.float(), abs=2e-2)


@pytest.mark.parametrize("kind", ["mixture", "average"])
def test_next_tokens_follow_the_models_distribution(kind):
    """Chi-square on the second token after one fixed first token."""
    model, n = trained_like([0, 1]), 20_000
    ids = torch.full((n,), 7)
    samples = sample(model, ids, kind=kind, generator=torch.Generator().manual_seed(0))
    assert samples.shape == (n, TINY.block_size) and (samples[:, 0] == 7).all()
    first = torch.full((2, 1, 1), 7)
    log_p = model(first)[:, 0, -1].log_softmax(-1).detach()
    parts = [log_p.mean(0).softmax(-1)] if kind == "average" else list(log_p.exp())
    for p, tokens in zip(parts, samples[:, 1].chunk(len(parts)), strict=True):
        expected = p.double() / p.double().sum() * len(tokens)
        rare = expected < 5
        counts = torch.bincount(tokens, minlength=TINY.vocab_size).double()
        pooled = [torch.cat([v[~rare], v[rare].sum()[None]]) for v in (counts, expected)]
        assert chisquare(*pooled).pvalue > 1e-3
        assert chisquare(pooled[0], pooled[1].flip(0)).pvalue < 1e-3


def test_samples_are_a_function_of_the_seed():
    model, ids = trained_like([0, 1]), torch.arange(8)
    runs = [
        sample(model, ids, kind="mixture", generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


def test_a_certain_token_is_always_drawn():
    p = torch.zeros(5, 4)
    p[:, 2] = 1.0
    assert draw(p, torch.Generator().manual_seed(0)).tolist() == [2] * 5


@pytest.fixture
def teachers(home, spec, corpus):
    specs = tuple(spec.replace(init_seed=seed) for seed in range(2))
    TrainJob(specs, corpus.folder, "smoke", weights=True).run(EXECUTION)
    return EnsembleSpec(specs)


def test_a_sample_is_written_in_shards_and_goes_on_where_it_was(teachers, corpus, monkeypatch):
    monkeypatch.setattr("ieee_lib.jobs.sample_job.SHARD_SEQUENCES", 6)
    sample_spec = SampleSpec(teachers=teachers, kind="mixture", n_token=16 * 16)
    store = RunStore.of("smoke")
    job = SampleJob(sample_spec, corpus.folder, "smoke")
    job.run(EXECUTION)
    ids = open_sample(store, sample_spec.run_id)
    assert ids.shape == (16, 16) and ids.max() < TINY.vocab_size
    first = corpus.slice(teachers.members[0].seed_tokens, 16)[:, 0]
    assert set(ids[:, 0]) <= set(first.tolist())
    record = store.get(sample_spec.run_id)
    assert record["kind"] == "sample" and len(record["shards"]) == 3
    (store.records_folder / f"{sample_spec.run_id}.json").unlink()  # killed before the record,
    kept = store.shard_path(sample_spec.run_id, 0)
    store.shard_path(sample_spec.run_id, 1).unlink()  # and in the middle of a shard
    before = kept.stat().st_mtime_ns
    job.run(EXECUTION)
    assert (open_sample(store, sample_spec.run_id) == ids).all()
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(b"\0" * kept.stat().st_size)
    with pytest.raises(InputError, match=r"00000.shard.*damaged"):
        open_sample(store, sample_spec.run_id)


def test_a_student_trains_longer_on_the_share_it_was_given(teachers, corpus, spec):
    sample_spec = SampleSpec(teachers=teachers, kind="average", n_token=64 * 16)
    SampleJob(sample_spec, corpus.folder, "smoke").run(EXECUTION)
    store = RunStore.of("smoke")
    student = spec.replace(synthetic=sample_spec.run_id, synthetic_weight=0.75, init_seed=9)
    assert student.n_step == 4 * spec.n_step and student.flops == 4 * spec.flops
    synthetic = open_sample(store, sample_spec.run_id)
    real = corpus.slice(spec.seed_tokens, 16)
    mixed = StepBatches([student], real, 4, synthetic)
    seen = torch.cat([mixed[i][0] for i in range(len(mixed))])
    alone = StepBatches([spec], real, 4)
    expected = torch.cat([alone[i][0] for i in range(len(alone))])
    written = {tuple(row) for row in synthetic.tolist()}
    is_synthetic = torch.tensor([tuple(row) in written for row in seen.tolist()])
    assert is_synthetic.sum() == 0.75 * len(seen)
    assert torch.equal(seen[~is_synthetic], expected)  # real data in the order it would have alone
    only = StepBatches([student.replace(synthetic_only=True)], real, 4, synthetic)
    assert all(tuple(row) in written for row in only[0][0].tolist())
    TrainJob((student,), corpus.folder, "smoke", weights=False).run(EXECUTION)
    assert store.get(student.run_id)["status"] == "done"


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"synthetic_weight": 0.5}, "must be given exactly when"),
        ({"synthetic": "0" * 16}, "must be given exactly when"),
        ({"synthetic": "0" * 16, "synthetic_weight": 1.0}, "below 1"),
        ({"synthetic": "0" * 16, "synthetic_weight": -0.1}, "at least 0"),
        ({"synthetic_only": True}, "needs a sample"),
    ],
)
def test_bad_shares_are_refused(spec, changes, allowed):
    with pytest.raises(InputError, match=allowed):
        spec.replace(**changes)


def test_a_teacher_that_diverged_is_named(home, spec, corpus):
    wild = spec.replace(lr=1e9, wd=0.0, clip_norm=1e9)
    TrainJob((wild,), corpus.folder, "smoke", weights=True).run(EXECUTION)
    sample_spec = SampleSpec(teachers=EnsembleSpec((wild,)), kind="mixture", n_token=64)
    with pytest.raises(InputError, match=f"{wild.run_id}.*diverged"):
        SampleJob(sample_spec, corpus.folder, "smoke").run(EXECUTION)
    with pytest.raises(InputError, match=r"sample.kind.*mixture, average"):
        SampleSpec(teachers=EnsembleSpec((wild,)), kind="mean", n_token=64)


def test_what_the_benchmark_compares_with_writes_the_same_text():
    """Recomputing every prefix draws the tokens that the cache draws."""
    model, first = trained_like([0, 1]), torch.arange(8)
    cached = sample(model, first, kind="mixture", generator=torch.Generator().manual_seed(3))
    again = recomputed(model, first, torch.Generator().manual_seed(3))
    assert (cached == again).float().mean() > 0.99

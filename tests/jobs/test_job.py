"""Scoring ensembles: from trained members on disk to a record, as the members' own runs say."""

import math

import pytest
import torch

from ieee_lib.config import EnsembleSpec
from ieee_lib.config.execution import Execution
from ieee_lib.errors import TrainingError
from ieee_lib.jobs.score_job import ScoreJob
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.runs.frames import subsets_frame
from ieee_lib.runs.store import RunStore
from ieee_lib.training.scoring import load_stack, score_subsets

EXECUTION = Execution(compile="never", accelerator="cpu", logger="none")


@pytest.fixture
def members(home, spec, corpus):
    specs = tuple(spec.replace(init_seed=seed, data_seed=seed) for seed in range(3))
    TrainJob(specs, corpus.folder, "smoke", weights=True).run(EXECUTION)
    return specs


def test_a_record_holds_every_subset_and_its_members_losses(members, corpus):
    store, ensemble = RunStore.of("smoke"), EnsembleSpec(members)
    ScoreJob(ensemble, corpus.folder, "smoke").run(EXECUTION)
    record = store.get(ensemble.run_id)
    assert record["kind"] == "ensemble" and record["status"] == "done"
    assert len(record["subsets"]) == 7 and record["diverged"] == []
    frame = subsets_frame([record]).set_index("members")
    for member in members:  # K = 1 equals the member's own last evaluation
        own = store.get(member.run_id)["val_loss"]
        assert frame.loss[(member.run_id,)] == pytest.approx(own, abs=2e-5)
        assert frame.loss_probabilities[(member.run_id,)] == pytest.approx(own, abs=2e-5)
    whole = frame.loss[tuple(m.run_id for m in members)]
    assert whole < sum(frame.loss[(m.run_id,)] for m in members) / 3
    again = EnsembleSpec(members[::-1])
    ScoreJob(again, corpus.folder, "smoke").run(EXECUTION)
    assert subsets_frame([store.get(again.run_id)]).loss.iloc[-1] == pytest.approx(whole, abs=1e-6)


def test_models_are_read_in_the_precision_that_they_were_trained_in(home, spec, corpus):
    spec = spec.replace(precision="bf16-products")
    TrainJob((spec,), corpus.folder, "smoke", weights=True).run(EXECUTION)
    ScoreJob(EnsembleSpec((spec,)), corpus.folder, "smoke").run(EXECUTION)
    store = RunStore.of("smoke")
    frame = subsets_frame([store.get(EnsembleSpec((spec,)).run_id)])
    loss = store.get(spec.run_id)["val_loss"]
    assert frame.loss[0] == pytest.approx(loss, abs=2e-6)  # read in float32: 3e-5 apart


def test_memory_does_not_grow_with_the_validation_set(members, corpus):
    """The stream is consumed batch by batch: a generator is enough, and never rewound."""
    store = RunStore.of("smoke")
    model = load_stack(members[0].model, [store.weights_path(m.run_id) for m in members])
    ids = torch.from_numpy(corpus.validation(16, members[0].model.block_size))
    alive, most = 0, 0

    def stream():
        nonlocal alive, most
        for batch in ids.split(4):
            alive += 1
            most = max(most, alive)
            yield batch
            alive -= 1

    scores = score_subsets(model, stream(), [(0, 1, 2)])
    assert most == 1
    assert scores["logits"] == pytest.approx(
        score_subsets(model, ids.split(16), [(0, 1, 2)])["logits"], abs=1e-6
    )


def test_members_without_weights_are_named(home, spec, corpus):
    TrainJob((spec,), corpus.folder, "smoke", weights=False).run(EXECUTION)
    with pytest.raises(TrainingError, match=f"{spec.run_id} has no weights"):
        ScoreJob(EnsembleSpec((spec,)), corpus.folder, "smoke").run(EXECUTION)


def test_a_diverged_member_is_left_out_and_counted(home, spec, corpus, members):
    wild = spec.replace(lr=1e9, wd=0.0, clip_norm=1e9, init_seed=9)
    TrainJob((wild,), corpus.folder, "smoke", weights=True).run(EXECUTION)
    store = RunStore.of("smoke")
    assert store.get(wild.run_id)["status"] == "diverged"
    ensemble = EnsembleSpec((members[0], wild, members[1]))
    ScoreJob(ensemble, corpus.folder, "smoke").run(EXECUTION)
    frame = subsets_frame([store.get(ensemble.run_id)])
    assert len(frame) == 3 and set(frame.n_diverged) == {1} and set(frame.K) == {2}
    assert all(math.isfinite(loss) for loss in frame.loss)
    lost = EnsembleSpec((wild,))
    ScoreJob(lost, corpus.folder, "smoke").run(EXECUTION)
    assert store.get(lost.run_id)["status"] == "diverged"
    assert subsets_frame([store.get(lost.run_id)]).empty

"""The estimated memory against what torch allocates."""

import dataclasses
import gc

import pytest
import torch

from ieee_lib import Scale
from ieee_lib.benchmarks.speed import most_allocated
from ieee_lib.cli import main
from ieee_lib.config import EnsembleSpec, EvaluationSpec, SampleSpec
from ieee_lib.config.execution import Execution
from ieee_lib.jobs import train_job as train_unit
from ieee_lib.jobs.evaluation_job import EvaluationJob
from ieee_lib.jobs.sample_job import SampleJob
from ieee_lib.jobs.score_job import ScoreJob
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.model.memory import memory_of
from ieee_lib.model.optim import StackedAdamW
from tests.conftest import TINY

PAPER = Scale.load("paper")
SHORT = dataclasses.replace(PAPER.models["150M"], block_size=64)
STACKS = {  # shape, members, sequences
    "grouped heads": (TINY, 2, 4),
    "laptop": (Scale.load("laptop").models["0.32M"], 8, 8),
    "laptop, wide": (Scale.load("laptop").models["0.04M"], 3, 8),
    "150M, short context": (SHORT, 1, 2),
    "long context": (dataclasses.replace(TINY, block_size=320), 2, 4),
}


def nbytes(tensors) -> int:
    return sum(tensor.nbytes for tensor in tensors)


@pytest.mark.parametrize("name", PAPER.models)
def test_the_state_of_every_preset_is_what_torch_allocates_for_it(name):
    with torch.device("meta"):
        model = StackedDecoder(PAPER.models[name], seeds=[0, 1])
    optimizer = StackedAdamW(model, lr=[1e-3] * 2, wd=[0.1] * 2)
    sum(parameter.sum() for parameter in model.parameters()).backward()
    memory = memory_of(PAPER.models[name], n_member=2, batch=4, precision="bf16-mixed")
    assert memory.weights == nbytes(model.parameters())
    assert memory.gradients == nbytes(p.grad for p in model.parameters())
    moments = [t for held in optimizer.state.values() for t in held.values() if t.dim()]
    assert memory.moments == nbytes(moments)


def stack_of(name: str, precision: str):
    """Return model, ids (K, B, T), the context a forward pass runs in, and the estimate."""
    config, n_member, batch = STACKS[name]
    products = precision == "bf16-products"
    model = StackedDecoder(config, seeds=list(range(n_member)), bf16=products)
    ids = torch.randint(config.vocab_size, (n_member, batch, config.block_size))
    mixed = torch.autocast("cpu", torch.bfloat16, precision == "bf16-mixed")
    settings = {"n_member": n_member, "batch": batch, "precision": precision}
    return model, ids, mixed, memory_of(config, **settings, on_cpu=True)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-products"])
@pytest.mark.parametrize("name", STACKS)
def test_what_backward_reads_is_counted_value_by_value(name, precision):
    model, ids, mixed, memory = stack_of(name, precision)
    parameters = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), mixed:
        out = model.norm(model.hidden(ids))
    assert out.requires_grad  # and with it, all that was kept is alive
    n_byte = sum(size for place, size in kept.items() if place not in parameters)
    assert memory.copies + memory.activations == pytest.approx(n_byte, rel=0.01)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-products"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.startswith("150M") else name
        for name in STACKS
    ],
)
def test_a_pass_allocates_at_most_what_is_estimated(name, precision):
    model, ids, mixed, memory = stack_of(name, precision)

    def step() -> None:
        with mixed:
            loss = model.losses(ids).sum()
        loss.backward()

    step()  # gradients are there from now on, as in every pass of a step but the first
    allocated = most_allocated(step)
    assert 0.9 < (memory.copies + memory.activations + memory.head) / allocated < 1.15


def test_members_batches_and_devices_cost_what_they_add():
    one = memory_of(TINY, n_member=1, batch=2, precision="32-true")
    assert one.copies == 0
    three = memory_of(TINY, n_member=3, batch=2, precision="32-true")
    assert three.total == 3 * one.total
    longer = memory_of(TINY, n_member=1, batch=4, precision="32-true")
    assert (longer.weights, longer.activations) == (one.weights, 2 * one.activations)
    shared = memory_of(TINY, n_member=1, batch=2, precision="32-true", n_device=8)
    assert shared.total - one.total == one.gradients


def test_units_say_what_they_need(spec, tmp_path):
    at = (tmp_path, "smoke")
    execution = Execution(accelerator="cpu", micro_batch=2)
    specs = tuple(spec.replace(init_seed=seed) for seed in range(3))
    train = TrainJob(specs, *at, weights=False).memory_bytes(execution)
    settings = {"n_member": 3, "batch": 2, "precision": spec.precision, "on_cpu": True}
    assert train == memory_of(spec.model, **settings).total
    ensemble = EnsembleSpec(specs)
    sample = SampleSpec(teachers=ensemble, kind="mixture", n_token=64)
    evaluation = EvaluationSpec(models=ensemble, task="continuation", n_item=4)
    reading = (ScoreJob(ensemble, *at), SampleJob(sample, *at), EvaluationJob(evaluation, *at))
    weights = 3 * 4 * TINY.count().total
    assert all(weights < job.memory_bytes(execution) < 1e9 for job in reading)


def test_a_unit_that_is_done_leaves_its_memory_to_the_next(home, spec, corpus, monkeypatch):
    monkeypatch.setattr(train_unit, "MANY", 0)  # small ones wait for Python's own time

    def n_alive() -> int:
        return sum(type(thing) is StackedDecoder for thing in gc.get_objects())

    gc.collect()
    before = n_alive()
    execution = Execution(compile="never", accelerator="cpu", logger="none")
    TrainJob((spec,), corpus.folder, "smoke", weights=True).run(execution)
    assert n_alive() == before


def test_the_plan_says_which_models_one_card_holds(home, capsys):
    """One member, four sequences of 4096: up to 1.4B in the 80 GB of an H100."""
    assert main(["plan", "--scale", "paper"]) == 0
    start = "Memory a stack of 1 trains in, 4 sequence(s) of 4096 tokens a pass: "
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith(start))
    sizes = dict(
        entry.removesuffix(" GB").split() for entry in line[:-1].split(": ")[1].split(", ")
    )
    fits = [name for name, size in sizes.items() if float(size) < 80]
    assert fits == ["150M", "300M", "600M", "1.4B"]
    assert set(sizes) == {*PAPER.models, "continued"}

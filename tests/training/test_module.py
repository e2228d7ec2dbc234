"""The Lightning module of a stack: the curve's means, keys of dropout, seconds, checkpoints."""

import time
from dataclasses import replace
from types import SimpleNamespace

import lightning
import pytest
import torch

from ieee_lib.config.execution import Execution
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.training.data import StepBatches
from ieee_lib.training.fit import train
from ieee_lib.training.module import StackModule

EAGER = Execution(compile="never", accelerator="cpu", checkpoint_minutes=0.0)


def test_the_first_point_after_one_step_has_that_steps_loss(spec, corpus):
    """One pass between two evaluations: the mean over passes is that pass's loss itself."""
    spec = spec.replace(evals=spec.n_step, data_seed=3)
    curve = train([spec], corpus, execution=EAGER)[0].curve
    model = StackedDecoder(spec.model, seeds=[spec.init_seed])
    first = StepBatches([spec], corpus.slice(spec.seed_tokens, 16), spec.batch_size)[0]
    tokens = [4 * 16 * step for step in range(1, spec.n_step + 1)]  # 4 sequences of 16 a step
    assert [point["tokens"] for point in curve] == tokens and len(curve) == spec.n_step
    assert curve[0]["train_loss"] == pytest.approx(model.losses(first).item(), rel=1e-6)


class Keys(lightning.Callback):
    """Notes the keys that every pass drops channels by."""

    def on_train_start(self, trainer, module):
        self.seen, inner = [], module.model.hidden

        def hidden(ids, key=None):
            if module.training:
                self.seen.append(key)
            return inner(ids, key)

        module.model.hidden = hidden


def mixed(x: int) -> int:
    """Mix the 32 bits of a number, in Python's own integers."""
    for _ in range(2):
        x = ((x ^ x >> 16) * 0x45D9F3B) % 2**32
    return x ^ x >> 16


def test_every_pass_of_a_member_drops_by_a_key_of_its_own(spec, corpus):
    specs = [spec.replace(dropout=0.1, data_seed=seed) for seed in (0, 1)]
    keys = Keys()
    train(specs, corpus, execution=replace(EAGER, micro_batch=2), callbacks=[keys])
    seen = torch.stack(keys.seen)  # (passes, K)
    assert seen.tolist() == [
        [mixed((mixed(seed) + mixed(number)) % 2**32) for seed in (0, 1)]
        for number in range(2 * spec.n_step)
    ]
    assert [len(keys.unique()) for keys in seen.T] == [len(seen)] * 2
    assert (seen[:, 0] != seen[:, 1]).all()
    plain = Keys()
    train([spec], corpus, execution=EAGER, callbacks=[plain])
    assert plain.seen == [None] * spec.n_step


def test_seconds_are_counted_from_when_the_module_is_made(spec):
    began = time.perf_counter()
    module = StackModule([spec])
    assert 0 <= module.seconds <= time.perf_counter() - began


def test_of_a_checkpoints_sums_the_first_device_takes_all_and_others_none(spec):
    for rank, expected in ((0, [5.0]), (1, [0.0]), (2, [0.0])):
        module = StackModule([spec])
        module.trainer = SimpleNamespace(global_rank=rank)
        progress = {"train_sum": torch.tensor([5.0], dtype=torch.float64), "n_train_batch": 2}
        module.on_load_checkpoint({"progress": progress})
        assert module.train_sum.tolist() == expected and module.n_train_batch == 2

"""Options beyond the paper's training, each against what it says it does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ieee_lib import InputError
from ieee_lib.config.execution import Execution
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.model.memory import memory_of
from ieee_lib.training.fit import train
from ieee_lib.training.module import StackModule
from ieee_lib.training.options import is_averaged, masked, replaced
from tests.conftest import TINY

EAGER = Execution(compile="never", accelerator="cpu", checkpoint_minutes=0.0)
KEYS = torch.arange(12).view(3, 4) * 7919 + 1


def losses(result):
    return [(point["train_loss"], point["val_loss"]) for point in result.curve]


def test_a_share_of_the_inputs_is_replaced_by_any_token():
    ids = torch.full((3, 4, 4096), 7)
    inputs = replaced(ids, 0.15, KEYS, 300)
    changed = inputs != ids
    assert changed.float().mean(-1).numpy() == pytest.approx(0.15, abs=0.03)
    counts = torch.bincount(inputs[changed], minlength=300).float()
    assert len(counts) == 300 and counts.std() < 2 * counts.mean() ** 0.5
    assert not torch.equal(changed[0, 0], changed[0, 1]), "each sequence has draws of its own"
    alone = replaced(ids[1:2, 2:3], 0.15, KEYS[1:2, 2:3], 300)
    assert torch.equal(alone[0, 0], inputs[1, 2]), "whatever else is in the stack or the batch"


def test_masks_have_a_rate_a_sequence_up_to_a_half():
    keys = torch.arange(400).view(1, -1) * 104729 + 5
    rates = masked(torch.zeros(1, 400, 512, dtype=torch.long), keys).float().mean(-1)[0]
    assert rates.min() < 0.03 and 0.47 < rates.max() < 0.57
    assert rates.mean() == pytest.approx(0.25, abs=0.03)
    assert rates.std() == pytest.approx(0.5 / 12**0.5, abs=0.02)


def test_a_masked_token_is_not_read():
    model = StackedDecoder(TINY, seeds=[0, 1])
    ids = torch.randint(0, 300, (2, 3, 16), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 3, 16, dtype=torch.bool)
    mask[:, :, 5] = True
    other = ids.masked_scatter(mask, (ids[mask] + 1) % 300)
    assert torch.equal(model.hidden(ids, None, mask), model.hidden(other, None, mask))
    assert not torch.equal(model.hidden(ids), model.hidden(other))


@pytest.mark.parametrize("options", [{"replaced_inputs": 0.5}, {"masked_weight": 0.4}])
def test_draws_follow_the_data_seed_and_no_batching_and_validation_reads_the_text(
    spec, corpus, options
):
    """A learning rate of next to nothing: runs end where they began, so all see the same model."""
    still = spec.replace(lr=1e-12, wd=0.0)
    plain, changed = (train([s], corpus, execution=EAGER)[0] for s in (
        still, still.replace(**options)
    ))  # fmt: skip
    parts = train([still.replace(**options)], corpus, execution=replace(EAGER, micro_batch=2))[0]
    other_seed = train([still.replace(**options, data_seed=1)], corpus, execution=EAGER)[0]
    for (train_plain, val_plain), (train_loss, val_loss) in zip(
        losses(plain), losses(changed), strict=True
    ):
        assert val_loss == pytest.approx(val_plain, abs=1e-6)
        assert abs(train_loss - train_plain) > 1e-5
    assert np.allclose(losses(parts), losses(changed), atol=2e-6, rtol=0)
    # An epoch has the same sequences in any order: only the draws tell the two seeds apart.
    assert abs(losses(other_seed)[-1][0] - losses(changed)[-1][0]) > 2e-6


def weights_after_each_step(spec, corpus, monkeypatch):
    """Train a run without averages; return its weights after every step."""
    steps = []
    step = StackModule.optimizer_step

    def note(self, *arguments, **options):
        step(self, *arguments, **options)
        steps.append({n: p.detach()[0].clone() for n, p in self.model.named_parameters()})

    with monkeypatch.context() as patch:
        patch.setattr(StackModule, "optimizer_step", note)
        train([spec], corpus, execution=EAGER)
    return steps


def test_averages_are_those_of_the_same_run(spec, corpus, monkeypatch):
    spec = spec.replace(epochs=3)
    steps = weights_after_each_step(spec, corpus, monkeypatch)
    assert len(steps) == spec.n_step
    moving = steps[0]
    for weights in steps[1:]:
        moving = {name: 0.9 * moving[name] + 0.1 * weights[name] for name in moving}
    n = spec.steps_per_epoch
    last = {name: (steps[2 * n - 1][name] + steps[3 * n - 1][name]) / 2 for name in moving}
    for options, expected in (({"ema": 0.9}, moving), ({"mean_of_last": 2}, last)):
        result = train([spec.replace(**options)], corpus, execution=EAGER)[0]
        for name, weight in result.weights.items():
            assert torch.allclose(weight, expected[name], atol=1e-6), (options, name)
        model = StackedDecoder(TINY, seeds=[0])
        model.start_from(result.weights)
        ids = torch.from_numpy(corpus.validation(spec.val_sequences, 16))[None]
        with torch.no_grad():
            assert result.val_loss == pytest.approx(model.losses(ids).item(), abs=1e-5)


def test_the_ends_of_the_last_epochs_are_averaged(spec):
    spec = spec.replace(epochs=4, mean_of_last=2)
    steps = [step for step in range(1, spec.n_step + 1) if is_averaged(spec, step)]
    assert steps == [3 * spec.steps_per_epoch, 4 * spec.steps_per_epoch]


def test_a_teachers_loss_and_gradient_are_the_formulas():
    w, T = 0.3, 1.2
    model, teacher = (StackedDecoder(TINY, seeds=seeds) for seeds in ([0, 1], [2]))
    with torch.no_grad():
        for parameter in [*model.parameters(), *teacher.parameters()]:
            parameter.mul_(8)  # predictions that are far from uniform
    ids = torch.randint(0, 300, (2, 3, 16), generator=torch.Generator().manual_seed(0))
    logits = model(ids)[:, :, :-1].flatten(1, 2)
    taught = teacher(ids.reshape(1, -1, 16))[0].view(2, 3, 16, -1)[:, :, :-1].flatten(1, 2)
    text = F.cross_entropy(logits.flatten(0, 1), ids[:, :, 1:].flatten(), reduction="none")
    q = (taught.detach() / T).softmax(-1)
    log_p = (logits / T).log_softmax(-1)
    divergence = (q * (q.log() - log_p)).sum(-1).mean(1)
    expected = (1 - w) * text.view(2, -1).mean(1) + w * T**2 * divergence
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(expected.sum(), parameters)
    losses = model.head_losses(model.hidden(ids), ids, teacher.as_teacher(ids, w, T))
    assert torch.allclose(losses, expected, atol=1e-5)
    for ours, theirs in zip(torch.autograd.grad(losses.sum(), parameters), gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5 * theirs.abs().max().clamp(min=1).item())


def test_weights_of_a_teacher_are_given_where_the_spec_names_one(spec, corpus):
    taught = spec.replace(teacher="1" * 16, teacher_weight=0.5)
    with pytest.raises(InputError, match="weights must be given where the spec names a teacher"):
        train([taught], corpus, execution=EAGER)


def test_what_options_cost_is_counted(spec):
    twice = spec.replace(masked_weight=0.4)
    taught = spec.replace(teacher="1" * 16, teacher_weight=0.5, ema=0.9)
    assert taught.follows and not twice.follows and not spec.follows
    assert twice.flops == 2 * spec.flops and twice.cost == 2 * spec.cost
    assert taught.flops == pytest.approx(4 / 3 * spec.flops) and taught.weight_copies == 3
    shared = {"n_member": 2, "batch": 4, "precision": "32-true"}
    plain, more = memory_of(TINY, **shared), memory_of(TINY, **shared, weight_copies=3, passes=2)
    assert more.weights == 3 * plain.weights and more.activations == 2 * plain.activations

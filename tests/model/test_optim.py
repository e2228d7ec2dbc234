"""StackedAdamW against torch.optim.AdamW, member by member."""

import pytest
import torch

from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.model.optim import StackedAdamW, StackedMuon, decayed_names, warmup_cosine
from tests.conftest import TINY

LR, WD = [3e-2, 1e-3, 1e-2], [0.1, 6.4, 0.0]


def batches(n):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, TINY.vocab_size, (3, 2, 16), generator=generator) for _ in range(n)]


@pytest.mark.parametrize("mask", ["paper", "all", "no_head"])
def test_every_member_moves_as_torch_adamw_moves_it_alone(mask):
    stack = StackedDecoder(TINY, seeds=[0, 1, 2])
    optimizer = StackedAdamW(stack, lr=LR, wd=WD, decay_mask=mask, clip_norm=0.5)
    factor = warmup_cosine(8, 0.2)
    for step, ids in enumerate(batches(8)):
        optimizer.param_groups[0]["lr"] = factor(step)
        optimizer.zero_grad()
        stack.losses(ids).sum().backward()
        optimizer.step()
    for k in range(3):
        alone = StackedDecoder(TINY, seeds=[k])
        decayed = decayed_names(alone, mask)
        groups = [
            {
                "params": [p for n, p in alone.named_parameters() if n in decayed],
                "weight_decay": WD[k],
            },
            {
                "params": [p for n, p in alone.named_parameters() if n not in decayed],
                "weight_decay": 0,
            },
        ]
        reference = torch.optim.AdamW(groups, lr=LR[k], betas=(0.9, 0.95), eps=1e-8)
        schedule = torch.optim.lr_scheduler.LambdaLR(reference, factor)
        for ids in batches(8):
            reference.zero_grad()
            alone.losses(ids[k : k + 1]).sum().backward()
            torch.nn.utils.clip_grad_norm_(alone.parameters(), 0.5)
            reference.step()
            schedule.step()
        for (name, a), b in zip(stack.named_parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(a[k], b[0], rtol=2e-4, atol=2e-6, msg=f"{mask}, {name}")


# Small singular values of a gradient are all rounding in bfloat16, and Muon makes them large.
@pytest.mark.parametrize(("n_step", "reach"), [(1, 0.02), (4, 0.3)])
def test_every_member_moves_as_torch_muon_moves_its_matrices_alone(n_step, reach):
    seeds = [StackedDecoder(TINY, seeds=[k]) for k in range(3)]
    start = [{n: p.detach().clone() for n, p in model.named_parameters()} for model in seeds]
    stack = StackedDecoder(TINY, seeds=[0, 1, 2])
    optimizer = StackedMuon(stack, lr=LR, wd=WD, clip_norm=1e9)
    for ids in batches(n_step):
        optimizer.zero_grad()
        stack.losses(ids).sum().backward()
        optimizer.step()
    for k in range(3):
        alone = StackedDecoder(TINY, seeds=[k])
        matrices = {
            n: p for n, p in alone.named_parameters() if n.startswith("blocks.") and "norm" not in n
        }
        views = {n: torch.nn.Parameter(p.detach()[0]) for n, p in matrices.items()}
        muon = torch.optim.Muon(
            views.values(), lr=LR[k], weight_decay=WD[k], adjust_lr_fn="match_rms_adamw"
        )
        rest = {n: p for n, p in alone.named_parameters() if n not in matrices}
        groups = [
            {"params": [p for n, p in rest.items() if "lm_head" in n], "weight_decay": WD[k]},
            {"params": [p for n, p in rest.items() if "lm_head" not in n], "weight_decay": 0},
        ]
        adamw = torch.optim.AdamW(groups, lr=LR[k], betas=(0.9, 0.95), eps=1e-8)
        for ids in batches(n_step):
            alone.zero_grad()
            alone.losses(ids[k : k + 1]).sum().backward()
            for name, view in views.items():
                view.grad = matrices[name].grad[0]
            muon.step()
            adamw.step()
        for (name, a), b in zip(stack.named_parameters(), alone.parameters(), strict=True):
            moved = (b[0] - start[k][name][0]).norm()
            assert (a[k] - b[0]).norm() <= reach * moved, name
    assert not torch.equal(stack.blocks[0].mlp.down.weight[0], stack.blocks[0].mlp.down.weight[1])


def test_muon_follows_gradients_that_are_clipped_member_by_member():
    """Gradients a hundred times larger at every other step: clipped, they count as others do."""
    clipped, by_hand = (StackedDecoder(TINY, seeds=[0, 1, 2]) for _ in range(2))
    options = {"lr": LR, "wd": WD}
    one, other = StackedMuon(clipped, clip_norm=0.5, **options), StackedMuon(by_hand, **options)
    other.clip_norm = 1e9
    start = [p.detach().clone() for p in clipped.parameters()]
    generator = torch.Generator().manual_seed(0)
    for step in range(4):
        gradients = [torch.randn(p.shape, generator=generator) for p in start]
        gradients = [g * 100 ** (step % 2) / 50 for g in gradients]
        norms = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()  # (K,)
        factor = (0.5 / (norms + 1e-6)).clamp(max=1.0)
        assert (factor < 0.1).all() or step % 2 == 0
        for a, b, g in zip(clipped.parameters(), by_hand.parameters(), gradients, strict=True):
            a.grad, b.grad = g, g * factor[:, None, None]
        one.step()
        other.step()
    pairs = zip(clipped.named_parameters(), by_hand.parameters(), start, strict=True)
    for (name, a), b, before in pairs:
        assert (a - b).norm() < 0.02 * (b - before).norm(), name


def test_the_papers_mask_spares_norms_and_embedding_but_not_the_head():
    model = StackedDecoder(TINY, seeds=[0])
    decayed = decayed_names(model, "paper")
    assert "lm_head.weight" in decayed and "blocks.0.mlp.down.weight" in decayed
    assert not any("norm" in name or "embedding" in name for name in decayed)
    assert decayed_names(model, "all") == {name for name, _ in model.named_parameters()}
    assert decayed_names(model, "no_head") == decayed - {"lm_head.weight"}


def test_decay_shrinks_by_lr_times_wd_a_step():
    model = StackedDecoder(TINY, seeds=[0])
    optimizer = StackedAdamW(model, lr=[0.1], wd=[2.0])
    before = model.lm_head.weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(model.lm_head.weight, before * (1 - 0.1 * 2.0))


def test_a_loaded_state_goes_on_as_if_never_left():
    def trained(n_whole, n_after):
        stack = StackedDecoder(TINY, seeds=[0, 1, 2])
        optimizer = StackedAdamW(stack, lr=LR, wd=WD)
        for i, ids in enumerate(batches(n_whole + n_after)):
            if i == n_whole:
                weights, state = stack.state_dict(), optimizer.state_dict()
                stack = StackedDecoder(TINY, seeds=[7, 8, 9])
                optimizer = StackedAdamW(stack, lr=LR, wd=WD)
                stack.losses(ids).sum().backward()
                optimizer.step()  # its own moments are in use when others are loaded
                stack.load_state_dict(weights)
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            stack.losses(ids).sum().backward()
            optimizer.step()
        return list(stack.parameters())

    for a, b in zip(trained(4, 0), trained(2, 2), strict=True):
        assert torch.equal(a, b)


def test_a_loaded_state_is_where_its_parameters_are():
    """The fused kernel refuses counts of steps on another device; torch leaves them there."""
    model = StackedDecoder(TINY, seeds=[0, 1])
    state = StackedAdamW(model, lr=LR[:2], wd=WD[:2]).state_dict()
    with torch.device("meta"):
        elsewhere = StackedAdamW(StackedDecoder(TINY, seeds=[0, 1]), lr=LR[:2], wd=WD[:2])
    elsewhere.load_state_dict(state)
    held = [tensor for state in elsewhere.state.values() for tensor in state.values()]
    assert len(held) == 3 * len(state["state"]) and all(t.device.type == "meta" for t in held)


def test_schedule_warms_up_linearly_and_ends_at_zero():
    factor = warmup_cosine(200, 0.05)
    assert [factor(s) for s in (0, 5, 10)] == [0.0, 0.5, 1.0]
    assert factor(105) == pytest.approx(0.5) and factor(200) == pytest.approx(0.0)
    assert all(factor(s) >= factor(s + 1) for s in range(10, 200))

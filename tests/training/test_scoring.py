"""Ensembles: K = 1 is the member, order does not matter, subsets equal a direct float64 average."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ieee_lib.model import memory
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.training.scoring import AVERAGES, score_averages, score_subsets, subsets_of
from tests.conftest import TINY


def trained_like(seeds):
    """Members that differ as trained ones do; initial weights are nearly uniform predictors."""
    model = StackedDecoder(TINY, seeds=seeds)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)
    return model


def batches(n=3):
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(0, TINY.vocab_size, (2, 16), generator=generator) for _ in range(n)]


def direct(model, subset, kind):
    """The definition, in float64: average over members, renormalize, mean loss over targets."""
    total, n = 0.0, 0
    for ids in batches():
        logits = model(ids.expand(model.n_member, -1, -1).contiguous()).double()
        p = logits.softmax(-1)[list(subset), :, :-1]  # (k, B, T-1, V)
        mean = p.mean(0) if kind == "probabilities" else p.log().mean(0).softmax(-1)
        chosen = mean.gather(-1, ids[:, 1:, None]).squeeze(-1)
        total -= chosen.log().sum().item()
        n += chosen.numel()
    return total / n


@pytest.mark.parametrize("kind", AVERAGES)
def test_every_subset_equals_the_direct_average_in_float64(kind):
    model, subsets = trained_like([0, 1, 2, 3]), subsets_of(4)
    scores = score_subsets(model, batches(), subsets)[kind]
    assert len(subsets) == 15
    assert scores == pytest.approx([direct(model, s, kind) for s in subsets], abs=1e-6)


def test_one_member_is_itself_and_copies_change_nothing():
    model = trained_like([3, 3, 3])
    scores = score_subsets(model, batches(), subsets_of(3))
    alone = score_subsets(trained_like([3]), batches(), [(0,)])
    for kind in AVERAGES:
        assert scores[kind] == pytest.approx([alone[kind][0]] * 7, abs=1e-6)
    losses = [trained_like([3]).losses(ids[None]).item() for ids in batches()]
    assert alone["logits"][0] == pytest.approx(np.mean(losses), abs=1e-6)


def test_averaged_weights_are_one_model_of_the_mean_of_each_weight():
    model, subsets = trained_like([0, 1, 2]), subsets_of(3)
    scores = score_averages(model, batches(), subsets)
    assert scores["logits"] == pytest.approx(scores["probabilities"], abs=1e-6)
    alone = score_subsets(model, batches(), subsets)["logits"]
    assert scores["logits"][:3] == pytest.approx(alone[:3], abs=1e-6)
    members = [trained_like([seed]).state_dict() for seed in (0, 2)]
    mean = trained_like([0])
    mean.load_state_dict({name: (members[0][name] + members[1][name]) / 2 for name in members[0]})
    losses = [mean.losses(ids[None]).item() for ids in batches()]
    place = subsets.index((0, 2))
    assert scores["logits"][place] == pytest.approx(np.mean(losses), abs=1e-6)
    assert scores["logits"][place] != pytest.approx(alone[place], abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.permutations([0, 1, 2, 3]))
def test_order_does_not_matter(order):
    model = trained_like([0, 1, 2, 3])
    scores = score_subsets(model, batches(1), [(0, 1, 2, 3), tuple(order)])
    for kind in AVERAGES:
        assert scores[kind][0] == pytest.approx(scores[kind][1], abs=1e-6)


def test_averages_beat_their_members_mean():
    """Both averages lose at most the members' mean loss (Jensen)."""
    model = trained_like([0, 1, 2])
    scores = score_subsets(model, batches(), [(0,), (1,), (2,), (0, 1, 2)])
    for kind in AVERAGES:
        assert scores[kind][3] < np.mean(scores[kind][:3])


def test_large_ensembles_score_all_prefixes_and_a_fixed_sample():
    assert len(subsets_of(6)) == 63
    subsets = subsets_of(8)
    assert subsets[:8] == [tuple(range(k)) for k in range(1, 9)]
    assert subsets == subsets_of(8) and len(set(subsets)) == len(subsets)
    assert {(i,) for i in range(8)} <= set(subsets) and len(subsets) >= 63
    assert {len(subset) for subset in subsets[8:]} == set(range(1, 8)), "of every size"
    assert len(subsets_of(20)) == 63 + 20 - 1, "63 others than prefixes, but for the first member"


def test_memory_is_bounded_by_a_chunk(monkeypatch):
    import ieee_lib.training.scoring as scoring

    sizes = []
    whole = score_subsets(trained_like([0, 1]), batches(), subsets_of(2))
    inner = scoring.subset_sums
    monkeypatch.setitem(memory.SCORED_VALUES, "cpu", 5 * TINY.vocab_size)
    monkeypatch.setattr(
        scoring,
        "subset_sums",
        lambda log_p, *rest: sizes.append(log_p.shape[1]) or inner(log_p, *rest),
    )
    parts = score_subsets(trained_like([0, 1]), batches(), subsets_of(2))
    assert max(sizes) == 5 and sum(sizes) == 3 * 2 * 15
    for kind in AVERAGES:
        assert parts[kind] == pytest.approx(whole[kind], abs=1e-7)


def test_members_that_agree_on_nothing_give_a_finite_loss():
    log_p = torch.full((2, 1, 4), -400.0)
    log_p[0, 0, 0] = log_p[1, 0, 1] = 0.0
    from ieee_lib.training.scoring import log_sum_exp

    assert log_sum_exp(log_p.mean(0)).item() == pytest.approx(-200 + np.log(2), abs=1e-3)

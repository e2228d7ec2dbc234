"""Products in bf16: attention against torch's own, and members, compiled code and samples alike."""

import dataclasses
import functools
import warnings

import pytest
import torch
import torch.nn.functional as F

from ieee_lib.model import products
from ieee_lib.model.decoder import StackedDecoder
from ieee_lib.training.fit import can_compile
from ieee_lib.training.sampling import sample
from tests.conftest import TINY
from tests.model.test_decoder import ids_of

HALF = 2**-8
"""Rounding to bf16, relative: twice the largest."""


def decoder(seeds, **changes):
    return StackedDecoder(dataclasses.replace(TINY, **changes), seeds=seeds, bf16=True)


def gradients(model, ids):
    losses = model.losses(ids)
    return losses, torch.autograd.grad(losses.sum(), list(model.parameters()))


@pytest.mark.parametrize("n_kv_head", [4, 2])
@pytest.mark.parametrize("short", [256, 1], ids=["all scores at once", "flash"])
def test_attention_is_torchs_in_float64(monkeypatch, n_kv_head, short):
    monkeypatch.setattr(products, "SHORT_CONTEXT", short)
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, n, 24, 8) for n in (4, n_kv_head, n_kv_head)]
    inputs = [torch.randn(s, generator=generator).bfloat16().requires_grad_() for s in shapes]
    dy = torch.randn(shapes[0], generator=generator).bfloat16()
    y = products.attention(*inputs)
    exact = [x.detach().double().flatten(0, 1).requires_grad_() for x in inputs]
    expected = F.scaled_dot_product_attention(*exact, is_causal=True, enable_gqa=True)
    assert y.dtype == torch.bfloat16 and y.shape == shapes[0]
    pairs = [(y, expected), *zip(
        torch.autograd.grad(y, inputs, dy),
        torch.autograd.grad(expected, exact, dy.double().flatten(0, 1)), strict=True,
    )]  # fmt: skip
    for actual, right in pairs:
        assert (actual.flatten(0, 1) - right).norm() < 2 * HALF * right.norm()


def test_products_are_bf16_and_all_that_is_kept_float32():
    model, exact = decoder([3]), StackedDecoder(TINY, seeds=[3])
    ids = ids_of(1)
    losses, slopes = gradients(model, ids)
    expected, right = gradients(exact, ids)
    assert losses.dtype == torch.float32 and all(g.dtype == torch.float32 for g in slopes)
    assert 0 < (losses - expected).abs().max() < 1e-3
    for a, b in zip(slopes, right, strict=True):
        assert 0 < (a - b).norm() < 8 * HALF * b.norm()


def test_members_equal_the_same_models_alone():
    ids = ids_of(3)
    losses, stacked = gradients(decoder([5, 6, 7]), ids)
    for k, seed in enumerate([5, 6, 7]):
        loss, alone = gradients(decoder([seed]), ids[k : k + 1])
        torch.testing.assert_close(losses[k], loss[0], rtol=0, atol=1e-6)
        for a, b in zip(stacked, alone, strict=True):
            torch.testing.assert_close(a[k], b[0], rtol=1e-5, atol=1e-6)


def test_nothing_sees_the_future():
    model, ids = decoder([0]), ids_of(1)
    changed = ids.clone()
    changed[..., 10:] = 0
    assert torch.equal(model(ids)[:, :, :10], model(changed)[:, :, :10])


def test_samples_with_a_cache_follow_the_same_distribution():
    """The logits of the last position, from the cache and from the whole prefix."""
    model, ids = decoder([0, 1]), ids_of(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # initial logits are all alike
        cache = model.new_cache(ids.shape[1])
        for position in range(ids.shape[2]):
            logits = model.next_logits(ids[..., position], cache).float()
        whole = model(ids)[:, :, -1].float()
    assert cache[0].keys.dtype == torch.bfloat16
    assert (logits - whole).norm() < 4 * HALF * whole.norm()
    first = torch.zeros(4, dtype=torch.long)
    written = sample(model, first, kind="average", generator=torch.Generator().manual_seed(0))
    assert written.shape == (4, TINY.block_size)


@pytest.mark.skipif(not can_compile(False), reason="needs a C++ compiler and Python's headers")
def test_compiled_is_eager():
    """Compiled code rounds to bf16 at the same places, float32 sums between them differ."""
    ids, eager, compiled = ids_of(3), decoder([0, 1, 2]), decoder([0, 1, 2])
    compiled.compile_regions()
    (losses, slopes), (expected, right) = gradients(compiled, ids), gradients(eager, ids)
    torch.testing.assert_close(losses, expected, rtol=0, atol=2e-4)
    for a, b in zip(slopes, right, strict=True):
        assert (a - b).norm() < 2 * HALF * b.norm()


def test_code_compiled_once_serves_any_number_of_members(monkeypatch):
    """Graphs are counted and run as they are: no C++ is needed."""
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compile = functools.partialmethod(torch.nn.Module.compile, backend=count)
    monkeypatch.setattr(torch.nn.Module, "compile", compile)
    n_graph = []
    for n_member in (2, 3, 5, 1):
        model, ids = StackedDecoder(TINY, seeds=list(range(n_member))), ids_of(n_member)
        expected = model.losses(ids)
        model.compile_regions()
        torch.testing.assert_close(model.losses(ids), expected, rtol=1e-6, atol=1e-6)
        n_graph.append(len(graphs))
    assert n_graph[0] > 0 and n_graph[:3] == [n_graph[0]] * 3


def test_a_cpu_without_bf16_is_warned_of_once(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    products.warn_where_emulated.cache_clear()
    assert not products.has_bf16()
    with pytest.warns(UserWarning, match=r"without its instructions \(AVX-512 BF16, AMX\)") as told:
        products.warn_where_emulated()
        products.warn_where_emulated()
    assert len(told) == 1
    products.warn_where_emulated.cache_clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        products.warn_where_emulated()
    products.warn_where_emulated.cache_clear()

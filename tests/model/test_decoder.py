"""The stacked decoder against a plain one written out here, and members against each other."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from ieee_lib import Scale
from ieee_lib.model import head, memory
from ieee_lib.model.decoder import StackedDecoder, dropout, hash32, rotary_tables
from tests.conftest import TINY


def plain_llama(weights, config, ids):
    """One Llama in textbook form: complex rotary numbers, explicit softmax, one head at a time."""
    w = {name: tensor[0].double() for name, tensor in weights.items()}
    T, d = ids.shape[1], config.head_dim

    def norm(x, gain):
        return x / (x.pow(2).mean(-1, keepdim=True) + config.norm_eps).sqrt() * gain

    frequency = config.rope_theta ** (-torch.arange(0, d, 2).double() / d)
    turn = torch.polar(torch.ones(T, d // 2).double(), torch.arange(T)[:, None] * frequency)

    def rotate(x):
        z = torch.complex(x[..., : d // 2].contiguous(), x[..., d // 2 :].contiguous()) * turn
        return torch.cat((z.real, z.imag), -1)

    x = w["embedding.weight"][ids]
    for i in range(config.n_layer):
        b = f"blocks.{i}."
        h = norm(x, w[b + "attention_norm.weight"])
        sizes = [config.n_head * d, config.n_kv_head * d, config.n_kv_head * d]
        q, k, v = (h @ w[b + "attention.qkv.weight"]).split(sizes, -1)
        heads = []
        for i_head in range(config.n_head):
            shared = i_head // (config.n_head // config.n_kv_head)
            qh = rotate(q[..., i_head * d : (i_head + 1) * d])
            kh = rotate(k[..., shared * d : (shared + 1) * d])
            vh = v[..., shared * d : (shared + 1) * d]
            score = qh @ kh.transpose(-1, -2) / d**0.5
            score = score.masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)
            heads.append(score.softmax(-1) @ vh)
        x = x + torch.cat(heads, -1) @ w[b + "attention.out.weight"]
        h = norm(x, w[b + "mlp_norm.weight"])
        gate, up = (h @ w[b + "mlp.gate_up.weight"]).chunk(2, -1)
        x = x + (F.silu(gate) * up) @ w[b + "mlp.down.weight"]
    return norm(x, w["norm.weight"]) @ w["lm_head.weight"]


def ids_of(n_member, n_sequence=3, n_position=16):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(
        0, TINY.vocab_size, (n_member, n_sequence, n_position), generator=generator
    )


def test_one_member_is_an_ordinary_llama():
    model = StackedDecoder(TINY, seeds=[7])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)  # initial weights are too small to show a wrong rotation
    ids = ids_of(1)
    expected = plain_llama(model.state_dict(), TINY, ids[0])
    torch.testing.assert_close(model(ids)[0].double(), expected, rtol=1e-4, atol=1e-4)


def test_rotary_scaling_is_that_of_llama_3_1():
    """Fast frequencies stay, slow ones are divided, and between the two it is a mean of both."""
    scaling = {"rope_factor": 8.0, "rope_original_block": 32, "rope_theta": 100.0}
    scaled = dataclasses.replace(TINY, **scaling)
    plain = 100.0 ** -(torch.arange(4) / 4)  # 5.1, 1.6, 0.5, 0.2 turns in 32 tokens
    share = (32 * plain[1] / (2 * torch.pi) - 1) / (4 - 1)
    between = (1 - share) * plain[1] / 8 + share * plain[1]
    expected = torch.stack([plain[0], between, plain[2] / 8, plain[3] / 8])
    cos, sin = rotary_tables(scaled)
    torch.testing.assert_close(torch.atan2(sin[1], cos[1]), expected)
    plain_tables = rotary_tables(dataclasses.replace(scaled, rope_factor=1.0))
    torch.testing.assert_close(torch.atan2(plain_tables[1][1], plain_tables[0][1]), plain)


def test_members_equal_the_same_models_alone():
    ids = ids_of(3)
    stack = StackedDecoder(TINY, seeds=[5, 6, 7])
    for k, seed in enumerate([5, 6, 7]):
        alone = StackedDecoder(TINY, seeds=[seed])
        for (name, a), b in zip(stack.named_parameters(), alone.parameters(), strict=True):
            assert torch.equal(a[k], b[0]), name
        torch.testing.assert_close(stack(ids)[k], alone(ids[k : k + 1])[0], rtol=1e-5, atol=1e-6)


def test_a_member_with_nan_leaves_the_others_alone():
    ids = ids_of(2)
    stack = StackedDecoder(TINY, seeds=[0, 1])
    before = stack.losses(ids)[1]
    with torch.no_grad():
        stack.blocks[0].mlp.down.weight[0] = torch.nan
    losses = stack.losses(ids)
    losses.sum().backward()
    assert losses[0].isnan() and torch.equal(losses[1], before)
    assert all(p.grad[1].isfinite().all() for p in stack.parameters())


def test_dropped_channels_are_drawn_by_key_and_place():
    keys = hash32(torch.arange(64))
    ones = torch.ones(64, 50, 40)
    dropped = dropout(ones, 0.25, keys)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.005)
    assert torch.equal(dropout(ones[5:6], 0.25, keys[5:6])[0], dropped[5]), "in any stack"
    kept = (dropped > 0).float().flatten(1) - 0.75
    alike = (kept @ kept.T) / kept.square().sum(1)  # correlation of masks of different keys
    assert alike.fill_diagonal_(0).abs().max() < 0.12
    by_place = kept.view(64, 50, 40).mean((0, 1))
    assert by_place.abs().max() < 0.05, "some channels are dropped more than others"


def test_nothing_sees_the_future():
    model = StackedDecoder(TINY, seeds=[0])
    ids = ids_of(1)
    changed = ids.clone()
    changed[..., 10:] = 0
    assert torch.equal(model(ids)[:, :, :10], model(changed)[:, :, :10])
    assert not torch.equal(model(ids)[:, :, 10:], model(changed)[:, :, 10:])


def head_inputs():
    """Return x (K, B*T, C), lm_head (K, C, V) and ids (K, B, T)."""
    generator = torch.Generator().manual_seed(2)
    ids = ids_of(3)
    x = torch.randn(3, ids[0].numel(), 8, generator=generator)
    weight = torch.randn(3, 8, TINY.vocab_size, generator=generator)
    return x.requires_grad_(), weight.requires_grad_(), ids


def reference_losses(x, weight, ids):
    logits = torch.bmm(x.double(), weight.double()).view(*ids.shape, -1)
    members = zip(logits[:, :, :-1], ids[..., 1:], strict=True)
    return torch.stack([F.cross_entropy(a.flatten(0, 1), b.flatten()) for a, b in members])


@pytest.mark.parametrize("values", [1, 20 * TINY.vocab_size, 100 * TINY.vocab_size, 2**30])
def test_losses_and_gradients_are_those_of_cross_entropy_in_any_chunks(monkeypatch, values):
    """Chunks of one row, of part of a member, of two members, and of all."""
    monkeypatch.setitem(memory.CHUNK_VALUES, "cpu", values)
    monkeypatch.setattr(memory, "CHUNK_ROWS", 1)
    x, weight, ids = head_inputs()
    scale = torch.tensor([1.0, 0.5, 2.0])
    expected = reference_losses(x, weight, ids)
    gradients = torch.autograd.grad((expected * scale).sum(), (x, weight))
    losses = head.next_token_losses(x, weight, ids)
    torch.testing.assert_close(losses.double(), expected, rtol=1e-6, atol=1e-6)
    actual = torch.autograd.grad((losses * scale).sum(), (x, weight))
    torch.testing.assert_close(actual, gradients, rtol=1e-5, atol=1e-7)
    with torch.no_grad():
        assert torch.equal(head.next_token_losses(x, weight, ids), losses)


def test_losses_where_a_target_has_no_probability_left():
    x, weight, ids = head_inputs()
    with torch.no_grad():
        weight.mul_(300)  # float32 probabilities end at exp(-103)
    expected = reference_losses(x, weight, ids)
    assert (expected > 500).all()
    torch.testing.assert_close(head.next_token_losses(x, weight, ids).double(), expected)


def test_losses_in_mixed_precision():
    x, weight, ids = head_inputs()
    expected = reference_losses(x, weight, ids)
    gradients = torch.autograd.grad(expected.sum(), (x, weight))
    with torch.autocast("cpu", torch.bfloat16):
        losses = head.next_token_losses(x, weight, ids)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses.double(), expected, rtol=0.01, atol=0)
    for actual, right in zip(
        torch.autograd.grad(losses.sum(), (x, weight)), gradients, strict=True
    ):
        assert actual.dtype == torch.float32
        assert (actual - right).norm() < 0.01 * right.norm()


def test_presets_of_every_scale_have_the_parameters_they_count():
    for scale in map(Scale.load, Scale.names()):
        for config in scale.models.values():
            with torch.device("meta"):
                model = StackedDecoder(config, seeds=[0, 1])
            count = config.count()
            groups = {"embedding": 0, "lm_head": 0, "norm": 0, "attention": 0, "mlp": 0}
            for name, parameter in model.named_parameters():
                group = next(g for g in ("norm", "attention", "mlp", *groups) if g in name)
                groups[group] += parameter[0].numel()
            assert groups == {g: getattr(count, g) for g in groups}

"""Hugging Face's Llama format: fields of config.json and names of tensors, theirs and ours.

    fields_of(config)["hidden_size"]            # config.n_embd
    layout(config)["blocks.0.mlp.gate_up.weight"]
    # {"model.layers.0.mlp.gate_proj.weight": (M, C), "model.layers.0.mlp.up_proj.weight": (M, C)}

`theirs` is Hugging Face's name, `ours` that of `ModelConfig` or `decoder.py`; axes as there. Their
matrices are (out, in), ours (in, out).
"""

from typing import Any

from ieee_lib.config import ModelConfig, check_integer
from ieee_lib.errors import check, check_choice

FIELDS = {
    "vocab_size": "vocab_size",
    "hidden_size": "n_embd",
    "intermediate_size": "n_mlp",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "num_key_value_heads": "n_kv_head",
    "max_position_embeddings": "block_size",
    "rms_norm_eps": "norm_eps",
    "initializer_range": "init_std",
}
ROPE_FIELDS = {
    "factor": "rope_factor",
    "low_freq_factor": "rope_low_factor",
    "high_freq_factor": "rope_high_factor",
    "original_max_position_embeddings": "rope_original_block",
}
"""Fields of rope_type llama3."""
FIXED = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "quantization_config": None,
}
"""Fields that our decoder has no option for; an absent one means the same."""


def fields_of(config: ModelConfig) -> dict[str, Any]:
    """Return the fields of config.json, as transformers 4 and 5 both read them.

    Version 4 reads rope_theta, rope_scaling and torch_dtype, 5 rope_parameters and dtype.
    """
    rope: dict[str, Any] = {"rope_type": "default"}
    if config.rope_factor > 1:
        rope = {theirs: getattr(config, ours) for theirs, ours in ROPE_FIELDS.items()}
        rope = {"rope_type": "llama3", **rope}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **{theirs: getattr(config, ours) for theirs, ours in FIELDS.items()},
        "head_dim": config.head_dim,
        "rope_theta": config.rope_theta,
        "rope_scaling": rope if config.rope_factor > 1 else None,
        "rope_parameters": {**rope, "rope_theta": config.rope_theta},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "torch_dtype": "float32",
        "dtype": "float32",
    }


def config_of(fields: dict[str, Any], *, block_size: int = 0) -> ModelConfig:
    """Return our shape of a config.json; `block_size` cuts the context, tokens, 0 takes it all.

    Raises InputError for a model that our decoder cannot be. Defaults are their LlamaConfig's.
    """
    check_choice("config.model_type", fields.get("model_type"), ["llama"])
    for name, value in FIXED.items():
        check_choice(f"config.{name}", fields.get(name, value), [value])
    heads = {"num_key_value_heads": fields.get("num_attention_heads")}
    ours = _renamed({"initializer_range": 0.02, **heads, **fields}, FIELDS)
    rope = fields.get("rope_scaling") or fields.get("rope_parameters") or {}
    check(isinstance(rope, dict), "config.rope_scaling", rope, "must be a table of fields")
    kind = rope.get("rope_type", rope.get("type", "default"))
    check_choice("config.rope_type", kind, ["default", "llama3"])
    if kind == "llama3":
        ours |= _renamed(rope, ROPE_FIELDS)
    ours["rope_theta"] = rope.get("rope_theta") or fields.get("rope_theta", 10_000.0)
    longest = ours["block_size"]
    check_integer("config.max_position_embeddings", longest, 2)
    allowed = f"must be 0 (all) or at most max_position_embeddings = {longest}"
    check(0 <= block_size <= longest, "block_size", block_size, allowed)
    config = ModelConfig(**{**ours, "block_size": block_size or longest})
    head_dim = fields.get("head_dim") or config.head_dim
    allowed = f"must be hidden_size / num_attention_heads = {config.head_dim}"
    check(head_dim == config.head_dim, "config.head_dim", head_dim, allowed)
    return config


def layout(config: ModelConfig) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return our tensors, each with the names and shapes of theirs that it joins, in order."""
    c, m, v = config.n_embd, config.n_mlp, config.vocab_size
    q, kv = config.n_head * config.head_dim, config.n_kv_head * config.head_dim
    qkv = {"self_attn.q_proj": (q, c), "self_attn.k_proj": (kv, c), "self_attn.v_proj": (kv, c)}
    block: dict[str, dict[str, tuple[int, ...]]] = {
        "attention_norm": {"input_layernorm": (c,)},
        "attention.qkv": {**qkv},
        "attention.out": {"self_attn.o_proj": (c, q)},
        "mlp_norm": {"post_attention_layernorm": (c,)},
        "mlp.gate_up": {"mlp.gate_proj": (m, c), "mlp.up_proj": (m, c)},
        "mlp.down": {"mlp.down_proj": (c, m)},
    }
    blocks = {
        f"blocks.{i}.{ours}.weight": {
            f"model.layers.{i}.{theirs}.weight": shape for theirs, shape in parts.items()
        }
        for i in range(config.n_layer)
        for ours, parts in block.items()
    }
    return {
        "embedding.weight": {"model.embed_tokens.weight": (v, c)},
        **blocks,
        "norm.weight": {"model.norm.weight": (c,)},
        "lm_head.weight": {"lm_head.weight": (v, c)},
    }


def _renamed(fields: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return the fields that `names` (theirs -> ours) lists, under our names; all are required."""
    for theirs in names:
        check(fields.get(theirs) is not None, f"config.{theirs}", None, "is required")
    return {ours: fields[theirs] for theirs, ours in names.items()}

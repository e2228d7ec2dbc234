"""Weights to and from Hugging Face's Llama format, without the `transformers` package.

An exported run opens in every tool that reads the format; a public base model comes in for
continued pre-training (Sec. 7.2: Llama-3.2-3B at 4096 tokens of context).

    python -m ieee_lib export RUN_ID my_model       # AutoModelForCausalLM.from_pretrained reads it
    config, weights = read_llama("hub:meta-llama/Llama-3.2-3B@REVISION", block_size=4096)
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from ieee_lib.config import ModelConfig, RunSpec, check_id
from ieee_lib.errors import InputError, check
from ieee_lib.files import parse_json
from ieee_lib.model.llama_format import config_of, fields_of, layout
from ieee_lib.runs.store import RunStore
from ieee_lib.text.corpus import open_corpus
from ieee_lib.text.tokenizer import separator_id

HUB_FILES = ["config.json", "model.safetensors.index.json", "model*.safetensors"]
HUB_TENSORS = re.compile(r"model[\w.-]*\.safetensors")


def to_llama(
    config: ModelConfig, weights: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the fields of config.json, and one member's weights under Llama's names, (out, in).

    `weights` have no member axis. The ids of special tokens are None.
    """
    tensors = {}
    for ours, parts in layout(config).items():
        rows = weights[ours] if ours == "embedding.weight" else weights[ours].T
        split = rows.split([shape[0] for shape in parts.values()])
        for (theirs, shape), part in zip(parts.items(), split, strict=True):
            tensors[theirs] = part.reshape(shape).contiguous()
    return fields_of(config), tensors


def read_llama(source: str | Path, *, block_size: int = 0) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Return shape and float32 weights, without the member axis, of a model in Llama format.

    `source` is a folder or hub:NAME@REVISION; safetensors, whole or sharded, of any precision.
    `block_size` cuts the context, tokens; 0 takes max_position_embeddings. Where embeddings are
    tied, lm_head is a copy of the embedding, and the two are untied from then on. Raises
    InputError for a file or tensor that is missing or damaged, and for another architecture.
    """
    folder = _download(str(source)) if str(source).startswith("hub:") else Path(source)
    fields = _read_json(folder / "config.json")
    config = config_of(fields, block_size=block_size)
    tensors = _read_tensors(folder)
    names = layout(config)
    if fields.get("tie_word_embeddings", False):
        names["lm_head.weight"] = names["embedding.weight"]
    weights = {}
    for ours, parts in names.items():
        rows = torch.cat([_rows(tensors, theirs, shape) for theirs, shape in parts.items()])
        weights[ours] = rows if ours == "embedding.weight" else rows.T.contiguous()
    return config, weights


def exportable(store: RunStore, run_id: str) -> RunSpec:
    """Return the spec of a training run that has weights; raises InputError for any other id."""
    check_id("run_id", run_id, "the id of a training run")
    record = store.get(run_id)
    if record is None:
        raise InputError("run_id", run_id, f"is not recorded in {store.records_folder}")
    allowed = f"is of kind {record['kind']} and has no weights of its own; export its members: "
    allowed += ", ".join(record["spec"].get("members", []))
    check(record["kind"] == "train", "run_id", run_id, allowed)
    check(record["status"] == "done", "run_id", run_id, f"{record['status']}; choose another run")
    allowed = "has no weights in the store; train it again with study.ensure([spec], weights=True)"
    check(store.has(run_id, weights=True), "run_id", run_id, allowed)
    return RunSpec.from_dict(record["spec"])


def export_run(store: RunStore, run_id: str, *, corpus_folder: Path | None, folder: Path) -> None:
    """Write a trained run with its tokenizer to a new or empty folder, completely or not at all.

    `corpus_folder` is the packed corpus that it was trained on; None leaves the tokenizer out.
    Raises InputError for an id that is not `exportable`, another corpus, and a folder in use.
    """
    spec, folder = exportable(store, run_id), folder.resolve()
    unused = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    check(unused, "folder", str(folder), "exists and is not empty; name a new one")
    nearest = next(parent for parent in folder.parents if parent.exists())
    check(nearest.is_dir(), "folder", str(folder), f"cannot be made: {nearest} is a file")
    fields, tensors = to_llama(spec.model, load_file(store.weights_path(run_id)))
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".making-{folder.name}-", dir=folder.parent))
    try:
        if corpus_folder is not None:
            fields["eos_token_id"] = _write_tokenizer(spec, corpus_folder, scratch)
        _write_json(scratch / "config.json", fields)
        save_file(tensors, scratch / "model.safetensors", metadata={"format": "pt"})
        scratch.chmod(0o755)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_tokenizer(spec: RunSpec, corpus_folder: Path, folder: Path) -> int:
    """Write the tokenizer of a packed corpus; return the id of its separator."""
    corpus = open_corpus(corpus_folder)
    same = corpus.fingerprint == spec.corpus
    check(same, "corpus", corpus.fingerprint, f"is not the run's, which is {spec.corpus}")
    file = shutil.copyfile(corpus_folder / "tokenizer.json", folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(file))
    separator = separator_id(tokenizer)
    fields = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": tokenizer.id_to_token(separator),
        "model_max_length": spec.model.block_size,
        "clean_up_tokenization_spaces": False,
    }
    _write_json(folder / "tokenizer_config.json", fields)
    return separator


def _download(source: str) -> Path:
    """Return the local copy of hub:NAME@REVISION, fetched once."""
    from huggingface_hub import snapshot_download

    name, _, revision = source.removeprefix("hub:").rpartition("@")
    check(bool(name and revision), "source", source, "allowed are a folder and hub:NAME@REVISION")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES))
    except Exception as error:  # no network, no such model or revision, no access
        cause = str(error).splitlines()[0]
        raise InputError("source", source, f"cannot be downloaded: {cause}") from error


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Return all tensors by Llama's names; each stays on the disk until it is read."""
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    files = {whole}
    if not whole.is_file():
        both = f"holds neither {whole.name} nor {index.name}"
        check(index.is_file(), "source", str(folder), both)
        shards = _read_json(index).get("weight_map")
        names = set(map(str, shards.values())) if isinstance(shards, dict) else {""}
        inside = all(HUB_TENSORS.fullmatch(name) for name in names)
        allowed = "must name files beside it, model*.safetensors"
        check(inside, "weight_map", str(index), allowed)
        files = {folder / name for name in names}
    tensors = {}
    for path in sorted(files):
        try:
            tensors.update(load_file(path))
        except (OSError, SafetensorError) as error:
            raise InputError("source", str(path), f"cannot be read: {error}") from error
    return tensors


def _rows(tensors: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor by Llama's name, float32, as rows (out, in); a norm's gain is (C, 1)."""
    check(name in tensors, "tensor", name, "is missing in the model's files")
    tensor = tensors[name]
    allowed = f"has shape {tuple(tensor.shape)}; config.json says {shape}"
    check(tensor.shape == shape, "tensor", name, allowed)
    return tensor.float().reshape(shape[0], -1)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("source", str(path), f"cannot be read: {error}") from error
    check(isinstance(fields, dict), "source", str(path), "must hold one JSON object")
    return fields


def _write_json(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(json.dumps(fields, indent=1) + "\n")

"""Exported models are what transformers computes with, and come back bit by bit."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ieee_lib import InputError, paths
from ieee_lib.cli import main
from ieee_lib.config import EnsembleSpec, ModelConfig, SampleSpec
from ieee_lib.config.execution import Execution
from ieee_lib.files import with_checksum
from ieee_lib.jobs.sample_job import SampleJob
from ieee_lib.jobs.score_job import ScoreJob
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.model.decoder import StackedDecoder, rotary_tables
from ieee_lib.model.llama import export_run, exportable, read_llama, to_llama
from ieee_lib.model.llama_format import FIXED, config_of, fields_of
from ieee_lib.runs.store import RunStore
from tests.conftest import TINY

EXECUTION = Execution(compile="never", accelerator="cpu", logger="none")
SCALING = {"rope_theta": 100.0, "rope_factor": 8.0, "rope_original_block": 32}
SHAPES = {
    "grouped heads": TINY,
    "equal heads": dataclasses.replace(TINY, n_kv_head=2),
    "scaled rotation": dataclasses.replace(TINY, **SCALING),
}
IDS = torch.randint(0, TINY.vocab_size, (3, 16), generator=torch.Generator().manual_seed(1))


def decoder(config: ModelConfig, weights: dict) -> StackedDecoder:
    model = StackedDecoder(config, seeds=[0])
    model.load_state_dict({name: tensor[None] for name, tensor in weights.items()})
    return model


def logits(config: ModelConfig, weights: dict, ids=IDS) -> torch.Tensor:
    return decoder(config, weights)(ids[None])[0].detach()


def random_weights(config: ModelConfig) -> dict:
    """Weights large enough that a wrong rotation or order shows."""
    generator = torch.Generator().manual_seed(0)
    weights = {n: p[0].detach() for n, p in StackedDecoder(config, seeds=[3]).named_parameters()}
    for name, tensor in weights.items():
        if "norm" in name:
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.mul_(8)
    return weights


def write(folder: Path, fields: dict, tensors: dict) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(fields))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def written(tmp_path) -> Path:
    return write(tmp_path / "model", *to_llama(TINY, random_weights(TINY)))


@pytest.mark.parametrize("shape", SHAPES)
def test_transformers_computes_our_logits(shape, tmp_path):
    transformers = pytest.importorskip("transformers")
    config, weights = SHAPES[shape], random_weights(SHAPES[shape])
    folder = write(tmp_path / "model", *to_llama(config, weights))
    theirs, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True
    )
    assert isinstance(theirs, transformers.LlamaForCausalLM) and theirs.dtype == torch.float32
    assert not any(info.values()), info
    ours = logits(config, weights)
    assert ours.abs().max() > 1
    assert ours == pytest.approx(theirs(IDS).logits.detach(), abs=1e-4, rel=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_written_comes_back_bit_by_bit(shape, tmp_path):
    config, weights = SHAPES[shape], random_weights(SHAPES[shape])
    read, back = read_llama(write(tmp_path / "model", *to_llama(config, weights)))
    assert read == config
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], weights[name]) for name in weights)
    assert torch.equal(logits(read, back), logits(config, weights))


@pytest.mark.parametrize(
    "absent", [("rope_parameters", "dtype"), ("rope_theta", "rope_scaling", "torch_dtype")]
)
def test_either_version_of_transformers_is_enough(absent):
    fields = fields_of(SHAPES["scaled rotation"])
    kept = {name: value for name, value in fields.items() if name not in absent}
    assert config_of(kept) == SHAPES["scaled rotation"]


def test_absent_fields_are_their_defaults():
    fields = fields_of(SHAPES["equal heads"])
    for name in ("num_key_value_heads", "head_dim", "rope_theta", "rope_scaling", *FIXED):
        fields.pop(name, None)
    assert config_of(fields) == SHAPES["equal heads"]


def test_a_shorter_context_is_the_same_model(written):
    config, weights = read_llama(str(written), block_size=8)
    assert config == dataclasses.replace(TINY, block_size=8)
    assert torch.equal(logits(config, weights, IDS[:, :8]), logits(TINY, weights, IDS[:, :8]))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_their_own_files_are_read(tied, dtype, tmp_path):
    """Shards, tied embeddings, bfloat16, and the rotary fields as transformers writes them."""
    transformers = pytest.importorskip("transformers")
    fields = fields_of(SHAPES["scaled rotation"]) | {"tie_word_embeddings": tied, "dtype": None}
    torch.manual_seed(0)
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig.from_dict(fields)).to(dtype)
    theirs.save_pretrained(tmp_path, max_shard_size="4KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    config, weights = read_llama(tmp_path)
    assert config == SHAPES["scaled rotation"]
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    expected = theirs.float()(IDS).logits.detach()
    assert logits(config, weights) == pytest.approx(expected, abs=1e-5)
    assert torch.equal(weights["lm_head.weight"], weights["embedding.weight"].T) == tied
    assert weights["lm_head.weight"].data_ptr() != weights["embedding.weight"].data_ptr()


@pytest.mark.parametrize("factor", [1.0, 32.0])
def test_rotary_tables_are_those_of_transformers(factor):
    """Llama-3.2-3B's own rotation; theirs rounds angles to float32, 2e-4 at 4096 tokens."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = ModelConfig(
        n_layer=1, n_head=1, n_kv_head=1, n_embd=128, n_mlp=8, vocab_size=300, block_size=4096,
        rope_theta=500_000.0, rope_factor=factor,
    )  # fmt: skip
    rotation = LlamaRotaryEmbedding(config=transformers.LlamaConfig.from_dict(fields_of(config)))
    expected = rotation(torch.zeros(1), torch.arange(config.block_size)[None])
    for ours, theirs in zip(rotary_tables(config), expected, strict=True):
        torch.testing.assert_close(ours, theirs[0, :, : config.head_dim // 2], rtol=0, atol=5e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mistral"}, "config.model_type = 'mistral': allowed are llama"),
        ({"attention_bias": True}, "config.attention_bias = True: allowed are False"),
        ({"mlp_bias": True}, "config.mlp_bias = True: allowed are False"),
        ({"hidden_act": "gelu"}, "config.hidden_act = 'gelu': allowed are silu"),
        (
            {"quantization_config": {"bits": 4}},
            "config.quantization_config = {'bits': 4}: allowed are None",
        ),
        (
            {"rope_scaling": {"type": "yarn", "factor": 4.0}},
            "config.rope_type = 'yarn': allowed are default, llama3",
        ),
        ({"rope_scaling": {"rope_type": "llama3"}}, "config.factor = None: is required"),
        ({"hidden_size": None}, "config.hidden_size = None: is required"),
        ({"head_dim": 4}, "config.head_dim = 4: must be hidden_size / num_attention_heads = 8"),
        (
            {"hidden_size": 32, "head_dim": None},
            "tensor = 'model.embed_tokens.weight': has shape (300, 16); config.json says (300, 32)",
        ),
    ],
)
def test_other_architectures_are_refused(written, change, message):
    fields = json.loads((written / "config.json").read_text())
    (written / "config.json").write_text(json.dumps({**fields, **change}))
    with pytest.raises(InputError) as error:
        read_llama(written)
    assert message in str(error.value)


def test_missing_and_damaged_files_are_named(written):
    def refusal(**options) -> str:
        with pytest.raises(InputError) as error:
            read_llama(written, **options)
        return str(error.value)

    assert refusal(block_size=17) == (
        "block_size = 17: must be 0 (all) or at most max_position_embeddings = 16"
    )
    tensors = load_file(written / "model.safetensors")
    gain = tensors.pop("model.norm.weight")
    save_file(tensors, written / "model.safetensors")
    assert refusal() == "tensor = 'model.norm.weight': is missing in the model's files"
    save_file({**tensors, "model.norm.weight": gain[:3]}, written / "model.safetensors")
    assert refusal() == ("tensor = 'model.norm.weight': has shape (3,); config.json says (16,)")
    (written / "model.safetensors").write_bytes(b"\x00" * 4)
    assert "model.safetensors': cannot be read: " in refusal()
    (written / "model.safetensors").unlink()
    assert "holds neither model.safetensors nor model.safetensors.index.json" in refusal()
    index = {"weight_map": {"model.embed_tokens.weight": "model-1-of-1.safetensors"}}
    (written / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-1-of-1.safetensors': cannot be read: " in refusal()
    (written / "config.json").write_text("{")
    assert "config.json': cannot be read: Expecting property name" in refusal()
    shutil.rmtree(written)
    assert "config.json': cannot be read: [Errno 2] No such file" in refusal()


def test_the_hub_is_asked_for_one_revision(written, monkeypatch):
    request = {}

    def download(name, **options):
        request.update(name=name, **options)
        return str(written)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert read_llama("hub:meta-llama/Llama-3.2-3B@13afe51", block_size=4)[0].block_size == 4
    assert (request["name"], request["revision"]) == ("meta-llama/Llama-3.2-3B", "13afe51")
    assert "config.json" in request["allow_patterns"]

    def refuse(name, **options):
        raise OSError("401 Client Error\nmore")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(InputError, match=r"source = 'hub:a/b@c': cannot be downloaded: 401 Client"):
        read_llama("hub:a/b@c")
    with pytest.raises(InputError, match=r"allowed are a folder and hub:NAME@REVISION"):
        read_llama("hub:a/b")


@pytest.fixture
def run_id(home, spec, corpus) -> str:
    TrainJob((spec,), corpus.folder, "smoke", weights=True).run(EXECUTION)
    return spec.run_id


def test_an_exported_run_opens_in_transformers(run_id, spec, corpus, home):
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer

    store, folder = RunStore.of("smoke"), home / "out" / "model"
    export_run(store, run_id, corpus_folder=corpus.folder, folder=folder)
    config, weights = read_llama(folder)
    kept = load_file(store.weights_path(run_id))
    assert config == spec.model and all(torch.equal(weights[name], kept[name]) for name in kept)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert logits(config, weights) == pytest.approx(theirs(IDS).logits.detach(), abs=1e-4, rel=0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer.from_file(str(corpus.folder / "tokenizer.json"))
    text = "def f(x):\n    return  x + 1  # naïve\n\n<|endoftext|>import os"
    assert tokenizer(text)["input_ids"] == ours.encode(text).ids
    assert tokenizer.decode(ours.encode(text).ids) == text
    assert tokenizer.eos_token == "<|endoftext|>" and tokenizer.model_max_length == 16
    assert theirs.config.eos_token_id == tokenizer.eos_token_id == corpus.val_ids[-1]
    assert theirs.config.bos_token_id is None


def test_a_model_without_tokenizer(run_id, home):
    export_run(RunStore.of("smoke"), run_id, corpus_folder=None, folder=home / "bare")
    assert {p.name for p in (home / "bare").iterdir()} == {"config.json", "model.safetensors"}


def test_what_has_no_weights_is_not_exported(run_id, spec, corpus, home):
    store = RunStore.of("smoke")

    def refusal(run_id: str) -> str:
        with pytest.raises(InputError) as error:
            export_run(store, run_id, corpus_folder=corpus.folder, folder=home / "model")
        assert not (home / "model").exists()
        return str(error.value).removeprefix(f"run_id = '{run_id}': ")

    assert refusal("0" * 16) == f"is not recorded in {store.records_folder}"
    bare = spec.replace(init_seed=1)
    TrainJob((bare,), corpus.folder, "smoke", weights=False).run(EXECUTION)
    again = "train it again with study.ensure([spec], weights=True)"
    assert refusal(bare.run_id) == f"has no weights in the store; {again}"
    wild = spec.replace(lr=1e9, wd=0.0, clip_norm=1e9)
    TrainJob((wild,), corpus.folder, "smoke", weights=True).run(EXECUTION)
    assert refusal(wild.run_id) == "diverged; choose another run"
    ensemble = EnsembleSpec((spec,))
    ScoreJob(ensemble, corpus.folder, "smoke").run(EXECUTION)
    theirs = f"and has no weights of its own; export its members: {run_id}"
    assert refusal(ensemble.run_id) == f"is of kind ensemble {theirs}"
    sample = SampleSpec(teachers=ensemble, kind="mixture", n_token=64)
    SampleJob(sample, corpus.folder, "smoke").run(EXECUTION)
    assert refusal(sample.run_id) == f"is of kind sample {theirs}"
    store.weights_path(run_id).unlink()
    assert refusal(run_id) == f"has no weights in the store; {again}"


def test_an_export_is_whole_or_absent(run_id, corpus, home, monkeypatch):
    store, folder = RunStore.of("smoke"), home / "out" / "model"
    folder.mkdir(parents=True)
    other = home / "other"
    shutil.copytree(corpus.folder, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(
        json.dumps(with_checksum({**manifest, "fingerprint": "0" * 16}))
    )
    with pytest.raises(InputError, match=r"corpus = '0{16}': is not the run's, which is"):
        export_run(store, run_id, corpus_folder=other, folder=folder)

    def full(*arguments, **options):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ieee_lib.model.llama.save_file", full)
        with pytest.raises(OSError, match="No space left"):
            export_run(store, run_id, corpus_folder=corpus.folder, folder=folder)
    assert list(folder.parent.iterdir()) == [folder] and not list(folder.iterdir())
    export_run(store, run_id, corpus_folder=corpus.folder, folder=folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=r"model': exists and is not empty; name a new one"):
        export_run(store, run_id, corpus_folder=corpus.folder, folder=folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_command_line_finds_the_corpus_of_a_run(run_id, spec, corpus, home, capsys):
    (home / "notebooks").mkdir()
    arguments = ["export", run_id, str(home / "model"), "--scale", "smoke"]
    assert main(arguments) == 2
    refused = f"error: corpus = '{spec.corpus}': is packed in no folder of {paths.corpora()}"
    assert capsys.readouterr().err.startswith(refused)
    shutil.copytree(corpus.folder, paths.corpora() / "stdlib-0")
    (paths.corpora() / "broken").mkdir()
    (paths.corpora() / "broken" / "manifest.json").write_text("{")
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith(f"{home / 'model'}: ")
    assert {p.name for p in (home / "model").iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert read_llama(home / "model")[0] == exportable(RunStore.of("smoke"), run_id).model
    assert main(arguments) == 2
    assert "exists and is not empty; name a new one" in capsys.readouterr().err
    assert main(["export", "0" * 16, str(home / "new"), "--scale", "smoke"]) == 2
    assert "error: run_id = '0000000000000000': is not recorded in" in capsys.readouterr().err

"""RunSpec: names by content, counts of the paper, errors that name what is wrong."""

import dataclasses
from dataclasses import MISSING

import pytest

from ieee_lib import InputError, ModelConfig, RunSpec, Scale
from ieee_lib.config import SEMANTICS, EnsembleSpec, SampleSpec
from ieee_lib.laws.published import published


def test_counts_equal_the_papers_for_all_six_presets():
    models = Scale.load("paper").models
    expected = dict(zip(*published("presets")[["model", "total"]].to_numpy().T, strict=True))
    assert {name: model.count().total for name, model in models.items()} == expected
    assert len(expected) == 6


def test_non_embedding_counts_as_in_table_2():
    models = Scale.load("paper").models
    rounded = {name: round(m.count().non_embedding / 1e6, 1) for name, m in models.items()}
    assert rounded == {
        "150M": 22.8, "300M": 102.6, "600M": 339.8, "1.4B": 906.0, "1.5B": 1146.7, "3.2B": 2718.1,
    }  # fmt: skip


def test_run_id_follows_every_field_that_changes_the_result(spec):
    changes = {
        "seed_tokens": 2048, "epochs": 3, "lr": 3e-3, "wd": 0.4, "batch_size": 8, "init_seed": 1,
        "data_seed": 1, "decay_mask": "all", "warmup_fraction": 0.1, "clip_norm": 2.0,
        "beta1": 0.8, "beta2": 0.99, "eps": 1e-6, "precision": "bf16-mixed", "val_sequences": 8,
        "evals": 1, "corpus": "0" * 16, "optimizer": "muon", "dropout": 0.1, "reshuffle": True,
        "replaced_inputs": 0.15, "masked_weight": 0.4, "ema": 0.99, "mean_of_last": 2,
    }  # fmt: skip
    mixed = spec.replace(synthetic="1" * 16, synthetic_weight=0.5)
    options = {"synthetic": "2" * 16, "synthetic_weight": 0.75, "synthetic_only": True}
    changes["start"] = "3" * 16
    taught = spec.replace(teacher="4" * 16, teacher_weight=0.5)
    teaching = {"teacher": "5" * 16, "teacher_weight": 0.7, "temperature": 1.2}
    ids = {spec.replace(**{name: value}).run_id for name, value in changes.items()}
    ids |= {mixed.replace(**{name: value}).run_id for name, value in options.items()}
    ids |= {taught.replace(**{name: value}).run_id for name, value in teaching.items()}
    n_change = len(changes) + len(options) + len(teaching)
    assert len(ids | {spec.run_id, mixed.run_id, taught.run_id}) == n_change + 3
    assert {*changes, *options, *teaching, "model"} == set(spec.to_dict())


def test_run_id_is_the_same_for_equal_numbers_and_in_every_process(spec):
    assert spec.replace(wd=1).run_id == spec.replace(wd=1.0).run_id
    fixed = RunSpec(
        model=ModelConfig(
            n_layer=2, n_head=2, n_kv_head=2, n_embd=16, n_mlp=40, vocab_size=1024, block_size=64
        ),
        corpus="9f86d081884c7d65",
        seed_tokens=32768,
        epochs=16,
        wd=1.6,
        lr=3e-3,
    )
    assert fixed.run_id == "e7ff6343ac745afb"  # changes only together with SEMANTICS
    ensemble = EnsembleSpec((fixed,))
    assert ensemble.run_id == "b2fe6711cc069154" and "average" not in ensemble.to_dict()
    averaged = EnsembleSpec((fixed,), average="weights")
    assert averaged.run_id != ensemble.run_id and averaged.to_dict()["average"] == "weights"
    with pytest.raises(InputError, match=r"ensemble\.average = 'soup': allowed are outputs"):
        EnsembleSpec((fixed,), average="soup")
    sample = SampleSpec(teachers=ensemble, kind="mixture", n_token=64)
    assert sample.run_id == "dce4ca7601eed74e"


def test_defaults_change_only_together_with_semantics():
    """Defaults stay out of the hash, so a changed one would silently keep every name."""
    defaults = {f.name: f.default for f in dataclasses.fields(RunSpec) if f.default is not MISSING}
    assert SEMANTICS == 1 and defaults == {
        "batch_size": 8, "init_seed": 0, "data_seed": 0, "decay_mask": "paper",
        "warmup_fraction": 0.01, "clip_norm": 1.0, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8,
        "precision": "32-true", "val_sequences": 256, "evals": 8,
        "optimizer": "adamw", "dropout": 0.0, "reshuffle": False,
        "synthetic": "", "synthetic_weight": 0.0, "synthetic_only": False, "start": "",
        "replaced_inputs": 0.0, "masked_weight": 0.0, "ema": 0.0, "mean_of_last": 0,
        "teacher": "", "teacher_weight": 0.0, "temperature": 1.0,
    }  # fmt: skip
    model = {f.name: f.default for f in dataclasses.fields(ModelConfig) if f.default is not MISSING}
    assert model == {
        "rope_theta": 10_000.0, "rope_factor": 1.0, "rope_low_factor": 1.0, "rope_high_factor": 4.0,
        "rope_original_block": 8192, "norm_eps": 1e-5, "init_std": 0.02,
    }  # fmt: skip


def test_members_of_a_stack_differ_in_lr_wd_and_seeds_only(spec):
    same = spec.replace(lr=1e-3, wd=0.0, init_seed=3, data_seed=4)
    assert same.stack_key == spec.stack_key
    assert spec.replace(epochs=4).stack_key != spec.stack_key


def test_round_trip(spec):
    assert RunSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": -1e-3}, "lr = -0.001: must be a number above 0"),
        ({"lr": float("nan")}, "lr = nan: must be a number above 0"),
        ({"lr": "3e-3"}, "lr = '3e-3': must be a number above 0"),
        ({"wd": -0.1}, "wd = -0.1: must be a number at least 0"),
        ({"epochs": 0}, "epochs = 0: must be a whole number of at least 1"),
        ({"epochs": 1.5}, "epochs = 1.5: must be a whole number of at least 1"),
        ({"beta1": 1.0}, "beta1 = 1.0: must be a number at least 0 and below 1"),
        ({"seed_tokens": 1000}, "seed_tokens = 1000: must be a multiple of batch_size"),
        ({"decay_mask": "papre"}, "allowed are paper, all, no_head (did you mean 'paper'?)"),
        ({"corpus": "stdlib"}, "corpus = 'stdlib': must be a fingerprint of 16 hexadecimal digits"),
        ({"replaced_inputs": 1.0}, "replaced_inputs = 1.0: must be a number at least 0 and below"),
        ({"masked_weight": -1}, "masked_weight = -1: must be a number at least 0"),
        ({"mean_of_last": 9}, "mean_of_last = 9: must be at most epochs = 2"),
        ({"ema": 0.9, "mean_of_last": 1}, "mean_of_last = 1: must be 0 where ema = 0.9"),
        ({"teacher": "1" * 16}, "must be given exactly when teacher_weight = 0.0 is above 0"),
        ({"teacher": "me", "teacher_weight": 0.5}, "teacher = 'me': must be the run id of a trai"),
        ({"temperature": 2.0}, "temperature = 2.0: needs a teacher"),
    ],
)
def test_bad_values_are_named(spec, change, message):
    with pytest.raises(InputError) as error:
        spec.replace(**change)
    assert message in str(error.value)


def test_bad_shapes_are_named():
    with pytest.raises(InputError, match=r"model.n_kv_head = 2: must divide n_head = 3"):
        ModelConfig(
            n_layer=1, n_head=3, n_kv_head=2, n_embd=24, n_mlp=8, vocab_size=300, block_size=8
        )
    with pytest.raises(InputError, match=r"model\.n_embd = 20: must be a multiple of 2"):
        ModelConfig(
            n_layer=1, n_head=4, n_kv_head=2, n_embd=20, n_mlp=8, vocab_size=300, block_size=8
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rope_factor": 0.5}, "model.rope_factor = 0.5: must be a number at least 1"),
        ({"rope_low_factor": 0.0}, "model.rope_low_factor = 0.0: must be a number above 0"),
        ({"rope_high_factor": 1.0}, "model.rope_high_factor = 1.0: must be a number above 1"),
        ({"rope_original_block": 0}, "model.rope_original_block = 0: must be a whole number of at"),
    ],
)
def test_bad_rotary_scaling_is_named(spec, change, message):
    with pytest.raises(InputError) as error:
        dataclasses.replace(spec.model, **change)
    assert message in str(error.value)


def test_unknown_fields_are_named_with_the_nearest(spec):
    with pytest.raises(InputError, match="did you mean 'epochs'"):
        RunSpec.from_dict({**spec.to_dict(), "epoch": 3})

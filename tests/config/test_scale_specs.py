"""Specs of a scale's models: our one-line error for a field that is missing, unknown or bad."""

import pytest

from ieee_lib import InputError, Scale, Study

FIELDS = {"wd": 0.4, "lr": 1e-3, "epochs": 8}


@pytest.fixture(scope="module")
def study():
    return Study.open("laptop", source="archive")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": None}, "lr = None: must be a number above 0"),
        ({"weight_decay": 1}, "spec: field = 'weight_decay': allowed are model, corpus"),
        ({"epoch": 1}, r"spec: field = 'epoch'.*did you mean 'epochs'\?"),
        ({"corpus": "0" * 16}, "corpus = '0000000000000000': is the study's own"),
        ({"seed": "x"}, "init_seed = 'x': must be a whole number"),
        ({"seed_tokens": 7}, "seed_tokens = 7: must be a multiple of"),
    ],
)
def test_a_field_that_cannot_be_is_named(study, changes, message):
    with pytest.raises(InputError, match=message):
        study.spec("0.14M", **{**FIELDS, **changes})


@pytest.mark.parametrize("missing", FIELDS)
def test_a_field_without_a_default_is_required(study, missing):
    fields = {name: value for name, value in FIELDS.items() if name != missing}
    with pytest.raises(InputError, match=f"spec.{missing} = None: is required"):
        study.spec("0.14M", **fields)


def test_a_spec_takes_the_scales_own_settings(study):
    spec, scale = study.spec("0.14M", seed=3, **FIELDS), Scale.load("laptop")
    assert (spec.init_seed, spec.data_seed, spec.epochs) == (3, 3, 8)
    assert spec.model == scale.models["0.14M"] and spec.seed_tokens == scale.base_tokens
    assert study.store.has(study.spec("0.14M", wd=0.8, lr=3e-3, epochs=16).run_id)

"""What a run is: the model's shape, the whole run, and the name both get (Sec. 2, Table 2).

    spec = RunSpec(model=ModelConfig(n_layer=2, n_head=2, n_kv_head=2, n_embd=16, n_mlp=40,
                                     vocab_size=1024, block_size=64),
                   corpus="9f86d081884c7d65", seed_tokens=32768, epochs=16, wd=1.6, lr=3e-3)
    spec.run_id          # hash of the fields that change the result

Nothing here needs torch, so plans and figures are made without it.
"""

from ieee_lib.config.corpus import CorpusConfig
from ieee_lib.config.derived import EnsembleSpec, EvaluationSpec, SampleSpec
from ieee_lib.config.fields import (
    SEMANTICS,
    build,
    check_id,
    check_integer,
    check_number,
    check_text,
    content_id,
)
from ieee_lib.config.model import ModelConfig
from ieee_lib.config.run import RunSpec

KINDS = {
    "train": "runs",
    "ensemble": "ensembles",
    "sample": "samples",
    "evaluation": "evaluations",
}
"""Kind of a record -> what several of them are called."""

__all__ = [
    "KINDS",
    "SEMANTICS",
    "CorpusConfig",
    "EnsembleSpec",
    "EvaluationSpec",
    "ModelConfig",
    "RunSpec",
    "SampleSpec",
    "build",
    "check_id",
    "check_integer",
    "check_number",
    "check_text",
    "content_id",
]

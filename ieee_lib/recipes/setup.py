"""Notebook 00: the models of a study, counted (Table 2). Nothing is trained.

model_sizes(study)                       # one row a model: shape, parameters by group, total
"""

from dataclasses import asdict

import pandas as pd

from ieee_lib.config.scale import Scale
from ieee_lib.study import Study

SHAPE = ("n_embd", "n_mlp", "n_layer", "n_head", "n_kv_head")


def model_sizes(study: Study) -> pd.DataFrame:
    """Return the parameters of the paper's presets and of this scale's models, by group.

    One row a model: its shape, embedding, lm_head, attention, mlp and norm, without the embedding
    (non_embedding), and in total.
    """
    rows = []
    for name, model in {**Scale.load("paper").models, **study.scale.models}.items():
        count = model.count()
        rows.append(
            {
                "model": name,
                **{field: getattr(model, field) for field in SHAPE},
                **asdict(count),
                "non_embedding": count.non_embedding,
                "total": count.total,
            }
        )
    return pd.DataFrame(rows)

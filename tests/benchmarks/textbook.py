"""What a model trained for some ten minutes on textbooks knows of science (Sec. 7.1)."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from ieee_lib.config import CorpusConfig, EnsembleSpec, EvaluationSpec, ModelConfig
from ieee_lib.config.scale import Scale
from ieee_lib.evaluation.probe import PROBE
from ieee_lib.evaluation.tasks import LOCAL, fingerprint
from ieee_lib.laws.downstream import error_rate
from ieee_lib.plots.saving import Table
from ieee_lib.study import Study


def run(scale: Scale, *, corpus: str, files: str) -> dict[str, Table]:
    """Return what a model trained for some ten minutes on text of a corpus knows of science.

    Two million parameters, one pass over four million tokens, two CPU threads; `files` is the
    folder with the items of PIQA, SciQ and ARC-Easy.
    """

    shape = ModelConfig(
        n_layer=4, n_head=4, n_kv_head=4, n_embd=128, n_mlp=448, vocab_size=4096, block_size=256
    )
    tasks = {task: fingerprint(task, files) for task in LOCAL}
    textbook_scale = replace(
        scale,
        name="textbook",
        corpus=CorpusConfig(source=corpus, vocab_size=shape.vocab_size),
        models={"2M": shape},
        training=replace(scale.training, block_size=shape.block_size),
        execution=replace(scale.execution, executor="inline", threads=2),
        seed_tokens=(2**22,),
        base_tokens=2**22,
    )
    study = Study.open(textbook_scale)
    run = study.spec("2M", wd=0.1, lr=3e-3, epochs=1)
    trained = study.ensure([run], weights=True, label="textbook").iloc[0]
    models = EnsembleSpec((run,))
    evaluations = [EvaluationSpec(models=models, task=PROBE, n_item=2000)]
    evaluations += [EvaluationSpec(models=models, task=t, files=name) for t, name in tasks.items()]
    rows = []
    for row in study.evaluate(evaluations, files=files, label="textbook").itertuples():
        wrong = error_rate(row.task, row.correct.astype(float), row.groups)
        rows.append(
            {"task": row.task, "split": row.split, "items": row.n_item, "metric": row.metric}
            | {"accuracy": 100 * (1 - wrong.value), "ci_low": 100 * (1 - wrong.ci_high)}
            | {"ci_high": 100 * (1 - wrong.ci_low), "chance": 100 * row.chance}
            | {"cut on the left": 100 * row.truncated}
        )
    text = study.store.get(run.run_id)["corpus"]
    caption = (
        f"{trained.N / 1e6:.1f}M parameters · {Path(text['source']).parent.name}, one pass over "
        f"{run.seed_tokens:,} tokens in {trained.seconds / 60:.1f} min on two CPU threads · "
        f"validation loss {trained.val_loss:.3f} nats/token · in %, 95 % over items"
    )
    digits = dict.fromkeys(("accuracy", "ci_low", "ci_high", "chance", "cut on the left"), 1)
    return {"tab_textbook": Table(pd.DataFrame(rows), caption, digits)}

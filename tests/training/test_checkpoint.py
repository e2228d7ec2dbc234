"""When a checkpoint is written: after whole steps, when it is due, never where losses are."""

from dataclasses import replace

import pytest

from ieee_lib.config.execution import Execution
from ieee_lib.training.checkpoint import SafeCheckpointIO
from ieee_lib.training.fit import train

OFTEN = Execution(compile="never", accelerator="cpu", checkpoint_minutes=1e-9)


@pytest.mark.parametrize("micro_batch", [4, 2], ids=["a pass a step", "two passes a step"])
def test_one_is_written_after_every_step_that_no_evaluation_follows(
    spec, corpus, tmp_path, monkeypatch, micro_batch
):
    written, write = [], SafeCheckpointIO.save_checkpoint

    def note(self, checkpoint, path, storage_options=None):
        written.append(checkpoint["global_step"])
        write(self, checkpoint, path, storage_options)

    monkeypatch.setattr(SafeCheckpointIO, "save_checkpoint", note)
    spec = spec.replace(evals=3)
    execution = replace(OFTEN, micro_batch=micro_batch)
    train([spec], corpus, execution=execution, checkpoint=tmp_path / "stands.ckpt")
    between = spec.n_step // 3
    assert written == [step for step in range(1, spec.n_step + 1) if step % between]


def test_none_is_written_before_it_is_due(spec, corpus, tmp_path):
    path = tmp_path / "stands.ckpt"
    train([spec], corpus, execution=replace(OFTEN, checkpoint_minutes=60.0), checkpoint=path)
    assert not path.exists()

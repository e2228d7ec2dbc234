"""Training: repeatable to the bit, members as if alone, divergence contained, loggers."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy

from ieee_lib import InputError
from ieee_lib.config.execution import Execution
from ieee_lib.errors import MachineWarning
from ieee_lib.model import products
from ieee_lib.training import fit
from ieee_lib.training.data import StepBatches
from ieee_lib.training.fit import can_compile, open_logger, train
from tests.conftest import ROOT

EAGER = Execution(compile="never", accelerator="cpu", checkpoint_minutes=0.0)
COMPILED = replace(EAGER, compile="auto")
OFTEN = replace(EAGER, checkpoint_minutes=1e-9)

OPTIONS = {  # what others found to help, off by default
    "the paper's": {},
    "dropout": {"dropout": 0.2},
    "muon": {"optimizer": "muon"},
    "reshuffle": {"reshuffle": True},
    "replaced inputs": {"replaced_inputs": 0.15},
    "masked inputs": {"masked_weight": 0.4},
    "ema": {"ema": 0.9},
    "mean of the last epochs": {"mean_of_last": 2},
    "teacher": {"teacher": "1" * 16, "teacher_weight": 0.5, "temperature": 1.2},
}

# Largest difference in nats/token between a member of a stack and the same run alone: the order
# of float32 sums differs, and 32 steps of training amplify it. Measured: below 2e-6.
STACK_BOUND = 2e-5

# The same with products in bf16, where a value that rounds to the other of two neighbours moves by
# 2^-8. Measured: 0 between stack and alone, 2.2e-4 between compiled and eager, or bf16-mixed.
BF16_BOUND = 2e-3


def taught_by(spec, corpus):
    """Return the weights that a run with a teacher learns from: those of a run without."""
    if not spec.teacher:
        return None
    untaught = spec.replace(teacher="", teacher_weight=0.0, temperature=1.0, init_seed=9)
    return train([untaught], corpus, execution=EAGER)[0].weights


def losses(results):
    return [point["val_loss"] for result in results for point in result.curve]


def test_the_same_spec_gives_the_same_loss_to_the_bit(spec, corpus):
    first, second = (train([spec], corpus, execution=EAGER) for _ in range(2))
    assert losses(first) == losses(second)
    assert first[0].curve[-1]["step"] == spec.n_step and len(first[0].curve) == spec.evals


@pytest.mark.parametrize("option", OPTIONS)
def test_members_of_a_stack_equal_the_same_runs_alone(spec, corpus, option):
    specs = [
        spec.replace(**OPTIONS[option], lr=lr, wd=wd, init_seed=seed, data_seed=seed + 10)
        for seed, (lr, wd) in enumerate([(1e-2, 0.1), (3e-2, 0.8), (1e-3, 6.4), (1e-2, 0.0)])
    ]
    options = {"execution": EAGER, "teacher": taught_by(specs[0], corpus)}
    together = train(specs, corpus, **options)
    alone = [train([s], corpus, **options)[0] for s in specs]
    differences = np.abs(np.subtract(losses(together), losses(alone)))
    # Muon multiplies in bfloat16, which rounds a thousand times as coarsely.
    assert differences.max() < (5e-3 if option == "muon" else STACK_BOUND)
    finals = [result.curve[-1]["val_loss"] for result in together]
    assert len(set(np.round(finals, 3))) == 4


@pytest.mark.parametrize("option", ["the paper's", "dropout"])
def test_compiled_training_repeats_to_the_bit_and_agrees_with_eager(spec, corpus, option):
    if not can_compile(False):
        pytest.skip("needs a C++ compiler and Python's headers")
    specs = [spec.replace(**OPTIONS[option], init_seed=seed) for seed in range(3)]
    compiled = train(specs, corpus, execution=COMPILED)
    assert all(result.compiled for result in compiled)
    assert losses(train(specs, corpus, execution=COMPILED)) == losses(compiled)
    eager = train(specs, corpus, execution=EAGER)
    assert np.abs(np.subtract(losses(compiled), losses(eager))).max() < STACK_BOUND
    fewer = train(specs[:2], corpus, execution=COMPILED)
    assert np.abs(np.subtract(losses(fewer), losses(eager[:2]))).max() < STACK_BOUND


TRAINS_A_PAIR = """
import json, sys
from pathlib import Path
from ieee_lib.config import RunSpec
from ieee_lib.config.execution import Execution
from ieee_lib.text.corpus import open_corpus
from ieee_lib.training.fit import train
spec = RunSpec.from_dict(json.loads(sys.argv[1]))
pair = [spec, spec.replace(init_seed=1)]
for _ in range(2):
    results = train(pair, open_corpus(Path(sys.argv[2])), execution=Execution(accelerator="cpu"))
print([result.compiled for result in results], [result.diverged for result in results])
"""

BREAKS_WHAT_IT_BUILDS = """#!/bin/sh
g++ "$@" || exit
for word; do case "$word" in *.so) echo nothing that runs > "$word";; esac; done
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("a space in TMPDIR", r"a space or a quote in .*/a b\)"),
        ("a quote in TMPDIR", r"a space or a quote in .*/q'uote\)"),
        ("a space in the environment's path", r"a space or a quote in .*/an env/torch\)"),
        ("a compiler that is not there", "No working C.. compiler found.*'no-such-compiler'"),
        ("a compiler whose output cannot run", "invalid ELF header|file too short"),
    ],
)
@pytest.mark.slow
def test_where_nothing_compiles_runs_train_eagerly_after_one_notice(
    spec, corpus, tmp_path, what, reason
):
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    folder = tmp_path / {"a space in TMPDIR": "a b", "a quote in TMPDIR": "q'uote"}.get(what, "c")
    folder.mkdir()
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    if what == "a compiler that is not there":
        environment["CXX"] = "no-such-compiler"
    if what == "a compiler whose output cannot run":  # as where TMPDIR forbids execution
        compiler = tmp_path / "c++"
        compiler.write_text(BREAKS_WHAT_IT_BUILDS)
        compiler.chmod(0o755)
        environment["CXX"] = str(compiler)
    if what == "a space in the environment's path":
        packages = tmp_path / "an env"
        packages.symlink_to(Path(torch.__path__[0]).parent)
        environment["PYTHONPATH"] = f"{ROOT}:{packages}"
    command = [sys.executable, "-c", TRAINS_A_PAIR, json.dumps(spec.to_dict()), str(corpus.folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["[False, False] [False, False]"], done.stderr
    assert done.stderr.count("training eagerly, about 1.5x slower") == 1
    assert re.search(reason, done.stderr), done.stderr


@pytest.mark.parametrize(
    ("output", "folder", "told"),
    [
        ("In file a.cpp:\n  fatal error: Python.h: none\n", "/tmp", r"fatal error: Python.h: none"),
        ("linking\n/bin/ld: cannot find -lgomp\n1 failed", "/tmp", r"/bin/ld: cannot find -lgomp"),
        ("killed", "/a b", r"killed \(a space or a quote in /a b\)"),
    ],
)
def test_the_notice_says_what_stopped_the_compiler(monkeypatch, output, folder, told):
    def fails(function):
        raise RuntimeError(f"C++ compile error\nCommand:\ng++ a.cpp\nOutput:\n{output}")

    monkeypatch.setattr(torch, "compile", fails)
    monkeypatch.setattr(fit.tempfile, "gettempdir", lambda: folder)
    with pytest.warns(MachineWarning, match=f"torch.compile fails here: {told}$"):
        assert not can_compile.__wrapped__(False)


@pytest.mark.skipif(not can_compile(False), reason="needs a C++ compiler and Python's headers")
def test_products_in_bf16_repeat_to_the_bit_and_agree_alone_stacked_and_compiled(spec, corpus):
    spec = spec.replace(precision="bf16-products")
    specs = [spec, spec.replace(init_seed=1, data_seed=1, lr=3e-3)]
    stacked, again = (train(specs, corpus, execution=EAGER) for _ in range(2))
    assert losses(stacked) == losses(again)
    alone = [train([s], corpus, execution=EAGER)[0] for s in specs]
    compiled = train(specs, corpus, execution=COMPILED)
    exact = train([s.replace(precision="32-true") for s in specs], corpus, execution=EAGER)
    mixed = train([s.replace(precision="bf16-mixed") for s in specs], corpus, execution=EAGER)
    for other in (alone, compiled, mixed):
        assert np.abs(np.subtract(losses(stacked), losses(other))).max() < BF16_BOUND
    assert (np.subtract(losses(stacked), losses(exact)) != 0).all()
    assert all(t.dtype == torch.float32 for r in stacked for t in r.weights.values())


def test_micro_batches_add_up_to_the_whole_batch(spec, corpus):
    whole = train([spec], corpus, execution=EAGER)
    parts = train([spec], corpus, execution=replace(EAGER, micro_batch=1))
    assert np.abs(np.subtract(losses(whole), losses(parts))).max() < STACK_BOUND
    assert [p["step"] for p in whole[0].curve] == [p["step"] for p in parts[0].curve]
    with pytest.raises(InputError, match="micro_batch = 3: must divide a device's 4 sequences"):
        train([spec], corpus, execution=replace(EAGER, micro_batch=3))


def test_the_last_evaluation_is_at_the_end_even_where_evals_do_not_divide(spec, corpus):
    curve = train([spec.replace(evals=3)], corpus, execution=EAGER)[0].curve
    assert curve[-1]["step"] == spec.n_step and len(curve) == 4


def test_training_learns(spec, corpus):
    result = train([spec.replace(epochs=8)], corpus, execution=EAGER)[0]
    assert result.curve[-1]["val_loss"] < result.curve[0]["val_loss"] < math.log(300)


def test_a_diverging_member_is_marked_and_harms_no_other(spec, corpus):
    wild = spec.replace(lr=1e20, init_seed=1)
    mixed = train([spec, wild], corpus, execution=EAGER)
    alone = train([spec], corpus, execution=EAGER)
    assert mixed[1].diverged and not mixed[0].diverged
    assert np.abs(np.subtract(losses(mixed[:1]), losses(alone))).max() < STACK_BOUND


def test_every_epoch_reads_the_slice_once_in_the_same_order(spec, corpus):
    specs = [spec.replace(data_seed=seed) for seed in (0, 1)]
    batches = StepBatches(specs, corpus.slice(spec.seed_tokens, 16), spec.batch_size)
    n = spec.steps_per_epoch
    epochs = [np.concatenate([batches[s] for s in range(e * n, e * n + n)], 1) for e in (0, 1)]
    assert np.array_equal(*epochs)
    for member in range(2):
        rows = np.sort(epochs[0][member], axis=0)
        assert np.array_equal(rows, np.sort(corpus.slice(spec.seed_tokens, 16), axis=0))
    assert not np.array_equal(epochs[0][0], epochs[0][1])


def test_reshuffled_epochs_read_the_slice_once_each_in_another_order(spec, corpus):
    specs = [spec.replace(data_seed=seed, reshuffle=True) for seed in (0, 1)]
    plain = StepBatches([spec], corpus.slice(spec.seed_tokens, 16), spec.batch_size)
    batches = StepBatches(specs, corpus.slice(spec.seed_tokens, 16), spec.batch_size)
    n = spec.steps_per_epoch
    epochs = [np.concatenate([batches[s] for s in range(e * n, e * n + n)], 1) for e in (0, 1)]
    for epoch in epochs:
        for member in range(2):
            rows = np.sort(epoch[member], axis=0)
            assert np.array_equal(rows, np.sort(corpus.slice(spec.seed_tokens, 16), axis=0))
    assert not np.array_equal(*epochs)
    assert np.array_equal(batches[0][0], plain[0][0]), "the first epoch is the paper's"
    assert np.array_equal(batches[n][0], StepBatches(specs, batches.main.sequences, 4)[n][0])


def test_validation_drops_nothing(spec, corpus):
    """A learning rate of next to nothing: both runs end where they began."""
    still = spec.replace(lr=1e-12)
    plain, dropped = (train([s], corpus, execution=EAGER)[0] for s in (
        still, still.replace(dropout=0.5)
    ))  # fmt: skip
    last, other = plain.curve[-1], dropped.curve[-1]
    assert last["val_loss"] == pytest.approx(other["val_loss"], abs=1e-5)
    assert abs(last["train_loss"] - other["train_loss"]) > 1e-5


def test_lightning_loggers_and_callbacks_work(spec, corpus, tmp_path):
    logged = []

    class Listener(lightning.Callback):
        def on_validation_epoch_end(self, trainer, module):
            logged.append(dict(trainer.callback_metrics))

    logger = open_logger("csv", tmp_path, "a")
    train([spec], corpus, execution=EAGER, logger=logger, callbacks=[Listener()])
    text = (tmp_path / "a" / "metrics.csv").read_text()
    assert f"val_loss/{spec.run_id}" in text and len(logged) == spec.evals
    with pytest.raises(InputError, match="allowed are csv, tensorboard, wandb, none"):
        open_logger("cvs", tmp_path, "a")


def test_unequal_shapes_and_foreign_corpora_are_refused(spec, corpus):
    with pytest.raises(InputError, match="differs in shape"):
        train([spec, spec.replace(epochs=4)], corpus)
    with pytest.raises(InputError, match="corpus"):
        train([spec.replace(corpus="0" * 16)], corpus)
    with pytest.raises(InputError, match="val_sequences = 15: must be a multiple of batch_size"):
        train([spec.replace(val_sequences=15)], corpus)


def test_tokens_are_reported_up_to_the_end(spec, corpus):
    reports = []
    train([spec, spec.replace(init_seed=1)], corpus, execution=EAGER, on_tokens=reports.append)
    assert reports[-1] == 2 * spec.tokens and reports == sorted(reports)


def test_bf16_trains_with_fp32_parameters(spec, corpus):
    result = train([spec.replace(precision="bf16-mixed")], corpus, execution=EAGER)[0]
    exact = train([spec], corpus, execution=EAGER)[0]
    assert all(tensor.dtype.itemsize == 4 for tensor in result.weights.values())
    difference = abs(result.curve[-1]["val_loss"] - exact.curve[-1]["val_loss"])
    assert 0 < difference < 0.02


class Killed(BaseException):
    """Ends a training as a signal would, at a step of the test's choice."""


@pytest.mark.parametrize("option", [*OPTIONS, "bf16"])
def test_a_killed_run_goes_on_to_the_same_bits(spec, corpus, tmp_path, option):
    spec = spec.replace(**OPTIONS.get(option, {"precision": "bf16-products"}))
    specs = [spec.replace(evals=3), spec.replace(evals=3, init_seed=5, data_seed=5, wd=0.5)]
    teacher = taught_by(specs[0], corpus)
    undisturbed = train(specs, corpus, execution=EAGER, teacher=teacher)
    path = tmp_path / "stands.ckpt"

    class Kill(lightning.Callback):
        def __init__(self, at):
            self.at = at

        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == self.at:
                raise Killed
            time.sleep(0.5 * (trainer.global_step == 0))

    keep, ended = {"execution": OFTEN, "checkpoint": path, "teacher": teacher}, []
    for at in (3, 5, specs[0].n_step - 1):
        with pytest.raises(Killed):
            train(specs, corpus, callbacks=[Kill(at)], **keep)
        assert path.is_file()
        ended.append(time.time())
    resumed = train(specs, corpus, **keep)
    assert resumed[0].begun < ended[0], "it began when it was first begun"
    assert resumed[0].seconds * len(specs) > 0.5, "the first session counts"
    for a, b in zip(undisturbed, resumed, strict=True):
        assert a.curve == b.curve
        assert all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights)


def test_ctrl_c_is_heard_again_and_again(spec, corpus):
    class Interrupt(lightning.Callback):
        def on_train_batch_start(self, *_):
            signal.raise_signal(signal.SIGINT)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train([spec], corpus, execution=EAGER, callbacks=[Interrupt()])


def test_a_damaged_checkpoint_is_set_aside_and_the_run_begins_anew(spec, corpus, tmp_path):
    path = tmp_path / "stands.ckpt"
    whole = train([spec], corpus, execution=OFTEN, checkpoint=path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="stands.ckpt is damaged: moved to stands.ckpt.damaged"):
        again = train([spec], corpus, execution=EAGER, checkpoint=path)
    assert (tmp_path / "stands.ckpt.damaged").is_file() and not path.is_file()
    assert again[0].curve == whole[0].curve


def test_seconds_of_members_add_up_to_the_stacks(spec, corpus, monkeypatch):
    """Compiling took 6 s by a clock of the test's own, so 3 s of each of two members."""
    monkeypatch.setattr(fit, "_compile_seconds", iter([100.0, 106.0]).__next__)
    began = time.perf_counter()
    results = train([spec, spec.replace(init_seed=1)], corpus, execution=EAGER)
    taken = time.perf_counter() - began
    assert [result.compile_seconds for result in results] == [3.0, 3.0]
    assert 0 < sum(result.evaluation_seconds for result in results) < taken
    assert 0 < sum(result.seconds for result in results) <= taken


def test_training_warns_of_emulated_products_and_else_of_nothing(spec, corpus, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    products.warn_where_emulated.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train([spec], corpus, execution=EAGER)
    with pytest.warns(UserWarning, match="emulated, slower than precision 32-true"):
        train([spec.replace(precision="bf16-products")], corpus, execution=EAGER)
    products.warn_where_emulated.cache_clear()


@pytest.mark.parametrize(("devices", "n_pass"), [(1, 4), (2, 2)])
def test_devices_share_the_passes_of_a_step(spec, devices, n_pass):
    """Eight sequences a step, two at once on a device."""
    spec = spec.replace(batch_size=8, evals=3)
    trainer = fit._trainer(spec, replace(EAGER, devices=devices), 2, False, [])
    assert trainer.accumulate_grad_batches == n_pass
    assert trainer.val_check_interval == n_pass * (spec.n_step // 3)
    assert isinstance(trainer.strategy, DDPStrategy) == (devices > 1)

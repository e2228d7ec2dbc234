"""The paper's own size, as far as it goes without its GPUs: its settings and its smallest model."""

import dataclasses
import gc
import hashlib
import math
import re

import lightning
import pytest

from ieee_lib import Scale
from ieee_lib.config.execution import Execution
from ieee_lib.recipes.ensembles import heuristic
from ieee_lib.text.sources import open_source
from ieee_lib.training.fit import train

PAPER = Scale.load("paper")
SIZES = ["150M", "300M", "600M", "1.4B"]
STEP = 64 * 4096
"""Tokens. Seed tokens are 800, 1600, 3200 and 6400 of them."""

STANDARD = {  # lr, epochs of each size at decay 0.1 (Sec. 2.1)
    800: [(3e-3, 8), (1e-3, 8), (1e-3, 4), (3e-4, 4)],
    1600: [(1e-2, 16), (3e-3, 8), (1e-3, 4), (3e-4, 4)],
    3200: [(1e-2, 32), (3e-3, 16), (3e-3, 8), (1e-3, 4)],
    6400: [(3e-3, 64), (3e-3, 32), (3e-3, 16), (1e-3, 4)],
}
REGULARIZED = {  # wd, lr, epochs (Fig 3; v1 Fig 12)
    800: [(0.8, 3e-3, 16), (1.6, 3e-3, 16), (3.2, 1e-3, 8), (3.2, 1e-3, 8)],
    1600: [(0.8, 3e-3, 32), (0.8, 3e-3, 16), (1.6, 1e-3, 8), (3.2, 1e-3, 8)],
    3200: [(0.4, 3e-3, 64), (0.4, 3e-3, 16), (0.4, 3e-3, 16), (1.6, 1e-3, 8)],
    6400: [(0.1, 3e-3, 64), (0.4, 1e-3, 32), (0.8, 1e-3, 16), (0.8, 1e-3, 8)],
}
MEMBERS = {  # epochs, lr, wd (Sec. 4.2)
    800: [(32, 3e-3, 0.4), (32, 3e-3, 0.8), (16, 1e-3, 1.6), (16, 1e-3, 1.6)],
    1600: [(64, 3e-3, 0.4), (32, 3e-3, 0.4), (16, 1e-3, 0.8), (16, 1e-3, 1.6)],
    3200: [(128, 3e-3, 0.2), (32, 3e-3, 0.2), (32, 3e-3, 0.2), (16, 1e-3, 0.8)],
    6400: [(128, 3e-3, 0.1), (64, 1e-3, 0.2), (32, 1e-3, 0.4), (16, 1e-3, 0.4)],
}


def test_tuned_settings_are_the_papers_at_every_size_and_every_d():
    assert PAPER.seed_tokens == (209_715_200, 419_430_400, 838_860_800, 1_677_721_600)
    assert PAPER.base_tokens == 209_715_200 and list(PAPER.models)[:4] == SIZES
    for steps in STANDARD:
        standard = PAPER.settings("standard", steps * STEP)
        assert [row.model for row in standard] == SIZES and {row.wd for row in standard} == {0.1}
        assert [(row.lr, row.epochs) for row in standard] == STANDARD[steps]
        regularized = PAPER.settings("regularized", steps * STEP)
        assert [row.model for row in regularized] == SIZES
        assert [(row.wd, row.lr, row.epochs) for row in regularized] == REGULARIZED[steps]
        members = map(heuristic, regularized)
        assert [(row.epochs, row.lr, row.wd) for row in members] == MEMBERS[steps]


def test_training_is_the_papers():
    spec = PAPER.spec("300M", corpus="0" * 16, wd=1.6, lr=3e-3, epochs=16)
    assert (spec.model.block_size, spec.model.vocab_size, spec.batch_size) == (4096, 128_256, 64)
    assert spec.tokens_per_step == STEP and spec.steps_per_epoch == 800 and spec.n_step == 12_800
    assert spec.val_sequences == 1024 and spec.evals == 20
    assert (spec.beta1, spec.beta2, spec.eps, spec.clip_norm) == (0.9, 0.95, 1e-8, 1.0)
    assert (spec.warmup_fraction, spec.decay_mask) == (0.01, "paper")
    assert spec.precision == "bf16-mixed"
    student = {"synthetic": "0" * 16, "epochs": PAPER.distillation.epochs}
    ensemble = spec.replace(synthetic_weight=PAPER.distillation.ensemble_weight, **student)
    alone = spec.replace(synthetic_weight=PAPER.distillation.self_weight, **student)
    assert (ensemble.n_step, alone.n_step) == (128_000, 51_200)
    continued = PAPER.midtraining
    steps = [tokens / (continued.small_batch * 4096) for tokens in continued.ladder]
    assert steps == [16_000, 280_000]


def test_text_comes_from_the_hub_at_the_revisions_that_are_public():
    """The paper's code prints short hashes; who rewrites a history could still move them."""
    corpus = PAPER.corpus
    assert corpus.source == "hub:mlfoundations/dclm-baseline-1.0@a3b142c"
    assert corpus.val_source == "hub:konwoo/dclm-164k-docs-val@fb8ee7b"
    assert PAPER.midtraining.target == "hub:OctoThinker/MegaMath-Web-Pro-Max@b5129b6"
    for name in (corpus.source, corpus.val_source, PAPER.midtraining.target):
        assert re.fullmatch("[0-9a-f]{7,40}", open_source(name).revision)
    assert corpus.tokenizer == "hub:meta-llama/Meta-Llama-3.1-8B" and corpus.vocab_size == 128_256
    assert corpus.max_tokens == PAPER.seed_tokens[-1]


def test_the_hub_is_asked_for_one_revision_and_for_a_stream(monkeypatch):
    asked = []

    def load(name, **options):
        asked.append((name, options))
        return [{"text": "one"}, {"text": "two"}]

    monkeypatch.setattr("datasets.load_dataset", load)
    assert list(open_source(PAPER.corpus.source).documents()) == ["one", "two"]
    options = {"revision": "a3b142c", "split": "train", "streaming": True}
    assert asked == [("mlfoundations/dclm-baseline-1.0", options)]


class Watch(lightning.Callback):
    """Notes a sum over each parameter before the first step, and the mean loss after each."""

    def on_train_start(self, trainer, module):
        self.before, self.losses = sums(module.model.named_parameters()), []

    def on_train_batch_end(self, trainer, module, *_):
        self.losses.append(module.train_sum.item() / module.n_train_batch)


class Killed(BaseException):
    """Ends a training as a signal would."""


class Kill(lightning.Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 1:
            raise Killed


def sums(named) -> dict[str, float]:
    return {name: tensor.sum(dtype=float).item() for name, tensor in named}


def trained(spec, corpus, *callbacks, **options):
    """Return what is left when the model is gone: two such models need not be held at once."""
    gc.collect()
    watch = Watch()
    (result,) = train([spec], corpus, callbacks=[watch, *callbacks], **options)
    weights = result.weights.items()
    return {
        "curve": result.curve,
        "weights": {name: hashlib.sha256(w.numpy()).hexdigest() for name, w in weights},
        "sums": sums(weights),
        "first sums": watch.before,
        "first loss": watch.losses[0],
    }


@pytest.mark.slow
def test_the_smallest_preset_trains_and_goes_on_to_the_same_bits_when_killed(corpus, tmp_path):
    """150M exactly, but for its context: two steps of two sequences of 64 tokens, on a CPU."""
    paper = PAPER.spec("150M", corpus=corpus.fingerprint, wd=0.8, lr=3e-3, epochs=1)
    assert paper.model.count().total == 154_147_328
    short = {"model": dataclasses.replace(paper.model, block_size=64), "precision": "32-true"}
    spec = paper.replace(**short, batch_size=2, seed_tokens=256, val_sequences=2, evals=1)
    assert spec.n_step == 2
    quiet = Execution(compile="never", accelerator="cpu", checkpoint_minutes=0.0)
    often = dataclasses.replace(quiet, checkpoint_minutes=1e-9)
    path, heard = tmp_path / "stands.checkpoint", []

    whole = trained(spec, corpus, execution=quiet)
    assert whole["first loss"] == pytest.approx(math.log(128_256), abs=0.3)
    assert whole["curve"][-1]["val_loss"] < whole["first loss"]
    assert all(whole["sums"][name] != before for name, before in whole["first sums"].items())

    with pytest.raises(Killed):
        trained(spec, corpus, Kill(), execution=often, checkpoint=path)
    assert path.stat().st_size > 12 * paper.model.count().total  # weights and both moments

    resumed = trained(spec, corpus, execution=quiet, checkpoint=path, on_tokens=heard.append)
    assert heard[0] >= spec.tokens_per_step, "it began anew"
    assert (resumed["curve"], resumed["weights"]) == (whole["curve"], whole["weights"])

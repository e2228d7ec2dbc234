"""Losses of a few short runs, recorded so that a change of numbers is seen: `test_fixed_losses.py`.

    python -m tests.training.fixed_losses            # writes tests/data/fixed_losses.json

Every preset of the smoke and laptop books and every option, 20 steps on a text of random words.
"""

import json
import platform
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ieee_lib import RunSpec, Scale
from ieee_lib.config import CorpusConfig
from ieee_lib.config.execution import Execution
from ieee_lib.text import packing
from ieee_lib.text.corpus import Corpus, open_corpus
from ieee_lib.training.fit import can_compile, train

FILE = Path(__file__).resolve().parents[1] / "data" / "fixed_losses.json"
STEPS = 20
EAGER = Execution(compile="never", accelerator="cpu", threads=1, checkpoint_minutes=0.0)
COMPILED = replace(EAGER, compile="auto")
COMPILED_CASE = "smoke 14k, stack of 2, compiled"

OPTIONS = {  # of the laptop scale's recipes; off by default
    "decay of everything": {"decay_mask": "all"},
    "no decay of the head": {"decay_mask": "no_head"},
    "Muon": {"optimizer": "muon"},
    "dropout": {"dropout": 0.1},
    "a new order every epoch": {"reshuffle": True, "epochs": 4, "seed_tokens": 5},
    "a longer warm-up": {"warmup_fraction": 0.25},
    "tight clipping": {"clip_norm": 0.1},
    "beta2 0.99": {"beta2": 0.99},
    "replaced inputs": {"replaced_inputs": 0.15},
    "a second loss on masked inputs": {"masked_weight": 0.4},
    "moving average of weights": {"ema": 0.9},
    "mean of the last epochs": {"mean_of_last": 2, "epochs": 4, "seed_tokens": 5},
    "a teacher": {"teacher": "1" * 16, "teacher_weight": 0.5, "temperature": 1.2},
}


def corpus_of(vocab_size: int, folder: Path) -> Corpus:
    """Pack a text of random words, the same on every machine, with a vocabulary of its own."""
    generator = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlu"))
    words = ["".join(generator.choice(letters, n)) for n in generator.integers(2, 9, 3000)]
    odds = 1 / np.arange(1, len(words) + 1)
    texts = [
        " ".join(generator.choice(words, 400, p=odds / odds.sum())) + f" {i}\n" for i in range(200)
    ]
    source = folder / "text.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    packed = folder / str(vocab_size)
    packed.mkdir()
    packing.make(CorpusConfig(source=f"files:{source}", vocab_size=vocab_size), packed)
    return open_corpus(packed)


def cases(folder: Path, **changes) -> dict[str, tuple[list[RunSpec], Corpus, Execution]]:
    """Return what is trained by name: specs (with `changes`), corpus and execution."""
    found: dict[str, tuple[list[RunSpec], Corpus, Execution]] = {}
    for name in ("smoke", "laptop"):
        scale = Scale.load(name)
        corpus = corpus_of(scale.corpus.vocab_size, folder)
        for model in scale.ladder_models():
            spec = scale.spec(model, corpus=corpus.fingerprint, wd=0.8, lr=1e-2, epochs=1)
            step = spec.tokens_per_step
            fixed = {"seed_tokens": STEPS * step, "val_sequences": 16, "evals": 2, **changes}
            spec = spec.replace(**fixed)
            found[f"{name} {model}"] = ([spec], corpus, EAGER)
        if name == "smoke":
            spec = found["smoke 14k"][0][0]
            pair = [spec, spec.replace(init_seed=1, data_seed=1, lr=3e-3, wd=0.1)]
            found["smoke 14k, stack of 2"] = (pair, corpus, EAGER)
            found[COMPILED_CASE] = (pair, corpus, COMPILED)
            for option, fields in OPTIONS.items():
                tokens = fields.get("seed_tokens", STEPS) * step
                changed = spec.replace(**{**fields, "seed_tokens": tokens})
                found[f"smoke 14k, {option}"] = ([changed], corpus, EAGER)
            found["smoke 14k, two passes a step"] = ([spec], corpus, replace(EAGER, micro_batch=4))
    return found


def losses(specs: list[RunSpec], corpus: Corpus, execution: Execution) -> list[list[float]]:
    """Return every member's training and validation losses at each evaluation, nats/token.

    A teacher is the same run without one.
    """
    first, teacher = specs[0], None
    n_thread = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if first.teacher:
            untaught = first.replace(teacher="", teacher_weight=0.0, temperature=1.0)
            teacher = train([untaught], corpus, execution=execution)[0].weights
        results = train(specs, corpus, execution=execution, teacher=teacher)
    finally:
        torch.set_num_threads(n_thread)
    return [[p[k] for p in r.curve for k in ("train_loss", "val_loss")] for r in results]


def machine() -> dict[str, str]:
    """Return what decides about the last bits: torch's build, and which kernels a CPU gets."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    wanted = ("vendor_id", "cpu family", "model")
    fields = dict(reversed([[part.strip() for part in line.partition(":")[::2]] for line in lines]))
    kernels = torch.backends.cpu.get_cpu_capability()
    return {"torch": torch.__version__, "kernels": kernels} | {
        name: fields[name] for name in wanted if name in fields
    }


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as folder:
        recorded = {
            name: losses(*case)
            for name, case in cases(Path(folder)).items()
            if case[2] is EAGER or case[2].micro_batch or can_compile(False)
        }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps({"machine": machine(), "losses": recorded}, indent=1) + "\n")


if __name__ == "__main__":
    main()

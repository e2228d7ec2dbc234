"""Preparing text: packing against `tokenizers` alone, and the memory of the whole preparation.

run(Scale.load("laptop"), corpus="files:novels/*.jsonl")["tab_text"]
"""

import itertools
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import pandas as pd

from ieee_lib.config import CorpusConfig
from ieee_lib.config.scale import Scale
from ieee_lib.errors import check
from ieee_lib.plots.saving import Table
from ieee_lib.text import packing
from ieee_lib.text.sources import open_source
from tests.stress.large_corpus import peak_memory

CHARACTERS = 200_000_000
"""Text that is prepared; shorter sources are repeated, each copy with a mark of its own."""


def run(scale: Scale, *, corpus: str = "") -> dict[str, Table]:
    """Return throughput and peak memory of preparing a text; empty: the scale's own."""
    source = corpus or scale.corpus.source
    with tempfile.TemporaryDirectory() as scratch:
        n_character = _repeat(source, scale.corpus.text_field, Path(scratch) / "text.jsonl")
        config = CorpusConfig(
            source=f"files:{scratch}/text.jsonl", vocab_size=scale.corpus.vocab_size
        )
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(1) as pool:  # a process of its own, so that its peak is that of this
            seconds, peak = pool.apply(_prepare, (config, f"{scratch}/packed"))
        with spawn.Pool(1) as pool:
            alone, packed, n_token = pool.apply(_compare, (f"{scratch}/packed", scratch))
    frame = pd.DataFrame(
        [
            {"what": "tokenizers alone (read, cut, encode)", "seconds": alone},
            {"what": "packing (the same, and written)", "seconds": packed},
            {"what": "everything (split, train the tokenizer, pack)", "seconds": seconds},
        ]
    )
    frame["million characters/s"] = n_character / 1e6 / frame.seconds
    frame["of tokenizers"] = alone / frame.seconds
    frame["peak memory (GB)"] = [float("nan"), float("nan"), peak / 1e9]
    text = Path(source).parent.name or source  # a folder's name says enough
    caption = f"{text} repeated to {n_character / 1e6:.0f} million characters"
    caption += f" · vocabulary {config.vocab_size} · {n_token / 1e6:.1f} million training tokens"
    digits = {"seconds": 1, "million characters/s": 1, "of tokenizers": 2, "peak memory (GB)": 2}
    return {"tab_text": Table(frame, caption, digits)}


def _repeat(source: str, text_field: str, path: Path) -> int:
    """Write the source's documents again and again as JSON lines; return the characters."""
    written = 0
    with path.open("w") as out:
        for copy in itertools.count():
            for text in open_source(source, text_field).documents():
                if not text:  # an empty record
                    continue
                text = f"{text}\n{copy}"  # else it would be dropped as a duplicate
                out.write(json.dumps({"text": text}) + "\n")
                written += len(text)
                if written >= CHARACTERS:
                    return written
            check(written > 0, "corpus", source, "holds no text to repeat")


def _prepare(config: CorpusConfig, folder: str) -> tuple[float, int]:
    """Return seconds and this process's peak bytes."""
    Path(folder).mkdir()
    began = time.perf_counter()
    packing.make(config, Path(folder))
    return time.perf_counter() - began, peak_memory()


def _compare(folder: str, scratch: str) -> tuple[float, float, int]:
    """Return seconds of encoding alone, of packing, and the tokens packed."""
    import numpy as np
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")

    def documents():
        with open(f"{scratch}/text.jsonl") as lines:
            for line in lines:
                yield json.loads(line)["text"]

    began = time.perf_counter()
    for batch in packing.batches(documents()):
        tokenizer.encode_batch_fast([piece for piece, _ in batch], add_special_tokens=False)
    alone = time.perf_counter() - began
    began = time.perf_counter()
    out = Path(scratch) / "again.bin"
    n_token = packing.pack(documents(), tokenizer, 0, out, np.dtype("<u2"), 0)
    return alone, time.perf_counter() - began, n_token

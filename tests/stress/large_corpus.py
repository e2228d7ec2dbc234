"""A gigabyte of text in the layout of the paper's, prepared as the paper's would be.

Shards of zstd-compressed JSON lines with nested fields stand for DCLM; a parquet file holds the
validation documents, which are met again in the shards. Both are local folders, which the `hub:`
source opens by the call that opens the hub. What this cannot show is the network, and the words of
the web: the text is the standard library's again and again, each document with its own number.
"""

import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ieee_lib.config import CorpusConfig
from ieee_lib.text.corpus import Corpus, open_corpus
from ieee_lib.text.packing import make
from ieee_lib.text.sources import open_source
from tests.stress import Outcome

VOCABULARY = 32_000
"""Entries of the tokenizer that is trained here; Llama-3's cannot be had without the hub."""
SHARDS = 20
DOCUMENT = 5_600
"""Characters of a document: 1,275 tokens or so, as in the paper's slice."""
HELD_OUT = 20
"""In the first half of the text every so-manieth document is a validation document."""
BLOCK_SIZE = 4096

PEAK = 1e9
GROWTH = 1e8
"""Bytes of memory, and how many more ten times the text may take."""
SPEED = 5e5
"""Characters a second: the paper's 13 billion overnight, on two cores that do other work too."""


@dataclass(frozen=True)
class Prepared:
    """What preparing a large corpus gave, and took."""

    corpus: Corpus
    documents: int
    held_out: int
    seconds: float
    peak: int
    """Bytes of memory of the process that prepared it."""


def run(home: Path, *, n_byte: int = 1_000_000_000) -> list[Outcome]:
    """Prepare a large corpus of so much text, and one of a tenth to compare its memory with."""
    tokenizer = home / "tokenizer.json"
    _in_a_process(_train_tokenizer, tokenizer)
    small = _prepared(home / "small", n_byte // 10, tokenizer)
    large = _prepared(home / "large", n_byte, tokenizer)
    manifest, counts = large.corpus.manifest, large.corpus.manifest["documents"]
    cap = manifest["config"]["max_tokens"]
    read, speed = counts["train"] + counts["duplicates"], 8 * cap / large.seconds
    n_val, least_val = manifest["tokens"]["val"] // BLOCK_SIZE, max(1, 1024 * n_byte // 10**9)
    text = f"{n_byte / 1e9:g} GB of text"

    def outcome(what: str, expected: str, found: str, holds: bool, since: float) -> Outcome:
        return Outcome("large corpus", f"{text}: {what}", expected, found, holds, since)

    outcomes = [
        outcome(
            "training tokens, the stream left before its end",
            f"{cap:,} of fewer than {large.documents:,} documents",
            f"{manifest['tokens']['train']:,} of {read:,} documents",
            manifest["tokens"]["train"] == cap and read < large.documents,
            large.seconds,
        ),
        outcome(
            "validation documents met again in the training text",
            f"{large.held_out:,} left out, at least {least_val:,} sequences",
            f"{counts['duplicates']:,} left out, {n_val:,} sequences",
            counts["duplicates"] == counts["val"] == large.held_out and n_val >= least_val,
            large.seconds,
        ),
        outcome(
            "speed",
            f"at least {SPEED / 1e6:g} MB/s",
            f"{speed / 1e6:.1f} MB/s",
            speed >= SPEED,
            large.seconds,
        ),
        outcome(
            "peak memory",
            f"at most {PEAK / 1e6:,.0f} MB, and {GROWTH / 1e6:.0f} MB more than of a tenth",
            f"{large.peak / 1e6:.0f} MB; of a tenth {small.peak / 1e6:.0f} MB",
            large.peak <= min(PEAK, small.peak + GROWTH),
            small.seconds + large.seconds,
        ),
    ]
    began = time.monotonic()
    nested = _nested(large.corpus, cap)
    found = "prefixes of one order" if nested else "not prefixes"
    outcomes.append(
        outcome(
            "slices of D/8, D/4, D/2 and D",
            "prefixes of one order",
            found,
            nested,
            time.monotonic() - began,
        )
    )
    return outcomes


def _in_a_process(work: Callable, *arguments):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _train_tokenizer(path: Path) -> None:
    from ieee_lib.text.tokenizer import train_bpe

    path.parent.mkdir(parents=True, exist_ok=True)
    train_bpe(open_source("stdlib").documents(), vocab_size=VOCABULARY).save(str(path))


def _prepared(folder: Path, n_byte: int, tokenizer: Path) -> Prepared:
    documents, held_out = _write(folder, n_byte)
    whole = 8 * BLOCK_SIZE  # the smallest slice of the ladder ends with a sequence
    config = CorpusConfig(
        source=f"hub:{folder / 'dclm'}@a3b142c",
        val_source=f"hub:{folder / 'val'}@fb8ee7b",
        tokenizer=f"file:{tokenizer}",
        vocab_size=128_256,  # so that ids take four bytes, as the paper's
        max_tokens=n_byte // 9 // whole * whole,  # 8 characters are read for a token, not all
    )
    seconds, peak = _in_a_process(_make, config, folder / "packed")
    return Prepared(open_corpus(folder / "packed"), documents, held_out, seconds, peak)


def _write(folder: Path, n_byte: int) -> tuple[int, int]:
    """Write both data sets; return their documents."""
    import pyarrow
    import pyarrow.parquet
    import zstandard

    shards, val = folder / "dclm/global-shard_01_of_10/local-shard_0_of_10", folder / "val/data"
    shards.mkdir(parents=True)
    val.mkdir(parents=True)
    documents, held_out, written = enumerate(_documents()), [], 0
    for shard in range(SHARDS):
        path = shards / f"shard_{shard:08d}_processed.jsonl.zst"
        with zstandard.open(path, "wt", encoding="utf-8") as out:
            while written < n_byte * (shard + 1) / SHARDS:
                i, text = next(documents)
                metadata = {"Content-Type": "text/x-python", "WARC-Record-ID": f"<{i}>"}
                out.write(json.dumps({"metadata": metadata, "text": text, "url": f"{i}"}) + "\n")
                written += len(text.encode())
                if i % HELD_OUT == 0 and 2 * written < n_byte:
                    held_out.append(text)
    table = pyarrow.table({"text": held_out})
    pyarrow.parquet.write_table(table, val / "train-00000-of-00001.parquet")
    return i + 1, len(held_out)


def _documents() -> Iterator[str]:
    """Yield documents without end, each another."""
    number = itertools.count()
    while True:
        for text in open_source("stdlib").documents():
            for begin in range(0, len(text), DOCUMENT):
                yield f"{text[begin : begin + DOCUMENT]}\n{next(number)}"


def _make(config: CorpusConfig, folder: Path) -> tuple[float, int]:
    """Return seconds and peak bytes of making a corpus in this process."""
    folder.mkdir()
    began = time.perf_counter()
    make(config, folder)
    return time.perf_counter() - began, peak_memory()


def peak_of_preparing(path: Path, **options: Any) -> float:
    """Return the most megabytes that a process of its own holds while it packs a text file.

    options: fields of CorpusConfig, beside a vocabulary of 400.
    """
    config = {"source": f"files:{path}", "vocab_size": 400, **options}
    program = (
        "import json, sys\n"
        "from tests.stress.large_corpus import peak_memory\n"
        "from ieee_lib.config import CorpusConfig\n"
        "from ieee_lib.text.packing import prepare\n"
        "prepare(CorpusConfig(**json.loads(sys.argv[1])))\n"
        "print(peak_memory())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(config)],
        env={"IEEE_LIB_HOME": str(path.parent), "PATH": "", "HOME": str(path.parent)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout) / 1e6


def peak_memory() -> int:
    """Return the most bytes that this process held; Linux's getrusage counts its parent's too."""
    status = Path("/proc/self/status")
    if status.is_file():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _nested(corpus: Corpus, tokens: int) -> bool:
    """Say whether each slice begins with the next smaller one, and no sequence is in one twice."""
    ladder = [corpus.sequences(tokens // part, BLOCK_SIZE) for part in (8, 4, 2, 1)]
    begun = all(
        np.array_equal(small[places], large[places])
        for small, large in itertools.pairwise(ladder)
        for places in np.array_split(np.arange(len(small)), 1 + len(small) // 256)
    )
    return begun and len(set(ladder[-1].order.tolist())) == tokens // BLOCK_SIZE

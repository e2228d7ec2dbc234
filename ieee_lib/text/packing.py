"""Making a corpus: documents -> disjoint splits -> tokenizer -> packed token ids (Sec. 2).

    corpus = prepare(CorpusConfig(source="stdlib", vocab_size=1024))

Documents stream through a scratch file and the tokenizer in batches of bounded size, and digests
of seen documents are kept on disk, so memory does not grow with the corpus.
"""

import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ieee_lib.config.corpus import SPLITS, CorpusConfig
from ieee_lib.errors import InputError, check
from ieee_lib.files import is_locked, lock, quarantine, sha256_of, with_checksum, writing_to
from ieee_lib.text.corpus import FILES, SCHEMA, Corpus, folder_of, open_corpus
from ieee_lib.text.files import Cut
from ieee_lib.text.sources import FileSource, open_source
from ieee_lib.text.tokenizer import as_text, load_tokenizer, separator_id, train_bpe

PIECE_CHARACTERS = 20_000
"""Longer documents pass through the tokenizer in pieces cut at line ends, to bound memory."""
BATCH_CHARACTERS = 500_000
"""Text that the tokenizer encodes at a time; no piece is longer."""
BETWEEN = re.compile(r"(?<=\S)(?= \S)|(?<=[A-Za-z0-9])(?=[()\[\]{}<>.,:;=])")
"""Before a space or a sign: byte-level BPE parts there in any case, so the ids stay the same."""
TOKENIZER_CHARACTERS = 50_000_000
"""Text that a BPE tokenizer is trained on, at most: more changes few merges."""


def prepare(config: CorpusConfig, report: Callable[[str], None] = lambda line: None) -> Corpus:
    """Return the packed corpus of `config`, made first where it is missing or damaged."""
    folder = folder_of(config)
    _remove_unfinished(folder.parent)
    with lock(folder.with_name(f"{folder.name}.lock")), writing_to(folder.parent):
        if folder.is_dir():
            corpus = _intact(folder, report)
            if corpus is not None and not (fault := outdated(corpus)):
                return corpus
            if corpus is not None:  # kept for what was trained on it
                report(f"corpus {config.source}: {fault}; it is packed again, with new ids")
                folder.rename(folder.with_name(f"{folder.name}-{corpus.fingerprint}"))
        source = open_source(config.source)
        left = source.not_read() if isinstance(source, FileSource) else []
        without = f" but its {', '.join(left)}" if left else ""
        report(f"corpus {config.source}{without}: reading, tokenizing and packing, once")
        scratch = Path(tempfile.mkdtemp(prefix=f".making-{folder.name}-", dir=folder.parent))
        try:
            make(config, scratch)
            scratch.chmod(0o755)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return open_corpus(folder)


def _intact(folder: Path, report: Callable[[str], None]) -> Corpus | None:
    """Return a packed corpus; None for a damaged one, which is quarantined."""
    try:
        return open_corpus(folder)
    except InputError as error:
        report(f"{error}")
        quarantine(folder)
        return None


def _remove_unfinished(folder: Path) -> None:
    """Remove what processes left that were killed while they made a corpus, of any text."""
    for left_over in folder.glob(".making-*-*"):
        name = left_over.name.removeprefix(".making-").rpartition("-")[0]
        if not is_locked(folder / f"{name}.lock"):
            shutil.rmtree(left_over, ignore_errors=True)


def outdated(corpus: Corpus) -> str:
    """Return what is wrong in a corpus that older code packed; empty: its ids are still right.

    In one that `max_tokens` cut short, a separator that the text quotes is not found.
    """
    if corpus.manifest["schema"] == SCHEMA:
        return ""
    separator, counts = separator_id(corpus.tokenizer), corpus.manifest["documents"]
    added = corpus.tokenizer.get_added_tokens_decoder()
    special = [i for i, token in added.items() if token.special and i != separator]
    for split, ids in (("train", corpus.train_ids), ("val", corpus.val_ids)):
        parts = np.array_split(ids, 1 + len(ids) // 10**7)
        if sum(np.count_nonzero(part == separator) for part in parts) > counts[split]:
            return "its text quotes the separator, which ends documents in it"
        if any(np.isin(part, special).any() for part in parts):
            return "special tokens stand in it: padding, or quoted in its text"
    source = open_source(corpus.manifest["config"]["source"])
    texts = source.paths() if isinstance(source, FileSource) and source.kind() == "text" else []
    if any(path.open("rb").read(3) == BOM_UTF8 for path in texts):
        return "byte order marks stand in it"
    return ""


def make(config: CorpusConfig, folder: Path) -> None:
    """Split, tokenize and pack a corpus into an empty folder."""
    counts = _split(config, folder)
    if config.tokenizer == "bpe":
        sample = _training_text(folder / "train.jsonl")
        tokenizer = train_bpe(sample, vocab_size=config.vocab_size)
    else:
        tokenizer = load_tokenizer(config.tokenizer)
    size = 1 + max(tokenizer.get_vocab().values(), default=0)  # ids may leave some out
    check(
        size <= config.vocab_size,
        "corpus.vocab_size",
        config.vocab_size,
        f"tokenizer {config.tokenizer} has {size} entries; vocab_size must be at least that",
    )
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer = as_text(Tokenizer.from_file(str(folder / "tokenizer.json")))
    dtype = np.dtype("<u2" if config.vocab_size <= 2**16 else "<u4")
    separator = separator_id(tokenizer, config.tokenizer)
    tokens = {}
    for split, cap in (("train", config.max_tokens), ("val", 0)):
        documents = _read(folder / f"{split}.jsonl")
        tokens[split] = pack(documents, tokenizer, separator, folder / f"{split}.bin", dtype, cap)
        (folder / f"{split}.jsonl").unlink()
    files = {name: sha256_of(folder / name) for name in FILES}
    manifest = {
        "schema": SCHEMA,
        "config": asdict(config),
        "documents": counts,
        "tokens": tokens,
        "dtype": dtype.str,
        "files": files,
        "fingerprint": hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16],
    }
    (folder / "manifest.json").write_text(json.dumps(with_checksum(manifest), indent=1) + "\n")


def _split(config: CorpusConfig, folder: Path) -> dict[str, int]:
    """Write train.jsonl and val.jsonl, one document a line; return counts.

    A document's split follows from the hash of its text, so both copies of a duplicate would
    be in the same split even if none were dropped; `_hold_out` where one gets no document. Counts
    of `empty` records and of documents `cut` in two are there where they are not 0.
    """
    counts = {"train": 0, "val": 0, "duplicates": 0}
    cut = Cut(config.split)
    seen = sqlite3.connect(folder / "seen.sqlite", isolation_level=None)
    seen.executescript(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
        "CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN"
    )

    def documents(source: str) -> Iterator[tuple[str, float]]:
        """Yield texts not seen before, each with the number in [0, 1) that its hash gives."""
        for text in open_source(source, config.text_field).documents(cut):
            if not text.strip():
                counts["empty"] = counts.get("empty", 0) + 1
                continue
            digest = _digest(text)
            if seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", [digest]).rowcount:
                yield text, int.from_bytes(digest[:8]) / 2**64
            else:
                counts["duplicates"] += 1

    with (
        contextlib.closing(seen),
        (folder / "train.jsonl").open("w") as train,
        (folder / "val.jsonl").open("w") as val,
    ):

        def write(text: str, split: str) -> None:
            counts[split] += 1
            (train if split == "train" else val).write(json.dumps(text) + "\n")

        if config.val_source != "":
            for text, _ in documents(config.val_source):
                write(text, "val")
        enough = 8 * config.max_tokens  # characters; text rarely has more than 5 a token
        written = 0
        for text, share in documents(config.source):
            held_out = config.val_source == "" and share < config.val_fraction
            write(text, "val" if held_out else "train")
            written += len(text)
            if enough and written > enough:
                break
    (folder / "seen.sqlite").unlink()
    allowed = f"separates nothing in {config.source}; allowed are {', '.join(SPLITS)}, and a text "
    check(cut.occurs, "corpus.split", config.split, f"{allowed}that stands between documents")
    if config.val_source == "" and 0 in (counts["train"], counts["val"]):
        counts |= _hold_out(folder, "train" if counts["train"] else "val", config.val_fraction)
    for split in ("train", "val"):
        allowed = (
            f"has {counts['train'] + counts['val']} different documents with text and none of them "
            f"for the {split} split; a few are needed"
        )
        check(counts[split] > 0, "corpus", config.source, allowed)
    return counts


def _hold_out(folder: Path, split: str, fraction: float) -> dict[str, int]:
    """Split again what lies in one split alone; return the counts.

    Holds out the share of documents whose hashes are lowest; where that is less than one document,
    the end of each, cut after a line end or else a space.
    """
    counts = {"train": 0, "val": 0}
    whole = (folder / f"{split}.jsonl").rename(folder / "whole.jsonl")
    digests = sorted(_digest(text) for text in _read(whole))
    n_val = round(fraction * len(digests))
    lowest = set(digests[:n_val]) if n_val < len(digests) else set()
    with (folder / "train.jsonl").open("w") as train, (folder / "val.jsonl").open("w") as val:
        for text in _read(whole):
            at = 0 if _digest(text) in lowest else len(text) if lowest else _end(text, fraction)
            for name, out, part in (("train", train, text[:at]), ("val", val, text[at:])):
                if part.strip():
                    out.write(json.dumps(part) + "\n")
                    counts[name] += 1
    whole.unlink()
    n_cut = sum(counts.values()) - len(digests)
    return {**counts, "cut": n_cut} if n_cut else counts


def _end(text: str, fraction: float) -> int:
    """Return where the last share of a text begins: after a line end or else a space, if it can."""
    at = int(len(text) * (1 - fraction))
    near = [text.find(sign, at, at + PIECE_CHARACTERS) + 1 for sign in "\n "]
    return next((end for end in near if end and text[end:].strip()), at)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def pack(
    documents: Iterable[str],
    tokenizer: Tokenizer,
    separator: int,
    path: Path,
    dtype: np.dtype,
    cap: int,
) -> int:
    """Write every document's ids, each with a separator behind; return the tokens written.

    `cap`: end after as many tokens; 0: never.
    """
    written = 0
    with path.open("wb") as out:
        for batch in batches(documents):
            encodings = tokenizer.encode_batch_fast([p for p, _ in batch], add_special_tokens=False)
            for encoding, (_, is_last) in zip(encodings, batch, strict=True):
                ends = [separator] if is_last else []
                ids = np.array(encoding.ids + ends, dtype=dtype)
                is_kept = not np.any(ids[: len(encoding.ids)] == separator)
                allowed = "is what a piece of the text becomes; take a tokenizer that only ends "
                token = tokenizer.id_to_token(separator)
                check(is_kept, "separator", token, f"{allowed}documents with it")
                if cap:
                    ids = ids[: cap - written]
                out.write(ids.tobytes())
                written += len(ids)
            if cap and written >= cap:
                break
    return written


def _read(path: Path) -> Iterator[str]:
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)


def _training_text(path: Path) -> Iterator[str]:
    """Yield the first documents that reach TOKENIZER_CHARACTERS together, in pieces."""
    left = TOKENIZER_CHARACTERS
    for text in _read(path):
        yield from _pieces(text)
        left -= len(text)
        if left <= 0:
            return


def _pieces(text: str) -> Iterator[str]:
    """Cut a text after line ends into pieces of about PIECE_CHARACTERS.

    Where none is within BATCH_CHARACTERS: at the last of `BETWEEN` in the second half of a piece.
    """
    start = 0
    while start < len(text):
        end, furthest = start + PIECE_CHARACTERS, start + BATCH_CHARACTERS
        if line_end := text.find("\n", end, furthest) + 1:
            end = line_end
        elif furthest < len(text):
            cuts = BETWEEN.finditer(text, end - PIECE_CHARACTERS // 2, end)
            end = max((cut.start() for cut in cuts), default=end)
        else:
            end = len(text)
        yield text[start:end]
        start = end


def batches(documents: Iterable[str]) -> Iterator[list[tuple[str, bool]]]:
    """Group pieces into batches of bounded size; each piece says whether it ends a document."""
    batch: list[tuple[str, bool]] = []
    size = 0
    for text in documents:
        pieces = list(_pieces(text))
        for i, piece in enumerate(pieces):
            batch.append((piece, i == len(pieces) - 1))
            size += len(piece)
            if size >= BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch

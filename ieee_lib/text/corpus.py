"""Packed corpora: documents -> disjoint splits -> token ids in memory maps (Sec. 2).

Preparing streams: documents pass through a scratch file and the tokenizer in batches of bounded
size, and seen documents are remembered on disk, so memory does not grow with the corpus.

    corpus = prepare(CorpusConfig(source="stdlib", vocab_size=1024))
    corpus.slice(seed_tokens=32768, block_size=64)     # (512, 64) ids: the first D tokens
    corpus.sequences(seed_tokens=32768, block_size=64) # the same, read where it is indexed
    corpus.validation(512, block_size=64)              # (512, 64) ids of other documents

The slice of D tokens is a prefix of one fixed random order of the training sequences, so slices
are nested, D1 ⊂ D2, and each is a fair sample of the whole corpus.
"""

import contextlib
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ieee_lib import paths
from ieee_lib.config.corpus import CorpusConfig, tokenizer_file
from ieee_lib.errors import InputError, check
from ieee_lib.files import held, parsed, seal, set_aside, sha256_of, verified, writing_to
from ieee_lib.text.sources import open_source

SCHEMA = 2
FILES = ("train.bin", "val.bin", "tokenizer.json")
PIECE_CHARACTERS = 20_000
"""Longer documents pass through the tokenizer in pieces cut at line ends, to bound memory."""
BATCH_CHARACTERS = 500_000
TOKENIZER_CHARACTERS = 50_000_000
"""Text that a BPE tokenizer is trained on, at most: more changes few merges."""


def folder_of(config: CorpusConfig) -> Path:
    """Return where a corpus is kept; changes when its source files do.

    Raises InputError where a source has no files.
    """
    names = [name for name in (config.source, config.val_source) if name != ""]
    states = [open_source(name).state() for name in names]
    key = asdict(config)
    if config.credits == "":
        del key["credits"]  # corpora that were packed before there were any keep their name
    if (file := tokenizer_file(config.tokenizer)) is not None:
        states.append(sha256_of(file))
        key["tokenizer"] = "file"  # what it holds counts, not where it lies
    digest = hashlib.sha256(json.dumps([SCHEMA, key, states]).encode()).hexdigest()[:12]
    return paths.corpora() / f"{config.source.partition(':')[0]}-{digest}"


def is_packed(config: CorpusConfig) -> bool:
    """Say whether a corpus's text is here and was packed."""
    try:
        return folder_of(config).is_dir()
    except InputError:  # no file of that name
        return False


@dataclass(frozen=True)
class PackedSequences:
    """Token sequences in a fixed random order, read from the disk where they are indexed.

    A place, a slice or an array of places gives int64 ids (..., T), as of an array (n, T).
    """

    blocks: np.ndarray
    chosen: np.ndarray
    """Which blocks, in their order."""

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, places) -> np.ndarray:
        return self.blocks[self.chosen[places]].astype(np.int64)


@dataclass(frozen=True)
class Corpus:
    """A packed corpus on disk; opening verifies every file against its sha256."""

    folder: Path
    manifest: dict

    @property
    def fingerprint(self) -> str:
        """16 digits that name the content: ids of both splits and the tokenizer."""
        return self.manifest["fingerprint"]

    @cached_property
    def train_ids(self) -> np.ndarray:
        return np.memmap(self.folder / "train.bin", dtype=self.manifest["dtype"], mode="r")

    @cached_property
    def val_ids(self) -> np.ndarray:
        return np.memmap(self.folder / "val.bin", dtype=self.manifest["dtype"], mode="r")

    @cached_property
    def tokenizer(self):
        """The `tokenizers.Tokenizer` that packed this corpus."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def val_documents(self) -> np.ndarray:
        """Return where each validation document begins and ends in `val_ids`, (n, 2).

        The end is the place of its separator.
        """
        from ieee_lib.text.tokenizer import separator_id

        ends = np.flatnonzero(self.val_ids == separator_id(self.tokenizer))
        begins = np.concatenate([[0], ends[:-1] + 1])
        return np.stack([begins, ends], axis=1)

    def slice(self, seed_tokens: int, block_size: int) -> np.ndarray:
        """Return the D seed tokens as sequences (D / T, T), int64, nested in D."""
        return self.sequences(seed_tokens, block_size)[:]

    def sequences(self, seed_tokens: int, block_size: int) -> PackedSequences:
        """Return what `slice` does, left on the disk: at D = 1.6B it is 13 GB."""
        return self._sequences("train", seed_tokens // block_size, block_size)

    def validation(self, n_sequence: int, block_size: int) -> np.ndarray:
        """Return the fixed validation sequences (n_sequence, T), int64."""
        return self._sequences("val", n_sequence, block_size)[:]

    def check_length(self, *, seed_tokens: int, val_sequences: int, block_size: int) -> None:
        """Raise InputError where a split is shorter than what is asked of it."""
        asked = {"train": seed_tokens // block_size, "val": val_sequences}
        names = {"train": "seed_tokens", "val": "val_sequences"}
        for split, n in asked.items():
            available = self.manifest["tokens"][split] // block_size
            check(
                n <= available,
                names[split],
                seed_tokens if split == "train" else n,
                f"the {split} split of {self.manifest['config']['source']} holds {available} "
                f"sequences of {block_size} tokens = {available * block_size} tokens; "
                "ask for fewer or bring more text",
            )

    def _sequences(self, split: str, n: int, block_size: int) -> PackedSequences:
        limits = {"seed_tokens": 0, "val_sequences": 0}
        limits |= {"seed_tokens": n * block_size} if split == "train" else {"val_sequences": n}
        self.check_length(**limits, block_size=block_size)
        ids = self.train_ids if split == "train" else self.val_ids
        available = len(ids) // block_size
        chosen = np.random.default_rng(0).permutation(available)[:n]
        blocks = np.asarray(ids[: available * block_size]).reshape(available, block_size)
        return PackedSequences(blocks, chosen)


def open_corpus(folder: Path) -> Corpus:
    """Open and verify a packed corpus; raises InputError that names a missing or damaged file."""
    path = folder / "manifest.json"
    try:
        manifest = verified(parsed(path.read_bytes()), str(path))
    except (OSError, ValueError) as error:
        allowed = "is missing or damaged; the same command makes the corpus again"
        raise InputError("corpus", str(path), allowed) from error
    files = manifest.get("files")
    known = isinstance(files, dict) and files.keys() == set(FILES)
    check(known, "corpus", str(path), f"must name the files {', '.join(FILES)}; remove it")
    for name, expected in files.items():
        path = folder / name
        whole = path.is_file() and sha256_of(path) == expected
        allowed = "is missing or damaged (its sha256 differs); the same command makes it again"
        check(whole, "corpus", str(path), allowed)
    return Corpus(folder, manifest)


def find_corpus(fingerprint: str) -> Path:
    """Return the folder of the packed corpus of that fingerprint; raises InputError without one."""
    for manifest in sorted(paths.corpora().glob("[!.]*/manifest.json")):
        if manifest.parent.suffix == ".damaged":
            continue
        with contextlib.suppress(ValueError, KeyError):  # a damaged one is another's
            if verified(parsed(manifest.read_bytes()), "")["fingerprint"] == fingerprint:
                return manifest.parent
    raise InputError(
        "corpus",
        fingerprint,
        f"is packed in no folder of {paths.corpora()} any more; pack it again from the same text",
    )


def prepare(config: CorpusConfig, report: Callable[[str], None] = lambda line: None) -> Corpus:
    """Return the packed corpus of `config`, made first where it is missing or damaged."""
    folder = folder_of(config)
    with held(folder.with_name(f"{folder.name}.lock")), writing_to(folder.parent):
        if folder.is_dir():
            try:
                return open_corpus(folder)
            except InputError as error:
                report(f"{error}")
                set_aside(folder)
        for left_over in folder.parent.glob(f".making-{folder.name}-*"):
            shutil.rmtree(left_over, ignore_errors=True)  # of a process that was killed
        report(f"corpus {config.source}: reading, tokenizing and packing, once")
        scratch = Path(tempfile.mkdtemp(prefix=f".making-{folder.name}-", dir=folder.parent))
        try:
            make(config, scratch)
            scratch.chmod(0o755)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return open_corpus(folder)


def make(config: CorpusConfig, folder: Path) -> None:
    """Split, tokenize and pack a corpus into an empty folder."""
    from tokenizers import Tokenizer

    from ieee_lib.text.tokenizer import load_tokenizer, separator_id, train_bpe

    counts = _split(config, folder)
    if config.tokenizer == "bpe":
        sample = _capped(_read(folder / "train.jsonl"), TOKENIZER_CHARACTERS)
        pieces = (piece for text in sample for piece in _pieces(text))
        tokenizer = train_bpe(pieces, vocab_size=config.vocab_size)
    else:
        tokenizer = load_tokenizer(config.tokenizer)
    size = 1 + max(tokenizer.get_vocab().values(), default=0)  # ids may leave some out
    check(
        size <= config.vocab_size,
        "corpus.vocab_size",
        config.vocab_size,
        f"tokenizer {config.tokenizer} has {size} entries; vocab_size must be at least that",
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
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
    (folder / "manifest.json").write_text(json.dumps(seal(manifest), indent=1) + "\n")


def _split(config: CorpusConfig, folder: Path) -> dict[str, int]:
    """Write train.jsonl and val.jsonl, one document a line; return counts.

    A document's side follows from the hash of its text, so both copies of a duplicate would
    fall on the same side even if none were dropped.
    """
    counts = {"train": 0, "val": 0, "duplicates": 0}
    seen = sqlite3.connect(folder / "seen.sqlite", isolation_level=None)
    seen.executescript(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
        "CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID; BEGIN"
    )
    enough = 8 * config.max_tokens  # characters; text rarely has more than 5 a token
    with (
        contextlib.closing(seen),
        (folder / "train.jsonl").open("w") as train,
        (folder / "val.jsonl").open("w") as val,
    ):
        sources = [(config.val_source, val), (config.source, train)]
        for name, side in [(n, s) for n, s in sources if n]:
            written = 0
            for text in open_source(name, config.text_field).documents():
                digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
                if not seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", [digest]).rowcount:
                    counts["duplicates"] += 1
                    continue
                share = int.from_bytes(digest[:8]) / 2**64
                held_out = side is val or (not config.val_source and share < config.val_fraction)
                json.dump(text, val if held_out else train)
                (val if held_out else train).write("\n")
                counts["val" if held_out else "train"] += 1
                written += len(text)
                if enough and side is train and written > enough:
                    break
    (folder / "seen.sqlite").unlink()
    for split in ("train", "val"):
        check(
            counts[split] > 0,
            "corpus",
            config.source,
            f"has {counts['train'] + counts['val']} different documents with text and none of them "
            f"for the {split} split; a few are needed",
        )
    return counts


def pack(documents, tokenizer, separator: int, path: Path, dtype: np.dtype, cap: int) -> int:
    """Write every document's ids, each with a separator behind; return the tokens written.

    `cap`: end after as many tokens; 0: never.
    """
    written = 0
    with path.open("wb") as out:
        for batch in batches(documents):
            encodings = tokenizer.encode_batch_fast([p for p, _ in batch], add_special_tokens=False)
            for encoding, (_, is_last) in zip(encodings, batch, strict=True):
                ids = np.array(encoding.ids + [separator] * is_last, dtype=dtype)
                ids = ids[: cap - written] if cap else ids
                out.write(ids.tobytes())
                written += len(ids)
            if cap and written >= cap:
                break
    return written


def _read(path: Path) -> Iterator[str]:
    with path.open() as lines:
        for line in lines:
            yield json.loads(line)


def _capped(texts: Iterable[str], characters: int) -> Iterator[str]:
    for text in texts:
        yield text
        characters -= len(text)
        if characters <= 0:
            return


def _pieces(text: str) -> Iterator[str]:
    """Cut a text after line ends into pieces of about PIECE_CHARACTERS."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE_CHARACTERS) + 1 or len(text)
        yield text[start:end]
        start = end


def batches(documents: Iterable[str]) -> Iterator[list[tuple[str, bool]]]:
    """Group pieces into batches of bounded size; each piece says whether it ends a document."""
    batch, size = [], 0
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

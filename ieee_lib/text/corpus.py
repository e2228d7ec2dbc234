"""Packed corpora: token ids of disjoint splits in memory maps, and nested slices of D (Sec. 2).

    corpus = open_corpus(folder)
    corpus.slice(seed_tokens=32768, block_size=64)      # (512, 64) ids: the first D tokens
    corpus.sequences(seed_tokens=32768, block_size=64)  # the same, read where it is indexed
    corpus.validation(512, block_size=64)               # (512, 64) ids of other documents

The slice of D tokens is a prefix of one fixed random order of the training sequences, so slices
are nested, D1 ⊂ D2, and each is a fair sample of the whole corpus. `text.packing` makes a corpus.
"""

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ieee_lib import paths
from ieee_lib.config.corpus import CorpusConfig, tokenizer_file
from ieee_lib.errors import InputError, check
from ieee_lib.files import parse_json, sha256_of, verify_checksum
from ieee_lib.text.sources import open_source

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SCHEMA = 3
"""Version of the packing. 3 packs special tokens that a text quotes as text."""

NAMED = 2
"""Part of the name of a corpus's folder: what schema 2 packed is kept where it is right."""

FILES = ("train.bin", "val.bin", "tokenizer.json")
"""Files of a packed corpus beside its manifest."""


def folder_of(config: CorpusConfig) -> Path:
    """Return where a corpus is kept; changes when its source files do.

    Raises InputError where a source has no files.
    """
    names = [name for name in (config.source, config.val_source) if name != ""]
    states = [open_source(name).state() for name in names]
    key = asdict(config)
    del key["label"]
    for name in ("credits", "split"):  # corpora that were packed before these keep their name
        if key[name] == getattr(CorpusConfig, name):
            del key[name]
    if (file := tokenizer_file(config.tokenizer)) is not None:
        states.append(sha256_of(file))
        key["tokenizer"] = "file"  # what it holds counts, not where it lies
    digest = hashlib.sha256(json.dumps([NAMED, key, states]).encode()).hexdigest()[:12]
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

    An index, a slice or an array of indices gives int64 ids (..., T), as of an array (n, T).
    """

    blocks: np.ndarray
    """All sequences of the split, in the order of the file."""
    order: np.ndarray
    """Indices of the chosen blocks, in their random order."""

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.blocks[self.order[index]].astype(np.int64)


@dataclass(frozen=True)
class Corpus:
    """A packed corpus on disk; opening verifies every file against its sha256."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """16 digits that name the content: ids of both splits and the tokenizer."""
        return self.manifest["fingerprint"]

    @cached_property
    def train_ids(self) -> np.ndarray:
        """Token ids of the training split, on the disk."""
        return np.memmap(self.folder / "train.bin", dtype=self.manifest["dtype"], mode="r")

    @cached_property
    def val_ids(self) -> np.ndarray:
        """Token ids of the validation split, on the disk."""
        return np.memmap(self.folder / "val.bin", dtype=self.manifest["dtype"], mode="r")

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer that packed this corpus."""
        from tokenizers import Tokenizer

        from ieee_lib.text.tokenizer import as_text

        return as_text(Tokenizer.from_file(str(self.folder / "tokenizer.json")))

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
        """Raise InputError where a split has fewer tokens or sequences than that."""
        self._available("train", seed_tokens // block_size, block_size)
        self._available("val", val_sequences, block_size)

    def _available(self, split: str, n: int, block_size: int) -> int:
        """Return the sequences of a split; raises InputError where they are fewer than `n`."""
        available = self.manifest["tokens"][split] // block_size
        field, value = ("seed_tokens", n * block_size) if split == "train" else ("val_sequences", n)
        allowed = (
            f"the {split} split of {self.manifest['config']['source']} holds {available} "
            f"sequences of {block_size} tokens = {available * block_size} tokens; "
            "ask for fewer, bring more text, or hold out another share (val_fraction)"
        )
        check(n <= available, field, value, allowed)
        return available

    def _sequences(self, split: str, n: int, block_size: int) -> PackedSequences:
        available = self._available(split, n, block_size)
        ids = self.train_ids if split == "train" else self.val_ids
        order = np.random.default_rng(0).permutation(available)[:n]
        blocks = np.asarray(ids[: available * block_size]).reshape(available, block_size)
        return PackedSequences(blocks, order)


def open_corpus(folder: Path) -> Corpus:
    """Open and verify a packed corpus; raises InputError that names a missing or damaged file."""
    path = folder / "manifest.json"
    try:
        manifest = verify_checksum(parse_json(path.read_bytes()), str(path))
    except (OSError, ValueError) as error:
        allowed = "is missing or damaged; the same command makes the corpus again"
        raise InputError("corpus", str(path), allowed) from error
    checksums = manifest.get("files")
    if not isinstance(checksums, dict) or checksums.keys() != set(FILES):
        allowed = f"must name the files {', '.join(FILES)}; remove it"
        raise InputError("corpus", str(path), allowed)
    for name, expected in checksums.items():
        path = folder / name
        intact = path.is_file() and sha256_of(path) == expected
        allowed = "is missing or damaged (its sha256 differs); the same command makes it again"
        check(intact, "corpus", str(path), allowed)
    return Corpus(folder, manifest)


def find_corpus(fingerprint: str) -> Path:
    """Return the folder of the packed corpus of that fingerprint; raises InputError without one."""
    for path in sorted(paths.corpora().glob("[!.]*/manifest.json")):
        if path.parent.suffix == ".damaged":
            continue
        with contextlib.suppress(ValueError, KeyError):  # a damaged manifest names no corpus
            if verify_checksum(parse_json(path.read_bytes()), "")["fingerprint"] == fingerprint:
                return path.parent
    allowed = f"is packed in no folder of {paths.corpora()} any more; pack it again from the same "
    raise InputError("corpus", fingerprint, allowed + "text")

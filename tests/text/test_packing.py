"""Packing: text is text, in bounded pieces; corpora packed before keep their ids where right."""

import gzip
import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer, models

from ieee_lib import InputError, Study
from ieee_lib.config import CorpusConfig
from ieee_lib.evaluation.probe import continuation_items
from ieee_lib.files import lock, sha256_of, with_checksum
from ieee_lib.text import packing
from ieee_lib.text.corpus import FILES, find_corpus, folder_of
from ieee_lib.text.packing import prepare
from ieee_lib.text.tokenizer import as_text, separator_id, train_bpe
from tests.stress.large_corpus import peak_of_preparing

QUOTED = "The sign <|endoftext|> ends a document, and <|endoftext|> is quoted here."


def write_texts(folder):
    """The same 40 texts in three kinds of files."""
    texts = [
        f"Document {i}:\r\nline of {' '.join(f'word{i * j % 97}' for j in range(60))}\n\n\tend"
        for i in range(40)
    ]
    (folder / "t").mkdir()
    for i, text in enumerate(texts):
        (folder / "t" / f"{i:02}.txt").write_bytes(text.encode())
    with gzip.open(folder / "a.jsonl.gz", "wt") as out:
        for text in texts + texts[:3]:
            out.write(json.dumps({"n": 1, "text": text}) + "\n")
    pd.DataFrame({"text": texts, "n": range(40)}).to_parquet(folder / "a.parquet")
    return texts


BEFORE = {
    "t/*.txt": "9b8baee48dfb8ca6",
    "a.jsonl.gz": "83fa5f43af2e6964",
    "a.parquet": "83fa5f43af2e6964",
}
"""Fingerprints of these texts when `datasets` read all files, and before `split`."""


@pytest.mark.parametrize("name", BEFORE)
def test_a_corpus_packed_before_keeps_its_fingerprint(home, name):
    write_texts(home)
    config = CorpusConfig(source=f"files:{home}/{name}", vocab_size=300, val_fraction=0.3)
    assert prepare(config).fingerprint == BEFORE[name]


@pytest.fixture
def bare(home):
    """The file of a bare tokenizer."""
    train_bpe([QUOTED, "some more words"], vocab_size=290).save(str(home / "bare.json"))
    return home / "bare.json"


def saved_with(bare, change):
    tokenizer = Tokenizer.from_file(str(bare))
    change(tokenizer)
    tokenizer.save(str(bare.parent / "saved.json"))
    return bare.parent / "saved.json"


def drop(tokenizer):
    tokenizer.model.dropout = 0.5


CHANGES = {
    "padding": lambda tokenizer: tokenizer.enable_padding(length=500),
    "truncation": lambda tokenizer: tokenizer.enable_truncation(4),
    "both": lambda tokenizer: [tokenizer.enable_padding(), tokenizer.enable_truncation(9)],
    "dropout": drop,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_tokenizer_file_gives_the_ids_of_its_bare_model(home, bare, change):
    write_texts(home)
    file = saved_with(bare, CHANGES[change])
    packed = [
        prepare(
            CorpusConfig(source=f"files:{home}/t", vocab_size=290, tokenizer=f"file:{tokenizer}")
        )
        for tokenizer in (bare, file)
    ]
    for split in ("train_ids", "val_ids"):
        assert np.array_equal(*(getattr(corpus, split) for corpus in packed))
    encoded = [corpus.tokenizer.encode("words, many words and more").ids for corpus in packed]
    assert encoded[0] == encoded[1]


@pytest.mark.parametrize("is_special", [True, False])
def test_a_special_token_in_a_text_is_text(home, bare, is_special):
    file = json.loads(bare.read_text())
    file["added_tokens"][0]["special"] = is_special
    bare.write_text(json.dumps(file))
    (home / "a.jsonl").write_text(
        "".join(json.dumps({"text": f"{i} {QUOTED}"}) + "\n" for i in range(40))
    )
    for tokenizer in ("bpe", f"file:{bare}"):
        corpus = prepare(
            CorpusConfig(source=f"files:{home}/a.jsonl", vocab_size=290, tokenizer=tokenizer)
        )
        for split, ids in (("train", corpus.train_ids), ("val", corpus.val_ids)):
            is_separator = ids == separator_id(corpus.tokenizer)
            assert is_separator.sum() == corpus.manifest["documents"][split]
        first = corpus.train_ids[: np.flatnonzero(corpus.train_ids == 0)[0]].tolist()
        assert corpus.tokenizer.decode(first).endswith(QUOTED)


def test_where_no_document_was_drawn_for_validation_whole_ones_are_held_out(home):
    """Of 40 texts none is held out by its hash at 10 %: four with the lowest hashes are."""
    lines = [json.dumps({"text": f"{i} {QUOTED}"}) for i in range(40)]
    (home / "a.jsonl").write_text("\n".join(lines))
    documents = prepare(CorpusConfig(source=f"files:{home}/a.jsonl", vocab_size=300)).manifest
    assert documents["documents"] == {"train": 36, "val": 4, "duplicates": 0}


def test_a_file_joined_by_separators_is_split_first(home):
    (home / "a.txt").write_text("<|endoftext|>".join(f"text {i} " * 40 for i in range(60)))
    config = CorpusConfig(source=f"files:{home}/a.txt", vocab_size=300, split="<|endoftext|>")
    documents = prepare(config).manifest["documents"]
    assert documents == {"train": 59, "val": 1, "duplicates": 0}


def test_a_tokenizer_that_makes_separators_of_text_is_refused(home):
    words = models.WordLevel({"<eos>": 0, "text": 1}, unk_token="<eos>")
    Tokenizer(words).save(str(home / "t.json"))
    (home / "a.txt").write_text("text and\n" * 90)
    source = f"files:{home}/a.txt"
    config = CorpusConfig(source=source, vocab_size=300, tokenizer=f"file:{home}/t.json")
    with pytest.raises(InputError, match="separator = '<eos>': is what a piece of the text become"):
        prepare(config)


def long_text(n, between):
    """The start of the standard library's longest modules, without its line ends."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = ("turtle.py", "argparse.py", "inspect.py", "tarfile.py", "typing.py", "subprocess.py")
    text = between.join(" ".join((folder / name).read_text() for name in files).split())
    return (text * (1 + n // len(text)))[:n]


@pytest.mark.parametrize("between", [" ", ""])
def test_a_text_without_line_ends_is_cut_where_its_ids_stay_the_same(between):
    text = long_text(700_000, between)
    pieces = list(packing._pieces(text))
    assert "".join(pieces) == text and max(map(len, pieces)) <= packing.BATCH_CHARACTERS
    assert len(pieces) > 10
    tokenizer = as_text(train_bpe([long_text(100_000, " ")], vocab_size=400))
    cut = [i for piece in tokenizer.encode_batch_fast(pieces) for i in piece.ids]
    assert cut == tokenizer.encode(text).ids


def test_a_text_with_line_ends_is_cut_at_them_alone():
    """However far apart they are, as before; what no sign cuts is cut anywhere."""
    lines = ["x" * 499_000 + "\n", "a b " * 6000 + "\n", "y" * 300_000]
    assert list(packing._pieces("".join(lines))) == lines
    solid = "z" * 1_200_000
    pieces = list(packing._pieces(solid))
    assert "".join(pieces) == solid
    assert max(map(len, pieces)) <= packing.BATCH_CHARACTERS


@pytest.mark.slow
def test_a_text_without_line_ends_takes_no_more_memory(tmp_path):
    """8 MB in one line; in one piece it took 1.1 GB."""
    peaks = []
    for name, end in (("lines", "\n"), ("line", " ")):
        path = tmp_path / name / "a.txt"
        path.parent.mkdir()
        path.write_text(
            "".join(f"{w % 997}w" + (end if w % 20 == 0 else " ") for w in range(1_700_000))
        )
        peaks.append(peak_of_preparing(path))
    assert peaks[1] < peaks[0] + 150, peaks


def test_what_a_killed_process_left_is_removed_with_the_next_corpus(home):
    write_texts(home)
    corpora = home / "data" / "corpora"
    names = ("files-111111111111", "files-222222222222", "files-333333333333")
    for name in names:
        (corpora / f".making-{name}-abc").mkdir(parents=True)
        (corpora / f".making-{name}-abc" / "train.jsonl").write_text("{}")
    killed = subprocess.Popen(
        [sys.executable, "-c", "import sys, time; from pathlib import Path\n"
         "from ieee_lib.files import lock\n"
         "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)",
         str(corpora / f"{names[0]}.lock")],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert killed.stdout is not None and killed.stdout.readline() == b"held\n"
    killed.kill()
    killed.wait()
    with lock(corpora / f"{names[1]}.lock"):  # of a process that goes on
        prepare(CorpusConfig(source=f"files:{home}/t", vocab_size=300))
        left = [path.name for path in corpora.glob(".making-*")]
    assert left == [f".making-{names[1]}-abc"]


def repacked_as_before(config, change):
    """Pack a corpus and make it one of schema 2, with other ids."""
    folder = prepare(config).folder
    change(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {name: sha256_of(folder / name) for name in FILES}
    manifest |= {"schema": 2, "files": files, "fingerprint": "0123456789abcdef"}
    del manifest["sha256"]
    (folder / "manifest.json").write_text(json.dumps(with_checksum(manifest)))
    return folder


def append(name, ids):
    def change(folder):
        with (folder / name).open("ab") as out:
            out.write(np.array(ids, "<u2").tobytes())

    return change


@pytest.mark.parametrize("name", ["train.bin", "val.bin"])
def test_a_corpus_with_wrong_ids_is_packed_again(home, name):
    write_texts(home)
    config = CorpusConfig(source=f"files:{home}/a.jsonl.gz", vocab_size=300, val_fraction=0.3)
    repacked_as_before(config, append(name, [5, 0, 6, 0]))  # a separator that was quoted
    reports = []
    assert prepare(config, reports.append).fingerprint == BEFORE["a.jsonl.gz"]
    assert "its text quotes the separator" in reports[0] and "packed again" in reports[0]
    old = find_corpus("0123456789abcdef")  # for what was trained on it
    assert old.name == f"{folder_of(config).name}-0123456789abcdef"


def test_a_corpus_with_padding_is_packed_again(home, bare):
    write_texts(home)
    tokenizer = Tokenizer.from_file(str(bare))
    tokenizer.add_special_tokens(["<pad>"])
    tokenizer.save(str(bare))
    config = CorpusConfig(source=f"files:{home}/t/*.txt", vocab_size=300, tokenizer=f"file:{bare}")
    repacked_as_before(config, append("train.bin", [tokenizer.token_to_id("<pad>")] * 9))
    reports = []
    prepare(config, reports.append)
    assert "special tokens stand in it: padding" in reports[0]


def test_a_corpus_with_byte_order_marks_is_packed_again(home):
    write_texts(home)
    (home / "t" / "00.txt").write_bytes("\ufeffA marked text".encode())
    config = CorpusConfig(source=f"files:{home}/t/*.txt", vocab_size=300, val_fraction=0.3)
    repacked_as_before(config, lambda folder: None)
    reports = []
    prepare(config, reports.append)
    assert "byte order marks stand in it" in reports[0]


def test_a_corpus_packed_before_with_the_right_ids_is_taken_as_it_is(home):
    write_texts(home)
    config = CorpusConfig(source=f"files:{home}/t/*.txt", vocab_size=300, val_fraction=0.3)
    folder = repacked_as_before(config, lambda folder: None)
    made = os.stat(folder / "train.bin").st_mtime_ns
    assert prepare(config).fingerprint == "0123456789abcdef"
    assert os.stat(folder / "train.bin").st_mtime_ns == made
    assert "split" in asdict(config)


def write_novels(folder, n, size):
    folder.mkdir()
    for i in range(n):
        words = " ".join(f"{'abcdefg'[k * (i + 3) % 7]}{k * k % (90 + i)}" for k in range(size))
        (folder / f"{i}.txt").write_text(words.replace("a1 ", "a1.\n")[:size])


@pytest.mark.parametrize(("n", "size"), [(1, 1_000_000), (20, 50_000)])
def test_what_most_people_have_is_enough_for_the_smoke_book(project, n, size):
    """One text of 1 MB, twenty of 50 kB: long enough for every D, and for the probe."""
    write_novels(project / "data" / "novels", n, size)
    study = Study.open("smoke", corpus="files:novels")
    items = continuation_items(
        prepare(study.scale.corpus), block_size=study.scale.training.block_size, n_item=64
    )
    assert len(items) == 64
    has_cut = "validation: the end of each text" in study.caption({"law": 1})
    assert has_cut == (n == 1) == ("texts whose end is validation text" in study.corpus_table().T)
    records = study.reading()
    assert records.caption({"law": 1}) == study.caption({"law": 1})

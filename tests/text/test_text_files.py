"""Local files: every kind that is read gives its texts, and names file and line of what is none."""

import json

import datasets
import numpy as np
import pandas as pd
import pytest

from ieee_lib import InputError
from ieee_lib.config import CorpusConfig
from ieee_lib.text import files
from ieee_lib.text.packing import prepare
from ieee_lib.text.sources import open_source
from tests.kinds import KINDS, table, zipped

TEXTS = ["one, of\n\ntwo", 'a "second"', "third"]


def read(source, field="text", split="document"):
    return list(open_source(f"files:{source}", field).documents(files.Cut(split)))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read(home, name):
    KINDS[name](home / name, TEXTS)
    assert read(home / name) == TEXTS
    with_n = [f"{i}\n{text}" for i, text in enumerate(TEXTS)]
    if name in ("a.csv", "a.tsv.xz"):  # where every field is text
        assert read(home / name, "n+text") == with_n


def test_a_folder_says_what_it_leaves_out_and_sees_changes(home):
    KINDS["folder"](home / "folder", TEXTS)
    source = open_source(f"files:{home}/folder")
    assert source.not_read() == [".png"] and len(source.paths()) == 3
    before = source.state()
    (home / "folder" / "in" / "new.md").write_text("new")
    assert source.state() != before
    KINDS["saved"](home / "saved", TEXTS)
    source = open_source(f"files:{home}/saved")
    before = source.state()
    datasets.Dataset.from_pandas(table(TEXTS[:2])).save_to_disk(home / "saved")
    assert source.state() != before


NOT_READ = [
    (
        "a.pdf",
        "matches .pdf; one kind of .txt, .md, .jsonl, .ndjson, .json, .csv, .tsv, .parquet, ",
    ),
    ("a.tar.gz", "matches .tar.gz; one kind of .txt, .* is read: unpack archives, take the text "),
    ("a.parquet.gz", "matches .parquet.gz; one kind of"),
    ("README", "matches README; one kind of .* call plain text .txt"),
]


@pytest.mark.parametrize(("name", "message"), NOT_READ)
def test_what_is_not_read_is_named_with_what_to_do(home, name, message):
    (home / name).write_bytes(b"x")
    with pytest.raises(InputError, match=message):
        read(home / name)
    zipped(home / "a.zip", {name: b"x"})
    with pytest.raises(InputError, match=r"a\.zip': holds .*; put files of one kind that is read"):
        read(home / "a.zip")


def test_a_folder_of_two_kinds_is_not_guessed(home):
    KINDS["folder"](home / "folder", TEXTS)
    (home / "folder" / "meta.json").write_text("{}")
    with pytest.raises(InputError, match=r"matches .json, .md; .*choose one by a glob such as"):
        read(home / "folder")
    assert len(read(home / "folder/**/*.md")) == 3


SPLITS = [
    ("document", "a\n\n\nb c\n \nd\n", ["a\n\n\nb c\n \nd\n"]),
    ("paragraph", "\n\na\nb\n\n\n  c\n \t\nd\n", ["a\nb", "  c", "d"]),
    ("line", "a\n\n b \nc", ["a", " b ", "c"]),
    ("<|endoftext|>", "a<|endoftext|>\nb\n\nc\n<|endoftext|><|endoftext|>", ["a", "b\n\nc"]),
    (r"\n---\n", "a --- b\n---\nc\n---\n", ["a --- b", "c"]),
]


@pytest.mark.parametrize(("split", "text", "documents"), SPLITS)
@pytest.mark.parametrize("chunk", [1, 5, 10**6])
def test_a_text_is_split_into_documents(home, monkeypatch, split, text, documents, chunk):
    """However much of a file is read at a time."""
    monkeypatch.setattr(files, "CHUNK", chunk)
    (home / "a.txt").write_text(text)
    assert read(home / "a.txt", split=split) == documents
    (home / "a.jsonl").write_text(json.dumps({"text": text}))
    assert read(home / "a.jsonl", split=split) == documents


def test_a_separator_that_is_nowhere_is_named(home):
    (home / "a.txt").write_text("one\n\ntwo\n\nthree" * 9)
    config = CorpusConfig(source=f"files:{home}/a.txt", vocab_size=300, split="paragraphs")
    with pytest.raises(InputError, match=r"split = 'paragraphs': separates nothing .* paragraph,"):
        prepare(config)


BAD = [
    ("jsonl", b'{"text": 5}', r"text_field = 'text': .*a\.jsonl holds int, not text \(line 3001\)"),
    ("jsonl", b'{"text": "x', r"a\.jsonl': must hold a JSON object a line; line 3001 is none: Unt"),
    ("jsonl", b"[1]", "line 3001 is none: it is another value"),
    ("jsonl", b'{"text": "\\ud800"}', "is no Unicode text: line 3001 holds half a surrogate pair"),
    ("jsonl", b'{"text": "a", "text": "b"}', r"a\.jsonl': has 'text' twice in line 3001"),
    ("jsonl", b'{"text": "caf\xe9"}', "must be UTF-8 text; line 3001 is not"),
    ("csv", b'"a" b,1', r"a\.csv': is no table; line 3001: "),
    ("csv", b"a,1,2", r"a\.csv': has more cells in line 3002 than names; quote its texts"),
    ("txt", b"caf\xe9", r"a\.txt': must be UTF-8 text; line 3001 is not"),
    ("txt", b"\0a", r"a\.txt': must be UTF-8 text; line 3001 holds a NUL, as text in UTF-16 does"),
]
GOOD = {
    "jsonl": b'{"text": "good"}\n' * 3000,
    "csv": b"text,n\n" + b"good,1\n" * 3000,
    "txt": b"good\n" * 3000,
}


@pytest.mark.parametrize(("kind", "record", "message"), BAD)
@pytest.mark.parametrize("packed", [False, True])
def test_one_bad_record_among_thousands_is_named(home, kind, record, message, packed):
    data = GOOD[kind] + record + b"\n" + GOOD[kind]
    (home / f"a.{kind}").write_bytes(data)
    if packed:
        zipped(home / "b.zip", {f"a.{kind}": data})
        message = rf"b\.zip.*{message.partition(': ')[2][-20:]}.*\(in a\.{kind}\)"
    with pytest.raises(InputError, match=message):
        read(home / ("b.zip" if packed else f"a.{kind}"))


def test_a_record_without_text_is_left_out_and_counted(home):
    records = [{"text": f"text {i} " * 40} for i in range(60)]
    bare = [{"text": None}, {}, {"text": " \n"}, {"other": 1}]
    lines = [json.dumps(record) for record in (*bare, *records, *bare)]
    (home / "a.jsonl").write_text("\n".join(lines))
    corpus = prepare(CorpusConfig(source=f"files:{home}/a.jsonl", vocab_size=300))
    assert corpus.manifest["documents"]["empty"] == 8
    (home / "a.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    full = prepare(CorpusConfig(source=f"files:{home}/a.jsonl", vocab_size=300))
    assert full.fingerprint == corpus.fingerprint and "empty" not in full.manifest["documents"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv", "saved"])
def test_a_field_that_no_record_has_is_named_with_those_it_has(home, name):
    KINDS[name](home / name, TEXTS)
    with pytest.raises(InputError, match=r"text_field = 'body': .* has the fields n, text"):
        read(home / name, "text+body")


def test_a_wrong_field_is_noticed_early(home):
    (home / "a.jsonl").write_text('{"text": "a"}\n' * 1000 + "no JSON")
    with pytest.raises(InputError, match="has the fields text"):
        read(home / "a.jsonl", "body")


def test_only_the_asked_columns_are_read(home):
    """A column that nobody asked for may change its type between files, and be anything."""
    (home / "a.jsonl").write_text('{"text": "a", "meta": {"year": 1}}\n')
    (home / "b.jsonl").write_text('{"text": "b", "meta": "none"}\n{"text": "c", "meta": [NaN]}\n')
    assert read(home / "*.jsonl") == ["a", "b", "c"]
    for name, values in (("a", [1, 2]), ("b", [{"x": 1}, None])):
        pd.DataFrame({"text": ["x", "y"], "meta": values}).to_parquet(home / f"{name}.parquet")
    assert read(home / "*.parquet") == ["x", "y"] * 2


def test_a_byte_order_mark_is_no_text(home):
    (home / "a.txt").write_bytes("\ufeffone\r\ntwo".encode())
    assert read(home / "a.txt") == ["one\ntwo"]


@pytest.mark.parametrize("name", ["a.jsonl.zst", "a.jsonl.gz", "a.jsonl.bz2", "a.tsv.xz", "a.zip"])
def test_a_file_cut_short_is_damaged(home, name):
    KINDS[name](home / name, TEXTS)
    (home / name).write_bytes((home / name).read_bytes()[:-12])
    with pytest.raises(InputError, match=r": is damaged: "):
        read(home / name)


def test_a_name_is_taken_as_it_is_before_it_is_a_pattern(home):
    (home / "book [1].txt").write_text("a text")
    (home / "book 1.txt").write_text("another")
    assert read(home / "book [1].txt") == ["a text"]
    assert read(home / "book [[]1].txt") == ["a text"]
    with pytest.raises(InputError, match=r"matches no file; .*; \[ begins a set of signs: write"):
        read(home / "book [2].txt")


def test_a_text_of_one_document_holds_its_end_out(home):
    lines = [f"Line {i} of the one text.\n" for i in range(4000)]
    (home / "a.txt").write_text("".join(lines))
    corpus = prepare(CorpusConfig(source=f"files:{home}/a.txt", vocab_size=300))
    train, val = (
        corpus.tokenizer.decode(ids.tolist()) for ids in (corpus.train_ids, corpus.val_ids)
    )
    assert train + val == "".join(lines) and train.endswith("\n")
    assert len(val) == pytest.approx(0.1 * len(train + val), rel=0.01)
    assert corpus.manifest["documents"] == {"train": 1, "val": 1, "duplicates": 0, "cut": 1}
    quarter = CorpusConfig(source=f"files:{home}/a.txt", vocab_size=300, val_fraction=0.25)
    corpus = prepare(quarter)
    assert len(corpus.val_ids) / len(corpus.train_ids) == pytest.approx(1 / 3, rel=0.15)
    assert np.array_equal(corpus.val_documents(), [[0, len(corpus.val_ids) - 1]])

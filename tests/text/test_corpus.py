"""Corpora: disjoint splits, nested slices, verified files, bounded memory, clear errors."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from tokenizers import Tokenizer

from ieee_lib import InputError
from ieee_lib.config import CorpusConfig
from ieee_lib.runs.provenance import provenance
from ieee_lib.text.corpus import folder_of, open_corpus
from ieee_lib.text.packing import prepare
from ieee_lib.text.sources import open_source
from tests.stress.large_corpus import peak_of_preparing


def write_documents(folder, n=40, name="books.jsonl.gz"):
    texts = [f"Document {i}: " + " ".join(f"word{i}x{j}" for j in range(60)) for i in range(n)]
    with gzip.open(folder / name, "wt") as out:
        for text in texts:
            out.write(json.dumps({"text": text}) + "\n")
    return texts


def documents_of(corpus, split):
    """Decode a split back into its documents."""
    tokenizer = Tokenizer.from_file(str(corpus.folder / "tokenizer.json"))
    ids = corpus.train_ids if split == "train" else corpus.val_ids
    end = tokenizer.token_to_id("<|endoftext|>")
    pieces = np.split(ids, np.flatnonzero(ids == end) + 1)
    return [tokenizer.decode(piece[:-1].tolist()) for piece in pieces if len(piece)]


def test_splits_hold_every_document_once_and_share_none(home):
    texts = write_documents(home)
    (home / "more").mkdir()
    write_documents(home / "more", n=50)  # the first 40 are duplicates
    config = CorpusConfig(source=f"files:{home}/**/*.jsonl.gz", vocab_size=400, val_fraction=0.3)
    corpus = prepare(config)
    train, val = documents_of(corpus, "train"), documents_of(corpus, "val")
    assert not set(train) & set(val)
    assert len(train) + len(val) == 50 and set(texts) <= {*train, *val}
    assert corpus.manifest["documents"]["duplicates"] == 40
    assert len(val) >= 5


def test_slices_are_nested_and_samples_of_the_whole(corpus):
    small, large = corpus.slice(1024, 16), corpus.slice(4096, 16)
    assert small.shape == (64, 16) and large.shape == (256, 16)
    assert np.array_equal(large[:64], small)
    assert len(np.unique(large, axis=0)) > 250
    head = {bytes(row) for row in corpus.train_ids[:4096].reshape(-1, 16).astype(np.int64)}
    assert len(head & {bytes(row) for row in large}) < 50  # not the head of the corpus


def test_the_same_text_gives_the_same_fingerprint_wherever_it_lies(home, tmp_path):
    folders = [home / "a", home / "b"]
    prints = set()
    for folder in folders:
        folder.mkdir()
        write_documents(folder)
        config = CorpusConfig(source=f"files:{folder}/*.gz", vocab_size=400, val_fraction=0.3)
        prints.add(prepare(config).fingerprint)
    assert len(prints) == 1


def test_a_corpus_is_made_once_and_again_when_its_files_change(home):
    write_documents(home)
    config = CorpusConfig(source=f"files:{home}/*.gz", vocab_size=400, val_fraction=0.3)
    first = prepare(config)
    made = (first.folder / "train.bin").stat().st_mtime_ns
    assert (prepare(config).folder / "train.bin").stat().st_mtime_ns == made
    write_documents(home, n=45)
    assert prepare(config).fingerprint != first.fingerprint


def test_every_record_repeats_whose_the_text_is(home):
    write_documents(home)
    config = CorpusConfig(source=f"files:{home}/*.gz", vocab_size=400, val_fraction=0.3)
    plain, credited = prepare(config), prepare(replace(config, credits="Ann, CC BY 4.0"))
    assert plain.fingerprint == credited.fingerprint and plain.folder != credited.folder
    said = [provenance(corpus)["corpus"]["credits"] for corpus in (plain, credited)]
    assert said == ["", "Ann, CC BY 4.0"]


def test_a_flipped_byte_is_found_and_named(home):
    write_documents(home)
    config = CorpusConfig(source=f"files:{home}/*.gz", vocab_size=400, val_fraction=0.3)
    folder = prepare(config).folder
    data = bytearray((folder / "train.bin").read_bytes())
    data[100] ^= 1
    (folder / "train.bin").write_bytes(data)
    with pytest.raises(InputError, match=r"train\.bin.*is missing or damaged"):
        open_corpus(folder)


def test_a_slice_longer_than_the_corpus_is_refused(corpus):
    with pytest.raises(InputError, match=r"seed_tokens = 1000000000: the train split of stdlib"):
        corpus.slice(1_000_000_000, 16)


def test_max_tokens_caps_the_training_split(corpus):
    assert corpus.manifest["tokens"]["train"] == 60_000


def test_tokenizer_sees_the_training_split_only(home):
    """A sign that only validation documents have must not become a token."""
    with gzip.open(home / "t.jsonl.gz", "wt") as out:
        for i in range(30):
            out.write(json.dumps({"text": f"train {i} " + "abcdef" * 40}) + "\n")
    with gzip.open(home / "v.jsonl.gz", "wt") as out:
        out.write(json.dumps({"text": "zyxwvu" * 400}) + "\n")
    corpus = prepare(
        CorpusConfig(
            source=f"files:{home}/t.jsonl.gz", val_source=f"files:{home}/v.jsonl.gz", vocab_size=300
        )
    )
    vocabulary = Tokenizer.from_file(str(corpus.folder / "tokenizer.json")).get_vocab()
    assert "abcdef" in vocabulary and "zy" not in vocabulary
    assert corpus.manifest["documents"]["val"] == 1


def test_hub_loading_goes_through_datasets_by_the_same_call(home):
    """No hub here: `datasets` opens a local folder by the very same call."""
    folder = home / "hubset"
    folder.mkdir()
    texts = write_documents(folder, name="train.jsonl.gz")
    source = open_source(f"hub:{folder}@main")
    assert list(source.documents()) == texts


def test_txt_and_parquet(home):
    import pandas as pd

    for i in range(3):
        (home / f"{i}.txt").write_text(f"line one of {i}\nline two\n")
    assert len(list(open_source(f"files:{home}/*.txt").documents())) == 3
    pd.DataFrame({"body": ["a b c", "d e f"]}).to_parquet(home / "t.parquet")
    assert list(open_source(f"files:{home}/*.parquet", "body").documents()) == ["a b c", "d e f"]


def test_a_loaded_tokenizer_is_used(home, shared_data):
    write_documents(home)
    file = shared_data / "tokenizers" / "gpt_neox_olmo" / "tokenizer.json"
    config = CorpusConfig(
        source=f"files:{home}/*.gz", vocab_size=50_432, tokenizer=f"file:{file}", val_fraction=0.3
    )
    corpus = prepare(config)
    assert corpus.train_ids.max() > 2_000
    with pytest.raises(InputError, match="vocab_size must be at least that"):
        prepare(CorpusConfig(**{**corpus.manifest["config"], "vocab_size": 1000}))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "wikipedia",
            "corpus = 'wikipedia': allowed are stdlib, stdlib:code, stdlib:prose, files:PATH and",
        ),
        ("files:", "allowed are stdlib"),
        ("hub:name", "allowed are stdlib"),
        ("hub:@rev", "must be hub:NAME@REVISION"),
    ],
)
def test_unknown_sources_are_refused(source, message):
    with pytest.raises(InputError) as error:
        CorpusConfig(source=source, vocab_size=300)
    assert message in str(error.value)


def test_bad_tokenizers_are_named_before_any_text_is_read(home):
    for name, message in (("bep", "allowed are bpe, file:PATH"), ("file:no.json", "names no file")):
        with pytest.raises(InputError, match=message):
            CorpusConfig(source="stdlib", vocab_size=300, tokenizer=name)


def test_a_file_name_with_glob_signs_is_read(home):
    (home / "book [1].txt").write_text("a text")
    assert list(open_source(f"files:{home}/*.txt").documents()) == ["a text"]


def test_bad_files_are_named(home):
    with pytest.raises(InputError, match="matches no file"):
        prepare(CorpusConfig(source=f"files:{home}/*.txt", vocab_size=300))
    (home / "good.txt").write_text("fine")
    (home / "latin.txt").write_bytes("na\xefve caf\xe9".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.txt'?: must be UTF-8 text"):
        prepare(CorpusConfig(source=f"files:{home}/*.txt", vocab_size=300))
    (home / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(InputError, match=r"\.txt, \.md, .* is read"):
        prepare(CorpusConfig(source=f"files:{home}/*.pdf", vocab_size=300))
    write_documents(home)
    with pytest.raises(InputError, match="has the fields text"):
        prepare(CorpusConfig(source=f"files:{home}/*.gz", vocab_size=300, text_field="body"))
    assert not list((home / "data" / "corpora").glob("[!.]*/"))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    """25 MB or 74 MB of text, the same peak to within 40 MB; less does not fill all buffers."""
    peaks = []
    for n in (5_000, 15_000):
        path = tmp_path / str(n) / "t.jsonl"
        path.parent.mkdir()
        with path.open("w") as out:
            for i in range(n):
                words = " ".join(f"w{(i * 7 + j) % 997}" for j in range(1_000))
                out.write(json.dumps({"text": f"{i} {words}"}) + "\n")
        peaks.append(peak_of_preparing(path, val_fraction=0.2))
    assert peaks[1] < peaks[0] + 40, peaks


def test_real_text_streams(home, shared_data):
    source = f"files:{shared_data}/python_peps/*.jsonl.gz"
    corpus = prepare(CorpusConfig(source=source, vocab_size=1024, max_tokens=300_000))
    assert corpus.slice(262_144, 64).max() < 1024


def test_a_caption_names_a_text_in_words_and_never_by_a_glob():
    def words(source, **fields):
        return CorpusConfig(source=source, vocab_size=300, **fields).words

    assert words("stdlib:prose") == "Python's documentation"
    assert words("files:text/*[!h]/documents.jsonl.gz") == "files in text"
    assert words("files:*.txt") == "files in data"
    assert words("files:mine/book.txt") == "book.txt"
    assert words("hub:org/name@abc") == "org/name"
    labelled = CorpusConfig(source="stdlib", vocab_size=300, label="code and prose")
    assert labelled.words == "code and prose"
    assert labelled.changed("files:a.txt").words == "a.txt", "a label is of one text"
    assert folder_of(labelled) == folder_of(CorpusConfig(source="stdlib", vocab_size=300))

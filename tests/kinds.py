"""Every kind of local file that holds texts, written as people's tools write it."""

import bz2
import gzip
import json
import lzma
import zipfile

import datasets
import pandas as pd
import zstandard


def table(texts):
    return pd.DataFrame({"n": range(len(texts)), "text": texts})


def lines(texts):
    rows = ({"n": i, "text": text} for i, text in enumerate(texts))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def folder(path, texts):
    (path / "in").mkdir(parents=True)
    for i, text in enumerate(texts):
        (path / "in" / f"{i:03}.md").write_text(text)
    (path / ".DS_Store").write_bytes(b"\0")
    (path / "cover.png").write_bytes(b"\x89")


def compressed(path, texts):  # of two frames, as parallel compressors write
    data = lines(texts)
    path.write_bytes(zstandard.compress(data[:50]) + zstandard.compress(data[50:]))


def saved_splits(path, texts):
    train, test = (datasets.Dataset.from_pandas(table(part)) for part in (texts, texts[:1]))
    datasets.DatasetDict(train=train, test=test).save_to_disk(path)


KINDS = {
    "a.jsonl": lambda path, texts: path.write_bytes(lines(texts)),
    "a.ndjson": lambda path, texts: path.write_bytes(b"\xef\xbb\xbf" + lines(texts)),
    "a.json": lambda path, texts: path.write_text(table(texts).to_json(orient="records", indent=2)),
    "lines.json": lambda path, texts: path.write_bytes(lines(texts)),
    "texts.json": lambda path, texts: path.write_text(json.dumps(texts)),
    "a.csv": lambda path, texts: table(texts).to_csv(path, index=False, encoding="utf-8-sig"),
    "a.tsv.xz": lambda path, texts: path.write_bytes(
        lzma.compress(table(texts).to_csv(sep="\t").encode())
    ),
    "a.parquet": lambda path, texts: table(texts).to_parquet(path),
    "a.jsonl.gz": lambda path, texts: path.write_bytes(gzip.compress(lines(texts))),
    "a.jsonl.bz2": lambda path, texts: path.write_bytes(bz2.compress(lines(texts))),
    "a.jsonl.zst": compressed,
    "a.zip": lambda path, texts: zipped(
        path, {f"x/{i:03}.txt": text for i, text in enumerate(texts)} | {"x/cover.png": b"\x89"}
    ),
    "b.zip": lambda path, texts: zipped(
        path, {"a.jsonl": lines(texts), "__MACOSX/._a.jsonl": b"\0"}
    ),
    "folder": folder,
    "saved": lambda path, texts: datasets.Dataset.from_pandas(table(texts)).save_to_disk(path),
    "splits": saved_splits,
}
"""Name of a file or folder -> what writes texts into it."""

"""What may be set about a corpus, and the names of texts and tokenizers (Sec. 2).

    stdlib               source files of the running Python's standard library
    stdlib:code          the same without its documentation of the language
    stdlib:prose         that documentation: the texts behind help("for"), one document a topic
    files:GLOB           .txt, .jsonl, .jsonl.gz, .parquet; a relative glob is below data/
    hub:NAME@REVISION    a Hugging Face data set, or a local folder by its absolute path

CorpusConfig(source="files:books/*.txt", vocab_size=1024)

`text.packing` makes the corpus that is set here, `text.corpus` reads it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ieee_lib.config.fields import Checked, Text, empty_or, number, whole
from ieee_lib.errors import InputError, check
from ieee_lib.paths import below_data, hub_name

STDLIB = ("stdlib", "stdlib:code", "stdlib:prose")


def parse_source(field: str, name: str) -> tuple[str, ...]:
    """Return the parts of a source's name: its kind, then GLOB or NAME and REVISION.

    Raises InputError for another form; `field` is what the message calls the source.
    """
    kind, _, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
    if name in STDLIB:
        return ("stdlib",)
    if kind == "files" and rest:
        below_data(field, rest)
        return kind, rest
    if kind == "hub" and "@" in rest:
        folder, _, revision = rest.rpartition("@")
        local = os.path.isabs(folder) and revision != ""
        return (kind, folder, revision) if local else (kind, *hub_name(field, name))
    allowed = f"allowed are {', '.join(STDLIB)}, files:GLOB and hub:NAME@REVISION"
    raise InputError(field, name, allowed)


def tokenizer_file(name: str) -> Path | None:
    """Return the file that a tokenizer's name gives; None for bpe and for the hub's.

    Raises InputError for another form, and for a file that is not there.
    """
    kind, _, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind == "file" and rest:
        path = below_data("tokenizer", rest)
        allowed = f"names no file; {path} must be a tokenizer.json"
        check(os.path.isfile(path), "tokenizer", name, allowed)
        return path
    if kind == "hub":
        tokenizer_on_hub(name)
    elif name != "bpe":
        raise InputError("tokenizer", name, "allowed are bpe, file:PATH and hub:NAME[@REVISION]")
    return None


def tokenizer_on_hub(name: str) -> tuple[str, str]:
    """Return NAME and REVISION of hub:NAME[@REVISION]; the revision is main where none is given."""
    return hub_name("tokenizer", name if "@" in name else f"{name}@main")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(Checked, prefix="corpus."):
    """How to make a packed corpus."""

    source: str
    """stdlib, files:GLOB (below data/ or absolute) or hub:NAME@REVISION."""
    vocab_size: Annotated[int, whole(257, 2**32)]
    """Entries of the tokenizer; a loaded tokenizer must not have more."""
    tokenizer: str = "bpe"
    """bpe (trained on the training split), file:PATH or hub:NAME[@REVISION]."""
    val_source: Annotated[str, empty_or(parse_source)] = ""
    """Source of the validation documents; empty: a share of `source`."""
    val_fraction: Annotated[float, number(above=0.0, below=1.0)] = 0.1
    """Share of the documents held out where there is no `val_source`."""
    text_field: Text = "text"
    """Field of a record that holds its text; a+b joins two by a line end."""
    max_tokens: Annotated[int, whole(0)] = 0
    """Stop packing the training split here; 0: take everything. Tokens."""
    credits: Text = ""
    """Whose the text is, as its licence asks to be told; every record repeats it."""

    def __post_init__(self) -> None:
        parse_source("corpus", self.source)
        tokenizer_file(self.tokenizer)
        super().__post_init__()

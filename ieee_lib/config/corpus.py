"""What may be set about a corpus, and the names of texts and tokenizers (Sec. 2).

    stdlib               source files of the running Python's standard library
    stdlib:code          the same without its documentation of the language
    stdlib:prose         that documentation: the texts behind help("for"), one document a topic
    files:PATH           a file, a folder or a glob; a relative one is below data/
    hub:NAME@REVISION    a Hugging Face data set, or a local folder by its absolute path

`text.files` says which files are read. Options follow a name in the words of the command line, in
a notebook's `corpus` too:

    CorpusConfig(source="stdlib", vocab_size=1024).changed("files:my.txt --split paragraph")

`text.packing` makes the corpus that is set here, `text.corpus` reads it.
"""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from ieee_lib.config.fields import Checked, Text, check_text, empty_or, number, whole
from ieee_lib.errors import InputError, check, check_choice
from ieee_lib.paths import below_data, hub_name

STDLIB = {
    "stdlib": "Python's standard library",
    "stdlib:code": "Python's standard library (code)",
    "stdlib:prose": "Python's documentation",
}
"""Source -> its name in words."""

SPLITS = ("document", "paragraph", "line")
"""Named ways to cut a file or record into documents; any other text is where they are cut."""

OPTIONS = {
    "split": "documents of a file or record: document, paragraph, line, or what separates them",
    "text_field": "field of a record that holds its text; a+b joins two",
    "val_source": "validation documents come from here: files:PATH, hub:…",
    "val_fraction": "share held out without --val-source",
    "tokenizer": "bpe (trained on the text), file:PATH or hub:NAME[@REVISION]",
    "vocab_size": "entries of the tokenizer, at most",
    "max_tokens": "stop packing the training split here; 0: take everything",
    "credits": "whose the text is; every record repeats it",
    "label": "what figures call the text",
}
"""Every option of a corpus -> what it says."""


def parse_source(field: str, name: str) -> tuple[str, ...]:
    """Return the parts of a source's name: its kind, then PATH or NAME and REVISION.

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
    allowed = f"allowed are {', '.join(STDLIB)}, files:PATH and hub:NAME@REVISION"
    if isinstance(name, str) and (path := name.removeprefix("file:")) and _may_be_path(path):
        allowed += f" (did you mean {'files:' + path!r}?)"
    raise InputError(field, name, allowed)


def _may_be_path(name: str) -> bool:
    """Say whether a name without a kind looks like a file, a folder or a glob."""
    looks = re.search(r"[/\\*~]|\.\w{2,8}$", name) is not None and ":" not in name[2:]
    return looks or (name != "" and "\0" not in name and os.path.exists(name))


def parse_corpus(field: str, text: str) -> tuple[str, dict[str, str]]:
    """Return source and options of "SOURCE --option value …"; either may be left out.

    Raises InputError for an option that is unknown, given twice, or without a value.
    """
    check_text(field, text)
    source, dashes, rest = re.fullmatch(r"(.*?)(?:(?:^|\s+)(--)(.*))?", text, re.DOTALL).groups()  # type: ignore[union-attr] # it matches any text
    try:
        words = shlex.split(f"{dashes or ''}{rest or ''}")
    except ValueError as error:
        raise InputError(field, text, f"must be SOURCE --option value …: {error}") from error
    options: dict[str, str] = {}
    while words:
        word, *words = words
        name = word.removeprefix("--").replace("-", "_")
        choices = [flag(option) for option in OPTIONS]
        check_choice(f"{field}: option", word, choices)
        check(bool(words) and name not in options, f"{field}: option", word, "takes one value")
        options[name], *words = words
    return source.strip(), options


def flag(option: str) -> str:
    """Return what a corpus option is called on the command line."""
    return f"--{option.replace('_', '-')}"


def corpus_text(source: str, options: Mapping[str, str | None]) -> str:
    """Return the one text that says source and options; `parse_corpus` reads it."""
    given = [(flag(name), value) for name, value in options.items() if value is not None]
    words = [f"{name} {shlex.quote(value)}" for name, value in given]
    return " ".join([source, *words]).strip()


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


def _check_split(name: str, value: Any) -> None:
    check_text(name, value)
    check(value.strip(" ") != "", name, value, f"must be {', '.join(SPLITS)} or a separator")


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(Checked, prefix="corpus."):
    """How to make a packed corpus."""

    source: str
    """stdlib, files:PATH (below data/ or absolute) or hub:NAME@REVISION."""
    vocab_size: Annotated[int, whole(257, 2**32)]
    """Entries of the tokenizer; a loaded tokenizer must not have more."""
    tokenizer: str = "bpe"
    """bpe (trained on the training split), file:PATH or hub:NAME[@REVISION]."""
    val_source: Annotated[str, empty_or(parse_source)] = ""
    """Source of the validation documents; empty: a share of `source`."""
    val_fraction: Annotated[float, number(above=0.0, below=1.0)] = 0.1
    """Share held out where there is no `val_source`: of the documents or, where that is less than
    one, of each of them, its end."""
    text_field: Text = "text"
    """Field of a record that holds its text; a+b joins two by a line end."""
    split: Annotated[str, _check_split] = "document"
    """What makes a document of a file's or record's text: all of it (document), paragraphs (blank
    lines between them), lines, or what lies between two of any other text (\\n is a line end)."""
    max_tokens: Annotated[int, whole(0)] = 0
    """Stop packing the training split here; 0: take everything. Tokens."""
    credits: Text = ""
    """Whose the text is, as its licence asks to be told; every record repeats it."""
    label: Text = ""
    """What captions call the text; empty: see `words`."""

    def __post_init__(self) -> None:
        parse_source("corpus", self.source)
        tokenizer_file(self.tokenizer)
        super().__post_init__()

    @property
    def words(self) -> str:
        """Return what a caption calls the text: its label, or its source without a glob."""
        kind, _, name = self.source.partition(":")
        if self.label or kind == "stdlib":
            return self.label or STDLIB[self.source]
        if kind == "hub":
            return name.rpartition("@")[0]
        fixed = re.split(r"[*?[]", name)[0]
        return (
            Path(name).name if fixed == name else f"files in {fixed.rpartition('/')[0] or 'data'}"
        )

    def changed(self, corpus: str, *, field: str = "corpus") -> "CorpusConfig":
        """Return it with what "SOURCE --option value …" says; another source ends `val_source`.

        Raises InputError for a source, an option or a value that is not allowed.
        """
        source, options = parse_corpus(field, corpus)
        changes: dict[str, Any] = dict(options)
        for name, kind in (("vocab_size", int), ("max_tokens", int), ("val_fraction", float)):
            if name in options:
                try:
                    changes[name] = kind(options[name])
                except ValueError:
                    allowed = f"must be {'a whole' if kind is int else 'a'} number"
                    raise InputError(flag(name), options[name], allowed) from None
        if source not in ("", self.source):
            changes = {"val_source": "", "credits": "", "label": "", "split": "document", **changes}
            changes["source"] = source
        return replace(self, **changes)

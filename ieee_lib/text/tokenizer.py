"""Byte-level BPE: trained on the training split, or any `tokenizer.json` or hub tokenizer.

tokenizer = train_bpe(texts, vocab_size=1024)
tokenizer = load_tokenizer("file:path/tokenizer.json")
tokenizer = load_tokenizer("hub:meta-llama/Meta-Llama-3.1-8B")
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ieee_lib.config.corpus import tokenizer_file, tokenizer_on_hub
from ieee_lib.errors import InputError, check, first_line

SEPARATORS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")
"""Names of the token put after each document; the first one in the vocabulary is taken."""


def train_bpe(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE tokenizer of `vocab_size` entries, the separator included."""
    check(vocab_size >= 257, "vocab_size", vocab_size, "must be at least 257 (bytes, separator)")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[SEPARATORS[0]],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_tokenizer(name: str) -> Tokenizer:
    """Load `file:PATH` or `hub:NAME[@REVISION]`; raises InputError when it cannot be had."""
    file = tokenizer_file(name)
    try:
        if file is not None:
            return Tokenizer.from_file(str(file))
        repository, revision = tokenizer_on_hub(name)
        return Tokenizer.from_pretrained(repository, revision=revision)
    except InputError:
        raise
    except Exception as error:  # tokenizers raises plain Exception for everything
        raise InputError("tokenizer", name, f"cannot be loaded: {first_line(error)}") from error


def as_text(tokenizer: Tokenizer) -> Tokenizer:
    """Make a tokenizer encode all of a text and nothing else; return it.

    A file may have been saved with padding, truncation or dropout, none of which is text; and a
    special token that a text quotes is no token but text.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if getattr(tokenizer.model, "dropout", None):
        tokenizer.model.dropout = None
    # One that a file does not call special would still be found in a text.
    tokenizer.add_special_tokens([t for t in SEPARATORS if tokenizer.token_to_id(t) is not None])
    tokenizer.encode_special_tokens = True
    return tokenizer


def separator_id(tokenizer: Tokenizer, name: str = "of the corpus") -> int:
    """Return the id of the token that ends a document; `name` is the tokenizer's, for messages."""
    for token in SEPARATORS:
        token_id = tokenizer.token_to_id(token)
        if token_id is not None:
            return token_id
    allowed = f"must know one of {', '.join(SEPARATORS)} to end a document with"
    raise InputError("tokenizer", name, allowed)

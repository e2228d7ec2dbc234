"""What a record holds that is read again, kind by kind.

A record whose checksum holds may still be somebody else's: what does not fit is treated as
damaged, so that no reader meets a field that is missing or of another type.

fits(record, FORMS[record["kind"]])
"""

from typing import Any

NONE = type(None)

Form = type | tuple | list | dict[str, Any]
"""A type; alternatives; a list of one form; a dictionary with at least these fields."""

CORPUS = {
    "source": str,
    "fingerprint": str,
    "vocab_size": int,
    "documents": {"train": int, "val": int, "duplicates": int},
    "tokens": {"train": int, "val": int},
}
COMMON = {
    "run_id": str,
    "status": str,
    "spec": dict,
    "tokens": int,
    "flops": float,
    "seconds": float,
    "corpus": CORPUS,
    "versions": dict,
}
LOSS = (float, NONE)
TRAIN = {
    "spec": {"seed_tokens": int, "model": {"n_layer": int, "n_embd": int, "block_size": int}},
    "parameters": {"total": int, "non_embedding": int},
    "val_loss": LOSS,
    "train_loss": LOSS,
    "curve": [{"step": int, "tokens": int, "train_loss": LOSS, "val_loss": LOSS}],
    "device": str,
    "stack": {"size": int},
    "weights": (NONE, {"sha256": str}),
}
MEMBERS = {"N": int, "members": [str], "diverged": [str], "subsets": [[int]]}

FORMS: dict[str, Form] = {
    "train": {**COMMON, **TRAIN},
    "ensemble": {**COMMON, **MEMBERS, "losses": {"logits": [float], "probabilities": [float]}},
    "sample": {**COMMON, "spec": {"model": {"block_size": int}}, "shards": [str]},
    "evaluation": {**COMMON, **MEMBERS, "spec": {"task": str}, "correct": dict},
}

FAILURE: Form = {"run_id": str, "spec": dict, "why": str, "host": str, "when": str}


def fits(value: Any, form: Form) -> bool:
    """Say whether a value from JSON has a form."""
    if isinstance(form, dict):
        whole = isinstance(value, dict) and value.keys() >= form.keys()
        return whole and all(fits(value[name], part) for name, part in form.items())
    if isinstance(form, list):
        return isinstance(value, list) and all(fits(item, form[0]) for item in value)
    if isinstance(form, tuple):
        return any(fits(value, alternative) for alternative in form)
    return isinstance(value, form)

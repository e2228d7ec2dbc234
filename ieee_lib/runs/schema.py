"""What a record holds, kind by kind, and how older layouts are read.

A record whose checksum is right may still be somebody else's: what does not fit its form is
treated as damaged, so that no reader meets a field that is missing or of another type.

    record = current(json.loads(text), "x.json")       # verified, in today's schema
"""

from typing import Any

from ieee_lib.config import RunSpec
from ieee_lib.errors import InputError, check, check_choice
from ieee_lib.files import verify_checksum, with_checksum

SCHEMA = 3
"""Version of a record's layout; `current` reads the older ones."""

WHEN = ("begun", "created")
CIRCUMSTANCES = (*WHEN, "seconds", "stack", "device", "versions", "commit", "sha256")
"""What a record says of when, where and how fast; the rest is its result."""

Record = dict[str, Any]
"""One run's record, as its JSON; `FORMS` says which fields it has."""

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


def result_of(record: Record) -> Record:
    """Return a record without its circumstances: equal for two trainings of one run."""
    return {name: value for name, value in record.items() if name not in CIRCUMSTANCES}


def sealed(record: Record) -> Record:
    """Return the record with its schema version and the sha256 of everything else."""
    return with_checksum({"schema": SCHEMA, **record})


def current(record: Any, where: str) -> Record:
    """Return an intact record in today's schema; raises InputError for a newer one, or damage."""
    schema = schema_of(record)
    allowed = f"has schema {schema}; this version reads 1 to {SCHEMA}"
    if not isinstance(schema, int) or not 1 <= schema <= SCHEMA:
        raise InputError("record", where, allowed)
    record = verify_checksum(record, where)
    check_choice("record: kind", record.get("kind"), FORMS)
    allowed = f"is damaged: it is no record of kind {record['kind']}"
    check(fits(record, FORMS[record["kind"]]), "record", where, allowed)
    if schema < SCHEMA:
        record = with_checksum({**_name_all_options(record), "schema": SCHEMA})
    return record


def schema_of(record: Any) -> Any:
    """Return the schema that a record says it has; None where it is no record."""
    return record.get("schema") if isinstance(record, dict) else None


def _name_all_options(record: Record) -> Record:
    """Return a record of schema 1 or 2 with the options that came after it.

    Schema 1 also left out how long a stack compiled and validated.
    """
    if record["kind"] != "train":
        return record
    times = dict.fromkeys(("compile_seconds", "evaluation_seconds"))
    spec = RunSpec.from_dict(record["spec"]).to_dict()
    return {**record, "spec": spec, "stack": {**times, **record["stack"]}}

"""Multiple-choice tasks of lm-eval, from the hub or from local files (Sec. 7.1).

Prompts, choices and metrics are lm-eval's own in both cases: a local file only replaces the hub's.
Files have the form that their authors publish, in one folder:

    piqa/valid.jsonl, piqa/valid-labels.lst      sciq/valid.jsonl      arc_easy/ARC-Easy-test.jsonl

    task = open_task("piqa")                                   # from the hub
    task = open_task("piqa", files=Path("items"))
    split_of(task)                                             # validation
"""

import contextlib
import difflib
import functools
import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ieee_lib.errors import InputError, Unreachable, check, check_choice
from ieee_lib.evaluation.probe import PROBE
from ieee_lib.files import parse_json, sha256_of

Row = dict[str, Any]


def _texts(row: Row, fields: Sequence[str]) -> Row:
    """Return some fields of a row; raises InputError where one is not text."""
    for field in fields:
        check(isinstance(row[field], str), field, row[field], "must be text")
    return {field: row[field] for field in fields}


def _piqa(row: Row, label: str) -> Row:
    check(label in ("0", "1"), "label", label, "must be 0 or 1")
    return {**_texts(row, ("goal", "sol1", "sol2")), "label": int(label)}


def _sciq(row: Row) -> Row:
    fields = ("question", "support", "correct_answer", *(f"distractor{i}" for i in (1, 2, 3)))
    return _texts(row, fields)


def _arc(row: Row) -> Row:
    question = _texts(row["question"], ("stem",))["stem"]
    choices = [_texts(choice, ("text", "label")) for choice in row["question"]["choices"]]
    listed = {name: [choice[name] for choice in choices] for name in ("text", "label")}
    check_choice("answerKey", row["answerKey"], listed["label"])
    return {"question": question, "choices": listed, "answerKey": row["answerKey"]}


@dataclass(frozen=True)
class LocalTask:
    """Say how the items of a task are read from local files."""

    yaml: str
    """lm-eval's own definition, below its folder of tasks."""
    split: str
    """Split that the local file holds."""
    items: str
    """File of items below the folder, one JSON object a line."""
    row: Callable[..., Row]
    """Turns a line's object (and its label) into the hub's row."""
    labels: str = ""
    """File of labels, one a line, where the items have none."""

    @property
    def names(self) -> list[str]:
        """Return the names of its files, below the folder."""
        return [name for name in (self.items, self.labels) if name]


LOCAL = {
    "piqa": LocalTask(
        "piqa/piqa.yaml", "validation", "piqa/valid.jsonl", _piqa, "piqa/valid-labels.lst"
    ),
    "sciq": LocalTask("sciq/sciq.yaml", "validation", "sciq/valid.jsonl", _sciq),
    "arc_easy": LocalTask("arc/arc_easy.yaml", "test", "arc_easy/ARC-Easy-test.jsonl", _arc),
}
"""The paper's three tasks, metric acc. SciQ from the hub is scored on its test split."""


FEWSHOT_SEED = 1234
"""lm-eval's own default, for tasks that show examples first."""


def digests(name: str, files: str | Path) -> dict[str, str]:
    """Return the sha256 of each local file of a task; raises InputError for a missing one."""
    allowed = f"can hold items of {', '.join(LOCAL)} only, not of {name}"
    check(name in LOCAL, "files", str(files), allowed)
    sha256 = {}
    for file in LOCAL[name].names:
        path = Path(files).expanduser() / file
        check(path.is_file(), "files", str(path), f"is missing; task {name} needs it")
        sha256[file] = sha256_of(path)
    return sha256


def fingerprint(name: str, files: str | Path) -> str:
    """Return 16 digits that name the content of a task's local files."""
    return hashlib.sha256(json.dumps(digests(name, files)).encode()).hexdigest()[:16]


def open_task(name: str, *, files: str | Path | None = None) -> Any:
    """Return the lm-eval task of that name; its items are local where `files` is a folder.

    Raises InputError for an unknown name, a task that is not multiple-choice or has no accuracy,
    and files that are missing or malformed; Unreachable for a hub or a package.
    """
    rows = None if files is None else _local_rows(name, Path(files).expanduser())
    with quiet():
        try:
            task = _paper_task(name, rows) if name in LOCAL else _indexed_task(name)
        except ModuleNotFoundError as error:
            raise Unreachable("task", name, f"needs a package: pip install {error.name}") from error
        except Exception as error:  # no network, no such data set: `datasets` has many types
            if rows is not None or isinstance(error, InputError):
                raise
            cause = (str(error).splitlines() or [type(error).__name__])[0]
            allowed = f"its items cannot be had from the hub ({cause}); "
            allowed += f"`files` takes a folder with local files of {', '.join(LOCAL)}"
            raise Unreachable("task", name, allowed) from error
    metrics = ", ".join(task.aggregation())
    check("acc" in task.aggregation(), "task", name, f"must have the metric acc; it has {metrics}")
    task.set_fewshot_seed(FEWSHOT_SEED)
    return task


def split_of(task: Any) -> str:
    """Return the split whose items lm-eval scores: test where a task has one."""
    return task.config.test_split or task.config.validation_split


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the messages and bars of lm-eval and `datasets`."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _paper_task(name: str, rows: list[Row] | None) -> Any:
    """Return one of the three tasks, without reading lm-eval's 14,000 definitions."""
    import lm_eval
    import yaml
    from datasets import Dataset, DatasetDict
    from lm_eval.api.task import ConfigurableTask

    local = LOCAL[name]
    definition = Path(lm_eval.__file__).parent / "tasks" / local.yaml
    config = yaml.safe_load(definition.read_text())
    config.pop("tag", None)
    if rows is not None:
        items = DatasetDict({local.split: Dataset.from_list(rows)})
        config["custom_dataset"] = lambda **_: items
        for split in ("training", "validation", "test"):
            config[f"{split}_split"] = split if split == local.split else None
    return ConfigurableTask(config=config)


def _indexed_task(name: str) -> Any:
    """Return any multiple-choice task of lm-eval, by the index of its definitions."""
    manager = _index()
    if name not in manager.all_subtasks:
        near = difflib.get_close_matches(name, manager.all_subtasks, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        kind = "is a group of tasks" if name in manager.all_tasks else "is no task of lm-eval"
        allowed = f"{kind}{hint}; `lm-eval ls subtasks` lists its tasks, {PROBE} is the probe"
        raise InputError("task", name, allowed)
    kind = manager.task_index[name].cfg.get("output_type", "not stated")
    allowed = f"must be multiple-choice; its output_type is {kind}"
    check(kind == "multiple_choice", "task", name, allowed)
    return manager.load(name)["tasks"][name]


@functools.cache
def _index() -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager()


def _local_rows(name: str, folder: Path) -> list[Row]:
    """Read a task's local files into the hub's rows."""
    digests(name, folder)  # names a file that is missing
    task = LOCAL[name]
    path = folder / task.items
    lines = _lines(path)
    check(bool(lines), "files", str(path), "holds no item")
    labels: list[tuple[str, ...]] = [()] * len(lines)
    if task.labels:
        labels = [(line.strip(),) for line in _lines(folder / task.labels)]
        allowed = f"holds {len(labels)} labels for the {len(lines)} items of {path.name}"
        check(len(labels) == len(lines), "files", str(folder / task.labels), allowed)
    rows = []
    for number, (line, label) in enumerate(zip(lines, labels, strict=True), start=1):
        try:
            rows.append(task.row(parse_json(line), *label))
        except (ValueError, KeyError, TypeError) as error:
            cause = f"lacks {error}" if isinstance(error, KeyError) else error
            allowed = f"line {number} is no item of {name}: {cause}"
            raise InputError("files", str(path), allowed) from error
    return rows


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file that are not empty."""
    try:
        with path.open(encoding="utf-8") as lines:
            return [line for line in lines if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError("files", str(path), f"must be UTF-8 text ({error.reason})") from error

"""Whatever is read ends in a value, an InputError, or a file set aside: never in a traceback."""

import contextlib
import copy
import gzip
import json
import os
import tempfile
import tomllib
import warnings
from functools import cache, reduce
from operator import getitem
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ieee_lib import InputError, ModelConfig, RunSpec, Scale, paths
from ieee_lib.config.scale import FOLDER
from ieee_lib.runs.frames import curves_frame, runs_frame
from ieee_lib.runs.schema import FORMS
from ieee_lib.runs.store import SCHEMA, Archive, RunStore, sealed
from tests.conftest import ROOT, TINY

TIMES = int(os.environ.get("IEEE_LIB_FUZZ", "1"))
"""How many times the usual number of examples."""


def fuzz(examples):
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        deadline=None, derandomize=TIMES == 1, max_examples=TIMES * examples,
        suppress_health_check=slow,
    )  # fmt: skip


SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 70) | st.integers() | st.floats()
    | st.text(max_size=12) | st.sampled_from([10**30, 10**400, -(2**63), 1e308, 5e-324])
    | st.sampled_from(["", "..", "../x", "hub:a@b", "files:../*", "file:x", "0" * 16, "stdlib"])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def dumped(value):
    return json.dumps(value).encode()


def places(value, at=()):
    """Yield the way to every value inside a nested one."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*at, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*at, key))


@st.composite
def mutated(draw, valid):
    """A valid value with one to three others put in, taken out or changed, anywhere."""
    value = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        ways = list(places(value))
        if not ways:
            break
        *above, last = draw(st.sampled_from(ways))
        holder = reduce(getitem, above, value)
        new = draw(JSON | st.sampled_from(ways).map(lambda way: reduce(getitem, way, value)))
        match draw(st.sampled_from(["change", "remove", "insert"])):
            case "change":
                holder[last] = copy.deepcopy(new)
            case "remove":
                del holder[last]
            case "insert" if isinstance(holder, list):
                holder.insert(last, copy.deepcopy(new))
            case "insert":
                holder[draw(st.text(max_size=6))] = copy.deepcopy(new)
    return value


SPEC = RunSpec(model=TINY, corpus="0" * 16, seed_tokens=1024, epochs=2, lr=1e-2, wd=0.8).to_dict()


@fuzz(600)
@given(mutated(SPEC) | JSON)
def test_a_spec_is_built_or_refused(fields):
    with contextlib.suppress(InputError):
        spec = RunSpec.from_dict(fields)
        assert RunSpec.from_dict(json.loads(json.dumps(spec.to_dict()))).run_id == spec.run_id
        assert isinstance(spec.model, ModelConfig) and spec.cost > 0 and spec.summary


SHIPPED = {path.stem: tomllib.loads(path.read_text()) for path in FOLDER.glob("*.toml")}


@fuzz(250)
@given(st.sampled_from(["smoke", "paper"]).flatmap(lambda name: mutated(SHIPPED[name])) | JSON)
def test_a_scale_is_built_or_refused(table):
    with contextlib.suppress(InputError):
        scale = Scale.from_dict("mine", table)
        assert scale.spec(next(iter(scale.models)), corpus="0" * 16, wd=0.1, lr=1e-3, epochs=1)


TEXT = (FOLDER / "smoke.toml").read_text()


@st.composite
def spoiled_toml(draw):
    """The smoke scale with some of its text replaced, or any bytes at all."""
    begin = draw(st.integers(0, len(TEXT)))
    end = draw(st.integers(begin, min(begin + 40, len(TEXT))))
    put = draw(st.text(max_size=20) | st.sampled_from(["[" * 5000, "9" * 5000, "0x" + "f" * 5000]))
    spoiled = (TEXT[:begin] + put + TEXT[end:]).encode("utf-8", "surrogatepass")
    return draw(st.just(spoiled) | st.binary(max_size=200))


@fuzz(150)
@given(spoiled_toml())
def test_a_scale_file_is_read_or_refused(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mine.toml")
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            assert Scale.load(str(path)).name == "mine"


@cache
def true_records():
    """One recorded run of each kind, in today's schema."""
    path = ROOT / "data" / "archive" / "laptop.jsonl.gz"
    return {record["kind"]: record for record in Archive(path).records()}


@contextlib.contextmanager
def store_with(name, data):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        store = RunStore(*(Path(folder, kind) for kind in ("runs", "weights", "samples")))
        store.records_folder.mkdir()
        path = store.records_folder / f"{name}.json"
        path.write_bytes(data)
        yield store, path, warned


def read(name, data):
    """Return what the store makes of a file: the record, or None where it was set aside.

    Nothing else may happen, but that a newer schema is refused by name.
    """
    with store_with(name, data) as (store, path, warned):
        try:
            record = store.get(name)
        except InputError as error:
            assert "has schema" in str(error) and path.is_file()
            assert json.loads(data)["schema"] > SCHEMA
            return None
        aside = path.with_name(f"{path.name}.damaged")
        assert aside.is_file() == bool(warned) == (not path.is_file()) == (record is None)
        records = list(store.records())
        assert dumped(records) == dumped([record] * (record is not None))  # NaN equals nothing
        assert len(runs_frame(records)) == sum(r["kind"] == "train" for r in records)
        curves_frame(records)
        store.has(name, weights=True)
        return record


@fuzz(300)
@given(st.binary(max_size=300) | JSON.map(dumped) | st.just(b"[" * 9999))
def test_what_is_no_record_is_set_aside(data):
    assert read("0" * 16, data) is None


@fuzz(200)
@given(st.dictionaries(st.sampled_from(["schema", "kind", "run_id", "spec", "sha256"]), JSON))
def test_what_only_looks_like_a_record_is_set_aside(fields):
    assert read("0" * 16, dumped(fields)) is None


@fuzz(400)
@given(st.sampled_from(list(FORMS)).flatmap(lambda kind: mutated(true_records()[kind])), st.data())
def test_a_sealed_record_is_read_whole_or_set_aside(record, data):
    """The right checksum on the wrong content."""
    name = data.draw(st.sampled_from([r["run_id"] for r in true_records().values()]))
    found = read(name, dumped(sealed(record)))
    assert found is None or found["run_id"] == name


@fuzz(400)
@given(st.sampled_from(list(FORMS)), st.data())
def test_a_flipped_bit_never_changes_a_record(kind, data):
    record = true_records()[kind]
    text = bytearray(dumped(record))
    text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found = read(record["run_id"], bytes(text))
    assert found is None or found == record


@fuzz(150)
@given(st.data())
def test_a_flipped_bit_in_an_archive_is_refused(data):
    lines = [dumped(record) + b"\n" for record in true_records().values()]
    packed = bytearray(gzip.compress(b"".join(lines), mtime=0))
    place, bit = data.draw(st.integers(0, len(packed) - 1)), data.draw(st.integers(0, 7))
    packed[place] ^= 1 << bit
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.jsonl.gz")
        path.write_bytes(packed)
        with contextlib.suppress(InputError):
            assert list(Archive(path).records()) == list(true_records().values())


@fuzz(300)
@given(st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "a", "~", ""])).map("/".join))
def test_a_relative_path_stays_below_data(text):
    with contextlib.suppress(InputError):
        path = paths.below_data("files", text)
        inside = Path(os.path.abspath(path)).is_relative_to(paths.data())
        assert inside or os.path.isabs(os.path.expanduser(text))

"""Nothing that is read is ever run: no pickle, no remote code, no parameter."""

import ast
import gzip
import json
import os
import pickle
import re
import subprocess
import sys
import textwrap
import time
import tracemalloc
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

from ieee_lib import InputError, paths
from ieee_lib.book import readme
from ieee_lib.cli import main
from ieee_lib.config import CorpusConfig
from ieee_lib.config.execution import Execution
from ieee_lib.files import write_checked
from ieee_lib.jobs.train_job import TrainJob
from ieee_lib.model.llama import read_llama
from ieee_lib.runs import store as stores
from ieee_lib.runs.store import Archive, RunStore, pack_archive
from ieee_lib.text.corpus import open_corpus
from ieee_lib.text.packing import prepare
from ieee_lib.training.scoring import load_stack
from tests.conftest import ROOT, TINY

EXECUTION = Execution(compile="never", accelerator="cpu", logger="none")

# The code itself

NEVER_IMPORTED = {
    "cloudpickle", "dill", "joblib", "marshal", "pickle", "runpy", "shelve", "tarfile", "zipfile",
}  # fmt: skip
TRUSTED = {
    "ieee_lib/__init__.py": {"importlib.import_module"},  # names of its own table
    "ieee_lib/book/__init__.py": {"importlib.import_module"},  # likewise
    "ieee_lib/book/run.py": {"runpy"},  # the project's own notebooks, as papermill runs them
    "ieee_lib/text/files.py": {"zipfile"},  # reads texts where they are packed, unpacks nothing
}
"""Module -> what it alone may use: none reads what it runs from data or a parameter."""
NEVER_CALLED = {
    "__import__", "compile", "eval", "exec", "importlib.import_module", "os.popen", "os.system",
    "pandas.read_pickle", "shutil.unpack_archive", "yaml.load", "yaml.unsafe_load",
}  # fmt: skip
NEVER_SAID = {"allow_pickle", "shell", "trust_remote_code", "weights_only"}
READERS = {
    "ieee_lib.config.scale.Scale.load", "json.loads", "manager.load",
    "numpy.frombuffer", "numpy.memmap", "safetensors.safe_open",
    "safetensors.torch.load_file", "tomllib.loads",
}  # fmt: skip
"""Everything that turns bytes into objects; `manager` is lm-eval's, and knows its own tasks."""


def modules():
    """Yield name and syntax tree of every module of the library and of every notebook."""
    for path in sorted((ROOT / "ieee_lib").rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text())
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        yield path.relative_to(ROOT), ast.parse(code)


def imported(tree):
    """Return the full name behind every name that a module imports."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.split(".")[0]
                names[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node, names):
    """Return the full name of what is called; empty where it is no name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (before := dotted(node.value, names)):
        return f"{before}.{node.attr}"
    return ""


def calls():
    """Yield module, full name and node of every call."""
    for module, tree in modules():
        names = imported(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield module, dotted(node.func, names), node


def test_the_library_runs_nothing_that_it_reads():
    for module, tree in modules():
        used = {name.split(".")[0] for name in imported(tree).values()}
        assert not used & NEVER_IMPORTED - TRUSTED.get(str(module), set()), module
        texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        assert not {text for text in texts if isinstance(text, str)} & NEVER_SAID, module
    for module, name, node in calls():
        banned = NEVER_CALLED - TRUSTED.get(str(module), set())
        assert name not in banned, (module, node.lineno, name)
        assert not {keyword.arg for keyword in node.keywords} & NEVER_SAID, (module, node.lineno)


def test_safetensors_is_the_only_reader_of_weights():
    verbs = re.compile(
        r".*\b(load|loads|load_file|load_from_checkpoint|safe_open|frombuffer|fromfile|memmap)"
    )
    found = {name for _, name, _ in calls() if verbs.fullmatch(name)}
    assert found == READERS


def test_remote_code_is_trusted_nowhere():
    """`datasets` runs no scripts from version 4 on; nobody asks any loader to."""
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    assert int(lock["datasets"].split(".")[0]) >= 4
    loaders = [name for _, name, _ in calls() if name.split(".")[-1] in LOADERS]
    assert len(loaders) >= 3  # two of data sets, one of tokenizers
    for path in (ROOT / "tests").rglob("*.py"):
        given = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.keyword))
        assert "trust_remote_code" not in {keyword.arg for keyword in given}, path


LOADERS = {"load_dataset", "from_pretrained", "snapshot_download"}

# Parameters


def attacks(marker):
    command = f"touch {marker}"
    return [
        f'"; import os; os.system("{command}") #',
        f"'\nimport os\nos.system('{command}')\n'",
        f'"""\nimport os\nos.system("{command}")\n"""',
        f'\\"; __import__("os").system("{command}") #',
        f'{{{{__import__("os").system("{command}")}}}}',
        f"$({command}); `{command}`",
    ]


SEEN_BY = {"context": "00", "wd": "01", "max_epochs": "01", "files": "07", "target": "08"}


@pytest.mark.parametrize("name", SEEN_BY)
def test_code_as_a_parameter_is_refused_by_name(project, capsys, name):
    marker = project / "marker"
    command = ["reproduce", "--scale", "smoke", "--only", SEEN_BY[name], "-p"]
    for attack in attacks(marker):
        assert main([*command, name, attack]) == 2
        said = capsys.readouterr().err
        assert f"error: {name} = " in said and "Traceback" not in said
        assert main([*command, f"{name} = 1; {attack} #", "1"]) == 2
        assert "error: parameter = " in capsys.readouterr().err
        assert not marker.exists()


def test_code_through_papermill_is_data(project):
    """Every parameter of a notebook is an attack; the cell that gets them holds them as texts."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    marker, out = project / "marker", project / "out.ipynb"
    given = dict(zip(("corpus", "source", "context", "target"), attacks(marker), strict=False))
    notebook = str(project / "notebooks" / "08_continued_pretraining.ipynb")
    with pytest.raises(PapermillExecutionError) as error:
        papermill.execute_notebook(
            notebook, str(out), {"scale": "smoke", **given}, kernel_name="python3",
            progress_bar=False,
        )  # fmt: skip
    assert error.value.ename == "InputError" and error.value.evalue.startswith("source = ")
    assert not marker.exists()
    cells = nbformat.read(out, as_version=4).cells
    (cell,) = (c for c in cells if "injected-parameters" in c.metadata.get("tags", []))
    assigned = {
        node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body
    }
    assert assigned == {"scale": "smoke", **given}


def test_a_path_leaves_the_data_folder_only_when_it_says_so(project):
    outside = project / "outside.txt"
    outside.write_text("secret")
    with pytest.raises(InputError, match="must not climb with"):
        CorpusConfig(source="files:../*.txt", vocab_size=300)
    assert paths.below_data("files", "mine") == project / "data" / "mine"
    assert paths.below_data("files", str(outside)) == outside
    for name in ("../x", "a/b", ".", "..", "", "a\0b", "x" * 65):
        with pytest.raises(InputError, match="its name must be"):
            RunStore.of(name)
        with pytest.raises(InputError, match="its name must be"):
            paths.archive(name)


# Pickles


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


@pytest.fixture
def bomb(tmp_path):
    """A pickle that must never go off; it does where it is loaded."""
    marker = tmp_path / "exploded"
    data = pickle.dumps(Bomb(marker), protocol=2)
    pickle.loads(data)
    assert marker.exists()
    marker.unlink()
    yield data
    assert not marker.exists()


def test_a_pickle_in_place_of_weights_is_set_aside(bomb, home, spec, corpus):
    unit = TrainJob((spec,), corpus.folder, "smoke", weights=True)
    store = RunStore.of("smoke")
    unit.run(EXECUTION)
    path = store.weights_path(spec.run_id)
    path.write_bytes(bomb)
    with pytest.raises(Exception, match="deserializing header"):
        load_stack(spec.model, [path])
    with pytest.warns(UserWarning, match="is damaged: moved to"):
        assert not store.has(spec.run_id, weights=True)
    unit.run(EXECUTION)
    assert store.has(spec.run_id, weights=True)
    assert path.with_name(f"{path.name}.damaged").read_bytes() == bomb


def test_a_pickle_in_place_of_a_checkpoint_is_set_aside(bomb, home, spec, corpus):
    store = RunStore.of("smoke")
    path = store.unfinished_path([spec.run_id])
    path.parent.mkdir(parents=True)
    path.write_bytes(bomb)
    with pytest.warns(UserWarning, match="is damaged: moved to"):
        TrainJob((spec,), corpus.folder, "smoke", weights=False).run(EXECUTION)
    assert store.get(spec.run_id)["status"] == "done"


def test_a_pickle_in_place_of_a_shard_is_set_aside(bomb, home):
    store = RunStore.of("smoke")
    store.put_shard("0" * 16, 0, b"ids")
    store.shard_path("0" * 16, 0).write_bytes(bomb)
    with pytest.warns(UserWarning, match="is damaged: moved to"):
        assert store.get_shard("0" * 16, 0) is None
    write_checked(store.shard_path("0" * 16, 0), bomb)  # the right checksum: bytes they stay
    assert store.get_shard("0" * 16, 0) == bomb


def test_a_pickle_in_place_of_a_record_is_set_aside(bomb, home):
    store = RunStore.of("smoke")
    store.records_folder.mkdir(parents=True)
    (store.records_folder / f"{'0' * 16}.json").write_bytes(bomb)
    with pytest.warns(UserWarning, match="is damaged: moved to"):
        assert store.get("0" * 16) is None


def test_a_pickle_in_an_archive_is_refused(bomb, tmp_path):
    path = tmp_path / "x.jsonl.gz"
    for data in (bomb, gzip.compress(bomb), gzip.compress(b'{"schema": 1}\n' + bomb)):
        path.write_bytes(data)
        os.utime(path, ns=(0, len(data)))
        with pytest.raises(InputError, match=r"x\.jsonl\.gz"):
            list(Archive(path).records())


@pytest.mark.parametrize("name", ["train.bin", "tokenizer.json", "manifest.json"])
def test_a_pickle_in_a_corpus_is_refused(bomb, home, name):
    texts = [" ".join(f"word{i}x{j}" for j in range(60)) for i in range(40)]
    (home / "t.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    folder = prepare(CorpusConfig(source=f"files:{home}/t.jsonl", vocab_size=300)).folder
    (folder / name).write_bytes(bomb)
    with pytest.raises(InputError, match="missing or damaged"):
        open_corpus(folder)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.jsonl.gz", "a.parquet", "a.pkl"])
def test_a_pickle_as_a_text_is_refused(bomb, home, name):
    (home / "texts").mkdir()
    (home / "texts" / name).write_bytes(bomb)
    for source in (f"files:{home}/texts/{name}", f"hub:{home}/texts@main"):
        with pytest.raises(InputError, match="corpus = "):
            prepare(CorpusConfig(source=source, vocab_size=300))


def test_a_pickle_as_a_model_or_tokenizer_is_refused(bomb, home):
    from ieee_lib.model.llama_format import fields_of
    from ieee_lib.text.tokenizer import load_tokenizer

    (home / "t.json").write_bytes(bomb)
    with pytest.raises(InputError, match="cannot be loaded"):
        load_tokenizer(f"file:{home}/t.json")
    (home / "config.json").write_text(json.dumps(fields_of(TINY)))
    (home / "model.safetensors").write_bytes(bomb)
    with pytest.raises(InputError, match="cannot be read"):
        read_llama(home)
    (home / "model.safetensors").unlink()
    for file in ("pytorch_model.bin", "../model.safetensors", "/model.safetensors"):
        index = {"weight_map": {"model.embed_tokens.weight": file}}
        (home / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(InputError, match=r"must name files beside it, model\*\.safetensors"):
            read_llama(home)


def test_nothing_is_unpickled_from_training_to_figures(home, spec, corpus):
    """Python itself says when a pickle asks for a class; it never does."""
    program = textwrap.dedent(f"""
        import sys
        import torch, lightning, safetensors.torch, tokenizers  # may do at import what they want
        from pathlib import Path
        from ieee_lib import RunSpec
        from ieee_lib.config.execution import Execution
        from ieee_lib.config import EnsembleSpec
        from ieee_lib.runs.frames import load_runs
        from ieee_lib.jobs.score_job import ScoreJob
        from ieee_lib.runs.store import RunStore
        from ieee_lib.training.fit import train
        from ieee_lib.jobs.train_job import TrainJob

        asked = []
        sys.addaudithook(lambda event, about: asked.append(about) if "pickle" in event else None)
        often = Execution(compile="never", accelerator="cpu", logger="none",
                          checkpoint_minutes=1e-6)
        specs = [RunSpec.from_dict({spec.to_dict()!r}).replace(init_seed=s) for s in (0, 1)]
        folder = Path({str(corpus.folder)!r})
        unit = TrainJob(tuple(specs), folder, "smoke", weights=True)
        checkpoint = RunStore.of("smoke").unfinished_path(s.run_id for s in specs)

        def stop(tokens):
            assert not checkpoint.is_file(), "half-way"

        try:
            unit.run(often, stop)
        except AssertionError as error:
            assert "half-way" in str(error)
        assert checkpoint.is_file()
        unit.run(often)
        ScoreJob(EnsembleSpec(tuple(specs)), folder, "smoke").run(often)
        assert len(load_runs("smoke")) == 2
        assert not asked, asked
        import pickle
        pickle.loads(pickle.dumps(folder))
        assert asked, "nobody watched"
        print("read")
    """)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("read"), done.stderr


# Archives


def test_an_archive_that_unpacks_to_more_than_it_may_is_refused(tmp_path, monkeypatch):
    """300 MB of zeros are 300 kB packed; they are refused before they fill the memory."""
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        for _ in range(300):
            out.write(bytes(10**6))
    tracemalloc.start()
    with pytest.raises(InputError, match="must unpack to lines of 16,777,216 bytes"):
        list(Archive(path).records())
    assert tracemalloc.get_traced_memory()[1] < 1e8
    tracemalloc.stop()


def test_odd_lines_in_an_archive_are_refused(tmp_path, monkeypatch):
    records = list(Archive(ROOT / "data" / "archive" / "laptop.jsonl.gz").records())[:3]
    path = tmp_path / "x.jsonl.gz"
    pack_archive(records, path)
    assert list(Archive(path).records()) == records
    lines = gzip.decompress(path.read_bytes())
    first = lines.splitlines(keepends=True)[0]
    for number, extra in enumerate((first, b"\n", b"[]\n", b'{"schema": 1}\n', b"\0" * 99)):
        path.write_bytes(gzip.compress(lines + extra))
        os.utime(path, ns=(0, number))
        with pytest.raises(InputError, match=r"x\.jsonl\.gz"):
            list(Archive(path).records())
    pack_archive(records, path)
    monkeypatch.setattr(stores, "ARCHIVE_BYTES", len(lines) - 1)
    with pytest.raises(InputError, match="must unpack to lines of"):
        list(Archive(path).records())


# JupyterLab


def lab():
    """Return the command of `make lab`."""
    recipe = re.search(
        r"^lab:.*\n\t\$\(BIN\)/jupyter lab (.*)$", (ROOT / "Makefile").read_text(), re.M
    )
    return recipe[1].split()


def test_nothing_turns_jupyters_token_off():
    assert "--ip=127.0.0.1" in lab()
    jupyter = r"--\S*(\.token|password|origin|xsrf)|ServerApp|IdentityProvider"
    options = re.compile(jupyter + r"|0\.0\.0\.0")
    tracked = [ROOT / "Makefile", *readme.pages(), *(ROOT / "notebooks").iterdir()]
    for path in tracked:
        assert not options.search(path.read_text()), path
    own = (path for path in ROOT.glob("[!.]*/**/jupyter_*config*") if ".venv" not in path.parts)
    assert not list(own) and not list(ROOT.glob("jupyter_*config*"))


def test_jupyterlab_asks_for_its_token(tmp_path):
    """The server of `make lab` hears this machine alone, and answers nobody without the token."""
    root = ["--allow-root"] * (hasattr(os, "geteuid") and os.geteuid() == 0)
    command = [sys.executable, "-m", "jupyterlab", *lab(), "--no-browser", "--port=0", *root]
    folders = {
        f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("RUNTIME", "CONFIG", "DATA")
    }
    server = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **folders}, stderr=subprocess.DEVNULL
    )
    try:
        deadline, files = time.monotonic() + 60, []
        while not files and time.monotonic() < deadline:
            assert server.poll() is None
            time.sleep(0.2)
            files = list((tmp_path / "RUNTIME").glob("jpserver-*.json"))
        about = json.loads(files[0].read_text())
        assert about["hostname"] == "127.0.0.1" and len(about["token"]) >= 32
        url = f"{about['url']}api/contents"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url, timeout=10)
        with urllib.request.urlopen(f"{url}?token={about['token']}", timeout=10) as answer:
            assert answer.status == 200
    finally:
        server.terminate()
        server.wait(30)

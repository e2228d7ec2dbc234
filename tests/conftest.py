"""Shared fixtures: homes, a small corpus, the smoke book (made once for all workers), real text."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from ieee_lib import ModelConfig, RunSpec, Scale, paths
from ieee_lib.config import CorpusConfig
from ieee_lib.text.corpus import Corpus
from ieee_lib.text.packing import prepare

ROOT = Path(__file__).resolve().parents[1]
TINY = ModelConfig(
    n_layer=2, n_head=2, n_kv_head=1, n_embd=16, n_mlp=24, vocab_size=300, block_size=16
)


def pytest_configure():
    """Let SIGINT interrupt, as in a terminal: a suite run in the background inherits it ignored.

    The processes that tests start inherit it too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run(*arguments, home, cwd=None, check=True):
    """Run a module of Python in a process of its own, in a home."""
    environment = {**os.environ, "IEEE_LIB_HOME": str(home)}
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def digests_of(folder):
    """Return the sha256 of every file of a folder by name."""
    files = [path for path in folder.iterdir() if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Return make(name, fill): a folder that the first worker to ask fills and all then read."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def book(made_once) -> Path:
    """The home of the smoke book, trained from an empty store; printed.txt: what was said. Read."""

    def fill(home: Path) -> None:
        (home / "notebooks").symlink_to(ROOT / "notebooks")
        done = run("ieee_lib", "reproduce", "--scale", "smoke", home=home)
        (home / "printed.txt").write_text(done.stdout)

    return made_once("book", fill)


@pytest.fixture
def own_book(book, tmp_path) -> Path:
    """A copy of the smoke book's home, to write to."""
    return shutil.copytree(book, tmp_path / "book", symlinks=True)


@pytest.fixture(scope="session")
def packed(book, made_once) -> Path:
    """A copy of the smoke book whose records are packed as an archive. Read."""

    def fill(home: Path) -> None:
        shutil.copytree(book, home, symlinks=True, dirs_exist_ok=True)
        run("ieee_lib", "archive", "pack", "--scale", "smoke", home=home)

    return made_once("packed", fill)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty project folder that everything is written to."""
    monkeypatch.setenv("IEEE_LIB_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def session_home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def corpus(session_home) -> Corpus:
    """The standard library at 300 tokens of vocabulary, cut to 60,000 tokens."""
    before = os.environ.get("IEEE_LIB_HOME")
    os.environ["IEEE_LIB_HOME"] = str(session_home)
    try:
        return prepare(CorpusConfig(source="stdlib", vocab_size=300, max_tokens=60_000))
    finally:
        if before is None:
            del os.environ["IEEE_LIB_HOME"]
        else:
            os.environ["IEEE_LIB_HOME"] = before


@pytest.fixture(scope="session")
def smoke_corpora(made_once) -> Path:
    """The folder of corpora with the smoke scale's own, packed once."""

    def fill(home: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("IEEE_LIB_HOME", str(home))
            prepare(Scale.load("smoke").corpus)

    return made_once("corpora", fill) / "data" / "corpora"


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The smoke scale with four D, the largest the base: the chain in half a minute."""
    text = (paths.PACKAGE / "config" / "scales" / "smoke.toml").read_text()
    text = text.replace("[2_048, 4_096, 8_192]", "[1_024, 2_048, 4_096, 8_192]")
    text = text.replace("base_tokens = 4_096", "base_tokens = 8_192")
    text = text.replace('"45k", seed_tokens = 4_096', '"45k", seed_tokens = 8_192')
    members = '\nmembers = 4\nladder_members = 3\nalone = ["32k"]'
    text = text.replace("\nmembers = 3\nladder_members = 2", members)
    lines = text.splitlines()
    for i in reversed([i for i, line in enumerate(lines) if "seed_tokens = 2_048," in line]):
        lines.insert(i, lines[i].replace("2_048", "1_024"))
    path = tmp_path_factory.mktemp("scale") / "small.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def project(home, smoke_corpora, monkeypatch) -> Path:
    """A project with notebooks and packed corpora; also the working directory."""
    (home / "notebooks").symlink_to(ROOT / "notebooks")
    (home / "data").mkdir()
    (home / "data" / "corpora").symlink_to(smoke_corpora)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def spec(corpus) -> RunSpec:
    """A run of a second or less."""
    return RunSpec(
        model=TINY,
        corpus=corpus.fingerprint,
        seed_tokens=1024,
        epochs=2,
        lr=1e-2,
        wd=0.8,
        batch_size=4,
        val_sequences=16,
        evals=2,
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real text beside the checkout; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("IEEE_LIB_SHARED") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("needs the folder shared/data beside the checkout, or IEEE_LIB_SHARED")
    return folder

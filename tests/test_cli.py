"""The command line: bad input ends with code 2 and one line, before anything is trained."""

import gzip
import json
import re
import shutil

import pytest

from ieee_lib import Scale, paths
from ieee_lib.cli import main
from ieee_lib.scale import FOLDER
from tests.conftest import ROOT


@pytest.fixture
def project(home):
    (home / "notebooks").symlink_to(ROOT / "notebooks")
    return home


def own_scale(project, old, new):
    text = (FOLDER / "smoke.toml").read_text()
    assert old in text
    path = project / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    return str(path)


def refused(capsys, *arguments):
    """Run a command that must be refused; returns its message."""
    assert main(arguments) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    assert not list((paths.root() / "data").glob("runs/*/*.json"))
    return message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "labtop"], "scale = 'labtop': allowed are gpu, laptop, paper, smoke (did you"),
        (["--scale", "none.toml"], "none.toml': names no file"),
        (["--only", "01,42"], "only = '42': allowed are 00, 01, 02"),
        (
            ["--source", "trian"],
            "source = 'trian': allowed are train, archive (did you mean 'train",
        ),
        (["--source", "archive"], "there is no recorded book of scale smoke"),
        (["-p", "contxt", "talk"], "parameter = 'contxt': allowed are "),
        (["-p", "context", "slide"], "context = 'slide': allowed are paper, talk"),
        (["-p", "max_epochs", "many"], "max_epochs = 'many': must be a whole number"),
        (["-p", "wd", "high"], "wd = 'high': must be a number"),
        (["-p", "wd", "-0.1", "--only", "01"], "sweep.wd = -0.1: allowed are 0.0, 0.1, 0.2"),
        (["-p", "scale", "laptop"], "-p scale = 'laptop': say --scale instead"),
        (["--source", "archive", "--corpus", "stdlib"], "recorded runs have their own"),
        (
            ["--corpus", "wikipedia"],
            "corpus = 'wikipedia': allowed are stdlib, stdlib:code, ",
        ),
        (["-p", "tasks", "piqua"], "task = 'piqua': is no task of lm-eval (did you mean 'piqa'?)"),
        (["-p", "tasks", "gsm8k"], "task = 'gsm8k': must be multiple-choice; its output_type is"),
        (["-p", "tasks", "piqa", "-p", "files", "nowhere"], "valid.jsonl': is missing; task piqa"),
        (["-p", "target", "files:nowhere/*.txt"], "matches no file"),
        (["--corpus", "files:nowhere/*.txt"], "matches no file"),
        (["--corpus", "hub:a/b"], "allowed are stdlib"),
    ],
)
def test_bad_arguments(project, capsys, arguments, message):
    scale = [] if "--scale" in arguments else ["--scale", "smoke"]
    assert message in refused(capsys, "reproduce", *scale, *arguments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lr = 1e-2", "lr = -1e-2", "lr = -0.01: allowed are 0.0001"),
        ("lr = 1e-2", 'lr = "1e-2"', "settings.lr = '1e-2': allowed are"),
        ("seeds = 2", "seeds = 0", "seeds = 0: must be a whole number of at least 1"),
        ("seeds = 2", "sedes = 2", "field = 'sedes': allowed are"),
        ("[training]", "[trainign]", "training = None: must be a table"),
        ("8_192]", "8_192, 8_193]", "seed_tokens = 8193: must be a multiple of"),
        ("\nmembers = 3", "\nmembers = 1", "ensembles.members = 1: must be a whole number of"),
        ("base_tokens = 4_096", "base_tokens = 5_000", "base_tokens = 5000: allowed are 2048"),
        ("[2_048, 4_096, 8_192]", "[4_096, 2_048, 8_192]", "8192): must rise"),
        ("n_embd = 8", "n_embd = 9", "model.n_embd = 9: must be a multiple of"),
        ("n_embd = 8", "width = 8", "field = 'width': allowed are n_layer"),
        ("vocab_size = 512", "vocab_size = 100", "corpus.vocab_size = 100: must be a whole number"),
        ('model = "14k"', 'model = "15k"', "model = '15k': allowed are 9.0k"),
        ('executor = "inline"', 'executor = "slurm"', "execution.executor = 'slurm': allowed are"),
        ("seeds = 2", "seeds = = 2", "is not valid TOML"),
        ('unit = "M"', 'unit = "K"', "unit = 'K': allowed are M, B"),
        (
            "assumed_noise = 0.02",
            "assumed_noise = 0",
            "assumed_noise = 0: must be a number",
        ),
        (
            "tolerance = 2.0",
            'tolerance = "2"',
            "search.tolerance = '2': must be a number",
        ),
        ("epochs = [1, 4, 16]", "epochs = 4", "sweep.epochs = 4: must be a list"),
        ("epochs = [1, 4, 16]", "epochs = [1, 3]", "sweep.epochs = 3: allowed are 1, 2, 4"),
        ("n_token = 8_192", "n_token = 0", "distillation.n_token = 0: must be a whole number"),
        (
            "ensemble_weight = 0.5",
            "ensemble_weight = 1.0",
            "a weight = 1.0: must be a number above",
        ),
        (
            "multiples = [4, 16]",
            "multiples = [16, 4]",
            "midtraining.multiples = (16, 4): must",
        ),
        (
            "base = {",
            'pretrained = "hub:a/b@c"\nbase = {',
            "must be given exactly when no",
        ),
        ("self_weight = 0.5", "self_weight = -0.1", "a weight = -0.1: must be a number above 0"),
        (
            "weights = [0.5]",
            "weights = []",
            "distillation.weights = (): must be a list of",
        ),
        ('"mixture", "average"]', '"mean"]', "distillation.kinds = 'mean': allowed are mixture"),
        ("probe_items = 64", "probe_items = 0", "downstream.probe_items = 0: must be a whole"),
        ("stack = 16", "stack = 0", "execution.stack = 0: must be a whole number of at least 1"),
        ("stack = 16", "devices = 0", "execution.devices = 0: must be a whole number of at least"),
        ("stack = 16", "gpu_share = 0", "execution.gpu_share = 0: must be a number above 0"),
        ("stack = 16", "gpu_share = 2", "execution.gpu_share = 2: must be 1, or less with devices"),
        (
            "stack = 16",
            "gpu_share = 0.5\ndevices = 2",
            "execution.gpu_share = 0.5: must be 1, or less with devices = 1",
        ),
        (
            "stack = 16",
            'ray_address = "ray://h:1/"',
            "execution.ray_address = 'ray://h:1/': must be empty, auto or host:port",
        ),
    ],
)
def test_bad_scale_files(project, capsys, old, new, message):
    scale = own_scale(project, old, new)
    assert message in refused(capsys, "reproduce", "--scale", scale)


def test_bad_benchmarks(project, capsys):
    assert "bench = 'quick': allowed are coverage, mfu, records, sampling, speed" in refused(
        capsys, "bench", "quick"
    )
    assert "bench = 'textbook': takes --corpus and --files" in refused(capsys, "bench", "textbook")
    assert "takes no option" in refused(capsys, "bench", "sampling", "--files", "here")
    assert "device = 'tpu': allowed are cpu, cuda" in refused(capsys, "bench", "--device", "tpu")
    message = refused(capsys, "bench", "--json", str(project / "none" / "file.json"))
    assert "must be a file in a folder" in message


def test_bad_text(project, capsys):
    (project / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (project / "good.txt").write_text("good")
    arguments = ("reproduce", "--scale", "smoke", "--corpus")
    message = refused(capsys, *arguments, f"files:{project}/*.txt")
    assert "latin.txt" in message and "must be UTF-8 text" in message
    with gzip.open(project / "short.jsonl.gz", "wt") as out:
        for i in range(200):
            out.write(json.dumps({"text": f"number {i} is a short document of few words"}) + "\n")
    message = refused(capsys, *arguments, f"files:{project}/short.jsonl.gz")
    assert re.search(
        r"seed_tokens = 8192: the train split of files:.* holds \d+ sequences", message
    )


def test_a_gpu_scale_without_a_gpu(project, capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "trains on a GPU and none is visible" in refused(capsys, "reproduce", "--scale", "gpu")


def test_figures_need_records(project, capsys):
    message = refused(capsys, "figures", "--scale", "smoke")
    assert "nothing was trained here at scale smoke; run `python -m ieee_lib reproduce" in message
    assert "format = 'gif': allowed are svg, pdf, png" in refused(
        capsys, "figures", "--format", "gif"
    )


@pytest.mark.parametrize("scale", Scale.names())
def test_a_plan_is_printed_for_every_scale_without_text_or_torch(project, capsys, scale):
    assert main(["plan", "--scale", scale]) == 0
    printed = capsys.readouterr().out
    assert "01 Overfitting baseline" in printed and "hours at" in printed and "assumed" in printed
    assert not (project / "data").exists()


def test_the_plan_of_the_paper_costs_what_the_paper_says(project, capsys):
    """6ND of paper.md sec. 14: 300M/16 epochs 6.0e18 FLOP; ours leaves the embedding out."""
    scale = Scale.load("paper")
    spec = scale.spec("300M", corpus="0" * 16, wd=1.6, lr=3e-3, epochs=16)
    assert 6 * spec.model.count().total * spec.tokens == pytest.approx(6.0e18, rel=0.01)
    assert 0.6 < spec.flops / 6.0e18 < 1.0


def test_commands_are_explained(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    commands = ("reproduce", "plan", "figures", "export", "archive", "readme")
    assert all(name in printed for name in commands)


def test_readme_blocks_follow_the_files(project, capsys):
    (project / "t.md").write_text("| a |\n")
    text = "x\n<!-- include: t.md -->\nold\n<!-- end -->\ny\n"
    (project / "README.md").write_text(text)
    assert main(["readme", "--check"]) == 1
    assert main(["readme"]) == 0 and main(["readme", "--check"]) == 0
    assert (project / "README.md").read_text() == text.replace("old", "| a |")
    shutil.copy(project / "README.md", project / "kept")
    (project / "t.md").unlink()
    assert main(["readme"]) == 2

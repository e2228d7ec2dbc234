"""Wrong inputs, by where they enter: code 2, one line that names field, value and what is allowed.

A row is what somebody gives and a part of the answer. Nothing is trained before it.
"""

import copy
import gzip
import json
import math
import re
import tomllib
from functools import reduce
from operator import getitem

import pytest

from ieee_lib import InputError, Study, paths
from ieee_lib.book.run import run_notebook
from ieee_lib.book.sections import SECTIONS
from ieee_lib.cli import main
from ieee_lib.config.scale import FOLDER
from ieee_lib.files import with_checksum
from ieee_lib.plots.style import use_style
from ieee_lib.runs.schema import SCHEMA


@pytest.fixture
def refused(project, capsys):
    """Runs a command that must be refused; returns the last line that it says."""

    def refuse(*arguments, field=True):
        trained = set(paths.data().glob("runs/*/*.json"))
        try:
            code = main(arguments)
        except SystemExit as stop:  # argparse ends the process itself
            code = stop.code
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert code == 2, said
        assert re.match("error: .+ = .+: ." if field else "error: ", said), said
        assert set(paths.data().glob("runs/*/*.json")) == trained
        return said

    return refuse


SCALES = "gpu, laptop, paper, smoke, workstation"
HUB = "must be hub:NAME@REVISION; NAME is one name or ORG/NAME of letters"
CLIMBS = "a relative path is below data/ and must not climb with ..; give an absolute path"

# The command line

SYNTAX = [
    ([], "arguments are required: COMMAND"),
    (["reprodcue"], "argument COMMAND: invalid choice: 'reprodcue'"),
    (["reproduce", "--sclae", "smoke"], "unrecognized arguments: --sclae smoke"),
    (["reproduce", "-p", "wd"], "argument -p: expected 2 arguments"),
    (["plan", "--scale"], "argument --scale: expected one argument"),
    (["export"], "arguments are required: RUN_ID, DIR"),
    (["archive", "unpack"], "argument action: invalid choice: 'unpack'"),
    (["bench", "--seconds", "soon"], "argument --seconds: invalid float value: 'soon'"),
]

COMMANDS = [
    (["reproduce", "--scale", "labtop"], f"scale = 'labtop': allowed are {SCALES} (did you mean"),
    (["reproduce", "--scale", "none.toml"], "/none.toml': names no file; allowed are a .toml file"),
    (["reproduce", "--scale", "../smoke"], f"scale = '../smoke': allowed are {SCALES}"),
    (["reproduce", "--only", "01,42"], "only = '42': allowed are 00, 01, 02"),
    (["reproduce", "--source", "trian"], "source = 'trian': allowed are train, archive (did you m"),
    (["reproduce", "--scale", "smoke", "--source", "archive"], "no recorded book of scale smoke"),
    (
        ["reproduce", "--source", "archive", "--corpus", "stdlib"],
        "corpus = 'stdlib': recorded runs have their own; leave it empty",
    ),
    (["reproduce", "--corpus", "wikipedia"], "corpus = 'wikipedia': allowed are stdlib, stdlib:c"),
    (["reproduce", "--corpus", "files:"], "corpus = 'files:': allowed are stdlib, stdlib:code"),
    (["reproduce", "--corpus", "files:no/*.txt"], "/no/*.txt': matches no file; name a glob that"),
    (["reproduce", "--corpus", "hub:a/b"], "corpus = 'hub:a/b': allowed are stdlib, stdlib:code"),
    (["reproduce", "--corpus", "hub:@rev"], f"corpus = 'hub:@rev': {HUB}"),
    (["reproduce", "--corpus", "hub:../../etc@rev"], f"corpus = 'hub:../../etc@rev': {HUB}"),
    (["reproduce", "--corpus", "hub:./here@rev"], f"corpus = 'hub:./here@rev': {HUB}"),
    (["reproduce", "--corpus", "hub:a/b/c@rev"], f"corpus = 'hub:a/b/c@rev': {HUB}"),
    (["reproduce", "--corpus", "hub:a/b@../x"], f"corpus = 'hub:a/b@../x': {HUB}"),
    (
        ["reproduce", "--corpus", "hub:notebooks@main"],
        "'hub:notebooks@main': is not on the hub but",
    ),
    (["reproduce", "--corpus", "hub:pandas@main"], "'hub:pandas@main': is not on the hub but here"),
    (
        ["reproduce", "--corpus", "my.txt"],
        "files:PATH and hub:NAME@REVISION (did you mean 'files:my",
    ),
    (["reproduce", "--corpus", "~/my texts"], "(did you mean 'files:~/my texts'?)"),
    (["reproduce", "--corpus", "file:a.txt"], "/a.txt'?)"),
    (["reproduce", "--corpus", "notebooks"], "(did you mean 'files:notebooks'?)"),
    (
        ["reproduce", "--corpus", "stdlib --spilt line"],
        "corpus: option = '--spilt': allowed are --sp",
    ),
    (["reproduce", "--corpus", "stdlib --split"], "corpus: option = '--split': takes one value"),
    (["reproduce", "--corpus", "stdlib --split 'a"], "must be SOURCE --option value …: No closing"),
    (
        ["reproduce", "--split", ""],
        "corpus.split = '': must be document, paragraph, line or a sepa",
    ),
    (["reproduce", "--vocab-size", "many"], "--vocab-size = 'many': must be a whole number"),
    (
        ["reproduce", "--vocab-size", "9"],
        "corpus.vocab_size = 9: must be a whole number of at leas",
    ),
    (
        ["reproduce", "--val-fraction", "1"],
        "val_fraction = 1.0: must be a number above 0 and below",
    ),
    (["plan", "--val-source", "v.txt"], "corpus.val_source = 'v.txt': allowed are stdlib, "),
    (["plan", "--tokenizer", "file:none.json"], "none.json': names no file"),
    (["plan", "--scale", "labtop"], f"scale = 'labtop': allowed are {SCALES}"),
    (["plan", "--only", "1,x"], "only = '0x': allowed are 00, 01"),
    (["figures", "--format", "gif"], "format = 'gif': allowed are svg, pdf, png"),
    (["figures", "--format", ""], "format = '': allowed are svg, pdf, png"),
    (["figures", "--context", "slide"], "context = 'slide': allowed are paper, talk"),
    (["figures", "--background", "grey"], "background = 'grey': allowed are white, transparent"),
    (["figures", "--source", "train"], "source = 'train': allowed are auto, records, archive"),
    (["figures", "--only", "14"], "only = '14': allowed are 00, 01"),
    (["figures", "--only", "12"], "only = '12': has a text and a scale of its own"),
    (
        ["figures", "--scale", "smoke", "--corpus", "files:no/*.txt"],
        "/no/*.txt': matches no file; name a glob",
    ),
    (
        ["figures", "--source", "records"],
        "source = 'records': nothing was trained here at scale laptop; run `python -m",
    ),
    (
        ["export", "abc", "out"],
        "run_id = 'abc': must be the id of a training run of 16 hexadecimal",
    ),
    (
        ["export", "../../x", "out"],
        "run_id = '../../x': must be the id of a training run of 16 hex",
    ),
    (["export", "0" * 16, "out", "--scale", "smoke"], f"run_id = '{'0' * 16}': is not recorded in"),
    (["export", "0" * 16, "out", "--scale", "x.toml"], "/x.toml': names no file; allowed are"),
    (["archive", "pack", "--scale", "laptop"], "nothing was trained here at scale laptop; run"),
    (
        ["bench", "quick"],
        "bench = 'quick': allowed are agreement, coverage, gpu, mfu, precision, speed",
    ),
    (["bench", "coverage", "--device", "cpu"], "bench = 'coverage': takes no option"),
    (["bench", "coverage", "--seconds", "0"], "bench = 'coverage': takes no option"),
    (["bench", "gpu", "--minutes", "0"], "minutes = 0.0: must be positive"),
    (["bench", "agreement", "--seconds", "9"], "bench = 'agreement': takes --device"),
    (["bench", "--device", "tpu"], "device = 'tpu': allowed are cpu, cuda"),
    (["bench", "--seconds", "-1"], "--seconds = -1.0: must be a number at least 0"),
    (["bench", "--seconds", "nan"], "--seconds = nan: must be a number at least 0"),
    (["bench", "--json", "none/x.json"], "--json = 'none/x.json': must be a file in a folder"),
    (["bench", "--json", "data"], "--json = 'data': must be a file in a folder"),
    (["readme"], "README.md': is missing"),
    (
        ["plan", "--scale", "smoke", "--executor", "slurm"],
        "execution.executor = 'slurm': allowed are inline, local, ray",
    ),
    (
        ["plan", "--scale", "smoke", "--gpus", "0"],
        "--gpus = 0: must be a whole number of at least 1",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), SYNTAX)
def test_commands_that_are_none(refused, arguments, message):
    assert message in refused(*arguments, field=False)


@pytest.mark.parametrize(("arguments", "message"), COMMANDS)
def test_commands(refused, arguments, message):
    given = {"--corpus", "--split", "--vocab-size", "--val-fraction"} & {*arguments}
    if arguments[0] == "reproduce" and given and "--scale" not in arguments:
        arguments = [*arguments, "--scale", "smoke", "--only", "00"]
    assert message in refused(*arguments)


def test_a_folder_that_is_a_file(refused, project):
    (project / "file").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IEEE_LIB_HOME", str(project / "file"))
        assert main(["plan", "--scale", "smoke"]) == 2
    (project / "README.md").write_text("<!-- include: none.md -->\n<!-- end -->\n")
    assert "README.md = 'none.md': is included but does not exist" in refused("readme")


def test_a_gpu_scale_without_a_gpu(refused, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    message = refused("reproduce", "--scale", "gpu")
    assert "scale = 'gpu': trains on a GPU and none is visible; smoke, laptop" in message


# Parameters of notebooks

PARAMETERS = [
    (
        "contxt",
        "talk",
        "parameter = 'contxt': allowed are background, context, corpus, files, max_",
    ),
    ("context", "slide", "context = 'slide': allowed are paper, talk"),
    ("context", "true", "context = 'true': allowed are paper, talk"),
    ("scale", "laptop", "-p scale = 'laptop': say --scale instead"),
    ("source", "train", "-p source = 'train': say --source instead"),
    ("corpus", "stdlib", "-p corpus = 'stdlib': say --corpus instead"),
    # 01
    ("max_epochs", "many", "max_epochs = 'many': must be a whole number"),
    ("max_epochs", "1e3", "max_epochs = '1e3': must be a whole number"),
    ("max_epochs", "-1", "max_epochs = -1: must be a whole number of at least 1"),
    ("max_epochs", "1", "max_epochs = 1: must leave two or more of (1, 4, 16)"),
    ("max_epochs", "9" * 5000, "must be a whole number"),
    ("wd", "high", "wd = 'high': must be a number"),
    ("wd", "-0.1", "wd = -0.1: allowed are 0.0, 0.1, 0.2"),
    ("wd", "nan", "wd = nan: allowed are 0.0, 0.1, 0.2"),
    # 07
    ("tasks", "piqua", "task = 'piqua': is no task of lm-eval (did you mean 'piqa'?)"),
    ("tasks", "gsm8k", "task = 'gsm8k': must be multiple-choice; its output_type is"),
    ("tasks", "mmlu", "task = 'mmlu': is a group of tasks"),
    ("files", "anywhere", "data/anywhere': has items of tasks; name some: -p tasks piqa"),
    ("files", "../elsewhere", f"files = '../elsewhere': {CLIMBS}"),
    ("files", "a/../../b", f"files = 'a/../../b': {CLIMBS}"),
    # 08
    ("target", "wikipedia", "target = 'wikipedia': allowed are stdlib, stdlib:code"),
    ("target", "files:no/*.txt", "target = 'files:no/*.txt': matches no file; name a glob"),
    ("target", "files:../*.txt", f"target = '../*.txt': {CLIMBS}"),
    ("target", "hub:../x@main", f"target = 'hub:../x@main': {HUB}"),
    ("target", "stdlib:code", "target = 'stdlib:code': shares text with the base's stdlib:code"),
    ("target", "stdlib", "target = 'stdlib': shares text with the base's stdlib:code; name"),
    ("text_field", "body", "text_field = 'body': "),
]


@pytest.mark.parametrize(("name", "value", "message"), PARAMETERS)
def test_parameters(refused, project, name, value, message):
    """As papermill gets them from `-p`: all but the names are judged by the notebooks' sections."""
    given = ["-p", name, value]
    if name == "text_field":  # of a target that has none of that name
        (project / "data" / "qa.jsonl").write_text('{"text": "a"}\n')
        given += ["-p", "target", "files:qa.jsonl"]
    assert message in refused("reproduce", "--scale", "smoke", *given)


def test_parameters_of_a_notebook_that_is_left_out(refused):
    message = refused("reproduce", "--scale", "smoke", "--only", "02", "-p", "wd", "0.1")
    assert "parameter = 'wd': allowed are background, context, corpus, scale, source" in message


def test_a_parameter_given_twice(refused):
    given = ("-p", "wd", "0.1", "-p", "wd", "0.8")
    assert "-p = 'wd': must be given once" in refused("reproduce", "--scale", "smoke", *given)


PASSED = [
    ("01", "max_epochs", "many", "max_epochs = 'many': must be a whole number of at least 1"),
    ("01", "max_epochs", 4.0, "max_epochs = 4.0: must be a whole number of at least 1"),
    ("01", "wd", "0.8", "wd = '0.8': allowed are 0.0, 0.1"),
    ("07", "tasks", 5, "tasks = 5: must be text"),
    ("07", "files", 5, "files = 5: must be a path"),
    ("08", "target", 5, "target = 5: must be text"),
    ("08", "text_field", 5, "corpus.text_field = 5: must be text"),
]


@pytest.mark.parametrize(("number", "name", "value", "message"), PASSED)
def test_parameters_of_a_type_of_their_own(project, number, name, value, message):
    """As a notebook gets them that is opened in JupyterLab, or run by plain papermill."""
    given = {"scale": "smoke", "source": "records", name: value}
    with pytest.raises(InputError) as error:
        run_notebook(SECTIONS[number].path, given)
    assert message in str(error.value)


COMMON = [
    ("scale", 5, f"scale = 5: allowed are {SCALES}"),
    ("corpus", 5, "corpus = 5: must be text"),
    ("corpus", "files:../*.txt", f"corpus = '../*.txt': {CLIMBS}"),
    ("source", True, "source = True: allowed are auto, train, records, archive"),
]


@pytest.mark.parametrize(("name", "value", "message"), COMMON)
def test_parameters_that_every_notebook_has(project, name, value, message):
    with pytest.raises(InputError) as error:
        Study.open(**{"scale": "smoke", name: value})
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["context", "background"])
def test_parameters_of_every_figure(name):
    with pytest.raises(InputError, match=f"{name} = None: allowed are"):
        use_style(**{name: None})


def test_missing_items_of_a_task(refused):
    given = ("-p", "tasks", "piqa", "-p", "files", "nowhere")
    message = refused("reproduce", "--scale", "smoke", *given)
    assert "data/nowhere/piqa/valid.jsonl': is missing; task piqa needs it" in message


# Scale files

SMOKE = tomllib.loads((FOLDER / "smoke.toml").read_text())
GONE = object()

VALUES = [
    ("about", 5, "about = 5: must be text"),
    ("evidence", "no", "evidence = 'no': allowed are True, False"),
    ("unit", "K", "unit = 'K': allowed are M, B"),
    ("unit", ["M"], "unit = ['M']: allowed are M, B"),
    ("seeds", 0, "seeds = 0: must be a whole number of at least 1"),
    ("seeds", 2.0, "seeds = 2.0: must be a whole number of at least 1"),
    ("seeds", True, "seeds = True: must be a whole number of at least 1"),
    ("seeds", 2**63, "must be a whole number of at least 1 and at most 10,000"),
    ("seeds", GONE, "scale mine.seeds = None: is required"),
    ("sedes", 2, "scale mine: field = 'sedes': allowed are name, about"),
    ("assumed_noise", 0, "assumed_noise = 0: must be a number above 0"),
    ("assumed_noise", math.inf, "assumed_noise = inf: must be a number above 0"),
    ("seed_tokens", GONE, "seed_tokens = None: must be a list of at least one"),
    ("seed_tokens", 4096, "seed_tokens = 4096: must be a list of at least one"),
    ("seed_tokens", "4096", "seed_tokens = '4096': must be a list of at least one"),
    ("seed_tokens/0", "2048", "seed_tokens = '2048': must be a whole number of at least 1"),
    ("seed_tokens", [4096, 2048, 8192], "seed_tokens = (4096, 2048, 8192): must rise"),
    ("seed_tokens/2", 8193, "seed_tokens = 8193: must be a multiple of batch_size * block_size"),
    ("base_tokens", 5000, "base_tokens = 5000: allowed are 2048, 4096, 8192"),
    ("base_tokens", 4096.0, "base_tokens = 4096.0: allowed are 2048, 4096, 8192"),
    # recipes
    ("standard", [], "standard = []: must be a list of at least one"),
    ("standard", {"a": 1}, "standard = {'a': 1}: must be a list of at least one"),
    ("standard/0", 5, "standard[0] = 5: must be a table of fields"),
    ("standard/0/lr", -0.01, "standard[0].lr = -0.01: allowed are 0.0001"),
    ("standard/0/lr", "1e-2", "standard[0].lr = '1e-2': allowed are 0.0001"),
    ("standard/0/wd", math.nan, "standard[0].wd = nan: allowed are 0.0, 0.1"),
    ("standard/0/epochs", True, "standard[0].epochs = True: allowed are 1, 2, 4"),
    ("standard/0/epochs", 8.0, "standard[0].epochs = 8.0: allowed are 1, 2, 4"),
    ("standard/0/model", "15k", "standard[0].model = '15k': allowed are 9.0k, 14k, 19k"),
    ("standard/1/model", "9.0k", "standard = '9.0k': must be listed once at D = 4096"),
    ("standard/0/seed_tokens", "4096", "standard[0].seed_tokens = '4096': must be a whole numb"),
    ("standard/0/seed_tokens", 1024, "standard[0].seed_tokens = 1024: allowed are 2048, 4096"),
    ("standard", SMOKE["standard"][4:], "standard = [2048, 8192]: must list D = 4096"),
    ("standard", SMOKE["standard"][:4], "regularized = [2048, 8192]: must be a D of the standard"),
    ("regularized/1", GONE, "ensembles.model = '14k': must be listed under regularized at D = 409"),
    # tables
    ("corpus", GONE, "corpus = None: must be a table of fields"),
    ("corpus/source", 5, "corpus = 5: allowed are stdlib, stdlib:code, stdlib:prose, files:PATH"),
    ("corpus/source", "files:../../*.txt", f"corpus = '../../*.txt': {CLIMBS}"),
    ("corpus/source", "hub:x/../y@z", f"corpus = 'hub:x/../y@z': {HUB}"),
    ("corpus/val_source", "wiki", "corpus.val_source = 'wiki': allowed are stdlib, stdlib:code"),
    ("corpus/vocab_size", 100, "corpus.vocab_size = 100: must be a whole number of at least 257"),
    ("corpus/val_fraction", 1.5, "corpus.val_fraction = 1.5: must be a number above 0 and below 1"),
    ("corpus/max_tokens", False, "corpus.max_tokens = False: must be a whole number of at least 0"),
    ("corpus/text_field", ["a"], "corpus.text_field = ['a']: must be text"),
    ("corpus/credits", 5, "corpus.credits = 5: must be text"),
    ("corpus/tokenizer", "bep", "tokenizer = 'bep': allowed are bpe, file:PATH and hub:NAME[@REV"),
    ("corpus/tokenizer", ["bpe"], "tokenizer = ['bpe']: allowed are bpe, file:PATH and hub:NAME"),
    ("corpus/tokenizer", "file:no.json", "tokenizer = 'file:no.json': names no file; "),
    ("corpus/tokenizer", "file:../t.json", f"tokenizer = '../t.json': {CLIMBS}"),
    ("corpus/tokenizer", "hub:a/../b", f"tokenizer = 'hub:a/../b@main': {HUB}"),
    ("training", GONE, "training = None: must be a table of fields"),
    ("training/block_size", "32", "training.block_size = '32': must be a whole number of at least"),
    ("training/evals", -1, "training.evals = -1: must be a whole number of at least 1"),
    ("training/precision", "fp8", "training.precision = 'fp8': allowed are 32-true, bf16-mixed, "),
    ("training/val_sequences", 66, "training.batch_size = 8: must divide val_sequences = 66"),
    ("models", {}, "models = {}: must be a table of models"),
    ("models", "14k", "models = '14k': must be a table of models"),
    ("models/14k", [12], "models.14k = [12]: must be a table of fields"),
    ("models/14k/n_embd", 9, "model.n_embd = 9: must be a multiple of 2 * n_head = 2"),
    ("models/14k/n_layer", 10**400, "must be a whole number of at least 1 and at most 1,099,511,"),
    ("models/14k/norm_eps", 10**400, "must be a number above 0"),
    ("models/14k/width", 8, "models.14k: field = 'width': allowed are n_layer, n_head"),
    ("models/14k/vocab_size", 100, "models.14k = ['vocab_size']: is set for all models, under [c"),
    ("execution", 1, "execution = 1: must be a table of fields"),
    ("execution/devices", 3, "execution.devices = 3: must divide batch_size = 8"),
    ("execution/gpu_share", 0.0, "execution.gpu_share = 0.0: must be a number above 0"),
    ("execution/ray_address", "a b", "execution.ray_address = 'a b': must be empty, auto or host"),
    ("execution/executor", "slurm", "execution.executor = 'slurm': allowed are inline, local"),
    ("execution/stack", 0, "execution.stack = 0: must be a whole number of at least 1"),
    (
        "execution/workers",
        10**6,
        "execution.workers = 1000000: must be a whole number of at least 0",
    ),
    ("execution/keep_weights", 1, "execution.keep_weights = 1: allowed are True, False"),
    ("execution/checkpoint_minutes", math.nan, "execution.checkpoint_minutes = nan: must be a num"),
    ("search", "fast", "search = 'fast': must be a table of fields"),
    ("search/tolerance", "2", "search.tolerance = '2': must be a number at least 0"),
    ("search/screen", -math.inf, "search.screen = -inf: must be a number at least 0"),
    ("search/ladder", 0, "search.ladder = 0: allowed are True, False"),
    ("overfitting/epochs", 4, "overfitting.epochs = 4: must be a list of at least one value"),
    ("overfitting/epochs", [1, 3], "overfitting.epochs = 3: allowed are 1, 2, 4"),
    ("heatmap/wd", [], "heatmap.wd = (): must be a list of at least one value"),
    ("wd_sweep/model", {"a": 1}, "wd_sweep.model = {'a': 1}: allowed are 9.0k, 14k"),
    ("ensembles/members", 1, "ensembles.members = 1: must be a whole number of at least 2"),
    ("ensembles/model", "15k", "ensembles.model = '15k': allowed are 9.0k, 14k"),
    ("ensembles/alone", "14k", "ensembles.alone = '14k': must be a list of models"),
    ("ensembles/alone", ["15k"], "ensembles.alone = '15k': allowed are 9.0k, 14k"),
    ("ensembles/alone", ["14k"], "ensembles.model = '14k': allowed are 9.0k, 19k"),
    ("distillation/n_token", 0, "distillation.n_token = 0: must be a whole number of at least 1"),
    (
        "distillation/ensemble_weight",
        1.0,
        "distillation.ensemble_weight = 1.0: must be a number",
    ),
    ("distillation/self_weight", -0.1, "distillation.self_weight = -0.1: must be a number above 0"),
    ("distillation/weights", [], "distillation.weights = (): must be a list of at least one value"),
    ("distillation/kinds", "mixture", "distillation.kinds = 'mixture': must be a list of at least"),
    ("distillation/kinds/0", "mean", "distillation.kinds = 'mean': allowed are mixture, average"),
    ("downstream/probe_items", 0, "downstream.probe_items = 0: must be a whole number of at least"),
    ("downstream/tasks", "piqa", "downstream.tasks = 'piqa': must be a list of names of tasks"),
    ("downstream/files", "../x", f"downstream.files = '../x': {CLIMBS}"),
    ("downstream/files", 5, "downstream.files = 5: must be a path"),
    ("midtraining", [], "midtraining = []: must be a table of fields"),
    ("midtraining/base", GONE, "midtraining.base = None: must be given exactly when no pretrained"),
    ("midtraining/base/model", "15k", "midtraining.base.model = '15k': allowed are 9.0k, 14k"),
    ("midtraining/base/seed_tokens", 100, "seed_tokens = 100: must be a multiple of batch_size"),
    ("midtraining/pretrained", "hub:a/b@c", "must be given exactly when no pretrained"),
    ("midtraining/pretrained", 5, f"midtraining.pretrained = 5: {HUB}"),
    ("midtraining/model", 5, "midtraining.model = 5: must be a table of fields"),
    ("midtraining/target", "files:../*", f"midtraining.target = '../*': {CLIMBS}"),
    ("midtraining/multiples", [16, 4], "midtraining.multiples = (16, 4): must rise"),
    ("midtraining/multiples", ["4"], "midtraining.multiples = '4': must be a number above 1"),
    ("midtraining/seed_tokens", 1000, "seed_tokens = 1000: must be a multiple of batch_size"),
    ("overfitting/lr", 0.5, "overfitting.lr = 0.5: allowed are 0.0001"),
    ("distillation/self_wd", 0.3, "distillation.self_wd = 0.3: allowed are 0.0, 0.1"),
    ("beyond/recipes/mine", {"width": 8}, "beyond.recipes.mine = 'width': allowed are epochs, lr"),
    ("beyond/recipes/mine", {"val_sequences": 24}, "beyond.recipes.mine = 'val_sequences': allow"),
    ("beyond/recipes/mine", {"data_seed": 1}, "beyond.recipes.mine = 'data_seed': allowed are"),
    ("beyond/recipes/mine", {"start": "0" * 16}, "beyond.recipes.mine = 'start': allowed are ep"),
    ("beyond/recipes/mine", {"epochs": 2**40}, "beyond.recipes.mine.epochs = 1099511627776: al"),
    ("beyond/recipes/mine", {"batch_size": 128}, "beyond.recipes.mine.batch_size = 128: must di"),
    ("beyond/recipes/mine", {"teacher": "0" * 16}, "beyond.recipes.mine = 'teacher': allowed are"),
    ("beyond/decays", [2, 1], "beyond.decays = (2, 1): must rise"),
    ("beyond/decays", [0.5, 2], "beyond.decays = (0.5, 2): must hold 1, the paper's recipe"),
    ("beyond/chains/mine", {"dropout": 0.1}, "beyond.chains.mine.previous = None: allowed are sta"),
    ("beyond/chains/mine", {"previous": "teacher", "ema": 2}, "ema = 2: must be a number at least"),
    ("beyond/chains/mine", {"previous": "teacher"}, "must be given exactly when teacher_weight"),
    ("midtraining/batch_size", 48, "midtraining.batch_size = 48: must divide val_sequences = 64"),
    ("appendix", [], "appendix = []: must be a table of fields"),
    ("appendix/soup", True, "appendix: field = 'soup': allowed are held, batch_sizes"),
    ("appendix/held", "wd", "appendix.held = 'wd': must be a list"),
    ("appendix/held", ["lr"], "appendix.held[0] = 'lr': allowed are wd, epochs"),
    ("appendix/batch_sizes", [8, 0], "appendix.batch_sizes[1] = 0: must be a whole number"),
    ("appendix/batch_sizes", [48], "appendix.batch_sizes = 48: must divide val_sequences = 64"),
    ("appendix/overfitting_wd", [0.3], "appendix.overfitting_wd[0] = 0.3: allowed are 0.0, 0.1"),
    ("appendix/continued_wd", [-1], "appendix.continued_wd[0] = -1: must be a number at least 0"),
    ("appendix/weight_averages", 1, "appendix.weight_averages = 1: allowed are True, False"),
    ("appendix/lr", 0.5, "appendix.lr = 0.5: allowed are 0.0, 0.0001"),
    ("appendix/larger", 5, "appendix.larger = 5: must be a list of at least one value"),
    ("appendix/larger/0/model", "46k", "appendix.larger[0].model = '46k': allowed are 9.0k, 14k"),
    ("appendix/larger/0/model", "32k", "appendix.larger = '32k': must not be listed under regula"),
    ("appendix/larger/0/seed_tokens", 2048, "appendix.larger[0].seed_tokens = 2048: allowed are"),
]


def toml(value):
    """Return a value as TOML, tables in line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)} = {toml(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return str(value) if isinstance(value, float) else json.dumps(value)


def scale_file(folder, *changes):
    """Write the smoke scale with some values changed; return the file's name."""
    table = copy.deepcopy(SMOKE)
    for place, value in changes:
        *above, last = (int(key) if key.isdigit() else key for key in place.split("/"))
        holder = reduce(getitem, above, table)
        if value is GONE:
            del holder[last]
        else:
            holder[last] = value
    lines = (f"{name} = {toml(value)}\n" for name, value in table.items())
    (folder / "mine.toml").write_text("".join(lines))
    return "mine.toml"


def test_the_scale_file_that_rows_change_is_right(project):
    assert main(["plan", "--scale", scale_file(project)]) == 0


@pytest.mark.parametrize(("place", "value", "message"), VALUES)
def test_values_of_scale_files(refused, project, place, value, message):
    assert message in refused("plan", "--scale", scale_file(project, (place, value)))


def test_a_schedule_with_too_few_gpus(refused, project):
    scale = scale_file(project, ("execution/devices", 2))
    message = refused("plan", "--scale", scale, "--gpus", "1")
    assert "--gpus = 1: must be at least 2: a job takes as many" in message


FILES = [
    ("mine.toml", b"seeds = = 2", "mine.toml': is not valid TOML: Invalid value"),
    ("mine.toml", b"about = 'caf\xe9'", "mine.toml': is not valid TOML: 'utf-8' codec"),
    ("mine.toml", b"seeds = " + b"9" * 5000, "mine.toml': is not valid TOML: Exceeds the limit"),
    ("mine.toml", b"seeds = " + b"[" * 5000, "mine.toml': is not valid TOML: "),
    ("mine.toml", b"seed_tokens = 0x1" + b"0" * 5000, "corpus = None: must be a table of fields"),
    ("mine.toml", b"", "corpus = None: must be a table of fields"),
    ("my scale.toml", b"", "scale = 'my scale': its name must be up to 64 letters, digits"),
    (".toml", b"", "scale = '.toml': its name must be up to 64 letters, digits"),
    (f"{'x' * 65}.toml", b"", "its name must be up to 64 letters, digits"),
]


@pytest.mark.parametrize(("name", "data", "message"), FILES)
def test_scale_files(refused, project, name, data, message):
    (project / name).write_bytes(data)
    assert message in refused("plan", "--scale", name)


def test_a_number_that_cannot_be_written_out(refused, project):
    text = (FOLDER / "smoke.toml").read_text()
    (project / "mine.toml").write_text(text.replace("seeds = 2", f"seeds = 0x1{'0' * 5000}", 1))
    message = refused("plan", "--scale", "mine.toml")
    assert "seeds = a whole number of 20001 bits: must be a whole number of at least 1" in message


# Texts

SENTENCES = [
    f"Line {i} tells of " + " ".join(f"thing{i}x{j}" for j in range(20)) for i in range(40)
]
JSONL = "".join(json.dumps({"text": line}) + "\n" for line in SENTENCES).encode()
FEW = "a few are needed"

TEXTS = [
    (
        "a.txt",
        b"",
        f"has 0 different documents with text and none of them for the train split; {FEW}",
    ),
    ("a.txt", b" \n\t\n", "has 0 different documents with text"),
    ("a.jsonl", b"", "has 0 different documents with text"),
    ("a.jsonl", b'{"text": " "}\n', "has 0 different documents with text"),
    ("a.jsonl", b'{"text": "same"}\n' * 99, "a.jsonl holds 0 sequences of"),
    ("a.txt", "café".encode("latin-1"), "/a.txt': must be UTF-8 text; line 1 is not"),
    (
        "a.jsonl",
        '{"text": "café"}'.encode("latin-1"),
        "/a.jsonl': must be UTF-8 text; line 1 is no",
    ),
    ("a.jsonl", JSONL.decode().encode("utf-16"), "/a.jsonl': must be UTF-8 text; line 1 is not"),
    ("a.jsonl", JSONL + b'{"text": "x', "/a.jsonl': must hold a JSON object a line; line 41 is no"),
    ("a.jsonl", b"5\n6\n", "must hold a JSON object a line; line 1 is none"),
    (
        "a.jsonl",
        b'{"text":' + b"[" * 9999,
        "must hold a JSON object a line; line 1 is none: is nes",
    ),
    ("a.jsonl", b'{"body": "x"}\n', "/a.jsonl has the fields body"),
    ("a.jsonl", b'{"text": 5}\n', "a.jsonl holds int, not text"),
    ("a.jsonl", b'{"text": null}\n', "has 0 different documents with text"),
    ("a.jsonl", b'{"text": "\\ud800"}\n', "/a.jsonl': is no Unicode text: line 1 holds half a"),
    (
        "a.jsonl.gz",
        gzip.compress(JSONL, mtime=0)[:200],
        "/a.jsonl.gz': is damaged: Compressed file ended be",
    ),
    ("a.jsonl.gz", JSONL, "/a.jsonl.gz': is damaged: Not a gzipped file"),
    ("a.parquet", b"PAR1" + b"x" * 99, "/a.parquet': is damaged: Parquet magic bytes not found"),
    ("a.pdf", b"%PDF", "matches .pdf; one kind of .txt, .md, .jsonl"),
    ("a.jsonl", JSONL, "seed_tokens = 8192: the train split of files:"),
]


@pytest.mark.parametrize(("name", "data", "message"), TEXTS)
def test_texts(refused, project, name, data, message):
    (project / name).write_bytes(data)
    corpus = f"files:{name}"
    assert message in refused("reproduce", "--scale", "smoke", "--only", "00", "--corpus", corpus)


def test_texts_of_two_kinds(refused, project):
    (project / "a.txt").write_text("a")
    (project / "a.jsonl").write_bytes(JSONL)
    message = refused("reproduce", "--scale", "smoke", "--only", "00", "--corpus", "files:a.*")
    assert "matches .jsonl, .txt; one kind of .txt, .md, .jsonl" in message


def test_a_parquet_of_numbers(refused, project):
    import pandas as pd

    pd.DataFrame({"text": range(9)}).to_parquet(project / "a.parquet")
    message = refused(
        "reproduce", "--scale", "smoke", "--only", "00", "--corpus", "files:a.parquet"
    )
    assert "text_field = 'text': " in message and "holds int, not text" in message


def tokenizer(words, **more):
    model = {"type": "WordLevel", "vocab": words, "unk_token": "<eos>"}
    return json.dumps({"version": "1.0", "added_tokens": [], "model": model, **more}).encode()


TOKENIZERS = [
    (b"", "tokenizer = 'file:t.json': cannot be loaded: "),
    (b"no JSON", "tokenizer = 'file:t.json': cannot be loaded: "),
    (b"{}", "tokenizer = 'file:t.json': cannot be loaded: "),
    (tokenizer({"a": 0}), "tokenizer = 'file:t.json': must know one of <|endoftext|>, <|end_of_te"),
    (
        tokenizer({"<eos>": 0, **{f"w{i}": i for i in range(1, 600)}}),
        "corpus.vocab_size = 512: tokenizer file:t.json has 600 entries; vocab_size must be at",
    ),
    (tokenizer({"<eos>": 0, "w": 10**6}), "tokenizer file:t.json has 1000001 entries; vocab_size"),
]


@pytest.mark.parametrize(("data", "message"), TOKENIZERS)
def test_tokenizers(refused, project, data, message):
    (project / "data" / "t.json").write_bytes(data)
    (project / "data" / "mine.jsonl").write_bytes(JSONL)
    changes = {"corpus/tokenizer": "file:t.json", "corpus/source": "files:mine.jsonl"}
    scale = scale_file(project, *changes.items())
    assert message in refused("reproduce", "--scale", scale, "--only", "00")


# What is kept


def kept(**fields):
    return json.dumps(with_checksum({"kind": "train", "run_id": "0" * 16, **fields})).encode()


NEWER = f"has schema {SCHEMA + 1}; this version reads 1 to {SCHEMA}"


@pytest.mark.parametrize("command", [("plan",), ("export", "0" * 16, "out")])
def test_a_record_of_a_newer_version(refused, project, command):
    folder = project / "data" / "runs" / "smoke"
    folder.mkdir(parents=True)
    (folder / f"{'0' * 16}.json").write_bytes(kept(schema=SCHEMA + 1))
    message = refused(*command, "--scale", "smoke")
    assert f"record = '{folder / ('0' * 16)}.json': {NEWER}" in message


CHANGED = kept(schema=SCHEMA).replace(b"train", b"trian")
ARCHIVES = [  # their bytes name the tests, which all workers must call the same: no time in them
    (b"", "smoke.jsonl.gz': holds no record"),
    (b"no gzip", "smoke.jsonl.gz': cannot be read: Not a gzipped file"),
    (gzip.compress(kept(schema=SCHEMA + 1), mtime=0), NEWER),
    (gzip.compress(kept(schema=SCHEMA), mtime=0), "is damaged: it is no record of kind train"),
    (gzip.compress(CHANGED, mtime=0), "is damaged: its sha256 diff"),
    (gzip.compress(kept(), mtime=0)[:40], "smoke.jsonl.gz': cannot be read: "),
]


@pytest.mark.parametrize(("data", "message"), ARCHIVES)
def test_archives(refused, project, data, message):
    path = paths.archive("smoke")
    path.parent.mkdir()
    path.write_bytes(data)
    assert message in refused("figures", "--scale", "smoke", "--source", "archive")

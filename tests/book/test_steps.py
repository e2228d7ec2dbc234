"""A book in steps: what is worth most comes first, time bounds it, predictions precede targets."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime

import pytest

from ieee_lib import paths, predictions
from ieee_lib.book import steps
from ieee_lib.book.archive import pack, verify
from ieee_lib.book.plan import open_plan
from ieee_lib.book.run import run_book, run_notebook
from ieee_lib.book.run_plan import _next, budget_lines
from ieee_lib.book.runner import INCOMPLETE
from ieee_lib.book.sections import SECTIONS
from ieee_lib.book.verdicts import judged, run_records
from ieee_lib.claims.verdicts import NOT_RUN
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError, MissingRuns
from ieee_lib.files import with_checksum
from ieee_lib.plots.saving import output
from ieee_lib.predictions import measured, questions, scores
from ieee_lib.predictions.log import predict
from ieee_lib.recipes import single
from ieee_lib.recipes.ensembles import ensemble, heuristic
from ieee_lib.recipes.search import NOT_SEARCHED, specs_of
from ieee_lib.runs.schema import result_of
from ieee_lib.runs.store import RunStore, pack_archive
from ieee_lib.study import Study
from tests.conftest import ROOT


def drawn(study, number, *, write=False):
    """Return what a notebook saves when it runs on a study's records."""
    with output(["svg"], write=write):
        parameters = {"scale": study.scale, "source": study.source}
        return run_notebook(SECTIONS[number].path, parameters).saved


@pytest.fixture
def plan(project, small):
    return open_plan(Scale.load(str(small)))


def test_the_chain_comes_first_and_targets_right_after_what_predicts_them(plan):
    book = steps.steps(plan)
    names = [step.what for step in book]
    assert len(set(names)) == len(names)
    later = ["distillation", "downstream evaluations", "continued pre-training"]
    rings = [name for name in names if "neighbours" in name]
    assert [name for name in names if name in later] == later
    assert names[-4:] == rings[-4:], "what certifies the other models comes last"
    first = {i: at for at, step in reversed(list(enumerate(book))) for i in step.ids}
    for q in questions(plan):
        last = max(first[i] for cell in q.basis for i in cell.run_ids(plan))
        late = [first[i] for i in q.new_ids(plan)]
        assert all(names[at].endswith(", predicted") for at in late) and last < min(late)
    chain = names[: names.index("loss against weight decay")]
    assert set(chain[:4]) & {f"9.0k alone and x 3, D = {d:,}" for d in (1024, 2048, 4096)}
    assert sum(name.endswith(", predicted") for name in chain[: len(chain) // 2]) >= 1


def test_the_standard_recipe_is_planned_at_every_D_that_it_has(project):
    study = open_plan(Scale.load("laptop"))
    rows, regularized = study.scale.standard, set(study.scale.ladder())
    assert {row.seed_tokens for row in rows} > regularized, "its law reaches further in D"
    runs = [s for row in rows for s in specs_of(study, row, study.scale.seeds_at(row.seed_tokens))]
    planned = frozenset().union(*(step.ids for step in steps.steps(study)))
    assert {spec.run_id for spec in runs} <= planned


def test_a_model_beyond_the_ladder_has_no_members(plan):
    scale = plan.scale
    (name,) = scale.ensembles.alone
    rows = [row for row in scale.regularized if row.model == name]
    members = {spec.run_id for row in rows for spec in ensemble(plan, heuristic(row), 4).members}
    for number in ("03", "04", "05", "07"):
        ids = {spec.run_id for spec in SECTIONS[number].needs(plan)}
        assert ids and not ids & members
    assert not members & {spec.run_id for step in steps.steps(plan) for spec in step.missing(plan)}
    assert any(q.target.settings.model == name and q.axis == "N" for q in questions(plan))


def test_a_plan_says_what_fits(plan):
    printed = budget_lines(plan, 0.02)
    rows = [
        line for line in printed.partition("\n\n")[0].splitlines()[2:] if "too long" not in line
    ]
    ends = [float(row.split()[-1]) for row in rows]
    assert 0 < len(rows) < len(steps.steps(plan)) and ends == sorted(ends) and ends[-1] <= 0.02


def test_a_plan_counts_every_run_once(plan):
    rows = [
        line.rsplit(maxsplit=3)
        for line in budget_lines(plan, 1e6).partition("\n\n")[0].splitlines()[2:]
    ]
    ids = {spec.run_id for step in steps.steps(plan) for spec in step.missing(plan)}
    assert sum(int(n_run) for _, n_run, _, _ in rows) == len(ids)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small, smoke_corpora):
    """A plan killed with -9 once, then run twice with `hold`: its home and printed lines."""
    home = tmp_path_factory.mktemp("plan")
    (home / "data").mkdir()
    (home / "data" / "corpora").symlink_to(smoke_corpora)
    (home / "notebooks").symlink_to(ROOT / "notebooks")
    program = (
        "import sys; from ieee_lib.book import steps; steps._after_the_chain = lambda study: ();"
        "from ieee_lib.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "run-plan", "--scale", str(small)]
    command += ["--budget-minutes", "8", "--out", str(home / "out"), "--hold"]
    environment = {**os.environ, "IEEE_LIB_HOME": str(home)}
    first = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 240
    while len(list((home / "out").glob("*.json"))) < 4 and time.monotonic() < deadline:
        assert first.poll() is None
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    git(home, "init", "-q")
    printed = []
    for _ in range(4):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append(done.stdout)
        if "are not committed" not in done.stdout:
            break
        git(home, "add", "data/predictions")
        git(home, "commit", "-qm", "predictions")
    return home, printed


def git(home, *words):
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *who, *words], cwd=home, check=True)


@pytest.mark.slow
@pytest.mark.xdist_group("plan")
def test_a_killed_plan_goes_on_and_trains_no_target_before_a_commit(finished, small, monkeypatch):
    home, printed = finished
    assert "are not committed; their targets wait" in printed[0] and len(printed) >= 2
    assert ", predicted: " not in printed[0] and ", predicted: " in printed[-1]
    monkeypatch.setenv("IEEE_LIB_HOME", str(home))
    study = open_plan(Scale.load(str(small)))
    chain = steps.steps(study)
    chain = chain[: [s.what for s in chain].index("loss against weight decay")]
    assert all(step.is_done(study) for step in chain)


@pytest.mark.slow
@pytest.mark.xdist_group("plan")
def test_only_records_go_out_and_a_copy_brings_them_together(finished, small, tmp_path):
    home, _ = finished
    stored = {f.name: f.read_bytes() for f in (home / "data" / "runs" / "small").glob("*.json")}
    out = {f.name: f.read_bytes() for f in (home / "out").glob("*.json")}
    assert out == stored and len(out) > 50
    made = {f.name: f.read_bytes() for f in (home / "data" / "predictions" / "small").iterdir()}
    folder = home / "out" / "predictions"
    assert made == {f.name: f.read_bytes() for f in folder.iterdir()} and made
    assert {f.name for f in (home / "out").iterdir()} == {*out, "predictions"}
    there = RunStore(tmp_path / "runs", tmp_path / "weights", tmp_path / "samples")
    for name, data in out.items():
        there.records_folder.mkdir(exist_ok=True)
        (there.records_folder / name).write_bytes(data)
    here = RunStore(home / "data" / "runs" / "small", tmp_path, tmp_path)
    assert [result_of(r) for r in there.records()] == [result_of(r) for r in here.records()]


@pytest.mark.slow
@pytest.mark.xdist_group("plan")
def test_predictions_are_older_than_their_targets(finished, small, monkeypatch):
    home, _ = finished
    monkeypatch.setenv("IEEE_LIB_HOME", str(home))
    study = Study.open(str(small), source="records")
    known = predictions.predictions("small")
    assert {each["axis"] for each in known} == {"N", "D", "K"}
    assert len(known) == len(list(questions(study))) and not predict(study)
    for each in known:
        assert each["low"] <= each["predicted"] <= each["high"]
        made = [datetime.fromisoformat(study.store.get(i)["created"]) for i in each["target"]]
        assert max(made) >= datetime.fromisoformat(each["created"])
    rows = scores(study)
    assert set(rows.counted) == {"yes"} and len(rows) == len(known)
    inside = (rows.ci_low <= rows.measured) & (rows.measured <= rows.ci_high)
    assert (rows.covered == inside).all()
    counted = drawn(study, "11")["tab21_coverage"].frame.iloc[0]
    assert counted.predictions == len(known) and counted.covered == rows.covered.sum()


@pytest.mark.slow
@pytest.mark.xdist_group("plan")
def test_the_first_part_of_a_plan_is_a_book(finished, small, monkeypatch):
    home, _ = finished
    monkeypatch.setenv("IEEE_LIB_HOME", str(home))
    scale = Scale.load(str(small))
    with pytest.raises(MissingRuns):
        pack(Study.open(scale, source="records"))
    scale = replace(scale, search=replace(scale.search, optional=True))
    assert pack(Study.open(scale, source="records")) > 50
    archive = Study.open(scale, source="archive")
    with output(write=False):
        assert list(run_book(archive)) == ["00", "01", "04", "05", "09", "11"]
    assert set(scores(archive).counted) == {"yes"}, "the archive lacks what was predicted"
    claims = judged(run_records(archive))
    assert {c.notebook for c in claims if c.verdict != NOT_RUN} == {"01", "04", "05"}
    assert "fig06_joint_limit" in drawn(archive, "04", write=True)
    load = Scale.load
    monkeypatch.setattr(Scale, "load", lambda name: scale if name == "small" else load(name))
    assert "draws 6 notebooks" in verify("small").caption
    centre = single.tune(archive, "regularized")[0].centre
    lost = specs_of(archive, centre, 1)[0].run_id
    pack_archive(
        [r for r in archive.store.records() if r["run_id"] != lost], paths.archive("small")
    )
    with pytest.raises(InputError, match="fig06_joint_limit"):
        verify("small")


@pytest.mark.slow
@pytest.mark.xdist_group("plan")
def test_records_that_came_alone_are_drawn(finished, small, tmp_path, monkeypatch):
    """A copy of some steps' records and the predictions, on a machine without the text."""
    home, _ = finished
    scale = Scale.load(str(small))
    scale = replace(scale, search=replace(scale.search, optional=True))
    monkeypatch.setenv("IEEE_LIB_HOME", str(home))
    book = steps.steps(open_plan(scale))
    last = max(i for i, step in enumerate(book) if step.what.startswith("loss against epochs"))
    ids = set().union(*(step.ids for step in book[: last + 1]))
    there = tmp_path / "there" / "data"
    for name in ("runs/small", "predictions/small"):
        (there / name).mkdir(parents=True)
        for file in (home / "data" / name).glob("*.json"):
            if name.startswith("predictions") or file.stem in ids:
                shutil.copy(file, there / name)
    (there.parent / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setenv("IEEE_LIB_HOME", str(there.parent))
    study = Study.open(scale, source="records")
    with output(write=False):
        assert list(run_book(study)) == ["00", "01", "09", "11"]
    assert "not trained yet" in set(scores(study).counted)


def test_a_step_trains_what_it_was_planned_to(finished, small, tmp_path, monkeypatch):
    """On a machine with records alone: the members of one ensemble, not those of all."""
    shutil.copytree(finished[0] / "data", tmp_path / "data", symlinks=True)
    monkeypatch.setenv("IEEE_LIB_HOME", str(tmp_path))
    study = open_plan(Scale.load(str(small)))
    step = next(step for step in steps.steps(study) if len(step.ensembles) > 1)
    shutil.rmtree(tmp_path / "data" / "checkpoints")
    assert step.is_done(study)
    lost = step.ensembles[-1]
    (paths.runs("small") / f"{lost.run_id}.json").unlink()
    asked = []
    monkeypatch.setattr(Study, "ensure", lambda self, specs, **options: asked.extend(specs))
    monkeypatch.setattr(Study, "score", lambda self, ensembles, **options: None)
    step.run(study)
    assert {spec.run_id for spec in asked} == {spec.run_id for spec in lost.members}


def test_a_notebook_trains_nothing_before_all_is_predicted(plan):
    book = steps.steps(plan)
    tried = {step.what for step in book if not step.notebook}
    assert tried < {step.what for step in book}
    assert _next(plan, tried, float("inf"), hold=False) is None


def test_a_plans_notebook_takes_settings_as_they_are(finished, small, monkeypatch):
    """Their neighbours come last: what a notebook needs must not bring them forward."""
    home, _ = finished
    monkeypatch.setenv("IEEE_LIB_HOME", str(home))
    scale = Scale.load(str(small))
    study = Study.open(replace(scale, search=replace(scale.search, optional=True)))
    before = len(list(study.store.records()))
    try:
        found = [single.tune(study, recipe) for recipe in single.AXES]
    finally:
        study.close()
    assert {result.status for results in found for result in results} == {NOT_SEARCHED}
    assert len(list(study.store.records())) == before


def test_what_diverged_predicts_nothing_and_is_not_scored(finished, small, monkeypatch):
    home, _ = finished
    monkeypatch.setenv("IEEE_LIB_HOME", str(home))
    study = Study.open(str(small), source="records")
    question = next(q for q in questions(study) if q.axis == "K")
    run_id = question.target.runs(study)[0].run_id
    path = paths.runs("small") / f"{run_id}.json"
    before = path.read_text()
    try:
        gone = {**json.loads(before), "status": "diverged", "val_loss": None}
        path.write_text(json.dumps(with_checksum(gone)))
        assert question.is_lost(study) and math.isnan(measured(study, question.target).value)
        rows = scores(study)
        lost = rows[rows.counted == "diverged"]
        assert len(lost) and not lost.covered.any()
        assert "fig21_predicted" in drawn(study, "11")
    finally:
        path.write_text(before)


def test_the_time_ends_a_plan(project, small, tmp_path):
    program = "import sys; from ieee_lib.cli import main; sys.exit(main(sys.argv[1:]))"
    program = (
        "from ieee_lib.book import run_plan; run_plan.MARGIN = 0.0;" + program
    )  # begins what cannot fit
    command = [sys.executable, "-c", program, "run-plan", "--scale", str(small)]
    command += ["--budget-minutes", "0.1", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "The time is over" in done.stdout, done.stderr
    assert all(f.suffix == ".json" for f in (tmp_path / "out").rglob("*.*"))


@pytest.mark.slow
@pytest.mark.xdist_group("plan")
def test_without_a_network_a_plan_leaves_out_the_hubs_questions(project, small, tmp_path):
    text = small.read_text()
    asking = tmp_path / "asking.toml"
    asking.write_text(text.replace("[downstream]\n", '[downstream]\ntasks = ["piqa"]\n'))
    assert asking.read_text() != text
    command = [sys.executable, "-m", "ieee_lib", "run-plan", "--scale", str(asking)]
    command += ["--budget-minutes", "0.3", "--out", str(tmp_path / "out")]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=offline)
    assert done.returncode == INCOMPLETE, done.stdout + done.stderr
    left_out = "downstream evaluations: left out, task = 'piqa': its items cannot be had"
    assert left_out in done.stderr
    assert list((tmp_path / "out").glob("*.json")), "nothing was trained"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run-plan", "--budget-minutes", "0", "--out", "x"), "--budget-minutes = 0.0"),
        (("run-plan", "--budget-minutes", "nan", "--out", "x"), "--budget-minutes = nan"),
        (("plan", "--budget-minutes", "-1"), "--budget-minutes = -1.0"),
        (("run-plan", "--out", "x"), "--budget-minutes"),
        (("run-plan", "--budget-minutes", "1", "--out", "file"), "must be a folder"),
        (("predict",), "nothing can be predicted"),
        (("plan", "--budget-minutes", "5", "--only", "03"), "goes with --corpus alone"),
    ],
)
def test_wrong_words(project, arguments, said):
    (project / "file").write_text("")
    command = [sys.executable, "-m", "ieee_lib", *arguments, "--scale", "smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr

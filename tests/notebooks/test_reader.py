"""What a reader does next, in at most three lines, with names that the notebook already has."""

import ast
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ieee_lib.book.run import run_notebook
from ieee_lib.errors import MissingRuns
from ieee_lib.laws import Estimate
from ieee_lib.plots.saving import output
from ieee_lib.runs.trace import sharing_answers
from tests.conftest import ROOT

ARCHIVE = {"scale": "laptop", "source": "archive"}

FRAMES = {
    "01": "runs",
    "02": "tuned",
    "03": "heuristic",
    "04": "limits",
    "05": "losses",
    "06": "students",
    "07": "answers",
    "08": "continued",
}
"""Notebook -> the frame behind its first figure."""

REFITS = {
    "02": "law.without('0.04M')",
    "03": "by_model['0.07M'].without(by_model['0.07M'].members[0])",
    "04": "joint.without('0.04M')",
    "05": "laws_in_data['standard'].without(114688)",
}
"""Notebook -> a law refitted without a point or member."""

SERIES = {
    "02": ("fig03_regularized_against_size", "standard recipe"),
    "03": ("fig04b_all_ensembles_against_total_parameters", "ensembles of 1–5 models of 0.04M"),
    "05": ("fig07b_limits_against_data", "joint limit"),
}
"""Notebook -> a figure and a series that a reader may not want."""


@pytest.fixture(scope="module")
def names():
    """Return what a notebook's cells define, each run once from the recorded book."""
    ran = {}

    def of(number):
        if number not in ran:
            (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
            with output(write=False):
                ran[number] = run_notebook(path, ARCHIVE).names
        return dict(ran[number])

    with sharing_answers():
        yield of


def after(namespace, lines):
    """Run a reader's lines after a notebook's cells; return the value of the last one."""
    lines = lines.strip().splitlines()
    assert len(lines) <= 3 and all(len(line) <= 100 for line in lines)
    exec("\n".join(lines[:-1]), namespace)
    ast.parse(lines[-1], mode="eval")
    return eval(lines[-1], namespace)


@pytest.mark.parametrize("number", FRAMES)
def test_the_frame_behind_a_figure(names, number):
    frame = after(names(number), FRAMES[number])
    assert isinstance(frame, pd.DataFrame) and len(frame) > 1
    ids = [c for c in frame.columns if c in ("run_id", "run_ids", "members", "ensemble")]
    assert ids, f"its rows name no records: {list(frame.columns)}"


@pytest.mark.parametrize("number", REFITS)
def test_a_law_refitted_without_a_point(names, number):
    law = after(names(number), REFITS[number])
    whole = after(names(number), REFITS[number].partition(".without")[0])
    assert isinstance(law.limit, Estimate)
    assert law.limit.value != whole.limit.value and "[" in repr(law) and "$" in law._repr_latex_()


@pytest.mark.parametrize("number", SERIES)
def test_a_figure_redrawn_with_another_title_and_limits_and_one_series_less(names, number):
    figure, series = SERIES[number]
    lines = f"""
fig = study.saved["{figure}"].figure
plots.remove(fig.axes[0], "{series}").set(title="Mine", ylim=(4, 5))
fig
"""
    namespace = names(number)
    before = namespace["study"].saved[figure].figure.axes[0]
    assert series in before.get_legend_handles_labels()[1]
    fig = after(namespace, lines)
    assert isinstance(fig, Figure) and fig.axes[0].get_title(loc="left") in ("Mine", "")
    assert series not in fig.axes[0].get_legend_handles_labels()[1]
    assert fig.axes[0].get_ylim() == (4, 5)


@pytest.mark.parametrize(
    ("number", "frame"), [("02", "tuned"), ("03", "heuristic"), ("04", "heuristic")]
)
def test_loss_against_training_flops(names, number, frame):
    lines = f"""
fig, ax = plt.subplots()
ax.loglog({frame}.flops, {frame}.loss, "o")
ax.lines[0].get_xdata()
"""
    flops = after(names(number), lines)
    assert (flops > 1e9).all()
    plt.close("all")


def test_the_losses_of_all_subsets_of_an_ensemble(names):
    lines = 'heuristic.loc[heuristic.model == "0.07M", ["k", "members", "loss"]]'
    subsets = after(names("03"), lines)
    assert len(subsets) == 2**5 - 1 and subsets.loss.between(3, 6).all()


def test_the_six_things_of_the_readme_do_what_they_say(names):
    """Each line as typed into notebook 03; the last one names a run that the archive lacks."""
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```python\n# in notebook 03\n(.*?)```", text, re.DOTALL)
    *lines, more = block.strip().splitlines()
    results = []
    namespace = names("03")
    for line in lines:
        tree = ast.parse(line).body[0]
        if isinstance(tree, ast.Expr):
            results.append(eval(line, namespace))
        else:
            exec(line, namespace)
    frame, law, (title, limits), points, subsets = results
    assert len(frame) > 1 and law.limit.value != namespace["law"].limit.value
    assert title.get_text() == "Mine" and limits == (4.2, 5.2)
    assert points.get_xscale() == "log" and len(subsets) == 2**5 - 1
    with pytest.raises(MissingRuns):
        eval(more, namespace)
    plt.close("all")


@pytest.mark.slow
def test_one_more_run_trained_and_added(project):
    (path,) = (ROOT / "notebooks").glob("01_*.ipynb")
    with output(write=False):
        namespace = run_notebook(path, {"scale": "smoke", "source": "train"}).names
    lines = """
model = study.scale.overfitting.model
more = study.ensure([study.spec(model, wd=0.1, lr=3e-3, epochs=2, seed=7)])
laws.concat({"before": runs, "more": more}, "from")
"""
    try:
        frame = after(namespace, lines)
    finally:
        namespace["study"].close()
    assert len(frame) == len(namespace["runs"]) + 1 and frame.val_loss.iloc[-1] > 0

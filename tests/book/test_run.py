"""Notebooks' cells in this process: parameters, failures by cell, what is shared and written."""

import matplotlib.pyplot as plt
import nbformat
import pytest

from ieee_lib.book.run import NotebookError, declared, one_book, run_notebook, saved_names
from ieee_lib.config.scale import Scale
from ieee_lib.config.session import SESSION
from ieee_lib.errors import InputError, MissingRuns, TrainingError
from ieee_lib.jobs.executors import sharing_workers
from ieee_lib.plots.saving import output

PARAMETERS = 'scale = "smoke"  # a scale\nsource = "records"\nx = 1\n'
OPENED = """
import matplotlib.pyplot as plt
from ieee_lib import Study
study = Study.open(scale, source=source)
"""
DRAWN = """
fig, ax = plt.subplots()
ax.plot([0, x])
study.save(fig, "fig99_line", data={"x": x}, caption="one line")
"""


@pytest.fixture
def notebook(project, tmp_path_factory):
    """Return a function that writes a notebook of some cells after the parameters'."""
    folder = tmp_path_factory.mktemp("notebooks")

    def write(*sources, name="99_test"):
        cells = [nbformat.v4.new_markdown_cell("# 99"), nbformat.v4.new_code_cell(PARAMETERS)]
        cells[1].metadata["tags"] = ["parameters"]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        path = folder / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return write


def test_cells_run_in_order_with_parameters_after_their_own(notebook):
    ran = run_notebook(notebook("y = x + 1", "z = [y for _ in range(2)]"), {"x": 4})
    assert (ran.names["x"], ran.names["y"], ran.names["z"]) == (4, 5, [5, 5])
    assert ran.number == "99" and ran.judged == []


def test_what_each_cell_shows_is_kept_by_its_place(notebook):
    cells = ("x, 'é'  # (", "y = 1", "sum(\n    [x,\n     2]\n)", "'a'; 'é', [\n1]", "y += 1", "")
    ran = run_notebook(notebook(*cells), {"x": 4})
    assert ran.shown == {2: (4, "é"), 4: 6, 5: ("é", [1])} and ran.given == {"x": 4}
    assert ran.names["y"] == 2 and not [name for name in ran.names if "shown" in name]


def test_what_each_cell_prints_is_kept_and_not_printed(notebook, capsys):
    ran = run_notebook(
        notebook("print('a', x, sep='-')", "y = 1\nprint(y)\nprint(2)", "x"), {"x": 4}
    )
    assert ran.printed == {2: "a-4\n", 3: "1\n2\n"} and "print" not in ran.names
    assert capsys.readouterr().out == ""


def test_parameters_are_objects_and_never_code(notebook):
    scale = Scale.load("smoke")
    ran = run_notebook(notebook("y = x"), {"scale": scale, "x": '1"; raise SystemExit #'})
    assert ran.names["scale"] is scale and ran.names["y"].endswith("#")


def test_a_parameter_that_is_not_declared_is_refused(notebook):
    path = notebook()
    assert declared(path) == {"scale": "smoke", "source": "records", "x": 1}
    with pytest.raises(InputError, match="parameter = 'wd': allowed are scale, source, x"):
        run_notebook(path, {"wd": 0.1})


def test_a_notebook_that_is_missing_is_named(project):
    with pytest.raises(InputError, match="is missing from notebooks/"):
        run_notebook(project / "98_none.ipynb", {})


@pytest.mark.parametrize(
    ("cells", "place", "message"),
    [
        (("a = 1", "b = a / 0"), 3, "ZeroDivisionError: division by zero"),
        (("a = (1,", "b = 2"), 2, "SyntaxError"),
        (("f = lambda: 1 / 0", "a = 1\nf()", "c = 3"), 3, "ZeroDivisionError"),
        (("import none_such",), 2, "ModuleNotFoundError"),
    ],
)
def test_a_failing_cell_is_named_with_its_notebook(notebook, cells, place, message):
    with pytest.raises(NotebookError) as error:
        run_notebook(notebook(*cells), {})
    assert f"99_test, cell {place}, failed: {message}" in str(error.value)
    assert cells[place - 2] in str(error.value)


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (InputError, 'InputError("a", 1, "must be 2")'),
        (MissingRuns, 'MissingRuns("source", "records", "none")'),
        (TrainingError, 'TrainingError("3 of 4 failed")'),
        (KeyboardInterrupt, "KeyboardInterrupt()"),
    ],
)
def test_errors_with_a_meaning_come_as_they_are(notebook, kind, made):
    cell = f"from ieee_lib.errors import *\nraise {made}"
    with pytest.raises(kind) as error:
        run_notebook(notebook(cell), {})
    assert type(error.value) is kind


def test_figures_are_written_only_where_that_is_wanted(notebook, project):
    path, folder = notebook(OPENED, DRAWN), project / "figures" / "smoke"
    plt.close("all")
    before = plt.subplots()[0].number
    with output(write=False):
        ran = run_notebook(path, {"x": 3})
    assert not folder.exists() and ran.saved["fig99_line"].data == {"x": 3}
    with output(["svg"]):
        run_notebook(path, {})
    assert {file.suffix for file in folder.iterdir()} == {".svg", ".json"}
    assert plt.get_fignums() == [before], "figures of others are left open, its own are not"
    plt.close("all")


def test_the_style_and_the_frontend_are_as_before(notebook, project, monkeypatch):
    monkeypatch.setenv(SESSION, "a notebook in JupyterLab")
    size = plt.rcParams["font.size"]
    cell = "from ieee_lib import plots\nfrom ieee_lib.config.session import in_lab\n"
    cell += "lab = in_lab()\n"
    ran = run_notebook(notebook(cell + 'plots.use_style("talk", "dark")'), {})
    import os

    assert not ran.names["lab"] and os.environ[SESSION] == "a notebook in JupyterLab"
    assert plt.rcParams["font.size"] == size


def test_notebooks_of_one_book_share_answers(notebook):
    cells = (OPENED, "answer = study.cached('q', lambda study: object())")
    first, second = notebook(*cells), notebook(*cells, name="98_other")
    with one_book() as session:
        a, b = (run_notebook(path, {}).names["answer"] for path in (first, second))
        assert set(session.ran) == {first, second} and not session.running
    assert a is b and run_notebook(first, {}).names["answer"] is not a


def test_a_book_keeps_no_notebook_with_parameters_of_its_own(notebook):
    path = notebook()
    with one_book() as session:
        run_notebook(path, {"x": 2})
        assert not session.ran
        run_notebook(path, {"scale": "smoke"})
        assert list(session.ran) == [path]


def test_one_set_of_workers_serves_all_studies_of_a_block(notebook):
    path = notebook(OPENED)
    with sharing_workers(Scale.load("smoke").execution) as workers:
        workers.failed["0" * 16] = "for one notebook"
        studies = [run_notebook(path, {"source": "train"}).study for _ in range(2)]
    assert all(study.executor is workers.executor for study in studies)
    assert all(study.failed is workers.failed for study in studies)
    alone = run_notebook(path, {"source": "train"}).study
    assert alone.executor is not workers.executor and alone.failed == {}


def test_what_a_cell_saves_is_found_by_its_name():
    cell = "caption = study.caption(shown)\nstudy.save(\n    fig,\n    'fig05_x',\n    data={},\n)"
    assert saved_names(cell) == ["fig05_x"]
    assert saved_names("other.save(fig, 'fig06_x')\nstudy.save(fig)") == []

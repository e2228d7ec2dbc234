"""Saved figures and tables: their numbers, the same bytes twice, still open to edits."""

import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ieee_lib import InputError, plots
from ieee_lib.laws import fit_power_law, seed_means
from ieee_lib.plots.captions import counted
from ieee_lib.plots.saving import Table, output, save_figure, save_table, write_table
from tests.synthetic import ensemble, epoch_runs, near, tuned


def draw():
    runs = epoch_runs()
    validation = seed_means(runs, ["epochs"])
    training = seed_means(runs, ["epochs"], value="train_loss")
    figure, ax = plt.subplots()
    plots.loss_against_epochs(ax, validation, training)
    return figure, {"validation": validation, "training": training}


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_saved_figure_carries_its_numbers_and_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        with plots.style():
            figure, data = draw()
            save_figure(figure, tmp_path / name, "fig", data=data, caption="a caption")
    first = files(tmp_path / "a")
    assert list(first) == ["fig.json", "fig.pdf", "fig.png", "fig.svg"]
    assert files(tmp_path / "b") == first
    numbers = json.loads(first["fig.json"])
    assert numbers["caption"] == "a caption"
    assert [row["loss"] for row in numbers["validation"]] == pytest.approx([5.02, 4.02, 5.02])
    assert "a caption" in first["fig.svg"].decode() and "<text" in first["fig.svg"].decode()


def test_saving_leaves_a_figure_as_it_was(tmp_path):
    """A reader goes on: the caption is gone, the layout its own, the next save another one."""
    with plots.style():
        figure, data = draw()
        layout = dict(figure.get_layout_engine().get())
        saved = save_figure(figure, tmp_path, "fig", data=data, caption="a caption")
        before = files(tmp_path)
        assert not figure.texts and dict(figure.get_layout_engine().get()) == layout
        assert not plt.fignum_exists(figure.number), "a notebook would show it twice"
        saved.figure.axes[0].set(title="Mine", ylim=(4, 6))
        again = save_figure(figure, tmp_path, "fig", data=data, caption="a caption")
        assert again.figure is figure and again.figure.axes[0].get_ylim() == (4, 6)
        changed = {name for name, content in files(tmp_path).items() if content != before[name]}
        assert changed == {"fig.pdf", "fig.png", "fig.svg"}, "the numbers are the same"
        assert b"Mine" in (tmp_path / "fig.svg").read_bytes()
        assert saved._repr_png_().startswith(b"\x89PNG") and not figure.texts


def test_a_figure_of_another_style_keeps_its_layout_and_gets_its_caption(tmp_path):
    """Drawn without the house style, or by a reader's own code."""
    with mpl.rc_context():
        mpl.rcdefaults()
        figure, data = draw()
        figure.subplots_adjust(bottom=0.3)
        position = figure.axes[0].get_position().bounds
        save_figure(figure, tmp_path, "fig", data=data, caption="a caption · and more")
        figure.text(0, 0, "")  # it is still open to edits
    assert figure.axes[0].get_position().bounds == position
    assert "a caption · and more" in (tmp_path / "fig.svg").read_text()
    inches = figure.get_size_inches() * 2 * figure.dpi
    picture = plt.imread(tmp_path / "fig.png")
    assert picture.shape[1] == inches[0] and inches[1] + 20 < picture.shape[0] < 1.1 * inches[1]
    below = picture[int(inches[1]) :, :, :3]
    assert below.min() < 0.7 < below.max(), "the caption is drawn, in grey on white"


def test_what_is_plotted_becomes_json(tmp_path):
    table, law = tuned(), fit_power_law(tuned(), x="N")
    data = {
        "tuned": table,
        "law": law,
        "ensembles": {"0.07M": ensemble()},
        "limit": near(4.0),
        "lost": near(np.nan),
    }
    with plots.style():
        figure, _ = plt.subplots()
        saved = save_figure(figure, tmp_path, "fig", data=data, caption="c")
    numbers = json.loads((tmp_path / "fig.json").read_text())
    assert numbers["law"]["E_interval_95"] == pytest.approx(list(law.interval("E")))
    assert numbers["law"]["degrees_of_freedom"] == 1
    assert numbers["ensembles"]["0.07M"]["limit"]["value"] == pytest.approx(4.0)
    assert numbers["limit"]["ci_low"] < 4 and numbers["lost"]["value"] is None
    members = {i for ids in table.run_ids for i in ids} | set(ensemble().members)
    assert members <= saved.run_ids, "the records behind a figure are known"


def test_formats_and_whether_anything_is_written_are_chosen_by_a_block(tmp_path):
    figure, data = draw()
    with output(["svg"]):
        save_figure(figure, tmp_path / "svg", "fig", data=data, caption="c")
    assert list(files(tmp_path / "svg")) == ["fig.json", "fig.svg"]
    with output(write=False):
        saved = save_figure(figure, tmp_path / "none", "fig", data=data, caption="c")
        table = save_table(tuned(), tmp_path / "none", "tab", caption="c")
    assert not (tmp_path / "none").exists() and saved.data == data and len(table.frame) == 4
    with pytest.raises(InputError, match="format = 'gif'"), output(["gif"]):
        pass


def test_a_table_is_written_as_csv_markdown_latex_and_json(tmp_path):
    frame = pd.DataFrame({"a": [1.23456, float("nan")], "b": ["x", "y"]})
    write_table(Table(frame, "Cap", {"a": 2}), tmp_path, "t")
    csv, markdown, latex = ((tmp_path / f"t.{kind}").read_text() for kind in ("csv", "md", "tex"))
    assert csv == "a,b\n1.23456,x\n,y\n"
    assert "| 1.23 | x |\n| – | y |" in markdown and "Cap" in markdown
    assert r"\begin{tabular}" in latex
    assert json.loads((tmp_path / "t.json").read_text())["rows"][1] == {"a": None, "b": "y"}


def test_estimates_are_printed_with_their_intervals_and_records_are_not(tmp_path):
    frame = pd.DataFrame(
        {"limit": [near(4.0)], "N": [38_720], "done": [True], "run_ids": [("1" * 16, "2" * 16)]}
    )
    table = save_table(frame, tmp_path, "t", caption="c", digits={"limit": 2})
    assert list(table.formatted()) == ["limit", "limit ci_low", "limit ci_high", "N", "done"]
    assert table.formatted().iloc[0].tolist() == ["4.00", "3.98", "4.02", "38,720", "yes"]
    assert table.run_ids == {"1" * 16, "2" * 16}
    assert "4.00" in table._repr_markdown_()


@pytest.mark.parametrize("has_legend", [True, False])
def test_title_and_labels_are_given_by_argument(tmp_path, has_legend):
    with plots.style("talk"), output(["svg"], labels={"title": "Mine", "ylabel": "loss"}):
        figure, data = draw()
        if has_legend:
            plots.legend_above(figure.axes[0])
        save_figure(figure, tmp_path, "fig", data=data, caption="c")
        figure.draw_without_rendering()
    (ax,) = figure.axes
    assert ax.get_ylabel() == "loss" and ax.get_xlabel() == "epochs over the same D tokens"
    assert "Mine" in (tmp_path / "fig.svg").read_text()
    titles = [legend.get_title() for legend in figure.legends] or [figure._suptitle]
    (title,) = titles
    assert title.get_text() == "Mine"
    box = title.get_window_extent()
    texts = [text for legend in figure.legends for text in legend.get_texts()]
    assert all(box.y0 > text.get_window_extent().y1 for text in texts)
    assert box.y0 > ax.get_window_extent().y1


def test_only_what_is_named_is_written(tmp_path):
    with output(["svg"], names=["fig"]):
        for name in ("fig", "other"):
            figure, data = draw()
            save_figure(figure, tmp_path, name, data=data, caption="c")
        save_table(tuned(), tmp_path, "tab", caption="c")
    assert list(files(tmp_path)) == ["fig.json", "fig.svg"]


def test_a_caption_counts_what_is_drawn_by_kind():
    models = tuned().assign(n=[3, 3, 2, 2])
    laws_in_K = {"a": ensemble(), "b": ensemble(), "c": ensemble(K=2)}
    assert counted({"single model": [models, models.head(1)], "ensemble": laws_in_K}) == (
        "5 single models (2–3 seeds each), 2 ensembles of 5, 1 ensemble of 2"
    )
    law = fit_power_law(models, x="N")
    assert counted({"single model": {8: law}, "limit": 12}) == (
        "4 single models (2–3 seeds each), 12 limits"
    )
    recipes = ["standard", "regularized", "ensemble, tuned for K → ∞", "ensemble", "distilled"]
    points = pd.DataFrame({"recipe": recipes, "loss": [4.0, 4.0, 4.0, 4.0, np.nan]})
    assert counted(points) == "2 single models, 2 ensembles"
    one = models.head(1).assign(n=1)
    assert counted({"student": one}) == "1 student (1 seed each)"


def test_a_table_says_what_its_columns_are(tmp_path):
    frame = pd.DataFrame({"p": [0.1]})
    frame.attrs["notes"] = ("p: a p-value",)
    assert save_table(frame, tmp_path, "tab", caption="a caption").caption == (
        "a caption · p: a p-value"
    )
    assert "p: a p-value" in (tmp_path / "tab.md").read_text(encoding="utf-8")

"""Style, context and background: colours keep their meaning, ticks their number."""

import os
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from ieee_lib import InputError, plots
from ieee_lib.plots.style import folder_name
from tests.conftest import ROOT
from tests.synthetic import tuned


def draw():
    figure, ax = plt.subplots()
    plots.loss_against_parameters(ax, tuned(), recipe="standard")
    return figure


def test_talk_is_larger_with_the_same_colours():
    widths = {}
    for context in ("paper", "talk"):
        with plots.style(context):
            figure = draw()
        widths[context] = figure.get_size_inches()[0]
        assert figure.axes[0].lines[0].get_color() == plots.COLORS["standard"]
    assert widths["talk"] > 1.5 * widths["paper"]


def test_a_background_colours_figure_text_and_hollow_marks():
    faces, texts = {}, {}
    for background in ("white", "transparent", "dark"):
        with plots.style(background=background):
            figure, ax = plt.subplots()
            plots.loss_against_parameters(ax, tuned(status="uncertified"))
            faces[background] = mpl.colors.to_hex(figure.get_facecolor(), keep_alpha=True)
            texts[background] = ax.xaxis.label.get_color()
            hollow = mpl.colors.to_rgba(ax.lines[-1].get_markerfacecolor())
            assert hollow[3] == 1, "a hollow mark hides the line behind it"
    assert faces["white"] == "#ffffffff" and faces["transparent"].endswith("00")
    assert faces["dark"] not in (faces["white"], faces["transparent"])
    assert texts["dark"] != texts["white"]


def test_figures_of_another_look_have_folders_of_their_own():
    assert folder_name("laptop") == "laptop"
    with plots.style("talk", "dark"):
        assert folder_name("laptop") == "laptop/talk/dark"
        with plots.style(background="transparent"):
            assert folder_name("laptop") == "laptop/transparent"
        assert folder_name("laptop") == "laptop/talk/dark"
    assert folder_name("laptop") == "laptop"


SAVES = """
import sys
from pathlib import Path
import matplotlib.pyplot as plt
from ieee_lib import plots
from ieee_lib.plots.saving import save_figure
folder = Path(sys.argv[1])
with plots.style():
    figure, ax = plt.subplots(figsize=plots.wide())
    ax.plot([1, 2], [3, 4], label="N")
    ax.imshow([[1, 2], [3, 4]])
    plots.legend_above(ax)
    saved = save_figure(figure, folder, "inside", data={}, caption="a, b")
save_figure(figure, folder, "outside", data={}, caption="a, b")
for kind in ("svg", "pdf", "png"):
    assert saved.render(kind)[kind] == (folder / f"inside.{kind}").read_bytes(), kind
"""

MATPLOTLIBRC = """
backend: pgf
figure.figsize: 3, 3
figure.dpi: 300
figure.constrained_layout.use: False
figure.autolayout: True
figure.facecolor: pink
axes.facecolor: pink
axes.grid: False
font.size: 17
lines.linewidth: 17
savefig.dpi: 55
savefig.bbox: tight
savefig.pad_inches: 1
savefig.transparent: True
savefig.facecolor: pink
savefig.format: ps
pdf.fonttype: 3
pdf.compression: 0
pdf.use14corefonts: True
svg.fonttype: path
svg.hashsalt: mine
svg.image_inline: False
path.simplify: False
image.interpolation: bicubic
image.composite_image: False
"""


@pytest.mark.slow
def test_nothing_of_a_users_settings_leaks_in(tmp_path):
    """Neither while drawing nor while saving, in the block of a style or after it."""
    settings = tmp_path / "matplotlibrc"
    settings.write_text(MATPLOTLIBRC)
    files = {}
    for name, variables in {"plain": {}, "user": {"MATPLOTLIBRC": str(settings)}}.items():
        folder = tmp_path / name
        environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
        environment.pop("MPLBACKEND", None)
        command = [sys.executable, "-c", SAVES, str(folder)]
        subprocess.run(command, env=environment, cwd=ROOT, check=True)
        files[name] = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    assert len(files["plain"]) == 8
    differing = [n for n, content in files["plain"].items() if files["user"][n] != content]
    assert not differing
    for kind in ("svg", "pdf", "png"):
        assert files["plain"][f"outside.{kind}"] == files["plain"][f"inside.{kind}"]


def test_a_style_ends_with_its_block():
    with mpl.rc_context({"lines.linewidth": 17}):
        with plots.style():
            assert mpl.rcParams["lines.linewidth"] < 5
        assert mpl.rcParams["lines.linewidth"] == 17


def test_unknown_contexts_and_backgrounds_are_refused():
    with pytest.raises(InputError, match="allowed are paper, talk"), plots.style("slide"):
        pass
    with pytest.raises(InputError, match="white, transparent, dark"):
        plots.use_style("paper", "blue")


def test_analysis_imports_neither_torch_nor_lightning():
    program = (
        "import sys, pkgutil, importlib, ieee_lib.plots as room\n"
        "for module in pkgutil.iter_modules(room.__path__, 'ieee_lib.plots.'):\n"
        "    importlib.import_module(module.name)\n"
        "import ieee_lib.laws, ieee_lib.claims, ieee_lib.study, ieee_lib.recipes\n"
        "assert not {'torch', 'lightning', 'datasets'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

"""Style, context and background: colours keep their meaning, ticks their number."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from ieee_lib import InputError, plots
from ieee_lib.plots.style import folder_name
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


def test_a_users_settings_do_not_leak_in():
    with mpl.rc_context({"lines.linewidth": 17, "axes.facecolor": "pink"}):
        with plots.style():
            assert mpl.rcParams["lines.linewidth"] < 5 and mpl.rcParams["axes.facecolor"] != "pink"
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

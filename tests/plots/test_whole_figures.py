"""Every figure of the recorded books as drawn: what overlaps, is cut off, or is said wrongly."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from ieee_lib import plots
from ieee_lib.book.run import run_book
from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.plots.captions import captioned
from ieee_lib.plots.saving import SavedFigure, output
from ieee_lib.plots.style import PALETTES, contrast, readable, surface
from ieee_lib.study import Study

pytestmark = pytest.mark.xdist_group("whole figures")  # drawn once, not by every worker

STYLES = [
    ("laptop", "talk", "dark"),
    pytest.param(("laptop", "paper", "white"), marks=pytest.mark.slow),
    pytest.param(("workstation", "talk", "dark"), marks=pytest.mark.slow),
    pytest.param(("workstation", "paper", "white"), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=STYLES, ids="-".join)
def figures(request):
    """Name -> figure, all of a recorded book in one style, laid out as they are saved."""
    scale, context, background = request.param
    appearance = {"context": context, "background": background}
    drawn = {}
    with plots.style(context, background), output(write=False):
        study = Study.open(scale, source="archive")
        for ran in run_book(study, parameters=appearance).values():
            saved = {n: s for n, s in ran.saved.items() if isinstance(s, SavedFigure)}
            drawn |= saved
        for saved in drawn.values():
            FigureCanvasAgg(saved.figure)
            with captioned(saved.figure, "" if context == "talk" else saved.caption):
                saved.figure.draw_without_rendering()
        yield drawn


def boxes(figure, texts):
    """Return (text, box in pixels), without texts that show nothing."""
    renderer = figure.canvas.get_renderer()
    shown = [text for text in texts if text.get_text().strip() and text.get_visible()]
    found = [(text.get_text(), text.get_window_extent(renderer)) for text in shown]
    return [(text, lower_half(box) if text.startswith("\n") else box) for text, box in found]


def lower_half(box):
    """Return where a label of two lines stands whose first line is empty."""
    return Bbox([[box.x0, box.y0], [box.x1, box.y0 + box.height / 2]])


def overlap(a, b, share=0.02):
    """Say whether two boxes lie on one another by more than a rim."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    return width > share * min(a.width, b.width) and height > 0.2 * min(a.height, b.height)


def tick_labels(axis):
    low, high = sorted(axis.get_view_interval())
    ticks = axis.get_major_ticks()
    return [t.label1 for t in ticks if low <= t.get_loc() <= high and t.label1.get_visible()]


def test_no_two_tick_labels_touch(figures):
    touching = []
    for name, saved in figures.items():
        for ax in saved.figure.axes:
            for axis in (ax.xaxis, ax.yaxis):
                pairs = itertools.combinations(boxes(saved.figure, tick_labels(axis)), 2)
                touching += [(name, a, b) for (a, one), (b, two) in pairs if overlap(one, two)]
    assert not touching


def test_no_legend_or_title_lies_on_data_or_on_another(figures):
    covered = []
    for name, saved in figures.items():
        figure, renderer = saved.figure, saved.figure.canvas.get_renderer()
        legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
        areas = [("legend", legend.get_window_extent(renderer)) for legend in legends]
        titles = [ax._left_title for ax in figure.axes]
        suptitle = [figure._suptitle] if figure._suptitle else []
        areas += boxes(figure, [*titles, *suptitle])
        pairs = itertools.combinations(areas, 2)
        covered += [(name, a, b) for (a, one), (b, two) in pairs if overlap(one, two)]
        for ax in figure.axes:
            points = [ax.transData.transform(points_of(line)) for line in ax.lines]
            for area, box in areas:
                inside = [box.count_contains(p) for p in points if len(p)]
                covered += [(name, area)] * (1 if sum(inside) else 0)
    assert not covered


def points_of(line):
    """Return the points of a line that the axes show, in data coordinates."""
    if not line.get_transform().contains_branch(line.axes.transData) or not len(line.get_xdata()):
        return np.empty((0, 2))
    points = np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float)
    x, y = (np.sort(line.axes.get_xlim()), np.sort(line.axes.get_ylim()))
    is_in = (points[:, 0] >= x[0]) & (points[:, 0] <= x[1])
    return points[is_in & (points[:, 1] >= y[0]) & (points[:, 1] <= y[1])]


def test_nothing_written_is_cut_off_at_the_edge(figures):
    cut = []
    for name, saved in figures.items():
        figure, frame = saved.figure, saved.figure.bbox
        axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
        texts = [text for text in figure.findobj(Text) if text.get_window_extent().width]
        of_ticks = {id(tick.label1) for axis in axes for tick in axis.get_major_ticks()}
        of_ticks |= {id(tick.label2) for axis in axes for tick in axis.get_major_ticks()}
        shown = [text for axis in axes for text in tick_labels(axis)]
        texts = [text for text in texts if id(text) not in of_ticks] + shown
        for text, box in boxes(figure, texts):
            inside = box.x0 > -2 and box.y0 > -2 and box.x1 < frame.x1 + 2
            cut += [(name, text)] * (not (inside and box.y1 < frame.y1 + 2))
    assert not cut


def test_bars_are_95_percent_intervals_and_the_caption_says_so(figures):
    without = [
        name
        for name, saved in figures.items()
        if any(has_bars(ax) for ax in saved.figure.axes) and "95 %" not in saved.caption
    ]
    assert not without
    assert not [name for name, saved in figures.items() if "standard error" in saved.caption]


def has_bars(ax):
    """Say whether an axes has an error bar of some length."""
    bars = [c for c in ax.containers if isinstance(c, ErrorbarContainer) and c.lines[2]]
    segments = [segment for bar in bars for part in bar.lines[2] for segment in part.get_segments()]
    return any(np.ptp(segment, axis=0).max() > 0 for segment in segments if len(segment))


def test_an_ensemble_has_one_limit_in_all_figures(figures):
    limits = {}
    for name, saved in figures.items():
        if name != "fig20_beyond":  # of other settings, with a noise of their own
            for law in ensemble_laws(saved.data):
                limits.setdefault(law.members, {})[name] = (law.limit.ci_low, law.limit.ci_high)
    shared = [shown for shown in limits.values() if len(shown) >= 4]
    assert any("fig09_students_against_total_parameters" in shown for shown in shared)
    for shown in shared:
        first = next(iter(shown.values()))
        assert all(interval == pytest.approx(first) for interval in shown.values()), shown


def ensemble_laws(data):
    """Return the laws in K among nested values."""
    if isinstance(data, EnsembleLaw):
        return [data]
    values = data.values() if isinstance(data, dict) else data
    nested = isinstance(data, dict | list | tuple)
    return [law for value in values for law in ensemble_laws(value)] if nested else []


def test_captions_name_texts_in_words(figures):
    captions = [saved.caption for saved in figures.values()]
    assert not [caption for caption in captions if "*" in caption or "files:" in caption]


def test_a_slide_is_16_to_9_and_has_no_caption_line(figures):
    for name, saved in figures.items():
        if saved.look[0] == "talk":
            width, height = saved.figure.get_size_inches()
            assert width / height == pytest.approx(16 / 9), name
            assert saved.caption.encode()[:24] not in saved.render("svg")["svg"], name
            with output(caption=True):
                assert saved.caption.encode()[:24] in saved.render("svg")["svg"], name


@pytest.mark.parametrize("background", PALETTES)
def test_colours_can_be_seen_and_text_be_read(background):
    with plots.style(background=background):
        lowest = {"white": 3.0, "transparent": 3.0, "dark": 5.0}[background]
        for recipe, color in plots.COLORS.items():
            assert contrast(color, surface()) >= lowest, recipe
            assert contrast(readable(color), surface()) >= 4.5, recipe
            for shade in plots.marks.shades(recipe, 4):
                assert contrast(shade, surface()) >= 2.0, recipe
        for name in ("text.color", "axes.labelcolor", "xtick.labelcolor", "xtick.color"):
            assert contrast(mpl.rcParams[name], surface()) >= 4.5, name

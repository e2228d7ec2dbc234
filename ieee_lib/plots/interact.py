"""Figures with controls, over frames that are there: nothing is trained when one is moved.

    interact(lambda ax, epochs: plots.one_curve(ax, curves, epochs), epochs=choice(curves, 8))

In JupyterLab the controls stand above the figure. Elsewhere (papermill, a printed book, GitHub) it
is the figure alone, with the controls as they first stand.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ieee_lib.config.session import in_lab
from ieee_lib.errors import InputError
from ieee_lib.plots.legends import legend_above


@dataclass(frozen=True)
class Control:
    """What a reader may choose."""

    options: tuple[Any, ...]
    value: Any
    """What stands first: an option, or a tuple of them where several may be chosen."""

    @property
    def is_multiple(self) -> bool:
        """Say whether several options may be chosen."""
        return isinstance(self.value, tuple)


def choice(options: Iterable[Any], value: Any) -> Control:
    """Return a slider over options; `value` stands first."""
    return Control(tuple(options), value)


def choices(options: Iterable[Any], value: Iterable[Any]) -> Control:
    """Return a row of boxes to tick; those in `value` are ticked first."""
    return Control(tuple(options), tuple(value))


def interact(draw: Callable[..., Axes], **controls: Control) -> Any:
    """Return a widget of a figure and its controls where somebody can move them, else the figure.

    draw(ax, **chosen) draws on a fresh axes and returns it; what raises InputError is printed.
    """
    if not in_lab():
        return _figure(draw, {name: control.value for name, control in controls.items()})
    import ipywidgets as widgets

    rows, boxes = [], {}
    for name, control in controls.items():
        controls_of_name = _widgets(name, control)
        boxes.update(controls_of_name)
        label = widgets.Label(f"{name}:", layout=widgets.Layout(min_width="6em"))
        rows.append(widgets.HBox([label, *controls_of_name.values()]))
    output = widgets.Output()

    def redraw(_: object = None) -> None:
        output.outputs = (_shown(draw, controls, {name: box.value for name, box in boxes.items()}),)

    for box in boxes.values():
        box.observe(redraw, "value")
    redraw()
    return widgets.VBox([*rows, output])


def _figure(draw: Callable[..., Axes], chosen: dict[str, Any]) -> Figure:
    figure, ax = plt.subplots()
    legend_above(draw(ax, **chosen))
    plt.close(figure)
    return figure


def _widgets(name: str, control: Control) -> dict[str, Any]:
    import ipywidgets as widgets

    if control.is_multiple:
        return {
            f"{name} {option}": widgets.Checkbox(
                option in control.value, description=str(option), indent=False,
                layout=widgets.Layout(width="auto"),
            )
            for option in control.options
        }  # fmt: skip
    options = [(str(option), option) for option in control.options]
    return {
        name: widgets.SelectionSlider(options=options, value=control.value, continuous_update=False)
    }


def _shown(
    draw: Callable[..., Axes], controls: dict[str, Control], given: dict[str, Any]
) -> dict[str, Any]:
    """Return the figure as the controls stand, or why there is none, as an output of a notebook.

    It is set, not displayed: what is displayed while a page still loads the widget is lost.
    """
    from IPython.core.pylabtools import print_figure

    chosen: dict[str, Any] = {}
    for name, control in controls.items():
        if control.is_multiple:
            chosen[name] = tuple(o for o in control.options if given[f"{name} {o}"])
        else:
            chosen[name] = given[name]
    try:
        image = print_figure(_figure(draw, chosen), base64=True)
    except InputError as error:
        return {"output_type": "stream", "name": "stdout", "text": f"{error}\n"}
    return {"output_type": "display_data", "data": {"image/png": image}, "metadata": {}}

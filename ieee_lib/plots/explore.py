"""Figures with knobs, over recorded runs: nothing is trained when one is turned.

    Explorer(draw, knobs)            # in a section's EXPLORERS; draw(found, **choices) -> Drawing
    chapter.explore("limit_from_few")

In JupyterLab the knobs stand above the figure. Elsewhere (papermill, a printed book, GitHub) it is
the figure alone, at the knobs' first positions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ieee_lib.errors import InputError
from ieee_lib.frontend import in_lab
from ieee_lib.plots.saving import Drawing


@dataclass(frozen=True)
class Knob:
    """What a reader may choose."""

    options: Sequence[Any]
    value: Any
    """What stands first: an option, or a tuple of them where several may be chosen."""

    @property
    def several(self) -> bool:
        return isinstance(self.value, tuple)


@dataclass(frozen=True)
class Explorer:
    """A figure, and its knobs given what a section has gathered."""

    draw: Callable[..., Drawing]
    knobs: Callable[[Any], Mapping[str, Knob]]


def explore(draw: Callable[..., Drawing], knobs: Mapping[str, Knob]) -> Any:
    """Return a widget of the figure and its knobs where somebody can turn them, else the figure."""
    if not in_lab():
        return draw(**{name: knob.value for name, knob in knobs.items()})
    import ipywidgets as widgets

    rows, controls = [], {}
    for name, knob in knobs.items():
        own = _controls(name, knob)
        controls |= own
        label = widgets.Label(f"{name}:", layout=widgets.Layout(min_width="6em"))
        rows.append(widgets.HBox([label, *own.values()]))
    figure = widgets.interactive_output(partial(_show, draw, knobs), controls)
    return widgets.VBox([*rows, figure])


def _controls(name: str, knob: Knob) -> dict[str, Any]:
    import ipywidgets as widgets

    if knob.several:
        return {
            f"{name} {option}": widgets.Checkbox(
                option in knob.value, description=str(option), indent=False,
                layout=widgets.Layout(width="auto"),
            )
            for option in knob.options
        }  # fmt: skip
    return {
        name: widgets.SelectionSlider(
            options=[(str(option), option) for option in knob.options],
            value=knob.value,
            continuous_update=False,
        )
    }


def _show(draw: Callable[..., Drawing], knobs: Mapping[str, Knob], **given: Any) -> None:
    """Display the figure as the controls stand, or say why there is none."""
    from IPython.display import display

    chosen = {
        name: tuple(o for o in knob.options if given[f"{name} {o}"])
        if knob.several
        else given[name]
        for name, knob in knobs.items()
    }
    try:
        display(draw(**chosen))
    except InputError as error:
        print(error)

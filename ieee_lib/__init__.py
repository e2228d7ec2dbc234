"""Infinite-compute Epochs, Ensembles and Extrapolation: a companion to arXiv 2509.14786.

    from ieee_lib import Study, claims, laws, plots, recipes

    study = Study.open("laptop", source="archive")
    tuned = recipes.regularized(study)               # a frame, one row a model
    laws.fit_power_law(tuned, x="N")                 # A / N^alpha + E with its interval

Rooms and their imports, one-way: config, text, runs, model, training, evaluation, jobs, study;
runs, laws, plots and claims (no torch); recipes, predictions and book above both. Each is imported
when it is first used, so that the command line and the workers start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ieee_lib import book, claims, laws, plots, predictions, recipes
    from ieee_lib.config import ModelConfig, RunSpec
    from ieee_lib.config.scale import Scale
    from ieee_lib.errors import InputError
    from ieee_lib.runs.frames import load_runs
    from ieee_lib.study import Study

_HOMES = {
    "InputError": "ieee_lib.errors",
    "ModelConfig": "ieee_lib.config",
    "RunSpec": "ieee_lib.config",
    "Scale": "ieee_lib.config.scale",
    "Study": "ieee_lib.study",
    "load_runs": "ieee_lib.runs.frames",
}
"""Name -> the module that defines it."""

_ROOMS = ("book", "claims", "laws", "plots", "predictions", "recipes")

__all__ = [
    "InputError",
    "ModelConfig",
    "RunSpec",
    "Scale",
    "Study",
    "book",
    "claims",
    "laws",
    "load_runs",
    "plots",
    "predictions",
    "recipes",
]


def __getattr__(name: str) -> Any:
    """Import a name or a room when it is first used."""
    if name in _ROOMS:
        return import_module(f"ieee_lib.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name everything that can be imported, for tab completion."""
    return sorted({*globals(), *__all__})

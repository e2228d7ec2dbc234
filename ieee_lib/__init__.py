"""Infinite-compute Epochs, Ensembles and Extrapolation: a companion to arXiv 2509.14786.

Rooms, one-way: text -> training -> recipes -> analysis. See README.md for the tree.

    from ieee_lib import Study
    study = Study.open("smoke")
"""

__version__ = "0.1.0"

from ieee_lib.config import ModelConfig, RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.errors import InputError
from ieee_lib.runs.frames import load_runs
from ieee_lib.study import Study

__all__ = ["InputError", "ModelConfig", "RunSpec", "Scale", "Study", "load_runs"]

"""00: scales, corpora, costs (Table 2)."""

import pandas as pd

from ieee_lib.analysis import figures, tables
from ieee_lib.analysis.claims import Claim
from ieee_lib.analysis.drawing import Drawing, Table
from ieee_lib.scale import Scale
from ieee_lib.spec import RunSpec
from ieee_lib.study import Study


def specs(study: Study) -> list[RunSpec]:
    return []


def gather(study: Study) -> tuple[pd.DataFrame, str]:
    """Return the parameter counts of the paper's presets and of this scale, and a caption."""
    counts = tables.count_frame({**Scale.load("paper").models, **study.scale.models})
    about = f"the paper's presets (Table 2) and the {study.scale.name} scale; exact counts"
    return counts, about


def parameters(found: tuple[pd.DataFrame, str]) -> Drawing:
    return figures.parameters_by_group(found[0], caption=found[1])


def parameter_table(found: tuple[pd.DataFrame, str]) -> Table:
    return Table(found[0], found[1])


def claims(found: tuple[pd.DataFrame, str]) -> list[Claim]:
    return []


ITEMS = {"fig00_parameters": parameters, "tab00_parameters": parameter_table}

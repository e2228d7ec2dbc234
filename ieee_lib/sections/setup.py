"""00: scales, corpora, costs (Table 2)."""

from dataclasses import dataclass

import pandas as pd

from ieee_lib.claims.verdicts import Claim
from ieee_lib.config import RunSpec
from ieee_lib.config.scale import Scale
from ieee_lib.plots import figures, tables
from ieee_lib.plots.saving import Drawing, Table
from ieee_lib.study import Study


@dataclass(frozen=True)
class Found:
    counts: pd.DataFrame
    """Parameters of every model, by group."""
    caption: str


def specs(study: Study) -> list[RunSpec]:
    return []


def gather(study: Study) -> Found:
    """Return the parameter counts of the paper's presets and of this scale, and a caption."""
    counts = tables.count_frame({**Scale.load("paper").models, **study.scale.models})
    about = f"the paper's presets (Table 2) and the {study.scale.name} scale; exact counts"
    return Found(counts, about)


def parameters(found: Found) -> Drawing:
    return figures.parameters_by_group(found.counts, caption=found.caption)


def parameter_table(found: Found) -> Table:
    return Table(found.counts, found.caption)


def claims(found: Found) -> list[Claim]:
    return []


ITEMS = {"fig00_parameters": parameters, "tab00_parameters": parameter_table}

"""Coordinate descent over weight decay, learning rate and epochs (Sec. 3; v1 App B.1).

From a given centre the search moves to the best one-step neighbour on the paper's grid until no
neighbour is better. What remains is a certificate of local optimality: the neighbours, their
losses over seeds, and whether each difference exceeds the noise between seeds.

    results = search(study, study.scale.settings("regularized", D), axes=("wd", "lr", "epochs"))
    results[0].centre, results[0].status, results[0].certificate
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ieee_lib.config import RunSpec
from ieee_lib.config.scale_tables import EPOCHS_GRID, LR_GRID, WD_GRID, Settings
from ieee_lib.runs.frames import pooled_noise, seed_means
from ieee_lib.study import Study

GRIDS = {"wd": WD_GRID, "lr": LR_GRID, "epochs": tuple(e for e in EPOCHS_GRID if e <= 64)}

CERTIFIED = "certified"
WITHIN_NOISE = "certified within noise"
UNCERTIFIED = "uncertified"
NOT_SEARCHED = "not searched"


@dataclass(frozen=True)
class SearchResult:
    """Where a search ended, and why that is (or is not) a local optimum."""

    centre: Settings
    status: str
    """certified: no neighbour is lower. certified within noise: some are, by less than the
    tolerance. uncertified: a neighbour is lower, or has no loss. not searched: no axis was."""
    loss: float
    """Mean validation loss of the centre over seeds, nats/token."""
    se: float
    """Its standard error, from the noise pooled over all points tried; NaN without replicates."""
    certificate: pd.DataFrame
    """One row a point: axis, wd, lr, epochs, loss, se, n, difference, z, verdict."""
    path: tuple[Settings, ...]
    """Centres visited, the start first."""
    run_ids: tuple[str, ...] = ()
    """Runs that it took."""

    @property
    def certified(self) -> bool:
        return self.status in (CERTIFIED, WITHIN_NOISE)


def neighbours(
    centre: Settings, axes: Sequence[str], grids: Mapping[str, tuple] = GRIDS
) -> list[tuple[str, Settings]]:
    """Return (axis and direction, settings) one grid step away; fewer at an edge of the grid."""
    found = []
    for axis in axes:
        grid = grids[axis]
        index = grid.index(getattr(centre, axis))
        for step, sign in ((-1, "-"), (1, "+")):
            if 0 <= index + step < len(grid):
                value = grid[index + step]
                found.append((axis + sign, dataclasses.replace(centre, **{axis: value})))
    return found


def specs_of(study: Study, settings: Settings, n_seed: int) -> list[RunSpec]:
    """Return the runs of one point, seeds 0 to n_seed - 1."""
    fields = dataclasses.asdict(settings)
    return [study.spec(**fields, seed=seed) for seed in range(n_seed)]


def ring_specs(study: Study, centre: Settings, axes: Sequence[str]) -> list[RunSpec]:
    """Return the least a search needs: the centre's seeds, and one seed of each neighbour."""
    ring = [spec for _, p in neighbours(centre, axes) for spec in specs_of(study, p, 1)]
    return specs_of(study, centre, study.scale.seeds_at(centre.seed_tokens)) + ring


def search(
    study: Study,
    starts: Sequence[Settings],
    *,
    axes: Sequence[str] = ("wd", "lr", "epochs"),
    label: str = "search",
) -> list[SearchResult]:
    """Search from every start at once, so that all points of a round train together.

    Moves while some neighbour's mean is lower by more than `tolerance` standard errors (the
    paper, with one seed: by anything), at most `max_moves` times. A neighbour that is higher by
    `screen` standard errors after its first seed gets no second one. Without axes the starts are
    trained and taken as they are.
    """
    descents = [_Descent(study, start, axes) for start in starts]
    while moving := [descent for descent in descents if descent.asks]:
        runs = study.ensure([spec for d in moving for spec in d.specs()], label=label)
        for descent in moving:
            descent.step(runs)
    return [descent.result for descent in descents]


def certificates_frame(results: Sequence[SearchResult]) -> pd.DataFrame:
    """Return all certificates, one row a point, with the model's name and the search's status."""
    frames = [
        result.certificate.assign(
            model=result.centre.model, D=result.centre.seed_tokens, status=result.status
        )
        for result in results
    ]
    return pd.concat(frames, ignore_index=True)


def tuned_frame(results: Sequence[SearchResult]) -> pd.DataFrame:
    """Return one row a search: model, D, tuned wd, lr, epochs, loss, se, status, moves."""
    rows = [
        {
            **dataclasses.asdict(result.centre),
            "loss": result.loss,
            "se": result.se,
            "status": result.status,
            "moves": len(result.path) - 1,
        }
        for result in results
    ]
    return pd.DataFrame(rows).rename(columns={"seed_tokens": "D"})


class _Descent:
    """One search in progress: the centres so far, and how many seeds each point has."""

    def __init__(self, study: Study, start: Settings, axes: Sequence[str]) -> None:
        self.study, self.axes, self.limits = study, axes, study.scale.search
        self.path: list[Settings] = []
        self.seeds: dict[Settings, int] = {}
        self.result: SearchResult
        self._centre_on(start)

    def specs(self) -> list[RunSpec]:
        return [spec for p, n in self.seeds.items() for spec in specs_of(self.study, p, n)]

    def step(self, runs: pd.DataFrame) -> None:
        """Certify the centre, then ask for more seeds, or move, or stop asking."""
        own = {spec.run_id for spec in self.specs()}
        self.result = self._certify(runs[runs.run_id.isin(own)])
        self.asks = False
        ring = dict(neighbours(self.path[-1], self.axes))
        table = self.result.certificate.set_index("axis").drop("centre")
        unsure = table[~(table.z > self.limits.screen) & table.loss.notna()].index
        for axis in unsure:
            if self.seeds[ring[axis]] < self.limits.seeds:
                self.seeds[ring[axis]] = self.limits.seeds
                self.asks = True
        settled = self.result.status != UNCERTIFIED
        if self.asks or settled or len(self.path) > self.limits.max_moves:
            return
        better = ring.get(self.result.certificate.axis[self.result.certificate.loss.idxmin()])
        if better is not None and better not in self.path:
            self._centre_on(better)

    def _centre_on(self, point: Settings) -> None:
        self.path.append(point)
        self.seeds[point] = self.study.scale.seeds_at(point.seed_tokens)
        for _, neighbour in neighbours(point, self.axes):
            self.seeds.setdefault(neighbour, 1)
        self.asks = True

    def _certify(self, runs: pd.DataFrame) -> SearchResult:
        by = ["wd", "lr", "epochs"]
        noise = pooled_noise(runs, by)
        means = seed_means(runs, by, noise=noise).set_index(by)
        centre = self.path[-1]
        rows = []
        for axis, point in [("centre", centre), *neighbours(centre, self.axes)]:
            loss, se, n = means.loc[(point.wd, point.lr, point.epochs), ["loss", "se", "n"]]
            where = {"axis": axis, "wd": point.wd, "lr": point.lr, "epochs": point.epochs}
            rows.append({**where, "loss": loss, "se": se, "n": int(n)})
        table = pd.DataFrame(rows)
        table["difference"] = table.loss - table.loss.iloc[0]
        table["z"] = table.difference / np.hypot(table.se, table.se.iloc[0])
        table["verdict"] = [_verdict(row) for row in table.itertuples()]
        lower = table.difference < 0
        tolerance = self.limits.tolerance
        beyond = lower & ~(table.z > -tolerance) if tolerance > 0 else lower
        status = WITHIN_NOISE if lower.any() else CERTIFIED
        if beyond.any() or table.loss.isna().iloc[0]:
            status = UNCERTIFIED
        if not self.axes:
            status = NOT_SEARCHED
        return SearchResult(
            centre=centre,
            status=status,
            loss=float(table.loss.iloc[0]),
            se=float(table.se.iloc[0]),
            certificate=table,
            path=tuple(self.path),
            run_ids=tuple(runs.run_id),
        )


def _verdict(row) -> str:
    if row.axis == "centre":
        return "centre"
    if math.isnan(row.loss):
        return "diverged"
    if math.isnan(row.z):
        return "lower, noise unknown" if row.difference < 0 else "higher, noise unknown"
    if abs(row.z) < 2:
        return "equal within noise"
    return "lower" if row.z < 0 else "higher"

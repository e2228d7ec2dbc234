"""Coordinate descent over weight decay, learning rate and epochs (Sec. 3; v1 App B.1).

From a given centre the search moves to the best one-step neighbour on the paper's grid until no
neighbour is better. It returns a certificate of local optimality: the neighbours, their losses
over seeds, and whether each difference exceeds the noise between seeds. It knows one-step
neighbours only: two changes may be better together than each alone (`better_recorded`).

    results = search(study, study.scale.settings("regularized", D), axes=("wd", "lr", "epochs"))
    results[0].centre, results[0].status, results[0].certificate
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ieee_lib.config import RunSpec
from ieee_lib.config.scale_tables import GRIDS, Settings
from ieee_lib.runs.frames import pooled_noise, seed_means
from ieee_lib.study import Study

TUNED = ["wd", "lr", "epochs"]
"""The settings that tell the points of a search apart."""

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
    tolerance. uncertified: a neighbour is lower, or the centre has no loss. not searched: no axis
    was searched."""
    loss: float
    """Mean validation loss of the centre over seeds, nats/token."""
    se: float
    """Its standard error, from the noise pooled over all points tried; NaN without replicates."""
    certificate: pd.DataFrame
    """One row a point: axis, wd, lr, epochs, loss, se, n, difference, z, verdict."""
    path: tuple[Settings, ...]
    """Centres visited, the start first."""
    axes: tuple[str, ...]
    """What was searched: of wd, lr and epochs."""

    @property
    def certified(self) -> bool:
        """Say whether the centre is a local optimum, within noise or beyond it."""
        return self.status in (CERTIFIED, WITHIN_NOISE)


def neighbours(
    centre: Settings, axes: Sequence[str], grids: Mapping[str, tuple[float, ...]] = GRIDS
) -> list[tuple[str, Settings]]:
    """Return (axis and direction, settings) one grid step away; fewer at an edge of the grid."""
    points = []
    for axis in axes:
        grid = grids[axis]
        index = grid.index(getattr(centre, axis))
        for step, sign in ((-1, "-"), (1, "+")):
            if 0 <= index + step < len(grid):
                change: dict[str, Any] = {axis: grid[index + step]}
                points.append((axis + sign, dataclasses.replace(centre, **change)))
    return points


def specs_of(study: Study, settings: Settings, n_seed: int) -> list[RunSpec]:
    """Return the runs of one point, seeds 0 to n_seed - 1."""
    fields = dataclasses.asdict(settings)
    return [study.spec(**fields, seed=seed) for seed in range(n_seed)]


def certifying_specs(study: Study, centre: Settings, axes: Sequence[str]) -> list[RunSpec]:
    """Return the least that certifies a centre: its seeds, and one seed of each neighbour."""
    specs = specs_of(study, centre, study.scale.seeds_at(centre.seed_tokens))
    for _, point in neighbours(centre, axes):
        specs += specs_of(study, point, 1)
    return specs


def search(
    study: Study,
    starts: Sequence[Settings],
    *,
    axes: Sequence[str] = ("wd", "lr", "epochs"),
    label: str = "search",
) -> list[SearchResult]:
    """Search from every start at once, so that all points of a round train together.

    A search moves while some neighbour's mean is lower by more than `tolerance` standard errors
    (the paper, with one seed: by anything), at most `max_moves` times. A neighbour that is higher
    by `screen` standard errors after its first seed gets no second one. Without axes the starts
    are trained and returned as they are. Source: v1 App B.1.
    """
    descents = [_Descent(study, start, axes) for start in starts]
    while active := [descent for descent in descents if not descent.is_finished]:
        runs = study.ensure([spec for d in active for spec in d.specs()], label=label)
        for descent in active:
            descent.step(runs)
    return [descent.result for descent in descents]


def better_recorded(
    study: Study, result: SearchResult, axes: Sequence[str], runs: pd.DataFrame
) -> dict[str, Any] | None:
    """Return the best recorded point that is no neighbour of a centre, as a certificate's row.

    Other questions train points further away, such as the heat map's. runs: `Study.runs()`; the
    mean is over all seeds recorded. Only `axes` may differ from the centre. None where every such
    point is higher by two standard errors or more. No status changes.
    """
    centre = dataclasses.asdict(result.centre)
    tried = {tuple(row) for row in result.certificate[TUNED].itertuples(index=False)}
    losses: dict[tuple[float, ...], list[float]] = {}
    same = (runs.model == result.centre.model) & (runs["D"] == result.centre.seed_tokens)
    for run in runs[same & (runs.status == "done")].to_dict("records"):
        point = tuple(run[name] for name in TUNED)
        fields = {**centre, **dict(zip(TUNED, point, strict=True))}
        is_plain = study.spec(**fields, seed=run["init_seed"]).run_id == run["run_id"]
        changed = {name for name, value in fields.items() if value != centre[name]}
        if is_plain and changed <= set(axes) and point not in tried:
            losses.setdefault(point, []).append(run["val_loss"])
    if not losses:
        return None
    best = min(losses, key=lambda point: float(np.mean(losses[point])))
    loss, n = float(np.mean(losses[best])), len(losses[best])
    difference = loss - result.loss
    se = result.se * math.sqrt(result.certificate.n.iloc[0] / n)
    z = difference / math.hypot(se, result.se) if result.se > 0 else math.nan
    if not (difference < 0 or z < 2):
        return None
    verdict = f"{_verdict('recorded', loss, difference, z)}, beyond one step"
    row = {"axis": "recorded", **dict(zip(TUNED, best, strict=True)), "loss": loss, "se": se}
    return {**row, "n": n, "difference": difference, "z": z, "verdict": verdict}


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
    """One search in progress: its centres so far, and how many seeds each point has."""

    result: SearchResult
    """The certificate of the current centre; set by the first step."""

    def __init__(self, study: Study, start: Settings, axes: Sequence[str]) -> None:
        self.study = study
        self.axes = axes
        self.limits = study.scale.search
        self.path: list[Settings] = []
        self.n_seed: dict[Settings, int] = {}
        self.is_finished = False
        self._move_to(start)

    @property
    def centre(self) -> Settings:
        """Return the settings that are certified next."""
        return self.path[-1]

    @property
    def neighbours(self) -> dict[str, Settings]:
        """Return the centre's neighbours, by axis and direction."""
        return dict(neighbours(self.centre, self.axes))

    def specs(self) -> list[RunSpec]:
        """Return the runs of all points tried so far, and of those to try next."""
        points = self.n_seed.items()
        return [spec for point, n in points for spec in specs_of(self.study, point, n)]

    def step(self, runs: pd.DataFrame) -> None:
        """Certify the centre; then give neighbours more seeds, or move, or finish."""
        run_ids = {spec.run_id for spec in self.specs()}
        self.result = self._certify(runs[runs.run_id.isin(run_ids)])
        if self._add_seeds():
            return
        better = self._better_neighbour()
        if better is None:
            self.is_finished = True
        else:
            self._move_to(better)

    def _move_to(self, point: Settings) -> None:
        """Make a point the centre; its neighbours need one seed at least."""
        self.path.append(point)
        self.n_seed[point] = self.study.scale.seeds_at(point.seed_tokens)
        for neighbour in self.neighbours.values():
            self.n_seed.setdefault(neighbour, 1)

    def _add_seeds(self) -> bool:
        """Give all seeds to every neighbour that is not clearly worse; say whether one was due."""
        was_due = False
        losses = self.result.certificate.set_index("axis")
        for axis, point in self.neighbours.items():
            is_lost = math.isnan(losses.loss[axis])
            is_worse = losses.z[axis] > self.limits.screen
            if not is_lost and not is_worse and self.n_seed[point] < self.limits.seeds:
                self.n_seed[point] = self.limits.seeds
                was_due = True
        return was_due

    def _better_neighbour(self) -> Settings | None:
        """Return the lowest neighbour where the search may move to it, else nothing."""
        measured = self.result.certificate.dropna(subset="loss")
        has_moves = len(self.path) <= self.limits.max_moves
        if self.result.status != UNCERTIFIED or not has_moves or measured.empty:
            return None
        lowest = str(measured.set_index("axis").loss.idxmin())
        better = self.neighbours.get(lowest)  # none where the centre is the lowest
        return None if better in self.path else better

    def _certify(self, runs: pd.DataFrame) -> SearchResult:
        """Compare the centre with its neighbours, all with the noise pooled over the runs."""
        noise = pooled_noise(runs, TUNED)
        means = seed_means(runs, TUNED, noise=noise).set_index(TUNED)
        rows = []
        for axis, point in {"centre": self.centre, **self.neighbours}.items():
            place = {name: getattr(point, name) for name in TUNED}
            mean = means.loc[tuple(place.values())]
            row = {"axis": axis, **place, "loss": mean.loss, "se": mean.se, "n": int(mean.n)}
            rows.append(row)
        table = pd.DataFrame(rows)
        centre = table.iloc[0]
        table["difference"] = table.loss - centre.loss
        table["z"] = table.difference / np.hypot(table.se, centre.se)
        values = zip(table.axis, table.loss, table.difference, table.z, strict=True)
        table["verdict"] = [_verdict(*row) for row in values]
        return SearchResult(
            centre=self.centre,
            status=self._status(table),
            loss=float(centre.loss),
            se=float(centre.se),
            certificate=table,
            path=tuple(self.path),
            axes=tuple(self.axes),
        )

    def _status(self, table: pd.DataFrame) -> str:
        """Return the status that a certificate's differences give; see `SearchResult`."""
        if not self.axes:
            return NOT_SEARCHED
        is_lower = table.difference < 0
        is_clearly_lower = is_lower
        if self.limits.tolerance > 0:  # without noise (z is NaN) every lower mean counts
            is_clearly_lower = is_lower & ~(table.z > -self.limits.tolerance)
        if is_clearly_lower.any() or math.isnan(table.loss.iloc[0]):
            return UNCERTIFIED
        return WITHIN_NOISE if is_lower.any() else CERTIFIED


def _verdict(axis: str, loss: float, difference: float, z: float) -> str:
    if axis == "centre":
        return "centre"
    if math.isnan(loss):
        return "diverged"
    if math.isnan(z):
        return "lower, noise unknown" if difference < 0 else "higher, noise unknown"
    if abs(z) < 2:
        return "equal within noise"
    return "lower" if z < 0 else "higher"

"""Coordinate descent on a known surface: the loss of a run is a formula instead of a training."""

import dataclasses
import math
import zlib

import pandas as pd
import pytest

from ieee_lib import Scale, recipes
from ieee_lib.config.scale_tables import Search, Settings
from ieee_lib.recipes import single
from ieee_lib.recipes.search import (
    CERTIFIED,
    UNCERTIFIED,
    WITHIN_NOISE,
    certificates_frame,
    neighbours,
    search,
    tuned_frame,
)
from ieee_lib.runs.store import RunStore
from ieee_lib.study import Study


class Surface(Study):
    """A bowl around wd 1.6, lr 3e-3, 16 epochs, with seed noise; runs with lr > 1e-2 diverge."""

    noise = 0.0

    def ensure(self, specs, *, weights=False, label=""):
        rows = []
        for spec in specs:
            bowl = (
                math.log(max(spec.wd, 0.05) / 1.6) ** 2
                + math.log(spec.lr / 3e-3) ** 2
                + math.log(spec.epochs / 16) ** 2
            )
            draw = zlib.crc32(spec.run_id.encode()) / 2**32 - 0.5
            rows.append(
                {
                    **{k: getattr(spec, k) for k in ("run_id", "wd", "lr", "epochs")},
                    "status": "diverged" if spec.lr > 1e-2 else "done",
                    "val_loss": math.nan if spec.lr > 1e-2 else 4 + 0.1 * bowl + self.noise * draw,
                }
            )
        return pd.DataFrame(rows).drop_duplicates("run_id")


@pytest.fixture
def study():
    scale = dataclasses.replace(Scale.load("laptop"), tuned_seeds=0)
    return Surface(scale, "train", RunStore.of("none"), "0" * 16, None)


def limits(study, **changes):
    fields = {"seeds": 2, "tolerance": 0.0, "max_moves": 20, **changes}
    object.__setattr__(study.scale, "search", Search(**fields))


def start(wd=0.2, lr=1e-3, epochs=4):
    return Settings(model="0.07M", seed_tokens=28_672, wd=wd, lr=lr, epochs=epochs)


def test_descent_finds_the_bottom_and_certifies_it(study):
    limits(study)
    result = search(study, [start()])[0]
    assert (result.centre.wd, result.centre.lr, result.centre.epochs) == (1.6, 3e-3, 16)
    assert result.status == CERTIFIED and result.certified
    assert list(result.certificate.axis) == [
        "centre",
        "wd-",
        "wd+",
        "lr-",
        "lr+",
        "epochs-",
        "epochs+",
    ]
    assert (result.certificate.difference[1:] > 0).all()
    assert result.path[0] == start() and len(result.path) == 3 + 1 + 2 + 1


def test_a_diverged_neighbour_is_named_and_does_not_win(study):
    limits(study)
    result = search(study, [start(1.6, 1e-2, 16)], axes=("wd", "epochs"))[0]
    assert result.status == CERTIFIED
    edge = search(study, [start(1.6, 1e-2, 16)], axes=("lr",))[0]
    assert edge.centre.lr == 3e-3
    table = search(study, [start(1.6, 3e-3, 16)])[0].certificate
    assert "diverged" not in set(table.verdict)
    limits(study, max_moves=0)
    table = search(study, [start(1.6, 1e-2, 16)])[0].certificate.set_index("axis")
    assert table.verdict["lr+"] == "diverged"


def test_a_centre_that_diverged_is_left_and_a_diverged_neighbour_is_not_joined(study):
    limits(study)
    result = search(study, [start(1.6, 3e-2, 16)], axes=("lr",))[0]
    assert (result.centre.lr, result.status) == (3e-3, CERTIFIED)
    assert [point.lr for point in result.path] == [3e-2, 1e-2, 3e-3]


def test_max_moves_leaves_it_uncertified(study):
    limits(study, max_moves=1)
    result = search(study, [start()])[0]
    assert result.status == UNCERTIFIED and len(result.path) == 2


def test_differences_within_noise_do_not_move_the_centre(study):
    study.noise = 2.0
    limits(study, tolerance=3.0)
    result = search(study, [start(1.6, 3e-3, 16)])[0]
    assert len(result.path) == 1 and result.certified
    assert result.status == WITHIN_NOISE
    assert "equal within noise" in set(result.certificate.verdict)
    assert (result.certificate.n == [3, 2, 2, 2, 2, 2, 2]).all()


@pytest.mark.parametrize(("tuned_seeds", "n"), [(0, 3), (2, 3), (5, 5)])
def test_a_tuned_point_has_the_seeds_of_a_scales_points_or_more(study, tuned_seeds, n):
    limits(study)
    object.__setattr__(study.scale, "tuned_seeds", tuned_seeds)
    certificate = search(study, [start(1.6, 3e-3, 16)])[0].certificate
    assert list(certificate.n) == [n, 1, 1, 1, 1, 1, 1]  # neighbours are far worse
    assert [study.scale.seeds_at(D) for D in (14_336, 28_672)] == [study.scale.ladder_seeds, n]


def test_a_clearly_worse_neighbour_gets_one_seed_only(study):
    study.noise = 0.1
    limits(study, tolerance=2.0, screen=3.0)
    table = search(study, [start(1.6, 3e-3, 16)])[0].certificate.iloc[1:]
    assert set(table.n) == {1, 2}
    assert (table[table.n == 1].z > 3.0).all() and set(table[table.n == 1].verdict) == {"higher"}


def test_one_seed_has_no_noise_and_says_so(study):
    limits(study, seeds=1)
    object.__setattr__(study.scale, "seeds", 1)
    result = search(study, [start(1.6, 3e-3, 16)])[0]
    assert result.status == CERTIFIED and math.isnan(result.se)
    assert set(result.certificate.verdict[1:]) == {"higher, noise unknown"}


def test_the_grid_ends_where_the_papers_does(study):
    corner = neighbours(start(6.4, 1e-4, 64), ("wd", "lr", "epochs"))
    assert [name for name, _ in corner] == ["wd-", "lr+", "epochs-"]


def test_searches_run_side_by_side_and_report_one_row_each(study):
    limits(study)
    starts = [start(), Settings(model="0.14M", seed_tokens=28_672, wd=3.2, lr=3e-3, epochs=16)]
    frame = tuned_frame(search(study, starts))
    assert list(frame.model) == ["0.07M", "0.14M"] and list(frame.moves) == [6, 1]


def test_a_search_ends_where_everything_diverged(study):
    limits(study)
    result = search(study, [start(1.6, 3e-2, 16)], axes=("wd", "epochs"))[0]
    assert result.status == UNCERTIFIED and len(result.path) == 1 and math.isnan(result.loss)
    assert set(result.certificate.verdict[1:]) == {"diverged"}


@pytest.mark.parametrize(
    ("scale", "model", "point", "n", "verdict"),
    [
        ("laptop", "0.07M", (3.2, 1e-2, 32), 3, "equal within noise"),  # the heat map's corner
        ("workstation", "0.18M", (0.8, 1e-2, 32), 3, "equal within noise"),
    ],
)
def test_a_certificate_shows_the_best_recorded_point_beyond_one_step(
    scale, model, point, n, verdict
):
    study = Study.open(scale, source="archive")
    table = recipes.certificate(study, "regularized")
    recorded = table[(table.axis == "recorded") & (table.model == model)]
    (row,) = recorded.to_dict("records")
    assert (row["wd"], row["lr"], row["epochs"], row["n"]) == (*point, n)
    assert row["verdict"] == f"{verdict}, beyond one step"
    fields = dict(zip(("wd", "lr", "epochs"), point, strict=True))
    runs = study.ensure([study.spec(model, seed=seed, **fields) for seed in range(n)])
    assert row["loss"] == pytest.approx(runs.val_loss.mean())
    centre = table[(table.axis == "centre") & (table.model == model)].iloc[0]
    pooled = centre.se * math.sqrt(centre.n)  # noise of one run
    assert row["se"] == pytest.approx(pooled / math.sqrt(n))
    assert row["difference"] == pytest.approx(row["loss"] - centre.loss)
    assert row["z"] == pytest.approx(row["difference"] / math.hypot(row["se"], centre.se))
    search_rows = table[table.axis != "recorded"].reset_index(drop=True)
    results = single.tune(study, "regularized")
    assert search_rows.equals(certificates_frame(results)[list(search_rows)])
    plain = recipes.certificate(study, "standard")
    assert set(plain.wd) == {0.1}, "the standard recipe tunes no decay"

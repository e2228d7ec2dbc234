"""Laws held against public tables of losses (tests/data): fit the first part, predict the rest.

Every split was fixed before its outcome was looked at; each test says which it is.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ieee_lib import InputError
from ieee_lib.laws import Discrepancy, Estimate, fit_ensembles, fit_power_law
from ieee_lib.laws.estimates import noise_of, t_scale
from ieee_lib.laws.forms import FORMS, fit_sizes
from ieee_lib.laws.units import scale_of
from ieee_lib.runs.frames import pooled_noise
from tests.synthetic import chain

DATA = Path(__file__).resolve().parents[1] / "data"
LOSSES = [
    "c4_val", "paloma_c4_en", "paloma_dolma_100_programing_languages", "paloma_falcon-refinedweb",
    "paloma_ptb", "paloma_redpajama", "de-en",
]  # fmt: skip


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(DATA / f"{name}.csv")


def points(**columns) -> pd.DataFrame:
    """A frame that laws are fitted to; every row is a run of its own."""
    frame = pd.DataFrame(columns).reset_index(drop=True)
    return frame.assign(run_ids=[(f"{i + 1:016x}",) for i in range(len(frame))])


def covers(prediction: Estimate, loss: float) -> bool:
    return prediction.ci_low <= loss <= prediction.ci_high


def test_large_models_from_small_ones():
    """TongQM, 100M tokens: below 250M parameters → the eight larger.

    Their noise is that between shapes of equal N among the models fitted.
    """
    models = table("tongqm_sizes_wd0").query("P_M == 100")
    first, rest = models[models.N_M < 250], models[models.N_M > 250]
    noise = pooled_noise(first.assign(status="done"), ["N_M"], value="min_val_loss")
    assert noise.dof == 2 and len(rest) == 8
    frame = points(N=1e6 * first.N_M, loss=first.min_val_loss)
    law = fit_power_law(frame.assign(sigma=noise.sigma, dof=noise.dof), x="N")
    hits = []
    for row in rest.itertuples():
        own = noise.sigma * t_scale(noise.dof) * noise_of([f"{1000 + row.Index:016x}"])
        at = law.at(row.N_M / 1e3)
        hits.append(covers(replace(at, draws=at.draws + own), row.min_val_loss))
        assert at.ci_high - at.ci_low < 0.4
    assert np.mean(hits) >= 7 / 8
    assert not law.has_bounded_limit and "the points bound no limit" in repr(law)


def test_five_members_from_two_to_four():
    """TongQM: E = 2, 3, 4 → 5, at four sizes; beta = 1, residuals pooled over five sizes.

    The single model stops at a lowest point of its own, so it is not on the ensembles' curve.
    """
    sizes = list(table("tongqm_ensembles_100M").groupby(["L", "W"]))
    laws = {}
    for size, rows in sizes:
        first = rows[rows.E <= 4]
        laws[size] = fit_power_law(first.E, first.ens_min_val, sigma=1.0, alpha=1.0)
    sigma = math.sqrt(sum(law.chi2 for law in laws.values()) / len(laws))  # 1 dof a law
    z, aim = 1 / np.array([2.0, 3.0, 4.0]), 1 / 5
    leverage = 1 / 3 + (aim - z.mean()) ** 2 / np.sum((z - z.mean()) ** 2)
    half = stats.t.ppf(0.975, len(laws)) * sigma * math.sqrt(1 + leverage)
    five = [(size, rows[rows.E == 5].ens_min_val) for size, rows in sizes]
    errors = [loss.item() - laws[size](5) for size, loss in five if len(loss)]
    assert len(errors) == 4 and np.all(np.abs(errors) < half) and half < 0.011


@pytest.mark.parametrize("corpus", ["c4_original", "rpj", "rw_original"])
def test_models_of_billions_from_those_of_millions(corpus):
    """Gadre et al.: 11M–412M → 1.4B and 6.9B, at equal tokens per parameter (for D here).

    A noise of 0.01; what the form may be wrong by comes from 412M, left out at every multiplier.
    """
    models = table("gadre_104_models").query("dataset == @corpus")
    frame = points(N=models.params, D=(1e6 * models.multiplier).astype(int), loss=models.c4_val)
    frame = frame.assign(sigma=0.01)
    first, rest = frame[frame.N < 5e8], frame[frame.N > 5e8]
    sizes = fit_sizes(first[first.groupby("D").N.transform("count") == 4])
    rest = rest[rest.D.isin(list(sizes))]
    assert len(rest) == 3
    for row in rest.itertuples():
        laws = sizes.at(row.D)
        at = {form: law.at(row.N / scale_of(law.unit)) for form, law in laws.items()}
        prediction = at[sizes.form]
        assert covers(prediction, row.loss), (row, prediction)
        assert math.isfinite(prediction.ci_high - prediction.ci_low)
        # The form that the smaller models chose is nearer than the worst of the three.
        errors = {form: abs(estimate.value - row.loss) for form, estimate in at.items()}
        assert set(errors) == set(FORMS) and errors[sizes.form] < 0.5 * max(errors.values())


@pytest.mark.parametrize("corpus", ["dclm", "fineweb_edu"])
def test_the_end_of_a_run_from_its_first_half(corpus):
    """Gemstones, 22 shapes: evaluations 1–17 of 34 → the last, at twice the tokens.

    The noise is the law's own residuals. What the form may be wrong by comes from the 17th
    evaluation, predicted from the first 8. Without it half of the intervals miss.
    """
    curves = table("gemstones_val_losses").dropna(subset=["step"]).query("dataset == @corpus")
    ends, errors = [], []
    for _, rows in curves.sort_values("step").groupby(["width", "depth"]):
        curve = points(D=1e6 * rows.step, loss=rows.loss).assign(sigma=0.001)
        early, first, last = curve[:8], curve[:17], curve.iloc[-1]
        aim = first.iloc[-1]
        errors.append(aim.loss - fit_power_law(early, x="D")(aim.D / 1e9))
        ends.append((fit_power_law(first, x="D"), last))
    form = Discrepancy(tuple(errors), (0.0,) * len(errors))
    without = [covers(law.at(last.D / 1e9), last.loss) for law, last in ends]
    covered = [
        covers(replace(law, discrepancy=form).at(last.D / 1e9), last.loss) for law, last in ends
    ]
    assert len(covered) == 22 and np.mean(covered) >= 0.9 > 0.7 > np.mean(without)
    assert form.tau < 0.01


@pytest.mark.parametrize(
    ("source", "beta", "free_within", "fixed_misses"),
    [("PR37", 0.54, 0.0005, 0.010), ("PR80", 0.39, 0.0024, 0.025)],
)
def test_members_of_a_chain_from_the_first_five(source, beta, free_within, fixed_misses):
    """slowrun: k = 1–5 → up to 9 and 19 members. They are not exchangeable, so beta is free."""
    curve = table("slowrun_k_curves").query("source == @source").set_index("k").loss
    (law,) = fit_ensembles(chain(curve[:5].to_dict())).values()
    assert law.law.alpha == pytest.approx(beta, abs=0.005)
    rest = curve[5:]
    assert np.abs(rest - law.law(rest.index)).max() < free_within
    replicates = fit_power_law(curve.index[:5], curve[:5], sigma=1.0, alpha=1.0)
    assert np.abs(rest - replicates(rest.index)).max() > fixed_misses
    with pytest.raises(InputError, match="subsets = 5: must include members and pairs without"):
        fit_ensembles(chain(curve[:5].to_dict()).assign(exchangeable=True))
    # The limit of all members lies in the interval of the first five, far below that of beta = 1.
    (whole,) = fit_ensembles(chain(curve.to_dict())).values()
    assert covers(law.limit, whole.limit.value) and whole.limit.ci_high < replicates.E - 0.03


def all_fits():
    """Every law in N, D and K that the tables have points for: name, x, loss, sigma."""
    gadre = table("gadre_104_models")
    for loss in LOSSES:
        for name, rows in gadre.groupby(["dataset", "multiplier"]):
            yield (loss, *name), rows.params / 1e6, rows[loss], 0.01
        for name, rows in gadre.groupby(["dataset", "params"]):
            if len(rows) > 2:
                yield (loss, *name), rows.tokens / 1e9, rows[loss], 0.01
    gemstones = table("gemstones_val_losses").dropna(subset=["step"])
    for name, rows in gemstones.groupby(["dataset", "width", "depth"]):
        yield name, rows.step, rows.loss, 0.001
    sizes = table("tongqm_sizes_wd0")
    for keys in (["P_M"], ["P_M", "W"], ["P_M", "L"]):
        for name, rows in sizes.groupby(keys):
            if rows.N_M.nunique() > 2:
                yield name, rows.N_M, rows.min_val_loss, 0.01
    ensembles = table("tongqm_ensembles_100M")
    for name, rows in ensembles.groupby(["L", "W"]):
        yield name, rows.E, rows.ens_min_val, 0.01
    for name, rows in ensembles.groupby("E"):
        yield (name,), rows.N / 1e6, rows.ens_min_val, 0.01


@pytest.mark.filterwarnings("error")
def test_no_table_gives_nan_a_bounded_negative_limit_or_a_silent_clamp():
    at_edge, exact_misfit, negative = [], 0, 0
    for name, x, loss, sigma in all_fits():
        law = fit_power_law(x, loss, sigma=sigma)
        assert np.isfinite([law.A, law.alpha, law.E]).all(), name
        low, high = law.interval("E")
        assert low <= high, name
        assert low == -np.inf or low >= 0, name
        if law.E < 0:
            negative += 1
            assert not law.has_bounded_limit and "the points bound no limit" in repr(law), name
        edge = bool(np.isclose(law.alpha, (0.02, 6.0), rtol=1e-3).any())
        assert edge == law.is_at_edge == ("at the edge of the scan" in repr(law)), name
        if edge:
            at_edge.append(name)
            assert low == -np.inf and not law.has_bounded_limit, name
            exact_misfit += law.n_point == 3 and law.misfits
    # The traps are in the tables: losses at a quarter of the usual tokens rise again with N.
    assert ("c4_val", "c4_original", 0.25) in at_edge and negative > 10 and exact_misfit >= 1


def test_an_exponent_below_the_scan_bounds_no_limit():
    rows = table("gadre_104_models").query("dataset == 'c4_original' and multiplier == 0.25")
    frame = points(N=rows.params, loss=rows.c4_val).assign(sigma=0.01)
    law = fit_power_law(frame, x="N")
    assert law.alpha == pytest.approx(0.02) and law.dof == 2 and law.misfits
    assert law.interval("E")[0] == -np.inf and law.interval("alpha")[0] == pytest.approx(0.02)
    assert not law.limit.is_bounded and law.limit.ci_low == -np.inf
    assert "the exponent is at the edge of the scan; the points bound no limit" in repr(law)


@pytest.mark.parametrize(
    "y", [(4.0, 3.5, 3.52), (4.0, 3.98, 3.5)], ids=["rises at the end", "falls at the end"]
)
def test_three_points_that_no_power_law_passes_through(y):
    """As many parameters as points, and still chi2 is 15 and more: no interval may look sure."""
    law = fit_power_law([1.0, 2.0, 4.0], y, sigma=0.005)
    assert law.chi2 > 15 and law.is_at_edge and law.dof == 1 and law.misfits
    assert law.noise_factor == pytest.approx(math.sqrt(law.chi2)) and law.scale_dof == 1
    assert not law.has_bounded_limit
    exact = fit_power_law([1.0, 2.0, 4.0], (4.0, 3.5, 3.3), sigma=0.005)
    assert exact.dof == 0 and exact.chi2 < 1e-6 and exact.has_bounded_limit


@pytest.mark.parametrize("corpus", ["c4_original", "rpj"])
def test_units_do_not_matter(corpus):
    rows = table("gadre_104_models").query("dataset == @corpus and multiplier == 2")
    raw, M, B = (
        fit_power_law(rows.params / unit, rows.c4_val, sigma=0.02) for unit in (1, 1e6, 1e9)
    )
    for law, unit in ((raw, 1), (B, 1e9)):
        assert pytest.approx(M.E, abs=1e-5) == law.E
        assert law.alpha == pytest.approx(M.alpha, abs=1e-5)
        assert law.interval("E") == pytest.approx(M.interval("E"), abs=1e-5)
        assert law.interval("alpha") == pytest.approx(M.interval("alpha"), abs=1e-5)
        assert law(5e9 / unit) == pytest.approx(M(5e9 / 1e6), abs=1e-5)
        assert law.inverse(3.0) * unit == pytest.approx(M.inverse(3.0) * 1e6, rel=1e-4)
    frame = points(N=rows.params, loss=rows.c4_val).assign(sigma=0.02)
    in_N, in_D = (
        fit_power_law(frame.assign(D=frame.N), x="N"),
        fit_power_law(frame.assign(N=frame.N / 10, D=frame.N / 10), x="N"),
    )
    assert (in_N.unit, in_D.unit) == ("N[B]", "N[M]")
    assert in_N.limit.draws == pytest.approx(in_D.limit.draws, abs=1e-3)
    assert in_N.at(5.0).draws == pytest.approx(in_D.at(500.0).draws, abs=1e-3)


def test_tuned_decay_bounds_no_limit_with_four_sizes():
    """TongQM: four sizes at tuned decay, 57–453M: nothing below 3.43 is excluded."""
    rows = table("tongqm_tuned_wd_100M").query("series == 'tuned_wd'")
    law = fit_power_law(rows.params_m / 1e3, rows.min_val_loss, sigma=0.01, unit="N[B]")
    low, high = law.interval("E")
    assert low == -np.inf and high < rows.min_val_loss.min()

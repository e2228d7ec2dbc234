"""Data efficiency: the standard law inverted, with the noise of every stage."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ieee_lib import laws
from ieee_lib.laws.discrepancy import Discrepancy
from ieee_lib.laws.estimates import Estimate, noise_of
from ieee_lib.laws.power_mean import power_mean

LADDER = (16000, 32000, 64000, 128000)


def exactly(value: float) -> Estimate:
    return Estimate(value, np.full(1000, value))


def standard_losses() -> pd.DataFrame:
    """Return losses 3 + 0.5 / D^0.25 (D in millions) with a noise of 0.01."""
    values = [3.0 + 0.5 / (D / 1e6) ** 0.25 for D in LADDER]
    draws = [0.01 * noise_of([f"{D:016x}"]) for D in LADDER]
    losses = [Estimate(v, v + noise, 0.01) for v, noise in zip(values, draws, strict=True)]
    return pd.DataFrame({"recipe": "standard", "D": LADDER, "loss": losses})


def limit_in_N(*losses: float) -> laws.PowerLaw:
    """Return a law in N through four losses with a noise of 0.01."""
    points = [Estimate(y, y + 0.01 * noise_of([f"{i:016x}"]), 0.01) for i, y in enumerate(losses)]
    ids = [(f"{i:016x}",) for i in range(4)]
    frame = pd.DataFrame({"N": [4e4, 1e5, 2e5, 4e5], "loss": points, "run_ids": ids})
    return laws.fit_power_law(frame, x="N")


def test_data_efficiency_carries_the_noise_of_all_its_stages():
    losses = standard_losses()
    standard = laws.fit_power_law(losses, x="D")
    reference = losses.set_index("D").loss
    frame = pd.DataFrame({"D": [32000, 32000], "loss": [exactly(standard(0.09)), exactly(1.0)]})
    gain, beyond = laws.data_efficiencies(frame, standard, reference)
    assert gain.value == pytest.approx(0.09 / 0.032, rel=0.01)
    assert 1 < gain.ci_low < gain.value < gain.ci_high < 10
    assert beyond.value == np.inf and beyond.ci_high == np.inf
    assert standard.at(0.05).value == pytest.approx(float(standard(0.05)))
    own = laws.data_efficiencies(losses, standard, reference)
    assert [(e.value, e.ci_low, e.ci_high) for e in own] == [(1.0, 1.0, 1.0)] * 4


def test_each_recipe_is_judged_by_its_best_model_or_by_its_limit():
    table = pd.DataFrame(
        {
            "D": [8, 8, 4, 4],
            "loss": [4.5, 4.4, np.nan, 4.9],
            "sigma": 0.01,
            "run_ids": [("1" * 16,), ("2" * 16,), ("3" * 16,), ("4" * 16,)],
        }
    )
    falling, rising = limit_in_N(4.6, 4.4, 4.3, 4.25), limit_in_N(5.1, 5.12, 5.16, 5.25)
    joint = {4: rising, 8: falling}
    losses = laws.losses_by_data(table, {8: falling}, {}, joint)
    assert list(losses.recipe) == ["standard", "standard", "regularized", "joint", "joint"]
    assert list(losses.D) == [8, 4, 8, 4, 8]
    assert [loss.value for loss in losses.loss[:2]] == [4.4, 4.9]
    assert list(losses.loss[2:]) == [falling.limit, rising.limit, falling.limit]
    assert list(losses.run_ids[:2]) == [("2" * 16,), ("4" * 16,)]
    assert losses.run_ids[2] == tuple(f"{i:016x}" for i in range(4))


def test_a_law_that_rises_has_no_limit():
    """Many members of large models on few tokens: their limits in K rise with N."""
    falling, rising = limit_in_N(4.6, 4.4, 4.3, 4.25), limit_in_N(5.1, 5.12, 5.16, 5.25)
    assert falling.limit.exists and not rising.limit.exists and not rising.limit.is_bounded
    losses = pd.DataFrame({"recipe": "joint", "D": [4, 8], "loss": [rising.limit, falling.limit]})
    assert laws.missing_limits(losses) == ["joint: no limit at D = 4"]
    assert laws.missing_limits(standard_losses()) == []


def test_a_law_in_D_through_limits_of_which_one_has_no_lower_end():
    """Each of its draws has an end, the law in N of that draw: so the law in D has draws."""
    straight = limit_in_N(4.9, 4.75, 4.62, 4.5)
    falling = [limit_in_N(*(E + 0.02 / x for x in (0.04, 0.1, 0.2, 0.4))) for E in (4.2, 4.0, 3.9)]
    assert straight.limit.ci_low == -np.inf and all(law.has_bounded_limit for law in falling)
    limits = [law.limit for law in (straight, *falling)]
    law = laws.fit_power_law(pd.DataFrame({"D": LADDER, "loss": limits}), x="D")
    assert law.sigma.tolist() == pytest.approx([limit.se for limit in limits])
    assert law.sigma[0] > 3 * law.sigma[1], "the open one weighs little"
    assert np.isfinite(law.limit.fitted_draws).all() and np.isfinite(law.at(0.05).draws).all()
    gain = laws.data_efficiency(law.limit, exactly(float(law(0.09))), exactly(float(law(0.032))))
    assert gain.value == pytest.approx(0.09 / 0.032, rel=1e-3) and gain.ci_low > 1
    # What is compared with the open limit itself is open.
    standard = laws.fit_power_law(standard_losses(), x="D")
    of_limit = laws.data_efficiency(standard.limit, straight.limit, exactly(3.9))
    assert of_limit.ci_high == np.inf


def test_the_factor_by_hand():
    law = laws.published_law(0.5, 0.25, 3.0, unit="D[M]")
    at = {D: 3.0 + 0.5 / D**0.25 for D in (0.1, 0.4)}
    assert laws.data_efficiency(law, at[0.4], at[0.1]) == pytest.approx(4.0)


def test_a_law_in_D_is_told_by_the_largest_D_that_others_did_not_see():
    bent = standard_losses()
    bent.loc[3, "loss"] = bent.loss[3] + 0.2
    one, both = laws.fit_data(bent), laws.fit_data(pd.concat([bent, bent.assign(recipe="other")]))
    first = laws.fit_power_law(bent[:3], x="D")
    error = bent.loss[3].value - float(first(0.128))
    noise = np.hypot(0.01, first.noise_at(0.128))
    form = one["standard"].discrepancy
    assert form.errors == (pytest.approx(error),) and form.noise == (
        pytest.approx(noise, rel=0.01),
    )
    assert form.tau == pytest.approx(np.sqrt(error**2 - noise**2), rel=1e-3)
    assert list(both) == ["standard", "other"] and both["other"].discrepancy.dof == 2
    few = laws.fit_data(pd.concat([bent[:3], bent[:2].assign(recipe="two D")]))
    assert list(few) == ["standard"] and few["standard"].discrepancy is None


def test_an_ensemble_of_one_model_says_nothing_of_the_others():
    """On a surface in N and D limits follow a law in D, the losses of one N bend away from it."""
    surface = np.array([np.log(0.3), 0.6, np.log(0.8), 0.6, np.log(2.0), 2.5])
    rows = [
        {"recipe": recipe, "D": D, "loss": exactly(power_mean(surface, N, D / 1e5)), "sigma": 1e-3}
        for recipe, N in (("regularized", np.inf), ("joint", np.inf), ("ensemble", 0.1))
        for D in LADDER
    ]
    frame = pd.DataFrame(rows)
    frame["loss"] = [
        Estimate(loss.value, loss.value + 1e-4 * noise_of([f"{i:016x}"]), 1e-4)
        for i, loss in enumerate(frame.loss)
    ]
    in_D = laws.fit_data(frame)
    assert in_D["joint"].discrepancy == in_D["regularized"].discrepancy
    assert in_D["joint"].discrepancy.tau < 2e-4 < 1e-3 < in_D["ensemble"].discrepancy.tau
    assert (in_D["joint"].discrepancy.dof, in_D["ensemble"].discrepancy.dof) == (2, 1)


def test_data_beyond_the_measured_ones_rests_on_the_form():
    losses = standard_losses()
    law, reference = laws.fit_power_law(losses, x="D"), losses.loss[1]
    wrong = replace(law, discrepancy=Discrepancy((0.02,) * 3, (0.0,) * 3))
    within, beyond = exactly(float(law(0.08))), exactly(float(law(0.2)))
    for loss, widened in ((within, False), (beyond, True)):
        exact, bent = (laws.data_efficiency(each.limit, loss, reference) for each in (law, wrong))
        assert exact.value == bent.value
        assert (np.diff(np.log(interval(bent))) > 1.2 * np.diff(np.log(interval(exact)))) == widened
        assert widened or interval(bent) == pytest.approx(interval(exact), rel=0.05)


def interval(estimate):
    return [estimate.ci_low, estimate.ci_high]

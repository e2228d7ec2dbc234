"""The joint limit, N and K to infinity: two stages in either order, and one surface (Sec. 4.3).

limits = ensembles_frame(laws)                         # K -> infinity at each N
fit_power_law(limits, "limit", x="N").limit            # then N -> infinity: the paper's order
N_then_K(laws)                                         # the other order
surface(laws)                                          # one surface in N and K

L(N, K) = E + A / N^alpha + B / (N^gamma K)            # the surface
"""

from collections.abc import Mapping

import lmfit
import numpy as np
from numpy.typing import ArrayLike

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, with_unbounded_tails
from ieee_lib.laws.fit import fit_through
from ieee_lib.laws.power_law import PowerLaw
from ieee_lib.laws.scan import Floats, fit_many
from ieee_lib.laws.units import scale_of, unit_of

ALPHAS = np.geomspace(0.05, 4.0, 60)
GAMMAS = np.linspace(-1.0, 1.5, 51)
"""Exponents of the surface that are scanned."""


def unbounded(draws: Floats, *laws: PowerLaw) -> Floats:
    """Return draws with an infinite tail at each end that the points of some law do not bound."""
    ends = [law.interval("E") for law in laws]
    below = any(ci_low == -np.inf for ci_low, _ in ends)
    above = any(ci_high == np.inf for _, ci_high in ends)
    return with_unbounded_tails(draws, below=below, above=above)


def N_then_K(laws: Mapping[str, EnsembleLaw]) -> Estimate:
    """Return E of N to infinity first, then K: the limits in N at every K, fitted by A / K + E."""
    unit = unit_of([law.N for law in laws.values()], "N")
    sizes = [law.N / scale_of(unit) for law in laws.values()]
    counts = np.arange(1.0, min(law.K for law in laws.values()) + 1)
    limits = [
        fit_through(sizes, [law.at(int(k)) for law in laws.values()], unit=unit).limit
        for k in counts
    ]
    values = np.array([[limit.value for limit in limits]])
    draws = np.stack([limit.fitted_draws for limit in limits], axis=1)
    kept = np.isfinite(draws).all(axis=1)
    E_draws = np.full(len(draws), np.nan)
    E_draws[kept] = _limits_in_K(counts, draws[kept])
    value = float(_limits_in_K(counts, values)[0])
    return Estimate(value, unbounded(E_draws, *(limit.law for limit in limits)))


def _limits_in_K(counts: Floats, losses: Floats) -> Floats:
    """Return E (n,) of A / K + E through losses (n, counts), all points of one weight."""
    _, _, E = fit_many(counts, losses, np.ones(len(counts)), alpha=1.0)
    return E


def loss_surface(
    N: ArrayLike, K: ArrayLike, E: float, A: float, B: float, alpha: float, gamma: float
) -> Floats:
    """Return E + A / N^alpha + B / (N^gamma K), nats/token."""
    N, K = np.asarray(N, dtype=float), np.asarray(K, dtype=float)
    return E + A / N**alpha + B / (N**gamma * K)


def surface(laws: Mapping[str, EnsembleLaw]) -> Estimate:
    """Fit the surface `loss_surface` to all points (N, K) at once; return E with its draws.

    The points of one ensemble share its members' noise: together they weigh as one.
    """
    ensembles = list(laws.values())
    size = scale_of(unit_of([law.N for law in ensembles], "N"))
    N = np.concatenate([np.full(len(law.points), law.N / size) for law in ensembles])
    K = np.concatenate([law.points.k.to_numpy(float) for law in ensembles])
    weight = np.concatenate(
        [np.full(len(law.points), len(law.points) ** -0.5 / law.limit.se) for law in ensembles]
    )
    loss = np.concatenate([law.points.loss for law in ensembles])
    draws = np.concatenate([[law.at(k).draws for k in law.points.k] for law in ensembles])
    coefficients = _fit_surfaces(N, K, weight, np.column_stack([loss, draws]))
    measured = {name: float(values[0]) for name, values in coefficients.items()}
    parameters = lmfit.create_params(**measured)
    parameters["alpha"].set(min=ALPHAS[0], max=ALPHAS[-1])
    parameters["gamma"].set(min=GAMMAS[0], max=GAMMAS[-1])
    # lmfit polishes what the scan gave for the measured losses.
    model = lmfit.Model(loss_surface, independent_vars=["N", "K"])
    fit = model.fit(loss, parameters, N=N, K=K, weights=weight, scale_covar=False)
    return Estimate(fit.best_values["E"], coefficients["E"][1:])


def _fit_surfaces(N: Floats, K: Floats, weight: Floats, losses: Floats) -> dict[str, Floats]:
    """Return E, A, B, alpha and gamma, each (n,), of the surface through each column of losses.

    losses: (points, n). A grid scan: given alpha and gamma the surface is linear in E, A and B, a
    least-squares problem with the same design X (points, 3) for every column, solved by one QR
    factorization with weights W:

        W X = Q R,    chi2 = |W y|^2 - |Q^T W y|^2,    (E, A, B) = R^-1 Q^T W y
    """
    n = losses.shape[1]
    best_chi2 = np.full(n, np.inf)
    linear, exponents = np.zeros((3, n)), np.zeros((2, n))
    weighted = losses * weight[:, None]
    total = (weighted**2).sum(0)
    for alpha in ALPHAS:
        for gamma in GAMMAS:
            design = np.column_stack([np.ones_like(N), N**-alpha, N**-gamma / K])
            q, r = np.linalg.qr(design * weight[:, None])
            projected = q.T @ weighted
            chi2 = total - (projected**2).sum(0)
            better = chi2 < best_chi2
            best_chi2[better] = chi2[better]
            linear[:, better] = np.linalg.solve(r, projected[:, better])
            exponents[:, better] = [[alpha], [gamma]]
    E, A, B = linear
    alphas, gammas = exponents
    return {"E": E, "A": A, "B": B, "alpha": alphas, "gamma": gammas}

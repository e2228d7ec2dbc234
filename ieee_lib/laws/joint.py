"""The joint limit, N and K to infinity: two stages in either order, and one surface (Sec. 4.3).

limits = ensembles_frame(laws)                         # K -> infinity at each N
fit_power_law(limits, "limit", x="N").limit            # then N -> infinity: the paper's order
N_then_K(laws)                                         # the other order
surface(laws)                                          # one surface in N and K

L(N, K) = E + A / N^alpha + B / (N^gamma K)
"""

from collections.abc import Mapping

import lmfit
import numpy as np

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate
from ieee_lib.laws.power_law import fit_through, scale_of, unbounded, unit_of
from ieee_lib.laws.scan import fit_many

ALPHAS = np.geomspace(0.05, 4.0, 60)
GAMMAS = np.linspace(-1.0, 1.5, 51)
"""Exponents scanned; given both, the surface is linear in E, A and B."""


def N_then_K(laws: Mapping[str, EnsembleLaw]) -> Estimate:
    """Fit loss against N at every K, then those asymptotes against K by A / K + E; return E."""
    unit = unit_of([law.N for law in laws.values()], "N")
    sizes = [law.N / scale_of(unit) for law in laws.values()]
    counts = np.arange(1, min(law.K for law in laws.values()) + 1)
    limits = [
        fit_through(sizes, [law.at(int(k)) for law in laws.values()], unit=unit).limit
        for k in counts
    ]
    values = np.array([[limit.value for limit in limits]])
    draws = np.stack([limit.fitted_draws for limit in limits], axis=1)
    ones = np.ones(len(counts))
    kept = np.isfinite(draws).all(axis=1)
    E_draws = np.full(len(draws), np.nan)
    E_draws[kept] = fit_many(counts.astype(float), draws[kept], ones, alpha=1.0)[2]
    value = float(fit_many(counts.astype(float), values, ones, alpha=1.0)[2][0])
    return Estimate(value, unbounded(E_draws, *(limit.law for limit in limits)))


def loss_surface(N, K, E, A, B, alpha, gamma):
    """Return E + A / N^alpha + B / (N^gamma K), nats/token."""
    return E + A / N**alpha + B / (N**gamma * K)


def surface(laws: Mapping[str, EnsembleLaw]) -> Estimate:
    """Fit the surface `loss_surface` to all points (N, K) at once; return E with its draws."""
    ensembles = list(laws.values())
    size = scale_of(unit_of([law.N for law in ensembles], "N"))
    N = np.concatenate([np.full(len(law.points), law.N / size) for law in ensembles])
    K = np.concatenate([law.points.k.to_numpy(float) for law in ensembles])
    weight = np.concatenate([1 / law.points.se.to_numpy() for law in ensembles])
    loss = np.concatenate([law.points.loss for law in ensembles])
    draws = np.concatenate([[law.at(k).draws for k in law.points.k] for law in ensembles])
    losses = np.column_stack([loss, draws])  # (points, 1 + draws): the measured ones first
    coefficients = _scan(N, K, weight, losses)
    names = ("E", "A", "B", "alpha", "gamma")
    parameters = lmfit.create_params(**dict(zip(names, coefficients[:, 0].tolist(), strict=True)))
    parameters["alpha"].set(min=ALPHAS[0], max=ALPHAS[-1])
    parameters["gamma"].set(min=GAMMAS[0], max=GAMMAS[-1])
    model = lmfit.Model(loss_surface, independent_vars=["N", "K"])
    fit = model.fit(loss, parameters, N=N, K=K, weights=weight, scale_covar=False)
    return Estimate(fit.best_values["E"], coefficients[0, 1:])


def _scan(N: np.ndarray, K: np.ndarray, weight: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """Return E, A, B, alpha and gamma of every column of losses (5, columns).

    For each pair of exponents the surface is a linear least-squares problem, solved for all
    columns at once by one QR factorization.
    """
    best = np.full(losses.shape[1], np.inf)
    coefficients = np.zeros((5, losses.shape[1]))
    weighted = losses * weight[:, None]
    total = (weighted**2).sum(0)
    for alpha in ALPHAS:
        for gamma in GAMMAS:
            design = np.column_stack([np.ones_like(N), N**-alpha, N**-gamma / K])
            q, r = np.linalg.qr(design * weight[:, None])
            projected = q.T @ weighted
            chi2 = total - (projected**2).sum(0)
            better = chi2 < best
            best[better] = chi2[better]
            coefficients[:3, better] = np.linalg.solve(r, projected[:, better])
            coefficients[3:, better] = np.array([[alpha], [gamma]])
    return coefficients

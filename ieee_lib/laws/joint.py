"""The joint limit, N and K to infinity: two stages in either order, and one surface (Sec. 4.3).

limit = K_then_N(laws, unit=1e6, name="N[M]")      # the paper's order
N_then_K(laws, unit=1e6, name="N[M]")                   # the other one
surface(laws, unit=1e6)                                 # E + A / N^alpha + B / (N^gamma K)
"""

from collections.abc import Sequence

import lmfit
import numpy as np

from ieee_lib.laws.ensembles import EnsembleLaw
from ieee_lib.laws.estimates import Estimate, Limit, limit_of, unbounded
from ieee_lib.laws.power_law import fit_many

ALPHAS = np.geomspace(0.05, 4.0, 60)
GAMMAS = np.linspace(-1.0, 1.5, 51)
"""Exponents scanned; given both, the surface is linear in E, A and B."""


def K_then_N(laws: Sequence[EnsembleLaw], *, unit: float, name: str) -> Limit:
    """Fit the limits in K against N: the paper's procedure."""
    sizes = [law.about["N"] / unit for law in laws]
    return limit_of(sizes, [law.limit for law in laws], unit=name)


def N_then_K(laws: Sequence[EnsembleLaw], *, unit: float, name: str) -> Estimate:
    """Fit loss against N at every K, then those limits against K by A / K + E."""
    sizes = [law.about["N"] / unit for law in laws]
    counts = np.arange(1, min(law.K for law in laws) + 1)
    limits = [limit_of(sizes, [law.at(k) for law in laws], unit=name) for k in counts]
    values = np.array([[limit.value for limit in limits]])
    draws = np.stack([limit.bounded for limit in limits], axis=1)
    ones = np.ones(len(counts))
    kept = np.isfinite(draws).all(axis=1)
    result = np.full(len(draws), np.nan)
    result[kept] = fit_many(counts.astype(float), draws[kept], ones, alpha=1.0)[2]
    value = float(fit_many(counts.astype(float), values, ones, alpha=1.0)[2][0])
    return Estimate(value, unbounded(result, *(limit.law for limit in limits)))


def surface(laws: Sequence[EnsembleLaw], *, unit: float) -> Estimate:
    """Fit L(N, K) = E + A / N^alpha + B / (N^gamma K) to all points at once; return E."""
    N = np.concatenate([np.full(len(law.points), law.about["N"] / unit) for law in laws])
    K = np.concatenate([law.points.k.to_numpy(float) for law in laws])
    w = np.concatenate([1 / law.points.se.to_numpy() for law in laws])
    y = np.concatenate([law.points.loss for law in laws])
    Y = np.concatenate([[law.at(k).draws for k in law.points.k] for law in laws])  # (points, draws)
    best = np.full(Y.shape[1] + 1, np.inf)
    found = np.zeros((5, Y.shape[1] + 1))
    Z = np.column_stack([y, Y]) * w[:, None]
    total = (Z**2).sum(0)
    for alpha in ALPHAS:
        for gamma in GAMMAS:
            design = np.column_stack([np.ones_like(N), N**-alpha, N**-gamma / K]) * w[:, None]
            q, r = np.linalg.qr(design)
            projected = q.T @ Z
            chi2 = total - (projected**2).sum(0)
            better = chi2 < best
            best[better] = chi2[better]
            found[:3, better] = np.linalg.solve(r, projected[:, better])
            found[3:, better] = np.array([[alpha], [gamma]])
    start = dict(zip(("E", "A", "B", "alpha", "gamma"), found[:, 0].tolist(), strict=True))
    parameters = lmfit.create_params(**start)
    parameters["alpha"].set(min=ALPHAS[0], max=ALPHAS[-1])
    parameters["gamma"].set(min=GAMMAS[0], max=GAMMAS[-1])
    model = lmfit.Model(loss_surface, independent_vars=["N", "K"])
    fit = model.fit(y, parameters, N=N, K=K, weights=w, scale_covar=False)
    return Estimate(fit.best_values["E"], found[0, 1:])


def loss_surface(N, K, E, A, B, alpha, gamma):
    """Return E + A / N^alpha + B / (N^gamma K), nats/token."""
    return E + A / N**alpha + B / (N**gamma * K)

#!/usr/bin/env python3
"""From the file of a run to a figure: the equilibrium of SGD and that of its Langevin equation.

    perrin run models/diabetes.toml -o diabetes.h5
    python3 examples/equilibria.py diabetes.h5 data/diabetes.csv equilibria.png

Needs numpy, xarray with h5netcdf, and matplotlib. Points are what perrin measured, along each eigenvector of the
Hessian, with standard errors from the scatter between replicas; lines are solved here, independently of perrin, from
the data alone.

For the loss (w·x − y)² of a table the gradient is affine in w, so the stationary covariance Σ obeys a closed linear
equation. With H = 2⟨xxᵀ⟩, d = w − w*, residuals r at w*, and C[Σ] = 4⟨xxᵀ((x·d)² + r²)⟩ − HΣH:

    SGD, discrete:            HΣ + ΣH − ηHΣH = η/S C[Σ]
    Langevin, continuous:     HΣ + ΣH = η/S C[Σ]
    Euler–Maruyama at dt = h: HΣ + ΣH − hHΣH = η/S C[Σ]
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import xarray


def internal(group, observable, quantity):
    """What a claim looks at of every replica, out of a packed group: [replica, …]."""
    [part] = [
        part
        for part in json.loads(group.attrs["numbers"])
        if part["observable"].startswith(observable) and part["quantity"] == quantity
    ]
    places = slice(part["first"], part["first"] + int(np.prod(part["shape"])))
    return group["values"].values[:, places].reshape(-1, *part["shape"])


class Regression:
    """The stationary equation of (w·x − y)² over a table."""

    def __init__(self, x, y, rate, batch):
        n, p = x.shape
        one = np.eye(p)
        self.hessian = 2 * x.T @ x / n
        self.best = np.linalg.solve(self.hessian, 2 * x.T @ y / n)
        residual = x @ self.best - y
        fourth = 4 * np.einsum("ni,nj,nk,nl->ijkl", x, x, x, x, optimize=True).reshape(p * p, p * p) / n
        self.both = np.kron(self.hessian, self.hessian)
        self.noise = rate / batch * 4 * np.einsum("ni,nj,n->ij", x, x, residual**2).ravel() / n
        self.drift = np.kron(self.hessian, one) + np.kron(one, self.hessian)
        self.drift -= rate / batch * (fourth - self.both)  # C[Σ] = C[0] + (fourth − H⊗H) Σ

    def covariance(self, step):
        """Σ for steps of this length; 0 for the continuous equation."""
        p = len(self.hessian)
        return np.linalg.solve(self.drift - step * self.both, self.noise).reshape(p, p)


def ellipse(axes, covariance, colour, label):
    """Two standard deviations."""
    angle = np.linspace(0, 2 * np.pi, 200)
    x, y = 2 * np.linalg.cholesky(covariance) @ [np.cos(angle), np.sin(angle)]
    axes.plot(x, y, color=colour, lw=1.5, label=label)


def main(path, table, figure):
    tree = xarray.open_datatree(path, engine="h5netcdf")
    data = np.loadtxt(table, delimiter=",", skiprows=1)
    sgd, sde = tree["sgd"].attrs, tree["sde"].attrs
    rate, substeps = sgd["rate"], sde["substeps"]
    theory = Regression(data[:, :-1], data[:, -1], rate, sgd["batch"])
    discrete, continuous, scheme = (theory.covariance(step) for step in (rate, 0.0, rate / substeps))
    stiffness, directions = np.linalg.eigh(theory.hessian)
    along = lambda matrices: np.einsum("...ij,ik,jk->...k", matrices, directions, directions)

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.0), layout="constrained", width_ratios=(1, 1.35))
    reference = along(continuous)
    styles = {"sgd": ("SGD, measured", "C3", "o"), "sde": (f"Langevin at dt = η/{substeps:g}, measured", "C0", "s")}
    for name, (label, colour, marker) in styles.items():
        moments = internal(tree[f"internals/{name}/replicas"], "einstein:second_moments", "mean over the window")
        each = along(moments)  # [replica, direction]
        mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each))
        bars = dict(fmt=marker, color=colour, capsize=3, markersize=5, label=label)
        right.errorbar(stiffness, mean / reference, error / reference, **bars)
        paths = tree[f"{name}/trajectories"]["w"].sel(time=slice(tree[name].attrs["burn_in_time"], None))
        cloud = (paths.values.reshape(-1, len(stiffness)) - theory.best) @ directions[:, -2:]
        left.plot(cloud[:, 1], cloud[:, 0], marker, color=colour, markersize=1.6, alpha=0.3, mew=0)
    for covariance, colour, line, label in (
        (discrete, "C3", "-", "discrete equation"),
        (scheme, "C0", "--", "the scheme's equation"),
        (continuous, "C0", "-", "continuous equation"),
    ):
        right.plot(stiffness, along(covariance) / reference, line, color=colour, lw=1.2, label=label)
    plane = directions[:, [-1, -2]]
    ellipse(left, plane.T @ discrete @ plane, "C3", "discrete, 2σ")
    ellipse(left, plane.T @ continuous @ plane, "C0", "continuous, 2σ")
    left.set(xlabel="w − w* along the stiffest direction", ylabel="along the next", aspect="equal")
    left.legend(frameon=False, fontsize=8, loc="upper right")
    right.set(xscale="log", xlabel="eigenvalue of the Hessian", ylabel="stationary variance / continuous prediction")
    right.legend(frameon=False, fontsize=9, loc="upper left")
    fig.suptitle(f"Diabetes regression: the equilibrium at η = {rate:g}, S = {sgd['batch']:g}", fontsize=11)
    fig.savefig(figure, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])

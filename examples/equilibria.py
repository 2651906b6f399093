#!/usr/bin/env python3
"""From the file of a run to a figure: the equilibrium of SGD and that of its Langevin equation.

    perrin run models/diabetes.toml -o diabetes.h5
    python3 examples/equilibria.py diabetes.h5 data/diabetes.csv equilibria.png

Needs numpy, xarray with h5netcdf, and matplotlib. The points are what perrin measured, direction by direction of the
Hessian, with standard errors from the scatter between replicas; the lines are solved here, independently of perrin, from the data alone.

For the loss (w·x − y)² of a table the gradient is affine in w, so the stationary covariance Σ obeys a closed linear
equation. With H = 2⟨xxᵀ⟩, d = w − w*, residuals r at w*, and C[Σ] = 4⟨xxᵀ((x·d)² + r²)⟩ − HΣH:

    discrete (SGD):           Σ = (1 − ηH) Σ (1 − ηH) + η²/S C[Σ]
    continuous (Langevin):    HΣ + ΣH = η/S C[Σ]
"""

import re
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import xarray


def settings(group):
    """The numbers in an attribute such as `rate = 0.1, batch = 16`."""
    return {key: float(value) for key, value in re.findall(r"(\w+) = ([-+.\deE]+)", group.attrs["settings"])}


def equilibria(x, y, rate, batch):
    """Stationary covariances, discrete and continuous, and the Hessian."""
    n, p = x.shape
    second = x.T @ x / n
    hessian = 2 * second
    best = np.linalg.solve(second, x.T @ y / n)
    residual = x @ best - y
    fourth = 4 * np.einsum("ni,nj,nk,nl->ijkl", x, x, x, x, optimize=True).reshape(p * p, p * p) / n
    noise = 4 * np.einsum("ni,nj,n->ij", x, x, residual**2).ravel() / n
    one = np.eye(p)
    spread = fourth - np.kron(hessian, hessian)  # C[Σ] = noise + spread Σ
    step = one - rate * hessian
    discrete = np.linalg.solve(
        np.eye(p * p) - np.kron(step, step) - rate**2 / batch * spread, rate**2 / batch * noise
    )
    drift = np.kron(hessian, one) + np.kron(one, hessian)
    continuous = np.linalg.solve(drift - rate / batch * spread, rate / batch * noise)
    return discrete.reshape(p, p), continuous.reshape(p, p), hessian


def main(path, table, figure):
    tree = xarray.open_datatree(path, engine="h5netcdf")
    data = np.loadtxt(table, delimiter=",", skiprows=1)
    x, y = data[:, :-1], data[:, -1]
    numbers = settings(tree["sgd"])
    discrete, continuous, hessian = equilibria(x, y, numbers["rate"], numbers["batch"])
    stiffness, directions = np.linalg.eigh(hessian)
    along = lambda matrices: np.einsum("...ij,ik,jk->...k", matrices, directions, directions)

    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    reference = along(continuous)
    styles = {"sgd": ("SGD", "C3", "o"), "sde": ("its Langevin equation", "C0", "s")}
    for name, (label, colour, marker) in styles.items():
        stationary = tree[f"{name}/stationary"]
        [variable] = [v for v in stationary.data_vars if v.endswith("second_moments_mean")]
        each = along(stationary[variable].values)  # [replica, direction]
        mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each))
        left.plot(stiffness, mean, marker, color=colour, label=label, markersize=5)
        right.errorbar(
            stiffness, mean / reference, error / reference, fmt=marker, color=colour, capsize=3, label=label, markersize=5
        )
    for axes, scale in ((left, np.ones_like(reference)), (right, reference)):
        axes.plot(stiffness, along(discrete) / scale, "-", color="C3", lw=1, label="discrete Lyapunov equation")
        axes.plot(stiffness, reference / scale, "-", color="C0", lw=1, label="continuous Lyapunov equation")
        axes.set_xscale("log")
        axes.set_xlabel("eigenvalue of the Hessian")
    left.set_yscale("log")
    left.set_ylabel("stationary variance along the eigenvector")
    right.set_ylabel("the same, over the continuous prediction")
    right.legend(frameon=False, fontsize=9)
    fig.suptitle(f"Diabetes regression at η = {numbers['rate']:g}, S = {numbers['batch']:g}", fontsize=11)
    fig.savefig(figure, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])

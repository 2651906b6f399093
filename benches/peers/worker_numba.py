"""numba, path by path, one thread; normals by NumPy's generator SFC64 from within the compiled loop."""

import sys

import numpy as np
from numba import njit
from works import BATCH, data, serve

TABLE, TEACHER = data(sys.argv[1])
INPUTS, LABELS = np.ascontiguousarray(TABLE[:, :64]), TABLE[:, 64].copy()


@njit(fastmath=True)
def harmonic(generator, paths, steps):
    out = np.empty(paths)
    for i in range(paths):
        x = 1.0
        for _ in range(steps):
            x = 0.99 * x + 0.05 * generator.standard_normal()
        out[i] = x
    return out


@njit(fastmath=True)
def rescaling(generator, paths, steps):
    out = np.empty(paths)
    for i in range(paths):
        u = 1.5
        w = 0.2
        for _ in range(steps):
            x = generator.standard_normal()
            p = u * x
            e = -0.02 * (p * w - 1)
            q = w * x
            u += e * q
            w += e * p
        out[i] = u
    return out


@njit(fastmath=True)
def langevin(generator, paths, steps):
    out = np.empty(paths)
    for i in range(paths):
        u = 1.5
        w = 0.2
        for _ in range(steps):
            x = generator.standard_normal()
            y = generator.standard_normal()
            p = u * w
            c = 4 * (2 * p * p + 1)
            a = c * w * w
            d = c * u * u
            b = c * p
            root = np.sqrt(max(a * d - b * b, 0.0))
            scale = 0.01 / np.sqrt(a + d + 2 * root)
            k = -0.02 * p
            step = k * w + scale * ((a + root) * x + b * y)
            w += k * u + scale * ((d + root) * y + b * x)
            u += step
        out[i] = u
    return out


@njit(fastmath=True)
def langevin_rank(generator, paths, steps):
    out = np.empty(paths)
    for i in range(paths):
        u = 1.5
        w = 0.2
        for _ in range(steps):
            p = u * w
            k = -0.02 * (p + np.sqrt(2 * p * p + 1) * generator.standard_normal())
            step = k * w
            w += k * u
            u += step
        out[i] = u
    return out


@njit(fastmath=True)
def regression(generator, inputs, labels, replicas, steps, batch):
    samples, width = inputs.shape
    out = np.empty((replicas, width))
    for r in range(replicas):
        theta, gradient = np.zeros(width), np.empty(width)
        for _ in range(steps):
            gradient[:] = 0
            for _ in range(batch):
                i = generator.integers(0, samples)
                e = -labels[i]
                for k in range(width):
                    e += inputs[i, k] * theta[k]
                for k in range(width):
                    gradient[k] += e * inputs[i, k]
            for k in range(width):
                theta[k] -= 0.02 / batch * gradient[k]
        out[r] = theta
    return out


def generator():
    return np.random.Generator(np.random.SFC64(1))


def of_paths(work):
    def prepare(paths, steps):
        work(generator(), 2, 2)

        def run():
            ends = work(generator(), paths, steps)
            return ends.mean(), ends.var()

        return run

    return prepare


def of_regression(replicas, steps):
    regression(generator(), INPUTS, LABELS, 2, 2, BATCH["W3"])

    def run():
        theta = regression(generator(), INPUTS, LABELS, replicas, steps, BATCH["W3"])
        return theta.mean(), theta.var(axis=0, ddof=1).mean()

    return run


serve({"W1": of_paths(harmonic), "W2a": of_paths(rescaling), "W2b": of_paths(langevin),
       "W2b-rank": of_paths(langevin_rank), "W3": of_regression})

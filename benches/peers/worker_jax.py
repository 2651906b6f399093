"""JAX: one `lax.scan` over the steps, compiled before the clock starts. Its counter-based threefry, or with `rbg` its fastest generator."""

import sys

import jax
import jax.numpy as jnp
from works import BATCH, data, serve

jax.config.update("jax_enable_x64", True)
TABLE, TEACHER = (jnp.asarray(part) for part in data(sys.argv[1]))
GENERATOR = {"threefry": "threefry2x32", "rbg": "unsafe_rbg"}[sys.argv[2]]


def normal(key, shape):
    return jax.random.normal(key, shape, dtype=jnp.float64)


def scan(step, start, result, steps):
    def whole(key):
        keys = jax.random.split(key, steps)
        return result(jax.lax.scan(lambda state, key: (step(state, key), None), start(key), keys)[0])

    key = jax.random.key(1, impl=GENERATOR)
    compiled = jax.jit(whole).lower(key).compile()
    return lambda: [float(x) for x in compiled(key)]


def of_paths(step, start):
    def prepare(paths, steps):
        begin = tuple(jnp.full(paths, x) for x in start)
        return scan(step, lambda _: begin, lambda state: (state[0].mean(), state[0].var()), steps)

    return prepare


def harmonic(state, key):
    (x,) = state
    return (0.99 * x + 0.05 * normal(key, x.shape),)


def rescaling(state, key):
    u, w = state
    x = normal(key, u.shape)
    e = -0.02 * (u * w * x - 1) * x
    return u + e * w, w + e * u


def langevin(state, key):
    u, w = state
    x, y = normal(key, (2, *u.shape))
    p = u * w
    c = 4 * (2 * p * p + 1)
    a, d, b = c * w * w, c * u * u, c * p
    root = jnp.sqrt(jnp.maximum(a * d - b * b, 0.0))
    scale, k = 0.01 / jnp.sqrt(a + d + 2 * root), -0.02 * p
    return u + k * w + scale * ((a + root) * x + b * y), w + k * u + scale * ((d + root) * y + b * x)


def langevin_rank(state, key):
    u, w = state
    p = u * w
    k = -0.02 * (p + jnp.sqrt(2 * p * p + 1) * normal(key, u.shape))
    return u + k * w, w + k * u


def regression(replicas, steps):
    inputs, labels = TABLE[:, :64], TABLE[:, 64]
    gradient = jax.vmap(jax.grad(lambda theta, x, y: jnp.mean((x @ theta - y) ** 2)))

    def step(theta, key):
        rows = jax.random.randint(key, (replicas, BATCH["W3"]), 0, 1024)
        return theta - 0.01 * gradient(theta, inputs[rows], labels[rows])

    result = lambda theta: (theta.mean(), theta.var(axis=0, ddof=1).mean())
    return scan(step, lambda _: jnp.zeros((replicas, 64)), result, steps)


def deep_linear(replicas, steps):
    gradient = jax.vmap(jax.grad(lambda w, x, y: jnp.mean(jnp.sum((w[2] @ (w[1] @ (w[0] @ x)) - y) ** 2, 0))))

    def step(w, key):
        one, two = jax.random.split(key)
        x = normal(one, (replicas, 32, BATCH["W4"]))
        return w - 0.01 * gradient(w, x, TEACHER @ x + 0.1 * normal(two, x.shape))

    def result(w):
        misfit = ((w[:, 2] @ w[:, 1] @ w[:, 0] - TEACHER) ** 2).sum((1, 2))
        return misfit.mean(), misfit.var(ddof=1)

    start = lambda key: normal(jax.random.fold_in(key, 1), (replicas, 3, 32, 32)) / 32**0.5
    return scan(step, start, result, steps)


serve(
    {
        "W1": of_paths(harmonic, (1.0,)),
        "W2a": of_paths(rescaling, (1.5, 0.2)),
        "W2b": of_paths(langevin, (1.5, 0.2)),
        "W2b-rank": of_paths(langevin_rank, (1.5, 0.2)),
        "W3": regression,
        "W4": deep_linear,
    }
)

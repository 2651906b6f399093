"""diffrax: Euler with its one-pass Brownian path (`UnsafeBrownianPath`); a fifth of the paths, seconds times five."""

import sys

import diffrax
import jax
import jax.numpy as jnp
from works import data, serve

jax.config.update("jax_enable_x64", True)
data(sys.argv[1])
SHARE = 5


def of_paths(drift, diffusion, start, noises):
    def prepare(paths, steps):
        count, dt = paths // SHARE, 0.01

        def one(key):
            path = diffrax.UnsafeBrownianPath(shape=(noises,), key=key)
            terms = diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(diffusion, path))
            solution = diffrax.diffeqsolve(
                terms, diffrax.Euler(), 0.0, steps * dt, dt, jnp.array(start), saveat=diffrax.SaveAt(t1=True),
                max_steps=None, adjoint=diffrax.ForwardMode(),
            )  # fmt: skip
            return solution.ys[0, 0]

        whole = jax.jit(lambda key: jax.vmap(one)(jax.random.split(key, count)))
        compiled = whole.lower(jax.random.key(1)).compile()

        def run():
            ends = compiled(jax.random.key(1))
            return ends.mean(), ends.var()

        return run, SHARE

    return prepare


def descent(t, theta, _):
    return -2 * theta[0] * theta[1] * theta[::-1]


def langevin(t, theta, _):
    u, w = theta
    p = u * w
    c = 4 * (2 * p * p + 1)
    a, d, b = c * w * w, c * u * u, c * p
    root = jnp.sqrt(jnp.maximum(a * d - b * b, 0.0))
    return 0.1 / jnp.sqrt(a + d + 2 * root) * jnp.array([[a + root, b], [b, d + root]])


def langevin_rank(t, theta, _):
    u, w = theta
    return jnp.sqrt(0.01 * 4 * (2 * (u * w) ** 2 + 1)) * jnp.array([[w], [u]])


serve(
    {
        "W1": of_paths(lambda t, x, _: -x, lambda t, x, _: jnp.array([[0.5]]), [1.0], 1),
        "W2b": of_paths(descent, langevin, [1.5, 0.2], 2),
        "W2b-rank": of_paths(descent, langevin_rank, [1.5, 0.2], 1),
    }
)

"""torch, eager: in place for W1 and W2a, `vmap(grad)` for W3 and W4."""

import sys

import torch
from torch.func import grad, vmap
from works import BATCH, data, serve

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
torch.set_grad_enabled(False)
TABLE, TEACHER = (torch.from_numpy(part) for part in data(sys.argv[1]))


def harmonic(paths, steps):
    def run():
        x, noise = torch.ones(paths), torch.empty(paths)
        for _ in range(steps):
            x.mul_(0.99).add_(noise.normal_(), alpha=0.05)
        return x.mean(), x.var()

    return run


def rescaling(paths, steps):
    def run():
        u, w, x = torch.full((paths,), 1.5), torch.full((paths,), 0.2), torch.empty(paths)
        for _ in range(steps):
            x.normal_()
            p = u * x
            e = (p * w).sub_(1).mul_(-0.02)
            u, w = torch.addcmul(u, e, w * x), w.addcmul_(e, p)
        return u.mean(), u.var()

    return run


def regression(replicas, steps):
    inputs, labels = TABLE[:, :64].contiguous(), TABLE[:, 64].contiguous()
    gradient = vmap(grad(lambda theta, x, y: ((x @ theta - y) ** 2).mean()))

    def run():
        theta = torch.zeros(replicas, 64)
        for _ in range(steps):
            rows = torch.randint(0, 1024, (replicas, BATCH["W3"]))
            theta = theta - 0.01 * gradient(theta, inputs[rows], labels[rows])
        return theta.mean(), theta.var(dim=0).mean()

    return run


def deep_linear(replicas, steps):
    gradient = vmap(grad(lambda w, x, y: ((w[2] @ (w[1] @ (w[0] @ x)) - y) ** 2).sum(0).mean()))

    def run():
        w = torch.randn(replicas, 3, 32, 32) / 32**0.5
        for _ in range(steps):
            x = torch.randn(replicas, 32, BATCH["W4"])
            w = w - 0.01 * gradient(w, x, TEACHER @ x + 0.1 * torch.randn(replicas, 32, BATCH["W4"]))
        misfit = ((w[:, 2] @ w[:, 1] @ w[:, 0] - TEACHER) ** 2).sum((1, 2))
        return misfit.mean(), misfit.var()

    return run


serve({"W1": harmonic, "W2a": rescaling, "W3": regression, "W4": deep_linear})

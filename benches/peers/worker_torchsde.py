"""torchsde: Euler; a tenth of the paths, seconds times ten."""

import sys

import torch
import torchsde
from works import data, serve

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
torch.set_grad_enabled(False)
data(sys.argv[1])
SHARE = 10


class Harmonic(torch.nn.Module):
    noise_type, sde_type = "diagonal", "ito"

    def f(self, t, x):
        return -x

    def g(self, t, x):
        return torch.full_like(x, 0.5)


class Langevin(torch.nn.Module):
    noise_type, sde_type = "general", "ito"

    def f(self, t, theta):
        u, w = theta.unbind(1)
        p = -2 * u * w
        return torch.stack([p * w, p * u], 1)

    def g(self, t, theta):
        u, w = theta.unbind(1)
        p = u * w
        c = 4 * (2 * p * p + 1)
        a, d, b = c * w * w, c * u * u, c * p
        root = (a * d - b * b).clamp(min=0).sqrt()
        scale = 0.1 / (a + d + 2 * root).sqrt()
        rows = [torch.stack([scale * (a + root), scale * b], 1), torch.stack([scale * b, scale * (d + root)], 1)]
        return torch.stack(rows, 1)


class LangevinRank(Langevin):
    noise_type = "scalar"

    def g(self, t, theta):
        u, w = theta.unbind(1)
        scale = 0.1 * 2 * (2 * (u * w) ** 2 + 1).sqrt()
        return torch.stack([scale * w, scale * u], 1).unsqueeze(2)


def of_paths(sde, start):
    def prepare(paths, steps):
        begin = torch.tensor([start]).repeat(paths // SHARE, 1)
        instants = torch.tensor([0.0, 0.01 * steps])

        def run():
            ends = torchsde.sdeint(sde, begin, instants, dt=0.01, method="euler")[-1][:, 0]
            return ends.mean(), ends.var()

        return run, SHARE

    return prepare


serve({"W1": of_paths(Harmonic(), [1.0]), "W2b": of_paths(Langevin(), [1.5, 0.2]),
       "W2b-rank": of_paths(LangevinRank(), [1.5, 0.2])})

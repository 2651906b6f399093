"""The works that all contenders do, and how a worker process is asked for them.

W1   dx = -x dt + dW/2 by Euler-Maruyama, dt = 0.01, from x = 1                                 100 000 paths x 1 000 steps
W2a  SGD on (u w x - 1)^2, x ~ N(0, 1) fresh, batch 1, rate 0.01, from u = 1.5, w = 0.2         100 000 x 1 000
W2b  its Langevin equation dtheta = -grad L dt + sqrt(rate) C^(1/2) dW with dt = rate, C the 2 x 2 covariance  100 000 x 1 000
W2b-rank  the same by one who sees that C has rank one: one normal a step, no matrix root       100 000 x 1 000
W3   SGD for linear regression, 64 inputs, one table of 1 024 samples, batch 8, rate 0.01           256 x 2 000
W4   SGD for a deep linear net W3 W2 W1, 32 x 32 each, fresh data of a noisy teacher, batch 16       64 x 1 000

A worker reads lines `WORK REPLICAS STEPS` and answers `{"seconds": …, "mean": …, "variance": …}`: over the replicas, of x (W1), of u
(W2a, W2b), of each weight, then averaged over the weights (W3), of |W3 W2 W1 - M|^2 (W4). Compilation is not in the seconds.
"""

import json
import pathlib
import sys
import time

SIZES = {"W1": (100_000, 1000), "W2a": (100_000, 1000), "W2b": (100_000, 1000), "W2b-rank": (100_000, 1000),
         "W3": (256, 2000), "W4": (64, 1000)}
BATCH = {"W3": 8, "W4": 16}


def data(folder):
    """The table of W3 (1024 x 65) and the teacher of W4 (32 x 32)."""
    import numpy as np

    folder = pathlib.Path(folder)
    return np.fromfile(folder / "table.f64").reshape(1024, 65), np.fromfile(folder / "teacher.f64").reshape(32, 32)


def serve(works):
    """Answers until the input ends. `works[name](replicas, steps)` prepares a function without arguments, which does the work and
    returns mean and variance; a work may take fewer replicas and say by which factor: (function, factor)."""
    prepared = {}
    print(json.dumps(sorted(works)), flush=True)
    for line in sys.stdin:
        name, replicas, steps = line.split()
        key = (name, int(replicas), int(steps))
        if key not in prepared:
            made = works[name](*key[1:])
            prepared[key] = made if isinstance(made, tuple) else (made, 1.0)
        work, factor = prepared[key]
        start = time.perf_counter()
        mean, variance = work()
        seconds = (time.perf_counter() - start) * factor
        print(json.dumps({"seconds": seconds, "mean": float(mean), "variance": float(variance)}), flush=True)

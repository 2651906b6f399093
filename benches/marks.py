"""Two marks against vectorised NumPy, interleaved on the same machine.

W1   dx = -mu x dt + sigma dW by Euler-Maruyama, 100 000 paths x 1 000 steps
W2a  SGD on (u w x - 1)^2, x ~ N(0, 1) fresh, batch 1, 100 000 replicas x 1 000 steps

    cargo build --release
    python benches/marks.py [path to perrin] [threads] [rounds]

NumPy is timed twice: the whole vector at once (as such loops are written), and in chunks of 5 000 that stay in the
cache (as fast as NumPy gets). Each time is the whole process's work without its start; the ratio is of minima.
"""

import json
import pathlib
import subprocess
import sys
import time

import numpy as np

PATHS, STEPS, CHUNK = 100_000, 1_000, 5_000
HERE = pathlib.Path(__file__).parent


def harmonic(generator, count):
    x = np.ones(count)
    noise = np.empty(count)
    drift, spread = 1 - 0.01, 0.5 * 0.1
    for _ in range(STEPS):
        generator.standard_normal(out=noise)
        noise *= spread
        x *= drift
        x += noise
    return x


def rescaling(generator, count):
    u, w, x = np.full(count, 1.5), np.full(count, 0.2), np.empty(count)
    for _ in range(STEPS):
        generator.standard_normal(out=x)
        p = u * x
        e = p * w - 1
        e *= -0.02
        step = w * x
        step *= e
        p *= e
        u += step
        w += p
    return u


def whole(work):
    return work(np.random.Generator(np.random.SFC64(1)), PATHS)


def chunked(work):
    seeds = np.random.SeedSequence(1).spawn(PATHS // CHUNK)
    return np.concatenate([work(np.random.Generator(np.random.SFC64(s)), CHUNK) for s in seeds])


def perrin(binary, study, threads):
    command = [binary, "run", HERE / "studies" / f"{study}.toml", "--json", "--quiet", "--threads", str(threads)]
    with_output = [*map(str, command), "-o", str(HERE / f"{study}.mark.h5"), "--force"]
    out = json.loads(subprocess.run(with_output, check=True, capture_output=True).stdout)
    (HERE / f"{study}.mark.h5").unlink(missing_ok=True)
    dynamics = next(iter(out["dynamics"].values()))
    observable = next(iter(dynamics["observables"].values()))
    return observable["mean"][-1], observable["variance"][-1]


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "target/release/perrin"
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    print(f"{'':4} {'':16} {'min s':>8} {'median s':>8} {'ns/step':>8} {'ratio':>7}   mean, variance")
    for name, study, work in (("W1", "harmonic", harmonic), ("W2a", "rescaling", rescaling)):
        contenders = {
            f"perrin {threads}t": lambda: perrin(binary, study, threads),
            "NumPy chunked": lambda: (lambda v: (v.mean(), v.var()))(chunked(work)),
            "NumPy whole": lambda: (lambda v: (v.mean(), v.var()))(whole(work)),
        }
        times = {key: [] for key in contenders}
        result = {}
        for _ in range(rounds):
            for key, run in contenders.items():
                start = time.perf_counter()
                result[key] = run()
                times[key].append(time.perf_counter() - start)
        best = min(times[f"perrin {threads}t"])
        for key, seconds in times.items():
            low, middle = min(seconds), float(np.median(seconds))
            per_step = low / (PATHS * STEPS) * 1e9
            mean, variance = result[key]
            print(f"{name:4} {key:16} {low:8.3f} {middle:8.3f} {per_step:8.2f} {low / best:7.1f}   {mean:.5f}, {variance:.3e}")


if __name__ == "__main__":
    main()

"""Measures perrin beside its peers and the hand-written kernels: see run.sh. One round asks every contender for every work in turn."""

import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time
import tomllib

import numpy as np
import report
from works import SIZES

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACE = ROOT / "target" / "peers"
DATA = PLACE / "data"
STUDIES = ROOT / "benches" / "studies"
PERRIN = pathlib.Path(os.environ.get("PERRIN", ROOT / "target" / "release" / "perrin")).resolve()
HAND = PLACE / "cargo" / "release" / "hand"
SCRATCH = PLACE / "scratch.h5"

# Program of a worker with its own argument, and how many times fewer paths it moves than it is asked for (its seconds are scaled).
CONTENDERS = {
    "by hand": ([HAND, DATA], 1),
    "NumPy": ([sys.executable, HERE / "worker_numpy.py", DATA], 1),
    "numba": ([sys.executable, HERE / "worker_numba.py", DATA], 1),
    "JAX (threefry)": ([sys.executable, HERE / "worker_jax.py", DATA, "threefry"], 1),
    "JAX (rbg)": ([sys.executable, HERE / "worker_jax.py", DATA, "rbg"], 1),
    "torch": ([sys.executable, HERE / "worker_torch.py", DATA], 1),
    "XMDS2": ([sys.executable, HERE / "worker_xmds.py", DATA], 1),
    "diffrax": ([sys.executable, HERE / "worker_diffrax.py", DATA], 5),
    "torchsde": ([sys.executable, HERE / "worker_torchsde.py", DATA], 10),
}
WORKS_BY_HAND = list(SIZES)

# Study, the setting that says its length, a step's length in it, and the observable that the peers report.
STUDIES_OF = {
    "W1": ("harmonic", "run.time", 0.01, "x"),
    "W2a": ("rescaling", "run.steps", 1, "u"),
    "W2b": ("rescaling-langevin", "run.steps", 1, "u"),
    "W3": ("regression", "run.steps", 1, "w"),
    "W4": ("deep-linear", "run.steps", 1, "misfit"),
}
# perrin is run at this part of the steps, too: the difference is the simulation without start, set-up, judging and file.
SHORT = 5


def write_data():
    """The table of W3 and the teacher of W4, the same for all contenders."""
    DATA.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    x = generator.standard_normal((1024, 64))
    table = np.column_stack([x, x.sum(axis=1) / 8 + 0.1 * generator.standard_normal(1024)])
    table.tofile(DATA / "table.f64")
    names = ",".join([f"x{i}" for i in range(64)] + ["y"])
    np.savetxt(DATA / "table.csv", table, fmt="%.17g", delimiter=",", header=names, comments="")
    study = tomllib.loads((STUDIES / "deep-linear.toml").read_text())
    np.array(study["constants"]["M"], dtype=float).tofile(DATA / "teacher.f64")


class Worker:
    """A contender that stays alive between rounds, so that it starts and compiles once."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=HERE,
        )

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            last = self.process.stderr.read().strip().splitlines()[-1:]
            raise RuntimeError(*last or ["it ended without a word"])
        return json.loads(line)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return self.answer()

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


def perrin(study, *arguments, threads=1, settings=()):
    """Runs a study and gives the seconds of the whole process, and its document."""
    sets = [word for setting in settings for word in ("--set", setting)]
    command = [PERRIN, "run", STUDIES / f"{study}.toml", "--json", "--quiet", "--force", "-o", SCRATCH, *arguments]
    start = time.perf_counter()
    out = subprocess.run([*map(str, command), "--threads", str(threads), *sets], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if out.returncode:
        raise RuntimeError(out.stderr.strip() or out.stdout.strip()[:300])
    return seconds, json.loads(out.stdout)


def settings_of(work, replicas, steps):
    _, length, step, _ = STUDIES_OF[work]
    settings = [f"run.replicas={replicas}", f"{length}={steps * step:.10g}"]
    if work == "W3":
        columns = ", ".join(f'"x{i}"' for i in range(64))
        settings += [f'population={{ table = "{DATA / "table.csv"}" }}', f'data={{ x = {{ columns = [{columns}] }}, y = "y" }}']
    return settings


def perrin_work(work, replicas, steps):
    study, _, _, observable = STUDIES_OF[work]
    # Not counted, as the first answer of a worker: the first process after those of others finds memory as they left it.
    perrin(study, settings=settings_of(work, replicas, steps // SHORT))
    seconds, document = perrin(study, settings=settings_of(work, replicas, steps))
    short, _ = perrin(study, settings=settings_of(work, replicas, steps // SHORT))
    (dynamics,) = document["dynamics"].values()
    of = dynamics["observables"][observable]
    mean, variance = (float(np.mean(of[key][-1])) for key in ("mean", "variance"))
    return {"seconds": seconds, "short": short, "mean": mean, "variance": variance}


def contenders(chosen, without):
    """The workers that can be started, with the works they can do; and why others are left out."""
    workers, left_out = {}, {}
    for name, (command, share) in CONTENDERS.items():
        if name.split()[0].lower() in without:
            left_out[name] = "as asked for"
            continue
        worker = Worker(command)
        try:
            works = WORKS_BY_HAND if name == "by hand" else worker.answer()
            if name == "XMDS2" and subprocess.run(["which", "xmds2"], capture_output=True).returncode:
                raise RuntimeError("xmds2 is not on the path")
        except RuntimeError as error:
            left_out[name] = str(error)
            continue
        workers[name] = (worker, [work for work in works if work in chosen], share)
    return workers, left_out


def works(arguments, results):
    """Rounds over all works and contenders; a first one, not counted, compiles and warms up."""
    workers, results["left_out"] = contenders(arguments.only, arguments.without)
    for name, reason in results["left_out"].items():
        print(f"left out: {name}: {reason}", flush=True)
    table = results["works"] = {}
    for turn in range(arguments.rounds + 1):
        for work in arguments.only:
            replicas, steps = results["sizes"][work]
            asked = {name: (worker, share) for name, (worker, can, share) in workers.items() if work in can}
            if work in STUDIES_OF:
                asked = {"perrin": (None, 1)} | asked
            for name, (worker, share) in asked.items():
                # One round is enough of what takes minutes, and shows nothing that is near.
                slow = share > 1 and turn != 1
                if slow or name in table.get(work, {}) and "failed" in table[work][name]:
                    continue
                if sys.stderr.isatty():
                    print(f"\r\033[Kround {turn} of {arguments.rounds}: {work} {name}", end="", file=sys.stderr)
                entry = table.setdefault(work, {}).setdefault(name, {"seconds": [], "replicas": replicas // share})
                try:
                    answer = worker.ask(work, replicas, steps) if worker else perrin_work(work, replicas, steps)
                except (RuntimeError, BrokenPipeError) as error:
                    entry["failed"] = str(error)
                    continue
                entry |= {key: answer[key] for key in ("mean", "variance")}
                if turn > 0 or arguments.rounds == 0:
                    entry["seconds"].append(answer["seconds"])
                    if "short" in answer:
                        entry.setdefault("short", []).append(answer["short"])
    for worker, _, _ in workers.values():
        worker.end()
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)


def threads(rounds, quick):
    """Seconds of pure arithmetic, and of perrin, on one thread and on two, in turn. Nothing is pinned."""
    hand = Worker([HAND, DATA])
    long = settings_of("W1", 100_000, 500 if quick else 4000)
    short = settings_of("W1", 100_000, 100 if quick else 800)
    times = {}
    # Two processors are rarely both quiet; these runs are short.
    for _ in range(3 * rounds):
        for count in (1, 2):
            times.setdefault(f"arithmetic {count}", []).append(hand.ask("arithmetic", count)["seconds"])
            for name, settings in (("perrin", long), ("perrin short", short)):
                seconds, _ = perrin("harmonic", threads=count, settings=settings)
                times.setdefault(f"{name} {count}", []).append(seconds)
    hand.end()
    return times


def storage(rounds, quick):
    """Seconds for 160 MB of paths: perrin while it simulates, and the library's own chunks, plain and deflated as perrin's are."""
    megabytes = 16 if quick else 160
    replicas = 20_000 // (160 // megabytes)
    sizes = [f"run.replicas={replicas}", f"run.trajectories={replicas}"]
    hand = Worker([HAND, DATA])
    chunks, times = PLACE / "chunks.h5", {"megabytes": megabytes}
    for _ in range(rounds):
        for name, level in (("plain chunks", 0), ("deflated chunks", 1)):
            chunks.unlink(missing_ok=True)
            times.setdefault(name, []).append(hand.ask("chunks", chunks, megabytes, level)["seconds"])
        times["bytes of deflated chunks"] = chunks.stat().st_size
        times.setdefault("perrin", []).append(perrin("paths", settings=sizes)[0])
        times["bytes of perrin"] = SCRATCH.stat().st_size
        times.setdefault("perrin, nothing kept", []).append(perrin("paths", settings=[*sizes, "run.trajectories=0", "run.record=1"])[0])
    hand.end()
    chunks.unlink(missing_ok=True)
    return times


RESIDENT = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def memory(quick):
    """Largest resident size (KiB) of W1 at so many steps, and at ten times as many; asked by a small process, since a child begins
    with its parent's size."""
    sizes = {}
    for steps in (100, 1000) if quick else (1000, 10_000):
        sets = [word for s in settings_of("W1", 100_000, steps) for word in ("--set", s)]
        command = [PERRIN, "run", STUDIES / "harmonic.toml", "--json", "--quiet", "--force", "-o", SCRATCH, *sets]
        out = subprocess.run([sys.executable, "-I", "-S", "-c", RESIDENT, *map(str, command)], check=True, capture_output=True)
        sizes[str(steps)] = int(out.stdout)
    return {"resident": sizes, "recorded": 100_000 * 8 * 2}


def start(rounds=30):
    """Seconds of `perrin check` of a small study, from the call to its end."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([str(PERRIN), "check", str(STUDIES / "harmonic.toml")], check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    return times


def machine():
    cpu = platform.processor() or platform.machine()
    try:
        cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text()).group(1)
    except (OSError, AttributeError):
        pass
    versions = {}
    for name in ("numpy", "numba", "jax", "diffrax", "torch", "torchsde"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    for name, command in (("perrin", [PERRIN, "--version"]), ("rustc", ["rustc", "--version"]), ("xmds2", ["xmds2", "--version"])):
        try:
            out = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            found = re.search(r"\d+\.\d+(\.\d+)?", out.stdout + out.stderr)
            versions[name] = found.group(0) if found else "?"
        except OSError:
            pass
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return {
        "processor": cpu,
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions,
        "revision": revision.stdout.strip(),
        "date": datetime.date.today().isoformat(),
        "load": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that all compute the same")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--only", default=",".join(SIZES), help="works, with commas; `none` for none")
    parser.add_argument("--without", default="", help="contenders to leave out, with commas")
    arguments = parser.parse_args()
    arguments.only = [work for work in SIZES if work in arguments.only.split(",")]
    arguments.without = arguments.without.lower().split(",")
    rounds = arguments.rounds = arguments.rounds or (2 if arguments.quick else 5)
    sizes = {"W3": (64, 500), "W4": (16, 200)} if arguments.quick else {}
    sizes = {work: sizes.get(work, (size[0] // 10, size[1]) if arguments.quick else size) for work, size in SIZES.items()}

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    results = {"quick": arguments.quick, "rounds": rounds, "sizes": sizes, "machine": machine()}
    write_data()
    everywhere = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if everywhere:
        # One processor for every contender: no library can be on two.
        os.sched_setaffinity(0, {max(everywhere)})
    works(arguments, results)
    hand = Worker([HAND, DATA])
    results["normals"] = [hand.ask("normals") for _ in range(rounds)]
    hand.end()
    results["start"] = start()
    if everywhere:
        os.sched_setaffinity(0, everywhere)
    results["threads"] = threads(rounds, arguments.quick)
    results["storage"] = storage(rounds, arguments.quick)
    results["memory"] = memory(arguments.quick)
    SCRATCH.unlink(missing_ok=True)
    results["machine"]["load at the end"] = os.getloadavg()[0]

    file = PLACE / "results.json"
    file.write_text(json.dumps(results, indent=1))
    print(report.text(results))
    print(f"\n{file.relative_to(ROOT)}")
    if arguments.docs:
        (ROOT / "docs" / "performance.md").write_text(report.document(results))
        print("docs/performance.md")
    return 0 if not report.disagreements(results) else 1


if __name__ == "__main__":
    sys.exit(main())

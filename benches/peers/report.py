"""Tables from the numbers of measure.py: for a terminal, and docs/performance.md."""

import math
import statistics

TITLES = {
    "W1": "W1, harmonic particle, Euler–Maruyama",
    "W2a": "W2a, SGD on (uwx − 1)²",
    "W2b": "W2b, its Langevin equation, noise by the root of the 2 × 2 covariance",
    "W2b-rank": "W2b, the same where the author of the script saw that the covariance has rank 1",
    "W3": "W3, linear regression by SGD, 64 inputs, table of 1024, batch 8",
    "W4": "W4, deep linear net 3 × 32 × 32, batch 16",
}
# perrin is told neither way of W2b: one study, one run.
PERRIN_OF = {"W2b-rank": "W2b"}
# Deviations between contenders, in standard errors, that are taken for chance.
CHANCE = 5.0


def low(seconds):
    return min(seconds) if seconds else math.nan


def simulation(entry, share=5):
    """perrin without its fixed costs: the seconds of a run less those of one with a fifth of the steps, scaled."""
    return (low(entry["seconds"]) - low(entry["short"])) * share / (share - 1)


def rows(results, work):
    """Contender, least and median seconds, ns a path-step, ratio to perrin's whole process, mean, variance."""
    table = dict(results["works"].get(work, {}))
    of_perrin = results["works"].get(PERRIN_OF.get(work, work), {}).get("perrin")
    if of_perrin:
        table = {"perrin": of_perrin} | table
    replicas, steps = results["sizes"][work]
    base = low(of_perrin["seconds"]) if of_perrin else math.nan
    made = []
    for name, entry in table.items():
        if "failed" in entry:
            made.append((name, None, None, None, None, entry["failed"], ""))
            continue
        best, middle = low(entry["seconds"]), statistics.median(entry["seconds"])
        nanoseconds = best / (replicas * steps) * 1e9
        made.append((name, best, middle, nanoseconds, best / base, entry["mean"], entry["variance"]))
        if name == "perrin":
            only = simulation(entry)
            made.append(("  simulation alone", only, math.nan, only / (replicas * steps) * 1e9, only / base, None, None))
    return made


def summary(results, work):
    """Times perrin takes of the hand kernel's (simulation alone, whole process), and the best peer's of perrin's, with its name."""
    table = results["works"].get(work, {})
    of_perrin = results["works"].get(PERRIN_OF.get(work, work), {}).get("perrin")
    if not of_perrin or "failed" in of_perrin:
        return None
    whole, only = low(of_perrin["seconds"]), simulation(of_perrin)
    hand = low(table.get("by hand", {}).get("seconds"))
    peers = {name: low(entry["seconds"]) for name, entry in table.items() if name not in ("perrin", "by hand") and "failed" not in entry}
    best = min(peers, key=peers.get) if peers else None
    return {
        "hand": (only / hand, whole / hand),
        "peer": (best, peers[best] / only, peers[best] / whole) if best else None,
    }


def disagreements(results):
    """Contenders whose mean or variance over replicas is not that of the hand kernel's, beyond chance."""
    found = []
    for work, table in results["works"].items():
        base = table.get("by hand")
        if base is None or "failed" in base:
            continue
        # W3 averages over 64 weights; replicas of W4 are few, and far from normal: its variance says little.
        averaged = 64 if work == "W3" else 1
        for name, entry in table.items():
            if "failed" in entry or name == "by hand":
                continue
            variance = (entry["variance"] / entry["replicas"] + base["variance"] / base["replicas"]) / averaged
            z = (entry["mean"] - base["mean"]) / math.sqrt(variance)
            spread = math.sqrt(2 / averaged * (1 / entry["replicas"] + 1 / base["replicas"])) * base["variance"]
            zz = 0.0 if work == "W4" else (entry["variance"] - base["variance"]) / spread
            if not max(abs(z), abs(zz)) < CHANCE:
                found.append(f"{work} {name}: mean off by {z:.1f}, variance by {zz:.1f} standard errors")
    return found


def number(value, digits=4):
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value:.{digits}g}"


def gains(times):
    """Speed on two threads over one, of pure arithmetic, of perrin whole, and of its simulation alone."""
    of = lambda name: low(times[f"{name} 1"]) / low(times[f"{name} 2"])
    only = [low(times[f"perrin {n}"]) - low(times[f"perrin short {n}"]) for n in (1, 2)]
    return of("arithmetic"), of("perrin"), only[0] / only[1]


def parts(results):
    """The single measurements as rows: what, measured, to compare with, ratio."""
    made = []
    normals = {key: min(n[key] for n in results["normals"]) for key in ("hand", "perrin")}
    made.append(
        ("standard normals into lanes, ns", f"{normals['perrin']:.3f}", f"by hand {normals['hand']:.3f}", f"{normals['perrin'] / normals['hand']:.2f}")
    )
    store = results["storage"]
    speed = lambda name: store["megabytes"] / low(store[name])
    for name in ("deflated chunks", "plain chunks"):
        made.append(
            (f"{store['megabytes']} MB of paths to HDF5 while simulating, MB/s", f"{speed('perrin'):.0f}", f"{name} of the library, nothing simulated: {speed(name):.0f}", f"{speed('perrin') / speed(name):.2f}")
        )
    arithmetic, whole, only = gains(results["threads"])
    made.append(("gain of a second thread, simulation alone", f"{only:.2f}", f"pure arithmetic {arithmetic:.2f}", f"{only / arithmetic:.2f}"))
    made.append(("gain of a second thread, whole process", f"{whole:.2f}", f"pure arithmetic {arithmetic:.2f}", f"{whole / arithmetic:.2f}"))
    (few, small), (many, large) = results["memory"]["resident"].items()
    made.append((f"resident memory at {many} steps, MB", f"{large / 1024:.1f}", f"at {few} steps {small / 1024:.1f}", f"{large / small:.2f}"))
    made.append(("`perrin check` of a small study, ms", f"{min(results['start']) * 1e3:.1f}", f"median {statistics.median(results['start']) * 1e3:.1f}", ""))
    return made


def text(results):
    """For a terminal."""
    lines = []
    for work in results["works"]:
        replicas, steps = results["sizes"][work]
        lines += ["", f"{TITLES[work]}: {replicas} x {steps}"]
        lines.append(f"  {'':20} {'min s':>9} {'median s':>9} {'ns/step':>9} {'ratio':>7}   {'mean':>10} {'variance':>10}")
        for name, *values in rows(results, work):
            best, middle, nanoseconds, ratio, mean, variance = map(number, values)
            lines.append(f"  {name:20} {best:>9} {middle:>9} {nanoseconds:>9} {ratio:>7}   {mean:>10} {variance:>10}")
        short = summary(results, work)
        if short:
            lines.append(f"  perrin takes {short['hand'][0]:.2f} of the hand kernel's time (whole process {short['hand'][1]:.2f})")
            if short["peer"]:
                name, only, whole = short["peer"]
                lines.append(f"  the best peer, {name}, takes {only:.1f} of perrin's (of the whole process {whole:.1f})")
    lines.append("")
    for what, measured, other, ratio in parts(results):
        lines.append(f"{what}: {measured}; {other}{'; ratio ' + ratio if ratio else ''}")
    wrong = disagreements(results)
    lines += ["", "all contenders agree in mean and variance"] if not wrong else ["", "DISAGREE:", *wrong]
    return "\n".join(lines)


HEAD = """# Performance

What perrin takes, beside what a kernel written by hand for the one system takes, and beside other programs that do the same work. All numbers of
a table come from one interleaved run on one machine: a ratio means something elsewhere, a time does not. `benches/peers/run.sh --docs` measures
and writes this page anew; `benches/peers/works.py` says what the works are.

| | |
|---|---|
"""


def document(results):
    """docs/performance.md."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    facts = {
        "machine": f"{machine['processor']}, {machine['processors']} processors, {machine['system']}, load {machine['load']:.1f} at the beginning",
        "date": f"{machine['date']}, revision {machine['revision']}",
        "versions": f"{versions}, Python {machine['python']}",
        "command": f"`benches/peers/run.sh{' --quick' if results['quick'] else ''} --docs`, {results['rounds']} rounds",
    }
    lines = [HEAD + "\n".join(f"| {key} | {value} |" for key, value in facts.items()), ""]
    if results["quick"]:
        lines += ["**Small sizes: these times are not to be quoted.**", ""]
    lines += ["## In short", "", "One thread. perrin runs ordinary study files (`benches/studies/`) through its formula tape; *simulation alone* is the", "difference between two lengths of the same run, *whole process* includes start, reading, judging and writing the file.", ""]
    lines += ["| work | perrin, ns a path-step | over the kernel by hand | best peer | over perrin | over perrin, whole process |", "|---|---|---|---|---|---|"]
    for work in results["works"]:
        short = summary(results, work)
        if not short:
            continue
        replicas, steps = results["sizes"][work]
        entry = results["works"][PERRIN_OF.get(work, work)]["perrin"]
        name, only, whole = short["peer"] or ("", math.nan, math.nan)
        lines.append(f"| {TITLES[work]} | {number(simulation(entry) / (replicas * steps) * 1e9, 3)} | {short['hand'][0]:.2f} | {name} | {only:.1f} | {whole:.1f} |")
    lines += ["", "## Parts", "", "| | perrin | to compare | ratio |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in parts(results)]
    lines += ["", "## All contenders", "", "One thread each, pinned to one processor; compilation and start of the peers are not counted. diffrax and torchsde move a fifth and a tenth of", "the paths, and their seconds are scaled. Mean and variance are over the replicas at the end, and must agree.", ""]
    for work in results["works"]:
        replicas, steps = results["sizes"][work]
        lines += [f"### {TITLES[work]}", "", f"{replicas} replicas × {steps} steps.", "", "| | min s | median s | ns a path-step | over perrin | mean | variance |", "|---|---|---|---|---|---|---|"]
        for name, *values in rows(results, work):
            lines.append("| " + " | ".join([name.strip(), *map(number, values)]) + " |")
        lines.append("")
    if results["left_out"]:
        lines += ["Left out: " + "; ".join(f"{name} ({reason})" for name, reason in results["left_out"].items()) + ".", ""]
    wrong = disagreements(results)
    if wrong:
        lines += ["**Contenders that do not agree:** " + "; ".join(wrong) + ".", ""]
    return "\n".join(lines)

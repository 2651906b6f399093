"""A run while it goes on: read, interrupted, killed."""

import random
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest
import xarray as xr
from conftest import HERE, command, perrin

KILLS = 20
# Commits come about once a second, so a run should last a few.
SECONDS = 3.0


def start(output, steps):
    sizes = ["--set", "run.replicas=4096", "--set", f"run.steps={steps}"]
    arguments = command(HERE / "small.toml", output, "--quiet", *sizes)
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def timed(output, steps):
    begin = time.monotonic()
    run = start(output, steps)
    _, errors = run.communicate()
    assert run.returncode in (0, 1), errors
    return time.monotonic() - begin


def numbers(path):
    """All replicas' numbers, by name of the variable."""
    found = {}
    with h5py.File(path, "r") as file:
        groups = [*file.values(), *file["internals"].values()]
        for group in groups:
            for kind in ("final", "stationary", "trajectories", "paths", "replicas"):
                for name, item in group.get(kind, {}).items():
                    found[item.name] = item[()]
        found["status"] = file.attrs["status"].decode()
    return found


class Whole:
    """A run to its end: how many steps, how many seconds, and all its numbers."""

    def __init__(self, folder):
        self.steps = 400
        # As many steps as take this machine some seconds.
        self.steps = int(self.steps * min(max(SECONDS / timed(folder / "short.h5", self.steps), 1), 200))
        self.seconds = timed(folder / "whole.h5", self.steps)
        self.numbers = numbers(folder / "whole.h5")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Whole(tmp_path_factory.mktemp("whole"))


def assert_beginning(found, whole):
    """Whatever is there is what the whole run has in its place."""
    assert set(found) == set(whole)
    for name, values in found.items():
        if name != "status":
            rows = len(values)
            assert rows <= len(whole[name]), name
            np.testing.assert_array_equal(values, whole[name][:rows], err_msg=name)


def test_killed_at_any_moment(tmp_path, whole):
    draw = random.Random(2004)
    opened = 0
    for kill in range(KILLS):
        output = tmp_path / f"{kill}.h5"
        run = start(output, whole.steps)
        time.sleep(draw.uniform(0, whole.seconds))
        run.send_signal(signal.SIGKILL)
        run.communicate()
        if output.exists():
            opened += 1
            assert_beginning(numbers(output), whole.numbers)
            with xr.open_datatree(output, engine="netcdf4") as tree:
                tree.load()
            inspect = subprocess.run([perrin(), "inspect", str(output)], capture_output=True, check=False)
            assert inspect.returncode == 0, inspect.stderr
    assert opened > KILLS / 4, "most kills came after the file had its name"


def read_again(path, times=5):
    """A reader that meets a commit half way, old superblock and new extents, has to open the file again."""
    for _ in range(times - 1):
        try:
            return numbers(path)
        except OSError:
            time.sleep(0.05)
    return numbers(path)


def test_read_while_it_is_written(tmp_path, whole):
    output = tmp_path / "live.h5"
    run = start(output, whole.steps)
    seen = set()
    while run.poll() is None:
        # With h5py's own file locking, as a user would.
        if output.exists():
            found = read_again(output)
            seen.add(found["status"])
            assert_beginning(found, whole.numbers)
        time.sleep(whole.seconds / 50)
    assert run.returncode in (0, 1), run.stderr.read()
    assert "running" in seen
    assert numbers(output)["status"] == "complete"


def test_interrupted(tmp_path, whole):
    output = tmp_path / "stopped.h5"
    run = start(output, whole.steps)
    time.sleep(whole.seconds / 2)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130, errors
    found = numbers(output)
    assert found["status"] == "interrupted"
    assert_beginning(found, whole.numbers)


def test_an_output_that_exists_is_not_touched(tmp_path):
    output = tmp_path / "older.h5"
    output.write_text("older")
    run = subprocess.run(command(HERE / "small.toml", output, "--quiet"), capture_output=True, check=False)
    assert run.returncode == 3 or run.returncode == 2, run.stderr
    assert output.read_text() == "older"
    assert list(tmp_path.iterdir()) == [output]

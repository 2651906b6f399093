"""A small study, run once; and the file it leaves."""

import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def perrin():
    """The binary to test."""
    path = os.environ.get("PERRIN")
    if not path:
        pytest.fail("PERRIN must name the perrin to test; scripts/python-checks.sh sees to it")
    return path


def command(study, output, *more):
    return [perrin(), "run", str(study), "-o", str(output), *map(str, more)]


class Run:
    """A file and what `--json` said of it."""

    def __init__(self, path, document):
        self.path = path
        self.document = document


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    given = os.environ.get("PERRIN_FILE")
    if given:
        return Run(Path(given), None)
    output = tmp_path_factory.mktemp("file") / "small.h5"
    done = subprocess.run(
        command(HERE / "small.toml", output, "--json", "--quiet"), capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return Run(output, json.loads(done.stdout))


@pytest.fixture(scope="session")
def document(run):
    if run.document is None:
        pytest.skip("PERRIN_FILE names a file without its JSON")
    return run.document

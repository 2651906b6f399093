#!/usr/bin/env bash
# Reads perrin's files back with xarray (both engines), h5py and h5dump, in a virtual environment of its own.
#
#   scripts/python-checks.sh [ARGUMENTS OF PYTEST]
#
# PERRIN names a perrin to test in place of the one built here; PERRIN_FILE a file to look at in place of a new one.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=target/python
requirements=tests/python/requirements.txt
if ! cmp --silent "$requirements" "$environment/installed.txt"; then
    "${PYTHON:-python3}" -m venv --clear "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$environment/installed.txt"
fi
if [ -z "${PERRIN:-}" ]; then
    cargo build --release --locked --quiet
    PERRIN=${CARGO_TARGET_DIR:-target}/release/perrin
fi
PERRIN=$(realpath "$PERRIN")
export PERRIN
exec "$environment/bin/python" -m pytest -p no:cacheprovider tests/python "$@"

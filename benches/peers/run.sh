#!/usr/bin/env bash
# The same work in perrin, by hand, and in NumPy, numba, JAX, diffrax, torch, torchsde and XMDS2, in one interleaved run on this machine.
#
#   benches/peers/run.sh              everything, about a quarter of an hour on a quiet machine; then the tables, and target/peers/results.json
#   benches/peers/run.sh --quick      small sizes, to see that all compute the same: no times to quote
#   benches/peers/run.sh --docs       also writes docs/performance.md
#   benches/peers/run.sh --only W1,W3 --without torch,torchsde --rounds 6
#
# Makes a virtual environment of its own under target/peers. What cannot be installed is left out, and said so. XMDS2 is no Python package:
# it is used where `xmds2` is on the path, and installed by apt where this script may.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=target/peers
python=$place/venv/bin/python
mkdir -p "$place"
[ -x "$python" ] || "${PYTHON:-python3}" -m venv "$place/venv"
install() {
    local list=benches/peers/$1.txt
    cmp --silent "$list" "$place/installed-$1.txt" && return
    if "$python" -m pip install --quiet --disable-pip-version-check --requirement "$list" 2>"$place/pip-$1.log"; then
        cp "$list" "$place/installed-$1.txt"
    else
        echo "not installed, left out: $1 ($place/pip-$1.log)" >&2
        return 1
    fi
}
install numpy
for contender in numba jax torch; do
    case " $* " in *" --without "*"$contender"*) continue ;; esac
    install "$contender" || true
done
if ! command -v xmds2 >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends xmds2; } >"$place/apt-xmds2.log" 2>&1 ||
        echo "not installed, left out: xmds2 ($place/apt-xmds2.log)" >&2
fi

cargo build --release --locked --quiet
cargo build --release --locked --quiet --manifest-path benches/peers/hand/Cargo.toml --target-dir "$place/cargo"
exec "$python" benches/peers/measure.py "$@"

#!/usr/bin/env bash
# aarch64, by emulation: the tests of the library, and the digests of small studies beside those of this machine: the same, or it fails.
# Some twenty minutes; not part of .ci/run.
#
# On Debian: apt-get install qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
# Optimised as fast as may be: it changes no bit.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_TARGET_DIR=target/aarch64
rustup target add "$target"
cargo build --release --locked
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc cargo build --release --locked --target "$target"

# The library's tests, but for those that only take long: the statistics of draws and the accuracy of functions, which the digests below hold, too.
CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu" \
    cargo test --locked --lib --target "$target" -- --skip accura --skip normal

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
digest() {
    # With so few replicas many claims are undecided: the exit code does not count.
    { "$@" --set run.replicas=16 --json --quiet --force -o "$scratch/small.h5" || true; } |
        sed -E 's/^.*"digest":"([0-9a-f]{64})".*$/\1/'
}
# Studies that the emulator is through with in a minute.
for study in tests/fixtures/good/*.toml models/{einstein,equilibrium,geometric-brownian-motion,heavy-tails,inertia,quadratic-regression,rescaling,rescaling-starts,scale-invariant,sgd-and-its-equations,warm-up}.toml; do
    here=$(digest target/aarch64/release/perrin run "$study")
    there=$(digest qemu-aarch64-static -L /usr/aarch64-linux-gnu "target/aarch64/$target/release/perrin" run "$study")
    if [ -z "$here" ] || [ "$here" != "$there" ]; then
        echo "$study: $here here, $there on aarch64" >&2
        exit 1
    fi
    echo "$study: $here"
done

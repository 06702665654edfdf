#!/usr/bin/env bash
# Compiles what the programs depend on, from the manifests alone: called by the Dockerfile before it has the sources, so that a change of
# them compiles only Seedbed's own crates.
#
#   CARGO='cargo auditable' deploy/docker/dependencies.sh PROFILE
set -euo pipefail

profile=${1:?"usage: dependencies.sh PROFILE"}
read -ra cargo <<<"${CARGO:-cargo}"

# An empty file for each target, for cargo reads no manifest whose targets are missing.
find . -name Cargo.toml -not -path './Cargo.toml' -printf '%h\n' | while read -r crate; do
  { echo src/lib.rs && sed -n 's/^path = "\(.*\.rs\)"/\1/p' "$crate/Cargo.toml"; } | while read -r target; do
    mkdir -p "$(dirname "$crate/$target")"
    echo 'fn main() {}' >"$crate/$target"
  done
done
for program in worker coordinator; do echo 'fn main() {}' >"$program/src/main.rs"; done

"${cargo[@]}" build --profile "$profile" --locked -p seedbed -p seedbed-worker
# Sources that are copied later may be older than these, and would be taken for built.
cargo clean --profile "$profile" -p seedbed -p seedbed-worker -p seedbed-protocol

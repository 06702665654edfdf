#!/usr/bin/env bash
# Profiles a job: how long each step takes, and which functions have the CPU.
#
#   tests/bench/profile.sh [ROWS]       a full download of one store with so many rows, 100,000 by default
#
# Steps are those of the job's manifest, as the benchmark `seed` prints them. Functions are sampled by `perf` (Debian: linux-perf),
# or else by `samply`, which keeps its file in target/profile; without either, that part is left out and said so.
# SEEDBED_PROFILE=dev takes another profile of Cargo than `bench`.
set -euo pipefail

rows=${1-100000}
[[ $# -le 1 && $rows =~ ^[1-9][0-9]*$ ]] || {
  echo "usage: tests/bench/profile.sh [ROWS]" >&2
  exit 2
}
cd "$(dirname "$(readlink -f "$0")")/../.."
profile=${SEEDBED_PROFILE-bench}
results=$(readlink -m "${CARGO_TARGET_DIR-target}")/profile
mkdir -p "$results"

build=(cargo bench --locked --profile "$profile" --workspace --bench seed --no-run)
program=$("${build[@]}" --message-format=json 2>"$results/build.log" |
  sed -n 's/.*"executable":"\([^"]*seed-[^"]*\)".*/\1/p' | tail -1)
[[ -n $program ]] || {
  cat "$results/build.log" >&2
  exit 1
}

export SEEDBED_BENCH_SIZES=$rows SEEDBED_BENCH_WAYS=fast_load
sampled=(env "$program" --bench)
cd tests
if perf record --quiet --event cpu-clock --freq 999 --output "$results/perf.data" -- true 2>/dev/null; then
  perf record --quiet --event cpu-clock --freq 4999 --output "$results/perf.data" -- "${sampled[@]}"
  echo
  # Shares of the worker's own samples: what it starts, perhaps a build of the service, was sampled too.
  echo "CPU by function, of the worker and not of the service:"
  perf report --input "$results/perf.data" --stdio --no-children --percentage relative --percent-limit 0.5 --sort symbol \
    --dsos "${program##*/}" 2>/dev/null | grep -v -e '^#' -e '^$' | sed -n -e 's/ *$//' -e 1,40p
elif command -v samply >/dev/null; then
  samply record --save-only --output "$results/samply.json.gz" -- "${sampled[@]}"
  echo "functions: samply load $results/samply.json.gz"
else
  "${sampled[@]}"
  echo "functions: left out, since there is no perf that may sample and no samply; install linux-perf, or \`cargo install samply\`"
fi

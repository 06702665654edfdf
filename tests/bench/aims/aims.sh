#!/usr/bin/env bash
# Runs the benchmarks that have an aim, and prints each figure beside its aim.
#
#   tests/bench/aims/aims.sh            all of them: most of an hour
#   tests/bench/aims/aims.sh BENCH...   these: seed, guide, reuse, shared_buckets, telemetry, sweep
#
# SEEDBED_AIMS_PROFILE=dev takes another profile of Cargo than `bench`; other variables are those of the benchmarks
# (SEEDBED_BENCH_ROUNDS, …). What each has printed stays in target/aims. A benchmark that fails, or finds no Node, leaves its lines out.
set -euo pipefail

cd "$(dirname "$(readlink -f "$0")")/../../.."
profile=${SEEDBED_AIMS_PROFILE-bench}
results=$(readlink -m "${CARGO_TARGET_DIR-target}")/aims
all='seed guide reuse shared_buckets telemetry sweep'
[[ $# -gt 0 ]] || set -- $all
for bench in "$@"; do
  [[ " $all " == *" $bench "* ]] || {
    echo "usage: tests/bench/aims/aims.sh [BENCH...]; benchmarks with an aim: $all" >&2
    exit 2
  }
done

mkdir -p "$results"
# The programs that some of them start.
cargo build --quiet --locked --profile "$profile" --workspace --bins
for bench in "$@"; do
  echo "$bench" >&2
  cargo bench --quiet --locked --profile "$profile" --workspace --bench "$bench" >"$results/$bench.new" ||
    { echo "$bench failed" >&2; continue; }
  mv "$results/$bench.new" "$results/$bench"
done
python3 tests/bench/aims/aims.py "$results" "$@"

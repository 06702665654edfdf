#!/usr/bin/env bash
# Compares a benchmark of this work tree with that of another revision: builds both, runs them in turn, and prints medians and
# spread of each figure.
#
#   tests/bench/compare/compare.sh REV BENCH [ROUNDS]      ROUNDS: 3 by default
#
# Variables of the benchmark (SEEDBED_BENCH_STORES and so on) count for both. SEEDBED_COMPARE_PROFILE=dev takes another profile of
# Cargo than `bench`. The other revision's work tree and its build are below target/compare, and stay for the next time.
set -euo pipefail

usage() {
  echo "usage: tests/bench/compare/compare.sh REV BENCH [ROUNDS]" >&2
  exit 2
}

refuse() {
  echo "error: $1" >&2
  exit 2
}

[[ $# -ge 2 && $# -le 3 ]] || usage
rev=$1 bench=$2 rounds=${3-3}
[[ $rounds =~ ^[1-9][0-9]*$ ]] || usage

cd "$(dirname "$(readlink -f "$0")")/../../.."
here=$PWD
profile=${SEEDBED_COMPARE_PROFILE-bench}
commit=$(git rev-parse --quiet --verify "$rev^{commit}") || refuse "$rev is no revision"
grep --quiet --fixed-strings --line-regexp "name = \"$bench\"" tests/Cargo.toml ||
  refuse "$bench is no benchmark; tests/Cargo.toml has them"

target=$(readlink -m "${CARGO_TARGET_DIR-target}")
other=$target/compare/tree
mkdir -p "$target/compare"
if [[ -e $other/.git ]]; then
  git -C "$other" checkout --quiet --force --detach "$commit"
else
  git worktree prune
  git worktree add --quiet --force --detach "$other" "$commit"
fi
git -C "$other" clean --quiet --force -d
# What is installed for tests and benchmarks is the same for both.
if [[ -d $target/test-tools ]]; then
  mkdir -p "$target/compare/target"
  ln --symbolic --force --no-dereference "$target/test-tools" "$target/compare/target/test-tools"
fi

# run FOLDER TARGET ARGUMENT...: the benchmark as it is there.
run() {
  local folder=$1 into=$2
  shift 2
  (cd "$folder" && CARGO_TARGET_DIR=$into cargo bench --quiet --locked --profile "$profile" --workspace --bench "$bench" "$@")
}

echo "building $(git describe --always "$commit") and this work tree" >&2
run "$other" "$target/compare/target" --no-run || refuse "$rev does not build, or has no benchmark $bench"
run "$here" "$target" --no-run

results=$(mktemp -d "$target/compare/results.XXXXXX")
trap 'rm -rf "$results"' EXIT
for ((round = 1; round <= rounds; round++)); do
  echo "round $round of $rounds" >&2
  # Neither always runs first: a machine that grows busier or warmer would favour one.
  if ((round % 2)); then order="before after"; else order="after before"; fi
  for which in $order; do
    case $which in
      before) run "$other" "$target/compare/target" >"$results/before.$round" ;;
      after) run "$here" "$target" >"$results/after.$round" ;;
    esac
  done
done
python3 tests/bench/compare/compare.py "$results"/before.* -- "$results"/after.*

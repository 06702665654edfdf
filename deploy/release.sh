#!/usr/bin/env bash
# Builds the programs as they are shipped: optimised, stripped, and with the symbols and line tables of each in a file
# beside it. gdb and perf find `seedbed.debug` by itself when it lies in the same directory as `seedbed`.
#
#   deploy/release.sh [DIRECTORY]                   into target/programs, or DIRECTORY
#   CARGO='cargo auditable' deploy/release.sh       with the list of crates in each program
set -euo pipefail

cd "$(dirname "$0")/.."
directory=${1-target/programs}
case "$directory" in -*)
  echo "usage: deploy/release.sh [DIRECTORY]" >&2
  exit 2
  ;;
esac
read -ra cargo <<<"${CARGO-cargo}"
"${cargo[@]}" build --release --locked -p seedbed -p seedbed-worker

mkdir -p "$directory"
for program in seedbed seedbed-worker; do
  built=${CARGO_TARGET_DIR-target}/release/$program
  objcopy --only-keep-debug "$built" "$directory/$program.debug"
  # In the directory of the symbols: objcopy notes their name without a path, and their checksum.
  (
    built=$(realpath "$built")
    cd "$directory"
    objcopy --strip-all --add-gnu-debuglink="$program.debug" "$built" "$program"
  )
done
ls -l "$directory"

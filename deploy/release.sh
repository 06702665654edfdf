#!/usr/bin/env bash
# Builds the programs as they are shipped: optimised, stripped, and with the symbols and line tables of each in a file
# beside it. gdb and perf find `seedbed.debug` by itself when it lies in the same directory as `seedbed`.
#
#   deploy/release.sh [DIRECTORY]                   into target/programs of the repository, or DIRECTORY
#   deploy/release.sh --static [DIRECTORY]          with the C library in them: they run on any Linux of this processor
#   CARGO='cargo auditable' deploy/release.sh       with the list of crates in each program
#   PROFILE=dev deploy/release.sh                   unoptimised, in a fraction of the time
set -euo pipefail

static=''
if [ "${1-}" = --static ]; then
  static=yes
  shift
fi
if [ $# -gt 1 ] || [[ "${1-x}" = "" || "${1-x}" = -* ]]; then
  echo "usage: deploy/release.sh [--static] [DIRECTORY]" >&2
  exit 2
fi
directory=${1-}
profile=${PROFILE:-release}
[ -z "$directory" ] || directory=$(realpath -m "$directory")

cd "$(dirname "$(readlink -f "$0")")/.."
. deploy/install.sh
require_rust
need "compiles the programs" gcc libc6-dev libclang-dev
need "strips the programs" binutils
install_needed
target=$(target_directory)
[ -n "$directory" ] || directory=$target/programs
mkdir -p "$directory"
read -ra cargo <<<"${CARGO:-cargo}"
# Cargo's folder for the profile `dev` has another name.
folder=$profile
[ "$profile" != dev ] || folder=debug
options=() built_in=$target/$folder
if [ -n "$static" ]; then
  # A target that is named keeps the flag from what only the build runs, such as procedural macros.
  host=$(rustc --version --verbose | sed -n 's/^host: //p')
  export RUSTFLAGS="${RUSTFLAGS-} -C target-feature=+crt-static"
  options=(--target "$host") built_in=$target/$host/$folder
fi
"${cargo[@]}" build --profile "$profile" --locked "${options[@]}" -p seedbed -p seedbed-worker

cd "$directory"
for program in seedbed seedbed-worker; do
  built=$built_in/$program
  if [ "$built" -ef "$program" ]; then
    echo "$directory is where cargo puts the programs; choose another directory" >&2
    exit 2
  fi
  objcopy --only-keep-debug "$built" "$program.debug"
  # objcopy notes the name of the symbols without a path, and their checksum.
  objcopy --strip-all --add-gnu-debuglink="$program.debug" "$built" "$program"
done
ls -l

#!/usr/bin/env bash
# Makes an archive of the programs that deploy/release.sh has built, with man pages, completions and a commented settings
# file, and its SHA-256 beside it. What `cargo binstall` and Homebrew download.
#
#   deploy/archive.sh [PROGRAMS [DIRECTORY]]    from target/programs into target/packages, or from and to elsewhere
#
# Prints the archive's path. The same programs make the same bytes.
set -euo pipefail

if [ $# -gt 2 ] || [[ "${1-x}" = "" || "${1-x}" = -* || "${2-x}" = "" ]]; then
  echo "usage: deploy/archive.sh [PROGRAMS [DIRECTORY]]" >&2
  exit 2
fi
programs=${1-} directory=${2-}
[ -z "$programs" ] || programs=$(realpath -m "$programs")
[ -z "$directory" ] || directory=$(realpath -m "$directory")

cd "$(dirname "$(readlink -f "$0")")/.."
. deploy/install.sh
programs=${programs:-$(target_directory)/programs}
directory=${directory:-$(target_directory)/packages}
for program in seedbed seedbed-worker; do
  [ -x "$programs/$program" ] || { echo "$programs/$program is missing: deploy/release.sh builds it" >&2; exit 2; }
done

version=$("$programs/seedbed" --version | cut -d ' ' -f 2)
# As Rust names it: cargo binstall looks for this.
name=seedbed-$version-$(uname -m)-unknown-linux-gnu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name

install -Dm755 -t "$root/bin" "$programs/seedbed" "$programs/seedbed-worker"
install -Dm644 -t "$root" LICENSE README.md deploy/CHANGELOG.md
install -Dm644 protocol/seedbed.toml "$root/share/doc/seedbed/seedbed.toml"
"$programs/seedbed" man "$root/share/man/man1" >/dev/null
for program in seedbed seedbed-worker; do
  for shell in bash zsh fish; do
    "$programs/seedbed" completions "$shell" "$program" |
      install -Dm644 /dev/stdin "$root/share/completions/$shell/$program"
  done
done

mkdir -p "$directory"
archive=$directory/$name.tar.gz
tar --create --directory "$work" --sort=name --mtime="@${SOURCE_DATE_EPOCH:-0}" --owner=0 --group=0 --numeric-owner \
  --format=gnu "$name" | gzip --best --no-name >"$archive"
(cd "$directory" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$archive"

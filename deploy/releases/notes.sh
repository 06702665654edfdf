#!/usr/bin/env bash
# Prints the notes of a release: its part of the changelog, with links that work outside of the repository.
#
#   deploy/releases/notes.sh VERSION [CHANGELOG]    VERSION as 0.1.0; CHANGELOG is deploy/CHANGELOG.md unless given
#
# Ends with 1 if the changelog has no such version, or nothing below it: a release without notes is not made.
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ] || ! [[ "$1" =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]]; then
  echo "usage: deploy/releases/notes.sh VERSION [CHANGELOG], with a VERSION such as 0.1.0" >&2
  exit 2
fi
version=$1
[ -z "${2-}" ] || changelog=$(realpath -m "$2")
cd "$(dirname "$(readlink -f "$0")")/../.."
changelog=${changelog-deploy/CHANGELOG.md}
repository=$(sed -n 's/^repository = "\(.*\)"$/\1/p' Cargo.toml)

notes=$(awk -v heading="## [$version]" '
  /^## / { inside = index($0, heading) == 1; next }
  inside { print }
' "$changelog")
if [ -z "${notes//[$'\n \t']/}" ]; then
  echo "$changelog has nothing for $version: name what is below [Unreleased] \"## [$version] - $(date -u +%F)\"" >&2
  exit 1
fi
# Links of the changelog begin in deploy/.
sed -E "s,\]\(([A-Za-z][A-Za-z0-9_/-]*\.md),](${repository}/blob/v${version}/deploy/\1,g" <<<"$notes" | sed -e '/./,$!d'
cat <<NOTES

How to upgrade: ${repository}/blob/v${version}/deploy/UPGRADES.md
NOTES

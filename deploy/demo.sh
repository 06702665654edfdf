#!/usr/bin/env bash
# Seeds 60 stores from a stand-in PowerSync service, with nothing but the embedded defaults.
#
#   deploy/demo.sh          seeds, shows a snapshot, and goes on seeding until Ctrl-C
#   deploy/demo.sh --once   seeds, shows a snapshot, and ends with the exit code of seedbed
set -euo pipefail

usage() {
  echo "usage: deploy/demo.sh [--once]" >&2
  exit 2
}
[ $# -le 1 ] || usage
case "${1-}" in
  "" | --once) ;;
  *) usage ;;
esac

cd "$(dirname "$(readlink -f "$0")")/.."
. deploy/install.sh
require_rust
need "compiles the programs" gcc libc6-dev libclang-dev
need "opens a snapshot" sqlite3
install_needed

# With the profile and the features that the tests use, so that neither compiles anything again.
programs=$(target_directory)/debug
[ -x "$programs/seedbed" ] ||
  echo "Compiling seedbed, seedbed-worker and the stand-in, once: 4 to 10 minutes on two idle cores" >&2
cargo build --locked --workspace --bins

data=$(mktemp -d)
started=()
# start PROGRAM ARGUMENT...: in the background, so that a signal to this script is acted upon at once.
start() {
  "$@" &
  started+=($!)
}
finish() {
  kill "${started[@]}" 2>/dev/null || true
  wait
  rm -rf "$data"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

cd "$data"
start "$programs/powersync-stand-in" --demo --write-stores stores.ndjson >service.json
service=${started[0]}
until grep -qs '}$' service.json; do
  kill -0 "$service" 2>/dev/null || { echo "the stand-in service did not start" >&2; exit 1; }
  sleep 0.1
done

field() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" service.json; }
export SEEDBED_POWERSYNC__ENDPOINT SEEDBED_TOKEN__SECRET SEEDBED_TOKEN__KID
SEEDBED_POWERSYNC__ENDPOINT=$(field endpoint)
SEEDBED_TOKEN__SECRET=$(field secret)
SEEDBED_TOKEN__KID=$(field kid)

echo "PowerSync (a stand-in) is at $SEEDBED_POWERSYNC__ENDPOINT, $(wc -l <stores.ndjson) stores are in $data/stores.ndjson"
seeded=0
start "$programs/seedbed" local --stores stores.ndjson
wait "${started[1]}" || seeded=$?

mapfile -t snapshots < <(find seedbed-data/snapshots -name '*.sqlite' -size +1M 2>/dev/null | sort)
if [ ${#snapshots[@]} -gt 0 ]; then
  echo
  echo "One of the snapshots, opened with sqlite3: ${snapshots[0]}"
  sqlite3 -readonly -header -column "${snapshots[0]}" \
    "SELECT count(*) AS products, (SELECT count(*) FROM ps_kv WHERE key = 'client_id') AS client_ids FROM products" \
    "SELECT id, substr(name, 1, 30) AS name, price, quantity FROM products LIMIT 3"
fi
if [ "${1-}" = --once ] || [ "$seeded" -ne 0 ]; then
  exit "$seeded"
fi
echo
echo "Seeding again every 10 minutes; Ctrl-C ends it. Nobody but this machine reaches the dashboard, which needs no token."
export SEEDBED_SERVE__OPEN_ADMIN=true SEEDBED_DOWNLOAD__ANONYMOUS=true
start "$programs/seedbed" local --stores stores.ndjson --serve --interval 10m
wait "${started[2]}"

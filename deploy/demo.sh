#!/usr/bin/env bash
# Seeds 60 stores from a stand-in PowerSync service, with nothing but the embedded defaults.
#
#   deploy/demo.sh          seeds, shows a snapshot, opens it as a device does, and goes on seeding until Ctrl-C
#   deploy/demo.sh --once   seeds, shows a snapshot, opens it as a device does, and ends with the exit code of seedbed
#
# The device is the client package for Node, which needs a Node.js with node:sqlite; without one that is left out.
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
repository=$PWD
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
[ "$seeded" -eq 0 ] || exit "$seeded"

export SEEDBED_SERVE__OPEN_ADMIN=true SEEDBED_DOWNLOAD__ANONYMOUS=true
# without REASON: why no device opened a snapshot.
without() { echo "No device opened a snapshot: $1"; }

# device STORE: opens the store's compact snapshot with the client package, from a server of its own.
device() {
  # What the tests have installed, or the machine's.
  PATH=$repository/target/test-tools/bin:$PATH
  node --eval "new (require('node:sqlite').DatabaseSync)(':memory:', { allowExtension: true })" 2>/dev/null ||
    { without "it needs a Node.js of 22.13 or newer, and npm"; return; }
  mkdir device
  cp "$repository"/deploy/demo/{open.js,package.json,package-lock.json} device
  mkdir device/clients
  cp -r "$repository"/deploy/clients/{core-js,node} device/clients
  npm install --prefix device --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error >npm.log 2>&1 ||
    { without "npm cannot install @powersync/node: $(grep -m 1 . npm.log)"; return; }
  # Any free port.
  SEEDBED_SERVE__LISTEN=127.0.0.1:0 start "$programs/seedbed" local --stores stores.ndjson --serve --json >serving.ndjson 2>serving.log
  local server=${started[-1]} url=''
  until [ -n "$url" ]; do
    kill -0 "$server" 2>/dev/null || { without "the server did not start"; return; }
    sleep 0.1
    url=$(sed -nE 's/.*"type":"listening".*"url":"([^"]*)\/".*/\1/p' serving.ndjson)
  done
  node --no-warnings device/open.js "$url" "$1" "$data" || without "the launch failed"
  kill "$server" 2>/dev/null
  wait "$server" || true
}

if [ ${#snapshots[@]} -gt 0 ]; then
  echo
  device "$(basename "$(dirname "${snapshots[0]}")")"
fi
[ "${1-}" != --once ] || exit 0
echo
echo "Seeding again every 10 minutes; Ctrl-C ends it. Nobody but this machine reaches the dashboard, which needs no token."
start "$programs/seedbed" local --stores stores.ndjson --serve --interval 10m
wait "${started[-1]}"

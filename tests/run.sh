#!/usr/bin/env bash
# Runs the tests: all of them, or one group.
#
#   tests/run.sh            everything
#   tests/run.sh local      the embedded pipeline: protocol, worker, coordinator, the stand-in service
set -euo pipefail

group=${1-all}
case "$group" in
  all | local) ;;
  *)
    echo "usage: tests/run.sh [all|local]" >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
. deploy/install.sh
require_rust
# libclang: the core extension's bindings; postgresql, mariadb: where stores can be listed from; rabbitmq: the
# broker of a cluster; sqlite3: the independent reader of snapshots; openssl: keys for tokens and certificates.
install_packages build-essential ca-certificates libclang-dev pkg-config openssl sqlite3 postgresql mariadb-server \
  rabbitmq-server

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR-never}
cargo test --locked --workspace --lib --bins --tests

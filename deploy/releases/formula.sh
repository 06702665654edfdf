#!/usr/bin/env bash
# Prints the Homebrew formula of a release, for a tap. Linux only: no other programs are built.
#
#   deploy/releases/formula.sh VERSION DIRECTORY    DIRECTORY has the release's archives and their .sha256 files
set -euo pipefail

if [ $# -ne 2 ] || ! [[ "$1" =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]]; then
  echo "usage: deploy/releases/formula.sh VERSION DIRECTORY, with a VERSION such as 0.1.0" >&2
  exit 2
fi
version=$1 directory=$(realpath -m "$2")
cd "$(dirname "$(readlink -f "$0")")/../.."
repository=$(sed -n 's/^repository = "\(.*\)"$/\1/p' Cargo.toml)

# block PROCESSOR ARCHITECTURE: where the archive for it is, with its checksum.
block() {
  local archive=seedbed-$version-$2-unknown-linux-gnu.tar.gz sum
  if ! sum=$(cut -d ' ' -f 1 "$directory/$archive.sha256" 2>/dev/null) || ! [[ "$sum" =~ ^[0-9a-f]{64}$ ]]; then
    echo "$directory/$archive.sha256 is missing or has no checksum: deploy/archive.sh makes it" >&2
    exit 1
  fi
  cat <<BLOCK
    on_$1 do
      url "$repository/releases/download/v$version/$archive"
      sha256 "$sum"
    end
BLOCK
}

intel=$(block intel x86_64)
arm=$(block arm aarch64)
cat <<FORMULA
class Seedbed < Formula
  desc "Ready-made SQLite databases for apps that sync through PowerSync"
  homepage "$repository"
  version "$version"
  license "Apache-2.0"

  on_linux do
$intel
$arm
  end

  depends_on :linux

  def install
    bin.install Dir["bin/*"]
    man1.install Dir["share/man/man1/*"]
    doc.install "share/doc/seedbed/seedbed.toml"
    %w[seedbed seedbed-worker].each do |program|
      bash_completion.install "share/completions/bash/#{program}"
      fish_completion.install "share/completions/fish/#{program}" => "#{program}.fish"
      zsh_completion.install "share/completions/zsh/#{program}" => "_#{program}"
    end
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/seedbed --version")
    assert_match "[powersync]", shell_output("#{bin}/seedbed config")
  end
end
FORMULA

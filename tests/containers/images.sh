#!/usr/bin/env bash
# Builds the images that tests/containers runs: Seedbed's by its Dockerfile, the others by servers/Containerfile. Layers that are there
# are used again.
#
#   tests/containers/images.sh FOLDER TOOLS PROGRAMS     with MinIO and Jaeger of TOOLS, and the stand-in of PROGRAMS
set -euo pipefail

usage='usage: images.sh FOLDER TOOLS PROGRAMS'
folder=${1:?$usage} tools=${2:?$usage} programs=${3:?$usage}
cd "$(dirname "$(readlink -f "$0")")/../.."
. tests/containers/podman.sh
containers_in "$folder"

# Unoptimised: an optimised build takes 40 minutes of CPU.
for target in coordinator:seedbed worker:seedbed-worker; do
  buildah_of build --quiet --layers --file deploy/docker/Dockerfile --ignorefile deploy/docker/Dockerfile.dockerignore \
    --build-arg PROFILE=dev --target "${target%:*}" --tag "${target#*:}:local" . >/dev/null
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp tests/containers/servers/* "$tools/minio/minio" "$tools/jaeger/jaeger" "$programs/powersync-stand-in" "$work"
sed -n 's/^    image: \([^ ]*\)$/\1/p' deploy/compose.yaml | sort -u | while read -r image; do
  name=${image##*/}
  case "${name%%:*}" in
    seedbed | seedbed-worker) continue ;;
    powersync-service) target=powersync ;;
    *) target=${name%%:*} ;;
  esac
  buildah_of build --quiet --layers --file "$work/Containerfile" --target "$target" --tag "$image" "$work" >/dev/null
done
touch "$folder/containers"

# shellcheck shell=bash
# Sourced with $folder set: podman and buildah with images and containers of their own, there. runc, and modest limits, since a machine
# may not allow what they would ask for.

# Podman takes no longer path than 50 characters for what is gone after a restart of the machine.
running=/run/seedbed-$(cksum <<<"$folder" | cut -d ' ' -f 1)

podman_of() {
  podman --root "$folder/storage" --runroot "$running" --runtime runc --cgroup-manager cgroupfs "$@"
}

# buildah_of COMMAND ARGUMENT...: no registry is asked for anything.
buildah_of() {
  local command=$1
  shift
  buildah --root "$folder/storage" --runroot "$running" "$command" --isolation chroot --network host --pull-never "$@"
}

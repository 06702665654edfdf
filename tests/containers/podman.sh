# shellcheck shell=bash
# Sourced: podman and buildah with images and containers of their own, apart from those of the machine. runc
# and cgroupfs, which need no systemd.

# containers_in FOLDER: where they are kept.
containers_in() {
  # One folder has one name, whoever asks: podman refuses a second one.
  storage=$(realpath -m "$1")/storage
  # Podman takes no longer path than 50 characters for what is gone after a restart of the machine.
  running=/run/seedbed-$(cksum <<<"$storage" | cut -d ' ' -f 1)
}

podman_of() {
  podman --root "$storage" --runroot "$running" --runtime runc --cgroup-manager cgroupfs "$@"
}

# buildah_of COMMAND ARGUMENT...: no registry is asked for anything.
buildah_of() {
  local command=$1
  shift
  buildah --root "$storage" --runroot "$running" "$command" --isolation chroot --network host --pull-never "$@"
}

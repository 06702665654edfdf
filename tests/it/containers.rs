//! The images and `deploy/compose.yaml`, run by podman.

mod compose;

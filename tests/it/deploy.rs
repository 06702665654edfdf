//! What is in `deploy/`, as far as it can be checked without Docker and Kubernetes.

mod comparison;
mod files;
mod states;
mod status;
mod versions;

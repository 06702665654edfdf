//! What is in `deploy/`, as far as it can be checked without Docker and Kubernetes.

mod files;
mod states;

//! `deploy/kubernetes` and `deploy/helm` on a real API server, which checks and completes every object: what it takes, what it makes of
//! it, and what another version of it changes. No pod runs there.

mod chart;
mod manifests;
mod pods;
mod support;

//! A device's first launch: the client packages with the real SDKs, by the contract in `deploy/clients/CONTRACT.md`.

mod app_schema;
mod conformance;
mod node;
mod support;
mod types;

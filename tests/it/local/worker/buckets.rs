//! Buckets that several stores have are downloaded once, and nothing but the service decides who has them.

mod altered;
mod sharing;
mod support;
mod templates;

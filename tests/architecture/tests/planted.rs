//! Each rule finds the violation that is planted for it, and nothing in a repository that keeps the rules.

#[path = "planted/circles.rs"]
mod circles;
#[path = "planted/floors.rs"]
mod floors;
#[path = "planted/pages.rs"]
mod pages;
#[path = "planted/sizes.rs"]
mod sizes;
#[path = "planted/support.rs"]
mod support;

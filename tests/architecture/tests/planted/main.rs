//! Each rule finds the violation that is planted for it, and nothing in a house that keeps the rules.

mod circles;
mod floors;
mod pages;
mod sizes;
mod support;

//! A line that breaks a rule.

use std::fmt;

/// Where a rule is broken, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the repository's root.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub text: String,
}

impl Finding {
    /// A finding of `rule`.
    pub fn new(rule: &'static str, file: &str, line: usize, text: impl Into<String>) -> Self {
        let (file, text) = (file.to_owned(), text.into());
        Self {
            file,
            line,
            rule,
            text,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            rule,
            text,
        } = self;
        match line {
            0 => write!(f, "{file}: [{rule}] {text}"),
            _ => write!(f, "{file}:{line}: [{rule}] {text}"),
        }
    }
}

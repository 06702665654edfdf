//! Errors as text for people: a message together with its causes, and [`text`] that is safe to show.

pub mod text;

use std::error::Error;

/// Returns an error and its causes in one line, joined by `: `. A cause that the text already quotes is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}

/// Returns only the causes of `error`, for errors whose own message stops before the interesting part, such as
/// reqwest's; the error itself if it has none.
pub fn causes(error: &dyn Error) -> String {
    chain(error.source().unwrap_or(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{message}")]
    struct Layer {
        message: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layers(messages: &[&'static str]) -> Layer {
        let (message, causes) = messages.split_first().expect("at least one");
        let source = (!causes.is_empty()).then(|| Box::new(layers(causes)));
        Layer { message, source }
    }

    #[test]
    fn a_cause_that_is_quoted_already_is_not_repeated() {
        let error = layers(&["cannot read: not found", "not found", "code 2"]);
        assert_eq!(chain(&error), "cannot read: not found: code 2");
    }

    #[test]
    fn causes_leave_out_the_outermost_message() {
        assert_eq!(causes(&layers(&["request failed", "reset"])), "reset");
        assert_eq!(causes(&layers(&["request failed"])), "request failed");
    }
}

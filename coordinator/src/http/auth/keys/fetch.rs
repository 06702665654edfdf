//! Reads an answer of another server, but not more of it than it may have.

use seedbed_protocol::error::chain;

/// Why an answer was not read. Says nothing of the URL.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum FetchError {
    /// It did not come, or it broke off.
    #[error("{0}")]
    Broken(String),
    /// It is too long.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Broken(chain(&error.without_url()))
    }
}

/// Returns the body, of at most `most` bytes.
pub(in crate::http) async fn read(
    mut answer: reqwest::Response,
    most: usize,
) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            return Err(FetchError::TooLong(most));
        }
    }
    Ok(body)
}

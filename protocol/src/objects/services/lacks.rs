//! What services that are compatible with S3 may lack: conditional writes and deletes of many objects at once. Found out
//! by the first request that is refused for it, and remembered by the process.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use object_store::{
    ClientOptions, Error,
    client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService},
};

use crate::{error::chain, process::outbound::StayingConnector};

/// What a service turned out not to have.
#[derive(Debug, Clone, Default)]
pub(in crate::objects) struct Lacks(Arc<Found>);

#[derive(Debug, Default)]
struct Found {
    conditions: AtomicBool,
    bulk_delete: AtomicBool,
}

impl Lacks {
    /// Returns whether writes with a condition are refused.
    pub(in crate::objects) fn conditions(&self) -> bool {
        self.0.conditions.load(Relaxed)
    }

    /// Returns whether deletes of many objects at once are refused.
    pub(in crate::objects) fn bulk_delete(&self) -> bool {
        self.0.bulk_delete.load(Relaxed)
    }

    /// Returns whether `error` says that there are no conditional writes, and remembers it.
    pub(in crate::objects) fn learn_conditions(&self, error: &Error) -> bool {
        let lacks = matches!(error, Error::NotImplemented { .. }) || is_not_implemented(error);
        if lacks && !self.0.conditions.swap(true, Relaxed) {
            tracing::warn!(
                "the object storage has no conditional writes, and is written to without: AWS_CONDITIONAL_PUT=disabled \
                 saves the refused request"
            );
        }
        lacks
    }

    /// Remembers that objects can be deleted one by one only.
    pub(in crate::objects) fn learn_bulk_delete(&self) {
        if !self.0.bulk_delete.swap(true, Relaxed) {
            tracing::warn!(
                "the object storage does not delete several objects at once, and is asked for each: \
                 AWS_DISABLE_BULK_DELETE=true saves the refused request"
            );
        }
    }
}

/// Returns whether `error` is the refusal of something that the service does not have.
fn is_not_implemented(error: &Error) -> bool {
    let text = chain(error);
    let said = [
        NOT_ALLOWED,
        "NotImplemented",
        "MethodNotAllowed",
        "not implemented",
    ];
    said.iter().any(|said| text.contains(said))
}

/// How object_store quotes the status that [`NoRetry`] gives a 501.
const NOT_ALLOWED: &str = "status code: 405";

/// Returns whether `error` may mean that the service does not delete several objects at once: it refused the request, and
/// not for who asks or how much is asked.
pub(in crate::objects) fn may_lack_bulk_delete(error: &Error) -> bool {
    let text = chain(error);
    let refused = text.contains("status code: 4") || matches!(error, Error::NotFound { .. });
    let others = ["401", "403", "408", "409", "429"].map(|code| format!("status code: {code}"));
    let for_another_reason = others.iter().any(|other| text.contains(other))
        || text.contains("NoSuchBucket")
        || matches!(
            error,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
        );
    is_not_implemented(error) || text.contains("MalformedXML") || (refused && !for_another_reason)
}

/// Makes clients that stay where they were sent, and do not send a request again which the service cannot do at all:
/// object_store would take its 501 for a failure that passes, and try for a minute.
#[derive(Debug)]
pub(super) struct NoRetry;

impl HttpConnector for NoRetry {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = StayingConnector.connect(options)?;
        Ok(HttpClient::new(NoRetryClient(client)))
    }
}

#[derive(Debug)]
struct NoRetryClient(HttpClient);

#[async_trait::async_trait]
impl HttpService for NoRetryClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut response = self.0.execute(request).await?;
        if response.status() == http::StatusCode::NOT_IMPLEMENTED {
            *response.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
        }
        Ok(response)
    }
}

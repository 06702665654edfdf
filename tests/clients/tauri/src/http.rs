//! The SDK's requests by `reqwest` without TLS, which the SDK's own feature would compile. Errors from outside have one kind.

use async_trait::async_trait;
use futures_lite::StreamExt;
use powersync::{
    error::PowerSyncError,
    http::{HttpClient, Request, Response, ResponseBody},
};

#[derive(Default)]
pub(crate) struct Client(reqwest::Client);

#[async_trait]
impl HttpClient for Client {
    async fn send(&self, request: Request) -> Result<Response, PowerSyncError> {
        let method: reqwest::Method = request.method.parse().expect("it is a method");
        let mut sent = self.0.request(method, request.url);
        for (name, value) in request.headers {
            sent = sent.header(name, &*value);
        }
        let sent = sent.body(request.body.unwrap_or_default());
        let answer = sent.send().await.map_err(PowerSyncError::upload_error)?;
        let content_type = answer
            .headers()
            .get("content-type")
            .and_then(|it| it.to_str().ok());
        Ok(Response {
            status: answer.status().as_u16(),
            content_type: content_type.map(str::to_owned),
            body: ResponseBody {
                length: answer.content_length(),
                reader: answer
                    .bytes_stream()
                    .map(|piece| piece.map_err(PowerSyncError::upload_error))
                    .boxed(),
            },
        })
    }
}

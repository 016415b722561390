//! [`get`]: one HTTP request to a WebDriver server.

use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::failure::{ProtocolFailure, Site};
use crate::source::page::http::{ANSWER_TIMEOUT, GetFailure, LATE, MAX_ANSWER_LEN, Response};

/// Asks for this URL. The `Host` header is the URL's.
///
/// # Errors
///
/// A text such as `closed the connection`, and the cause.
pub(super) async fn get<C>(connector: C, url: Uri) -> Result<Response, GetFailure>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client: Client<_, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build(connector);
    let ask = async {
        let answer = client.get(url).await.map_err(|error| {
            let cause = ProtocolFailure::from_error(Site::Unknown, &error);
            ("closed the connection", Some(cause))
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_LEN);
        match body.collect().await {
            Ok(body) => Ok(Response {
                status,
                body: body.to_bytes().into(),
            }),
            Err(_) => Err(("broke off, or its answer is too long", None)),
        }
    };
    let answer = timeout(ANSWER_TIMEOUT, ask).await;
    answer.unwrap_or(Err((LATE, None)))
}

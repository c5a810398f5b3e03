//! Requests to the ACME server, over the server's own HTTP client

use crate::http::{Client, HttpError, Limits, Request};
use http_body_util::BodyExt;
use hyper::header;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use std::future::Future;
use std::pin::Pin;

/// Carries requests of `instant_acme`.
pub(super) struct Carrier(pub(super) Client);

impl HttpClient for Carrier {
    fn request(
        &self,
        request: hyper::Request<BodyWrapper<bytes::Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            exchange(&client, request)
                .await
                .map_err(|error| Error::Other(Box::new(error)))
        })
    }
}

async fn exchange(
    client: &Client,
    request: hyper::Request<BodyWrapper<bytes::Bytes>>,
) -> Result<BytesResponse, HttpError> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await;
    let url = head.uri.to_string();
    let mut asked = Request::new(head.method, &url, body.to_bytes())?;
    for (name, value) in &head.headers {
        // The client has its own name.
        if name != header::USER_AGENT {
            let value = value.to_str().map_err(|_| HttpError::Header)?;
            asked = asked.with_header(name.as_str(), value)?;
        }
    }
    let answer = client.send(asked, Limits::default()).await?;
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    let (parts, body) = response
        .body(answer.body)
        .map_err(|_| HttpError::Header)?
        .into_parts();
    Ok(BytesResponse {
        parts,
        body: Box::new(body),
    })
}

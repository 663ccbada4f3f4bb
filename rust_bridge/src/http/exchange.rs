// SPDX-License-Identifier: MIT OR Apache-2.0
//! An exchange: a request is sent, redirects are followed, and the body of the response is read.
//!
//! 1. The timeout starts at the submission: a request that waited too long for a worker is not
//!    sent.
//! 2. The body is read in chunks, up to the limit.
//! 3. A response in a transfer coding or protocol that was not requested is an error
//!    ([`unrequested`]): hyper would return the undecoded bytes.

use std::future::Future;
use std::sync::Arc;

use reqwest::header::TRANSFER_ENCODING;
use reqwest::{Response, StatusCode};

use super::client::Client;
use super::errors::{
    body_failure, failure, EHTTP_BODY_LIMIT, EHTTP_PROTOCOL, EHTTP_READ_TIMEOUT, EHTTP_REDIRECT,
    EHTTP_TIMEOUT,
};
use super::head::Head;
use super::queue::Waiting;
use super::redirect::{self, Redirects};
use super::request::{deadline, unpack, Parts, Schemes, Unpacked};
use super::streams::{send_body, HeadPromise, RequestBody, Streams};
use crate::bridge::Shared;
use crate::byte_channel::BytesSender;
use crate::clock;
use crate::outcome::Outcome;
use crate::sys::NEVER;

/// Sends a packed request. The outcome's value is the status, its bytes are the body.
pub async fn exchange(
    client: Arc<Client>,
    packed: Vec<u8>,
    waiting: Waiting,
    streams: Option<Box<Streams>>,
) -> Outcome {
    let streams = streams.map_or_else(Streams::default, |streams| *streams);
    let bridge = waiting.bridge();
    let mut found = Found {
        head: None,
        promise: streams.head,
    };
    #[cfg(feature = "ws")]
    if let Some(options) = streams.ws {
        let ends = (streams.request, streams.response);
        let ws = super::ws::run(client, packed, waiting, options, ends, &mut found);
        // In a block of its own: else each request would have the size of a WebSocket.
        let ended = Box::pin(ws).await;
        return conclude(&bridge, ended, found);
    }
    let mut request = streams.request;
    let _until_the_end = request.as_mut().map(RequestBody::until_dropped);
    let bodies = (request, streams.response);
    let answered = in_time(&client, &packed, waiting, bodies, &mut found).await;
    conclude(&bridge, answered, found)
}

/// The outcome, which the operation of the head has if there is no response.
fn conclude(bridge: &Shared, answered: Result<Outcome, Outcome>, found: Found) -> Outcome {
    let mut outcome = match answered {
        // Another worker drops the connections while this one polls.
        Err(_) if bridge.tracker.is_closed() => Outcome::shut_down(),
        Ok(outcome) | Err(outcome) => outcome,
    };
    outcome.head = found.head;
    if let Some(promise) = found.promise {
        promise.finish(outcome.copy());
    }
    outcome
}

/// The head of the last response, also if its body fails, and the operation that waits for it.
pub struct Found {
    pub head: Option<Arc<Head>>,
    promise: Option<HeadPromise>,
}

impl Found {
    /// The head of the response that is the result.
    pub fn publish(&mut self, response: &Response) {
        self.publish_head(Head::of(response));
    }

    pub fn publish_head(&mut self, head: Arc<Head>) {
        if let Some(promise) = self.promise.take() {
            let mut outcome = Outcome::value(i64::from(head.status));
            outcome.head = Some(head.clone());
            promise.finish(outcome);
        }
        self.head = Some(head);
    }
}

type Bodies = (Option<RequestBody>, Option<BytesSender>);

/// The same until the deadline.
async fn in_time(
    client: &Arc<Client>,
    packed: &[u8],
    waiting: Waiting,
    bodies: Bodies,
    found: &mut Found,
) -> Result<Outcome, Outcome> {
    let (deadline, parts) = deadline(packed);
    let answer = async {
        // First the client's, so that others do not wait for a request that waits for this.
        let _mine = client.permit().await;
        let _permit = waiting.permit().await;
        answer(client, parts, bodies, found).await
    };
    until(deadline, answer, "the response was complete").await
}

/// The answer, unless the deadline passes before. `what`: the event that it is for.
pub async fn until<T>(
    deadline: i64,
    answer: impl Future<Output = Result<T, Outcome>>,
    what: &str,
) -> Result<T, Outcome> {
    let late = |what: &str| {
        let text = format!("the timeout passed before {what}");
        Err(Outcome::error(EHTTP_TIMEOUT, text))
    };
    match deadline {
        NEVER => answer.await,
        at if at <= clock::now() => late("the request was sent"),
        at => tokio::time::timeout_at(clock::instant(at), answer)
            .await
            .unwrap_or_else(|_| late(what)),
    }
}

/// Sends a request, and follows redirects. If that fails, the last response is found.
async fn send(
    client: &Arc<Client>,
    mut request: reqwest::Request,
    redirects: Redirects,
    found: &mut Found,
) -> Result<Response, Outcome> {
    let refused = |text: String| Outcome::error(EHTTP_REDIRECT, text);
    for n in 0..=redirect::MAX {
        // Its body is shared, not copied. None: it is a channel, which cannot be sent again.
        let next = request.try_clone();
        let sent = client.get(request.url()).await?.execute(request);
        let response = client.in_read_time(sent).await?.map_err(|e| failure(&e))?;
        let (status, headers) = (response.status(), response.headers());
        request = match next {
            Some(next) if redirect::is_redirect(status, headers) => next,
            _ => return Ok(response),
        };
        let followed = redirect::follow(&mut request, status, headers, redirects);
        if followed.is_err() || n == redirect::MAX {
            found.head = Some(Head::of(&response));
        }
        if !followed.map_err(refused)? {
            return Ok(response);
        }
    }
    Err(refused(format!("more than {} redirects", redirect::MAX)))
}

async fn answer(
    client: &Arc<Client>,
    parts: Parts<'_>,
    (request_body, response_body): Bodies,
    found: &mut Found,
) -> Result<Outcome, Outcome> {
    let Unpacked {
        request,
        max_body,
        redirects,
    } = unpack(client.http()?, Schemes::Http, parts, request_body)?;
    let mut response = send(client, request, redirects, found).await?;
    if let Some(what) = unrequested(&response) {
        found.head = Some(Head::of(&response));
        return Err(Outcome::error(EHTTP_PROTOCOL, what));
    }
    found.publish(&response);
    let status = i64::from(response.status().as_u16());
    if response.content_length().unwrap_or(0) > max_body as u64 {
        return Err(too_large(max_body));
    }
    if let Some(mut tx) = response_body {
        send_body(client, &mut response, &mut tx, max_body).await?;
        return Ok(Outcome::value(status));
    }
    let body = read_body(client, &mut response, max_body).await?;
    Ok(Outcome::value_with(status, body))
}

pub fn too_large(max_body: usize) -> Outcome {
    let text = format!("the body has more than {max_body} bytes: raise max_body");
    Outcome::error(EHTTP_BODY_LIMIT, text)
}

async fn read_body(
    client: &Client,
    response: &mut Response,
    max_body: usize,
) -> Result<Vec<u8>, Outcome> {
    let announced = response.content_length().unwrap_or(0);
    // Allocate no more than 64 KiB because of an announced length; one byte more for the NUL.
    let mut body = Vec::with_capacity(announced.min(64 << 10) as usize + 1);
    loop {
        let read = client.in_read_time(response.chunk()).await?;
        let Some(piece) = read.map_err(|e| body_failure(&e))? else {
            return Ok(body);
        };
        if piece.len() > max_body - body.len() {
            return Err(too_large(max_body));
        }
        body.extend_from_slice(&piece);
    }
}

impl Client {
    /// Waits for the head or the next piece of a response.
    pub async fn in_read_time<T>(&self, read: impl Future<Output = T>) -> Result<T, Outcome> {
        let Some(limit) = self.config.read_timeout else {
            return Ok(read.await);
        };
        let late = |_| Outcome::error(EHTTP_READ_TIMEOUT, "the read timeout of the client passed");
        tokio::time::timeout(limit, read).await.map_err(late)
    }
}

/// A protocol or transfer coding that the request did not offer.
fn unrequested(response: &Response) -> Option<&'static str> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Some("the server switches to a protocol that was not requested");
    }
    let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => None,
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => None,
        _ => Some("the response has a transfer coding that was not requested"),
    }
}

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
use super::request::{deadline, unpack, Parts, Unpacked};
use crate::clock;
use crate::outcome::Outcome;
use crate::sys::NEVER;

/// Sends a packed request. The outcome's value is the status, its bytes are the body.
pub async fn exchange(client: Arc<Client>, packed: Vec<u8>, waiting: Waiting) -> Outcome {
    let mut head = None;
    let answered = in_time(&client, &packed, waiting, &mut head).await;
    let (Ok(mut outcome) | Err(mut outcome)) = answered;
    outcome.head = head;
    outcome
}

/// The same until the deadline. If a head is received, `head` is that, also after an error.
async fn in_time(
    client: &Arc<Client>,
    packed: &[u8],
    waiting: Waiting,
    head: &mut Option<Box<Head>>,
) -> Result<Outcome, Outcome> {
    let (deadline, parts) = deadline(packed);
    let answer = async {
        // First the client's, so that others do not wait for a request that waits for this.
        let _mine = client.permit().await;
        let _permit = waiting.permit().await;
        answer(client, parts, head).await
    };
    let late = |text: &str| Err(Outcome::error(EHTTP_TIMEOUT, text));
    match deadline {
        NEVER => answer.await,
        at if at <= clock::now() => late("the timeout passed before the request was sent"),
        at => tokio::time::timeout_at(clock::instant(at), answer)
            .await
            .unwrap_or_else(|_| late("the timeout passed before the response was complete")),
    }
}

/// Sends a request, and follows redirects. If that fails, `head` is that of the last response.
async fn send(
    client: &Arc<Client>,
    mut request: reqwest::Request,
    redirects: Redirects,
    head: &mut Option<Box<Head>>,
) -> Result<Response, Outcome> {
    let refused = |text: String| Outcome::error(EHTTP_REDIRECT, text);
    for n in 0..=redirect::MAX {
        let next = request.try_clone(); // its body is shared, not copied
        let sent = client.get(request.url()).await?.execute(request);
        let response = client.in_read_time(sent).await?.map_err(|e| failure(&e))?;
        let (status, headers) = (response.status(), response.headers());
        request = match next {
            Some(next) if redirect::is_redirect(status, headers) => next,
            _ => return Ok(response),
        };
        let followed = redirect::follow(&mut request, status, headers, redirects);
        if followed.is_err() || n == redirect::MAX {
            *head = Some(Head::of(&response));
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
    head: &mut Option<Box<Head>>,
) -> Result<Outcome, Outcome> {
    let Unpacked {
        request,
        max_body,
        redirects,
    } = unpack(client.http()?, parts)?;
    let mut response = send(client, request, redirects, head).await?;
    *head = Some(Head::of(&response));
    if let Some(what) = unrequested(&response) {
        return Err(Outcome::error(EHTTP_PROTOCOL, what));
    }
    let body = read_body(client, &mut response, max_body).await?;
    let status = i64::from(response.status().as_u16());
    Ok(Outcome::value_with(status, body))
}

async fn read_body(
    client: &Client,
    response: &mut Response,
    max_body: usize,
) -> Result<Vec<u8>, Outcome> {
    let too_large = || {
        Outcome::error(
            EHTTP_BODY_LIMIT,
            format!("the body has more than {max_body} bytes: raise max_body"),
        )
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > max_body as u64 {
        return Err(too_large());
    }
    // Allocate no more than 64 KiB because of an announced length; one byte more for the NUL.
    let mut body = Vec::with_capacity(announced.min(64 << 10) as usize + 1);
    loop {
        let read = client.in_read_time(response.chunk()).await?;
        let Some(piece) = read.map_err(|e| body_failure(&e))? else {
            return Ok(body);
        };
        if piece.len() > max_body - body.len() {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
}

impl Client {
    /// Waits for the head or the next piece of a response.
    async fn in_read_time<T>(&self, read: impl Future<Output = T>) -> Result<T, Outcome> {
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

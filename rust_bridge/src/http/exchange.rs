// SPDX-License-Identifier: MIT OR Apache-2.0
//! An exchange: a request is sent, redirects are followed, and the body of the response is read.
//!
//! 1. The timeout starts at the submission: a request that waited too long for a worker is not
//!    sent.
//! 2. The body is read in chunks, up to the limit.
//! 3. A response in a transfer coding or protocol that was not requested is an error
//!    ([`unrequested`]): hyper would return the undecoded bytes.

use std::sync::Arc;

use reqwest::header::TRANSFER_ENCODING;
use reqwest::{Response, StatusCode};

use super::errors::{
    body_failure, failure, EHTTP_BODY_LIMIT, EHTTP_PROTOCOL, EHTTP_REDIRECT, EHTTP_TIMEOUT,
};
use super::head::Head;
use super::queue::Waiting;
use super::redirect::{self, Redirects};
use super::request::{deadline, unpack, Parts, Unpacked};
use crate::bridge::Shared;
use crate::clock;
use crate::outcome::Outcome;
use crate::sys::NEVER;

/// Sends a packed request. The outcome's value is the status, its bytes are the body.
pub async fn exchange(shared: Arc<Shared>, packed: Vec<u8>, waiting: Waiting) -> Outcome {
    let mut head = None;
    let answered = in_time(&shared, &packed, waiting, &mut head).await;
    let (Ok(mut outcome) | Err(mut outcome)) = answered;
    outcome.head = head;
    outcome
}

/// The same until the deadline. If a head is received, `head` is that, also after an error.
async fn in_time(
    shared: &Shared,
    packed: &[u8],
    waiting: Waiting,
    head: &mut Option<Box<Head>>,
) -> Result<Outcome, Outcome> {
    let (deadline, parts) = deadline(packed);
    let answer = async {
        let _permit = waiting.permit().await;
        answer(shared, parts, head).await
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
    shared: &Shared,
    mut request: reqwest::Request,
    redirects: Redirects,
    head: &mut Option<Box<Head>>,
) -> Result<Response, Outcome> {
    let refused = |text: String| Outcome::error(EHTTP_REDIRECT, text);
    for n in 0..=redirect::MAX {
        let next = request.try_clone(); // its body is shared, not copied
        let client = &shared.http.client;
        let client = client.get(request.url(), &shared.names).await?;
        let sent = client.execute(request).await;
        let response = sent.map_err(|e| failure(&e))?;
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
    shared: &Shared,
    parts: Parts<'_>,
    head: &mut Option<Box<Head>>,
) -> Result<Outcome, Outcome> {
    let client = shared.http.client.http(&shared.names)?; // builds requests of both schemes
    let Unpacked {
        request,
        max_body,
        redirects,
    } = unpack(client, parts)?;
    let mut response = send(shared, request, redirects, head).await?;
    *head = Some(Head::of(&response));
    if let Some(what) = unrequested(&response) {
        return Err(Outcome::error(EHTTP_PROTOCOL, what));
    }
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
    while let Some(piece) = response.chunk().await.map_err(|e| body_failure(&e))? {
        if piece.len() > max_body - body.len() {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(Outcome::value_with(
        i64::from(response.status().as_u16()),
        body,
    ))
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

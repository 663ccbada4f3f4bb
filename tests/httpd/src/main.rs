// SPDX-License-Identifier: MIT OR Apache-2.0
//! An HTTP server that behaves as it is told, for tests and for examples/feedgate.
//!
//! It listens on a free port of 127.0.0.1, prints the port's number as its first line, and ends when
//! its standard input closes (or by SIGTERM). The path says what happens:
//!
//! | path                 | answer                                                             |
//! |----------------------|--------------------------------------------------------------------|
//! | `/ok/<bytes>`        | 200 with so many bytes                                             |
//! | `/status/<code>`     | this status                                                        |
//! | `/slow/<ms>`         | 200 after so long                                                  |
//! | `/echo`              | 200 with the body of the request                                   |
//! | `/redirect/<n>`      | n redirects, then 200                                              |
//! | `/endless`           | 200 and a body without an end                                      |
//! | `/stall/<bytes>`     | 200 and so many bytes, then nothing more, though more are promised |
//! | `/cut/<bytes>`       | 200, so many are promised, the connection closes after half        |
//! | `/close`             | 200; the connection then closes, unannounced                       |
//! | `/reset`             | none: the connection is reset                                      |
//! | `/price/<id>`        | 200 with a price                                                   |
//!
//! With `--faulty`, of each 12 requests for a price one is slow (400 ms), one is refused (500), one is
//! reset and one stalls within its body; and the last line of the output tells how often each was.

mod body;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::LOCATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{spawn_local, LocalSet};
use tokio::time::sleep;

use body::Body;

/// What becomes of a connection as soon as all that can be sent has been sent.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Keep,
    Close,
    Reset,
}

/// What goes wrong with prices, and how often it did.
#[derive(Clone, Copy)]
enum Fault {
    Slow,
    Refused,
    Reset,
    Stalled,
}

const FAULTS: [&str; 4] = ["slow", "refused", "reset", "stalled"];
static COUNTS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

struct Server {
    faulty: bool,
    prices: Cell<u64>,
}

fn ok(body: Body) -> Response<Body> {
    Response::new(body)
}

fn status(code: u16) -> Response<Body> {
    let mut response = ok(Body::text(format!("status {code}\n")));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
    response
}

fn redirect(left: u64) -> Response<Body> {
    if left == 0 {
        return ok(Body::text("arrived\n"));
    }
    let mut response = status(302);
    let to = format!("/redirect/{}", left - 1).parse();
    response.headers_mut().insert(LOCATION, to.unwrap());
    response
}

async fn slow(ms: u64) -> Response<Body> {
    sleep(Duration::from_millis(ms)).await;
    ok(Body::text("late\n"))
}

async fn reset(fate: &Cell<Fate>) -> Response<Body> {
    fate.set(Fate::Reset);
    pending().await
}

fn next_fault(server: &Server) -> Option<Fault> {
    let turn = server.prices.replace(server.prices.get() + 1);
    match turn % 12 {
        _ if !server.faulty => None,
        2 => Some(Fault::Slow),
        5 => Some(Fault::Refused),
        8 => Some(Fault::Reset),
        11 => Some(Fault::Stalled),
        _ => None,
    }
}

async fn price(server: &Server, id: u64, fate: &Cell<Fate>) -> Response<Body> {
    let Some(fault) = next_fault(server) else {
        return ok(Body::text(format!(
            "{}.{:02}\n",
            100 + id % 100,
            id * 7 % 100
        )));
    };
    COUNTS[fault as usize].fetch_add(1, Ordering::Relaxed); // a number, read at the end
    match fault {
        Fault::Slow => slow(400).await,
        Fault::Refused => status(500),
        Fault::Reset => reset(fate).await,
        Fault::Stalled => ok(Body::filler(10, Some(20))),
    }
}

/// Whoever started this may be gone.
fn print_faults() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (fault, count) in FAULTS.iter().zip(&COUNTS) {
        write!(out, "{fault} {} ", count.load(Ordering::Relaxed))?;
    }
    writeln!(out)
}

async fn answer(server: &Server, request: Request<Incoming>, fate: &Cell<Fate>) -> Response<Body> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (what, number) = path.split_once('/').unwrap_or((&path, "0"));
    let Ok(n) = number.parse::<u64>() else {
        return status(404);
    };
    match what {
        "ok" => ok(Body::filler(n, Some(n))),
        "status" => status(n.try_into().unwrap_or(400)),
        "slow" => slow(n).await,
        "echo" => match request.into_body().collect().await {
            Ok(body) => ok(Body::text(body.to_bytes())),
            Err(_) => status(400),
        },
        "redirect" => redirect(n),
        "endless" => ok(Body::filler(u64::MAX, None)),
        "stall" => ok(Body::filler(n, Some(n.saturating_add(1)))),
        "cut" => {
            fate.set(Fate::Close);
            ok(Body::filler(n / 2, Some(n)))
        }
        "close" => {
            fate.set(Fate::Close);
            ok(Body::text("goodbye\n"))
        }
        "reset" => reset(fate).await,
        "price" => price(server, n, fate).await,
        _ => status(404),
    }
}

/// Errors of connections are the clients' affair.
async fn serve(server: Rc<Server>, stream: TcpStream) {
    let fate = Rc::new(Cell::new(Fate::Keep));
    let service = service_fn(|request| {
        let (server, fate) = (server.clone(), fate.clone());
        Box::pin(async move { Ok::<_, Infallible>(answer(&server, request, &fate).await) })
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    poll_fn(|cx| match connection.poll_without_shutdown(cx) {
        // Waiting, so what it had to send has been sent.
        Poll::Pending if fate.get() == Fate::Keep => Poll::Pending,
        _ => Poll::Ready(()),
    })
    .await;
    let stream = connection.into_parts().io.into_inner();
    if fate.get() == Fate::Reset {
        let _ = stream.set_zero_linger();
    }
}

async fn accept(server: Rc<Server>) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        spawn_local(serve(server.clone(), stream));
    }
}

fn main() -> io::Result<()> {
    let faulty = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--faulty") => true,
        Some(_) => return Err(io::Error::other("usage: httpd [--faulty]")),
    };
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        if faulty {
            let _ = print_faults();
        }
        std::process::exit(0);
    });
    let server = Rc::new(Server {
        faulty,
        prices: Cell::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, accept(server))
}

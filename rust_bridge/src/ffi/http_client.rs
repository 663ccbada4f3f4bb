// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP clients. The C interface of http/client.rs and http/config.rs.
//!
//! Ownership: `nart_http_client *` is a box, made by [`nart_http_client_new`] and freed by
//! [`nart_http_client_free`]. It refers to its bridge, and requests refer to its client, so each may
//! be freed before the other. Everything that the options point to is copied.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::sync::Arc;
use std::time::Duration;

use super::http::redirects;
use super::{bytes, bytes_of, res, sized, slice, write_error, NartTokio};
use crate::bridge::{Bridge, Shared};
use crate::http::config::{self, Config, Http2};
use crate::http::Client;
use crate::panic::guard;
use crate::sys::{errno, Res, EFORK, ESHUTDOWN, NEVER};
use crate::tls::config::{Identity, Roots};

/// A client: how connections for HTTP requests are made, and those that are kept. Made by
/// nart_http_client_new(), and used by the requests whose nart_http_opts.client it is, on any number
/// of threads at the same time.
// As NartTokio.
#[cfg_attr(all(), repr(C))]
#[derive(Debug)]
pub struct NartHttpClient {
    opaque: [u8; 0],
}

/// What a `nart_http_client *` points to.
struct Held {
    bridge: Arc<Shared>,
    client: Arc<Client>,
}

impl NartHttpClient {
    fn boxed(bridge: Arc<Shared>, client: Arc<Client>) -> *mut NartHttpClient {
        Box::into_raw(Box::new(Held { bridge, client })).cast()
    }

    /// The client, or that of the bridge if it is NULL. None: it is of another bridge.
    ///
    /// # Safety
    /// `client` is NULL, or live as long as the reference is used.
    pub(crate) unsafe fn of(
        client: *const NartHttpClient,
        bridge: &Arc<Shared>,
    ) -> Option<&Arc<Client>> {
        // SAFETY: the caller's promise.
        match unsafe { client.cast::<Held>().as_ref() } {
            None => Some(&bridge.http.client),
            Some(held) => Arc::ptr_eq(&held.bridge, bridge).then_some(&held.client),
        }
    }
}

/// HTTP/1.1 only.
pub const NART_HTTP2_OFF: u32 = 0;
/// HTTP/2 if the server of an https URL selects it (ALPN), otherwise HTTP/1.1; http: HTTP/1.1.
pub const NART_HTTP2_ALPN: u32 = 1;
/// HTTP/2 only, also for http (prior knowledge).
pub const NART_HTTP2_ONLY: u32 = 2;

/// Decode gzip.
pub const NART_HTTP_DECODE_GZIP: u32 = 1;
/// Decode brotli.
pub const NART_HTTP_DECODE_BROTLI: u32 = 2;

/// Trust the certificates of the platform in addition to `ca`.
pub const NART_HTTP_PLATFORM_CA: u32 = 1;

/// An address of a host, which is then not looked up. A host may have several: one entry for each.
#[repr(C)]
#[derive(Debug)]
pub struct NartHttpHost {
    /// the name as in URLs, without port
    pub name: *const c_char,
    /// an IPv4 or IPv6 address as text, without port and brackets
    pub address: *const c_char,
    #[doc(hidden)]
    pub reserved: [u64; 2],
}

/// Options of a client. Initialise with NART_HTTP_CLIENT_OPTS_INIT. Zero means the default in each
/// field: that of the client that each bridge has for requests without one.
#[repr(C)]
#[derive(Debug)]
pub struct NartHttpClientOpts {
    /// sizeof(nart_http_client_opts)
    pub size: usize,
    /// limit for making a connection: look-up, TCP, proxy and TLS; 0 and NART_NEVER: none. A request
    /// ends with NART_EHTTP_CONNECT_TIMEOUT then: the server has not seen it
    pub connect_timeout_ns: i64,
    /// limit for each wait for the server: until the head of a response, which includes making a
    /// connection and sending the request, and then until each next piece of the body; 0 and
    /// NART_NEVER: none. A request ends with NART_EHTTP_READ_TIMEOUT then
    pub read_timeout_ns: i64,
    /// for how long an idle connection is kept; 0: 30 seconds; NART_NEVER: until the server closes it
    pub idle_ns: i64,
    /// idle connections that are kept per host; 0: 16
    pub max_idle: u32,
    /// requests of this client that run at the same time; others wait, and their timeouts include
    /// that; 0: no limit but `max_http` of the bridge
    pub max_requests: u32,
    /// which redirects are followed if a request does not say it: as nart_http_opts.redirects
    pub redirects: u32,
    /// content codings that are requested and decoded: NART_HTTP_DECODE_GZIP,
    /// NART_HTTP_DECODE_BROTLI or both; 0: none. A response that was decoded has neither
    /// Content-Encoding nor Content-Length, and its names may be in another order. `max_body` limits
    /// the decoded body; one that cannot be decoded ends with NART_EHTTP_BODY
    pub decode: u32,
    /// NART_HTTP2_OFF (0), NART_HTTP2_ALPN or NART_HTTP2_ONLY
    pub http2: u32,
    /// 0 or NART_HTTP_PLATFORM_CA
    pub flags: u32,
    /// User-Agent of requests that do not set one; NULL: none
    pub user_agent: *const c_char,
    /// URL of a proxy: http://host:port (https URLs by CONNECT), socks5://host:port (the client looks
    /// up names) or socks5h://host:port (the proxy does). It may have a user name and password. NULL:
    /// none; proxies of the environment are never used. NART_EHTTP_CONNECT if it refuses
    pub proxy: *const c_char,
    /// path of a Unix socket that all connections are made to, at most 103 bytes; hosts and ports of
    /// URLs are then only sent, and not looked up, also those of redirects. Not with `proxy`. NULL: TCP
    pub unix_path: *const c_char,
    /// certificates in PEM, one or more, that servers are verified against. NULL: those of the
    /// platform. Only these, unless NART_HTTP_PLATFORM_CA is set. Servers are always verified
    pub ca: *const c_void,
    /// length of `ca` in bytes; 0: it is terminated by a NUL
    pub ca_len: usize,
    /// certificate in PEM, with its chain, by which the client identifies itself to each server that
    /// asks for one. NULL: none
    pub cert: *const c_void,
    /// length of `cert` in bytes; 0: it is terminated by a NUL
    pub cert_len: usize,
    /// private key of `cert` in PEM
    pub key: *const c_void,
    /// length of `key` in bytes; 0: it is terminated by a NUL
    pub key_len: usize,
    /// addresses of hosts that are not looked up, tried in this order
    pub hosts: *const NartHttpHost,
    /// number of entries in `hosts`
    pub n_hosts: usize,
    /// gets a line of text that says what is refused and what to change, empty if nothing is; always
    /// terminated by a NUL, but unchanged by NART_EABI. NULL: no text
    pub error: *mut c_char,
    /// size of `error` in bytes; what does not fit is cut off
    pub error_len: usize,
    #[doc(hidden)]
    pub reserved: [u64; 6],
}

const _: () = assert!(offset_of!(NartHttpClientOpts, reserved) == 160);

type Parsed<T> = Result<T, String>;

/// # Safety
/// `pem` is NULL, or `len` bytes, or a string.
unsafe fn pem<'a>(what: &str, pem: *const c_void, len: usize) -> Parsed<Option<&'a [u8]>> {
    match (pem.is_null(), len) {
        (true, 0) => Ok(None),
        (true, _) => Err(format!("{what} is NULL, but {what}_len is not 0")),
        // SAFETY: the caller's promise.
        (false, len) => Ok(Some(unsafe { bytes_of(pem.cast(), len) })),
    }
}

/// 0 and NART_NEVER: None.
fn limit(what: &str, ns: i64) -> Parsed<Option<Duration>> {
    match ns {
        0 | NEVER => Ok(None),
        1.. => Ok(Some(Duration::from_nanos(ns.unsigned_abs()))),
        _ => Err(format!(
            "{what} is negative: use nanoseconds, or NART_NEVER"
        )),
    }
}

fn known(what: &str, bits: u32, all: u32) -> Parsed<()> {
    match bits & !all {
        0 => Ok(()),
        unknown => Err(format!("{what} has the unknown bit {unknown:#x}")),
    }
}

/// # Safety
/// The pointers are as documented.
unsafe fn parse(o: &NartHttpClientOpts) -> Parsed<Config> {
    let mut c = Config {
        connect_timeout: limit("connect_timeout_ns", o.connect_timeout_ns)?,
        read_timeout: limit("read_timeout_ns", o.read_timeout_ns)?,
        ..Config::default()
    };
    let idle = limit("idle_ns", o.idle_ns)?;
    if o.idle_ns != 0 {
        c.idle_time = idle;
    }
    if o.max_idle != 0 {
        c.max_idle = o.max_idle as usize;
    }
    if o.max_requests != 0 {
        c.max_requests = Some(o.max_requests as usize);
    }
    let unknown = || format!("redirects is {}: use NART_HTTP_REDIRECTS_*", o.redirects);
    c.redirects = redirects(o.redirects, c.redirects).ok_or_else(unknown)?;
    known(
        "decode",
        o.decode,
        NART_HTTP_DECODE_GZIP | NART_HTTP_DECODE_BROTLI,
    )?;
    c.gzip = o.decode & NART_HTTP_DECODE_GZIP != 0;
    c.brotli = o.decode & NART_HTTP_DECODE_BROTLI != 0;
    c.http2 = match o.http2 {
        NART_HTTP2_OFF => Http2::Off,
        NART_HTTP2_ALPN => Http2::Alpn,
        NART_HTTP2_ONLY => Http2::Only,
        other => return Err(format!("http2 is {other}: use NART_HTTP2_*")),
    };
    known("flags", o.flags, NART_HTTP_PLATFORM_CA)?;
    // SAFETY: the caller's promises.
    let (ca, cert, key, hosts) = unsafe {
        let hosts = slice(o.hosts, o.n_hosts);
        (
            pem("ca", o.ca, o.ca_len)?,
            pem("cert", o.cert, o.cert_len)?,
            pem("key", o.key, o.key_len)?,
            hosts.map_err(|_| "hosts is NULL, but n_hosts is not 0".to_owned())?,
        )
    };
    let text = |text: *const c_char| {
        // SAFETY: the caller's promise.
        (!text.is_null()).then(|| unsafe { bytes(text, b"") })
    };
    c.user_agent = text(o.user_agent).map(config::user_agent).transpose()?;
    c.proxy = text(o.proxy).map(config::proxy).transpose()?;
    c.unix_path = text(o.unix_path).map(config::unix_path).transpose()?;
    if c.proxy.is_some() && c.unix_path.is_some() {
        return Err("proxy and unix_path are both set: use one of them".to_owned());
    }
    for host in hosts {
        let (name, address) = (text(host.name), text(host.address));
        let (Some(name), Some(address)) = (name, address) else {
            return Err("hosts has an entry without a name or an address".to_owned());
        };
        config::add_host(&mut c.hosts, name, address)?;
    }
    if let Some(ca) = ca {
        c.roots = Roots::parse(ca, o.flags & NART_HTTP_PLATFORM_CA == 0)?;
    }
    c.identity = match (cert, key) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some(Identity::parse(cert, key)?),
        _ => return Err("cert and key belong together: set both".to_owned()),
    };
    Ok(c)
}

/// Makes a client for the requests of a bridge. `opts` may be NULL: then it is like the one that the
/// bridge has, with connections of its own.
///
/// ```c
/// char why[200] = "";
/// nart_http_client_opts opts = NART_HTTP_CLIENT_OPTS_INIT;
/// opts.connect_timeout_ns = 2 * NART_SEC;
/// opts.decode = NART_HTTP_DECODE_GZIP;
/// opts.error = why;
/// opts.error_len = sizeof why;
/// if (nart_http_client_new(tokio, &opts, &client) != 0)
///     printf("no HTTP client: %s\n", why);
/// ```
///
/// @return 0 and `*client`; -EINVAL no `rt` or `client`, or an option is refused: `error` says which
///   and why; NART_ESHUTDOWN; NART_EABI the options are of another version; NART_EFORK.
/// **Ownership**: the caller's, until nart_http_client_free(). The options are copied, keys included.
/// **Thread**: any. **Cost**: allocations; certificates are parsed. Connections are made by requests.
///
/// # Safety
/// `rt` is NULL or live; `opts` is NULL or valid, and so is all that it points at; `client` is NULL
/// or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_http_client_new(
    rt: *mut NartTokio,
    opts: *const NartHttpClientOpts,
    client: *mut *mut NartHttpClient,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (bridge, out) = unsafe { (Bridge::from_c(rt), client.as_mut()) };
        // SAFETY: the caller's promises.
        let options = unsafe { sized(opts, offset_of!(NartHttpClientOpts, reserved)) };
        let refused = |code: Res, text: &str| {
            if let Ok(o) = &options {
                // SAFETY: the caller's promises.
                unsafe { write_error(o.error, o.error_len, text) };
            }
            code
        };
        let Some(out) = out else {
            return refused(errno(libc::EINVAL), "client is NULL");
        };
        *out = std::ptr::null_mut();
        let Some(bridge) = bridge else {
            return refused(errno(libc::EINVAL), "rt is NULL");
        };
        if bridge.0.is_forked() {
            return refused(EFORK, "the bridge belongs to the parent process");
        }
        if bridge.is_closed() {
            return refused(ESHUTDOWN, "the bridge is shut down");
        }
        let made = match &options {
            Err(code) => Err(*code),
            // SAFETY: the caller's promises.
            Ok(o) => match unsafe { parse(o) } {
                Ok(config) => {
                    refused(0, "");
                    Ok(config)
                }
                Err(text) => Err(refused(errno(libc::EINVAL), &text)),
            },
        };
        res(made, |config| {
            let client = Client::new(config, bridge.0.names.clone());
            *out = NartHttpClient::boxed(bridge.0.clone(), client);
        })
    })
}

/// Frees a client. Its requests that have not ended keep it, and end as usual; then its idle
/// connections are closed. NULL is allowed. It may be freed after its bridge. In a forked child it is
/// leaked on purpose.
/// **Thread**: any. **Cost**: memory is freed; may wake threads of tokio.
///
/// # Safety
/// `client` is NULL or live, and not used again.
#[no_mangle]
pub unsafe extern "C" fn nart_http_client_free(client: *mut NartHttpClient) {
    guard(|| {
        if client.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        let client = unsafe { Box::from_raw(client.cast::<Held>()) };
        if client.bridge.is_forked() {
            std::mem::forget(client);
        }
    });
}

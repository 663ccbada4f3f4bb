// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS configurations. The C interface of tls/config.rs.
//!
//! Ownership: `nart_tls_config *` is a box, made by [`nart_tls_config_new`] and freed by
//! [`nart_tls_config_free`]. Connections keep what they need of it. Everything that the options point
//! to is copied.

use std::borrow::Cow;
use std::ffi::{c_char, c_void, CStr, OsStr};
use std::fmt;
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::{bytes_of, sized, slice};
use crate::panic::guard;
use crate::sys::{errno, Res};
use crate::tls::config::{self, Identity, Roots, Server};
use crate::tls::session::Config;

/// How TLS connections are made: certificates, protocols and sessions that can be resumed. Made by
/// nart_tls_config_new(), and used by any number of connections, on any threads.
pub struct NartTlsConfig(Config);

impl fmt::Debug for NartTlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NartTlsConfig").finish_non_exhaustive()
    }
}

impl NartTlsConfig {
    pub(crate) fn get(&self) -> &Config {
        &self.0
    }
}

/// For nart_tls_accept(). Without it: for nart_tls_connect().
pub const NART_TLS_SERVER: u32 = 1;
/// A client trusts the certificates of the platform in addition to its `ca`.
pub const NART_TLS_PLATFORM_CA: u32 = 2;
/// A server with `ca` accepts clients without a certificate, too: see nart_tls_peer_cert().
pub const NART_TLS_CERT_OPTIONAL: u32 = 4;
/// Sessions are not resumed.
pub const NART_TLS_NO_RESUMPTION: u32 = 8;

/// A certificate of a server, with its private key.
#[repr(C)]
#[derive(Debug)]
pub struct NartTlsCert {
    /// certificate, with its chain
    pub cert: *const c_void,
    /// length of `cert` in bytes; 0: it is terminated by a NUL
    pub cert_len: usize,
    /// path of a file with `cert`
    pub cert_file: *const c_char,
    /// private key of `cert`
    pub key: *const c_void,
    /// length of `key` in bytes; 0: it is terminated by a NUL
    pub key_len: usize,
    /// path of a file with `key`
    pub key_file: *const c_char,
    #[doc(hidden)]
    pub reserved: [u64; 2],
}

/// Options of a TLS configuration. Initialise with NART_TLS_OPTS_INIT. Zero means the default in each
/// field. Certificates and keys are PEM, in memory or in a file, not both.
#[repr(C)]
#[derive(Debug)]
pub struct NartTlsOpts {
    /// sizeof(nart_tls_opts)
    pub size: usize,
    /// NART_TLS_*
    pub flags: u32,
    #[doc(hidden)]
    pub reserved0: u32,
    /// certificates that peers are verified against. A client: instead of those of the platform, unless
    /// NART_TLS_PLATFORM_CA is set. A server: it requires a certificate of each client. NULL: those of
    /// the platform; a server asks for none
    pub ca: *const c_void,
    /// length of `ca` in bytes; 0: it is terminated by a NUL
    pub ca_len: usize,
    /// path of a file with `ca`
    pub ca_file: *const c_char,
    /// certificate, with its chain, by which this side identifies itself. A server needs one
    pub cert: *const c_void,
    /// length of `cert` in bytes; 0: it is terminated by a NUL
    pub cert_len: usize,
    /// path of a file with `cert`
    pub cert_file: *const c_char,
    /// private key of `cert`
    pub key: *const c_void,
    /// length of `key` in bytes; 0: it is terminated by a NUL
    pub key_len: usize,
    /// path of a file with `key`
    pub key_file: *const c_char,
    /// protocols (ALPN) that a client offers, or that a server selects from, by preference: "h2", for
    /// example. A server refuses a client that offers others only; one that offers none is accepted
    pub alpn: *const *const c_char,
    /// number of entries in `alpn`
    pub n_alpn: usize,
    /// more certificates of a server: of `cert` and these, the first one is used that is valid for the
    /// name that the client asks for (SNI); else `cert`
    pub certs: *const NartTlsCert,
    /// number of entries in `certs`
    pub n_certs: usize,
    /// gets a line of text that says what is refused and what to change, empty if nothing is; always
    /// terminated by a NUL, but unchanged by NART_EABI. NULL: no text
    pub error: *mut c_char,
    /// size of `error` in bytes; what does not fit is cut off
    pub error_len: usize,
    #[doc(hidden)]
    pub reserved: [u64; 6],
}

const _: () = assert!(offset_of!(NartTlsOpts, reserved) == 136);

type Parsed<T> = Result<T, String>;

/// PEM from memory or from a file.
///
/// # Safety
/// `pem` is NULL, or `len` bytes, or a string; `file` is NULL or a string.
unsafe fn pem<'a>(
    what: &str,
    pem: *const c_void,
    len: usize,
    file: *const c_char,
) -> Parsed<Option<Cow<'a, [u8]>>> {
    match (pem.is_null(), file.is_null()) {
        (true, _) if len > 0 => Err(format!("{what} is NULL, but {what}_len is not 0")),
        (true, true) => Ok(None),
        (false, false) => Err(format!(
            "{what} and {what}_file are both set: use one of them"
        )),
        // SAFETY: the caller's promise.
        (false, true) => Ok(Some(unsafe { bytes_of(pem.cast(), len) }.into())),
        (true, false) => {
            // SAFETY: the caller's promise.
            let path = OsStr::from_bytes(unsafe { CStr::from_ptr(file) }.to_bytes());
            let read = std::fs::read(path);
            let why = |e| format!("{what}_file {} cannot be read: {e}", path.to_string_lossy());
            Ok(Some(read.map_err(why)?.into()))
        }
    }
}

/// # Safety
/// The pointers are as documented.
unsafe fn identity(c: &NartTlsCert) -> Parsed<Option<Identity>> {
    // SAFETY: the caller's promise.
    let (cert, key) = unsafe {
        (
            pem("cert", c.cert, c.cert_len, c.cert_file)?,
            pem("key", c.key, c.key_len, c.key_file)?,
        )
    };
    match (&cert, &key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Identity::parse(cert, key).map(Some),
        _ => Err("cert and key belong together: set both".to_owned()),
    }
}

/// # Safety
/// The pointers are as documented.
unsafe fn parse(o: &NartTlsOpts) -> Parsed<Config> {
    let all =
        NART_TLS_SERVER | NART_TLS_PLATFORM_CA | NART_TLS_CERT_OPTIONAL | NART_TLS_NO_RESUMPTION;
    let has = |flag: u32| o.flags & flag != 0;
    if has(!all) {
        return Err(format!("flags has the unknown bit {:#x}", o.flags & !all));
    }
    // SAFETY: the caller's promises.
    let (ca, first, names, more) = unsafe {
        let (names, more) = (slice(o.alpn, o.n_alpn), slice(o.certs, o.n_certs));
        let first = NartTlsCert {
            cert: o.cert,
            cert_len: o.cert_len,
            cert_file: o.cert_file,
            key: o.key,
            key_len: o.key_len,
            key_file: o.key_file,
            reserved: [0; 2],
        };
        (
            pem("ca", o.ca, o.ca_len, o.ca_file)?,
            identity(&first)?,
            names.map_err(|_| "alpn is NULL, but n_alpn is not 0".to_owned())?,
            more.map_err(|_| "certs is NULL, but n_certs is not 0".to_owned())?,
        )
    };
    let mut alpn: Vec<&[u8]> = Vec::new();
    for &name in names {
        // SAFETY: the caller's promise.
        let name = unsafe { super::bytes(name, b"") };
        if !(1..=255).contains(&name.len()) {
            return Err("alpn has a name that is empty or longer than 255 bytes".to_owned());
        }
        alpn.push(name);
    }
    let roots = match &ca {
        Some(ca) => Some(Roots::parse(ca, !has(NART_TLS_PLATFORM_CA))?),
        None => None,
    };
    let resumes = !has(NART_TLS_NO_RESUMPTION);
    if !has(NART_TLS_SERVER) {
        if has(NART_TLS_CERT_OPTIONAL) {
            return Err("NART_TLS_CERT_OPTIONAL is for servers".to_owned());
        }
        if !more.is_empty() {
            return Err("certs is for servers".to_owned());
        }
        let mut made = config::client(&roots.unwrap_or_default(), first.as_ref(), &alpn)?;
        if !resumes {
            made.resumption = rustls::client::Resumption::disabled();
        }
        return Ok(Config::Client(Arc::new(made)));
    }
    if has(NART_TLS_PLATFORM_CA) {
        return Err("NART_TLS_PLATFORM_CA is for clients".to_owned());
    }
    if has(NART_TLS_CERT_OPTIONAL) && roots.is_none() {
        return Err("NART_TLS_CERT_OPTIONAL needs ca".to_owned());
    }
    let mut identities = vec![first.ok_or("a server needs cert and key")?];
    for (i, cert) in more.iter().enumerate() {
        // SAFETY: the caller's promises.
        let made = unsafe { identity(cert) }.map_err(|e| format!("certs[{i}]: {e}"))?;
        identities.push(made.ok_or(format!("certs[{i}]: cert is not set"))?);
    }
    let server = Server {
        roots: roots.as_ref(),
        optional: has(NART_TLS_CERT_OPTIONAL),
        resumes,
        alpn: &alpn,
    };
    let made = config::server(&identities, &server)?;
    Ok(Config::Server(Arc::new(made)))
}

/// Makes a TLS configuration. `opts` may be NULL: a client that trusts the certificates of the platform.
///
/// ```c
/// char why[200] = "";
/// nart_tls_opts opts = NART_TLS_OPTS_INIT;
/// opts.flags = NART_TLS_SERVER;
/// opts.cert_file = "server.pem";
/// opts.key_file = "server.key";
/// opts.error = why;
/// opts.error_len = sizeof why;
/// if (nart_tls_config_new(&opts, &config) != 0)
///     printf("no TLS: %s\n", why);
/// ```
///
/// TLS 1.2 and 1.3 are supported. A client always verifies the server and its name. Sessions are
/// resumed: a client keeps some for each server name, a server issues tickets whose keys it changes
/// every six hours. A new configuration has no sessions, and a server's refuses tickets of an older one.
///
/// @return 0 and `*config`; -EINVAL no `config`, or an option is refused, or a file cannot be read:
///   `error` says which and why; NART_EABI the options are of another version; NART_EPANIC.
/// **Ownership**: the caller's, until nart_tls_config_free(). The options are copied, keys included.
/// **Thread**: any. **Cost**: allocations; certificates are parsed, and files are read: also those of the
/// platform, for a client without a `ca` of its own. Do it before the loop runs, or in a blocking
/// function.
///
/// # Safety
/// `opts` is NULL or valid, and so is all that it points at; `config` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tls_config_new(
    opts: *const NartTlsOpts,
    config: *mut *mut NartTlsConfig,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (options, out) = unsafe {
            (
                sized(opts, offset_of!(NartTlsOpts, reserved)),
                config.as_mut(),
            )
        };
        let o = match options {
            Ok(o) => o,
            Err(code) => {
                if let Some(out) = out {
                    *out = std::ptr::null_mut();
                }
                return code;
            }
        };
        let made = match out {
            None => Err("config is NULL".to_owned()),
            Some(out) => {
                *out = std::ptr::null_mut();
                // SAFETY: the caller's promises.
                let parsed = unsafe { parse(&o) };
                parsed.map(|made| *out = Box::into_raw(Box::new(NartTlsConfig(made))))
            }
        };
        let text = made.as_ref().err().map_or("", String::as_str);
        // SAFETY: the caller's promises.
        unsafe { super::write_error(o.error, o.error_len, text) };
        if made.is_ok() {
            0
        } else {
            errno(libc::EINVAL)
        }
    })
}

/// Frees a configuration. Its connections continue. NULL is allowed.
/// **Thread**: any. **Cost**: memory is freed.
///
/// # Safety
/// `config` is NULL or live, and not used again.
#[no_mangle]
pub unsafe extern "C" fn nart_tls_config_free(config: *mut NartTlsConfig) {
    guard(|| {
        if !config.is_null() {
            // SAFETY: the caller's promise.
            drop(unsafe { Box::from_raw(config) });
        }
    });
}

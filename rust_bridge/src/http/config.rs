// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration of a client, and the checks of its parts. Each error says what to change.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Proxy, Url};

use super::redirect::Redirects;
use crate::tls::config::{Identity, Roots};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2 {
    Off,
    /// If the server of an https URL selects it.
    Alpn,
    /// Without asking.
    Only,
}

/// Addresses of hosts that are not looked up.
pub type Hosts = HashMap<String, Vec<IpAddr>>;

/// [`Config::default`] is that of the client that each bridge has.
pub struct Config {
    pub connect_timeout: Option<Duration>,
    pub read_timeout: Option<Duration>,
    /// Idle connections per host, and for how long they are kept; None: for ever.
    pub max_idle: usize,
    pub idle_time: Option<Duration>,
    /// Requests that run at the same time; None: any number.
    pub max_requests: Option<usize>,
    pub redirects: Redirects,
    pub gzip: bool,
    pub brotli: bool,
    pub http2: Http2,
    pub user_agent: Option<HeaderValue>,
    pub proxy: Option<Proxy>,
    pub unix_path: Option<PathBuf>,
    pub hosts: Hosts,
    pub roots: Roots,
    pub identity: Option<Identity>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            connect_timeout: None,
            read_timeout: None,
            max_idle: 16,
            idle_time: Some(Duration::from_secs(30)),
            max_requests: None,
            redirects: Redirects::All,
            gzip: false,
            brotli: false,
            http2: Http2::Off,
            user_agent: None,
            proxy: None,
            unix_path: None,
            hosts: Hosts::new(),
            roots: Roots::default(),
            identity: None,
        }
    }
}

/// # Errors
/// Why it cannot be sent as a header.
pub fn user_agent(text: &[u8]) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(text)
        .map_err(|_| "user_agent contains a control character: remove it".to_owned())
}

/// # Errors
/// Why it is not a proxy. The text does not contain the URL, which may have a password.
pub fn proxy(text: &[u8]) -> Result<Proxy, String> {
    let example = "use http://host:port, socks5://host:port or socks5h://host:port";
    let url = std::str::from_utf8(text).ok().map(Url::parse);
    let Some(Ok(url)) = url else {
        return Err(format!("proxy is not a URL: {example}"));
    };
    if !matches!(url.scheme(), "http" | "socks5" | "socks5h") || !url.has_host() {
        return Err(format!(
            "proxy has the scheme {}, or no host: {example}",
            url.scheme()
        ));
    }
    Proxy::all(url).map_err(|_| format!("proxy is not a valid URL: {example}"))
}

/// The longest path of a Unix socket that every system supports, without its NUL.
const PATH_MAX: usize = 103;

/// # Errors
/// Why it cannot be the path of a socket.
pub fn unix_path(path: &[u8]) -> Result<PathBuf, String> {
    match path.len() {
        0 => Err("unix_path is empty: pass a path, or NULL".to_owned()),
        1..=PATH_MAX => Ok(OsStr::from_bytes(path).into()),
        n => Err(format!(
            "unix_path has {n} bytes: use a path of at most {PATH_MAX}"
        )),
    }
}

/// Adds an address of a host.
///
/// # Errors
/// Which of both is not valid.
pub fn add_host(hosts: &mut Hosts, name: &[u8], address: &[u8]) -> Result<(), String> {
    let (shown, address_shown) = (
        String::from_utf8_lossy(name),
        String::from_utf8_lossy(address),
    );
    // As in a URL: in lower case, and international names in ASCII.
    let is_name = !shown.contains(|c: char| c.is_ascii_control() || ":/?#@\\".contains(c));
    let url = Url::parse(&format!("http://{shown}/")).ok();
    let (Some(domain), true) = (url.as_ref().and_then(Url::domain), is_name) else {
        return Err(format!(
            "hosts: {shown} is not a name: use one without scheme, port and path"
        ));
    };
    let Ok(address) = address_shown.parse() else {
        return Err(format!(
            "hosts: {address_shown}, of {shown}, is not an IP address"
        ));
    };
    hosts.entry(domain.to_owned()).or_default().push(address);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_have_a_known_scheme() {
        for good in [
            "http://a:1",
            "http://me:x@a/",
            "socks5://a",
            "socks5h://[::1]:1080",
        ] {
            assert!(proxy(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a:1",
            "a",
            "https://a:1",
            "socks4://a:1",
            "http://",
            "ftp://a",
        ] {
            assert!(proxy(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(!proxy(b"ftp://me:secret@a").unwrap_err().contains("secret"));
    }

    #[test]
    fn hosts_are_names_as_in_a_url() {
        let mut hosts = Hosts::new();
        for (name, address) in [
            ("A.test", "127.0.0.1"),
            ("a.test", "::1"),
            ("ä.test", "::1"),
        ] {
            add_host(&mut hosts, name.as_bytes(), address.as_bytes()).unwrap();
        }
        assert_eq!(hosts["a.test"].len(), 2);
        assert_eq!(hosts["xn--4ca.test"].len(), 1);
        for (name, address) in [
            ("a:80", "::1"),
            ("a/b", "::1"),
            ("me@a", "::1"),
            ("", "::1"),
            ("127.0.0.1", "::1"),
            ("a b", "::1"),
            ("a?b", "::1"),
            ("a#b", "::1"),
            ("a", "b"),
            ("a", "::1:80:"),
            ("a", "127.0.0.1:80"),
            ("a", ""),
        ] {
            let added = add_host(&mut hosts, name.as_bytes(), address.as_bytes());
            assert!(added.is_err(), "{name} {address}");
        }
    }
}

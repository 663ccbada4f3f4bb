// SPDX-License-Identifier: MIT OR Apache-2.0
//! The head of a response as C reads it: status, URL and header fields, in memory of the outcome.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use reqwest::header::HeaderMap;
use reqwest::Response;

use crate::ffi::NartHttpHeader;

/// Nothing in it changes after it was made, so its pointers remain valid when it moves.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    /// The URL, then names and values, each terminated by a NUL.
    text: Box<[u8]>,
    url_len: usize,
    /// Point into `text`; one more at the end, without a name.
    fields: Box<[NartHttpHeader]>,
}

// SAFETY: the pointers refer to memory that it owns and that does not change.
unsafe impl Send for Head {}
// SAFETY: as above.
unsafe impl Sync for Head {}

impl NartHttpHeader {
    /// The end of a list.
    pub(crate) const END: NartHttpHeader = NartHttpHeader {
        name: ptr::null(),
        value: ptr::null(),
        name_len: 0,
        value_len: 0,
        reserved: [0; 2],
    };
}

impl Head {
    /// Shared, because several outcomes may have it.
    pub fn of(response: &Response) -> Arc<Head> {
        let url = response.url().as_str();
        Head::new(response.status().as_u16(), url, response.headers())
    }

    fn new(status: u16, url: &str, headers: &HeaderMap) -> Arc<Head> {
        let sizes = headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 2);
        let mut text = Vec::with_capacity(url.len() + 1 + sizes.sum::<usize>());
        let mut add = |part: &[u8]| {
            text.extend_from_slice(part);
            text.push(0);
        };
        add(url.as_bytes());
        for (name, value) in headers {
            add(name.as_str().as_bytes());
            add(value.as_bytes());
        }
        let text = text.into_boxed_slice();
        let mut rest = &text[url.len() + 1..];
        let mut next = |len: usize| {
            let part = rest.as_ptr().cast::<c_char>();
            rest = &rest[len + 1..];
            part
        };
        let mut fields = Vec::with_capacity(headers.len() + 1);
        for (name, value) in headers {
            fields.push(NartHttpHeader {
                name: next(name.as_str().len()),
                value: next(value.len()),
                name_len: name.as_str().len(),
                value_len: value.len(),
                reserved: [0; 2],
            });
        }
        fields.push(NartHttpHeader::END);
        Arc::new(Head {
            status,
            url_len: url.len(),
            text,
            fields: fields.into_boxed_slice(),
        })
    }

    /// The URL, and the NUL behind it.
    pub fn url(&self) -> &[u8] {
        &self.text[..=self.url_len]
    }

    /// The fields, and the one that ends the list.
    pub fn fields(&self) -> &[NartHttpHeader] {
        &self.fields
    }

    /// The `i`-th field with this name, in any case.
    pub fn find(&self, name: &[u8], i: usize) -> Option<&NartHttpHeader> {
        let is_named = |field: &&NartHttpHeader| {
            // SAFETY: points into `text`, and the length is that of the name.
            let own: &[u8] =
                unsafe { std::slice::from_raw_parts(field.name.cast(), field.name_len) };
            own.eq_ignore_ascii_case(name)
        };
        let (_, fields) = self.fields.split_last()?;
        fields.iter().filter(is_named).nth(i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;
    use std::ffi::CStr;

    #[test]
    fn fields_are_found_by_name_and_number() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("x-b", ""), ("x-a", "two")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let head = Head::new(204, "http://a/", &headers);
        let value = |name: &str, i| {
            let field = head.find(name.as_bytes(), i)?;
            // SAFETY: values are terminated by a NUL.
            let value = unsafe { CStr::from_ptr(field.value) };
            assert_eq!(value.to_bytes().len(), field.value_len);
            value.to_str().ok()
        };
        assert_eq!(value("x-a", 0), Some("1"));
        assert_eq!(value("X-A", 1), Some("two"));
        assert_eq!(value("X-A", 2), None);
        assert_eq!(value("x-b", 0), Some(""));
        assert_eq!(value("x", 0), None);
        assert_eq!(value("", 0), None);
        assert_eq!(head.fields().len(), 4);
        assert_eq!(head.url(), b"http://a/\0");
    }
}

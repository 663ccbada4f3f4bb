// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server of WebSockets computes.

use std::ffi::{c_char, CStr};

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use ring::digest::{digest, SHA1_FOR_LEGACY_USE_ONLY};

#[no_mangle]
pub unsafe extern "C" fn test_ws_accept(text: *const c_char, accept: *mut [u8; 29]) {
    // SAFETY: the test's promises.
    let (text, accept) = unsafe { (CStr::from_ptr(text).to_bytes(), &mut *accept) };
    let hash = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text));
    accept[..28].copy_from_slice(hash.as_bytes());
    accept[28] = 0;
}

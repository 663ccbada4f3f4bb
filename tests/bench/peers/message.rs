/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Messages of 64 bytes that begin with their number.

pub fn message(number: u64) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(&number.to_ne_bytes());
    bytes
}

pub fn number_of(message: &[u8]) -> u64 {
    u64::from_ne_bytes(message[..8].try_into().expect("8 bytes"))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions that code compiled with `-fsanitize=thread` calls. The word in memory follows its
//! loom atomic, so that a debugger shows the value.

use std::ffi::c_int;
use std::ops::{BitAnd, BitOr, BitXor};
use std::sync::atomic::Ordering;

use crate::memory::{atomic, cells};

/// The compiler's encoding of memory orders.
fn order(n: c_int) -> Ordering {
    match n {
        0 => Ordering::Relaxed,
        1 | 2 => Ordering::Acquire,
        3 => Ordering::Release,
        4 => Ordering::AcqRel,
        _ => {
            panic!("loom cannot check the sequentially consistent order, and nothing here uses it")
        }
    }
}

fn second<T>(_: T, v: T) -> T {
    v
}

/// A read-modify-write: the loom operation, and the same one on the word in memory.
macro_rules! rmw {
    ($name:ident, $int:ty, $method:ident, $new:expr) => {
        #[no_mangle]
        unsafe extern "C" fn $name(p: *mut $int, v: $int, mo: c_int) -> $int {
            // SAFETY: instrumented code passes the address of a word that it will access.
            unsafe {
                let old = atomic(p).$method(v, order(mo));
                *p = $new(old, v);
                old
            }
        }
    };
}

macro_rules! word {
    ($int:ty, $load:ident, $store:ident, $exchange:ident, $add:ident, $sub:ident, $and:ident,
     $or:ident, $xor:ident, $cas:ident, $cas_weak:ident, $cas_val:ident) => {
        #[no_mangle]
        unsafe extern "C" fn $load(p: *const $int, mo: c_int) -> $int {
            // SAFETY: as for read-modify-writes.
            unsafe { atomic(p) }.load(order(mo))
        }

        #[no_mangle]
        unsafe extern "C" fn $store(p: *mut $int, v: $int, mo: c_int) {
            // SAFETY: as for read-modify-writes.
            unsafe {
                atomic(p).store(v, order(mo));
                *p = v;
            }
        }

        rmw!($exchange, $int, swap, second);
        rmw!($add, $int, fetch_add, <$int>::wrapping_add);
        rmw!($sub, $int, fetch_sub, <$int>::wrapping_sub);
        rmw!($and, $int, fetch_and, BitAnd::bitand);
        rmw!($or, $int, fetch_or, BitOr::bitor);
        rmw!($xor, $int, fetch_xor, BitXor::bitxor);

        /// gcc's form of compare-and-swap.
        #[no_mangle]
        unsafe extern "C" fn $cas(
            p: *mut $int,
            expected: *mut $int,
            v: $int,
            mo: c_int,
            failed: c_int,
        ) -> c_int {
            // SAFETY: as for read-modify-writes; `expected` points to the caller's variable.
            unsafe {
                match atomic(p).compare_exchange(*expected, v, order(mo), order(failed)) {
                    Ok(_) => {
                        *p = v;
                        1
                    }
                    Err(old) => {
                        *expected = old;
                        0
                    }
                }
            }
        }

        #[no_mangle]
        unsafe extern "C" fn $cas_weak(
            p: *mut $int,
            expected: *mut $int,
            v: $int,
            mo: c_int,
            failed: c_int,
        ) -> c_int {
            // SAFETY: the same call.
            unsafe { $cas(p, expected, v, mo, failed) }
        }

        /// clang's form of compare-and-swap.
        #[no_mangle]
        unsafe extern "C" fn $cas_val(
            p: *mut $int,
            expected: $int,
            v: $int,
            mo: c_int,
            failed: c_int,
        ) -> $int {
            let mut old = expected;
            // SAFETY: the same call.
            unsafe { $cas(p, &mut old, v, mo, failed) };
            old
        }
    };
}

word!(
    u8,
    __tsan_atomic8_load,
    __tsan_atomic8_store,
    __tsan_atomic8_exchange,
    __tsan_atomic8_fetch_add,
    __tsan_atomic8_fetch_sub,
    __tsan_atomic8_fetch_and,
    __tsan_atomic8_fetch_or,
    __tsan_atomic8_fetch_xor,
    __tsan_atomic8_compare_exchange_strong,
    __tsan_atomic8_compare_exchange_weak,
    __tsan_atomic8_compare_exchange_val
);
word!(
    u16,
    __tsan_atomic16_load,
    __tsan_atomic16_store,
    __tsan_atomic16_exchange,
    __tsan_atomic16_fetch_add,
    __tsan_atomic16_fetch_sub,
    __tsan_atomic16_fetch_and,
    __tsan_atomic16_fetch_or,
    __tsan_atomic16_fetch_xor,
    __tsan_atomic16_compare_exchange_strong,
    __tsan_atomic16_compare_exchange_weak,
    __tsan_atomic16_compare_exchange_val
);
word!(
    u32,
    __tsan_atomic32_load,
    __tsan_atomic32_store,
    __tsan_atomic32_exchange,
    __tsan_atomic32_fetch_add,
    __tsan_atomic32_fetch_sub,
    __tsan_atomic32_fetch_and,
    __tsan_atomic32_fetch_or,
    __tsan_atomic32_fetch_xor,
    __tsan_atomic32_compare_exchange_strong,
    __tsan_atomic32_compare_exchange_weak,
    __tsan_atomic32_compare_exchange_val
);
word!(
    u64,
    __tsan_atomic64_load,
    __tsan_atomic64_store,
    __tsan_atomic64_exchange,
    __tsan_atomic64_fetch_add,
    __tsan_atomic64_fetch_sub,
    __tsan_atomic64_fetch_and,
    __tsan_atomic64_fetch_or,
    __tsan_atomic64_fetch_xor,
    __tsan_atomic64_compare_exchange_strong,
    __tsan_atomic64_compare_exchange_weak,
    __tsan_atomic64_compare_exchange_val
);

macro_rules! plain {
    ($($size:literal: $($read:ident)* / $($write:ident)*;)*) => {
        $(
            $(#[no_mangle]
            extern "C" fn $read(address: usize) {
                cells(address, $size, |cell| cell.with(|_| ()));
            })*
            $(#[no_mangle]
            extern "C" fn $write(address: usize) {
                cells(address, $size, |cell| cell.with_mut(|_| ()));
            })*
        )*
    };
}

plain! {
    1: __tsan_read1 / __tsan_write1;
    2: __tsan_read2 __tsan_unaligned_read2 / __tsan_write2 __tsan_unaligned_write2;
    4: __tsan_read4 __tsan_unaligned_read4 / __tsan_write4 __tsan_unaligned_write4;
    8: __tsan_read8 __tsan_unaligned_read8 / __tsan_write8 __tsan_unaligned_write8;
    16: __tsan_read16 __tsan_unaligned_read16 / __tsan_write16 __tsan_unaligned_write16;
}

#[no_mangle]
extern "C" fn __tsan_read_range(address: usize, size: usize) {
    cells(address, size, |cell| cell.with(|_| ()));
}

#[no_mangle]
extern "C" fn __tsan_write_range(address: usize, size: usize) {
    cells(address, size, |cell| cell.with_mut(|_| ()));
}

#[no_mangle]
extern "C" fn __tsan_init() {}

#[no_mangle]
extern "C" fn __tsan_func_entry(_caller: usize) {}

#[no_mangle]
extern "C" fn __tsan_func_exit() {}

/// clang calls these for struct copies; gcc copies without a call.
///
/// # Safety
/// As memcpy.
#[no_mangle]
unsafe extern "C" fn __tsan_memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    if size > 0 {
        __tsan_read_range(from as usize, size);
        __tsan_write_range(to as usize, size);
        // SAFETY: the caller's.
        unsafe { std::ptr::copy_nonoverlapping(from, to, size) };
    }
    to
}

/// # Safety
/// As memset.
#[no_mangle]
unsafe extern "C" fn __tsan_memset(to: *mut u8, value: c_int, size: usize) -> *mut u8 {
    if size > 0 {
        __tsan_write_range(to as usize, size);
        // SAFETY: the caller's.
        unsafe { std::ptr::write_bytes(to, value as u8, size) };
    }
    to
}

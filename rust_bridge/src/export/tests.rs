// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exported functions, called as C does.

use super::*;
use crate::{
    nart_tokio_free, nart_tokio_op_close, nart_tokio_op_read, Failure, Operation, Options,
};

crate::export! {
    /// Ends a comment: */
    struct TestInfo {
        /// Of both.
        len: u64,
        odd: bool,
        begin: [u8; 3],
    }

    /// Looks at texts; [`TestInfo`] is not C's.
    async fn test_export_info(
        _bridge: &Bridge,
        a: &str,
        b: Option<&str>,
        c: &CStr,
        d: &[u8],
        add: u32,
    ) -> Result<TestInfo, Failure> {
        let len = a.len() + b.map_or(0, str::len) + c.to_bytes().len() + d.len() + add as usize;
        let mut begin = [0; 3];
        begin.copy_from_slice(&a.as_bytes()[..3]);
        Ok(TestInfo { len: len as u64, odd: len % 2 == 1, begin })
    }

    async fn test_export_nothing(bridge: &Bridge) {
        assert!(!bridge.is_closed());
    }
}

/// The functions that C calls, by the declarations that the header has.
mod c {
    use super::*;

    #[allow(improper_ctypes)] // C does not look into a bridge
    extern "C" {
        pub fn test_export_info(
            rt: *mut NartTokio,
            a: *const c_char,
            b: *const c_char,
            c: *const c_char,
            d: *const u8,
            d_len: usize,
            add: u32,
            op: *mut NartTokioOp,
        ) -> Res;
        pub fn test_export_nothing(rt: *mut NartTokio, op: *mut NartTokioOp) -> Res;
    }
}

fn with_bridge(test: impl FnOnce(*mut NartTokio, &mut NartTokioOp)) {
    let bridge = Bridge::new(&Options::default()).unwrap();
    let watch = bridge.inner();
    let rt = bridge.into_c();
    let mut op = NartTokioOp::of(None);
    test(rt, &mut op);
    // SAFETY: both are live, and not used again.
    unsafe {
        nart_tokio_op_close(&mut op);
        nart_tokio_free(rt);
    }
    assert!(watch.is_closed());
}

fn wait(op: &NartTokioOp) -> Res {
    // SAFETY: it is live.
    let handle = unsafe { NartTokioOp::handle(op) }.unwrap();
    let mut value = 0;
    loop {
        match handle.peek(&mut value) {
            crate::sys::PENDING => std::thread::yield_now(),
            answer => return answer,
        }
    }
}

#[test]
fn arguments_are_copied_and_a_struct_is_read() {
    with_bridge(|rt, op| {
        let mut a = *b"four\0";
        let (c, d) = (c"12", [1, 2, 3]);
        let a_ptr = a.as_mut_ptr().cast::<c_char>();
        // SAFETY: the arguments are as declared.
        let r = unsafe {
            c::test_export_info(
                rt,
                a_ptr,
                std::ptr::null(),
                c.as_ptr(),
                d.as_ptr(),
                3,
                6,
                op,
            )
        };
        a.fill(0);
        assert_eq!((r, wait(op)), (0, 0));
        let mut info = TestInfo {
            len: 0,
            odd: false,
            begin: [0; 3],
        };
        let size = std::mem::size_of::<TestInfo>();
        // SAFETY: the operation is live, and `info` has that size.
        unsafe {
            assert_eq!(nart_tokio_op_read(op, (&raw mut info).cast(), size), 0);
            assert_eq!(
                nart_tokio_op_read(op, (&raw mut info).cast(), size - 1),
                crate::sys::EABI
            );
        }
        assert_eq!((info.len, info.odd, &info.begin), (15, true, b"fou"));
    });
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let null = std::ptr::null();
    let einval = errno(libc::EINVAL);
    let call = |a: *const c_char, c, d, n| {
        let mut answer = 0;
        with_bridge(|rt, op| {
            // SAFETY: the arguments are as declared.
            answer = unsafe { c::test_export_info(rt, a, null, c, d, n, 0, op) };
            assert_eq!(op.op.is_null(), answer != 0);
        });
        answer
    };
    let text = c"text".as_ptr();
    let nothing = std::ptr::null();
    assert_eq!(call(text, text, nothing, 0), 0);
    assert_eq!(call(null, text, nothing, 0), einval);
    assert_eq!(
        call(c"\xff".as_ptr(), text, nothing, 0),
        errno(libc::EILSEQ)
    );
    assert_eq!(call(text, null, nothing, 0), einval);
    assert_eq!(call(text, text, nothing, 1), einval);
}

#[test]
fn the_bridge_of_an_export_does_not_keep_it_open() {
    with_bridge(|rt, op| {
        // SAFETY: as declared.
        assert_eq!(unsafe { c::test_export_nothing(rt, op) }, 0);
        assert_eq!(wait(op), 0);
    });
}

#[test]
fn the_function_itself_is_one_of_rust() {
    let bridge = Bridge::new(&Options::default()).unwrap();
    let inner = bridge.inner();
    let future = async move {
        let info = test_export_info(&inner, "abc", Some("d"), c"", b"", 0).await;
        info.map(|info| info.len as i64)
    };
    let operation: Operation = bridge.spawn(future).unwrap();
    assert_eq!(wait(&operation.into_c()), 0);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the compiler knows of the public types, and what users rely on: which threads may have them, that they
//! can be printed, and that `?` converts errors.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::time::Duration;

use nart_tokio::byte_channel::{BytesReceiver, BytesSender, NartBytesRx, NartBytesTx};
use nart_tokio::cancel::{NartToken, Token};
use nart_tokio::channel::{NartRx, NartTx, Receiver, Sender};
use nart_tokio::oneshot::{OneshotReceiver, OneshotSender};
use nart_tokio::{
    Bridge, Cx, Error, Local, Loop, LoopHandle, LoopOptions, LoopThread, NartTokio, NartTokioLocal,
    NartTokioOp, NartTokioOpts, NartTokioReport, NartWaker, Operation, Options, Outcome, Refused,
    RemoteTask, Rt, Status, Stop, Task, TaskType,
};

use crate::errno;

fn is_send<T: Send>() {}
fn is_sync<T: Sync>() {}
fn is_debug<T: Debug>() {}
fn is_error<T: StdError + Send + Sync + 'static>() {}
fn is_send_future<T: Future + Send>(_: &T) {}

/// Does not compile if the type implements the trait: then there are two answers.
macro_rules! is_not {
    ($type:ty: $($of:ident),+) => {$({
        trait Either<A> {
            fn either() {}
        }
        impl<T: ?Sized> Either<()> for T {}
        #[allow(dead_code)]
        struct Implements;
        impl<T: ?Sized + $of> Either<Implements> for T {}
        <$type>::either();
    })+};
}

#[test]
fn what_threads_share() {
    is_send::<(Bridge, Error, Options, LoopHandle, NartWaker, Status)>();
    is_sync::<(Bridge, Error, Options, LoopHandle, NartWaker, Status)>();
    is_sync::<TaskType>();
    is_sync::<Token>();
    is_sync::<Stop>();
}

#[test]
fn what_moves_between_threads() {
    is_send::<(Operation, RemoteTask, LoopThread, LoopOptions)>();
    is_send::<(Sender<u64>, Receiver<u64>)>();
    is_send::<(BytesSender, BytesReceiver)>();
    is_send::<(OneshotSender<u64>, OneshotReceiver<u64>)>();
    is_send::<(Token, Outcome, Refused<u64>)>();
}

#[test]
fn what_stays_on_its_thread() {
    is_not!(Loop: Send, Sync);
    is_not!(Task: Send, Sync);
    is_not!(Local: Send, Sync);
    is_not!(Cx: Send, Sync);
    is_not!(Operation: Sync);
    is_not!(Receiver<u64>: Sync);
}

#[test]
fn futures_of_the_ends_move_between_threads() {
    fn of(tx: &mut Sender<u64>, rx: &mut Receiver<u64>, bytes: &mut BytesReceiver) {
        is_send_future(&tx.send(1));
        is_send_future(&rx.recv());
        is_send_future(&bytes.recv());
    }
    fn of_a_loop(handle: &LoopHandle, thread: LoopThread) {
        is_send_future(&handle.call(Loop::task_count));
        is_send_future(&thread.shutdown(Duration::ZERO));
    }
    fn of_a_bridge(bridge: &Bridge) {
        is_send_future(&bridge.shutdown_async(Duration::ZERO));
    }
    let _ = (of, of_a_loop, of_a_bridge);
}

#[test]
fn all_types_can_be_printed() {
    is_debug::<(
        Bridge,
        Error,
        Options,
        Outcome,
        Status,
        Operation,
        Refused<fn()>,
    )>();
    is_debug::<(
        Loop,
        LoopHandle,
        LoopOptions,
        LoopThread,
        Task,
        RemoteTask,
        Local,
    )>();
    is_debug::<(Sender<u64>, Receiver<u64>, BytesSender, BytesReceiver)>();
    is_debug::<(OneshotSender<u64>, OneshotReceiver<u64>, Token)>();
    is_debug::<(NartRx, NartTx, NartBytesRx, NartBytesTx, NartToken)>();
    is_debug::<(
        NartTokio,
        NartTokioOp,
        NartTokioLocal,
        NartTokioOpts,
        NartTokioReport,
    )>();
    is_debug::<(Cx, Rt, NartWaker, TaskType, Stop)>();

    let bridge = Bridge::new(&Options::new()).unwrap();
    let text = format!("{bridge:?}");
    assert!(text.starts_with("Bridge { closed: false"), "{text}");
    let text = format!("{:?}", bridge.local(async { 7 }));
    assert_eq!(text, "Local { outcome: None, .. }");
    let text = format!("{:?}", crate::body::BODY);
    assert_eq!(text, r#"TaskType { name: "body", size: 8, align: 8, .. }"#);
    bridge.shutdown(Duration::from_secs(300)).unwrap();
}

/// A future that is neither Sync nor printed does not keep its error from being one.
#[test]
fn errors_are_errors() {
    fn submit(bridge: &Bridge) -> Result<(), Error> {
        bridge.spawn(std::future::ready(1))?.detach();
        Ok(())
    }
    fn read() -> Result<(), Error> {
        std::fs::read("/nowhere/at/all")?;
        Ok(())
    }
    fn write(bridge: &Bridge) -> io::Result<()> {
        submit(bridge)?;
        Ok(())
    }
    fn all(bridge: &Bridge) -> Result<(), Box<dyn StdError + Send + Sync>> {
        bridge.spawn(std::future::ready(1))?.detach();
        submit(bridge)?;
        Ok(())
    }
    is_error::<Error>();
    is_error::<Refused<u64>>();
    let bridge = Bridge::new(&Options::new()).unwrap();
    bridge.shutdown(Duration::from_secs(300)).unwrap();
    assert!(submit(&bridge).unwrap_err().is_shutdown());
    assert_eq!(read().unwrap_err().raw_os_error(), Some(libc::ENOENT));
    assert_eq!(write(&bridge).unwrap_err().kind(), io::ErrorKind::Other);
    let boxed = all(&bridge).unwrap_err();
    assert!(boxed.to_string().contains("shut"), "{boxed}");
    let refused = bridge.spawn(std::future::ready(1)).unwrap_err();
    assert!(refused.error().is_shutdown());
    assert_eq!(refused.code, refused.error().code());
    assert_ne!(refused.code, errno(libc::EIO));
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A loop as a guest of a tokio runtime: its tasks, and how it is driven and ended.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::future::{pending, poll_fn, Future};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use nart_tokio::channel::spsc;
use nart_tokio::{
    nart_tokio_op_await, nart_tokio_op_close, Bridge, Cx, Loop, LoopOptions, NartWaker, Options,
    Res, TaskType,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Handle};
use tokio::task::{yield_now, LocalSet};

use crate::body::*;
use crate::{errno, on_each_flavour, one_thread};

const LONG: Duration = Duration::from_secs(300);

fn guest() -> Loop {
    Loop::new(LoopOptions::new()).unwrap()
}

/// The poll of a task that is always ready.
fn hog(cx: *mut Cx) -> Res {
    waker(cx).wake();
    park(cx)
}

/// Lets the tasks that are ready have one turn each.
async fn next_turn() {
    let mut again = true;
    poll_fn(|cx| match std::mem::take(&mut again) {
        true => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await;
}

/// Sets its flag when it is dropped.
struct Flag(Rc<Cell<bool>>);

impl Drop for Flag {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

// ---- answers ----

#[test]
fn a_task_of_c_is_awaited() {
    on_each_flavour(|| async {
        let guest = guest();
        let all = async {
            assert_eq!(spawn(&guest, |_| 42).await, Ok(42));
            assert_eq!(spawn(&guest, sleep(1_000_000)).await, Ok(0));
            let failed = spawn(&guest, |_| errno(libc::ENOENT)).await.unwrap_err();
            assert_eq!(failed.code(), errno(libc::ENOENT));
            let wrong = spawn(&guest, |_| -1_000_000).await.unwrap_err();
            assert_eq!(wrong.code(), errno(libc::EINVAL));
        };
        guest.run_until(all).await.unwrap();
        assert_eq!(guest.task_count(), 0);
    });
}

#[test]
fn the_frame_is_dropped_before_the_answer() {
    on_each_flavour(|| async {
        let guest = guest();
        let dropped = Rc::new(Cell::new(false));
        let flag = Flag(dropped.clone());
        let task = spawn(&guest, move |_| i64::from(flag.0.get()));
        assert!(!dropped.get());
        assert_eq!(guest.run_until(task).await.unwrap(), Ok(0));
        assert!(dropped.get());
    });
}

#[test]
fn a_panic_is_the_answer() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("in the drop");
        }
    }
    on_each_flavour(|| async {
        let guest = guest();
        let task = spawn(&guest, |_| panic!("in the poll"));
        let error = guest.run_until(task).await.unwrap().unwrap_err();
        assert_eq!(
            (error.code(), error.to_string()),
            (-4098, "in the poll".into())
        );
        let panics = Panics;
        let task = spawn(&guest, move |_| {
            let _captured = &panics;
            7
        });
        let error = guest.run_until(task).await.unwrap().unwrap_err();
        assert_eq!(
            (error.code(), error.to_string()),
            (-4098, "in the drop".into())
        );
        assert_eq!(guest.run_until(spawn(&guest, |_| 1)).await.unwrap(), Ok(1));
    });
}

#[test]
fn frames_are_copied_whatever_their_size() {
    #[repr(C, align(64))]
    struct Large<const N: usize>([u8; N]);
    unsafe extern "C-unwind" fn sum<const N: usize>(_: *mut Cx, frame: *mut c_void) -> Res {
        assert_eq!(frame.addr() % 64, 0);
        // SAFETY: the frame is a Large<N>.
        let large = unsafe { &*frame.cast::<Large<N>>() };
        large.0.iter().map(|&b| Res::from(b)).sum()
    }
    static SMALL: TaskType = TaskType::of::<Large<64>>(c"small", sum::<64>, None);
    static SLOT: TaskType = TaskType::of::<Large<4096>>(c"slot", sum::<4096>, None);
    static BOXED: TaskType = TaskType::of::<Large<100_032>>(c"boxed", sum::<100_032>, None);
    on_each_flavour(|| async {
        let guest = guest();
        let (small, slot, boxed) = (Large([1; 64]), Large([1; 4096]), Large([1; 100_032]));
        let frames: [(&'static TaskType, *const c_void, i64); 4] = [
            (&SMALL, (&raw const small).cast(), 64),
            (&SLOT, (&raw const slot).cast(), 4096),
            (&BOXED, (&raw const boxed).cast(), 100_032),
            (&BOXED, std::ptr::null(), 0),
        ];
        for (of, init, want) in frames {
            // SAFETY: a frame of that type, or zeroed.
            let task = unsafe { guest.spawn(of, init) }.unwrap();
            assert_eq!(guest.run_until(task).await.unwrap(), Ok(want));
        }
    });
}

#[test]
fn cancel_abort_detach_and_drop() {
    on_each_flavour(|| async {
        let guest = guest();
        let task = spawn(&guest, sleep(i64::MAX));
        task.cancel();
        let error = guest.run_until(task).await.unwrap().unwrap_err();
        assert_eq!(error.code(), EABORTED);

        let task = spawn(&guest, |_| PENDING); // it ignores cancellation
        task.cancel();
        assert!(guest.run_until(once(yield_now())).await.is_ok());
        assert_eq!(guest.task_count(), 1);
        task.abort();
        let error = guest.run_until(task).await.unwrap().unwrap_err();
        assert_eq!(error.code(), EABORTED);

        let ran = Rc::new(Cell::new(0));
        for detach in [true, false] {
            let (ran, mut sleep) = (ran.clone(), sleep(1_000_000));
            let task = spawn(&guest, move |cx| {
                let r = sleep(cx);
                ran.set(ran.get() + i32::from(r == 0));
                r
            });
            match detach {
                true => task.detach(),
                false => drop(task),
            }
        }
        guest.drive().await.unwrap();
        assert_eq!(ran.get(), 2);
        let ended = spawn(&guest, |_| 5);
        guest.drive().await.unwrap();
        ended.cancel(); // no effect
        ended.abort();
        assert_eq!(ended.await, Ok(5));
    });
}

// ---- both worlds ----

/// A number that one side sets and the other awaits.
#[derive(Default)]
struct Turn {
    at: Cell<u64>,
    c: Cell<Option<NartWaker>>,
    rust: RefCell<Option<Waker>>,
}

impl Turn {
    fn set(&self, at: u64) {
        self.at.set(at);
        if let Some(waker) = self.c.take() {
            waker.wake();
        }
        if let Some(waker) = self.rust.take() {
            waker.wake();
        }
    }

    async fn reaches(&self, at: u64) {
        let wait = |cx: &mut std::task::Context<'_>| {
            if self.at.get() >= at {
                return Poll::Ready(());
            }
            *self.rust.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        };
        poll_fn(wait).await;
    }
}

/// A task of C that answers each odd number with the next even one.
fn echo(ping: Rc<Turn>, pong: Rc<Turn>, last: u64) -> impl FnMut(*mut Cx) -> Res {
    let mut next = 1;
    move |cx| loop {
        if ping.at.get() < next {
            ping.c.set(Some(waker(cx)));
            return park(cx);
        }
        pong.set(next + 1);
        next += 2;
        if next > last {
            return 0;
        }
    }
}

#[test]
fn a_hundred_thousand_round_trips_from_rust() {
    const N: u64 = 200_000;
    on_each_flavour(|| async {
        let guest = guest();
        let (ping, pong) = (Rc::new(Turn::default()), Rc::new(Turn::default()));
        let task = spawn(&guest, echo(ping.clone(), pong.clone(), N));
        let all = async {
            for n in (1..N).step_by(2) {
                ping.set(n);
                pong.reaches(n + 1).await;
            }
            task.await
        };
        assert_eq!(guest.run_until(all).await.unwrap(), Ok(0));
    });
}

/// The same from a task of tokio's beside the one that drives.
#[test]
fn a_hundred_thousand_round_trips_between_tokio_tasks() {
    const N: u64 = 200_000;
    on_each_flavour(|| async {
        let guest = Rc::new(guest());
        let (ping, pong) = (Rc::new(Turn::default()), Rc::new(Turn::default()));
        spawn(&guest, echo(ping.clone(), pong.clone(), N)).detach();
        let local = LocalSet::new();
        let driver = local.spawn_local(async move { guest.drive().await });
        let client = async {
            for n in (1..N).step_by(2) {
                ping.set(n);
                pong.reaches(n + 1).await;
            }
            driver.await.unwrap()
        };
        assert_eq!(local.run_until(client).await, Ok(()));
    });
}

/// Both sides know that the thread is awake: no descriptor is written and read.
#[test]
fn wakes_on_the_loops_thread_need_no_descriptor() {
    on_each_flavour(|| async {
        let guest = Rc::new(guest());
        let (ping, pong) = (Rc::new(Turn::default()), Rc::new(Turn::default()));
        let task = spawn(&guest, echo(ping.clone(), pong.clone(), 2000));
        let local = LocalSet::new();
        let driven = guest.clone();
        local.spawn_local(async move { driven.drive().await });
        let client = async {
            for n in (1..2000).step_by(2) {
                ping.set(n);
                pong.reaches(n + 1).await;
                if n % 100 == 1 {
                    let pause = || tokio::time::sleep(Duration::from_millis(1)); // the thread waits
                    pause().await;
                    let sleeper = spawn(&guest, sleep(i64::MAX));
                    pause().await;
                    sleeper.cancel();
                }
                if n % 1000 == 51 {
                    for _ in 0..10_000 {
                        spawn(&guest, |_| 0).detach(); // more than the turns between two of this future's poll
                    }
                    next_turn().await;
                }
            }
            task.await
        };
        assert_eq!(local.run_until(client).await, Ok(0));
        assert_eq!(notifications(&guest), 0);
    });
}

/// The same for values that Rust sends.
#[test]
fn values_sent_on_the_loops_thread_need_no_descriptor() {
    on_each_flavour(|| async {
        let guest = guest();
        // SAFETY: the runtime of this thread.
        let (mut tx, rx) = unsafe { spsc::<u64>(guest.as_c(), 1) }.unwrap();
        let (mut rx, mut sum) = (Box::new(rx.into_c()), 0);
        let task = spawn(&guest, move |cx| loop {
            let mut value = 0_u64;
            // SAFETY: called inside a poll; the receiver is open, and does not move.
            let r = unsafe { nart__recv_slow(cx, &mut *rx, (&raw mut value).cast(), 8) };
            if r == PENDING {
                return r;
            }
            assert_eq!(r, 0);
            sum += value;
            if value == 1000 {
                // SAFETY: as above.
                unsafe { nart_rx_close(&mut *rx) };
                return sum as Res;
            }
        });
        let client = async {
            for n in 1..=1000 {
                match n % 2 {
                    0 => tx.send(n).await.unwrap(),
                    _ => tx.try_send(n).unwrap(),
                }
                tokio::task::yield_now().await; // the loop receives it, and waits
                next_turn().await;
            }
            task.await
        };
        assert_eq!(guest.run_until(client).await, Ok(Ok(500_500)));
        assert_eq!(notifications(&guest), 0);
    });
}

/// A task of C awaits futures, through an adopted bridge.
#[test]
fn a_hundred_thousand_round_trips_from_c() {
    const N: i64 = 100_000;
    on_each_flavour(|| async {
        let guest = guest();
        let bridge = Bridge::adopt(Handle::current(), &Options::default()).unwrap();
        let submit = bridge.clone();
        let (mut i, mut sum) = (0, 0);
        let mut op = None;
        let task = spawn(&guest, move |cx| loop {
            let open = op.get_or_insert_with(|| {
                let waits = i % 1000 == 0; // some of them wait
                let future = async move {
                    if waits {
                        tokio::time::sleep(Duration::from_micros(1)).await;
                    }
                    i
                };
                submit.spawn(future).unwrap().into_c()
            });
            let mut value = 0;
            // SAFETY: the operation is open, and this is a poll.
            let r = unsafe { nart_tokio_op_await(cx, open, &mut value) };
            if r == PENDING {
                return r;
            }
            assert_eq!((r, value), (0, i));
            // SAFETY: as above.
            unsafe { nart_tokio_op_close(open) };
            op = None;
            (i, sum) = (i + 1, sum + value);
            if i == N {
                return sum;
            }
        });
        assert_eq!(guest.run_until(task).await.unwrap(), Ok(N * (N - 1) / 2));
        bridge.shutdown_async(LONG).await.unwrap();
    });
}

/// Wakes of another thread, while the loop is about to wait.
#[test]
fn a_hundred_thousand_wakes_from_a_thread() {
    const N: usize = 100_000;
    on_each_flavour(|| async {
        let guest = guest();
        let sent = Arc::new(AtomicU64::new(0));
        let word = Arc::new(AtomicUsize::new(0));
        let (seen, waker_word) = (sent.clone(), word.clone());
        let mut had = 0;
        let task = spawn(&guest, move |cx| {
            waker_word.store(waker(cx).w, SeqCst);
            had = had.max(seen.load(SeqCst));
            match had as usize {
                N => 0,
                _ => park(cx),
            }
        });
        let thread = std::thread::spawn(move || {
            for n in 1..=N {
                sent.store(n as u64, SeqCst);
                NartWaker {
                    w: word.load(SeqCst),
                }
                .wake();
                for _ in 0..n % 200 {
                    std::hint::spin_loop();
                }
            }
            while word.load(SeqCst) == 0 {
                std::thread::yield_now(); // not polled yet: it will see all
            }
        });
        assert_eq!(guest.run_until(task).await.unwrap(), Ok(0));
        thread.join().unwrap();
    });
}

// ---- driving ----

#[test]
fn a_loop_with_timers_only() {
    on_each_flavour(|| async {
        let guest = guest();
        let begun = Instant::now();
        for ms in [1, 5, 3] {
            let mut left = 10;
            let mut pause = sleep(ms * 1_000_000);
            spawn(&guest, move |cx| loop {
                match pause(cx) {
                    0 if left > 1 => (left, pause) = (left - 1, sleep(ms * 1_000_000)),
                    r => return r,
                }
            })
            .detach();
        }
        guest.drive().await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(50)); // never early
    });
}

/// A task of C that echoes, and the other end of its stream.
fn echo_stream(guest: &Loop) -> UnixStream {
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut fd = Box::new(Fd::default());
    // SAFETY: the handle is empty; it borrows the descriptor.
    let r = unsafe { nart_fd_open(guest.as_c(), ours.as_raw_fd(), 1, &mut *fd) };
    assert_eq!(r, 0);
    spawn(guest, move |cx| loop {
        // SAFETY: the handle is open; this is a poll.
        let r = unsafe { nart_fd_ready(cx, &mut *fd, NART_READ) };
        if r < 0 {
            return r;
        }
        let mut bytes = [0; 64];
        match ours.read(&mut bytes) {
            // SAFETY: as above.
            Ok(0) => return unsafe { nart_fd_close(&mut *fd) },
            Ok(n) => ours.write_all(&bytes[..n]).unwrap(),
            // SAFETY: as above.
            Err(e) if e.kind() == ErrorKind::WouldBlock => unsafe {
                nart_fd_clear(&mut *fd, NART_READ);
            },
            Err(e) => panic!("{e}"),
        }
    })
    .detach();
    UnixStream::from_std(theirs).unwrap()
}

async fn exchange(stream: &UnixStream, n: u32) {
    let write = || stream.try_write(&n.to_le_bytes());
    assert_eq!(stream.async_io(Interest::WRITABLE, write).await.unwrap(), 4);
    let mut bytes = [0; 4];
    let read = || stream.try_read(&mut bytes);
    assert_eq!(stream.async_io(Interest::READABLE, read).await.unwrap(), 4);
    assert_eq!(u32::from_le_bytes(bytes), n);
}

#[test]
fn a_loop_with_sockets() {
    on_each_flavour(|| async {
        let guest = guest();
        let clients: Vec<UnixStream> = (0..8).map(|_| echo_stream(&guest)).collect();
        let talk = async {
            for n in 0..2000 {
                exchange(&clients[n as usize % clients.len()], n).await;
            }
        };
        guest.run_until(talk).await.unwrap();
        drop(clients);
        guest.drive().await.unwrap(); // each of them sees the end of its stream
    });
}

/// The edge of the socket is not lost with the turn that polls the woken task.
#[test]
fn a_wake_and_a_socket_at_once() {
    on_each_flavour(|| async {
        let guest = Rc::new(guest());
        let stream = echo_stream(&guest);
        let turn = Rc::new(Turn::default());
        let waits = turn.clone();
        let sleeper = spawn(&guest, move |cx| {
            waits.c.set(Some(waker(cx)));
            park(cx)
        });
        let local = LocalSet::new();
        let driven = guest.clone();
        let driver = local.spawn_local(async move { driven.drive().await });
        let client = async {
            for n in 0..200 {
                tokio::time::sleep(Duration::from_millis(1)).await; // the loop waits
                turn.set(0);
                exchange(&stream, n).await;
            }
            sleeper.abort();
            drop(stream);
            driver.await.unwrap()
        };
        assert_eq!(local.run_until(client).await, Ok(()));
    });
}

#[test]
fn driving_is_dropped_and_begun_again() {
    on_each_flavour(|| async {
        let guest = guest();
        let (ping, pong) = (Rc::new(Turn::default()), Rc::new(Turn::default()));
        spawn(&guest, echo(ping.clone(), pong.clone(), 2000)).detach();
        spawn(&guest, sleep(20_000_000)).detach();
        for n in (1..2000).step_by(2) {
            ping.set(n); // also while nobody drives
            while once(guest.run_until(pong.reaches(n + 1)))
                .await
                .is_pending()
            {
                yield_now().await;
            }
        }
        while tokio::time::timeout(Duration::from_millis(1), guest.drive())
            .await
            .is_err()
        {}
        assert_eq!(guest.task_count(), 0);
    });
}

#[test]
fn tasks_are_spawned_while_the_loop_waits() {
    on_each_flavour(|| async {
        let guest = guest();
        let late = async {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert_eq!(spawn(&guest, |_| 3).await, Ok(3));
            }
        };
        guest.run_until(late).await.unwrap();
    });
}

#[test]
fn a_task_that_is_always_ready_shares_the_thread() {
    on_each_flavour(|| async {
        let guest = guest();
        let hog = spawn(&guest, hog);
        let others = async {
            for _ in 0..1000 {
                yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        guest.run_until(others).await.unwrap();
        hog.abort();
        guest.drive().await.unwrap();
    });
}

#[test]
fn a_loop_is_not_driven_twice() {
    on_each_flavour(|| async {
        let guest = Rc::new(guest());
        let inside = guest.clone();
        let task = spawn(&guest, move |_| {
            let mut cx = std::task::Context::from_waker(Waker::noop());
            let mut nested = Box::pin(inside.drive());
            match nested.as_mut().poll(&mut cx) {
                Poll::Ready(Err(error)) => error.code(),
                _ => 1,
            }
        });
        let twice = async {
            let second = guest.drive().await.unwrap_err();
            assert_eq!(second.code(), errno(libc::EDEADLK));
            task.await
        };
        let answer = guest.run_until(twice).await.unwrap();
        assert_eq!(answer.unwrap_err().code(), errno(libc::EDEADLK));
    });
}

#[test]
fn two_loops_on_one_thread() {
    on_each_flavour(|| async {
        let (first, second) = (guest(), guest());
        let (ping, pong) = (Rc::new(Turn::default()), Rc::new(Turn::default()));
        let task = spawn(&second, echo(ping.clone(), pong.clone(), 20_000));
        let mut next = 1;
        let client = spawn(&first, move |cx| {
            while next < 20_000 {
                ping.set(next);
                if pong.at.get() <= next {
                    pong.c.set(Some(waker(cx)));
                    return park(cx);
                }
                next += 2;
            }
            0
        });
        let both = first.run_until(second.run_until(async { (client.await, task.await) }));
        assert_eq!(both.await.unwrap().unwrap(), (Ok(0), Ok(0)));
    });
}

#[test]
fn a_panic_of_the_future_leaves_the_loop_usable() {
    for runtime in [one_thread(), crate::two_workers()] {
        let guest = guest();
        let task = spawn(&guest, sleep(1_000_000));
        let panics = async {
            yield_now().await;
            panic!("of the future");
        };
        let run = AssertUnwindSafe(|| runtime.block_on(guest.run_until(panics)));
        assert!(catch_unwind(run).is_err());
        assert_eq!(runtime.block_on(guest.run_until(task)).unwrap(), Ok(0));
    }
}

#[test]
fn a_runtime_without_timers_or_io_is_refused() {
    let guest = guest();
    let drive = |builder: &mut Builder| {
        let runtime = builder.build().unwrap();
        runtime.block_on(guest.drive()).unwrap_err().to_string()
    };
    let no_time = drive(Builder::new_current_thread().enable_io());
    assert!(no_time.contains("no timers: call enable_time()"));
    let no_io = drive(Builder::new_current_thread().enable_time());
    assert!(no_io.contains("no I/O: call enable_io()"));
    assert_eq!(one_thread().block_on(guest.drive()), Ok(()));
}

/// The loop is in the list of its thread, and must leave it.
#[test]
fn a_driving_that_is_forgotten() {
    on_each_flavour(|| async {
        let second = guest();
        let word = Rc::new(Cell::new(None));
        let given = word.clone();
        let task = spawn(&second, move |cx| match given.replace(Some(waker(cx))) {
            None => park(cx),
            Some(_) => 0,
        });
        let _ = once(second.drive()).await;
        let first = guest();
        let mut driving = Box::pin(first.drive());
        spawn(&first, sleep(i64::MAX)).detach();
        assert!(once(driving.as_mut()).await.is_pending());
        std::mem::forget(driving);
        let again = first.drive().await.unwrap_err();
        assert_eq!(again.code(), errno(libc::EDEADLK));
        drop(first);
        let wake: NartWaker = word.get().unwrap();
        wake.wake();
        assert_eq!(second.run_until(task).await.unwrap(), Ok(0));
    });
}

// ---- the end ----

#[test]
fn a_loop_is_dropped_with_its_tasks() {
    on_each_flavour(|| async {
        let dropped = Rc::new(Cell::new(false));
        for driven in [false, true] {
            let guest = guest();
            let flag = Flag(dropped.clone());
            let mut pause = sleep(i64::MAX);
            let task = spawn(&guest, move |cx| {
                let _captured = &flag;
                pause(cx)
            });
            if driven {
                let _ = once(guest.drive()).await;
            }
            drop(guest);
            assert!(dropped.take());
            task.cancel(); // no effect
            assert_eq!(task.await.unwrap_err().code(), EABORTED);
        }
    });
}

#[test]
fn a_shutdown_gives_tasks_time() {
    on_each_flavour(|| async {
        let guest = guest();
        let (mut pause, mut polls) = (sleep(i64::MAX), 0);
        let polite = spawn(&guest, move |cx| match pause(cx) {
            PENDING => PENDING,
            r if polls == 200 => r,
            _ => {
                polls += 1;
                waker(cx).wake();
                PENDING
            }
        });
        let _ = once(guest.drive()).await;
        assert_eq!(guest.shutdown(LONG).await, Ok(()));
        assert_eq!(polite.await.unwrap_err().code(), EABORTED);
        let empty = self::guest();
        assert_eq!(empty.shutdown(Duration::ZERO).await, Ok(()));
    });
}

#[test]
fn a_task_that_ignores_the_shutdown_is_reported() {
    on_each_flavour(|| async {
        let lines = Arc::new(AtomicUsize::new(0));
        let count = lines.clone();
        let report = move |_: &str| {
            count.fetch_add(1, SeqCst);
        };
        let guest = Loop::new(LoopOptions::new().name("hot").report(report)).unwrap();
        let deaf = spawn(&guest, |_| PENDING);
        let error = guest.shutdown(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.code(), errno(libc::ETIMEDOUT));
        assert!(error.to_string().starts_with("hot: "), "{error}");
        assert!(error.to_string().contains("body"), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
        assert_eq!(lines.load(SeqCst), 0);
        assert_eq!(deaf.await.unwrap_err().code(), EABORTED);
    });
}

#[test]
fn the_report_function_is_called() {
    on_each_flavour(|| async {
        let lines = Arc::new(AtomicUsize::new(0));
        let count = lines.clone();
        let report = move |line: &str| {
            count.fetch_add(usize::from(line.contains("body")), SeqCst);
        };
        let guest = Loop::new(LoopOptions::new().report(report)).unwrap();
        drop(spawn(&guest, |_| PENDING));
        drop(guest);
        assert_eq!(lines.load(SeqCst), 1);
    });
}

#[test]
fn a_shutdown_that_is_dropped_ends_the_loop() {
    on_each_flavour(|| async {
        let guest = guest();
        let deaf = spawn(&guest, |_| PENDING);
        assert!(once(guest.shutdown(LONG)).await.is_pending());
        assert_eq!(deaf.await.unwrap_err().code(), EABORTED);
    });
}

/// A task owns its loop, which cannot be freed inside a drop of its own: it is leaked.
#[test]
fn a_loop_that_is_dropped_in_its_own_poll() {
    on_each_flavour(|| async {
        let (outer, inner) = (guest(), guest());
        let mut owned = Some(inner);
        let task = spawn(&outer, move |_| {
            drop(owned.take()); // another loop's poll: it is freed
            0
        });
        assert_eq!(outer.run_until(task).await.unwrap(), Ok(0));

        let lines = Arc::new(AtomicUsize::new(0));
        let count = lines.clone();
        let report = move |_: &str| {
            count.fetch_add(1, SeqCst);
        };
        let inner = Rc::new(Loop::new(LoopOptions::new().report(report)).unwrap());
        spawn(&inner, |_| PENDING).detach();
        let own = Rc::downgrade(&inner);
        let held = Rc::new(RefCell::new(Some(inner)));
        let task = held.clone();
        let rt = held.borrow().as_ref().unwrap().as_c();
        let body = move |_| {
            task.take();
            i64::from(own.upgrade().is_some())
        };
        let answer = spawn(held.borrow().as_ref().unwrap(), body);
        extern "C" {
            fn nart_rt_poll(rt: *mut nart_tokio::Rt, timeout_ns: i64) -> Res;
            fn nart_rt_free(rt: *mut nart_tokio::Rt) -> Res;
        }
        // SAFETY: the runtime is live; leaked by its owner, it is this test's.
        assert_eq!(unsafe { nart_rt_poll(rt, 0) }, 2);
        assert_eq!(answer.await, Ok(0));
        assert_eq!(Arc::strong_count(&lines), 2); // it may still report
                                                  // SAFETY: as above.
        assert_eq!(unsafe { nart_rt_free(rt) }, 0);
        assert_eq!(lines.load(SeqCst), 1);
    });
}

/// Operations in flight end with the frames that hold them.
#[test]
fn a_loop_ends_with_operations_in_flight() {
    on_each_flavour(|| async {
        let guest = guest();
        let bridge = Bridge::adopt(Handle::current(), &Options::default()).unwrap();
        struct Open(nart_tokio::NartTokioOp);
        impl Drop for Open {
            fn drop(&mut self) {
                // SAFETY: it is open.
                unsafe { nart_tokio_op_close(&mut self.0) };
            }
        }
        let mut open = Open(bridge.spawn(pending::<i64>()).unwrap().into_c());
        let task = spawn(&guest, move |cx| {
            let open = &mut open;
            // SAFETY: the operation is open, and this is a poll.
            unsafe { nart_tokio_op_await(cx, &mut open.0, &mut 0) }
        });
        let _ = once(guest.drive()).await;
        assert_eq!(guest.shutdown(LONG).await, Ok(()));
        assert_eq!(task.await.unwrap_err().code(), EABORTED);
        bridge.shutdown_async(LONG).await.unwrap();
    });
}

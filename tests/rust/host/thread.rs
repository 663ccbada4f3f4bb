// SPDX-License-Identifier: MIT OR Apache-2.0
//! A loop on a thread of its own: its tasks, its calls, and its end.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::Arc;
use std::time::Duration;

use nart_tokio::{Cx, LoopHandle, LoopOptions, LoopThread, RemoteTask, Res, Rt, TaskType};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::body::*;
use crate::{errno, on_each_flavour, one_thread};

const LONG: Duration = Duration::from_secs(300);
const ESHUTDOWN: Res = -4099;
const ESTALE: Res = -4103;

extern "C" {
    fn nart_rt_stop(rt: *mut Rt);
}

fn hot() -> LoopThread {
    LoopThread::new(LoopOptions::new().name("hot")).unwrap()
}

/// A task whose frame counts its drop, and whose poll is one of those below.
struct Counted {
    drops: *const AtomicU64,
    timer: Timer,
    value: Res,
}

unsafe extern "C-unwind" fn answers(_: *mut Cx, frame: *mut c_void) -> Res {
    // SAFETY: the frame is a Counted.
    unsafe { (*frame.cast::<Counted>()).value }
}

unsafe extern "C-unwind" fn sleeps(cx: *mut Cx, frame: *mut c_void) -> Res {
    // SAFETY: the frame is a Counted, and this is its poll.
    unsafe { nart_sleep(cx, &mut (*frame.cast::<Counted>()).timer, i64::MAX) }
}

unsafe extern "C-unwind" fn ignores(_: *mut Cx, _: *mut c_void) -> Res {
    PENDING
}

unsafe extern "C-unwind" fn counts(frame: *mut c_void) {
    // SAFETY: the frame is a Counted, whose counter is an Arc's.
    let drops = unsafe { Arc::from_raw((*frame.cast::<Counted>()).drops) };
    drops.fetch_add(1, SeqCst);
}

static ANSWERS: TaskType = TaskType::of::<Counted>(c"answers", answers, Some(counts));
static SLEEPS: TaskType = TaskType::of::<Counted>(c"sleeps", sleeps, Some(counts));
static IGNORES: TaskType = TaskType::of::<Counted>(c"ignores", ignores, Some(counts));

fn spawn(
    hot: &LoopHandle,
    of: &'static TaskType,
    value: Res,
    drops: &Arc<AtomicU64>,
) -> Result<RemoteTask, Res> {
    let frame = Counted {
        drops: Arc::into_raw(drops.clone()),
        timer: Timer::default(),
        value,
    };
    // SAFETY: the frame is of that type.
    unsafe { hot.spawn(of, (&raw const frame).cast()) }.map_err(|error| {
        // SAFETY: it is still this function's.
        drop(unsafe { Arc::from_raw(frame.drops) });
        error.code()
    })
}

#[test]
fn tasks_are_awaited_on_other_threads() {
    on_each_flavour(|| async {
        let (hot, drops) = (hot(), Arc::new(AtomicU64::new(0)));
        let handle = hot.handle();
        for value in 0..2000 {
            let task = spawn(&handle, &ANSWERS, value, &drops).unwrap();
            assert_eq!(task.await, Ok(value));
            assert_eq!(drops.load(SeqCst), value as u64 + 1); // before the answer
        }
        let failed = spawn(&handle, &ANSWERS, errno(libc::EPERM), &drops).unwrap();
        assert_eq!(failed.await.unwrap_err().code(), errno(libc::EPERM));
        let task = spawn(&handle, &SLEEPS, 0, &drops).unwrap();
        task.cancel().unwrap();
        assert_eq!(task.await.unwrap_err().code(), EABORTED);
        let task = spawn(&handle, &IGNORES, 0, &drops).unwrap();
        task.abort().unwrap();
        assert_eq!(task.await.unwrap_err().code(), EABORTED);
        spawn(&handle, &ANSWERS, 0, &drops).unwrap().detach();
        assert_eq!(hot.shutdown(LONG).await, Ok(()));
        assert_eq!((drops.load(SeqCst), Arc::strong_count(&drops)), (2004, 1));
    });
}

#[test]
fn functions_are_called_on_the_thread() {
    on_each_flavour(|| async {
        let hot = hot();
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(
            hot.handle().call(move |_| name()).await,
            Ok(Some("hot".into()))
        );
        let inside = hot
            .handle()
            .call(|hot| crate::body::spawn(hot, |_| 5).detach());
        inside.await.unwrap();
        let error = hot.handle().call(|_| panic!("in the call")).await;
        let error: nart_tokio::Error = error.unwrap_err();
        assert_eq!(
            (error.code(), error.to_string()),
            (-4098, "in the call".into())
        );
        // SAFETY: the loop is live.
        let stop = hot.handle().call(|hot| unsafe { nart_rt_stop(hot.as_c()) });
        stop.await.unwrap();
        assert_eq!(hot.handle().call(|_| 1).await, Ok(1)); // it continues
    });
}

#[test]
fn threads_call_at_the_same_time() {
    let hot = hot();
    let sum = Arc::new(AtomicU64::new(0));
    let threads = [0, 1, 2, 3].map(|_| {
        let (handle, sum) = (hot.handle(), sum.clone());
        std::thread::spawn(move || {
            one_thread().block_on(async {
                for _ in 0..5000 {
                    let sum = sum.clone();
                    handle
                        .call(move |_| sum.fetch_add(1, SeqCst))
                        .await
                        .unwrap();
                }
            });
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(sum.load(SeqCst), 20_000);
}

#[test]
fn dropping_it_ends_its_tasks() {
    let drops = Arc::new(AtomicU64::new(0));
    let hot = hot();
    let task = spawn(&hot.handle(), &SLEEPS, 0, &drops).unwrap();
    let handle = hot.handle();
    drop(hot);
    assert_eq!((drops.load(SeqCst), Arc::strong_count(&drops)), (1, 1));
    assert!(handle.is_closed());
    one_thread().block_on(async {
        assert_eq!(task.await.unwrap_err().code(), EABORTED);
        assert_eq!(handle.call(|_| ()).await.unwrap_err().code(), ESTALE);
    });
    // What is refused stays the caller's.
    assert_eq!(spawn(&handle, &ANSWERS, 0, &drops).unwrap_err(), ESTALE);
    assert_eq!((drops.load(SeqCst), Arc::strong_count(&drops)), (1, 1));
}

#[test]
fn a_task_that_ignores_the_shutdown_is_reported() {
    on_each_flavour(|| async {
        let (hot, drops) = (hot(), Arc::new(AtomicU64::new(0)));
        let deaf = spawn(&hot.handle(), &IGNORES, 0, &drops).unwrap();
        hot.handle().call(|_| ()).await.unwrap();
        let error = hot.shutdown(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.code(), errno(libc::ETIMEDOUT));
        assert!(error.to_string().starts_with("hot: "), "{error}");
        assert!(error.to_string().contains("ignores"), "{error}");
        assert_eq!(deaf.await.unwrap_err().code(), EABORTED);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn a_shutdown_continues_when_its_future_is_dropped() {
    on_each_flavour(|| async {
        let (hot, drops) = (hot(), Arc::new(AtomicU64::new(0)));
        let handle = hot.handle();
        let task = spawn(&handle, &SLEEPS, 0, &drops).unwrap();
        let _ = once(hot.shutdown(LONG)).await;
        assert!(handle.is_closed());
        assert_eq!(task.await.unwrap_err().code(), EABORTED);
        while handle.call(|_| ()).await.map_err(|error| error.code()) != Err(ESTALE) {
            yield_now().await;
        }
    });
}

/// Calls and spawns race with the end: each is answered, and what it owns is dropped once.
#[test]
fn calls_race_with_the_end() {
    for _ in 0..200 {
        let (hot, drops) = (hot(), Arc::new(AtomicU64::new(0)));
        let (handle, counter) = (hot.handle(), drops.clone());
        let (begun, begins) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            one_thread().block_on(async {
                let mut begun = Some(begun);
                let mut spawned = 0;
                loop {
                    let task = spawn(&handle, &SLEEPS, 0, &counter);
                    let call = handle.call(|_| ()).await;
                    let _ = begun.take().map(|begun| begun.send(()));
                    let codes = [ESTALE, ESHUTDOWN];
                    match task {
                        Ok(task) => {
                            spawned += 1;
                            drop(task);
                        }
                        Err(code) => assert!(codes.contains(&code)),
                    }
                    if let Err(error) = call {
                        assert!(codes.contains(&error.code()));
                        return spawned;
                    }
                }
            })
        });
        begins.blocking_recv().unwrap();
        drop(hot);
        let spawned: u64 = thread.join().unwrap();
        assert_eq!(drops.load(SeqCst), spawned);
        assert_eq!(Arc::strong_count(&drops), 1);
    }
}

#[test]
fn it_is_pinned_to_its_cpu() {
    let allowed = || {
        // SAFETY: a set on the stack, of the calling thread.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of_val(&set), &mut set);
            let has = |&cpu: &usize| libc::CPU_ISSET(cpu, &set);
            (0..libc::CPU_SETSIZE as usize)
                .filter(has)
                .collect::<Vec<_>>()
        }
    };
    let cpu = *allowed().last().unwrap();
    let hot = LoopThread::new(LoopOptions::new().cpu(cpu as u32)).unwrap();
    let there = one_thread().block_on(hot.handle().call(move |_| allowed()));
    assert_eq!(there, Ok(vec![cpu]));
    let refused = LoopThread::new(LoopOptions::new().cpu(u32::MAX)).unwrap_err();
    assert_eq!(refused.code(), errno(libc::EINVAL));
}

#[test]
fn signals_are_for_other_threads_and_for_children() {
    let blocks_sigterm = || {
        // SAFETY: an empty set changes nothing; the sets are on the stack.
        unsafe {
            let mut none: libc::sigset_t = std::mem::zeroed();
            let mut mask: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::pthread_sigmask(libc::SIG_BLOCK, &none, &mut mask);
            libc::sigismember(&mask, libc::SIGTERM)
        }
    };
    let hot = hot();
    let inside = hot.handle().call(move |_| {
        // SAFETY: the child reads its mask and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as above.
            unsafe { libc::_exit(blocks_sigterm()) };
        }
        let mut status = -1;
        // SAFETY: waits for the child.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        (blocks_sigterm(), status)
    });
    assert_eq!(blocks_sigterm(), 0);
    assert_eq!(one_thread().block_on(inside), Ok((1, 0)));
}

#[test]
fn it_ends_itself() {
    // The last owner is a call on the thread.
    let hot = hot();
    let handle = hot.handle();
    one_thread().block_on(async {
        handle.call(move |_| drop(hot)).await.unwrap();
        while handle.call(|_| ()).await.map_err(|error| error.code()) != Err(ESTALE) {
            yield_now().await;
        }
    });
}

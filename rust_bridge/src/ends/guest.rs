// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handle of C in which Rust futures wait: the end of a channel.
//!
//! 1. The handle lies in a block that does not move, beside a poll context whose task runs one
//!    operation per poll. A wait of C is part of the handle, and refers to that task.
//! 2. The task always returns NART_PENDING; the operation's answer is passed aside. So the task
//!    never ends, and C withdraws what a poll did not request again. A poll without an operation
//!    withdraws the wait of a future that was dropped.
//! 3. An operation that can be answered at once is: the poll context is entered to wait only.
//! 4. In a forked child operations answer NART_EFORK: there are no threads that could wake them.
//!    Closing works. The cell is leaked, because its lock may be held by a thread of the parent.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::mem::zeroed;
use std::ptr::{self, NonNull};
use std::task::{ready, Context, Poll, Waker};

use tokio::task::coop;

use crate::error::Error;
use crate::poll_context::PollContext;
use crate::sys::ends::{
    nart_bytes_rx_close, nart_bytes_rx_move, nart_bytes_tx_close, nart_bytes_tx_move,
    nart_oneshot_rx_close, nart_oneshot_rx_move, nart_rx_close, nart_rx_move, nart_tx_close,
    nart_tx_move, NartBytesRx, NartBytesTx, NartOneshotRx, NartRx, NartTx,
};
use crate::sys::{errno, Cx, Poll as CPoll, Res, TaskType, EFORK, PENDING};
use crate::threads::{fork_epoch, watch_forks};

/// A handle of C that can be moved and closed.
///
/// # Safety
/// Zeroed bytes are a closed handle; the functions are those of its type.
pub unsafe trait Handle {
    const MOVE: unsafe extern "C" fn(dst: *mut Self, src: *mut Self);
    const CLOSE: unsafe extern "C" fn(handle: *mut Self);
}

macro_rules! handle {
    ($type:ty, $move:ident, $close:ident) => {
        // SAFETY: so its header says.
        unsafe impl Handle for $type {
            const MOVE: unsafe extern "C" fn(dst: *mut Self, src: *mut Self) = $move;
            const CLOSE: unsafe extern "C" fn(handle: *mut Self) = $close;
        }
    };
}

handle!(NartBytesTx, nart_bytes_tx_move, nart_bytes_tx_close);
handle!(NartBytesRx, nart_bytes_rx_move, nart_bytes_rx_close);
handle!(NartTx, nart_tx_move, nart_tx_close);
handle!(NartRx, nart_rx_move, nart_rx_close);
handle!(NartOneshotRx, nart_oneshot_rx_move, nart_oneshot_rx_close);

/// A closed handle, for a function of C that opens one.
pub fn closed<H: Handle>() -> H {
    // SAFETY: the trait promises that zeroed bytes are a closed handle.
    unsafe { zeroed() }
}

struct Block<H> {
    context: PollContext,
    handle: UnsafeCell<H>,
    /// Of the current poll: a pointer to a `&mut dyn FnMut(CPoll)`, or NULL.
    call: Cell<*mut c_void>,
    /// A wait may be left in the handle.
    parked: Cell<bool>,
    epoch: u32,
}

/// An open or closed handle, and what is needed to wait in it. One thread at a time may use it.
pub struct Guest<H: Handle>(NonNull<Block<H>>);

// SAFETY: C permits that one thread after another uses an end; the context permits the same.
unsafe impl<H: Handle> Send for Guest<H> {}

/// The task's poll. The frame is the block's `call`.
unsafe extern "C-unwind" fn poll(cx: *mut Cx, frame: *mut c_void) -> Res {
    // SAFETY: Guest::new() made `call` the frame of its task; run() has stored NULL, or a pointer to
    // what it keeps until this poll has returned.
    unsafe {
        let call = (*frame.cast::<Cell<*mut c_void>>()).get();
        if let Some(call) = call.cast::<&mut dyn FnMut(CPoll)>().as_mut() {
            call(CPoll::new(cx));
        }
    }
    PENDING
}

static TYPE: TaskType = TaskType::of::<*mut c_void>(c"an end of a channel in Rust", poll, None);

impl<H: Handle> Guest<H> {
    /// Moves `*src` into a new block; it becomes closed. On an error it is unchanged.
    ///
    /// # Safety
    /// `src` is a handle that this thread may use.
    pub unsafe fn new(src: *mut H) -> Result<Guest<H>, Error> {
        watch_forks();
        let layout = Layout::new::<Block<H>>();
        // SAFETY: the layout is not empty; the block is initialised before it is used, and does not
        // move; the handle is the caller's promise.
        unsafe {
            let block = NonNull::new(alloc_zeroed(layout).cast::<Block<H>>());
            let block = block.ok_or_else(|| Error::errno(libc::ENOMEM))?;
            let place = block.as_ptr();
            (&raw mut (*place).call).write(Cell::new(ptr::null_mut()));
            (&raw mut (*place).parked).write(Cell::new(false));
            (&raw mut (*place).epoch).write(fork_epoch());
            let frame = (&raw mut (*place).call).cast();
            let context = &raw mut (*place).context;
            PollContext::init(context, &TYPE, frame, ptr::null());
            (H::MOVE)((*place).handle.get(), src);
            Ok(Guest(block))
        }
    }

    fn block(&self) -> &Block<H> {
        // SAFETY: the block is live as long as self.
        unsafe { self.0.as_ref() }
    }

    /// The handle, for functions that do not wait.
    pub fn handle(&self) -> *mut H {
        self.block().handle.get()
    }

    /// The handle, for functions that are refused while a wait is left in it.
    pub fn idle(&mut self) -> Result<*mut H, Error> {
        if self.is_forked() {
            return Err(Error::of(EFORK));
        }
        self.withdraw();
        Ok(self.handle())
    }

    pub fn is_forked(&self) -> bool {
        self.block().epoch != fork_epoch()
    }

    /// Polls the task, which calls `call`.
    fn run(&mut self, waker: Option<&Waker>, call: Option<&mut dyn FnMut(CPoll)>) {
        let block = self.block();
        let mut call = call;
        let pointer = match &mut call {
            Some(call) => ptr::from_mut(call).cast(),
            None => ptr::null_mut(),
        };
        block.call.set(pointer);
        // SAFETY: self is borrowed mutably, so no other poll is running; the task never ends.
        unsafe { block.context.poll(waker) };
        block.call.set(ptr::null_mut());
    }

    /// An operation: `now` is its form without waiting, `wait` the one that waits.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: impl FnOnce(*mut H) -> Res,
        wait: impl FnOnce(CPoll, *mut H) -> Res,
    ) -> Poll<Res> {
        if self.is_forked() {
            return Poll::Ready(EFORK);
        }
        let budget = ready!(coop::poll_proceed(cx));
        let mut answer = errno(libc::EAGAIN);
        let handle = self.handle();
        if !self.block().parked.get() {
            answer = now(handle);
        }
        if answer == errno(libc::EAGAIN) {
            let mut wait = Some(wait);
            answer = PENDING;
            self.run(
                Some(cx.waker()),
                Some(&mut |poll| {
                    if let Some(wait) = wait.take() {
                        answer = wait(poll, handle);
                    }
                }),
            );
            self.settle(answer, cx.waker());
        }
        if answer == PENDING {
            return Poll::Pending;
        }
        budget.made_progress();
        Poll::Ready(answer)
    }

    /// After a poll with this answer.
    fn settle(&mut self, answer: Res, waker: &Waker) {
        let block = self.block();
        block.parked.set(answer == PENDING);
        if answer != PENDING {
            block.context.waits_for_nothing();
        } else if block.context.again() {
            waker.wake_by_ref();
        }
    }

    /// Ends the wait of an operation that is not polled any more.
    pub fn withdraw(&mut self) {
        if !self.block().parked.replace(false) || self.is_forked() {
            return;
        }
        self.run(None, None);
        self.block().context.waits_for_nothing();
    }

    /// Moves the handle out.
    pub fn into_handle(mut self) -> H {
        self.withdraw();
        let mut out = closed();
        // SAFETY: both are handles of this thread; `out` is closed, and self closes what is left.
        unsafe { (H::MOVE)(&mut out, self.handle()) };
        out
    }
}

impl<H: Handle> Drop for Guest<H> {
    fn drop(&mut self) {
        // SAFETY: this thread may use the handle; closing withdraws a wait that is left in it. The
        // block was allocated with this layout, and is not used any more.
        unsafe {
            (H::CLOSE)(self.handle());
            ptr::drop_in_place(&raw mut (*self.0.as_ptr()).context);
            dealloc(self.0.as_ptr().cast(), Layout::new::<Block<H>>());
        }
    }
}

/// What has a Guest.
pub trait Waits {
    fn withdraw(&mut self);
}

/// A future's access to an end: withdraws the wait when the future is dropped.
pub struct Waiting<'a, E: Waits>(pub &'a mut E);

impl<E: Waits> Drop for Waiting<'_, E> {
    fn drop(&mut self) {
        self.0.withdraw();
    }
}

#[cfg(test)]
pub mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    use crate as nart_tokio;

    include!("../../doc/event_loop.rs");

    /// A task that counts its wakes.
    #[derive(Default)]
    pub struct Counts(AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn task() -> (Arc<Counts>, Waker) {
        let counts = Arc::new(Counts::default());
        (counts.clone(), counts.into())
    }

    pub fn wakes(counts: &Counts) -> usize {
        counts.0.load(Ordering::Relaxed)
    }

    pub fn poll<F: Future>(waker: &Waker, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(waker))
    }
}

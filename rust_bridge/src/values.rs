// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that a bridge keeps for its futures: one for each type, a pool of connections for example.
//!
//! Callers get a reference of their own, so ending the bridge is safe whoever still uses a value. No user
//! code runs under the lock of the list: a value that is being made has an entry with a lock of its own.

use std::any::{Any, TypeId};
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::runtime::Handle as TokioHandle;

use crate::bridge::{lock, Bridge};
use crate::error::Error;
use crate::panic::catch;
use crate::sys::{EFORK, ESHUTDOWN};

type AnyEntry = Arc<dyn Any + Send + Sync>;

/// The values of a bridge. None: they have ended.
pub struct Values(Mutex<Option<Vec<(TypeId, AnyEntry)>>>);

struct Entry<T> {
    value: OnceLock<Arc<T>>,
    /// Held by the future that makes the value.
    making: tokio::sync::Mutex<()>,
}

impl Default for Values {
    fn default() -> Values {
        Values(Mutex::new(Some(Vec::new())))
    }
}

impl Values {
    /// The entry of a type. None: the values have ended.
    fn entry<T: Send + Sync + 'static>(&self) -> Option<Arc<Entry<T>>> {
        let mut held = lock(&self.0);
        let entries = held.as_mut()?;
        let id = TypeId::of::<T>();
        let entry = match entries.iter().find(|(of, _)| *of == id) {
            Some((_, entry)) => entry.clone(),
            None => {
                let entry: AnyEntry = Arc::new(Entry::<T> {
                    value: OnceLock::new(),
                    making: tokio::sync::Mutex::new(()),
                });
                entries.push((id, entry.clone()));
                entry
            }
        };
        entry.downcast().ok()
    }

    fn has_ended(&self) -> bool {
        lock(&self.0).is_none()
    }

    /// Drops the values, in tokio's context: their drop may spawn. A panic of one ends there.
    pub fn end(&self, handle: &TokioHandle) {
        let entries = lock(&self.0).take();
        let _entered = handle.enter();
        for (_, entry) in entries.into_iter().flatten() {
            let _ = catch(|| drop(entry));
        }
    }

    /// Leaks them, in a forked child.
    pub fn leak(&self) {
        std::mem::forget(lock(&self.0).take());
    }
}

impl Bridge {
    /// The bridge's value of type `T`: `init` makes it at the first call, and each later call returns the
    /// same one.
    ///
    /// A shutdown drops the value when the bridge's futures have ended, and before it returns; if a future
    /// or another thread holds it longer, it is dropped when that lets go of it. The drop runs in tokio's
    /// context and blocks the shutdown. Without a shutdown it is dropped when the bridge has ended, and the
    /// last operation is closed. In a forked child it is leaked. Do not keep a [`Bridge`] in it: both would
    /// live for ever.
    ///
    /// If `init` panics, the next call tries again. Other callers block until it returns, so use
    /// [`get_or_try_init`](Bridge::get_or_try_init) for what waits. It must not ask for the same type.
    ///
    /// # Errors
    /// `NART_ESHUTDOWN` the bridge has ended; `NART_EFORK` in a forked child.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicI64, Ordering};
    /// use nart_tokio::{Bridge, Failure, Options};
    ///
    /// #[derive(Default)]
    /// struct Calls(AtomicI64);
    ///
    /// nart_tokio::export! {
    ///     /// Counts the calls under this bridge.
    ///     pub async fn count_calls(bridge: &Bridge) -> Result<i64, Failure> {
    ///         let calls = bridge.get_or_init(Calls::default)?;
    ///         Ok(calls.0.fetch_add(1, Ordering::Relaxed) + 1)
    ///     }
    /// }
    ///
    /// # fn main() {
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// assert_eq!(count_calls(&bridge).await.unwrap(), 1);
    /// assert_eq!(count_calls(&bridge).await.unwrap(), 2);
    /// # });
    /// # }
    /// ```
    pub fn get_or_init<T>(&self, init: impl FnOnce() -> T) -> Result<Arc<T>, Error>
    where
        T: Send + Sync + 'static,
    {
        let entry = self.entry()?;
        let value = entry.value.get_or_init(|| Arc::new(init())).clone();
        self.unless_ended(entry, value)
    }

    /// The same with an `init` that waits, and may fail. Other callers wait until it has ended.
    ///
    /// If it fails, panics or is cancelled, the next caller tries again.
    ///
    /// # Errors
    /// Those of `init`, and those of [`get_or_init`](Bridge::get_or_init).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use nart_tokio::{Bridge, Failure};
    /// use tokio::net::UdpSocket;
    ///
    /// nart_tokio::export! {
    ///     /// Sends a datagram, from the same socket each time.
    ///     pub async fn udp_send(bridge: &Bridge, to: &str, data: &[u8]) -> Result<(), Failure> {
    ///         let socket = bridge.get_or_try_init(|| UdpSocket::bind("0.0.0.0:0")).await?;
    ///         socket.send_to(data, to).await?;
    ///         Ok(())
    ///     }
    /// }
    /// # fn main() {}
    /// ```
    pub async fn get_or_try_init<T, E, F>(&self, init: impl FnOnce() -> F) -> Result<Arc<T>, E>
    where
        T: Send + Sync + 'static,
        E: From<Error>,
        F: Future<Output = Result<T, E>>,
    {
        let entry = self.entry::<T>()?;
        if let Some(value) = entry.value.get() {
            let value = value.clone();
            return Ok(self.unless_ended(entry, value)?);
        }
        let making = entry.making.lock().await;
        let value = match entry.value.get() {
            Some(value) => value.clone(),
            None => {
                let made = Arc::new(init().await?);
                entry.value.get_or_init(|| made).clone()
            }
        };
        drop(making);
        Ok(self.unless_ended(entry, value)?)
    }

    fn entry<T: Send + Sync + 'static>(&self) -> Result<Arc<Entry<T>>, Error> {
        if self.0.is_forked() {
            return Err(Error::of(EFORK));
        }
        self.0.values.entry().ok_or(Error::of(ESHUTDOWN))
    }

    /// A value that was made while the bridge ended is not in its list any more: it is dropped here, as those
    /// in the list were.
    fn unless_ended<T>(&self, entry: Arc<Entry<T>>, value: Arc<T>) -> Result<Arc<T>, Error> {
        if !self.0.values.has_ended() {
            return Ok(value);
        }
        let _entered = self.0.handle.enter();
        let _ = catch(|| drop((entry, value)));
        Err(Error::of(ESHUTDOWN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
    use std::time::Duration;

    use crate::Options;

    /// What ended, in order.
    type Log = Arc<Mutex<Vec<&'static str>>>;

    /// Says when it is dropped.
    struct Says(Log, &'static str);

    impl Drop for Says {
        fn drop(&mut self) {
            tokio::spawn(async {}); // in tokio's context
            lock(&self.0).push(self.1);
        }
    }

    struct Panics;

    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("from the drop of a value");
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(future)
    }

    /// A bridge with a value, and a future that uses both and never ends.
    fn in_use(bridge: &Bridge, log: &Log) {
        let inner = bridge.inner();
        let (future_log, log) = (log.clone(), log.clone());
        let (send, begun) = std::sync::mpsc::channel();
        let future = async move {
            let _value = inner.get_or_init(|| Says(log, "value")).unwrap();
            let _panics = inner.get_or_init(|| Panics).unwrap();
            let _future = Says(future_log, "future");
            send.send(()).unwrap();
            std::future::pending::<i64>().await
        };
        bridge.spawn(future).unwrap().detach();
        begun.recv().unwrap();
    }

    #[test]
    fn a_value_ends_after_the_futures_and_before_the_shutdown() {
        let log = Log::default();
        let bridge = Bridge::new(&Options::default()).unwrap();
        in_use(&bridge, &log);
        assert!(lock(&log).is_empty());
        bridge.shutdown(MINUTE).unwrap();
        assert_eq!(*lock(&log), ["future", "value"]);
        let error = bridge.get_or_init(|| 7).unwrap_err();
        assert_eq!(error.code(), ESHUTDOWN);
    }

    #[test]
    fn a_value_of_an_adopted_runtime_ends_before_the_shutdown() {
        let log = Log::default();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let bridge = Bridge::adopt(runtime.handle().clone(), &Options::default()).unwrap();
        in_use(&bridge, &log);
        runtime.block_on(bridge.shutdown_async(MINUTE)).unwrap();
        assert_eq!(*lock(&log), ["future", "value"]);
    }

    #[test]
    fn a_value_ends_with_the_last_clone() {
        let bridge = Bridge::new(&Options::default()).unwrap();
        let (send, receive) = std::sync::mpsc::channel::<()>();
        bridge.get_or_init(|| send).unwrap();
        drop(bridge.clone());
        assert_eq!(receive.try_recv(), Err(TryRecvError::Empty));
        drop(bridge); // it ends in the background
        let ended = receive.recv_timeout(MINUTE);
        assert_eq!(ended, Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn there_is_one_value_of_each_type_and_bridge() {
        let bridge = Bridge::new(&Options::default()).unwrap();
        let other = Bridge::new(&Options::default()).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|i| {
                let bridge = bridge.clone();
                std::thread::spawn(move || *bridge.get_or_init(|| i).unwrap())
            })
            .collect();
        let first = *bridge.get_or_init(|| 9_i32).unwrap();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), first);
        }
        assert_eq!(*bridge.get_or_init(|| 1_u8).unwrap(), 1);
        assert_eq!(*other.get_or_init(|| 10_i32).unwrap(), 10);
    }

    #[test]
    fn what_fails_or_is_cancelled_is_made_by_the_next_caller() {
        let bridge = Bridge::new(&Options::default()).unwrap();
        let tries = AtomicU32::new(0);
        let make = |value: Result<u32, Error>| {
            bridge.get_or_try_init(|| async {
                tries.fetch_add(1, Ordering::Relaxed);
                value
            })
        };
        block_on(async {
            let never = bridge.get_or_try_init(std::future::pending::<Result<u32, Error>>);
            let none = tokio::time::timeout(Duration::ZERO, never).await;
            assert!(none.is_err());
            let failed = make(Err(Error::of(ESHUTDOWN))).await;
            assert_eq!(failed.unwrap_err().code(), ESHUTDOWN);
            let (a, b) = (make(Ok(1)), make(Ok(2)));
            let (a, b) = (a.await.unwrap(), b.await.unwrap());
            assert_eq!((*a, *b), (1, 1));
        });
        assert_eq!(tries.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_value_that_is_made_while_the_bridge_ends_is_refused() {
        let bridge = Bridge::new(&Options::default()).unwrap();
        let ended = bridge.get_or_init(|| bridge.shutdown(MINUTE).unwrap());
        assert_eq!(ended.unwrap_err().code(), ESHUTDOWN);
    }

    #[test]
    fn such_a_value_is_dropped_in_the_context_of_tokio() {
        let log = Log::default();
        let bridge = Bridge::new(&Options::default()).unwrap();
        let ended = bridge.get_or_init(|| {
            bridge.shutdown(MINUTE).unwrap();
            Says(log.clone(), "value")
        });
        assert_eq!(ended.err().map(|error| error.code()), Some(ESHUTDOWN));
        assert_eq!(*lock(&log), ["value"]);
    }

    #[test]
    fn a_forked_child_has_no_values() {
        let bridge = Bridge::new(&Options::default()).unwrap();
        let value = bridge
            .get_or_init(|| Says(Log::default(), "value"))
            .unwrap();
        // SAFETY: the child drops values and exits; it uses no thread and no lock of the parent.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let code = bridge
                .get_or_init(|| 7)
                .map_or_else(|error| error.code(), |_| 0);
            std::mem::forget(value);
            drop(bridge);
            // SAFETY: ends the child without handlers of the parent.
            unsafe { libc::_exit(i32::from(code == EFORK)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child above.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1);
        let _entered = bridge.0.handle.enter();
        drop(value);
    }
}

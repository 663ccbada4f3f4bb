// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of a bridge. Their ranges are checked when it is made.

use crate::blocking::Lent;
use crate::sys::work::Workers;
use crate::sys::{errno, Res};

/// In a debug build a TLS handshake needs more than 128 KiB, and so do modules of the name service
/// switch.
const STACK_MIN: usize = 256 << 10;

/// Options of a bridge, as `nart_tokio_opts` has them.
///
/// # Examples
///
/// ```
/// use nart_tokio::{Bridge, Options};
///
/// let options = Options::new().name("feed").workers(2);
/// let bridge = Bridge::new(&options)?;
/// # Ok::<(), nart_tokio::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) name: String,
    pub(crate) workers: u32,
    pub(crate) max_blocking: u32,
    pub(crate) pool: Option<Lent>,
    pub(crate) max_http: u32,
    pub(crate) max_spawn_blocking: u32,
    pub(crate) queue_cap: u32,
    pub(crate) keep_ops: u32,
    pub(crate) stack: usize,
    pub(crate) cpus: Vec<u32>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: "nart-tokio".to_owned(),
            workers: 1,
            max_blocking: 8,
            pool: None,
            max_http: 128,
            max_spawn_blocking: 512,
            queue_cap: 256,
            keep_ops: 1024,
            stack: 2 << 20,
            cpus: Vec::new(),
        }
    }
}

impl Options {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// See [`Options`].
    #[must_use]
    pub fn new() -> Options {
        Options::default()
    }

    /// Name of the threads; `ps` shows 15 bytes of it. Default: `nart-tokio`.
    ///
    /// # Examples
    ///
    /// See [`Options`].
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Options {
        self.name = name.into();
        self
    }

    /// Threads that run futures and C tasks, 1 to 1024. Default: 1.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::Options::new().workers(2);
    /// ```
    #[must_use]
    pub fn workers(mut self, n: u32) -> Options {
        self.workers = n;
        self
    }

    /// Blocking functions of C that run at the same time, 1 to 4096. Default: 8.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::Options::new().max_blocking(32);
    /// ```
    #[must_use]
    pub fn max_blocking(mut self, n: u32) -> Options {
        self.max_blocking = n;
        self
    }

    /// A pool of nart/work.h that runs the blocking functions of C, in place of one of the bridge's own:
    /// its limits apply then, and `max_blocking` is ignored. Default, or NULL: the bridge has its own.
    ///
    /// # Safety
    /// The pool is live until all operations of the bridge have ended and the bridge was dropped.
    #[must_use]
    pub unsafe fn pool(mut self, pool: *mut Workers) -> Options {
        self.pool = (!pool.is_null()).then_some(Lent(pool));
        self
    }

    /// HTTP requests that run at the same time, 1 to 65,536; others are queued. Default: 128.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::Options::new().max_http(16);
    /// ```
    #[must_use]
    pub fn max_http(mut self, n: u32) -> Options {
        self.max_http = n;
        self
    }

    /// Closures of Rust code (`tokio::task::spawn_blocking`) that run at the same time, 1 to 4096.
    /// Default: 512, as tokio has it. An adopted runtime has a limit of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::Options::new().max_spawn_blocking(64);
    /// ```
    #[must_use]
    pub fn max_spawn_blocking(mut self, n: u32) -> Options {
        self.max_spawn_blocking = n;
        self
    }

    /// Blocking functions of C, and HTTP requests, that may be queued, and look-ups of names that may
    /// run or be queued, 1 to 2^20. Default: 256 of each.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::Options::new().queue_cap(1000);
    /// ```
    #[must_use]
    pub fn queue_cap(mut self, n: u32) -> Options {
        self.queue_cap = n;
        self
    }

    /// Operations whose memory is allocated in advance, 0 to 2^20. Default: 1024.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::Options::new().keep_ops(100);
    /// ```
    #[must_use]
    pub fn keep_ops(mut self, n: u32) -> Options {
        self.keep_ops = n;
        self
    }

    /// Stack size of each thread in bytes, 256 KiB to 1 GiB. Default: 2 MiB, as tokio has it. Only
    /// what a thread uses takes memory.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::Options::new().stack(1 << 20);
    /// ```
    #[must_use]
    pub fn stack(mut self, bytes: usize) -> Options {
        self.stack = bytes;
        self
    }

    /// Numbers of the CPUs to run on. Default, or none: all CPUs that the process started with, except
    /// those that the calling thread is pinned to (if any remain).
    ///
    /// # Examples
    ///
    /// ```
    /// let options = nart_tokio::Options::new().cpus([2, 3]);
    /// ```
    #[must_use]
    pub fn cpus(mut self, cpus: impl IntoIterator<Item = u32>) -> Options {
        self.cpus = cpus.into_iter().collect();
        self
    }

    pub(crate) fn check(&self) -> Result<(), Res> {
        let fits = |n: u32, least: u32, most: u32| (least..=most).contains(&n);
        let ok = fits(self.workers, 1, 1 << 10)
            && fits(self.max_blocking, 1, 1 << 12)
            && fits(self.max_http, 1, 1 << 16)
            && fits(self.max_spawn_blocking, 1, 1 << 12)
            && fits(self.queue_cap, 1, 1 << 20)
            && fits(self.keep_ops, 0, 1 << 20)
            && (STACK_MIN..=1 << 30).contains(&self.stack)
            && !self.name.contains('\0');
        ok.then_some(()).ok_or(errno(libc::EINVAL))
    }
}

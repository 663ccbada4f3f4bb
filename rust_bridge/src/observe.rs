// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long operations take, and what a bridge does at the moment.
//!
//! While a bridge is observed, each operation notes when it was submitted, when its work started and
//! when that ended. The times between are added to histograms: by the promise at its end, and by the
//! handle when it first reads the answer. Otherwise an operation costs one load more.
//!
//! A histogram is log-linear, as that of the C library: below 16 ns each value has a bucket; above,
//! each power of two has 16. So a percentile is up to 1/16 too high.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

use crate::bridge::{Bridge, Shared};
use crate::clock;
use crate::op::Kind;

// ---- histograms ----

const BITS: u32 = 4;
const EACH: u64 = 1 << BITS;
const BUCKETS: usize = (65 - BITS as usize) << BITS;

fn bucket_of(ns: u64) -> usize {
    if ns < EACH {
        return ns as usize;
    }
    let shift = 63 - ns.leading_zeros() - BITS;
    ((shift as usize) << BITS) + (ns >> shift) as usize
}

/// The largest value of a bucket.
fn bound_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EACH {
        return bucket;
    }
    let shift = (bucket >> BITS) - 1;
    (u128::from(bucket % EACH + EACH + 1) << shift)
        .saturating_sub(1)
        .min(u128::from(u64::MAX)) as u64
}

/// Written by many threads. Relaxed throughout: a reader sees each value sooner or later.
struct Histogram {
    longest: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Histogram {
    fn new() -> Histogram {
        Histogram {
            longest: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }

    fn add(&self, ns: i64) {
        let ns = u64::try_from(ns).unwrap_or(0);
        self.buckets[bucket_of(ns)].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(ns, Ordering::Relaxed);
    }

    fn percentile(&self, percent: f64) -> u64 {
        let counts: Vec<u64> = self
            .buckets
            .iter()
            .map(|n| n.load(Ordering::Relaxed))
            .collect();
        let rank = percent / 100.0 * counts.iter().sum::<u64>() as f64;
        let mut seen = 0;
        let found = counts.iter().position(|n| {
            seen += n;
            seen > 0 && seen as f64 >= rank
        });
        found
            .map_or(0, bound_of)
            .min(self.longest.load(Ordering::Relaxed))
    }

    fn within(&self, ns: u64) -> u64 {
        let counted = &self.buckets[..=bucket_of(ns)];
        counted.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }
}

// ---- the times of operations ----

/// A leg of an operation's way.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leg {
    /// From the submission until a thread starts the work.
    Queued = 0,
    /// From there until the work has ended.
    Running = 1,
    /// From there until the answer is read, usually by the task that it woke.
    Returning = 2,
    /// All three: from the submission until the answer is read.
    Whole = 3,
}

/// The histograms of a bridge, once it was observed.
#[derive(Default)]
pub struct Legs {
    on: AtomicBool,
    legs: OnceLock<Box<[Histogram; 4]>>,
}

impl Legs {
    fn of(&self, leg: Leg) -> Option<&Histogram> {
        self.legs.get().map(|legs| &legs[leg as usize])
    }

    fn add(&self, leg: Leg, ns: i64) {
        if let Some(histogram) = self.of(leg) {
            histogram.add(ns);
        }
    }
}

/// Times of one operation, by CLOCK_MONOTONIC; 0: not known. Relaxed: the owners pass the block to each
/// other by other means; a listing reads one time.
pub(crate) struct Times {
    begun: AtomicI64,
    started: AtomicI64,
    ended: AtomicI64,
}

impl Times {
    pub fn new() -> Times {
        Times {
            begun: AtomicI64::new(0),
            started: AtomicI64::new(0),
            ended: AtomicI64::new(0),
        }
    }

    /// The operation is submitted.
    pub fn begin(&self, legs: &Legs) {
        let on = legs.on.load(Ordering::Relaxed);
        let now = if on { clock::now() } else { 0 };
        self.begun.store(now, Ordering::Relaxed);
        self.started.store(0, Ordering::Relaxed);
        self.ended.store(0, Ordering::Relaxed);
    }

    /// A thread starts its work, or continues it.
    pub fn start(&self) {
        if self.begun.load(Ordering::Relaxed) != 0 && self.started.load(Ordering::Relaxed) == 0 {
            self.started.store(clock::now(), Ordering::Relaxed);
        }
    }

    /// The work has ended.
    pub fn end(&self, legs: &Legs) {
        let begun = self.begun.load(Ordering::Relaxed);
        if begun == 0 {
            return;
        }
        let now = clock::now();
        self.ended.store(now, Ordering::Relaxed);
        match self.started.load(Ordering::Relaxed) {
            0 => legs.add(Leg::Queued, now - begun), // it ended before it started
            started => {
                legs.add(Leg::Queued, started - begun);
                legs.add(Leg::Running, now - started);
            }
        }
    }

    /// The answer is read. The first time counts, if it is that of the work.
    pub fn read(&self, legs: &Legs) {
        let begun = self.begun.load(Ordering::Relaxed);
        let ended = self.ended.load(Ordering::Relaxed);
        if begun == 0 || ended == 0 {
            return;
        }
        self.begun.store(0, Ordering::Relaxed);
        let now = clock::now();
        legs.add(Leg::Returning, now - ended);
        legs.add(Leg::Whole, now - begun);
    }

    /// For a listing: how long it has been queued or running.
    fn describe(&self, now: i64, out: &mut String) -> fmt::Result {
        let seconds = |since: i64| (now - since).max(0) as f64 / 1e9;
        let begun = self.begun.load(Ordering::Relaxed);
        match self.started.load(Ordering::Relaxed) {
            _ if begun == 0 => Ok(()),
            0 => write!(out, "  queued for {:.3} s", seconds(begun)),
            started => write!(out, "  running for {:.3} s", seconds(started)),
        }
    }
}

// ---- what a bridge does ----

/// The work of a bridge at one moment: operations that have not ended, by kind, and queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Futures, queued or running.
    pub futures: u64,
    /// C tasks on tokio.
    pub tasks: u64,
    /// Blocking functions of C that run.
    pub jobs: u64,
    /// Blocking functions of C that are queued.
    pub jobs_queued: u64,
    /// HTTP requests that have not ended; those that are queued included.
    pub requests: u64,
    /// HTTP requests that are queued.
    pub requests_queued: u64,
    /// Tasks of the tokio runtime, also those that are none of the bridge's.
    pub tokio_tasks: u64,
    /// Of those, the ones in tokio's global queue: spawned or woken by foreign threads, and not yet
    /// taken by a worker.
    pub tokio_queue: u64,
    /// Threads of the tokio runtime, and of blocking functions; 0 for those of an adopted runtime.
    pub threads: u64,
}

fn stats(shared: &Shared) -> Stats {
    let mut stats = Stats::default();
    shared.ops.each(|kind, _, _| match kind {
        Kind::Future => stats.futures += 1,
        Kind::Task => stats.tasks += 1,
        #[cfg(feature = "http")]
        Kind::Request => stats.requests += 1,
        Kind::Job | Kind::Part => {}
    });
    shared.jobs.each(shared, |_, runs| match runs {
        true => stats.jobs += 1,
        false => stats.jobs_queued += 1,
    });
    #[cfg(feature = "http")]
    {
        stats.requests_queued = shared.http.waiting() as u64;
    }
    let metrics = shared.handle.metrics();
    stats.tokio_tasks = metrics.num_alive_tasks() as u64;
    stats.tokio_queue = metrics.global_queue_depth() as u64;
    stats.threads =
        u64::from(shared.threads.load(Ordering::Relaxed)) + u64::from(shared.jobs.threads());
    stats
}

fn list(shared: &Shared, out: &mut String) -> fmt::Result {
    let stats = stats(shared);
    writeln!(
        out,
        "bridge: futures {}, C tasks {}, HTTP requests {} ({} queued), blocking functions {} ({} more queued); \
         tokio: tasks {}, queue {}, threads {}",
        stats.futures,
        stats.tasks,
        stats.requests,
        stats.requests_queued,
        stats.jobs,
        stats.jobs_queued,
        stats.tokio_tasks,
        stats.tokio_queue,
        stats.threads
    )?;
    let now = clock::now();
    let mut result = Ok(());
    let line = |kind: Kind, name: &str, times: &Times| {
        let kind = match kind {
            Kind::Future => "future",
            Kind::Task => "task",
            #[cfg(feature = "http")]
            Kind::Request => "HTTP request",
            Kind::Job | Kind::Part => return,
        };
        let mut text = format!("{kind} {name}");
        result = result.and(times.describe(now, &mut text));
        let _ = writeln!(out, "{}", text.trim_end());
    };
    shared.ops.each(line);
    result?;
    let mut result = Ok(());
    shared.jobs.each(shared, |name, runs| {
        let state = if runs { "running" } else { "queued" };
        result = result.and(writeln!(out, "blocking function {name}  {state}"));
    });
    result
}

impl Bridge {
    /// Measures operations that are submitted from now on, or stops doing so. The figures are kept.
    ///
    /// While it is on, an operation costs three or four clock reads. The first call allocates 32 kB.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, Leg, Options};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// bridge.observe(true);
    /// bridge.spawn(async { 42 }).unwrap().await;
    /// println!("{:?} on the way back", bridge.percentile(Leg::Returning, 99.0));
    /// # assert_eq!(bridge.within(Leg::Whole, std::time::Duration::MAX), 1);
    /// # });
    /// ```
    pub fn observe(&self, on: bool) {
        if on {
            let histograms = || Box::new(std::array::from_fn(|_| Histogram::new()));
            self.0.legs.legs.get_or_init(histograms);
        }
        self.0.legs.on.store(on, Ordering::Relaxed);
    }

    /// A percentile of what operations took for a leg of their way: 50 is the median, 100 the maximum.
    /// It is up to 6.25 % too high. None: no operation was measured, or `percent` is not within 0 to
    /// 100.
    pub fn percentile(&self, leg: Leg, percent: f64) -> Option<Duration> {
        if !(0.0..=100.0).contains(&percent) || self.within(leg, Duration::MAX) == 0 {
            return None;
        }
        let histogram = self.0.legs.of(leg)?;
        Some(Duration::from_nanos(histogram.percentile(percent)))
    }

    /// The number of operations that took at most this time for a leg of their way. Those that took up
    /// to 6.25 % longer may be included.
    pub fn within(&self, leg: Leg, time: Duration) -> u64 {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let histogram = self.0.legs.of(leg);
        histogram.map_or(0, |histogram| histogram.within(ns))
    }

    /// What the bridge does at the moment. It looks at each operation, under a lock that submissions
    /// need. In a forked child everything is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, Options};
    ///
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// let never = bridge.spawn(std::future::pending::<i64>()).unwrap();
    /// assert_eq!(bridge.stats().futures, 1);
    /// ```
    pub fn stats(&self) -> Stats {
        if self.0.is_forked() {
            return Stats::default();
        }
        stats(&self.0)
    }

    /// A list of the work that has not ended, to be read by people: the numbers of [`Bridge::stats`],
    /// and a line for each future, by the name of its type, each C task and each blocking function.
    /// If the bridge is observed, with the time for which it has been queued or running. In a forked
    /// child it is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, Options};
    ///
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// let never = bridge.spawn(std::future::pending::<i64>()).unwrap();
    /// assert!(bridge.list().contains("future core::future::pending::Pending<i64>"));
    /// ```
    pub fn list(&self) -> String {
        let mut text = String::new();
        if !self.0.is_forked() {
            let _ = list(&self.0, &mut text); // a String takes everything
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_the_bucket_that_bounds_it() {
        let near = |n: u64| [n.saturating_sub(1), n, n.saturating_add(1)];
        for value in (0..64).map(|i| 1_u64 << i).flat_map(near).chain([u64::MAX]) {
            let bucket = bucket_of(value);
            assert!(bucket < BUCKETS, "{value}");
            assert!(bound_of(bucket) >= value, "{value}");
            assert!(
                bound_of(bucket) <= value.saturating_add(value / 16),
                "{value}"
            );
            assert!(bucket == 0 || bound_of(bucket - 1) < value, "{value}");
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_added() {
        let histogram = Histogram::new();
        assert_eq!(histogram.percentile(50.0), 0);
        for ns in 1..=1000 {
            histogram.add(ns);
        }
        assert_eq!(histogram.percentile(0.0), 1);
        assert!((500..=532).contains(&histogram.percentile(50.0)));
        assert_eq!(histogram.percentile(100.0), 1000);
        assert_eq!(histogram.within(u64::MAX), 1000);
        assert_eq!(histogram.within(15), 15);
    }
}

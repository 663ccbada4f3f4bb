// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bounded queue of events from any threads to one reader, which waits for nothing.
//!
//! Each place has a number that says whose turn it is (Vyukov's queue): `n` is that of the push number n,
//! `n + 1` that of the pop number n. A push takes its number by a compare-and-swap on `tail`, when it is
//! the turn of its place; if the place still has the event of the last round, the queue is full, and the
//! event is counted as lost. The next event that is pushed carries the count.
//!
//! The events of one thread are in order. A thread that is interrupted between its number and its turn's
//! end delays those behind it, but no other push.
//!
//! tests/models/bridge_words runs this file under loom, and weakens each order in turn.

#[cfg(loom)]
use loom::cell::UnsafeCell;
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::line::Line;
use crate::tracker::Apart;

/// As loom's, which sees each access.
#[cfg(not(loom))]
struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

struct Place {
    turn: AtomicUsize,
    line: UnsafeCell<Line>,
}

pub struct Ring {
    /// A power of two.
    places: Box<[Place]>,
    tail: Apart<AtomicUsize>,
    /// Written by the reader.
    head: Apart<AtomicUsize>,
    lost: AtomicU64,
}

// SAFETY: a line is accessed by the one whose turn it is.
unsafe impl Sync for Ring {}

impl Ring {
    /// Space for at least two and `events` events. None if there is no memory.
    pub fn new(events: u32) -> Option<Ring> {
        let events = (events as usize).max(2).next_power_of_two();
        let mut places = Vec::new();
        places.try_reserve_exact(events).ok()?;
        places.extend((0..events).map(|n| Place {
            turn: AtomicUsize::new(n),
            line: UnsafeCell::new(Line::new()),
        }));
        Some(Ring {
            places: places.into_boxed_slice(),
            tail: Apart::default(),
            head: Apart::default(),
            lost: AtomicU64::new(0),
        })
    }

    fn place(&self, n: usize) -> &Place {
        &self.places[n & (self.places.len() - 1)]
    }

    /// False: there is no space, and the event is counted as lost.
    pub fn push(&self, line: &mut Line) -> bool {
        let mut n = self.tail.0.load(Ordering::Relaxed); // the place says whether it is right
        let place = loop {
            let place = self.place(n);
            // Acquire: the reader has copied the last event.
            let turn = place.turn.load(Ordering::Acquire);
            if turn == n {
                // Relaxed: it only hands out numbers.
                match self.tail.0.compare_exchange_weak(
                    n,
                    n.wrapping_add(1),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => break place,
                    Err(now) => n = now,
                }
            } else if (turn.wrapping_sub(n) as isize) < 0 {
                self.lost.fetch_add(1, Ordering::Relaxed); // guards no data
                return false;
            } else {
                n = self.tail.0.load(Ordering::Relaxed);
            }
        };
        // Relaxed: each lost event is counted by one who takes the count.
        if self.lost.load(Ordering::Relaxed) != 0 {
            line.lost = self.lost.swap(0, Ordering::Relaxed);
        }
        // SAFETY: it is this push's turn.
        place.line.with_mut(|p| unsafe { *p = *line });
        place.turn.store(n.wrapping_add(1), Ordering::Release); // the line
        true
    }

    /// Copies the oldest event. False: there is none.
    ///
    /// # Safety
    /// Called by the reader only.
    pub unsafe fn pop(&self, to: &mut Line) -> bool {
        let n = self.head.0.load(Ordering::Relaxed); // the reader's own
        let place = self.place(n);
        // Acquire: the line.
        if place.turn.load(Ordering::Acquire) != n.wrapping_add(1) {
            return false;
        }
        // SAFETY: it is this pop's turn.
        place.line.with(|p| *to = unsafe { *p });
        let next = n.wrapping_add(self.places.len());
        place.turn.store(next, Ordering::Release); // the copy is made
        self.head.0.store(n.wrapping_add(1), Ordering::Relaxed);
        true
    }

    /// The number of events that were not popped, and of lost ones that no popped event has counted.
    pub fn unread(&self) -> u64 {
        let (head, tail) = (&self.head.0, &self.tail.0);
        let (head, tail) = (head.load(Ordering::Relaxed), tail.load(Ordering::Relaxed));
        let carried = (0..tail.wrapping_sub(head)).map(|i| {
            let n = head.wrapping_add(i);
            let place = self.place(n);
            // Acquire: the line.
            match place.turn.load(Ordering::Acquire) == n.wrapping_add(1) {
                // SAFETY: it is the reader's turn, which does not pop meanwhile.
                true => 1 + place.line.with(|p| unsafe { (*p).lost }),
                false => 1,
            }
        });
        carried.sum::<u64>() + self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    fn line(thread: i64) -> Line {
        Line::of(thread, Level::Info, "t", format_args!("x"))
    }

    #[test]
    fn each_event_is_popped_once_or_counted_as_lost() {
        const EACH: i64 = if cfg!(miri) { 50 } else { 20_000 };
        let ring = Ring::new(16).unwrap();
        let (mut got, mut last) = (0, [0; 3]);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|thread| {
                    let ring = &ring;
                    scope.spawn(move || {
                        for n in 1..=EACH {
                            ring.push(&mut line(thread << 32 | n));
                        }
                    })
                })
                .collect();
            let mut to = Line::new();
            let mut read = |ring: &Ring| {
                // SAFETY: this is the reader.
                while unsafe { ring.pop(&mut to) } {
                    let (thread, n) = ((to.time >> 32) as usize, to.time & 0xffff_ffff);
                    assert!(n > last[thread], "in order");
                    last[thread] = n;
                    got += 1 + to.lost;
                }
            };
            while !threads.iter().all(|t| t.is_finished()) {
                read(&ring);
            }
            assert!(threads.into_iter().all(|t| t.join().is_ok()));
            let unread = ring.unread();
            read(&ring);
            assert!(ring.unread() <= unread);
        });
        assert_eq!(got + ring.unread(), 3 * EACH as u64);
    }

    #[test]
    fn the_next_event_carries_the_count_of_lost_ones() {
        let ring = Ring::new(2).unwrap();
        let pushed = (0..5).filter(|_| ring.push(&mut line(0))).count();
        assert_eq!((pushed, ring.unread()), (2, 5));
        let mut to = Line::new();
        // SAFETY: this is the reader.
        assert!(unsafe { ring.pop(&mut to) } && to.lost == 0);
        assert!(ring.push(&mut line(0)));
        assert_eq!(ring.unread(), 5 - 1 + 1);
        // SAFETY: as above.
        assert!(unsafe { ring.pop(&mut to) && ring.pop(&mut to) } && to.lost == 3);
        assert_eq!(ring.unread(), 0);
    }
}

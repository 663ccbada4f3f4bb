// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hand-written declarations of what the bridge uses of `work.h`.

use std::ffi::{c_char, c_void};
use std::mem::size_of;

use super::Res;

/// `nart_workers`, a pool of threads.
#[repr(C)]
#[derive(Debug)]
pub struct Workers {
    opaque: [u8; 0],
}

/// `nart_job`, a job as its function sees it.
#[repr(C)]
#[derive(Debug)]
pub struct Job {
    opaque: [u8; 0],
}

/// `nart_job_block`, the memory of a job.
#[repr(C)]
pub(crate) struct JobBlock {
    opaque: [u64; 16],
}

impl JobBlock {
    pub const fn new() -> JobBlock {
        JobBlock { opaque: [0; 16] }
    }
}

/// `nart_workers_opts`.
#[repr(C)]
pub(crate) struct WorkersOpts {
    pub size: usize,
    pub name: *const c_char,
    pub threads: u32,
    pub queue: u32,
    pub idle_ns: i64,
    pub stack: usize,
    pub alloc: *const c_void,
    pub on_start: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    pub arg: *mut c_void,
    pub on_end: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    pub reserved: [u64; 4],
}

/// `nart_workers_stats`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct WorkersStats {
    pub size: usize,
    pub threads: u32,
    pub idle: u32,
    pub running: u32,
    pub queued: u32,
    pub started: u64,
}

/// `nart_work_type`.
#[repr(C)]
pub(crate) struct WorkType {
    pub abi: u32,
    pub size: u32,
    pub align: u32,
    pub name: *const c_char,
    pub run: unsafe extern "C" fn(data: *mut c_void, job: *const Job) -> Res,
    pub drop: Option<unsafe extern "C" fn(data: *mut c_void)>,
    pub reserved: [*const c_void; 2],
}

// SAFETY: a type is constant, and so is everything that it points to.
unsafe impl Sync for WorkType {}

/// `NART_WORK_ABI`.
pub(crate) const WORK_ABI: u32 = 1;

const _: () = assert!(size_of::<WorkersOpts>() == 104 && size_of::<WorkersStats>() == 32);
const _: () = assert!(size_of::<WorkType>() == 56 && size_of::<JobBlock>() == 128);

extern "C" {
    pub(crate) fn nart_workers_new(opts: *const WorkersOpts, out: *mut *mut Workers) -> Res;
    pub(crate) fn nart_workers_shutdown(pool: *mut Workers, timeout_ns: i64) -> Res;
    pub(crate) fn nart_workers_free(pool: *mut Workers);
    pub(crate) fn nart_workers_stats_get(pool: *mut Workers, out: *mut WorkersStats) -> Res;
    pub(crate) fn nart_work_cancelled(job: *const Job) -> bool;
    pub(crate) fn nart_job_start(
        block: *mut JobBlock,
        pool: *mut Workers,
        ty: *const WorkType,
        name: *const c_char,
        data: *mut c_void,
        ended: unsafe extern "C" fn(data: *mut c_void, res: Res),
        owner: *const c_void,
    ) -> Res;
    pub(crate) fn nart_job_cancel(block: *mut JobBlock);
    pub(crate) fn nart_jobs_end(pool: *mut Workers, owner: *const c_void);
    pub(crate) fn nart_jobs_each(
        pool: *mut Workers,
        owner: *const c_void,
        see: unsafe extern "C" fn(arg: *mut c_void, name: *const c_char, runs: bool),
        arg: *mut c_void,
    );
}

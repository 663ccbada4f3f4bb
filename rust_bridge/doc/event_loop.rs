// A runtime of nart for examples and tests: a C program has one already.
pub struct EventLoop(*mut nart_tokio::Rt);

extern "C" {
    fn nart_rt_new(opts: *const std::ffi::c_void, out: *mut *mut nart_tokio::Rt) -> i64;
    fn nart_rt_task_count(rt: *const nart_tokio::Rt) -> u32;
}

// These run tasks and drops.
extern "C-unwind" {
    fn nart_rt_poll(rt: *mut nart_tokio::Rt, timeout_ns: i64) -> i64;
    fn nart_rt_free(rt: *mut nart_tokio::Rt) -> i64;
}

#[allow(dead_code)]
impl EventLoop {
    pub fn new() -> EventLoop {
        let mut rt = std::ptr::null_mut();
        // SAFETY: no options means the default.
        assert_eq!(unsafe { nart_rt_new(std::ptr::null(), &mut rt) }, 0);
        EventLoop(rt)
    }

    pub fn rt(&self) -> *mut nart_tokio::Rt {
        self.0
    }

    /// Polls the tasks that are ready, until none is.
    pub fn poll(&self) {
        // SAFETY: made above.
        while unsafe { nart_rt_poll(self.0, 0) } > 0 {}
    }

    pub fn tasks(&self) -> u32 {
        // SAFETY: made above.
        unsafe { nart_rt_task_count(self.0) }
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        // SAFETY: made above, and freed once.
        unsafe { nart_rt_free(self.0) };
    }
}

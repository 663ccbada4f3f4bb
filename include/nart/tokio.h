/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Made by cbindgen from rust_bridge/src/ffi.rs and ffi_http.rs; not written by hand. */
/**
 * @file nart/tokio.h
 * The bridge to tokio: blocking functions, HTTP requests, C tasks on other threads and futures of
 * Rust, awaited by tasks on their loop.
 *
 * ```c
 * struct fetch { nart_co co; nart_tokio *rt; nart_tokio_op op; int64_t status; };
 *
 * static nart_res fetch_run(nart_cx *cx, void *frame)
 * {
 *     struct fetch *f = frame;
 *     nart_http_opts get = NART_HTTP_OPTS_INIT;
 *     nart_res r = 0;
 *
 *     NART_BEGIN(cx, &f->co);
 *     get.url = "http://localhost:8080/price";
 *     r = nart_http_request(f->rt, &get, &f->op);
 *     if (r == 0)
 *         NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->status));
 *     printf("%s, status %d: %s\n", nart_err_name(r), (int)f->status,
 *            nart_tokio_op_message(&f->op, NULL));
 *     nart_tokio_op_close(&f->op);
 *     NART_END(r);
 * }
 * ```
 *
 * Rules that hold for all of it:
 *  1. An operation ends in exactly one way, also when its code panics, when it is cancelled and when
 *     the bridge is shut down. What is refused at submission stays the caller's, untouched.
 *  2. Awaiting says -ECANCELED and -ETIMEDOUT about the task that awaits; what became of the
 *     operation is 0, NART_EABORTED, NART_EPANIC, NART_ESHUTDOWN or its own error.
 *  3. User code runs on the loop's thread, but for functions given to the blocking pool and tasks
 *     given to tokio. A function that blocks belongs there; one that ends with pthread_exit(), or by
 *     longjmp() out of it, ends the process.
 *  4. In a child of fork() every function answers NART_EFORK; freeing and closing leak on purpose.
 *     Do not dlclose() a library that holds the bridge.
 *  5. Memory that Rust or tokio cannot get ends the process, but for what is said to answer -ENOMEM.
 */

#ifndef NART_TOKIO_H
#define NART_TOKIO_H

#include "task.h"

/* 1: the bridge has been built with HTTP. CMake and pkg-config say so. */
#ifndef NART_HTTP
#define NART_HTTP 0
#endif

#define NART_TOKIO_OPTS_INIT NART__SIZED(nart_tokio_opts)
#define NART_TOKIO_REPORT_INIT NART__SIZED(nart_tokio_report)
#if NART_HTTP
#define NART_HTTP_OPTS_INIT NART__SIZED(nart_http_opts)
#endif

/**
 * Leaves SIGPIPE as it is on the calling thread. Only for programs that
 * ignore or handle it: a write to a connection that was reset raises it.
 */
#define NART_TOKIO_KEEP_SIGPIPE 1

/** Where an operation stands. Exactly one of the last five is its end. */
typedef enum nart_tokio_status {
    /** Not answered yet. */
    NART_TOKIO_STATUS_RUNNING = 0,
    /** Ended with a value. */
    NART_TOKIO_STATUS_OK = 1,
    /** Ended with an error. */
    NART_TOKIO_STATUS_ERROR = 2,
    /** Cancelled before it ended by itself. */
    NART_TOKIO_STATUS_CANCELLED = 3,
    /** Its Rust code panicked. */
    NART_TOKIO_STATUS_PANICKED = 4,
    /** The bridge was shut down before it ended. */
    NART_TOKIO_STATUS_SHUTDOWN = 5,
} nart_tokio_status;

/**
 * A bridge: a tokio runtime for the tasks of C loops, of as many as there are. Made by
 * nart_tokio_new().
 */
typedef struct nart_tokio nart_tokio;

/**
 * Tells a blocking function that it has been asked to stop.
 *
 * Opaque to C; valid while the function runs.
 */
typedef struct nart_tokio_stop nart_tokio_stop;

/** Options of a bridge; begin with NART_TOKIO_OPTS_INIT. Zero means the default everywhere. */
typedef struct nart_tokio_opts {
    /** sizeof(nart_tokio_opts) */
    size_t size;
    /** of the threads, as ps shows it (15 bytes); copied; "nart-tokio" */
    const char *name;
    /** threads that run futures and C tasks; 1 */
    uint32_t workers;
    /** blocking functions that run at once; 8 */
    uint32_t max_blocking;
    /** blocking functions that wait for their turn, HTTP requests that wait to be sent; 256 */
    uint32_t queue_cap;
    /** operations for which memory is made in advance; 1,024 */
    uint32_t keep_ops;
    /** bytes of each thread's stack; 512 KiB */
    size_t stack;
    /**
     * numbers of the CPUs to run on; NULL: all that the process was started with, without those
     * that the calling thread is pinned to (if that leaves any)
     */
    const uint32_t *cpus;
    /** how many numbers there are */
    size_t n_cpus;
    /** NART_TOKIO_* */
    uint32_t flags;
    uint32_t reserved0;
    uint64_t reserved[4];
} nart_tokio_opts;

/** A job's name as it is kept: 31 bytes of it and a NUL. */
typedef char nart_tokio_name[32];

/**
 * What a bridge has done, and what its shutdown could not end. Every operation ends in one of five
 * ways, so after a clean shutdown `submitted` is their sum. The operation of
 * nart_tokio_shutdown_begin() is not counted.
 */
typedef struct nart_tokio_report {
    /** sizeof(nart_tokio_report), set by the caller */
    size_t size;
    /** operations that were accepted */
    uint64_t submitted;
    /** ended with a value */
    uint64_t ok;
    /** ended with an error */
    uint64_t error;
    /** were cancelled */
    uint64_t cancelled;
    /** panicked */
    uint64_t panicked;
    /** were ended by the shutdown */
    uint64_t shutdown;
    /** futures and C tasks that did not end; their operations stay pending */
    uint64_t leaked_tasks;
    /** blocking functions that still ran; their operations have answered NART_ESHUTDOWN */
    uint32_t leaked_blocking;
    /**
     * threads that did not end: those of the above, of look-ups of names ("look-up example.org"), and
     * of closures that Rust code gave to tokio's pool; of an adopted runtime not the last, and no workers
     */
    uint32_t leaked_threads;
    /** the names of the first of the blocking functions, and after them of the look-ups */
    nart_tokio_name leaked_name[8];
} nart_tokio_report;

/**
 * An operation: work that goes on elsewhere, and its answer. Zeroed = empty. It lives in the frame
 * of the task that awaits it, may be moved by assignment while nobody waits, and must be closed.
 * Everything behind it is the bridge's, so a frame can be dropped at any time.
 *
 * **Thread** of all nart_tokio_op functions: any, but one at a time for one operation; as a rule
 * the loop's.
 */
typedef struct nart_tokio_op {
    void *op;
    uint64_t reserved;
} nart_tokio_op;

/** Is told of an operation's end; `op` is what nart_tokio_op_on_done() has taken over. */
typedef void (*nart_done_fn)(struct nart_tokio_op *op, void *arg);

/** A function for the blocking pool: its `nart_res` is the operation's answer. */
typedef nart_res (*nart_blocking_fn)(void *arg, const struct nart_tokio_stop *stop);

/** Releases the argument of a job. */
typedef void (*nart_drop_fn)(void *arg);

/**
 * A Rust future that the awaiting C task polls itself, with tokio's context around each poll. Made
 * by Rust code (`Bridge::local`). Zeroed = empty; must be closed on the thread that made it.
 */
typedef struct nart_tokio_local {
    void *local;
    uint64_t reserved;
} nart_tokio_local;

#if NART_HTTP
/** A header of a request. */
typedef struct nart_http_header {
    /** its name */
    const char *name;
    /** its value */
    const char *value;
} nart_http_header;
#endif

#if NART_HTTP
/** An HTTP request; begin with NART_HTTP_OPTS_INIT and set at least `url`. */
typedef struct nart_http_opts {
    /** sizeof(nart_http_opts) */
    size_t size;
    /** http or https */
    const char *url;
    /** NULL: GET */
    const char *method;
    /**
     * sent in this order, at most 1000; a name may occur more than once. Refused: Transfer-Encoding, TE,
     * Trailer, Upgrade, Expect, Keep-Alive, Proxy-Connection and HTTP2-Settings; a Content-Length, which
     * is not needed, that is not `body_len`; a Connection other than close and keep-alive; a second Host.
     * They are sent again after a redirect to the same origin (scheme, host and port). To another one
     * Host, Authorization, Cookie, Cookie2 and Proxy-Authorization are not, nor is what the URL has of a
     * name and a password; all others are
     */
    const struct nart_http_header *headers;
    /** how many headers there are */
    size_t n_headers;
    /** the request's body */
    const void *body;
    /** its bytes */
    size_t body_len;
    /** for all of it, from now to the last byte; 0: 30 seconds; NART_NEVER: none */
    int64_t timeout_ns;
    /** of the answer, in bytes; 0: 1 MiB */
    size_t max_body;
    uint64_t reserved[4];
} nart_http_opts;
#endif

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Makes a bridge: a tokio runtime with threads of its own, which block the signals that are sent,
 * run under the normal scheduling policy, and keep off the CPUs that the calling thread is pinned to.
 * Unless NART_TOKIO_KEEP_SIGPIPE is given, SIGPIPE is blocked on the calling thread until
 * nart_tokio_free(). `opts` may be NULL.
 *
 * @return 0 and `*rt`; -EINVAL options out of range, or no CPU of `cpus` is the process's; -ENOMEM;
 *   -EAGAIN, -EMFILE and other errnos of what tokio needs; NART_EABI options of another version.
 * **Ownership**: the caller's, until nart_tokio_free(). The options are copied.
 * **Thread**: the one whose loop will use it, after it has been pinned.
 */
NART_API
NART_MUST_USE
nart_res nart_tokio_new(const struct nart_tokio_opts *opts,
                        struct nart_tokio **rt);

/**
 * Frees a bridge and never blocks: what was not shut down is told to end and ends in the
 * background. Operations may outlive it: each still gets its answer. On the thread that made the
 * bridge, SIGPIPE becomes what it was, and one that came meanwhile is discarded. NULL is fine. In a
 * forked child its memory is leaked on purpose.
 * **Thread**: the one that made it, which is a loop's and none of tokio's.
 */
NART_API void nart_tokio_free(struct nart_tokio *rt);

/**
 * Shuts down and waits for it: no more work is taken, C tasks on tokio are cancelled and get half
 * of the time to unwind, futures are dropped, queued blocking functions end at once, running ones
 * are asked to stop. What has not ended after `timeout_ns` is leaked: operations, and threads (look-ups
 * of names cannot be stopped). `report` may be NULL.
 *
 * @return 0 all has ended, the threads as well; -ETIMEDOUT something was leaked, see the report; -EALREADY; -EDEADLK on a thread of
 *   tokio; -EINVAL a negative time; NART_EFORK; NART_EABI a report of another version.
 * **Thread**: any but tokio's. It blocks: a task of a loop uses nart_tokio_shutdown_begin().
 */
NART_API
nart_res nart_tokio_shutdown(struct nart_tokio *rt,
                             int64_t timeout_ns,
                             struct nart_tokio_report *report);

/**
 * Begins the same on a thread of its own; the operation answers 0 or -ETIMEDOUT.
 *
 * @return 0 and `*op`; -EALREADY; -EAGAIN no thread to be had (nothing has happened); -ENOMEM;
 *   -EINVAL; NART_EFORK.
 * **Ownership**: close the operation.
 * **Thread**: any. **Cost**: a thread is made.
 */
NART_API
NART_MUST_USE
nart_res nart_tokio_shutdown_begin(struct nart_tokio *rt,
                                   int64_t timeout_ns,
                                   struct nart_tokio_op *op);

/**
 * Copies the counters, and after a shutdown what it could not end.
 * @return 0; -EINVAL; NART_EABI a report of another version; NART_EFORK.
 * **Thread**: any.
 */
NART_API
nart_res nart_tokio_report_get(const struct nart_tokio *rt,
                               struct nart_tokio_report *report);

/**
 * Awaits an operation. `value` may be NULL.
 *
 * @return 0 and `*value`; NART_EABORTED it was cancelled; NART_EPANIC its Rust code panicked;
 *   NART_ESHUTDOWN the bridge was shut down before it ended; its own error: -errno or NART_EHTTP_*;
 *   NART_ESTALE an empty handle; NART_EFORK. -ECANCELED, -ETIMEDOUT: about the calling task; the
 *   operation goes on and can be awaited again. Once there, the answer stays until close.
 * **Thread**: the loop's, inside a poll. **Cost**: one load when it is there; one read-modify-write
 * when the task parks.
 */
NART_API
NART_MUST_USE
nart_res nart_tokio_op_await(nart_cx *cx,
                             struct nart_tokio_op *op,
                             int64_t *value);

/**
 * The same with a waker of any kind, for authors of other runtimes. An operation keeps one waker,
 * the last that was given; the one before it is woken, so that two that poll in turn both go on.
 * @return as nart_tokio_op_await(), never about a task; NART_PENDING: `waker` will be woken.
 */
NART_API
NART_MUST_USE
nart_res nart_tokio_op_poll(struct nart_tokio_op *op,
                            nart_waker waker,
                            int64_t *value);

/**
 * The answer if it is there, without waiting and without a waker. @return as nart_tokio_op_poll().
 */
NART_API NART_MUST_USE nart_res nart_tokio_op_try(const struct nart_tokio_op *op, int64_t *value);

/**
 * Calls `done(op, arg)` on the loop's thread when the operation has ended, for code that is not
 * written as tasks. Called exactly once, by a later turn of the loop and never inside this function.
 * There, nart_tokio_op_try() and nart_tokio_op_message() say what has become of it; after `done` it is
 * closed. When the runtime is freed first, `done` is called by nart_rt_free() with an operation that
 * still runs (NART_PENDING), and which is cancelled then.
 *
 * @return 0, and `*op` is empty; -EINVAL no `rt`, `op` or `done`; NART_ESTALE an empty operation;
 *   NART_ESLOTS, -ENOMEM no slot for a task; NART_ESHUTDOWN `rt` is being freed; NART_EWRONGTHREAD;
 *   NART_EFORK.
 * **Ownership**: on 0 the operation is the loop's, otherwise it stays the caller's. `done` may begin
 * other operations, and free the bridge.
 * **Thread**: the loop's. **Cost**: a task in a slot of 64 bytes, which keeps nart_rt_run() going.
 */
NART_API
NART_MUST_USE
nart_res nart_tokio_op_on_done(nart_rt *rt,
                               struct nart_tokio_op *op,
                               nart_done_fn done,
                               void *arg);

/**
 * How an operation stands: running, or the one way in which it has ended. Tells a job's own
 * -ETIMEDOUT, say, from the task's. An empty handle runs.
 */
NART_API enum nart_tokio_status nart_tokio_op_status(const struct nart_tokio_op *op);

/**
 * The bytes that came with the answer: a body, or the text of an error or a panic. Never NULL, and
 * a NUL stands behind them; before the answer they are empty. `len` may be NULL.
 * **Ownership**: the operation's, until it is closed.
 */
NART_API const char *nart_tokio_op_message(const struct nart_tokio_op *op, size_t *len);

/**
 * Asks an operation to end, and returns at once. A future is dropped by its tokio thread, a queued
 * blocking function is taken out here, a running one sees its stop flag, a C task is cancelled. The
 * operation then answers NART_EABORTED, unless it ended by itself first. Again, late, or on an
 * empty handle: nothing.
 */
NART_API void nart_tokio_op_cancel(struct nart_tokio_op *op);

/** Gives an operation up: the work goes on, its answer is not wanted. Empties `*op`. */
NART_API void nart_tokio_op_detach(struct nart_tokio_op *op);

/**
 * Closes an operation: one that is pending is cancelled and detached, one that has ended is freed.
 * Empties `*op`; empty and NULL are fine. Never blocks.
 */
NART_API void nart_tokio_op_close(struct nart_tokio_op *op);

/**
 * Hands a function to the blocking pool. Its answer is the operation's: `>= 0` a value, `< 0` an
 * error (-ECANCELED becomes NART_EABORTED; numbers that are no nart_res become -EINVAL).
 *
 * @param name for reports; copied; NULL is "".
 * @param run called once on a thread of the pool, unless the job is cancelled before it starts.
 * @param drop_arg called exactly once for an accepted job, before it is answered: on the pool's
 *   thread, or on the one that cancels or shuts down. May be NULL.
 * @return 0 and `*op`; -EAGAIN the queue is full, or no thread is to be had; NART_ESHUTDOWN; -EINVAL;
 *   -ENOMEM; NART_EFORK.
 * **Ownership**: `arg` is the pool's when this answers 0, and stays the caller's otherwise.
 * **Thread**: any. **Cost**: no allocation but when a thread is started; a system call when an idle
 * one has to be woken. Threads are started when there is work for them, and an idle one ends after two
 * seconds at most: jobs that come more often do not start a thread each.
 */
NART_API
NART_MUST_USE
nart_res nart_tokio_blocking(struct nart_tokio *rt,
                             const char *name,
                             nart_blocking_fn run,
                             void *arg,
                             nart_drop_fn drop_arg,
                             struct nart_tokio_op *op);

/**
 * Has a blocking function been asked to stop? It then ends soon, with -ECANCELED.
 * **Thread**: any, while the function runs. **Cost**: a load.
 */
NART_API bool nart_tokio_stopped(const struct nart_tokio_stop *stop);

/**
 * Runs a task of this type on tokio's threads: one poll at a time, by one thread after another. The
 * type must carry NART_TASK_SEND. Its result is the operation's answer, its frame is dropped before
 * that. Sleeps, deadlines, tokio operations, ends of channels between threads and of oneshots work there
 * as on a loop (a tokio timer is exact to a millisecond; a receiver is bound to no runtime before). What
 * needs a loop (sockets, local channels, joins, spawning, all of nart/sync.h and the like) answers
 * NART_EDRIVER.
 *
 * @param init copied into the frame; NULL: zeros.
 * @return 0 and `*op`; -EINVAL a type that is none; NART_EABI; NART_EDRIVER without NART_TASK_SEND;
 *   -ENOMEM, -E2BIG the frame; NART_ESHUTDOWN; NART_EFORK.
 * **Ownership**: what `*init` refers to passes to the task when this answers 0.
 * **Thread**: any. **Cost**: two allocations, and a system call when tokio's threads sleep.
 */
NART_API
NART_MUST_USE
nart_res nart_tokio_spawn_task(struct nart_tokio *rt,
                               const nart_task_type *type,
                               const void *init,
                               struct nart_tokio_op *op);

/**
 * Awaits a local future by polling it here. `value` may be NULL.
 * @return as nart_tokio_op_await(); NART_EWRONGTHREAD.
 * **Thread**: the one that made it, inside a poll. **Cost**: entering tokio's context, about 100 ns,
 * and the future's poll.
 */
NART_API
NART_MUST_USE
nart_res nart_tokio_local_await(nart_cx *cx,
                                struct nart_tokio_local *local,
                                int64_t *value);

/** The bytes that came with its answer; as nart_tokio_op_message(). */
NART_API const char *nart_tokio_local_message(const struct nart_tokio_local *local, size_t *len);

/**
 * Drops a local future, inside tokio's context, and empties `*local`. Empty and NULL are fine. A
 * panic of its drop is swallowed.
 * @return 0; NART_EWRONGTHREAD nothing was done. In a forked child it is leaked.
 * **Thread**: the one that made it.
 */
NART_API nart_res nart_tokio_local_close(struct nart_tokio_local *local);

#if NART_HTTP
/**
 * Sends an HTTP request. The operation answers 0 with the status (200, 404, ...) as its value, and
 * nart_tokio_op_message() is the body; or one of
 *   NART_EHTTP_URL not a URL, a control character in it, or not of http or https; NART_EHTTP_CONNECT
 *   the server cannot be reached; NART_EHTTP_TLS; NART_EHTTP_TIMEOUT; NART_EHTTP_BODY_LIMIT the body
 *   is larger than `max_body`; NART_EHTTP_BODY it broke off, or its chunks are malformed;
 *   NART_EHTTP_REDIRECT more than 10, or to where it is not allowed (another scheme, from https to
 *   http, not a URL, two Locations); NART_EHTTP_OTHER no answer, or one that is not of HTTP/1.0 or
 *   HTTP/1.1: a malformed or endless head, contradictory lengths, a transfer coding other than
 *   chunked, a change of protocol;
 *   -EINVAL an invalid method or header, a header that the caller may not set (see `headers`), the
 *   methods CONNECT, and TRACE with a body;
 * with the reason as the message. Interim answers (100 to 199) are skipped, trailers dropped, content
 * codings (gzip) left to the caller. A server may answer before it has read the whole body; one that
 * then resets the connection is NART_EHTTP_OTHER, for the reset may outrun its answer. Connections are
 * kept and used again; one that the server closes at that moment is NART_EHTTP_OTHER, for requests are
 * not repeated unasked. Certificates are checked against the platform's (SSL_CERT_FILE and SSL_CERT_DIR
 * say otherwise). Proxies are not used.
 *
 * Redirects are answers of status 301, 302, 303, 307 and 308 with a Location. 303, and for POST 301 and
 * 302 as well, are followed by GET without the body (HEAD stays HEAD), the others by the same request.
 *
 * Names are looked up by getaddrinfo() on threads of the bridge that do nothing else, at most 8 at once,
 * and once for all requests that ask for the same name meanwhile. More names wait: a request whose name
 * was not looked up in time is NART_EHTTP_TIMEOUT, one for which there is no thread -EAGAIN. A look-up
 * cannot be stopped: it goes on without its request, and a shutdown reports it.
 *
 * @return 0 and `*op`; -EINVAL no URL, or numbers out of range; -EAGAIN too many requests wait to
 *   be sent; NART_ESHUTDOWN; -ENOMEM; NART_EABI; NART_EFORK.
 * **Ownership**: everything is copied before this returns.
 * **Thread**: any. **Cost**: a copy, without an allocation when the request is shorter than some 200
 * bytes; a system call when tokio's threads sleep.
 */
NART_API
NART_MUST_USE
nart_res nart_http_request(struct nart_tokio *rt,
                           const struct nart_http_opts *opts,
                           struct nart_tokio_op *op);
#endif

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NART_TOKIO_H */

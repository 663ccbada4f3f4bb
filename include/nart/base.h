/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/base.h
 * Results, errors, time units and the allocator, which every other header uses.
 *
 * The comment of a function has a summary; `@return` with every error; **Ownership** (who owns what is
 * passed); **Thread** (the runtime's own | any | blocking pool); **Cost** where it matters. A function without
 * **Thread** belongs to the runtime's own thread.
 *
 * A result below zero is an error. Each has a name and a description:
 *
 *     if (r < 0)
 *         fprintf(stderr, "%s: %s\n", nart_err_name(r), nart_strerror(r));
 */
#ifndef NART_BASE_H
#define NART_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detail/compiler.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What a poll, an operation or a function returns: an answer (`>= 0` a value, `-1 .. -4095` a negated errno,
 * `-4096 .. -8191` one of `NART_E*`), or NART_PENDING, which is not an answer. Values of unlimited range are
 * passed by out-parameters, never here.
 */
typedef int64_t nart_res;

/** Not answered yet: the task was registered and will be polled again. Its value fits an `int`. */
#define NART_PENDING ((nart_res)INT32_MIN)

/**
 * The errors of nart itself, one list for the constants, nart_strerror() and nart_err_name(). It includes
 * those of nart/tokio.h.
 */
#define NART_ERRORS(X)                                                                             \
    X(EABORTED, -4096, "the task or operation that was awaited was cancelled or dropped")          \
    X(EUSED, -4097, "the handle's answer was taken before")                                        \
    X(EPANIC, -4098, "the Rust side panicked; see the message")                                    \
    X(ESHUTDOWN, -4099, "the runtime is shutting down and accepts no new work")                    \
    X(EFORK, -4100, "the runtime belongs to the parent process; a child of fork may only free it") \
    X(EWRONGTHREAD, -4101, "called on a thread that is not the runtime's own")                     \
    X(EDRIVER, -4102, "operation not supported by the driver that polls the task")                 \
    X(ESTALE, -4103, "the id or handle refers to something that has ended")                        \
    X(ECLOSED, -4104, "the other side of the channel is closed")                                   \
    X(EABI, -4105, "the caller was compiled against an incompatible version of nart")              \
    X(EEXHAUSTED, -4106, "retries exhausted, or their deadline passed")                            \
    X(ECONFLICT, -4107, "the resource is being used in a way that excludes this use")              \
    X(ELAGGED, -4108, "the receiver lagged; values were overwritten before they were read")        \
    X(EHTTP_URL, -4110, "the URL cannot be parsed, or its scheme is not http or https")            \
    X(EHTTP_CONNECT, -4111, "the HTTP server, or its proxy, cannot be connected to")               \
    X(EHTTP_TIMEOUT, -4112, "the HTTP request took longer than its timeout")                       \
    X(EHTTP_TLS, -4113, "the TLS connection to the HTTP server failed")                            \
    X(EHTTP_BODY_LIMIT, -4114, "the HTTP response is larger than the limit")                       \
    X(EHTTP_BODY, -4115, "the HTTP response ended before its body was complete")                   \
    X(EHTTP_REDIRECT, -4116, "too many HTTP redirects, or one to a location that is not allowed")  \
    X(EHTTP_OTHER, -4117, "the HTTP exchange failed")                                              \
    X(EHTTP_DNS, -4130, "the name of the HTTP server cannot be looked up")                         \
    X(EHTTP_CLOSED, -4131, "the HTTP server closed the connection without a response")             \
    X(EHTTP_PROTOCOL, -4132, "the response is not valid HTTP")                                     \
    X(EHTTP_CONNECT_TIMEOUT, -4133, "connecting to the HTTP server took longer than its timeout")  \
    X(EHTTP_READ_TIMEOUT, -4134, "the HTTP server sent nothing for longer than the read timeout")  \
    X(EWS_REFUSED, -4135, "the server did not switch to the WebSocket protocol")                   \
    X(EWS_PROTOCOL, -4136, "the server violated the WebSocket protocol")                           \
    X(EWS_LIMIT, -4137, "a WebSocket message is larger than the limit")                            \
    X(EWS_CLOSED, -4138, "the WebSocket connection ended without a close frame")                   \
    X(EDNS, -4140, "the name cannot be looked up")                                                 \
    X(ETLS, -4141, "the TLS connection failed; see the message")                                   \
    X(ETLS_TRUNCATED, -4142, "the peer closed the connection without the end of the TLS stream")   \
    X(ENONAME, -4143, "the name does not exist, or has no record of the kind asked for")           \
    X(EDNS_TIMEOUT, -4144, "no name server answered in time")                                      \
    X(ESLOTS, -4120, "all task slots for frames of this size are in use: see nart_rt_opts.slots")  \
    X(EFDS, -4121, "the runtime has reached its limit of descriptors: see nart_rt_opts.max_io")    \
    X(EFRAME, -4122, "the frame is larger than 4096 bytes: use the _boxed form of the spawn")      \
    X(EEOF, -4150, "the stream has ended")                                                         \
    X(ETRUNCATED, -4151, "the stream ended in the middle of a message")

#define NART__ERROR_CONST(name, code, text) NART_##name = (code),
enum { NART_ERRORS(NART__ERROR_CONST) NART__ERROR_END };
#undef NART__ERROR_CONST

/** A description of any nart_res, also of an unknown one. Never NULL.
 *  **Ownership**: static; for an errno that the system does not know, valid until this thread's next call.
 *  **Thread**: any, but not in signal handlers. */
NART_API const char *nart_strerror(nart_res r);

/** The name of the constant ("NART_EABORTED", "ECANCELED", "NART_PENDING", "ok"), or "unknown".
 *  **Thread**: any. */
NART_API const char *nart_err_name(nart_res r);

/** The version of the library that the program runs with: its NART_VERSION_NUMBER. **Thread**: any. */
NART_API uint32_t nart_version(void);

/* Time is int64 nanoseconds on CLOCK_MONOTONIC, absolute unless a name or comment says otherwise. */
#define NART_NEVER INT64_MAX         /**< no deadline */
#define NART_US INT64_C(1000)        /**< a microsecond */
#define NART_MS INT64_C(1000000)     /**< a millisecond */
#define NART_SEC INT64_C(1000000000) /**< a second */

/** `at + ns`, saturating: NART_NEVER and overflow give NART_NEVER. */
static inline int64_t nart_time_add(int64_t at, int64_t ns)
{
    if (ns > 0)
        return at > NART_NEVER - ns ? NART_NEVER : at + ns;
    return at < INT64_MIN - ns ? INT64_MIN : at + ns;
}

/**
 * The allocator of a runtime. `alloc` returns memory of `size` bytes aligned to `align` (a power of two), or
 * NULL; `free` is called with the same size and alignment. Both are called on the runtime's thread, with two
 * exceptions, which the functions must support: closing the last end of a cross-thread channel or oneshot
 * frees on the closing thread; and tokens (nart/cancel.h) are created and freed on any thread.
 *
 * A runtime allocates one block. It maps five more from the system: the slots of tasks, the table that finds
 * a slot by its number, the records of wakers, the table of descriptors, and that of events. All but the last
 * grow by further mappings. nart_remote_spawn() and nart_remote_spawn_join() use malloc().
 */
typedef struct nart_alloc {
    void *(*alloc)(void *arg, size_t size, size_t align);        /**< allocates, or NULL */
    void (*free)(void *arg, void *p, size_t size, size_t align); /**< frees */
    void *arg;                                                   /**< passed to both */
} nart_alloc;

#ifdef __cplusplus
}
#endif
#endif

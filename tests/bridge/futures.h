/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The futures of tests/bridge/futures. Submitting one returns what nart_tokio_blocking() does. */
#ifndef NART_TEST_FUTURES_H
#define NART_TEST_FUTURES_H

#include <nart/bytes.h>
#include <nart/cancel.h>
#include <nart/chan.h>
#include <nart/oneshot.h>
#include <nart/rt.h>
#include <nart/tokio.h>

/* The number of dropped futures, of those that count. */
uint64_t test_drops(void);

nart_res test_value(nart_tokio *rt, int64_t value, nart_tokio_op *op);
nart_res test_error(nart_tokio *rt, nart_res code, nart_tokio_op *op); /* with the text "told so" */
nart_res test_io_error(nart_tokio *rt, nart_tokio_op *op);             /* ENOENT, as io::Error */
nart_res test_bytes(nart_tokio *rt, size_t n, nart_tokio_op *op);      /* n and n times 'x' */
nart_res test_never(nart_tokio *rt, nart_tokio_op *op);                /* counts */
nart_res test_sleep(nart_tokio *rt, uint64_t ms, nart_tokio_op *op);   /* ms */
nart_res test_large(nart_tokio *rt, uint32_t kind,
                    nart_tokio_op *op); /* 7; of some size, see lib.rs */
nart_res test_yield(nart_tokio *rt, uint64_t n, nart_tokio_op *op); /* n, after n polls; counts */

/* Gives tokio's pool a closure that increments *gate and returns when it is 2. Ends at once. */
nart_res test_closure(nart_tokio *rt, uint64_t *gate, nart_tokio_op *op);

/* Blocks a worker: increments *gate on it, and returns when *gate is 2. */
nart_res test_block_worker(nart_tokio *rt, uint64_t *gate, nart_tokio_op *op);

/* Panics with 0 a literal, 1 a formatted text, 2 a number, 3 a payload whose drop panics; 4 never
 * ends, and its drop panics; 5 answers 7, and a drop panics before that. */
nart_res test_panic(nart_tokio *rt, uint32_t kind, nart_tokio_op *op);
nart_res test_panic_early(nart_tokio *rt, nart_tokio_op *op); /* on this thread */

/* Functions that panic: for the blocking pool, as a task's poll, and what drops their argument or frame
 * (counted). */
nart_res test_panicking_job(void *arg, const nart_tokio_stop *stop);
nart_res test_panicking_poll(nart_cx *cx, void *frame);
void test_panicking_drop(void *arg);

/* Never ends; when dropped, it wakes `waker` while it holds the mutex that test_lock_in_drop() takes. */
nart_res test_wakes_in_drop(nart_tokio *rt, nart_waker waker, nart_tokio_op *op);
bool test_lock_in_drop(void);

/* Counts when it is dropped in tokio's context. */
uint64_t test_running(nart_tokio *rt);
nart_res test_local_pending(nart_tokio *rt, nart_tokio_local *out);
nart_res test_local_sleep(nart_tokio *rt, uint64_t ms, nart_tokio_local *out);
nart_res test_local_panic(nart_tokio *rt, uint32_t kind, nart_tokio_local *out);
nart_res test_local_hog(nart_tokio *rt, uint64_t *go, nart_tokio_local *out);
nart_res test_local_ping_pong(nart_tokio *rt, uint64_t n, nart_tokio_local *out);
nart_res test_local_ready(nart_tokio *rt, uint64_t n, nart_tokio_local *out); /* n values at hand */

/* Writes with writev to a peer at this port until that fails; on a worker, or on the loop. */
nart_res test_writev(nart_tokio *rt, uint16_t port, nart_tokio_op *op);
nart_res test_local_writev(nart_tokio *rt, uint16_t port, nart_tokio_local *out);
nart_res test_local_wakes_in_drop(nart_tokio *rt, uint64_t *turns, nart_tokio_local *out);

/* Waits for a timer, a socket that is connected to this port, and the handle of a task, which ends when `*go` is
 * set. `*state` is 1 when it waits for all of them, and 2 when the task has ended. */
nart_res test_local_objects(nart_tokio *rt, uint16_t port, uint64_t *go, uint64_t *state,
                            nart_tokio_local *out);

/* A Notify and a Semaphore of tokio; futures that wait for a permit, or for a notification. Passing takes the
 * locks of both. */
void *test_queue_new(void);
void test_queue_free(void *queue);
void test_queue_pass(void *queue);
void test_queue_release(void *queue, bool permit);
nart_res test_local_queue(nart_tokio *rt, void *queue, bool permit, nart_tokio_local *out);

/* Ends of a channel of uint64_t in Rust. The relay sends what it receives, and answers how many; `how`:
 * 0 recv() and send(), 1 as stream and sink, 2 futures that are dropped after a poll, 3 blocks the worker;
 * and 10 more: each poll is on a thread of its own. */
nart_res test_chan_relay(nart_tokio *rt, nart_rx *rx, nart_tx *tx, uint32_t how, nart_tokio_op *op);

/* `tasks` senders of one channel, one of them a thread: each sends its number (from 1) << 32, plus 0 to n - 1. */
nart_res test_chan_senders(nart_tokio *rt, nart_tx *tx, uint64_t tasks, uint64_t n,
                           nart_tokio_op *op);

/* An end crosses and returns, and receives or sends a value there. */
nart_res test_chan_rx_cross(nart_rx *rx, uint64_t *value);
nart_res test_chan_tx_cross(nart_tx *tx, uint64_t value);

void *test_chan_rx_new(nart_rx *rx);
nart_res test_chan_rx_try(void *rx); /* the value, or an error */
void test_chan_rx_drop(void *rx);

/* A oneshot of uint64_t: Rust answers 42, or waits for ever; and one of int64_t, whose value is the result. */
nart_res test_oneshot_answer(nart_tokio *rt, nart_oneshot_tx *tx, bool answers, nart_tokio_op *op);
nart_res test_oneshot_value(nart_tokio *rt, nart_oneshot_rx *rx, nart_tokio_op *op);

/* Ends when the token is cancelled. And: joins it to a token of tokio-util, which another future cancels if
 * `by_rust`; 1 when both are cancelled. */
nart_res test_token_wait(nart_tokio *tokio, nart_rt *rt, const nart_token *token,
                         nart_tokio_op *op);
nart_res test_token_join(nart_tokio *tokio, nart_rt *rt, const nart_token *token, bool by_rust,
                         nart_tokio_op *op);

/* Ends of a channel of bytes in Rust. The relay sends what it receives, and answers how many messages or
 * parts; `how`: 0 recv(), 1 as a stream, 2 futures that are dropped after a poll, 3 reads of one byte,
 * 4 reads in place; and 10 more: each poll is on a thread of its own. */
nart_res test_bytes_relay(nart_tokio *rt, nart_bytes_rx *rx, nart_bytes_tx *tx, uint32_t how,
                          nart_tokio_op *op);
nart_res test_bytes_count(nart_tokio *rt, nart_bytes_rx *rx, bool close, nart_tokio_op *op);
nart_res test_bytes_write(nart_tokio *rt, nart_bytes_tx *tx, size_t len, nart_tokio_op *op);

/* Ends without a future. NULL: refused, with `*error`. */
void *test_bytes_rx_new(nart_bytes_rx *rx, nart_res *error);
void *test_bytes_tx_new(nart_bytes_tx *tx, nart_res *error);
nart_res test_bytes_rx_try(void *rx); /* the length of the message, or an error */
nart_res test_bytes_tx_try(void *tx, const void *data, size_t len);
void test_bytes_rx_drop(void *rx);
void test_bytes_tx_drop(void *tx);
void test_bytes_rx_end(void *rx, nart_bytes_rx *out); /* back to C */
void test_bytes_tx_end(void *tx, nart_bytes_tx *out);

/* f(arg) inside block_on of a tokio runtime of its own. */
void test_inside_runtime(bool multi, void (*f)(void *), void *arg);

/* A bridge on a runtime that is made here, and the end of that runtime. */
nart_res test_adopt(void **runtime, nart_tokio **rt);
void test_adopt_end(void *runtime);

/* Logs on this thread: a text; the numbers 1 to n at level info; a text that logs, or panics then, while it
 * is written. */
void test_log(uint32_t level, const char *target, const char *text);
void test_log_numbers(const char *target, uint64_t n);
void test_log_nested(bool panics);

/* Installs a logger of the program, for level debug; if it is attached, it passes on what it gets, and counts. */
void test_log_own(bool attached);
uint64_t test_log_own_count(void);

/* Never ends. Logs "polled" on its worker, and "dropped" at level warn; the target is "future". */
nart_res test_log_future(nart_tokio *rt, nart_tokio_op *op);

/* The result of nart_tokio_shutdown() on a thread of the bridge. */
nart_res test_shutdown_inside(nart_tokio *rt);

#if NART_HTTP
/* A server for https://localhost:*port/ that says "secret", as futures of the bridge. Writes the
 * certificate that it is to be trusted by into the file `ca`. */
nart_res test_tls_server(nart_tokio *rt, const char *ca, uint16_t *port);

/* The same server, and certificates in PEM: the one that it is to be trusted by, and that of a client
 * with its key. TEST_TLS_PLAIN: HTTP/2 without TLS. A server of HTTP/2 answers with the header x-protocol:
 * h2; but /refuse by a reset of the stream, and /break by a body shorter than its length. */
#define TEST_TLS_ASKS 1u  /* requires the client's certificate */
#define TEST_TLS_HTTP2 2u /* supports HTTP/2, too */
#define TEST_TLS_PLAIN 4u

struct test_tls {
    uint16_t port;
    char ca[2048], cert[2048], key[2048];
};
nart_res test_tls_open(nart_tokio *rt, uint32_t what, struct test_tls *tls);

/* The hash that a server of WebSockets answers: SHA-1 in Base64, and a NUL. */
void test_ws_accept(const char *text, char accept[29]);

/* Certificates in PEM, with their keys. The server is localhost and 127.0.0.1, the second one
 * second.test and *.second.test. All but the CAs are issued by `ca`. */
struct test_cert {
    char cert[2048], key[2048];
};

struct test_certs {
    struct test_cert ca, other_ca, server, second, expired, client;
};
nart_res test_tls_certs(struct test_certs *certs);
#endif

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/resolve.h
 * Connecting to the first of several addresses that answers.
 *
 * ```c
 * struct client { nart_co co; nart_tcp sock; nart_addr at[2]; nart_connect connect; };
 *
 * static nart_res client_run(nart_cx *cx, void *frame)
 * {
 *     struct client *c = frame;
 *     nart_res r = 0;
 *
 *     NART_BEGIN(cx, &c->co);
 *     NART_AWAIT_FOR(r, 5 * NART_SEC,
 *                    nart_tcp_connect_any(cx, &c->connect, &c->sock, c->at, 2, NULL));
 *     if (r < 0)
 *         fprintf(stderr, "%s (%s)\n", nart_strerror(r), c->connect.text);
 *     nart_tcp_close(&c->sock);
 *     NART_END(r);
 * }
 * ```
 */
#ifndef NART_RESOLVE_H
#define NART_RESOLVE_H

#include "net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- connecting ----------------------------------------------------------------------------- */

/** The most addresses that one connect tries. */
#define NART_CONNECT_MAX 16

/** Size of nart_connect.text. */
#define NART_CONNECT_TEXT 512

/* Private: one address, and the attempt to connect to it. */
typedef struct nart__attempt {
    nart_io io;
    int32_t fd;
    int32_t res; /* 0: not tried; NART_PENDING: under way; else how it failed */
    uint8_t host[16];
    uint32_t scope;
    uint16_t family, port;
} nart__attempt;

/**
 * The state of a connect to one of several addresses. Keep it in the frame. Zeroed = idle. It needs no release:
 * when its task stops waiting (an answer, cancellation, a deadline, a lost race, the end of the task), all
 * sockets in it are closed. Do not copy or move it while a task waits in it.
 */
typedef struct nart_connect {
    /** After an error: what was tried and how each attempt ended, "[::1]:80: ECONNREFUSED; 127.0.0.1:80:
     *  pending". What does not fit is replaced by "...". Empty after success. */
    char text[NART_CONNECT_TEXT];
    /* private */
    nart__wait wait;
    const void *sock, *from;
    int64_t next_at, delay;
    uint32_t n, open, tried;
    nart_res last;
    uint16_t family;
    uint64_t reserved[3];
    nart__attempt at[NART_CONNECT_MAX];
} nart_connect;

/** Options of a connect; begin with NART_CONNECT_OPTS_INIT. Zero means the default. */
typedef struct nart_connect_opts {
    size_t size;           /**< sizeof(nart_connect_opts) */
    int64_t attempt_delay; /**< nanoseconds between two attempts; default: 250 ms */
    uint64_t reserved[4];
} nart_connect_opts;

#define NART_CONNECT_OPTS_INIT NART__SIZED(nart_connect_opts)

/**
 * Connects to the first of `n` addresses that answers (Happy Eyeballs, RFC 8305). The first attempt begins at
 * once, each later one `attempt_delay` after the one before it, or as soon as an attempt has failed. The order is
 * that of `addrs`, except that the two families alternate. The first attempt that succeeds becomes `*s`; the
 * others are closed.
 * @param s closed or zeroed. @param addrs,n the addresses, the preferred one first. @param opts may be NULL.
 * @return 0; the error of the attempt that failed last (-ECONNREFUSED, -ENETUNREACH, -ETIMEDOUT ...;
 *   -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -ENOSPC, NART_EFDS no descriptor or memory left), when all have failed; -EISCONN `*s` is open; -EINVAL,
 *   -EAFNOSUPPORT one of the addresses is none of IPv4 or IPv6, `n` is 0 or above NART_CONNECT_MAX, or bad
 *   options; NART_EABI; -ECANCELED, -ETIMEDOUT; -EBUSY another task, or another operation, waits in `op`;
 *   NART_EDRIVER the driver has no descriptors; -EPERM outside of a poll. If it is not 0, `op->text` says
 *   which attempt ended how. A connect that lost a race restarts when it is awaited again.
 * **Ownership**: `addrs` and `opts` are read by the first call only. **Thread**: inside a poll.
 * **Cost**: four system calls for each attempt, no allocation.
 */
NART_API NART_MUST_USE nart_res nart_tcp_connect_any(nart_cx *cx, nart_connect *op, nart_tcp *s,
                                                     const nart_addr *addrs, size_t n,
                                                     const nart_connect_opts *opts);

#ifdef __cplusplus
}
#endif
#endif

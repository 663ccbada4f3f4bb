/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_curl.h: libcurl's multi interface in a nart loop. Copy nart_curl.h and nart_curl.c into your project.
 *
 *     r = nart_curl_open(rt, &curl);
 *     ...
 *     curl_easy_setopt(f->easy, CURLOPT_URL, url);
 *     NART_AWAIT(r, nart_curl_perform(cx, &curl, &f->op, f->easy)); // r = nart_await(...) in a fiber
 *     if (r == 0 && f->op.result == CURLE_OK)
 *         ...
 *
 * Any number of transfers run at the same time. Set options of the multi handle (connections, pipelining) on
 * curl.multi, except for its socket and timer functions.
 * Thread: all functions are called on the runtime's own. */
#ifndef NART_CURL_H
#define NART_CURL_H

#include <nart/nart.h>

#include <curl/curl.h>

/* A multi handle. Must stay where it is until it is closed. Zeroed = closed. */
typedef struct nart_curl {
    CURLM *multi; /* NULL: closed */
    nart_rt *rt;
    nart_watch timer;
    struct nart_curl_socket *sockets;
} nart_curl;

/* A transfer. Zeroed = idle. Does not move while the transfer runs. */
typedef struct nart_curl_op {
    CURLcode result; /* of a transfer that has ended */
    nart_curl *curl; /* NULL: no transfer runs */
    CURL *easy;
    nart_notify ended;
    nart_waiter waiter;
    bool done;
} nart_curl_op;

/* 0; -ENOMEM; errors of nart_watch_start(). Call curl_global_init() first. */
NART_MUST_USE nart_res nart_curl_open(nart_rt *rt, nart_curl *out);

/* Closes. Transfers have ended or were closed before. Accepts NULL and a closed one, also after its runtime was
 * freed. Not in a callback of libcurl. */
void nart_curl_close(nart_curl *curl);

/* Runs a transfer to its end. @return 0: it has ended, with op->result; -ECANCELED, -ETIMEDOUT: it was removed, and
 * `easy` can be used again; -EBADF `curl` is closed; -EINVAL `easy` is not a handle or is in use; -ENOMEM. An
 * operation that lost a race goes on meanwhile, and continues when it is called again.
 * Uses CURLOPT_PRIVATE of `easy`. */
NART_MUST_USE nart_res nart_curl_perform(nart_cx *cx, nart_curl *curl, nart_curl_op *op,
                                         CURL *easy);

/* Removes a transfer that runs. Call it before the memory or `easy` ends. Accepts an idle one. Not in a callback of
 * libcurl. */
void nart_curl_op_close(nart_curl_op *op);

#endif

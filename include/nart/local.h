/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/local.h
 * Task-local values: values that code called by a task finds without passing them as arguments.
 *
 * A value is bound to a key for the extent of an await, as a deadline is. Everything that is evaluated in
 * that await, in bodies of any depth and in functions that they call, finds the value by the key; other code
 * does not. An inner binding of the same key hides the outer one until it ends.
 *
 * ```c
 * static const nart_local_key request_key = { "request" };
 *
 * static void log_line(const nart_cx *cx, const char *text)
 * {
 *     const struct request *q = nart_local_get(cx, &request_key); // NULL: not bound
 *
 *     printf("request %d: %s\n", q ? q->number : 0, text);
 * }
 *
 *     NART_AWAIT_LOCAL(r, &request_key, &c->request, serve(cx, c));
 * ```
 *
 * The value is memory of the caller, usually in the frame of the task that binds it; the frame's drop frees
 * what it refers to. A spawned task inherits no binding: copy what it needs into its frame, and bind it
 * there. drop functions run outside of every binding. Bindings work under every driver.
 *
 * **Thread**: the poller's. **Cost**: entering and leaving are a few stores; a look-up searches the open
 * bindings, the innermost first. Nothing is allocated.
 */
#ifndef NART_LOCAL_H
#define NART_LOCAL_H

#include "co.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A key. Its address identifies it. */
typedef struct nart_local_key {
    const char *name; /**< for debugging */
} nart_local_key;

/** A binding in a hand-written poll. It lies on the C stack: enter it in each poll, and leave it before the
 *  poll returns, the innermost first. */
typedef struct nart_local {
    /* private */
    struct nart_local *up;
    const nart_local_key *key;
    void *value;
} nart_local;

/** Binds `value` to the key until nart_local_leave(). */
static inline void nart_local_enter(nart_cx *cx, nart_local *l, const nart_local_key *key,
                                    void *value);

/** Ends the binding. */
static inline void nart_local_leave(nart_cx *cx, const nart_local *l);

/** The value that is bound to the key; NULL if none is, and outside of a poll. */
static inline void *nart_local_get(const nart_cx *cx, const nart_local_key *key);

/** NART_AWAIT with `value` (a pointer) bound to the key. `key` and `value` are evaluated in each poll. */
#define NART_AWAIT_LOCAL(dst, key, value, ...) NART__AWAIT_LOCAL(dst, key, value, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#include "detail/local.h"

#endif

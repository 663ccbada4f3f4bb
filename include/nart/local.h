/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/local.h
 * Task-local values: what code deep in a task's polls can see without being given it.
 *
 * A value is bound to a key for the extent of an await, as a deadline is: whatever is evaluated
 * under it, in bodies of any depth and in plain functions that they call, finds it by the key, and
 * nobody else does. An inner binding of the same key hides the outer one until it ends.
 *
 * ```c
 * static const nart_local_key request_key = { "request" };
 *
 * static void log_line(const nart_cx *cx, const char *text)
 * {
 *     const struct request *q = nart_local_get(cx, &request_key); // NULL: bound by nobody
 *
 *     printf("request %d: %s\n", q ? q->number : 0, text);
 * }
 *
 *     NART_AWAIT_LOCAL(r, &request_key, &c->request, serve(cx, c));
 * ```
 *
 * The value is the caller's memory, in the frame that binds it: it is set by writing to it, and
 * drop is its destructor. A spawned task inherits nothing: what it needs is copied into its frame
 * and bound there. drop functions run outside of every binding. Works under every driver.
 *
 * **Thread**: the poller's. **Cost**: entering and leaving are some stores; a look-up goes through
 * the bindings that are open, the innermost first. Nothing is allocated.
 */
#ifndef NART_LOCAL_H
#define NART_LOCAL_H

#include "co.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Names a kind of value, by its address. */
typedef struct nart_local_key {
    const char *name; /**< for people */
} nart_local_key;

/** A binding on the C stack of a hand-written poll: entered anew at each poll, and left before the
 *  poll returns. The innermost is left first. */
typedef struct nart_local {
    /* private */
    struct nart_local *up;
    const nart_local_key *key;
    void *value;
} nart_local;

static inline void nart_local_enter(nart_cx *cx, nart_local *l, const nart_local_key *key,
                                    void *value);

static inline void nart_local_leave(nart_cx *cx, const nart_local *l);

/** The value that is bound to the key here; NULL when none is, and outside of a poll. */
static inline void *nart_local_get(const nart_cx *cx, const nart_local_key *key);

/** NART_AWAIT with `value` (a pointer) bound to the key. Both are evaluated at each poll. */
#define NART_AWAIT_LOCAL(dst, key, value, ...) NART__AWAIT_LOCAL(dst, key, value, __VA_ARGS__)

#ifdef __cplusplus
}
#endif

#include "detail/local.h"

#endif

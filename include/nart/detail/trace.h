/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/trace.h: what another library, the bridge to tokio, adds to a runtime's trace: a process of its
 * own with threads, and arrows between its slices and the polls of tasks. */
#ifndef NART_DETAIL_TRACE_H
#define NART_DETAIL_TRACE_H

#include "../rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An arrow has a number and one of two kinds: from the submission of an operation to its first slice, and
 * from its last slice to the poll that reads the answer. */
enum { NART__TRACE_SUBMIT, NART__TRACE_ANSWER };

enum {
    NART__TRACE_THREAD, /* the name of a thread: before its first slice */
    NART__TRACE_SLICE,
    NART__TRACE_ARROW_BEGINS, /* in a slice */
    NART__TRACE_ARROW_ENDS
};

/* Times are CLOCK_MONOTONIC. */
typedef struct nart__trace_item {
    uint32_t what;  /* NART__TRACE_THREAD ... */
    uint32_t arrow; /* NART__TRACE_SUBMIT or NART__TRACE_ANSWER */
    uint64_t flow;  /* its number; of a slice: that of its operation */
    int64_t at, took;
    uint32_t thread;
    const char *name; /* not terminated */
    size_t name_len;
} nart__trace_item;

/* Its functions are called on the runtime's thread. */
typedef struct nart__trace_guest {
    struct nart__trace_guest *next;
    struct nart__trace *trace; /* NULL: it has ended */
    const char *name;
    uint64_t (*open)(
        struct nart__trace_guest *g); /* takes a snapshot; returns the events lost before */
    /* Does an arrow begin in the snapshot? And: one begins in the runtime's part. */
    bool (*begins)(struct nart__trace_guest *g, uint32_t arrow, uint64_t flow);
    void (*begun)(struct nart__trace_guest *g, uint32_t arrow, uint64_t flow);
    /* The next item of the snapshot. False: that was the last one, and it is freed. */
    bool (*item)(struct nart__trace_guest *g, nart__trace_item *out);
    void (*leave)(struct nart__trace_guest *g); /* the trace ends; the last call */
} nart__trace_guest;

/* Adds a guest to the runtime's trace, until that ends. 0; -EPERM there is none; -EINVAL the runtime's clock
 * is not CLOCK_MONOTONIC; -EINVAL, NART_EWRONGTHREAD, NART_EFORK as the functions of trace.h. */
NART_API nart_res nart__trace_join(nart_rt *rt, nart__trace_guest *g);

/* Records the begin or the end of an arrow in the running poll. On the runtime's thread, before leave(). */
NART_API void nart__trace_arrow(nart__trace_guest *g, uint32_t arrow, bool begins, uint64_t flow);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/wait.h: a wait, embedded in most handles. */
#ifndef NART_DETAIL_WAIT_H
#define NART_DETAIL_WAIT_H

#include "../base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart_co;
struct nart__task;
struct nart__wait_ops;

/* All zero = idle. 56 bytes. Only c_src/wait/wait.h and the operations access it. */
typedef struct nart__wait {
    struct nart__wait *next, *prev;   /* in the queue of the awaited object */
    struct nart__task *task;          /* the waiting task; NULL: none */
    struct nart__wait *more;          /* the task's next wait */
    struct nart_co *co;               /* the waiting body */
    const struct nart__wait_ops *ops; /* the operation's name, and how to withdraw the wait */
    uint32_t state, seen; /* idle, queued, granted, closed; the last poll that requested it */
} nart__wait;

/* All zero = empty. First in, first out. */
typedef struct nart__waitq {
    nart__wait *first, *last;
} nart__waitq;

#ifdef __cplusplus
}
#endif
#endif

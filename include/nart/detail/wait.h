/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/wait.h: a wait, which is a part of most handles. */
#ifndef NART_DETAIL_WAIT_H
#define NART_DETAIL_WAIT_H

#include "../base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart_co;
struct nart__task;
struct nart__wait_ops;

/* All zero = idle. 56 bytes. Only c_src/wait/wait.h and the operations touch it. */
typedef struct nart__wait {
    struct nart__wait *next, *prev;   /* the queue at what is waited for */
    struct nart__task *task;          /* who waits; NULL = nobody */
    struct nart__wait *more;          /* the task's other waits */
    struct nart_co *co;               /* the body that waits */
    const struct nart__wait_ops *ops; /* what it is and how it is withdrawn */
    uint32_t state, seen;             /* idle, queued, granted, closed; the poll that asked last */
} nart__wait;

/* All zero = empty. First in, first out. */
typedef struct nart__waitq {
    nart__wait *first, *last;
} nart__waitq;

#ifdef __cplusplus
}
#endif
#endif

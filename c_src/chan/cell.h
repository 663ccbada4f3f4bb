/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cell.h: a word in which one side of a channel leaves its waker and from which the other takes it.
 *
 * Who leaves a waker looks again for its cause afterwards; who brings the cause calls nart__tell().
 * The exchanges of both are in some order: if the one that tells is the later one, it finds the
 * waker; if the one that leaves is, it acquires what the other has released, and its second look
 * finds the cause. */
#ifndef NART_CHAN_CELL_H
#define NART_CHAN_CELL_H

#include "../base/atomic.h"

#include <nart/chan.h>

/* Release: the waker's own memory is there when the other side reads it. Acquire: what the other
 * side had published before its last exchange is there for the second look. */
static inline void nart__cell_put(nart__waker_cell *cell, nart_waker waker)
{
    (void)NART__EXCHANGE(cell, waker.w, NART__ACQ_REL);
}

static inline void nart__cell_leave(nart__waker_cell *cell, nart_cx *cx)
{
    nart__cell_put(cell, nart_cx_waker(cx));
}

/* Relaxed: nothing is told by it, and a read-modify-write keeps the other side's release going. */
static inline void nart__cell_take_back(nart__waker_cell *cell)
{
    if (NART__LOAD(cell, NART__RELAXED))
        (void)NART__EXCHANGE(cell, (uintptr_t)0, NART__RELAXED);
}

#endif

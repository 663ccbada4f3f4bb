/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* waker_slot.h: a word in which one side of a channel leaves its waker and from which the other takes it.
 *
 * Who leaves a waker looks again for its cause afterwards; who brings the cause calls nart__waker_slot_wake().
 * The exchanges of both are in some order: if the one that tells is the later one, it finds the
 * waker; if the one that leaves is, it acquires what the other has released, and its second look
 * finds the cause. */
#ifndef NART_CHAN_WAKER_SLOT_H
#define NART_CHAN_WAKER_SLOT_H

#include "../base/atomic.h"

#include <nart/chan.h>

/* Release: the waker's own memory is there when the other side reads it. Acquire: what the other
 * side had published before its last exchange is there for the second look. */
static inline void nart__waker_slot_set(nart__waker_slot *slot, nart_waker waker)
{
    (void)NART__EXCHANGE(slot, waker.w, NART__ACQ_REL);
}

static inline void nart__waker_slot_register(nart__waker_slot *slot, nart_cx *cx)
{
    nart__waker_slot_set(slot, nart_cx_waker(cx));
}

/* Relaxed: nothing is told by it, and a read-modify-write keeps the other side's release going. */
static inline void nart__waker_slot_unregister(nart__waker_slot *slot)
{
    if (NART__LOAD(slot, NART__RELAXED))
        (void)NART__EXCHANGE(slot, (uintptr_t)0, NART__RELAXED);
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* waker_slot.h: a word in which one side of a channel registers its waker and from which the other takes it.
 *
 * After registering a waker, check the condition again; after making the condition true, call
 * nart__waker_slot_wake(). The exchanges of the two sides are ordered: if the waking one is later, it finds
 * the waker; if the registering one is later, it acquires what the other has released, and the second check
 * finds the condition true. */
#ifndef NART_CHAN_WAKER_SLOT_H
#define NART_CHAN_WAKER_SLOT_H

#include "../base/atomic.h"

#include <nart/chan.h>

/* Release: the waker's own memory is visible to the other side when it reads the waker. Acquire: what the
 * other side published before its last exchange is visible to the second check. */
static inline void nart__waker_slot_set(nart__waker_slot *slot, nart_waker waker)
{
    (void)NART__EXCHANGE(slot, waker.w, NART__ACQ_REL);
}

static inline void nart__waker_slot_register(nart__waker_slot *slot, nart_cx *cx)
{
    nart__waker_slot_set(slot, nart_cx_waker(cx));
}

/* Relaxed: it publishes nothing, and a read-modify-write continues the other side's release sequence. */
static inline void nart__waker_slot_unregister(nart__waker_slot *slot)
{
    if (NART__LOAD(slot, NART__RELAXED))
        (void)NART__EXCHANGE(slot, (uintptr_t)0, NART__RELAXED);
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/ring.h: the waker slots for the two sides of value and byte channels. */
#ifndef NART_DETAIL_RING_H
#define NART_DETAIL_RING_H

#include "../task.h"
#include "atomic.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NART__RING_LINE 128 /* two cache lines: the adjacent-line prefetcher fetches pairs */

/* 0, or the waker word of a parked task. */
typedef NART__ATOMIC(uintptr_t) nart__waker_slot;

/* Takes the waker out of this slot, if there is one, and wakes it. Release: the other side, when it finds
 * its waker taken, sees what was published before. Acquire: the waker's memory is visible. */
static inline void nart__waker_slot_wake(nart__waker_slot *slot)
{
    nart_waker waker;

    waker.w = NART__EXCHANGE(slot, (uintptr_t)0, NART__ACQ_REL);
    if (NART_UNLIKELY(waker.w != 0))
        nart_waker_wake(waker);
}

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/ring.h: what channels of values and of bytes share: the wakers of their two sides. */
#ifndef NART_DETAIL_RING_H
#define NART_DETAIL_RING_H

#include "../task.h"
#include "atomic.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NART__RING_LINE 128 /* two cache lines: the next one is fetched as well */

/* 0, or the waker word of a task that has parked. */
typedef NART__ATOMIC(uintptr_t) nart__waker_slot;

/* Wakes whoever has left a waker in this slot. Release: what was published before is there when the
 * other side finds that its waker was taken. Acquire: the waker's own memory is there to be woken. */
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

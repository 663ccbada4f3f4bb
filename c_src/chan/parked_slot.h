/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* parked_slot.h: an ordinary thread that waits on a side of a channel: base/thread_parker.h with its waker in a
 * waker_slot.h. */
#ifndef NART_CHAN_PARKED_SLOT_H
#define NART_CHAN_PARKED_SLOT_H

#include "../base/thread_parker.h"
#include "waker_slot.h"

static inline void thread_parker_register(nart__waker_slot *slot, thread_parker *s)
{
    nart__waker_slot_set(slot, nart_waker_of(&s->wakeable));
}

/* Relaxed: as nart__waker_slot_unregister(). */
static inline void thread_parker_unregister(nart__waker_slot *slot, thread_parker *s)
{
    if (NART__EXCHANGE(slot, (uintptr_t)0, NART__RELAXED) == 0)
        thread_parker_await_call(s);
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* signals.h: deliveries of a signal, counted by the handler for everyone that watches it. See signals.c. */
#ifndef NART_LIFECYCLE_SIGNALS_H
#define NART_LIFECYCLE_SIGNALS_H

#include "../base/atomic.h"

#include <nart/task.h>

/* One user of a signal. Never freed: a late handler may still read it. */
typedef struct nart__signal_watch {
    NART__ATOMIC(uintptr_t) waker; /* of the user; 0 wakes nothing */
    struct nart__signal_watch
        *next;     /* of this signal, or unused ones; changes under the lock, unused */
    uint32_t seen; /* private to the user: the count when it last looked */
    int signo;
    bool open; /* under the lock */
} nart__signal_watch;

/* Begins to watch, from the next delivery on; the first watch installs the handler. 0; -EINVAL not a signal that
 * can be caught; -ENOMEM. Any thread. */
nart_res nart__signal_watch_open(int signo, nart_waker waker, nart__signal_watch **out);

/* The last close restores the former disposition. Answers the deliveries since the last take. Any thread. */
uint32_t nart__signal_watch_close(nart__signal_watch *w);

/* The deliveries since the last call. */
uint32_t nart__signal_take(nart__signal_watch *w);

/* The same, and the waker is woken by the next delivery if the answer is 0. */
uint32_t nart__signal_take_or_wait(nart__signal_watch *w, nart_waker waker);

#endif

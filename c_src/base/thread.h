/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread.h: the identity of a thread. A pthread_t does not identify it, and neither does an address in its
 * control block: a new thread can have those of one that has ended. */
#ifndef NART_BASE_THREAD_H
#define NART_BASE_THREAD_H

#include <nart/detail/thread.h>

/* Gives the calling thread its number. */
uintptr_t nart__thread_number(void);

/* The calling thread, as a number that is never 0. */
static inline uintptr_t nart__self_thread(void)
{
    return NART_LIKELY(nart__thread_id != 0) ? nart__thread_id : nart__thread_number();
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread.c: numbers threads in the order in which they first ask. A number is not used again; with 32 bits,
 * not before 2^32 threads have asked. */
#include "thread.h"

#include "atomic.h"

__thread uintptr_t nart__thread_id;

uintptr_t nart__thread_number(void)
{
    static NART__ATOMIC(uintptr_t) last;

    /* Relaxed: only uniqueness matters. A loop, because 0 follows 2^32 - 1. */
    while (nart__thread_id == 0)
        nart__thread_id = NART__FETCH_ADD(&last, 1, NART__RELAXED) + 1;
    return nart__thread_id;
}

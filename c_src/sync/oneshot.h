/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oneshot.h: a oneshot without a runtime. See oneshot.c. */
#ifndef NART_SYNC_ONESHOT_H
#define NART_SYNC_ONESHOT_H

#include <nart/oneshot.h>

/* Opens both ends with a block of this allocator, which is copied. 0 or -ENOMEM. Any thread. */
nart_res nart__oneshot_open(const nart_alloc *a, size_t size, void (*drop_value)(void *value),
                            nart_oneshot_tx *tx, nart_oneshot_rx *rx);

#endif

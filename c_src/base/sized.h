/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sized.h: structs of the public headers that begin with their size, and grow from version to version. */
#ifndef NART_BASE_SIZED_H
#define NART_BASE_SIZED_H

#include <nart/base.h>

#include <string.h>

/* Copies what the caller gives, maybe of an older version, into `*to`, which holds the defaults; `from` may be NULL.
 * `first` is the size of the smallest version. 0, or NART_EABI. */
static inline nart_res nart__sized_in(void *to, size_t size, const void *from, size_t first)
{
    size_t given;

    if (!from)
        return 0;
    memcpy(&given, from, sizeof given);
    if (given < first || given > size)
        return NART_EABI;
    memcpy(to, from, given);
    return 0;
}

#endif

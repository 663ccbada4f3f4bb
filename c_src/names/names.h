/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* names.h: shared parts of resolving names and of connecting to what they resolve to. */
#ifndef NART_NAMES_NAMES_H
#define NART_NAMES_NAMES_H

#include "../net/net.h"

#include <nart/resolve.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Appends to a text of `cap` bytes; what does not fit becomes "...". */
static inline void __attribute__((format(printf, 3, 4)))
nart__text_add(char *text, size_t cap, const char *fmt, ...)
{
    size_t len = strlen(text);
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text + len, cap - len, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= cap - len)
        memcpy(text + cap - sizeof "...", "...", sizeof "...");
}

/* Copies the caller's options, which may be of an older version, into `*to`, which holds the defaults: 0, or
 * NART_EABI. `first` is the size of the smallest version. */
static inline nart_res nart__opts_copy(void *to, size_t size, const void *from, size_t first)
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

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* check.h: ends a program of this folder, which its test runs, with a line that says what went wrong. */
#ifndef CHECK_H
#define CHECK_H

#include <nart/nart.h>

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))
#define CHECK_RES(r, expected) check_res(__FILE__, __LINE__, #r, (r), (expected))

static inline void check_failed(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
    exit(1);
}

static inline void check_res(const char *file, int line, const char *what, nart_res r,
                             nart_res expected)
{
    if (r == expected)
        return;
    (void)fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, nart_err_name(r));
    exit(1);
}

#endif

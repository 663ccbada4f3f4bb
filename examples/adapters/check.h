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

/* A task of this type is cancelled in its first wait; another one waits when the runtime is freed. */
static inline void check_ends(nart_rt *rt, const nart_task_type *type)
{
    nart_join join;

    CHECK_RES(nart_rt_spawn(rt, type, NULL, &join), 0);
    CHECK(nart_rt_poll(rt, 0) == 1);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    nart_join_release(&join);
    CHECK_RES(nart_rt_spawn(rt, type, NULL, NULL), 0);
    CHECK(nart_rt_poll(rt, 0) == 1);
    CHECK_RES(nart_rt_free(rt), 0);
}

#endif

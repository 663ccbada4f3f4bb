/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mixed.c: a fiber awaits a body, and a body runs a function that awaits. */
#include "main.h"

#include <stdio.h>

// --8<-- [start:branch]
/* Written like a fiber. */
static nart_res talk(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };

    printf("function: %s\n", (const char *)arg);
    return nart_await(cx, nart_sleep(cx, &timer, NART_MS));
}

struct body {
    nart_co co;
    nart_branch branch;
    char text[16];
};

/* A body runs that function on a stack of its own. */
static nart_res body_run(nart_cx *cx, struct body *f)
{
    nart_res r;

    NART_BEGIN(cx, &f->co);
    snprintf(f->text, sizeof f->text, "hello");
    NART_AWAIT(r, nart_branch_run(cx, &f->branch, talk, f->text));
    printf("body: %s\n", nart_strerror(r));
    NART_END(r);
}
// --8<-- [end:branch]

// --8<-- [start:fiber]
/* A fiber awaits a body like an operation; its frame may be a local variable. */
static nart_res fiber(nart_cx *cx, void *arg)
{
    struct body body = { .text = "" };
    nart_res r = nart_await(cx, body_run(cx, &body));

    printf("fiber: %s\n", nart_strerror(r));
    (void)arg;
    return r;
}
// --8<-- [end:fiber]

int main(void)
{
    return run_fiber(fiber, NULL);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* token.c: a token cancels two tasks. */
#include "main.h"

#include <errno.h>
#include <stdio.h>

// --8<-- [start:program]
/* Downloads, until it has finished or its token is cancelled. */
static nart_res download(nart_cx *cx, void *arg)
{
    const nart_token *token = arg;
    nart_waiter waiter = { 0 };
    nart_timer timer = { 0 };
    int which;
    nart_res r = nart_await_any(cx, which, nart_token_await(cx, token, &waiter),
                                nart_sleep(cx, &timer, 30 * NART_SEC)); // the work

    if (r == 0 && which == 0)
        r = -ECANCELED; // the token, not the work
    printf("download: %s\n", nart_err_name(r));
    return r;
}

static nart_res user(nart_cx *cx, void *arg)
{
    nart_nursery nursery = { 0 };
    nart_token token = { 0 };
    nart_res first, joined;
    nart_res r = nart_token_new(nart_cx_rt(cx), &token);

    if (r == 0)
        r = nart_nursery_open(cx, &nursery, 0);
    for (int i = 0; i < 2 && r == 0; i++)
        r = nart_nursery_fiber_spawn(cx, &nursery, download, &token, NULL);
    nart_token_cancel(&token); // any thread may do so
    joined = nart_await(cx, nart_nursery_join(cx, &nursery, &first));
    if (r == 0)
        r = joined;
    nart_token_release(&token);
    (void)arg;
    return r;
}
// --8<-- [end:program]

int main(void)
{
    return run_fiber(user, NULL);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wrong_block.c: wrong: a task blocks the thread. */
#include <nart/nart.h>

#include <stdio.h>
#include <unistd.h>

// --8<-- [start:wrong]
static nart_res ticker(nart_cx *cx, void *arg)
{
    int64_t begin = nart_now(cx);
    nart_timer timer = { 0 };
    nart_res r = nart_await(cx, nart_sleep(cx, &timer, NART_MS));

    if (nart_now(cx) - begin >= 100 * NART_MS)
        puts("a sleep of 1 ms has taken more than 100");
    (void)arg;
    return r;
}

static nart_res blocks(nart_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    usleep(100 * 1000); // every other task waits
    return 0;
}
// --8<-- [end:wrong]

// --8<-- [start:observe]
static nart_res run(nart_rt *rt)
{
    nart_observe_opts opts = NART_OBSERVE_OPTS_INIT;

    opts.slow_ns = 50 * NART_MS; // report polls that take longer
    nart_res r = nart_rt_observe(rt, &opts);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, ticker, NULL, NULL, NULL);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, blocks, NULL, NULL, NULL);
    if (r == 0)
        r = nart_rt_run(rt);
    return r;
}
// --8<-- [end:observe]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = run(rt);
    nart_rt_free(rt);
    return r < 0;
}

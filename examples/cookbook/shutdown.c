/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shutdown.c: an event loop that ends on SIGINT or SIGTERM, after the work that has begun.
 *
 * What to look at
 *  - run(): nart_rt_shutdown_on() makes a signal ask the runtime to shut down. It needs no signal handler and no flag.
 *  - ticker(): a race between the next tick and the shutdown. A tick that has begun is finished.
 *  - run(): nart_rt_shutdown_within() gives all tasks one second to end. It cancels those that are left, and gives them
 *    another second to unwind.
 * Usage: shutdown. It ticks until SIGINT or SIGTERM: press Ctrl-C. */
#include <nart/nart.h>

#include <signal.h>
#include <stdio.h>

static nart_res ticker(nart_cx *cx, void *arg)
{
    unsigned *ticks = arg;
    nart_waiter shutdown = { 0 };
    nart_interval every;
    nart_res r = nart_interval_init(cx, &every, 10 * NART_MS);
    int which = 1;

    while (r >= 0 && which == 1) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_interval_tick(cx, &every));
        if (r >= 0 && which == 1 && ++*ticks == 3) {
            puts("three ticks");
            fflush(stdout);
        }
    }
    puts("ticker ends");
    return r;
}

/* Waits until the shutdown is requested, then has something left to do. */
static nart_res saver(nart_cx *cx, void *arg)
{
    nart_waiter shutdown = { 0 };
    nart_timer timer = { 0 };
    nart_res r = nart_await(cx, nart_shutdown_await(cx, &shutdown));

    (void)arg;
    if (r == 0)
        r = nart_await(cx, nart_sleep(cx, &timer, 20 * NART_MS)); /* stands for a write */
    puts(r == 0 ? "saved" : "not saved");
    return r;
}

static nart_res run(nart_rt *rt, unsigned *ticks)
{
    nart_res answer = 0, r = nart_rt_shutdown_on(rt, SIGINT);

    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, saver, NULL, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, ticker, ticks, NULL, &answer); /* until the signal */
    if (r == 0)
        r = nart_rt_shutdown_within(rt, NART_SEC, NART_SEC, NULL);
    return r < 0 ? r : answer;
}

int main(void)
{
    nart_rt *rt = NULL;
    unsigned ticks = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = run(rt, &ticks);
    if (r < 0)
        fprintf(stderr, "shutdown: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}

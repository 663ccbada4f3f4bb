/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* system_signals.c: SIGHUP as an event, and SIGTERM as the request to shut down. */
#include <nart/nart.h>

#include <signal.h>
#include <stdio.h>

// --8<-- [start:program]
/* Reads the configuration again on each SIGHUP, until the shutdown. */
static nart_res reloader(nart_cx *cx, void *arg)
{
    nart_signal hup = { 0 };
    nart_waiter stop = { 0 };
    int which;
    nart_res n = nart_signal_open(SIGHUP, &hup);

    (void)arg;
    while (n >= 0) {
        n = nart_await_any(cx, which, nart_shutdown_await(cx, &stop), nart_signal_recv(cx, &hup));
        if (n < 0 || which == 0)
            break;
        puts("SIGHUP: reading the configuration again");
    }
    nart_signal_close(&hup);
    puts("the reloader ends");
    return n < 0 ? n : 0;
}

static nart_res until_shutdown(nart_cx *cx, void *arg)
{
    nart_waiter stop = { 0 };

    (void)arg;
    return nart_await(cx, nart_shutdown_await(cx, &stop));
}

static nart_res serve(nart_rt *rt)
{
    nart_rt_left left = NART_RT_LEFT_INIT;
    nart_res answer = 0, r = nart_rt_shutdown_on(rt, SIGTERM);

    if (r == 0)
        r = nart_rt_fiber_spawn(rt, reloader, NULL, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, until_shutdown, NULL, NULL, &answer);
    if (r < 0 || answer < 0)
        return r < 0 ? r : answer;
    /* 5 seconds for the tasks to end by themselves, then cancel them, and 1 second for that. */
    r = nart_rt_shutdown_within(rt, 5 * NART_SEC, NART_SEC, &left);
    printf("left: %u tasks, cancelled: %u\n", left.tasks, left.cancelled);
    return r;
}
// --8<-- [end:program]

/* Sends the signals that a user would send. A sleep lasts until the next tick at least: by then the loop has noticed
 * the signal, and after another yield the reloader has printed. */
static nart_res user(nart_cx *cx, void *arg)
{
    nart_timer pause = { 0 };
    nart_res r = 0;

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++) {
        r = nart_await(cx, nart_sleep(cx, &pause, NART_MS));
        if (r == 0)
            r = nart_yield(cx);
        if (r == 0)
            r = raise(i < 2 ? SIGHUP : SIGTERM) == 0 ? 0 : -EIO;
    }
    return r;
}

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, user, NULL, NULL, NULL);
    if (r == 0)
        r = serve(rt);
    nart_rt_free(rt);
    return r < 0;
}

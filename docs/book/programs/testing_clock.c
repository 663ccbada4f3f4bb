/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* testing_clock.c: tests of code that waits for minutes and hours, which take no time. */
#include <nart/nart.h>

#undef NDEBUG /* assert() is what tests */
#include <assert.h>
#include <stdio.h>

// --8<-- [start:tested]
/* The code that is tested. It calls a service until that answers, with pauses that double. */
struct client {
    nart_res (*call)(struct client *);
    int calls;
};

static nart_res persist(nart_cx *cx, void *arg)
{
    struct client *c = arg;
    nart_backoff backoff = NART_BACKOFF_INIT; /* 100 ms, doubling up to 30 s */
    nart_res r;

    while ((r = c->call(c)) < 0) {
        nart_res waited = nart_await(cx, nart_backoff_wait(cx, &backoff));

        if (waited < 0)
            return waited;
    }
    return r;
}

/* And a task that ends when nothing has arrived for an hour. */
static nart_res idle(nart_cx *cx, void *arg)
{
    nart_waiter waiter = { 0 };

    return nart_await_for(cx, 3600 * NART_SEC, nart_notify_await(cx, arg, &waiter));
}
// --8<-- [end:tested]

// --8<-- [start:auto]
static nart_res fails_12_times(struct client *c)
{
    return c->calls++ < 12 ? -ECONNREFUSED : 0;
}

/* The clock advances by itself: it jumps to the next deadline when no task is ready. */
static void test_of_pauses(void)
{
    struct client c = { .call = fails_12_times };
    nart_rt *rt = NULL;
    nart_res answer = -1, r = nart_rt_new(NULL, &rt);
    int64_t begin;

    assert(r == 0);
    nart_rt_clock_pause(rt);
    nart_rt_clock_auto(rt);
    begin = nart_rt_now(rt);
    r = nart_fiber_block_on(rt, persist, &c, NULL, &answer);
    assert(r == 0 && answer == 0);
    assert(nart_rt_now(rt) - begin == 141100 * NART_MS); /* exactly: 0.1 + 0.2 + ... + 30 s */
    printf("%d calls in %d ms of the runtime's clock\n", c.calls,
           (int)((nart_rt_now(rt) - begin) / NART_MS));
    nart_rt_free(rt);
}
// --8<-- [end:auto]

// --8<-- [start:hand]
/* The clock is advanced by hand, to look at the moment before. */
static void run_ready(nart_rt *rt)
{
    while (nart_rt_poll(rt, 0) > 0)
        ;
}

static void test_of_the_hour(void)
{
    nart_notify news = { 0 };
    nart_join join = { 0 };
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    assert(r == 0);
    nart_rt_clock_pause(rt);
    r = nart_rt_fiber_spawn(rt, idle, &news, NULL, &join);
    assert(r == 0);
    run_ready(rt); /* it waits */
    nart_rt_clock_advance(rt, 3600 * NART_SEC - 1);
    run_ready(rt);
    assert(!nart_join_done(&join));
    nart_rt_clock_advance(rt, 1);
    run_ready(rt);
    assert(nart_join_done(&join));
    puts("timed out after an hour, not before");
    nart_join_release(&join);
    nart_rt_free(rt);
}
// --8<-- [end:hand]

int main(void)
{
    test_of_pauses();
    test_of_the_hour();
    return 0;
}

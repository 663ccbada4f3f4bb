/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* performance_measure.c: how long a value takes to another task and back, and what the loop did meanwhile. */
#include <nart/nart.h>

#include <stdio.h>

NART_CHAN_TYPED(number, int);

struct game {
    nart_tx there_tx, back_tx;
    nart_rx there_rx, back_rx;
};

// --8<-- [start:section]
static nart_res echo(nart_cx *cx, void *arg)
{
    struct game *g = arg;
    int value;
    nart_res r;

    do {
        r = nart_await(cx, number_recv(cx, &g->there_rx, &value));
        if (r == 0)
            r = nart_await(cx, number_send(cx, &g->back_tx, value));
    } while (r == 0);
    return r == NART_ECLOSED ? 0 : r;
}

static nart_res trips(nart_cx *cx, struct game *g, int n)
{
    nart_res r = 0;

    for (int i = 0, value; i < n && r == 0; i++) {
        r = nart_await(cx, number_send(cx, &g->there_tx, i));
        if (r == 0)
            r = nart_await(cx, number_recv(cx, &g->back_rx, &value));
    }
    return r;
}

/* The section is measured as a whole, after a tenth of it has run without being measured. */
static nart_res measure(nart_cx *cx, void *arg)
{
    enum { TRIPS = 20000 };
    nart_rt *rt = nart_cx_rt(cx);
    nart_res r = trips(cx, arg, TRIPS / 10);
    int64_t begin = nart_rt_now(rt);

    if (r == 0)
        r = trips(cx, arg, TRIPS);
    if (r == 0)
        printf("a trip takes %.1f ns\n", (double)(nart_rt_now(rt) - begin) / TRIPS);
    return r;
}
// --8<-- [end:section]

// --8<-- [start:observe]
/* Another run, observed: each poll costs two readings of the clock more. */
static nart_res observe(nart_cx *cx, void *arg)
{
    nart_rt *rt = nart_cx_rt(cx);
    nart_observe_opts opts = NART_OBSERVE_OPTS_INIT;
    nart_rt_stats s = { .size = sizeof s };
    nart_res r;

    r = nart_rt_observe(rt, &opts);
    if (r == 0)
        r = trips(cx, arg, 1000);
    if (r < 0)
        return r;
    printf("half of the polls took at most %d ns, 99 %% at most %d ns\n",
           (int)nart_rt_poll_percentile(rt, 50), (int)nart_rt_poll_percentile(rt, 99));
    nart_rt_stats_get(rt, &s);
    printf("the longest: %s, %d ns\n", s.longest_name, (int)s.longest_ns);
    printf("polls: %llu, parks: %llu\n", (unsigned long long)s.polls, (unsigned long long)s.parks);
    return nart_rt_observe_stop(rt);
}
// --8<-- [end:observe]

static nart_res program(nart_cx *cx, void *arg)
{
    struct game *g = arg;
    nart_res r = measure(cx, g);

    if (r == 0)
        r = observe(cx, g);
    nart_tx_close(&g->there_tx);
    nart_rx_close(&g->back_rx);
    return r;
}

int main(void)
{
    struct game g;
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = number_open(rt, NART_CHAN_LOCAL, 1, &g.there_tx, &g.there_rx);
    if (r == 0)
        r = number_open(rt, NART_CHAN_LOCAL, 1, &g.back_tx, &g.back_rx);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, echo, &g, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, program, &g, NULL, &answer);
    if (r == 0)
        r = nart_rt_run(rt);
    if (r == 0) {
        nart_tx_close(&g.back_tx);
        nart_rx_close(&g.there_rx);
    }
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}

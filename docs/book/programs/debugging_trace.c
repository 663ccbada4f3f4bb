/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* debugging_trace.c: writes trace.json, to be opened in ui.perfetto.dev or about:tracing. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
NART_CHAN_TYPED(number, int);

struct pipe {
    nart_tx tx;
    nart_rx rx;
};

static nart_res producer(nart_cx *cx, void *arg)
{
    struct pipe *p = arg;
    nart_timer timer = { 0 };
    nart_res r = 0;

    for (int i = 0; i < 10 && r == 0; i++) {
        r = nart_await(cx, nart_sleep(cx, &timer, NART_MS));
        if (r == 0)
            r = nart_await(cx, number_send(cx, &p->tx, i));
    }
    nart_tx_close(&p->tx);
    return r;
}

static nart_res consumer(nart_cx *cx, void *arg)
{
    struct pipe *p = arg;
    int value, sum = 0;

    while (nart_await(cx, number_recv(cx, &p->rx, &value)) == 0)
        sum += value;
    nart_rx_close(&p->rx);
    printf("sum %d\n", sum);
    return 0;
}

static nart_res run(nart_rt *rt, struct pipe *p)
{
    FILE *out;
    nart_res r = nart_trace_start(rt, 100000); /* 40 bytes for each event */

    if (r == 0)
        r = nart_rt_fiber_spawn(rt, producer, p, NULL, NULL);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, consumer, p, NULL, NULL);
    if (r == 0)
        r = nart_rt_run(rt);
    out = fopen("trace.json", "w");
    if (r == 0)
        r = nart_trace_stop(rt, out);
    if (out && fclose(out) != 0 && r >= 0)
        r = -EIO;
    if (out && r >= 0)
        printf("%d events were overwritten\n", (int)r);
    return r;
}
// --8<-- [end:program]

int main(void)
{
    struct pipe p = { 0 };
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = number_open(rt, NART_CHAN_LOCAL, 4, &p.tx, &p.rx);
    if (r == 0)
        r = run(rt, &p);
    nart_tx_close(&p.tx);
    nart_rx_close(&p.rx);
    nart_rt_free(rt);
    return r < 0;
}

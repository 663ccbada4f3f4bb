/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A message from a loop to a task of tokio and back, through channels of the loop. */
#include "nart_bridge.h"

#include <nart/chan.h>

#include <errno.h>

/* From futures/src/hop.rs: sends back what it receives; takes over both ends. */
nart_res bench_relay(nart_tokio *bridge, nart_rx *rx, nart_tx *tx, nart_tokio_op *op);

NART_CHAN_TYPED(u64, uint64_t);

enum { CAPACITY = 64 };

struct trips {
    struct work w;
    nart_tx *tx;
    nart_rx *rx;
    uint64_t value;
};

static nart_res trips_run(nart_cx *cx, void *frame)
{
    struct trips *t = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &t->w.co);
    for (t->w.i = 0; t->w.i < t->w.n; t->w.i++) {
        NART_AWAIT(r, u64_send(cx, t->tx, t->w.i));
        bench_must(r, "send");
        NART_AWAIT(r, u64_recv(cx, t->rx, &t->value));
        bench_must(r, "recv");
        bench_must(t->value == t->w.i ? 0 : -EBADMSG, "order");
    }
    NART_END(0);
}

static void open_channel(nart_rt *rt, nart_tx *tx, nart_rx *rx)
{
    nart_chan_opts o = { sizeof o, NART_CHAN_SPSC, 0, sizeof(uint64_t), CAPACITY, NULL };

    bench_must(nart_chan_open(rt, &o, tx, rx), "open");
}

double bridge_hop(uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct trips, trips_run, NULL);

    bench_pin_to(0); /* so tokio's worker runs on another processor */
    nart_rt *rt = bench_runtime(NULL);
    nart_tokio *bridge = open_bridge(1);
    nart_tokio_op op = { 0 };
    nart_tx there = { 0 }, back = { 0 };
    nart_rx relay_rx = { 0 }, rx = { 0 };

    open_channel(rt, &there, &relay_rx);
    open_channel(rt, &back, &rx);
    bench_must(bench_relay(bridge, &relay_rx, &back, &op), "relay");
    double per_trip = bench_as_task(rt, &type, &(struct trips){ .tx = &there, .rx = &rx }, n);
    nart_tx_close(&there);
    nart_rx_close(&rx);
    close_bridge(bridge);
    nart_tokio_op_close(&op);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    return per_trip / 2;
}

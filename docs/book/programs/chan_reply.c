/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan_reply.c: requests with an answer each. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:program]
struct request {
    int number;
    nart_oneshot_tx reply;
};

NART_CHAN_TYPED(requests, struct request);

static nart_res server(nart_cx *cx, void *arg)
{
    nart_rx *rx = arg;
    struct request q;
    nart_res r;

    while ((r = nart_await(cx, requests_recv(cx, rx, &q))) == 0) {
        int square = q.number * q.number;

        if (nart_oneshot_send(&q.reply, &square) < 0)
            puts("the client has gone"); // its end is closed: nobody waits for this answer
    }
    nart_rx_close(rx);
    return r == NART_ECLOSED ? 0 : r;
}

static nart_res client(nart_cx *cx, void *arg)
{
    nart_tx *tx = arg;
    struct request q = { .number = 12 };
    nart_oneshot_rx answer;
    int square = 0;
    nart_res r = nart_oneshot_open(nart_cx_rt(cx), sizeof square, NULL, &q.reply, &answer);

    if (r == 0) {
        r = nart_await(cx, requests_send(cx, tx, q));
        if (r == 0)
            q.reply = (nart_oneshot_tx){ 0 }; // sent: it is the server's
        nart_oneshot_tx_close(&q.reply);
    }
    if (r == 0)
        r = nart_await_for(cx, 30 * NART_SEC, nart_oneshot_recv(cx, &answer, &square));
    nart_oneshot_rx_close(&answer);
    nart_tx_close(tx);
    printf("square %d, %s\n", square, nart_err_name(r));
    return r;
}
// --8<-- [end:program]

/* A request that is never received. */
static void drop_request(void *value)
{
    struct request *q = value;

    nart_oneshot_tx_close(&q->reply);
}

int main(void)
{
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;
    nart_tx tx = { 0 };
    nart_rx rx = { 0 };
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    // --8<-- [start:open]
    opts.kind = NART_CHAN_LOCAL;
    opts.elem = sizeof(struct request);
    opts.capacity = 8;
    opts.drop_value = drop_request;
    if (r == 0)
        r = nart_chan_open(rt, &opts, &tx, &rx);
    // --8<-- [end:open]
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, server, &rx, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, client, &tx, NULL, &answer);
    if (r == 0)
        r = nart_rt_run(rt); // until the server has ended, too
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}

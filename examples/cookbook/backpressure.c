/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* backpressure.c: a producer that is faster than the network, and a bounded queue between the two.
 *
 * What to look at
 *  - QUEUE, the capacity of the channel, bounds the memory. record_send() waits while the channel is full, so the
 *    producer becomes as slow as its consumer, without code of its own for that.
 *  - consume(): while the client does not read, the send waits; then the channel fills; then the producer waits.
 *  - closing one end of the channel ends the task at the other end. The producer closes its end after the last record,
 *    the consumer when the client has left.
 *  - finish(): closing a socket that has unread bytes resets the connection, and the client may lose the last records.
 *    So it ends its own direction first, and reads the rest.
 * Usage: backpressure [RECORDS [ADDRESS:PORT [TIMEOUT]]]. The first client receives so many records; then the program
 * ends. It also ends when the client does not read, or in the end does not close, for TIMEOUT milliseconds, 30000 by
 * default.
 * backpressure_bodies.c is the same with bodies. */
#include <nart/nart.h>

#include <stdio.h>

enum { QUEUE = 64 }; /* records */

static int64_t timeout;

struct record {
    char text[1024];
};

NART_CHAN_TYPED(record, struct record);

struct pipeline {
    nart_tcp_listener listener;
    nart_tcp client;
    nart_tx tx;
    nart_rx rx;
    long records, sent;
};

static nart_res produce(nart_cx *cx, void *arg)
{
    struct pipeline *p = arg;
    bool reported = false;
    nart_res r = 0;

    for (long i = 0; i < p->records && r == 0; i++) {
        struct record record;

        snprintf(record.text, sizeof record.text, "%-*ld", (int)sizeof record.text - 1, i);
        record.text[sizeof record.text - 1] = '\n';
        if (!reported && nart_tx_len(&p->tx) == nart_tx_capacity(&p->tx)) {
            reported = true;
            printf("the producer waits, %zu records are queued\n", nart_tx_len(&p->tx));
            fflush(stdout);
        }
        r = nart_await(cx, record_send(cx, &p->tx, record));
    }
    printf("the producer ends: %s\n", nart_err_name(r));
    nart_tx_close(&p->tx); /* the consumer receives what is queued, and then NART_ECLOSED */
    return r;
}

static nart_res consume(nart_cx *cx, struct pipeline *p)
{
    nart_res r = 0;

    while (r >= 0) {
        struct record record;
        size_t done = 0;

        r = nart_await(cx, record_recv(cx, &p->rx, &record));
        if (r == 0)
            r = nart_await_for(cx, timeout,
                               nart_tcp_send_all(cx, &p->client, &record, sizeof record, &done));
        if (r > 0)
            p->sent++;
    }
    nart_rx_close(&p->rx); /* from now on the producer's sends answer NART_ECLOSED */
    return r == NART_ECLOSED ? 0 : r;
}

static nart_res finish(nart_cx *cx, nart_tcp *sock)
{
    char rest[4096];
    nart_res r = nart_tcp_shutdown(sock, NART_WRITE);

    while (r >= 0 && (r = nart_await(cx, nart_tcp_recv(cx, sock, rest, sizeof rest))) > 0)
        ;
    return r;
}

static nart_res serve(nart_cx *cx, void *arg)
{
    struct pipeline *p = arg;
    nart_join producer = { 0 };
    nart_res joined, produced = 0;
    nart_res r = nart_await(cx, nart_tcp_accept(cx, &p->listener, &p->client, NULL));

    if (r == 0)
        r = record_open(nart_cx_rt(cx), NART_CHAN_LOCAL, QUEUE, &p->tx, &p->rx);
    if (r == 0)
        r = nart_fiber_spawn(cx, produce, p, NULL, &producer);
    if (r == 0) {
        r = consume(cx, p);
        joined = nart_await(cx, nart_join_await(cx, &producer, &produced));
        nart_join_release(&producer);
        r = r < 0 ? r : joined < 0 ? joined : produced;
    }
    if (r == 0)
        r = nart_await_for(cx, timeout, finish(cx, &p->client));
    nart_tx_close(&p->tx); /* still open if there was no producer */
    nart_rx_close(&p->rx);
    printf("%ld records sent: %s\n", p->sent, nart_err_name(r));
    nart_tcp_close(&p->client);
    return r;
}

static nart_res run(nart_rt *rt, struct pipeline *p, const char *address)
{
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res answer = 0, r = nart_addr_parse(&addr, address);

    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &p->listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&p->listener, &addr);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = nart_fiber_block_on(rt, serve, p, NULL, &answer);
    return r < 0 ? r : answer;
}

int main(int argc, char **argv)
{
    struct pipeline p = { .records = 100000 };
    nart_rt *rt = NULL;
    int ms = 30000;
    char more;

    if ((argc > 1 && sscanf(argv[1], "%9ld%c", &p.records, &more) != 1) || p.records < 0 ||
        (argc > 3 && sscanf(argv[3], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: backpressure [RECORDS [ADDRESS:PORT [TIMEOUT in milliseconds]]]\n", stderr);
        return 2;
    }
    timeout = ms * NART_MS;
    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = run(rt, &p, argc > 2 ? argv[2] : "127.0.0.1:4000");
    if (r < 0)
        fprintf(stderr, "backpressure: %s\n", nart_strerror(r));
    nart_tcp_listener_close(&p.listener);
    nart_rt_free(rt);
    return r < 0;
}

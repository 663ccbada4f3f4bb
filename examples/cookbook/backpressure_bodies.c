/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* backpressure_bodies.c: backpressure.c with bodies instead of fibers, and with several records per call.
 *
 * What to look at
 *  - consumer_run(): nart_recv_many() takes all queued records, and nart_tcp_send_all() sends them together: by one
 *    system call, if the kernel's buffer has space for all.
 *  - the frames: they hold what survives an await, and each task's end of the channel. A task closes its end before it
 *    ends; the drop functions release what a task holds that ends while it waits.
 *  - producer_run(): record_send() is inline. It copies the record into the channel without a call of the library,
 *    unless the channel is full or the consumer waits.
 * Usage: backpressure_bodies [RECORDS [ADDRESS:PORT [TIMEOUT]]], as backpressure. */
#include <nart/nart.h>

#include <stdio.h>

enum { QUEUE = 64 }; /* records */

static int64_t timeout;

struct record {
    char text[1024];
};

NART_CHAN_TYPED(record, struct record);

struct producer {
    nart_co co;
    nart_tx tx;
    long records, i;
    bool reported;
    struct record record;
};

static void report_wait(struct producer *p)
{
    if (p->reported || nart_tx_len(&p->tx) < nart_tx_capacity(&p->tx))
        return;
    p->reported = true;
    printf("the producer waits, %zu records are queued\n", nart_tx_len(&p->tx));
    fflush(stdout);
}

static nart_res producer_run(nart_cx *cx, void *frame)
{
    struct producer *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    for (; p->i < p->records && r == 0; p->i++) {
        snprintf(p->record.text, sizeof p->record.text, "%-*ld", (int)sizeof p->record.text - 1,
                 p->i);
        p->record.text[sizeof p->record.text - 1] = '\n';
        report_wait(p);
        NART_AWAIT(r, record_send(cx, &p->tx, p->record));
    }
    printf("the producer ends: %s\n", nart_err_name(r));
    nart_tx_close(&p->tx);
    NART_END(r);
}

static void producer_drop(void *frame)
{
    struct producer *p = frame;

    nart_tx_close(&p->tx);
}

NART_TASK_TYPED(producer, struct producer, producer_run, producer_drop);

struct consumer {
    nart_co co;
    nart_tcp_listener listener;
    nart_tcp client;
    nart_rx rx;
    nart_join producer;
    struct record *batch; /* QUEUE of them */
    size_t len, done;
    long records, sent;
    int64_t until;
    nart_res produced, error;
};

static nart_res start_producer(nart_cx *cx, struct consumer *c)
{
    struct producer p = { .records = c->records };
    nart_res r = record_open(nart_cx_rt(cx), NART_CHAN_LOCAL, QUEUE, &p.tx, &c->rx);

    if (r == 0)
        r = producer_spawn(cx, &p, &c->producer);
    nart_tx_close(&p.tx); /* the task has it now, unless there is none */
    return r;
}

static nart_res consumer_run(nart_cx *cx, void *frame)
{
    struct consumer *c = frame;
    nart_res r;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_tcp_accept(cx, &c->listener, &c->client, NULL));
    if (r == 0)
        r = start_producer(cx, c);
    while (r >= 0) {
        NART_AWAIT(r, nart_recv_many(cx, &c->rx, c->batch, QUEUE));
        if (r < 0)
            break;
        c->len = (size_t)r * sizeof *c->batch;
        NART_AWAIT_FOR(r, timeout, nart_tcp_send_all(cx, &c->client, c->batch, c->len, &c->done));
        if (r >= 0)
            c->sent += r / (nart_res)sizeof *c->batch;
    }
    c->error = r == NART_ECLOSED ? 0 : r;
    nart_rx_close(&c->rx); /* the producer's sends answer NART_ECLOSED from now on */
    NART_AWAIT(r, nart_join_await(cx, &c->producer, &c->produced));
    nart_join_release(&c->producer);
    if (c->error == 0)
        c->error = r < 0 ? r : c->produced;
    if (c->error == 0)
        c->error = nart_tcp_shutdown(&c->client, NART_WRITE);
    c->until = nart_now(cx) + timeout;
    r = 1;
    while (c->error == 0 && r > 0) { /* as finish() of backpressure.c */
        NART_AWAIT_UNTIL(r, c->until,
                         nart_tcp_recv(cx, &c->client, c->batch, QUEUE * sizeof *c->batch));
        c->error = r < 0 ? r : 0;
    }
    printf("%ld records sent: %s\n", c->sent, nart_err_name(c->error));
    nart_tcp_close(&c->client);
    NART_END(c->error);
}

static void consumer_drop(void *frame)
{
    struct consumer *c = frame;

    nart_rx_close(&c->rx);
    nart_join_release(&c->producer);
    nart_tcp_close(&c->client);
    nart_tcp_listener_close(&c->listener);
}

NART_TASK_TYPED(consumer, struct consumer, consumer_run, consumer_drop);

static nart_res run(nart_rt *rt, struct consumer *c, const char *address)
{
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res answer = 0, r = nart_addr_parse(&addr, address);

    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &c->listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&c->listener, &addr);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = consumer_block_on(rt, c, &answer);
    return r < 0 ? r : answer;
}

int main(int argc, char **argv)
{
    static struct record batch[QUEUE];
    struct consumer c = { .batch = batch, .records = 100000 };
    nart_rt *rt = NULL;
    int ms = 30000;
    char more;

    if ((argc > 1 && sscanf(argv[1], "%9ld%c", &c.records, &more) != 1) || c.records < 0 ||
        (argc > 3 && sscanf(argv[3], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: backpressure_bodies [RECORDS [ADDRESS:PORT [TIMEOUT in milliseconds]]]\n",
              stderr);
        return 2;
    }
    timeout = ms * NART_MS;
    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = run(rt, &c, argc > 2 ? argv[2] : "127.0.0.1:4000");
    if (r < 0)
        fprintf(stderr, "backpressure: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}

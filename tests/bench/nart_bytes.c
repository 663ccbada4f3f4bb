/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages of 64 bytes, written and read in place, by one task. */
#include "nart_rows.h"

#include <nart/bytes.h>

#include <errno.h>
#include <string.h>

enum { RING = 4096, MESSAGE = 64 };

struct ends {
    nart_bytes_tx tx;
    nart_bytes_rx rx;
    unsigned char message[MESSAGE]; /* all but its number */
};

struct pair {
    struct work w;
    struct ends *ends;
};

static void send(struct ends *e, uint64_t i)
{
    nart_bytes_buf room;

    bench_must(nart_bytes_try_claim(&e->tx, MESSAGE, &room), "claim");
    memcpy(room.ptr, e->message, MESSAGE);
    memcpy(room.ptr, &i, sizeof i);
    bench_must(nart_bytes_commit(&e->tx, &room), "commit");
}

static void receive(struct ends *e, uint64_t i)
{
    nart_bytes_msg msg;
    uint64_t first;

    bench_must(nart_bytes_try_recv(&e->rx, &msg), "recv");
    memcpy(&first, msg.ptr, sizeof first);
    bench_must(first == i && msg.len == MESSAGE ? 0 : -EBADMSG, "message");
    BENCH_KEEP(msg.ptr);
    bench_must(nart_bytes_release(&e->rx, &msg), "release");
}

static nart_res pair_run(nart_cx *cx, void *frame)
{
    struct pair *p = frame;
    (void)cx;

    for (uint64_t i = 0; i < p->w.n; i++) {
        send(p->ends, i);
        receive(p->ends, i);
    }
    return 0;
}

static double pair(nart_rt *rt, bench_how how, uint64_t n, uint32_t kind, uint32_t flags)
{
    static const nart_task_type type = NART_TASK_TYPE(struct pair, pair_run, NULL);
    nart_bytes_opts o = { .size = sizeof o, .kind = kind, .flags = flags, .capacity = RING };
    struct ends ends = { 0 };

    bench_must(nart_bytes_open(rt, &o, &ends.tx, &ends.rx), "open");
    double per_op = how(rt, &type, &(struct pair){ .ends = &ends }, n);
    nart_bytes_tx_close(&ends.tx);
    nart_bytes_rx_close(&ends.rx);
    return per_op;
}

double spsc_bytes_64(nart_rt *rt, bench_how how, uint64_t n)
{
    return pair(rt, how, n, NART_BYTES_SPSC, 0);
}

double spsc_bytes_64_spin(nart_rt *rt, bench_how how, uint64_t n)
{
    return pair(rt, how, n, NART_BYTES_SPSC, NART_BYTES_SPINNING);
}

double mpsc_bytes_64(nart_rt *rt, bench_how how, uint64_t n)
{
    return pair(rt, how, n, NART_BYTES_MPSC, 0);
}

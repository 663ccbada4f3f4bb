/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagrams to an echo task over loopback and back, both ends on one thread: many per system call, and in the first
 * row also many per message, which the kernel splits and joins. */
#include "nart_rows.h"

#include <nart/net.h>

enum { DATAGRAM = 64, BATCH = NART_UDP_BATCH, ROUND = BATCH * DATAGRAM, LARGEST = 65536 };

/* One side: space for a round of datagrams, each in a message of its own or several in one. */
struct side {
    nart_udp sock;
    nart_udp_msg msgs[BATCH];
    char space[BATCH][LARGEST];
};

static struct side client_side, server_side;
static nart_udp_msg round_of[BATCH];
static char bytes[ROUND];
static size_t messages; /* in a round that the client sends */

/* ---- the echo task --------------------------------------------------------------------------- */

struct server {
    nart_co co;
    size_t have, sent;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *f = frame;
    struct side *s = &server_side;
    nart_res n = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(n, nart_udp_recv_many(cx, &s->sock, s->msgs, BATCH));
        if (n < 0) /* it was closed */
            break;
        f->have = (size_t)n;
        for (f->sent = 0; f->sent < f->have; f->sent += (size_t)n) {
            NART_AWAIT(n, nart_udp_send_many(cx, &s->sock, s->msgs + f->sent, f->have - f->sent));
            bench_must(n, "send");
        }
    }
    NART_END(0);
}

/* ---- the measured client --------------------------------------------------------------------- */

struct client {
    struct work w;
    size_t sent, have;
};

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *f = frame;
    struct side *s = &client_side;
    nart_res n = 0;

    NART_BEGIN(cx, &f->w.co);
    for (f->w.i = 0; f->w.i < f->w.n; f->w.i += BATCH) {
        for (f->sent = 0; f->sent < messages; f->sent += (size_t)n) {
            NART_AWAIT(n, nart_udp_send_many(cx, &s->sock, round_of + f->sent, messages - f->sent));
            bench_must(n, "send");
        }
        for (f->have = 0; f->have < ROUND;) {
            NART_AWAIT(n, nart_udp_recv_many(cx, &s->sock, s->msgs, BATCH));
            bench_must(n, "recv");
            for (nart_res i = 0; i < n; i++)
                f->have += s->msgs[i].len;
        }
    }
    NART_END(0);
}

/* ---- both ------------------------------------------------------------------------------------ */

static void open_side(nart_rt *rt, struct side *s, bool joined, nart_addr *at)
{
    nart_udp_opts o = NART_UDP_OPTS_INIT;

    o.flags = joined ? NART_UDP_GRO : 0;
    bench_must(nart_addr_parse(at, "127.0.0.1:0"), "address");
    bench_must(nart_udp_open(rt, at, &o, &s->sock), "open");
    bench_must(nart_udp_local_addr(&s->sock, at), "address");
    for (int i = 0; i < BATCH; i++)
        s->msgs[i] = (nart_udp_msg){ .buf = s->space[i], .cap = LARGEST };
}

static double echo(nart_rt *rt, bench_how how, uint64_t n, bool joined)
{
    static const nart_task_type type = NART_TASK_TYPE(struct client, client_run, NULL),
                                server_type = NART_TASK_TYPE(struct server, server_run, NULL);
    struct client init = { .sent = 0 };
    nart_addr at;

    open_side(rt, &client_side, joined, &at);
    open_side(rt, &server_side, joined, &at);
    bench_must(nart_udp_connect(&client_side.sock, &at), "connect");
    messages = joined ? 1 : BATCH;
    for (int i = 0; i < BATCH; i++)
        round_of[i] = (nart_udp_msg){ .buf = bytes,
                                      .len = joined ? ROUND : DATAGRAM,
                                      .segment = joined ? DATAGRAM : 0 };
    bench_must(nart_rt_spawn(rt, &server_type, NULL, NULL), "spawn");
    double each = how(rt, &type, &init, n);
    bench_must(nart_udp_close(&client_side.sock), "close");
    bench_must(nart_udp_close(&server_side.sock), "close");
    bench_must(nart_rt_run(rt), "run"); /* the server finds its socket closed, and ends */
    return each;
}

double udp_echo(nart_rt *rt, bench_how how, uint64_t n)
{
    return echo(rt, how, n, true);
}

double udp_batch(nart_rt *rt, bench_how how, uint64_t n)
{
    return echo(rt, how, n, false);
}

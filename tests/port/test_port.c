/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A little of everything, for processors and C libraries that CI has only emulated: tasks and timers, values
 * and bytes from another thread, TCP and UDP. Public functions only. */
#include "runtime.h"
#include "test.h"
#include "threads.h"

#include <nart/nart.h>

#include <string.h>

/* ---- tasks and timers ---- */

struct sleeper {
    nart_co co;
    nart_timer timer;
    int i;
};

/* Sleeps three times, and once for ever under a deadline. */
static nart_res sleeper_run(nart_cx *cx, void *frame)
{
    struct sleeper *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (s->i = 0; s->i < 3; s->i++) {
        NART_AWAIT(r, nart_sleep(cx, &s->timer, NART_MS + s->i));
        if (r < 0)
            NART_RETURN(r);
    }
    NART_AWAIT_FOR(r, NART_MS, nart_sleep(cx, &s->timer, INT64_MAX / 2));
    NART_END(r == -ETIMEDOUT ? s->i : -EPROTO);
}

static const nart_task_type sleeper_type = NART_TASK_TYPE(struct sleeper, sleeper_run, NULL);

struct parent {
    nart_co co;
    nart_join joins[8];
    nart_res sum, answer, r;
    int i;
};

static nart_res parent_run(nart_cx *cx, void *frame)
{
    struct parent *p = frame;

    NART_BEGIN(cx, &p->co);
    for (p->i = 0; p->i < 8; p->i++) {
        p->r = nart_spawn(cx, &sleeper_type, NULL, &p->joins[p->i]);
        if (p->r < 0)
            NART_RETURN(p->r);
    }
    for (p->i = 0; p->i < 8; p->i++) {
        NART_AWAIT(p->r, nart_join_await(cx, &p->joins[p->i], &p->answer));
        if (p->r < 0)
            NART_RETURN(p->r);
        p->sum += p->answer;
    }
    NART_END(p->sum);
}

static void parent_drop(void *frame)
{
    struct parent *p = frame;

    for (int i = 0; i < 8; i++)
        nart_join_release(&p->joins[i]);
}

static const nart_task_type parent_type = NART_TASK_TYPE(struct parent, parent_run, parent_drop);

TEST(tasks_sleep_and_are_joined)
{
    nart_rt *rt = new_rt();
    nart_res answer = 0;

    CHECK_RES(nart_block_on(rt, &parent_type, NULL, &answer), 0);
    CHECK_EQ(answer, 8 * 3);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- channels from another thread ---- */

enum { VALUES = 2000, BYTES_MAX = 40 };

struct thread {
    nart_tx tx;
    nart_bytes_tx bytes;
};

static void *other_side(void *arg)
{
    struct thread *t = arg;

    for (uint64_t i = 0; i < VALUES; i++) {
        char text[BYTES_MAX];

        CHECK_RES(nart_send_blocking(&t->tx, &i, NART_NEVER), 0);
        memset(text, (int)(i % 100), sizeof text);
        CHECK_RES(nart_bytes_send_blocking(&t->bytes, text, 1 + i % BYTES_MAX, NART_NEVER), 0);
    }
    nart_tx_close(&t->tx);
    nart_bytes_tx_close(&t->bytes);
    return NULL;
}

struct receiver {
    nart_co co;
    nart_rx rx;
    nart_bytes_rx bytes;
    uint64_t value, next;
    nart_bytes_msg msg;
};

static nart_res receiver_run(nart_cx *cx, void *frame)
{
    struct receiver *f = frame;
    nart_res r;

    NART_BEGIN(cx, &f->co);
    for (f->next = 0; f->next < VALUES; f->next++) {
        NART_AWAIT(r, nart_recv(cx, &f->rx, &f->value));
        CHECK_RES(r, 0);
        CHECK_EQ(f->value, f->next);
        NART_AWAIT(r, nart_bytes_recv(cx, &f->bytes, &f->msg));
        CHECK_RES(r, 0);
        CHECK_EQ(f->msg.len, 1 + f->next % BYTES_MAX);
        CHECK_EQ(((const char *)f->msg.ptr)[f->msg.len - 1], f->next % 100);
        CHECK_RES(nart_bytes_release(&f->bytes, &f->msg), 0);
    }
    NART_AWAIT(r, nart_recv(cx, &f->rx, &f->value));
    CHECK_RES(r, NART_ECLOSED);
    NART_END(0);
}

static void receiver_drop(void *frame)
{
    struct receiver *f = frame;

    nart_rx_close(&f->rx);
    nart_bytes_rx_close(&f->bytes);
}

static const nart_task_type receiver_type =
    NART_TASK_TYPE(struct receiver, receiver_run, receiver_drop);

static void values_and_bytes(uint32_t kind, uint32_t bytes_kind)
{
    nart_rt *rt = new_rt();
    struct thread t;
    struct receiver f = { .next = 0 };
    nart_chan_opts o = NART_CHAN_OPTS_INIT;
    nart_bytes_opts b = NART_BYTES_OPTS_INIT;
    nart_res answer = -1;

    o.kind = kind;
    o.elem = sizeof(uint64_t);
    o.capacity = 16;
    b.kind = bytes_kind;
    b.capacity = 256;
    CHECK_RES(nart_chan_open(rt, &o, &t.tx, &f.rx), 0);
    CHECK_RES(nart_bytes_open(rt, &b, &t.bytes, &f.bytes), 0);
    pthread_t thread = thread_start(other_side, &t);
    CHECK_RES(nart_block_on(rt, &receiver_type, &f, &answer), 0);
    CHECK_RES(answer, 0);
    thread_join(thread);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(a_thread_sends_by_spsc_channels)
{
    values_and_bytes(NART_CHAN_SPSC, NART_BYTES_SPSC);
}

TEST(a_thread_sends_by_mpsc_channels)
{
    values_and_bytes(NART_CHAN_MPSC, NART_BYTES_MPSC);
}

/* ---- TCP and UDP ---- */

struct peer {
    nart_co co;
    nart_tcp_listener listener; /* the server's */
    nart_addr to;               /* the client's */
    nart_tcp tcp;
    nart_udp udp;
    size_t done;
    char buf[64];
};

/* Sends back one message by TCP and one by UDP. */
static nart_res server_run(nart_cx *cx, void *frame)
{
    struct peer *p = frame;
    nart_res r;

    NART_BEGIN(cx, &p->co);
    NART_AWAIT(r, nart_tcp_accept(cx, &p->listener, &p->tcp, NULL));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_tcp_recv(cx, &p->tcp, p->buf, sizeof p->buf));
    CHECK_RES(r, 5);
    NART_AWAIT(r, nart_tcp_send_all(cx, &p->tcp, p->buf, 5, &p->done));
    CHECK_RES(r, 5);
    NART_AWAIT(r, nart_udp_recv(cx, &p->udp, p->buf, sizeof p->buf, &p->to));
    CHECK_RES(r, 6);
    NART_AWAIT(r, nart_udp_send(cx, &p->udp, p->buf, 6, &p->to));
    CHECK_RES(r, 6);
    NART_END(0);
}

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct peer *p = frame;
    nart_res r;

    NART_BEGIN(cx, &p->co);
    NART_AWAIT(r, nart_tcp_connect(cx, &p->tcp, &p->to));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_tcp_send_all(cx, &p->tcp, "hello", 5, &p->done));
    CHECK_RES(r, 5);
    NART_AWAIT(r, nart_tcp_recv(cx, &p->tcp, p->buf, sizeof p->buf));
    CHECK_RES(r, 5);
    CHECK_EQ(memcmp(p->buf, "hello", 5), 0);
    NART_AWAIT(r, nart_udp_send(cx, &p->udp, "packet", 6, NULL));
    CHECK_RES(r, 6);
    NART_AWAIT(r, nart_udp_recv(cx, &p->udp, p->buf, sizeof p->buf, NULL));
    CHECK_RES(r, 6);
    CHECK_EQ(memcmp(p->buf, "packet", 6), 0);
    NART_END(0);
}

static void peer_drop(void *frame)
{
    struct peer *p = frame;

    nart_tcp_listener_close(&p->listener);
    nart_tcp_close(&p->tcp);
    nart_udp_close(&p->udp);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct peer, server_run, peer_drop);
static const nart_task_type client_type = NART_TASK_TYPE(struct peer, client_run, peer_drop);

TEST(messages_by_tcp_and_udp)
{
    nart_rt *rt = new_rt();
    struct peer server = { .done = 0 }, client = { .done = 0 };
    nart_addr any, udp;
    nart_join join;
    nart_res answer = -1;
    char text[64];

    CHECK_RES(nart_addr_parse(&any, "127.0.0.1:258"), 0);
    CHECK_EQ(nart_addr_port(&any), 258); /* in the order of bytes that the processor has */
    CHECK_LE(0, nart_addr_format(&any, text, sizeof text));
    CHECK_STR(text, "127.0.0.1:258");

    CHECK_RES(nart_addr_parse(&any, "127.0.0.1:0"), 0);
    CHECK_RES(nart_tcp_listen(rt, &any, NULL, &server.listener), 0);
    CHECK_RES(nart_tcp_listener_addr(&server.listener, &client.to), 0);
    CHECK_RES(nart_udp_open(rt, &any, NULL, &server.udp), 0);
    CHECK_RES(nart_udp_local_addr(&server.udp, &udp), 0);
    CHECK_RES(nart_udp_open(rt, &any, NULL, &client.udp), 0);
    CHECK_RES(nart_udp_connect(&client.udp, &udp), 0);
    CHECK_RES(nart_rt_spawn(rt, &server_type, &server, &join), 0);
    CHECK_RES(nart_block_on(rt, &client_type, &client, &answer), 0);
    CHECK_RES(answer, 0);
    nart_join_release(&join);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The steady-state cost of an echo over 10,000 messages, and of a library's watch. Per message, each side makes one
 * receive, one send and one epoll_wait, nothing else, and nothing is allocated. */
#include "calls.h"
#include "net_test.h"

#include <nart/sync.h>
#include <nart/watch.h>

/* ---- the echo -------------------------------------------------------------------------------- */

enum { WARM_UP = 100, MESSAGES = 10000, SIZE = 64 };

struct end {
    nart_co co;
    nart_tcp *s;
    int left;
    size_t done;
    char buf[1024];
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct end *e = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &e->co);
    for (;;) {
        NART_AWAIT(n, nart_tcp_recv(cx, e->s, e->buf, sizeof e->buf));
        if (n <= 0)
            break;
        CHECK_EQ(n, SIZE);
        NART_AWAIT(n, nart_tcp_send_all(cx, e->s, e->buf, SIZE, &e->done));
        CHECK_RES(n, SIZE);
    }
    NART_END(n);
}

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct end *e = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &e->co);
    for (; e->left > 0; e->left--) {
        if (e->left == MESSAGES)
            counting = true;
        NART_AWAIT(n, nart_tcp_send_all(cx, e->s, e->buf, SIZE, &e->done));
        CHECK_RES(n, SIZE);
        NART_AWAIT(n, nart_tcp_recv(cx, e->s, e->buf, sizeof e->buf));
        CHECK_RES(n, SIZE);
    }
    counting = false;
    NART_END(0);
}

TEST(an_echo_costs_six_calls_and_no_memory)
{
    static const nart_task_type server = NART_TASK_TYPE(struct end, server_run, NULL),
                                client = NART_TASK_TYPE(struct end, client_run, NULL);
    nart_rt *rt = new_rt();
    nart_tcp a, b;
    int fd, peer;

    only_where_counted();
    raw_pair(&fd, &peer);
    CHECK_RES(nart_tcp_adopt(rt, fd, &a), 0);
    CHECK_RES(nart_tcp_adopt(rt, peer, &b), 0);
    spawn(rt, &server, &(struct end){ .s = &a }, NULL);
    CHECK_RES(run(rt, &client, &(struct end){ .s = &b, .left = WARM_UP + MESSAGES }), 0);
    CHECK_EQ(made.recvs, 2 * MESSAGES);
    CHECK_EQ(made.sends, 2 * MESSAGES);
    /* A late packet, as on a busy network, costs one more epoll_wait; a superfluous one would be
     * one per message. */
    CHECK_LE(made.waits, 2 * MESSAGES + MESSAGES / 2);
    CHECK_EQ(made.adds + made.mods + made.dels + made.reads + made.writes, 0);
    CHECK_EQ(made.allocations, 0);
    CHECK_RES(nart_tcp_close(&b), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_tcp_close(&a), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- a watch --------------------------------------------------------------------------------- */

/* A library of two sockets that answer each other. With `switches` it writes as hiredis does: it asks when the socket
 * is writable, and does not ask any more once it has written. */
struct library {
    nart_watch w[2];
    int fd[2], left;
    bool switches;
    nart_notify ended;
};

static void on_event(nart_watch *w, uint32_t events, void *arg)
{
    struct library *l = arg;
    int fd = l->fd[w == &l->w[1]];
    char buf[SIZE];

    if (events & NART_READ) {
        CHECK_EQ(recv(fd, buf, sizeof buf, 0), SIZE);
        if (l->left-- == MESSAGES)
            counting = true;
        if (l->left == 0) {
            counting = false;
            nart_notify_one(&l->ended);
            return;
        }
        if (l->switches) {
            CHECK_RES(nart_watch_set(w, NART_READ | NART_WRITE, NART_NEVER), 0);
            return;
        }
    }
    memset(buf, 0, sizeof buf);
    CHECK_EQ(send(fd, buf, sizeof buf, 0), SIZE);
    CHECK_RES(nart_watch_set(w, NART_READ, NART_NEVER), 0); /* unless `switches`, nothing changes */
}

struct ended {
    nart_notify *n;
    nart_waiter waiter;
};

static nart_res ended_run(nart_cx *cx, void *frame)
{
    struct ended *f = frame;
    return nart_notify_await(cx, f->n, &f->waiter);
}

TYPE(ended, ended_run);

/* libev makes the same calls for the same work: a wait per event, and one call per change of directions. */
TEST(a_watch_costs_one_wait_per_event_and_one_call_per_change)
{
    nart_rt *rt = new_rt();

    only_where_counted();
    for (int switches = 0; switches < 2; switches++) {
        struct library l = { .left = WARM_UP + MESSAGES, .switches = switches };

        made = (struct counts){ 0 };
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, l.fd), 0);
        for (int i = 0; i < 2; i++) {
            CHECK_RES(nart_watch_start(rt, &l.w[i], l.fd[i], on_event, &l), 0);
            CHECK_RES(nart_watch_set(&l.w[i], NART_READ, NART_NEVER), 0);
        }
        raw_send(l.fd[0], "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        CHECK_RES(run(rt, &ended_type, &(struct ended){ .n = &l.ended }), 0);
        CHECK_EQ(made.recvs, MESSAGES - 1); /* the first one switched the counting on */
        CHECK_EQ(made.sends, MESSAGES - 1);
        CHECK_EQ(made.waits, (MESSAGES - 1) * (1 + switches));
        CHECK_EQ(made.mods, (MESSAGES - 1) * 2 * switches);
        CHECK_EQ(made.allocations, 0);
        for (int i = 0; i < 2; i++) {
            CHECK_RES(nart_watch_stop(&l.w[i]), 0);
            close(l.fd[i]);
        }
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

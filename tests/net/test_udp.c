/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Datagrams. */
#include "net_test.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

FIXTURE_RT();

/* One operation on a socket: which one, and its arguments. */
struct one {
    nart_res (*op)(nart_cx *cx, struct one *o);
    nart_udp *u;
    void *buf;
    size_t len;
    nart_addr *addr;
    nart_udp_msg *msgs;
    nart_res *answer;
};

static nart_res one_run(nart_cx *cx, void *frame)
{
    struct one *o = frame;
    nart_res r = o->op(cx, o);
    if (o->answer)
        *o->answer = r;
    return r;
}

TYPE(one, one_run);

static nart_res do_recv(nart_cx *cx, struct one *o)
{
    return nart_udp_recv(cx, o->u, o->buf, o->len, o->addr);
}

static nart_res do_send(nart_cx *cx, struct one *o)
{
    return nart_udp_send(cx, o->u, o->buf, o->len, o->addr);
}

static nart_res do_recv_many(nart_cx *cx, struct one *o)
{
    return nart_udp_recv_many(cx, o->u, o->msgs, o->len);
}

static nart_res do_send_many(nart_cx *cx, struct one *o)
{
    return nart_udp_send_many(cx, o->u, o->msgs, o->len);
}

static nart_res udp_recv(nart_udp *u, void *buf, size_t len, nart_addr *from)
{
    return run(rt, &one_type,
               &(struct one){ .op = do_recv, .u = u, .buf = buf, .len = len, .addr = from });
}

static nart_res udp_send(nart_udp *u, const char *text, const nart_addr *to)
{
    char copy[2048];
    nart_addr at = to ? *to : (nart_addr){ .len = 0 };

    CHECK(strlen(text) < sizeof copy);
    strcpy(copy, text);
    return run(
        rt, &one_type,
        &(struct one){
            .op = do_send, .u = u, .buf = copy, .len = strlen(text), .addr = to ? &at : NULL });
}

static nart_res recv_many(nart_udp *u, nart_udp_msg *msgs, size_t n)
{
    return run(rt, &one_type, &(struct one){ .op = do_recv_many, .u = u, .msgs = msgs, .len = n });
}

static nart_res send_many(nart_udp *u, nart_udp_msg *msgs, size_t n)
{
    return run(rt, &one_type, &(struct one){ .op = do_send_many, .u = u, .msgs = msgs, .len = n });
}

TEST_WITH(a_datagram_arrives_whole_with_its_sender, rt)
{
    nart_udp a, b;
    nart_addr at_a, at_b, from;
    char buf[16] = "";

    udp_at(rt, &a, &at_a);
    udp_at(rt, &b, &at_b);
    CHECK_RES(udp_send(&a, "hello", &at_b), 5);
    CHECK_RES(udp_send(&a, "", &at_b), 0);
    CHECK_RES(udp_send(&a, "again", &at_b), 5);
    CHECK_RES(udp_recv(&b, buf, sizeof buf, &from), 5);
    CHECK_STR(buf, "hello");
    CHECK_EQ(nart_addr_port(&from), nart_addr_port(&at_a));
    CHECK_EQ(from.len, sizeof(struct sockaddr_in));
    CHECK_RES(udp_recv(&b, buf, sizeof buf, &from), 0); /* an empty datagram is a datagram */
    CHECK_RES(udp_recv(&b, buf, sizeof buf, NULL), 5);
    CHECK_STR(buf, "again");
    CHECK_RES(udp_send(&a, "x", NULL), -EDESTADDRREQ);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
}

TEST_WITH(a_datagram_that_is_too_long_is_said_to_be_cut, rt)
{
    nart_udp u;
    nart_addr at;
    char buf[8] = "";
    nart_udp_msg m = { .buf = buf, .cap = 3 };

    udp_at(rt, &u, &at);
    CHECK_RES(udp_send(&u, "abcdef", &at), 6);
    CHECK_RES(udp_recv(&u, buf, 3, NULL), -EMSGSIZE);
    CHECK_STR(buf, "abc");
    CHECK_RES(udp_send(&u, "ghijkl", &at), 6);
    CHECK_RES(recv_many(&u, &m, 1), 1);
    CHECK_EQ(m.flags, NART_UDP_TRUNCATED);
    CHECK_EQ(m.len, 3);
    CHECK_STR(buf, "ghi");
    CHECK_RES(udp_send(&u, "mno", &at), 3);
    CHECK_RES(recv_many(&u, &m, 1), 1);
    CHECK_EQ(m.flags, 0);

    struct one huge = { .op = do_send, .u = &u, .buf = malloc(70000), .len = 70000, .addr = &at };
    memset(huge.buf, 0, huge.len);
    CHECK_RES(run(rt, &one_type, &huge), -EMSGSIZE);
    free(huge.buf);
    CHECK_RES(nart_udp_close(&u), 0);
}

TEST_WITH(batches_keep_order_and_addresses, rt)
{
    enum { N = 150 };
    nart_udp a, b;
    nart_addr at_a, at_b;
    nart_udp_opts opts = NART_UDP_OPTS_INIT;
    static nart_udp_msg out[N], in[N];
    static char sent[N][8], got[N][8];

    udp_at(rt, &a, &at_a);
    opts.rcvbuf = 1 << 20; /* enough for all of them */
    at_b = localhost();
    CHECK_RES(nart_udp_open(rt, &at_b, &opts, &b), 0);
    CHECK_RES(nart_udp_local_addr(&b, &at_b), 0);
    for (int i = 0; i < N; i++) {
        memcpy(sent[i], &i, sizeof i);
        out[i] = (nart_udp_msg){ .buf = sent[i], .len = sizeof i, .addr = at_b };
        in[i] = (nart_udp_msg){ .buf = got[i], .cap = sizeof got[i] };
    }
    CHECK_RES(send_many(&a, out, N), NART_UDP_BATCH); /* the maximum */
    CHECK_RES(send_many(&a, out + 64, 64), 64);
    CHECK_RES(send_many(&a, out + 128, N - 128), N - 128);
    for (nart_res n = 0, k; n < N; n += k) {
        k = recv_many(&b, in + n, (size_t)(N - n));
        CHECK_LE(1, k);
        CHECK_LE(k, NART_UDP_BATCH);
    }
    for (int i = 0; i < N; i++) {
        CHECK_EQ(in[i].len, sizeof i);
        CHECK_EQ(memcmp(got[i], &i, sizeof i), 0);
        CHECK_EQ(nart_addr_port(&in[i].addr), nart_addr_port(&at_a));
        CHECK_EQ(in[i].stamp, 0);
        CHECK_EQ(in[i].flags, 0);
    }
    CHECK_RES(recv_many(&b, in, 0), -EINVAL);
    CHECK_RES(send_many(&a, out, 0), -EINVAL);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
}

/* Datagrams that arrive one at a time at a batch receiver: each is received without waiting for
 * more. */
TEST_WITH(a_short_batch_does_not_lose_the_next_datagram, rt)
{
    nart_udp a, b;
    nart_addr at_a, at_b;
    char got[8][8];
    nart_udp_msg in[8];

    udp_at(rt, &a, &at_a);
    udp_at(rt, &b, &at_b);
    for (int i = 0; i < 8; i++)
        in[i] = (nart_udp_msg){ .buf = got[i], .cap = sizeof got[i] };
    for (int i = 0; i < 1000; i++) {
        CHECK_RES(udp_send(&a, "x", &at_b), 1);
        CHECK_RES(recv_many(&b, in, 8), 1);
    }
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
}

TEST_WITH(the_kernels_time_stamps, rt)
{
    nart_udp a, b;
    nart_addr at_a, at_b;
    char got[4][8];
    nart_udp_msg in[4];
    struct timespec before, after;
    nart_udp_opts opts = NART_UDP_OPTS_INIT;

    udp_at(rt, &a, &at_a);
    opts.flags = NART_UDP_TIMESTAMPS;
    at_b = localhost();
    CHECK_RES(nart_udp_open(rt, &at_b, &opts, &b), 0);
    CHECK_RES(nart_udp_local_addr(&b, &at_b), 0);
    /* The kernel starts to record timestamps shortly after the first socket requests them. */
    for (in[0].stamp = 0; in[0].stamp == 0;) {
        in[0] = (nart_udp_msg){ .buf = got[0], .cap = sizeof got[0] };
        CHECK_RES(udp_send(&a, "x", &at_b), 1);
        CHECK_RES(recv_many(&b, in, 1), 1);
    }
    CHECK_EQ(clock_gettime(CLOCK_REALTIME, &before), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_RES(udp_send(&a, "x", &at_b), 1);
        in[i] = (nart_udp_msg){ .buf = got[i], .cap = sizeof got[i] };
    }
    for (nart_res n = 0, k; n < 4; n += k) {
        k = recv_many(&b, in + n, (size_t)(4 - n));
        CHECK_LE(1, k);
    }
    CHECK_EQ(clock_gettime(CLOCK_REALTIME, &after), 0);
    int64_t last = before.tv_sec * NART_SEC + before.tv_nsec;
    for (int i = 0; i < 4; i++) {
        CHECK_LE(last, in[i].stamp);
        last = in[i].stamp;
    }
    CHECK_LE(last, after.tv_sec * NART_SEC + after.tv_nsec);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
}

/* ---- connecting ---- */

/* Datagrams that arrived before the socket had a peer: those from the peer are received, in
 * order. */
static void strangers_at(const char *host)
{
    nart_udp u, peer, other;
    nart_addr at, at_peer, at_other, from;
    char buf[8] = "", got[8][8];
    nart_udp_msg in[8];
    nart_join join;
    nart_res answer = NART_PENDING;

    CHECK_RES(nart_addr_parse(&at, host), 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &u), 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &peer), 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &other), 0);
    CHECK_RES(nart_udp_local_addr(&u, &at), 0);
    CHECK_RES(nart_udp_local_addr(&peer, &at_peer), 0);
    CHECK_RES(nart_udp_local_addr(&other, &at_other), 0);
    CHECK_RES(udp_send(&other, "bad", &at), 3);
    CHECK_RES(udp_send(&peer, "one", &at), 3);
    CHECK_RES(udp_send(&other, "bag", &at), 3);
    CHECK_RES(udp_send(&peer, "two", &at), 3);
    CHECK_RES(nart_udp_connect(&u, &at_peer), 0);
    CHECK_RES(udp_recv(&u, buf, sizeof buf, &from), 3);
    CHECK_STR(buf, "one");
    CHECK_EQ(nart_addr_port(&from), nart_addr_port(&at_peer));
    CHECK_RES(udp_recv(&u, buf, sizeof buf, NULL), 3);
    CHECK_STR(buf, "two");

    /* The next connect treats the previous peer as a stranger. */
    CHECK_RES(udp_send(&peer, "bad", &at), 3);
    CHECK_RES(nart_udp_connect(&u, &at_other), 0);
    CHECK_RES(udp_send(&other, "six", &at), 3);
    CHECK_RES(udp_recv(&u, buf, sizeof buf, NULL), 3);
    CHECK_STR(buf, "six");

    /* From the first wait on it receives batches again. */
    spawn(rt, &one_type,
          &(struct one){ .op = do_recv, .u = &u, .buf = buf, .len = 8, .answer = &answer }, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    CHECK_RES(udp_send(&other, "three", &at), 5);
    finish(rt, &join);
    CHECK_RES(answer, 5);
    for (int i = 0; i < 8; i++) {
        in[i] = (nart_udp_msg){ .buf = got[i], .cap = sizeof got[i] };
        CHECK_RES(udp_send(&other, "more", &at), 4);
    }
    CHECK_RES(recv_many(&u, in, 8), 8);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_udp_close(&peer), 0);
    CHECK_RES(nart_udp_close(&other), 0);
}

TEST_WITH(a_connected_socket_receives_nothing_of_strangers, rt)
{
    strangers_at("127.0.0.1:0");
}

TEST_WITH(a_connected_ipv6_socket_receives_nothing_of_strangers, rt)
{
    int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (probe < 0)
        SKIP("no IPv6 here");
    close(probe);
    strangers_at("[::1]:0");
}

/* A dropped datagram counts as an answer: other tasks run in between. */
TEST_WITH(a_queue_of_strangers_does_not_hold_the_loop, rt)
{
    enum { N = NART_BUDGET + 20 };
    nart_udp u, other;
    nart_udp_opts opts = NART_UDP_OPTS_INIT;
    nart_addr at = localhost(), at_other;
    char buf[8];

    opts.rcvbuf = 1 << 20;
    CHECK_RES(nart_udp_open(rt, &at, &opts, &u), 0);
    CHECK_RES(nart_udp_local_addr(&u, &at), 0);
    udp_at(rt, &other, &at_other);
    for (int i = 0; i < N; i++)
        CHECK_RES(udp_send(&other, "bad", &at), 3);
    CHECK_RES(nart_udp_connect(&u, &at), 0); /* to itself */
    CHECK_RES(udp_send(&u, "good", NULL), 4);
    uint64_t polls = stats_of(rt).polls;
    CHECK_RES(udp_recv(&u, buf, sizeof buf, NULL), 4);
    CHECK_EQ(stats_of(rt).polls - polls, 2);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_udp_close(&other), 0);
}

/* ---- waiting ---- */

TEST_WITH(a_receiver_waits_and_is_cancelled_without_loss, rt)
{
    nart_udp u;
    nart_addr at;
    nart_join join;
    nart_res answer;
    char buf[8];

    udp_at(rt, &u, &at);
    struct one o = { .op = do_recv, .u = &u, .buf = buf, .len = sizeof buf, .answer = &answer };
    spawn(rt, &one_type, &o, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    CHECK_RES(udp_recv(&u, buf, sizeof buf, NULL), -EBUSY);
    CHECK_RES(udp_send(&u, "abc", &at), 3);
    wait_for((int)nart_udp_fd(&u), POLLIN);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
    CHECK_RES(answer, -ECANCELED);
    CHECK_RES(udp_recv(&u, buf, sizeof buf, NULL), 3);

    nart_udp moved;
    spawn(rt, &one_type, &o, &join);
    settle(rt);
    nart_udp_move(&moved, &u);
    finish(rt, &join);
    CHECK_RES(answer, -EBADF);
    CHECK_RES(udp_send(&moved, "abc", &at), 3);
    CHECK_RES(udp_recv(&moved, buf, sizeof buf, NULL), 3);
    CHECK_RES(nart_udp_close(&moved), 0);
}

/* ---- errors ---- */

TEST_WITH(a_refusal_is_reported_once_and_the_socket_keeps_working, rt)
{
    nart_udp a, b;
    nart_addr at_a, at_b;
    nart_join join;
    nart_res answer;
    char buf[8];

    udp_at(rt, &a, &at_a);
    CHECK_RES(nart_addr_parse(&at_b, "127.0.0.2:0"), 0); /* others get their ports at 127.0.0.1 */
    CHECK_RES(nart_udp_open(rt, &at_b, NULL, &b), 0);
    CHECK_RES(nart_udp_local_addr(&b, &at_b), 0);
    CHECK_RES(nart_udp_close(&b), 0); /* no receiver is left */
    CHECK_RES(nart_udp_connect(&a, &at_b), 0);
    struct one o = { .op = do_recv, .u = &a, .buf = buf, .len = sizeof buf, .answer = &answer };
    for (int i = 0; i < 3; i++) {
        spawn(rt, &one_type, &o, &join);
        settle(rt);
        CHECK_RES(answer, NART_PENDING);
        CHECK_RES(udp_send(&a, "x", NULL), 1);
        finish(rt, &join);
        CHECK_RES(answer, -ECONNREFUSED);
    }
    spawn(rt, &one_type, &o, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING); /* no error is left */
    CHECK_RES(nart_udp_open(rt, &at_b, NULL, &b), 0);
    CHECK_RES(udp_send(&b, "hello", &at_a), 5);
    finish(rt, &join);
    CHECK_RES(answer, 5);
    CHECK_RES(udp_send(&a, "hello", NULL), 5);
    CHECK_RES(udp_recv(&b, buf, sizeof buf, NULL), 5);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
}

TEST_WITH(bad_options_are_refused, rt)
{
    nart_udp u, v;
    nart_udp_opts opts = NART_UDP_OPTS_INIT;
    nart_addr at = localhost();

    opts.size = 4;
    CHECK_RES(nart_udp_open(rt, &at, &opts, &u), NART_EABI);
    opts.size = sizeof opts;
    opts.flags = 1024;
    CHECK_RES(nart_udp_open(rt, &at, &opts, &u), -EINVAL);
    opts.flags = 0;
    opts.rcvbuf = -1;
    CHECK_RES(nart_udp_open(rt, &at, &opts, &u), -EINVAL);
    opts.rcvbuf = INT32_MAX;
    CHECK_RES(nart_udp_open(rt, &at, &opts, &u), 0);
    CHECK_RES(nart_udp_local_addr(&u, &at), 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &v), -EADDRINUSE);
    CHECK_RES(nart_udp_connect(&u, NULL), -EINVAL);
    CHECK_RES(nart_udp_open(rt, &at, NULL, NULL), -EINVAL);
    CHECK_RES(nart_udp_open(NULL, &at, NULL, &v), -EINVAL);
    CHECK_RES(nart_udp_close(&u), 0);
}

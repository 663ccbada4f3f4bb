/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Batches that do not wait: datagrams and connections. */
#include "unix_test.h"

#include <nart/stream.h>

enum { N = 3 };

static char bytes[N][8];

static void messages_in(nart_udp_msg msgs[N])
{
    for (int i = 0; i < N; i++)
        msgs[i] = (nart_udp_msg){ .buf = bytes[i], .cap = sizeof bytes[i] };
}

static nart_res do_ready(nart_cx *cx, struct op *op)
{
    return nart_udp_ready(cx, op->h, op->flags);
}

/* ---- datagrams ---- */

TEST_WITH(datagrams_are_received_and_sent_in_batches, rt)
{
    nart_udp a, b;
    nart_addr at_a, at_b;
    nart_udp_msg in[N], out[N];

    udp_at(rt, &a, &at_a);
    udp_at(rt, &b, &at_b);
    messages_in(in);
    CHECK_RES(nart_udp_try_recv_many(&b, in, N), -EAGAIN);
    for (int i = 0; i < N; i++)
        out[i] = (nart_udp_msg){ .buf = &"abc"[i], .len = 1, .addr = at_b };
    CHECK_RES(nart_udp_try_send_many(&a, out, N), N);
    CHECK_RES(nart_udp_try_recv_many(&b, in, 2), 2);
    CHECK_EQ(bytes[0][0], 'a');
    CHECK_EQ(bytes[1][0], 'b');
    CHECK_EQ(in[1].len, 1);
    CHECK(nart_addr_equal(&in[1].addr, &at_a));

    /* Fewer than asked for: the next wait needs an event. */
    CHECK_RES(nart_udp_try_recv_many(&b, in, 2), 1);
    CHECK_EQ(bytes[0][0], 'c');
    struct op ready = { .call = do_ready, .h = &b, .flags = NART_READ };
    op_start(&ready, BODY);
    CHECK_RES(ready.res, NART_PENDING);
    CHECK_RES(nart_udp_try_send_many(&a, out, 1), 1);
    CHECK_RES(op_finish(&ready), NART_READ);
    CHECK_RES(nart_udp_try_recv_many(&b, in, N), 1);

    CHECK_RES(nart_udp_try_recv_many(&b, in, 0), -EINVAL);
    CHECK_RES(nart_udp_try_send_many(&a, out, 0), -EINVAL);
    out[0].addr.len = 0;
    CHECK_RES(nart_udp_try_send_many(&a, out, N), -EDESTADDRREQ);
    out[0].addr = at_b;
    out[0].segment = 1 << 16;
    CHECK_RES(nart_udp_try_send_many(&a, out, N), -EINVAL);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
    CHECK_RES(nart_udp_try_recv_many(&b, in, N), -EBADF);
    CHECK_RES(nart_udp_try_send_many(&a, out, N), -EBADF);
}

TEST_WITH(a_batch_has_no_strangers, rt)
{
    nart_udp a, b, stranger;
    nart_addr at_a, at_b, at_stranger;
    nart_udp_msg in[N], out[N];

    udp_at(rt, &a, &at_a);
    udp_at(rt, &b, &at_b);
    udp_at(rt, &stranger, &at_stranger);
    messages_in(in);
    for (int i = 0; i < N; i++)
        out[i] = (nart_udp_msg){ .buf = &"abc"[i], .len = 1, .addr = at_b };
    CHECK_RES(nart_udp_try_send_many(&stranger, out, N), N);
    CHECK_RES(nart_udp_try_send_many(&a, out, 2), 2);
    CHECK_RES(nart_udp_connect(&b, &at_a), 0);
    CHECK_RES(nart_udp_try_recv_many(&b, in, N), 1); /* one by one until the queue was empty */
    CHECK(nart_addr_equal(&in[0].addr, &at_a));
    CHECK_RES(nart_udp_try_recv_many(&b, in, N), 1);
    CHECK(nart_addr_equal(&in[0].addr, &at_a));
    CHECK_RES(nart_udp_try_recv_many(&b, in, N), -EAGAIN);
    CHECK_RES(nart_udp_try_send_many(&a, out, N), N);
    CHECK_RES(nart_udp_try_recv_many(&b, in, N), N);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
    CHECK_RES(nart_udp_close(&stranger), 0);
}

TEST_WITH(unix_datagrams_are_received_and_sent_in_batches, rt)
{
    nart_unix_dgram a, b;
    nart_udp_msg in[N], out[N];
    nart_res sent;
    int fds[2], all = 0;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_RES(nart_unix_dgram_adopt(rt, fds[0], &a), 0);
    CHECK_RES(nart_unix_dgram_adopt(rt, fds[1], &b), 0);
    messages_in(in);
    for (int i = 0; i < N; i++)
        out[i] = (nart_udp_msg){ .buf = &"abc"[i], .len = 1 };
    CHECK_RES(nart_unix_dgram_try_recv_many(&b, in, N), -EAGAIN);
    while ((sent = nart_unix_dgram_try_send_many(&a, out, N)) > 0)
        all += (int)sent;
    CHECK_RES(sent, -EAGAIN);
    struct op ready = { .call = do_ready, .h = &a.sock, .flags = NART_WRITE };
    op_start(&ready, BODY);
    CHECK_RES(ready.res, NART_PENDING);
    for (nart_res n; all > 0; all -= (int)n) {
        n = nart_unix_dgram_try_recv_many(&b, in, N);
        CHECK_LE(1, n);
    }
    CHECK_RES(nart_unix_dgram_try_recv_many(&b, in, N), -EAGAIN);
    CHECK_LE(NART_WRITE, op_finish(&ready));

    CHECK_RES(nart_unix_dgram_try_recv_many(&b, in, 0), -EINVAL);
    CHECK_RES(nart_unix_dgram_try_send_many(&a, out, 0), -EINVAL);
    out[1].segment = 1;
    CHECK_RES(nart_unix_dgram_try_send_many(&a, out, N), 1);
    CHECK_RES(nart_unix_dgram_try_send_many(&a, out + 1, 1), -EINVAL);
    out[0].addr = addr_of("unix:@nart-no-such-name");
    CHECK_RES(nart_unix_dgram_try_send_many(&a, out, N), -ECONNREFUSED);
    CHECK_RES(nart_unix_dgram_close(&a), 0);
    CHECK_RES(nart_unix_dgram_close(&b), 0);
    CHECK_RES(nart_unix_dgram_try_recv_many(&b, in, N), -EBADF);
    out[0].addr.len = 0;
    CHECK_RES(nart_unix_dgram_try_send_many(&a, out, N), -EBADF);
}

/* ---- connections ---- */

static nart_res do_listener_ready(nart_cx *cx, struct op *op)
{
    return nart_tcp_listener_ready(cx, op->h);
}

TEST_WITH(connections_are_accepted_in_batches, rt)
{
    nart_tcp_listener l;
    nart_addr at, peers[N];
    nart_tcp s[N] = { { .state = 0 } };
    int client[N + 1];

    listen_at(rt, &l, &at);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, peers, N), -EAGAIN);
    struct op ready = { .call = do_listener_ready, .h = &l };
    op_start(&ready, BODY);
    CHECK_RES(ready.res, NART_PENDING);
    for (int i = 0; i < N; i++)
        client[i] = raw_connect(&at);
    CHECK_RES(op_finish(&ready), NART_READ);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, peers, 2), 2);
    for (int i = 0; i < 2; i++) {
        nart_addr peer;
        CHECK_RES(nart_tcp_peer_addr(&s[i], &peer), 0);
        CHECK(nart_addr_equal(&peer, &peers[i]));
        CHECK_RES(nart_tcp_close(&s[i]), 0);
    }
    CHECK_RES(nart_tcp_try_accept_many(&l, s, NULL, N), 1);
    op_start(&ready, BODY); /* fewer than asked for: none is pending */
    CHECK_RES(ready.res, NART_PENDING);
    client[N] = raw_connect(&at);
    CHECK_RES(op_finish(&ready), NART_READ);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, NULL, N), -EISCONN);
    CHECK_RES(nart_tcp_try_accept_many(&l, s + 1, NULL, 0), -EINVAL);
    CHECK_RES(nart_tcp_try_accept_many(&l, s + 1, NULL, 1), 1);
    for (int i = 0; i < 2; i++)
        CHECK_RES(nart_tcp_close(&s[i]), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, NULL, N), -EBADF);
    for (int i = 0; i <= N; i++)
        close(client[i]);
}

/* A connection for which the runtime has no record is kept for the next call, or closed with the runtime. */
TEST(a_connection_without_a_record_is_kept)
{
    nart_tcp_listener l;
    nart_addr at, peer;
    nart_tcp s[2] = { { .state = 0 } };
    int client[2];
    char c;

    rt = NEW_RT(.max_io = 2);
    listen_at(rt, &l, &at);
    for (int i = 0; i < 2; i++)
        client[i] = raw_connect(&at);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, NULL, 2), 1);
    CHECK_RES(nart_tcp_try_accept_many(&l, &s[1], NULL, 1), NART_EFDS);
    CHECK_RES(nart_tcp_close(&s[0]), 0);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, &peer, 2), 1);
    nart_addr same;
    CHECK_RES(nart_tcp_peer_addr(&s[0], &same), 0);
    CHECK(nart_addr_equal(&peer, &same));
    int third = raw_connect(&at);
    CHECK_RES(nart_tcp_try_accept_many(&l, &s[1], NULL, 1), NART_EFDS);
    rt_close();
    CHECK_EQ(read(third, &c, 1), 0);
    CHECK_RES(nart_tcp_try_accept_many(&l, &s[1], NULL, 1), NART_ESTALE);
    CHECK_RES(nart_tcp_close(&s[0]), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    for (int i = 0; i < 2; i++)
        close(client[i]);
    close(third);
}

static nart_res do_tcp_accept(nart_cx *cx, struct op *op)
{
    return nart_tcp_accept(cx, op->h, op->other, NULL);
}

/* The kernel does not report it any more. */
TEST(a_connection_that_a_try_has_kept_is_accepted_without_an_event)
{
    nart_tcp_listener l;
    nart_addr at;
    nart_tcp s[2] = { { .state = 0 } };
    struct op accept = { .call = do_tcp_accept, .h = &l, .other = &s[1] };
    struct op ready = { .call = do_listener_ready, .h = &l };

    rt = NEW_RT(.max_io = 2);
    listen_at(rt, &l, &at);
    int client = raw_connect(&at);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, NULL, 1), 1);
    op_start(&accept, BODY);
    CHECK_RES(accept.res, NART_PENDING);
    int second = raw_connect(&at);
    CHECK_RES(nart_tcp_try_accept_many(&l, &s[1], NULL, 1), NART_EFDS);
    CHECK_RES(nart_tcp_close(&s[0]), 0);
    settle(rt);
    CHECK_RES(accept.res, 0); /* the task that waited */
    nart_join_release(&accept.join);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, NULL, 1), -EAGAIN);
    int third = raw_connect(&at);
    CHECK_RES(nart_tcp_try_accept_many(&l, s, NULL, 1), NART_EFDS);
    op_start(&ready, BODY);
    CHECK_RES(ready.res, NART_READ);
    nart_join_release(&ready.join);
    CHECK_RES(nart_tcp_close(&s[1]), 0);
    op_start(&accept, BODY);
    CHECK_RES(accept.res, 0);
    nart_join_release(&accept.join);
    CHECK_RES(nart_tcp_close(&s[1]), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    rt_close();
    close(client);
    close(second);
    close(third);
}

TEST_WITH(unix_connections_are_accepted_in_batches, rt)
{
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;
    nart_unix_listener l;
    nart_unix s[N] = { { .conn = { .state = 0 } } };
    nart_addr at = addr_of("unix:");

    opts.flags = NART_UNIX_SEQPACKET;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0);
    CHECK_RES(nart_unix_listener_addr(&l, &at), 0);
    CHECK_RES(nart_unix_try_accept_many(&l, s, NULL, N), -EAGAIN);
    int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK_EQ(connect(client, sockaddr_of(&at), at.len), 0);
    CHECK_RES(nart_unix_try_accept_many(&l, s, NULL, N), 1);
    nart_stream none;
    CHECK_RES(nart_stream_init_unix(&none, &s[0], NULL, 0), -EPROTOTYPE); /* it has messages */
    CHECK_RES(nart_unix_try_accept_many(&l, s, NULL, N), -EISCONN);
    CHECK_RES(nart_unix_close(&s[0]), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    close(client);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* TLS connections that transfer much, and operations that are interrupted. */
#include "tls.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- much data ---- */

/* Smaller ones stall: the kernel waits until larger packets fit. */
static void small_buffers(void)
{
    int small = 4096, large = 1 << 16;
    nart_tcp *sides[] = { &client.tcp, &server.tcp };

    for (int i = 0; i < 2; i++) {
        int fd = (int)nart_tcp_fd(sides[i]);
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large), 0);
    }
}

static void transfer_both_ways(size_t n, void *by_send)
{
    nart_res r[4] = { 0 };

    START(SEND_STREAM, &client, .len = n, .buf = by_send, .answer = &r[0]);
    START(RECV_STREAM, &client, .len = n, .answer = &r[1]);
    START(SEND_STREAM, &server, .len = n, .buf = by_send, .answer = &r[2]);
    START(RECV_STREAM, &server, .len = n, .answer = &r[3]);
    step_run();
    for (int i = 0; i < 4; i++)
        CHECK_EQ(r[i], n);
}

TEST_WITH(large_transfers_both_ways, tls)
{
    tls_connected();
    transfer_both_ways(8 << 20, NULL);
    tls_close_both();
    tls_connected();
    small_buffers();
    transfer_both_ways(1 << 20, NULL);
}

/* The reader and the writer of a side wait for the same: what nart_tls_send() has left. */
TEST_WITH(large_transfers_by_parts, tls)
{
    tls_connected();
    small_buffers();
    transfer_both_ways(1 << 20, &client);
}

/* Sends until the connection cannot take more. Returns the number of bytes. */
static size_t fill(nart_tls *t)
{
    static unsigned char part[10000];
    size_t total = 0;
    nart_res r;

    for (;; total += (size_t)r) {
        tls_pattern(part, total, sizeof part);
        r = STEP(SEND, t, .buf = part, .len = sizeof part, .limit = 1);
        if (r == -ETIMEDOUT)
            break;
        CHECK(r > 0);
    }
    CHECK_RES(STEP(FLUSH, t, .limit = 1), -ETIMEDOUT);
    return total;
}

TEST_WITH(a_receiver_sends_what_is_left, tls)
{
    char got[8] = "";
    nart_res r[2] = { 0 };

    tls_connected();
    small_buffers();
    size_t n = fill(&client);
    CHECK_LE(n, 1 << 20); /* the memory of a connection is bounded */
    START(RECV, &client, .buf = got, .len = sizeof got, .answer = &r[0]);
    START(RECV_STREAM, &server, .len = n, .buf = "x", .answer = &r[1]); /* then answers */
    step_run();
    CHECK_RES(r[0], 1);
    CHECK_EQ(r[1], n);
    CHECK_RES(STEP(FLUSH, &client), 0);
}

TEST_WITH(a_sender_takes_over_from_a_receiver, tls)
{
    char got[8] = "";
    static unsigned char more[100000];
    nart_res r[3] = { 0 };

    tls_connected();
    small_buffers();
    size_t n = fill(&client);
    tls_pattern(more, n, sizeof more);
    START(RECV, &client, .buf = got, .len = sizeof got, .answer = &r[0]);
    START(SEND_ALL, &client, .buf = more, .len = sizeof more, .answer = &r[1]);
    START(RECV_STREAM, &server, .len = n + sizeof more, .answer = &r[2]);
    START(SEND_ALL, &server, .buf = "thanks", .len = 6);
    step_run();
    CHECK_EQ(r[0], 6);
    CHECK_EQ(r[1], sizeof more);
    CHECK_EQ(r[2], n + sizeof more);
}

/* ---- two arms of a race ---- */

static int evaluations;

struct race {
    nart_co co, arm;
    bool nested;
    int which;
    size_t done;
    char byte;
    unsigned char more[150000];
};

static nart_res arm_run(nart_cx *cx, struct race *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->arm);
    NART_AWAIT(r, nart_tls_send_all(cx, &client, f->more, sizeof f->more, &f->done));
    NART_END(r);
}

static nart_res counted_recv(nart_cx *cx, struct race *f)
{
    evaluations++;
    return nart_tls_recv(cx, &client, &f->byte, 1);
}

/* Sends while it waits for the server, which says nothing. */
static nart_res race_run(nart_cx *cx, void *frame)
{
    struct race *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    if (f->nested)
        NART_AWAIT_ANY(f->which, r, counted_recv(cx, f), arm_run(cx, f));
    else
        NART_AWAIT_ANY(f->which, r, counted_recv(cx, f),
                       nart_tls_send_all(cx, &client, f->more, sizeof f->more, &f->done));
    CHECK_EQ(f->which, 1);
    CHECK_EQ(r, sizeof f->more);
    NART_END(r);
}

static const nart_task_type race_type = NART_TASK_TYPE(struct race, race_run, NULL);

TEST_WITH(a_task_receives_and_sends_in_a_race, tls)
{
    static struct race f;
    nart_res r = 0;

    for (int i = 0; i < 2; i++) {
        tls_connected();
        small_buffers();
        size_t n = fill(&client);
        f = (struct race){ .nested = i == 1 };
        tls_pattern(f.more, n, sizeof f.more);
        evaluations = 0;
        CHECK_RES(nart_rt_spawn_boxed(loop, &race_type, &f, NULL), 0);
        for (int k = 0; k < 100; k++)
            CHECK(nart_rt_poll(loop, 0) >= 0);
        CHECK(evaluations > 0);
        CHECK_LE(evaluations, 10); /* it waits */
        START(RECV_STREAM, &server, .len = n + sizeof f.more, .answer = &r);
        step_run();
        CHECK_EQ(r, n + sizeof f.more);
        tls_close_both();
    }
}

/* ---- the middle of a handshake ---- */

/* A client's side, and the other end of its connection. */
static int raw_peer(void)
{
    int ends[2];

    tcp_pair(ends);
    CHECK_RES(nart_tcp_adopt(loop, ends[0], &client_tcp), 0);
    return ends[1];
}

TEST_WITH(a_peer_that_closes_in_the_handshake, tls)
{
    for (int i = 0; i < 2; i++) {
        int fd = raw_peer();
        shutdown(fd, SHUT_WR);
        if (i == 0)
            CHECK_RES(STEP(CONNECT, &client, client_config, "localhost", &client_tcp),
                      NART_ETLS_TRUNCATED);
        else
            CHECK_RES(STEP(ACCEPT, &client, server_config, .tcp = &client_tcp),
                      NART_ETLS_TRUNCATED);
        CHECK(strstr(nart_tls_error(&client), "handshake") != NULL);
        tls_close_both();
        close(fd);
    }
}

TEST_WITH(a_peer_that_resets_in_the_handshake, tls)
{
    int fd = raw_peer();
    const struct linger reset = { .l_onoff = 1 };

    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
    nart_res r = STEP(CONNECT, &client, client_config, "localhost", &client_tcp);
    CHECK(r == -ECONNRESET || r == -EPIPE);
}

TEST_WITH(a_peer_that_does_not_speak_tls, tls)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    for (int i = 0; i < 2; i++) {
        int fd = raw_peer();
        CHECK_EQ(send(fd, http, sizeof http - 1, 0), sizeof http - 1);
        if (i == 0)
            CHECK_RES(STEP(CONNECT, &client, client_config, "localhost", &client_tcp), NART_ETLS);
        else
            CHECK_RES(STEP(ACCEPT, &client, server_config, .tcp = &client_tcp), NART_ETLS);
        CHECK(*nart_tls_error(&client) != '\0');
        tls_close_both();
        close(fd);
    }
}

TEST_WITH(a_handshake_that_is_interrupted_continues, tls)
{
    nart_res c = 1, s = 1;

    tls_pair();
    for (int i = 0; i < 3; i++) {
        CHECK_RES(STEP(CONNECT, &client, client_config, "localhost", &client_tcp, .limit = 1),
                  -ETIMEDOUT);
        CHECK_RES(STEP(SEND, &client, .buf = &c, .len = 1), -ENOTCONN);
        CHECK_RES(STEP(RECV, &client, .buf = &c, .len = 1), -ENOTCONN);
        CHECK_RES(STEP(FLUSH, &client), -ENOTCONN);
        CHECK_RES(STEP(SHUTDOWN, &client), -ENOTCONN);
    }
    for (int i = 0; i < 3; i++)
        CHECK_RES(STEP(ACCEPT, &server, server_config, .tcp = &server_tcp, .limit = 1), -ETIMEDOUT);
    START(CONNECT, &client, .answer = &c); /* the other arguments are ignored now */
    START(ACCEPT, &server, .answer = &s);
    step_run();
    CHECK_RES(c, 0);
    CHECK_RES(s, 0);
    tls_pass(&client, &server, "question");
}

/* ---- interrupted operations ---- */

TEST_WITH(interrupted_operations_lose_nothing, tls)
{
    static unsigned char data[500000];
    char byte;
    size_t done = 0, before;
    nart_res r[2] = { 0 };

    tls_connected();
    small_buffers();
    tls_pattern(data, 0, sizeof data);
    CHECK_RES(STEP(RECV, &server, .buf = &byte, .len = 1, .limit = 1), -ETIMEDOUT);
    do {
        before = done;
        CHECK_RES(
            STEP(SEND_ALL, &client, .buf = data, .len = sizeof data, .done = &done, .limit = 1),
            -ETIMEDOUT);
        CHECK(done > 0 && done < sizeof data);
    } while (done > before);
    CHECK_RES(STEP(SHUTDOWN, &server), 0);
    START(SEND_ALL, &client, .buf = data, .len = sizeof data, .done = &done, .answer = &r[0]);
    START(RECV_STREAM, &server, .len = sizeof data, .answer = &r[1]);
    step_run();
    CHECK_EQ(r[0], sizeof data);
    CHECK_EQ(r[1], sizeof data);
    CHECK_EQ(done, 0);
    CHECK_RES(STEP(RECV, &client, .buf = &byte, .len = 1), 0);
}

TEST_WITH(an_end_that_is_interrupted_continues, tls)
{
    char byte;
    nart_res r[2] = { 0 };

    tls_connected();
    small_buffers();
    size_t n = fill(&client);
    CHECK_RES(STEP(SHUTDOWN, &client, .limit = 1), -ETIMEDOUT);
    CHECK_RES(STEP(SEND, &client, .buf = &byte, .len = 1), -EPIPE);
    START(SHUTDOWN, &client, .answer = &r[0]);
    START(RECV_STREAM, &server, .len = n, .answer = &r[1]);
    step_run();
    CHECK_RES(r[0], 0);
    CHECK_EQ(r[1], n);
    CHECK_RES(STEP(RECV, &server, .buf = &byte, .len = 1), 0);
}

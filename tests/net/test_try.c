/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Calls that do not wait, readiness for them, and what is received without being consumed. */
#include <nart/fiber.h> /* before the fixture, a global `rt` */

#include "conn.h"

#include <unistd.h>

/* ---- readiness and tries ---- */

/* Receives one piece by readiness and tries. */
struct taker {
    nart_co co;
    nart_tcp *s;
    nart_res *bits, *got;
    char buf[8];
};

static nart_res taker_run(nart_cx *cx, void *frame)
{
    struct taker *f = frame;

    NART_BEGIN(cx, &f->co);
    do {
        NART_AWAIT(*f->bits, nart_tcp_ready(cx, f->s, NART_READ));
        if (*f->bits < 0)
            break;
        *f->got = nart_tcp_try_recv(f->s, f->buf, sizeof f->buf);
    } while (*f->got == -EAGAIN);
    NART_END(*f->bits);
}

TYPE(taker, taker_run);

TEST_WITH(a_try_that_finds_nothing_makes_readiness_wait, conn)
{
    nart_join join;
    nart_res bits = NART_PENDING, got = NART_PENDING;

    spawn(rt, &taker_type, &(struct taker){ .s = &sock, .bits = &bits, .got = &got }, &join);
    settle(rt);
    CHECK(!nart_join_done(&join));
    CHECK_RES(got, -EAGAIN);
    raw_send(peer, "abc");
    finish(rt, &join);
    CHECK_RES(bits, NART_READ);
    CHECK_RES(got, 3);

    spawn(rt, &taker_type, &(struct taker){ .s = &sock, .bits = &bits, .got = &got }, &join);
    settle(rt);
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
    finish(rt, &join);
    CHECK_RES(bits, NART_READ | NART_RDHUP);
    CHECK_RES(got, 0);

    CHECK_RES(nart_tcp_shutdown(&sock, NART_READ), 0); /* then it is always ready, for the end */
    CHECK_RES(run(rt, &taker_type, &(struct taker){ .s = &sock, .bits = &bits, .got = &got }),
              NART_READ);
    CHECK_RES(got, 0);
}

TEST_WITH(a_readiness_that_is_cancelled_takes_nothing, conn)
{
    nart_join join;
    nart_res bits = NART_PENDING, got = NART_PENDING;
    char buf[8];

    spawn(rt, &taker_type, &(struct taker){ .s = &sock, .bits = &bits, .got = &got }, &join);
    settle(rt);
    raw_send(peer, "abc");
    wait_for((int)nart_tcp_fd(&sock), POLLIN);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
    CHECK_RES(bits, -ECANCELED);
    CHECK_RES(nart_tcp_try_recv(&sock, buf, sizeof buf), 3);
}

/* Outside of a poll. */
TEST_WITH(tries_answer_at_once, conn)
{
    static char big[1 << 16];
    char buf[8];
    nart_res r, sent = 0;

    CHECK_RES(nart_tcp_try_recv(&sock, buf, sizeof buf), -EAGAIN);
    raw_send(peer, "abc");
    CHECK_RES(nart_tcp_try_recv(&sock, buf, 0), -EINVAL);
    CHECK_RES(nart_tcp_try_recv(&sock, buf, 2), 2);
    CHECK_RES(nart_tcp_try_recv(&sock, buf, sizeof buf), 1);
    CHECK_RES(nart_tcp_try_recv(&sock, buf, sizeof buf), -EAGAIN);
    CHECK_RES(nart_tcp_try_send(&sock, "", 0), 0);
    CHECK_RES(nart_tcp_try_send(&sock, "hello", 5), 5);
    CHECK_EQ(recv(peer, buf, sizeof buf, 0), 5);
    while ((r = nart_tcp_try_send(&sock, big, sizeof big)) > 0)
        sent += r;
    CHECK_RES(r, -EAGAIN);
    CHECK_LE(1, sent);
    peer_reset();
    wait_for((int)nart_tcp_fd(&sock), POLLHUP);
    CHECK_RES(nart_tcp_try_recv(&sock, buf, sizeof buf), -ECONNRESET);
    CHECK_RES(nart_tcp_try_send(&sock, "x", 1), -ECONNRESET);
    CHECK_RES(nart_tcp_shutdown(&sock, NART_READ), -ENOTCONN);
}

TEST_WITH(after_a_shutdown_of_reading_a_try_answers_the_end, conn)
{
    char buf[8];
    uint8_t byte;

    raw_send(peer, "abc");
    CHECK_RES(nart_tcp_shutdown(&sock, NART_READ), 0);
    CHECK_RES(nart_tcp_try_recv(&sock, buf, sizeof buf), 0);
    CHECK_RES(nart_tcp_try_recv(&sock, buf, 0), -EINVAL); /* 0 would mean the end here, too */
    CHECK_RES(nart_tcp_try_recv_urgent(&sock, &byte), 0);
    CHECK_RES(nart_tcp_try_send(&sock, "x", 1), 1);
}

/* A try takes the bytes for which a task waits: it continues to wait. */
TEST_WITH(a_try_leaves_the_waiting_task_alone, conn)
{
    nart_join join;
    nart_res got = NART_PENDING;
    char buf[8], mine[8];

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &join);
    settle(rt);
    raw_send(peer, "abc");
    CHECK_RES(nart_tcp_try_recv(&sock, mine, sizeof mine), 3);
    settle(rt);
    CHECK_RES(got, NART_PENDING);
    raw_send(peer, "de");
    finish(rt, &join);
    CHECK_RES(got, 2);
}

/* Fills the kernel's buffer and waits for room. */
static nart_res fills(nart_cx *cx, void *arg)
{
    static char big[1 << 16];
    int *far = arg;
    nart_res r;

    while (nart_tcp_try_send(&sock, big, sizeof big) > 0)
        continue;
    r = nart_await_for(cx, NART_MS, nart_tcp_ready(cx, &sock, NART_WRITE));
    CHECK_RES(r, -ETIMEDOUT);
    while (recv(*far, big, sizeof big, MSG_DONTWAIT) > 0)
        continue;
    r = nart_await(cx, nart_tcp_ready(cx, &sock, NART_WRITE));
    CHECK_RES(r, NART_WRITE);
    CHECK_LE(1, nart_tcp_try_send(&sock, big, sizeof big));
    return nart_await(cx, nart_tcp_ready(cx, &sock, 0)); /* no direction */
}

TEST_WITH(a_fiber_waits_for_room_to_send, conn)
{
    nart_res answer = NART_PENDING;

    CHECK_RES(nart_fiber_block_on(rt, fills, &peer, NULL, &answer), 0);
    CHECK_RES(answer, -EINVAL);
}

/* What the program's own system call found is said by nart_tcp_clear(). */
struct clearing {
    nart_co co;
    nart_tcp *s;
    nart_res *bits;
};

static nart_res clearing_run(nart_cx *cx, void *frame)
{
    struct clearing *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(*f->bits, nart_tcp_ready(cx, f->s, NART_READ | NART_WRITE));
    CHECK_RES(*f->bits, NART_READ | NART_WRITE);
    nart_tcp_clear(f->s, NART_READ);
    NART_AWAIT(*f->bits, nart_tcp_ready(cx, f->s, NART_READ));
    NART_END(*f->bits);
}

TYPE(clearing, clearing_run);

TEST_WITH(a_cleared_direction_waits_for_its_next_event, conn)
{
    nart_join join;
    nart_res bits = NART_PENDING;

    spawn(rt, &clearing_type, &(struct clearing){ .s = &sock, .bits = &bits }, &join);
    settle(rt);
    CHECK_RES(bits, NART_READ | NART_WRITE);
    CHECK(!nart_join_done(&join));
    raw_send(peer, "a");
    finish(rt, &join);
    CHECK_RES(bits, NART_READ);
    nart_tcp none = { .state = 0 };
    nart_tcp_clear(&none, NART_READ);
}

struct awaited {
    nart_tcp_listener *l;
    nart_res *bits;
};

static nart_res awaited_run(nart_cx *cx, void *frame)
{
    struct awaited *f = frame;
    return *f->bits = nart_tcp_listener_ready(cx, f->l);
}

TYPE(awaited, awaited_run);

struct take {
    nart_tcp_listener *l;
    nart_tcp s;
};

/* Accepts until it would wait: the poll after that ends the task. */
static nart_res take_run(nart_cx *cx, void *frame)
{
    struct take *f = frame;
    nart_res r = nart_tcp_accept(cx, f->l, &f->s, NULL);
    if (r == 0)
        CHECK_RES(nart_tcp_close(&f->s), 0);
    return r == 0 ? nart_tcp_accept(cx, f->l, &f->s, NULL) : r;
}

TYPE(take, take_run);

TEST_WITH(a_listener_is_ready_when_a_connection_is_pending, rt)
{
    nart_tcp_listener l;
    nart_addr at;
    nart_join join;
    nart_res bits = NART_PENDING;

    listen_at(rt, &l, &at);
    CHECK_RES(run(rt, &awaited_type, &(struct awaited){ &l, &bits }),
              NART_READ); /* not tried yet */
    int fd = raw_connect(&at);
    spawn(rt, &take_type, &(struct take){ .l = &l }, &join);
    settle(rt);
    CHECK(!nart_join_done(&join)); /* the queue is empty */
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
    spawn(rt, &awaited_type, &(struct awaited){ &l, &bits }, &join);
    settle(rt);
    CHECK_RES(bits, NART_PENDING);
    int second = raw_connect(&at);
    finish(rt, &join);
    CHECK_RES(bits, NART_READ);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    close(fd);
    close(second);
}

/* ---- what stays ---- */

struct peeker {
    nart_co co;
    nart_tcp *s;
    nart_res *got;
    char *buf;
    int64_t ns;
};

static nart_res peeker_run(nart_cx *cx, void *frame)
{
    struct peeker *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(*f->got, f->ns, nart_tcp_peek(cx, f->s, f->buf, 8));
    NART_END(*f->got);
}

TYPE(peeker, peeker_run);

TEST_WITH(bytes_that_were_peeked_at_are_received, conn)
{
    nart_join join;
    nart_res got = NART_PENDING;
    char buf[8] = "", again[8] = "";
    struct peeker f = { .s = &sock, .got = &got, .buf = buf, .ns = NART_MS };

    CHECK_RES(run(rt, &peeker_type, &f), -ETIMEDOUT);
    got = NART_PENDING;
    f.ns = 3600 * NART_SEC;
    spawn(rt, &peeker_type, &f, &join);
    settle(rt);
    CHECK_RES(got, NART_PENDING);
    raw_send(peer, "abc");
    finish(rt, &join);
    CHECK_RES(got, 3);
    CHECK_STR(buf, "abc");
    f.ns = 0;
    f.buf = again;
    CHECK_RES(run(rt, &peeker_type, &f), 3); /* at once, though it was short */
    raw_send(peer, "d");
    f.ns = 3600 * NART_SEC;
    CHECK_RES(run(rt, &peeker_type, &f), 4); /* also those that have arrived since */
    CHECK_STR(again, "abcd");
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 4);
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
    CHECK_RES(run(rt, &peeker_type, &f), 0);
}

/* ---- urgent bytes ---- */

static nart_res sends_urgent(nart_cx *cx, void *arg)
{
    uint8_t *byte = arg;
    return nart_await(cx, nart_tcp_send_urgent(cx, &sock, *byte));
}

/* The event is fetched when the urgent byte was received already, so it does not say that there is a mark. */
TEST_WITH(a_mark_is_passed_after_its_byte_was_received, conn)
{
    char buf[8] = "", more[8] = "";
    uint8_t byte = 0;
    int fd;

    CHECK_RES(nart_tcp_try_recv(&sock, buf, sizeof buf), -EAGAIN);
    for (int adopted = 0; adopted < 2; adopted++) {
        raw_send(peer, "ab");
        CHECK_EQ(send(peer, "!", 1, MSG_OOB), 1);
        raw_send(peer, "cd");
        wait_for((int)nart_tcp_fd(&sock), POLLPRI);
        CHECK_RES(nart_tcp_try_recv_urgent(&sock, &byte), 1);
        CHECK_EQ(byte, '!');
        if (adopted) {
            CHECK_RES(nart_tcp_detach(&sock, &fd, NULL, 0, NULL), 0);
            CHECK_RES(nart_tcp_adopt(rt, fd, &sock), 0);
        }
        settle(rt);
        CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 2);
        CHECK_EQ(memcmp(buf, "ab", 2), 0);
        CHECK_RES(recv_now(rt, &sock, more, sizeof more), 2); /* without an event of its own */
        CHECK_EQ(memcmp(more, "cd", 2), 0);
        CHECK_RES(nart_tcp_try_recv(&sock, more, sizeof more), -EAGAIN);
    }
}

TEST_WITH(an_urgent_byte_travels_on_its_own, conn)
{
    nart_tcp other;
    nart_res answer = NART_PENDING;
    char buf[8] = "";
    uint8_t byte = '!';

    CHECK_RES(nart_tcp_adopt(rt, peer, &other), 0); /* both ends are handles */
    peer = -1;
    CHECK_RES(nart_tcp_try_recv_urgent(&other, &byte), -EINVAL);
    CHECK_RES(send_now(rt, &sock, "ab"), 2);
    CHECK_RES(nart_fiber_block_on(rt, sends_urgent, &byte, NULL, &answer), 0);
    CHECK_RES(answer, 1);
    CHECK_RES(send_now(rt, &sock, "cd"), 2);
    wait_for((int)nart_tcp_fd(&other), POLLPRI);
    byte = 0;
    CHECK_RES(nart_tcp_try_recv_urgent(&other, &byte), 1);
    CHECK_EQ(byte, '!');
    CHECK_RES(nart_tcp_try_recv_urgent(&other, &byte), -EINVAL); /* it was received */
    CHECK_RES(recv_now(rt, &other, buf, sizeof buf), 2);         /* up to its place */
    CHECK_EQ(memcmp(buf, "ab", 2), 0);
    CHECK_RES(recv_now(rt, &other, buf, sizeof buf), 2);
    CHECK_EQ(memcmp(buf, "cd", 2), 0);
    CHECK_RES(nart_tcp_close(&other), 0);
}

/* ---- datagrams ---- */

struct looking {
    nart_udp *u;
    nart_addr *from;
    char *buf;
    size_t len;
    nart_res *got;
};

static nart_res looking_run(nart_cx *cx, void *frame)
{
    struct looking *f = frame;
    return *f->got = nart_udp_peek(cx, f->u, f->buf, f->len, f->from);
}

TYPE(looking, looking_run);

TEST_WITH(a_datagram_that_was_peeked_at_is_received, rt)
{
    nart_udp a, b;
    nart_addr at_a, at_b, from;
    nart_join join;
    nart_res got = NART_PENDING;
    char buf[8] = "";
    struct looking f = { &b, &from, buf, sizeof buf, &got };

    udp_at(rt, &a, &at_a);
    udp_at(rt, &b, &at_b);
    spawn(rt, &looking_type, &f, &join);
    settle(rt);
    CHECK_RES(got, NART_PENDING);
    CHECK_RES(nart_udp_try_send(&a, "abcd", 4, &at_b), 4);
    finish(rt, &join);
    CHECK_RES(got, 4);
    CHECK_STR(buf, "abcd");
    CHECK_EQ(nart_addr_port(&from), nart_addr_port(&at_a));
    f.len = 2;
    CHECK_RES(run(rt, &looking_type, &f), -EMSGSIZE);
    f.from = NULL;
    f.len = 8;
    CHECK_RES(run(rt, &looking_type, &f), 4); /* nothing was lost */
    CHECK_RES(nart_udp_try_recv(&b, buf, sizeof buf, &from), 4);
    CHECK_RES(nart_udp_try_recv(&b, buf, sizeof buf, NULL), -EAGAIN);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
}

TEST_WITH(datagrams_without_bytes_are_datagrams, rt)
{
    nart_udp a, b;
    nart_addr at_a, at_b, from;
    nart_res got;
    char buf[8];
    struct looking f = { &b, NULL, buf, sizeof buf, &got };

    udp_at(rt, &a, &at_a);
    udp_at(rt, &b, &at_b);
    CHECK_RES(nart_udp_try_send(&a, "", 0, &at_b), 0);
    CHECK_RES(nart_udp_try_send(&a, "x", 1, &at_b), 1);
    CHECK_RES(run(rt, &looking_type, &f), 0);
    CHECK_RES(nart_udp_try_recv(&b, buf, sizeof buf, &from), 0);
    CHECK_EQ(nart_addr_port(&from), nart_addr_port(&at_a));
    CHECK_RES(nart_udp_try_recv(&b, buf, sizeof buf, NULL), 1);
    CHECK_RES(nart_udp_try_recv(&b, buf, sizeof buf, NULL), -EAGAIN);
    CHECK_RES(nart_udp_close(&a), 0);
    CHECK_RES(nart_udp_close(&b), 0);
}

/* Datagrams of strangers that were queued before the peer was fixed are seen by no call. */
TEST_WITH(a_stranger_is_not_peeked_at, rt)
{
    nart_udp friend, stranger, u;
    nart_addr at_friend, at_stranger, at;
    nart_res got;
    char buf[8] = "";
    struct looking f = { &u, NULL, buf, sizeof buf, &got };

    udp_at(rt, &friend, &at_friend);
    udp_at(rt, &stranger, &at_stranger);
    for (int peeks = 0; peeks < 2; peeks++) {
        udp_at(rt, &u, &at);
        CHECK_RES(nart_udp_try_send(&stranger, "no", 2, &at), 2);
        CHECK_RES(nart_udp_try_send(&stranger, "never", 5, &at), 5);
        CHECK_RES(nart_udp_connect(&u, &at_friend), 0);
        CHECK_RES(nart_udp_try_send(&friend, "yes", 3, &at), 3);
        if (peeks)
            CHECK_RES(run(rt, &looking_type, &f), 3);
        CHECK_RES(nart_udp_try_recv(&u, buf, sizeof buf, NULL), 3);
        CHECK_EQ(memcmp(buf, "yes", 3), 0);
        CHECK_RES(nart_udp_try_recv(&u, buf, sizeof buf, NULL), -EAGAIN);
        CHECK_RES(nart_udp_close(&u), 0);
    }
    CHECK_RES(nart_udp_close(&friend), 0);
    CHECK_RES(nart_udp_close(&stranger), 0);
}

TEST_WITH(errors_of_tries_with_datagrams, rt)
{
    static char big[70000];
    nart_udp a, b;
    nart_addr at_a, at_b, other;
    char buf[8];

    udp_at(rt, &a, &at_a);
    udp_at(rt, &b, &at_b);
    CHECK_RES(nart_udp_try_send(&a, "x", 1, NULL), -EDESTADDRREQ);
    CHECK_RES(nart_udp_try_send(&a, big, sizeof big, &at_b), -EMSGSIZE);
    CHECK_RES(nart_addr_parse(&other, "[::1]:9"), 0);
    CHECK_RES(nart_udp_try_send(&a, "x", 1, &other), -EAFNOSUPPORT);
    other = at_b;
    other.len = 4;
    CHECK_RES(nart_udp_try_send(&a, "x", 1, &other), -EINVAL);
    CHECK_RES(nart_udp_try_send(&a, "abcd", 4, &at_b), 4);
    CHECK_RES(nart_udp_try_recv(&b, buf, 2, NULL), -EMSGSIZE);
    CHECK_RES(nart_udp_try_recv(&b, buf, 2, NULL), -EAGAIN); /* the rest is lost */
    CHECK_RES(nart_udp_connect(&a, &at_b), 0);
    CHECK_RES(nart_udp_close(&b), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_udp_try_send(&a, "x", 1, NULL), 1);
        wait_for((int)nart_udp_fd(&a), POLLERR);
        CHECK_RES(i ? nart_udp_try_send(&a, "x", 1, NULL)
                    : nart_udp_try_recv(&a, buf, sizeof buf, NULL),
                  -ECONNREFUSED);
    }
    CHECK_RES(nart_udp_close(&a), 0);
}

/* Readiness of a datagram socket, by its own system call. */
struct waiting {
    nart_co co;
    nart_udp *u;
    nart_res *bits;
};

static nart_res waiting_run(nart_cx *cx, void *frame)
{
    struct waiting *f = frame;

    NART_BEGIN(cx, &f->co);
    nart_udp_clear(f->u, NART_READ);
    NART_AWAIT(*f->bits, nart_udp_ready(cx, f->u, NART_READ));
    NART_END(*f->bits);
}

TYPE(waiting, waiting_run);

TEST_WITH(a_datagram_socket_is_ready_when_one_is_pending, rt)
{
    nart_udp u;
    nart_addr at;
    nart_join join;
    nart_res bits = NART_PENDING;
    char buf[8];

    udp_at(rt, &u, &at);
    spawn(rt, &waiting_type, &(struct waiting){ .u = &u, .bits = &bits }, &join);
    settle(rt);
    CHECK_RES(bits, NART_PENDING);
    CHECK_RES(nart_udp_try_send(&u, "x", 1, &at), 1);
    finish(rt, &join);
    CHECK_RES(bits, NART_READ);
    CHECK_RES(nart_udp_try_recv(&u, buf, sizeof buf, NULL), 1);
    CHECK_RES(nart_udp_close(&u), 0);
}

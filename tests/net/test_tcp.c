/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams: what arrives, in which order, and which task waits for it. */
#include "conn.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

/* ---- echo: listen, accept, connect, both ends in tasks ---- */

struct echo {
    nart_co co;
    nart_tcp sock;
    size_t len, done;
    char buf[64];
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *e = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &e->co);
    for (;;) {
        NART_AWAIT(n, nart_tcp_recv(cx, &e->sock, e->buf, sizeof e->buf));
        if (n <= 0)
            break;
        e->len = (size_t)n;
        NART_AWAIT(n, nart_tcp_send_all(cx, &e->sock, e->buf, e->len, &e->done));
        if (n < 0)
            break;
    }
    nart_tcp_close(&e->sock);
    NART_END(n);
}

TYPE(echo, echo_run);

/* Accepts `count` connections, each in its own task. */
struct server {
    nart_co co;
    nart_tcp_listener *l;
    nart_tcp sock;
    int count;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    while (s->count-- > 0) {
        NART_AWAIT(r, nart_tcp_accept(cx, s->l, &s->sock, NULL));
        CHECK_RES(r, 0);
        struct echo *e = nart_spawn_begin(cx, &echo_type, NULL);
        nart_tcp_move(&e->sock, &s->sock);
        CHECK_RES(nart_spawn_commit(cx, e, NULL), 0);
    }
    NART_END(0);
}

TYPE(server, server_run);

/* Connects, sends `len` bytes in one task while it receives them back in another. */
struct client {
    nart_co co;
    nart_tcp sock;
    nart_addr at;
    const char *data;
    size_t len, done, got;
    char *back;
};

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_tcp_connect(cx, &c->sock, &c->at));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_tcp_send_all(cx, &c->sock, c->data, c->len, &c->done));
    CHECK_RES(r, (nart_res)c->len);
    CHECK_EQ(c->done, 0);
    while (c->got < c->len) {
        NART_AWAIT(r, nart_tcp_recv(cx, &c->sock, c->back + c->got, c->len - c->got));
        CHECK_LE(1, r);
        c->got += (size_t)r;
    }
    CHECK_RES(nart_tcp_shutdown(&c->sock, NART_WRITE), 0);
    NART_AWAIT(r, nart_tcp_recv(cx, &c->sock, c->back, 1));
    CHECK_RES(r, 0);
    nart_tcp_close(&c->sock);
    NART_END(0);
}

TYPE(client, client_run);

TEST_WITH(an_echo_is_received, rt)
{
    nart_tcp_listener l;
    char back[8] = "";
    struct client c = { .data = "hello", .len = 5, .back = back };

    listen_at(rt, &l, &c.at);
    spawn(rt, &server_type, &(struct server){ .l = &l, .count = 3 }, NULL);
    for (int i = 0; i < 3; i++) {
        memset(back, 0, sizeof back);
        CHECK_RES(run(rt, &client_type, &c), 0);
        CHECK_STR(back, "hello");
    }
    CHECK_RES(nart_rt_run(rt), 0); /* the server and its connections have ended */
    CHECK_RES(nart_tcp_listener_close(&l), 0);
}

/* ---- bulk ---- */

static char *pattern(size_t len)
{
    char *p = malloc(len);
    CHECK(p != NULL);
    for (size_t i = 0; i < len; i++)
        p[i] = (char)(i % 251);
    return p;
}

/* Receives pieces of at most `piece` bytes to the end, and compares. */
struct reader {
    nart_co co;
    nart_tcp *s;
    const char *expected;
    size_t len, got, piece;
    char buf[256];
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(n, nart_tcp_recv(cx, f->s, f->buf, f->piece));
        if (n <= 0)
            break;
        CHECK_LE(n, f->piece);
        CHECK_LE(f->got + (size_t)n, f->len);
        CHECK_EQ(memcmp(f->buf, f->expected + f->got, (size_t)n), 0);
        f->got += (size_t)n;
    }
    CHECK_EQ(f->got, f->len);
    NART_END(n);
}

TYPE(reader, reader_run);

/* The kernel's minimum, so that a large send is accepted in small parts. */
static void small_buffer(const nart_tcp *s)
{
    int least = 1;
    nart_res fd = nart_tcp_fd(s);
    CHECK_LE(0, fd);
    CHECK_EQ(setsockopt((int)fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
}

/* Both ends of a connection whose sender, `a`, soon has to wait, and the data it sends. */
struct stream {
    nart_tcp a, b;
    char *data;
    nart_join reader;
};

static void stream_open(struct stream *s, size_t len)
{
    s->data = pattern(len);
    CHECK_RES(nart_tcp_adopt(rt, tcp_pair(rt, &s->a), &s->b), 0);
    small_buffer(&s->a);
}

/* A task that expects `len` bytes at `b`, in pieces, and then the end. */
static void stream_read(struct stream *s, size_t len, size_t piece)
{
    struct reader all = { .s = &s->b, .expected = s->data, .len = len, .piece = piece };
    spawn(rt, &reader_type, &all, &s->reader);
}

static void stream_close(struct stream *s)
{
    CHECK_RES(nart_tcp_close(&s->a), 0);
    finish(rt, &s->reader);
    CHECK_RES(nart_tcp_close(&s->b), 0);
    free(s->data);
}

static void transfer(size_t len, size_t piece)
{
    struct stream s;
    nart_res sent = NART_PENDING;
    nart_join writer;

    stream_open(&s, len);
    spawn(rt, &sender_type, &(struct sender){ &s.a, s.data, len, 0, &sent }, &writer);
    settle(rt);
    CHECK_RES(sent, NART_PENDING); /* it waits halfway */
    stream_read(&s, len, piece);
    finish(rt, &writer);
    CHECK_RES(sent, (nart_res)len);
    stream_close(&s);
}

TEST_WITH(a_megabyte_arrives_in_order_through_the_smallest_buffer, rt)
{
    transfer(1000000, 100);
}

TEST_WITH(a_reader_of_single_bytes_gets_them_all, rt)
{
    transfer(300000, 1);
}

/* A sender that exposes its waker. */
struct nervous {
    struct sender sender;
    nart_waker *waker;
};

static nart_res nervous_run(nart_cx *cx, void *frame)
{
    struct nervous *f = frame;
    *f->waker = nart_cx_waker(cx);
    return sender_run(cx, &f->sender);
}

TYPE(nervous, nervous_run);

TEST_WITH(polls_for_no_reason_send_nothing_twice, rt)
{
    enum { LEN = 1000000 };
    struct stream s;
    nart_join writer;
    nart_res sent = NART_PENDING;
    nart_waker waker;

    stream_open(&s, LEN);
    spawn(rt, &nervous_type, &(struct nervous){ { &s.a, s.data, LEN, 0, &sent }, &waker }, &writer);
    settle(rt);
    for (int i = 0; i < 1000; i++) {
        nart_waker_wake(waker);
        CHECK_LE(1, nart_rt_poll(rt, 0));
        CHECK_RES(sent, NART_PENDING);
    }
    stream_read(&s, LEN, 256);
    finish(rt, &writer);
    CHECK_RES(sent, LEN);
    stream_close(&s);
}

/* Sends until the kernel accepts no more; counts the bytes accepted by send(). */
struct filler {
    nart_co co;
    nart_tcp *s;
    size_t *sent;
    nart_res *last;
    char buf[100];
};

static nart_res filler_run(nart_cx *cx, void *frame)
{
    struct filler *f = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(n, nart_tcp_send(cx, f->s, f->buf, sizeof f->buf));
        if (n < 0)
            break;
        *f->sent += (size_t)n;
    }
    *f->last = n;
    NART_END(n);
}

TYPE(filler, filler_run);

/* Reads `len` bytes from a plain socket. */
static void drain(int fd, size_t len)
{
    char buf[4096];
    while (len > 0) {
        ssize_t n = recv(fd, buf, len < sizeof buf ? len : sizeof buf, 0);
        CHECK_LE(1, n);
        len -= (size_t)n;
    }
}

TEST_WITH(a_reader_and_a_writer_share_a_socket, conn)
{
    nart_join writer, reader;
    nart_res got = NART_PENDING, last = NART_PENDING;
    size_t sent = 0;
    char buf[16] = "";

    small_buffer(&sock);
    spawn(rt, &filler_type, &(struct filler){ .s = &sock, .sent = &sent, .last = &last }, &writer);
    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &reader);
    settle(rt);
    CHECK_RES(got, NART_PENDING); /* both wait */
    CHECK_LE(1, sent);
    size_t before = sent;

    raw_send(peer, "ping"); /* wakes the reader although a writer waits */
    finish(rt, &reader);
    CHECK_RES(got, 4);
    CHECK_EQ(memcmp(buf, "ping", 4), 0);

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &reader);
    while (sent == before) { /* the writer is woken although a reader waits */
        drain(peer, sent < 4096 ? sent : 4096);
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    }
    peer_reset();
    finish(rt, &writer);
    finish(rt, &reader);
    CHECK_RES(last, -ECONNRESET); /* one of the two gets it from the kernel */
    CHECK_RES(got, -ECONNRESET);
}

TEST_WITH(a_second_reader_is_busy, conn)
{
    nart_join first;
    nart_res got = NART_PENDING;
    char buf[8], other[8];

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &first);
    settle(rt);
    CHECK_RES(recv_now(rt, &sock, other, sizeof other), -EBUSY);
    raw_send(peer, "abc");
    finish(rt, &first);
    CHECK_RES(got, 3);
    raw_send(peer, "d");
    CHECK_RES(recv_now(rt, &sock, other, sizeof other), 1); /* it is free again */
}

/* Data is received by the task that waits for it, even if another task is polled first. */
TEST_WITH(pending_bytes_belong_to_the_waiting_task, conn)
{
    nart_join waiting, hasty;
    nart_res got = NART_PENDING, other = NART_PENDING;
    char buf[8], more[8];

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &waiting);
    settle(rt);
    raw_send(peer, "abc");
    wait_for((int)nart_tcp_fd(&sock), POLLIN);
    spawn(rt, &receiver_type, &(struct receiver){ &sock, more, sizeof more, &other }, &hasty);
    finish(rt, &hasty);
    finish(rt, &waiting);
    CHECK_RES(other, -EBUSY);
    CHECK_RES(got, 3);
}

/* ---- lengths ---- */

TEST_WITH(an_empty_buffer_is_refused_and_an_empty_send_is_not, conn)
{
    char buf[4];

    CHECK_RES(recv_now(rt, &sock, buf, 0), -EINVAL);
    CHECK_RES(send_now(rt, &sock, ""), 0);
    nart_res answer;
    for (size_t left = 3; left < 5; left++) { /* what an error leaves is below the length */
        struct sender beyond = { &sock, "abc", 3, left, &answer };
        CHECK_RES(run(rt, &sender_type, &beyond), -EINVAL);
    }
    CHECK_RES(send_now(rt, &sock, "abc"), 3);
    CHECK_EQ(recv(peer, buf, sizeof buf, 0), 3);
}

/* A read stops at the urgent mark, so it is short although more data is available. */
TEST_WITH(urgent_data_does_not_stall_a_stream, conn)
{
    char buf[8];

    CHECK_EQ(send(peer, "ab", 2, MSG_OOB), 2); /* 'b' is the urgent byte, out of band */
    raw_send(peer, "cd");
    struct pollfd all = { .fd = (int)nart_tcp_fd(&sock), .events = POLLIN | POLLPRI };
    while (!(all.revents & POLLPRI))
        CHECK_EQ(poll(&all, 1, -1), 1);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 1);
    CHECK_EQ(buf[0], 'a');
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 2);
    CHECK_EQ(memcmp(buf, "cd", 2), 0);
    raw_send(peer, "e");
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 1);
}

/* Once the urgent byte was read separately the kernel no longer reports the mark, though reads
 * still stop there: an event that omits it must not clear it. */
TEST_WITH(a_mark_outlives_its_urgent_byte, conn)
{
    nart_join join;
    nart_res answer = NART_PENDING;
    char buf[8];

    int fd = (int)nart_tcp_fd(&sock);
    CHECK_EQ(send(peer, "ab", 2, MSG_OOB), 2);
    struct pollfd all = { .fd = fd, .events = POLLPRI };
    CHECK_EQ(poll(&all, 1, -1), 1);
    settle(rt); /* the loop sees the mark */
    CHECK_EQ(recv(fd, buf, 1, MSG_OOB), 1);
    raw_send(peer, "cd"); /* over loopback it has arrived when send() returns */
    settle(rt);           /* and an event without it */
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 1);
    CHECK_EQ(buf[0], 'a');
    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &answer }, &join);
    settle(rt);
    CHECK_RES(answer, 2);
    CHECK_EQ(memcmp(buf, "cd", 2), 0);
    nart_join_release(&join);
}

/* ---- time ---- */

struct timed {
    nart_co co;
    nart_tcp *s;
    char buf[8];
};

static nart_res timed_run(nart_cx *cx, void *frame)
{
    struct timed *t = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &t->co);
    NART_AWAIT_FOR(n, NART_MS, nart_tcp_recv(cx, t->s, t->buf, sizeof t->buf));
    NART_END(n);
}

TYPE(timed, timed_run);

TEST_WITH(a_silent_peer_times_out_and_the_socket_stays_usable, conn)
{
    char buf[8];

    CHECK_RES(run(rt, &timed_type, &(struct timed){ .s = &sock }), -ETIMEDOUT);
    raw_send(peer, "late");
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 4);
}

static volatile sig_atomic_t interrupts;

static void on_alarm(int signal)
{
    (void)signal;
    interrupts++;
}

/* Signals interrupt system calls; no operation answers EINTR. */
TEST_WITH(signals_interrupt_nothing, conn)
{
    struct sigaction action = { .sa_handler = on_alarm }; /* no SA_RESTART */
    struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { { 0, 0 }, { 0, 0 } };
    nart_tcp_listener l;
    char back[8] = "";
    struct client c = { .data = "hello", .len = 5, .back = back };

    listen_at(rt, &l, &c.at);
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (interrupts < 1000) {
        spawn(rt, &server_type, &(struct server){ .l = &l, .count = 1 }, NULL);
        CHECK_RES(run(rt, &client_type, &c), 0);
        CHECK_RES(run(rt, &timed_type, &(struct timed){ .s = &sock }), -ETIMEDOUT);
    }
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
}

struct race {
    nart_co co;
    nart_tcp *s;
    nart_timer timer;
    int64_t ns;
    int which;
    char buf[8];
};

static nart_res race_run(nart_cx *cx, void *frame)
{
    struct race *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, r, nart_tcp_recv(cx, f->s, f->buf, sizeof f->buf),
                   nart_sleep(cx, &f->timer, f->ns));
    NART_END(f->which == 0 ? r : -ETIME);
}

TYPE(race, race_run);

TEST_WITH(a_race_of_receiving_and_sleeping, conn)
{
    CHECK_RES(run(rt, &race_type, &(struct race){ .s = &sock, .ns = NART_MS }), -ETIME);
    raw_send(peer, "abc");
    CHECK_RES(run(rt, &race_type, &(struct race){ .s = &sock, .ns = 3600 * NART_SEC }), 3);
    CHECK_RES(run(rt, &race_type, &(struct race){ .s = &sock, .ns = NART_MS }), -ETIME);
}

/* ---- cancelling ---- */

TEST_WITH(a_cancelled_receiver_takes_no_byte, conn)
{
    nart_join join;
    nart_res got = NART_PENDING;
    char buf[8] = "";

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &join);
    settle(rt);
    raw_send(peer, "abc");
    wait_for((int)nart_tcp_fd(&sock), POLLIN);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
    CHECK_RES(got, -ECANCELED);
    CHECK_EQ(buf[0], 0);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 3);
    CHECK_EQ(memcmp(buf, "abc", 3), 0);
}

/* `done` of a cancelled sender gives its progress; another sender continues from there, and
 * nothing is lost or sent twice. */
TEST_WITH(a_cancelled_sender_reports_its_progress, rt)
{
    enum { LEN = 1000000 };
    struct stream s;
    nart_join writer;
    nart_res answer = NART_PENDING;

    stream_open(&s, LEN);
    struct sender init = { &s.a, s.data, LEN, 0, &answer };
    spawn(rt, &sender_type, &init, &writer);
    settle(rt);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&writer)), 0);
    settle(rt);
    CHECK_RES(answer, -ECANCELED);
    init.done = ((struct sender *)nart_join_frame(&writer))->done;
    CHECK_LE(1, init.done);
    CHECK_LE(init.done, LEN - 1);
    nart_join_release(&writer);

    spawn(rt, &sender_type, &init, &writer);
    stream_read(&s, LEN, 256);
    finish(rt, &writer);
    CHECK_RES(answer, LEN);
    stream_close(&s);
}

/* ---- a message at a time ---- */

struct writing {
    nart_tcp *s;
    nart_tcp_writer *w;
    nart_res *answer;
};

static nart_res writing_run(nart_cx *cx, void *frame)
{
    struct writing *f = frame;
    return *f->answer = nart_tcp_write(cx, f->s, f->w);
}

TYPE(writing, writing_run);

static nart_res write_now(nart_tcp *s, nart_tcp_writer *w)
{
    nart_res answer;
    return run(rt, &writing_type, &(struct writing){ s, w, &answer });
}

TEST_WITH(a_message_that_was_cut_short_is_ended_before_the_next, rt)
{
    enum { LEN = 1000000 };
    struct stream s;
    nart_tcp other;
    nart_tcp_writer w = { 0 };
    nart_join writer;
    nart_res answer = NART_PENDING;

    stream_open(&s, LEN + 1000);
    int far = tcp_pair(rt, &other);
    const char *second = s.data + LEN % 251; /* the pattern repeats */
    CHECK_RES(write_now(&s.a, &w), 0);       /* there is no message */
    CHECK_RES(nart_tcp_writer_set(&w, NULL, 4), -EINVAL);
    CHECK_RES(nart_tcp_writer_set(&w, s.data, 0), -EINVAL);
    CHECK_RES(nart_tcp_writer_set(&w, s.data, LEN), 0);
    CHECK_EQ(nart_tcp_writer_left(&w), LEN);
    spawn(rt, &writing_type, &(struct writing){ &s.a, &w, &answer }, &writer);
    settle(rt);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&writer)), 0);
    finish(rt, &writer);
    CHECK_RES(answer, -ECANCELED);
    CHECK_LE(1, nart_tcp_writer_left(&w));
    CHECK_LE(nart_tcp_writer_left(&w), LEN - 1);
    CHECK_RES(nart_tcp_writer_set(&w, second, 1000), -EBUSY);
    CHECK_RES(nart_tcp_writer_set(&w, s.data, LEN), -EBUSY); /* nor the same one again */
    CHECK_RES(write_now(&other, &w), -EINVAL);
    nart_tcp none = { .state = 0 };
    CHECK_RES(write_now(&none, &w), -EBADF); /* it still records which one has a partial message */
    CHECK_RES(write_now(&other, &w), -EINVAL);

    stream_read(&s, LEN + 1000, 256);
    CHECK_RES(write_now(&s.a, &w), LEN);
    CHECK_EQ(nart_tcp_writer_left(&w), 0);
    CHECK_RES(nart_tcp_writer_set(&w, second, 1000), 0);
    CHECK_RES(write_now(&s.a, &w), 1000);
    CHECK_RES(nart_tcp_close(&s.a), 0);
    CHECK_RES(nart_tcp_writer_set(&w, s.data, 1), 0);
    CHECK_RES(write_now(&s.a, &w), -EBADF);
    w = (nart_tcp_writer){ 0 };
    CHECK_RES(nart_tcp_writer_set(&w, s.data, 2), 0);
    CHECK_RES(nart_tcp_close(&other), 0);
    close(far);
    stream_close(&s);
}

/* ---- options and addresses ---- */

TEST_WITH(addresses_and_options_of_a_stream, conn)
{
    nart_addr mine, theirs, other = { .len = sizeof other.storage };

    CHECK_RES(nart_tcp_local_addr(&sock, &mine), 0);
    CHECK_RES(nart_tcp_peer_addr(&sock, &theirs), 0);
    CHECK_EQ(getsockname(peer, (struct sockaddr *)&other.storage, &other.len), 0);
    CHECK_EQ(nart_addr_port(&theirs), nart_addr_port(&other));
    CHECK_NE(nart_addr_port(&mine), nart_addr_port(&theirs));
    CHECK_RES(nart_tcp_nodelay(&sock), 0); /* adopted: unchanged */
    CHECK_RES(nart_tcp_set_nodelay(&sock, true), 0);
    CHECK_RES(nart_tcp_nodelay(&sock), 1);
    CHECK_RES(nart_tcp_set_nodelay(&sock, false), 0);
    CHECK_RES(nart_tcp_nodelay(&sock), 0);
    CHECK_RES(nart_tcp_shutdown(&sock, 0), -EINVAL);
    CHECK_RES(nart_tcp_shutdown(&sock, NART_ERROR), -EINVAL);
}

TEST_WITH(a_descriptor_is_taken_over_and_given_back, conn)
{
    char buf[8];

    int fd = -1;
    size_t n = 77;

    nart_res before = nart_tcp_fd(&sock);
    CHECK(fcntl((int)before, F_GETFL) & O_NONBLOCK);
    raw_send(peer, "abcd");
    CHECK_RES(recv_now(rt, &sock, buf, 2), 2);
    CHECK_RES(nart_tcp_detach(&sock, NULL, NULL, 0, &n), -EINVAL);
    CHECK_RES(nart_tcp_detach(&sock, &fd, NULL, 0, &n), 0);
    CHECK_EQ(fd, before);
    CHECK_EQ(n, 0);
    CHECK_RES(nart_tcp_detach(&sock, &fd, NULL, 0, &n), -EBADF);
    CHECK_RES(nart_tcp_fd(&sock), -EBADF);
    wait_for((int)before, POLLIN);
    CHECK_EQ(recv((int)before, buf, sizeof buf, 0), 2);
    CHECK_RES(nart_tcp_adopt(rt, (int)before, &sock), 0); /* and adopted once more */
    raw_send(peer, "e");
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 1);
}

TEST_WITH(what_is_no_stream_is_not_taken_over, conn)
{
    nart_tcp t;
    int ends[2], pair[2], udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    CHECK_RES(nart_tcp_adopt(rt, ends[0], &t), -ENOTSOCK);
    CHECK_RES(nart_tcp_adopt(rt, udp, &t), -EPROTOTYPE);
    CHECK_RES(nart_tcp_adopt(rt, pair[0], &t), -EPROTOTYPE);
    CHECK_RES(nart_tcp_adopt(rt, -1, &t), -EBADF);
    CHECK_RES(nart_tcp_adopt(rt, 100000, &t), -EBADF);
    CHECK_RES(nart_tcp_adopt(rt, (int)nart_tcp_fd(&sock), &t), -EEXIST);
    CHECK_RES(nart_tcp_adopt(NULL, peer, &t), -EINVAL);
    CHECK_RES(nart_tcp_adopt(rt, peer, NULL), -EINVAL);
    CHECK_RES(nart_tcp_close(&t), 0);
    CHECK_RES(nart_tcp_close(&sock), 0);
    close(ends[0]); /* the test still owned them */
    close(ends[1]);
    close(pair[0]);
    close(pair[1]);
    close(udp);
}

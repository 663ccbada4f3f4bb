/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Listening and accepting. */
#include "net_test.h"

#include <nart/fiber.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* The fixture `listener`: a runtime that listens at a free port. */
FIXTURE_RT();
static nart_tcp_listener l;
static nart_addr at;

static void listener_open(void)
{
    rt_open();
    listen_at(rt, &l, &at);
}

static void listener_close(void)
{
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    rt_close();
}

/* One accept; the test owns the handles. */
struct acceptor {
    nart_tcp_listener *l;
    nart_tcp *out;
    nart_addr *peer;
    nart_res *answer;
};

static nart_res acceptor_run(nart_cx *cx, void *frame)
{
    struct acceptor *a = frame;
    nart_res r = nart_tcp_accept(cx, a->l, a->out, a->peer);
    *a->answer = r;
    return r;
}

TYPE(acceptor, acceptor_run);

static nart_res accept_now(nart_rt *on, nart_tcp_listener *from, nart_tcp *out, nart_addr *peer)
{
    nart_res answer;
    return run(on, &acceptor_type, &(struct acceptor){ from, out, peer, &answer });
}

TEST_WITH(a_connection_is_taken_with_its_address, listener)
{
    nart_tcp s = { .state = 0 };
    nart_addr peer, other = { .len = sizeof other.storage };
    nart_join join;
    nart_res answer;
    char buf[8];

    CHECK_NE(nart_addr_port(&at), 0);
    spawn(rt, &acceptor_type, &(struct acceptor){ &l, &s, &peer, &answer }, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    int fd = raw_connect(&at);
    finish(rt, &join);
    CHECK_RES(answer, 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&other.storage, &other.len), 0);
    CHECK_EQ(nart_addr_port(&peer), nart_addr_port(&other));
    CHECK_EQ(peer.len, sizeof(struct sockaddr_in));
    CHECK_RES(nart_tcp_nodelay(&s), 1);
    CHECK(fcntl((int)nart_tcp_fd(&s), F_GETFD) & FD_CLOEXEC);
    CHECK_RES(accept_now(rt, &l, &s, NULL), -EISCONN);
    raw_send(fd, "abc");
    CHECK_RES(recv_now(rt, &s, buf, sizeof buf), 3);
    CHECK_RES(nart_tcp_close(&s), 0);
    close(fd);
}

/* ---- many connections ---- */

struct crowd {
    nart_co co;
    nart_tcp_listener *l;
    nart_tcp sock;
    nart_addr at;
    int left, *served;
    char buf[4];
};

/* Repeatedly connects and reads to the end. */
static nart_res visitor_run(nart_cx *cx, void *frame)
{
    struct crowd *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    while (f->left-- > 0) {
        NART_AWAIT(r, nart_tcp_connect(cx, &f->sock, &f->at));
        CHECK_RES(r, 0);
        NART_AWAIT(r, nart_tcp_recv(cx, &f->sock, f->buf, sizeof f->buf));
        CHECK_RES(r, 2);
        CHECK_RES(nart_tcp_close(&f->sock), 0);
    }
    NART_END(0);
}

/* Accepts, sends "hi", closes. */
static nart_res host_run(nart_cx *cx, void *frame)
{
    struct crowd *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    while (f->left-- > 0) {
        NART_AWAIT(r, nart_tcp_accept(cx, f->l, &f->sock, NULL));
        CHECK_RES(r, 0);
        NART_AWAIT(r, nart_tcp_send(cx, &f->sock, "hi", 2));
        CHECK_RES(r, 2);
        CHECK_RES(nart_tcp_close(&f->sock), 0);
        ++*f->served;
    }
    NART_END(0);
}

TEST_WITH(a_thousand_connections_pass_through_a_backlog_of_one, rt)
{
    static const nart_task_type visitor = NART_TASK_TYPE(struct crowd, visitor_run, NULL),
                                host = NART_TASK_TYPE(struct crowd, host_run, NULL);
    nart_tcp_listen_opts opts = NART_TCP_LISTEN_OPTS_INIT;
    struct crowd c = { .at = localhost(), .l = &l, .left = 1000 };
    int served = 0;

    opts.backlog = 1;
    c.served = &served;
    CHECK_RES(nart_tcp_listen(rt, &c.at, &opts, &l), 0);
    CHECK_RES(nart_tcp_listener_addr(&l, &c.at), 0);
    spawn(rt, &host, &c, NULL);
    CHECK_RES(run(rt, &visitor, &c), 0);
    CHECK_EQ(served, 1000);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
}

/* ---- out of descriptors ---- */

static void not_under_valgrind(void)
{
    if (test_under_valgrind())
        SKIP("valgrind takes the connection first and then applies the limit: it is lost");
}

/* Allows no further descriptors; open ones stay open. */
static void no_descriptors(struct rlimit *before)
{
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, before), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, before->rlim_max }), 0);
}

TEST_WITH(out_of_descriptors_is_an_answer_and_the_connection_waits, listener)
{
    not_under_valgrind();
    nart_tcp s = { .state = 0 };
    struct rlimit before;
    char buf[8];

    int fd = raw_connect(&at);
    no_descriptors(&before);
    for (int i = 0; i < 3; i++)
        CHECK_RES(accept_now(rt, &l, &s, NULL), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_RES(accept_now(rt, &l, &s, NULL), 0);
    raw_send(fd, "abc");
    CHECK_RES(recv_now(rt, &s, buf, sizeof buf), 3);
    CHECK_RES(nart_tcp_close(&s), 0);
    close(fd);
}

/* A task that backs off: makes a fixed number of attempts, however many connections wait. */
struct patient {
    nart_co co;
    nart_tcp_listener *l;
    nart_tcp *out;
    nart_timer pause;
    int failures;
    struct rlimit *limit;
};

static nart_res patient_run(nart_cx *cx, void *frame)
{
    struct patient *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_tcp_accept(cx, f->l, f->out, NULL));
        if (r != -EMFILE)
            break;
        if (++f->failures == 3)
            CHECK_EQ(setrlimit(RLIMIT_NOFILE, f->limit), 0);
        NART_AWAIT(r, nart_sleep(cx, &f->pause, NART_MS));
    }
    CHECK_EQ(f->failures, 3);
    NART_END(r);
}

TYPE(patient, patient_run);

TEST_WITH(a_task_that_backs_off_recovers, listener)
{
    not_under_valgrind();
    nart_tcp s = { .state = 0 };
    struct rlimit before;

    int fd = raw_connect(&at);
    no_descriptors(&before);
    uint64_t polls = stats_of(rt).polls;
    CHECK_RES(run(rt, &patient_type, &(struct patient){ .l = &l, .out = &s, .limit = &before }), 0);
    CHECK_LE(stats_of(rt).polls - polls, 16); /* it slept in between */
    CHECK_RES(nart_tcp_close(&s), 0);
    close(fd);
}

TEST(a_full_table_is_an_answer_and_the_connection_waits)
{
    nart_tcp first = { .state = 0 }, second = first;
    nart_udp u;
    nart_addr peer, other = { .len = sizeof other.storage };
    char buf[8];

    rt = NEW_RT(.max_io = 2); /* the listener and one connection */
    listen_at(rt, &l, &at);
    int a = raw_connect(&at);
    CHECK_RES(accept_now(rt, &l, &first, NULL), 0);
    int b = raw_connect(&at);
    at = localhost();
    CHECK_RES(nart_udp_open(rt, &at, NULL, &u), NART_EFDS);
    CHECK_RES(accept_now(rt, &l, &second, NULL), NART_EFDS);
    CHECK_RES(accept_now(rt, &l, &second, NULL), NART_EFDS);
    nart_rt *other_rt = new_rt(); /* has free slots, but does not own the connection */
    CHECK_RES(accept_now(other_rt, &l, &second, NULL), NART_EDRIVER);
    CHECK_RES(nart_tcp_close(&first), 0);
    CHECK_RES(accept_now(rt, &l, &second, &peer), 0);
    CHECK_EQ(getsockname(b, (struct sockaddr *)&other.storage, &other.len), 0);
    CHECK_EQ(nart_addr_port(&peer), nart_addr_port(&other));
    raw_send(b, "abc");
    CHECK_RES(recv_now(rt, &second, buf, sizeof buf), 3);

    CHECK_RES(nart_tcp_listener_addr(&l, &at), 0);
    int c = raw_connect(&at);
    CHECK_RES(accept_now(rt, &l, &first, NULL), NART_EFDS);
    CHECK_RES(nart_tcp_close(&second), 0);
    CHECK_RES(nart_rt_free(other_rt), 0);
    nart_tcp_listener moved;
    nart_tcp_listener_move(&moved, &l);
    int kept = moved.spare - 1;
    CHECK_LE(0, fcntl(kept, F_GETFD));
    CHECK_RES(nart_rt_free(rt), 0); /* closes the kept connection too */
    CHECK_EQ(recv(c, buf, sizeof buf, MSG_DONTWAIT), 0);
    CHECK_EQ(fcntl(kept, F_GETFD), -1);
    CHECK_EQ(dup2(a, kept), kept); /* the number now names another file */
    rt = new_rt();                 /* reuses the hub of the first one */
    CHECK_RES(accept_now(rt, &moved, &first, NULL), NART_ESTALE);
    CHECK_RES(nart_tcp_listener_close(&moved), 0);
    CHECK_LE(0, fcntl(kept, F_GETFD));
    close(kept);

    /* Nor does it outlive its listener. */
    nart_rt *small = NEW_RT(.max_io = 1);
    listen_at(small, &l, &at);
    int d = raw_connect(&at);
    CHECK_RES(accept_now(small, &l, &first, NULL), NART_EFDS);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_EQ(recv(d, buf, sizeof buf, MSG_DONTWAIT), 0);
    CHECK_RES(nart_rt_free(small), 0);
    close(d);
    close(a);
    close(b);
    close(c);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- listening ---- */

TEST_WITH(a_port_in_use_is_refused, listener)
{
    nart_tcp_listener other;
    nart_tcp_listen_opts share = NART_TCP_LISTEN_OPTS_INIT;

    CHECK_RES(nart_tcp_listen(rt, &at, NULL, &other), -EADDRINUSE);
    CHECK_RES(nart_tcp_listener_close(&other), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);

    share.flags = NART_LISTEN_REUSE_PORT;
    CHECK_RES(nart_tcp_listen(rt, &at, &share, &l), 0);
    CHECK_RES(nart_tcp_listen(rt, &at, &share, &other), 0);
    CHECK_RES(nart_tcp_listener_close(&other), 0);
}

TEST_WITH(old_connections_do_not_hold_a_port_unless_asked_to, listener)
{
    nart_tcp_listen_opts exclusive = NART_TCP_LISTEN_OPTS_INIT;
    nart_tcp s = { .state = 0 };
    char buf[8];

    int fd = raw_connect(&at);
    CHECK_RES(accept_now(rt, &l, &s, NULL), 0);
    CHECK_RES(nart_tcp_close(&s), 0); /* closed first: it stays in TIME_WAIT */
    CHECK_EQ(recv(fd, buf, sizeof buf, 0), 0);
    close(fd);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    exclusive.flags = NART_LISTEN_EXCLUSIVE;
    CHECK_RES(nart_tcp_listen(rt, &at, &exclusive, &l), -EADDRINUSE);
    CHECK_RES(nart_tcp_listen(rt, &at, NULL, &l), 0);
}

TEST_WITH(ipv6_accepts_ipv4_unless_v6only_is_set, rt)
{
    nart_tcp_listen_opts opts = NART_TCP_LISTEN_OPTS_INIT;
    nart_tcp s = { .state = 0 };
    nart_addr any;

    CHECK_RES(nart_addr_parse(&any, "[::]:0"), 0);
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        SKIP("no IPv6 here");
    close(probe);
    for (int only = 0; only < 2; only++) {
        char text[32];
        opts.flags = only ? NART_LISTEN_V6ONLY : 0;
        CHECK_RES(nart_tcp_listen(rt, &any, &opts, &l), 0);
        CHECK_RES(nart_tcp_listener_addr(&l, &at), 0);
        snprintf(text, sizeof text, "127.0.0.1:%u", nart_addr_port(&at));
        CHECK_RES(nart_addr_parse(&at, text), 0);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r = connect(fd, sockaddr_of(&at), at.len);
        CHECK_EQ(r, only ? -1 : 0);
        if (r == 0) {
            CHECK_RES(accept_now(rt, &l, &s, NULL), 0);
            CHECK_RES(nart_tcp_close(&s), 0);
        }
        close(fd);
        CHECK_RES(nart_tcp_listener_close(&l), 0);
    }
}

TEST_WITH(bad_options_are_refused, rt)
{
    nart_tcp_listen_opts opts = NART_TCP_LISTEN_OPTS_INIT;

    at = localhost();
    opts.size = 0;
    CHECK_RES(nart_tcp_listen(rt, &at, &opts, &l), NART_EABI);
    opts.size = sizeof opts + 8;
    CHECK_RES(nart_tcp_listen(rt, &at, &opts, &l), NART_EABI);
    opts.size = sizeof opts;
    opts.flags = 64;
    CHECK_RES(nart_tcp_listen(rt, &at, &opts, &l), -EINVAL);
    opts.flags = 0;
    opts.backlog = UINT32_MAX;
    CHECK_RES(nart_tcp_listen(rt, &at, &opts, &l), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_tcp_listen(NULL, &at, NULL, &l), -EINVAL);
    CHECK_RES(nart_tcp_listen(rt, &at, NULL, NULL), -EINVAL);
}

TEST_WITH(closing_and_moving_wake_the_accepting_task, listener)
{
    nart_tcp_listener moved;
    nart_tcp s = { .state = 0 };
    nart_join join;
    nart_res answer;

    spawn(rt, &acceptor_type, &(struct acceptor){ &l, &s, NULL, &answer }, &join);
    settle(rt);
    nart_tcp_listener_move(&moved, &l);
    finish(rt, &join);
    CHECK_RES(answer, -EBADF);
    spawn(rt, &acceptor_type, &(struct acceptor){ &moved, &s, NULL, &answer }, &join);
    settle(rt);
    CHECK_RES(nart_tcp_listener_close(&moved), 0);
    finish(rt, &join);
    CHECK_RES(answer, -EBADF);
}

/* ---- batches ---- */

enum { FEW = 5, BATCH = 8 };

/* One batch, in a task that is a body or a fiber. */
struct batch {
    nart_tcp s[BATCH];
    nart_addr peer[BATCH];
    size_t n;
    int64_t limit;
    nart_res answer;
    nart_join join;
};

struct batcher {
    nart_co co;
    struct batch *b;
};

static nart_res accept_batch(nart_cx *cx, struct batch *b)
{
    return nart_tcp_accept_many(cx, &l, b->s, b->peer, b->n);
}

static nart_res batcher_run(nart_cx *cx, void *frame)
{
    struct batcher *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(r, f->b->limit, accept_batch(cx, f->b));
    f->b->answer = r;
    NART_END(r);
}

TYPE(batcher, batcher_run);

static nart_res batch_fiber(nart_cx *cx, void *arg)
{
    struct batch *b = arg;

    b->answer = nart_await_for(cx, b->limit, accept_batch(cx, b));
    return b->answer;
}

static void batch_start(struct batch *b, size_t n, bool fiber)
{
    *b = (struct batch){ .n = n, .limit = NART_NEVER, .answer = NART_PENDING };
    if (fiber)
        CHECK_RES(nart_rt_fiber_spawn(rt, batch_fiber, b, NULL, &b->join), 0);
    else
        spawn(rt, &batcher_type, &(struct batcher){ .b = b }, &b->join);
    settle(rt);
}

static nart_res batch_now(struct batch *b, size_t n, bool fiber)
{
    batch_start(b, n, fiber);
    finish(rt, &b->join);
    return b->answer;
}

/* The connections are those of `fds`, in order. */
static void batch_close(struct batch *b, const int *fds, size_t n)
{
    nart_addr a;
    char buf[8];

    for (size_t i = 0; i < n; i++) {
        a.len = sizeof a.storage;
        CHECK_EQ(getsockname(fds[i], (struct sockaddr *)&a.storage, &a.len), 0);
        CHECK(nart_addr_equal(&a, &b->peer[i]));
        raw_send(fds[i], "abc");
        CHECK_RES(recv_now(rt, &b->s[i], buf, sizeof buf), 3);
        CHECK_RES(nart_tcp_close(&b->s[i]), 0);
        close(fds[i]);
    }
    for (size_t i = n; i < BATCH; i++)
        CHECK_RES(nart_tcp_fd(&b->s[i]), -EBADF);
}

static void connect_few(int *fds)
{
    for (int i = 0; i < FEW; i++)
        fds[i] = raw_connect(&at);
}

TEST_WITH(a_batch_takes_what_is_pending_and_no_more_than_asked, listener)
{
    static struct batch b;
    int fds[FEW];

    for (int fiber = 0; fiber < 2; fiber++) {
        connect_few(fds);
        CHECK_RES(batch_now(&b, 2, fiber), 2);
        batch_close(&b, fds, 2);
        CHECK_RES(batch_now(&b, BATCH, fiber), FEW - 2);
        batch_close(&b, fds + 2, FEW - 2);
        batch_start(&b, BATCH, fiber); /* none is left: it waits */
        CHECK_RES(b.answer, NART_PENDING);
        fds[0] = raw_connect(&at);
        finish(rt, &b.join);
        CHECK_RES(b.answer, 1);
        batch_close(&b, fds, 1);
    }
}

TEST_WITH(a_batch_that_does_not_take_place_takes_nothing, listener)
{
    static struct batch b;
    int fd;

    for (int fiber = 0; fiber < 2; fiber++) {
        CHECK_RES(batch_now(&b, 0, fiber), -EINVAL);
        batch_start(&b, BATCH, fiber);
        CHECK_RES(nart_task_cancel(rt, nart_join_task(&b.join)), 0);
        finish(rt, &b.join);
        CHECK_RES(b.answer, -ECANCELED);
        b.answer = NART_PENDING;
        b.limit = 1;
        if (fiber)
            CHECK_RES(nart_rt_fiber_spawn(rt, batch_fiber, &b, NULL, &b.join), 0);
        else
            spawn(rt, &batcher_type, &(struct batcher){ .b = &b }, &b.join);
        finish(rt, &b.join);
        CHECK_RES(b.answer, -ETIMEDOUT);
        fd = raw_connect(&at);
        CHECK_RES(batch_now(&b, BATCH, fiber), 1);
        batch_close(&b, &fd, 1);
        nart_tcp_listener other;
        batch_start(&b, BATCH, fiber);
        nart_tcp_listener_move(&other, &l);
        finish(rt, &b.join);
        CHECK_RES(b.answer, -EBADF);
        nart_tcp_listener_move(&l, &other);
        batch_start(&b, BATCH, fiber);
        CHECK_RES(nart_tcp_listener_close(&l), 0);
        finish(rt, &b.join);
        CHECK_RES(b.answer, -EBADF);
        listen_at(rt, &l, &at);
    }
}

/* In a task that opens what `b` has left. */
static nart_res batch_again(struct batch *b, size_t n)
{
    b->n = n;
    return run(rt, &batcher_type, &(struct batcher){ .b = b });
}

TEST_WITH(a_batch_wants_closed_handles, listener)
{
    static struct batch b;
    int first = raw_connect(&at), fd;

    CHECK_RES(batch_now(&b, 1, false), 1);
    nart_tcp_move(&b.s[1], &b.s[0]);
    fd = raw_connect(&at);
    CHECK_RES(batch_again(&b, BATCH), -EISCONN);
    CHECK_RES(batch_again(&b, 1), 1); /* it asks for the first only */
    CHECK_RES(batch_again(&b, 1), -EISCONN);
    CHECK_RES(nart_tcp_close(&b.s[1]), 0);
    batch_close(&b, &fd, 1);
    close(first);
}

TEST(a_batch_ends_where_the_table_is_full_and_loses_no_connection)
{
    static struct batch b;
    int fds[FEW];

    rt = NEW_RT(.max_io = 3); /* the listener and two connections */
    listen_at(rt, &l, &at);
    connect_few(fds);
    CHECK_RES(batch_now(&b, BATCH, false), 2);
    static struct batch none;
    CHECK_RES(batch_now(&none, BATCH, true), NART_EFDS);
    batch_close(&b, fds, 2);
    CHECK_RES(batch_now(&b, BATCH, true), 2); /* the one that was kept first */
    batch_close(&b, fds + 2, 2);
    CHECK_RES(batch_now(&b, BATCH, false), 1);
    batch_close(&b, fds + 4, 1);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

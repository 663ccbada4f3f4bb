/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A second driver. The echo task that runs on the loop with real sockets runs unchanged in a
 * simulated world, and operations meet system call results that no kernel produces on demand. */
#include "../net/net_test.h"
#include "net/net.h"
#include "sys.h"
#include "world.h"

#include <nart/co.h>

#include <unistd.h>

/* ---- the echo task, for every driver --------------------------------------------------------- */

struct echo {
    nart_co co;
    nart_tcp sock;
    size_t len, done;
    char buf[16];
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *e = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &e->co);
    for (;;) {
        NART_AWAIT_FOR(n, 5 * NART_SEC, nart_tcp_recv(cx, &e->sock, e->buf, sizeof e->buf));
        if (n <= 0)
            break;
        e->len = (size_t)n;
        NART_AWAIT_FOR(n, 5 * NART_SEC, nart_tcp_send_all(cx, &e->sock, e->buf, e->len, &e->done));
        if (n < 0)
            break;
    }
    nart_tcp_close(&e->sock);
    NART_END(n);
}

static const nart_task_type echo_type = NART_TASK_TYPE(struct echo, echo_run, NULL);

static void arrives(struct sock *s, const char *text)
{
    memcpy(s->in + s->in_len, text, strlen(text));
    s->in_len += strlen(text);
    happens(s, NART_READ);
}

/* An echo task on socket 0 of a new world. */
static struct sock *echo_in_world(nart__task *t, struct echo *e)
{
    new_world(&world_driver);
    memset(e, 0, sizeof *e);
    CHECK_RES(nart__tcp_bind(&e->sock, &world_driver, w, fake_socket(AF_INET, SOCK_STREAM)), 0);
    begin(t, &echo_type, e);
    CHECK_RES(world_settle(), NART_PENDING);
    return &w->sock[0];
}

TEST(the_echo_task_runs_on_the_loop)
{
    nart_rt *rt = new_rt();
    struct echo e = { .len = 0 };
    char back[16] = "";
    int peer = tcp_pair(rt, &e.sock);

    raw_send(peer, "hello");
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
    CHECK_RES(run(rt, &echo_type, &e), 0);
    CHECK_EQ(recv(peer, back, sizeof back, MSG_WAITALL), 5);
    CHECK_STR(back, "hello");
    close(peer);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(the_echo_task_runs_in_another_world)
{
    nart__task t;
    struct echo e;
    struct sock *s = echo_in_world(&t, &e);

    s->room = 4;
    arrives(s, "hello, how are you?"); /* exceeds the task's buffer and the send space */
    CHECK_RES(world_settle(), NART_PENDING);
    CHECK_STR(s->out, "hell");
    while (s->out_len < 19) {
        s->room = 4;
        happens(s, NART_WRITE);
        CHECK_RES(world_settle(), NART_PENDING);
    }
    CHECK_STR(s->out, "hello, how are you?");
    s->in_end = true;
    happens(s, NART_READ | NART_RDHUP);
    CHECK_RES(world_settle(), 0);
    CHECK_EQ(s->closes, 1);
}

TEST(time_is_the_worlds)
{
    nart__task t;
    struct echo e;
    struct sock *s = echo_in_world(&t, &e);

    CHECK_EQ(w->park_until, w->clock + 5 * NART_SEC);
    pass(5 * NART_SEC - 1, &t);
    CHECK_RES(world_settle(), NART_PENDING);
    s->room = 100;
    arrives(s, "x"); /* a new deadline with each message */
    CHECK_RES(world_settle(), NART_PENDING);
    CHECK_EQ(w->park_until, w->clock + 5 * NART_SEC);
    pass(5 * NART_SEC, &t);
    CHECK_RES(world_settle(), -ETIMEDOUT);
    CHECK_EQ(s->closes, 1);
}

/* A message that fits takes one call each way: short reads and writes save the call that would
 * answer EAGAIN. */
TEST(a_message_is_one_call_each_way)
{
    nart__task t;
    struct echo e;
    struct sock *s = echo_in_world(&t, &e);
    int recvs = s->recvs, sends = s->sends;

    CHECK_EQ(recvs, 1); /* the first attempt */
    s->room = 1000;
    for (int i = 1; i <= 10; i++) {
        arrives(s, "message");
        CHECK_RES(world_settle(), NART_PENDING);
        CHECK_EQ(s->recvs, recvs + i);
        CHECK_EQ(s->sends, sends + i);
    }
    s->room = 3;
    arrives(s, "message");
    CHECK_RES(world_settle(), NART_PENDING);
    CHECK_EQ(s->sends, sends + 11); /* accepted three bytes; no further attempt */
    nart_driver_task_cancel(&t);
    CHECK_RES(world_settle(), -ECANCELED);
}

TEST(a_cancelled_task_makes_no_system_call)
{
    nart__task t;
    struct echo e;
    struct sock *s = echo_in_world(&t, &e);
    int before = s->recvs;

    arrives(s, "here");
    nart_driver_task_cancel(&t);
    CHECK_RES(world_settle(), -ECANCELED);
    CHECK_EQ(s->recvs, before);
    CHECK_EQ(s->in_len, 4); /* nothing was taken */
    CHECK_EQ(s->closes, 1);
}

TEST(polls_for_no_reason_make_no_system_call)
{
    nart__task t;
    struct echo e;
    struct sock *s = echo_in_world(&t, &e);
    int before = s->recvs;

    for (int i = 0; i < 1000; i++) {
        world_ready(w, &t);
        CHECK_RES(world_settle(), NART_PENDING);
    }
    CHECK_EQ(s->recvs, before);
    CHECK_EQ(w->park_until, w->clock + 5 * NART_SEC);
    s->in_end = true;
    happens(s, NART_READ | NART_RDHUP);
    CHECK_RES(world_settle(), 0);
}

/* ---- connecting ---- */

struct connector {
    nart_co co;
    nart_tcp sock;
    nart_addr at;
};

static nart_res connector_run(nart_cx *cx, void *frame)
{
    struct connector *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT_FOR(r, NART_SEC, nart_tcp_connect(cx, &c->sock, &c->at));
    NART_END(r);
}

static const nart_task_type connector_type = NART_TASK_TYPE(struct connector, connector_run, NULL);

/* Connects in a new world in which connect() and then SO_ERROR give these results. */
static nart_res connect_in_world(struct connector *c, nart__task *t, int connect, int error)
{
    new_world(&world_driver);
    w->sock[0].connect = connect;
    w->sock[0].error = error;
    memset(c, 0, sizeof *c);
    CHECK_RES(nart_addr_parse(&c->at, "127.0.0.1:1"), 0);
    begin(t, &connector_type, c);
    return world_settle();
}

TEST(a_connect_may_succeed_at_once)
{
    struct connector c;
    nart__task t;

    CHECK_RES(connect_in_world(&c, &t, 0, -EIO), 0);
    CHECK_EQ(w->sock[0].errors_read, 0);
    CHECK_RES(nart_tcp_close(&c.sock), 0);
    CHECK_EQ(w->sock[0].closes, 1);
}

TEST(a_connect_may_fail_at_once)
{
    struct connector c;
    nart__task t;

    CHECK_RES(connect_in_world(&c, &t, -EADDRNOTAVAIL, 0), -EADDRNOTAVAIL);
    CHECK_EQ(w->sock[0].closes, 1);
    CHECK_RES(nart_tcp_close(&c.sock), 0);
    CHECK_EQ(w->sock[0].closes, 1);
}

static void later(int error)
{
    struct connector c;
    nart__task t;

    CHECK_RES(connect_in_world(&c, &t, -EINPROGRESS, error), NART_PENDING);
    struct sock *s = &w->sock[0];
    happens(s, NART_READ); /* unrelated to a connect */
    for (int i = 0; i < 1000; i++) {
        if (!(t.state & NART__T_READY))
            world_ready(w, &t);
        CHECK_RES(world_settle(), NART_PENDING);
    }
    CHECK_EQ(s->errors_read, 0);
    happens(s, error ? NART_READ | NART_WRITE | NART_ERROR | NART_HANGUP : NART_WRITE);
    CHECK_RES(world_settle(), error);
    CHECK_EQ(s->errors_read, 1); /* reading it clears it, so it is read once */
    CHECK_EQ(s->closes, error != 0);
    CHECK_RES(nart_tcp_close(&c.sock), 0);
    CHECK_EQ(s->closes, 1);
}

TEST(a_connect_succeeds_later)
{
    later(0);
}

TEST(a_connect_fails_later)
{
    later(-ECONNREFUSED);
}

TEST(a_connect_that_times_out_is_closed_once)
{
    struct connector c;
    nart__task t;

    CHECK_RES(connect_in_world(&c, &t, -EINPROGRESS, 0), NART_PENDING);
    pass(NART_SEC, &t);
    CHECK_RES(world_settle(), -ETIMEDOUT);
    CHECK_EQ(w->sock[0].closes, 1);
    CHECK_RES(nart_tcp_close(&c.sock), 0);
    CHECK_EQ(w->sock[0].closes, 1);
}

/* ---- accepting ---- */

struct acceptor {
    nart_tcp_listener l;
    nart_tcp sock;
    int polls;
};

static nart_res acceptor_run(nart_cx *cx, void *frame)
{
    struct acceptor *a = frame;
    a->polls++;
    return nart_tcp_accept(cx, &a->l, &a->sock, NULL);
}

static const nart_task_type acceptor_type = NART_TASK_TYPE(struct acceptor, acceptor_run, NULL);

static struct sock *listen_in_world(struct acceptor *a)
{
    new_world(&world_driver);
    memset(a, 0, sizeof *a);
    a->l.fd = fake_socket(AF_INET, SOCK_STREAM);
    CHECK_RES(nart__io_bind(&a->l.io, &world_driver, w, a->l.fd), 0);
    return &w->sock[0];
}

TEST(a_connection_that_failed_is_passed_over)
{
    static const int gone[] = { ECONNABORTED, EPERM,    EPROTO,      ENOPROTOOPT,
                                EOPNOTSUPP,   ENETDOWN, ENETUNREACH, EHOSTDOWN,
                                EHOSTUNREACH, ENONET,   ETIMEDOUT };
    struct acceptor a;
    nart__task t;
    struct sock *s = listen_in_world(&a);

    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        s->accept[s->accepts++] = -gone[i];
    s->accept[s->accepts++] = 0;
    begin(&t, &acceptor_type, &a);
    CHECK_RES(world_settle(), 0);
    CHECK_EQ(a.polls, 1);
    CHECK_RES(nart_tcp_close(&a.sock), 0);
    CHECK_RES(nart_tcp_listener_close(&a.l), 0);
}

struct batch_acceptor {
    struct acceptor *a;
    nart_tcp *out;
};

static nart_res batch_run(nart_cx *cx, void *frame)
{
    struct batch_acceptor *f = frame;
    return nart_tcp_accept_many(cx, &f->a->l, f->out, NULL, 3);
}

static const nart_task_type batch_type = NART_TASK_TYPE(struct batch_acceptor, batch_run, NULL);

TEST(an_error_ends_a_batch_and_is_answered_if_it_persists)
{
    static const int told[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED };
    struct acceptor a;
    nart__task t;
    struct sock *s = listen_in_world(&a);

    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        nart_tcp out[3] = { { .state = 0 } };
        struct batch_acceptor b = { &a, out };
        bool gone = told[i] == ECONNABORTED;
        s->accept[s->accepts++] = 0;
        s->accept[s->accepts++] = -told[i];
        s->accept[s->accepts++] = -told[i];
        s->accept[s->accepts++] = 0;
        begin(&t, &batch_type, &b);
        CHECK_RES(world_settle(), 1);
        CHECK_RES(nart_tcp_close(&out[0]), 0);
        begin(&t, &batch_type, &b);
        CHECK_RES(world_settle(), gone ? 1 : -told[i]);
        if (!gone) {
            begin(&t, &batch_type, &b);
            CHECK_RES(world_settle(), 1);
        }
        CHECK_RES(nart_tcp_close(&out[0]), 0);
        happens(s, NART_READ); /* the queue was found empty */
    }
    CHECK_RES(nart_tcp_listener_close(&a.l), 0);
}

TEST(other_errors_of_accept_are_answered_and_the_listener_lives)
{
    static const int told[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF, EFAULT, EINVAL, ENOTSOCK };
    struct acceptor a;
    nart__task t;
    struct sock *s = listen_in_world(&a);

    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        s->accept[s->accepts++] = -told[i];
        begin(&t, &acceptor_type, &a);
        CHECK_RES(world_settle(), -told[i]);
        s->accept[s->accepts++] = 0;
        begin(&t, &acceptor_type, &a);
        CHECK_RES(world_settle(), 0);
        CHECK_RES(nart_tcp_close(&a.sock), 0);
    }
    CHECK_RES(nart_tcp_listener_close(&a.l), 0);
}

/* Each connection that is skipped counts, so a flood of them does not starve other tasks. */
TEST(a_flood_of_failed_connections_spends_the_budget)
{
    struct acceptor a;
    nart__task t;
    struct sock *s = listen_in_world(&a);

    s->flood = 1000;
    begin(&t, &acceptor_type, &a);
    CHECK_RES(world_settle(), NART_PENDING);
    CHECK_EQ(s->flood, 0);
    CHECK_LE(1000 / NART_BUDGET, a.polls);
    nart_driver_task_cancel(&t);
    CHECK_RES(world_settle(), -ECANCELED);
    CHECK_RES(nart_tcp_listener_close(&a.l), 0);
}

/* ---- datagrams ---- */

struct batches {
    nart_co co;
    nart_udp u;
    nart_udp_msg msgs[8];
    nart_res got, sent;
};

static nart_res batches_run(nart_cx *cx, void *frame)
{
    struct batches *b = frame;

    NART_BEGIN(cx, &b->co);
    for (;;) {
        NART_AWAIT(b->got, nart_udp_recv_many(cx, &b->u, b->msgs, 8));
        if (b->got < 0)
            break;
        NART_AWAIT(b->sent, nart_udp_send_many(cx, &b->u, b->msgs, (size_t)b->got));
        if (b->sent < 0)
            break;
    }
    nart_udp_close(&b->u);
    NART_END(b->got < 0 ? b->got : b->sent);
}

static const nart_task_type batches_type = NART_TASK_TYPE(struct batches, batches_run, NULL);

TEST(a_batch_is_one_call_each_way)
{
    struct batches b = { .got = 0 };
    nart__task t;

    new_world(&world_driver);
    b.u.fd = fake_socket(AF_INET, SOCK_STREAM);
    CHECK_RES(nart__io_bind(&b.u.io, &world_driver, w, b.u.fd), 0);
    begin(&t, &batches_type, &b);
    CHECK_RES(world_settle(), NART_PENDING);
    struct sock *s = &w->sock[0];
    int recvs = s->recvs;
    s->room = 100;
    for (int i = 1; i <= 10; i++) { /* fewer than requested: no more are pending */
        s->datagrams = 7;
        happens(s, NART_READ);
        CHECK_RES(world_settle(), NART_PENDING);
        CHECK_EQ(b.sent, 7);
        CHECK_EQ(s->recvs, recvs + i);
        CHECK_EQ(s->sends, i);
    }
    s->datagrams = 20; /* as many as requested: more may be pending */
    s->room = 13;
    happens(s, NART_READ);
    CHECK_RES(world_settle(), NART_PENDING);
    CHECK_EQ(s->datagrams, 0);
    CHECK_EQ(b.got, 4);
    CHECK_EQ(s->room, 0); /* 8, then 5 of 8; the last 4 wait for space */
    s->room = 100;
    happens(s, NART_WRITE);
    CHECK_RES(world_settle(), NART_PENDING);
    CHECK_EQ(b.sent, 4);
    nart_driver_task_cancel(&t);
    CHECK_RES(world_settle(), -ECANCELED);
    CHECK_EQ(s->closes, 1);
}

/* ---- between worlds ---- */

static nart_res receive_run(nart_cx *cx, void *frame)
{
    char buf[8];
    return nart_tcp_recv(cx, *(nart_tcp **)frame, buf, sizeof buf);
}

static const nart_task_type receive_type = NART_TASK_TYPE(nart_tcp *, receive_run, NULL);

TEST(a_handle_of_one_world_is_refused_in_another)
{
    nart_rt *rt = new_rt();
    nart_tcp real, *handle = &real, fake = { .state = 0 };
    nart__task t;
    int peer = tcp_pair(rt, &real);

    new_world(&world_driver);
    CHECK_RES(nart__tcp_bind(&fake, &world_driver, w, fake_socket(AF_INET, SOCK_STREAM)), 0);
    begin(&t, &receive_type, &handle);
    CHECK_RES(world_settle(), NART_EDRIVER);
    handle = &fake;
    CHECK_RES(run(rt, &receive_type, &handle), NART_EDRIVER);
    CHECK_RES(nart_tcp_close(&fake), 0); /* closing needs no cx, so it works from anywhere */
    CHECK_RES(nart_tcp_close(&real), 0);
    CHECK_EQ(w->sock[0].closes, 1);
    close(peer);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- system calls ---- */

/* Calls without a poll also use the handle's own world. */
TEST(options_and_names_are_the_worlds)
{
    nart_tcp s = { .state = 0 };
    nart_addr a;

    new_world(&world_driver);
    CHECK_RES(nart__tcp_bind(&s, &world_driver, w, fake_socket(AF_INET, SOCK_STREAM)), 0);
    CHECK_RES(nart_tcp_set_nodelay(&s, true), 0);
    CHECK_EQ(w->sock[0].nodelay, 1);
    CHECK_RES(nart_tcp_nodelay(&s), 1);
    CHECK_RES(nart_tcp_local_addr(&s, &a), 0);
    CHECK_EQ(nart_addr_port(&a), 1);
    CHECK_RES(nart_tcp_peer_addr(&s, &a), 0);
    CHECK_EQ(nart_addr_port(&a), 2);
    CHECK_RES(nart_tcp_shutdown(&s, NART_WRITE), 0);
    CHECK_EQ(w->sock[0].how, SHUT_WR);
    CHECK_RES(nart_tcp_close(&s), 0);
    CHECK_EQ(w->sock[0].closes, 1);
}

/* This world's sockets do not report a shutdown: the reader is woken all the same. */
TEST(a_shutdown_of_reading_ends_a_wait_in_any_world)
{
    nart__task t;
    struct echo e;
    struct sock *s = echo_in_world(&t, &e);
    int before = s->recvs;

    CHECK_RES(nart_tcp_shutdown(&e.sock, NART_READ), 0);
    CHECK_EQ(s->how, SHUT_RD);
    CHECK_RES(world_settle(), 0);
    CHECK_EQ(s->recvs, before);
    CHECK_EQ(s->closes, 1);
}

static nart_res ready_run(nart_cx *cx, void *frame)
{
    return nart_fd_ready(cx, *(nart_fd **)frame, NART_READ);
}

static const nart_task_type ready_type = NART_TASK_TYPE(nart_fd *, ready_run, NULL);

/* A reported state is confirmed by the world that reported it. */
TEST(a_state_is_confirmed_by_the_handles_world)
{
    nart_fd h = { .io = { .id = 0 } }, *frame = &h;
    nart__task t;

    new_world(&world_driver);
    CHECK_RES(nart__io_bind(&h.io, &world_driver, w, fake_socket(AF_INET, SOCK_STREAM)), 0);
    happens(&w->sock[0], NART_READ | NART_RDHUP);
    w->sock[0].in_end = true;
    begin(&t, &ready_type, &frame);
    CHECK_RES(world_settle(), NART_READ | NART_RDHUP);
    w->sock[0].in_end = false;
    begin(&t, &ready_type, &frame);
    CHECK_RES(world_settle(), NART_READ);
    CHECK_RES(nart_fd_close(&h), 0);
}

/* Counts the opening calls before they reach the kernel. */
static int sockets, binds, listens, getsockopts, nonblockings, dups, closes;

static int count_socket(int family, int type)
{
    sockets++;
    return nart__sys_real.socket(family, type);
}

static int count_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    binds++;
    return nart__sys_real.bind(fd, addr, len);
}

static int count_listen(int fd, int backlog)
{
    listens++;
    return nart__sys_real.listen(fd, backlog);
}

static int count_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    getsockopts++;
    return nart__sys_real.getsockopt(fd, level, name, value, len);
}

static int count_nonblocking(int fd)
{
    nonblockings++;
    return nart__sys_real.set_nonblocking(fd);
}

static int count_dup(int fd)
{
    dups++;
    return nart__sys_real.dup(fd);
}

static void count_close(int fd)
{
    closes++;
    nart__sys_real.close(fd);
}

TEST(opening_makes_every_system_call_through_the_driver)
{
    nart_sys sys = nart__sys_real;
    nart_driver driver = nart__loop;
    nart_rt *rt = new_rt();
    nart_addr at = localhost();
    nart_tcp_listener l;
    nart_tcp s;
    nart_udp u;
    nart_fd h;
    int mine, peer;

    sys.socket = count_socket;
    sys.bind = count_bind;
    sys.listen = count_listen;
    sys.getsockopt = count_getsockopt;
    sys.set_nonblocking = count_nonblocking;
    sys.dup = count_dup;
    sys.close = count_close;
    driver.sys = &sys;
    rt->cx.drv = &driver;
    raw_pair(&mine, &peer);
    CHECK_RES(nart_tcp_listen(rt, &at, NULL, &l), 0);
    CHECK_RES(nart_udp_open(rt, &at, NULL, &u), 0);
    CHECK_EQ(sockets, 2);
    CHECK_EQ(binds, 2);
    CHECK_EQ(listens, 1);
    CHECK_RES(nart_tcp_adopt(rt, mine, &s), 0);
    CHECK_EQ(getsockopts, 2); /* checks that it is TCP, and not raw */
    CHECK_EQ(nonblockings, 1);
    CHECK_RES(nart_fd_open(rt, peer, NART_FD_BORROW, &h), 0);
    CHECK_EQ(dups, 1);
    CHECK_RES(nart_tcp_listener_addr(&l, &at), 0);
    nart_tcp_listener second;
    CHECK_EQ(closes, 0);
    CHECK_RES(nart_tcp_listen(rt, &at, NULL, &second), -EADDRINUSE);
    CHECK_EQ(closes, 1);
    CHECK_RES(nart_fd_close(&h), 0);
    CHECK_RES(nart_tcp_close(&s), 0);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_EQ(closes, 5);
    close(peer);
    rt->cx.drv = &nart__loop;
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(a_driver_without_sockets_refuses_them)
{
    nart_driver bare = world_driver;
    struct connector c = { .sock = { .state = 0 } };
    nart__task t;

    bare.sys = NULL;
    new_world(&bare);
    CHECK_RES(nart_addr_parse(&c.at, "127.0.0.1:1"), 0);
    begin(&t, &connector_type, &c);
    CHECK_RES(world_settle(), NART_EDRIVER);
}

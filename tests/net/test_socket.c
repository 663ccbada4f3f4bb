/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sockets that are made step by step, and descriptors that become handles and are given back. */
#include "net_test.h"
#include "threads.h"

#include <nart/fiber.h>
#include <nart/socket.h>
#include <nart/sync.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

FIXTURE_RT();
#include "full.h"

/* An open socket of TCP. */
static nart_socket made(void)
{
    nart_socket s = { 0 };
    CHECK_RES(nart_socket_open(&s, AF_INET, SOCK_STREAM), 0);
    return s;
}

/* One connect with a socket; the test owns both. */
struct joining {
    nart_co co;
    nart_tcp *s;
    nart_socket *raw;
    nart_addr at;
    nart_res *answer;
    int64_t ns; /* its deadline, or 0 */
};

static nart_res joining_run(nart_cx *cx, void *frame)
{
    struct joining *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    if (f->ns)
        NART_AWAIT_FOR(r, f->ns, nart_tcp_connect_socket(cx, f->s, f->raw, &f->at));
    else
        NART_AWAIT(r, nart_tcp_connect_socket(cx, f->s, f->raw, &f->at));
    *f->answer = r;
    NART_END(r);
}

TYPE(joining, joining_run);

static nart_res connect_now(nart_rt *on, nart_tcp *s, nart_socket *raw, const nart_addr *at)
{
    nart_res answer;
    struct joining f = { .s = s, .raw = raw, .at = *at, .answer = &answer };
    return run(on, &joining_type, &f);
}

static void both_closed(const nart_tcp *s, const nart_socket *raw)
{
    CHECK_RES(nart_tcp_fd(s), -EBADF);
    CHECK_RES(nart_socket_fd(raw), -EBADF);
}

/* ---- step by step ---- */

TEST_WITH(a_socket_is_bound_and_set_up_before_it_connects, rt)
{
    nart_socket raw = made();
    nart_tcp s = { .state = 0 };
    nart_addr at, from = localhost(), mine, seen = { .len = sizeof seen.storage };
    char buf[8];
    int l = raw_listen(&at, 1);

    nart_res fd = nart_socket_fd(&raw);
    CHECK_LE(0, fd);
    CHECK(fcntl((int)fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl((int)fd, F_GETFD) & FD_CLOEXEC);
    CHECK_RES(nart_sock_nodelay(fd), 1);
    CHECK_RES(nart_sock_set_rcvbuf(fd, 65536), 0);
    CHECK_RES(nart_socket_bind(&raw, &from), 0);
    CHECK_RES(nart_sock_local_addr(fd, &from), 0);
    CHECK_NE(nart_addr_port(&from), 0);
    CHECK_RES(connect_now(rt, &s, &raw, &at), 0);
    CHECK_RES(nart_socket_fd(&raw), -EBADF);
    CHECK_RES(nart_tcp_fd(&s), fd);
    CHECK_RES(nart_sock_rcvbuf(fd), 131072);
    int far = accept(l, (struct sockaddr *)&seen.storage, &seen.len);
    CHECK_EQ(nart_addr_port(&seen), nart_addr_port(&from));
    CHECK_RES(nart_tcp_local_addr(&s, &mine), 0);
    CHECK_EQ(nart_addr_port(&mine), nart_addr_port(&from));
    CHECK_RES(send_now(rt, &s, "abc"), 3);
    CHECK_EQ(recv(far, buf, sizeof buf, 0), 3);
    CHECK_RES(nart_tcp_close(&s), 0);
    close(far);
    close(l);
}

/* The same in a fiber. */
static nart_res fiber_connects(nart_cx *cx, void *arg)
{
    const nart_addr *at = arg;
    nart_socket raw = made();
    nart_tcp s = { .state = 0 };

    nart_res r = nart_await(cx, nart_tcp_connect_socket(cx, &s, &raw, at));
    CHECK_RES(nart_socket_fd(&raw), -EBADF);
    CHECK_RES(nart_tcp_close(&s), 0);
    return r;
}

TEST_WITH(a_fiber_connects_with_a_socket, rt)
{
    nart_addr at;
    nart_res answer = NART_PENDING;
    int l = raw_listen(&at, 1);

    CHECK_RES(nart_fiber_block_on(rt, fiber_connects, &at, NULL, &answer), 0);
    CHECK_RES(answer, 0);
    close(l);
}

/* Listens and opens a datagram socket in a body. */
struct here {
    nart_socket a, b;
    nart_tcp_listener l;
    nart_udp u;
    int adopted[3];
};

static nart_res here_run(nart_cx *cx, void *frame)
{
    struct here *f = frame;
    nart_tcp_listener l;
    nart_udp u;

    CHECK_RES(nart_tcp_listen_socket_here(cx, &f->a, 1, &f->l), 0);
    CHECK_RES(nart_udp_from_socket_here(cx, &f->b, &f->u), 0);
    CHECK_RES(nart_socket_fd(&f->a), -EBADF);
    CHECK_RES(nart_socket_fd(&f->b), -EBADF);
    CHECK_RES(nart_tcp_listener_detach(&f->l, &f->adopted[0]), 0);
    CHECK_RES(nart_tcp_listener_adopt_here(cx, f->adopted[0], &l), 0);
    CHECK_RES(nart_udp_detach(&f->u, &f->adopted[1]), 0);
    CHECK_RES(nart_udp_adopt_here(cx, f->adopted[1], &u), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_udp_close(&u), 0);
    return 0;
}

TYPE(here, here_run);

TEST_WITH(a_body_makes_handles_of_sockets, rt)
{
    struct here f = { .a = made(), .b = { 0 } };

    CHECK_RES(nart_socket_open(&f.b, AF_INET, SOCK_DGRAM), 0);
    CHECK_RES(run(rt, &here_type, &f), 0);
}

/* Accepts one connection and closes it. */
struct acceptor {
    nart_tcp_listener *l;
    nart_tcp s;
    nart_res *answer;
};

static nart_res acceptor_run(nart_cx *cx, void *frame)
{
    struct acceptor *f = frame;
    nart_res r = nart_tcp_accept(cx, f->l, &f->s, NULL);
    if (r == 0)
        r = nart_tcp_close(&f->s);
    if (f->answer)
        *f->answer = r;
    return r;
}

TYPE(acceptor, acceptor_run);

TEST_WITH(two_listeners_share_a_port, rt)
{
    nart_socket raw[2] = { made(), made() };
    nart_tcp_listener l[2];
    nart_addr at = localhost();
    int fd[64];

    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_sock_set_reuse_port(nart_socket_fd(&raw[i]), true), 0);
        CHECK_RES(nart_socket_bind(&raw[i], &at), 0);
        CHECK_RES(nart_sock_local_addr(nart_socket_fd(&raw[i]), &at), 0);
        CHECK_RES(nart_tcp_listen_socket(rt, &raw[i], 64, &l[i]), 0);
        CHECK_RES(nart_socket_fd(&raw[i]), -EBADF);
        CHECK_RES(nart_sock_listening(nart_tcp_listener_fd(&l[i])), 1);
    }
    for (int i = 0; i < 64; i++)
        fd[i] = raw_connect(&at);
    for (int i = 0; i < 2; i++) /* both have got some of them */
        CHECK_RES(run(rt, &acceptor_type, &(struct acceptor){ .l = &l[i] }), 0);
    for (int i = 0; i < 64; i++)
        close(fd[i]);
    CHECK_RES(nart_tcp_listener_close(&l[0]), 0);
    CHECK_RES(nart_tcp_listener_close(&l[1]), 0);
}

struct getting {
    nart_udp *u;
    char *buf;
};

static nart_res getting_run(nart_cx *cx, void *frame)
{
    struct getting *f = frame;
    return nart_udp_recv(cx, f->u, f->buf, 8, NULL);
}

TYPE(getting, getting_run);

/* A connected socket whose queue has a datagram of a stranger from before. */
TEST_WITH(a_connected_datagram_socket_is_taken_over, rt)
{
    nart_socket raw = { 0 };
    nart_udp u;
    nart_addr at = localhost(), peer = localhost(), to;
    char buf[8] = "";
    int friend = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK_RES(nart_socket_open(&raw, AF_INET, SOCK_DGRAM), 0);
    int fd = (int)nart_socket_fd(&raw);
    CHECK_RES(nart_socket_bind(&raw, &at), 0);
    CHECK_RES(nart_sock_local_addr(fd, &to), 0);
    CHECK_EQ(bind(friend, sockaddr_of(&peer), peer.len), 0);
    CHECK_RES(nart_sock_local_addr(friend, &peer), 0);
    CHECK_EQ(sendto(stranger, "no", 2, 0, sockaddr_of(&to), to.len), 2);
    CHECK_EQ(connect(fd, sockaddr_of(&peer), peer.len), 0);
    CHECK_EQ(sendto(friend, "yes", 3, 0, sockaddr_of(&to), to.len), 3);
    CHECK_RES(nart_udp_from_socket(rt, &raw, &u), 0);
    CHECK_RES(nart_socket_fd(&raw), -EBADF);
    CHECK_RES(run(rt, &getting_type, &(struct getting){ &u, buf }), 3);
    CHECK_STR(buf, "yes");
    CHECK_RES(nart_udp_close(&u), 0);
    close(friend);
    close(stranger);
}

/* ---- what is refused ---- */

TEST_WITH(sockets_refuse_what_is_wrong, rt)
{
    nart_socket s = { 0 }, t = { 0 };
    nart_addr at = localhost(), six, taken;
    nart_tcp_listener l;
    nart_udp u;
    int ends[2], busy = raw_listen(&taken, 1);

    CHECK_RES(nart_socket_open(&s, AF_PACKET, SOCK_DGRAM), -EAFNOSUPPORT);
    CHECK_RES(nart_socket_open(&s, AF_INET, SOCK_RAW), -EINVAL);
    CHECK_RES(nart_socket_fd(&s), -EBADF);
    CHECK_RES(nart_socket_bind(&s, &at), -EBADF);
    CHECK_RES(nart_socket_detach(&s), -EBADF);
    CHECK_RES(nart_tcp_listen_socket(rt, &s, 0, &l), -EBADF);
    CHECK_RES(nart_udp_from_socket(rt, &s, &u), -EBADF);
    CHECK_RES(nart_socket_close(&s), 0);
    CHECK_RES(nart_socket_close(NULL), 0);

    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CHECK_RES(nart_socket_adopt(&s, ends[0]), -ENOTSOCK);
    CHECK_RES(nart_socket_adopt(&s, -1), -EBADF);
    close(ends[0]);
    close(ends[1]);

    s = made();
    CHECK_RES(nart_socket_open(&s, AF_INET, SOCK_STREAM), -EISCONN);
    CHECK_RES(nart_socket_adopt(&s, busy), -EISCONN);
    CHECK_RES(nart_socket_bind(&s, NULL), -EINVAL);
    CHECK_RES(nart_addr_parse(&six, "[::1]:0"), 0);
    six.storage.ss_family = AF_PACKET;
    CHECK_RES(nart_socket_bind(&s, &six), -EAFNOSUPPORT);
    CHECK_RES(nart_socket_bind(&s, &taken), -EADDRINUSE);
    CHECK_RES(nart_addr_parse(&six, "192.0.2.77:0"), 0);
    CHECK_RES(nart_socket_bind(&s, &six), -EADDRNOTAVAIL);
    CHECK_RES(nart_socket_bind(&s, &at), 0);
    CHECK_RES(nart_socket_bind(&s, &at), -EINVAL);
    CHECK_RES(nart_tcp_listen_socket(NULL, &s, 0, &l), -EINVAL);
    CHECK_RES(nart_tcp_listen_socket(rt, NULL, 0, &l), -EINVAL);
    CHECK_RES(nart_tcp_listen_socket(rt, &s, 0, NULL), -EINVAL);
    CHECK_RES(nart_udp_from_socket(rt, NULL, &u), -EINVAL);
    CHECK_RES(nart_udp_from_socket(rt, &s, NULL), -EINVAL);
    CHECK_RES(nart_udp_from_socket(rt, &s, &u), -EPROTOTYPE);

    CHECK_RES(nart_socket_open(&t, AF_INET, SOCK_DGRAM), 0);
    CHECK_RES(nart_tcp_listen_socket(rt, &t, 0, &l), -EPROTOTYPE);
    CHECK_LE(0, nart_socket_fd(&t));
    CHECK_RES(nart_socket_close(&t), 0);
    CHECK_RES(nart_socket_close(&t), 0);
    CHECK_EQ(connect((int)nart_socket_fd(&s), sockaddr_of(&taken), taken.len), -1);
    wait_for((int)nart_socket_fd(&s), POLLOUT);
    CHECK_RES(nart_tcp_listen_socket(rt, &s, 0, &l), -EINVAL); /* it is connected */
    close((int)nart_socket_detach(&s));
    CHECK_RES(nart_socket_fd(&s), -EBADF);
    close(busy);
}

TEST(a_listener_that_cannot_be_registered_leaves_the_socket)
{
    nart_rt *small = NEW_RT(.max_io = 1);
    nart_socket s = made(), t = made();
    nart_tcp_listener l, m;

    CHECK_RES(nart_tcp_listen_socket(small, &s, 0, &l), 0);
    CHECK_RES(nart_tcp_listen_socket(small, &t, 0, &m), NART_EFDS);
    CHECK_RES(nart_tcp_listener_fd(&m), -EBADF);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_tcp_listen_socket(small, &t, 0, &m), 0);
    CHECK_RES(nart_tcp_listener_close(&m), 0);
    CHECK_RES(nart_rt_free(small), 0);
}

/* ---- a connect that does not succeed ---- */

TEST_WITH(after_an_error_of_the_connect_both_are_closed, rt)
{
    nart_socket raw = made();
    nart_tcp s = { .state = 0 };
    nart_addr at = localhost(), six;
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(bind(taken, sockaddr_of(&at), at.len), 0);
    CHECK_RES(nart_sock_local_addr(taken, &at), 0);
    CHECK_RES(connect_now(rt, &s, &raw, &at), -ECONNREFUSED);
    both_closed(&s, &raw);
    CHECK_RES(connect_now(rt, &s, &raw, &at), -EBADF); /* it is not called again */
    CHECK_RES(connect_now(rt, &s, NULL, &at), -EBADF);
    raw = made();
    CHECK_RES(connect_now(rt, &s, &raw, &(nart_addr){ .len = 0 }), -EINVAL);
    both_closed(&s, &raw);
    raw = made();
    CHECK_RES(nart_addr_parse(&six, "[::1]:80"), 0);
    CHECK_RES(connect_now(rt, &s, &raw, &six), -EAFNOSUPPORT);
    both_closed(&s, &raw);
    CHECK_RES(nart_socket_open(&raw, AF_INET, SOCK_DGRAM), 0);
    CHECK_RES(connect_now(rt, &s, &raw, &at), -EPROTOTYPE);
    both_closed(&s, &raw);
    raw = made();
    nart_fd watch;
    CHECK_RES(nart_fd_open(rt, (int)nart_socket_fd(&raw), 0, &watch), 0);
    CHECK_EQ(listen(taken, 1), 0);
    CHECK_RES(connect_now(rt, &s, &raw, &at), -EEXIST);
    both_closed(&s, &raw);
    CHECK_RES(nart_fd_close(&watch), 0); /* closes the number again, which is no descriptor */
    close(taken);
}

TEST_WITH(what_is_open_is_not_connected_and_both_stay, rt)
{
    nart_socket raw = made();
    nart_tcp s = { .state = 0 };
    nart_addr at;
    char buf[8];
    int far = tcp_pair(rt, &s), l = raw_listen(&at, 1);

    CHECK_RES(connect_now(rt, &s, &raw, &at), -EISCONN);
    CHECK_LE(0, nart_socket_fd(&raw));
    raw_send(far, "abc");
    CHECK_RES(recv_now(rt, &s, buf, sizeof buf), 3);
    CHECK_RES(nart_tcp_close(&s), 0);
    CHECK_RES(connect_now(rt, &s, &raw, &at), 0);
    CHECK_RES(nart_tcp_close(&s), 0);
    close(far);
    close(l);
}

TEST_WITH(a_connect_that_is_pending_ends_in_any_way, full)
{
    enum { CANCEL, CLOSE, MOVE, ABORT, WAYS };
    nart_tcp s = { .state = 0 }, moved;
    nart_join join;

    for (int way = CANCEL; way < WAYS; way++) {
        nart_socket raw = made();
        nart_res answer = NART_PENDING;
        struct joining f = { .s = &s, .raw = &raw, .at = full.at, .answer = &answer };
        spawn(rt, &joining_type, &f, &join);
        settle(rt);
        CHECK_RES(answer, NART_PENDING);
        CHECK_RES(nart_socket_fd(&raw), -EBADF); /* it is the handle's */
        CHECK_LE(0, nart_tcp_fd(&s));
        if (way == CANCEL)
            CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
        else if (way == CLOSE)
            CHECK_RES(nart_tcp_close(&s), 0);
        else if (way == MOVE)
            nart_tcp_move(&moved, &s);
        else
            CHECK_RES(nart_task_abort(rt, nart_join_task(&join)), 0);
        finish(rt, &join);
        CHECK_RES(answer, way == CLOSE || way == MOVE ? NART_EABORTED : -ECANCELED);
        both_closed(&s, &raw);
    }
}

TEST_WITH(a_connect_that_takes_too_long_is_closed, full)
{
    nart_socket raw = made();
    nart_tcp s = { .state = 0 };
    nart_res answer;

    struct joining f = { .s = &s, .raw = &raw, .at = full.at, .answer = &answer, .ns = NART_MS };
    CHECK_RES(run(rt, &joining_type, &f), -ETIMEDOUT);
    both_closed(&s, &raw);
}

/* The connect loses a race, and stays; then it is awaited again, with its socket closed. */
struct loser {
    nart_co co;
    nart_tcp *s;
    nart_socket *raw;
    nart_notify *note;
    nart_waiter waiter;
    int which;
};

static nart_res loser_run(nart_cx *cx, void *frame)
{
    struct loser *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, r, nart_notify_await(cx, f->note, &f->waiter),
                   nart_tcp_connect_socket(cx, f->s, f->raw, &full.at));
    CHECK_EQ(f->which, 0);
    CHECK_RES(nart_socket_fd(f->raw), -EBADF);
    CHECK_LE(0, nart_tcp_fd(f->s));
    NART_AWAIT_FOR(r, NART_MS, nart_tcp_connect_socket(cx, f->s, f->raw, &full.at));
    NART_END(r);
}

TYPE(loser, loser_run);

TEST_WITH(a_connect_that_lost_a_race_is_awaited_again, full)
{
    nart_socket raw = made();
    nart_tcp s = { .state = 0 };
    nart_notify note = { 0 };
    nart_join join;
    nart_res answer = NART_PENDING;

    spawn(rt, &loser_type, &(struct loser){ .s = &s, .raw = &raw, .note = &note }, &join);
    settle(rt);
    nart_notify_one(&note);
    while (!nart_join_done(&join))
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    CHECK_RES(await_now(rt, &join, &answer), 0);
    CHECK_RES(answer, -ETIMEDOUT);
    nart_join_release(&join);
    both_closed(&s, &raw);
}

TEST_WITH(a_connect_without_space_in_the_table_is_closed, rt)
{
    nart_rt *small = NEW_RT(.max_io = 1);
    nart_tcp kept, s = { .state = 0 };
    nart_socket raw = made();
    nart_addr at;
    int far = tcp_pair(small, &kept), l = raw_listen(&at, 1);

    CHECK_RES(connect_now(small, &s, &raw, &at), NART_EFDS);
    both_closed(&s, &raw);
    CHECK_RES(nart_tcp_close(&kept), 0);
    CHECK_RES(nart_rt_free(small), 0);
    close(far);
    close(l);
}

TEST_WITH(a_handle_of_another_runtime_keeps_the_socket, full)
{
    nart_rt *other = new_rt();
    nart_socket raw = made(), again = made();
    nart_tcp s = { .state = 0 };
    nart_join join;
    nart_res answer = NART_PENDING;
    struct joining f = { .s = &s, .raw = &raw, .at = full.at, .answer = &answer };

    spawn(rt, &joining_type, &f, &join);
    settle(rt);
    CHECK_RES(connect_now(other, &s, &again, &full.at), NART_EDRIVER);
    CHECK_RES(connect_now(rt, &s, &again, &full.at), -EBUSY);
    CHECK_LE(0, nart_socket_fd(&again));
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
    CHECK_RES(nart_socket_close(&again), 0);
    CHECK_RES(nart_rt_free(other), 0);
}

/* ---- descriptors of listeners and datagram sockets ---- */

TEST_WITH(a_listener_is_taken_over_and_given_back, rt)
{
    nart_tcp_listener l = { .fd = 0 };
    nart_addr at;
    int fd = raw_listen(&at, 8), back = -1;

    CHECK_RES(nart_tcp_listener_fd(&l), -EBADF);
    CHECK_RES(nart_tcp_listener_adopt(rt, fd, &l), 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_RES(nart_tcp_listener_fd(&l), fd);
    close(raw_connect(&at));
    CHECK_RES(run(rt, &acceptor_type, &(struct acceptor){ .l = &l }), 0);
    CHECK_RES(nart_tcp_listener_detach(&l, NULL), -EINVAL);
    CHECK_RES(nart_tcp_listener_detach(&l, &back), 0);
    CHECK_EQ(back, fd);
    CHECK_RES(nart_tcp_listener_detach(&l, &back), -EBADF);
    CHECK_RES(nart_tcp_listener_adopt(rt, fd, &l), 0); /* and once more */
    close(raw_connect(&at));
    CHECK_RES(run(rt, &acceptor_type, &(struct acceptor){ .l = &l }), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
}

TEST_WITH(a_datagram_socket_is_taken_over_and_given_back, rt)
{
    nart_udp u = { .fd = 0 };
    nart_addr at = localhost();
    char buf[8];
    int on = 1, back = -1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(bind(fd, sockaddr_of(&at), at.len), 0);
    CHECK_RES(nart_sock_local_addr(fd, &at), 0);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on), 0);
    CHECK_RES(nart_udp_adopt(rt, fd, &u), 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_EQ(u.flags, NART_UDP_TIMESTAMPS); /* as it was set */
    CHECK_EQ(sendto(fd, "ab", 2, 0, sockaddr_of(&at), at.len), 2);
    CHECK_RES(run(rt, &getting_type, &(struct getting){ &u, buf }), 2);
    CHECK_RES(nart_udp_detach(&u, NULL), -EINVAL);
    CHECK_RES(nart_udp_detach(&u, &back), 0);
    CHECK_EQ(back, fd);
    CHECK_RES(nart_udp_detach(&u, &back), -EBADF);
    CHECK_RES(nart_udp_fd(&u), -EBADF);
    close(fd);
}

TEST_WITH(what_is_no_listener_and_no_datagram_socket_is_not_taken_over, rt)
{
    nart_tcp_listener l, open;
    nart_udp u, open_udp;
    nart_addr at, at_udp;
    int ends[2], tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                 local = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    listen_at(rt, &open, &at);
    udp_at(rt, &open_udp, &at_udp);
    CHECK_RES(nart_tcp_listener_adopt(rt, tcp, &l), -EINVAL);
    CHECK_RES(nart_tcp_listener_adopt(rt, local, &l), -EPROTOTYPE);
    CHECK_RES(nart_tcp_listener_adopt(rt, ends[0], &l), -ENOTSOCK);
    CHECK_RES(nart_tcp_listener_adopt(rt, -1, &l), -EBADF);
    CHECK_RES(nart_tcp_listener_adopt(rt, (int)nart_tcp_listener_fd(&open), &l), -EEXIST);
    CHECK_RES(nart_tcp_listener_adopt(rt, tcp, NULL), -EINVAL);
    CHECK_RES(nart_tcp_listener_adopt(NULL, tcp, &l), -EINVAL);
    CHECK_RES(nart_udp_adopt(rt, tcp, &u), -EPROTOTYPE);
    CHECK_RES(nart_udp_adopt(rt, local, &u), -EPROTOTYPE);
    CHECK_RES(nart_udp_adopt(rt, ends[0], &u), -ENOTSOCK);
    CHECK_RES(nart_udp_adopt(rt, -1, &u), -EBADF);
    CHECK_RES(nart_udp_adopt(rt, (int)nart_udp_fd(&open_udp), &u), -EEXIST);
    CHECK_RES(nart_udp_adopt(rt, tcp, NULL), -EINVAL);
    CHECK_RES(nart_udp_adopt(NULL, tcp, &u), -EINVAL);
    CHECK_RES(nart_tcp_listener_close(&open), 0);
    CHECK_RES(nart_udp_close(&open_udp), 0);
    close(tcp); /* the test still owned them */
    close(local);
    close(ends[0]);
    close(ends[1]);
}

/* A connection that was accepted and not registered would be lost. */
TEST(a_listener_with_a_connection_in_hand_is_not_given_back)
{
    nart_rt *small = NEW_RT(.max_io = 2);
    nart_tcp_listener l;
    nart_tcp kept;
    nart_addr at;
    int back, far = tcp_pair(small, &kept);

    listen_at(small, &l, &at);
    int fd = raw_connect(&at);
    CHECK_RES(run(small, &acceptor_type, &(struct acceptor){ .l = &l }), NART_EFDS);
    CHECK_RES(nart_tcp_listener_detach(&l, &back), -EAGAIN);
    CHECK_RES(nart_tcp_close(&kept), 0);
    CHECK_RES(run(small, &acceptor_type, &(struct acceptor){ .l = &l }), 0);
    CHECK_RES(nart_tcp_listener_detach(&l, &back), 0);
    close(back);
    close(fd);
    close(far);
    CHECK_RES(nart_rt_free(small), 0);
}

TEST(a_listener_with_a_connection_in_hand_outlives_its_runtime)
{
    nart_rt *small = NEW_RT(.max_io = 2);
    nart_tcp_listener l;
    nart_tcp kept;
    nart_addr at;
    int back, far = tcp_pair(small, &kept);

    listen_at(small, &l, &at);
    int fd = raw_connect(&at);
    CHECK_RES(run(small, &acceptor_type, &(struct acceptor){ .l = &l }), NART_EFDS);
    CHECK_RES(nart_rt_free(small), 0);
    CHECK_RES(nart_tcp_listener_detach(&l, &back), NART_ESTALE);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    close(fd);
    close(far);
}

/* Their protocol is TCP or UDP, but they carry packets. */
TEST_WITH(a_raw_socket_is_not_adopted, rt)
{
    nart_tcp t;
    nart_udp u;
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0)
        SKIP("raw sockets need CAP_NET_RAW");
    CHECK_RES(nart_tcp_adopt(rt, fd, &t), -EPROTOTYPE);
    close(fd);
    fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
    CHECK(fd >= 0);
    CHECK_RES(nart_udp_adopt(rt, fd, &u), -EPROTOTYPE);
    close(fd);
}

/* ---- threads ---- */

static void *makes_a_socket(void *arg)
{
    nart_addr at = localhost();
    nart_socket *s = arg;
    nart_tcp_listener l;
    nart_udp u;

    *s = made();
    CHECK_RES(nart_socket_bind(s, &at), 0);
    CHECK_RES(nart_tcp_listen_socket(rt, s, 0, &l), NART_EWRONGTHREAD);
    CHECK_RES(nart_udp_from_socket(rt, s, &u), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(a_socket_is_made_on_another_thread, rt)
{
    nart_socket s;
    nart_tcp_listener l;

    CHECK_RES(nart_rt_bind(rt), 0);
    thread_run(makes_a_socket, &s);
    CHECK_RES(nart_tcp_listen_socket(rt, &s, 0, &l), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
}

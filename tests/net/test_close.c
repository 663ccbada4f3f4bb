/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How streams and handles end: resets, half-close, close while a task waits, handles that move,
 * outlive their runtime, or are used where not allowed. */
#include "conn.h"
#include "threads.h"

#include <nart/msg.h>
#include <nart/socket.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- the peer ends ---- */

TEST_WITH(data_before_a_reset_arrives_before_it, conn)
{
    char buf[8];

    raw_send(peer, "last");
    wait_for((int)nart_tcp_fd(&sock), POLLIN);
    peer_reset();
    wait_for((int)nart_tcp_fd(&sock), POLLHUP);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 4);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), -ECONNRESET); /* not a clean end */
}

TEST_WITH(a_reset_wakes_a_waiting_reader, conn)
{
    nart_join join;
    nart_res got = NART_PENDING;
    char buf[8];

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &join);
    settle(rt);
    peer_reset();
    finish(rt, &join);
    CHECK_RES(got, -ECONNRESET);
}

TEST_WITH(after_the_peers_end_this_side_still_sends, conn)
{
    char buf[8];

    raw_send(peer, "bye");
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 3);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 0);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 0); /* and stays so */
    CHECK_RES(send_now(rt, &sock, "reply"), 5);
    CHECK_RES(nart_tcp_shutdown(&sock, NART_WRITE), 0);
    CHECK_EQ(recv(peer, buf, sizeof buf, MSG_WAITALL), 5);
    CHECK_RES(send_now(rt, &sock, "more"), -EPIPE);
}

/* The peer's end arrives in one event with its last bytes, and no other event follows: a short
 * read must not be taken for "wait for more". */
TEST_WITH(the_end_is_seen_behind_a_short_read, conn)
{
    char buf[64];

    raw_send(peer, "bye");
    close(peer);
    peer = -1;
    wait_for((int)nart_tcp_fd(&sock), POLLRDHUP);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 3);
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 0);
}

TEST_WITH(sending_to_a_closed_peer_is_an_error_not_a_signal, conn)
{
    struct sigaction now;

    CHECK_EQ(sigaction(SIGPIPE, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL); /* which would terminate the process */
    peer_reset();
    wait_for((int)nart_tcp_fd(&sock), POLLHUP);
    CHECK_RES(send_now(rt, &sock, "x"), -ECONNRESET);
    CHECK_RES(send_now(rt, &sock, "x"), -ECONNRESET); /* and stays so */
}

TEST_WITH(a_shutdown_of_reading_ends_the_waiting_reader, conn)
{
    nart_join join;
    nart_res got = NART_PENDING;
    char buf[8];

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &join);
    settle(rt);
    CHECK_RES(nart_tcp_shutdown(&sock, NART_READ), 0);
    finish(rt, &join);
    CHECK_RES(got, 0);
}

/* The kernel keeps delivering received data, so this side must stop reading. */
TEST_WITH(after_a_shutdown_of_reading_nothing_is_received, rt)
{
    nart_rt *other = new_rt();
    char buf[8];

    for (int early = 0; early < 2; early++) {
        nart_tcp moved;
        peer = tcp_pair(rt, &sock);
        if (early) {
            raw_send(peer, "early");
            wait_for((int)nart_tcp_fd(&sock), POLLIN);
        }
        CHECK_RES(nart_tcp_shutdown(&sock, NART_READ), 0);
        CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 0);
        raw_send(peer, "late");
        wait_for((int)nart_tcp_fd(&sock), POLLIN);
        CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 0);
        nart_tcp_move(&moved, &sock);
        CHECK_RES(recv_now(rt, &moved, buf, sizeof buf), 0);
        CHECK_RES(recv_now(rt, &moved, buf, 0), -EINVAL);
        CHECK_RES(recv_now(other, &moved, buf, sizeof buf), NART_EDRIVER);
        CHECK_RES(send_now(rt, &moved, "abc"), 3); /* the other direction is unaffected */
        CHECK_EQ(recv(peer, buf, sizeof buf, 0), 3);
        CHECK_RES(nart_tcp_close(&moved), 0);
        CHECK_RES(recv_now(rt, &moved, buf, sizeof buf), -EBADF);
        close(peer);
    }
    CHECK_RES(nart_rt_free(other), 0);
}

/* ---- this side ends ---- */

TEST_WITH(closing_wakes_the_waiting_task, conn)
{
    nart_join join;
    nart_res got = NART_PENDING;
    char buf[8];

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &join);
    settle(rt);
    CHECK_RES(nart_tcp_close(&sock), 0);
    finish(rt, &join);
    CHECK_RES(got, -EBADF);
    CHECK_EQ(recv(peer, buf, sizeof buf, 0), 0);
}

TEST_WITH(moving_wakes_the_waiting_task_and_keeps_the_stream, conn)
{
    nart_tcp moved;
    nart_join join;
    nart_res got = NART_PENDING;
    char buf[8];

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &join);
    settle(rt);
    nart_tcp_move(&moved, &sock);
    finish(rt, &join);
    CHECK_RES(got, -EBADF);
    raw_send(peer, "abc");
    CHECK_RES(recv_now(rt, &moved, buf, sizeof buf), 3);
    nart_tcp_move(&moved, &moved);
    raw_send(peer, "d");
    CHECK_RES(recv_now(rt, &moved, buf, sizeof buf), 1);
    CHECK_RES(nart_tcp_close(&moved), 0);
}

/* ---- two arms of a race share a handle ---- */

/* The second arm acts on the handle in which the first one waits, then waits for ever. */
struct arms {
    nart_co co, second;
    nart_tcp *s;
    void (*act)(nart_tcp *s); /* NULL: receives on it, and is stopped */
    int which;
    char buf[8];
};

static nart_res second_arm(nart_cx *cx, struct arms *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->second);
    if (f->act) {
        f->act(f->s);
    } else {
        NART_STOP(r, nart_tcp_recv(cx, f->s, f->buf, sizeof f->buf));
        CHECK_RES(r, -ECANCELED);
    }
    NART_AWAIT(r, nart_op_park(cx));
    NART_END(r);
}

static nart_res arms_run(nart_cx *cx, void *frame)
{
    struct arms *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, r, nart_tcp_recv(cx, f->s, f->buf, sizeof f->buf), second_arm(cx, f));
    CHECK_EQ(f->which, 0);
    NART_END(r);
}

TYPE(arms, arms_run);

static void act_close(nart_tcp *s)
{
    CHECK_RES(nart_tcp_close(s), 0);
}

static void act_reset(nart_tcp *s)
{
    CHECK_RES(nart_tcp_reset(s), 0);
}

static void act_shutdown(nart_tcp *s)
{
    CHECK_RES(nart_tcp_shutdown(s, NART_READ), 0);
}

static void act_move(nart_tcp *s)
{
    nart_tcp moved;

    nart_tcp_move(&moved, s);
    CHECK_RES(nart_tcp_close(&moved), 0);
}

static void arms(void (*act)(nart_tcp *s), const char *text, nart_res answer)
{
    nart_join join;

    spawn(rt, &arms_type, &(struct arms){ .s = &sock, .act = act }, &join);
    settle(rt);
    if (text[0] != '\0')
        raw_send(peer, text);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(((struct arms *)nart_join_frame(&join))->which, 0);
    nart_res got = NART_PENDING;
    CHECK_RES(await_now(rt, &join, &got), 0);
    CHECK_RES(got, answer);
    nart_join_release(&join);
}

TEST_WITH(an_arm_that_closes_wakes_the_arm_that_waits, conn)
{
    arms(act_close, "", -EBADF);
}

TEST_WITH(an_arm_that_resets_wakes_the_arm_that_waits, conn)
{
    arms(act_reset, "", -EBADF);
}

TEST_WITH(an_arm_that_moves_wakes_the_arm_that_waits, conn)
{
    arms(act_move, "", -EBADF);
}

TEST_WITH(an_arm_that_shuts_down_wakes_the_arm_that_waits, conn)
{
    arms(act_shutdown, "", 0);
}

TEST_WITH(an_arm_that_is_stopped_leaves_the_other_its_wait, conn)
{
    arms(NULL, "abc", 3);
}

/* What the peer reads after `text`, 0 or an error. */
static int end_of(const char *text)
{
    char buf[8];

    CHECK_EQ(recv(peer, buf, sizeof buf, 0), strlen(text));
    CHECK(memcmp(buf, text, strlen(text)) == 0);
    return recv(peer, buf, sizeof buf, 0) < 0 ? errno : 0;
}

TEST_WITH(the_peer_reads_the_end_of_what_is_closed, conn)
{
    CHECK_RES(send_now(rt, &sock, "abc"), 3);
    CHECK_RES(nart_tcp_close(&sock), 0);
    CHECK_EQ(end_of("abc"), 0);
}

TEST_WITH(the_peer_reads_no_end_of_what_is_reset, conn)
{
    CHECK_RES(send_now(rt, &sock, "abc"), 3);
    CHECK_RES(nart_tcp_reset(&sock), 0);
    CHECK_EQ(end_of("abc"), ECONNRESET);
    CHECK_RES(nart_tcp_fd(&sock), -EBADF);
    CHECK_RES(nart_tcp_reset(&sock), 0);
}

/* A body that closes the handle and ends while the loop still has it registered. */
struct closer {
    nart_tcp *s;
    int polls;
    char buf[8];
};

static nart_res closer_run(nart_cx *cx, void *frame)
{
    struct closer *c = frame;
    if (c->polls++ == 0)
        return nart_tcp_recv(cx, c->s, c->buf, sizeof c->buf);
    return nart_tcp_close(c->s);
}

TYPE(closer, closer_run);

TEST_WITH(a_task_closes_what_it_waits_for, conn)
{
    nart_join join;

    spawn(rt, &closer_type, &(struct closer){ .s = &sock }, &join);
    settle(rt);
    raw_send(peer, "x");
    finish(rt, &join);
    CHECK_RES(nart_rt_run(rt), 0);
}

struct listen_task {
    nart_tcp_listener *l;
    nart_tcp s;
};

static nart_res listen_task_run(nart_cx *cx, void *frame)
{
    struct listen_task *f = frame;
    nart_res r = nart_tcp_accept(cx, f->l, &f->s, NULL);
    if (r == 0)
        nart_tcp_close(&f->s);
    return r;
}

TYPE(listen_task, listen_task_run);

/* Every operation and call on a closed handle. */
struct closed {
    nart_tcp s, t;
    nart_tcp_listener l;
    nart_udp u;
    nart_fd fd;
    char buf[8];
};

static nart_res closed_run(nart_cx *cx, void *frame)
{
    struct closed *c = frame;
    nart_udp_msg m = { .buf = c->buf, .cap = sizeof c->buf };
    const struct iovec piece = { c->buf, 1 };
    nart_addr a;
    size_t done = 0;
    int fd;

    CHECK_RES(nart_tcp_recv(cx, &c->s, c->buf, sizeof c->buf), -EBADF);
    CHECK_RES(nart_tcp_send(cx, &c->s, "x", 1), -EBADF);
    CHECK_RES(nart_tcp_send_all(cx, &c->s, "x", 1, &done), -EBADF);
    CHECK_RES(nart_tcp_sendv(cx, &c->s, &piece, 1), -EBADF);
    CHECK_RES(nart_tcp_sendv_all(cx, &c->s, &piece, 1, &done), -EBADF);
    CHECK_RES(nart_tcp_recvv(cx, &c->s, &piece, 1), -EBADF);
    CHECK_RES(nart_tcp_accept(cx, &c->l, &c->t, NULL), -EBADF);
    CHECK_RES(nart_udp_recv(cx, &c->u, c->buf, sizeof c->buf, NULL), -EBADF);
    CHECK_RES(nart_udp_send(cx, &c->u, "x", 1, NULL), -EBADF);
    CHECK_RES(nart_udp_recv_many(cx, &c->u, &m, 1), -EBADF);
    CHECK_RES(nart_udp_send_many(cx, &c->u, &m, 1), -EBADF);
    CHECK_RES(nart_fd_ready(cx, &c->fd, NART_READ), -EBADF);
    CHECK_RES(nart_fd_fd(&c->fd), -EBADF);
    CHECK_RES(nart_fd_detach(&c->fd), -EBADF);
    nart_fd_clear(&c->fd, NART_READ);
    CHECK_RES(nart_tcp_detach(&c->s, &fd, NULL, 0, NULL), -EBADF);
    CHECK_RES(nart_tcp_shutdown(&c->s, NART_WRITE), -EBADF);
    CHECK_RES(nart_tcp_set_nodelay(&c->s, true), -EBADF);
    CHECK_RES(nart_tcp_nodelay(&c->s), -EBADF);
    CHECK_RES(nart_tcp_local_addr(&c->s, &a), -EBADF);
    CHECK_RES(nart_tcp_peer_addr(&c->s, &a), -EBADF);
    CHECK_RES(nart_tcp_fd(&c->s), -EBADF);
    CHECK_RES(nart_tcp_listener_addr(&c->l, &a), -EBADF);
    CHECK_RES(nart_tcp_listener_fd(&c->l), -EBADF);
    CHECK_RES(nart_tcp_listener_detach(&c->l, &fd), -EBADF);
    CHECK_RES(nart_udp_detach(&c->u, &fd), -EBADF);
    CHECK_RES(nart_tcp_peek(cx, &c->s, c->buf, sizeof c->buf), -EBADF);
    CHECK_RES(nart_tcp_ready(cx, &c->s, NART_READ), -EBADF);
    CHECK_RES(nart_tcp_send_urgent(cx, &c->s, 1), -EBADF);
    CHECK_RES(nart_tcp_try_recv(&c->s, c->buf, sizeof c->buf), -EBADF);
    CHECK_RES(nart_tcp_try_recv_urgent(&c->s, (uint8_t *)c->buf), -EBADF);
    CHECK_RES(nart_tcp_try_send(&c->s, "x", 1), -EBADF);
    CHECK_RES(nart_tcp_listener_ready(cx, &c->l), -EBADF);
    CHECK_RES(nart_udp_peek(cx, &c->u, c->buf, sizeof c->buf, NULL), -EBADF);
    CHECK_RES(nart_udp_ready(cx, &c->u, NART_READ), -EBADF);
    CHECK_RES(nart_udp_try_recv(&c->u, c->buf, sizeof c->buf, NULL), -EBADF);
    CHECK_RES(nart_udp_try_send(&c->u, "x", 1, NULL), -EBADF);
    nart_tcp_clear(&c->s, NART_READ);
    nart_udp_clear(&c->u, NART_READ);
    CHECK_RES(nart_udp_local_addr(&c->u, &a), -EBADF);
    CHECK_RES(nart_udp_fd(&c->u), -EBADF);
    a = localhost();
    CHECK_RES(nart_udp_connect(&c->u, &a), -EBADF);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_tcp_close(&c->s), 0);
        CHECK_RES(nart_tcp_reset(&c->s), 0);
        CHECK_RES(nart_tcp_listener_close(&c->l), 0);
        CHECK_RES(nart_udp_close(&c->u), 0);
        CHECK_RES(nart_fd_close(&c->fd), 0);
    }
    return 0;
}

TYPE(closed, closed_run);

TEST_WITH(calls_on_a_closed_handle_fail, rt)
{
    CHECK_RES(run(rt, &closed_type, NULL), 0);
    CHECK_RES(nart_tcp_close(NULL), 0);
    CHECK_RES(nart_tcp_reset(NULL), 0);
    CHECK_RES(nart_tcp_listener_close(NULL), 0);
    CHECK_RES(nart_udp_close(NULL), 0);
    CHECK_RES(nart_fd_close(NULL), 0);
}

/* ---- handles and runtimes ---- */

TEST_WITH(handles_outlive_their_runtime, conn)
{
    nart_tcp_listener l;
    nart_udp u;
    nart_addr at, a = localhost();
    char buf[8];
    nart_res fd = nart_tcp_fd(&sock);

    listen_at(rt, &l, &at);
    CHECK_RES(nart_udp_open(rt, &a, NULL, &u), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(recv(peer, buf, sizeof buf, 0), 0); /* closed with the runtime */

    int ends[2]; /* the number now names another file */
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CHECK_EQ(dup2(ends[0], (int)fd), fd);
    CHECK_RES(nart_tcp_fd(&sock), NART_ESTALE);
    CHECK_RES(nart_tcp_shutdown(&sock, NART_WRITE), NART_ESTALE);
    CHECK_RES(nart_tcp_local_addr(&sock, &at), NART_ESTALE);
    CHECK_RES(nart_tcp_set_nodelay(&sock, true), NART_ESTALE);

    rt = new_rt(); /* reuses the hub of the first one */
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), NART_ESTALE);
    CHECK_RES(send_now(rt, &sock, "x"), NART_ESTALE);
    CHECK_RES(nart_tcp_fd(&sock), NART_ESTALE);
    CHECK_RES(run(rt, &listen_task_type, &(struct listen_task){ .l = &l }), NART_ESTALE);
    nart_tcp again;
    int other = tcp_pair(rt, &again); /* a new handle in the same slot of the table */
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), NART_ESTALE);
    CHECK_RES(nart_tcp_reset(&sock), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK(fcntl((int)fd, F_GETFD) >= 0); /* and the number was not closed */
    raw_send(other, "abc");
    CHECK_RES(recv_now(rt, &again, buf, sizeof buf), 3);
    CHECK_RES(nart_tcp_close(&again), 0);
    close((int)fd);
    close(ends[0]);
    close(ends[1]);
    close(other);
}

TEST_WITH(a_handle_of_another_runtime_is_refused, conn)
{
    nart_rt *other = new_rt();
    char buf[8];

    CHECK_RES(recv_now(other, &sock, buf, sizeof buf), NART_EDRIVER);
    CHECK_RES(send_now(other, &sock, "x"), NART_EDRIVER);
    raw_send(peer, "abc");
    CHECK_RES(recv_now(rt, &sock, buf, sizeof buf), 3);
    CHECK_RES(nart_tcp_close(&sock), 0); /* from anywhere on the thread */
    CHECK_RES(nart_rt_free(other), 0);
}

/* A handle of each kind. */
struct kinds {
    nart_rt *rt;
    nart_tcp s;
    nart_tcp_listener l;
    nart_udp u;
    nart_fd h;
    int peer;
};

static void open_kinds(struct kinds *k)
{
    nart_addr at = localhost();

    k->rt = new_rt();
    k->peer = tcp_pair(k->rt, &k->s);
    listen_at(k->rt, &k->l, &at);
    at = localhost();
    CHECK_RES(nart_udp_open(k->rt, &at, NULL, &k->u), 0);
    CHECK_RES(nart_fd_open(k->rt, k->peer, NART_FD_BORROW, &k->h), 0);
}

static void close_kinds(struct kinds *k, nart_res answer)
{
    CHECK_RES(nart_tcp_close(&k->s), answer);
    CHECK_RES(nart_tcp_reset(&k->s), answer);
    CHECK_RES(nart_tcp_listener_close(&k->l), answer);
    CHECK_RES(nart_udp_close(&k->u), answer);
    CHECK_RES(nart_fd_close(&k->h), answer);
}

/* The same for every operation on a descriptor, in either order of the two arms. */
static struct kinds shared;
static nart_tcp accepted;

static nart_res wait_recv(nart_cx *cx, char *buf)
{
    return nart_tcp_recv(cx, &shared.s, buf, 8);
}

static nart_res wait_accept(nart_cx *cx, char *buf)
{
    (void)buf;
    return nart_tcp_accept(cx, &shared.l, &accepted, NULL);
}

static nart_res wait_udp(nart_cx *cx, char *buf)
{
    return nart_udp_recv(cx, &shared.u, buf, 8, NULL);
}

static nart_res wait_udp_many(nart_cx *cx, char *buf)
{
    nart_udp_msg m = { .buf = buf, .cap = 8 };
    return nart_udp_recv_many(cx, &shared.u, &m, 1);
}

static nart_res wait_read(nart_cx *cx, char *buf)
{
    (void)buf;
    return nart_fd_ready(cx, &shared.h, NART_READ);
}

static nart_res wait_both(nart_cx *cx, char *buf)
{
    (void)buf;
    return nart_fd_ready(cx, &shared.h, NART_READ | NART_WRITE);
}

static nart_res wait_peek(nart_cx *cx, char *buf)
{
    return nart_tcp_peek(cx, &shared.s, buf, 8);
}

static nart_res wait_ready(nart_cx *cx, char *buf)
{
    (void)buf;
    return nart_tcp_ready(cx, &shared.s, NART_READ);
}

static nart_res wait_udp_peek(nart_cx *cx, char *buf)
{
    return nart_udp_peek(cx, &shared.u, buf, 8, NULL);
}

static nart_res wait_udp_ready(nart_cx *cx, char *buf)
{
    (void)buf;
    return nart_udp_ready(cx, &shared.u, NART_READ);
}

static void close_s(void)
{
    CHECK_RES(nart_tcp_close(&shared.s), 0);
}

static void move_s(void)
{
    act_move(&shared.s);
}

static void detach_s(void)
{
    int fd;
    CHECK_RES(nart_tcp_detach(&shared.s, &fd, NULL, 0, NULL), 0);
    close(fd);
}

static void close_l(void)
{
    CHECK_RES(nart_tcp_listener_close(&shared.l), 0);
}

static void move_l(void)
{
    nart_tcp_listener moved;

    nart_tcp_listener_move(&moved, &shared.l);
    CHECK_RES(nart_tcp_listener_close(&moved), 0);
}

static void detach_l(void)
{
    int fd;
    CHECK_RES(nart_tcp_listener_detach(&shared.l, &fd), 0);
    close(fd);
}

static void detach_u(void)
{
    int fd;
    CHECK_RES(nart_udp_detach(&shared.u, &fd), 0);
    close(fd);
}

static void close_u(void)
{
    CHECK_RES(nart_udp_close(&shared.u), 0);
}

static void move_u(void)
{
    nart_udp moved;

    nart_udp_move(&moved, &shared.u);
    CHECK_RES(nart_udp_close(&moved), 0);
}

static void close_h(void)
{
    CHECK_RES(nart_fd_close(&shared.h), 0);
}

static const struct ending {
    nart_res (*wait)(nart_cx *cx, char *buf);
    void (*end)(void);
} endings[] = {
    { wait_recv, close_s },      { wait_recv, move_s },      { wait_recv, detach_s },
    { wait_accept, close_l },    { wait_accept, move_l },    { wait_udp, close_u },
    { wait_udp, move_u },        { wait_udp_many, close_u }, { wait_udp_many, move_u },
    { wait_read, close_h },      { wait_both, close_h },     { wait_accept, detach_l },
    { wait_udp, detach_u },      { wait_peek, close_s },     { wait_peek, detach_s },
    { wait_ready, close_s },     { wait_ready, move_s },     { wait_udp_peek, close_u },
    { wait_udp_peek, detach_u }, { wait_udp_ready, move_u },
};

struct two_arms {
    nart_co co;
    const struct ending *e;
    nart_waker *waker;
    bool last; /* the second arm is the one that cancels the other */
    int asked, which;
    nart_res r;
    char buf[8];
};

static nart_res end_now(nart_cx *cx, struct two_arms *f)
{
    if (f->asked++ == 1)
        f->e->end();
    return nart_op_park(cx);
}

static nart_res two_arms_run(nart_cx *cx, void *frame)
{
    struct two_arms *f = frame;

    NART_BEGIN(cx, &f->co);
    nart_fd_clear(&shared.h,
                  NART_WRITE); /* the first wait to write asks the kernel, which contradicts */
    NART_AWAIT(f->r, nart_fd_ready(cx, &shared.h, NART_WRITE));
    CHECK_RES(f->r, NART_WRITE);
    *f->waker = nart_cx_waker(cx);
    nart_fd_clear(&shared.h, NART_READ | NART_WRITE);
    nart_tcp_clear(&shared.s, NART_READ | NART_WRITE);
    nart_udp_clear(&shared.u, NART_READ | NART_WRITE);
    if (f->last)
        NART_AWAIT_ANY(f->which, f->r, f->e->wait(cx, f->buf), end_now(cx, f));
    else
        NART_AWAIT_ANY(f->which, f->r, end_now(cx, f), f->e->wait(cx, f->buf));
    CHECK_EQ(f->which, !f->last);
    CHECK_RES(f->r, -EBADF);
    NART_END(0);
}

TYPE(two_arms, two_arms_run);

static void every_operation(bool last)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        nart_waker waker;
        nart_join join;

        open_kinds(&shared);
        struct two_arms f = { .e = &endings[i], .waker = &waker, .last = last };
        spawn(shared.rt, &two_arms_type, &f, &join);
        settle(shared.rt);
        CHECK(!nart_join_done(&join));
        nart_waker_wake(waker);
        settle(shared.rt);
        CHECK(nart_join_done(&join));
        nart_join_release(&join);
        close_kinds(&shared, 0);
        close(shared.peer);
        CHECK_RES(nart_rt_free(shared.rt), 0);
    }
}

TEST(an_earlier_arm_ends_any_operation_of_a_later_one)
{
    every_operation(false);
}

TEST(a_later_arm_ends_any_operation_of_an_earlier_one)
{
    every_operation(true);
}

/* Every call that takes a handle but no poll gives this answer. */
static void calls_answer(struct kinds *k, nart_res answer)
{
    nart_addr a = localhost();
    char buf[8];

    CHECK_RES(nart_tcp_shutdown(&k->s, NART_WRITE), answer);
    CHECK_RES(nart_tcp_set_nodelay(&k->s, true), answer);
    CHECK_RES(nart_tcp_nodelay(&k->s), answer);
    CHECK_RES(nart_tcp_fd(&k->s), answer);
    CHECK_RES(nart_udp_fd(&k->u), answer);
    CHECK_RES(nart_fd_fd(&k->h), answer);
    CHECK_RES(nart_udp_connect(&k->u, &a), answer);
    CHECK_RES(nart_tcp_local_addr(&k->s, &a), answer);
    CHECK_RES(nart_tcp_peer_addr(&k->s, &a), answer);
    CHECK_RES(nart_tcp_listener_addr(&k->l, &a), answer);
    CHECK_RES(nart_tcp_listener_fd(&k->l), answer);
    CHECK_RES(nart_tcp_try_recv(&k->s, buf, sizeof buf), answer);
    CHECK_RES(nart_tcp_try_recv_urgent(&k->s, (uint8_t *)buf), answer);
    CHECK_RES(nart_tcp_try_send(&k->s, "x", 1), answer);
    CHECK_RES(nart_udp_try_recv(&k->u, buf, sizeof buf, NULL), answer);
    CHECK_RES(nart_udp_try_send(&k->u, "x", 1, &a), answer);
    CHECK_RES(nart_udp_local_addr(&k->u, &a), answer);
}

/* And every call that gives a descriptor back. */
static void detaching_answers(struct kinds *k, nart_res answer)
{
    int fd;

    CHECK_RES(nart_tcp_detach(&k->s, &fd, NULL, 0, NULL), answer);
    CHECK_RES(nart_tcp_listener_detach(&k->l, &fd), answer);
    CHECK_RES(nart_udp_detach(&k->u, &fd), answer);
}

/* And every call that opens one. */
static void opening_answers(struct kinds *k, nart_res answer)
{
    nart_addr at = localhost();
    nart_tcp s;
    nart_tcp_listener l;
    nart_udp u;
    nart_fd h;

    CHECK_RES(nart_tcp_listen(k->rt, &at, NULL, &l), answer);
    CHECK_RES(nart_udp_open(k->rt, &at, NULL, &u), answer);
    CHECK_RES(nart_tcp_adopt(k->rt, k->peer, &s), answer);
    CHECK_RES(nart_tcp_listener_adopt(k->rt, k->peer, &l), answer);
    CHECK_RES(nart_udp_adopt(k->rt, k->peer, &u), answer);
    CHECK_RES(nart_tcp_listen_socket(k->rt, &(nart_socket){ 0 }, 0, &l), answer);
    CHECK_RES(nart_udp_from_socket(k->rt, &(nart_socket){ 0 }, &u), answer);
    CHECK_RES(nart_fd_open(k->rt, k->peer, NART_FD_BORROW, &h), answer);
}

static void *on_another_thread(void *arg)
{
    struct kinds *k = arg;

    calls_answer(k, NART_EWRONGTHREAD);
    opening_answers(k, NART_EWRONGTHREAD);
    close_kinds(k, NART_EWRONGTHREAD);
    CHECK_RES(nart_fd_detach(&k->h), NART_EWRONGTHREAD);
    detaching_answers(k, NART_EWRONGTHREAD);
    return NULL;
}

TEST(the_wrong_thread_is_refused_and_nothing_is_done)
{
    struct kinds k;
    char buf[8];

    open_kinds(&k);
    CHECK_RES(nart_rt_bind(k.rt), 0);
    thread_run(on_another_thread, &k);
    raw_send(k.peer, "abc");
    CHECK_RES(recv_now(k.rt, &k.s, buf, sizeof buf), 3);
    close_kinds(&k, 0);
    close(k.peer);
    CHECK_RES(nart_rt_free(k.rt), 0);
}

TEST(every_call_on_a_handle_that_outlived_its_runtime_is_stale)
{
    struct kinds k;

    open_kinds(&k);
    CHECK_RES(nart_rt_free(k.rt), 0);
    calls_answer(&k, NART_ESTALE);
    detaching_answers(&k, NART_ESTALE);
    close_kinds(&k, 0);
    close(k.peer);
}

/* ---- other processes ---- */

static void wait_child(pid_t child)
{
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* A child of fork closes its own copies; the parent's descriptors stay registered. */
TEST_WITH(a_child_of_fork_closes_only_its_copies, conn)
{
    nart_tcp t;
    nart_join join;
    nart_res got = NART_PENDING;
    nart_addr at;
    nart_tcp_listener l;
    char buf[8];
    int other = tcp_pair(rt, &t);

    spawn(rt, &receiver_type, &(struct receiver){ &sock, buf, sizeof buf, &got }, &join);
    settle(rt);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_RES(nart_tcp_fd(&t), NART_EFORK);
        at = localhost();
        CHECK_RES(nart_tcp_listen(rt, &at, NULL, &l), NART_EFORK);
        CHECK_RES(nart_tcp_reset(&sock), 0); /* only closes */
        CHECK_RES(nart_tcp_close(&sock), 0);
        CHECK_RES(nart_rt_free(rt), 0);
        CHECK_RES(nart_tcp_close(&t), 0);
        close(peer);
        close(other);
        _exit(0);
    }
    wait_child(child);
    raw_send(peer, "abc");
    finish(rt, &join);
    CHECK_RES(got, 3);
    CHECK_RES(nart_tcp_close(&sock), 0);
    CHECK_EQ(recv(peer, buf, sizeof buf, 0), 0); /* no copy is left open */
    raw_send(other, "d");
    CHECK_RES(recv_now(rt, &t, buf, sizeof buf), 1);
    CHECK_RES(nart_tcp_close(&t), 0);
    close(other);
}

TEST(a_child_of_fork_can_only_close)
{
    struct kinds k;

    open_kinds(&k);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        calls_answer(&k, NART_EFORK);
        opening_answers(&k, NART_EFORK);
        close_kinds(&k, 0);
        CHECK_RES(nart_rt_free(k.rt), 0);
        _exit(0);
    }
    wait_child(child);
    close_kinds(&k, 0);
    close(k.peer);
    CHECK_RES(nart_rt_free(k.rt), 0);
}

/* A duplicate of the descriptor, here or in a child, keeps the open file alive; closing the
 * handle still stops its events. */
TEST_WITH(a_copy_of_the_descriptor_causes_no_events_after_close, conn)
{
    int copy = dup((int)nart_tcp_fd(&sock));
    CHECK(copy >= 0);
    CHECK_RES(nart_tcp_close(&sock), 0);
    settle(rt);
    uint64_t events = stats_of(rt).io_events;
    for (int i = 0; i < 100; i++) {
        raw_send(peer, "x");
        wait_for(copy, POLLIN);
        settle(rt);
    }
    CHECK_EQ(stats_of(rt).io_events, events);
    close(copy);
}

/* ---- descriptor numbers ---- */

/* Two sockets become readable in one batch. The first task closes the second socket and opens
 * another one, which gets the same number: the new one must not receive the old one's event. */
struct reuse {
    nart_co co;
    nart_rt *rt;
    nart_tcp *mine, *other;
    nart_fd fresh;
    int ends[2], number; /* a pipe */
    nart_res bits;
    char buf[8];
};

static nart_res reuse_run(nart_cx *cx, void *frame)
{
    struct reuse *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_tcp_recv(cx, f->mine, f->buf, sizeof f->buf));
    CHECK_RES(r, 1);
    f->number = (int)nart_tcp_fd(f->other);
    CHECK_RES(nart_tcp_close(f->other), 0);
    CHECK_EQ(dup3(f->ends[0], f->number, O_CLOEXEC), f->number);
    close(f->ends[0]);
    CHECK_RES(nart_fd_open(f->rt, f->number, 0, &f->fresh), 0);
    nart_fd_clear(&f->fresh, NART_READ | NART_WRITE);
    NART_AWAIT_FOR(f->bits, NART_MS, nart_fd_ready(cx, &f->fresh, NART_READ));
    CHECK_RES(f->bits, -ETIMEDOUT);
    CHECK_EQ(write(f->ends[1], "y", 1), 1);
    NART_AWAIT(f->bits, nart_fd_ready(cx, &f->fresh, NART_READ));
    CHECK_RES(f->bits, NART_READ);
    nart_fd_close(&f->fresh);
    close(f->ends[1]);
    NART_END(0);
}

TYPE(reuse, reuse_run);

TEST_WITH(known_bug_an_event_reaches_a_reused_number, rt)
{
    nart_tcp a, b;
    nart_join first, second;
    nart_res got = NART_PENDING;
    char buf[8];
    int peer_b = tcp_pair(rt, &b), peer_a = tcp_pair(rt, &a);

    struct reuse init = { .rt = rt, .mine = &a, .other = &b };
    CHECK_EQ(pipe2(init.ends, O_CLOEXEC), 0);
    spawn(rt, &reuse_type, &init, &first);
    settle(rt);
    spawn(rt, &receiver_type, &(struct receiver){ &b, buf, sizeof buf, &got }, &second);
    settle(rt);
    raw_send(peer_a, "x");
    raw_send(peer_b, "x");
    wait_for((int)nart_tcp_fd(&a), POLLIN);
    wait_for((int)nart_tcp_fd(&b), POLLIN);
    finish(rt, &first);
    finish(rt, &second);
    CHECK_RES(got, -EBADF);
    CHECK_RES(nart_tcp_close(&a), 0);
    close(peer_a);
    close(peer_b);
}

TEST_WITH(opening_and_closing_ten_thousand_times_uses_up_nothing, rt)
{
    nart_udp u;
    nart_addr a = localhost();

    for (int i = 0; i < 10000; i++) {
        CHECK_RES(nart_udp_open(rt, &a, NULL, &u), 0);
        CHECK_RES(nart_udp_close(&u), 0);
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several tasks that send on one socket of datagrams. The kernel's buffer is full when the test says so. */
#include "faults.h"

#include "net/net.h"

#include "../net/unix_test.h"

#include <nart/clock.h>
#include <nart/msg.h>

#include <sys/epoll.h>

/* A kind of test: which sockets, and the form of the tasks. */
enum { UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER };

enum { MANY = 200, FUNCTIONS = 3 };

static bool is_unix;
static uint32_t form;
static nart_unix_dgram sock; /* of UDP: its `sock` */
static int peer;             /* to which it is connected, plain */
static bool is_full;
static int attempts; /* to send */

/* A full buffer refuses every call that sends. */
static void count_sends(const char *name)
{
    bool sends = strcmp(name, "sendmmsg") == 0 || strcmp(name, "sendmsg") == 0;

    attempts += sends;
    failing = sends && is_full ? calls + 1 : 0;
    with = -EAGAIN;
}

static void full_open(uint32_t kind)
{
    const int size = 1 << 20;
    nart_addr at;

    rt_open();
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    is_unix = kind >= UNIX_BODY;
    form = kind & 1 ? FIBER : BODY;
    if (is_unix) {
        int fds[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
        CHECK_RES(nart_unix_dgram_adopt(rt, fds[0], &sock), 0);
        peer = fds[1];
    } else {
        peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        at = localhost();
        CHECK_EQ(bind(peer, sockaddr_of(&at), at.len), 0);
        CHECK_EQ(getsockname(peer, (struct sockaddr *)&at.storage, &at.len), 0);
        CHECK_EQ(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
        nart_addr any = localhost();
        CHECK_RES(nart_udp_open(rt, &any, NULL, &sock.sock), 0);
        CHECK_RES(nart_udp_connect(&sock.sock, &at), 0);
    }
    is_full = true;
    attempts = 0;
    look = count_sends;
}

static void full_close(void)
{
    look = NULL;
    failing = 0;
    CHECK_RES(nart_unix_dgram_close(&sock), 0);
    close(peer);
    rt_close();
}

/* There is space from now on: the kernel reports it. */
static void drained(void)
{
    nart_res fd = nart_udp_fd(&sock.sock);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET | EPOLLOUT,
                              .data.u64 = sock.sock.io.id };

    is_full = false;
    CHECK_EQ(kernel_epoll_ctl(rt->reactor.fd, EPOLL_CTL_MOD, (int)fd, &ev), 0);
}

/* ---- senders: op->h the socket, op->other the waiter, op->buf the bytes, op->flags which function ---- */

static nart_res send_in_turn(nart_cx *cx, nart_unix_dgram *d, nart_waiter *w, uint32_t which,
                             void *buf, size_t len)
{
    struct iovec piece = { buf, len };
    const nart_msg m = { .pieces = &piece, .n = 1 };
    const nart_udp_msg one = { .buf = buf, .len = len };
    nart_udp *u = &d->sock;
    nart_res r;

    if (which == 0)
        return is_unix ? nart_unix_dgram_send_in_turn(cx, d, w, buf, len, NULL)
                       : nart_udp_send_in_turn(cx, u, w, buf, len, NULL);
    if (which == 1)
        return is_unix ? nart_unix_dgram_sendmsg_in_turn(cx, d, w, &m)
                       : nart_udp_sendmsg_in_turn(cx, u, w, &m);
    r = is_unix ? nart_unix_dgram_send_many_in_turn(cx, d, w, &one, 1)
                : nart_udp_send_many_in_turn(cx, u, w, &one, 1);
    return r == 1 ? (nart_res)len : r;
}

static nart_res do_turn(nart_cx *cx, struct op *op)
{
    return send_in_turn(cx, op->h, op->other, op->flags, op->buf, op->len);
}

static nart_res do_plain(nart_cx *cx, struct op *op)
{
    return is_unix ? nart_unix_dgram_send(cx, op->h, op->buf, op->len, NULL)
                   : nart_udp_send(cx, &sock.sock, op->buf, op->len, NULL);
}

static struct turn {
    struct op op;
    nart_waiter waiter;
    uint32_t number; /* what it sends */
} sender[MANY];

static void sender_set(uint32_t i)
{
    struct turn *s = &sender[i];

    *s = (struct turn){ .number = i };
    s->op = (struct op){ .call = do_turn,
                         .h = &sock,
                         .other = &s->waiter,
                         .buf = &s->number,
                         .len = sizeof s->number,
                         .flags = i % FUNCTIONS };
}

static void sender_start(uint32_t i)
{
    sender_set(i);
    op_start(&sender[i].op, form);
}

static void senders_start(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sender_start(i);
}

static void all_wait(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        CHECK_RES(sender[i].op.res, NART_PENDING);
}

/* Nobody waits: no task, no place in the queue. */
static void none_waits(uint32_t n)
{
    CHECK(sock.sock.senders.first == NULL);
    for (uint32_t i = 0; i < n; i++)
        CHECK(sender[i].waiter.wait.task == NULL);
}

/* The next datagram is that of this sender, which has been answered. */
static void arrives(uint32_t i)
{
    uint32_t number = UINT32_MAX;
    ssize_t n;

    while ((n = recv(peer, &number, sizeof number, MSG_DONTWAIT)) < 0) {
        CHECK_EQ(errno, EAGAIN);
        CHECK_LE(0, nart_rt_poll(rt, NART_MS));
    }
    CHECK_EQ(n, sizeof number);
    CHECK_EQ(number, i);
    CHECK_RES(op_finish(&sender[i].op), sizeof number);
}

static void nothing_arrives(void)
{
    char c;
    CHECK_EQ(recv(peer, &c, 1, MSG_DONTWAIT), -1);
}

static void both_arrive(void)
{
    drained();
    arrives(0);
    arrives(1);
}

/* Of three senders. */
static void the_others_arrive(uint32_t than)
{
    drained();
    for (uint32_t i = 0; i < 3; i++)
        if (i != than)
            arrives(i);
    nothing_arrives();
    none_waits(3);
}

static void cancel(uint32_t i)
{
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&sender[i].op.join)), 0);
    CHECK_RES(op_finish(&sender[i].op), -ECANCELED);
}

/* ---- the order ---- */

TEST_EACH(senders_are_served_in_order, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    sender_start(0);
    int before = attempts;
    for (uint32_t i = 1; i < MANY; i++)
        sender_start(i);
    all_wait(0, MANY);
    nothing_arrives();
    CHECK_EQ(attempts, before); /* only the first one asks the kernel */
    drained();
    for (uint32_t i = 0; i < MANY; i++)
        arrives(i);
    nothing_arrives();
    none_waits(MANY);
    full_close();
}

TEST_EACH(two_senders, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    senders_start(2);
    all_wait(0, 2);
    both_arrive();
    none_waits(2);
    sender_start(0); /* nobody waits: nothing is queued */
    CHECK_RES(sender[0].op.res, sizeof(uint32_t));
    arrives(0);
    full_close();
}

/* The buffer is full again after the first of them. */
TEST_EACH(senders_wait_again, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    senders_start(3);
    for (uint32_t i = 0; i < 3; i++) {
        drained();
        while (sender[i].op.res == NART_PENDING) {
            int before = attempts;
            CHECK_LE(0, nart_rt_poll(rt, NART_MS));
            is_full = attempts > before;
        }
        is_full = true;
        arrives(i);
    }
    none_waits(3);
    full_close();
}

TEST_EACH(a_newcomer_does_not_overtake, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    senders_start(2);
    int before = attempts;
    is_full = false; /* and the kernel has not reported it */
    sender_start(2);
    all_wait(0, 3);
    CHECK_EQ(attempts, before);
    drained();
    for (uint32_t i = 0; i < 3; i++)
        arrives(i);
    full_close();
}

static bool spent_waits; /* the last sender whose budget was spent is in the queue */

static nart_res do_spent(nart_cx *cx, struct op *op)
{
    if (op->n++ > 0)
        return do_turn(cx, op);
    cx->go = 0;
    CHECK_RES(do_turn(cx, op), NART_PENDING);
    spent_waits = ((nart_waiter *)op->other)->wait.task != NULL;
    return NART_PENDING;
}

TEST_EACH(a_sender_keeps_its_place_after_its_budget, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    sender_set(0);
    sender[0].op.call = do_spent;
    op_start(&sender[0].op, form);
    CHECK(spent_waits);
    sender_start(1);
    all_wait(0, 2);
    both_arrive();
    full_close();
}

/* ---- leaving ---- */

/* One of three leaves, and the others send. */
static void one_leaves(uint32_t which, void (*leave)(uint32_t i))
{
    senders_start(3);
    leave(which);
    for (uint32_t i = 0; i < 3; i++)
        if (i != which)
            all_wait(i, i + 1);
    settle(rt); /* the one that is first now asks the kernel: the readiness that follows wakes it */
    nothing_arrives();
    the_others_arrive(which);
}

TEST_EACH(a_sender_that_is_cancelled, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    for (uint32_t which = 0; which < 3; which++) {
        full_open(kind);
        one_leaves(which, cancel);
        full_close();
    }
}

static void time_passes(uint32_t i)
{
    CHECK_RES(nart_rt_clock_advance(rt, NART_MS), 0);
    settle(rt);
    CHECK_RES(op_finish(&sender[i].op), -ETIMEDOUT);
}

TEST_EACH(a_sender_whose_deadline_passes, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    for (uint32_t which = 0; which < 3; which++) {
        full_open(kind);
        for (uint32_t i = 0; i < 3; i++) {
            sender_set(i);
            sender[i].op.limit = i == which ? NART_MS : 0;
            op_start(&sender[i].op, form);
        }
        time_passes(which);
        the_others_arrive(which);
        full_close();
    }
}

/* A race of a send and a notification. */
struct racer {
    nart_co co;
    struct turn *s;
    nart_notify *other;
    nart_waiter waiter;
    nart_res r;
    int which;
};

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, do_turn(cx, &f->s->op),
                   nart_notify_await(cx, f->other, &f->waiter));
    f->s->op.res = f->which;
    NART_END(0);
}

TYPE(racer, racer_run);

static nart_res racer_fiber(nart_cx *cx, void *arg)
{
    struct racer *f = arg;

    f->r = nart_await_any(cx, f->which, do_turn(cx, &f->s->op),
                          nart_notify_await(cx, f->other, &f->waiter));
    f->s->op.res = f->which;
    return 0;
}

TEST_EACH(a_sender_that_loses_its_race, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    for (uint32_t which = 0; which < 3; which++) {
        nart_notify note = { .permit = 0 };
        struct racer f = { .s = &sender[which], .other = &note };

        full_open(kind);
        for (uint32_t i = 0; i < 3; i++) {
            sender_set(i);
            if (i != which) {
                op_start(&sender[i].op, form);
                continue;
            }
            sender[i].op.res = NART_PENDING;
            if (form == BODY)
                spawn(rt, &racer_type, &f, &sender[i].op.join);
            else
                CHECK_RES(nart_rt_fiber_spawn(rt, racer_fiber, &f, NULL, &sender[i].op.join), 0);
            settle(rt);
        }
        all_wait(0, 3);
        nart_notify_one(&note);
        settle(rt);
        CHECK_RES(op_finish(&sender[which].op), 1);
        the_others_arrive(which);
        full_close();
    }
}

/* Two arms of one race send. */
static nart_res both_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, f->r, do_turn(cx, &f->s[0].op), do_turn(cx, &f->s[1].op));
    f->s->op.res = f->which;
    NART_END(0);
}

TEST_EACH(two_arms_of_a_race_send, UDP_BODY, UNIX_BODY)
{
    static const nart_task_type type = NART_TASK_TYPE(struct racer, both_run, NULL);

    full_open(kind);
    sender_set(0);
    sender_set(1);
    sender[0].op.res = NART_PENDING;
    spawn(rt, &type, &(struct racer){ .s = sender }, &sender[0].op.join);
    settle(rt);
    all_wait(0, 1);
    drained();
    CHECK_RES(op_finish(&sender[0].op), 0);
    uint32_t number = 9;
    CHECK_EQ(recv(peer, &number, sizeof number, 0), sizeof number);
    CHECK_EQ(number, 0);
    nothing_arrives();
    none_waits(2);
    full_close();
}

/* An error is one sender's own. */
TEST_EACH(a_sender_that_fails_passes_its_turn_on, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char *big = calloc(1, 1 << 20);

    full_open(kind);
    for (uint32_t i = 0; i < 2; i++)
        sender_set(i);
    sender[0].op.buf = big;
    sender[0].op.len = 1 << 20;
    for (uint32_t i = 0; i < 2; i++)
        op_start(&sender[i].op, form);
    all_wait(0, 2);
    drained();
    CHECK_RES(op_finish(&sender[0].op), -EMSGSIZE);
    arrives(1);
    none_waits(2);
    full_close();
    free(big);
}

/* ---- the end of the handle ---- */

static void all_find_it_closed(uint32_t n)
{
    none_waits(n);
    for (uint32_t i = 0; i < n; i++)
        CHECK_RES(op_finish(&sender[i].op), -EBADF);
}

TEST_EACH(a_socket_that_is_closed, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    senders_start(MANY);
    CHECK_RES(nart_unix_dgram_close(&sock), 0);
    all_find_it_closed(MANY);
    full_close();
}

TEST_EACH(a_socket_that_is_detached, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    int fd;

    full_open(kind);
    senders_start(3);
    CHECK_RES(nart_unix_dgram_detach(&sock, NULL), -EINVAL);
    settle(rt);
    all_wait(0, 3);
    CHECK_RES(nart_unix_dgram_detach(&sock, &fd), 0);
    all_find_it_closed(3);
    close(fd);
    full_close();
}

TEST_EACH(a_socket_that_is_moved, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    nart_unix_dgram moved;

    full_open(kind);
    senders_start(3);
    nart_unix_dgram_move(&moved, &sock);
    CHECK(moved.sock.senders.first == NULL);
    all_find_it_closed(3);
    nart_unix_dgram_move(&sock, &moved);
    senders_start(2);
    all_wait(0, 2);
    both_arrive();
    full_close();
}

TEST_EACH(a_runtime_that_is_freed, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    senders_start(MANY);
    rt_close();
    none_waits(MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        CHECK_RES(sender[i].op.res, -ECANCELED);
        nart_join_release(&sender[i].op.join);
    }
    rt_open();
    sender_start(0);
    nart_res r = op_finish(&sender[0].op);
    CHECK(r == NART_ESTALE || r == NART_EDRIVER);
    none_waits(1);
    full_close();
}

/* ---- wrong use ---- */

TEST_EACH(a_plain_send_is_not_in_the_queue, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    struct op plain = { .call = do_plain, .h = &sock, .buf = "", .len = 1 };

    full_open(kind);
    senders_start(2);
    op_start(&plain, form);
    CHECK_RES(op_finish(&plain), -EBUSY);
    cancel(0);
    cancel(1);
    op_start(&plain, form);
    CHECK_RES(plain.res, NART_PENDING);
    sender_start(0);
    CHECK_RES(op_finish(&sender[0].op), -EBUSY);
    none_waits(2);
    drained();
    CHECK_RES(op_finish(&plain), 1);
    full_close();
}

TEST_EACH(a_waiter_in_which_another_task_waits, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    senders_start(2);
    for (uint32_t i = 0; i < 2; i++) {
        sender_set(2);
        sender[2].op.other = &sender[i].waiter;
        op_start(&sender[2].op, form);
        CHECK_RES(op_finish(&sender[2].op), -EBUSY);
    }
    both_arrive();
    full_close();
}

static nart_waiter other_waiter;
static nart_waker changes_waker;

/* The first poll sends on one socket; the second one on another, with the same waiter. */
static nart_res changes_run(nart_cx *cx, void *frame)
{
    struct turn *s = *(struct turn **)frame;
    nart_unix_dgram *other = s->op.buf;
    uint32_t number = 7;

    changes_waker = nart_cx_waker(cx);
    if (s->op.n++ == 0)
        return send_in_turn(cx, &sock, &other_waiter, 0, &number, sizeof number);
    if (s->op.n == 2) {
        CHECK_RES(send_in_turn(cx, &sock, &other_waiter, 0, &number, sizeof number), NART_PENDING);
        CHECK_RES(send_in_turn(cx, other, &other_waiter, 0, &number, sizeof number), -EBUSY);
        return NART_PENDING;
    }
    s->op.res = send_in_turn(cx, other, &other_waiter, 0, &number, sizeof number);
    CHECK(sock.sock.senders.first == sock.sock.senders.last);
    CHECK(other->sock.senders.first == &other_waiter.wait || s->op.res != NART_PENDING);
    return s->op.res;
}

TEST_EACH(a_waiter_is_used_for_another_socket, UDP_BODY, UNIX_BODY)
{
    static const nart_task_type type = NART_TASK_TYPE(struct turn *, changes_run, NULL);
    struct turn *s = &sender[0];
    nart_unix_dgram other;

    full_open(kind);
    int fd = is_unix ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)
                     : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_RES(is_unix ? nart_unix_dgram_adopt(rt, fd, &other) : nart_udp_adopt(rt, fd, &other.sock),
              0);
    sender_start(1);
    sender_set(0);
    s->op.buf = &other;
    s->op.res = NART_PENDING;
    spawn(rt, &type, &s, &s->op.join);
    settle(rt);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(s->op.res, NART_PENDING);
        CHECK(other_waiter.wait.task != NULL);
        nart_waker_wake(changes_waker);
        settle(rt);
    }
    CHECK_RES(s->op.res, NART_PENDING);
    CHECK_RES(nart_unix_dgram_close(&other), 0);
    CHECK_RES(op_finish(&s->op), -EBADF);
    CHECK(other_waiter.wait.task == NULL);
    drained();
    arrives(1);
    full_close();
}

TEST_EACH(a_task_of_another_runtime, UDP_BODY, UDP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    full_open(kind);
    nart_rt *own = rt;
    senders_start(2);
    rt_open();
    sender_start(2);
    CHECK_RES(op_finish(&sender[2].op), NART_EDRIVER);
    sender_set(2);
    rt_close();
    rt = own;
    both_arrive();
    rt_open();
    sender_set(2);
    sender[2].op.call = do_spent; /* it finds that out in its second poll */
    op_start(&sender[2].op, form);
    CHECK_RES(op_finish(&sender[2].op), NART_EDRIVER);
    CHECK_EQ(sender[2].op.n, 2);
    CHECK(!spent_waits);
    rt_close();
    rt = own;
    full_close();
}

TEST_EACH(outside_of_a_poll, UDP_BODY, UNIX_BODY)
{
    char c = 0;

    full_open(kind);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(send_in_turn(&rt->cx, &sock, &sender[2].waiter, 0, &c, 1), -EPERM);
        CHECK(sender[2].waiter.wait.task == NULL);
        if (i == 0)
            sender_start(0);
    }
    CHECK_RES(send_in_turn(&rt->cx, &sock, &sender[0].waiter, 0, &c, 1), -EPERM);
    drained();
    arrives(0);
    full_close();
}

/* Such a task is alone with its handle: it has no turn, and a second arm of its race is refused. */
TEST_EACH(a_task_that_its_driver_moves, UDP_BODY, UNIX_BODY)
{
    nart_driver moves = nart__loop;

    moves.kind |= NART_DRIVER_MOVES;
    full_open(kind);
    rt->cx.drv = sock.sock.io.drv = &moves;
    senders_start(2);
    none_waits(2);
    CHECK_RES(op_finish(&sender[1].op), -EBUSY);
    drained();
    arrives(0);
    rt->cx.drv = sock.sock.io.drv = &nart__loop;
    full_close();
}

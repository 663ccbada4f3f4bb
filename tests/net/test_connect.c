/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connecting: how it completes, and what remains when it does not. */
#include "net_test.h"

#include <nart/sync.h>

#include <fcntl.h>

FIXTURE_RT();
#include "full.h"

/* One connect; the test owns the handle. */
struct connector {
    nart_tcp *s;
    nart_addr at;
    nart_res *answer;
    nart_waker *waker; /* NULL, or where to store its waker */
};

static nart_res connector_run(nart_cx *cx, void *frame)
{
    struct connector *c = frame;
    if (c->waker)
        *c->waker = nart_cx_waker(cx);
    nart_res r = nart_tcp_connect(cx, c->s, &c->at);
    *c->answer = r;
    return r;
}

TYPE(connector, connector_run);

static nart_res connect_now(nart_rt *on, nart_tcp *s, const nart_addr *at)
{
    nart_res answer;
    return run(on, &connector_type, &(struct connector){ s, *at, &answer, NULL });
}

TEST_WITH(a_connection_is_made, rt)
{
    nart_tcp s = { .state = 0 };
    nart_addr at, peer;
    char buf[8];
    int l = raw_listen(&at, 8);

    CHECK_RES(connect_now(rt, &s, &at), 0);
    int fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    CHECK_RES(nart_tcp_peer_addr(&s, &peer), 0);
    CHECK_EQ(nart_addr_port(&peer), nart_addr_port(&at));
    CHECK_RES(nart_tcp_nodelay(&s), 1); /* Nagle's algorithm is off */
    CHECK(fcntl((int)nart_tcp_fd(&s), F_GETFD) & FD_CLOEXEC);
    CHECK_RES(send_now(rt, &s, "abc"), 3);
    CHECK_EQ(recv(fd, buf, sizeof buf, 0), 3);
    CHECK_RES(connect_now(rt, &s, &at), -EISCONN);
    raw_send(fd, "d");
    CHECK_RES(recv_now(rt, &s, buf, sizeof buf), 1); /* it is unaffected */
    CHECK_RES(nart_tcp_close(&s), 0);
    CHECK_RES(connect_now(rt, &s, &at), 0); /* after a close, it connects again */
    CHECK_RES(nart_tcp_close(&s), 0);
    close(fd);
    close(l);
}

TEST_WITH(a_refusal_is_answered, rt)
{
    nart_tcp s = { .state = 0 };
    nart_addr at = localhost();
    int taken =
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* so that no other socket listens there */

    CHECK_EQ(bind(taken, sockaddr_of(&at), at.len), 0);
    CHECK_EQ(getsockname(taken, (struct sockaddr *)&at.storage, &at.len), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(connect_now(rt, &s, &at), -ECONNREFUSED);
        CHECK_RES(nart_tcp_fd(&s), -EBADF);
    }
    close(taken);
}

TEST_WITH(an_address_that_is_none_is_refused, rt)
{
    nart_tcp s = { .state = 0 };
    nart_addr at = { .len = 0 };

    CHECK_RES(connect_now(rt, &s, &at), -EINVAL);
    at = localhost(); /* port 0 */
    CHECK_RES(connect_now(rt, &s, &at), -EINVAL);
    at.storage.ss_family = AF_UNIX;
    CHECK_RES(connect_now(rt, &s, &at), -EAFNOSUPPORT);
    CHECK_RES(nart_addr_parse(&at, "255.255.255.255:80"), 0);
    CHECK_RES(connect_now(rt, &s, &at), -ENETUNREACH);
    CHECK_RES(nart_tcp_fd(&s), -EBADF);
}

/* Closes the handle in which another task waits, and connects it elsewhere in the same poll. */
struct starter {
    nart_tcp *s;
    nart_addr at;
    nart_res *answer;
    int polls;
};

static nart_res starter_run(nart_cx *cx, void *frame)
{
    struct starter *f = frame;

    if (f->polls++ == 0)
        CHECK_RES(nart_tcp_close(f->s), 0);
    return *f->answer = nart_tcp_connect(cx, f->s, &f->at);
}

TYPE(starter, starter_run);

/* ---- one that stays in progress ---- */

struct limited {
    nart_co co;
    nart_tcp *s;
    nart_addr at;
};

static nart_res limited_run(nart_cx *cx, void *frame)
{
    struct limited *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(r, NART_MS, nart_tcp_connect(cx, f->s, &f->at));
    NART_END(r);
}

TYPE(limited, limited_run);

TEST_WITH(a_connect_that_times_out_is_closed, full)
{
    nart_tcp s = { .state = 0 };

    CHECK_RES(run(rt, &limited_type, &(struct limited){ .s = &s, .at = full.at }), -ETIMEDOUT);
    CHECK_RES(nart_tcp_fd(&s), -EBADF);
}

TEST_WITH(a_connect_that_is_cancelled_is_closed, full)
{
    nart_tcp s = { .state = 0 };
    nart_join join;
    nart_res answer;

    spawn(rt, &connector_type, &(struct connector){ &s, full.at, &answer, NULL }, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    CHECK_LE(0, nart_tcp_fd(&s));
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
    CHECK_RES(answer, -ECANCELED);
    CHECK_RES(nart_tcp_fd(&s), -EBADF);
}

TEST_WITH(polls_for_no_reason_change_nothing_of_a_connect, full)
{
    nart_tcp s = { .state = 0 };
    nart_join join;
    nart_res answer;
    nart_waker waker;

    spawn(rt, &connector_type, &(struct connector){ &s, full.at, &answer, &waker }, &join);
    settle(rt);
    nart_res fd = nart_tcp_fd(&s);
    for (int i = 0; i < 1000; i++) {
        nart_waker_wake(waker);
        CHECK_LE(1, nart_rt_poll(rt, 0));
        CHECK_RES(answer, NART_PENDING);
        CHECK_RES(nart_tcp_fd(&s), fd);
    }
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
}

TEST_WITH(another_task_ends_a_connect_by_closing_or_moving, full)
{
    nart_tcp s = { .state = 0 }, moved;
    nart_join join;
    nart_res answer;

    for (int move = 0; move < 2; move++) {
        spawn(rt, &connector_type, &(struct connector){ &s, full.at, &answer, NULL }, &join);
        settle(rt);
        CHECK_RES(answer, NART_PENDING);
        if (move)
            nart_tcp_move(&moved, &s);
        else
            CHECK_RES(nart_tcp_close(&s), 0);
        finish(rt, &join);
        CHECK_RES(answer, NART_EABORTED);
        CHECK_RES(nart_tcp_fd(&s), -EBADF);
    }
    CHECK_RES(nart_tcp_fd(&moved),
              -EBADF); /* an awaited handle is not moved: its operation fails */
}

/* The connect is an arm of a race that another arm wins just as the handle is closed; then the
 * same task connects the handle elsewhere. */
struct again {
    nart_co co;
    nart_tcp *s;
    nart_addr first, second;
    nart_notify *note;
    nart_waiter waiter;
    int which;
};

static nart_res again_run(nart_cx *cx, void *frame)
{
    struct again *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, r, nart_notify_await(cx, f->note, &f->waiter),
                   nart_tcp_connect(cx, f->s, &f->first));
    CHECK_EQ(f->which, 0);
    NART_AWAIT(r, nart_tcp_connect(cx, f->s, &f->second));
    NART_END(r);
}

TYPE(again, again_run);

TEST_WITH(a_closed_handle_connects_again_in_the_poll_that_hears_of_it, full)
{
    nart_tcp s = { .state = 0 };
    nart_notify note = { 0 };
    nart_join join;
    nart_addr at;
    nart_res answer = NART_PENDING;
    int l = raw_listen(&at, 1);

    struct again again = { .s = &s, .first = full.at, .second = at, .note = &note };
    spawn(rt, &again_type, &again, &join);
    settle(rt);
    CHECK_LE(0, nart_tcp_fd(&s));
    CHECK_RES(nart_tcp_close(&s), 0);
    nart_notify_one(&note);
    while (!nart_join_done(&join))
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    CHECK_LE(0, nart_tcp_fd(&s));
    CHECK_RES(await_now(rt, &join, &answer), 0);
    CHECK_RES(answer, 0);
    nart_join_release(&join);
    CHECK_RES(nart_tcp_close(&s), 0);
    close(l);
}

/* A task that closes a handle can connect it again before the waiting task has run: the latter
 * is notified of the end of its own connect, whatever the handle's current state. */
TEST_WITH(a_waiting_connect_is_not_taken_for_a_new_one, full)
{
    nart_tcp s = { .state = 0 };
    nart_join first, second;
    nart_res ended = NART_PENDING, other = NART_PENDING;
    nart_addr at;
    int l = raw_listen(&at, 1);

    for (int open = 0; open < 2; open++) {
        spawn(rt, &connector_type, &(struct connector){ &s, full.at, &ended, NULL }, &first);
        settle(rt);
        CHECK_RES(ended, NART_PENDING);
        spawn(rt, &starter_type, &(struct starter){ &s, open ? at : full.at, &other, 0 }, &second);
        finish(rt, &first); /* polled after the new connect has started */
        CHECK_RES(ended, NART_EABORTED);
        CHECK_LE(0, nart_tcp_fd(&s)); /* and does not affect the other's connect */
        if (!open)
            CHECK_RES(nart_task_cancel(rt, nart_join_task(&second)), 0);
        finish(rt, &second);
        CHECK_RES(other, open ? 0 : -ECANCELED);
        CHECK_RES(nart_tcp_close(&s), 0);
    }
    close(l);
}

/* An abandoned connect occupies a slot of the table until its task has run or is freed, and no
 * longer. */
TEST_WITH(connects_that_are_left_behind_use_up_nothing, full)
{
    nart_rt *small = NEW_RT(.max_io = 1);
    nart_tcp s = { .state = 0 };
    nart_join join;
    nart_res answer;

    for (int i = 0; i < 100; i++) {
        answer = NART_PENDING;
        spawn(small, &connector_type, &(struct connector){ &s, full.at, &answer, NULL }, &join);
        settle(small);
        CHECK_RES(answer, NART_PENDING);
        CHECK_RES(nart_tcp_close(&s), 0);
        if (i % 2)
            CHECK_RES(nart_task_abort(small, nart_join_task(&join)), 0);
        finish(small, &join);
        CHECK_RES(answer, i % 2 ? -ECANCELED : NART_EABORTED);
    }
    spawn(small, &connector_type, &(struct connector){ &s, full.at, &answer, NULL }, NULL);
    settle(small);
    CHECK_RES(nart_tcp_close(&s), 0);
    CHECK_RES(nart_rt_free(small), 0); /* with a task that has not run since */
}

/* One arm of a race connects, the other one closes the handle in the same poll. */
struct both {
    nart_co co, second;
    nart_tcp *s;
    nart_addr at;
    int which;
};

static nart_res both_second(nart_cx *cx, struct both *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->second);
    CHECK_RES(nart_tcp_close(f->s), 0);
    NART_AWAIT(r, nart_op_park(cx));
    NART_END(r);
}

static nart_res both_run(nart_cx *cx, void *frame)
{
    struct both *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, r, nart_tcp_connect(cx, f->s, &f->at), both_second(cx, f));
    CHECK_EQ(f->which, 0);
    CHECK_RES(r, NART_EABORTED);
    NART_END(0);
}

TYPE(both, both_run);

TEST_WITH(an_arm_that_closes_ends_the_connect_of_another, full)
{
    nart_tcp s = { .state = 0 };
    nart_join join;

    spawn(rt, &both_type, &(struct both){ .s = &s, .at = full.at }, &join);
    settle(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
}

/* The first arm of a race closes the handle in which the second one has been waiting since the
 * previous poll: both are expressions of the race's own body, or bodies of their own. */
enum act { CLOSE, MOVE, CONNECT_AGAIN };

struct first_closes {
    nart_co co, closing, connecting;
    nart_tcp *s, moved;
    nart_addr at;
    nart_waker *waker;
    enum act act;
    bool closes_in_a_body, connects_in_a_body;
    int asked, which;
    nart_res r, answer;
};

static nart_res act_now(nart_cx *cx, struct first_closes *f)
{
    if (f->asked++ == 1 && f->act == MOVE)
        nart_tcp_move(&f->moved, f->s);
    else if (f->asked == 2)
        CHECK_RES(nart_tcp_close(f->s), 0);
    return f->asked >= 2 && f->act == CONNECT_AGAIN ? nart_tcp_connect(cx, f->s, &f->at)
                                                    : nart_op_park(cx);
}

static nart_res act_in_a_body(nart_cx *cx, struct first_closes *f)
{
    NART_BEGIN(cx, &f->closing);
    NART_AWAIT(f->answer, act_now(cx, f));
    NART_END(f->answer);
}

static nart_res connect_in_a_body(nart_cx *cx, struct first_closes *f)
{
    NART_BEGIN(cx, &f->connecting);
    NART_AWAIT(f->answer, nart_tcp_connect(cx, f->s, &f->at));
    NART_END(f->answer);
}

static nart_res first_closes_run(nart_cx *cx, void *frame)
{
    struct first_closes *f = frame;

    NART_BEGIN(cx, &f->co);
    *f->waker = nart_cx_waker(cx);
    NART_AWAIT_ANY(f->which, f->r, f->closes_in_a_body ? act_in_a_body(cx, f) : act_now(cx, f),
                   f->connects_in_a_body ? connect_in_a_body(cx, f)
                                         : nart_tcp_connect(cx, f->s, &f->at));
    CHECK_EQ(f->which, 1);
    CHECK_EQ(f->asked, 2); /* in the poll that closed it */
    CHECK_RES(f->r, NART_EABORTED);
    CHECK_RES(nart_tcp_fd(&f->moved), -EBADF);
    NART_END(0);
}

TYPE(first_closes, first_closes_run);

static void an_earlier_arm(enum act act, bool closes_in_a_body, bool connects_in_a_body)
{
    nart_tcp s = { .state = 0 };
    nart_join join;
    nart_waker waker;

    struct first_closes init = { .s = &s,
                                 .at = full.at,
                                 .waker = &waker,
                                 .act = act,
                                 .closes_in_a_body = closes_in_a_body,
                                 .connects_in_a_body = connects_in_a_body };
    spawn(rt, &first_closes_type, &init, &join);
    settle(rt);
    CHECK_LE(0, nart_tcp_fd(&s));
    nart_waker_wake(waker);
    settle(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    if (act == CONNECT_AGAIN)
        CHECK_LE(0, nart_tcp_fd(&s)); /* the first arm's connect continues */
    else
        CHECK_RES(nart_tcp_fd(&s), -EBADF);
    CHECK_RES(nart_tcp_close(&s), 0);
}

TEST_WITH(an_earlier_arm_that_closes_ends_the_connect_of_a_later_one, full)
{
    for (int bodies = 0; bodies < 4; bodies++)
        an_earlier_arm(CLOSE, bodies & 1, bodies & 2);
}

TEST_WITH(an_earlier_arm_that_moves_ends_the_connect_of_a_later_one, full)
{
    for (int bodies = 0; bodies < 4; bodies++)
        an_earlier_arm(MOVE, bodies & 1, bodies & 2);
}

TEST_WITH(an_earlier_arm_that_closes_may_connect_itself, full)
{
    an_earlier_arm(CONNECT_AGAIN, true, false);
    an_earlier_arm(CONNECT_AGAIN, true, true);
}

/* The poll that would have notified the task uses up its budget before it calls its connect. */
struct spender {
    nart_tcp *s;
    nart_addr at;
    nart_timer timer;
    nart_waker *waker;
    nart_rt *rt;
    bool late; /* a task closes the handle after that poll, and before the next one */
    int polls;
};

static nart_res late_closer_run(nart_cx *cx, void *frame)
{
    nart_tcp **s = frame;
    (void)cx;
    return nart_tcp_close(*s);
}

static const nart_task_type late_closer_type = NART_TASK_TYPE(nart_tcp *, late_closer_run, NULL);

static nart_res spender_run(nart_cx *cx, void *frame)
{
    struct spender *f = frame;

    *f->waker = nart_cx_waker(cx);
    while (f->polls == 1 && nart_sleep(cx, &f->timer, 0) == 0)
        continue;
    if (f->polls++ == 1 && f->late)
        CHECK_RES(nart_rt_spawn(f->rt, &late_closer_type, &f->s, NULL), 0);
    return nart_tcp_connect(cx, f->s, &f->at);
}

TYPE(spender, spender_run);

TEST_WITH(a_connect_waits_on_while_its_task_has_no_budget, full)
{
    nart_tcp s = { .state = 0 };
    nart_join join;
    nart_waker waker;

    for (int late = 0; late < 2; late++) {
        nart_res answer = NART_PENDING;
        struct spender init = { .s = &s, .at = full.at, .waker = &waker, .rt = rt, .late = late };
        spawn(rt, &spender_type, &init, &join);
        settle(rt);
        if (!late)
            CHECK_RES(nart_tcp_close(&s), 0);
        nart_waker_wake(waker);
        settle(rt);
        CHECK(nart_join_done(&join));
        CHECK_EQ(((struct spender *)nart_join_frame(&join))->polls, 3);
        CHECK_RES(await_now(rt, &join, &answer), NART_EABORTED); /* of the connect */
        CHECK_RES(answer, NART_PENDING);
        nart_join_release(&join);
        CHECK_RES(nart_tcp_fd(&s), -EBADF);
    }
}

/* A poll without bodies that closes its own connect and starts another is not notified of the
 * first. */
struct changer {
    nart_tcp *s;
    nart_addr first, second;
    int polls;
};

static nart_res changer_run(nart_cx *cx, void *frame)
{
    struct changer *c = frame;
    if (c->polls++ == 0) {
        nart_wake_self(cx);
        return nart_tcp_connect(cx, c->s, &c->first);
    }
    if (c->polls == 2)
        CHECK_RES(nart_tcp_close(c->s), 0);
    return nart_tcp_connect(cx, c->s, &c->second);
}

TYPE(changer, changer_run);

TEST_WITH(a_task_abandons_its_own_connect_for_another, full)
{
    nart_tcp s = { .state = 0 };
    nart_addr at;
    int l = raw_listen(&at, 1);

    CHECK_RES(run(rt, &changer_type, &(struct changer){ &s, full.at, at, 0 }), 0);
    CHECK_RES(nart_tcp_close(&s), 0);
    close(l);
}

/* The context of a poll that has returned. */
static nart_cx *kept_cx;

static nart_res keeper_run(nart_cx *cx, void *frame)
{
    (void)frame;
    kept_cx = cx;
    return 0;
}

static const nart_task_type keeper_type = NART_TASK_TYPE(char, keeper_run, NULL);

TEST_WITH(a_second_task_cannot_await_a_connect_nor_use_what_is_not_connected, full)
{
    nart_rt *other = new_rt();
    nart_tcp s = { .state = 0 };
    nart_join join;
    nart_res answer;
    char buf[8];
    int fd;

    spawn(rt, &connector_type, &(struct connector){ &s, full.at, &answer, NULL }, &join);
    settle(rt);
    CHECK_RES(connect_now(rt, &s, &full.at), -EBUSY);
    nart_join second;
    nart_res ignored;
    spawn(rt, &connector_type, &(struct connector){ &s, full.at, &ignored, NULL }, &second);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&second)), 0);
    finish(rt, &second); /* a cancelled one does not close it either */
    CHECK_RES(ignored, -ECANCELED);
    CHECK_RES(recv_now(rt, &s, buf, sizeof buf), -ENOTCONN);
    CHECK_RES(send_now(rt, &s, "x"), -ENOTCONN);
    CHECK_RES(nart_tcp_detach(&s, &fd, NULL, 0, NULL), -ENOTCONN);
    CHECK_RES(nart_tcp_shutdown(&s, NART_WRITE), -ENOTCONN);
    CHECK_RES(connect_now(other, &s, &full.at), NART_EDRIVER);
    CHECK_RES(run(rt, &keeper_type, NULL), 0);
    CHECK_RES(nart_tcp_connect(kept_cx, &s, &full.at), -EPERM);
    CHECK_LE(0, nart_tcp_fd(&s));
    settle(rt);
    CHECK_RES(answer, NART_PENDING); /* unaffected */
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
    CHECK_RES(nart_rt_free(other), 0);
}

/* After losing a race it stays in progress, and continues when awaited again. */
struct loser {
    nart_co co;
    nart_tcp *s;
    nart_addr at;
    nart_timer timer;
    int which;
};

static nart_res loser_run(nart_cx *cx, void *frame)
{
    struct loser *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, r, nart_tcp_connect(cx, f->s, &f->at),
                   nart_sleep(cx, &f->timer, NART_MS));
    CHECK_EQ(f->which, 1);
    NART_END(r);
}

TYPE(loser, loser_run);

TEST_WITH(a_connect_that_lost_a_race_can_be_awaited_again, full)
{
    nart_tcp s = { .state = 0 };

    CHECK_RES(run(rt, &loser_type, &(struct loser){ .s = &s, .at = full.at }), 0);
    nart_res fd = nart_tcp_fd(&s);
    CHECK_LE(0, fd);
    CHECK_RES(run(rt, &loser_type, &(struct loser){ .s = &s, .at = full.at }), 0);
    CHECK_RES(nart_tcp_fd(&s), fd); /* the same attempt */
    for (int i = 0; i < 8; i++) {
        close(full.first[i]);
        full.first[i] = -1;
    }
    CHECK_EQ(fcntl(full.listener, F_SETFL, O_NONBLOCK), 0);
    for (int taken; (taken = accept4(full.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(taken); /* the queue has space: the kernel's next attempt succeeds */
    CHECK_RES(connect_now(rt, &s, &full.at), 0);
    CHECK_RES(nart_tcp_close(&s), 0);
}

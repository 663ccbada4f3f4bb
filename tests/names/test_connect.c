/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connecting to the first of several addresses that answers. */
#include "connect.h"

#include "by_hand.h"

#include <sys/resource.h>

TEST_WITH(the_first_address_is_preferred, stopped)
{
    struct op op = to("aa");

    op_start(rt, &op);
    CHECK_RES(answer_of(&op), 0);
    CHECK(is_connected_to(&op.s, &places[0]));
    CHECK_STR(op.connect.text, "");
    CHECK_RES(nart_tcp_nodelay(&op.s), 1);
    CHECK_EQ(accept(places[1].fd, NULL, NULL), -1); /* it was not tried */
    CHECK_EQ(errno, EAGAIN);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(after_a_failure_the_next_address_is_tried_at_once, stopped)
{
    struct op op = to("rra");

    op_start(rt, &op);
    CHECK_RES(answer_of(&op), 0); /* the clock stands still */
    CHECK(is_connected_to(&op.s, &places[2]));
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(a_silent_address_delays_the_next_one_by_a_quarter_of_a_second, stopped)
{
    struct op op = to("ssa");
    int before = descriptors();

    op_start(rt, &op);
    CHECK_EQ(descriptors(), before + 1);
    advance(250 * NART_MS - 1);
    CHECK_EQ(descriptors(), before + 1);
    advance(1);
    CHECK_EQ(descriptors(), before + 2);
    advance(250 * NART_MS - 1);
    CHECK_EQ(descriptors(), before + 2);
    CHECK_RES(op.res, NART_PENDING);
    advance(1);
    CHECK_RES(answer_of(&op), 0);
    CHECK_EQ(descriptors(), before + 1); /* the others are closed */
    CHECK(is_connected_to(&op.s, &places[2]));
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(the_delay_is_an_option, stopped)
{
    nart_connect_opts opts = NART_CONNECT_OPTS_INIT;
    struct op op = to("sa");

    opts.attempt_delay = 10 * NART_MS;
    op.opts = &opts;
    op_start(rt, &op);
    advance(10 * NART_MS - 1);
    CHECK_RES(op.res, NART_PENDING);
    advance(1);
    CHECK_RES(answer_of(&op), 0);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(an_earlier_attempt_may_still_win, stopped)
{
    struct op op = to("ssr");

    op_start(rt, &op);
    advance(250 * NART_MS);
    advance(250 * NART_MS);
    CHECK_RES(op.res, NART_PENDING); /* the third has been refused */
    /* The kernel repeats its requests; now there is space for them. */
    for (int i = 0; i < QUEUED; i++) {
        int fd = accept(places[1].fd, NULL, NULL);
        if (fd >= 0)
            close(fd);
        if (places[1].queued[i] >= 0)
            close(places[1].queued[i]);
        places[1].queued[i] = -1;
    }
    CHECK_EQ(listen(places[1].fd, 64), 0);
    CHECK_RES(answer_of(&op), 0);
    CHECK(is_connected_to(&op.s, &places[1]));
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(the_families_alternate, stopped)
{
    struct op op = to("SSss");
    char expected[NART_CONNECT_TEXT];

    op.limit = 250 * NART_MS + 1; /* enough for two */
    op_start(rt, &op);
    advance(250 * NART_MS);
    advance(1);
    CHECK_RES(op.res, -ETIMEDOUT);
    snprintf(expected, sizeof expected, "%s: pending; %s: not tried; %s: pending; %s: not tried",
             text_of(&places[0].at), text_of(&places[1].at), text_of(&places[2].at),
             text_of(&places[3].at));
    CHECK_STR(op.connect.text, expected);
}

TEST_WITH(when_all_have_failed_the_text_says_how, stopped)
{
    struct op op = to("Rr");
    char expected[NART_CONNECT_TEXT];

    CHECK_RES(nart_addr_parse(&op.at[op.n++], "255.255.255.255:80"), 0);
    op_start(rt, &op);
    CHECK_RES(answer_of(&op), -ENETUNREACH); /* that of the last one */
    snprintf(expected, sizeof expected,
             "%s: ECONNREFUSED; %s: ECONNREFUSED; 255.255.255.255:80: ENETUNREACH",
             text_of(&places[0].at), text_of(&places[1].at));
    CHECK_STR(op.connect.text, expected);
    CHECK_RES(nart_tcp_fd(&op.s), -EBADF);
    op_start(rt, &op); /* the operation can be used again */
    CHECK_RES(answer_of(&op), -ENETUNREACH);
    CHECK_STR(op.connect.text, expected);
}

TEST_WITH(a_text_that_does_not_fit_ends_in_dots, stopped)
{
    struct op op = { .limit = NART_NEVER };

    for (; op.n < NART_CONNECT_MAX; op.n++)
        CHECK_RES(nart_addr_parse(&op.at[op.n], "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"),
                  0);
    op.limit = 1;
    op_start(rt, &op);
    advance(1);
    CHECK_LE(op.res, -1);
    CHECK_EQ(strlen(op.connect.text), NART_CONNECT_TEXT - 1);
    CHECK_STR(op.connect.text + NART_CONNECT_TEXT - 4, "...");
}

/* ---- ways to leave ---- */

TEST_WITH(a_deadline_closes_all_attempts, stopped)
{
    struct op op = to("ss");
    int before = descriptors();

    op.limit = 300 * NART_MS;
    op_start(rt, &op);
    advance(250 * NART_MS);
    CHECK_EQ(descriptors(), before + 2);
    advance(50 * NART_MS);
    CHECK_RES(op.res, -ETIMEDOUT);
    CHECK_EQ(descriptors(), before);
}

TEST_WITH(a_cancelled_connect_closes_all_attempts, stopped)
{
    struct op op = to("ss");
    int before = descriptors();

    op_start(rt, &op);
    advance(250 * NART_MS);
    CHECK_EQ(descriptors(), before + 2);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    settle(rt);
    CHECK_RES(op.res, -ECANCELED);
    CHECK_EQ(descriptors(), before);
    char expected[NART_CONNECT_TEXT];
    snprintf(expected, sizeof expected, "%s: pending; %s: pending", text_of(&places[0].at),
             text_of(&places[1].at));
    CHECK_STR(op.connect.text, expected);
}

TEST_WITH(an_aborted_connect_closes_all_attempts, stopped)
{
    struct op op = to("ss");
    int before = descriptors();

    op_start(rt, &op);
    advance(250 * NART_MS);
    CHECK_RES(nart_task_abort(rt, op.id), 0);
    settle(rt);
    CHECK_EQ(descriptors(), before);
}

struct racer {
    nart_co co;
    nart_timer timer;
    struct op *op;
    int *open;
    int which;
};

/* Loses a race, and then wins one. */
static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(f->which, r, nart_sleep(cx, &f->timer, 300 * NART_MS), op_connect(cx, f->op));
    CHECK_EQ(f->which, 0);
    *f->open = descriptors();
    NART_AWAIT_ANY(f->which, r, op_connect(cx, f->op), nart_sleep(cx, &f->timer, NART_SEC));
    f->op->res = r;
    NART_END(f->which);
}

TYPE(racer, racer_run);

TEST_WITH(a_lost_race_closes_all_attempts_at_once, stopped)
{
    struct op op = to("ssa");
    nart_join join;
    int before = descriptors(), open = 0;

    spawn(rt, &racer_type, &(struct racer){ .op = &op, .open = &open }, &join);
    settle(rt);
    advance(250 * NART_MS);
    CHECK_EQ(descriptors(), before + 2);
    advance(50 * NART_MS);
    CHECK_EQ(open, before);
    CHECK_EQ(descriptors(), before + 1); /* it has restarted */
    advance(250 * NART_MS);
    advance(250 * NART_MS);
    finish(rt, &join);
    CHECK_RES(op.res, 0);
    CHECK(is_connected_to(&op.s, &places[2]));
    CHECK_EQ(descriptors(), before + 1);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

/* Stops waiting without an answer: the poll ends without a call of the operation. */
struct leaver {
    struct op *op;
    int polls;
};

static nart_res leaver_run(nart_cx *cx, void *frame)
{
    struct leaver *f = frame;

    f->op->waker = nart_cx_waker(cx);
    return f->polls++ == 0 ? op_connect(cx, f->op) : nart_op_park(cx);
}

TYPE(leaver, leaver_run);

TEST_WITH(a_poll_that_does_not_call_it_again_closes_all_attempts, stopped)
{
    struct op op = to("s");
    nart_join join;
    int before = descriptors();

    spawn(rt, &leaver_type, &(struct leaver){ .op = &op }, &join);
    settle(rt);
    CHECK_EQ(descriptors(), before + 1);
    nart_waker_wake(op.waker);
    settle(rt);
    CHECK_EQ(descriptors(), before);
    CHECK_RES(nart_task_abort(rt, nart_join_task(&join)), 0);
    settle(rt);
    nart_join_release(&join);
}

TEST_WITH(polls_for_no_reason_change_nothing, stopped)
{
    struct op op = to("ss");
    int before = descriptors();

    op_start(rt, &op);
    advance(250 * NART_MS);
    for (int i = 0; i < 1000; i++) {
        nart_waker_wake(op.waker);
        CHECK_LE(1, nart_rt_poll(rt, 0));
    }
    CHECK_RES(op.res, NART_PENDING);
    CHECK_EQ(descriptors(), before + 2);
    nart_rt_free(rt);
    CHECK_EQ(descriptors() < before, true);
    rt = new_rt(); /* for the fixture */
}

/* Spends the budget of the poll before the operation is called again. */
static nart_res spender_run(nart_cx *cx, void *frame)
{
    struct leaver *f = frame;

    f->op->waker = nart_cx_waker(cx);
    if (f->polls++ == 1)
        for (int i = 0; i < NART_BUDGET; i++)
            CHECK_RES(nart_op_enter(cx), 0);
    return f->op->res = op_connect(cx, f->op);
}

static const nart_task_type spender_type = NART_TASK_TYPE(struct leaver, spender_run, NULL);

TEST_WITH(it_continues_to_wait_after_a_spent_budget, stopped)
{
    struct op op = to("sa");
    nart_join join;
    int before = descriptors();

    spawn(rt, &spender_type, &(struct leaver){ .op = &op }, &join);
    settle(rt);
    nart_waker_wake(op.waker);
    settle(rt);
    CHECK_EQ(descriptors(), before + 1);
    advance(250 * NART_MS);
    finish(rt, &join);
    CHECK_RES(op.res, 0);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

/* ---- refusals ---- */

static nart_res now(struct op *op)
{
    op_start(rt, op);
    return answer_of(op);
}

TEST_WITH(bad_arguments_are_refused, stopped)
{
    nart_connect_opts opts = NART_CONNECT_OPTS_INIT;
    nart_connect_attempt report;
    struct op op = to("a");

    op.n = 0;
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.connect.text, "1 to 16 addresses are needed");
    op.n = NART_CONNECT_MAX + 1;
    CHECK_RES(now(&op), -EINVAL);
    op.n = 2;
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.connect.text, "address 1 is neither of IPv4 nor of IPv6");
    op.at[1] = op.at[0];
    op.at[1].storage.ss_family = AF_UNIX;
    CHECK_RES(now(&op), -EAFNOSUPPORT);
    CHECK_STR(op.connect.text, "address 1 is neither of IPv4 nor of IPv6");
    CHECK_RES(nart_addr_parse(&op.at[1], "127.0.0.1:0"), 0);
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.connect.text, "address 1 has port 0: set the port of the server");
    op.n = 1;
    op.opts = &opts;
    opts.attempt_delay = -1;
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.connect.text, "attempt_delay is negative");
    opts.attempt_delay = 0;
    opts.max_report = 1;
    CHECK_RES(now(&op), -EINVAL);
    CHECK_STR(op.connect.text, "report and max_report need each other");
    opts.max_report = 0;
    opts.report = &report;
    CHECK_RES(now(&op), -EINVAL);
    opts.report = NULL;
    opts.size++;
    CHECK_RES(now(&op), NART_EABI);
    op.opts = NULL;
    CHECK_RES(now(&op), 0);
    CHECK_RES(now(&op), -EISCONN);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(an_operation_in_use_is_refused, stopped)
{
    struct op op = to("sa");
    nart_join join;
    nart_res answer;

    op_start(rt, &op);
    spawn(rt, &leaver_type, &(struct leaver){ .op = &op }, &join);
    settle(rt);
    CHECK(nart_join_done(&join));
    CHECK_RES(await_now(rt, &join, &answer), 0);
    CHECK_RES(answer, -EBUSY);
    advance(250 * NART_MS);
    CHECK_RES(answer_of(&op), 0); /* it is unaffected */
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(a_socket_that_was_opened_meanwhile_is_kept, stopped)
{
    struct op op = to("sa");
    int before = descriptors();

    op_start(rt, &op);
    int peer = tcp_pair(rt, &op.s);
    advance(250 * NART_MS);
    CHECK_RES(answer_of(&op), -EISCONN);
    CHECK_RES(send_now(rt, &op.s, "abc"), 3);
    CHECK_EQ(descriptors(), before + 2);
    close(peer);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

TEST_WITH(without_descriptors_it_fails, stopped)
{
    struct op op = to("a");
    struct rlimit before;
    char expected[NART_CONNECT_TEXT];

    op.at[op.n++] = places[0].at;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, before.rlim_max }), 0);
    CHECK_RES(now(&op), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    snprintf(expected, sizeof expected, "%s: EMFILE; %s: EMFILE", text_of(&places[0].at),
             text_of(&places[0].at));
    CHECK_STR(op.connect.text, expected);
}

TEST(beyond_the_limit_of_the_runtime_it_continues_with_what_it_has)
{
    rt = NEW_RT(.max_io = 2);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    struct op op = to("ssa");

    op.limit = NART_SEC;
    op_start(rt, &op);
    for (int i = 0; i < 4; i++)
        advance(250 * NART_MS);
    CHECK_RES(op.res, -ETIMEDOUT);
    CHECK(strstr(op.connect.text, ": pending; "));
    CHECK(strstr(op.connect.text, ": NART_EFDS"));
    stopped_close();
}

static nart_res by_hand_run(nart_cx *cx, void *frame)
{
    struct leaver *f = frame;
    return op_connect(cx, f->op);
}

TEST_WITH(a_driver_without_descriptors_is_refused, stopped)
{
    static const nart_task_type type = NART_TASK_TYPE(struct leaver, by_hand_run, NULL);
    struct op op = to("a");
    struct by_hand h;
    nart__task t = { .slot = 0 };

    by_hand_open(&h, 0);
    nart_driver_task_init(&t, &type, &(struct leaver){ .op = &op }, &h.cx);
    CHECK_RES(nart_driver_poll(&h.cx, &t), NART_EDRIVER);
    CHECK_RES(op_connect(&h.cx, &op), -EPERM); /* outside of a poll */
}

/* ---- moved while it waits, freed with its runtime ---- */

static void overwrite_in_use(void *arg)
{
    (void)arg;
    stopped_open();
    struct op op = to("s");
    op_start(rt, &op);
    memset(&op.connect, 0, sizeof op.connect);
    nart_task_cancel(rt, op.id);
    settle(rt);
}

TEST(overwriting_it_while_a_task_waits_is_reported)
{
    CHECK_DIES(overwrite_in_use, NULL, "copied or moved");
}

TEST(freeing_the_runtime_closes_all_attempts)
{
    paused_open();
    paused_close(); /* what remains open is used by the next runtime */
    int before = descriptors();
    paused_open();
    struct op op = to("ss");

    op_start(rt, &op);
    advance(250 * NART_MS);
    paused_close();
    CHECK_EQ(descriptors(), before + 2 * (QUEUED + 1));
    places_close();
}

/* ---- fibers ---- */

static nart_res in_a_fiber(nart_cx *cx, void *arg)
{
    struct op *op = arg;
    static nart_connect connect;
    nart_res r = nart_await_for(cx, 300 * NART_MS,
                                nart_tcp_connect_any(cx, &connect, &op->s, op->at, 2, NULL));

    CHECK_RES(r, -ETIMEDOUT);
    return nart_await(cx, nart_tcp_connect_any(cx, &connect, &op->s, op->at, 3, NULL));
}

TEST_WITH(a_fiber_connects_likewise, stopped)
{
    struct op op = to("ssa");
    nart_join join;
    nart_res answer;
    int before = descriptors();

    nart_res r = nart_rt_fiber_spawn(rt, in_a_fiber, &op, NULL, &join);
    if (r == -ENOSYS)
        SKIP("no fibers on this processor");
    CHECK_RES(r, 0);
    settle(rt);
    advance(250 * NART_MS);
    CHECK_EQ(descriptors(), before + 2);
    advance(50 * NART_MS);
    CHECK_EQ(descriptors(), before + 1);
    advance(250 * NART_MS);
    advance(250 * NART_MS);
    while (!nart_join_done(&join))
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    CHECK_RES(await_now(rt, &join, &answer), 0);
    CHECK_RES(answer, 0);
    CHECK(is_connected_to(&op.s, &places[2]));
    CHECK_EQ(descriptors(), before + 1);
    CHECK_RES(nart_tcp_close(&op.s), 0);
}

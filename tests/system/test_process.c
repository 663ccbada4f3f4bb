/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Children: how they end, are awaited, stopped and closed, and what they write. */
#include "process_test.h"
#include "threads.h"

#include <fcntl.h>
#include <stdlib.h>

/* A child that repeats what it reads until its input ends; it ignores SIGTERM if `deaf`. */
struct echo {
    nart_process p;
    nart_fd in, out;
    int fds[2]; /* of these handles, as duplicates */
};

static int dup_of(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    CHECK_LE(0, copy);
    return copy;
}

static void echo_says(const struct echo *e, const char *text)
{
    char buf[64];

    CHECK_EQ(write(e->fds[0], text, strlen(text)), (ssize_t)strlen(text));
    read_pipe(e->fds[1], buf, sizeof buf);
    CHECK_STR(buf, text);
}

static nart_res pipe_fd(const nart_fd *h)
{
    return h->io.drv->io_fd(h->io.host, h->io.id);
}

static void echo_open(struct echo *e, bool deaf, uint32_t flags)
{
    CHECK_RES(nart_process_spawn(rt,
                                 &OPTS(deaf ? "trap '' TERM; exec cat" : "exec cat", .flags = flags,
                                       .in = { .kind = NART_STDIO_PIPE, .pipe = &e->in },
                                       .out = { .kind = NART_STDIO_PIPE, .pipe = &e->out }),
                                 &e->p),
              0);
    CHECK(!e->p.failed);
    e->fds[0] = dup_of((int)pipe_fd(&e->in));
    e->fds[1] = dup_of((int)pipe_fd(&e->out));
    echo_says(e, "ready\n");
}

static void echo_finish(struct echo *e)
{
    CHECK_RES(nart_process_close(&e->p), 0);
    CHECK_RES(nart_fd_close(&e->in), 0);
    CHECK_RES(nart_fd_close(&e->out), 0);
    close(e->fds[0]);
    close(e->fds[1]);
}

static bool echo_is_dead(const struct echo *e)
{
    char buf[8];
    return read_pipe(e->fds[1], buf, sizeof buf) == 0;
}

/* ---- the end ---- */

TEST_WITH(a_child_exits_or_is_killed_by_a_signal, rt)
{
    nart_process_status s = status_of(&SH("exit 7"));
    CHECK_EQ(s.code, 7);
    CHECK_EQ(s.signal, 0);
    s = status_of(&SH("kill -s KILL $$"));
    CHECK_EQ(s.code, 0);
    CHECK_EQ(s.signal, SIGKILL);
    CHECK(no_child());
}

static nart_res fiber_waits(nart_cx *cx, void *arg)
{
    nart_process p;
    nart_process_status s;

    (void)arg;
    nart_res r = nart_process_spawn_here(cx, &SH("exit 5"), &p);
    if (r == 0)
        r = nart_await(cx, nart_process_wait(cx, &p, &s));
    if (r == 0)
        r = nart_process_close(&p);
    return r ? r : s.code;
}

TEST_WITH(a_fiber_waits, rt)
{
    nart_res r = 0;
    CHECK_RES(nart_fiber_block_on(rt, fiber_waits, NULL, NULL, &r), 0);
    CHECK_RES(r, 5);
}

TEST_WITH(further_waits_answer_the_same_and_signals_are_refused, rt)
{
    nart_process p;

    CHECK_RES(nart_process_spawn(rt, &SH("exit 3"), &p), 0);
    CHECK_LE(1, p.pid);
    CHECK_EQ(ended(&p).code, 3);
    CHECK_EQ(ended(&p).code, 3);
    CHECK_RES(nart_process_kill(&p, SIGTERM), -ESRCH);
    CHECK_RES(nart_process_close(&p), 0);
}

TEST_WITH(a_child_that_has_ended_can_be_signalled_until_it_is_reaped, rt)
{
    nart_process p;

    CHECK_RES(nart_process_spawn(rt, &SH("exit 3"), &p), 0);
    one_has_ended();
    CHECK_RES(nart_process_kill(&p, SIGTERM), 0);
    CHECK_RES(nart_process_kill(&p, -1), -EINVAL);
    CHECK_EQ(ended(&p).code, 3);
    CHECK_RES(nart_process_close(&p), 0);
}

TEST_WITH(a_status_that_somebody_else_reaped_is_lost, rt)
{
    nart_process p;
    struct op op = op_of(WAITS, &p);

    CHECK_RES(nart_process_spawn(rt, &SH("exit 3"), &p), 0);
    CHECK_EQ(waitpid(-1, NULL, 0), p.pid);
    op_spawn(rt, &op);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(op.res, -ECHILD);
    CHECK_RES(nart_process_close(&p), 0);
}

/* ---- leaving a wait ---- */

static void echo_survives(const struct echo *e, const struct op *op, nart_res answer)
{
    settle(rt);
    CHECK_RES(op->res, answer);
    echo_says(e, "alive\n");
}

TEST_WITH(a_wait_that_is_left_leaves_the_child_running, rt)
{
    struct echo e;

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    echo_open(&e, false, 0);
    struct op op = op_of(WAITS, &e.p);
    op_start(rt, &op);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    echo_survives(&e, &op, -ECANCELED);
    op = op_of(WAITS, &e.p);
    op.limit = NART_SEC;
    op_start(rt, &op);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    echo_survives(&e, &op, -ETIMEDOUT);
    op = op_of(WAITS, &e.p);
    op.beside = true;
    op_start(rt, &op);
    echo_survives(&e, &op, 77);
    CHECK_RES(nart_process_kill(&e.p, SIGUSR1), 0);
    CHECK_EQ(ended(&e.p).signal, SIGUSR1);
    echo_finish(&e);
}

TEST_WITH(a_second_waiter_is_refused, rt)
{
    struct echo e;

    echo_open(&e, false, 0);
    struct op first = op_of(WAITS, &e.p), second = op_of(WAITS, &e.p);
    op_start(rt, &first);
    op_start(rt, &second);
    CHECK_RES(second.res, -EBUSY);
    CHECK_RES(nart_process_kill(&e.p, SIGKILL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(first.res, 0);
    echo_finish(&e);
}

/* ---- stopping ---- */

TEST_WITH(a_child_is_stopped_by_sigterm, rt)
{
    struct echo e;

    echo_open(&e, false, 0);
    struct op op = op_of(STOPS, &e.p);
    op_spawn(rt, &op);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.status.signal, SIGTERM);
    echo_finish(&e);
}

TEST_WITH(a_child_that_ignores_sigterm_is_killed_after_the_time_of_grace, rt)
{
    struct echo e;

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    echo_open(&e, true, NART_PROCESS_GROUP);
    struct op op = op_of(STOPS, &e.p);
    op_start(rt, &op);
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC - 1), 0);
    echo_survives(&e, &op, NART_PENDING);
    CHECK_RES(nart_rt_clock_advance(rt, 1), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.status.signal, SIGKILL);
    echo_finish(&e);
}

/* ---- closing ---- */

TEST_WITH(closing_wakes_the_waiter_and_leaves_the_child_to_be_reaped_later, rt)
{
    struct echo e;

    echo_open(&e, false, 0);
    struct op op = op_of(WAITS, &e.p);
    op_start(rt, &op);
    CHECK_RES(nart_process_close(&e.p), 0);
    echo_survives(&e, &op, -EBADF);
    echo_finish(&e); /* ends its input */
    all_are_reaped();
}

TEST_WITH(a_child_whose_handle_is_closed_is_reaped_by_the_loop_which_does_not_wait, rt)
{
    struct echo a, b;

    echo_open(&a, false, 0);
    echo_open(&b, false, NART_PROCESS_GROUP);
    CHECK_RES(nart_process_close(&a.p), 0);
    CHECK_RES(nart_process_close(&b.p), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    echo_says(&a, "alive\n");
    echo_says(&b, "alive\n");
    echo_finish(&a); /* ends its input */
    echo_finish(&b);
    reaped_by_the_loop();
}

TEST(a_child_whose_handle_is_closed_is_reaped_after_its_runtime_was_freed)
{
    struct echo e;

    rt_open();
    echo_open(&e, false, 0);
    CHECK_RES(nart_process_close(&e.p), 0);
    rt_close();
    echo_says(&e, "alive\n");
    echo_finish(&e);
    one_has_ended();
    rt_open();
    all_are_reaped();
    rt_close();
}

TEST_EACH(the_group_of_a_child_that_was_awaited_is_reached, 2, 4)
{
    nart_process p;
    nart_fd pipe;
    char buf[8];

    rt_open();
    CHECK_RES(nart_process_spawn(
                  rt,
                  &OPTS("sleep 1000 & exit 5", .flags = kind, .out = { NART_STDIO_PIPE, 0, &pipe }),
                  &p),
              0);
    CHECK_EQ(ended(&p).code, 5);
    CHECK_EQ(ended(&p).code, 5);
    CHECK_RES(nart_process_kill_group(&p, SIGKILL), 0);
    CHECK_EQ(read_pipe((int)nart_fd_fd(&pipe), buf, sizeof buf), 0); /* all have ended */
    CHECK_RES(nart_fd_close(&pipe), 0);
    CHECK_EQ(waitpid(-1, NULL, 0), p.pid); /* somebody else reaps it: its number is free */
    CHECK_RES(nart_process_kill_group(&p, SIGKILL), -ESRCH);
    CHECK_RES(nart_process_close(&p), 0);
    rt_close();
}

TEST_EACH(closing_kills_if_asked, 0, 2, 4)
{
    struct echo e;

    rt_open();
    echo_open(&e, true, NART_PROCESS_KILL | kind);
    CHECK_RES(nart_process_close(&e.p), 0);
    CHECK(echo_is_dead(&e));
    echo_finish(&e);
    all_are_reaped();
    rt_close();
}

TEST_EACH(closing_kills_the_group_of_a_child_that_has_ended, 2, 4)
{
    nart_process p;
    nart_fd pipe;
    char buf[8];

    rt_open();
    CHECK_RES(nart_process_spawn(rt,
                                 &OPTS("sleep 1000 & exit 0", .flags = NART_PROCESS_KILL | kind,
                                       .out = { NART_STDIO_PIPE, 0, &pipe }),
                                 &p),
              0);
    one_has_ended();
    CHECK_RES(nart_process_close(&p), 0);
    CHECK_EQ(read_pipe((int)nart_fd_fd(&pipe), buf, sizeof buf), 0); /* all have ended */
    CHECK_RES(nart_fd_close(&pipe), 0);
    CHECK(no_child());
    rt_close();
}

TEST(a_child_outlives_the_runtime)
{
    struct echo e;

    rt_open();
    echo_open(&e, false, 0);
    rt_close();
    echo_says(&e, "alive\n");
    CHECK_RES(nart_process_kill(&e.p, SIGKILL), 0);
    CHECK(echo_is_dead(&e));
    one_has_ended();
    echo_finish(&e);
    CHECK(no_child());
}

static void close_in_fork(void *arg)
{
    struct echo *e = arg;
    nart_process p;

    CHECK_RES(nart_process_spawn(rt, &SH("exit 0"), &p), NART_EFORK);
    CHECK_RES(nart_process_close(&e->p), 0);
}

TEST_WITH(a_forked_process_neither_kills_nor_reaps_the_children_of_its_parent, rt)
{
    struct echo e;

    echo_open(&e, false, NART_PROCESS_KILL);
    in_fork(close_in_fork, &e);
    echo_says(&e, "alive\n");
    CHECK_RES(nart_process_kill(&e.p, SIGUSR2), 0);
    CHECK_EQ(ended(&e.p).signal, SIGUSR2);
    echo_finish(&e);
}

static void *on_another_thread(void *arg)
{
    struct echo *e = arg;
    nart_process p;

    CHECK_RES(nart_process_spawn(rt, &SH("exit 0"), &p), NART_EWRONGTHREAD);
    CHECK_RES(nart_process_close(&e->p), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(another_thread_is_refused, rt)
{
    struct echo e;

    echo_open(&e, false, NART_PROCESS_KILL);
    settle(rt);
    thread_run(on_another_thread, &e);
    echo_says(&e, "alive\n");
    CHECK_RES(nart_process_kill(&e.p, SIGKILL), 0);
    CHECK_EQ(ended(&e.p).signal, SIGKILL);
    echo_finish(&e);
}

TEST_WITH(a_closed_handle, rt)
{
    nart_process p = { .pid = 0 };
    struct op op = op_of(WAITS, &p);

    op_start(rt, &op);
    CHECK_RES(op.res, -EBADF);
    op = op_of(STOPS, &p);
    op_start(rt, &op);
    CHECK_RES(op.res, -EBADF);
    CHECK_RES(nart_process_kill(&p, SIGTERM), -EBADF);
    CHECK_RES(nart_process_kill_group(&p, SIGTERM), -EBADF);
    CHECK_RES(nart_process_close(&p), 0);
    CHECK_RES(nart_process_close(NULL), 0);
}

/* ---- runs ---- */

static char out[1000], err[10];

static void run_started(struct op *op, nart_process_output *o, const nart_process_opts *opts)
{
    *o = (nart_process_output){
        .out = out, .out_size = sizeof out, .err = err, .err_size = sizeof err
    };
    memset(out, 0, sizeof out);
    memset(err, 0, sizeof err);
    *op = op_of(RUNS, NULL);
    op->opts = opts;
    op->run = o;
    op_start(rt, op);
}

static nart_res run(nart_process_output *o, const nart_process_opts *opts)
{
    struct op op;

    run_started(&op, o, opts);
    CHECK_RES(nart_rt_run(rt), 0);
    return op.res;
}

TEST_WITH(a_run_collects_both_outputs, rt)
{
    nart_process_output o;

    CHECK_RES(run(&o, &SH("cat; echo one; echo two >&2; exit 4")), 0);
    CHECK_STR(out, "one\n");
    CHECK_STR(err, "two\n");
    CHECK_EQ(o.out_len, 4);
    CHECK_EQ(o.err_len, 4);
    CHECK_EQ(o.status.code, 4);
    CHECK(no_child());
}

TEST_WITH(megabytes_on_both_outputs_are_counted_and_discarded, rt)
{
    nart_process_output o;

    CHECK_RES(run(&o, &SH("head -c 3000000 /dev/zero >&2 & head -c 2000000 /dev/zero; wait")), 0);
    CHECK_EQ(o.out_len, 2000000);
    CHECK_EQ(o.err_len, 3000000);
}

TEST_WITH(a_child_may_close_its_outputs, rt)
{
    nart_process_output o;

    CHECK_RES(run(&o, &SH("exec >&- 2>&-; exit 3")), 0);
    CHECK_EQ(o.status.code, 3);
    CHECK_EQ(o.out_len, 0);
}

/* The process that is left behind keeps the pipes open. */
TEST_WITH(a_run_does_not_wait_for_grandchildren, rt)
{
    nart_process_output o;

    CHECK_RES(run(&o, &SH("sleep 1000 & echo $!")), 0);
    CHECK_EQ(o.status.code, 0);
    CHECK_EQ(kill((pid_t)atoi(out), SIGKILL), 0);
}

TEST_WITH(a_run_that_has_ended_when_its_deadline_passes_answers, rt)
{
    int fds[2];
    bool readable = true;
    nart_process_output o = { .out = out, .out_size = sizeof out };
    struct op op = op_of(RUNS, NULL);

    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    const nart_process_fd pass = { fds[0], 9 };
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    op.limit = NART_SEC;
    op.opts = &OPTS("sleep 1000 & echo $!; read line <&9; exit 4", .fds = &pass, .nfds = 1);
    op.run = &o;
    op_start(rt, &op);
    CHECK_RES(op.res, NART_PENDING);
    close(fds[1]); /* ends the child */
    one_has_ended();
    CHECK_RES(nart_rt_clock_advance(rt, NART_SEC), 0);
    CHECK_RES(nart_rt_poll_edge(rt, &readable), 1); /* finds the end, and then the deadline */
    CHECK_RES(op.res, 0);
    CHECK_EQ(o.status.code, 4);
    CHECK_EQ(kill((pid_t)atoi(out), SIGKILL), 0);
    close(fds[0]);
}

TEST_WITH(a_run_that_is_too_late_is_killed_with_its_group, rt)
{
    int fds[2];
    char buf[8];
    nart_process_output o;
    struct op op;

    CHECK_EQ(pipe(fds), 0);
    nart_process_fd pass = { fds[1], 9 };
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    const nart_process_opts opts =
        OPTS("trap '' TERM; echo x >&9; sleep 1000 & sleep 1000", .fds = &pass, .nfds = 1);
    run_started(&op, &o, &opts);
    read_pipe(fds[0], buf, sizeof buf);
    close(fds[1]);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(op.res, -ECANCELED);
    CHECK_EQ(read_pipe(fds[0], buf, sizeof buf), 0); /* all have ended */
    close(fds[0]);
    all_are_reaped();
}

TEST_WITH(a_run_of_no_program_names_the_step, rt)
{
    nart_process_output o;

    CHECK_RES(run(&o, &OPTS("", .file = "/no/such")), -ENOENT);
    CHECK_STR(o.process.failed, "execute the program");
    CHECK_RES(run(&o, NULL), -EINVAL);
    CHECK_RES(run(&o, &(nart_process_opts){ .size = 8 }), NART_EABI);
    nart_process_output_finish(NULL);
}

TEST_WITH(a_run_in_a_cancelled_task_starts_nothing, rt)
{
    nart_process_output run = { .out = NULL };
    struct op op = op_of(RUNS, NULL);

    op.opts = &SH("sleep 9");
    op.run = &run;
    op_spawn(rt, &op);
    CHECK_RES(nart_task_cancel(rt, op.id), 0);
    settle(rt);
    CHECK_RES(op.res, -ECANCELED);
    CHECK(no_child());
}

TEST_WITH(a_run_that_is_finished_by_other_code_does_not_begin_anew, rt)
{
    nart_process_output run = { .out = NULL };
    struct op op = op_of(RUNS, NULL);

    op.opts = &SH("sleep 9");
    op.run = &run;
    op_start(rt, &op);
    nart_process_output_finish(&run);
    settle(rt);
    CHECK_RES(op.res, -EBADF);
    reaped_by_the_loop();
    op.opts = &SH("exit 3");
    run = (nart_process_output){ .out = NULL };
    op_spawn(rt, &op);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(op.res, 0);
    CHECK_EQ(run.status.code, 3);
}

TEST_WITH(pipes_are_closed_whatever_the_error, rt)
{
    nart_fd one, two;
    nart_process p;
    const nart_process_opts twice = OPTS("exit 0", .out = { NART_STDIO_PIPE, 0, &one },
                                         .err = { NART_STDIO_PIPE, 0, &one }),
                            flags = OPTS("exit 0", .out = { NART_STDIO_PIPE, 0, &one },
                                         .err = { NART_STDIO_PIPE, 0, &two }, .flags = 1u << 31);

    memset(&one, 0x55, sizeof one);
    CHECK_RES(nart_process_spawn(rt, &twice, &p), -EINVAL);
    CHECK(!one.io.drv);
    memset(&one, 0x55, sizeof one);
    memset(&two, 0x55, sizeof two);
    CHECK_RES(nart_process_spawn(rt, &flags, &p), -EINVAL);
    CHECK(!one.io.drv && !two.io.drv);
    memset(&one, 0x55, sizeof one);
    CHECK_RES(nart_process_spawn(NULL, &flags, &p), -EINVAL);
    CHECK(!one.io.drv);
}

TEST_WITH(thousands_of_children_leave_nothing, rt)
{
    const nart_process_opts opts = OPTS("", .file = "true");

    for (uint64_t i = test_repeat(3000); i > 0; i--) {
        nart_process p;
        CHECK_RES(nart_process_spawn(rt, &opts, &p), 0);
        if (i % 2)
            CHECK_EQ(ended(&p).code, 0);
        CHECK_RES(nart_process_close(&p), 0);
    }
    all_are_reaped();
}

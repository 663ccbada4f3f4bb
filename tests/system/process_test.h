/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* process_test.h: children that run shell scripts, and what they write. */
#ifndef PROCESS_TEST_H
#define PROCESS_TEST_H

#include "op.h"

#include <nart/driver.h>
#include <nart/fiber.h>
#include <nart/process.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE_RT();

enum { WAITS, STOPS, RUNS };

struct op {
    OP_FIELDS;
    int does;
    bool beside; /* lost a race against an operation that answers in the second poll */
    int asked;
    nart_process *p;
    nart_process_status status;
    const nart_process_opts *opts;
    nart_process_output *run;
};

static inline nart_res do_op(nart_cx *cx, struct op *op)
{
    if (op->beside && op->asked++ > 0)
        return 77;
    if (op->beside)
        nart_wake_self(cx);
    switch (op->does) {
    case STOPS:
        return nart_process_stop(cx, op->p, NART_SEC, &op->status);
    case RUNS:
        return nart_process_run(cx, op->opts, op->run);
    default:
        return nart_process_wait(cx, op->p, &op->status);
    }
}

OP_TASK(do_op);

static inline struct op op_of(int does, nart_process *p)
{
    return (struct op){ .limit = NART_NEVER, .does = does, .p = p };
}

/* The arguments that run a script. */
#define SCRIPT(text)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        "sh", "-c", (text), NULL                                                                   \
    }

#define OPTS(text, ...)                                                                            \
    ((const nart_process_opts){                                                                    \
        .size = sizeof(nart_process_opts), .argv = SCRIPT(text), __VA_ARGS__ })

#define SH(text) OPTS(text, .flags = 0)

/* Waits for a child, which has to end. */
static inline nart_process_status ended(nart_process *p)
{
    struct op op = op_of(WAITS, p);
    op_spawn(rt, &op);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(op.res, 0);
    return op.status;
}

/* Runs a child to its end and closes it: its status. */
static inline nart_process_status status_of(const nart_process_opts *opts)
{
    nart_process p;

    CHECK_RES(nart_process_spawn(rt, opts, &p), 0);
    nart_process_status s = ended(&p);
    CHECK_RES(nart_process_close(&p), 0);
    return s;
}

/* Blocks until the pipe has bytes or has ended, and reads. */
static inline size_t read_pipe(int fd, char *buf, size_t size)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    CHECK_EQ(poll(&p, 1, -1), 1);
    ssize_t n = read(fd, buf, size - 1);
    CHECK_LE(0, n);
    buf[n] = '\0';
    return (size_t)n;
}

/* This process has no child, not even one that has ended. */
static inline bool no_child(void)
{
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

/* Blocks until a child has ended, which stays to be reaped. */
static inline void one_has_ended(void)
{
    siginfo_t info;
    CHECK_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
}

/* The loop reaps all children that have ended, until none is left. */
static inline void reaped_by_the_loop(void)
{
    siginfo_t info;

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
        settle(rt);
    CHECK_EQ(errno, ECHILD);
}

/* Each spawn reaps those that have ended, until no child is left. */
static inline void all_are_reaped(void)
{
    siginfo_t info;

    while (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0)
        CHECK_EQ(status_of(&SH("exit 1")).code, 1);
    CHECK_EQ(errno, ECHILD);
}

/* Runs fn in a forked child, which has to return. */
static inline void in_fork(void (*fn)(void *arg), void *arg)
{
    int status;
    pid_t child = fork();

    CHECK_LE(0, child);
    if (child == 0) {
        fn(arg);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

#endif

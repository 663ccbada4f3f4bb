/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The mode of a terminal: what it does, and that it is restored whatever happens. */
#include "unix_test.h"

#include "threads.h"

#include <nart/pipe.h>

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

static nart_fd tty;
static int master, slave; /* the program at the other side, and a descriptor of the terminal */
static struct termios before;

/* A pseudo-terminal: stores both sides. */
static void pty_open(int *program, int *terminal)
{
    *program = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(*program >= 0 && grantpt(*program) == 0 && unlockpt(*program) == 0);
    *terminal = open(ptsname(*program), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(*terminal >= 0);
}

static void tty_open(void)
{
    rt_open();
    pty_open(&master, &slave);
    CHECK_EQ(tcgetattr(slave, &before), 0);
    CHECK_RES(nart_fd_reopen(rt, slave, &tty), 0);
}

static void tty_close(void)
{
    CHECK_RES(nart_fd_close(&tty), 0);
    close(master);
    close(slave);
    rt_close();
}

/* Is the mode the one from before? */
static bool is_restored(int terminal)
{
    struct termios now;

    CHECK_EQ(tcgetattr(terminal, &now), 0);
    return now.c_iflag == before.c_iflag && now.c_oflag == before.c_oflag &&
           now.c_cflag == before.c_cflag && now.c_lflag == before.c_lflag &&
           memcmp(now.c_cc, before.c_cc, sizeof now.c_cc) == 0;
}

static nart_res do_read(nart_cx *cx, struct op *op)
{
    return nart_fd_read(cx, op->h, op->buf, op->len);
}

static nart_res do_write(nart_cx *cx, struct op *op)
{
    return nart_fd_write(cx, op->h, op->buf, op->len);
}

/* What is written to the terminal as the program at the other side reads it. */
static void shows(const char *written, const char *shown)
{
    char buf[16] = "";
    size_t n = 0;

    CHECK_RES(NOW(do_write, &tty, .buf = (void *)(uintptr_t)written, .len = strlen(written)),
              (nart_res)strlen(written));
    while (n < strlen(shown)) { /* it may arrive in pieces */
        ssize_t r = read(master, buf + n, sizeof buf - 1 - n);
        CHECK_LE(1, r);
        n += (size_t)r;
    }
    CHECK_STR(buf, shown);
}

/* ---- what the modes do ---- */

TEST_EACH(keys_and_output_in_each_mode, BODY, FIBER)
{
    char buf[16] = "";
    struct op op = { .call = do_read, .h = &tty, .buf = buf, .len = sizeof buf };

    tty_open();
    shows("a\n", "a\r\n");
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_tty_set_mode(&tty, i ? NART_TTY_BYTES : NART_TTY_RAW), 0);
        op_start(&op, kind);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_EQ(write(master, "\x03", 1), 1); /* Control-C, and no line */
        CHECK_RES(op_finish(&op), 1);
        CHECK_EQ(buf[0], 3);
        CHECK_EQ(write(master, "\r", 1), 1);
        CHECK_RES(NOW(do_read, &tty, .buf = buf, .len = sizeof buf), 1);
        CHECK_EQ(buf[0], '\r');
        shows("b\n", i ? "b\n" : "b\r\n"); /* and no echo of the keys before it */
    }
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_COOKED), 0);
    CHECK(is_restored(slave));
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_COOKED), 0);
    op_start(&op, kind);
    CHECK_EQ(write(master, "line\r", 5), 5);
    CHECK_RES(op_finish(&op), 5);
    CHECK_EQ(memcmp(buf, "line\n", 5), 0);
    tty_close();
}

/* The mode from before is that of the first change, also after the handle was closed. */
TEST_WITH(another_handle_restores_the_mode, tty)
{
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_BYTES), 0);
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_RAW), 0);
    CHECK_RES(nart_fd_close(&tty), 0);
    CHECK(!is_restored(slave));
    CHECK_RES(nart_fd_reopen(rt, slave, &tty), 0);
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_COOKED), 0);
    CHECK(is_restored(slave));
}

TEST_WITH(a_reset_restores_and_the_mode_can_be_set_again, tty)
{
    CHECK_RES(nart_tty_reset(), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_RAW), 0);
        CHECK(!is_restored(slave));
        CHECK_RES(nart_tty_reset(), 0);
        CHECK(is_restored(slave));
    }
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_COOKED), 0);
}

/* ---- ends of the program ---- */

static void end_by_exit(void)
{
    exit(0);
}

static void reset_and_end(int signo)
{
    (void)signo;
    _exit(nart_tty_reset() != 0);
}

static void end_by_signal(void)
{
    const struct sigaction act = { .sa_handler = reset_and_end };

    CHECK_EQ(sigaction(SIGTERM, &act, NULL), 0);
    raise(SIGTERM);
}

static void end_at_once(void)
{
    _exit(0);
}

/* In a child with a runtime of its own. */
static void ends_by(void (*end)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        static nart_rt *own; /* reachable: it is not freed */
        nart_fd mine;
        own = NEW_RT(.max_io = 4);
        CHECK_RES(nart_fd_reopen(own, slave, &mine), 0);
        CHECK_RES(nart_tty_set_mode(&mine, NART_TTY_RAW), 0);
        end();
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

TEST_WITH(the_mode_is_restored_at_exit_and_by_a_handler, tty)
{
    ends_by(end_by_exit);
    CHECK(is_restored(slave));
    ends_by(end_by_signal);
    CHECK(is_restored(slave));
    ends_by(end_at_once);
    CHECK(!is_restored(slave)); /* so the two above have done it */
}

TEST_WITH(a_child_of_fork_restores_nothing, tty)
{
    int status = -1;

    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_RAW), 0);
    pid_t child = fork();
    if (child == 0) {
        nart_fd mine;
        nart_rt *own = NEW_RT(.max_io = 4);
        CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_COOKED), NART_EFORK);
        CHECK_RES(nart_fd_reopen(own, slave, &mine), 0);
        CHECK_RES(nart_tty_set_mode(&mine, NART_TTY_COOKED), NART_EFORK);
        CHECK_RES(nart_tty_reset(), 0);
        exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK(!is_restored(slave));
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_COOKED), 0);
}

/* ---- what is refused ---- */

static void *from_thread(void *arg)
{
    (void)arg;
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_RAW), NART_EWRONGTHREAD);
    CHECK_RES(nart_tty_reset(), 0);
    return NULL;
}

TEST_WITH(modes_that_cannot_be_set, tty)
{
    nart_fd in, out;

    CHECK_RES(nart_pipe_open(rt, &in, &out), 0);
    CHECK_RES(nart_tty_set_mode(&in, NART_TTY_RAW), -ENOTTY);
    CHECK_RES(nart_tty_set_mode(&tty, (nart_tty_mode)3), -EINVAL);
    settle(rt);
    thread_run(from_thread, NULL);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_fd_close(&out), 0);
    CHECK_RES(nart_tty_set_mode(&in, NART_TTY_RAW), -EBADF);
    CHECK(is_restored(slave));
}

TEST(the_mode_of_a_stale_handle)
{
    tty_open();
    rt_close();
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_RAW), NART_ESTALE);
    CHECK_RES(nart_fd_close(&tty), 0);
    close(master);
    close(slave);
}

/* One that is hung up gives its slot to another one. */
TEST_WITH(so_many_terminals_and_no_more, tty)
{
    enum { N = NART_TTY_MOST };
    nart_fd more[N];
    int program[N], terminal[N];

    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_RAW), 0);
    for (int i = 0; i < N; i++) {
        pty_open(&program[i], &terminal[i]);
        CHECK_RES(nart_fd_open(rt, terminal[i], NART_FD_BORROW, &more[i]), 0);
        CHECK_RES(nart_tty_set_mode(&more[i], NART_TTY_RAW), i < N - 1 ? 0 : -ENOSPC);
    }
    close(program[0]);
    CHECK_RES(nart_tty_reset(), -EIO); /* the others are restored */
    CHECK(is_restored(slave) && is_restored(terminal[1]) && is_restored(terminal[N - 2]));
    CHECK_RES(nart_tty_set_mode(&more[0], NART_TTY_COOKED), -EIO);
    CHECK_RES(nart_tty_set_mode(&more[N - 1], NART_TTY_RAW), 0);
    for (int i = 0; i < N; i++) {
        if (i > 0) {
            CHECK_RES(nart_tty_set_mode(&more[i], NART_TTY_COOKED), 0);
            close(program[i]);
        }
        CHECK_RES(nart_fd_close(&more[i]), 0);
        close(terminal[i]);
    }
    CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_COOKED), 0);
}

/* A session of its own whose foreground is another process, which waits for the end of a pipe. */
static void in_the_background(void)
{
    int hold[2];
    char byte;
    nart_fd mine;

    CHECK_LE(0, setsid());
    CHECK_EQ(ioctl(slave, TIOCSCTTY, 0), 0);
    CHECK_EQ(pipe2(hold, O_CLOEXEC), 0);
    nart_rt *own = NEW_RT(.max_io = 4);
    CHECK_RES(nart_fd_reopen(own, slave, &mine), 0);
    CHECK_RES(nart_tty_set_mode(&mine, NART_TTY_RAW), 0);
    pid_t front = fork();
    if (front == 0) {
        close(hold[1]);
        _exit(read(hold[0], &byte, 1) != 0);
    }
    CHECK_EQ(setpgid(front, front), 0);
    CHECK_EQ(tcsetpgrp(slave, front), 0);
    CHECK_RES(nart_tty_set_mode(&mine, NART_TTY_COOKED), -EIO);
    CHECK_RES(nart_tty_reset(), -EIO);
    close(hold[1]);
    CHECK_EQ(waitpid(front, NULL, 0), front);
    _exit(0);
}

TEST_WITH(the_background_changes_no_mode, tty)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        in_the_background();
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK(!is_restored(slave));
}

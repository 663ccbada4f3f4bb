/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pipes, FIFOs, terminals. */
#include "unix_test.h"

#include <nart/pipe.h>

#include <signal.h>
#include <sys/ioctl.h>

static nart_fd in, out; /* the ends of a pipe, or what a case opens */

static nart_res do_fd_read(nart_cx *cx, struct op *op)
{
    return nart_fd_read(cx, op->h, op->buf, op->len);
}

static nart_res do_fd_write(nart_cx *cx, struct op *op)
{
    return nart_fd_write(cx, op->h, op->buf, op->len);
}

static nart_res do_fd_write_all(nart_cx *cx, struct op *op)
{
    return nart_fd_write_all(cx, op->h, op->buf, op->len, &op->n);
}

static nart_res fd_write(nart_fd *h, const char *text)
{
    return NOW(do_fd_write, h, .buf = (void *)(uintptr_t)text, .len = strlen(text));
}

static void pipe_open(void)
{
    rt_open();
    signal(SIGPIPE, SIG_IGN);
    CHECK_RES(nart_pipe_open(rt, &in, &out), 0);
}

static void pipe_close(void)
{
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_fd_close(&out), 0);
    rt_close();
}

TEST_EACH(a_read_of_a_pipe_waits_and_ends, BODY, FIBER)
{
    char buf[8] = "";
    struct op op = { .call = do_fd_read, .h = &in, .buf = buf, .len = sizeof buf };

    pipe_open();
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(NOW(do_fd_read, &in, .buf = buf, .len = 8), -EBUSY);
    CHECK_RES(fd_write(&out, "hello"), 5);
    CHECK_RES(op_finish(&op), 5);
    CHECK_STR(buf, "hello");
    op_start(&op, kind);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&op.join)), 0);
    CHECK_RES(op_finish(&op), -ECANCELED);
    op.limit = 1;
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), -ETIMEDOUT);
    op.limit = 0;
    op_start(&op, kind);
    CHECK_RES(nart_fd_close(&out), 0);
    CHECK_RES(op_finish(&op), 0);
    CHECK_RES(NOW(do_fd_read, &in, .buf = buf, .len = 0), -EINVAL);
    CHECK_RES(fd_write(&out, ""), -EBADF);
    CHECK_RES(fd_write(&out, "x"), -EBADF);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(NOW(do_fd_read, &in, .buf = buf, .len = 0), -EBADF);
    pipe_close();
}

TEST_EACH(a_full_pipe_is_waited_for, BODY, FIBER)
{
    static char much[300000], got[300000];
    struct op op = { .call = do_fd_write_all, .h = &out, .buf = much, .len = sizeof much };
    size_t n = 0;

    pipe_open();
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)(i * 7 >> 3);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    while (n < sizeof got) {
        nart_res r = NOW(do_fd_read, &in, .buf = got + n, .len = sizeof got - n);
        CHECK_LE(1, r);
        n += (size_t)r;
    }
    CHECK_RES(op_finish(&op), sizeof much);
    CHECK_EQ(op.n, 0);
    CHECK_EQ(memcmp(much, got, n), 0);
    CHECK_RES(NOW(do_fd_write_all, &out, .buf = much, .len = 4, .n = 4), -EINVAL);
    CHECK_RES(fd_write(&out, ""), 0);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(fd_write(&out, "x"), -EPIPE);
    pipe_close();
}

static int parked; /* how often the budget of the poll was spent */

static nart_res do_empty_writes(nart_cx *cx, struct op *op)
{
    for (; op->n < 2 * NART_BUDGET; op->n++) {
        nart_res r = nart_fd_write_all(cx, op->h, NULL, 0, &op->len);
        parked += r == NART_PENDING;
        if (r)
            return r;
    }
    (void)nart_task_cancel(rt, nart_cx_task(cx));
    return nart_fd_write(cx, op->h, NULL, 0);
}

TEST_WITH(an_empty_write_is_an_operation, pipe)
{
    CHECK_RES(NOW(do_empty_writes, &out, .n = 0), -ECANCELED);
    CHECK_LE(1, parked);
    CHECK_RES(nart_fd_close(&out), 0);
    CHECK_RES(NOW(do_fd_write, &out, .len = 0), -EBADF);
}

TEST_WITH(opening_a_pipe_refuses_what_is_wrong, pipe)
{
    nart_fd other;

    CHECK_RES(nart_pipe_open(NULL, &other, &other), -EINVAL);
    CHECK_RES(nart_pipe_open(rt, NULL, &other), -EINVAL);
    CHECK_RES(nart_pipe_open(rt, &other, NULL), -EINVAL);
    CHECK_RES(nart_fd_reopen(rt, -1, &other), -EBADF);
    CHECK_RES(nart_fd_reopen(NULL, 0, &other), -EINVAL);
    CHECK_RES(nart_fd_reopen(rt, 0, NULL), -EINVAL);
}

/* ---- FIFOs ---- */

static const char *path;

static void fifo_open(void)
{
    rt_open();
    signal(SIGPIPE, SIG_IGN);
    (void)path_addr("fifo", &path);
    CHECK_EQ(mkfifo(path, 0600), 0);
}

static void fifo_close(void)
{
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_fd_close(&out), 0);
    CHECK_EQ(unlink(path), 0);
    rt_close();
}

TEST_EACH(the_first_read_of_a_fifo_waits_for_a_writer, BODY, FIBER)
{
    char buf[8] = "";
    struct op op = { .call = do_fd_read, .h = &in, .buf = buf, .len = sizeof buf };

    fifo_open();
    CHECK_RES(nart_fifo_open(rt, path, NART_WRITE, &out), -ENXIO);
    CHECK_RES(nart_fifo_open(rt, path, NART_READ, &in), 0);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING); /* not the end */
    CHECK_RES(nart_fifo_open(rt, path, NART_WRITE, &out), 0);
    settle(rt);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(fd_write(&out, "hi"), 2);
    CHECK_RES(op_finish(&op), 2);
    op_start(&op, kind);
    CHECK_RES(nart_fd_close(&out), 0);
    CHECK_RES(op_finish(&op), 0);
    CHECK_RES(nart_fd_close(&in), 0);

    /* What was written before it was opened. */
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK_RES(nart_fifo_open(rt, path, NART_WRITE, &out), 0);
    CHECK_RES(fd_write(&out, "before"), 6);
    CHECK_RES(nart_fifo_open(rt, path, NART_READ, &in), 0);
    close(reader);
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), 6);
    fifo_close();
}

TEST_WITH(a_fifo_that_is_opened_for_both_has_no_end, fifo)
{
    char buf[8] = "";
    struct op op = { .call = do_fd_read, .h = &in, .buf = buf, .len = sizeof buf };

    CHECK_RES(nart_fifo_open(rt, path, NART_READ | NART_WRITE, &in), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_fifo_open(rt, path, NART_WRITE, &out), 0);
        CHECK_RES(fd_write(&out, "x"), 1);
        CHECK_RES(nart_fd_close(&out), 0);
        op_start(&op, BODY);
        CHECK_RES(op_finish(&op), 1);
    }
    op_start(&op, BODY);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(op_finish(&op), -EBADF);
}

TEST_WITH(what_is_no_fifo_is_refused, fifo)
{
    nart_unix_dgram d;

    CHECK_RES(nart_fifo_open(rt, "/dev/null", NART_READ, &in), -EPROTOTYPE);
    CHECK_RES(nart_fifo_open(rt, "/", NART_WRITE, &in), -EPROTOTYPE);
    nart_addr at = path_addr("socket", &path);
    CHECK_RES(nart_unix_dgram_open(rt, &at, NULL, &d), 0);
    CHECK_RES(nart_fifo_open(rt, path, NART_READ, &in), -EPROTOTYPE);
    CHECK_RES(nart_fifo_open(rt, path, NART_WRITE, &in), -EPROTOTYPE);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    CHECK_EQ(unlink(path), 0);
    (void)path_addr("fifo", &path);
    CHECK_RES(nart_fifo_open(rt, "/nonexistent", NART_READ, &in), -ENOENT);
    CHECK_RES(nart_fifo_open(rt, "/dev/null/fifo", NART_READ, &in), -ENOTDIR);
    CHECK_RES(nart_fifo_open(rt, path, 0, &in), -EINVAL);
    CHECK_RES(nart_fifo_open(rt, path, 4, &in), -EINVAL);
    CHECK_RES(nart_fifo_open(rt, NULL, NART_READ, &in), -EINVAL);
    CHECK_RES(nart_fifo_open(rt, path, NART_READ, NULL), -EINVAL);
    CHECK_RES(nart_fifo_open(NULL, path, NART_READ, &in), -EINVAL);
}

/* ---- terminals, and the descriptors that others share ---- */

static bool nonblocking(int fd)
{
    return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

TEST_WITH(a_terminal_is_used_without_changing_it_for_others, rt)
{
    char buf[16] = "";
    struct winsize w = { .ws_row = 25, .ws_col = 80 };
    struct op op = { .call = do_fd_read, .h = &in, .buf = buf, .len = sizeof buf };
    uint32_t rows, columns;
    int other_end = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    CHECK(other_end >= 0);
    CHECK_EQ(grantpt(other_end), 0);
    CHECK_EQ(unlockpt(other_end), 0);
    int shells = open(ptsname(other_end), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(shells >= 0);
    CHECK_RES(nart_fd_reopen(rt, shells, &in), 0);
    op_start(&op, BODY);
    CHECK_RES(op.res, NART_PENDING);
    CHECK(!nonblocking(shells));
    CHECK_EQ(write(other_end, "one\ntwo\n", 8), 8);
    CHECK_RES(op_finish(&op), 4); /* a line */
    op_start(&op, BODY);
    CHECK_RES(op_finish(&op), 4); /* another one, without an event of its own */
    CHECK_STR(buf, "two\n");
    CHECK_RES(fd_write(&in, "out"), 3);

    CHECK_EQ(ioctl(other_end, TIOCSWINSZ, &w), 0);
    CHECK_RES(nart_tty_size(&in, &rows, &columns), 0);
    CHECK_EQ(rows, 25);
    CHECK_EQ(columns, 80);
    CHECK_RES(nart_tty_size(&in, NULL, &columns), -EINVAL);
    close(other_end);
    op_start(&op, BODY);
    nart_res r = op_finish(&op);
    CHECK(r == 0 || r == -EIO); /* hung up */
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_tty_size(&in, &rows, &columns), -EBADF);
    CHECK(!nonblocking(shells));
    close(shells);
}

TEST_WITH(pipes_and_files_of_others_stay_blocking, rt)
{
    char buf[8] = "", name[] = "/tmp/nart-file-XXXXXX";
    uint32_t rows, columns;
    int fds[2], file = mkstemp(name), sock[2];

    CHECK_EQ(unlink(name), 0);
    CHECK_EQ(fcntl(file, F_SETFD, FD_CLOEXEC), 0);
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_RES(nart_fd_reopen(rt, fds[0], &in), 0);
    CHECK_RES(nart_fd_reopen(rt, fds[1], &out), 0);
    CHECK(!nonblocking(fds[0]) && !nonblocking(fds[1]));

    CHECK_RES(fd_write(&out, "pipe"), 4);
    CHECK_RES(NOW(do_fd_read, &in, .buf = buf, .len = sizeof buf), 4);
    CHECK_RES(nart_tty_size(&in, &rows, &columns), -ENOTTY);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_fd_close(&out), 0);
    close(fds[0]);
    close(fds[1]);

    CHECK_EQ(write(file, "0123456", 7), 7);
    CHECK_EQ(lseek(file, 3, SEEK_SET), 3);
    CHECK_RES(nart_fd_reopen(rt, file, &in), 0);
    CHECK_RES(NOW(do_fd_read, &in, .buf = buf, .len = 2), 2);
    CHECK_EQ(memcmp(buf, "34", 2), 0); /* the position is shared */
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 5);
    CHECK_RES(nart_fd_close(&in), 0);
    close(file);

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), 0);
    CHECK_RES(nart_fd_reopen(rt, sock[0], &in), -ENXIO);
    close(sock[0]);
    close(sock[1]);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bytes of files and pipes to connected sockets, over TCP and over Unix sockets. */
#include "ends.h"

#include <limits.h>
#include <nart/pipe.h>
#include <signal.h>

enum { LEN = 2 << 20 }; /* more than the buffers of a connection */

static char *bytes; /* the contents of the file */
static int file;

static void file_open(void)
{
    char path[] = "/tmp/nart-file-XXXXXX";

    bytes = malloc(LEN);
    for (size_t i = 0; i < LEN; i++)
        bytes[i] = (char)(i * 7 + i / 255);
    file = mkostemp(path, O_CLOEXEC);
    CHECK(file >= 0);
    CHECK_EQ(unlink(path), 0);
    for (size_t done = 0; done < LEN;) {
        ssize_t n = write(file, bytes + done, LEN - done);
        CHECK_LE(1, n);
        done += (size_t)n;
    }
}

static void file_close(void)
{
    close(file);
    free(bytes);
}

/* The arguments of one call: op->fds the descriptor, op->other a pipe, op->flags the offset. */
static nart_res do_send_file(nart_cx *cx, struct op *op)
{
    int64_t at = (int32_t)op->flags;
    return is_unix ? nart_unix_send_file(cx, op->h, *op->fds, at, op->len, &op->n)
                   : nart_tcp_send_file(cx, op->h, *op->fds, at, op->len, &op->n);
}

/* From an offset that no file has. */
static nart_res do_send_far(nart_cx *cx, struct op *op)
{
    int64_t at = INT64_MAX - 1;
    return is_unix ? nart_unix_send_file(cx, op->h, *op->fds, at, op->len, &op->n)
                   : nart_tcp_send_file(cx, op->h, *op->fds, at, op->len, &op->n);
}

static nart_res do_send_pipe(nart_cx *cx, struct op *op)
{
    return is_unix ? nart_unix_send_pipe(cx, op->h, op->other, op->len, &op->n)
                   : nart_tcp_send_pipe(cx, op->h, op->other, op->len, &op->n);
}

#define FILE_OP(at, most)                                                                          \
    (struct op)                                                                                    \
    {                                                                                              \
        .call = do_send_file, .h = &sock, .fds = &file, .len = (most), .flags = (at)               \
    }

static nart_res file_now(int fd, int32_t at, size_t len)
{
    struct op op = FILE_OP((uint32_t)at, len);

    op.fds = &fd;
    op_start(&op, form);
    nart_res r = op_finish(&op);
    CHECK_EQ(op.n, 0);
    return r;
}

TEST_EACH(a_file_is_sent_from_an_offset, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char *got = malloc(LEN);
    struct op op = FILE_OP(1000, LEN - 2000);

    file_open();
    conn_open(kind);
    CHECK_EQ(lseek(file, 77, SEEK_SET), 77);
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    drain(got, LEN - 2000);
    CHECK_RES(op_finish(&op), LEN - 2000);
    CHECK_EQ(op.n, 0);
    CHECK_EQ(memcmp(got, bytes + 1000, LEN - 2000), 0);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 77);
    CHECK_RES(file_now(file, 5, 10), 10);
    drain(got, 10);
    CHECK_EQ(memcmp(got, bytes + 5, 10), 0);
    conn_close();
    file_close();
    free(got);
}

TEST_EACH(the_end_of_a_file, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char got[16];

    file_open();
    conn_open(kind);
    CHECK_RES(file_now(file, LEN, 10), 0);
    CHECK_RES(file_now(file, LEN + 5, SIZE_MAX), 0);
    CHECK_RES(file_now(file, LEN - 9, 10), 9);
    drain(got, 9);
    CHECK_EQ(memcmp(got, bytes + LEN - 9, 9), 0);
    CHECK_RES(file_now(file, LEN - 3, SIZE_MAX), 3);
    drain(got, 3);
    CHECK_RES(file_now(file, 0, 0), 0);
    conn_close();
    file_close();
}

TEST_EACH(a_file_that_is_shortened_meanwhile, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char *got = malloc(LEN);
    struct op op = FILE_OP(0, LEN);

    file_open();
    conn_open(kind);
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_LE(1, op.n);
    CHECK_EQ(ftruncate(file, LEN - 12345), 0);
    drain(got, LEN - 12345);
    CHECK_RES(op_finish(&op), LEN - 12345);
    CHECK_EQ(op.n, 0);
    CHECK_EQ(memcmp(got, bytes, LEN - 12345), 0);
    conn_close();
    file_close();
    free(got);
}

/* What was sent is in `done`: the same call continues there. */
TEST_EACH(a_cancelled_or_late_file_is_continued, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char *got = malloc(LEN);
    struct op op = FILE_OP(0, LEN);

    file_open();
    conn_open(kind);
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&op.join)), 0);
    CHECK_RES(op_finish(&op), -ECANCELED);
    size_t sent = op.n;
    CHECK_LE(1, sent);
    raw_read(got, sent);
    op.limit = 1;
    op_start(&op, form);
    CHECK_RES(op_finish(&op), -ETIMEDOUT);
    CHECK_LE(sent, op.n);
    op.limit = 0;
    op_start(&op, form);
    drain(got + sent, LEN - sent);
    CHECK_RES(op_finish(&op), LEN);
    CHECK_EQ(memcmp(got, bytes, LEN), 0);
    conn_close();
    file_close();
    free(got);
}

TEST_EACH(files_that_are_refused, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    int fds[2], dir_fd = open("/", O_RDONLY | O_CLOEXEC);
    int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct op stale = FILE_OP(0, 3);

    file_open();
    conn_open(kind);
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_RES(file_now(fds[0], 0, 1), -ESPIPE);
    CHECK_RES(file_now(dir_fd, 0, 1), -EINVAL);
    CHECK_RES(file_now(out, 0, 1), -EBADF);
    CHECK_RES(file_now(-1, 0, 1), -EBADF);
    CHECK_RES(file_now(file, -1, 1), -EINVAL);
    struct op far = { .call = do_send_far, .h = &sock, .fds = &file, .len = 1 };
    op_start(&far, form);
    CHECK_RES(op_finish(&far), -EOVERFLOW);
    stale.n = 3;
    op_start(&stale, form);
    CHECK_RES(op_finish(&stale), -EINVAL);
    struct op op = FILE_OP(0, LEN);
    op_start(&op, form);
    CHECK_RES(nart_unix_close(&sock), 0);
    CHECK_RES(op_finish(&op), -EBADF);
    CHECK_RES(file_now(file, 0, 1), -EBADF);
    close(fds[0]);
    close(fds[1]);
    close(dir_fd);
    close(out);
    conn_close();
    file_close();
}

static bool sigpipe_pending(void)
{
    sigset_t set;
    return sigpending(&set) == 0 && sigismember(&set, SIGPIPE);
}

/* The default action of SIGPIPE would end this process. */
TEST_EACH(a_peer_that_has_closed_raises_no_signal, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    sigset_t set;

    file_open();
    conn_open(kind);
    CHECK_RES(nart_unix_shutdown(&sock, NART_WRITE), 0);
    CHECK_RES(file_now(file, 0, 10), -EPIPE);
    CHECK_EQ(sigemptyset(&set) | sigaddset(&set, SIGPIPE), 0);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_RES(file_now(file, 0, 10), -EPIPE);
    CHECK(!sigpipe_pending());
    CHECK_EQ(raise(SIGPIPE), 0); /* one of the program's own stays */
    CHECK_RES(file_now(file, 0, 10), -EPIPE);
    CHECK(sigpipe_pending());
    conn_close();
    file_close();
}

/* ---- pipes ---- */

static nart_fd from;
static int into; /* the writing end, plain and non-blocking */

static void pipe_open(uint32_t kind)
{
    int fds[2];

    conn_open(kind);
    CHECK_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_RES(nart_fd_open(rt, fds[0], 0, &from), 0);
    into = fds[1];
}

static void pipe_close(void)
{
    CHECK_RES(nart_fd_close(&from), 0);
    if (into >= 0)
        close(into);
    conn_close();
}

#define PIPE_OP(most)                                                                              \
    (struct op)                                                                                    \
    {                                                                                              \
        .call = do_send_pipe, .h = &sock, .other = &from, .len = (most)                            \
    }

TEST_EACH(bytes_of_a_pipe_are_sent_as_they_arrive, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char got[16] = "";
    struct op op = PIPE_OP(6), rest = PIPE_OP(SIZE_MAX);

    pipe_open(kind);
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_EQ(write(into, "abc", 3), 3);
    drain(got, 3);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_EQ(write(into, "defgh", 5), 5);
    drain(got + 3, 3);
    CHECK_RES(op_finish(&op), 6);
    CHECK_STR(got, "abcdef");
    op_start(&rest, form);
    drain(got, 2); /* what the last one left there */
    CHECK_EQ(memcmp(got, "gh", 2), 0);
    close(into);
    into = -1;
    CHECK_RES(op_finish(&rest), 2);
    op_start(&rest, form);
    CHECK_RES(op_finish(&rest), 0);
    pipe_close();
}

/* Waits for either end, whichever is not ready. */
TEST_EACH(a_pipe_and_a_socket_that_are_full_in_turn, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char *got = malloc(LEN);
    size_t in = 0, out = 0;
    struct op op = PIPE_OP(SIZE_MAX);

    file_open();
    pipe_open(kind);
    op_start(&op, form);
    while (out < LEN) {
        ssize_t n;
        while (in < LEN && (n = write(into, bytes + in, LEN - in)) > 0) {
            in += (size_t)n;
            settle(rt);
        }
        while ((n = recv(peer, got + out, LEN - out, MSG_DONTWAIT)) > 0)
            out += (size_t)n;
        if (in == LEN && into >= 0) {
            close(into);
            into = -1;
        }
        CHECK_LE(0, nart_rt_poll(rt, NART_MS));
    }
    CHECK_RES(op_finish(&op), LEN);
    CHECK_EQ(memcmp(got, bytes, LEN), 0);
    pipe_close();
    file_close();
    free(got);
}

TEST_EACH(a_pipe_that_is_left_keeps_its_bytes, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char got[8];
    struct op op = PIPE_OP(6), other = PIPE_OP(6);

    pipe_open(kind);
    op_start(&op, form);
    op_start(&other, form);
    CHECK_RES(op_finish(&other), -EBUSY);
    CHECK_EQ(write(into, "abc", 3), 3);
    drain(got, 3);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&op.join)), 0);
    CHECK_RES(op_finish(&op), -ECANCELED);
    CHECK_EQ(op.n, 3);
    op.limit = 1;
    op_start(&op, form);
    CHECK_RES(op_finish(&op), -ETIMEDOUT);
    CHECK_EQ(op.n, 3);
    op.limit = 0;
    CHECK_EQ(write(into, "def", 3), 3);
    op_start(&op, form);
    CHECK_RES(op_finish(&op), 6);
    drain(got, 3);
    CHECK_EQ(memcmp(got, "def", 3), 0);
    op_start(&op, form);
    CHECK_RES(nart_fd_close(&from), 0);
    CHECK_RES(op_finish(&op), -EBADF);
    op_start(&op, form);
    CHECK_RES(op_finish(&op), -EBADF);
    pipe_close();
}

TEST_EACH(pipes_that_are_refused, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    nart_fd none;
    int fds[2];
    struct op op = PIPE_OP(6);

    pipe_open(kind);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    CHECK_RES(nart_fd_open(rt, fds[0], 0, &none), 0);
    op.other = &none;
    op_start(&op, form);
    CHECK_RES(op_finish(&op), -EINVAL);
    op.n = 6;
    op_start(&op, form);
    CHECK_RES(op_finish(&op), -EINVAL);
    CHECK_RES(nart_fd_close(&none), 0);
    close(fds[1]);
    op = PIPE_OP(6);
    op_start(&op, form);
    CHECK_RES(nart_unix_close(&sock), 0);
    CHECK_EQ(write(into, "abc", 3), 3); /* it is looked at with the next bytes */
    CHECK_RES(op_finish(&op), -EBADF);
    pipe_close();
}

TEST_WITH(messages_are_no_place_for_a_file, rt)
{
    nart_unix a, b;
    int fd = 0;
    nart_fd none = { 0 };

    is_unix = true;
    CHECK_RES(nart_unix_pair(rt, NART_UNIX_SEQPACKET, &a, &b), 0);
    CHECK_RES(NOW(do_send_file, &a, .fds = &fd, .len = 1), -EINVAL);
    CHECK_RES(NOW(do_send_pipe, &a, .other = &none, .len = 1), -EINVAL);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is below a stream: pipes, transports of users, handles that are closed, moved or used elsewhere, and the
 * ways in which a task stops waiting. */
#include "stream_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

FIXTURE_RT();

/* ---- pipes ---- */

/* Both ends of a pipe, as streams of one runtime. */
struct pipes {
    nart_rt *rt;
    nart_fd rfd, wfd;
    nart_stream r, w;
    char buf[16];
};

static void pipes_open(struct pipes *p, size_t cap)
{
    int fds[2];

    signal(SIGPIPE, SIG_IGN);
    *p = (struct pipes){ .rt = new_rt() };
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_RES(nart_fd_open(p->rt, fds[0], 0, &p->rfd), 0);
    CHECK_RES(nart_fd_open(p->rt, fds[1], 0, &p->wfd), 0);
    CHECK_RES(nart_stream_init_fd(&p->r, &p->rfd, p->buf, cap), 0);
    CHECK_RES(nart_stream_init_fd(&p->w, &p->wfd, NULL, 0), 0);
    CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
}

static void pipes_finish(struct pipes *p)
{
    CHECK_RES(nart_stream_close(&p->r), 0);
    CHECK_RES(nart_stream_close(&p->w), 0);
    CHECK_RES(nart_rt_free(p->rt), 0);
}

#define ON(stream, fn, ...)                                                                        \
    ((struct op){ .limit = NART_NEVER, .s = &(stream), .call = (fn), __VA_ARGS__ })

TEST(a_pipe_carries_lines_and_its_half_close_is_its_end)
{
    OPEN(pipes, p, 16);
    struct op op = ON(p.r, do_line, .max = 0);

    op_start(p.rt, &op);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(op_now(p.rt, &ON(p.w, do_write, .from = "line\nrest", .len = 9)), 9);
    CHECK_RES(op.res, 4);
    CHECK_RES(op_now(p.rt, &ON(p.w, do_shutdown, .len = 0)), 0);
    CHECK_RES(op_now(p.rt, &ON(p.w, do_write, .from = "x", .len = 1)), -EBADF);
    CHECK_RES(op_now(p.rt, &op), 4);
    CHECK_STR(op.text, "rest");
    CHECK_RES(op_now(p.rt, &op), NART_EEOF);
}

TEST(a_full_pipe_is_waited_for_and_all_arrives)
{
    static char much[300000], got[300000];
    OPEN(pipes, p, 16);
    struct op w = ON(p.w, do_write, .from = much, .len = sizeof much);
    size_t n = 0;

    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)(i * 7 >> 3);
    op_start(p.rt, &w);
    CHECK_RES(w.res, NART_PENDING);
    while (n < sizeof much) {
        struct op r = ON(p.r, do_read, .len = sizeof r.into);
        nart_res len = op_now(p.rt, &r);
        CHECK_LE(1, len);
        memcpy(got + n, r.into, (size_t)len);
        n += (size_t)len;
    }
    CHECK_RES(w.res, sizeof much);
    CHECK_EQ(memcmp(got, much, sizeof much), 0);
}

TEST(a_pipe_without_a_reader_is_an_error)
{
    OPEN(pipes, p, 16);

    CHECK_RES(nart_stream_close(&p.r), 0);
    CHECK_RES(op_now(p.rt, &ON(p.w, do_write, .from = "x", .len = 1)), -EPIPE);
}

TEST_WITH(a_socket_that_keeps_messages_is_refused, rt)
{
    int fds[2];
    nart_fd fd;
    nart_unix a, b;
    nart_stream s = { 0 };

    CHECK_RES(nart_unix_pair(rt, NART_UNIX_SEQPACKET, &a, &b), 0);
    CHECK_RES(nart_stream_init_unix(&s, &a, NULL, 0), -EPROTOTYPE);
    CHECK_RES(nart_stream_close(&s), 0);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
    CHECK_RES(nart_stream_init_unix(&s, &a, s.io, 1), -EINVAL);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_RES(nart_fd_open(rt, fds[0], 0, &fd), 0);
    CHECK_RES(nart_stream_init_fd(&s, &fd, NULL, 0), -EPROTOTYPE);
    CHECK_RES(nart_stream_close(&s), 0); /* is zeroed: does not close what it refused */
    CHECK(fcntl(fds[0], F_GETFD) >= 0);
    CHECK_RES(nart_fd_close(&fd), 0);
    CHECK_RES(nart_stream_init_fd(&s, &fd, NULL, 0), -EBADF);
    close(fds[1]);
}

/* ---- standard input and output, whatever they are ---- */

enum { PIPE, TERMINAL, REGULAR, SOCKET, KINDS };

/* A descriptor to read from, or to write to, which blocks, as a shell passes it; and the other end of it. */
static int standard(uint32_t kind, bool reads, int *other)
{
    char name[] = "/tmp/nart-standard-XXXXXX";
    int fds[2];

    if (kind == PIPE) {
        CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
        *other = fds[reads];
        return fds[!reads];
    }
    if (kind == TERMINAL) {
        *other = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        CHECK(*other >= 0 && grantpt(*other) == 0 && unlockpt(*other) == 0);
        return open(ptsname(*other), O_RDWR | O_NOCTTY | O_CLOEXEC);
    }
    if (kind == SOCKET) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        *other = fds[1];
        return fds[0];
    }
    *other = mkostemp(name, O_CLOEXEC);
    CHECK(*other >= 0);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    CHECK_EQ(unlink(name), 0);
    return fd;
}

static bool blocks(int fd)
{
    return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

struct opening {
    int fd;
    nart_stream *s;
    nart_fd *io;
    char *buf;
};

static nart_res opening_run(nart_cx *cx, void *frame)
{
    struct opening *f = frame;
    return nart_stream_open_fd_here(cx, f->fd, f->s, f->io, f->buf, f->buf ? 16 : 1);
}

TYPE(opening, opening_run);

TEST_EACH(a_stream_over_standard_input_and_output, PIPE, TERMINAL, REGULAR, SOCKET)
{
    char buf[16], got[16] = "";
    nart_stream s = { 0 };
    nart_fd io;

    rt_open();
    for (int here = 0; here < 2; here++) {
        int other, fd = standard(kind, true, &other);
        CHECK_EQ(write(other, "a line\n", 7), 7);
        CHECK_RES(here ? run(rt, &opening_type, &(struct opening){ fd, &s, &io, buf })
                       : nart_stream_open_fd(rt, fd, &s, &io, buf, sizeof buf),
                  0);
        struct op op = ON(s, do_line, .max = 0);
        wait_for((int)nart_fd_fd(&io), POLLIN); /* a terminal's bytes arrive later */
        CHECK_RES(op_now(rt, &op), 6);
        CHECK_STR(op.text, "a line");
        if (kind != REGULAR) { /* a wait; a file has ended */
            op_start(rt, &op);
            CHECK_RES(op.res, NART_PENDING);
            CHECK_EQ(write(other, "more\n", 5), 5);
            wait_for((int)nart_fd_fd(&io), POLLIN);
            settle(rt);
        }
        CHECK_RES(op.res, kind == REGULAR ? 6 : 4);
        CHECK_EQ(blocks(fd), kind != SOCKET);
        CHECK_RES(nart_stream_close(&s), 0);
        CHECK(fcntl(fd, F_GETFD) >= 0); /* it is the caller's */
        close(fd);
        close(other);

        fd = standard(kind, false, &other);
        CHECK_RES(nart_stream_open_fd(rt, fd, &s, &io, NULL, 0), 0);
        CHECK_RES(op_now(rt, &ON(s, do_write, .from = "out", .len = 3)), 3);
        CHECK_EQ(read(other, got, sizeof got), 3);
        CHECK_EQ(memcmp(got, "out", 3), 0);
        CHECK_EQ(blocks(fd), kind != SOCKET);
        CHECK_RES(nart_stream_close(&s), 0);
        close(fd);
        close(other);
    }
    rt_close();
}

TEST_WITH(what_cannot_be_a_stream, rt)
{
    nart_stream s = { 0 };
    nart_fd io;
    char buf[8];
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_RES(nart_stream_open_fd(rt, fds[0], &s, &io, buf, sizeof buf), -EPROTOTYPE);
    CHECK_RES(nart_fd_fd(&io), -EBADF);
    CHECK_RES(run(rt, &opening_type, &(struct opening){ fds[0], &s, &io, buf }), -EPROTOTYPE);
    CHECK_RES(run(rt, &opening_type, &(struct opening){ fds[0], &s, &io, NULL }), -EINVAL);
    CHECK(blocks(fds[0]));
    CHECK_RES(nart_stream_open_fd(rt, -1, &s, &io, buf, sizeof buf), -EBADF);
    CHECK_RES(nart_stream_open_fd(rt, fds[0], NULL, &io, buf, sizeof buf), -EINVAL);
    CHECK_RES(nart_fd_fd(&io), -EBADF);
    CHECK_RES(nart_stream_open_fd(rt, fds[0], &s, NULL, buf, sizeof buf), -EINVAL);
    CHECK_RES(nart_stream_open_fd(NULL, fds[0], &s, &io, buf, sizeof buf), -EINVAL);
    CHECK_RES(nart_stream_close(&s), 0);
    close(fds[0]);
    close(fds[1]);
}

/* ---- transports of users ---- */

static nart_res answer;  /* of each call */
static const void *into; /* where the last read was to */
static int calls;

static nart_res own_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    (void)cx, (void)io, (void)len;
    into = buf;
    calls++;
    return answer;
}

static nart_res own_write(nart_cx *cx, void *io, const struct iovec *pieces, size_t n)
{
    (void)cx, (void)io, (void)pieces, (void)n;
    calls++;
    return answer;
}

static nart_res own_flush(nart_cx *cx, void *io)
{
    (void)cx;
    ++*(int *)io;
    return answer;
}

static nart_res own_close(void *io)
{
    (void)io;
    return answer;
}

static int flushed; /* the transport's object */
static const nart_stream_type own = { .abi = NART_STREAM_ABI,
                                      .name = "own",
                                      .read = own_read,
                                      .write = own_write,
                                      .flush = own_flush,
                                      .close = own_close };

TEST_WITH(a_transport_of_a_user_is_checked, rt)
{
    nart_stream_type type = own;
    nart_stream s = { 0 };

    CHECK_RES(nart_stream_init(&s, NULL, &flushed, NULL, 0), -EINVAL);
    CHECK_RES(nart_stream_init(&s, &own, NULL, NULL, 0), -EINVAL);
    type.abi = 2;
    CHECK_RES(nart_stream_init(&s, &type, &flushed, NULL, 0), NART_EABI);
    type.abi = NART_STREAM_ABI;
    type.write = NULL;
    CHECK_RES(nart_stream_init(&s, &type, &flushed, NULL, 0), -EINVAL);
    CHECK_RES(op_now(rt, &ON(s, do_read, .len = 1)), -EBADF);
    CHECK_RES(op_now(rt, &ON(s, do_line, .max = 0)), -EBADF);
    CHECK_RES(op_now(rt, &ON(s, do_skip, .len = 0)), -EBADF);
    CHECK_RES(op_now(rt, &ON(s, do_exact, .len = 1)), -EBADF);
    CHECK_RES(op_now(rt, &ON(s, do_fill, .len = 1)), -EBADF);
    CHECK_RES(op_now(rt, &ON(s, do_write, .len = 0)), -EBADF);
    CHECK_RES(op_now(rt, &ON(s, do_flush, .len = 0)), -EBADF);
    CHECK_RES(op_now(rt, &ON(s, do_shutdown, .len = 0)), -EBADF);

    CHECK_RES(nart_stream_init(&s, &own, &flushed, NULL, 0), 0);
    answer = 0;
    CHECK_RES(op_now(rt, &ON(s, do_write, .from = "ab", .len = 2)), -EIO);
    answer = 3;
    CHECK_RES(op_now(rt, &ON(s, do_write, .from = "ab", .len = 2)), -EIO);
    answer = 1;
    calls = 0;
    CHECK_RES(op_now(rt, &ON(s, do_write, .from = "ab", .len = 2)), 2);
    CHECK_EQ(calls, 2);
    answer = 0;
    flushed = 0;
    CHECK_RES(op_now(rt, &ON(s, do_flush, .len = 0)), 0);
    CHECK_EQ(flushed, 1);
    CHECK_RES(op_now(rt, &ON(s, do_shutdown, .len = 0)), -EOPNOTSUPP);
    CHECK_EQ(flushed, 2);
    answer = -EIO;
    CHECK_RES(op_now(rt, &ON(s, do_shutdown, .len = 0)), -EIO);
    CHECK_RES(nart_stream_close(&s), -EIO);
    answer = 0;
    CHECK_RES(nart_stream_close(&s), 0);
}

TEST_WITH(a_read_as_long_as_the_buffer_bypasses_it, rt)
{
    char buf[8];
    nart_stream s = { 0 };
    struct op op = ON(s, do_read, .len = sizeof buf);

    answer = 1;
    CHECK_RES(nart_stream_init(&s, &own, &flushed, buf, sizeof buf), 0);
    CHECK_RES(op_now(rt, &op), 1);
    CHECK(into == op.into);
    op.len--;
    CHECK_RES(op_now(rt, &op), 1);
    CHECK(into == buf);
    answer = 0;
    CHECK_RES(nart_stream_close(&s), 0);
}

TEST_WITH(a_transport_of_a_user_accepts_a_part_of_the_buffer, rt)
{
    char buf[8];
    nart_stream s = { 0 };

    CHECK_RES(nart_stream_init(&s, &own, &flushed, NULL, 0), 0);
    CHECK_RES(nart_stream_buffer_writes(&s, buf, sizeof buf), 0);
    CHECK_RES(op_now(rt, &ON(s, do_write, .from = "abc", .len = 3)), 3);
    flushed = calls = 0;
    answer = -EPIPE;
    CHECK_RES(op_now(rt, &ON(s, do_flush, .len = 0)), -EPIPE);
    CHECK_EQ(flushed, 0);
    answer = 1;
    CHECK_RES(op_now(rt, &ON(s, do_flush, .len = 0)), 1); /* the answer of its flush */
    CHECK_EQ(calls, 4);
    CHECK_EQ(flushed, 1);
    answer = 0;
    CHECK_RES(nart_stream_close(&s), 0);
}

static nart_res do_copy_own(nart_cx *cx, struct op *op)
{
    nart_stream_copier c = { 0 };
    return nart_stream_copy(cx, op->s, op->s, &c);
}

TEST_WITH(the_end_of_a_copy_flushes_the_transport, rt)
{
    char buf[8];
    nart_stream s = { 0 };

    answer = flushed = 0;
    CHECK_RES(nart_stream_init(&s, &own, &flushed, buf, sizeof buf), 0);
    CHECK_RES(op_now(rt, &ON(s, do_copy_own, .len = 0)), 0);
    CHECK_EQ(flushed, 1);
    CHECK_RES(nart_stream_close(&s), 0);
}

TEST_WITH(a_transport_of_a_user_reads_no_more_than_there_is_space_for, rt)
{
    char buf[8];
    nart_stream s = { 0 };

    answer = 9;
    CHECK_RES(nart_stream_init(&s, &own, &flushed, buf, sizeof buf), 0);
    CHECK_RES(op_now(rt, &ON(s, do_line, .max = 0)), -EIO);
    CHECK_RES(op_now(rt, &ON(s, do_fill, .len = 1)), -EIO);
    CHECK_RES(op_now(rt, &ON(s, do_read, .len = 1)), -EIO);
    CHECK_RES(op_now(rt, &ON(s, do_exact, .len = 8)), -EIO);
    CHECK_EQ(nart_stream_peek(&s, NULL), 0);
    answer = 0;
    CHECK_RES(nart_stream_close(&s), 0);
}

/* ---- ways to stop waiting ---- */

TEST_EACH(closing_the_stream_answers_who_waits_in_it, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    struct op op = OP(&l, do_line, .max = 0);

    link_send(&l, "begin");
    op_start(l.rt, &op);
    CHECK_RES(nart_stream_close(&l.s), 0);
    settle(l.rt);
    CHECK_RES(op.res, -EBADF);
}

TEST(moving_the_handle_answers_who_waits_in_it)
{
    OPEN(link, l, TCP, 16);
    struct op op = OP(&l, do_line, .max = 0);
    nart_tcp moved;

    op_start(l.rt, &op);
    nart_tcp_move(&moved, &l.tcp);
    settle(l.rt);
    CHECK_RES(op.res, -EBADF);
    CHECK_RES(nart_tcp_close(&moved), 0);
}

TEST_EACH(a_stream_may_be_moved_between_operations, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    nart_stream moved;

    link_send(&l, "a\nb\n");
    CHECK_STR(line_now(&l, 0), "a");
    moved = l.s;
    memset(&l.s, 0, sizeof l.s);
    l.s = moved;
    CHECK_STR(line_now(&l, 0), "b");
}

TEST_EACH(a_second_reader_is_busy_and_a_writer_is_not, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    struct op first = OP(&l, do_line, .max = 0);

    op_start(l.rt, &first);
    CHECK_STR(line_now(&l, 0), "EBUSY");
    CHECK_RES(OP_NOW(&l, do_write, .from = "x", .len = 1), 1);
    link_send(&l, "line\n");
    settle(l.rt);
    CHECK_RES(first.res, 4);
}

TEST_EACH(a_task_that_is_cancelled_consumes_no_byte_of_the_buffer, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    struct op op = OP(&l, do_line, .max = 0);
    static nart_res (*const all[])(nart_cx *, struct op *) = { do_read,  do_exact, do_line,
                                                               do_until, do_skip,  do_fill };

    link_send(&l, "a\nb\n");
    CHECK_RES(op_now(l.rt, &op), 1);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        op = OP(&l, all[i], .from = "b", .len = 1, .max = 0);
        op_spawn(l.rt, &op);
        CHECK_RES(nart_task_cancel(l.rt, op.id), 0);
        settle(l.rt);
        CHECK_RES(op.res, -ECANCELED);
        CHECK_EQ(op.done, 0);
    }
    op = OP(&l, do_exact, .len = 0);
    op_spawn(l.rt, &op);
    CHECK_RES(nart_task_cancel(l.rt, op.id), 0);
    settle(l.rt);
    CHECK_RES(op.res, -ECANCELED);
    CHECK_STR(line_now(&l, 0), "b");
}

TEST(a_cancelled_write_buffers_nothing)
{
    OPEN(link, l, UNIX, 16);
    struct op op = OP(&l, do_write, .from = "x", .len = 1);

    CHECK_RES(nart_stream_buffer_writes(&l.s, l.out, sizeof l.out), 0);
    op_spawn(l.rt, &op);
    CHECK_RES(nart_task_cancel(l.rt, op.id), 0);
    settle(l.rt);
    CHECK_RES(op.res, -ECANCELED);
    op.call = do_flush; /* of an empty buffer */
    op_spawn(l.rt, &op);
    CHECK_RES(nart_task_cancel(l.rt, op.id), 0);
    settle(l.rt);
    CHECK_RES(op.res, -ECANCELED);
    CHECK_RES(OP_NOW(&l, do_write, .from = "y", .len = 1), 1);
    CHECK_RES(nart_stream_buffer_writes(&l.s, NULL, 0), -EBUSY);
    CHECK_RES(nart_stream_buffer_writes(&l.s, NULL, 1), -EINVAL);
    CHECK_RES(nart_stream_buffer_writes(&(nart_stream){ 0 }, l.out, 1), -EINVAL);
    CHECK_RES(OP_NOW(&l, do_flush, .len = 0), 0);
    CHECK_RES(nart_stream_buffer_writes(&l.s, NULL, 0), 0);
    link_expect(&l, "y");
}

TEST_EACH(an_aborted_task_leaves_the_stream, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    struct op op = OP(&l, do_line, .max = 0);

    link_send(&l, "be");
    op_start(l.rt, &op);
    CHECK_RES(nart_task_abort(l.rt, op.id), 0);
    settle(l.rt);
    link_send(&l, "gin\n");
    CHECK_STR(line_now(&l, 0), "begin");
}

/* As many lines as one poll answers. */
static nart_res do_lines(nart_cx *cx, struct op *op)
{
    nart_res r;
    long lines = 0;

    while ((r = nart_stream_read_line(cx, op->s, 0, &op->text)) >= 0)
        lines++;
    op->done += (size_t)lines;
    CHECK_LE(lines, NART_BUDGET);
    return r;
}

TEST_EACH(lines_that_are_always_ready_spend_the_budget, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 4);
    struct op op = OP(&l, do_lines, .len = 0);
    char lines[1001];

    memset(lines, '\n', 1000);
    lines[1000] = '\0';
    link_send(&l, lines);
    link_end(&l);
    CHECK_RES(op_now(l.rt, &op), NART_EEOF);
    CHECK_EQ(op.done, 1000);
    CHECK_LE(1000 / NART_BUDGET, op.polls);
}

/* ---- elsewhere ---- */

TEST_EACH(under_another_runtime_the_driver_is_wrong, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    nart_rt *other = new_rt();
    struct op op = OP(&l, do_line, .max = 0);

    CHECK_RES(op_now(other, &op), NART_EDRIVER);
    op.call = do_write;
    op.from = "x";
    op.len = 1;
    CHECK_RES(op_now(other, &op), NART_EDRIVER);
    CHECK_RES(nart_rt_free(other), 0);
}

static void *closes(void *arg)
{
    struct link *l = arg;

    CHECK_RES(nart_stream_close(&l->s), NART_EWRONGTHREAD);
    return NULL;
}

TEST_EACH(another_thread_cannot_close_it, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    pthread_t thread;

    link_send(&l, "line\n");
    CHECK_STR(line_now(&l, 0), "line"); /* binds the runtime */
    CHECK_EQ(pthread_create(&thread, NULL, closes, &l), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    link_send(&l, "still\n");
    CHECK_STR(line_now(&l, 0), "still");
}

TEST_EACH(a_child_of_fork_closes_its_copy_only, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    int status = -1;

    pid_t child = fork();
    if (child == 0) {
        nart_stream s = { 0 };
        if (kind == FD && nart_stream_init_fd(&s, &l.fd, NULL, 0) != NART_EFORK)
            _exit(1);
        _exit(nart_stream_close(&l.s) != 0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    link_send(&l, "line\n");
    CHECK_STR(line_now(&l, 0), "line");
}

TEST_EACH(a_stream_outlives_its_runtime, TCP, UNIX, FD)
{
    struct link l;
    struct op op;

    link_open(&l, kind, 16);
    link_send(&l, "a\nb\n");
    CHECK_STR(line_now(&l, 0), "a");
    CHECK_RES(nart_rt_free(l.rt), 0);
    l.rt = new_rt();
    CHECK_STR(line_now(&l, 0), "b"); /* is in the caller's memory */
    op = OP(&l, do_line, .max = 0);
    nart_res r = op_now(l.rt, &op);
    CHECK(r == NART_ESTALE || r == NART_EDRIVER);
    link_finish(&l);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The halves of a connection, over TCP and over Unix sockets. */
#include "ends.h"

#include <nart/half.h>
#include <nart/msg.h>
#include <nart/stream.h>

#include <pthread.h>
#include <sys/wait.h>

static nart_unix_half in, out; /* of TCP: their `half` */

/* An allocator that counts, or has no memory. */
static int blocks;
static bool no_memory;

static void *count_alloc(void *arg, size_t size, size_t align)
{
    void *p = no_memory ? NULL : test_alloc.alloc(arg, size, align);
    blocks += p != NULL;
    return p;
}

static void count_free(void *arg, void *p, size_t size, size_t align)
{
    blocks--;
    test_alloc.free(arg, p, size, align);
}

static const nart_alloc counted = { count_alloc, count_free, NULL };

static nart_res split_with(const nart_alloc *alloc)
{
    return is_unix ? nart_unix_split(&sock, &in, &out, alloc)
                   : nart_tcp_split(&sock.conn, &in.half, &out.half, alloc);
}

static nart_res half_close(nart_unix_half *h)
{
    return is_unix ? nart_unix_half_close(h) : nart_tcp_half_close(&h->half);
}

static nart_res reunite(nart_unix_half *a, nart_unix_half *b, nart_unix *whole)
{
    return is_unix ? nart_unix_reunite(a, b, whole)
                   : nart_tcp_reunite(&a->half, &b->half, &whole->conn);
}

static nart_tcp *conn_of(const nart_unix_half *h)
{
    return is_unix ? &nart_unix_half_unix(h)->conn : nart_tcp_half_tcp(&h->half);
}

/* A connection that is split; its memory is counted. */
static void halves_open(uint32_t kind)
{
    conn_open(kind);
    CHECK_RES(split_with(&counted), 0);
    CHECK_EQ(blocks, 1);
    CHECK_RES(nart_tcp_fd(&sock.conn), -EBADF);
}

static void halves_close(void)
{
    CHECK_RES(half_close(&in), 0);
    CHECK_RES(half_close(&out), 0);
    CHECK_EQ(blocks, 0);
    conn_close();
}

/* Operations by a half: op->h. */
static nart_res by_recv(nart_cx *cx, struct op *op)
{
    const nart_unix_half *h = op->h;
    return is_unix ? nart_unix_recv(cx, nart_unix_half_unix(h), op->buf, op->len)
                   : nart_tcp_recv(cx, nart_tcp_half_tcp(&h->half), op->buf, op->len);
}

static nart_res by_send_all(nart_cx *cx, struct op *op)
{
    const nart_unix_half *h = op->h;
    return is_unix ? nart_unix_send_all(cx, nart_unix_half_unix(h), op->buf, op->len, &op->n)
                   : nart_tcp_send_all(cx, nart_tcp_half_tcp(&h->half), op->buf, op->len, &op->n);
}

enum { LEN = 2 << 20 }; /* more than the buffers of a connection */

static char buf[16], big[LEN];

#define RECV_OP                                                                                    \
    (struct op)                                                                                    \
    {                                                                                              \
        .call = by_recv, .h = &in, .buf = buf, .len = sizeof buf                                   \
    }
#define SEND_OP                                                                                    \
    (struct op)                                                                                    \
    {                                                                                              \
        .call = by_send_all, .h = &out, .buf = big, .len = sizeof big                              \
    }

static nart_res send_by(nart_unix_half *h, const char *text)
{
    struct op op = {
        .call = by_send_all, .h = h, .buf = (void *)(uintptr_t)text, .len = strlen(text)
    };

    op_start(&op, form);
    return op_finish(&op);
}

static nart_res recv_by(nart_unix_half *h)
{
    struct op op = RECV_OP;

    op.h = h;
    op_start(&op, form);
    return op_finish(&op);
}

/* ---- two tasks ---- */

TEST_EACH(one_task_receives_and_another_one_sends, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    struct op recv = RECV_OP, send = SEND_OP;
    char *got = malloc(LEN);

    halves_open(kind);
    op_start(&recv, form);
    op_start(&send, form);
    CHECK_RES(recv.res, NART_PENDING);
    CHECK_RES(send.res, NART_PENDING);
    raw_send(peer, "ping");
    CHECK_RES(op_finish(&recv), 4);
    CHECK_EQ(memcmp(buf, "ping", 4), 0);
    CHECK_RES(send.res, NART_PENDING);
    drain(got, LEN);
    CHECK_RES(op_finish(&send), LEN);
    free(got);
    halves_close();
}

/* ---- closing ---- */

TEST_EACH(closing_the_writer_shuts_down_writing, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    struct op recv = RECV_OP;
    char c;

    halves_open(kind);
    op_start(&recv, form);
    CHECK_RES(send_by(&out, "last"), 4);
    CHECK_RES(half_close(&out), 0);
    CHECK_RES(half_close(&out), 0);
    raw_read(buf, 4);
    CHECK_EQ(read(peer, &c, 1), 0);
    settle(rt);
    CHECK_RES(recv.res, NART_PENDING); /* the other half continues */
    CHECK_RES(send_by(&out, "more"), -EBADF);
    raw_send(peer, "still");
    CHECK_RES(op_finish(&recv), 5);
    CHECK_EQ(blocks, 1);
    halves_close();
}

TEST_EACH(closing_the_reader_has_no_effect_on_the_peer, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    struct op send = SEND_OP;
    char *got = malloc(LEN);

    halves_open(kind);
    op_start(&send, form);
    CHECK_RES(half_close(&in), 0);
    settle(rt);
    CHECK_RES(send.res, NART_PENDING);
    CHECK_RES(recv_by(&in), -EBADF);
    raw_send(peer, "heard by nobody");
    drain(got, LEN);
    CHECK_RES(op_finish(&send), LEN);
    free(got);
    halves_close();
}

TEST_EACH(the_last_half_closes_the_connection, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    for (int order = 0; order < 2; order++) {
        char c;

        halves_open(kind);
        CHECK_RES(half_close(order ? &in : &out), 0);
        nart_res fd = nart_tcp_fd(conn_of(order ? &out : &in));
        CHECK_LE(0, fd);
        CHECK_RES(half_close(order ? &out : &in), 0);
        CHECK_EQ(fcntl((int)fd, F_GETFD), -1);
        CHECK_EQ(read(peer, &c, 1), 0);
        CHECK_EQ(blocks, 0);
        halves_close();
    }
}

TEST_EACH(a_half_in_which_a_task_waits, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    for (int order = 0; order < 2; order++) {
        struct op recv = RECV_OP, send = SEND_OP;

        halves_open(kind);
        op_start(&recv, form);
        op_start(&send, form);
        CHECK_RES(half_close(order ? &in : &out), 0);
        CHECK_RES(op_finish(order ? &recv : &send), -EBADF);
        CHECK_RES(order ? send.res : recv.res, NART_PENDING);
        CHECK_RES(half_close(order ? &out : &in), 0);
        CHECK_RES(op_finish(order ? &send : &recv), -EBADF);
        halves_close();
    }
}

TEST_EACH(both_halves_are_closed_while_tasks_wait, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    struct op recv = RECV_OP, send = SEND_OP;

    halves_open(kind);
    op_start(&recv, form);
    op_start(&send, form);
    CHECK_RES(half_close(&in), 0);
    CHECK_RES(half_close(&out), 0);
    CHECK_EQ(blocks, 0);
    CHECK_RES(op_finish(&recv), -EBADF);
    CHECK_RES(op_finish(&send), -EBADF);
    halves_close();
}

TEST_EACH(the_connection_is_closed_under_its_halves, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    struct op recv = RECV_OP, send = SEND_OP;

    halves_open(kind);
    op_start(&recv, form);
    op_start(&send, form);
    CHECK_RES(nart_tcp_close(conn_of(&in)), 0);
    CHECK_RES(op_finish(&recv), -EBADF);
    CHECK_RES(op_finish(&send), -EBADF);
    CHECK_EQ(blocks, 1);
    halves_close();
}

/* ---- leaving ---- */

TEST_EACH(a_half_whose_operation_is_left, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    struct op recv = RECV_OP, late = RECV_OP;

    halves_open(kind);
    CHECK_RES(nart_rt_clock_pause(rt), 0);
    op_start(&recv, form);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&recv.join)), 0);
    CHECK_RES(op_finish(&recv), -ECANCELED);
    late.limit = NART_MS;
    op_start(&late, form);
    CHECK_RES(nart_rt_clock_advance(rt, NART_MS), 0);
    settle(rt);
    CHECK_RES(op_finish(&late), -ETIMEDOUT);
    raw_send(peer, "kept");
    CHECK_RES(recv_by(&in), 4);
    halves_close();
}

TEST_EACH(a_half_outlives_its_runtime, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    struct op recv = RECV_OP;

    halves_open(kind);
    op_start(&recv, form);
    rt_close();
    CHECK_RES(recv.res, -ECANCELED);
    nart_join_release(&recv.join);
    rt_open();
    nart_res r = recv_by(&in);
    CHECK(r == NART_ESTALE || r == NART_EDRIVER);
    CHECK_RES(nart_tcp_fd(conn_of(&out)), NART_ESTALE);
    halves_close();
}

/* ---- errors of the connection ---- */

TEST_EACH(an_error_holds_for_both_halves, TCP_BODY, TCP_FIBER)
{
    struct op recv = RECV_OP, send = SEND_OP;

    halves_open(kind);
    op_start(&recv, form);
    op_start(&send, form);
    raw_reset(peer);
    peer = -1;
    CHECK_RES(op_finish(&recv), -ECONNRESET);
    CHECK_RES(op_finish(&send), -ECONNRESET);
    CHECK_RES(nart_tcp_error(conn_of(&in)), -ECONNRESET);
    CHECK_RES(half_close(&in), 0);
    CHECK_RES(nart_tcp_error(conn_of(&out)), -ECONNRESET);
    CHECK_RES(send_by(&out, "x"), -ECONNRESET);
    halves_close();
}

TEST_EACH(a_connection_that_has_failed_is_split, TCP_BODY, TCP_FIBER)
{
    conn_open(kind);
    raw_reset(peer);
    peer = -1;
    CHECK_RES(recv_now(rt, &sock.conn, buf, sizeof buf), -ECONNRESET);
    CHECK_RES(split_with(&counted), 0);
    CHECK_RES(recv_by(&in), -ECONNRESET);
    CHECK_RES(send_by(&out, "x"), -ECONNRESET);
    CHECK_RES(half_close(&out), 0); /* there is nothing to shut down */
    halves_close();
}

/* ---- reuniting ---- */

TEST_EACH(halves_are_reunited, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    for (int order = 0; order < 2; order++) {
        struct op recv = RECV_OP;

        halves_open(kind);
        op_start(&recv, form);
        CHECK_RES(reunite(order ? &in : &out, order ? &out : &in, &sock), 0);
        CHECK_EQ(blocks, 0);
        CHECK_RES(op_finish(&recv), -EBADF);
        CHECK_RES(nart_tcp_fd(conn_of(&in)), -EBADF);
        CHECK_RES(nart_tcp_fd(conn_of(&out)), -EBADF);
        CHECK_RES(send_now(rt, &sock.conn, "one"), 3);
        raw_read(buf, 3);
        raw_send(peer, "two");
        CHECK_RES(recv_now(rt, &sock.conn, buf, sizeof buf), 3);
        CHECK_RES(split_with(&counted), 0); /* again */
        halves_close();
    }
}

TEST_EACH(what_are_no_two_halves_of_one_connection, TCP_BODY, UNIX_BODY)
{
    nart_unix_half other_in, other_out, copy;
    nart_unix whole;

    halves_open(kind);
    other_in = in;
    other_out = out;
    int first = peer;
    rt_close();
    conn_open(kind);
    CHECK_RES(split_with(&counted), 0);
    CHECK_RES(reunite(&in, &other_out, &whole), -EINVAL);
    CHECK_RES(reunite(&other_in, &out, &whole), -EINVAL);
    copy = in;
    CHECK_RES(reunite(&in, &copy, &whole), -EINVAL);
    CHECK_RES(nart_unix_reunite(&in, &out, NULL), -EINVAL);
    CHECK_RES(nart_unix_reunite(NULL, &out, &whole), -EINVAL);
    CHECK_RES(nart_unix_reunite(&in, NULL, &whole), -EINVAL);
    CHECK_RES(half_close(&out), 0);
    CHECK_RES(reunite(&in, &out, &whole), -EINVAL);
    CHECK_RES(half_close(&other_in), 0);
    CHECK_RES(half_close(&other_out), 0);
    close(first);
    halves_close();
}

/* ---- what cannot be split ---- */

TEST_EACH(a_connection_that_cannot_be_split, TCP_BODY, UNIX_BODY)
{
    nart_alloc bare = counted;

    conn_open(kind);
    CHECK_RES(nart_unix_split(NULL, &in, &out, NULL), -EINVAL);
    CHECK_RES(nart_unix_split(&sock, NULL, &out, NULL), -EINVAL);
    CHECK_RES(nart_unix_split(&sock, &in, NULL, NULL), -EINVAL);
    CHECK_RES(nart_unix_split(&sock, &in, &in, NULL), -EINVAL); /* one has both */
    bare.free = NULL;
    CHECK_RES(split_with(&bare), -EINVAL);
    bare = counted;
    bare.alloc = NULL;
    CHECK_RES(split_with(&bare), -EINVAL);
    no_memory = true;
    memset(&in, 0xaa, sizeof in);
    memset(&out, 0xaa, sizeof out);
    CHECK_RES(split_with(&counted), -ENOMEM);
    no_memory = false;
    CHECK_RES(nart_tcp_fd(conn_of(&in)), -EBADF);
    CHECK_RES(nart_tcp_fd(conn_of(&out)), -EBADF);
    CHECK_LE(0, nart_tcp_fd(&sock.conn));
    nart_unix_half a, b;
    nart_unix none = { .conn = { .state = 0 } };
    CHECK_RES(nart_unix_split(&none, &a, &b, NULL), -EBADF);
    CHECK_RES(split_with(NULL), 0); /* by malloc() */
    CHECK_EQ(blocks, 0);
    CHECK_RES(nart_unix_half_close(NULL), 0);
    CHECK_RES(nart_tcp_half_close(NULL), 0);
    halves_close();
}

/* A connect that is under way. */
static nart_res do_tcp_connect(nart_cx *cx, struct op *op)
{
    return nart_tcp_connect(cx, op->h, op->addr);
}

TEST_EACH(a_socket_that_connects_is_not_split, BODY, FIBER)
{
    nart_addr at;
    int l = raw_listen(&at, 1);
    nart_tcp_half a, b;
    nart_tcp s = { .state = 0 };
    struct op op = { .call = do_tcp_connect, .h = &s, .addr = &at };

    rt_open();
    op_start(&op, kind);
    if (op.res == NART_PENDING)
        CHECK_RES(nart_tcp_split(&s, &a, &b, NULL), -ENOTCONN);
    CHECK_RES(op_finish(&op), 0);
    CHECK_RES(nart_tcp_split(&s, &a, &b, NULL), 0);
    CHECK_RES(nart_tcp_half_close(&a), 0);
    CHECK_RES(nart_tcp_half_close(&b), 0);
    close(l);
    rt_close();
}

/* ---- threads and processes ---- */

static void *closes_the_last_half(void *arg)
{
    CHECK_RES(half_close(&out), NART_EWRONGTHREAD);
    return arg;
}

static void *on_another_thread(void *arg)
{
    nart_unix whole;
    nart_unix_half a, b;

    CHECK_RES(half_close(&in), NART_EWRONGTHREAD);
    CHECK_RES(half_close(&out), NART_EWRONGTHREAD);
    CHECK_RES(reunite(&in, &out, &whole), NART_EWRONGTHREAD);
    CHECK_RES(nart_tcp_split(conn_of(&in), &a.half, &b.half, NULL), NART_EWRONGTHREAD);
    return arg;
}

TEST_EACH(another_thread_closes_nothing, TCP_BODY, UNIX_BODY)
{
    pthread_t thread;

    halves_open(kind);
    CHECK_RES(send_by(&out, "bound"), 5);
    CHECK_EQ(pthread_create(&thread, NULL, on_another_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_RES(send_by(&out, "open"), 4);
    raw_read(buf, 9);
    CHECK_RES(half_close(&in), 0);
    CHECK_EQ(pthread_create(&thread, NULL, closes_the_last_half, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    halves_close();
}

TEST_EACH(a_child_of_fork_closes_its_copies, TCP_BODY, UNIX_BODY)
{
    nart_unix_half a, b;
    int status;

    halves_open(kind);
    CHECK_RES(send_by(&out, "one"), 3);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bool ok = nart_tcp_split(conn_of(&in), &a.half, &b.half, NULL) == NART_EFORK &&
                  half_close(&out) == 0 && half_close(&in) == 0 && blocks == 0;
        _exit(ok ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_RES(send_by(&out, "two"), 3); /* the peer has not read the end */
    raw_read(buf, 6);
    CHECK_EQ(memcmp(buf, "onetwo", 6), 0);
    halves_close();
}

/* ---- streams ---- */

static nart_res do_line(nart_cx *cx, struct op *op)
{
    char *line;
    nart_res n = nart_stream_read_line(cx, op->h, 0, &line);

    if (n >= 0)
        memcpy(op->buf, line, (size_t)n + 1);
    return n;
}

static nart_res do_write(nart_cx *cx, struct op *op)
{
    return nart_stream_write_all(cx, op->h, op->buf, op->len, &op->n);
}

static nart_res do_shutdown(nart_cx *cx, struct op *op)
{
    return nart_stream_shutdown(cx, op->h);
}

static nart_res stream_over(nart_stream *s, nart_unix_half *h, void *mem, size_t cap)
{
    return is_unix ? nart_stream_init_unix_half(s, h, mem, cap)
                   : nart_stream_init_tcp_half(s, &h->half, mem, cap);
}

TEST_EACH(streams_over_halves, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    nart_stream from, to;
    char memory[64], waiting[64], c;

    halves_open(kind);
    CHECK_RES(stream_over(&from, &in, memory, sizeof memory), 0);
    CHECK_RES(stream_over(&to, &out, NULL, 0), 0);
    CHECK_RES(nart_stream_buffer_writes(&to, waiting, sizeof waiting), 0);
    struct op line = { .call = do_line, .h = &from, .buf = buf };
    struct op text = { .call = do_write, .h = &to, .buf = "answer", .len = 6 };
    struct op end = { .call = do_shutdown, .h = &to };
    op_start(&line, form);
    CHECK_RES(line.res, NART_PENDING);
    op_start(&text, form);
    CHECK_RES(op_finish(&text), 6);
    op_start(&end, form);
    CHECK_RES(op_finish(&end), 0);
    raw_read(buf, 6);
    CHECK_EQ(read(peer, &c, 1), 0);
    raw_send(peer, "question\n");
    CHECK_RES(op_finish(&line), 8);
    CHECK_STR(buf, "question");
    CHECK_RES(nart_stream_close(&to), 0);
    CHECK_RES(nart_tcp_fd(conn_of(&out)), -EBADF);
    line = (struct op){ .call = do_line, .h = &from, .buf = buf };
    op_start(&line, form);
    raw_send(peer, "next\n");
    CHECK_RES(op_finish(&line), 4);
    CHECK_RES(nart_stream_close(&from), 0);
    CHECK_EQ(blocks, 0);
    halves_close();
}

TEST(a_half_of_messages_is_no_stream)
{
    nart_stream s;
    int fds[2];

    rt_open();
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_RES(nart_unix_adopt(rt, fds[0], &sock), 0);
    CHECK_RES(nart_unix_split(&sock, &in, &out, NULL), 0);
    CHECK_RES(nart_stream_init_unix_half(&s, &in, NULL, 0), -EPROTOTYPE);
    CHECK_RES(nart_stream_init_unix_half(&s, NULL, NULL, 0), -EINVAL);
    CHECK_RES(nart_stream_init_tcp_half(&s, NULL, NULL, 0), -EINVAL);
    CHECK_RES(nart_unix_half_close(&in), 0);
    CHECK_RES(nart_unix_half_close(&out), 0);
    close(fds[1]);
    rt_close();
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A connection that has failed: whichever operation gets the error first, all others answer it until the handle is
 * closed, and none takes it for the end of the stream. */
#include "unix_test.h"

#include <nart/socket.h>
#include <nart/stream.h>

#include <sys/wait.h>

/* A connection of either kind. */
static nart_tcp tcp;
static nart_unix unx;
static nart_stream stream;
static nart_tcp_writer writer;
static char mem[16];
static size_t done;

static nart_res tcp_recv(nart_cx *cx, struct op *op)
{
    return nart_tcp_recv(cx, &tcp, op->buf, op->len);
}

static nart_res tcp_peek(nart_cx *cx, struct op *op)
{
    return nart_tcp_peek(cx, &tcp, op->buf, op->len);
}

static nart_res tcp_send(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_send(cx, &tcp, "x", 1);
}

static nart_res tcp_send_all(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_send_all(cx, &tcp, "x", 1, &done);
}

static nart_res tcp_write(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_write(cx, &tcp, &writer);
}

static nart_res tcp_send_urgent(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_send_urgent(cx, &tcp, 1);
}

static nart_res tcp_ready(nart_cx *cx, struct op *op)
{
    nart_res r = nart_tcp_ready(cx, &tcp, op->flags);
    return r > 0 && r & NART_ERROR ? -ECONNRESET : r;
}

static nart_res tcp_stream_read(nart_cx *cx, struct op *op)
{
    return nart_stream_read(cx, &stream, op->buf, op->len);
}

static nart_res tcp_stream_fill(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_stream_fill(cx, &stream, 1);
}

static char x[] = "x";
static const struct iovec pieces[2] = { { x, 1 }, { x, 1 } };

static nart_res tcp_stream_writev(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_stream_writev_all(cx, &stream, pieces, 2, &done);
}

static nart_res tcp_sendv(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_sendv(cx, &tcp, pieces, 2);
}

static nart_res tcp_sendv_all(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_sendv_all(cx, &tcp, pieces, 2, &done);
}

static nart_res tcp_recvv(nart_cx *cx, struct op *op)
{
    return nart_tcp_recvv(cx, &tcp, &(struct iovec){ op->buf, op->len }, 1);
}

static nart_res tcp_sendmsg(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_sendmsg(cx, &tcp, &(nart_msg){ .pieces = &(struct iovec){ x, 1 }, .n = 1 });
}

static nart_res tcp_recvmsg(nart_cx *cx, struct op *op)
{
    struct iovec piece = { op->buf, op->len };
    return nart_tcp_recvmsg(cx, &tcp, &(nart_msg){ .pieces = &piece, .n = 1 });
}

static int file; /* of one byte */
static nart_fd from;

static nart_res tcp_send_file(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_send_file(cx, &tcp, file, 0, 1, &done);
}

static nart_res tcp_send_pipe(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_tcp_send_pipe(cx, &tcp, &from, 1, &done);
}

static void sources_open(void)
{
    char path[] = "/tmp/nart-failed-XXXXXX";
    int fds[2];

    file = mkostemp(path, O_CLOEXEC);
    CHECK(file >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(write(file, "x", 1), 1);
    CHECK_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    close(fds[1]);
    CHECK_RES(nart_fd_open(rt, fds[0], 0, &from), 0);
}

static void sources_close(void)
{
    CHECK_RES(nart_fd_close(&from), 0);
    close(file);
}

static nart_res tcp_try_recv(nart_cx *cx, struct op *op)
{
    (void)cx;
    return nart_tcp_try_recv(&tcp, op->buf, op->len);
}

static nart_res tcp_try_send(nart_cx *cx, struct op *op)
{
    (void)cx, (void)op;
    return nart_tcp_try_send(&tcp, "x", 1);
}

static nart_res tcp_error(nart_cx *cx, struct op *op)
{
    (void)cx, (void)op;
    return nart_tcp_error(&tcp);
}

static nart_res tcp_try_recv_urgent(nart_cx *cx, struct op *op)
{
    uint8_t byte;
    (void)cx, (void)op;
    return nart_tcp_try_recv_urgent(&tcp, &byte);
}

typedef nart_res call_fn(nart_cx *cx, struct op *op);

/* The last two are not the first to get it: one looks at the readiness, the other for urgent data. */
static call_fn *const tcp_calls[] = { tcp_recv,        tcp_peek,        tcp_send,
                                      tcp_send_all,    tcp_write,       tcp_send_urgent,
                                      tcp_stream_read, tcp_stream_fill, tcp_stream_writev,
                                      tcp_sendv,       tcp_sendv_all,   tcp_recvv,
                                      tcp_sendmsg,     tcp_recvmsg,     tcp_send_file,
                                      tcp_send_pipe,   tcp_try_recv,    tcp_try_send,
                                      tcp_error,       tcp_ready,       tcp_try_recv_urgent };
enum { TCP_CALLS = sizeof tcp_calls / sizeof *tcp_calls, TCP_FIRST = TCP_CALLS - 2 };

static nart_res call(call_fn *fn, uint32_t form, char *buf, size_t len)
{
    struct op op = { .call = fn, .buf = buf, .len = len, .flags = NART_READ | NART_WRITE };

    op_start(&op, form);
    return op_finish(&op);
}

/* The peer has sent this and has reset the connection. */
static void tcp_reset_after(const char *text)
{
    int peer = tcp_pair(rt, &tcp);

    raw_send(peer, text);
    if (*text)
        wait_for((int)nart_tcp_fd(&tcp), POLLIN);
    raw_reset(peer);
    wait_for((int)nart_tcp_fd(&tcp), POLLHUP);
    done = 0;
    writer = (nart_tcp_writer){ .buf = NULL };
    CHECK_RES(nart_tcp_writer_set(&writer, "x", 1), 0);
    CHECK_RES(nart_stream_init_tcp(&stream, &tcp, mem, sizeof mem), 0);
}

static void each_first(uint32_t form)
{
    char buf[8];

    sources_open();
    for (int first = 0; first < TCP_FIRST; first++) {
        tcp_reset_after("");
        CHECK_RES(call(tcp_calls[first], form, buf, sizeof buf), -ECONNRESET);
        for (int twice = 0; twice < 2; twice++)
            for (int then = 0; then < TCP_CALLS; then++)
                CHECK_RES(call(tcp_calls[then], form, buf, sizeof buf), -ECONNRESET);
        CHECK_RES(nart_sock_take_error(nart_tcp_fd(&tcp)), 0); /* the kernel has forgotten it */
        CHECK_RES(nart_tcp_shutdown(&tcp, NART_READ), -ENOTCONN);
        CHECK_RES(call(tcp_recv, form, buf, sizeof buf), -ECONNRESET);
        CHECK_RES(nart_tcp_close(&tcp), 0);
    }
    sources_close();
}

TEST_WITH(each_operation_answers_an_error_that_another_one_got, rt)
{
    each_first(BODY);
}

TEST_WITH(each_operation_of_a_fiber_answers_an_error_that_another_one_got, rt)
{
    each_first(FIBER);
}

TEST_WITH(what_has_arrived_is_received_before_the_error, rt)
{
    char buf[8];

    sources_open();
    for (int first = 0; first < TCP_FIRST; first++) {
        call_fn *fn = tcp_calls[first];
        if (fn == tcp_recv || fn == tcp_peek || fn == tcp_try_recv || fn == tcp_stream_read ||
            fn == tcp_stream_fill || fn == tcp_recvv || fn == tcp_recvmsg)
            continue;
        tcp_reset_after("last");
        CHECK_RES(call(fn, BODY, buf, sizeof buf), -ECONNRESET);
        CHECK_RES(call(tcp_peek, BODY, buf, sizeof buf), 4);
        CHECK_RES(call(tcp_recv, FIBER, buf, 1), 1);
        CHECK_RES(call(tcp_send, BODY, buf, sizeof buf), -ECONNRESET);
        CHECK_RES(call(tcp_try_recv, BODY, buf, 1), 1);
        CHECK_RES(call(tcp_recvv, BODY, buf, 1), 1);
        CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), 1);
        CHECK_EQ(buf[0], 't');
        CHECK_RES(call(tcp_peek, BODY, buf, sizeof buf), -ECONNRESET);
        CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), -ECONNRESET);
        CHECK_RES(call(tcp_recvv, BODY, buf, sizeof buf), -ECONNRESET);
        CHECK_RES(call(tcp_try_recv, BODY, buf, sizeof buf), -ECONNRESET);
        CHECK_RES(nart_tcp_close(&tcp), 0);
    }
    sources_close();
}

/* After a shutdown of reading, what had arrived is lost, also after an error. */
TEST_WITH(a_direction_that_was_shut_down_answers_the_error_alone, rt)
{
    char buf[8];
    int peer = tcp_pair(rt, &tcp);

    raw_send(peer, "lost");
    wait_for((int)nart_tcp_fd(&tcp), POLLIN);
    CHECK_RES(nart_tcp_shutdown(&tcp, NART_READ), 0);
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), 0);
    raw_reset(peer);
    wait_for((int)nart_tcp_fd(&tcp), POLLHUP);
    CHECK_RES(call(tcp_send, BODY, buf, 1), -ECONNRESET);
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), -ECONNRESET);
    CHECK_RES(call(tcp_peek, FIBER, buf, sizeof buf), -ECONNRESET);
    CHECK_RES(call(tcp_recvv, BODY, buf, sizeof buf), -ECONNRESET);
    CHECK_RES(call(tcp_try_recv, BODY, buf, sizeof buf), -ECONNRESET);
    CHECK_RES(nart_tcp_close(&tcp), 0);
}

TEST_WITH(bad_arguments_are_refused_as_before, rt)
{
    char buf[8];
    struct op op = { .call = tcp_ready };

    tcp_reset_after("");
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), -ECONNRESET);
    CHECK_RES(nart_tcp_try_recv(&tcp, buf, 0), -EINVAL);
    CHECK_RES(op_now(op), -EINVAL);
    op.flags = NART_READ | NART_HANGUP;
    CHECK_RES(op_now(op), -EINVAL);
    CHECK_RES(nart_tcp_close(&tcp), 0);
}

static nart_res tcp_connect(nart_cx *cx, struct op *op)
{
    return nart_tcp_connect(cx, &tcp, op->addr);
}

TEST_WITH(a_failed_handle_is_open_until_it_is_closed, rt)
{
    nart_tcp moved;
    nart_addr at;
    char buf[8];
    int fd, l = raw_listen(&at, 1);

    tcp_reset_after("");
    CHECK_RES(nart_tcp_error(&tcp), -ECONNRESET);
    CHECK_RES(op_now((struct op){ .call = tcp_connect, .addr = &at }), -EISCONN);
    nart_tcp_move(&moved, &tcp);
    CHECK_RES(nart_tcp_error(&tcp), -EBADF);
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), -EBADF);
    nart_tcp_move(&tcp, &moved);
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), -ECONNRESET);
    CHECK_RES(nart_tcp_detach(&tcp, &fd, NULL, 0, NULL), 0);
    close(fd);
    CHECK_RES(op_now((struct op){ .call = tcp_connect, .addr = &at }), 0); /* another connection */
    CHECK_RES(nart_tcp_error(&tcp), 0);
    CHECK_RES(call(tcp_send, BODY, buf, sizeof buf), 1);
    CHECK_RES(nart_tcp_close(&tcp), 0);
    CHECK_RES(nart_tcp_error(&tcp), -EBADF);
    close(l);
}

TEST_WITH(a_failed_handle_belongs_to_its_runtime, rt)
{
    static call_fn *const waits[] = {
        tcp_recv,        tcp_peek,        tcp_send,          tcp_send_all, tcp_write, tcp_ready,
        tcp_send_urgent, tcp_stream_read, tcp_stream_fill,   tcp_sendv,    tcp_recvv, tcp_sendmsg,
        tcp_recvmsg,     tcp_sendv_all,   tcp_stream_writev, tcp_send_file
    };
    nart_rt *own = rt;
    char buf[8];

    tcp_reset_after("");
    CHECK_RES(nart_tcp_error(&tcp), -ECONNRESET);
    rt = new_rt();
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        CHECK_RES(call(waits[i], BODY, buf, sizeof buf), NART_EDRIVER);
    CHECK_RES(nart_rt_free(rt), 0);
    rt = own;
    pid_t child = fork();
    if (child == 0)
        _exit(nart_tcp_error(&tcp) == NART_EFORK ? 0 : 1);
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(nart_tcp_error(&tcp), NART_ESTALE);
    CHECK_RES(nart_tcp_try_recv(&tcp, buf, sizeof buf), NART_ESTALE);
    rt = new_rt();
    CHECK_RES(nart_tcp_close(&tcp), 0);
}

TEST_WITH(a_deadline_is_no_error_of_the_connection, rt)
{
    char buf[8];
    int peer = tcp_pair(rt, &tcp);

    CHECK_RES(op_now((struct op){ .call = tcp_recv, .buf = buf, .len = 1, .limit = 1 }),
              -ETIMEDOUT);
    CHECK_RES(nart_tcp_error(&tcp), 0);
    raw_send(peer, "x");
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), 1);
    CHECK_RES(nart_tcp_close(&tcp), 0);
    close(peer);
}

/* Sending ends with the peer's reset after its end: what it has sent was complete. */
TEST_WITH(a_broken_pipe_does_not_end_receiving, rt)
{
    char buf[8];
    int peer = tcp_pair(rt, &tcp);

    raw_send(peer, "bye");
    CHECK_RES(nart_tcp_shutdown(&tcp, NART_WRITE), 0);
    CHECK_RES(call(tcp_send, BODY, buf, 1), -EPIPE);
    CHECK_RES(nart_tcp_error(&tcp), 0);
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), 3);
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), 0);
    CHECK_RES(call(tcp_send, BODY, buf, 1), -EPIPE);
    CHECK_RES(call(tcp_recv, BODY, buf, sizeof buf), 0);
    CHECK_RES(nart_tcp_close(&tcp), 0);
    close(peer);
}

/* ---- Unix sockets ---- */

static nart_res unix_stream_read(nart_cx *cx, struct op *op)
{
    return nart_stream_read(cx, &stream, op->buf, op->len);
}

static nart_res unix_error(nart_cx *cx, struct op *op)
{
    (void)cx, (void)op;
    return nart_unix_error(&unx);
}

static nart_res unix_recvv(nart_cx *cx, struct op *op)
{
    return nart_unix_recvv(cx, &unx, &(struct iovec){ op->buf, op->len }, 1);
}

static nart_res unix_sendv(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_unix_sendv(cx, &unx, pieces, 2);
}

static nart_res unix_peek(nart_cx *cx, struct op *op)
{
    return nart_unix_peek(cx, &unx, op->buf, op->len);
}

static nart_res unix_try_recv(nart_cx *cx, struct op *op)
{
    (void)cx;
    return nart_unix_try_recv(&unx, op->buf, op->len);
}

static nart_res unix_try_send(nart_cx *cx, struct op *op)
{
    (void)cx, (void)op;
    return nart_unix_try_send(&unx, "x", 1);
}

static nart_res unix_ready(nart_cx *cx, struct op *op)
{
    (void)op;
    nart_res r = nart_unix_ready(cx, &unx, NART_READ | NART_WRITE);
    return r == (NART_READ | NART_WRITE | NART_ERROR) ? -ECONNRESET : r;
}

/* The peer sends "m1" and "m2", and closes without reading what was sent to it. */
static void unix_reset(uint32_t flags)
{
    nart_unix peer;

    CHECK_RES(nart_unix_pair(rt, flags, &unx, &peer), 0);
    CHECK_RES(op_now((struct op){ .call = do_send, .h = &unx, .buf = "x", .len = 1 }), 1);
    CHECK_RES(op_now((struct op){ .call = do_send, .h = &peer, .buf = "m1", .len = 2 }), 2);
    CHECK_RES(op_now((struct op){ .call = do_send, .h = &peer, .buf = "m2", .len = 2 }), 2);
    CHECK_RES(nart_unix_close(&peer), 0);
}

static void unix_fails(uint32_t flags, call_fn *first, uint32_t form)
{
    static call_fn *const calls[] = { do_recv,       do_recvmsg,   do_recv_fds, do_send,
                                      do_send_all,   do_sendmsg,   do_send_fds, unix_error,
                                      unix_recvv,    unix_sendv,   unix_peek,   unix_ready,
                                      unix_try_recv, unix_try_send };
    int fds[] = { 0 };
    char buf[8];
    struct iovec piece = { buf, 2 };
    nart_msg m = { .pieces = &piece, .n = 1 };
    struct op op = { .h = &unx, .buf = buf, .len = 2, .fds = fds, .n = 1, .msg = &m };

    unix_reset(flags);
    if (first == unix_error)
        CHECK_RES(nart_unix_error(&unx), -ECONNRESET);
    for (int i = 1; i <= 2; i++) { /* before the error, what was sent before it */
        op.call = first == unix_error ? do_recv : first;
        op_start(&op, form);
        CHECK_RES(op_finish(&op), 2);
        CHECK_EQ(memcmp(buf, i == 1 ? "m1" : "m2", 2), 0);
    }
    op.call = first;
    op_start(&op, form);
    CHECK_RES(op_finish(&op), -ECONNRESET);
    for (size_t i = 0; i < 2 * sizeof calls / sizeof *calls; i++) {
        op.call = calls[i / 2];
        op.n = op.call != do_send_all; /* its progress */
        op_start(&op, form);
        CHECK_RES(op_finish(&op), -ECONNRESET);
    }
    if (flags == 0) {
        CHECK_RES(nart_stream_init_unix(&stream, &unx, NULL, 0), 0);
        op.call = unix_stream_read;
        CHECK_RES(op_now(op), -ECONNRESET);
        op.call = tcp_stream_writev;
        done = 0;
        CHECK_RES(op_now(op), -ECONNRESET);
    }
    CHECK_RES(nart_unix_close(&unx), 0);
    CHECK_RES(nart_unix_error(&unx), -EBADF);
}

TEST_WITH(a_unix_connection_keeps_its_error, rt)
{
    static call_fn *const first[] = { do_recv,    do_recvmsg,    do_recv_fds,
                                      unix_recvv, unix_try_recv, unix_error };

    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        for (uint32_t form = BODY; form <= FIBER; form++) {
            unix_fails(0, first[i], form);
            unix_fails(NART_UNIX_SEQPACKET, first[i], form);
        }
}

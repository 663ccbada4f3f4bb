/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connected streams in several pieces and with control data, over TCP and over Unix sockets. */
#include "ends.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/* op->buf has op->len pieces. */
static nart_res do_sendv(nart_cx *cx, struct op *op)
{
    return is_unix ? nart_unix_sendv(cx, op->h, op->buf, op->len)
                   : nart_tcp_sendv(cx, op->h, op->buf, op->len);
}

static nart_res do_sendv_all(nart_cx *cx, struct op *op)
{
    return is_unix ? nart_unix_sendv_all(cx, op->h, op->buf, op->len, &op->n)
                   : nart_tcp_sendv_all(cx, op->h, op->buf, op->len, &op->n);
}

static nart_res do_recvv(nart_cx *cx, struct op *op)
{
    return is_unix ? nart_unix_recvv(cx, op->h, op->buf, op->len)
                   : nart_tcp_recvv(cx, op->h, op->buf, op->len);
}

static nart_res do_tcp_sendmsg(nart_cx *cx, struct op *op)
{
    return nart_tcp_sendmsg(cx, op->h, op->msg);
}

static nart_res do_tcp_recvmsg(nart_cx *cx, struct op *op)
{
    return nart_tcp_recvmsg(cx, op->h, op->msg);
}

/* An operation on `sock` with these pieces, in the form of the test, to its end. */
static nart_res pieces_now(nart_res (*call)(nart_cx *cx, struct op *op), struct iovec *pieces,
                           size_t n)
{
    struct op op = { .call = call, .h = &sock, .buf = pieces, .len = n };

    op_start(&op, form);
    return op_finish(&op);
}

TEST_EACH(pieces_arrive_in_order, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char a[4] = "", b[4] = "", got[16] = "";
    struct iovec out[] = { { "one", 3 }, { NULL, 0 }, { "two", 3 }, { "three", 5 } };
    struct iovec in[] = { { a, 2 }, { NULL, 0 }, { b, 3 } };

    conn_open(kind);
    CHECK_RES(pieces_now(do_sendv, out, 4), 11);
    raw_read(got, 11);
    CHECK_STR(got, "onetwothree");
    CHECK_RES(pieces_now(do_sendv_all, out, 4), 11);
    raw_read(got, 11);
    CHECK_STR(got, "onetwothree");

    struct op op = { .call = do_recvv, .h = &sock, .buf = in, .len = 3 };
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    raw_send(peer, "abcdef");
    CHECK_RES(op_finish(&op), 5);
    CHECK_STR(a, "ab");
    CHECK_STR(b, "cde");
    CHECK_RES(pieces_now(do_recvv, in, 3), 1); /* what was left */
    CHECK_EQ(a[0], 'f');
    conn_close();
}

TEST_EACH(pieces_without_a_byte, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char c;
    struct iovec none[] = { { &c, 0 }, { NULL, 0 } }, one = { &c, 1 };
    struct iovec *many = calloc(1025, sizeof *many);

    conn_open(kind);
    CHECK_RES(pieces_now(do_sendv, none, 2), 0);
    CHECK_RES(pieces_now(do_sendv, NULL, 0), 0);
    CHECK_RES(pieces_now(do_sendv_all, none, 2), 0);
    CHECK_RES(pieces_now(do_recvv, none, 2), -EINVAL);
    CHECK_RES(pieces_now(do_recvv, NULL, 0), -EINVAL);
    many[1024] = one;
    CHECK_RES(pieces_now(do_sendv, many, 1025), -EINVAL);
    CHECK_RES(pieces_now(do_recvv, many, 1025), -EINVAL);
    CHECK_RES(pieces_now(do_sendv_all, many, 1025), 1); /* any number */
    raw_read(&c, 1);
    free(many);
    CHECK_RES(NOW(do_sendv_all, &sock, .buf = &one, .len = 1, .n = 1), -EINVAL);
    CHECK_RES(NOW(do_sendv_all, &sock, .buf = none, .len = 2, .n = 1), -EINVAL);
    conn_close();
}

/* More pieces than one call takes, more bytes than the kernel does: from wherever it stopped. */
TEST_EACH(all_pieces_are_sent_through_a_full_buffer, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    enum { N = 300, TOTAL = N * (N - 1) / 2 * 40 };
    static struct iovec pieces[N];
    char *bytes = malloc(TOTAL), *got = malloc(TOTAL);
    size_t at = 0;
    struct op op = { .call = do_sendv_all, .h = &sock, .buf = pieces, .len = N };

    for (size_t i = 0; i < TOTAL; i++)
        bytes[i] = (char)(i * 7 + i / 255);
    for (size_t i = 0; i < N; i++) {
        pieces[i] = (struct iovec){ bytes + at, i * 40 };
        at += i * 40;
    }
    conn_open(kind);
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_LE(1, op.n);
    drain(got, TOTAL);
    CHECK_RES(op_finish(&op), TOTAL);
    CHECK_EQ(op.n, 0);
    CHECK_EQ(memcmp(bytes, got, TOTAL), 0);
    conn_close();
    free(bytes);
    free(got);
}

/* What was sent before is in `done`, so the same call continues. */
TEST_EACH(a_cancelled_or_late_send_says_what_was_sent, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    enum { HALF = 1 << 20 };
    char *bytes = calloc(2, HALF), *got = malloc(2 * HALF);
    struct iovec pieces[] = { { bytes, HALF }, { bytes + HALF, HALF } };
    struct op op = { .call = do_sendv_all, .h = &sock, .buf = pieces, .len = 2 };

    memset(bytes + HALF, 1, HALF);
    conn_open(kind);
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&op.join)), 0);
    CHECK_RES(op_finish(&op), -ECANCELED);
    CHECK_LE(1, op.n);
    raw_read(got, op.n);
    size_t sent = op.n;
    op.limit = 1;
    op_start(&op, form);
    CHECK_RES(op_finish(&op), -ETIMEDOUT);
    CHECK_LE(sent, op.n);
    raw_read(got + sent, op.n - sent);
    sent = op.n;
    op.limit = 0;
    op_start(&op, form);
    drain(got + sent, 2 * HALF - sent);
    CHECK_RES(op_finish(&op), 2 * HALF);
    CHECK_EQ(memcmp(bytes, got, 2 * HALF), 0);
    conn_close();
    free(bytes);
    free(got);
}

TEST_EACH(a_receive_that_is_left_takes_nothing, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char buf[8];
    struct iovec in = { buf, sizeof buf };
    struct op op = { .call = do_recvv, .h = &sock, .buf = &in, .len = 1 }, late = op;
    nart_unix moved;

    conn_open(kind);
    op_start(&op, form);
    CHECK_RES(pieces_now(do_recvv, &in, 1), -EBUSY);
    raw_send(peer, "abc");
    wait_for((int)nart_unix_fd(&sock), POLLIN);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&op.join)), 0);
    CHECK_RES(op_finish(&op), -ECANCELED);
    CHECK_RES(pieces_now(do_recvv, &in, 1), 3);
    late.limit = 1;
    op_start(&late, form);
    CHECK_RES(op_finish(&late), -ETIMEDOUT);

    op_start(&op, form);
    nart_unix_move(&moved, &sock);
    CHECK_RES(op_finish(&op), -EBADF);
    CHECK_RES(pieces_now(do_sendv, &in, 1), -EBADF);
    CHECK_RES(pieces_now(do_sendv_all, &in, 1), -EBADF);
    nart_unix_move(&sock, &moved);
    op_start(&op, form);
    CHECK_RES(nart_unix_close(&sock), 0);
    CHECK_RES(op_finish(&op), -EBADF);
    conn_close();
}

TEST_EACH(the_end_and_errors_of_a_stream_in_pieces, TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER)
{
    char buf[8];
    struct iovec in = { buf, sizeof buf };

    conn_open(kind);
    raw_send(peer, "abc");
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
    CHECK_RES(pieces_now(do_recvv, &in, 1), 3);
    CHECK_RES(pieces_now(do_recvv, &in, 1), 0);
    CHECK_RES(nart_unix_shutdown(&sock, NART_READ | NART_WRITE), 0);
    CHECK_RES(pieces_now(do_recvv, &in, 1), 0);
    CHECK_RES(pieces_now(do_sendv, &in, 1), -EPIPE); /* and no SIGPIPE */
    CHECK_RES(pieces_now(do_sendv_all, &in, 1), -EPIPE);
    conn_close();

    conn_open(kind);
    CHECK_RES(pieces_now(do_sendv, &in, 1), 8);
    raw_reset(peer); /* with bytes that it has not read */
    peer = -1;
    CHECK_RES(pieces_now(do_recvv, &in, 1), -ECONNRESET);
    CHECK_RES(pieces_now(do_sendv, &in, 1), -ECONNRESET); /* and stays so */
    conn_close();
}

/* A message is sent by one call, which sendv_all does not promise. */
TEST_WITH(messages_are_not_sent_in_parts, rt)
{
    nart_unix a, b;
    char buf[8] = "";
    struct iovec out[] = { { "ab", 2 }, { "cd", 2 } }, in[] = { { buf, 3 }, { buf + 3, 5 } };

    is_unix = true;
    CHECK_RES(nart_unix_pair(rt, NART_UNIX_SEQPACKET, &a, &b), 0);
    CHECK_RES(NOW(do_sendv_all, &a, .buf = out, .len = 2), -EINVAL);
    CHECK_RES(NOW(do_sendv, &a, .buf = out, .len = 2), 4);
    CHECK_RES(NOW(do_sendv, &a, .buf = out, .len = 1), 2);
    CHECK_RES(NOW(do_recvv, &b, .buf = in, .len = 2), 4);
    CHECK_STR(buf, "abcd");
    CHECK_RES(NOW(do_recvv, &b, .buf = in, .len = 2), 2);
    CHECK_RES(NOW(do_sendv, &a, .buf = out, .len = 2), 4);
    CHECK_RES(NOW(do_recvv, &b, .buf = in, .len = 1), -EMSGSIZE);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
}

/* ---- control data of TCP ---- */

TEST_EACH(control_data_of_tcp, TCP_BODY, TCP_FIBER)
{
    char buf[8];
    uint64_t control[8];
    struct iovec in = { buf, 3 }, none = { buf, 0 };
    nart_msg r = { .pieces = &in, .n = 1, .control = control, .control_cap = sizeof control };
    struct op op = { .call = do_tcp_recvmsg, .h = &sock, .msg = &r };
    int on = 1, left = 0;

    conn_open(kind);
    CHECK_EQ(setsockopt((int)nart_unix_fd(&sock), IPPROTO_TCP, TCP_INQ, &on, sizeof on), 0);
    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    raw_send(peer, "abcdefg");
    CHECK_RES(op_finish(&op), 3);
    struct cmsghdr *c = nart_msg_next(&r, NULL);
    CHECK(c && c->cmsg_level == IPPROTO_TCP && c->cmsg_type == TCP_CM_INQ);
    memcpy(&left, CMSG_DATA(c), sizeof left);
    CHECK_EQ(left, 4);
    r.control_cap = sizeof(struct cmsghdr);
    op_start(&op, form);
    CHECK_RES(op_finish(&op), -ENOBUFS);
    CHECK(!nart_msg_next(&r, NULL));
    r.control_cap = 0;
    op_start(&op, form);
    CHECK_RES(op_finish(&op), 1); /* the bytes of the last one are lost */
    CHECK_EQ(buf[0], 'g');

    CHECK_RES(NOW(do_tcp_sendmsg, &sock, .msg = &r), 3);
    r = (nart_msg){ .pieces = &none, .n = 1 };
    CHECK_RES(NOW(do_tcp_sendmsg, &sock, .msg = &r), -EINVAL);
    r = (nart_msg){ .pieces = &in, .n = 1, .control = control, .control_cap = sizeof control };
    CHECK_RES(nart_msg_add(&r, SOL_SOCKET, 12345, &on, sizeof on), 0);
    CHECK_RES(NOW(do_tcp_sendmsg, &sock, .msg = &r), -EINVAL);
    conn_close();
}

/* A receive that stops at the mark of an urgent byte does not lose what follows it. */
TEST_EACH(a_mark_stops_a_receive_in_pieces, TCP_BODY, TCP_FIBER)
{
    char buf[8];
    uint8_t urgent;
    struct iovec in = { buf, sizeof buf };
    size_t all = 0;

    conn_open(kind);
    raw_send(peer, "ab");
    CHECK_EQ(send(peer, "!", 1, MSG_OOB), 1);
    raw_send(peer, "cd");
    wait_for((int)nart_unix_fd(&sock), POLLPRI);
    nart_res r;
    while ((r = nart_tcp_try_recv_urgent(&sock.conn, &urgent)) == -EAGAIN || r == -EINVAL)
        ;
    CHECK_RES(r, 1);
    while (all < 4) {
        r = pieces_now(do_recvv, &in, 1);
        CHECK_LE(1, r);
        all += (size_t)r;
    }
    CHECK_EQ(all, 4);
    conn_close();
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Writing to a stream, with and without a buffer, and ending it. */
#include "stream_test.h"

#include <stdio.h>
#include <stdlib.h>

TEST_EACH(an_echo_of_lines, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    char line[16];

    link_send(&l, "hello\r\nworld\n");
    link_end(&l);
    for (;;) {
        const char *text = line_now(&l, 0);
        if (strcmp(text, "NART_EEOF") == 0)
            break;
        size_t n = strlen(text);
        CHECK_EQ(snprintf(line, sizeof line, "%s\n", text), (int)n + 1);
        CHECK_RES(OP_NOW(&l, do_write, .from = line, .len = n + 1), (nart_res)n + 1);
    }
    link_expect(&l, "hello\nworld\n");
    CHECK_RES(OP_NOW(&l, do_shutdown, .len = 0), 0);
    CHECK_EQ(recv(l.peer, line, 1, 0), 0);
}

enum { MUCH = 3000000 }; /* more than the kernel's buffers hold */

static char *much(void)
{
    char *text = malloc(MUCH);

    CHECK(text);
    for (size_t i = 0; i < MUCH; i++)
        text[i] = (char)((i * 2654435761u) >> 13);
    return text;
}

/* Receives what there is, and checks that it continues `text` from *got on. */
static void receive(struct link *l, const char *text, size_t *got)
{
    static char buf[65536];
    ssize_t n;

    while ((n = recv(l->peer, buf, sizeof buf, MSG_DONTWAIT)) > 0) {
        CHECK_EQ(memcmp(buf, text + *got, (size_t)n), 0);
        *got += (size_t)n;
    }
}

TEST_EACH(a_cancelled_write_continues_where_it_was, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    char *text = much();
    struct op op = OP(&l, do_write, .from = text, .len = MUCH);
    size_t got = 0;

    CHECK_RES(nart_stream_buffer_writes(&l.s, l.out, sizeof l.out), 0);
    CHECK_RES(OP_NOW(&l, do_write, .from = text, .len = 10), 10); /* in the buffer */
    op.from = text + 10;
    op.len = MUCH - 10;
    op_start(l.rt, &op);
    for (bool cancel = true; op.res == NART_PENDING; cancel = !cancel) {
        if (cancel) {
            CHECK_RES(nart_task_cancel(l.rt, op.id), 0);
            settle(l.rt);
            CHECK_RES(op.res, -ECANCELED);
            CHECK(op.done > 0);
            op_start(l.rt, &op);
        }
        receive(&l, text, &got);
        CHECK_LE(0, nart_rt_poll(l.rt, 0));
    }
    CHECK_RES(op.res, MUCH - 10);
    CHECK_EQ(op.done, 0);
    CHECK_RES(OP_NOW(&l, do_shutdown, .len = 0), 0); /* flushes what was copied at last */
    while (got < MUCH) {
        wait_for(l.peer, POLLIN);
        receive(&l, text, &got);
    }
    free(text);
}

enum { PIECES = 200, PIECE = 15000 };

static nart_res do_pieces(nart_cx *cx, struct op *op)
{
    struct iovec pieces[PIECES];

    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = (struct iovec){ (char *)(uintptr_t)op->from + i * PIECE, PIECE };
    return nart_stream_writev_all(cx, op->s, pieces, PIECES, &op->done);
}

TEST_EACH(many_pieces_arrive_in_order, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    char *text = much();
    struct op op = OP(&l, do_pieces, .from = text);
    size_t got = 0;

    op_start(l.rt, &op);
    while (op.res == NART_PENDING) {
        receive(&l, text, &got);
        CHECK_LE(0, nart_rt_poll(l.rt, 0));
    }
    CHECK_RES(op.res, MUCH);
    while (got < MUCH) {
        wait_for(l.peer, POLLIN);
        receive(&l, text, &got);
    }
    free(text);
}

static nart_res do_too_much(nart_cx *cx, struct op *op)
{
    const struct iovec pieces[] = { { op->into, SIZE_MAX / 2 }, { op->into, SIZE_MAX / 2 } };

    return nart_stream_writev_all(cx, op->s, pieces, 2, &op->done);
}

TEST(a_write_without_bytes_or_with_bad_progress)
{
    OPEN(link, l, UNIX, 16);

    CHECK_RES(OP_NOW(&l, do_write, .len = 0), 0);
    CHECK_RES(OP_NOW(&l, do_write, .from = "ab", .len = 2, .done = 2), -EINVAL);
    CHECK_RES(OP_NOW(&l, do_write, .from = "ab", .len = 2, .done = 1), 2);
    link_expect(&l, "b");
    CHECK_RES(OP_NOW(&l, do_too_much, .len = 0), -EINVAL);
    CHECK_RES(OP_NOW(&l, do_flush, .len = 0), 0);
}

static nart_res do_two(nart_cx *cx, struct op *op)
{
    const struct iovec pieces[] = { { op->into, 1 }, { op->into, 1 } };

    return nart_stream_writev_all(cx, op->s, pieces, 2, &op->done);
}

TEST_EACH(a_peer_that_has_closed_is_an_error_and_no_signal, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    nart_res r;

    if (kind == TCP)
        raw_reset(l.peer);
    else
        close(l.peer);
    l.peer = -1;
    r = OP_NOW(&l, do_write, .from = "ab", .len = 2);
    CHECK(r == -EPIPE || r == -ECONNRESET);
    CHECK_RES(OP_NOW(&l, do_two, .len = 0), kind == TCP ? r : -EPIPE); /* by sendmsg() */
}

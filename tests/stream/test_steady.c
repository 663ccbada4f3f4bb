/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The system calls of operations on streams, counted by interposing the C library's functions: those of a loop
 * written by hand, and no others. */
#include "calls.h"
#include "stream_test.h"

#include <signal.h>

/* Polls once, without waiting, and counts the calls of that: all but the waits, of which there is one. */
static void poll_counted(nart_rt *rt)
{
    count_from_here();
    CHECK_LE(0, nart_rt_poll(rt, 0));
    counting = false;
    CHECK_EQ(made.waits, 1);
    made.waits = 0;
}

/* Reads lines and writes each back, for ever. */
struct echo {
    nart_co co;
    nart_stream *s;
    char *line;
    size_t len, done;
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *e = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &e->co);
    for (;;) {
        NART_AWAIT(n, nart_stream_read_line(cx, e->s, 0, &e->line));
        if (n < 0)
            break;
        e->line[n] = '\n';
        e->len = (size_t)n + 1;
        NART_AWAIT(n, nart_stream_write_all(cx, e->s, e->line, e->len, &e->done));
        if (n < 0)
            break;
    }
    NART_END(n);
}

TYPE(echo, echo_run);

static struct link l;

static void echo_begin(uint32_t kind)
{
    struct echo e = { .s = &l.s };
    nart_join join = { 0 };

    only_where_counted();
    link_open(&l, kind, sizeof l.buf);
    spawn(l.rt, &echo_type, &e, &join);
    nart_join_release(&join);
    settle(l.rt);
}

TEST_EACH(an_echo_of_lines_costs_a_receive_a_send_and_a_wait, TCP, UNIX)
{
    echo_begin(kind);
    for (int i = 0; i < 3; i++) {
        link_send(&l, "hello\n");
        poll_counted(l.rt);
        CHECK_MADE(.recvs = 1, .sends = 1);
        link_expect(&l, "hello\n");
    }
    link_send(&l, "a\nb\nc\n"); /* three lines by one receive */
    poll_counted(l.rt);
    CHECK_MADE(.recvs = 1, .sends = 3);
    link_finish(&l);
}

TEST(a_buffer_for_writing_costs_one_send_for_all_lines)
{
    struct op op;

    only_where_counted();
    link_open(&l, TCP, sizeof l.buf);
    CHECK_RES(nart_stream_buffer_writes(&l.s, l.out, sizeof l.out), 0);
    counting = true;
    for (int i = 0; i < 3; i++)
        CHECK_RES(OP_NOW(&l, do_write, .from = "line\n", .len = 5), 5);
    CHECK_EQ(made.sends + made.sendmsgs, 0);
    op = OP(&l, do_write, .from = "second\n", .len = 7);
    CHECK_RES(op_now(l.rt, &op), 7); /* does not fit: both by one call */
    CHECK_EQ(made.sendmsgs, 1);
    CHECK_RES(OP_NOW(&l, do_flush, .len = 0), 0);
    counting = false;
    CHECK_EQ(made.sends, 0);
    CHECK_EQ(made.sendmsgs, 1);
    link_expect(&l, "line\nline\nline\nsecond\n");
    link_finish(&l);
}

TEST(a_line_over_any_other_socket_costs_one_more_receive_before_the_wait)
{
    echo_begin(FD);
    link_send(&l, "hello\n");
    poll_counted(l.rt);
    CHECK_MADE(.recvs = 2, .sends = 1); /* a short receive is no proof that nothing is left */
    link_finish(&l);
}

TEST(a_long_block_is_received_where_it_belongs)
{
    struct op op;

    only_where_counted();
    link_open(&l, TCP, sizeof l.buf);
    op = OP(&l, do_exact, .len = 200);
    op_start(l.rt, &op);
    char text[201];
    memset(text, 'x', 200);
    text[200] = '\0';
    link_send(&l, text);
    poll_counted(l.rt);
    CHECK_MADE(.recvs = 1);
    CHECK_RES(op.res, 200);
    CHECK_STR(op.into, text);
    link_finish(&l);
}

static nart_res do_writev(nart_cx *cx, struct op *op)
{
    static const struct iovec pieces[] = { { (char *)(uintptr_t) "one ", 4 },
                                           { NULL, 0 },
                                           { (char *)(uintptr_t) "two ", 4 },
                                           { (char *)(uintptr_t) "three", 5 } };
    return nart_stream_writev_all(cx, op->s, pieces, 4, &op->done);
}

TEST_EACH(pieces_are_sent_by_one_call, TCP, UNIX, FD)
{
    only_where_counted();
    link_open(&l, kind, sizeof l.buf);
    counting = true;
    CHECK_RES(OP_NOW(&l, do_writev, .len = 0), 13);
    counting = false;
    CHECK_EQ(made.sendmsgs, 1);
    CHECK_EQ(made.sends, 0);
    link_expect(&l, "one two three");
    link_finish(&l);
}

/* ---- copies ---- */

static struct link to;
static nart_stream_copier copier;

static nart_res do_copy(nart_cx *cx, struct op *op)
{
    return nart_stream_copy(cx, op->s, &to.s, &copier);
}

static void copy_begin(struct op *op)
{
    only_where_counted();
    link_open(&l, TCP, sizeof l.buf);
    link_open_in(&to, l.rt, TCP, 0);
    *op = OP(&l, do_copy, .len = 0);
    op_start(l.rt, op);
}

static void copy_end(void)
{
    nart_stream_copier_finish(&copier);
    link_drop(&to);
    link_finish(&l);
}

TEST(a_short_copy_costs_a_receive_and_a_send)
{
    struct op op;

    signal(SIGPIPE, SIG_IGN);
    copy_begin(&op);
    for (int i = 0; i < 3; i++) {
        link_send(&l, "short");
        poll_counted(l.rt);
        CHECK_MADE(.recvs = 1, .sends = 1);
    }
    copy_end();
}

TEST(a_long_copy_is_spliced_unless_sigpipe_would_end_the_program)
{
    struct op op;

    signal(SIGPIPE, SIG_DFL);
    copy_begin(&op);
    link_send(&l, "a whole buffer..and more");
    poll_counted(l.rt);
    CHECK_MADE(.recvs = 2, .sends = 2);
    copy_end();

    signal(SIGPIPE, SIG_IGN);
    copy_begin(&op);
    link_send(&l, "a whole buffer..and more");
    poll_counted(l.rt);
    CHECK_MADE(.recvs = 1, .sends = 1, .pipes = 1, .splices = 3); /* the last finds nothing */
    link_send(&l, "and the rest of it, all by one splice");
    poll_counted(l.rt);
    CHECK_MADE(.splices = 3);
    link_expect(&to, "a whole buffer..and moreand the rest of it, all by one splice");
    copy_end();
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames with a prefix of each format. */
#include "stream_test.h"

static nart_prefix format; /* of the operations below */

static nart_res do_frame(nart_cx *cx, struct op *op)
{
    return nart_stream_read_frame(cx, op->s, format, op->max, &op->text);
}

static nart_res do_write_frame(nart_cx *cx, struct op *op)
{
    return nart_stream_write_frame(cx, op->s, format, op->from, op->len, &op->done);
}

/* Bytes that the peer sends; they may contain NUL. */
#define SEND(l, text) CHECK_EQ(send((l)->peer, "" text, sizeof text - 1, 0), sizeof text - 1)

TEST_EACH(each_format_is_written_and_read, TCP, UNIX, FD)
{
    static const struct {
        nart_prefix format;
        const char *bytes;
        size_t len;
    } all[] = { { NART_PREFIX_U8, "\3abc", 4 },
                { NART_PREFIX_U16BE, "\0\3abc", 5 },
                { NART_PREFIX_U16LE, "\3\0abc", 5 },
                { NART_PREFIX_U32BE, "\0\0\0\3abc", 7 },
                { NART_PREFIX_U32LE, "\3\0\0\0abc", 7 },
                { NART_PREFIX_U64BE, "\0\0\0\0\0\0\0\3abc", 11 },
                { NART_PREFIX_U64LE, "\3\0\0\0\0\0\0\0abc", 11 } };
    OPEN(link, l, kind, 11);
    char got[16];

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct op op = OP(&l, do_frame, .len = 0);
        format = all[i].format;
        CHECK_RES(OP_NOW(&l, do_write_frame, .from = "abc", .len = 3), 3);
        CHECK_EQ(recv(l.peer, got, all[i].len, MSG_WAITALL), all[i].len);
        CHECK_EQ(memcmp(got, all[i].bytes, all[i].len), 0);
        op_start(l.rt, &op);
        for (size_t n = 0; n < all[i].len; n++) { /* byte by byte */
            CHECK_RES(op.res, NART_PENDING);
            CHECK_EQ(send(l.peer, got + n, 1, 0), 1);
            settle(l.rt);
        }
        CHECK_RES(op.res, 3);
        CHECK_EQ(memcmp(op.text, "abc", 3), 0);
    }
}

TEST(an_empty_frame_is_no_end)
{
    OPEN(link, l, UNIX, 8);
    struct op op = OP(&l, do_frame, .len = 0);

    format = NART_PREFIX_U16BE;
    SEND(&l, "\0\0\0\1x\0\0");
    CHECK_RES(op_now(l.rt, &op), 0);
    CHECK_RES(op_now(l.rt, &op), 1);
    CHECK_EQ(*op.text, 'x');
    CHECK_RES(op_now(l.rt, &op), 0);
    link_end(&l);
    CHECK_RES(op_now(l.rt, &op), NART_EEOF);
    CHECK_RES(OP_NOW(&l, do_write_frame, .from = NULL, .len = 0), 0);
    CHECK_EQ(recv(l.peer, op.into, 2, MSG_WAITALL), 2);
}

TEST(a_frame_may_have_exactly_the_limit_and_no_more)
{
    OPEN(link, l, UNIX, 8);

    format = NART_PREFIX_U32LE;
    SEND(&l, "\4\0\0\0abcd");
    CHECK_RES(OP_NOW(&l, do_frame, .max = 5), -EINVAL); /* above the buffer */
    CHECK_RES(OP_NOW(&l, do_frame, .max = 3), -EMSGSIZE);
    CHECK_EQ(nart_stream_peek(&l.s, NULL), 8); /* nothing was consumed */
    CHECK_RES(OP_NOW(&l, do_frame, .max = 4), 4);
    SEND(&l, "\xff\xff\xff\xff....");
    CHECK_RES(OP_NOW(&l, do_frame, .max = 0), -EMSGSIZE);
    format = (nart_prefix)3;
    CHECK_RES(OP_NOW(&l, do_frame, .max = 0), -EINVAL);
    CHECK_RES(OP_NOW(&l, do_write_frame, .from = "", .len = 0), -EINVAL);
    format = NART_PREFIX_U64LE;
    CHECK_RES(OP_NOW(&l, do_frame, .max = 1), -EINVAL);
}

TEST(the_largest_prefix_is_too_large)
{
    OPEN(link, l, UNIX, 16);

    format = NART_PREFIX_U64BE;
    SEND(&l, "\xff\xff\xff\xff\xff\xff\xff\xff"); /* 8 + this overflows */
    CHECK_RES(OP_NOW(&l, do_frame, .max = 0), -EMSGSIZE);
}

TEST(a_frame_that_the_prefix_cannot_count_is_not_written)
{
    static char much[65536];
    OPEN(link, l, UNIX, 8);

    format = NART_PREFIX_U8;
    CHECK_RES(OP_NOW(&l, do_write_frame, .from = much, .len = 256), -EMSGSIZE);
    CHECK_RES(OP_NOW(&l, do_write_frame, .from = much, .len = 255), 255);
    format = NART_PREFIX_U16LE;
    CHECK_RES(OP_NOW(&l, do_write_frame, .from = much, .len = 65536), -EMSGSIZE);
}

TEST(the_end_of_the_stream_within_a_frame_is_a_cut)
{
    static const char *const cut[] = { "\1", "\1\1\1", "\1\1" };

    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        OPEN(link, l, TCP, 512);
        format = NART_PREFIX_U16BE;
        link_send(&l, cut[i]);
        link_end(&l);
        CHECK_RES(OP_NOW(&l, do_frame, .max = 0), NART_ETRUNCATED);
        CHECK_EQ(nart_stream_peek(&l.s, NULL), strlen(cut[i]));
    }
}

TEST(a_prefix_longer_than_the_buffer_and_a_closed_stream_are_refused)
{
    OPEN(link, l, UNIX, 4);
    nart_stream closed = { 0 };
    struct op op = OP(&l, do_frame, .max = 0);

    format = NART_PREFIX_U64BE;
    CHECK_RES(op_now(l.rt, &op), -EINVAL);
    op.s = &closed;
    CHECK_RES(op_now(l.rt, &op), -EBADF);
}

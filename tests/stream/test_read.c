/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading from a stream: what each operation answers at each edge, and that nothing is lost. */
#include "stream_test.h"

#include <stdlib.h>
#include <sys/mman.h>

TEST_EACH(lines_end_with_lf_or_crlf, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 16);
    link_send(&l, "one\r\n\ntwo\rx\nlast");
    link_end(&l);
    CHECK_STR(line_now(&l, 0), "one");
    CHECK_STR(line_now(&l, 0), "");
    CHECK_STR(line_now(&l, 0), "two\rx");
    CHECK_STR(line_now(&l, 0), "last");
    CHECK_STR(line_now(&l, 0), "NART_EEOF");
    CHECK_STR(line_now(&l, 0), "NART_EEOF");
}

TEST(a_last_line_without_lf_keeps_its_cr_and_fits_without_a_terminator)
{
    OPEN(link, l, UNIX, 4);
    link_send(&l, "abc\nab\r");
    link_end(&l);
    CHECK_STR(line_now(&l, 0), "abc");
    CHECK_STR(line_now(&l, 0), "ab\r");
}

TEST(a_limit_counts_the_terminator)
{
    OPEN(link, l, UNIX, 16);
    link_send(&l, "abc\nabcd\n");
    CHECK_STR(line_now(&l, 4), "abc");
    CHECK_STR(line_now(&l, 4), "EMSGSIZE");
    CHECK_STR(line_now(&l, 5), "abcd");
    CHECK_STR(until_now(&l, ";", 17), "EINVAL");
    CHECK_STR(until_now(&l, "<>", 1), "EINVAL");
    CHECK_STR(until_now(&l, "", 0), "EINVAL");
    CHECK_STR(until_now(&l, "123456789", 0), "EINVAL");
}

TEST(a_last_line_as_long_as_the_limit_is_too_long)
{
    OPEN(link, l, UNIX, 4);
    link_send(&l, "abcd");
    link_end(&l);
    CHECK_STR(line_now(&l, 0), "EMSGSIZE");
    CHECK_EQ(nart_stream_peek(&l.s, NULL), 4); /* nothing was consumed */
    CHECK_RES(nart_stream_consume(&l.s, 1), 0);
    CHECK_STR(line_now(&l, 0), "bcd");
}

TEST_EACH(a_line_of_any_length_is_skipped, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 8);
    link_send(&l, "a line that is longer than the buffer\nabc\n\nlast line");
    CHECK_STR(line_now(&l, 0), "EMSGSIZE");
    CHECK_RES(OP_NOW(&l, do_skip, .len = 0), 0);
    CHECK_STR(line_now(&l, 0), "abc");
    CHECK_RES(OP_NOW(&l, do_skip, .len = 0), 0); /* the empty one */
    link_end(&l);
    CHECK_RES(OP_NOW(&l, do_skip, .len = 0), NART_EEOF);
    CHECK_STR(line_now(&l, 0), "NART_EEOF");
}

TEST(a_skip_continues_after_a_deadline)
{
    OPEN(link, l, UNIX, 4);
    struct op op = OP(&l, do_skip, .len = 0);

    op.limit = NART_MS;
    link_send(&l, "abcdefg");
    CHECK_RES(op_now(l.rt, &op), -ETIMEDOUT);
    link_send(&l, "h\nxy\n");
    op.limit = NART_NEVER;
    CHECK_RES(op_now(l.rt, &op), 0);
    CHECK_STR(line_now(&l, 0), "xy");
}

TEST_EACH(a_delimiter_is_found_across_reads_and_across_the_end_of_the_buffer, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 8);
    struct op op = OP(&l, do_until, .from = "<>", .len = 2);

    link_send(&l, "abcd<>");
    CHECK_STR(until_now(&l, "<>", 0), "abcd<>");
    op_start(l.rt, &op);
    for (const char *c = "efg<<"; *c; c++) {
        link_send(&l, (char[]){ *c, '\0' });
        settle(l.rt);
        CHECK_RES(op.res, NART_PENDING);
    }
    link_send(&l, ">tail");
    settle(l.rt);
    CHECK_RES(op.res, 6);
    CHECK_EQ(memcmp(op.text, "efg<<>", 6), 0);
    link_end(&l);
    CHECK_STR(until_now(&l, "<>", 0), "NART_ETRUNCATED");
    CHECK_STR(line_now(&l, 0), "tail"); /* nothing was consumed */
    CHECK_STR(until_now(&l, "<>", 0), "NART_EEOF");
}

TEST(another_delimiter_searches_from_the_beginning)
{
    OPEN(link, l, UNIX, 16);
    struct op op = OP(&l, do_until, .from = "\n", .len = 1);

    op.limit = NART_MS;
    link_send(&l, "a;b");
    CHECK_RES(op_now(l.rt, &op), -ETIMEDOUT);
    CHECK_STR(until_now(&l, ";", 0), "a;");
    CHECK_STR(until_now(&l, "b", 0), "b");
}

TEST(a_delimiter_of_another_length_searches_from_the_beginning)
{
    OPEN(link, l, UNIX, 16);
    struct op op = OP(&l, do_until, .from = "a", .len = 2); /* with its NUL */

    op.limit = NART_MS;
    link_send(&l, "axx");
    CHECK_RES(op_now(l.rt, &op), -ETIMEDOUT);
    CHECK_STR(until_now(&l, "a", 0), "a");
}

TEST(what_lies_before_a_line_or_a_search_is_no_part_of_it)
{
    OPEN(link, l, FD, 16);
    char mem[9] = "<";
    struct op op = OP(&l, do_until, .from = "<>", .len = 2);

    link_send(&l, "x\r\n");
    CHECK_RES(OP_NOW(&l, do_exact, .len = 2), 2);
    CHECK_STR(line_now(&l, 0), "");
    CHECK_RES(nart_stream_init_fd(&l.s, &l.fd, mem + 1, 8), 0);
    op_start(l.rt, &op);
    link_send(&l, ">");
    settle(l.rt);
    CHECK_RES(op.res, NART_PENDING);
    link_send(&l, "<>");
    settle(l.rt);
    CHECK_RES(op.res, 3);
}

/* The first page of the buffer cannot be read any more when the second one gets bytes. */
TEST(each_byte_is_searched_once)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    OPEN(link, l, FD, 16);
    char *text = malloc(page + 2);
    char *mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct op op = OP(&l, do_line, .max = 0);

    CHECK(text && mem != MAP_FAILED);
    memset(text, 'x', page + 1);
    text[page + 1] = '\0';
    CHECK_RES(nart_stream_init_fd(&l.s, &l.fd, mem, 2 * page), 0);
    link_send(&l, text);
    op_start(l.rt, &op);
    CHECK_EQ(mprotect(mem, page, PROT_NONE), 0);
    link_send(&l, "\n");
    settle(l.rt);
    CHECK_RES(op.res, (nart_res)page + 1);
    CHECK_EQ(munmap(mem, 2 * page), 0);
    free(text);
}

TEST(a_delimiter_that_arrives_in_halves_is_found_at_each_position)
{
    for (size_t before = 0; before < 4; before++) {
        OPEN(link, l, UNIX, 8);
        struct op op = OP(&l, do_until, .from = "<>", .len = 2);
        link_send(&l, &"xxx<"[3 - before]);
        op_start(l.rt, &op);
        CHECK_RES(op.res, NART_PENDING);
        link_send(&l, ">");
        settle(l.rt);
        CHECK_RES(op.res, (nart_res)before + 2);
    }
}

TEST(consuming_restarts_a_search)
{
    OPEN(link, l, UNIX, 16);
    struct op op = OP(&l, do_line, .max = 0);

    op.limit = NART_MS;
    link_send(&l, "abc");
    CHECK_RES(op_now(l.rt, &op), -ETIMEDOUT);
    CHECK_RES(nart_stream_consume(&l.s, 3), 0);
    link_send(&l, "d\n");
    CHECK_STR(line_now(&l, 0), "d");
}

TEST_EACH(read_some_prefers_the_buffer_and_bypasses_an_empty_one, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 8);
    struct op op = OP(&l, do_read, .len = 8);

    link_send(&l, "abcdefgh");
    CHECK_RES(OP_NOW(&l, do_read, .len = 2), 2);
    CHECK_EQ(nart_stream_peek(&l.s, NULL), 6); /* less than the buffer: read ahead */
    CHECK_RES(op_now(l.rt, &op), 6);
    CHECK_STR(op.into, "cdefgh");
    link_send(&l, "ijklmnop");
    CHECK_RES(op_now(l.rt, &op), 8);
    CHECK_STR(op.into, "ijklmnop");
    CHECK_EQ(nart_stream_peek(&l.s, NULL), 0);
    CHECK_RES(OP_NOW(&l, do_read, .len = 0), -EINVAL);
    link_end(&l);
    CHECK_RES(OP_NOW(&l, do_read, .len = 2), 0);
    CHECK_RES(OP_NOW(&l, do_read, .len = 20), 0);
}

TEST_EACH(read_exactly_tells_an_end_from_a_cut, TCP, UNIX, FD)
{
    OPEN(link, l, kind, 4);
    struct op op = OP(&l, do_exact, .len = 10);

    CHECK_RES(OP_NOW(&l, do_exact, .len = 0), 0);
    CHECK_RES(OP_NOW(&l, do_exact, .len = 2, .done = 2), -EINVAL);
    op_start(l.rt, &op);
    link_send(&l, "abc");
    settle(l.rt);
    CHECK_RES(op.res, NART_PENDING);
    link_send(&l, "defghijxy");
    settle(l.rt);
    CHECK_RES(op.res, 10);
    CHECK_EQ(op.done, 0);
    CHECK_STR(op.into, "abcdefghij");
    link_end(&l);
    CHECK_RES(op_now(l.rt, &op), NART_ETRUNCATED);
    CHECK_EQ(op.done, 2);
    op.done = 0;
    CHECK_RES(op_now(l.rt, &op), NART_EEOF);
}

TEST(read_exactly_continues_after_a_deadline)
{
    OPEN(link, l, UNIX, 4);
    struct op op = OP(&l, do_exact, .len = 6);

    op.limit = NART_MS;
    link_send(&l, "abc");
    CHECK_RES(op_now(l.rt, &op), -ETIMEDOUT);
    CHECK_EQ(op.done, 3);
    link_send(&l, "def");
    op.limit = NART_NEVER;
    CHECK_RES(op_now(l.rt, &op), 6);
    CHECK_STR(op.into, "abcdef");
}

TEST(fill_waits_for_a_number_of_bytes)
{
    OPEN(link, l, UNIX, 8);
    struct op op = OP(&l, do_fill, .len = 5);
    char *data;

    CHECK_RES(OP_NOW(&l, do_fill, .len = 0), -EINVAL);
    CHECK_RES(OP_NOW(&l, do_fill, .len = 9), -ENOBUFS);
    op_start(l.rt, &op);
    link_send(&l, "abcd");
    settle(l.rt);
    CHECK_RES(op.res, NART_PENDING);
    link_send(&l, "ef");
    settle(l.rt);
    CHECK_RES(op.res, 6);
    CHECK_EQ(nart_stream_peek(&l.s, &data), 6);
    CHECK_EQ(memcmp(data, "abcdef", 6), 0);
    CHECK_RES(nart_stream_consume(&l.s, 7), -EINVAL);
    CHECK_RES(nart_stream_consume(&l.s, 4), 0);
    CHECK_RES(OP_NOW(&l, do_fill, .len = 2), 2);
    link_end(&l);
    CHECK_RES(OP_NOW(&l, do_fill, .len = 3), NART_ETRUNCATED);
    CHECK_RES(nart_stream_consume(&l.s, 2), 0);
    CHECK_RES(OP_NOW(&l, do_fill, .len = 3), NART_EEOF);
}

TEST(a_stream_without_a_buffer_reads_into_the_callers_memory)
{
    OPEN(link, l, UNIX, 0);

    link_send(&l, "abc");
    CHECK_RES(OP_NOW(&l, do_read, .len = 1), 1);
    CHECK_RES(OP_NOW(&l, do_exact, .len = 2), 2);
    CHECK_STR(line_now(&l, 0), "EINVAL");
    CHECK_RES(OP_NOW(&l, do_skip, .len = 0), -EINVAL);
    CHECK_RES(OP_NOW(&l, do_fill, .len = 1), -ENOBUFS);
}

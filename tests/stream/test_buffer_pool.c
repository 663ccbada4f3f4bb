/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Buffers of a pool: a stream has one only while it holds bytes. */
#include "stream_test.h"

TEST_EACH(a_stream_that_waits_has_no_buffer, TCP, UNIX, FD)
{
    nart_stream_pool pool;
    OPEN(link, l, kind, 16);
    struct op op = OP(&l, do_line, .max = 0);

    CHECK_RES(nart_stream_pool_init(&pool, 16, 1, &test_alloc), 0);
    long before = test_alloc_live();
    CHECK_RES(nart_stream_use_pool(&l.s, &pool), 0);
    for (int i = 0; i < 3; i++) {
        op_start(l.rt, &op);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_EQ(pool.used, 0);
        link_send(&l, "par");
        settle(l.rt);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_EQ(pool.used, 1); /* it holds bytes */
        link_send(&l, "t\n");
        settle(l.rt);
        CHECK_RES(op.res, 4);
        CHECK_STR(op.text, "part");
        CHECK_EQ(pool.used, 1); /* op.text is in it */
        CHECK_EQ(test_alloc_live(), before + 1);
    }
    CHECK_RES(nart_stream_pool_finish(&pool), -EBUSY);
    CHECK_RES(nart_stream_close(&l.s), 0);
    CHECK_EQ(pool.used, 0);
    CHECK_EQ(test_alloc_live(), before + 1); /* kept */
    CHECK_RES(nart_stream_pool_finish(&pool), 0);
    CHECK_RES(nart_stream_pool_finish(&pool), 0);
    CHECK_EQ(test_alloc_live(), before);
}

TEST(a_long_read_needs_no_buffer)
{
    nart_stream_pool pool;
    OPEN(link, l, UNIX, 16);
    struct op op = OP(&l, do_exact, .len = 20);

    CHECK_RES(nart_stream_pool_init(&pool, 16, 0, &test_alloc), 0);
    CHECK_RES(nart_stream_use_pool(&l.s, &pool), 0);
    link_send(&l, "line\n");
    CHECK_STR(line_now(&l, 0), "line");
    CHECK_EQ(pool.used, 1);
    op_start(l.rt, &op);
    CHECK_EQ(pool.used, 0);
    link_send(&l, "0123456789abcdefghij");
    settle(l.rt);
    CHECK_RES(op.res, 20);
    CHECK_RES(nart_stream_pool_finish(&pool), 0);
}

TEST(no_memory_is_an_answer_and_loses_nothing)
{
    nart_stream_pool pool;
    OPEN(link, l, UNIX, 16);

    CHECK_RES(nart_stream_pool_init(&pool, 16, 0, &test_alloc), 0);
    CHECK_RES(nart_stream_use_pool(&l.s, &pool), 0);
    link_send(&l, "line\n");
    test_alloc_fail(1, false);
    CHECK_STR(line_now(&l, 0), "ENOMEM");
    CHECK_STR(line_now(&l, 0), "line");
    link_end(&l);
    CHECK_STR(line_now(&l, 0), "NART_EEOF");
    CHECK_EQ(pool.used, 0);
    CHECK_RES(nart_stream_pool_finish(&pool), 0); /* nothing is kept: nothing to free */
}

TEST(a_pool_replaces_an_empty_buffer_only)
{
    nart_stream_pool pool, other;
    OPEN(link, l, UNIX, 16);
    nart_stream closed = { 0 };

    CHECK_RES(nart_stream_pool_init(&pool, 15, 0, NULL), -EINVAL);
    CHECK_RES(nart_stream_pool_init(NULL, 16, 0, NULL), -EINVAL);
    CHECK_RES(nart_stream_pool_init(&pool, 16, 0, &(nart_alloc){ 0 }), -EINVAL);
    CHECK_RES(nart_stream_pool_init(&pool, 16, 0, NULL), 0);
    CHECK_RES(nart_stream_pool_init(&other, 32, 0, NULL), 0);
    CHECK_RES(nart_stream_use_pool(&closed, &pool), -EINVAL);
    CHECK_RES(nart_stream_use_pool(&l.s, NULL), -EINVAL);
    link_send(&l, "ab");
    CHECK_RES(OP_NOW(&l, do_fill, .len = 1), 2);
    CHECK_RES(nart_stream_use_pool(&l.s, &pool), -EBUSY);
    CHECK_RES(nart_stream_consume(&l.s, 2), 0);
    CHECK_RES(nart_stream_use_pool(&l.s, &pool), 0);
    link_send(&l, "cd\n");
    CHECK_STR(line_now(&l, 0), "cd");
    CHECK_EQ(pool.used, 1);
    CHECK_RES(nart_stream_use_pool(&l.s, &other), 0);
    CHECK_EQ(pool.used, 0);
    CHECK_RES(nart_stream_pool_finish(&pool), 0);
    CHECK_RES(nart_stream_pool_finish(&other), 0);
    CHECK_RES(nart_stream_pool_finish(NULL), 0);
    CHECK_RES(nart_stream_close(&l.s), 0);
}

TEST(a_pool_keeps_no_more_than_it_was_told)
{
    nart_stream_pool pool, zeroed = { 0 };
    OPEN(link, l, UNIX, 16);
    struct link m;
    long before = test_alloc_live();

    CHECK_RES(nart_stream_use_pool(&l.s, &zeroed), -EINVAL);
    CHECK_RES(nart_stream_pool_init(&pool, 16, 1, &test_alloc), 0);
    link_open_in(&m, l.rt, UNIX, 16);
    for (struct link *one = &l; one; one = one == &l ? &m : NULL) {
        CHECK_RES(nart_stream_use_pool(&one->s, &pool), 0);
        link_send(one, "a\n");
        CHECK_STR(line_now(one, 0), "a");
    }
    CHECK_EQ(pool.used, 2);
    long both = test_alloc_live();
    CHECK_RES(nart_stream_close(&l.s), 0);
    CHECK_EQ(test_alloc_live(), both);
    link_drop(&m);
    CHECK_EQ(test_alloc_live(), both - 1);
    CHECK_RES(nart_stream_pool_finish(&pool), 0);
    CHECK_LE(test_alloc_live(), before);
}

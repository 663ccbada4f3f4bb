/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pairs of streams in memory: what they carry, and every way in which a task stops waiting in one. */
#include "stream_test.h"

#include <stdlib.h>

enum { RING = 8 };

/* Both streams of a pair. The memory is the heap's, so that a use after free is seen. */
struct pair {
    nart_rt *rt;
    nart_stream_pair *p;
    nart_stream a, b;
    char *mem, abuf[16], bbuf[16];
};

static void pair_open(struct pair *p, size_t cap)
{
    memset(p, 0, sizeof *p);
    p->rt = new_rt();
    p->p = malloc(sizeof *p->p);
    p->mem = malloc(cap * 2);
    CHECK(p->p && p->mem);
    CHECK_RES(nart_stream_pair_init(p->p, p->mem, cap * 2), 0);
    CHECK_RES(nart_stream_init_pair(&p->a, p->p, 0, p->abuf, sizeof p->abuf), 0);
    CHECK_RES(nart_stream_init_pair(&p->b, p->p, 1, p->bbuf, sizeof p->bbuf), 0);
}

static void pair_drop(struct pair *p)
{
    CHECK_RES(nart_stream_close(&p->a), 0);
    CHECK_RES(nart_stream_close(&p->b), 0);
    free(p->p);
    free(p->mem);
}

static void pair_finish(struct pair *p)
{
    pair_drop(p);
    CHECK_RES(nart_rt_free(p->rt), 0);
}

#define ON(stream, fn, ...)                                                                        \
    ((struct op){ .limit = NART_NEVER, .s = &(stream), .call = (fn), __VA_ARGS__ })

TEST(bytes_pass_in_order_through_a_small_ring)
{
    OPEN(pair, p, RING);
    struct op w = ON(p.a, do_write, .from = "0123456789abcdefghijklmnopqrstuvwxyz", .len = 36);
    struct op r = ON(p.b, do_exact, .len = 36);

    op_start(p.rt, &w);
    CHECK_RES(w.res, NART_PENDING);
    CHECK_EQ(w.done, RING);
    op_start(p.rt, &r);
    CHECK_RES(w.res, 36);
    CHECK_RES(r.res, 36);
    CHECK_STR(r.into, w.from);
}

TEST(bytes_wrap_in_the_ring)
{
    OPEN(pair, p, RING);
    struct op r = ON(p.b, do_read, .len = 100);

    nart_stream b = { 0 }; /* without a buffer: reads no more than it is asked for */
    CHECK_RES(nart_stream_init_pair(&b, p.p, 1, NULL, 0), 0);
    CHECK_RES(op_now(p.rt, &ON(p.a, do_write, .from = "abcde", .len = 5)), 5);
    CHECK_RES(op_now(p.rt, &ON(b, do_read, .len = 3)), 3);
    CHECK_RES(op_now(p.rt, &ON(p.a, do_write, .from = "fghijk", .len = 6)), 6);
    CHECK_RES(op_now(p.rt, &r), RING);
    CHECK_STR(r.into, "defghijk");
}

TEST(both_directions_are_apart)
{
    OPEN(pair, p, RING);
    struct op line = ON(p.a, do_line, .max = 0), back = ON(p.b, do_line, .max = 0);

    op_start(p.rt, &line);
    op_start(p.rt, &back);
    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "there\n", .len = 6)), 6);
    CHECK_RES(op_now(p.rt, &ON(p.a, do_write, .from = "back\n", .len = 5)), 5);
    CHECK_RES(line.res, 5);
    CHECK_RES(back.res, 4);
    CHECK_STR(line.text, "there");
    CHECK_STR(back.text, "back");
}

TEST(half_close_ends_the_reader_after_the_rest)
{
    OPEN(pair, p, RING);
    struct op r = ON(p.b, do_read, .len = 100);

    CHECK_RES(op_now(p.rt, &ON(p.a, do_write, .from = "rest", .len = 4)), 4);
    CHECK_RES(op_now(p.rt, &ON(p.a, do_shutdown, .len = 0)), 0);
    CHECK_RES(op_now(p.rt, &ON(p.a, do_write, .from = "x", .len = 1)), -EPIPE);
    CHECK_RES(op_now(p.rt, &r), 4);
    CHECK_RES(op_now(p.rt, &r), 0);
    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "x", .len = 1)), 1);
}

/* A poll of its own: what has answered waits no more in the same poll. */
static nart_res do_read_and_look(nart_cx *cx, struct op *op)
{
    nart_res r = do_read(cx, op);
    const nart_stream_pair *p = op->from;

    CHECK_EQ(p->ring[1].reader.task != NULL, r == NART_PENDING);
    return r;
}

TEST(half_close_wakes_the_reader_and_ends_its_wait)
{
    OPEN(pair, p, RING);
    struct op r = ON(p.b, do_read_and_look, .from = p.p, .len = 100);

    op_start(p.rt, &r);
    CHECK_RES(r.res, NART_PENDING);
    CHECK_RES(op_now(p.rt, &ON(p.a, do_shutdown, .len = 0)), 0);
    settle(p.rt);
    CHECK_RES(r.res, 0);
}

TEST(closing_one_side_wakes_everyone)
{
    OPEN(pair, p, RING);
    struct op fill = ON(p.a, do_write, .from = "12345678", .len = RING),
              w = ON(p.a, do_write, .from = "x", .len = 1), r = ON(p.b, do_read, .len = 9),
              other = ON(p.a, do_read, .len = 100);

    CHECK_RES(op_now(p.rt, &fill), RING);
    op_start(p.rt, &w);
    op_start(p.rt, &other);
    nart_stream b = p.b; /* the task's stream; the case closes the other handle */
    r.s = &b;
    CHECK_RES(nart_stream_close(&p.b), 0);
    settle(p.rt);
    CHECK_RES(w.res, -EPIPE);
    CHECK_RES(other.res, 0);
    CHECK_RES(op_now(p.rt, &r), -EBADF);
    CHECK_RES(op_now(p.rt, &fill), -EPIPE);
}

TEST(closing_the_side_in_which_a_task_waits_answers_it)
{
    OPEN(pair, p, RING);
    struct op fill = ON(p.a, do_write, .from = "12345678", .len = RING),
              w = ON(p.a, do_write, .from = "x", .len = 1), r = ON(p.a, do_read, .len = 100);

    CHECK_RES(op_now(p.rt, &fill), RING);
    op_start(p.rt, &w);
    op_start(p.rt, &r);
    CHECK_RES(nart_stream_close(&p.a), 0);
    settle(p.rt);
    CHECK_RES(w.res, -EBADF);
    CHECK_RES(r.res, -EBADF);
    CHECK_RES(op_now(p.rt, &ON(p.b, do_read, .len = 100)), RING); /* what was written stays */
}

TEST(a_second_task_is_busy)
{
    OPEN(pair, p, RING);
    struct op first = ON(p.a, do_read, .len = 100), second = ON(p.a, do_read, .len = 100);

    op_start(p.rt, &first);
    op_start(p.rt, &second);
    CHECK_RES(second.res, -EBUSY);
    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "x", .len = 1)), 1);
    CHECK_RES(first.res, 1);
}

TEST(a_shutdown_leaves_the_wait_of_another_task)
{
    OPEN(pair, p, RING);
    struct op w = ON(p.a, do_write, .from = "123456789", .len = RING + 1);

    op_start(p.rt, &w);
    CHECK_RES(w.res, NART_PENDING);
    CHECK_RES(op_now(p.rt, &ON(p.a, do_shutdown, .len = 0)), -EBUSY);
    CHECK_RES(op_now(p.rt, &ON(p.b, do_read, .len = 100)), RING);
    settle(p.rt);
    CHECK_RES(w.res, RING + 1);
}

/* ---- ways to stop waiting ---- */

TEST(a_cancelled_or_expired_wait_loses_no_byte)
{
    OPEN(pair, p, RING);
    struct op r = ON(p.a, do_exact, .len = 4);

    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "ab", .len = 2)), 2);
    op_start(p.rt, &r);
    CHECK_EQ(r.done, 2);
    CHECK_RES(nart_task_cancel(p.rt, r.id), 0);
    settle(p.rt);
    CHECK_RES(r.res, -ECANCELED);
    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "c", .len = 1)), 1);
    r.limit = NART_MS;
    CHECK_RES(op_now(p.rt, &r), -ETIMEDOUT);
    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "d", .len = 1)), 1);
    CHECK_RES(op_now(p.rt, &r), 4);
    CHECK_STR(r.into, "abcd");
}

static nart_res do_race(nart_cx *cx, struct op *op)
{
    static struct {
        nart_co co;
        nart_timer timer;
    } f;
    nart_res r = 0;
    int which;

    NART_BEGIN(cx, &f.co);
    NART_AWAIT_ANY(which, r, do_exact(cx, op), nart_sleep(cx, &f.timer, NART_MS));
    NART_END(r < 0 ? r : which);
}

TEST(a_lost_race_loses_no_byte)
{
    OPEN(pair, p, RING);
    struct op r = ON(p.a, do_race, .len = 4);

    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "ab", .len = 2)), 2);
    CHECK_RES(op_now(p.rt, &r), 1); /* the sleep */
    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "cd", .len = 2)), 2);
    CHECK_RES(op_now(p.rt, &r), 0);
    CHECK_STR(r.into, "abcd");
}

TEST(an_aborted_task_leaves_the_pair)
{
    OPEN(pair, p, RING);
    struct op r = ON(p.a, do_read, .len = 100), next = ON(p.a, do_read, .len = 100);

    op_start(p.rt, &r);
    CHECK_RES(nart_task_abort(p.rt, r.id), 0);
    settle(p.rt);
    op_start(p.rt, &next);
    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "x", .len = 1)), 1);
    CHECK_RES(next.res, 1);
}

TEST(a_pair_outlives_its_runtime_and_the_other_way_round)
{
    struct pair p;
    struct op r, w;

    pair_open(&p, RING);
    r = ON(p.a, do_read, .len = 100);
    op_start(p.rt, &r);
    CHECK_RES(nart_rt_free(p.rt), 0);
    p.rt = new_rt();
    CHECK_RES(op_now(p.rt, &ON(p.b, do_write, .from = "x", .len = 1)), 1);
    w = ON(p.a, do_read, .len = 100);
    CHECK_RES(op_now(p.rt, &w), 1);
    op_start(p.rt, &w);
    pair_drop(&p); /* closes, so the task that waits uses the memory no more */
    settle(p.rt);
    CHECK_RES(w.res, -EBADF);
    CHECK_RES(nart_rt_free(p.rt), 0);
}

TEST(a_task_of_another_runtime_is_refused)
{
    OPEN(pair, p, RING);
    struct op r = ON(p.a, do_read, .len = 100), w = ON(p.b, do_write, .from = "x", .len = 1);
    nart_rt *other = new_rt();

    op_start(p.rt, &r);
    CHECK_RES(op_now(other, &w), NART_EDRIVER);
    CHECK_RES(r.res, NART_PENDING);
    CHECK_RES(nart_rt_free(other), 0);
    CHECK_RES(nart_task_abort(p.rt, r.id), 0); /* it uses `r` */
    settle(p.rt);
}

TEST(bad_arguments_are_refused)
{
    nart_stream s = { 0 };
    nart_stream_pair p;
    char mem[4];

    CHECK_RES(nart_stream_pair_init(NULL, mem, 4), -EINVAL);
    CHECK_RES(nart_stream_pair_init(&p, NULL, 4), -EINVAL);
    CHECK_RES(nart_stream_pair_init(&p, mem, 1), -EINVAL);
    CHECK_RES(nart_stream_pair_init(&p, mem, 4), 0);
    CHECK_RES(nart_stream_init_pair(&s, &p, 2, NULL, 0), -EINVAL);
    CHECK_RES(nart_stream_init_pair(&s, NULL, 0, NULL, 0), -EINVAL);
    CHECK_RES(nart_stream_init_pair(&s, &p, 0, NULL, 1), -EINVAL);
    CHECK_RES(nart_stream_init_pair(NULL, &p, 0, NULL, 0), -EINVAL);
    CHECK_RES(nart_stream_close(&s), 0);
    CHECK_RES(nart_stream_close(NULL), 0);
}

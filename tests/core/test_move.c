/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Typed spawns move: either the caller or the task owns the frame, never both. */
#include "reader.h"

#include <nart/nart.h>

static nart_rt *rt;
static nart_tx tx;

static struct reader begin(void)
{
    struct reader o = { .r = 1 };
    uint64_t v = 7;

    rt = new_rt();
    new_chan(rt, 1, &tx, &o.rx);
    CHECK_RES(nart_try_send(&tx, &v), 0);
    return o;
}

static void end(void)
{
    nart_tx_close(&tx);
    nart_rt_free(rt);
}

static bool is_empty(const struct reader *o)
{
    static const struct reader zero;
    return memcmp(o, &zero, sizeof zero) == 0;
}

/* ---- outside a poll ---- */

TEST(a_spawn_moves_what_it_was_given)
{
    for (int boxed = 0; boxed < 2; boxed++) {
        struct reader o = begin();
        nart_join join;
        nart_res answer = 0;

        CHECK_RES((boxed ? reader_rt_spawn_boxed : reader_rt_spawn)(rt, &o, &join), 0);
        CHECK(is_empty(&o));
        nart_rx_close(&o.rx); /* empty: the task has its own handle */
        CHECK_RES(nart_rt_run(rt), 0);
        struct reader *f = nart_join_frame(&join);
        answer = f->r;
        CHECK_RES(answer, 0);
        CHECK_EQ(f->value, 7);
        nart_join_release(&join);
        end();
    }
    CHECK_EQ(reader_drops, 2);
}

TEST(a_spawn_that_fails_leaves_it_with_the_caller)
{
    for (int boxed = 0; boxed < 2; boxed++) {
        struct reader o = begin(), before = o;

        CHECK_RES(nart_rt_shutdown(rt), 0);
        CHECK_RES((boxed ? reader_rt_spawn_boxed : reader_rt_spawn)(rt, &o, NULL), NART_ESHUTDOWN);
        CHECK(memcmp(&o, &before, sizeof o) == 0);
        nart_rx_close(&o.rx);
        end();
    }
    CHECK_EQ(reader_drops, 0);
}

TEST(block_on_moves_as_well)
{
    struct reader o = begin();
    nart_res answer = 0;

    CHECK_RES(reader_block_on(rt, &o, &answer), 0);
    CHECK_RES(answer, 7);
    CHECK(is_empty(&o));
    CHECK_EQ(reader_drops, 1);
    o = (struct reader){ .r = 1 };
    CHECK_RES(nart_rt_shutdown(rt), 0);
    CHECK_RES(reader_block_on(rt, &o, &answer), NART_ESHUTDOWN);
    CHECK_EQ(o.r, 1);
    end();
}

TEST(nothing_to_move_is_zeros)
{
    nart_res answer = 0;

    rt = new_rt();
    CHECK_RES(reader_block_on(rt, NULL, &answer), 0);
    CHECK_RES(answer, NART_ECLOSED); /* a zeroed receiver */
    end();
}

/* ---- inside a poll ---- */

struct outer {
    nart_co co;
    struct reader child;
    nart_join join;
    nart_task_set set;
    nart_task_set_node node;
    nart_res r, answer;
    int kind;
};

static nart_res outer_run(nart_cx *cx, void *frame)
{
    struct outer *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->kind < 2) {
        f->r = (f->kind ? reader_spawn_boxed : reader_spawn)(cx, &f->child, &f->join);
        CHECK_RES(f->r, 0);
        CHECK(is_empty(&f->child));
        NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
        nart_join_release(&f->join);
    } else {
        nart_task_set_init(&f->set, &f->node, 1);
        f->r =
            NART_MOVE(reader, &f->child, nart_task_set_spawn(cx, &f->set, &reader_type, &f->child));
        CHECK_RES(f->r, 0);
        CHECK(is_empty(&f->child));
        f->child.r = 1;
        f->r =
            NART_MOVE(reader, &f->child, nart_task_set_spawn(cx, &f->set, &reader_type, &f->child));
        CHECK_RES(f->r, -ENOSPC);
        CHECK_EQ(f->child.r, 1);
        NART_AWAIT(f->r, nart_task_set_next(cx, &f->set, &f->answer));
        nart_task_set_close(&f->set);
    }
    CHECK_RES(f->r, 0);
    NART_END(f->answer);
}

NART_TASK_TYPED(outer, struct outer, outer_run, NULL);

TEST(a_task_moves_what_it_gives_to_another_one)
{
    for (int kind = 0; kind < 3; kind++) {
        struct outer o = { .child = begin(), .kind = kind };
        nart_res answer = 0;

        CHECK_RES(outer_block_on(rt, &o, &answer), 0);
        CHECK_RES(answer, 7);
        end();
    }
    CHECK_EQ(reader_drops, 3);
}

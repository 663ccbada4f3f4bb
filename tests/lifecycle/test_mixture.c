/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rounds on one runtime, each with tasks of every kind: some end at once, some yield, some receive,
 * one waits on a token, one is joined. Their events occur in shuffled order, and each round leaves
 * nothing behind. */
#include "../core/core.h"

#include <nart/cancel.h>

enum { IMMEDIATE, YIELDS, RECEIVES, WAITS, SORTS };
enum { TASKS = 9, ROUNDS = 200, STEPS = 6 };

struct member {
    nart_co co;
    int sort;
    nart_rx *rx;
    const nart_token *token;
    nart_waiter waiter;
    uint64_t value;
    nart_res r;
};

static int ended[SORTS], dropped[SORTS];

static nart_res member_run(nart_cx *cx, void *frame)
{
    struct member *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->sort == YIELDS) {
        NART_YIELD();
    } else if (f->sort == RECEIVES) {
        NART_AWAIT(f->r, nart_recv(cx, f->rx, &f->value));
        CHECK(f->r == 0 || f->r == NART_ECLOSED);
    } else if (f->sort == WAITS) {
        NART_AWAIT(f->r, nart_token_await(cx, f->token, &f->waiter));
        CHECK_RES(f->r, 0);
    }
    ended[f->sort]++;
    NART_END(f->r);
}

static void member_drop(void *frame)
{
    struct member *f = frame;
    dropped[f->sort]++;
}

static const nart_task_type member_type = NART_TASK_TYPE(struct member, member_run, member_drop);

struct round {
    nart_rt *rt;
    nart_tx tx[2];
    nart_rx rx[2];
    nart_token token;
    nart_join join;
};

static void begin(struct round *r, nart_rt *rt)
{
    static const int sorts[TASKS - 1] = { IMMEDIATE, IMMEDIATE, IMMEDIATE, YIELDS,
                                          YIELDS,    RECEIVES,  RECEIVES,  WAITS };
    int receivers = 0;

    *r = (struct round){ .rt = rt };
    for (int i = 0; i < 2; i++)
        new_chan(rt, 1, &r->tx[i], &r->rx[i]);
    CHECK_RES(nart_token_new(rt, &r->token), 0);
    for (int i = 0; i < TASKS - 1; i++) {
        struct member init = { .sort = sorts[i], .token = &r->token };
        if (init.sort == RECEIVES)
            init.rx = &r->rx[receivers++];
        CHECK_RES(nart_rt_spawn(rt, &member_type, &init, NULL), 0);
    }
    const struct member held = { .sort = YIELDS };
    CHECK_RES(nart_rt_spawn(rt, &member_type, &held, &r->join), 0);
}

static void step(struct round *r, int which)
{
    const uint64_t value = 1;

    switch (which) {
    case 0:
    case 1:
        CHECK_RES(nart_try_send(&r->tx[which], &value), 0);
        break;
    case 2:
        nart_token_cancel(&r->token);
        break;
    case 3:
        nart_join_release(&r->join);
        break;
    default:
        CHECK_LE(0, nart_rt_poll(r->rt, 0));
    }
}

static void end(struct round *r)
{
    for (int i = 0; i < 2; i++)
        nart_tx_close(&r->tx[i]);
    settle(r->rt);
    for (int i = 0; i < 2; i++)
        nart_rx_close(&r->rx[i]);
    nart_token_release(&r->token);
    CHECK_EQ(nart_rt_task_count(r->rt), 0);
}

TEST(rounds_in_shuffled_order_leave_nothing)
{
    nart_rt *rt = new_rt();
    uint64_t seed = 42;

    for (int n = 1; n <= ROUNDS; n++) {
        int order[STEPS] = { 0, 1, 2, 3, 4, 5 };
        struct round r;
        begin(&r, rt);
        for (int i = STEPS; i > 0; i--) {
            uint32_t k = random_below(&seed, (uint32_t)i);
            int which = order[k];
            order[k] = order[i - 1];
            step(&r, which);
        }
        end(&r);
        static const int each[SORTS] = { 3, 3, 2, 1 };
        for (int s = 0; s < SORTS; s++) {
            CHECK_EQ(ended[s], n * each[s]);
            CHECK_EQ(dropped[s], n * each[s]);
        }
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

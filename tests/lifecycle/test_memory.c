/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Opening without memory fails with -ENOMEM and leaves a closed handle; waiting allocates
 * nothing. */
#include "../core/core.h"
#include "waits.h"

FIXTURE_RT();
static uint64_t initial;

static nart_res open_chan(uint32_t i)
{
    const nart_chan_opts o = { .size = sizeof o, .kind = i, .elem = 8, .capacity = 4 };
    return nart_chan_open(rt, &o, &all.tx[0], &all.rx[0]);
}

static nart_res open_bytes(uint32_t i)
{
    const nart_bytes_opts o = { .size = sizeof o, .kind = i, .capacity = 64 };
    return nart_bytes_open(rt, &o, &all.btx[0], &all.brx[0]);
}

static nart_res open_oneshot(uint32_t i)
{
    return nart_oneshot_open(rt, i, NULL, &all.otx[0], &all.orx[0]);
}

static nart_res open_watch(uint32_t i)
{
    return nart_watch_open(rt, i, &initial, &all.wtx, &all.wrx);
}

static nart_res open_broadcast(uint32_t i)
{
    return nart_broadcast_open(rt, i, 4, &all.ctx, &all.crx);
}

static nart_res open_token(uint32_t i)
{
    (void)i;
    return nart_token_new(rt, &all.token);
}

static nart_res open_child(uint32_t i)
{
    return i ? nart_token_child_on(&all.token, rt, &all.child)
             : nart_token_child(&all.token, &all.child);
}

static const struct {
    const char *name;
    nart_res (*open)(uint32_t i);
    uint32_t i;
} opened[] = {
    { "local", open_chan, NART_CHAN_LOCAL },
    { "spsc", open_chan, NART_CHAN_SPSC },
    { "mpsc", open_chan, NART_CHAN_MPSC },
    { "spsc bytes", open_bytes, NART_BYTES_SPSC },
    { "mpsc bytes", open_bytes, NART_BYTES_MPSC },
    { "oneshot", open_oneshot, 8 },
    { "watch", open_watch, 8 },
    { "broadcast", open_broadcast, 8 },
    { "token", open_token, 0 },
    { "child token", open_child, 0 },
    { "child token on a runtime", open_child, 1 },
};

static bool nothing_is_open(void)
{
    return !all.tx[0].ring && !all.rx[0].ring && !all.btx[0].ring && !all.brx[0].ring &&
           !all.otx[0].shared && !all.orx[0].shared && !all.wtx.bcast && !all.wrx.in.bcast &&
           !all.ctx.bcast && !all.crx.in.bcast && !all.child.node;
}

TEST_WITH(an_open_without_memory_fails_and_may_be_closed, rt)
{
    for (size_t i = 0; i < sizeof opened / sizeof *opened; i++) {
        nart_res r = -ENOMEM;
        int failed = 0;
        all = (struct all){ .value = 0 };
        if (opened[i].open == open_child)
            CHECK_RES(nart_token_new(rt, &all.token), 0);
        for (long nth = 1; r; nth++) {
            long before = test_alloc_live();
            test_alloc_fail(nth, false);
            r = opened[i].open(opened[i].i);
            if (r == 0)
                break;
            CHECK_RES(r, -ENOMEM);
            CHECK_EQ(test_alloc_live(), before);
            CHECK(nothing_is_open());
            failed++;
        }
        test_alloc_fail(0, false);
        if (failed != 1)
            test_fail(__FILE__, __LINE__, "%s: %d allocations", opened[i].name, failed);
        close_all();
    }
}

TEST(what_waits_needs_none)
{
    rt = new_rt();
    open_all(rt);
    test_alloc_fail(1, true);
    for (int i = 0; i < WAITS; i++) {
        const struct waiter init = { .wait = &waits[i] };
        CHECK_RES(nart_rt_spawn(rt, &waiter_type, &init, NULL), 0);
    }
    settle(rt);
    CHECK_EQ(waiting, WAITS);
    close_all();
    CHECK_RES(nart_rt_shutdown(rt), 0);
    settle(rt);
    CHECK_EQ(waiting, 0);
    CHECK_RES(nart_rt_free(rt), 0);
    test_alloc_fail(0, false);
}

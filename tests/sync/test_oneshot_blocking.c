/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads that block in a oneshot. */
#include "../core/core.h"
#include "threads.h"

#include <nart/oneshot.h>

FIXTURE_RT();
static nart_oneshot_tx tx;
static nart_oneshot_rx rx;
static int dropped;

static void count_drop(void *value)
{
    (void)value;
    dropped++;
}

/* The fixture `pair`: both ends of a oneshot of an uint64_t. */
static void pair_open(void)
{
    rt_open();
    CHECK_RES(nart_oneshot_open(rt, sizeof(uint64_t), count_drop, &tx, &rx), 0);
}

static void pair_close(void)
{
    nart_oneshot_tx_close(&tx);
    nart_oneshot_rx_close(&rx);
    rt_close();
}

static nart_res put(uint64_t value)
{
    return nart_oneshot_send(&tx, &value);
}

static nart_res take(uint64_t *value, int64_t timeout_ns)
{
    return nart_oneshot_recv_blocking(&rx, value, timeout_ns);
}

static void *send_seven(void *arg)
{
    (void)arg;
    CHECK_RES(put(7), 0);
    return NULL;
}

static void *close_only(void *arg)
{
    (void)arg;
    nart_oneshot_tx_close(&tx);
    return NULL;
}

TEST_WITH(a_thread_waits_for_a_value, pair)
{
    uint64_t value = 0;

    pthread_t thread = thread_start(send_seven, NULL);
    CHECK_RES(take(&value, NART_NEVER), 0);
    CHECK_EQ(value, 7);
    thread_join(thread);
    CHECK_RES(take(&value, NART_NEVER), NART_ECLOSED);
    CHECK_EQ(dropped, 0);
}

TEST_WITH(a_thread_waits_for_the_senders_end, pair)
{
    uint64_t value = 3;

    pthread_t thread = thread_start(close_only, NULL);
    CHECK_RES(take(&value, NART_NEVER), NART_ECLOSED);
    CHECK_EQ(value, 3);
    thread_join(thread);
}

TEST_WITH(a_value_that_was_sent_needs_no_time, pair)
{
    uint64_t value = 0;

    CHECK_RES(take(&value, 0), -ETIMEDOUT);
    CHECK_RES(put(9), 0);
    CHECK_RES(take(&value, 0), 0);
    CHECK_EQ(value, 9);
}

TEST_WITH(after_a_timeout_the_value_can_be_received, pair)
{
    uint64_t value = 0;

    CHECK_RES(take(&value, NART_US), -ETIMEDOUT);
    CHECK_RES(take(&value, -1), -ETIMEDOUT);
    CHECK(!nart_oneshot_tx_is_closed(&tx));
    CHECK_RES(put(4), 0); /* wakes no thread that has returned */
    CHECK_RES(nart_oneshot_try_recv(&rx, &value), 0);
    CHECK_EQ(value, 4);
}

TEST_WITH(after_a_timeout_the_receiver_can_be_closed, pair)
{
    uint64_t value = 0;

    CHECK_RES(take(&value, NART_US), -ETIMEDOUT);
    nart_oneshot_rx_close(&rx);
    CHECK_RES(take(&value, NART_NEVER), NART_ECLOSED);
    CHECK_RES(put(4), NART_ECLOSED);
    CHECK_EQ(dropped, 0);
}

/* ---- beside tasks ---- */

struct waits {
    uint64_t value;
};

static nart_res waits_poll(nart_cx *cx, void *frame)
{
    return nart_oneshot_recv(cx, &rx, &((struct waits *)frame)->value);
}

static const nart_task_type waits_type = NART_TASK_TYPE(struct waits, waits_poll, NULL);

TEST_WITH(a_receiver_in_which_a_task_waits_is_busy, pair)
{
    nart_join join;
    uint64_t value = 0;

    struct waits *f = spawn(rt, &waits_type, &join);
    settle(rt);
    CHECK_RES(take(&value, NART_NEVER), -EBUSY);
    CHECK_RES(put(5), 0);
    settle(rt);
    CHECK_EQ(f->value, 5);
    nart_join_release(&join);
}

/* The waker of the task is replaced. */
TEST_WITH(a_thread_waits_after_a_task, pair)
{
    nart_join join;
    uint64_t value = 0;

    spawn(rt, &waits_type, &join);
    settle(rt);
    CHECK_RES(cancel(rt, &join), 0);
    settle(rt);
    nart_join_release(&join);
    CHECK_RES(take(&value, NART_US), -ETIMEDOUT);
    pthread_t thread = thread_start(send_seven, NULL);
    CHECK_RES(take(&value, NART_NEVER), 0);
    CHECK_EQ(value, 7);
    thread_join(thread);
}

TEST(linked_ends_block_no_thread)
{
    uint64_t slot = 0, value = 0;

    CHECK_RES(nart_oneshot_link(&slot, sizeof slot, NULL, &tx, &rx), 0);
    CHECK_RES(take(&value, NART_NEVER), -EINVAL);
    CHECK_RES(put(6), 0);
    CHECK_RES(take(&value, NART_NEVER), 0);
    CHECK_EQ(value, 6);
}

/* ---- timeouts that race with the sender ---- */

static struct nart__oneshot *handed; /* what is in a sender */

static void *send_each(void *arg)
{
    uint64_t seed = 5;

    for (uint64_t i = *(uint64_t *)arg; i > 0; i--) {
        nart_oneshot_tx own = { .rx = NULL };
        while (!(own.shared = __atomic_exchange_n(&handed, NULL, __ATOMIC_ACQ_REL)))
            sched_yield();
        thread_gap(&seed, 2);
        nart_res r = nart_oneshot_send(&own, &i);
        CHECK(r == 0 || r == NART_ECLOSED);
    }
    return NULL;
}

TEST_WITH(timeouts_race_with_values, rt)
{
    uint64_t rounds = test_repeat(100000), seed = 6;
    pthread_t thread = thread_start(send_each, &rounds);

    for (uint64_t i = rounds; i > 0; i--) {
        nart_oneshot_tx own;
        uint64_t value = 0;
        CHECK_RES(nart_oneshot_open(rt, sizeof value, NULL, &own, &rx), 0);
        while (__atomic_load_n(&handed, __ATOMIC_ACQUIRE) != NULL)
            sched_yield();
        __atomic_store_n(&handed, own.shared, __ATOMIC_RELEASE);
        nart_res r = take(&value, 1 + (int64_t)random_below(&seed, 2000));
        if (r == -ETIMEDOUT && random_below(&seed, 2) == 0)
            r = take(&value, NART_NEVER);
        CHECK(r == 0 || r == -ETIMEDOUT);
        CHECK(r != 0 || value == i);
        nart_oneshot_rx_close(&rx);
    }
    thread_join(thread);
}

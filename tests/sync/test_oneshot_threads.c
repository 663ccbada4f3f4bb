/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Ten million oneshots between two real threads, each received, closed or left with its sender;
 * exact counts, all blocks freed. A lost wake-up shows as a hang, which the test's timeout ends. */
#include "../core/core.h"
#include "threads.h"

#include <nart/oneshot.h>
#include <sched.h>

enum { RING = 256 };

/* Senders handed from one thread to the other. */
static nart_oneshot_tx ring[RING];
static uint32_t given, taken; /* positions */
static uint64_t sent, refused, ended;

static void *answer_all(void *arg)
{
    uint64_t seed = 77;
    uint32_t count = *(uint32_t *)arg;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = i;
        while (__atomic_load_n(&given, __ATOMIC_ACQUIRE) == i)
            sched_yield();
        nart_oneshot_tx tx = { .shared = NULL };
        nart_oneshot_tx_move(&tx, &ring[i % RING]);
        __atomic_store_n(&taken, i + 1, __ATOMIC_RELEASE);
        if (random_below(&seed, 8) == 0) {
            nart_oneshot_tx_close(&tx);
            ended++;
        } else if (nart_oneshot_send(&tx, &value) == 0) {
            sent++;
        } else {
            refused++;
        }
    }
    return NULL;
}

static uint64_t dropped;

static void drop(void *value)
{
    (void)value;
    dropped++;
}

static nart_oneshot_rx receiver[RING];

/* Opens a random number of oneshots and handles them in order: awaits most, tries some, closes some
 * at once or after a wait. */
struct asker {
    nart_co co;
    nart_rt *rt;
    uint64_t seed;
    uint32_t i, end, count, how;
    uint64_t value, received, closed;
    nart_res r;
};

static void ask(struct asker *a)
{
    uint32_t n = random_below(&a->seed, 4) ? 1 + random_below(&a->seed, RING) : 1;

    for (a->end = a->i; n > 0 && a->end < a->count; n--, a->end++) {
        uint32_t place = a->end % RING;
        while (a->end - __atomic_load_n(&taken, __ATOMIC_ACQUIRE) >= RING)
            sched_yield();
        CHECK_RES(nart_oneshot_open(a->rt, sizeof a->value, drop, &ring[place], &receiver[place]),
                  0);
        __atomic_store_n(&given, a->end + 1, __ATOMIC_RELEASE);
    }
}

static void heard(struct asker *a)
{
    if (a->r == 0) {
        CHECK_EQ(a->value, a->i);
        a->received++;
    } else {
        CHECK_RES(a->r, NART_ECLOSED);
        a->closed++;
    }
}

static nart_res asker_run(nart_cx *cx, void *frame)
{
    struct asker *a = frame;

    NART_BEGIN(cx, &a->co);
    for (a->i = 0; a->i < a->count; a->i++) {
        if (a->i == a->end)
            ask(a);
        a->how = random_below(&a->seed, 16);
        if (a->how == 0) {
            while ((a->r = nart_oneshot_try_recv(&receiver[a->i % RING], &a->value)) == -EAGAIN)
                sched_yield();
            heard(a);
        } else if (a->how < 3) { /* polled at most once */
            if (a->how == 1) {
                a->r = nart_oneshot_recv(cx, &receiver[a->i % RING], &a->value);
                if (a->r == 0 || a->r == NART_ECLOSED)
                    heard(a);
            }
            nart_oneshot_rx_close(&receiver[a->i % RING]);
        } else {
            NART_AWAIT(a->r, nart_oneshot_recv(cx, &receiver[a->i % RING], &a->value));
            heard(a);
        }
    }
    NART_END(0);
}

static const nart_task_type asker_type = NART_TASK_TYPE(struct asker, asker_run, NULL);

static void storm(uint32_t count, uint32_t flags)
{
    nart_rt *rt = NEW_RT(.flags = flags);
    nart_join join;

    struct asker *a = spawn(rt, &asker_type, &join);
    a->rt = rt;
    a->count = count;
    a->seed = 4242;
    given = taken = 0;
    pthread_t thread = thread_start(answer_all, &count);
    CHECK_RES(nart_rt_run(rt), 0);
    thread_join(thread);
    CHECK_EQ(sent + refused + ended, count);
    CHECK_EQ(a->received + dropped, sent);
    CHECK_LE(a->closed, ended);
    CHECK_LE(1, a->received);
    CHECK_LE(1, a->closed);
    CHECK_LE(1, refused + dropped);
    nart_join_release(&join);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(test_alloc_live(), 0);
}

TEST(a_storm_between_two_threads)
{
    storm((uint32_t)test_repeat(10000000), 0);
}

TEST(a_spinning_receiver)
{
    storm((uint32_t)test_repeat(1000000), NART_RT_SPINNING);
}

/* Each of many senders closes on its own thread, after the receiver's runtime was freed. */
static void *late(void *arg)
{
    uint64_t value = 1;
    if (nart_oneshot_send(arg, &value) == 0)
        __atomic_fetch_add(&sent, 1, __ATOMIC_RELAXED);
    return NULL;
}

struct holder {
    nart_co co;
    nart_oneshot_rx rx;
    uint64_t value;
    nart_res r;
};

static nart_res holder_run(nart_cx *cx, void *frame)
{
    struct holder *h = frame;

    NART_BEGIN(cx, &h->co);
    NART_AWAIT(h->r, nart_oneshot_recv(cx, &h->rx, &h->value));
    NART_END(h->r);
}

static void holder_drop(void *frame)
{
    struct holder *h = frame;
    nart_oneshot_rx_close(&h->rx);
}

static const nart_task_type holder_type = NART_TASK_TYPE(struct holder, holder_run, holder_drop);

TEST(a_runtime_is_freed_under_its_receivers)
{
    for (uint64_t i = test_repeat(2000); i > 0; i--) {
        nart_oneshot_tx tx[2];
        nart_rt *rt = new_rt();
        nart_join join[2];
        pthread_t thread[2];
        for (int k = 0; k < 2; k++) {
            struct holder *h = spawn(rt, &holder_type, &join[k]);
            CHECK_RES(nart_oneshot_open(rt, sizeof(uint64_t), NULL, &tx[k], &h->rx), 0);
        }
        CHECK_LE(0, nart_rt_poll(rt, 0));
        for (int k = 0; k < 2; k++)
            thread[k] = thread_start(late, &tx[k]);
        if (i % 2)
            CHECK_LE(0, nart_rt_poll(rt, 0));
        CHECK_RES(nart_rt_free(rt), 0);
        for (int k = 0; k < 2; k++) {
            thread_join(thread[k]);
            nart_join_release(&join[k]);
        }
        CHECK_EQ(test_alloc_live(), 0);
    }
}

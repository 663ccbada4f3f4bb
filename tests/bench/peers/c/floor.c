/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The floor: the cost of the rows themselves.
 *
 * A task is a function and a frame, a FIFO of tasks is the whole executor, freed tasks are kept
 * in a list. No other thread, no timers, no I/O, no cancellation, no budget: not a usable
 * library, but a lower bound for any library. */
#include "peers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME = 128, TASKS = 1024, PLACES = 64 };

struct task {
    struct task *next, *joiner;
    bool (*poll)(struct task *t); /* true: ended */
    bool queued;
    uint64_t frame[FRAME / 8];
};

static struct task *ready, **ready_end = &ready, *spare;
static size_t live;

static void wake(struct task *t)
{
    if (t->queued)
        return;
    t->queued = true;
    t->next = NULL;
    *ready_end = t;
    ready_end = &t->next;
}

static struct task *spawn(bool (*poll)(struct task *), struct task *joiner)
{
    struct task *t = spare;

    if (!t)
        bench_fail("out of tasks");
    spare = t->next;
    t->poll = poll;
    t->joiner = joiner;
    live++;
    wake(t);
    return t;
}

static void run(void)
{
    while (live) {
        struct task *t = ready;
        ready = NULL;
        ready_end = &ready;
        while (t) {
            struct task *next = t->next;
            t->queued = false;
            if (t->poll(t)) {
                if (t->joiner)
                    wake(t->joiner);
                t->next = spare;
                spare = t;
                live--;
            }
            t = next;
        }
    }
}

static void open_floor(void)
{
    struct task *all = spare ? NULL : calloc(TASKS, sizeof *all);

    for (size_t i = 0; all && i < TASKS; i++) {
        all[i].next = spare;
        spare = &all[i];
    }
}

static double per_op(int64_t start, uint64_t n)
{
    return (double)(bench_now() - start) / (double)n;
}

/* ---- waking -------------------------------------------------------------------------------- */

static bool yielder(struct task *t)
{
    if (t->frame[0]-- == 0)
        return true;
    wake(t);
    return false;
}

static double yields(uint64_t n, uint64_t tasks)
{
    open_floor();
    for (uint64_t i = 0; i < tasks; i++)
        spawn(yielder, NULL)->frame[0] = n / tasks;
    int64_t start = bench_now();
    run();
    return per_op(start, n);
}

double floor_self_wake_1(uint64_t n)
{
    return yields(n, 1);
}

double floor_self_wake_1000(uint64_t n)
{
    return yields(n, 1000);
}

/* ---- spawning ------------------------------------------------------------------------------ */

static bool ends_at_once(struct task *t)
{
    (void)t;
    return true;
}

static bool spawner(struct task *t)
{
    if (t->frame[0]-- == 0)
        return true;
    spawn(ends_at_once, t);
    return false;
}

double floor_spawn_join(uint64_t n)
{
    open_floor();
    spawn(spawner, NULL)->frame[0] = n;
    int64_t start = bench_now();
    run();
    return per_op(start, n);
}

double floor_spawn_join_1000(uint64_t n)
{
    open_floor();
    int64_t start = bench_now();
    for (uint64_t round = 0; round < n / 1000; round++) {
        for (int i = 0; i < 1000; i++)
            spawn(ends_at_once, NULL);
        run();
    }
    return per_op(start, n);
}

/* ---- channels ------------------------------------------------------------------------------ */

struct ring {
    uint64_t values[PLACES];
    uint32_t head, tail, places;
    struct task *rx, *tx; /* the waiting tasks */
};

static inline bool ring_send(struct ring *r, const uint64_t *value)
{
    if (r->tail - r->head == r->places)
        return false;
    memcpy(&r->values[r->tail++ % PLACES], value, sizeof *value);
    if (r->rx) {
        wake(r->rx);
        r->rx = NULL;
    }
    return true;
}

static inline bool ring_recv(struct ring *r, uint64_t *value)
{
    if (r->tail == r->head)
        return false;
    memcpy(value, &r->values[r->head++ % PLACES], sizeof *value);
    if (r->tx) {
        wake(r->tx);
        r->tx = NULL;
    }
    return true;
}

double floor_local_pair(uint64_t n)
{
    struct ring r = { .places = PLACES };
    uint64_t value = 0;
    int64_t start = bench_now();

    for (uint64_t i = 0; i < n; i++) {
        if (!ring_send(&r, &i) || !ring_recv(&r, &value))
            return 0;
        BENCH_KEEP(value);
    }
    return per_op(start, n);
}

/* The frame of a task that uses channels. */
struct party {
    struct ring *in, *out;
    uint64_t left, value;
    bool holds; /* has a value still to send */
};

static bool producer(struct task *t)
{
    struct party *p = (struct party *)(void *)t->frame;

    for (; p->left; p->left--)
        if (!ring_send(p->out, &p->left)) {
            p->out->tx = t;
            return false;
        }
    return true;
}

static bool consumer(struct task *t)
{
    struct party *p = (struct party *)(void *)t->frame;

    for (; p->left; p->left--) {
        if (!ring_recv(p->in, &p->value)) {
            p->in->rx = t;
            return false;
        }
        BENCH_KEEP(p->value);
    }
    return true;
}

/* Receives and passes on, `left` times; the one that initially holds a value begins. */
static bool player(struct task *t)
{
    struct party *p = (struct party *)(void *)t->frame;

    while (p->left) {
        if (p->holds && !ring_send(p->out, &p->value)) {
            p->out->tx = t;
            return false;
        }
        p->holds = false;
        if (!ring_recv(p->in, &p->value)) {
            p->in->rx = t;
            return false;
        }
        p->holds = true;
        p->left--;
    }
    return !p->out || !p->holds || ring_send(p->out, &p->value);
}

static void spawn_party(bool (*poll)(struct task *), struct party party)
{
    memcpy(spawn(poll, NULL)->frame, &party, sizeof party);
}

double floor_local_stream(uint64_t n)
{
    struct ring r = { .places = PLACES };

    open_floor();
    spawn_party(producer, (struct party){ .out = &r, .left = n });
    spawn_party(consumer, (struct party){ .in = &r, .left = n });
    int64_t start = bench_now();
    run();
    return per_op(start, n);
}

double floor_local_pingpong(uint64_t n)
{
    struct ring there = { .places = 1 }, back = { .places = 1 };

    open_floor();
    spawn_party(player, (struct party){ .in = &back, .out = &there, .left = n, .holds = true });
    spawn_party(player, (struct party){ .in = &there, .out = &back, .left = n });
    int64_t start = bench_now();
    run();
    return per_op(start, n);
}

/* ---- calling through a pointer ---------------------------------------------------------------- */

static uint64_t values[4];

static int64_t add_1(uint64_t *sum, const uint64_t *event)
{
    *sum += *event;
    return 0;
}

static int64_t add_4(uint64_t *sum, const uint64_t *x, const uint64_t *y, uint64_t *last,
                     const uint64_t *event)
{
    *sum += *event + *x;
    *last = *y;
    return 0;
}

double floor_world_1(uint64_t n)
{
    int64_t (*volatile call)(uint64_t *, const uint64_t *) = add_1;
    int64_t start = bench_now();

    for (uint64_t i = 0; i < n; i++) {
        if (call(&values[0], &i) < 0)
            return 0;
        BENCH_KEEP(values);
    }
    return per_op(start, n);
}

double floor_world_4(uint64_t n)
{
    int64_t (*volatile call)(uint64_t *, const uint64_t *, const uint64_t *, uint64_t *,
                             const uint64_t *) = add_4;
    int64_t start = bench_now();

    for (uint64_t i = 0; i < n; i++) {
        if (call(&values[0], &values[1], &values[2], &values[3], &i) < 0)
            return 0;
        BENCH_KEEP(values);
    }
    return per_op(start, n);
}

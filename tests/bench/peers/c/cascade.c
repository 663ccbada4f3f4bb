/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The longest step of a timer wheel that cascades naively: when the hand of a level advances,
 * the whole slot above is spread at once.
 *
 * One million timers, due evenly over 1 s to 1 h, 64 slots per level, 1 ms per slot of the
 * lowest. The wheel's clock steps 1 ms at a time without waiting. The measured span begins 10 s
 * before the hand of the third level advances, as it does every 262 s. Each step is measured in
 * processor time of the thread. */
#include "peers.h"

#include <stdlib.h>

enum { TIMERS = 1000000, BITS = 6, SLOTS = 1 << BITS, LEVELS = 5 };
enum { TURN = 1 << (BITS * 3), BEFORE = 10000 }; /* ms */

struct timer {
    struct timer *next, *prev;
    int64_t due;
    char rest[120]; /* a timer is a part of something larger */
};

struct wheel {
    int64_t now;
    struct timer slots[LEVELS][SLOTS]; /* list heads */
};

static void add(struct wheel *w, struct timer *t)
{
    int64_t wait = t->due - w->now;
    int level = 0;

    while (level < LEVELS - 1 && wait >= (int64_t)1 << (BITS * (level + 1)))
        level++;
    struct timer *head = &w->slots[level][(t->due >> (BITS * level)) % SLOTS];
    t->next = head;
    t->prev = head->prev;
    head->prev->next = t;
    head->prev = t;
}

static struct timer *take(struct timer *head)
{
    struct timer *t = head->next;

    head->next = t->next;
    t->next->prev = head;
    return t;
}

static void cascade(struct wheel *w, int level)
{
    struct timer *head = &w->slots[level][(w->now >> (BITS * level)) % SLOTS];
    struct timer *end = head->prev; /* a timer may return to the same slot */

    if (head->next == head)
        return;
    for (struct timer *t = NULL; t != end;) {
        t = take(head);
        add(w, t);
    }
}

static void step(struct wheel *w)
{
    w->now++;
    for (int level = LEVELS - 1; level > 0; level--)
        if (w->now % ((int64_t)1 << (BITS * level)) == 0)
            cascade(w, level);
    struct timer *due = &w->slots[0][w->now % SLOTS];
    while (due->next != due)
        take(due);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

double cascade_longest_us(uint64_t seconds)
{
    struct wheel *w = calloc(1, sizeof *w);
    struct timer *timers = calloc(TIMERS, sizeof *timers);
    uint64_t state = 88172645463325252u;
    int64_t longest = 0;

    if (!w || !timers)
        bench_fail("memory");
    for (int level = 0; level < LEVELS; level++)
        for (int i = 0; i < SLOTS; i++)
            w->slots[level][i].next = w->slots[level][i].prev = &w->slots[level][i];
    for (int i = 0; i < TIMERS; i++) {
        timers[i].due = 1000 + (int64_t)(next_random(&state) % 3599000);
        add(w, &timers[i]);
    }
    while (w->now < TURN - BEFORE)
        step(w);
    for (uint64_t tick = 0; tick < seconds * 1000; tick++) {
        int64_t start = bench_thread_time();
        step(w);
        int64_t took = bench_thread_time() - start;
        longest = took > longest ? took : longest;
    }
    free(timers);
    free(w);
    return (double)longest / 1000;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * timer_wheel.h - the runtime's timers: a hierarchical wheel that is exact to the nanosecond.
 *
 * Invariants
 *   - Never early, never lost: a timer leaves by nart__wheel_remove or by an expire whose time has
 *     reached its deadline, whatever the clock does (jumps, stands still, moves backward).
 *   - Exact order: expire returns deadlines in ascending order, equal ones in order of insertion.
 *   - No burst: a call touches at most as many timers as its budget allows, and for each of them
 *     examines one slot of each level.
 *   - Insert and remove are O(1), whatever the number of timers. Nothing is allocated, no clock is
 *     read: the caller passes the time.
 *
 * The algorithm
 *   1. Level n has 64 slots of 32^n ns: 1 ns, 32 ns, 1 us, 33 us, 1.05 ms, 34 ms, 1.1 s, 34 s,
 *      18 min ... 36 years; 13 levels hold every int64. From 1.05 ms up this is a timer wheel; the
 *      levels below it are what puts a slot that is due in order by nanoseconds.
 *   2. `base` is a time that no timer precedes; it follows the clock and waits for overdue timers.
 *      A timer lives on the lowest level on which it falls in the slot of base one level up, or in
 *      the slot after that: hence 2 x 32 slots on a level, in use as a ring.
 *   3. So a slot, once base has come to it or to the slot before it, can go down as a whole
 *      (settle). Levels go lowest first, a slot from its newest timer to its oldest, each put in
 *      FRONT of a lower slot, while new timers go to the back. Hence of timers with one deadline
 *      the older is never on a lower level, nor behind in its slot, even when a slot is half way
 *      down; this is what makes equal deadlines leave in order of insertion.
 *   4. expire looks for the earliest bound among the first slots of all levels (one bit scan each)
 *      and moves base there. A timer alone in its slot leaves from where it is, and so does one on
 *      level 0, where a slot is one nanosecond; any other slot first goes down. Since base is then
 *      the earliest deadline itself, what is due next goes straight to level 0.
 *   5. When nothing is due, what is left of the budget settles the slots ahead. A slot of 1.05 ms
 *      or more that took in 16 timers is crowded: the caller is woken a slot early to begin.
 *
 * Bounds
 *   - A timer moves at most 12 times in its life, each time to a lower level.
 *   - Besides at deadlines, nart__wheel_next asks to be called at most once for each timer removed
 *     (a slot's bound may be the deadline of one that was removed), once for 16 insertions and
 *     level (crowded slots), and at once while a budget was too small for what is due or crowded.
 *     Each such call moves timers or makes the answer later: sleeping until next never spins.
 *   - 27 kB for each wheel, of which an idle program touches some cache lines.
 *
 * What it does not handle: more than one thread; being moved in memory; inserting a node that is in
 * it already. When more falls due than the budgets allow, timers are late, still in order.
 */
#ifndef NART_CORE_TIMER_WHEEL_H
#define NART_CORE_TIMER_WHEEL_H

#include <nart/driver.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NART__WHEEL_BITS 5u     /* a slot is 2^5 slots of the level below it */
#define NART__WHEEL_SLOTS 64u   /* 2 * 2^NART__WHEEL_BITS: base's slot one level up, and the next */
#define NART__WHEEL_LEVELS 13u  /* 64 bits of time */
#define NART__WHEEL_CROWDED 16u /* insertions that make it worth waking early */

/* A timer is a nart__tnode, embedded in what waits. The wheel owns its fields while it is in it.
 * next == NULL: in no wheel. at: the deadline; INT64_MAX is one that no clock reaches. */

/* One slot. `added` is 0 while it is empty, and its bound is then without meaning. */
typedef struct nart__tslot {
    nart__tnode list; /* head of the ring, oldest first; list.at: the bound, none is due before */
    uint32_t added;   /* insertions since it was empty; a removal does not count down */
} nart__tslot;

typedef struct nart__wheel {
    int64_t now;                           /* the latest time passed to the wheel */
    int64_t wake;                          /* nothing is to be done before; <= now: work is left */
    uint64_t base;                         /* key of a time <= now that no timer precedes */
    uint32_t levels;                       /* bit n: level n has a timer */
    uint64_t occupied[NART__WHEEL_LEVELS]; /* bit s of [n]: that slot has a timer */
    uint64_t crowded[NART__WHEEL_LEVELS];  /* bit s of [n]: that slot is crowded */
    nart__tslot slot[NART__WHEEL_LEVELS * NART__WHEEL_SLOTS];
} nart__wheel;

/* An empty wheel whose time is `now`. The wheel must not be moved afterwards. */
void nart__wheel_init(nart__wheel *w, int64_t now);

/* Slow paths of the inlines below. */
void nart__wheel_crowd(nart__wheel *w, unsigned level, uint64_t index);
nart__tnode *nart__wheel_work(nart__wheel *w, unsigned *budget);

/* Times as unsigned numbers in the same order, so that slots are numbered by a plain shift. */
static inline uint64_t nart__wheel_key(int64_t at)
{
    return (uint64_t)at ^ (UINT64_C(1) << 63);
}

/* Inserts a node by its deadline, which base has not passed: at the back as the newest of its slot,
 * or in front as the oldest. */
static inline void nart__wheel_place(nart__wheel *w, nart__tnode *n, bool front)
{
    uint64_t key = nart__wheel_key(n->at);
    unsigned level = (63u - (unsigned)__builtin_clzll((key - w->base) | 1u)) / NART__WHEEL_BITS;
    unsigned shift = level * NART__WHEEL_BITS;
    uint64_t index = key >> shift;

    /* This is the level by distance; right after base's slot there, it is the one below. */
    if (level > 0 && index - (w->base >> shift) == 1) {
        level--;
        index = key >> (shift - NART__WHEEL_BITS);
    }

    unsigned s = (unsigned)index % NART__WHEEL_SLOTS;
    nart__tslot *slot = &w->slot[level * NART__WHEEL_SLOTS + s];
    nart__tnode *prev = front ? &slot->list : slot->list.prev;

    n->prev = prev;
    n->next = prev->next;
    prev->next->prev = n;
    prev->next = n;
    if (slot->added == 0) {
        w->occupied[level] |= UINT64_C(1) << s;
        w->levels |= 1u << level;
        slot->list.at = n->at;
    } else if (n->at < slot->list.at) {
        slot->list.at = n->at;
    }
    if (++slot->added == NART__WHEEL_CROWDED)
        nart__wheel_crowd(w, level, index);
}

/*
 * Inserts a node that is in no wheel. A deadline that has passed counts as the wheel's latest time,
 * and n->at then says so: it is due at once, behind everything that is overdue, so that timers set
 * to the past cannot starve others.
 */
static inline void nart__wheel_add(nart__wheel *w, nart__tnode *n, int64_t at)
{
    n->at = at < w->now ? w->now : at;
    if (n->at < w->wake)
        w->wake = n->at;
    nart__wheel_place(w, n, false);
}

/* A slot has become empty. */
static inline void nart__wheel_vacate(nart__wheel *w, nart__tslot *slot)
{
    unsigned i = (unsigned)(slot - w->slot);
    unsigned level = i / NART__WHEEL_SLOTS;
    uint64_t bit = UINT64_C(1) << (i % NART__WHEEL_SLOTS);

    if (slot->added >= NART__WHEEL_CROWDED)
        w->crowded[level] &= ~bit;
    slot->added = 0;
    w->occupied[level] &= ~bit;
    if (w->occupied[level] == 0)
        w->levels &= ~(1u << level);
}

/* Removes a node; no effect if it is in no wheel. */
static inline void nart__wheel_remove(nart__wheel *w, nart__tnode *n)
{
    nart__tnode *next = n->next, *prev = n->prev;

    if (next == NULL)
        return;
    prev->next = next;
    next->prev = prev;
    n->next = NULL;
    if (next == prev) /* it was alone in its slot: both are the head */
        nart__wheel_vacate(w, (nart__tslot *)next);
}

/*
 * Takes out and returns the earliest timer whose deadline is at most `now`. NULL: nothing is due, or
 * the budget is used up and nart__wheel_next is not later than `now`. Each timer touched costs 1 of
 * the budget, those returned and those moved to lower levels; a timer not in the cache takes 0.1 to
 * 0.3 us. So call it with one budget until it answers NULL, or until enough was fired. A `now`
 * before an earlier one counts as that.
 */
static inline nart__tnode *nart__wheel_expire(nart__wheel *w, int64_t now, unsigned *budget)
{
    if (now > w->now)
        w->now = now;
    if (w->now >= w->wake)
        return nart__wheel_work(w, budget);
    w->base = nart__wheel_key(w->now); /* so that what is added next goes to a low level */
    return NULL;
}

static inline bool nart__wheel_empty(const nart__wheel *w)
{
    return w->levels == 0;
}

/* When expire must be called again: never later than the earliest deadline, not later than the
 * wheel's time while there is work, and INT64_MAX when the wheel is empty. */
static inline int64_t nart__wheel_next(const nart__wheel *w)
{
    return nart__wheel_empty(w) ? INT64_MAX : w->wake;
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* timer_wheel.c - expiry and moving down; the invariants are at the top of timer_wheel.h. */
#include "timer_wheel.h"

/* The lowest level whose crowded slots are worth waking early for: slots of 1.05 ms. */
#define CROWD_LEVEL 4u

static uint64_t slot_bit(uint64_t index)
{
    return UINT64_C(1) << (index % NART__WHEEL_SLOTS);
}

static nart__tslot *slot_at(nart__wheel *w, unsigned level, uint64_t index)
{
    return &w->slot[(uint64_t)level * NART__WHEEL_SLOTS + index % NART__WHEEL_SLOTS];
}

/* The slot of base on a level. */
static uint64_t base_index(const nart__wheel *w, unsigned level)
{
    return w->base >> (level * NART__WHEEL_BITS);
}

/* The first slot at or after base's whose bit is set; bits is not 0. */
static uint64_t first_index(const nart__wheel *w, unsigned level, uint64_t bits)
{
    uint64_t from = base_index(w, level);
    unsigned turn = (unsigned)from % NART__WHEEL_SLOTS;
    uint64_t ring = bits >> turn | bits << (-turn % NART__WHEEL_SLOTS);

    return from + (unsigned)__builtin_ctzll(ring);
}

static unsigned lowest_level(uint32_t levels)
{
    return (unsigned)__builtin_ctz(levels);
}

/* When the slot before slot `index` begins: from then on the latter can be moved down. */
static int64_t settle_time(unsigned level, uint64_t index)
{
    uint64_t key = (index - 1) << (level * NART__WHEEL_BITS);

    return (int64_t)(key ^ nart__wheel_key(0));
}

void nart__wheel_init(nart__wheel *w, int64_t now)
{
    *w = (nart__wheel){ .now = now, .wake = INT64_MAX, .base = nart__wheel_key(now) };
    for (unsigned i = 0; i < NART__WHEEL_LEVELS * NART__WHEEL_SLOTS; i++) {
        nart__tnode *list = &w->slot[i].list;

        *list = (nart__tnode){ .next = list, .prev = list, .at = INT64_MAX };
    }
}

void nart__wheel_crowd(nart__wheel *w, unsigned level, uint64_t index)
{
    if (level < CROWD_LEVEL)
        return;
    w->crowded[level] |= slot_bit(index);
    if (settle_time(level, index) < w->wake)
        w->wake = settle_time(level, index);
}

/* The slot with the earliest bound, of several with one bound that on the highest level, where the
 * oldest timers are. NULL when the wheel is empty. */
static nart__tslot *earliest(nart__wheel *w, unsigned *level)
{
    nart__tslot *found = NULL;

    for (uint32_t levels = w->levels; levels != 0; levels &= levels - 1) {
        unsigned n = lowest_level(levels);
        nart__tslot *slot = slot_at(w, n, first_index(w, n, w->occupied[n]));

        if (found == NULL || slot->list.at <= found->list.at) {
            found = slot;
            *level = n;
        }
    }
    return found;
}

/* Moves a slot's timers down, the newest first. */
static void lower(nart__wheel *w, nart__tslot *slot, unsigned *budget)
{
    while (*budget > 0 && slot->list.prev != &slot->list) {
        nart__tnode *n = slot->list.prev;

        --*budget;
        nart__wheel_remove(w, n);
        nart__wheel_place(w, n, true);
    }
}

/* Empties the slot of base and the next one on every level from 1 to top. Lowest first: so a timer
 * that comes down finds no younger one with its deadline above the place where it lands. */
static void settle(nart__wheel *w, unsigned top, unsigned *budget)
{
    for (unsigned level = 1; level <= top && *budget > 0; level++) {
        uint64_t index = base_index(w, level);

        lower(w, slot_at(w, level, index), budget);
        lower(w, slot_at(w, level, index + 1), budget);
    }
}

/* The time of the next work when nothing is due. Not later than now if a crowded slot should have been
 * settled and the budget was too small. */
static int64_t next_wake(nart__wheel *w)
{
    unsigned level;
    nart__tslot *slot = earliest(w, &level);
    int64_t wake = slot == NULL ? INT64_MAX : slot->list.at;

    for (level = CROWD_LEVEL; level < NART__WHEEL_LEVELS; level++) {
        if (w->crowded[level] != 0) {
            int64_t at = settle_time(level, first_index(w, level, w->crowded[level]));

            wake = at < wake ? at : wake;
        }
    }
    return wake;
}

/* Unless nothing is due, it returns with the old wake time, which is not after now. */
nart__tnode *nart__wheel_work(nart__wheel *w, unsigned *budget)
{
    while (*budget > 0) {
        unsigned level = 0;
        nart__tslot *slot = earliest(w, &level);

        if (slot == NULL || slot->list.at > w->now) {
            w->base = nart__wheel_key(w->now);
            settle(w, NART__WHEEL_LEVELS - 1, budget);
            w->wake = next_wake(w);
            return NULL;
        }
        w->base = nart__wheel_key(slot->list.at);

        nart__tnode *n = slot->list.next;
        if (level > 0 && n->next != &slot->list) {
            settle(w, level, budget);
            continue;
        }
        --*budget;
        if (n->at == slot->list.at) {
            nart__wheel_remove(w, n);
            return n;
        }
        slot->list.at = n->at; /* it was the bound of a timer since removed */
    }
    return NULL;
}

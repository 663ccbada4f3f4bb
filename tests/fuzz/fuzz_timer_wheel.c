/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs arbitrary bytes as a program for the timer wheel, against a plain list of (deadline,
 * number) with linear search. Two bytes make one operation: its kind, and its timer or distance.
 * The random programs of unit/test_timer_wheel.c make the same checks; here coverage guides the
 * search. */
#include "core/timer_wheel.h"

#include <stdlib.h>

#define TIMERS 32u

static nart__wheel wheel;
static nart__tnode node[TIMERS];
static uint64_t born[TIMERS]; /* the order of insertion; 0: not in the wheel */
static uint64_t births;
static int64_t now;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
    if (!ok)
        abort();
}

/* Distances of any magnitude from one byte: 0 to 7 times a power of two up to 2^60. */
static int64_t distance(uint8_t byte)
{
    return (int64_t)(byte & 7) << ((byte >> 3) * 60 / 31);
}

static int64_t later(int64_t t, int64_t by)
{
    return t > INT64_MAX - by ? INT64_MAX : t + by;
}

/* The timer that must expire first, or TIMERS. */
static unsigned first(void)
{
    unsigned best = TIMERS;

    for (unsigned i = 0; i < TIMERS; i++) {
        if (born[i] == 0)
            continue;
        if (best == TIMERS || node[i].at < node[best].at ||
            (node[i].at == node[best].at && born[i] < born[best]))
            best = i;
    }
    return best;
}

static void add(unsigned i, int64_t at)
{
    if (born[i] != 0)
        return;
    born[i] = ++births;
    nart__wheel_add(&wheel, &node[i], at);
    check(node[i].at == (at < now ? now : at));
}

static void expire(int64_t t, unsigned budget)
{
    nart__tnode *n;

    now = t > now ? t : now;
    while ((n = nart__wheel_expire(&wheel, t, &budget)) != NULL) {
        check(n == &node[first()] && n->at <= now && n->next == NULL);
        born[n - node] = 0;
    }
    check(budget == 0 || first() == TIMERS || node[first()].at > now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    now = size > 0 && data[0] & 1 ? INT64_MIN : size > 0 && data[0] & 2 ? INT64_MAX / 2 : 0;
    births = 0;
    nart__wheel_init(&wheel, now);
    for (unsigned i = 0; i < TIMERS; i++) {
        node[i] = (nart__tnode){ 0 };
        born[i] = 0;
    }
    for (size_t k = 1; k + 2 <= size; k += 2) {
        unsigned i = data[k] >> 3;
        uint8_t byte = data[k + 1];

        switch (data[k] & 7) {
        case 0:
        case 1:
        case 2:
            add(i, later(now, distance(byte)));
            break;
        case 3:
            add(i, node[byte % TIMERS].at); /* equal to another's, past or future */
            break;
        case 4:
            nart__wheel_remove(&wheel, &node[i]);
            born[i] = 0;
            break;
        case 5:
            expire(later(now, distance(byte)), i);
            break;
        case 6:
            expire(nart__wheel_next(&wheel), i);
            break;
        default:
            expire(first() < TIMERS ? node[first()].at : now, i);
            break;
        }
        check(nart__wheel_empty(&wheel) == (first() == TIMERS));
        check(nart__wheel_next(&wheel) <= (first() < TIMERS ? node[first()].at : INT64_MAX));
    }
    return 0;
}

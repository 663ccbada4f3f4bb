/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* by_hand.h: a driver whose tasks the test polls itself, with nart_driver_poll(&driver.cx, &task). */
#ifndef NART_TEST_BY_HAND_H
#define NART_TEST_BY_HAND_H

#include "test.h"

#include <nart/co.h>
#include <nart/driver.h>

#include <stddef.h>

struct by_hand {
    nart_cx cx;
    nart_driver driver;
    nart_wakeable wakeable; /* the waker of each task */
    int64_t now, deadline;  /* `deadline` of the last poll that parked */
    int readied, woken;
};

static inline int64_t by_hand_now(void *host)
{
    return ((struct by_hand *)host)->now;
}

static inline void by_hand_park(void *host, nart__task *t, int64_t deadline)
{
    (void)t;
    ((struct by_hand *)host)->deadline = deadline;
}

static inline void by_hand_ready(void *host, nart__task *t)
{
    ((struct by_hand *)host)->readied++;
    t->state &= ~(uint32_t)NART__T_READY;
}

static inline uintptr_t by_hand_waker(void *host, nart__task *t)
{
    (void)t;
    return nart_waker_of(&((struct by_hand *)host)->wakeable).w;
}

static inline void by_hand_woken(nart_wakeable *w)
{
    ((struct by_hand *)(void *)((char *)w - offsetof(struct by_hand, wakeable)))->woken++;
}

/* `kind`: 0 or NART_DRIVER_MOVES. */
static inline void by_hand_open(struct by_hand *h, uint32_t kind)
{
    *h = (struct by_hand){ .driver = { .abi = NART_DRIVER_ABI,
                                       .kind = kind,
                                       .name = "by hand",
                                       .now = by_hand_now,
                                       .park = by_hand_park,
                                       .ready = by_hand_ready,
                                       .waker = by_hand_waker },
                           .wakeable = { by_hand_woken } };
    nart_driver_cx_init(&h->cx, &h->driver, h);
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/all.h: NART_ALL() and NART_ALL_OK().
 *
 * Each arm is evaluated as a body of its own, whose nart_co is in its nart_arm: a race in one arm withdraws
 * nothing of the others. Its `at` is NART__CO_ARM, and NART__CO_LINE while it has no answer; `site` is
 * NULL. What an evaluation needs is in an nart__race, so that arms share the budget as those of a race do.
 */
#ifndef NART_DETAIL_ALL_H
#define NART_DETAIL_ALL_H

#include "../co.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NART__AWAIT_ARMS(to_error, all, ...)                                                       \
    NART__ARMS(NART__ALL, __VA_ARGS__)(to_error, all, __VA_ARGS__)

#define NART__ALL(n, to_error, all, each)                                                          \
    (NART__CHECKED(sizeof(all) == (n) * sizeof(nart_arm),                                          \
                   "NART_ALL takes an array of nart_arm, with one element for each operation"),    \
     nart__all_begin(nart_cx_, nart_races_, nart_race_++, (all), n, to_error),                     \
     (each) ? nart__all_failed(nart_cx_, --nart_race_, nart_any_)                                  \
            : nart__all_goes_on(nart_cx_, --nart_race_))
#define NART__EACH(i, x)                                                                           \
    (nart__arm_in(nart_cx_, nart_race_ - 1, i) &&                                                  \
     (nart_any_ = (x), nart__arm_out(nart_cx_, nart_race_ - 1, i, nart_any_)))
#define NART__EACH2(a, b) NART__EACH(0, a) || NART__EACH(1, b)
#define NART__EACH4(a, b, c, d) NART__EACH2(a, b) || NART__EACH(2, c) || NART__EACH(3, d)
#define NART__EACH6(a, b, c, d, e, f)                                                              \
    NART__EACH4(a, b, c, d) || NART__EACH(4, e) || NART__EACH(5, f)
#define NART__ALL2(k, all, a, b) NART__ALL(2u, k, all, NART__EACH2(a, b))
#define NART__ALL3(k, all, a, b, c) NART__ALL(3u, k, all, NART__EACH2(a, b) || NART__EACH(2, c))
#define NART__ALL4(k, all, a, b, c, d) NART__ALL(4u, k, all, NART__EACH4(a, b, c, d))
#define NART__ALL5(k, all, a, b, c, d, e)                                                          \
    NART__ALL(5u, k, all, NART__EACH4(a, b, c, d) || NART__EACH(4, e))
#define NART__ALL6(k, all, a, b, c, d, e, f) NART__ALL(6u, k, all, NART__EACH6(a, b, c, d, e, f))
#define NART__ALL7(k, all, a, b, c, d, e, f, g)                                                    \
    NART__ALL(7u, k, all, NART__EACH6(a, b, c, d, e, f) || NART__EACH(6, g))
#define NART__ALL8(k, all, a, b, c, d, e, f, g, h)                                                 \
    NART__ALL(8u, k, all, NART__EACH6(a, b, c, d, e, f) || NART__EACH(6, g) || NART__EACH(7, h))

/* Makes all arms pending, if none is. */
NART_API void nart__all_restart(nart_arm *arms, uint32_t n);

/* All pending arms have been evaluated: its answer, if none is pending now. */
NART_API nart_res nart__all_goes_on(nart_cx *cx, const nart__race *r);

/* An arm has answered res < 0, and that ends it. */
NART_API NART__COLD nart_res nart__all_failed(nart_cx *cx, const nart__race *r, nart_res res);

static inline void nart__all_begin(nart_cx *cx, const nart__race *all, nart__race *r,
                                   nart_arm *arms, uint32_t n, bool to_error)
{
    nart__race_begin(cx, all, r, NULL, 0, n);
    r->arms = arms;
    r->count = n;
    r->to_error = to_error;
    nart__all_restart(arms, n);
}

/* Is arm i to be evaluated? Enters it. */
static inline bool nart__arm_in(nart_cx *cx, nart__race *r, uint32_t i)
{
    nart_co *co = &r->arms[i].co;

    if (!(co->at & NART__CO_LINE))
        return false;
    nart__race_arm(cx, r);
    if (NART_UNLIKELY(cx->flags & NART__CX_BUSY) && cx->scope)
        nart__scope_look(cx,
                         cx->scope); /* each arm, as one that is always ready may not look itself */
    co->up = r->co;
    cx->co = co;
    return true;
}

/* Leaves the arm; true: its answer ends the NART_ALL. */
static inline bool nart__arm_out(nart_cx *cx, const nart__race *r, uint32_t i, nart_res res)
{
    nart_arm *a = &r->arms[i];

    cx->co = r->co;
    if (res == NART_PENDING)
        return false;
    a->res = res;
    a->co.at = NART__CO_ARM;
    if (cx->self && (cx->self->waits || cx->self->leaf))
        nart__co_ended(cx, &a->co);
    return res < 0 && r->to_error;
}

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/race.h: races, NART_ANY(), NART_ANY_FAIR() and NART_ANY_BIASED(). */
#ifndef NART_DETAIL_RACE_H
#define NART_DETAIL_RACE_H

#include "../co.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NART__RACES 4 /* maximum nesting in one await */

/* A race or a NART_ALL that is being evaluated. */
typedef struct nart__race {
    nart_co *co;  /* the body, or the arm of a NART_ALL, that awaits it */
    int64_t park; /* cx->park before it */
    uint32_t flags;
    uint32_t first; /* a race: the arm that this evaluation starts with */
    bool shared;    /* an arm received its own share of the budget */
    bool to_error;  /* a NART_ALL: the first error ends it */
    uint32_t count; /* a NART_ALL: the number of `arms` */
    nart_arm *arms;
} nart__race;

/* Counts the arms: m is NART__ANY or NART__ALL, of which NART__ANY2 to NART__ANY8 are defined. */
#define NART__ARMS(m, ...)                                                                         \
    NART__ARMS_PICK(                                                                               \
        __VA_ARGS__, NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED,                   \
        NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED,            \
        NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED,            \
        NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED,            \
        NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED,            \
        NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED, NART__ARMS_REFUSED,            \
        NART__ARMS_REFUSED, m##8, m##7, m##6, m##5, m##4, m##3, m##2, NART__ARMS_REFUSED, 0)
#define NART__ARMS_PICK(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, \
                        z, a1, b1, c1, d1, e1, f1, it, ...)                                        \
    it
#define NART__ARMS_REFUSED(...)                                                                    \
    (NART__CHECKED(0, "NART_ANY and NART_ALL take 2 to 8 operations or bodies: for more, write "   \
                      "bodies that take some of them each"),                                       \
     (nart_res)0)

/* A static assertion, as an expression. */
#ifdef __cplusplus
#define NART__CHECKED(cond, text) ([] { static_assert(cond, text); }())
#else
#define NART__CHECKED(cond, text)                                                                  \
    ((void)sizeof(struct {                                                                         \
        _Static_assert(cond, text);                                                                \
        char member;                                                                               \
    }))
#endif

#define NART__RACE(first, which, ...) NART__ARMS(NART__ANY, __VA_ARGS__)(first, which, __VA_ARGS__)

/* Evaluates the arms from the first one on, then those before it. */
#define NART__ANY(n, choose, from, before)                                                         \
    (nart__race_begin(nart_cx_, nart_races_, nart_race_++, choose, __LINE__, n),                   \
     ((from) || (nart_race_[-1].first && (before)))                                                \
         ? nart__race_won(nart_cx_, nart_races_, --nart_race_, nart_any_)                          \
         : nart__race_goes_on(nart_cx_, nart_races_, --nart_race_))
#define NART__ARM(i, w, x)                                                                         \
    (nart__race_arm(nart_cx_, nart_race_ - 1), (nart_any_ = (x)) != NART_PENDING && ((w) = (i), 1))
#define NART__FROM(i, w, x) (nart_race_[-1].first <= (i) && NART__ARM(i, w, x))
#define NART__BEFORE(i, w, x) (nart_race_[-1].first > (i) && NART__ARM(i, w, x))
#define NART__ANY2(first, w, a, b)                                                                 \
    NART__ANY(2u, first, NART__FROM(0, w, a) || NART__FROM(1, w, b), NART__BEFORE(0, w, a))
#define NART__ANY3(first, w, a, b, c)                                                              \
    NART__ANY(3u, first, NART__FROM(0, w, a) || NART__FROM(1, w, b) || NART__FROM(2, w, c),        \
              NART__BEFORE(0, w, a) || NART__BEFORE(1, w, b))
#define NART__ANY4(first, w, a, b, c, d)                                                           \
    NART__ANY(4u, first,                                                                           \
              NART__FROM(0, w, a) || NART__FROM(1, w, b) || NART__FROM(2, w, c) ||                 \
                  NART__FROM(3, w, d),                                                             \
              NART__BEFORE(0, w, a) || NART__BEFORE(1, w, b) || NART__BEFORE(2, w, c))
#define NART__ANY5(first, w, a, b, c, d, e)                                                        \
    NART__ANY(5u, first,                                                                           \
              NART__FROM(0, w, a) || NART__FROM(1, w, b) || NART__FROM(2, w, c) ||                 \
                  NART__FROM(3, w, d) || NART__FROM(4, w, e),                                      \
              NART__BEFORE(0, w, a) || NART__BEFORE(1, w, b) || NART__BEFORE(2, w, c) ||           \
                  NART__BEFORE(3, w, d))
#define NART__ANY6(first, w, a, b, c, d, e, f)                                                     \
    NART__ANY(6u, first,                                                                           \
              NART__FROM(0, w, a) || NART__FROM(1, w, b) || NART__FROM(2, w, c) ||                 \
                  NART__FROM(3, w, d) || NART__FROM(4, w, e) || NART__FROM(5, w, f),               \
              NART__BEFORE(0, w, a) || NART__BEFORE(1, w, b) || NART__BEFORE(2, w, c) ||           \
                  NART__BEFORE(3, w, d) || NART__BEFORE(4, w, e))
#define NART__ANY7(first, w, a, b, c, d, e, f, g)                                                  \
    NART__ANY(7u, first,                                                                           \
              NART__FROM(0, w, a) || NART__FROM(1, w, b) || NART__FROM(2, w, c) ||                 \
                  NART__FROM(3, w, d) || NART__FROM(4, w, e) || NART__FROM(5, w, f) ||             \
                  NART__FROM(6, w, g),                                                             \
              NART__BEFORE(0, w, a) || NART__BEFORE(1, w, b) || NART__BEFORE(2, w, c) ||           \
                  NART__BEFORE(3, w, d) || NART__BEFORE(4, w, e) || NART__BEFORE(5, w, f))
#define NART__ANY8(first, w, a, b, c, d, e, f, g, h)                                               \
    NART__ANY(8u, first,                                                                           \
              NART__FROM(0, w, a) || NART__FROM(1, w, b) || NART__FROM(2, w, c) ||                 \
                  NART__FROM(3, w, d) || NART__FROM(4, w, e) || NART__FROM(5, w, f) ||             \
                  NART__FROM(6, w, g) || NART__FROM(7, w, h),                                      \
              NART__BEFORE(0, w, a) || NART__BEFORE(1, w, b) || NART__BEFORE(2, w, c) ||           \
                  NART__BEFORE(3, w, d) || NART__BEFORE(4, w, e) || NART__BEFORE(5, w, f) ||       \
                  NART__BEFORE(6, w, g))

NART_API NART__NORETURN NART__COLD void nart__race_too_deep(const nart_cx *cx);
NART_API NART__COLD void nart__race_share(nart_cx *cx, nart__race *r);

/* One of n arms at random: a hash of the race's place and of values that change with each evaluation, so
 * nested races choose independently. (Mixing: Chris Wellons' lowbias32.) */
static inline uint32_t nart__race_turn(const nart_cx *cx, uint32_t place, uint32_t n)
{
    uint32_t x = place * UINT32_C(0x9e3779b9) + cx->co->decided;

    if (cx->self)
        x += (cx->self->polls * NART_BUDGET - (uint32_t)cx->go) * UINT32_C(0x85ebca6b);
    x = (x ^ x >> 16) * UINT32_C(0x7feb352d);
    x = (x ^ x >> 15) * UINT32_C(0x846ca68b);
    return (uint32_t)(((uint64_t)(x ^ x >> 16) * n) >> 32);
}

/* The first arm in the source; see nart__race_begin(). */
static inline uint32_t nart__race_biased(const nart_cx *cx, uint32_t place, uint32_t n)
{
    (void)cx, (void)place, (void)n;
    return 0;
}

/* Mostly the first arm in the source. At random instead: one race in four of a busy task, and a race whose HOT count
 * is full. */
static inline uint32_t nart__race_first(const nart_cx *cx, uint32_t place, uint32_t n)
{
    if (NART_UNLIKELY((cx->co->decided & NART__CO_HOT) == NART__CO_HOT))
        return nart__race_turn(cx, place, n);
    if (NART_LIKELY(!(cx->flags & NART__CX_BUSY)))
        return 0;
    uint32_t turn = nart__race_turn(cx, place, 4 * n);
    return turn < n ? turn : 0;
}

typedef uint32_t nart__race_choice(const nart_cx *cx, uint32_t place, uint32_t n);

static inline void nart__race_begin(nart_cx *cx, const nart__race *all, nart__race *r,
                                    nart__race_choice *choose, uint32_t line, uint32_t n)
{
    if (NART_UNLIKELY(r == all + NART__RACES))
        nart__race_too_deep(cx);
    r->co = cx->co;
    r->park = cx->park;
    r->flags = cx->flags;
    cx->flags |= NART__CX_RACE;
    r->first = choose ? choose(cx, line * NART__RACES + (uint32_t)(r - all), n) : 0;
    r->shared = false;
    if (choose == nart__race_biased)
        r->flags |= NART__CX_SPENT; /* no shares: they would let a later arm overtake one put off */
}

/* If the budget ran out since the race began, gives this arm its own share. */
static inline void nart__race_arm(nart_cx *cx, nart__race *r)
{
    if (NART_UNLIKELY(cx->flags & ~r->flags & NART__CX_SPENT))
        nart__race_share(cx, r);
}

/* The remainder of a share is lost when the race ends. */
static inline void nart__race_over(nart_cx *cx, const nart__race *r)
{
    cx->flags &= r->flags | ~(uint32_t)NART__CX_RACE;
    if (NART_UNLIKELY(r->shared)) {
        cx->flags |= NART__CX_SPENT;
        cx->go = 0;
    }
}

/* The body's next count of decided races. Only the outermost race of an await counts: the others end with it.
 * A full count restarts at a random value; otherwise it would always select the same one of several races
 * awaited in turn. It may stay full when that race has waited, so that it selects the next one. */
static inline uint32_t nart__race_count(uint32_t decided, bool outermost)
{
    uint32_t asked = decided & NART__CO_ASKED, hot = decided & NART__CO_HOT;
    uint32_t chance = decided / (NART__CO_LOW + 1) * UINT32_C(0x9e3779b9);

    if (!outermost)
        return asked | hot;
    if (NART_UNLIKELY(hot == NART__CO_HOT))
        return asked && chance >> 31 ? hot : chance >> 28 & 7;
    return asked ? hot : hot + 1;
}

/* Is it the outermost race of the await, or of an arm of a NART_ALL? */
static inline bool nart__race_outermost(const nart__race *all, const nart__race *r)
{
    return r == all || r[-1].co != r->co;
}

/* All arms have been evaluated. */
static inline nart_res nart__race_goes_on(nart_cx *cx, const nart__race *all, const nart__race *r)
{
    nart__race_over(cx, r);
    if (nart__race_outermost(all, r))
        r->co->decided |= NART__CO_ASKED;
    return NART_PENDING;
}

/* What its pending arms have asked for in this poll, deadlines and wakers, no longer counts. */
static inline void nart__race_forget(nart_cx *cx, const nart__race *r)
{
    nart__race_over(cx, r);
    cx->park = r->park;
    cx->flags &= r->flags | ~(uint32_t)NART__CX_OUT;
}

static inline nart_res nart__race_won(nart_cx *cx, const nart__race *all, const nart__race *r,
                                      nart_res res)
{
    nart_co *co = r->co;

    nart__race_forget(cx, r);
    co->decided = ((co->decided | NART__CO_LOW) + 1) |
                  nart__race_count(co->decided, nart__race_outermost(all, r));
    nart__withdraw_under(cx, co);
    return res;
}

#ifdef __cplusplus
}
#endif

#include "all.h"

#endif

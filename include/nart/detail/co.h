/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/co.h: how a body resumes, and what its macros expand to.
 *
 * Fields of nart_co:
 *   at        0 not begun, a source line = parked there, NART__CO_RUNNING; flags
 *   decided   races of its own so far, times 32; NART__CO_ASKED; and what NART__CO_HOT counts
 *   deadline  of the scope it awaits in
 *   up        the body that awaits this one; rebuilt at each poll
 *   site      set when it begins
 *   shield    when the shield that it opened ends; tells whose the task's is
 */
#ifndef NART_DETAIL_CO_H
#define NART_DETAIL_CO_H

#include "../co.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a body stands in the source; one constant per body. */
typedef struct nart__site {
    const char *func, *file;
} nart__site;

#define NART__CO_RUNNING 0x0fffffffu
#define NART__CO_LINE 0x0fffffffu   /* what is no flag */
#define NART__CO_SHIELD 0x10000000u /* it has opened one */
#define NART__CO_HOT 15u            /* of `decided`: races decided before all arms were evaluated */
#define NART__CO_ASKED 16u          /* all arms of the present race have been evaluated */
#define NART__CO_LOW 31u            /* both */
#define NART__CO_STOPPED 0x20000000u /* in a NART_STOP, which goes on when the shield ends */

static inline void nart_co_init(nart_co *co)
{
    co->at = 0;
    co->decided = (co->decided | NART__CO_LOW) + 1; /* its sleeps restart, too */
}

static inline bool nart_co_active(const nart_co *co)
{
    return co->at != 0;
}

/* ---- how resume points are made -------------------------------------------------------------
 * A point is its line, and a guard before it: the line shifted out of the range of every type that
 * a user's switch can have. As a label of an inner switch the guard overflows, and that overflow is
 * made an error for this token only; its macro's name is the message. No value of the body's own
 * switch meets a guard: to the compiler that is a switch over lines, of which it can make a table. */
#if defined __SIZEOF_INT128__
__extension__ typedef unsigned __int128 nart__point;
#define NART__POINT_SHIFT 64
#else
typedef unsigned long long nart__point;
#define NART__POINT_SHIFT 32
#endif

#if defined __clang__
#define NART__STRICT _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic error \"-Wswitch\"")
#define NART__RELAX _Pragma("GCC diagnostic pop")
#elif defined __GNUC__
#define NART__STRICT _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic error \"-Woverflow\"")
#define NART__RELAX _Pragma("GCC diagnostic pop")
#else
#define NART__STRICT
#define NART__RELAX
#endif
#if defined __GNUC__
#define NART__FALL __attribute__((fallthrough));
#else
#define NART__FALL
#endif
#define NART__NO_AWAIT_INSIDE_A_SWITCH(fall, n)                                                    \
    NART__STRICT fall case (nart__point)(n) << NART__POINT_SHIFT : NART__RELAX case (n) :
#define NART__LABEL(n) NART__NO_AWAIT_INSIDE_A_SWITCH(NART__FALL, n)

/* A body resumed where it cannot be: aborts, naming it. */
NART_API NART__NORETURN NART__COLD void nart__co_lost(const nart__site *site, const nart_co *co);

/* Shields hide the scopes above a body; `above` is a variable of the body's that keeps them. */
NART_API NART__COLD void nart__shield_begin(nart_cx *cx, nart_co *co, nart_scope **above,
                                            int64_t ns);
NART_API NART__COLD void nart__shield_end(nart_cx *cx, nart_co *co, nart_scope **above);
NART_API NART__COLD uint32_t nart__shield_in(nart_cx *cx, nart_co *co, nart_scope **above,
                                             uint32_t at);
NART_API NART__COLD void nart__shield_out(nart_cx *cx, nart_co *co, nart_scope **above,
                                          uint32_t at);
NART_API NART__COLD void nart__withdraw_under(nart_cx *cx, nart_co *co);

/* The body ends while its task waits somewhere: from here on nothing names it. */
NART_API NART__COLD void nart__co_ended(nart_cx *cx, const nart_co *co);

/* Into the body. Answers where it stands; with a flag that is no resume point. */
static inline uint32_t nart__co_in(nart_cx *cx, nart_co *co, const nart__site *site)
{
    uint32_t at = co->at;

    if (NART_UNLIKELY(co->site != site)) {
        if (at != 0)
            nart__co_lost(site, co); /* two bodies on one nart_co, or a frame that was not zeroed */
        co->site = site;
    }
    co->up = cx->co;
    cx->co = co;
    co->at = NART__CO_RUNNING;
    return at;
}

/* It stands at no resume point: under a shield, or lost. */
static inline uint32_t nart__co_slow(nart_cx *cx, nart_co *co, nart_scope **above, uint32_t at)
{
    if (!(at & NART__CO_SHIELD)) {
        co->at = at;
        nart__co_lost(co->site, co);
    }
    return nart__shield_in(cx, co, above, at);
}

static inline nart_res nart__co_out(nart_cx *cx, nart_co *co, nart_scope **above, uint32_t at,
                                    nart_res r)
{
    if (NART_LIKELY(co->at == NART__CO_RUNNING))
        co->at = at;
    else
        nart__shield_out(cx, co, above, at);
    if (at == 0 && NART_UNLIKELY(cx->self->waits || cx->self->leaf))
        nart__co_ended(cx, co);
    cx->co = co->up;
    return r;
}

#define NART__BEGIN(cx, cop)                                                                       \
    nart_cx *const nart_cx_ = (cx);                                                                \
    nart_co *const nart_co_ = (cop);                                                               \
    static const nart__site nart_site_ = { __func__, __FILE__ };                                   \
    nart_scope *nart_above_; /* only shields use it */                                             \
    uint32_t nart_at_ = nart__co_in(nart_cx_, nart_co_, &nart_site_);                              \
    nart_res nart_any_ = 0;                                                                        \
    nart__race nart_races_[NART__RACES], *nart_race_ = nart_races_;                                \
    (void)nart_any_;                                                                               \
    (void)nart_race_;                                                                              \
    nart_resume_:                                                                                  \
    switch ((nart__point)nart_at_) {                                                               \
    default:                                                                                       \
        nart_at_ = nart__co_slow(nart_cx_, nart_co_, &nart_above_, nart_at_);                      \
        goto nart_resume_;                                                                         \
    case 0:                                                                                        \
        (void)0

#define NART__END(res)                                                                             \
    }                                                                                              \
    return nart__co_out(nart_cx_, nart_co_, &nart_above_, 0, (res))

#define NART__RETURN(res) return nart__co_out(nart_cx_, nart_co_, &nart_above_, 0, (res))

#define NART__PARK                                                                                 \
    return nart__co_out(nart_cx_, nart_co_, &nart_above_, (uint32_t)__LINE__, NART_PENDING)

#define NART__AWAIT(dst, ...)                                                                      \
    do {                                                                                           \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            if (nart_r_ == NART_PENDING)                                                           \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

#define NART__AWAIT_UNTIL(dst, abs, ...)                                                           \
    do {                                                                                           \
        nart_co_->deadline = (abs);                                                                \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart_scope nart_s_;                                                                    \
            nart_scope_enter(nart_cx_, &nart_s_, nart_co_->deadline);                              \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            nart_r_ = nart_scope_leave(nart_cx_, &nart_s_, nart_r_);                               \
            if (nart_r_ == NART_PENDING)                                                           \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

/* The first poll of a relative scope had to wait: its time counts from here. */
static inline void nart__scope_begin(nart_cx *cx, nart_co *co, int64_t ns)
{
    if (co->deadline != NART_NEVER)
        return;
    co->deadline = nart_time_add(nart__now_read(cx), ns);
    nart__cx_until(cx, co->deadline);
}

#define NART__AWAIT_FOR(dst, ns, ...)                                                              \
    do {                                                                                           \
        nart_co_->deadline = NART_NEVER;                                                           \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart_scope nart_s_;                                                                    \
            nart_scope_enter(nart_cx_, &nart_s_, nart_co_->deadline);                              \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            nart_r_ = nart_scope_leave(nart_cx_, &nart_s_, nart_r_);                               \
            if (nart_r_ == NART_PENDING) {                                                         \
                nart__scope_begin(nart_cx_, nart_co_, (ns));                                       \
                NART__PARK;                                                                        \
            }                                                                                      \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

/* The sleep of a NART_AFTER: false once it is over, else its answer in *r. */
static inline bool nart__after_sleeps(nart_cx *cx, nart_timer *t, int64_t ns, nart_res *r)
{
    if (t->busy == NART__TIMER_OVER)
        return false;
    *r = nart_sleep_resume(cx, t, ns);
    if (*r == 0)
        t->busy = NART__TIMER_OVER;
    return *r != 0;
}

static inline bool nart__after_sleeps_until(nart_cx *cx, nart_timer *t, int64_t at, nart_res *r)
{
    if (t->busy == NART__TIMER_OVER)
        return false;
    *r = nart_sleep_until(cx, t, at);
    if (*r == 0)
        t->busy = NART__TIMER_OVER;
    return *r != 0;
}

static inline nart_res nart__after_answer(nart_timer *t, nart_res r)
{
    if (r != NART_PENDING)
        nart_timer_cancel(t);
    return r;
}

#define NART__AFTER(t, ns, ...)                                                                    \
    (nart__after_sleeps(nart_cx_, (t), (ns), &nart_any_) ? nart_any_                               \
                                                         : nart__after_answer((t), (__VA_ARGS__)))

#define NART__AFTER_UNTIL(t, at, ...)                                                              \
    (nart__after_sleeps_until(nart_cx_, (t), (at), &nart_any_)                                     \
         ? nart_any_                                                                               \
         : nart__after_answer((t), (__VA_ARGS__)))

/* Every operation evaluated in between answers -ECANCELED. Answers what was there before. */
NART_API NART__COLD uint32_t nart__stop_in(nart_cx *cx);
NART_API NART__COLD void nart__stop_out(nart_cx *cx, uint32_t before);

#define NART__STOP(dst, ...)                                                                       \
    do {                                                                                           \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            uint32_t nart_s_ = nart__stop_in(nart_cx_);                                            \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            nart__stop_out(nart_cx_, nart_s_);                                                     \
            if (nart_r_ == NART_PENDING)                                                           \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

#define NART__YIELD()                                                                              \
    do {                                                                                           \
        nart_wake_self(nart_cx_);                                                                  \
        NART__PARK;                                                                                \
        NART__NO_AWAIT_INSIDE_A_SWITCH(, __LINE__)(void) 0;                                        \
    } while (0)

#ifdef __cplusplus
}
#endif

#include "race.h"

#endif

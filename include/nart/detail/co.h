/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nart/detail/co.h: how a body resumes, and what its macros expand to.
 *
 * Fields of nart_co:
 *   at        0 not begun, a source line = parked there, NART__CO_RUNNING; flags. Of an arm: see all.h
 *   decided   races that it has decided, times 32; NART__CO_ASKED; the count of NART__CO_HOT
 *   deadline  of the scope in which it awaits
 *   up        the body that awaits this one; set again in each poll
 *   site      its place in the source; set when it begins
 *   shield    the end of the shield that it opened; identifies the owner of the task's shield
 */
#ifndef NART_DETAIL_CO_H
#define NART_DETAIL_CO_H

#include "../co.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The place of a body in the source; one constant per body. */
typedef struct nart__site {
    const char *func, *file;
} nart__site;

#define NART__CO_RUNNING 0x0fffffffu
#define NART__CO_LINE 0x0fffffffu   /* the bits that are not flags */
#define NART__CO_SHIELD 0x10000000u /* it has opened a shield */
#define NART__CO_ARM 0x40000000u    /* no body: an arm of a NART_ALL */
#define NART__CO_HOT 15u            /* of `decided`: races decided before all arms were evaluated */
#define NART__CO_ASKED 16u          /* all arms of the present race have been evaluated */
#define NART__CO_LOW 31u            /* HOT and ASKED */
#define NART__CO_STOPPED 0x20000000u /* in a NART_STOP, which continues when the shield ends */

static inline void nart_co_init(nart_co *co)
{
    co->at = 0;
    co->decided = (co->decided | NART__CO_LOW) + 1; /* its sleeps restart, too */
}

static inline bool nart_co_active(const nart_co *co)
{
    return co->at != 0;
}

/* ---- resume points --------------------------------------------------------------------------
 * A resume point is two case labels: its line, and before it a guard, which is the line shifted out of the
 * range of every type that a user's switch can have. Inside an inner switch the guard overflows. That overflow
 * is an error for this token only, and the macro's name is the message. No value of the body's own switch
 * equals a guard, so the compiler sees a switch over lines and can build a jump table. */
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
#define NART__ONE_PER_LINE(n) nart_one_await_per_source_line_##n : __attribute__((unused));
#else
#define NART__FALL
#define NART__ONE_PER_LINE(n)
#endif
#define NART__AWAITS_STAND_AFTER_NART_BEGIN_AND_IN_NO_SWITCH(fall, n)                              \
    NART__STRICT fall case (nart__point)(n) << NART__POINT_SHIFT : NART__RELAX case (n) :
/* The label is never jumped to. It is an error with a name where a line has two awaits. */
#define NART__POINT(fall, n)                                                                       \
    NART__ONE_PER_LINE(n) NART__AWAITS_STAND_AFTER_NART_BEGIN_AND_IN_NO_SWITCH(fall, n)
#define NART__LABEL(n) NART__POINT(NART__FALL, n)
#define NART__YIELDED(n) NART__POINT(, n)

/* Aborts and names a body that was resumed at an invalid point. */
NART_API NART__NORETURN NART__COLD void nart__co_lost(const nart__site *site, const nart_co *co);

/* Shields hide the scopes above a body; `above` is the body's variable that saves them. */
NART_API NART__COLD void nart__shield_begin(nart_cx *cx, nart_co *co, nart_scope **above,
                                            int64_t ns);
NART_API NART__COLD void nart__shield_end(nart_cx *cx, nart_co *co, nart_scope **above);
NART_API NART__COLD uint32_t nart__shield_in(nart_cx *cx, nart_co *co, nart_scope **above,
                                             uint32_t at);
NART_API NART__COLD void nart__shield_out(nart_cx *cx, nart_co *co, nart_scope **above,
                                          uint32_t at);
NART_API NART__COLD void nart__withdraw_under(nart_cx *cx, nart_co *co);

/* The body ends while its task still waits: removes all references to the body. */
NART_API NART__COLD void nart__co_ended(nart_cx *cx, const nart_co *co);

/* Enters the body. Returns its resume point, or a value with a flag, which is none. */
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

/* `at` is not a resume point: the body is under a shield, or lost. */
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
    nart_scope *nart_above_; /* used by shields only */                                            \
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

/* An await that is not resumed: errors have spent the budget. */
#define NART__AWAIT_BEGIN                                                                          \
    if (NART_UNLIKELY(nart_cx_->go < 0) && nart__await_spent(nart_cx_))                            \
    NART__PARK

#define NART__AWAIT(dst, ...)                                                                      \
    do {                                                                                           \
        NART__AWAIT_BEGIN;                                                                         \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            if (nart_r_ < 0 && nart__await_failed(nart_cx_, nart_r_))                              \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

/* The answer of a race. Swapped with an int `which`, it is found by its size. */
#define NART__RACED(dst, ...)                                                                      \
    do {                                                                                           \
        NART__ASSERT(sizeof(dst) >= sizeof(nart_res),                                              \
                     "NART_AWAIT_ANY(which, r, ...): the answer r must be a nart_res");            \
        NART__AWAIT(dst, __VA_ARGS__);                                                             \
    } while (0)

#define NART__AWAIT_UNTIL(dst, abs, ...)                                                           \
    do {                                                                                           \
        nart_co_->deadline = (abs);                                                                \
        NART__AWAIT_BEGIN;                                                                         \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart_scope nart_s_;                                                                    \
            nart_scope_enter(nart_cx_, &nart_s_, nart_co_->deadline);                              \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            nart_r_ = nart_scope_leave(nart_cx_, &nart_s_, nart_r_);                               \
            if (nart_r_ < 0 && nart__await_failed(nart_cx_, nart_r_))                              \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

/* The first poll of a relative scope is pending: its duration starts here. */
static inline void nart__scope_begin(nart_cx *cx, nart_co *co, int64_t ns)
{
    co->deadline = nart_time_add(nart__now_read(cx), ns);
    nart__cx_until(cx, co->deadline);
}

#define NART__AWAIT_FOR(dst, ns, ...)                                                              \
    do {                                                                                           \
        nart_co_->deadline = NART_NEVER;                                                           \
        NART__AWAIT_BEGIN;                                                                         \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart_scope nart_s_;                                                                    \
            nart_scope_enter(nart_cx_, &nart_s_, nart_co_->deadline);                              \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            nart_r_ = nart_scope_leave(nart_cx_, &nart_s_, nart_r_);                               \
            if (nart_r_ < 0 && nart__await_failed(nart_cx_, nart_r_)) {                            \
                if (nart_co_->deadline == NART_NEVER)                                              \
                    nart__scope_begin(nart_cx_, nart_co_, (ns));                                   \
                NART__PARK;                                                                        \
            }                                                                                      \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

/* The sleep of a NART_AFTER: returns false once it has ended, else stores its result in *r. */
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

/* Every operation evaluated in between returns -ECANCELED. nart__stop_in() returns the previous state. */
NART_API NART__COLD uint32_t nart__stop_in(nart_cx *cx);
NART_API NART__COLD void nart__stop_out(nart_cx *cx, uint32_t before);

#define NART__STOP(dst, ...)                                                                       \
    do {                                                                                           \
        NART__AWAIT_BEGIN;                                                                         \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            uint32_t nart_s_ = nart__stop_in(nart_cx_);                                            \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            nart__stop_out(nart_cx_, nart_s_);                                                     \
            if (nart_r_ < 0 && nart__await_failed(nart_cx_, nart_r_))                              \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

#define NART__YIELD()                                                                              \
    do {                                                                                           \
        nart_wake_self(nart_cx_);                                                                  \
        NART__PARK;                                                                                \
        NART__YIELDED(__LINE__)(void) 0;                                                           \
    } while (0)

#ifdef __cplusplus
}
#endif

#include "race.h"

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/co.h
 * Task bodies in sequential form, in portable C11.
 *
 * ```c
 * struct greet { nart_co co; nart_timer timer; int i; };
 *
 * static nart_res greet_run(nart_cx *cx, void *frame)
 * {
 *     struct greet *g = frame;
 *     nart_res r = 0;
 *
 *     NART_BEGIN(cx, &g->co);
 *     for (g->i = 0; g->i < 3; g->i++) {
 *         NART_AWAIT(r, nart_sleep(cx, &g->timer, NART_SEC));
 *         if (r < 0)
 *             break;
 *         puts("hello");
 *     }
 *     NART_END(r);
 * }
 * ```
 *
 * Rules, and what happens when one is broken:
 *  1. What must survive an await lives in the frame. Locals do not: gcc says so with
 *     -Wjump-misses-init, clang with -Wconditional-uninitialized (CMake target `nart::strict`).
 *  2. No await inside a `switch` of your own: a compile error with gcc and clang.
 *  3. The awaited expression is evaluated at every poll: no side effects, its inputs in the frame.
 *  4. One await per source line: a compile error (duplicate case).
 *  5. A body is left by NART_RETURN or NART_END only; after a plain `return` its next call aborts
 *     by name and line.
 *  6. `cx` is never kept in a frame: it may be another one at the next poll.
 *
 * A body that awaits a body is an ordinary call: `NART_AWAIT(r, read_frame(cx, &c->frame))`, where
 * `read_frame` is a function with a nart_co of its own. Bodies are linked as they are entered at
 * each poll, so nart_rt_dump() shows each task with its chain of awaits.
 *
 * Deadlines have dynamic extent: whatever is evaluated under NART_AWAIT_FOR, in bodies of any depth,
 * is under its deadline. The operation that it evaluates directly answers -ETIMEDOUT, operations in
 * bodies below answer -ECANCELED and unwind, and the await itself then yields -ETIMEDOUT, unless
 * a scope above has expired too: the outermost is the one that counts; or the task was cancelled:
 * cancellation wins. A value that arrived beats both.
 */
#ifndef NART_CO_H
#define NART_CO_H

#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a body stands in the source; one constant per body. */
typedef struct nart_site {
    const char *func, *file;
} nart_site;

/** The state of one body, in its frame. All zero = not begun. 40 bytes. */
struct nart_co {
    uint32_t at; /* 0 not begun, a source line = parked there, NART__CO_RUNNING; flags */
    uint32_t reserved;
    int64_t deadline;      /* of the scope it awaits in */
    nart_co *up;           /* the body that awaits this one; rebuilt at each poll */
    const nart_site *site; /* set when it begins */
    int64_t shield;        /* when the shield that it opened ends; tells whose the task's is */
};

#define NART__CO_RUNNING 0x0fffffffu
#define NART__CO_LINE 0x0fffffffu    /* what is no flag */
#define NART__CO_SHIELD 0x10000000u  /* it has opened one */
#define NART__CO_STOPPED 0x20000000u /* and was being stopped then: goes on when the shield ends */

/** Makes a body that was left in the middle (a loser of a race that nobody will await again) begin
 *  anew at its next call. What it held is the caller's to release. */
static inline void nart_co_init(nart_co *co)
{
    co->at = 0;
}

/** Has the body begun and not ended? (It parked, or it lost a race and stays where it was.) */
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
NART_API NART__NORETURN NART__COLD void nart__co_lost(const nart_site *site, const nart_co *co);

/* Shields hide the scopes above a body; `above` is a variable of the body's that keeps them. */
NART_API NART__COLD void nart__shield_begin(nart_cx *cx, nart_co *co, nart_scope **above,
                                            int64_t ns);
NART_API NART__COLD void nart__shield_end(nart_cx *cx, nart_co *co, nart_scope **above);
NART_API NART__COLD uint32_t nart__shield_in(nart_cx *cx, nart_co *co, nart_scope **above,
                                             uint32_t at);
NART_API NART__COLD void nart__shield_out(nart_cx *cx, nart_co *co, nart_scope **above,
                                          uint32_t at);
NART_API NART__COLD void nart__withdraw_under(nart_cx *cx, nart_co *co);

/* Into the body. Answers where it stands; with a flag that is no resume point. */
static inline uint32_t nart__co_in(nart_cx *cx, nart_co *co, const nart_site *site)
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
static inline uint32_t nart__co_odd(nart_cx *cx, nart_co *co, nart_scope **above, uint32_t at)
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
    cx->co = co->up;
    return r;
}

/* What was left pending before a race began. */
typedef struct nart__before {
    int64_t park;
    uint32_t flags;
} nart__before;

static inline nart__before nart__any_begin(const nart_cx *cx)
{
    nart__before b = { cx->park, cx->flags };
    return b;
}

/** Opens a body: a declaration list, so it stands after the body's own declarations. */
#define NART_BEGIN(cx, cop)                                                                        \
    nart_cx *const nart_cx_ = (cx);                                                                \
    nart_co *const nart_co_ = (cop);                                                               \
    static const nart_site nart_site_ = { __func__, __FILE__ };                                    \
    nart_scope *nart_above_; /* only shields use it */                                             \
    uint32_t nart_at_ = nart__co_in(nart_cx_, nart_co_, &nart_site_);                              \
    nart_res nart_any_ = 0;                                                                        \
    nart__before nart_before_ = { 0, 0 };                                                          \
    (void)nart_any_;                                                                               \
    (void)nart_before_;                                                                            \
    nart_resume_:                                                                                  \
    switch ((nart__point)nart_at_) {                                                               \
    default:                                                                                       \
        nart_at_ = nart__co_odd(nart_cx_, nart_co_, &nart_above_, nart_at_);                       \
        goto nart_resume_;                                                                         \
    case 0:                                                                                        \
        (void)0

/** Closes the body with its answer; the body can then be begun again. */
#define NART_END(res)                                                                              \
    }                                                                                              \
    return nart__co_out(nart_cx_, nart_co_, &nart_above_, 0, (res))

/** Ends the body here. */
#define NART_RETURN(res) return nart__co_out(nart_cx_, nart_co_, &nart_above_, 0, (res))

#define NART__PARK                                                                                 \
    return nart__co_out(nart_cx_, nart_co_, &nart_above_, (uint32_t)__LINE__, NART_PENDING)

/** `dst` = the answer of the operation or body, however many polls it takes. */
#define NART_AWAIT(dst, ...)                                                                       \
    do {                                                                                           \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            if (nart_r_ == NART_PENDING)                                                           \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

/** The same under an absolute deadline: -ETIMEDOUT once it has passed. */
#define NART_AWAIT_UNTIL(dst, abs, ...)                                                            \
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
    co->deadline = nart_time_add(nart_now(cx), ns);
    nart__cx_until(cx, co->deadline);
}

/** The same, `ns` nanoseconds from the moment when it first has to wait: what answers at once reads
 *  no clock. */
#define NART_AWAIT_FOR(dst, ns, ...)                                                               \
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

/**
 * The first of 2 to 8 operations or bodies that answers, tried in the order written; `which` = its
 * index, `dst` = its answer. The others are withdrawn at once: no handle in them is registered any
 * more, nothing was taken, a turn they held has passed on. A body among them keeps its place and
 * goes on when awaited again; NART_STOP makes it unwind.
 */
#define NART_AWAIT_ANY(which, dst, ...) NART_AWAIT(dst, NART_ANY(which, __VA_ARGS__))

/** The race as an expression, for NART_AWAIT_FOR and NART_AWAIT_UNTIL. */
#define NART_ANY(which, ...)                                                                       \
    (nart_before_ = nart__any_begin(nart_cx_),                                                     \
     (NART__ANY_PICK(__VA_ARGS__, NART__ANY8, NART__ANY7, NART__ANY6, NART__ANY5, NART__ANY4,      \
                     NART__ANY3, NART__ANY2, NART__ANY1, 0)(which, __VA_ARGS__))                   \
         ? nart__any_won(nart_cx_, nart_co_, nart_before_, nart_any_)                              \
         : NART_PENDING)
#define NART__ANY_PICK(a, b, c, d, e, f, g, h, n, ...) n
#define NART__ARM(i, w, x) ((nart_any_ = (x)) != NART_PENDING && ((w) = (i), 1))
#define NART__ANY1(w, a) NART__ARM(0, w, a)
#define NART__ANY2(w, a, b) NART__ARM(0, w, a) || NART__ARM(1, w, b)
#define NART__ANY3(w, a, b, c) NART__ANY2(w, a, b) || NART__ARM(2, w, c)
#define NART__ANY4(w, a, b, c, d) NART__ANY3(w, a, b, c) || NART__ARM(3, w, d)
#define NART__ANY5(w, a, b, c, d, e) NART__ANY4(w, a, b, c, d) || NART__ARM(4, w, e)
#define NART__ANY6(w, a, b, c, d, e, f) NART__ANY5(w, a, b, c, d, e) || NART__ARM(5, w, f)
#define NART__ANY7(w, a, b, c, d, e, f, g) NART__ANY6(w, a, b, c, d, e, f) || NART__ARM(6, w, g)
#define NART__ANY8(w, a, b, c, d, e, f, g, h)                                                      \
    NART__ANY7(w, a, b, c, d, e, f, g) || NART__ARM(7, w, h)

static inline nart_res nart__any_won(nart_cx *cx, nart_co *co, nart__before before, nart_res r)
{
    cx->park = before.park; /* the losers' deadlines and wakers count no more */
    cx->flags &= before.flags | ~(uint32_t)NART__CX_OUT;
    nart__withdraw_under(cx, co);
    return r;
}

/* The sleep of a NART_AFTER: false once it is over, else its answer in *r. */
static inline bool nart__after_sleeps(nart_cx *cx, nart_timer *t, int64_t ns, nart_res *r)
{
    if (t->busy == NART__TIMER_OVER)
        return false;
    *r = nart_sleep(cx, t, ns);
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

/**
 * Sleep first, then the operation or body: an expression for the macros above, a deadline around it
 * counts from the beginning of the sleep. `t` points at a nart_timer in the frame, which tells the
 * polls after the sleep that it is over, and is fit for another one after the answer.
 *
 *     NART_AWAIT(r, NART_AFTER(&f->timer, 50 * NART_MS, nart_recv(cx, &f->rx, &f->value)));
 *
 * Its answer is the operation's; -ECANCELED or -ETIMEDOUT of the sleep, and then the operation was
 * not called. One that lost a race goes on where it was when awaited again; nart_timer_cancel() makes
 * it begin anew.
 */
#define NART_AFTER(t, ns, ...)                                                                     \
    (nart__after_sleeps(nart_cx_, (t), (ns), &nart_any_) ? nart_any_                               \
                                                         : nart__after_answer((t), (__VA_ARGS__)))

/** The same, sleeping until the absolute time `at`. */
#define NART_AFTER_UNTIL(t, at, ...)                                                               \
    (nart__after_sleeps_until(nart_cx_, (t), (at), &nart_any_)                                     \
         ? nart_any_                                                                               \
         : nart__after_answer((t), (__VA_ARGS__)))

/* Every operation evaluated in here answers -ECANCELED. */
typedef struct nart__stop {
    int32_t go;
    uint32_t stop;
} nart__stop;

static inline nart__stop nart__stop_in(nart_cx *cx)
{
    nart__stop s = { cx->go, cx->stop };
    cx->go = 0;
    cx->stop = NART__STOP_CANCEL;
    return s;
}

static inline void nart__stop_out(nart_cx *cx, nart__stop s)
{
    if (cx->flags & NART__CX_TOLD)
        return;
    cx->go = s.go;
    cx->stop = s.stop;
}

/** Makes a body that lost a race unwind: its operations answer -ECANCELED until it ends. */
#define NART_STOP(dst, ...)                                                                        \
    do {                                                                                           \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart__stop nart_s_ = nart__stop_in(nart_cx_);                                          \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            nart__stop_out(nart_cx_, nart_s_);                                                     \
            if (nart_r_ == NART_PENDING)                                                           \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

/** Lets the tasks that are ready now have their turn first. */
#define NART_YIELD()                                                                               \
    do {                                                                                           \
        nart_wake_self(nart_cx_);                                                                  \
        NART__PARK;                                                                                \
        NART__NO_AWAIT_INSIDE_A_SWITCH(, __LINE__)(void) 0;                                        \
    } while (0)

/**
 * From here to NART_UNSHIELD() (or the body's end) neither cancellation nor deadlines of bodies
 * above touch the task, for at most `ns` nanoseconds: asynchronous clean-up. One shield per task;
 * nested ones have no effect. nart_rt_free() grants none.
 */
#define NART_SHIELD(ns) nart__shield_begin(nart_cx_, nart_co_, &nart_above_, (ns))
#define NART_UNSHIELD() nart__shield_end(nart_cx_, nart_co_, &nart_above_)

#ifdef __cplusplus
}
#endif
#endif

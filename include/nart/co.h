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
 *  1. What must survive an await is in the frame. Local variables do not survive it. One that is
 *     initialised before NART_BEGIN is initialised again at each poll, so what the body changed in it is
 *     silently lost; any other one has no value after an await.
 *       - Compilers warn of a variable that is initialised after NART_BEGIN (gcc: -Wjump-misses-init) or
 *         not at all (clang: -Wconditional-uninitialized): CMake target `nart::strict`.
 *       - The script nart_lint.py, installed in share/nart, finds variables that are initialised before
 *         NART_BEGIN, then changed, and read after an await.
 *       - Nothing finds a change through a pointer or in a macro of your own, nor an initial value
 *         that differs at the next poll (`int n = f->n;`).
 *       - At -O0 a lost variable often has its old value by accident. Test at -O2.
 *  2. No await inside a `switch` of your own. It is a compile error with gcc and clang, except with -w
 *     and in a switch on __int128: there the body resumes in the wrong place. No `break` outside of your
 *     loops and switches: it leaves the switch that NART_BEGIN opens, so the body continues at its
 *     NART_END. nart_lint.py finds both.
 *  3. The awaited expression is evaluated at every poll. It has no side effects, and its inputs are in the
 *     frame. So are the handle in which the operation waits, and an out-parameter that it also writes
 *     before it answers (`done` of nart_tcp_send_all()). An out-parameter that is written only with the
 *     answer may be a local variable; its value is lost at the next await. An input may differ from call
 *     to call only where the operation ignores later values (`at` of nart_sleep_until()).
 *  4. One await per source line. A second one is a compile error (duplicate case).
 *  5. A body is left by NART_RETURN or NART_END only. After a plain `return` its next call aborts the
 *     process, and prints the body's name and file.
 *  6. `cx` is never kept in a frame: it may differ at the next poll.
 *
 * A body that awaits a body is an ordinary call: `NART_AWAIT(r, read_frame(cx, &c->frame))`, where
 * `read_frame` is a function with a nart_co of its own. Bodies are linked as they are entered at
 * each poll, so nart_rt_dump() shows each task with its chain of awaits.
 *
 * Deadlines have dynamic extent: the deadline of a NART_AWAIT_FOR holds for everything that is evaluated
 * in it, in bodies of any depth. Each such await is a scope. An operation in it that would wait answers:
 *
 * | expired                        | in the await itself | in a body below | the await, after the body ends |
 * |--------------------------------|---------------------|-----------------|--------------------------------|
 * | only the await's own deadline  | -ETIMEDOUT          | -ECANCELED      | -ETIMEDOUT                     |
 * | the deadline of an await above | -ECANCELED          | -ECANCELED      | -ECANCELED                     |
 * | any or none; task cancelled    | -ECANCELED          | -ECANCELED      | -ECANCELED                     |
 *
 * So of several deadlines that have passed the outermost counts: its await answers -ETIMEDOUT, those below
 * it -ECANCELED. The last column is for a body that unwinds and answers -ECANCELED; any other answer of the
 * body is the answer of the await. A value that is available takes precedence over a deadline, but not over
 * cancellation.
 *
 * A body with a deadline of its own that answers -ETIMEDOUT gives its caller the same answer as the
 * caller's deadline. Where the caller has a deadline, too, and the difference matters, the body translates
 * its own -ETIMEDOUT into another answer. See examples/timeouts.c.
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
    uint32_t at;      /* 0 not begun, a source line = parked there, NART__CO_RUNNING; flags */
    uint32_t decided; /* races of its own so far, times 16; and those since all arms were asked */
    int64_t deadline; /* of the scope it awaits in */
    nart_co *up;      /* the body that awaits this one; rebuilt at each poll */
    const nart_site *site; /* set when it begins */
    int64_t shield;        /* when the shield that it opened ends; tells whose the task's is */
};

#define NART__CO_RUNNING 0x0fffffffu
#define NART__CO_LINE 0x0fffffffu    /* what is no flag */
#define NART__CO_SHIELD 0x10000000u  /* it has opened one */
#define NART__CO_HOT 15u             /* of `decided` */
#define NART__CO_STOPPED 0x20000000u /* in a NART_STOP, which goes on when the shield ends */

/** Makes a body that was left in the middle (a loser of a race that is not awaited again) restart at its
 *  next call. The caller releases what it held. */
static inline void nart_co_init(nart_co *co)
{
    co->at = 0;
    co->decided = (co->decided | NART__CO_HOT) + 1; /* its sleeps restart, too */
}

/** Has the body begun and not ended? (It waits, or it lost a race and stays where it was.) */
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

/* The body ends while its task waits somewhere: from here on nothing names it. */
NART_API NART__COLD void nart__co_ended(nart_cx *cx, const nart_co *co);

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

#define NART__RACES 4 /* one within the other, in one await */

/* A race that is being evaluated. */
typedef struct nart__race {
    int64_t park; /* as it was before the race */
    uint32_t flags;
    uint32_t first; /* the arm that this evaluation begins with */
    bool shared;    /* an arm got a share of its own */
} nart__race;

/** Opens a body: a declaration list, so it stands after the body's own declarations. */
#define NART_BEGIN(cx, cop)                                                                        \
    nart_cx *const nart_cx_ = (cx);                                                                \
    nart_co *const nart_co_ = (cop);                                                               \
    static const nart_site nart_site_ = { __func__, __FILE__ };                                    \
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
    co->deadline = nart_time_add(nart__now_read(cx), ns);
    nart__cx_until(cx, co->deadline);
}

/** The same with a deadline `ns` nanoseconds after the moment when it first has to wait. An answer without
 *  waiting costs no reading of the clock. */
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
 * A race: awaits the first answer of 2 to 8 operations or bodies, its arms. `which` = the index of the arm
 * that answered, counted from 0; `dst` = its answer. The others are withdrawn at once: no handle in them
 * waits any more, nothing was taken, and what was reserved for them has passed on.
 *
 * Of arms that are ready at the same time the first one written wins. But no arm starves another:
 *  - when an arm has spent the budget of the poll, each arm after it may still give a few answers;
 *  - a task whose last poll spent its budget begins one race in four with an arm chosen at random;
 *  - so does a body's 16th race in a row that was decided without having asked all of its arms.
 * So a deadline, a token or a shutdown on any arm wins soon, whatever is ready on the others.
 *
 * What a loser does when it is awaited again:
 *  - a relative sleep (nart_sleep()) restarts, so this is an idle timeout:
 *    `NART_AWAIT_ANY(which, r, nart_recv(cx, &f->rx, &v), nart_sleep(cx, &f->timer, NART_SEC));`
 *    nart_sleep_resume() continues instead;
 *  - a body continues where it was. NART_STOP makes it unwind. A body that is not awaited again
 *    needs nothing: its frame may be freed, or begin another body after nart_co_init().
 *
 * The code of each arm is compiled twice. Within one await, races nest at most 4 deep: a deeper one aborts
 * the process. In bodies that an arm calls there may be further races, without limit.
 */
#define NART_AWAIT_ANY(which, dst, ...) NART_AWAIT(dst, NART_ANY(which, __VA_ARGS__))

/** The race as an expression, for NART_AWAIT_FOR and NART_AWAIT_UNTIL. */
#define NART_ANY(which, ...) NART__RACE(nart__race_first, which, __VA_ARGS__)

/** The same, but each evaluation begins with an arm chosen at random and goes on in the order written: arms
 *  of which all are always ready win equally often. */
#define NART_AWAIT_ANY_FAIR(which, dst, ...) NART_AWAIT(dst, NART_ANY_FAIR(which, __VA_ARGS__))
#define NART_ANY_FAIR(which, ...) NART__RACE(nart__race_turn, which, __VA_ARGS__)

#define NART__RACE(first, which, ...)                                                              \
    NART__ANY_PICK(__VA_ARGS__, NART__ANY8, NART__ANY7, NART__ANY6, NART__ANY5, NART__ANY4,        \
                   NART__ANY3, NART__ANY2, NART__ANY1, 0)                                          \
    (first, which, __VA_ARGS__)
#define NART__ANY_PICK(a, b, c, d, e, f, g, h, n, ...) n

/* All arms from the first one on, then those before it. */
#define NART__ANY(n, choose, from, before)                                                         \
    (nart__race_begin(nart_cx_, nart_races_, nart_race_++, choose, __LINE__, n),                   \
     ((from) || (nart_race_[-1].first && (before)))                                                \
         ? nart__race_won(nart_cx_, nart_co_, --nart_race_, nart_any_)                             \
         : nart__race_goes_on(nart_cx_, nart_co_, nart_races_, --nart_race_))
#define NART__ARM(i, w, x)                                                                         \
    (nart__race_arm(nart_cx_, nart_race_ - 1), (nart_any_ = (x)) != NART_PENDING && ((w) = (i), 1))
#define NART__FROM(i, w, x) (nart_race_[-1].first <= (i) && NART__ARM(i, w, x))
#define NART__BEFORE(i, w, x) (nart_race_[-1].first > (i) && NART__ARM(i, w, x))
#define NART__ANY1(first, w, a) NART__ANY(1u, first, NART__FROM(0, w, a), 0)
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

/* One of n arms by chance: by a hash of the place of the race, and of what changes from one evaluation to
 * the next. So races within each other choose independently. (Mixing: Chris Wellons' lowbias32.) */
static inline uint32_t nart__race_turn(const nart_cx *cx, uint32_t place, uint32_t n)
{
    uint32_t x = place * UINT32_C(0x9e3779b9) + cx->co->decided;

    if (cx->self)
        x += (cx->self->polls * NART_BUDGET - (uint32_t)cx->go) * UINT32_C(0x85ebca6b);
    x = (x ^ x >> 16) * UINT32_C(0x7feb352d);
    x = (x ^ x >> 15) * UINT32_C(0x846ca68b);
    return (uint32_t)(((uint64_t)(x ^ x >> 16) * n) >> 32);
}

/* The first one written; but one race in four of a busy task begins by chance, and so does one that was
 * decided so often since all of its arms were last asked. */
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

static inline void nart__race_begin(const nart_cx *cx, const nart__race *all, nart__race *r,
                                    nart__race_choice *choose, uint32_t line, uint32_t n)
{
    if (NART_UNLIKELY(r == all + NART__RACES))
        nart__race_too_deep(cx);
    r->park = cx->park;
    r->flags = cx->flags;
    r->first = choose(cx, line * NART__RACES + (uint32_t)(r - all), n);
    r->shared = false;
}

/* The budget ran out since the race began: this arm gets a share of its own. */
static inline void nart__race_arm(nart_cx *cx, nart__race *r)
{
    if (NART_UNLIKELY(cx->flags & ~r->flags & NART__CX_SPENT))
        nart__race_share(cx, r);
}

/* What is left of a share ends with the race. */
static inline void nart__race_over(nart_cx *cx, const nart__race *r)
{
    if (NART_UNLIKELY(r->shared)) {
        cx->flags |= NART__CX_SPENT;
        cx->go = 0;
    }
}

/* All arms have been asked. `r` is the outermost race of the await when it is the first of all. */
static inline nart_res nart__race_goes_on(nart_cx *cx, nart_co *co, const nart__race *all,
                                          const nart__race *r)
{
    nart__race_over(cx, r);
    if (r == all)
        co->decided &= ~NART__CO_HOT;
    return NART_PENDING;
}

static inline nart_res nart__race_won(nart_cx *cx, nart_co *co, const nart__race *r, nart_res res)
{
    nart__race_over(cx, r);
    cx->park = r->park; /* the losers' deadlines and wakers count no more */
    cx->flags &= r->flags | ~(uint32_t)NART__CX_OUT;
    co->decided = ((co->decided | NART__CO_HOT) + 1) | ((co->decided + 1) & NART__CO_HOT);
    nart__withdraw_under(cx, co);
    return res;
}

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

/**
 * Sleeps first, then evaluates the operation or body: an expression for the macros above. A deadline
 * around it includes the sleep. `t` points to a nart_timer in the frame, which keeps whether the sleep has
 * ended; after the answer it can be used again.
 *
 *     NART_AWAIT(r, NART_AFTER(&f->timer, 50 * NART_MS, nart_recv(cx, &f->rx, &f->value)));
 *
 * Its answer is the operation's, or -ECANCELED or -ETIMEDOUT of the sleep: then the operation was not
 * called. If it lost a race it continues where it was when it is awaited again; nart_timer_cancel() makes
 * it restart.
 */
#define NART_AFTER(t, ns, ...)                                                                     \
    (nart__after_sleeps(nart_cx_, (t), (ns), &nart_any_) ? nart_any_                               \
                                                         : nart__after_answer((t), (__VA_ARGS__)))

/** The same, sleeping until the absolute time `at`. */
#define NART_AFTER_UNTIL(t, at, ...)                                                               \
    (nart__after_sleeps_until(nart_cx_, (t), (at), &nart_any_)                                     \
         ? nart_any_                                                                               \
         : nart__after_answer((t), (__VA_ARGS__)))

/* Every operation evaluated in between answers -ECANCELED. Answers what was there before. */
NART_API NART__COLD uint32_t nart__stop_in(nart_cx *cx);
NART_API NART__COLD void nart__stop_out(nart_cx *cx, uint32_t before);

/** Awaits a body that lost a race, and makes it unwind: its operations answer -ECANCELED until it ends.
 *  `dst` = its answer. */
#define NART_STOP(dst, ...)                                                                        \
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

/** Lets the tasks that are ready now run first, then continues. */
#define NART_YIELD()                                                                               \
    do {                                                                                           \
        nart_wake_self(nart_cx_);                                                                  \
        NART__PARK;                                                                                \
        NART__NO_AWAIT_INSIDE_A_SWITCH(, __LINE__)(void) 0;                                        \
    } while (0)

/**
 * A shield, for clean-up that waits: from here to NART_UNSHIELD() or the body's end, for at most `ns`
 * nanoseconds, operations of the task see no cancellation, no NART_STOP, and no deadline of bodies above.
 * A task has one shield at a time; one within it has no effect. None is granted by nart_rt_free(), nor to
 * a task that was aborted.
 */
#define NART_SHIELD(ns) nart__shield_begin(nart_cx_, nart_co_, &nart_above_, (ns))
#define NART_UNSHIELD() nart__shield_end(nart_cx_, nart_co_, &nart_above_)

#ifdef __cplusplus
}
#endif
#endif

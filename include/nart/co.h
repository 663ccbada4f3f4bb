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

struct nart__site;

/** The state of one body, in its frame. All zero = not begun. 40 bytes. */
struct nart_co {
    /* private */
    uint32_t at, decided;
    int64_t deadline;
    nart_co *up;
    const struct nart__site *site;
    int64_t shield;
};

/** Makes a body that was left in the middle (a loser of a race that is not awaited again) restart at its
 *  next call. The caller releases what it held. */
static inline void nart_co_init(nart_co *co);

/** Has the body begun and not ended? (It waits, or it lost a race and stays where it was.) */
static inline bool nart_co_active(const nart_co *co);

/** Opens a body: a declaration list, so it stands after the body's own declarations. */
#define NART_BEGIN(cx, cop) NART__BEGIN(cx, cop)

/** Closes the body with its answer; the body can then be begun again. */
#define NART_END(res) NART__END(res)

/** Ends the body here. */
#define NART_RETURN(res) NART__RETURN(res)

/** `dst` = the answer of the operation or body, however many polls it takes. */
#define NART_AWAIT(dst, ...) NART__AWAIT(dst, __VA_ARGS__)

/** The same under an absolute deadline: -ETIMEDOUT once it has passed. */
#define NART_AWAIT_UNTIL(dst, abs, ...) NART__AWAIT_UNTIL(dst, abs, __VA_ARGS__)

/** The same with a deadline `ns` nanoseconds after the moment when it first has to wait. An answer without
 *  waiting costs no reading of the clock. */
#define NART_AWAIT_FOR(dst, ns, ...) NART__AWAIT_FOR(dst, ns, __VA_ARGS__)

/**
 * A race: awaits the first answer of 2 to 8 operations or bodies, its arms. `which` = the index of the arm
 * that answered, counted from 0; `dst` = its answer. The others are withdrawn at once: no handle in them
 * waits any more, nothing was taken, and what was reserved for them has passed on.
 *
 * Of arms that are ready at the same time the first one written wins. But no arm starves another:
 *  - when an arm has spent the budget of the poll, each arm after it may still give a few answers;
 *  - a task whose last poll spent its budget begins one race in four with an arm chosen at random;
 *  - so does about one in 16 of the races of a body that are decided without having asked all of their arms,
 *    in whatever order it awaits them. (A nart_co that is zeroed begins to count anew.)
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
#define NART_AFTER(t, ns, ...) NART__AFTER(t, ns, __VA_ARGS__)

/** The same, sleeping until the absolute time `at`. */
#define NART_AFTER_UNTIL(t, at, ...) NART__AFTER_UNTIL(t, at, __VA_ARGS__)

/** Awaits a body that lost a race, and makes it unwind: its operations answer -ECANCELED until it ends.
 *  `dst` = its answer. */
#define NART_STOP(dst, ...) NART__STOP(dst, __VA_ARGS__)

/** Lets the tasks that are ready now run first, then continues. */
#define NART_YIELD() NART__YIELD()

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

#include "detail/co.h"

#endif

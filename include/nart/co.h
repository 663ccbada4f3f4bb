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
 *  1. Keep what must survive an await in the frame. Local variables do not survive. One that is initialised
 *     before NART_BEGIN is initialised again in each poll, so a change made by the body is silently lost;
 *     any other local variable has an indeterminate value after an await.
 *       - nart-check reports variables that are set in the body, by an initialiser or otherwise, and read
 *         after an await without being set in between: `nart_check(app)` in CMake, or the program in share/nart.
 *         It needs clang and Python, whatever compiles the program. See docs/building.md; `--help` lists what it
 *         does not see.
 *       - Compilers warn about some of them: about a variable that is initialised after NART_BEGIN (gcc:
 *         -Wjump-misses-init) or not at all (clang: -Wconditional-uninitialized). CMake target `nart::strict`.
 *       - Nothing finds a change through a pointer, nor an initial value that differs in the next poll
 *         (`int n = f->n;`).
 *       - At -O0 a lost variable often has its old value by accident. Test at -O2.
 *  2. Do not await inside a `switch` of your own. It is a compile error with gcc and clang, except with -w
 *     and in a switch on __int128: there the body resumes in the wrong place. The error speaks of an "overflow";
 *     the rule is in the name of a macro below it. An await in capitals without NART_BEGIN, in a fiber for example, is
 *     an undeclared `nart_cx_`, and a "case label not within a switch statement": in a fiber write nart_await(). A
 *     missing NART_END is an end of the file where a "}" or a statement is expected. Do not write `break` outside of
 *     your loops and switches: it leaves the switch that NART_BEGIN opens, so the body continues at its
 *     NART_END. nart-check finds both.
 *  3. The awaited expression is evaluated in every poll. It is the operation or body itself; its arguments
 *     must have no side effects (no `i++`). Keep its inputs in the frame, and also the handle in which the
 *     operation waits, and what the operation writes before it answers (`done` of nart_tcp_send_all(), `buf` and
 *     `done` of nart_stream_read_exact()). An out-parameter that is written only with the answer may be a local
 *     variable; its value is lost at the next await. nart-check reports the others, but not what a function of
 *     your own writes before it answers, unless that has a parameter named `done`. An input may differ between
 *     calls only if the operation ignores later values: `nart_now(cx) + NART_SEC` may be the `at` of
 *     nart_sleep_until(). A local variable that the body has set is none: it is indeterminate in the next poll.
 *  4. Write one await per source line. A second one is a compile error: a duplicate label, whose name is this
 *     rule.
 *  5. Leave a body by NART_RETURN or NART_END only. After a plain `return` its next call aborts the process
 *     and prints the body's name and file. nart-check finds it.
 *  6. Do not keep `cx` in a frame: it may differ in the next poll.
 *
 * A body awaits another body by an ordinary call: `NART_AWAIT(r, read_frame(cx, &c->frame))`, where
 * `read_frame` is a function with a nart_co of its own. nart_rt_dump() shows each task with its chain of
 * awaits.
 *
 * Deadlines have dynamic extent: the deadline of a NART_AWAIT_FOR applies to everything that is evaluated
 * in it, in bodies of any depth. Each such await is a scope. An operation in it that would wait answers:
 *
 * | expired                        | awaited operation | operations in an awaited body | the await of that body |
 * |--------------------------------|-------------------|-------------------------------|------------------------|
 * | only the await's own deadline  | -ETIMEDOUT        | -ECANCELED                    | -ETIMEDOUT             |
 * | the deadline of an await above | -ECANCELED        | -ECANCELED                    | -ECANCELED             |
 * | any or none; task cancelled    | -ECANCELED        | -ECANCELED                    | -ECANCELED             |
 *
 * So if several deadlines have passed, the outermost counts: its await answers -ETIMEDOUT, those below it
 * -ECANCELED. The last column is for a body that unwinds and answers -ECANCELED; any other answer of the
 * body is the answer of the await. An available value takes precedence over a deadline, but not over
 * cancellation.
 *
 * A body may answer -ETIMEDOUT because of a deadline of its own. The caller cannot tell this from its own
 * deadline. If the difference matters, translate the -ETIMEDOUT in the body into another answer. See
 * examples/timeouts.c.
 */
#ifndef NART_CO_H
#define NART_CO_H

#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart__site;

/* ---- bodies -------------------------------------------------------------------------------- */

/** The state of one body, in its frame. Zeroed = not begun. 40 bytes. */
struct nart_co {
    /* private */
    uint32_t at, decided;
    int64_t deadline;
    nart_co *up;
    const struct nart__site *site;
    int64_t shield;
};

/** Resets a body that has not ended, such as the loser of a race that is not awaited again: its next call
 *  begins it again. Release what the body held first. */
static inline void nart_co_init(nart_co *co);

/** Has the body begun and not ended? (It waits, or has lost a race.) */
static inline bool nart_co_active(const nart_co *co);

/** Begins a body. It expands to declarations: write it after the body's own declarations. */
#define NART_BEGIN(cx, cop) NART__BEGIN(cx, cop)

/** Ends the body with the answer `res`, and closes what NART_BEGIN opened. The body can be called again: it
 *  begins again. */
#define NART_END(res) NART__END(res)

/** Ends the body with the answer `res`, from anywhere within it. */
#define NART_RETURN(res) NART__RETURN(res)

/* ---- awaiting ------------------------------------------------------------------------------ */

/** Awaits an operation or a body: evaluates it in each poll until it answers. `dst` = its answer. */
#define NART_AWAIT(dst, ...) NART__AWAIT(dst, __VA_ARGS__)

/** The same with an absolute deadline: -ETIMEDOUT once it has passed. `abs` is evaluated once. */
#define NART_AWAIT_UNTIL(dst, abs, ...) NART__AWAIT_UNTIL(dst, abs, __VA_ARGS__)

/** The same with a deadline `ns` nanoseconds after the first evaluation that had to wait: `ns` is evaluated then,
 *  once. An answer without waiting reads no clock. */
#define NART_AWAIT_FOR(dst, ns, ...) NART__AWAIT_FOR(dst, ns, __VA_ARGS__)

/* ---- races --------------------------------------------------------------------------------- */

/**
 * A race: awaits the first answer of 2 to 8 operations or bodies, its arms. `dst` = the answer; `which` = the
 * index of the arm that gave it, counted from 0: any integer variable but a bool, written only with the answer, so a local
 * one is enough. Test `dst` first: if the task was cancelled or a deadline around the race has passed, `dst` is
 * -ECANCELED or -ETIMEDOUT, and `which`, an arm that answered so, means nothing. The other arms are withdrawn at
 * once: the task waits in none of their handles, nothing was consumed, and what was reserved for them has passed on.
 *
 * If several arms are ready, the first one written usually wins, but not always, because no arm starves
 * another:
 *  - when an arm has spent the budget of the poll, each arm after it may still give a few answers;
 *  - a task whose last poll spent its budget begins one race in four with a random arm;
 *  - so does about one in 16 of a body's races that are decided before all of their arms were evaluated, in
 *    whatever order the body awaits them. (Zeroing a nart_co restarts this count.)
 * So a deadline, a token or a shutdown on any arm wins soon, whatever is ready on the others. An arm that loses
 * values if it is late, such as a nart_broadcast_recv(), is written before one that may always be ready.
 *
 * A loser that is awaited again:
 *  - a relative sleep (nart_sleep()) restarts, so this is an idle timeout:
 *    `NART_AWAIT_ANY(which, r, nart_recv(cx, &f->rx, &v), nart_sleep(cx, &f->timer, NART_SEC));`
 *    nart_sleep_resume() continues instead;
 *  - a body continues where it was. NART_STOP makes it unwind. A body that is not awaited again needs no
 *    call: its frame may be freed, or used for another body after nart_co_init(). One that has opened a
 *    nursery must join it first (nart/nursery.h).
 *
 * Another number of arms is a compile error that says so; so is a `dst` that is narrower than a nart_res, which it
 * is if the two are swapped and `which` is an `int`. The code of each arm is compiled twice. Within one
 * await, races nest at most 4 deep: a deeper one aborts the process. Races in bodies that an arm calls do not
 * count.
 */
#define NART_AWAIT_ANY(which, dst, ...) NART__RACED(dst, NART_ANY(which, __VA_ARGS__))

/** The race as an expression, for NART_AWAIT_FOR and NART_AWAIT_UNTIL. */
#define NART_ANY(which, ...) NART__RACE(nart__race_first, which, __VA_ARGS__)

/** The same, but each evaluation begins with a random arm and continues in the order written: arms that are
 *  always ready win equally often. */
#define NART_AWAIT_ANY_FAIR(which, dst, ...) NART__RACED(dst, NART_ANY_FAIR(which, __VA_ARGS__))
#define NART_ANY_FAIR(which, ...) NART__RACE(nart__race_turn, which, __VA_ARGS__)

/**
 * The same, but always in the order written: of the arms that are ready, the first one written wins. So a value
 * on an earlier arm is never overtaken by one on a later arm.
 *
 * An arm that is always ready starves all arms after it, in a loop of such races for ever; so does a body on an
 * earlier arm that spends the budget of every poll. Write first the arms that must not wait and are seldom ready
 * (a token, a sleep), last those that are ready often. Cancellation, a NART_STOP and the deadlines around a race
 * are no arms: they end it whatever is ready, as other races. Which race to choose: NART_ANY, unless equal
 * shares (NART_ANY_FAIR) or the order (NART_ANY_BIASED) are part of what the program promises.
 */
#define NART_AWAIT_ANY_BIASED(which, dst, ...) NART__RACED(dst, NART_ANY_BIASED(which, __VA_ARGS__))
#define NART_ANY_BIASED(which, ...) NART__RACE(nart__race_biased, which, __VA_ARGS__)

/* ---- all of several ------------------------------------------------------------------------ */

/** What NART_ALL needs for each of its operations. Keep an array of them in the frame, with exactly one element
 *  for each operation. Zeroed = not begun. 48 bytes. */
typedef struct nart_arm {
    nart_res res; /**< the answer; NART_PENDING: it has none */
    /* private */
    nart_co co;
} nart_arm;

/**
 * Awaits the answers of 2 to 8 operations or bodies, its arms, which wait side by side. `all` is an array of as
 * many nart_arm. `all[i].res` = the answer of arm i, counted from 0; `dst` = 0, or, if arms have answered below
 * 0, the first such answer in the order written.
 *
 *     NART_AWAIT_ALL(r, f->both, nart_recv(cx, &f->left, &f->a), nart_recv(cx, &f->right, &f->b));
 *     if (r == 0)
 *         printf("%d %d\n", f->a, f->b);
 *     else if (f->both[0].res == 0)
 *         printf("only %d: %s\n", f->a, nart_err_name(f->both[1].res));
 *
 * In each poll the arms that have not answered are evaluated, in the order written. An arm that has answered is
 * not evaluated again, so its out-parameters must be in the frame: they are needed after later polls.
 *
 * The answer comes when all arms have answered, for whatever reason. Each arm is like a body with one await:
 *  - if the task is cancelled, in a NART_STOP, and after a deadline around the await, the operations of pending
 *    arms answer -ECANCELED, and bodies in them unwind. `dst` and the answers of the arms then follow the
 *    table at the top of this page: of an await whose own deadline has passed, `dst` is -ETIMEDOUT (unless an
 *    arm before the pending ones has failed), and the answers of arms are -ECANCELED;
 *  - two arms must not wait in the same handle: the second one answers -EBUSY, or takes what the first one
 *    waits for, which is then not woken;
 *  - an arm may be a race, or another NART_ALL with an array of its own. Both can be arms of a race. They nest
 *    as races do, 4 deep;
 *  - when an arm has spent the budget of the poll, each arm after it may still give a few answers.
 *
 * One that loses a race keeps the answers that it has, and continues when it is awaited again: also in a
 * NART_STOP, which unwinds the bodies in it, with the same array and arms. To restart it instead, and after
 * nart_co_init() of its body, zero the array. After its answer, the next await of the array begins it again.
 */
#define NART_AWAIT_ALL(dst, all, ...) NART_AWAIT(dst, NART_ALL(all, __VA_ARGS__))

/** The same, but the first answer below 0 ends it, and is `dst`. The pending arms are withdrawn as the losers of
 *  a race are, and their `res` is NART_PENDING. So a cancellation or a deadline ends it at once: bodies of
 *  pending arms continue where they were when they are awaited again, and NART_STOP makes them unwind. */
#define NART_AWAIT_ALL_OK(dst, all, ...) NART_AWAIT(dst, NART_ALL_OK(all, __VA_ARGS__))

/** Both as expressions, for NART_AWAIT_FOR and the like. */
#define NART_ALL(all, ...) NART__AWAIT_ARMS(false, all, __VA_ARGS__)
#define NART_ALL_OK(all, ...) NART__AWAIT_ARMS(true, all, __VA_ARGS__)

/* ---- other awaits -------------------------------------------------------------------------- */

/**
 * Sleeps, then evaluates the operation or body: an expression for the macros above. A deadline around it
 * includes the sleep. `t` points to a nart_timer in the frame, which records whether the sleep has ended. It
 * can be used again after the answer.
 *
 *     NART_AWAIT(r, NART_AFTER(&f->timer, 50 * NART_MS, nart_recv(cx, &f->rx, &f->value)));
 *
 * It answers what the operation answers; or -ECANCELED or -ETIMEDOUT of the sleep, and then the operation
 * was not called. A loser of a race continues where it was when it is awaited again; nart_timer_cancel()
 * makes it restart. `ns` is evaluated in each poll of the sleep, and used by the first: keep it in the frame.
 */
#define NART_AFTER(t, ns, ...) NART__AFTER(t, ns, __VA_ARGS__)

/** The same, but sleeps until the absolute time `at`. */
#define NART_AFTER_UNTIL(t, at, ...) NART__AFTER_UNTIL(t, at, __VA_ARGS__)

/** Awaits a body that lost a race, and unwinds it: its operations answer -ECANCELED until it ends. `dst` =
 *  its answer. */
#define NART_STOP(dst, ...) NART__STOP(dst, __VA_ARGS__)

/** Yields: continues after the tasks that are ready now have been polled, also when the task is cancelled or a
 *  deadline has passed: if a loop of yields has to end then, await a nart_sleep() of 0 in it instead. */
#define NART_YIELD() NART__YIELD()

/**
 * A shield, for clean-up that must wait. Until NART_UNSHIELD() or the body's end, and for at most `ns`
 * nanoseconds, cancellation, NART_STOP and the deadlines of bodies above have no effect on operations of the
 * task; the body's own deadlines have. A task has one shield at a time: a nested one has no effect. Shields have no effect in
 * nart_rt_free(), nor in a task that was aborted.
 */
#define NART_SHIELD(ns) nart__shield_begin(nart_cx_, nart_co_, &nart_above_, (ns))
#define NART_UNSHIELD() nart__shield_end(nart_cx_, nart_co_, &nart_above_)

#ifdef __cplusplus
}
#endif

#include "detail/co.h"

#endif

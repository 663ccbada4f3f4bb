/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/sleepers.h: the system for threads that sleep in a channel.
 *
 * A clock that a thread advances, and a futex, which compares and sleeps in one step and discards wakes while
 * no thread sleeps: a missed wake is a deadlock. A thread's waker is a tracked variable while it may be
 * called: a call after the thread has continued is a race.
 *
 * Include the file under test after this, with nart_waker_of() defined as watched(). There are no tasks and
 * no runtimes. */
#ifndef MODEL_SLEEPERS_H
#define MODEL_SLEEPERS_H

#include "model.h"

#include "base/lock.h"
#include "core/runtime.h"

enum { MODEL_SLEEPERS = 3, SOON = 1 };
enum { AWAKE, ASLEEP, ASLEEP_FOR_A_TIME };

typedef struct model_sleepers {
    unsigned calling[MODEL_SLEEPERS]; /* the thread whose waker this thread calls */
    uint32_t left[MODEL_SLEEPERS];    /* its waker has been created */
    uint32_t asleep[MODEL_SLEEPERS];  /* AWAKE etc.; protected by the futex lock */
    MODEL_VAR(nart_wakeable *) memory[MODEL_SLEEPERS]; /* the waker, while it may be called */
    nart__lock futex;
    NART__ATOMIC(uint32_t) clock;
    NART__ATOMIC(uint32_t) barrier;
    NART__ATOMIC(uint32_t) over; /* no more timeouts are needed */
} model_sleepers;

/* Set by the scenario; points into its state. */
static model_sleepers *os;

static void sleepers_init(model_sleepers *o)
{
    os = o;
    NART__STORE(&os->clock, 0u, NART__RELAXED);
    NART__STORE(&os->over, 0u, NART__RELAXED);
}

/* First touches by a thread cost loom more. */
static void touch(const void *state, size_t bytes)
{
#ifndef MODEL_RELACY
    for (size_t i = 0; i < bytes / sizeof(uint32_t); i++)
        (void)((const volatile uint32_t *)state)[i];
#else
    (void)state;
    (void)bytes;
#endif
}

/* ---- the system ---- */

int nart__sys_eventfd_write(int fd);

/* The clock never reads earlier than a deadline that has ended a sleep. */
int64_t nart__sys_now(void)
{
    return NART__FETCH_ADD(&os->clock, 0u, NART__RELAXED);
}

static void rouse(unsigned i)
{
    if (os->asleep[i] != AWAKE)
        (void)nart__sys_eventfd_write((int)i);
    os->asleep[i] = AWAKE;
}

void nart__sys_futex_wait(const NART__ATOMIC(uint32_t) * word, uint32_t seen, int64_t until)
{
    unsigned i = model_self();

    nart__lock_enter(&os->futex);
    bool sleeps = NART__LOAD(word, NART__RELAXED) == seen && nart__sys_now() < until;
    if (sleeps)
        os->asleep[i] = until == INT64_MAX ? ASLEEP : ASLEEP_FOR_A_TIME;
    nart__lock_leave(&os->futex);
    if (sleeps)
        model_wait((int)i);
}

void nart__sys_futex_wake(const NART__ATOMIC(uint32_t) * word)
{
    (void)word; /* may be freed already */
    nart__lock_enter(&os->futex);
    rouse(os->calling[model_self()]);
    nart__lock_leave(&os->futex);
}

/* All timeouts expire. */
static void time_passes(void)
{
    nart__lock_enter(&os->futex);
    (void)NART__FETCH_ADD(&os->clock, (uint32_t)SOON, NART__RELAXED);
    for (unsigned i = 0; i < MODEL_SLEEPERS; i++)
        if (os->asleep[i] == ASLEEP_FOR_A_TIME)
            rouse(i);
    nart__lock_leave(&os->futex);
}

/* ---- wakers: each encodes the number of its thread ---- */

static nart_waker watched(nart_wakeable *w)
{
    unsigned i = model_self();

    if (!os->left[i])
        MODEL_SET(os->memory[i], w);
    os->left[i] = 1;
    return (nart_waker){ 64 * (i + 1) }; /* no word that the code under test uses as a mark */
}

/* The calling thread's waker is no longer called. */
static void forget(void)
{
    unsigned i = model_self();

    if (os->left[i])
        MODEL_SET(os->memory[i], (nart_wakeable *)NULL);
    os->left[i] = 0;
}

void nart_waker_wake(nart_waker w)
{
    unsigned i = (unsigned)w.w / 64 - 1;
    nart_wakeable *k = MODEL_GET(os->memory[i]);

    MODEL_CHECK(k);
    os->calling[model_self()] = i;
    k->wake(k);
}

/* As in sides.h. */
void nart__barrier_light(void)
{
    (void)NART__FETCH_ADD(&os->barrier, 0u, NART__ACQ_REL);
}

int nart__sys_barrier(void)
{
    (void)NART__FETCH_ADD(&os->barrier, 0u, NART__ACQ_REL);
    return 0;
}

void nart__sys_nap(void)
{
    nart__relax();
}

/* ---- stubs ---- */

unsigned nart__fork_epoch(void)
{
    return 0;
}

static void no_task(void)
{
    MODEL_FAIL("there are no tasks and no runtimes here");
}

nart_waker nart_cx_waker(nart_cx *cx)
{
    (void)cx;
    no_task();
    return (nart_waker){ 0 };
}

nart_res nart__rt_check(const nart_rt *rt)
{
    (void)rt;
    no_task();
    return 0;
}

void nart__ready_slow(nart__task *t)
{
    (void)t;
    no_task();
}

void nart__tick_hook_add(nart_rt *rt, nart__tick_hook *w)
{
    (void)rt;
    (void)w;
    no_task();
}

void nart__tick_hook_remove(nart__tick_hook *w)
{
    (void)w;
    no_task();
}

nart_res nart__halt(nart_cx *cx, nart__wait *w)
{
    (void)cx;
    (void)w;
    no_task();
    return 0;
}

void nart__unlink(nart__wait *w)
{
    (void)w;
    no_task();
}

#endif

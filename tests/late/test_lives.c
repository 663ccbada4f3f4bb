/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thread is stopped at each step of a call for a runtime in turn. Meanwhile the runtime is
 * freed, hubs are trimmed, and the next runtime starts, on the same hub where possible. Then the
 * thread resumes: its call must not affect the next runtime. */
#include "../core/core.h"
#include "step.h"
#include "threads.h"

#include <nart/cancel.h>
#include <nart/shutdown.h>

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static nart_rt *first, *next;
static nart_remote remote;
static nart_token token;
static nart_waker waker;
static int runs, drops;

/* ---- tasks ---- */

/* Waits for a wake from another thread. */
static nart_res sleeper_run(nart_cx *cx, void *frame)
{
    (void)frame;
    if (nart_cx_cancelled(cx))
        return -ECANCELED;
    waker = nart_cx_waker(cx);
    return nart_op_park(cx);
}

static const nart_task_type sleeper_type = NART_TASK_TYPE(int, sleeper_run, NULL);

struct waiter {
    nart_co co;
    nart_waiter waiter;
    nart_res r;
};

/* In the next runtime. */
static nart_res server_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_shutdown_await(cx, &f->waiter));
    NART_END(f->r);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct waiter, server_run, NULL);

static nart_res token_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_token_await(cx, &token, &f->waiter));
    NART_END(f->r);
}

static const nart_task_type token_type = NART_TASK_TYPE(struct waiter, token_run, NULL);

static nart_res note_run(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    runs++;
    return 0;
}

static void note_drop(void *frame)
{
    (void)frame;
    drops++;
}

static const nart_task_type note_type = NART_TASK_TYPE(int, note_run, note_drop);

/* ---- the calls in which a thread is stopped ---- */

typedef struct call {
    nart_res (*make)(void);
    const char *step;
    nart_res answer; /* of the call if the runtime is freed before the thread resumes */
    bool trims;      /* is the hub trimmed meanwhile? */
} call;

static nart_res wake(void)
{
    nart_waker_wake(waker);
    return 0;
}

static nart_res spawn_there(void)
{
    return nart_remote_spawn(remote, &note_type, NULL);
}

static nart_res shut_down(void)
{
    return nart_remote_shutdown(remote);
}

static nart_res cancel_token(void)
{
    nart_token_cancel(&token);
    return 0;
}

static nart_res raise_signal(void)
{
    CHECK_EQ(raise(SIGUSR1), 0);
    return 0;
}

static void *be_late(void *arg)
{
    const call *c = arg;

    step_stop_at(c->step);
    CHECK_RES(c->make(), c->answer);
    return NULL;
}

/* ---- what happens meanwhile ---- */

static void begin(void)
{
    first = new_rt();
    remote = nart_rt_remote(first);
    runs = drops = 0;
    CHECK_LE(0, nart_rt_backend_fd(first)); /* between polls it is parked */
    CHECK_RES(nart_token_new(first, &token), 0);
    CHECK_RES(nart_rt_shutdown_on(first, SIGUSR1), 0);
    CHECK_RES(nart_rt_spawn(first, &sleeper_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn(first, &token_type, NULL, NULL), 0);
    settle(first);
}

static void *spawn_in_next(void *arg)
{
    (void)arg;
    CHECK_RES(nart_remote_spawn(nart_rt_remote(next), &note_type, NULL), 0);
    return NULL;
}

/* A task is spawned from another thread, runs and ends; nothing else runs, and no shutdown is
 * requested. */
static void works(void)
{
    int ran = runs, dropped = drops;

    pthread_t thread = thread_start(spawn_in_next, NULL);
    while (runs == ran)
        CHECK_LE(0, nart_rt_poll(next, NART_NEVER));
    thread_join(thread);
    settle(next);
    CHECK_EQ(runs, ran + 1);
    CHECK_EQ(drops, dropped + 1);
    CHECK(!nart_rt_is_shutdown(next));
    CHECK_EQ(nart_rt_task_count(next), 1);
}

/* `frame`: the number of spawns for which a call has passed on the frame. */
static void once(const call *c, bool trim, bool reopen, int frames)
{
    nart_rt_end end = NART_RT_END_INIT;
    int probe = -1;
    uint64_t count;

    begin();
    pthread_t thread = thread_start(be_late, (void *)(uintptr_t)c);
    step_wait();
    CHECK_RES(nart_rt_free(first), 0);
    if (trim) {
        CHECK_EQ(nart_lib_trim(), c->trims);
        probe = eventfd(0, EFD_NONBLOCK); /* reuses the descriptor number of the hub's eventfd */
        CHECK_LE(0, probe);
    }
    if (reopen) {
        next = new_rt();
        CHECK_RES(nart_rt_spawn(next, &server_type, NULL, NULL), 0);
        works();
        step_go_on();
        thread_join(thread);
        works();
        CHECK_RES(nart_rt_shutdown(next), 0);
        settle(next);
        CHECK_RES(nart_rt_free_counted(next, &end), 0);
        CHECK_EQ(end.undelivered, 0);
    } else {
        step_go_on();
        thread_join(thread);
    }
    CHECK_EQ(drops - runs, frames);
    nart_token_release(&token);
    if (probe >= 0) {
        CHECK_EQ(read(probe, &count, sizeof count), -1); /* not written */
        (void)close(probe);
    }
    (void)nart_lib_trim();
}

static void whatever_happens(call c, int frames)
{
    for (int trim = 0; trim < 2; trim++)
        for (int reopen = 0; reopen < 2; reopen++)
            once(&c, trim, reopen, frames);
}

/* All calls contain the steps of a wake: a trim does not free a hub that has a wake in progress. */
static void wakes(nart_res (*make)(void), int frames)
{
    whatever_happens((call){ make, "wake: notify", 0, true }, frames);
    whatever_happens((call){ make, "wake: push", 0, false }, frames);
    whatever_happens((call){ make, "wake: link", 0, false }, frames);
    whatever_happens((call){ make, "wake: ring", 0, false }, frames);
    whatever_happens((call){ make, "wake: count", 0, false }, frames);
}

TEST(a_wake)
{
    wakes(wake, 0);
}

TEST(a_spawn)
{
    whatever_happens((call){ spawn_there, "enter", NART_ESTALE, true }, 0);
    whatever_happens((call){ spawn_there, "post: push", NART_ESTALE, true }, 0);
    whatever_happens((call){ spawn_there, "post: wake", 0, true }, 1);
    wakes(spawn_there, 1);
    whatever_happens((call){ spawn_there, "leave", 0, true }, 1);
}

TEST(a_request_to_shut_down)
{
    whatever_happens((call){ shut_down, "ask", NART_ESTALE, true }, 0);
    whatever_happens((call){ shut_down, "asked: wake", 0, true }, 0);
    wakes(shut_down, 0);
}

TEST(a_cancellation)
{
    whatever_happens((call){ cancel_token, "enter", 0, true }, 0);
    whatever_happens((call){ cancel_token, "post: push", 0, true }, 0);
    whatever_happens((call){ cancel_token, "post: wake", 0, true }, 0);
    wakes(cancel_token, 0);
    whatever_happens((call){ cancel_token, "leave", 0, true }, 0);
}

TEST(a_signal)
{
    whatever_happens((call){ raise_signal, "signal: count", 0, true }, 0);
    whatever_happens((call){ raise_signal, "signal: waker", 0, true }, 0);
    whatever_happens((call){ raise_signal, "signal: wake", 0, true }, 0);
    wakes(raise_signal, 0);
}

/* ---- the signal has a new owner ---- */

/* Counted before the next runtime owns the signal: its shutdown is not requested. Counted after:
 * it is requested, and the runtime is woken. */
static void changes_hands(const char *step, bool asked)
{
    const call c = { raise_signal, step, 0, true };

    begin();
    next = new_rt();
    CHECK_LE(0, nart_rt_backend_fd(next));
    CHECK_RES(nart_rt_spawn(next, &server_type, NULL, NULL), 0);
    settle(next);
    pthread_t thread = thread_start(be_late, (void *)(uintptr_t)&c);
    step_wait();
    CHECK_RES(nart_rt_shutdown_off(first, SIGUSR1), 0);
    CHECK_RES(nart_rt_shutdown_on(next, SIGUSR1), 0);
    step_go_on();
    if (asked)
        while (!nart_rt_is_shutdown(next))
            CHECK_LE(0, nart_rt_poll(next, NART_NEVER));
    thread_join(thread);
    settle(next);
    CHECK_EQ(nart_rt_is_shutdown(next), asked);
    CHECK_EQ(nart_rt_is_shutdown(first), !asked);
    nart_token_release(&token);
    CHECK_RES(nart_rt_free(first), 0);
    CHECK_RES(nart_rt_free(next), 0);
}

TEST(a_signal_that_changes_hands)
{
    changes_hands("signal: count", true);
    changes_hands("signal: waker", false);
    changes_hands("signal: wake", false);
    changes_hands("wake: notify", false);
    changes_hands("wake: push", false);
    changes_hands("wake: ring", false);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/signals.c: a signal that requests a shutdown or is received, delivered on a thread unrelated to its
 * users. loom only: the table of signals is static, and relacy recreates atomic words for each execution.
 *
 * The kernel is one word: whether the handler is installed. Each runtime is a hub with its mailbox. */
#include "model.h"

#include "core/runtime.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

static int set_action(int signo, const struct sigaction *act, struct sigaction *before);

#undef NSIG
#define NSIG 2 /* a scan visits every signal */
#define sigaction(signo, act, before) set_action(signo, act, before)
#define pthread_once(once, fn) ((void)(once), (void)(fn))
#include "lifecycle/shutdown_signal.c"
#include "lifecycle/signals.c"
#undef sigaction

enum { SIGNAL = 1, WATCHES = 3 };

typedef struct state {
    struct {
        nart__hub hub;
        nart__rec mailbox; /* must follow */
    } hubs[2];
    nart_rt rt[2];
    NART__ATOMIC(uint32_t) installed;
    nart__signal_watch watches[WATCHES];
    nart__signal_watch *watch[2]; /* per thread that receives */
    uint32_t received[2];
    int before;    /* what the signalled thread did */
    bool asked[2]; /* per runtime */
    bool refuses;  /* the kernel fails the next call */
} state;

static state *s;

/* ---- functions that signals.c calls ---- */

/* The kernel orders changes of the handler. */
static int set_action(int signo, const struct sigaction *act, struct sigaction *before)
{
    MODEL_CHECK(signo == SIGNAL);
    if (s->refuses) {
        s->refuses = false;
        return -1;
    }
    if (before)
        before->sa_handler = SIG_DFL;
    NART__STORE(&s->installed, act->sa_handler == handler ? 1u : 0u, NART__RELEASE);
    return 0;
}

void nart_waker_wake(nart_waker w)
{
    nart__wake(w.w);
}

void nart__rt_shutdown(nart_rt *rt)
{
    s->asked[rt - s->rt] = true;
}

nart_res nart__rt_check(const nart_rt *rt)
{
    (void)rt;
    return 0;
}

void nart__exit_hook_add(nart_rt *rt, nart__exit_hook *g)
{
    (void)rt;
    g->next = g;
}

void nart__exit_hook_remove(nart__exit_hook *g)
{
    g->next = NULL;
}

void *nart__sys_map(size_t bytes)
{
    (void)bytes;
    return NULL; /* `fresh` suffices */
}

/* ---- setup and teardown ---- */

static void make(void)
{
    struct signal *o = &signals[SIGNAL];

    s = MODEL_NEW(state);
    NART__STORE(&lock, 0u, NART__RELAXED);
    fresh = NULL;
    for (int i = 0; i < WATCHES; i++) {
        s->watches[i].next = fresh;
        fresh = &s->watches[i];
        NART__STORE(&fresh->waker, (uintptr_t)0, NART__RELAXED);
    }
    NART__STORE(&owners[SIGNAL].rt, (uintptr_t)0, NART__RELAXED);
    o->users = 0;
    NART__STORE(&s->installed, 0u, NART__RELAXED);
    NART__STORE(&o->first, (uintptr_t)0, NART__RELAXED);
    NART__STORE(&o->count, 0u, NART__RELAXED);
    for (int i = 0; i < 2; i++) {
        s->rt[i].hub = &s->hubs[i].hub;
        nart__hub_init(s->rt[i].hub, 1, i);
        MODEL_CHECK(NART__LOAD(&s->hubs[i].mailbox.word, NART__RELAXED) == 0);
        MODEL_CHECK(NART__LOAD(&s->hubs[i].mailbox.next, NART__RELAXED) == 0);
    }
}

static void make_refused(void)
{
    make();
    s->refuses = true;
}

static void after(void)
{
    MODEL_CHECK(NART__LOAD(&owners[SIGNAL].rt, NART__RELAXED) == 0);
    MODEL_CHECK(signals[SIGNAL].users == 0);
    MODEL_CHECK(NART__LOAD(&s->installed, NART__RELAXED) == 0);
    MODEL_DELETE(s);
}

/* ---- steps of the threads ---- */

static void raise_once(void)
{
    while (!NART__LOAD(&s->installed, NART__ACQUIRE))
        nart__relax();
    handler(SIGNAL);
}

static void listen_for_it(unsigned i)
{
    nart_res r;

    while ((r = nart_rt_shutdown_on(&s->rt[i], SIGNAL)) == -EBUSY)
        nart__relax();
    MODEL_CHECK(r == 0);
}

static void hear(unsigned i)
{
    bool busy;

    while (!s->asked[i]) {
        if (nart__hub_pop(s->rt[i].hub, &busy)) {
            look(&s->rt[i]);
        } else if (nart__hub_park(s->rt[i].hub)) {
            model_wait((int)i);
            nart__hub_unpark(s->rt[i].hub);
        } else {
            nart__relax();
        }
    }
    MODEL_CHECK(nart_rt_shutdown_off(&s->rt[i], SIGNAL) == 0);
}

/* ---- the signal is received ---- */

static void heard(unsigned i)
{
    if (i == 0) {
        listen_for_it(0);
        hear(0);
    } else {
        raise_once();
    }
}

/* ---- the signal passes from one runtime to the next during delivery ---- */

static void changes_hands(unsigned i)
{
    if (i == 2) {
        if (NART__LOAD(&s->installed, NART__ACQUIRE))
            handler(SIGNAL);
        return;
    }
    listen_for_it(i);
    MODEL_CHECK(nart_rt_shutdown_off(&s->rt[i], SIGNAL) == 0);
}

/* ---- a late handler of the first runtime counts the signal for the second, which wakes ---- */

static void late(unsigned i)
{
    if (i > 0) {
        if (NART__LOAD(&s->installed, NART__ACQUIRE))
            handler(SIGNAL);
        return;
    }
    listen_for_it(0);
    MODEL_CHECK(nart_rt_shutdown_off(&s->rt[0], SIGNAL) == 0);
    listen_for_it(1);
}

static void counted_and_woken(void)
{
    bool busy;

    bool counted = nart__signal_take(owners[SIGNAL].watch) > 0;
    bool woken = nart__hub_pop(s->rt[1].hub, &busy) != NULL;
    MODEL_CHECK(woken || !counted);
    MODEL_CHECK(nart_rt_shutdown_off(&s->rt[1], SIGNAL) == 0);
    after();
}

/* The first runtime ends without a shutdown request. */
static void goes_with_its_runtime(unsigned i)
{
    listen_for_it(i);
    if (i == 0)
        rt_gone(&owners[SIGNAL].exit_hook);
    else
        MODEL_CHECK(nart_rt_shutdown_off(&s->rt[i], SIGNAL) == 0);
}

/* ---- two users receive ---- */

static nart_waker waker_of(unsigned i)
{
    nart_waker w;
    w.w = nart__hub_waker(&s->hubs[i].hub, nart__rt_mailbox(&s->rt[i]));
    return w;
}

static void open_watch(unsigned i)
{
    MODEL_CHECK(nart__signal_watch_open(SIGNAL, (nart_waker){ 0 }, &s->watch[i]) == 0);
}

/* Waits as an operation does: the poll that finds nothing leaves its waker. */
static void receive(unsigned i)
{
    bool busy;

    while ((s->received[i] = nart__signal_take(s->watch[i])) == 0 &&
           (s->received[i] = nart__signal_take_or_wait(s->watch[i], waker_of(i))) == 0) {
        while (!nart__hub_pop(s->rt[i].hub, &busy)) {
            if (nart__hub_park(s->rt[i].hub)) {
                model_wait((int)i);
                nart__hub_unpark(s->rt[i].hub);
            } else {
                nart__relax();
            }
        }
    }
    MODEL_CHECK(s->before == 1);
    MODEL_CHECK(nart__signal_watch_close(s->watch[i]) == 0);
}

static void make_opened(void)
{
    make();
    open_watch(0);
}

static void make_two_opened(void)
{
    make_opened();
    open_watch(1);
}

static void deliver(void)
{
    s->before = 1;
    handler(SIGNAL);
}

static void received(unsigned i)
{
    if (i == 0)
        receive(0);
    else
        deliver();
}

static void both_received(unsigned i)
{
    if (i < 2)
        receive(i);
    else
        deliver();
}

static void after_both(void)
{
    MODEL_CHECK(s->received[0] == 1);
    MODEL_CHECK(s->received[1] == 1);
    after();
}

/* A second watch is opened and closed, or takes the place of the first, while a handler reads the list. */
static void opened_meanwhile(unsigned i)
{
    if (i == 0) {
        receive(0);
    } else if (i == 1) {
        open_watch(1);
        (void)nart__signal_watch_close(s->watch[1]);
    } else {
        deliver();
    }
}

/* Opened before the delivery or after it: counted and woken, or neither. */
static void opens_late(unsigned i)
{
    if (i == 0)
        MODEL_CHECK(nart__signal_watch_open(SIGNAL, waker_of(1), &s->watch[1]) == 0);
    else
        deliver();
}

static void late_counted_and_woken(void)
{
    bool busy;

    uint32_t counted = nart__signal_watch_close(s->watch[1]);
    bool woken = nart__hub_pop(s->rt[1].hub, &busy) != NULL;
    MODEL_CHECK(woken || !counted);
    MODEL_CHECK(NART__LOAD(&s->installed, NART__RELAXED) == 1); /* a user is left */
    MODEL_CHECK(nart__signal_watch_close(s->watch[0]) == 1);
    after();
}

/* ---- the kernel refuses one installation ---- */

static void refused(unsigned i)
{
    nart_res r;

    while ((r = nart_rt_shutdown_on(&s->rt[i], SIGNAL)) == -EBUSY)
        nart__relax();
    if (r)
        MODEL_CHECK(r == -EINVAL);
    else
        MODEL_CHECK(nart_rt_shutdown_off(&s->rt[i], SIGNAL) == 0);
}

const model_scenario model_scenarios[] = {
    { "heard", 2, make, heard, after, 4, 0 },
    { "goes_with_its_runtime", 2, make, goes_with_its_runtime, after, 4, 0 },
    { "refused", 2, make_refused, refused, after, 4, 0 },
    { "changes_hands", 3, make, changes_hands, after, 2, 0 },
    { "late", 2, make, late, counted_and_woken, 4, 0 },
    { "received", 2, make_opened, received, after, 4, 0 },
    { "both_received", 3, make_two_opened, both_received, after_both, 2, 0 },
    { "opened_meanwhile", 3, make_opened, opened_meanwhile, after, 2, 0 },
    { "opens_late", 2, make_opened, opens_late, late_counted_and_woken, 4, 0 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};

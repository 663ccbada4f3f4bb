/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* signals.c: one handler for all signals, and the watches that it serves.
 *
 * The handler runs on any thread, between any two instructions, and may still run after the signal was passed
 * to other users. So it does only what is right at any time:
 *  1. it counts the delivery;
 *  2. it wakes the waker in each watch of the signal. Watches are never freed or unlinked, only reused, and
 *     wakers may be woken for ever (core/hub.c).
 * A user compares the count with the number that it has seen.
 *
 * The count decides which user a late handler notifies. A user stores its waker, and then reads the count by a
 * read-modify-write. A handler that counts after that sees the waker; one that counted before is in the number
 * that was read: at opening, the delivery belongs to earlier users.
 *
 * Opening and closing take one lock, also around sigaction(). The handler does not.
 *
 * Bounds: the handler is linear in the watches of its signal that were ever open at one time. A page holds about a
 * hundred watches. */
#include "signals.h"

#include "../base/lock.h"
#include "../core/runtime.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define PAGE 4096u

static struct signal {
    NART__ATOMIC(uintptr_t) first; /* its watches */
    NART__ATOMIC(uint32_t) count;  /* deliveries */
    uint32_t users;                /* from here on under the lock */
    struct sigaction before;
} signals[NSIG];

static nart__lock lock;
static nart__signal_watch *fresh; /* never used yet */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void enter(void)
{
    nart__lock_enter(&lock);
}

static void leave(void)
{
    nart__lock_leave(&lock);
}

static void set_up(void)
{
    nart__lock_init(&lock);
    (void)pthread_atfork(enter, leave, leave); /* a child finds everything consistent */
}

static nart__signal_watch *watch_of(uintptr_t word)
{
    return (nart__signal_watch *)word;
}

static void handler(int signo)
{
    struct signal *s = &signals[signo];
    nart_waker waker;

    NART__STEP("signal: count");
    /* Acquire: the wakers of the users that count this delivery. Release: what this thread did before it. */
    (void)NART__FETCH_ADD(&s->count, 1u, NART__ACQ_REL);
    NART__STEP("signal: waker");
    /* Acquire: the rest of the list. */
    for (const nart__signal_watch *w = watch_of(NART__LOAD(&s->first, NART__ACQUIRE)); w;
         w = w->next) {
        waker.w = NART__LOAD(&w->waker, NART__RELAXED);
        NART__STEP("signal: wake");
        nart_waker_wake(waker);
    }
}

/* ---- watches, under the lock ---- */

static nart__signal_watch *take_fresh(void)
{
    if (!fresh) {
        nart__signal_watch *page = nart__sys_map(PAGE);
        for (size_t i = 0; page && i < PAGE / sizeof *page; i++) {
            page[i].next = fresh;
            fresh = &page[i];
        }
    }
    nart__signal_watch *w = fresh;
    if (w)
        fresh = w->next;
    return w;
}

/* A closed watch of this signal; NULL: no memory. */
static nart__signal_watch *find(int signo)
{
    struct signal *s = &signals[signo];
    uintptr_t first = NART__LOAD(&s->first, NART__RELAXED); /* written under the lock */
    nart__signal_watch *w = watch_of(first);

    while (w && w->open)
        w = w->next;
    if (w)
        return w;
    w = take_fresh();
    if (w) {
        w->signo = signo;
        w->next = watch_of(first);
        NART__STORE(&s->first, (uintptr_t)w, NART__RELEASE); /* the watch, to handlers */
    }
    return w;
}

static nart_res install(struct signal *s, int signo)
{
    struct sigaction act;

    memset(&act, 0, sizeof act);
    act.sa_handler = handler;
    act.sa_flags = SA_RESTART | SA_ONSTACK; /* it may interrupt a thread with a small stack */
    (void)sigemptyset(&act.sa_mask);
    return sigaction(signo, &act, &s->before) ? -EINVAL : 0;
}

static nart_res open_locked(int signo, nart_waker waker, nart__signal_watch **out)
{
    struct signal *s = &signals[signo];
    nart__signal_watch *w = find(signo);

    if (!w)
        return -ENOMEM;
    NART__STORE(&w->waker, waker.w, NART__RELAXED);
    /* Release: publishes the waker, see handler(). */
    w->seen = NART__FETCH_ADD(&s->count, 0u, NART__RELEASE);
    nart_res r = s->users == 0 ? install(s, signo) : 0;
    if (r) {
        NART__STORE(&w->waker, (uintptr_t)0, NART__RELAXED);
        return r;
    }
    s->users++;
    w->open = true;
    *out = w;
    return 0;
}

/* ---- the interface ---- */

/* The thread that causes one of these repeats its instruction after a handler: for ever. */
static bool is_fault(int signo)
{
    return signo == SIGSEGV || signo == SIGBUS || signo == SIGFPE || signo == SIGILL;
}

nart_res nart__signal_watch_open(int signo, nart_waker waker, nart__signal_watch **out)
{
    if (signo < 1 || signo >= NSIG || is_fault(signo))
        return -EINVAL;
    (void)pthread_once(&once, set_up);
    enter();
    nart_res r = open_locked(signo, waker, out);
    leave();
    return r;
}

uint32_t nart__signal_watch_close(nart__signal_watch *w)
{
    struct signal *s = &signals[w->signo];

    enter();
    if (--s->users == 0)
        (void)sigaction(w->signo, &s->before, NULL); /* cannot fail: it succeeded before */
    NART__STORE(&w->waker, (uintptr_t)0, NART__RELAXED);
    uint32_t n = nart__signal_take(w); /* a delivery before this is not lost */
    w->open = false;
    leave();
    return n;
}

static uint32_t counted(nart__signal_watch *w, uint32_t count)
{
    uint32_t n = count - w->seen;
    w->seen = count;
    return n;
}

uint32_t nart__signal_take(nart__signal_watch *w)
{
    /* Acquire: what the signalled thread did before. */
    return counted(w, NART__LOAD(&signals[w->signo].count, NART__ACQUIRE));
}

uint32_t nart__signal_take_or_wait(nart__signal_watch *w, nart_waker waker)
{
    NART__STORE(&w->waker, waker.w, NART__RELAXED);
    /* Release: publishes the waker, see handler(). Acquire: as above. */
    return counted(w, NART__FETCH_ADD(&signals[w->signo].count, 0u, NART__ACQ_REL));
}

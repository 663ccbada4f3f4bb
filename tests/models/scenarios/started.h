/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/started.h: a system that starts threads, for code that uses pthreads.
 *
 * Threads of the model below os->users are the scenario's; another one waits until the code under test starts a thread,
 * which it then is. A futex and a condition compare and sleep in one step, and discard wakes while no thread sleeps: a
 * missed wake is a deadlock. A clock is advanced by a thread. The allocator marks each word of what is freed.
 *
 * Include the files under test after this: they use these functions in place of those of pthread.h. */
#ifndef MODEL_STARTED_H
#define MODEL_STARTED_H

#include "model.h"

#include "base/alloc.h"
#include "base/lock.h"
#include "sys.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>

#define FREED 0xFDFDFDFDu

enum { MODEL_THREADS = 3, MODEL_STARTS = 4, MODEL_BLOCKS = 4, SOON = 1 };
enum model_fate { LIVES, JOINED, DETACHED };

/* Guarded by the lock of the system, but for the last one, which is the thread's. */
typedef struct model_thread {
    void *(*run)(void *); /* what it was started for */
    void *arg;
    unsigned number; /* of the started threads */
    const void *sleeps_on;
    int64_t until;
    bool woken; /* its waker was called */
    jmp_buf *exit;
} model_thread;

/* A block of the allocator. */
typedef struct model_block {
    uint32_t *words;
    size_t size;
    bool is_free;
} model_block;

typedef struct model_system {
    nart__lock lock;
    NART__ATOMIC(uint32_t) clock;
    model_thread threads[MODEL_THREADS];
    unsigned users, all; /* threads of the model */
    unsigned live;       /* users and started threads that have not ended */
    unsigned startable;  /* threads; the start of another one fails */
    unsigned starts, started;
    bool holds; /* a call that has started a thread returns when this is over */
    bool ended[MODEL_STARTS];
    enum model_fate fates[MODEL_STARTS];
    model_block blocks[MODEL_BLOCKS];
    unsigned made; /* blocks */
} model_system;

/* Set by the scenario; points into its state. */
static model_system *os;

/* ---- the system ---- */

/* First touches by a thread cost loom more, and constants are read without synchronisation. */
static void touch(const void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof(uint32_t); i++)
        (void)((const volatile uint32_t *)p)[i];
}

static void system_init(model_system *system, unsigned users, unsigned all)
{
    os = system;
    NART__STORE(&os->clock, 0u, NART__RELAXED);
    os->users = os->live = users;
    os->all = all;
    os->startable = MODEL_STARTS;
}

static void enter(void)
{
    nart__lock_enter(&os->lock);
}

static void quit(void)
{
    nart__lock_leave(&os->lock);
}

static model_thread *self(void)
{
    return &os->threads[model_self()];
}

/* Sleeps until rouse(on) or a time, or spuriously. Within the lock, which is left meanwhile. */
static void sleep_on(const void *on, int64_t until)
{
    model_thread *t = self();

    t->sleeps_on = on;
    t->until = until;
    quit();
    model_wait((int)model_self());
    enter();
    t->sleeps_on = NULL;
}

/* Within the lock. */
static void rouse(const void *on)
{
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        if (os->threads[i].sleeps_on == on) {
            os->threads[i].sleeps_on = NULL;
            (void)nart__sys_eventfd_write((int)i);
        }
}

/* The clock never reads earlier than a deadline that has ended a sleep. */
int64_t nart__sys_now(void)
{
    return NART__FETCH_ADD(&os->clock, 0u, NART__RELAXED);
}

/* A time has come. Threads wake by it from `first` to before `end`; the others may sleep longer. */
static void time_passes(unsigned first, unsigned end)
{
    enter();
    (void)NART__FETCH_ADD(&os->clock, (uint32_t)SOON, NART__RELAXED);
    for (unsigned i = first; i < end; i++)
        if (os->threads[i].sleeps_on && os->threads[i].until <= SOON)
            rouse(os->threads[i].sleeps_on);
    quit();
}

void nart__sys_futex_wait(const NART__ATOMIC(uint32_t) * word, uint32_t seen, int64_t until)
{
    enter();
    if (NART__LOAD(word, NART__RELAXED) == seen && nart__sys_now() < until)
        sleep_on((const void *)word, until);
    quit();
}

void nart__sys_futex_wake(const NART__ATOMIC(uint32_t) * word)
{
    enter();
    rouse((const void *)word); /* which may be freed already */
    quit();
}

static int cond_wait(const pthread_cond_t *cond, nart__lock *l, int64_t until)
{
    bool late = until != NART_NEVER && nart__sys_now() >= until;

    if (late)
        return -ETIMEDOUT;
    enter();
    nart__lock_leave(l);
    sleep_on(cond, until);
    quit();
    nart__lock_enter(l);
    return 0;
}

static void cond_broadcast(const pthread_cond_t *cond)
{
    enter();
    rouse(cond);
    quit();
}

/* ---- the system's threads ---- */

/* A thread of the model that is none of the pool's. Waits for one that ends if there is none. */
static model_thread *unused(void)
{
    for (;;) {
        for (unsigned i = os->users; i < os->all; i++)
            if (!os->threads[i].run)
                return &os->threads[i];
        sleep_on(&os->live, NART_NEVER);
    }
}

int nart__sys_thread_start(void *(*run)(void *), void *arg, size_t stack)
{
    (void)stack;
    enter();
    bool fails = os->started == os->startable;
    os->starts++;
    if (!fails) {
        model_thread *t = unused();
        t->number = os->started++;
        t->arg = arg;
        t->run = run;
        os->live++;
        rouse(t);
        while (os->holds)
            sleep_on(&os->holds, NART_NEVER);
    }
    quit();
    return fails ? -EAGAIN : 0;
}

static void release_starts(void)
{
    enter();
    os->holds = false;
    rouse(&os->holds);
    quit();
}

/* A user or a thread of the pool has ended. After the last one, those that were not started end, too. Within the
 * lock. */
static void one_less(void)
{
    os->live--;
    rouse(&os->live);
    for (unsigned i = 0; os->live == 0 && i < MODEL_THREADS; i++)
        rouse(&os->threads[i]);
}

/* Is the calling thread one of the pool's? If so, it runs what it is started for. */
static bool serves(unsigned i)
{
    model_thread *t = &os->threads[i];

    if (i < os->users)
        return false;
    enter();
    for (;;) {
        while (!t->run && os->live > 0)
            sleep_on(t, NART_NEVER);
        if (!t->run)
            break;
        quit();
        (void)t->run(t->arg);
        enter();
        t->run = NULL;
        os->ended[t->number] = true;
        rouse(&os->ended[t->number]);
        one_less();
    }
    quit();
    return true;
}

/* The end of a user. */
static void over(void)
{
    enter();
    one_less();
    quit();
}

static pthread_t thread_self(void)
{
    MODEL_CHECK(model_self() >= os->users);
    return self()->number;
}

static void settle(pthread_t t, enum model_fate fate)
{
    MODEL_CHECK(t < os->started && os->fates[t] == LIVES);
    os->fates[t] = fate;
}

static void thread_detach(pthread_t t)
{
    enter();
    settle(t, DETACHED);
    quit();
}

static void thread_join(pthread_t t)
{
    enter();
    settle(t, JOINED);
    while (!os->ended[t])
        sleep_on(&os->ended[t], NART_NEVER);
    quit();
}

/* Where pthread_exit() continues. */
static jmp_buf *thread_exit(jmp_buf *to)
{
    if (to)
        self()->exit = to;
    return self()->exit;
}

void nart__sys_thread_name(const char *name)
{
    (void)name;
}

/* ---- wakers: each encodes the number of its thread ---- */

static nart_waker own_waker(void)
{
    return (nart_waker){ 64 * (model_self() + 1) };
}

void nart_waker_wake(nart_waker w)
{
    if (!w.w)
        return;
    model_thread *t = &os->threads[w.w / 64 - 1];
    enter();
    t->woken = true;
    rouse(&t->woken);
    quit();
}

static void await_own_waker(void)
{
    model_thread *t = self();

    enter();
    while (!t->woken)
        sleep_on(&t->woken, NART_NEVER);
    t->woken = false;
    quit();
}

/* ---- memory ---- */

static void *block_alloc(void *arg, size_t size, size_t align)
{
    (void)arg;
    (void)align;
    model_block *b = &os->blocks[os->made++];
    MODEL_CHECK(os->made <= MODEL_BLOCKS);
    b->words = model_memory(size);
    b->size = size;
    return b->words;
}

/* Marks each word: it is the last access. */
static void block_free(void *arg, void *p, size_t size, size_t align)
{
    (void)arg;
    (void)align;
    for (unsigned i = 0; i < os->made; i++) {
        model_block *b = &os->blocks[i];
        if (b->words != p)
            continue;
        MODEL_CHECK(!b->is_free && b->size == size);
        b->is_free = true;
        for (size_t k = 0; k < size / sizeof *b->words; k++)
            b->words[k] = FREED;
    }
}

const nart_alloc nart__alloc_std = { block_alloc, block_free, NULL };

/* Every thread was joined or detached, and every block freed and not written to since. */
static void system_check(void)
{
    MODEL_CHECK(os->live == 0);
    for (unsigned i = 0; i < os->started; i++)
        MODEL_CHECK(os->ended[i] && os->fates[i] != LIVES);
    for (unsigned i = 0; i < os->made; i++) {
        MODEL_CHECK(os->blocks[i].is_free);
        for (size_t k = 0; k < os->blocks[i].size / sizeof(uint32_t); k++)
            MODEL_CHECK(os->blocks[i].words[k] == FREED);
    }
}

/* ---- for the files under test ---- */

#undef pthread_cleanup_push
#undef pthread_cleanup_pop
#define nart__sys_cond_wait cond_wait
#define pthread_once(once, fn) ((void)(once), (void)(fn))
#define pthread_cond_broadcast(cond) (cond_broadcast(cond), 0)
#define pthread_self() thread_self()
#define pthread_detach(t) (thread_detach(t), 0)
#define pthread_join(t, result) (thread_join(t), 0)
#define pthread_setcancelstate(state, before) 0
#define pthread_cleanup_push(f, arg)                                                               \
    void (*const cleanup)(void *) = (f);                                                           \
    void *const cleaned = (arg);                                                                   \
    jmp_buf to;                                                                                    \
    thread_exit(&to);                                                                              \
    if (_setjmp(to) == 0) {
#define pthread_cleanup_pop(run)                                                                   \
    }                                                                                              \
    cleanup(cleaned)

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* overflow.c: reports a fiber that overflows its stack.
 *
 * The guard below a stack makes the access a SIGSEGV. Its handler runs on the thread's alternate signal stack,
 * which is installed here unless there is one. It looks the address up in a table of regions, prints the
 * fiber's name, and passes the signal on: to the handler that was installed before, or to the default action
 * by returning, so that the access is repeated.
 *
 * The table is a list of entries that are never freed, so the handler may read it at any time. A lock orders
 * the writers. What the entry of a faulting thread's own fiber names cannot be freed meanwhile: its runtime
 * runs on this thread. Entries of other runtimes may change while they are read: only their addresses are
 * compared then. */
#include "../wait/short_name.h"
#include "stack.h"

#include "../base/lock.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct nart__region_entry {
    struct nart__region_entry *next; /* constant once it is in the list */
    NART__ATOMIC(uintptr_t) base;    /* 0: free */
    NART__ATOMIC(uintptr_t) bytes;
    NART__ATOMIC(nart__region *) region;
} entry;

static nart__lock lock = PTHREAD_MUTEX_INITIALIZER;
static NART__ATOMIC(entry *) entries;
static struct sigaction before;
static pthread_key_t alternate_key; /* its value: the mapping of the thread's alternate stack */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static size_t alternate_size;
static __thread bool watched;

/* ---- the table ---- */

static entry *entry_take(void)
{
    entry *e = NART__LOAD(&entries, NART__RELAXED); /* under the lock */

    while (e && NART__LOAD(&e->base, NART__RELAXED) != 0)
        e = e->next;
    if (e)
        return e;
    e = calloc(1, sizeof *e);
    if (e) {
        e->next = NART__LOAD(&entries, NART__RELAXED);
        NART__STORE(&entries, e, NART__RELEASE); /* the handler reads `next` */
    }
    return e;
}

bool nart__overflow_add(nart__region *r)
{
    nart__lock_enter(&lock);
    entry *e = r->entry = entry_take();
    if (e) {
        NART__STORE(&e->region, r, NART__RELAXED);
        NART__STORE(&e->bytes, r->bytes, NART__RELAXED);
        /* Release: a handler that sees the address sees the rest. */
        NART__STORE(&e->base, (uintptr_t)r->base, NART__RELEASE);
    }
    nart__lock_leave(&lock);
    return e != NULL;
}

void nart__overflow_remove(nart__region *r)
{
    nart__lock_enter(&lock);
    NART__STORE(&r->entry->base, 0, NART__RELAXED);
    nart__lock_leave(&lock);
}

static const nart__stack *overflown(uintptr_t address)
{
    for (entry *e = NART__LOAD(&entries, NART__ACQUIRE); e; e = e->next) {
        uintptr_t base = NART__LOAD(&e->base, NART__ACQUIRE);
        if (base == 0 || address - base >= NART__LOAD(&e->bytes, NART__RELAXED))
            continue;
        const nart__region *r = NART__LOAD(&e->region, NART__RELAXED);
        size_t i = (address - base) / r->stride;
        return (address - base) % r->stride < r->guard && r->stacks[i].task ? &r->stacks[i] : NULL;
    }
    return NULL;
}

/* ---- the handler ---- */

static void print(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void print_number(size_t n)
{
    char text[24], *p = text + sizeof text;

    for (*--p = '\0'; n >= 10; n /= 10)
        *--p = (char)('0' + n % 10);
    *--p = (char)('0' + n);
    print(p);
}

/* A fault happens again when the handler returns; a signal that was sent does not. */
static void by_default(int sig, bool fault)
{
    (void)signal(sig, SIG_DFL);
    if (!fault)
        (void)raise(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    bool fault = info->si_code > 0; /* else it was sent */
    const nart__stack *s = fault ? overflown((uintptr_t)info->si_addr) : NULL;

    if (s) {
        print("nart: fiber ");
        print(nart__short_name(s->task->type->name));
        print(": stack overflow: it has ");
        print_number(s->size);
        print(" bytes: raise nart_fiber_opts.stack\n");
    }
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(sig, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(sig);
    else if (fault || before.sa_handler == SIG_DFL)
        by_default(sig, fault);
}

/* ---- alternate stacks ---- */

static void alternate_free(void *p)
{
    stack_t now;

    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == p)
        (void)sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
    nart__sys_unmap(p, alternate_size);
}

/* Around a fork: a child frees the runtime of its thread, whatever other threads did meanwhile. */
static void fork_begins(void)
{
    nart__lock_enter(&lock);
}

static void fork_over(void)
{
    nart__lock_leave(&lock);
}

static void install(void)
{
    struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    long least = 0;

#ifdef _SC_MINSIGSTKSZ
    least = sysconf(_SC_MINSIGSTKSZ);
#endif
    alternate_size = (least > 0 ? (size_t)least : 0) + 65536;
    sigemptyset(&act.sa_mask);
    (void)pthread_atfork(fork_begins, fork_over, fork_over);
    if (pthread_key_create(&alternate_key, alternate_free) == 0 &&
        sigaction(SIGSEGV, NULL, &before) == 0)
        (void)sigaction(SIGSEGV, &act, NULL);
}

void nart__overflow_watch(void)
{
    stack_t now;

    if (NART_LIKELY(watched))
        return;
    watched = true;
    (void)pthread_once(&once, install);
    if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
        return;
    void *p = nart__sys_map(alternate_size);
    if (!p)
        return;
    if (pthread_setspecific(alternate_key, p) != 0 ||
        sigaltstack(&(stack_t){ .ss_sp = p, .ss_size = alternate_size }, NULL) != 0) {
        (void)pthread_setspecific(alternate_key, NULL);
        nart__sys_unmap(p, alternate_size);
    }
}

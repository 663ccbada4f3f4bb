/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hub_pool.c: takes hubs from a pool and returns them.
 *
 * Invariants
 *  - A hub that was ever opened stays mapped, so that old wakers and handles stay harmless. It keeps its
 *    eventfd as long as any thread may write it: a late write ends some wait early and never reaches
 *    another file.
 *  - Records that were never used occupy address space and no memory: a hub is one lazy mapping, and one
 *    more for each time that it was doubled.
 *  - A trim releases the memory of records in which no wake is under way, and then the eventfd; the
 *    addresses stay the hub's, and its next runtime finds the records as new. So there are never more hubs
 *    than runtimes at one time, plus those that other threads were inside of meanwhile.
 *
 * One list under one lock, taken when a runtime is made or freed and never by a wake.
 * Capacities are powers of two, so that runtimes of many sizes share few hubs. */
#include "hub.h"

#include "../sys.h"

#include <errno.h>
#include <pthread.h>

#define SLOTS_MIN 1024u
#define SLOTS_MAX                                                                                  \
    (UINT32_C(1) << (sizeof(size_t) > 4 ? 31 : 24)) /* size in bytes fits into a size_t */

_Static_assert(sizeof(nart__rec) == NART__LINE, "a record is one cache line");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static nart__hub *idle;
nart__hub *nart__hubs; /* nart-gdb.py finds runtimes by it */

static size_t bytes_of(uint32_t slots)
{
    return sizeof(nart__hub) + slots * sizeof(nart__rec);
}

static uint32_t round_up(uint32_t slots)
{
    uint32_t n = SLOTS_MIN;
    while (n < slots)
        n *= 2;
    return n;
}

static nart__hub *make(uint32_t slots, int *err)
{
    nart__hub *hub = nart__sys_map(bytes_of(slots));
    if (!hub) {
        *err = -ENOMEM;
        return NULL;
    }
    nart__hub_init(hub, slots, -1);
    pthread_mutex_lock(&lock);
    hub->made = nart__hubs;
    nart__hubs = hub;
    pthread_mutex_unlock(&lock);
    return hub;
}

static nart__hub *take_idle(uint32_t slots)
{
    pthread_mutex_lock(&lock);
    nart__hub **p = &idle;
    while (*p && ((*p)->slots < slots || !nart__hub_can_open(*p)))
        p = &(*p)->idle;
    nart__hub *hub = *p;
    if (hub)
        *p = hub->idle;
    pthread_mutex_unlock(&lock);
    return hub;
}

static void give_back(nart__hub *hub)
{
    pthread_mutex_lock(&lock);
    hub->idle = idle;
    idle = hub;
    pthread_mutex_unlock(&lock);
}

nart__hub *nart__hub_open(uint32_t slots, int *err)
{
    if (slots > SLOTS_MAX) {
        *err = -ENOMEM;
        return NULL;
    }
    nart__hub *hub = take_idle(slots);
    if (!hub)
        hub = make(round_up(slots), err);
    if (!hub || hub->efd >= 0)
        return hub;
    hub->efd = nart__sys_eventfd();
    if (hub->efd >= 0)
        return hub;
    *err = hub->efd;
    hub->efd = -1;
    give_back(hub);
    return NULL;
}

int nart__hub_reserve(nart__hub *hub, uint32_t slots)
{
    while (hub->slots < slots) { /* both are powers of two: SLOTS_MAX is not exceeded */
        nart__rec *more = NULL;
        if (hub->slots < SLOTS_MAX)
            more = nart__sys_map(hub->slots * sizeof(nart__rec));
        if (!more)
            return -ENOMEM;
        hub->more[31 - __builtin_clz(hub->slots)] = more;
        hub->slots *= 2;
    }
    return 0;
}

void nart__hub_close(nart__hub *hub)
{
    nart__hub_end(hub);
    give_back(hub);
}

void nart__hub_close_forked(nart__hub *hub)
{
    nart__hub_end(hub); /* no thread is parked from here on: the eventfd is not written again */
    nart__sys_close(hub->efd);
    hub->efd = -1;
}

static void trim(nart__hub *hub)
{
    nart__sys_close(hub->efd);
    hub->efd = -1;
    nart__sys_discard(hub + 1, bytes_of(hub->first) - sizeof *hub);
    for (int k = 0; k < 32; k++)
        if (hub->more[k])
            nart__sys_discard(hub->more[k], sizeof(nart__rec) << k);
}

size_t nart__hub_trim(void)
{
    size_t n = 0;

    pthread_mutex_lock(&lock);
    for (nart__hub *hub = idle; hub; hub = hub->idle) {
        if (hub->efd < 0 || !nart__hub_clear(hub))
            continue;
        trim(hub);
        n++;
    }
    pthread_mutex_unlock(&lock);
    return n;
}

/* So the child finds the list consistent. */
void nart__hub_fork_begins(void)
{
    pthread_mutex_lock(&lock);
}

void nart__hub_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* A wake that was under way in the parent never ends here, so the parent's hubs are not reused. */
void nart__hub_fork_child(void)
{
    for (nart__hub *hub = idle; hub; hub = hub->idle) {
        if (hub->efd >= 0)
            nart__sys_close(hub->efd);
        hub->efd = -1;
    }
    idle = NULL;
    pthread_mutex_unlock(&lock);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hub.h: the part of a runtime that other threads access: its inbox and a record per slot. See hub.c.
 * This header and hub.c compile as C++, too: one of the model checkers is a C++ program. */
#ifndef NART_CORE_HUB_H
#define NART_CORE_HUB_H

#include "../base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nart__hub nart__hub;

/* Wakes one slot. Each has a cache line of its own, so that wakers of different slots do not share one, and
 * the low address bits of a record are free for its generation. */
typedef struct nart__rec {
    /* generation << 1 | NOTIFIED; 0: no waker refers to it, and the owner may write the rest */
    NART__ALIGNAS(NART__LINE) NART__ATOMIC(uint32_t) word;
    uint32_t slot;
    NART__ATOMIC(uintptr_t) next; /* in the inbox */
    nart__hub *hub;
    struct nart__rec *used; /* the record begun before this one, or NULL */
} nart__rec;

/* In a hub's head, which is 0 when the inbox is empty and the owner is not parked. */
#define NART__HUB_PARKED ((uintptr_t)1)

/* In a hub's gate: how many threads are inside, a request to shut down, and the incarnation above both. */
#define NART__HUB_INSIDE ((UINT64_C(1) << 22) - 1) /* Linux permits no more threads */
#define NART__HUB_ENDED (UINT64_C(1) << 22)
#define NART__HUB_INCARNATION_ONE (UINT64_C(1) << 23)
#define NART__HUB_INCARNATION_MAX (UINT64_MAX / NART__HUB_INCARNATION_ONE)

/* A hub is reused by one runtime after another and never unmapped. Its first records follow it in
 * memory; those from 2^k to 2^(k+1) are in more[k]. No record ever moves. */
struct nart__hub {
    NART__ALIGNAS(NART__LINE)
    NART__ATOMIC(uintptr_t) head;                 /* the newest record | NART__HUB_PARKED */
    NART__ALIGNAS(8) NART__ATOMIC(uint64_t) rung; /* completed writes of the eventfd */

    NART__ALIGNAS(NART__LINE)
    int efd;             /* read by wakers; -1 while the hub has none: see hub_pool.c */
    uint32_t first;      /* records that follow the hub in memory */
    uint32_t slots;      /* records in all: the owner's, and the pool's */
    unsigned fork_epoch; /* of the process that opened it */
    nart__hub *idle;     /* the next one in the pool */
    nart__hub *made;     /* the one made before it; for debuggers */

    NART__ALIGNAS(NART__LINE) nart__rec *queue; /* owner's from here on: taken, oldest first */
    nart__rec *stack;                           /* taken, newest first; older than `queue` */
    nart__rec *used;                            /* records with a word, the latest first */
    uint64_t owed;                              /* writes of the eventfd, begun or still to begin */
    void *rt;                                   /* the runtime, or NULL */
    uint64_t io_serial;                         /* for ids that never repeat in a hub */
    NART__ALIGNAS(8) NART__ATOMIC(uint64_t) io_gone; /* see nart__hub_io_rt() */
    bool parked;                                     /* since the last park */

    NART__ALIGNAS(NART__LINE) NART__ATOMIC(uint64_t) gate; /* which incarnation: see hub.c */
    NART__ATOMIC(uintptr_t) posts;                         /* see post.c */
    NART__ATOMIC(uint32_t) spawn_requests; /* spawns under way: see lifecycle/remote.c */

    nart__rec *more[32]; /* the owner's */
};

/* ---- any thread, and signal handlers ---- */

/* Wakes the task for which nart__hub_waker() made the word; 0 has no effect. At most two locked instructions,
 * and a write to the eventfd if the owner is parked. Takes no lock, does not wait, keeps errno. */
void nart__wake(uintptr_t waker);

/* Enters the hub if it has this incarnation. From success until nart__hub_leave() the hub may end, but not
 * begin another incarnation: what the thread does in between happens before that. */
bool nart__hub_enter(nart__hub *hub, uint64_t incarnation);
void nart__hub_leave(nart__hub *hub);

/* Asks the runtime of this incarnation to shut down. False: that runtime was freed. */
bool nart__hub_ask_end(nart__hub *hub, uint64_t incarnation);

/* Was the runtime of this incarnation asked to shut down? A hint elsewhere; on the owner's thread it reflects
 * every request whose wake was popped. */
static inline bool nart__hub_ended(const nart__hub *hub, uint64_t incarnation)
{
    uint64_t gate = NART__LOAD(&hub->gate, NART__RELAXED);
    return gate / NART__HUB_INCARNATION_ONE == incarnation && gate & NART__HUB_ENDED;
}

/* Distinguishes runtimes on one hub: changed by close, so the number kept in a handle of a runtime differs
 * as soon as that runtime is freed. The thread of a freed runtime may call it, too: an unchanged number means
 * that hub->rt is still its own runtime. Never 0. */
static inline uint64_t nart__hub_incarnation(const nart__hub *hub)
{
    return NART__LOAD(&hub->gate, NART__RELAXED) / NART__HUB_INCARNATION_ONE;
}

/* ---- the owner's thread ---- */

extern nart__hub
    *nart__hubs; /* all that were made, linked by `made`; changed under the pool's lock */

/* A hub with so many slots, from the pool or new; or NULL and *err: -ENOMEM, -EMFILE, -ENFILE.
 * Any thread: it becomes the owner. */
nart__hub *nart__hub_open(uint32_t slots, int *err);

/* Makes room for so many slots: 0 or -ENOMEM. Existing records do not move. */
int nart__hub_reserve(nart__hub *hub, uint32_t slots);

/* Returns the hub to the pool. Every slot that has handed out a waker must have been retired. Wakes may be
 * under way; remaining wakers stay harmless. */
void nart__hub_close(nart__hub *hub);

/* In a child of fork, for a hub of the parent's: closes the child's copy of the eventfd. */
void nart__hub_close_forked(nart__hub *hub);

/* Returns memory and eventfds of the hubs in the pool to the system, except those in which another thread is
 * active. Returns of how many. Any thread; wakers and handles may still exist. */
size_t nart__hub_trim(void);

/* Around a fork, for pthread_atfork(). The child begins with an empty pool, and closes its copies of
 * the eventfds in the parent's. */
void nart__hub_fork_begins(void);
void nart__hub_fork_parent(void);
void nart__hub_fork_child(void);

/* The waker word of the present user of a slot: the record's address, generation bits, bit 0 clear. Pass it
 * to other threads by something that synchronizes, as all data. */
uintptr_t nart__hub_waker(nart__hub *hub, uint32_t slot);

/* From here on wakers of the slot are stale, except one generation in 31. Required when the slot's user ends
 * and a waker was handed out. */
void nart__hub_retire(nart__hub *hub, uint32_t slot);

/* The next record that was woken, or NULL; the slot may have been retired since. What was written
 * before each of its wakes is visible now. *busy: a wake is under way and will be visible soon; this does
 * not wait for it. */
nart__rec *nart__hub_pop(nart__hub *hub, bool *busy);

/* After success, the first wake writes the eventfd. Fails if the inbox is not empty. */
bool nart__hub_park(nart__hub *hub);

/* Must follow each return from the wait, for whatever reason. Harmless when not parked. */
void nart__hub_unpark(nart__hub *hub);

/* Writes the eventfd: a wait of the owner's host, now or later, ends. */
void nart__hub_ring(nart__hub *hub);

/* May nart__hub_pop() return a record? A hint: park decides. */
static inline bool nart__hub_maybe(const nart__hub *hub)
{
    return hub->queue || hub->stack || NART__LOAD(&hub->head, NART__RELAXED) > NART__HUB_PARKED;
}

/* The runtime in which an id with this serial was made, or NULL if it was freed: the next runtime on the hub
 * may belong to another thread and must not be accessed. For the thread of that runtime. */
static inline void *nart__hub_io_rt(const nart__hub *hub, uint64_t serial)
{
    return serial > NART__LOAD(&hub->io_gone, NART__RELAXED) ? hub->rt : NULL;
}

/* Makes a hub in zeroed memory with room for its records behind it: a power of two if it is to grow.
 * For the pool and for model tests. */
void nart__hub_init(nart__hub *hub, uint32_t slots, int efd);

/* The part of close that concerns other threads: ends this incarnation, empties the inbox. */
void nart__hub_end(nart__hub *hub);

/* After nart__hub_end(): may it be opened? Not while a thread is inside that entered an earlier incarnation, or
 * a wake is under way, nor when its incarnations are used up. Checks each record that had a waker. */
bool nart__hub_can_open(nart__hub *hub);

/* After nart__hub_end(): takes all records back, so that no waker refers to one. False: a wake is under way
 * in one of them. After true, only the next owner accesses the records and the eventfd. */
bool nart__hub_clear(nart__hub *hub);

#endif

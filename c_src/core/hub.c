/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hub.c: wakes from other threads and signal handlers, and which incarnation of a hub they are for.
 *
 * Invariants
 *  - No wake is lost: after a wake of a current waker, its record is popped once more, and what was
 *    written before the wake is visible then.
 *  - A wake never waits, locks or allocates, so it may interrupt anything, another wake and the
 *    owner's own pop included.
 *  - Wakers and handles stay valid for ever. A hub serves one runtime after another, each in an incarnation of
 *    its own, and is never unmapped. A call for an earlier incarnation has no effect on the next; only a
 *    stale waker may cause one spurious poll of the task that is in the slot by then.
 *
 * The mechanism: the word that decides contains the incarnation. So a late call needs no detection: its
 * compare-and-swap fails.
 *  - A record's word has the generation of its slot. A wake swaps NOTIFIED into it.
 *  - A hub's gate has the incarnation of the hub, and the number of threads inside. Handles contain an
 *    incarnation. A request to shut down swaps ENDED into the gate. A post (post.c) increments the number of
 *    threads inside by compare-and-swap, and decrements it when it is done: the hub may end meanwhile, but
 *    its next incarnation begins when no thread is inside any more, and no wake is under way. Until then
 *    another hub serves the next runtime.
 *
 * The algorithm
 *  1. A waker is the address of a record plus five bits of the generation its slot had. Generation 0 of
 *     these is in no waker: a record whose word is 0 belongs to the owner alone.
 *  2. Wake: compare-and-swap NOTIFIED into the record's word if the generation bits are the same (else the
 *     waker is stale), even if it is set already: a wake that is absorbed by an earlier one still publishes
 *     what its thread has written. The thread that set it first pushes the record.
 *  3. The inbox is a stack: exchange the record into `head`, then link it to the old head. PARKED
 *     is a bit of that same word, so the exchange informs exactly one producer that the owner sleeps,
 *     and that one writes the eventfd.
 *  4. Park: compare-and-swap PARKED onto an empty inbox. It fails if anything has been pushed, so no second
 *     check is needed afterwards. Unpark takes the bit back; if a producer has taken it first, that producer
 *     owes a write of the eventfd.
 *  5. Pop: exchange the whole stack out of `head`, reverse it, hand out one record after another,
 *     oldest first, and clear NOTIFIED of each; later wakes push it again. A producer between
 *     the two steps of 3 hides what was pushed before it: pop hands out what was pushed after it, then
 *     answers "busy" until the link is stored, and the owner does other work meanwhile. The next stack is
 *     taken after that.
 *  6. Retire: add one to the generation, by a read-modify-write: a stale waker may set NOTIFIED at
 *     the same time (5 bits repeat), and if that were overwritten the record would be pushed twice.
 *  7. Clear (nart_lib_trim): compare-and-swap 0 into each record that has no NOTIFIED. A producer
 *     between 2 and the end of 3 keeps its record NOTIFIED, and one that owes a write of the eventfd has not
 *     counted it yet: both prevent the release of the hub's memory and eventfd. Any later wake finds a 0.
 *
 * Bounds: a record is in the inbox at most once, so the inbox holds at most `slots` records.
 *
 * Not handled: a producer that never continues between the steps of 3 (its thread is stopped there for
 * ever) hides all wakes but the newer ones that were taken with its own. */
#include "hub.h"

#include "../sys.h"

/* Parts of a record's word; the generation is in the bits above, and wraps. */
#define NOTIFIED 1u
#define GEN_ONE 2u
/* Generation bits of the word and of a waker, at the same position. 0 is in no waker. */
#define GEN_BITS 0x3eu
#define PARKED NART__HUB_PARKED
/* A link that is not stored yet; the oldest record's is 0. */
#define UNLINKED ((uintptr_t)1)

static nart__rec *rec_of(nart__hub *hub, uint32_t slot)
{
    if (slot < hub->first)
        return (nart__rec *)(void *)(hub + 1) + slot;
    int k = 31 - __builtin_clz(slot);
    return hub->more[k] + (slot - (UINT32_C(1) << k));
}

/* True if this push took PARKED away: the caller writes the eventfd. After the link is stored, the record may
 * be popped at once and reused. */
static bool push(nart__hub *hub, nart__rec *rec)
{
    NART__STORE(&rec->next, UNLINKED, NART__RELAXED);
    /* Release: a thread that takes the stack sees the link missing, not the record's previous link. */
    uintptr_t old = NART__EXCHANGE(&hub->head, (uintptr_t)rec, NART__RELEASE);
    NART__STEP("wake: link");
    /* Relaxed: the link alone. The exchange that pushed the linked record has released its contents. */
    NART__STORE(&rec->next, old & ~PARKED, NART__RELAXED);
    return (old & PARKED) != 0;
}

/* Release: nart__hub_clear() then knows that this thread no longer needs the eventfd. */
static void ring(nart__hub *hub)
{
    NART__STEP("wake: ring");
    (void)nart__sys_eventfd_write(hub->efd);
    NART__STEP("wake: count");
    (void)NART__FETCH_ADD(&hub->rung, (uint64_t)1, NART__RELEASE);
}

void nart__hub_ring(nart__hub *hub)
{
    hub->owed++;
    ring(hub);
}

void nart__wake(uintptr_t waker)
{
    nart__rec *rec = (nart__rec *)(waker & ~(uintptr_t)(NART__LINE - 1));
    if (!rec)
        return;
    uint32_t old = NART__LOAD(&rec->word, NART__RELAXED);
    NART__STEP("wake: notify");
    do {
        if ((old ^ (uint32_t)waker) & GEN_BITS)
            return;
        /* Release: publishes to the poll what this thread has written, also when absorbed. Acquire:
         * the owner has finished with the record's previous push before push() writes its link; and a stale
         * waker of the same generation finds the record begun. */
    } while (!NART__CAS(&rec->word, &old, old | NOTIFIED, NART__ACQ_REL, NART__RELAXED));
    if (old & NOTIFIED)
        return;
    NART__STEP("wake: push");
    nart__hub *hub = rec->hub;
    if (push(hub, rec))
        ring(hub);
}

/* Takes the inbox and reverses it, as far as it is linked: records belong to the owner until popped. */
static void take(nart__hub *hub)
{
    if (!hub->stack) {
        if (NART__LOAD(&hub->head, NART__RELAXED) <= PARKED)
            return; /* and PARKED stays */
        /* Acquire: synchronizes with all exchanges in push(), because each continues the release sequence
         * of the one before. */
        hub->stack = (nart__rec *)NART__EXCHANGE(&hub->head, (uintptr_t)0, NART__ACQUIRE);
    }
    while (hub->stack) {
        nart__rec *rec = hub->stack;
        uintptr_t before = NART__LOAD(&rec->next, NART__RELAXED); /* as in push() */
        if (before == UNLINKED)
            return;
        NART__STORE(&rec->next, (uintptr_t)hub->queue, NART__RELAXED);
        hub->queue = rec;
        hub->stack = (nart__rec *)before;
    }
}

nart__rec *nart__hub_pop(nart__hub *hub, bool *busy)
{
    if (!hub->queue)
        take(hub);
    nart__rec *rec = hub->queue;
    *busy = !rec && hub->stack;
    if (!rec)
        return NULL;
    hub->queue = (nart__rec *)NART__LOAD(&rec->next, NART__RELAXED); /* this thread's own */
    /* Acquire: everything that the wakers have written. Release: the link was read before the next producer
     * overwrites it. */
    (void)NART__FETCH_AND(&rec->word, ~NOTIFIED, NART__ACQ_REL);
    return rec;
}

/* Relaxed: the bit carries no data; the producer that takes it writes the eventfd. */
bool nart__hub_park(nart__hub *hub)
{
    uintptr_t empty = 0;
    hub->parked = !hub->queue && !hub->stack &&
                  NART__CAS(&hub->head, &empty, PARKED, NART__RELAXED, NART__RELAXED);
    return hub->parked;
}

/* Relaxed: as above. If it fails, a producer has taken the bit, and its write of the eventfd may happen at
 * any time: then some later wait ends early. */
void nart__hub_unpark(nart__hub *hub)
{
    uintptr_t parked = PARKED;

    if (!hub->parked)
        return;
    hub->parked = false;
    if (!NART__CAS(&hub->head, &parked, (uintptr_t)0, NART__RELAXED, NART__RELAXED))
        hub->owed++;
}

/* The word is stored last, with release: a stale waker may have this generation, too, and reads the rest. */
static void begin(nart__hub *hub, nart__rec *rec, uint32_t slot)
{
    rec->slot = slot;
    rec->hub = hub;
    rec->used = hub->used;
    hub->used = rec;
    NART__STORE(&rec->word, GEN_ONE, NART__RELEASE);
}

/* Relaxed, here and below: only this thread changes the generation. */
uintptr_t nart__hub_waker(nart__hub *hub, uint32_t slot)
{
    nart__rec *rec = rec_of(hub, slot);

    if (NART__LOAD(&rec->word, NART__RELAXED) == 0)
        begin(hub, rec, slot);
    return (uintptr_t)rec | (NART__LOAD(&rec->word, NART__RELAXED) & GEN_BITS);
}

/* Relaxed: a wake that read the old generation is an earlier wake, and is popped as one. */
void nart__hub_retire(nart__hub *hub, uint32_t slot)
{
    nart__rec *rec = rec_of(hub, slot);
    uint32_t word = NART__LOAD(&rec->word, NART__RELAXED);

    if (word == 0)
        return; /* it never had a waker */
    uint32_t step = (word & GEN_BITS) == GEN_BITS ? 2 * GEN_ONE : GEN_ONE; /* skips 0 */
    (void)NART__FETCH_ADD(&rec->word, step, NART__RELAXED);
}

/* ---- which incarnation ---- */

/* Relaxed: a thread with a handle of this incarnation sees the hub as the owner opened it. */
bool nart__hub_enter(nart__hub *hub, uint64_t incarnation)
{
    uint64_t gate = NART__LOAD(&hub->gate, NART__RELAXED);

    NART__STEP("enter");
    do {
        if (gate / NART__HUB_INCARNATION_ONE != incarnation)
            return false;
    } while (!NART__CAS(&hub->gate, &gate, gate + 1, NART__RELAXED, NART__RELAXED));
    return true;
}

/* Release: what was done inside happens before the next incarnation. */
void nart__hub_leave(nart__hub *hub)
{
    NART__STEP("leave");
    (void)NART__FETCH_ADD(&hub->gate, UINT64_MAX, NART__RELEASE);
}

/* Relaxed: the bit carries nothing else, and the wake that follows publishes it to the loop. */
bool nart__hub_ask_end(nart__hub *hub, uint64_t incarnation)
{
    uint64_t gate = NART__LOAD(&hub->gate, NART__RELAXED);

    NART__STEP("ask");
    do {
        if (gate / NART__HUB_INCARNATION_ONE != incarnation)
            return false;
    } while (!NART__CAS(&hub->gate, &gate, gate | NART__HUB_ENDED, NART__RELAXED, NART__RELAXED));
    return true;
}

/* The next incarnation, with the threads that are still inside. Relaxed: only this thread depends on it. */
static void end_life(nart__hub *hub)
{
    uint64_t gate = NART__LOAD(&hub->gate, NART__RELAXED), next;

    do
        next = (gate / NART__HUB_INCARNATION_ONE + 1) * NART__HUB_INCARNATION_ONE +
               (gate & NART__HUB_INSIDE);
    while (!NART__CAS(&hub->gate, &gate, next, NART__RELAXED, NART__RELAXED));
}

/* Empties the inbox: its records would be spurious wakes in the next incarnation. Bounded: one in 31 old wakers
 * still matches, and its thread may wake for ever. */
static void drain(nart__hub *hub)
{
    bool busy;

    for (uint32_t n = hub->slots; n > 0 && nart__hub_pop(hub, &busy); n--)
        continue;
}

/* Acquire: synchronizes with nart__hub_leave() of each thread that was inside. A load is enough: no thread has
 * a handle of the next incarnation, so the number only decreases. Relaxed: a wake that is under way would
 * hide the next one of its record, whatever task that wakes; a wake not visible yet has a stale waker. */
bool nart__hub_can_open(nart__hub *hub)
{
    uint64_t gate = NART__LOAD(&hub->gate, NART__ACQUIRE);

    if (gate & NART__HUB_INSIDE || gate / NART__HUB_INCARNATION_ONE == NART__HUB_INCARNATION_MAX)
        return false;
    drain(hub);
    for (const nart__rec *rec = hub->used; rec; rec = rec->used)
        if (NART__LOAD(&rec->word, NART__RELAXED) & NOTIFIED)
            return false;
    return true;
}

bool nart__hub_clear(nart__hub *hub)
{
    drain(hub);
    for (nart__rec *rec; (rec = hub->used) != NULL; hub->used = rec->used) {
        uint32_t word = NART__LOAD(&rec->word, NART__RELAXED);
        do {
            if (word & NOTIFIED)
                return false;
            /* Relaxed: the pops have acquired what the wakes before did. */
        } while (!NART__CAS(&rec->word, &word, 0u, NART__RELAXED, NART__RELAXED));
    }
    /* Acquire: the writes have ended before the eventfd is closed. */
    return NART__LOAD(&hub->rung, NART__ACQUIRE) == hub->owed;
}

void nart__hub_init(nart__hub *hub, uint32_t slots, int efd)
{
    hub->efd = efd;
    hub->first = hub->slots = slots;
    hub->queue = NULL;
    hub->stack = NULL;
    hub->used = NULL;
    hub->parked = false;
    hub->owed = 0;
    NART__STORE(&hub->head, (uintptr_t)0, NART__RELAXED);
    NART__STORE(&hub->gate, NART__HUB_INCARNATION_ONE, NART__RELAXED);
}

void nart__hub_end(nart__hub *hub)
{
    hub->rt = NULL;
    end_life(hub);
    /* Relaxed: only this thread depends on it, later. */
    NART__STORE(&hub->io_gone, hub->io_serial, NART__RELAXED);
    nart__hub_unpark(hub);
    drain(hub);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/hub.c: wakes, parking, stale wakers, reuse of slots and of hubs, trimming.
 *
 * A wake must publish a relaxed flag, which only the hub makes visible: a flag that the last poll does not
 * see leaves the owner waiting, a deadlock. Where only one wake can have caused a poll, the flag is a plain
 * variable: a missing edge is a race. */
#include "model.h"

#include "core/hub.h"
#include "sys.h"

enum { SLOTS = 2, EFD = 0, WAKES_MAX = 3 };

typedef struct state {
    nart__hub hub;
    nart__rec records[SLOTS]; /* must follow */
    NART__ATOMIC(uint32_t) news[3];
    NART__ATOMIC(uint32_t) ready;   /* an event for the reactor */
    NART__ATOMIC(uintptr_t) handed; /* a waker created while the other threads run */
    MODEL_VAR(uint32_t) payload[SLOTS];
    uintptr_t waker[SLOTS]; /* created before the other threads start */
    unsigned polls[SLOTS], all_polls;
    bool reactor, over; /* owner only */
} state;

static state *s;

/* ---- steps of the threads ---- */

static void make(void)
{
    s = MODEL_NEW(state);
    nart__hub_init(&s->hub, SLOTS, EFD);
    for (uint32_t i = 0; i < SLOTS; i++)
        s->waker[i] = nart__hub_waker(&s->hub, i);
}

/* All wakes have ended: each remaining record is taken from the inbox once; then it is empty. */
static void drain(void)
{
    bool busy;

    for (nart__rec *rec; (rec = nart__hub_pop(&s->hub, &busy)) != NULL;) {
        s->polls[rec->slot]++;
        MODEL_CHECK(++s->all_polls <= WAKES_MAX);
    }
    MODEL_CHECK(!busy && !nart__hub_maybe(&s->hub) && nart__hub_park(&s->hub));
}

static void unmake(void)
{
    drain();
    MODEL_DELETE(s);
}

static bool seen(unsigned news)
{
    return NART__LOAD(&s->news[news], NART__RELAXED) != 0;
}

/* Another thread publishes a flag, then wakes. */
static void tell(unsigned news, uintptr_t waker)
{
    NART__STORE(&s->news[news], 1u, NART__RELAXED);
    nart__wake(waker);
}

/* The owner passes a waker to a running thread. */
static void hand_over(uintptr_t waker)
{
    NART__STORE(&s->handed, waker, NART__RELEASE);
}

static uintptr_t take_over(void)
{
    uintptr_t waker;
    while ((waker = NART__LOAD(&s->handed, NART__ACQUIRE)) == 0)
        nart__relax();
    return waker;
}

/* The owner's loop, until a poll or the reactor ends it. It tries to park after each record: parking must
 * fail while records remain. */
static void run(void (*poll)(uint32_t slot))
{
    nart__rec *hold = NULL;
    bool busy = false, polled = false;

    while (!s->over) {
        nart__rec *rec = hold || polled ? hold : nart__hub_pop(&s->hub, &busy);
        hold = NULL;
        polled = rec != NULL;
        if (rec) {
            s->polls[rec->slot]++;
            MODEL_CHECK(++s->all_polls <= WAKES_MAX);
            poll(rec->slot);
        } else if (nart__hub_park(&s->hub)) {
            MODEL_CHECK(!busy);
            model_wait(EFD);
            nart__hub_unpark(&s->hub);
        } else {
            hold = nart__hub_pop(&s->hub, &busy);
            MODEL_CHECK(hold || busy); /* park fails only when records are pending */
            if (!hold)
                nart__relax();
        }
        /* A read-modify-write: the kernel never returns a stale state. */
        if (s->reactor && NART__EXCHANGE(&s->ready, 0u, NART__ACQUIRE))
            s->over = seen(1);
    }
}

static void until_all_news(uint32_t slot)
{
    (void)slot;
    s->over = seen(1) && seen(2);
}

static void until_news(uint32_t slot)
{
    (void)slot;
    s->over = seen(1);
}

static void until_both_polled(uint32_t slot)
{
    MODEL_CHECK(MODEL_GET(s->payload[slot]) == slot + 7);
    s->over = s->all_polls == 2;
}

/* ---- two threads wake one task: the coalesced wake publishes, too ---- */

static void same_task(unsigned i)
{
    if (i == 0)
        run(until_all_news);
    else
        tell(i, s->waker[0]);
}

/* ---- one thread wakes one task twice ---- */

static void twice(unsigned i)
{
    if (i == 0) {
        run(until_all_news);
    } else {
        tell(1, s->waker[0]);
        tell(2, s->waker[0]);
    }
}

/* ---- a record is queued again, without the link of its last turn ---- */

static void again(unsigned i)
{
    if (i == 0) {
        run(until_all_news);
    } else {
        tell(1, s->waker[0]);
        nart__wake(s->waker[1]);
        tell(2, s->waker[0]);
    }
}

static void others_once(void)
{
    drain();
    MODEL_CHECK(s->polls[1] == 1);
    MODEL_DELETE(s);
}

/* ---- the same; another thread links behind it ---- */

static void again_among_others(unsigned i)
{
    if (i == 0) {
        run(until_all_news);
    } else if (i == 1) {
        tell(1, s->waker[0]);
        tell(2, s->waker[0]);
    } else {
        nart__wake(s->waker[1]);
    }
}

/* ---- two threads with a task each: each is polled once and sees plain data ---- */

static void two_tasks(unsigned i)
{
    if (i == 0) {
        run(until_both_polled);
    } else {
        MODEL_SET(s->payload[i - 1], i + 6);
        nart__wake(s->waker[i - 1]);
    }
}

static void each_once(void)
{
    drain();
    MODEL_CHECK(s->polls[0] == 1 && s->polls[1] == 1);
    MODEL_DELETE(s);
}

/* ---- one thread wakes two tasks: they are polled in that order ---- */

static void until_both_in_order(uint32_t slot)
{
    MODEL_CHECK(slot == (s->all_polls == 1 ? 1u : 0u));
    until_both_polled(slot);
}

static void in_order(unsigned i)
{
    if (i == 0) {
        run(until_both_in_order);
    } else {
        MODEL_SET(s->payload[1], 8u);
        nart__wake(s->waker[1]);
        MODEL_SET(s->payload[0], 7u);
        nart__wake(s->waker[0]);
    }
}

/* ---- the wait ends for another reason, and the loop parks again ---- */

static void until_news_and_ready(uint32_t slot)
{
    (void)slot;
    s->reactor = seen(1); /* from here on the reactor ends the loop */
}

static void other_source(unsigned i)
{
    if (i == 0) {
        run(until_news_and_ready);
    } else if (i == 1) {
        tell(1, s->waker[0]);
    } else {
        MODEL_CHECK(NART__EXCHANGE(&s->ready, 1u, NART__RELEASE) == 0);
        (void)nart__sys_eventfd_write(EFD);
    }
}

/* ---- a stale waker never causes a poll, whatever runs concurrently ---- */

static void make_stale(void)
{
    make();
    nart__hub_retire(&s->hub, 0);
    s->waker[1] = nart__hub_waker(&s->hub, 0); /* the current one; waker[0] is stale */
}

static void stale(unsigned i)
{
    if (i == 0)
        run(until_news);
    else if (i == 1)
        nart__wake(s->waker[0]);
    else
        tell(1, s->waker[1]);
}

static void once(void)
{
    drain();
    MODEL_CHECK(s->polls[0] == 1);
    MODEL_DELETE(s);
}

/* ---- a slot is reused while a waker of its previous occupant fires ---- */

static void reuse(unsigned i)
{
    if (i == 0) {
        nart__hub_retire(&s->hub, 0);
        hand_over(nart__hub_waker(&s->hub, 0));
        run(until_news);
    } else if (i == 1) {
        nart__wake(s->waker[0]);
    } else {
        tell(1, take_over());
    }
}

/* The previous occupant's waker causes at most one spurious poll. */
static void once_or_twice(void)
{
    drain();
    MODEL_CHECK(s->polls[0] == 1 || s->polls[0] == 2);
    MODEL_DELETE(s);
}

/* ---- the same after the generation bits have wrapped: old and new wakers are equal ---- */

static void make_alias(void)
{
    make();
    for (int i = 0; i < 30; i++)
        nart__hub_retire(&s->hub, 0);
}

static void alias(unsigned i)
{
    if (i == 0) {
        nart__hub_retire(&s->hub, 0);
        uintptr_t waker = nart__hub_waker(&s->hub, 0);
        MODEL_CHECK(waker == s->waker[0]);
        hand_over(waker);
        run(until_news);
    } else if (i == 1) {
        nart__wake(s->waker[0]);
    } else {
        tell(1, take_over());
    }
}

/* ---- a hub ends, parked, and serves the next runtime while a waker of the last one fires: that waker
 * has no effect there ---- */

static void reopen(unsigned i)
{
    if (i == 0) {
        uint64_t incarnation = nart__hub_incarnation(&s->hub);
        (void)nart__hub_park(&s->hub); /* a host may have been waiting when it freed the runtime */
        nart__hub_retire(&s->hub, 0);
        nart__hub_end(&s->hub);
        MODEL_CHECK(nart__hub_incarnation(&s->hub) != incarnation);
        while (!nart__hub_can_open(&s->hub))
            nart__relax();
        hand_over(nart__hub_waker(&s->hub, 0));
        run(until_news);
    } else if (i == 1) {
        nart__wake(s->waker[0]);
    } else {
        tell(1, take_over());
    }
}

/* ---- an ended hub is trimmed if no thread is inside it, and opened again ---- */

/* A trim uses plain accesses: any concurrent access is a race. The new waker equals the old one. */
static void trim(void)
{
    if (!nart__hub_clear(&s->hub))
        return;
    s->hub.efd = EFD; /* a new eventfd */
    s->records[0].hub = NULL;
    s->records[0].slot = 99;
}

static void trimmed(unsigned i)
{
    if (i == 0) {
        (void)nart__hub_park(&s->hub);
        nart__hub_end(&s->hub); /* not retired: as if the generation bits had wrapped */
        trim();
        hand_over(nart__hub_waker(&s->hub, 0));
        run(until_news);
    } else if (i == 1) {
        nart__wake(s->waker[0]);
    } else {
        tell(1, take_over());
    }
}

/* After all threads have left, it can be trimmed. */
static void can_be_trimmed(void)
{
    drain();
    MODEL_CHECK(s->polls[0] == 1 || s->polls[0] == 2);
    nart__hub_end(&s->hub);
    nart__wake(nart__hub_waker(&s->hub, 0)); /* a late wake */
    MODEL_CHECK(nart__hub_clear(&s->hub));
    MODEL_DELETE(s);
}

/* ---- two threads enter a hub, which ends and begins its next incarnation ---- */

static void make_lives(void)
{
    make();
    MODEL_SET(s->payload[0], 0u);
}

static void enter(uint64_t incarnation)
{
    if (!nart__hub_enter(&s->hub, incarnation))
        return;
    MODEL_CHECK(MODEL_GET(s->payload[0]) == 0);
    nart__hub_leave(&s->hub);
}

static void inside(unsigned i)
{
    if (i > 0) {
        enter(1);
        return;
    }
    nart__hub_end(&s->hub);
    MODEL_CHECK(nart__hub_incarnation(&s->hub) == 2);
    while (!nart__hub_can_open(&s->hub))
        nart__relax();
    MODEL_SET(s->payload[0], 1u);
}

static void nobody_inside(void)
{
    MODEL_CHECK(nart__hub_can_open(&s->hub) && nart__hub_incarnation(&s->hub) == 2);
    MODEL_CHECK(!nart__hub_ended(&s->hub, 2));
    MODEL_DELETE(s);
}

/* ---- the same during a shutdown request: the next runtime does not receive it ---- */

static void asked(unsigned i)
{
    if (i == 0) {
        nart__hub_end(&s->hub);
    } else if (i == 1) {
        bool in_time = nart__hub_ask_end(&s->hub, 1);
        MODEL_CHECK(in_time || nart__hub_incarnation(&s->hub) == 2);
    } else {
        enter(1);
    }
}

/* ---- shutdown is requested while other threads are inside ---- */

static void asked_and_entered(unsigned i)
{
    if (i == 0)
        MODEL_CHECK(nart__hub_ask_end(&s->hub, 1));
    else
        enter(1);
}

static void still_asked(void)
{
    MODEL_CHECK(nart__hub_ended(&s->hub, 1) && !nart__hub_ended(&s->hub, 2));
    MODEL_CHECK(nart__hub_can_open(&s->hub) && nart__hub_incarnation(&s->hub) == 1);
    MODEL_DELETE(s);
}

/* ---- three threads, two tasks ---- */

static void three(unsigned i)
{
    if (i == 0)
        run(until_all_news);
    else
        tell(i > 1 ? 2 : 1, s->waker[i == 1]);
}

const model_scenario model_scenarios[] = {
    { "asked", 3, make_lives, asked, nobody_inside, 3, 4 },
    { "asked_and_entered", 3, make_lives, asked_and_entered, still_asked, 3, 4 },
    { "inside", 3, make_lives, inside, nobody_inside, 3, 4 },
    { "stale", 3, make_stale, stale, once, 3, 4 },
    { "other_source", 3, make, other_source, unmake, 3, 4 },
    { "in_order", 2, make, in_order, each_once, 3, 4 },
    { "two_tasks", 3, make, two_tasks, each_once, 2, 4 },
    { "twice", 2, make, twice, unmake, 3, 4 },
    { "again", 2, make, again, others_once, 3, 3 },
    { "again_among_others", 3, make, again_among_others, others_once, 2, 3 },
    { "reopen", 3, make, reopen, once, 2, 3 },
    { "trimmed", 3, make, trimmed, can_be_trimmed, 2, 3 },
    { "reuse", 3, make, reuse, once_or_twice, 2, 4 },
    { "same_task", 3, make, same_task, unmake, 2, 4 },
    { "alias", 3, make_alias, alias, once_or_twice, 2, 3 },
    { "three", 4, make, three, unmake, 1, 0 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};

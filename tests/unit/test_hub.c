/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The hub by itself: answers of its functions, the state that a hub's next user finds, signal
 * handlers, and threads that wake across many incarnations. The models cover interleavings
 * (tests/models). */
#include "test.h"
#include "threads.h"

#include "core/hub.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void trim(void)
{
    (void)nart__hub_trim();
}

static nart__hub *open_hub(uint32_t slots)
{
    int err = 0;
    nart__hub *hub = nart__hub_open(slots, &err);
    CHECK_EQ(err, 0);
    CHECK(hub != NULL);
    test_at_end(trim);
    return hub;
}

/* The woken slot, or -1. */
static int pop(nart__hub *hub)
{
    bool busy;
    nart__rec *rec = nart__hub_pop(hub, &busy);
    CHECK(!busy);
    return rec ? (int)rec->slot : -1;
}

/* Has the eventfd been written? Resets it. */
static bool rung(nart__hub *hub)
{
    uint64_t count;
    return read(hub->efd, &count, sizeof count) == sizeof count;
}

/* Sleeps as a loop does, if nothing is pending. */
static void park(nart__hub *hub, int milliseconds)
{
    struct pollfd p = { .fd = hub->efd, .events = POLLIN };

    if (!nart__hub_park(hub)) {
        sched_yield();
        return;
    }
    (void)poll(&p, 1, milliseconds);
    nart__hub_unpark(hub);
    (void)rung(hub);
}

/* ---- waking ---- */

TEST(a_wake_is_popped_once)
{
    nart__hub *hub = open_hub(10);
    uintptr_t waker = nart__hub_waker(hub, 7);

    CHECK(!nart__hub_maybe(hub));
    nart__wake(waker);
    CHECK(nart__hub_maybe(hub));
    CHECK_EQ(pop(hub), 7);
    CHECK_EQ(pop(hub), -1);
    nart__wake(waker);
    CHECK_EQ(pop(hub), 7);
    CHECK_EQ(pop(hub), -1);
    CHECK(!nart__hub_maybe(hub));
    nart__hub_close(hub);
}

TEST(wakes_before_a_pop_are_one)
{
    nart__hub *hub = open_hub(10);
    uintptr_t waker = nart__hub_waker(hub, 0);

    for (int i = 0; i < 3; i++)
        nart__wake(waker);
    CHECK_EQ(pop(hub), 0);
    CHECK_EQ(pop(hub), -1);
    nart__hub_close(hub);
}

TEST(wakes_are_popped_in_order)
{
    static const uint32_t order[] = { 5, 3, 9, 0, 1 };
    nart__hub *hub = open_hub(10);

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            nart__wake(nart__hub_waker(hub, order[i]));
        nart__wake(nart__hub_waker(hub, 9)); /* keeps its position */
        for (int i = 0; i < 5; i++)
            CHECK_EQ(pop(hub), order[i]);
        CHECK_EQ(pop(hub), -1);
    }
    nart__hub_close(hub);
}

TEST(a_wake_during_the_poll_is_popped_again)
{
    nart__hub *hub = open_hub(2);
    uintptr_t a = nart__hub_waker(hub, 0), b = nart__hub_waker(hub, 1);

    nart__wake(a);
    nart__wake(b);
    CHECK_EQ(pop(hub), 0);
    nart__wake(a); /* behind b */
    CHECK_EQ(pop(hub), 1);
    CHECK_EQ(pop(hub), 0);
    CHECK_EQ(pop(hub), -1);
    nart__hub_close(hub);
}

TEST(zero_wakes_nobody)
{
    nart__wake(0);
}

/* ---- generations ---- */

TEST(a_waker_is_an_address_with_six_free_bits)
{
    nart__hub *hub = open_hub(2);
    uintptr_t waker = nart__hub_waker(hub, 1) & ~(uintptr_t)63;

    CHECK_EQ(sizeof(nart__rec), 64);
    CHECK(nart__hub_waker(hub, 0) == waker - 64 + 2);
    for (unsigned gen = 0; gen < 100; gen++) {
        CHECK_EQ(nart__hub_waker(hub, 1), waker | (gen % 31 + 1) << 1); /* never 0 */
        nart__hub_retire(hub, 1);
    }
    nart__hub_close(hub);
}

TEST(a_stale_waker_wakes_nobody)
{
    nart__hub *hub = open_hub(2);
    uintptr_t old = nart__hub_waker(hub, 0);

    for (unsigned gen = 1; gen < 31; gen++) {
        nart__hub_retire(hub, 0);
        nart__wake(old);
        CHECK_EQ(pop(hub), -1);
        nart__wake(nart__hub_waker(hub, 0));
        CHECK_EQ(pop(hub), 0);
    }
    nart__hub_retire(hub, 0); /* the five-bit generation has wrapped: one spurious poll */
    nart__wake(old);
    nart__wake(old);
    CHECK_EQ(pop(hub), 0);
    CHECK_EQ(pop(hub), -1);
    nart__hub_close(hub);
}

TEST(a_slot_without_a_waker_has_nothing_to_retire)
{
    nart__hub *hub = open_hub(2);

    nart__hub_retire(hub, 0);
    nart__wake(nart__hub_waker(hub, 0));
    CHECK_EQ(pop(hub), 0);
    nart__hub_close(hub);
}

TEST(retiring_keeps_a_wake_under_way)
{
    nart__hub *hub = open_hub(2);

    nart__wake(nart__hub_waker(hub, 0));
    nart__hub_retire(hub, 0);
    nart__wake(nart__hub_waker(hub, 0)); /* coalesced with the earlier one */
    CHECK_EQ(pop(hub), 0);
    CHECK_EQ(pop(hub), -1);
    nart__hub_close(hub);
}

/* ---- parking ---- */

TEST(the_first_wake_of_a_parked_hub_rings)
{
    nart__hub *hub = open_hub(3);

    nart__wake(nart__hub_waker(hub, 0));
    CHECK(!rung(hub)); /* not parked */
    CHECK_EQ(pop(hub), 0);
    for (int round = 0; round < 3; round++) {
        CHECK(nart__hub_park(hub));
        CHECK(!rung(hub));
        nart__wake(nart__hub_waker(hub, 1));
        CHECK(rung(hub));
        nart__wake(nart__hub_waker(hub, 2));
        CHECK(!rung(hub)); /* once is enough */
        nart__hub_unpark(hub);
        CHECK_EQ(pop(hub), 1);
        CHECK_EQ(pop(hub), 2);
    }
    nart__hub_close(hub);
}

TEST(a_hub_with_wakes_does_not_park)
{
    nart__hub *hub = open_hub(3);

    nart__wake(nart__hub_waker(hub, 0));
    CHECK(!nart__hub_park(hub));
    nart__wake(nart__hub_waker(hub, 1));
    CHECK_EQ(pop(hub), 0);
    CHECK(!nart__hub_park(hub));
    CHECK_EQ(pop(hub), 1);
    CHECK(nart__hub_park(hub));
    CHECK_EQ(pop(hub), -1); /* popping is allowed while parked */
    nart__hub_unpark(hub);
    nart__hub_unpark(hub); /* no effect */
    nart__wake(nart__hub_waker(hub, 1));
    CHECK(!rung(hub));
    nart__hub_close(hub);
}

/* ---- a producer that is stopped between its two steps ---- */

typedef struct half_push {
    nart__rec *rec;
    uintptr_t old;
} half_push;

/* The part of nart__wake() before the stop. */
static half_push begin_push(nart__hub *hub, uint32_t slot)
{
    uintptr_t waker = nart__hub_waker(hub, slot);
    half_push p = { .rec = (nart__rec *)(waker & ~(uintptr_t)(NART__LINE - 1)) };
    CHECK_EQ(NART__FETCH_ADD(&p.rec->word, 1u, NART__ACQ_REL) & 1, 0); /* NOTIFIED */
    NART__STORE(&p.rec->next, (uintptr_t)1, NART__RELAXED);            /* UNLINKED */
    p.old = NART__EXCHANGE(&hub->head, (uintptr_t)p.rec, NART__RELEASE);
    return p;
}

static void end_push(half_push p)
{
    NART__STORE(&p.rec->next, p.old & ~(uintptr_t)1, NART__RELAXED);
}

static void check_busy(nart__hub *hub)
{
    bool busy = false;
    CHECK(nart__hub_pop(hub, &busy) == NULL);
    CHECK(busy);
    CHECK(nart__hub_maybe(hub));
    CHECK(!nart__hub_park(hub));
}

TEST(a_stopped_producer_hides_wakes_until_it_resumes)
{
    nart__hub *hub = open_hub(6);

    nart__wake(nart__hub_waker(hub, 0));
    half_push stopped = begin_push(hub, 1);
    nart__wake(nart__hub_waker(hub, 2));
    nart__wake(nart__hub_waker(hub, 3));
    CHECK_EQ(pop(hub), 2); /* pushed after it */
    CHECK_EQ(pop(hub), 3);
    check_busy(hub);
    nart__wake(nart__hub_waker(hub, 0)); /* already queued */
    nart__wake(nart__hub_waker(hub, 2)); /* queued again */
    half_push another = begin_push(hub, 4);
    check_busy(hub);
    end_push(stopped);
    CHECK_EQ(pop(hub), 0);
    CHECK_EQ(pop(hub), 1);
    check_busy(hub);
    end_push(another);
    CHECK_EQ(pop(hub), 2);
    CHECK_EQ(pop(hub), 4);
    CHECK_EQ(pop(hub), -1);
    CHECK(nart__hub_park(hub));
    nart__hub_close(hub);
}

/* The hub is not reused until the stopped wake has completed: its bit would hide wakes of the
 * next runtime. */
TEST(a_hub_closed_under_a_stopped_producer)
{
    for (uint32_t popped = 0; popped < 2; popped++) {
        nart__hub *hub = open_hub(4);
        half_push stopped = begin_push(hub, 1);
        nart__wake(nart__hub_waker(hub, 0));
        if (popped)
            CHECK_EQ(pop(hub), 0);
        for (uint32_t slot = 0; slot < 4; slot++)
            nart__hub_retire(hub, slot);
        nart__hub_close(hub);

        nart__hub *other = open_hub(4);
        CHECK(other != hub);
        nart__hub_close(other);
        end_push(stopped);
        other = open_hub(4);
        CHECK(open_hub(4) == hub);
        CHECK_EQ(pop(hub), -1);
        nart__wake(nart__hub_waker(hub, 1));
        CHECK_EQ(pop(hub), 1);
        nart__hub_close(hub);
        nart__hub_close(other);
    }
}

/* ---- incarnations ---- */

TEST(a_handle_of_another_life_does_not_get_in)
{
    nart__hub *hub = open_hub(1);
    uint64_t incarnation = nart__hub_incarnation(hub);

    CHECK_LE(1, incarnation); /* 0 marks empty handles */
    CHECK(!nart__hub_enter(hub, 0));
    CHECK(!nart__hub_enter(hub, incarnation + 1));
    CHECK(!nart__hub_ask_end(hub, incarnation + 1));
    CHECK(nart__hub_enter(hub, incarnation));
    CHECK(!nart__hub_ended(hub, incarnation));
    CHECK(nart__hub_ask_end(hub, incarnation));
    CHECK(nart__hub_ask_end(hub, incarnation));
    CHECK(nart__hub_ended(hub, incarnation));
    nart__hub_leave(hub);
    nart__hub_close(hub);

    CHECK(open_hub(1) == hub);
    CHECK_EQ(nart__hub_incarnation(hub), incarnation + 1);
    CHECK(!nart__hub_ended(hub, incarnation));
    CHECK(!nart__hub_ended(hub, incarnation + 1));
    CHECK(!nart__hub_enter(hub, incarnation));
    CHECK(!nart__hub_ask_end(hub, incarnation));
    CHECK(!nart__hub_ended(hub, incarnation + 1));
    nart__hub_close(hub);
}

TEST(a_hub_with_a_thread_inside_starts_no_new_incarnation)
{
    nart__hub *hub = open_hub(1);

    CHECK(nart__hub_enter(hub, nart__hub_incarnation(hub)));
    CHECK(nart__hub_enter(hub, nart__hub_incarnation(hub)));
    nart__hub_close(hub);
    nart__hub *other = open_hub(1);
    CHECK(other != hub);
    nart__hub_leave(hub);
    nart__hub *third = open_hub(1);
    CHECK(third != hub);
    nart__hub_leave(hub);
    CHECK(open_hub(1) == hub);
    nart__hub_close(hub);
    nart__hub_close(third);
    nart__hub_close(other);
}

TEST(a_hub_whose_lives_are_used_up_is_not_opened_again)
{
    nart__hub *hub = open_hub(1);
    uint64_t skipped = NART__HUB_INCARNATION_MAX - 1 - nart__hub_incarnation(hub);

    (void)NART__FETCH_ADD(&hub->gate, skipped * NART__HUB_INCARNATION_ONE, NART__RELAXED);
    CHECK(nart__hub_enter(hub, NART__HUB_INCARNATION_MAX - 1));
    nart__hub_leave(hub);
    nart__hub_close(hub);
    nart__hub *other = open_hub(1);
    CHECK(other != hub);
    nart__hub_close(other);
    CHECK_EQ(nart__hub_trim(), 2); /* its memory is released all the same */
}

/* ---- trimming ---- */

TEST(wakers_and_handles_outlive_a_trim)
{
    nart__hub *hub = open_hub(2000);
    uint64_t incarnation = nart__hub_incarnation(hub);
    uintptr_t first = nart__hub_waker(hub, 0), last = nart__hub_waker(hub, 1999);

    nart__hub_close(hub);
    CHECK_EQ(nart__hub_trim(), 1);
    nart__wake(first);
    nart__wake(last);
    CHECK(!nart__hub_enter(hub, incarnation));
    CHECK(!nart__hub_ask_end(hub, incarnation));
    CHECK_EQ(nart__hub_trim(), 0);

    CHECK(open_hub(2000) == hub); /* with an eventfd, and without the old wakes */
    CHECK_EQ(pop(hub), -1);
    uintptr_t waker = nart__hub_waker(hub, 1999);
    CHECK(nart__hub_park(hub));
    nart__wake(waker);
    CHECK(rung(hub));
    nart__hub_unpark(hub);
    CHECK_EQ(pop(hub), 1999);
    nart__hub_close(hub);
}

/* Its thread may still access the record. */
TEST(a_hub_with_a_wake_under_way_is_not_trimmed)
{
    nart__hub *hub = open_hub(2000);
    half_push stopped = begin_push(hub, 1999);

    nart__hub_close(hub);
    CHECK_EQ(nart__hub_trim(), 0);
    CHECK_LE(0, hub->efd);
    end_push(stopped);
    CHECK_EQ(nart__hub_trim(), 1);
}

/* A producer has found the loop parked, and has not written the eventfd yet. */
TEST(a_hub_whose_eventfd_will_be_written_is_not_trimmed)
{
    nart__hub *hub = open_hub(2);

    uintptr_t waker = nart__hub_waker(hub, 0);
    CHECK(nart__hub_park(hub));
    end_push(begin_push(hub, 0)); /* takes the bit */
    nart__hub_unpark(hub);
    CHECK_EQ(pop(hub), 0);
    nart__hub_close(hub);
    CHECK_EQ(nart__hub_trim(), 0);
    (void)NART__FETCH_ADD(&hub->rung, (uint64_t)1, NART__RELEASE); /* now it has */
    CHECK_EQ(nart__hub_trim(), 1);
    nart__wake(waker);
}

/* ---- the pool ---- */

TEST(a_hub_is_used_again)
{
    nart__hub *hub = open_hub(100);
    uint64_t incarnation = nart__hub_incarnation(hub);
    uintptr_t old = nart__hub_waker(hub, 3), left = nart__hub_waker(hub, 4);

    nart__wake(left);
    CHECK(nart__hub_park(hub) == false);
    nart__hub_retire(hub, 3);
    nart__hub_retire(hub, 4);
    nart__hub_close(hub);
    nart__wake(old); /* belongs to no runtime */

    CHECK(open_hub(100) == hub);
    CHECK(nart__hub_incarnation(hub) != incarnation);
    CHECK(hub->rt == NULL);
    CHECK_EQ(pop(hub), -1); /* not the old wake */
    nart__wake(old);
    CHECK_EQ(pop(hub), -1);
    nart__wake(nart__hub_waker(hub, 3));
    CHECK_EQ(pop(hub), 3);
    nart__hub_close(hub);
}

TEST(a_hub_closed_while_parked_does_not_ring)
{
    nart__hub *hub = open_hub(1);
    uintptr_t waker = nart__hub_waker(hub, 0);

    CHECK(nart__hub_park(hub));
    nart__hub_close(hub);
    nart__wake(waker);
    CHECK(!rung(hub));
    CHECK(open_hub(1) == hub);
    CHECK_EQ(pop(hub), -1); /* it arrived while the hub was unused */
    CHECK(nart__hub_park(hub));
    nart__hub_close(hub);
}

TEST(a_hub_too_small_is_left_in_the_pool)
{
    nart__hub *small = open_hub(10);
    nart__hub_close(small);
    nart__hub *large = open_hub(100000);
    CHECK(large != small);
    CHECK(open_hub(10) == small);
    nart__hub_close(small);
    nart__hub_close(large);
    CHECK_EQ(nart__hub_trim(), 2);
    CHECK_EQ(nart__hub_trim(), 0);
}

TEST(a_hub_grows_and_its_wakers_stay)
{
    enum { MANY = 40000 };
    nart__hub *hub = open_hub(10);
    uintptr_t old[2], *wakers = calloc(MANY, sizeof *wakers);

    CHECK(wakers);
    old[0] = nart__hub_waker(hub, 0);
    old[1] = nart__hub_waker(hub, 9);
    nart__wake(old[1]); /* queued while the hub grows */
    CHECK_EQ(nart__hub_reserve(hub, 10), 0);
    CHECK_EQ(nart__hub_reserve(hub, MANY), 0);
    CHECK_LE(MANY, hub->slots);
    CHECK_EQ(nart__hub_waker(hub, 0), old[0]);
    nart__wake(old[0]);
    CHECK_EQ(pop(hub), 9);
    CHECK_EQ(pop(hub), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        wakers[i] = nart__hub_waker(hub, i);
        nart__wake(wakers[i]);
    }
    for (uint32_t i = 0; i < MANY; i++)
        CHECK_EQ(pop(hub), i);
    CHECK_EQ(pop(hub), -1);
    for (uint32_t i = 0; i < MANY; i++)
        nart__hub_retire(hub, i);
    nart__hub_close(hub);
    CHECK(open_hub(MANY) == hub); /* at its present size */
    for (uint32_t i = 0; i < MANY; i++)
        nart__wake(wakers[i]);
    CHECK_EQ(pop(hub), -1);
    nart__hub_close(hub);
    CHECK_EQ(nart__hub_trim(), 1);
    free(wakers);
}

TEST(hubs_of_two_runtimes_at_once_are_two)
{
    nart__hub *a = open_hub(10), *b = open_hub(10);

    CHECK(a != b);
    nart__wake(nart__hub_waker(a, 1));
    CHECK_EQ(pop(b), -1);
    CHECK_EQ(pop(a), 1);
    nart__hub_close(a);
    nart__hub_close(b);
}

static long resident_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%*d %ld", &pages) == 1);
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

TEST(slots_never_woken_cost_no_memory)
{
    long before = resident_kib();
    nart__hub *hub = open_hub(1000000);

    nart__wake(nart__hub_waker(hub, 0));
    nart__wake(nart__hub_waker(hub, 999999));
    CHECK_EQ(pop(hub), 0);
    CHECK_EQ(pop(hub), 999999);
    nart__hub_close(hub);
    CHECK_LE(resident_kib() - before, 1024); /* its records take 61 MiB */
}

/* Resident pages of a hub, except the first. */
static long pages_in_memory(const nart__hub *hub)
{
    static unsigned char in[4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = hub->slots * sizeof(nart__rec);
    long n = 0;

    CHECK_LE(bytes / page, sizeof in);
    CHECK_EQ(mincore((char *)(uintptr_t)hub + page, bytes - page, in), 0);
    for (size_t i = 0; i < bytes / page - 1; i++)
        n += in[i] & 1;
    return n;
}

TEST(a_trim_gives_memory_back)
{
    nart__hub *hub = open_hub(32768);

    CHECK_EQ(pages_in_memory(hub), 0);
    for (uint32_t slot = 0; slot < 32768; slot++)
        (void)nart__hub_waker(hub, slot);
    CHECK_LE(1, pages_in_memory(hub));
    nart__hub_close(hub);
    CHECK_LE(1, pages_in_memory(hub));
    CHECK_EQ(nart__hub_trim(), 1);
    CHECK_EQ(pages_in_memory(hub), 0);
}

TEST(too_many_slots_are_refused)
{
    int err = 0;
    CHECK(nart__hub_open(UINT32_MAX, &err) == NULL);
    CHECK_EQ(err, -ENOMEM);
}

TEST(no_descriptor_is_an_answer)
{
    struct rlimit was, none = { 0, 0 };
    int err = 0;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
    none.rlim_max = was.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK(nart__hub_open(10, &err) == NULL);
    CHECK_EQ(err, -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
    nart__hub_close(open_hub(10));
}

TEST(a_child_of_fork_has_a_pool_of_its_own)
{
    nart__hub *hub = open_hub(10);
    int status = 0, efd = hub->efd;

    nart__hub_close(hub);
    nart__hub_fork_begins();
    pid_t child = fork();
    if (child == 0) {
        int err = 0;
        nart__hub_fork_child();
        if (write(efd, &(uint64_t){ 1 }, 8) >= 0)
            _exit(2); /* its copy is closed */
        nart__hub *own = nart__hub_open(10, &err);
        _exit(own && own != hub && own->efd >= 0 ? 0 : 1);
    }
    nart__hub_fork_parent();
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

/* ---- signal handlers ---- */

enum { SIGNALS = 20000 };

static uintptr_t signal_waker;
static uint32_t posted, seen;

/* One message at a time, so that the next one cannot hide a lost wake. */
static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    errno = EDOM;
    if (NART__LOAD(&seen, NART__RELAXED) == NART__LOAD(&posted, NART__RELAXED)) {
        NART__STORE(&posted, NART__LOAD(&posted, NART__RELAXED) + 1, NART__RELAXED);
        nart__wake(signal_waker);
    }
    if (errno != EDOM)
        abort();
    errno = saved;
}

/* The handler interrupts the owner in pop, park and unpark, and in its own wakes. A lost wake is
 * a hang. */
TEST(a_signal_handler_wakes)
{
    const struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    nart__hub *hub = open_hub(2);
    uintptr_t own = nart__hub_waker(hub, 1);
    bool busy;

    signal_waker = nart__hub_waker(hub, 0);
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    CHECK_EQ(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (NART__LOAD(&seen, NART__RELAXED) < SIGNALS) {
        nart__wake(own);
        nart__rec *rec;
        while ((rec = nart__hub_pop(hub, &busy)) != NULL)
            if (rec->slot == 0)
                NART__STORE(&seen, NART__LOAD(&posted, NART__RELAXED), NART__RELAXED);
        park(hub, 1);
    }
    CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
    nart__hub_close(hub);
}

/* ---- threads across many incarnations ---- */

enum { WAKERS = 3, WAKES_PER_LIFE = 5 };

typedef struct mail {
    NART__ALIGNAS(NART__LINE) uintptr_t waker; /* the current one, 0 at the end */
    uint32_t posted;
    NART__ALIGNAS(NART__LINE) uint32_t seen;
} mail;

static mail mails[WAKERS];

/* Posts a message to the slot's current occupant, and the next one when it was seen or the slot
 * has a new occupant. Keeps an old waker and fires it as well. */
static void *wake_for_ever(void *arg)
{
    mail *m = arg;
    uintptr_t waker, old = 0;

    while ((waker = NART__LOAD(&m->waker, NART__ACQUIRE)) != 0) {
        uint32_t message = NART__LOAD(&m->posted, NART__RELAXED) + 1;
        NART__STORE(&m->posted, message, NART__RELAXED);
        nart__wake(waker);
        nart__wake(old);
        while (NART__LOAD(&m->seen, NART__ACQUIRE) < message &&
               NART__LOAD(&m->waker, NART__RELAXED) == waker)
            sched_yield();
        old = waker;
    }
    return NULL;
}

/* An incarnation: the owner acquires the hub, sees some messages of every thread, and releases
 * it without waiting. A lost wake is a hang. */
TEST(threads_wake_through_many_lives)
{
    pthread_t threads[WAKERS] = { 0 };
    uint64_t lives = test_repeat(2000);

    test_at_end(trim);
    for (uint64_t incarnation = 0; incarnation < lives; incarnation++) {
        int err = 0;
        bool busy;
        uint32_t seen_now[WAKERS] = { 0 }, enough = 0;
        nart__hub *hub = nart__hub_open(WAKERS, &err);
        CHECK(hub != NULL);
        for (uint32_t i = 0; i < WAKERS; i++)
            NART__STORE(&mails[i].waker, nart__hub_waker(hub, i), NART__RELEASE);
        for (int i = 0; incarnation == 0 && i < WAKERS; i++)
            threads[i] = thread_start(wake_for_ever, &mails[i]);
        while (enough < WAKERS) {
            nart__rec *rec = nart__hub_pop(hub, &busy);
            if (rec) {
                mail *m = &mails[rec->slot];
                uint32_t now = NART__LOAD(&m->posted, NART__RELAXED);
                enough += now != m->seen && ++seen_now[rec->slot] == WAKES_PER_LIFE;
                NART__STORE(&m->seen, now, NART__RELEASE);
            } else {
                park(hub, -1);
            }
        }
        for (uint32_t i = 0; i < WAKERS; i++)
            nart__hub_retire(hub, i);
        nart__hub_close(hub);
    }
    for (int i = 0; i < WAKERS; i++)
        NART__STORE(&mails[i].waker, (uintptr_t)0, NART__RELEASE);
    for (int i = 0; i < WAKERS; i++)
        thread_join(threads[i]);
}

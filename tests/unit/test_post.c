/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The mailbox by itself: order, closing, and millions of posts from two threads. The models
 * cover interleavings (tests/models). */
#include "test.h"
#include "threads.h"

#include "core/post.h"

#include <poll.h>
#include <sched.h>
#include <unistd.h>

static void trim(void)
{
    (void)nart__hub_trim();
}

static nart__hub *hub;
static uint64_t incarnation;
static uintptr_t waker;

static void open_mailbox(void)
{
    int err = 0;

    hub = nart__hub_open(1, &err);
    CHECK_EQ(err, 0);
    CHECK(hub != NULL);
    test_at_end(trim);
    nart__post_open(hub);
    incarnation = nart__hub_incarnation(hub);
    waker = nart__hub_waker(hub, 0);
}

static void close_mailbox(void)
{
    CHECK(!nart__post_close(hub));
    nart__hub_retire(hub, 0);
    nart__hub_close(hub);
}

typedef struct letter {
    nart__post post;
    NART__ATOMIC(uint32_t) back; /* the sender may reuse it */
    uint64_t number, *next;      /* `next`: the number expected next from its sender */
} letter;

static uint64_t arrived;

/* Posts of one sender arrive in order. */
static void run(void *rt, nart__post *p)
{
    letter *l = (letter *)(void *)p;

    CHECK(rt != NULL);
    CHECK_EQ(l->number, *l->next);
    ++*l->next;
    arrived++;
    NART__STORE(&l->back, 1u, NART__RELEASE);
}

static void run_all(nart__post *p)
{
    for (nart__post *next; p; p = next) {
        next = nart__post_next(p);
        p->run(hub, p);
    }
}

TEST(in_their_order_and_once)
{
    letter l[3] = { 0 };
    uint64_t next = 0;
    bool busy;

    open_mailbox();
    for (uint64_t i = 0; i < 3; i++) {
        l[i] = (letter){ .post.run = run, .number = i, .next = &next };
        CHECK(nart__post_send(hub, incarnation, waker, &l[i].post));
    }
    CHECK(nart__hub_pop(hub, &busy) != NULL); /* three wakes are coalesced */
    CHECK(nart__hub_pop(hub, &busy) == NULL);
    run_all(nart__post_take(hub));
    CHECK_EQ(next, 3);
    CHECK(!nart__post_take(hub));
    close_mailbox();
}

TEST(a_closed_mailbox_refuses)
{
    letter l = { .post.run = run };

    open_mailbox();
    CHECK(nart__post_send(hub, incarnation, waker, &l.post));
    CHECK(nart__post_close(hub) == &l.post);
    CHECK(!nart__post_send(hub, incarnation, waker, &l.post));
    nart__post_open(hub);
    CHECK(!nart__post_send(hub, incarnation + 1, waker, &l.post)); /* another incarnation */
    close_mailbox();
}

TEST(a_post_that_is_in_progress_when_the_mailbox_closes_is_refused)
{
    letter l = { .post.run = run };

    open_mailbox();
    CHECK(nart__hub_enter(hub, incarnation));
    close_mailbox();
    CHECK(!nart__post_push(hub, waker, &l.post));
    nart__hub_leave(hub);
    CHECK(!nart__post_end(hub, incarnation, waker));
}

/* ---- two threads, ten million posts in a long run ---- */

enum { SENDERS = 2, LETTERS = 1024 };

static uint64_t posts_each(void)
{
    return test_repeat(5000000);
}

static uint64_t next_of[SENDERS];

static void *send_many(void *arg)
{
    static letter letters[SENDERS][LETTERS];
    uint64_t *next = arg;
    letter *mine = letters[next - next_of];

    for (int i = 0; i < LETTERS; i++)
        mine[i].back = 1;
    for (uint64_t n = 0, all = posts_each(); n < all; n++) {
        letter *l = &mine[n % LETTERS];
        while (!NART__LOAD(&l->back, NART__ACQUIRE))
            (void)sched_yield();
        NART__STORE(&l->back, 0u, NART__RELAXED);
        l->post.run = run;
        l->number = n;
        l->next = next;
        CHECK(nart__post_send(hub, incarnation, waker, &l->post));
    }
    return NULL;
}

TEST(a_storm_from_two_threads)
{
    pthread_t threads[SENDERS];
    bool busy;

    open_mailbox();
    for (int i = 0; i < SENDERS; i++)
        threads[i] = thread_start(send_many, &next_of[i]);
    while (arrived < SENDERS * posts_each()) {
        struct pollfd p = { .fd = hub->efd, .events = POLLIN };
        uint64_t count;
        if (nart__hub_pop(hub, &busy)) {
            run_all(nart__post_take(hub));
        } else if (nart__hub_park(hub)) {
            (void)poll(&p, 1, -1);
            nart__hub_unpark(hub);
            (void)!read(hub->efd, &count, sizeof count);
        } else {
            (void)sched_yield();
        }
    }
    for (int i = 0; i < SENDERS; i++) {
        thread_join(threads[i]);
        CHECK_EQ(next_of[i], posts_each());
    }
    close_mailbox();
}

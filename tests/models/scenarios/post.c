/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/post.c: posts to a loop that parks, and that closes; requests to shut down.
 *
 * A post carries a plain variable, written before it is sent and read when it runs: a missing edge is a race.
 * A post that is never taken leaves the owner waiting: a deadlock. */
#include "model.h"

#include "core/post.h"

enum { SLOTS = 1, EFD = 0, POSTS = 3 };

typedef struct letter {
    nart__post post;
    MODEL_VAR(uint32_t) text;
    unsigned run, refused; /* by a loop */
    bool back;             /* returned to the sender */
} letter;

typedef struct state {
    nart__hub hub;
    nart__rec records[SLOTS]; /* must follow */
    letter letters[POSTS];
    NART__ATOMIC(uintptr_t) handed;
    uintptr_t waker;
    uint64_t incarnation;
    unsigned order[POSTS], taken; /* owner only */
} state;

static state *s;

static void run(void *rt, nart__post *p)
{
    letter *l = (letter *)(void *)p; /* its first member */
    unsigned i = (unsigned)(l - s->letters);

    MODEL_CHECK(MODEL_GET(l->text) == i + 7);
    if (rt)
        l->run++;
    else
        l->refused++;
    s->order[s->taken++] = i;
}

static void make(void)
{
    s = MODEL_NEW(state);
    nart__hub_init(&s->hub, SLOTS, EFD);
    nart__post_open(&s->hub);
    s->waker = nart__hub_waker(&s->hub, 0);
    s->incarnation = nart__hub_incarnation(&s->hub);
    MODEL_CHECK(!nart__hub_ended(&s->hub, s->incarnation));
    for (unsigned i = 0; i < POSTS; i++)
        MODEL_CHECK(!nart__post_next(&s->letters[i].post));
}

/* Each post was run once by a loop, or was returned, by a loop or immediately. */
static void unmake(void)
{
    for (unsigned i = 0; i < POSTS; i++) {
        const letter *l = &s->letters[i];
        MODEL_CHECK(l->run + l->refused + l->back <= 1);
    }
    MODEL_DELETE(s);
}

static void all_run(void)
{
    MODEL_CHECK(s->letters[0].run == 1 && s->letters[1].run == 1);
    unmake();
}

static void all_somewhere(void)
{
    for (unsigned i = 0; i < 2; i++)
        MODEL_CHECK(s->letters[i].run + s->letters[i].refused + s->letters[i].back == 1);
    unmake();
}

static void send(unsigned i, uint64_t incarnation, uintptr_t waker)
{
    letter *l = &s->letters[i];

    MODEL_SET(l->text, i + 7);
    l->post.run = run;
    l->back = !nart__post_send(&s->hub, incarnation, waker, &l->post);
}

static void run_list(nart__post *p, bool open)
{
    for (nart__post *next; p; p = next) {
        next = nart__post_next(p);
        p->run(open ? s : NULL, p);
    }
}

/* A loop that parks until it has run this many posts, or a shutdown was requested. */
static void loop(unsigned posts, bool until_ended, uint64_t incarnation)
{
    bool busy;

    while (until_ended ? !nart__hub_ended(&s->hub, incarnation) : s->taken < posts) {
        nart__rec *rec = nart__hub_pop(&s->hub, &busy);
        if (rec) {
            run_list(nart__post_take(&s->hub), true);
        } else if (nart__hub_park(&s->hub)) {
            model_wait(EFD);
            nart__hub_unpark(&s->hub);
        } else {
            nart__relax();
        }
    }
}

/* ---- two threads post, the loop parks in between ---- */

static void two(unsigned i)
{
    if (i == 0)
        loop(2, false, s->incarnation);
    else
        send(i - 1, s->incarnation, s->waker);
}

/* ---- one thread posts twice: in order ---- */

static void in_order(unsigned i)
{
    if (i == 0) {
        loop(2, false, s->incarnation);
        MODEL_CHECK(s->order[0] == 0 && s->order[1] == 1);
    } else {
        send(0, s->incarnation, s->waker);
        send(1, s->incarnation, s->waker);
    }
}

/* ---- the loop closes while two threads post ---- */

static void close_it(unsigned i)
{
    if (i == 0) {
        run_list(nart__post_take(&s->hub), true);
        run_list(nart__post_close(&s->hub), false);
        nart__hub_retire(&s->hub, 0);
        nart__hub_end(&s->hub);
    } else {
        send(i - 1, s->incarnation, s->waker);
    }
}

/* ---- the hub serves the next runtime: the first one's posts do not reach it ---- */

static void reopen(unsigned i)
{
    if (i == 0) {
        run_list(nart__post_close(&s->hub), false);
        nart__hub_retire(&s->hub, 0);
        nart__hub_end(&s->hub);
        unsigned before = s->taken;
        while (!nart__hub_can_open(&s->hub))
            nart__relax();
        nart__post_open(&s->hub);
        uint64_t incarnation = nart__hub_incarnation(&s->hub);
        uintptr_t waker = nart__hub_waker(&s->hub, 0);
        NART__STORE(&s->handed, waker, NART__RELEASE);
        loop(before + 1, false, incarnation);
        MODEL_CHECK(s->letters[1].run == 1);
        run_list(nart__post_close(&s->hub), false);
        MODEL_CHECK(s->taken == before + 1);
    } else if (i == 1) {
        send(0, s->incarnation, s->waker);
    } else {
        uintptr_t waker;
        while ((waker = NART__LOAD(&s->handed, NART__ACQUIRE)) == 0)
            nart__relax();
        send(1, nart__hub_incarnation(&s->hub), waker);
    }
}

/* ---- two shutdown requests, one of them for a freed runtime ---- */

static void make_second_life(void)
{
    make();
    nart__hub_retire(&s->hub, 0);
    nart__hub_end(&s->hub);
    s->waker = nart__hub_waker(&s->hub, 0);
    s->incarnation = nart__hub_incarnation(&s->hub);
}

static void end(unsigned i)
{
    if (i == 0)
        loop(0, true, s->incarnation);
    else if (i == 1)
        MODEL_CHECK(nart__post_end(&s->hub, s->incarnation, s->waker));
    else
        MODEL_CHECK(!nart__post_end(&s->hub, s->incarnation - 1, 0));
}

static void still_ended(void)
{
    MODEL_CHECK(nart__hub_ended(&s->hub, s->incarnation));
    unmake();
}

const model_scenario model_scenarios[] = {
    { "two", 3, make, two, all_run, 2, 4 },
    { "in_order", 2, make, in_order, all_run, 3, 4 },
    { "close", 3, make, close_it, all_somewhere, 2, 4 },
    { "reopen", 3, make, reopen, all_somewhere, 2, 3 },
    { "end", 3, make_second_life, end, still_ended, 2, 4 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};

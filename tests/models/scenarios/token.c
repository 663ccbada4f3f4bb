/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/token.c: tokens that are cancelled while a task starts to wait, while children are created
 * and freed, and while the owner ends. Thread 0 is the owner's loop.
 *
 * A canceller writes a plain variable first, and every thread that sees the flag reads it: a missing edge is
 * a race. A waiter that is not notified leaves the loop asleep: a deadlock. */
#include "model.h"

#include "lifecycle/token.h"

enum { SLOTS = 1, EFD = 0, TOKENS = 4 };

typedef struct node {
    nart__token token;
    MODEL_VAR(uint32_t) life; /* 1: alive, 0: freed; accessed by the freeing thread and by users */
    bool told;
} node;

typedef struct state {
    nart__hub hub;
    nart__rec records[SLOTS]; /* must follow */
    node nodes[TOKENS];
    MODEL_VAR(uint32_t) news; /* written before the cancel */
    nart_remote owner;
    unsigned freed; /* checked after the threads */
    NART__ATOMIC(uint32_t) frees;
} state;

static state *s;

static node *node_of(nart__token *t)
{
    return (node *)(void *)t; /* its first member */
}

void nart__token_free(nart__token *t)
{
    MODEL_CHECK(MODEL_GET(node_of(t)->life) == 1);
    MODEL_SET(node_of(t)->life, 0u);
    t->armed = NULL; /* any concurrent access races with this */
    (void)NART__FETCH_ADD(&s->frees, 1u, NART__RELAXED);
}

static void told(void *rt, nart__post *p)
{
    node *n = (node *)(void *)((char *)p - offsetof(nart__token, post));

    if (rt) {
        MODEL_CHECK(MODEL_GET(s->news) == 7);
        n->told = true;
    }
    nart__token_unref(&n->token);
}

static nart__token *begin(unsigned i, nart__token *parent)
{
    node *n = &s->nodes[i];

    n->token.owner = s->owner;
    n->token.post.run = told;
    MODEL_SET(n->life, 1u);
    nart__token_begin(&n->token, parent);
    return &n->token;
}

static nart__token *token(unsigned i)
{
    return &s->nodes[i].token;
}

static void cancel(unsigned i)
{
    MODEL_SET(s->news, 7u);
    nart__token_cancel(token(i));
}

/* 0 is the parent of 1 and 2. */
static void make(void)
{
    s = MODEL_NEW(state);
    nart__hub_init(&s->hub, SLOTS, EFD);
    nart__post_open(&s->hub);
    s->owner.hub = &s->hub;
    s->owner.incarnation = nart__hub_incarnation(&s->hub);
    s->owner.waker.w = nart__hub_waker(&s->hub, 0);
    begin(0, NULL);
    begin(1, token(0));
    begin(2, token(0));
}

static void unmake(void)
{
    nart__token_unref(token(0));
    nart__token_unref(token(1));
    nart__token_unref(token(2));
    MODEL_DELETE(s);
}

static void run_list(nart__post *p, bool open)
{
    for (nart__post *next; p; p = next) {
        next = nart__post_next(p);
        p->run(open ? s : NULL, p);
    }
}

/* The loop, until the waiter of this token has been notified. */
static void loop(unsigned i)
{
    bool busy;

    while (!s->nodes[i].told) {
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

/* A task waits for this token, which will be cancelled. */
static void await(unsigned i)
{
    if (!nart__token_cancelled(token(i)) && nart__token_arm(token(i)))
        loop(i);
    else
        MODEL_CHECK(MODEL_GET(s->news) == 7);
}

/* ---- one task waits for a child, another thread cancels the parent ---- */

static void arm(unsigned i)
{
    if (i == 0)
        await(1);
    else
        cancel(0);
}

/* ---- the last waiter leaves during a cancel, and then another one arrives ---- */

static void leave(unsigned i)
{
    if (i != 0) {
        cancel(0);
        return;
    }
    if (nart__token_arm(token(1)))
        nart__token_disarm(token(1));
    await(1);
}

static void cancelled_and_freed(void)
{
    MODEL_CHECK(nart__token_cancelled(token(1)));
    run_list(nart__post_take(&s->hub), true); /* for the waiter that has left */
    nart__token_unref(token(0));
    nart__token_unref(token(1));
    nart__token_unref(token(2));
    MODEL_CHECK(NART__LOAD(&s->frees, NART__RELAXED) == 3);
    MODEL_DELETE(s);
}

/* ---- a token whose waiters have all left is cancelled: nothing is notified ---- */

static void make_left(void)
{
    make();
    MODEL_CHECK(nart__token_arm(token(1)) && nart__token_arm(token(2)));
    nart__token_disarm(token(1));
}

static void left(unsigned i)
{
    if (i == 0)
        loop(2);
    else
        cancel(0);
}

static void one_told(void)
{
    MODEL_CHECK(!nart__post_take(&s->hub));
    MODEL_CHECK(!s->nodes[1].told && s->nodes[2].told);
    unmake();
}

/* ---- tasks wait for both children; a thread cancels and releases ---- */

static void both(unsigned i)
{
    if (i == 0) {
        await(1);
        await(2);
    } else {
        cancel(0);
    }
}

/* ---- two threads cancel, a parent and its child: each then finds its whole subtree cancelled ---- */

static void twice(unsigned i)
{
    if (i == 1)
        nart__token_cancel(token(0));
    else
        nart__token_cancel(token(1));
    MODEL_CHECK(nart__token_cancelled(token(1)));
    if (i == 1)
        MODEL_CHECK(nart__token_cancelled(token(2)));
}

/* ---- a child is created during a cancel of its parent ---- */

static void birth(unsigned i)
{
    if (i == 0)
        nart__token_cancel(token(0));
    else
        begin(3, token(1));
}

static void born_cancelled(void)
{
    MODEL_CHECK(nart__token_cancelled(token(3)));
    nart__token_unref(token(3));
    unmake();
}

/* ---- two threads release handles while a third cancels: each token is freed once ---- */

static void make_armed(void)
{
    make();
    begin(3, token(1));
    for (unsigned i = 1; i < TOKENS; i++)
        MODEL_CHECK(nart__token_arm(token(i)));
    nart__token_ref(token(0)); /* the canceller's handle */
    MODEL_SET(s->news, 7u);
}

static void release(unsigned i)
{
    if (i == 0) {
        nart__token_unref(token(1));
        nart__token_unref(token(3));
    } else if (i == 1) {
        nart__token_cancel(token(0));
        nart__token_unref(token(0));
    } else {
        nart__token_unref(token(2));
        nart__token_unref(token(0));
    }
}

static void all_freed(void)
{
    run_list(nart__post_take(&s->hub), true);
    MODEL_CHECK(NART__LOAD(&s->frees, NART__RELAXED) == TOKENS);
    MODEL_DELETE(s);
}

/* ---- a token is freed once its waiter is notified; the canceller has another to notify ---- */

static void make_waiters(void)
{
    make();
    MODEL_CHECK(nart__token_arm(token(1)) && nart__token_arm(token(2)));
}

static void gone_when_told(unsigned i)
{
    if (i == 0) {
        loop(1);
        nart__token_unref(token(1));
    } else {
        cancel(0);
    }
}

static void both_told(void)
{
    run_list(nart__post_take(&s->hub), true);
    MODEL_CHECK(s->nodes[1].told && s->nodes[2].told);
    nart__token_unref(token(0));
    nart__token_unref(token(2));
    MODEL_CHECK(NART__LOAD(&s->frees, NART__RELAXED) == 3);
    MODEL_DELETE(s);
}

/* ---- the last handle is released by the thread that used it, or by the other one ---- */

static void make_handles(void)
{
    make();
    nart__token_unref(token(1));
    nart__token_unref(token(2));
    MODEL_CHECK(!token(0)->first); /* both children have left the tree */
    nart__token_ref(token(0));
}

static void handles(unsigned i)
{
    (void)i;
    MODEL_CHECK(MODEL_GET(s->nodes[0].life) == 1);
    nart__token_unref(token(0));
}

static void three_freed(void)
{
    MODEL_CHECK(NART__LOAD(&s->frees, NART__RELAXED) == 3);
    MODEL_DELETE(s);
}

/* ---- the owner ends during a cancel ---- */

static void owner_ends(unsigned i)
{
    if (i == 0) {
        run_list(nart__post_close(&s->hub), false);
        nart__hub_retire(&s->hub, 0);
        nart__hub_end(&s->hub);
    } else {
        nart__token_cancel(token(0));
    }
}

static void none_told(void)
{
    nart__token_unref(token(3));
    nart__token_unref(token(0));
    nart__token_unref(token(0));
    nart__token_unref(token(1));
    nart__token_unref(token(2));
    for (unsigned i = 0; i < TOKENS; i++)
        MODEL_CHECK(!s->nodes[i].told);
    MODEL_CHECK(NART__LOAD(&s->frees, NART__RELAXED) == TOKENS);
    MODEL_DELETE(s);
}

const model_scenario model_scenarios[] = {
    { "arm", 2, make, arm, unmake, 3, 4 },
    { "leave", 2, make, leave, cancelled_and_freed, 3, 4 },
    { "left", 2, make_left, left, one_told, 2, 4 },
    { "both", 2, make, both, unmake, 2, 4 },
    { "twice", 2, make, twice, unmake, 3, 4 },
    { "birth", 2, make, birth, born_cancelled, 3, 4 },
    { "told", 2, make_waiters, gone_when_told, both_told, 2, 4 },
    { "handles", 2, make_handles, handles, three_freed, 3, 4 },
    { "release", 3, make_armed, release, all_freed, 2, 3 },
    { "owner", 2, make_armed, owner_ends, none_told, 3, 3 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cancel.c: handles of tokens, and tasks that await them. The tree is in token.c.
 *
 * Tasks wait in a list of the token, which is private to the thread of the token's owner. A waiter holds
 * a reference, so it needs no handle. Cancelling posts to the owner, and the post wakes all waiters.
 *
 * In a forked child the lock may be held by a thread that exists only in the parent: there a token is
 * only marked, and nothing is freed. */
#include "token.h"

#include "../core/runtime.h"
#include "../sync/sync.h"

#include <nart/cancel.h>

#include <string.h>

_Static_assert(offsetof(nart__token, state) == 0, "nart_token_is_cancelled() looks there");

static bool forked(const nart__token *t)
{
    return nart__hub_is_forked(t->root->owner.hub);
}

/* ---- the owner's list of waiters ---- */

static void cancelled(void *rt, nart__post *p)
{
    nart__token *t = (nart__token *)(void *)((char *)p - offsetof(nart__token, post));

    if (rt) /* else its tasks have ended */
        nart__q_answer_all(&t->waits, NART__DONE);
    nart__token_unref(t);
}

static void withdraw(nart__wait *w)
{
    nart__token *t = nart__waiter_of(w)->at;

    if (w->state == NART__QUEUED) {
        nart__q_remove(&t->waits, w);
        if (!t->waits.first)
            nart__token_disarm(t);
    }
    if (!forked(t))
        nart__token_unref(t);
}

static const struct nart__wait_ops token_ops = { "token", withdraw };

/* Compares the incarnation, too: the hub of a freed owner may belong to this runtime now. */
static bool is_owner(const nart_rt *rt, const nart__token *t)
{
    return rt && rt->hub == t->owner.hub && rt->incarnation == t->owner.incarnation;
}

nart_res nart_token_await(nart_cx *cx, const nart_token *token, nart_waiter *w)
{
    nart__token *t = token->node;

    nart_res r = nart__sync_enter(cx, w, t, 0);
    if (r)
        return r;
    if (!t)
        return -EINVAL;
    bool waited = w->wait.task;
    if (nart__token_cancelled(t)) {
        if (waited)
            nart__withdraw(&w->wait);
        return 0;
    }
    if (!is_owner(nart__cx_rt(cx), t))
        return NART_EDRIVER;
    r = nart__sync_park(cx, w, t, 0, &t->waits, &token_ops);
    if (r != NART_PENDING || waited)
        return r;
    nart__token_ref(t);
    if (nart__token_arm(t))
        return NART_PENDING;
    nart__answers_after_all(cx);
    nart__withdraw(&w->wait);
    return 0;
}

/* ---- handles ---- */

static nart_res make(nart__token *parent, const nart_alloc *a, nart_remote owner, nart_token *out)
{
    nart__token *t = nart__alloc(a, sizeof *t, NART__LINE);

    if (!t)
        return -ENOMEM;
    memset(t, 0, sizeof *t);
    t->alloc = *a;
    t->owner = owner;
    t->post.run = cancelled;
    nart__token_begin(t, parent);
    out->node = t;
    return 0;
}

void nart__token_free(nart__token *t)
{
    nart_alloc a = t->alloc;
    nart__free(&a, t, sizeof *t, NART__LINE);
}

static nart_res make_on(nart__token *parent, nart_rt *rt, nart_token *out)
{
    nart_res r = nart__rt_check(rt);
    return r ? r : make(parent, &rt->alloc, nart_rt_remote(rt), out);
}

nart_res nart_token_new(nart_rt *rt, nart_token *out)
{
    out->node = NULL;
    return make_on(NULL, rt, out);
}

nart_res nart_token_child_on(const nart_token *token, nart_rt *rt, nart_token *out)
{
    nart__token *t = token->node;

    out->node = NULL;
    if (!t)
        return -EINVAL;
    return forked(t) ? NART_EFORK : make_on(t, rt, out);
}

nart_res nart_token_child(const nart_token *token, nart_token *out)
{
    nart__token *t = token->node;

    out->node = NULL;
    if (!t)
        return -EINVAL;
    return forked(t) ? NART_EFORK : make(t, &t->alloc, t->owner, out);
}

void nart_token_clone(const nart_token *token, nart_token *out)
{
    out->node = token->node;
    if (out->node)
        nart__token_ref(out->node);
}

void nart_token_release(nart_token *token)
{
    if (!token || !token->node)
        return;
    nart__token *t = token->node;
    token->node = NULL;
    if (!forked(t))
        nart__token_unref(t);
}

void nart_token_cancel(const nart_token *token)
{
    if (!token || !token->node)
        return;
    nart__token *t = token->node;
    if (forked(t))
        (void)NART__FETCH_OR(&t->state, (uint32_t)NART__TOKEN_CANCELLED, NART__RELAXED);
    else
        nart__token_cancel(t);
}

void nart_token_cancel_release(nart_token *token)
{
    nart_token_cancel(token);
    nart_token_release(token);
}

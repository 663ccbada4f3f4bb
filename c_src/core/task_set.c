/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* task_set.c: sets of tasks.
 *
 * Invariants
 *  1. A node is in one state: never used, free, running, ended, or answered last.
 *  2. The task of a running node has IN_SET, and its joiner is the node's join, in which no task
 *     waits; so its end finds the node in O(1). A task leaves the set before its node is
 *     reused.
 *  3. A node that has ended or was answered holds its task's frame by the join.
 *  4. The waiter of the set is made ready by each end, or only by the last one: so a task that
 *     awaits 10,000 others is polled once for all those that have ended since.
 * The set grants no turns: an answer that is not taken stays in the list.
 *
 * nart_task_set: lists of nodes: `free` (used before), `running` to `newest` (the oldest first), `ended` to
 * `last_ended` (in the order of their ends); `answered`: the node whose frame is still kept; `owner` of all
 * running tasks; `count` nodes, of which `used` have been used; `len` tasks whose answer has not been taken, of
 * which `run` are running; `for_all`: the waiter wakes only when the last task ends. */
#include "runtime.h"

#include <nart/task_set.h>
#include <string.h>

typedef nart_task_set_node node;

static void set_withdraw(nart__wait *w)
{
    (void)w; /* it is in no list */
}

static const struct nart__wait_ops set_ops = { "task set", set_withdraw };

/* ---- nodes ---- */

static void push_running(nart_task_set *s, node *n)
{
    n->set = s;
    n->next = NULL;
    n->prev = s->newest;
    if (s->newest)
        s->newest->next = n;
    else
        s->running = n;
    s->newest = n;
    s->run++;
    s->len++;
}

static void remove_running(nart_task_set *s, node *n)
{
    if (n->prev)
        n->prev->next = n->next;
    else
        s->running = n->next;
    if (n->next)
        n->next->prev = n->prev;
    else
        s->newest = n->prev;
    s->run--;
}

static void push_ended(nart_task_set *s, node *n, nart_res result)
{
    n->result = result;
    n->next = NULL;
    if (s->ended)
        s->last_ended->next = n;
    else
        s->ended = n;
    s->last_ended = n;
}

static bool full(const nart_task_set *s)
{
    return !s->free && !s->answered && s->used == s->count;
}

/* Drops the frame that was kept since the last answer. */
static void drop_answered(nart_task_set *s)
{
    node *n = s->answered;
    if (!n)
        return;
    s->answered = NULL;
    n->next = s->free;
    s->free = n;
    nart_join_release(&n->join); /* last: drop may use the set */
}

/* A node of a set that is not full: the one answered last, if there is one. Its join is the caller's to
 * release. */
static node *take_node(nart_task_set *s, nart_join *answered)
{
    node *n = s->answered;

    memset(answered, 0, sizeof *answered);
    if (n) {
        s->answered = NULL;
        *answered = n->join;
        return n;
    }
    n = s->free;
    if (n)
        s->free = n->next;
    else
        n = &s->nodes[s->used++];
    return n;
}

static nart_res number(const nart_task_set *s, const node *n)
{
    return n - s->nodes;
}

/* ---- adding ---- */

void nart_task_set_init(nart_task_set *s, nart_task_set_node *nodes, uint32_t count)
{
    *s = (nart_task_set){ .nodes = nodes, .count = count };
}

/* Can a task of this context be added to the set? */
static nart_res room(const nart_task_set *s, const nart_cx *cx)
{
    if (!s->nodes)
        return NART_ECLOSED;
    if (s->run > 0 && !nart__cx_owns(cx, s->owner))
        return NART_EDRIVER;
    return full(s) ? -ENOSPC : 0;
}

static nart_res put(nart_task_set *s, nart_join *j)
{
    nart__task *t = j->task;
    nart_join answered;
    node *n = take_node(s, &answered);
    nart_res i = number(s, n);

    n->join = *j;
    memset(j, 0, sizeof *j);
    s->owner = t->owner;
    push_running(s, n);
    t->joiner = &n->join.wait;
    t->state |= NART__T_IN_SET;
    if (t->state & NART__T_DONE)
        nart__task_set_ended(t);
    nart_join_release(&answered); /* last: drop may use the set */
    return i;
}

nart_res nart_task_set_spawn(nart_cx *cx, nart_task_set *s, const nart_task_type *type,
                             const void *init)
{
    nart_join j = { .hub = NULL };

    nart_res r = room(s, cx);
    if (r == 0)
        r = nart_spawn(cx, type, init, &j);
    return r ? r : put(s, &j);
}

nart_res nart_task_set_add(nart_task_set *s, nart_join *j)
{
    nart__task *t = nart__join_task(j);

    if (!t)
        return NART_ESTALE;
    nart_res r = nart__rt_check(nart__rt_of(t));
    if (r == 0)
        r = room(s, t->owner);
    if (r)
        return r;
    if (j->used)
        return NART_EUSED;
    if (j->wait.task || t->joiner)
        return -EBUSY;
    return t == t->owner->self ? -EDEADLK : put(s, j);
}

/* ---- ends ---- */

void nart__task_set_ended(nart__task *t)
{
    node *n = (node *)(void *)t->joiner; /* the first member's first member */
    nart_task_set *s = n->set;

    t->joiner = NULL;
    t->state &= ~(uint32_t)NART__T_IN_SET;
    remove_running(s, n);
    push_ended(s, n, t->res);
    if (s->wait.task && (!s->for_all || s->run == 0))
        nart__ready(s->wait.task);
}

/* ---- waiting ---- */

/* First lines of an operation. */
static nart_res enter(nart_cx *cx, nart_task_set *s)
{
    nart__wait *w = &s->wait;

    nart_res r = nart__enter(cx, w);
    if (NART_UNLIKELY(r))
        return r;
    return w->task && w->task != cx->self ? -EBUSY : 0;
}

static nart_res park(nart_cx *cx, nart_task_set *s, bool for_all)
{
    bool begun;

    if (NART_UNLIKELY(!nart__cx_owns(cx, s->owner)))
        return NART_EDRIVER;
    bool asked = nart__wait_in_use(&s->wait); /* requested by another arm of this poll's race */
    nart_res r = nart__park_in(cx, &s->wait, &begun);
    if (r == NART_PENDING) {
        s->wait.ops = &set_ops;
        s->for_all = for_all && (!asked || s->for_all);
    }
    return r;
}

/* Ends the wait, if there is one. */
static nart_res answer(nart_task_set *s, nart_res r)
{
    if (s->wait.task)
        nart__unwait(&s->wait);
    return r;
}

nart_res nart_task_set_next(nart_cx *cx, nart_task_set *s, nart_res *result)
{
    nart_res r = enter(cx, s);
    if (NART_UNLIKELY(r))
        return r;
    drop_answered(s);
    node *n = s->ended;
    if (!n && s->run > 0)
        return park(cx, s, false);
    if (!n)
        return answer(s, s->nodes ? -ECHILD : NART_ECLOSED);
    s->ended = n->next;
    s->answered = n;
    s->len--;
    if (result)
        *result = n->result;
    return answer(s, number(s, n));
}

nart_res nart_task_set_wait_all(nart_cx *cx, nart_task_set *s)
{
    nart_res r = enter(cx, s);
    if (NART_UNLIKELY(r))
        return r;
    if (s->run > 0)
        return park(cx, s, true);
    return answer(s, s->nodes ? 0 : NART_ECLOSED);
}

/* ---- ending others ---- */

static nart_res ask_all(nart_task_set *s, nart_res (*ask)(nart_rt *, nart_task))
{
    for (const node *n = s->running; n; n = n->next) {
        const nart__task *t = nart__join_task(&n->join);
        nart_res r = t ? ask(nart__rt_of(n->join.task), nart_join_task(&n->join)) : 0;
        if (r && r != NART_ESTALE)
            return r;
    }
    return 0;
}

nart_res nart_task_set_cancel(nart_task_set *s)
{
    return ask_all(s, nart_task_cancel);
}

nart_res nart_task_set_abort(nart_task_set *s)
{
    return ask_all(s, nart_task_abort);
}

/* ---- queries ---- */

nart_task nart_task_set_task(const nart_task_set *s, uint32_t i)
{
    return i < s->used ? nart_join_task(&s->nodes[i].join) : (nart_task){ 0, 0 };
}

void *nart_task_set_frame(nart_task_set *s, uint32_t i)
{
    return i < s->used ? nart_join_frame(&s->nodes[i].join) : NULL;
}

/* ---- closing ---- */

/* Detaches the task, which continues to run. */
static void let_go(node *n)
{
    nart__task *t = nart__join_task(&n->join);
    if (t) {
        t->joiner = NULL;
        t->state &= ~(uint32_t)NART__T_IN_SET;
    }
    nart_join_release(&n->join);
}

void nart_task_set_detach(nart_task_set *s)
{
    if (!s || !s->nodes)
        return;
    nart__interrupt(&s->wait);
    node *running = s->running, *ended = s->ended, *answered = s->answered, *next;
    memset(s, 0, sizeof *s); /* first: a drop function may access it */
    for (; running; running = next) {
        next = running->next;
        let_go(running);
    }
    for (; ended; ended = next) {
        next = ended->next;
        nart_join_release(&ended->join);
    }
    if (answered)
        nart_join_release(&answered->join);
}

void nart_task_set_close(nart_task_set *s)
{
    if (!s || !s->nodes)
        return;
    (void)nart_task_set_cancel(s);
    nart_task_set_detach(s);
}

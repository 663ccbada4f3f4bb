/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations of random programs that wait for each other: semaphores, notifications, wait
 * groups, tokens, the shutdown, joins, task sets, and hundreds of waits in one call. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

/* ---- semaphores ---- */

static bool sem_open(struct thing *s)
{
    s->total = 1 + pick(3);
    nart_semaphore_init(&s->u.semaphore, s->total);
    return true;
}

static void sem_rest(struct thing *s)
{
    EXPECT(s->u.semaphore.permits + s->u.semaphore.reserved + s->held == s->total,
           "permits are lost");
}

static void sem_release(struct thing *s)
{
    if (s->held == 0)
        return;
    s->held--;
    nart_res r = nart_semaphore_release(&s->u.semaphore, 1);
    EXPECT(r == 0, "%s", nart_err_name(r));
}

static void sem_deed(struct thing *s, nart_cx *cx)
{
    (void)cx;
    if (pick(8))
        sem_release(s);
    else if (nart_semaphore_try_acquire(&s->u.semaphore, 1) == 0)
        s->held++;
}

static void sem_close(struct thing *s)
{
    sem_rest(s);
    nart_semaphore_close(&s->u.semaphore);
    s->closed = true;
}

static const struct sort semaphore = { sem_open, sem_deed, sem_rest, sem_close };

static bool acquire_begin(struct arm *a)
{
    a->thing = thing_of(&semaphore);
    a->n = 1 + (a->thing && a->thing->total > 1 ? pick(2) : 0);
    return a->thing != NULL;
}

static nart_res acquire_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_semaphore_acquire(cx, &a->thing->u.semaphore, &a->u.waiter, a->n);

    a->thing->held += r == 0 ? a->n : 0;
    return r;
}

/* Released in part at once, in part by a deed. */
static void acquire_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || (r == NART_ECLOSED && a->thing->closed), "%s", nart_err_name(r));
    for (uint32_t n = 0; n < a->n && r == 0; n++)
        if (a->thing->held > 1 || pick(2) == 0)
            sem_release(a->thing);
}

/* ---- a private semaphore, which is always free ---- */

static bool own_begin(struct arm *a)
{
    a->thing = calloc(1, sizeof *a->thing);
    nart_semaphore_init(&a->thing->u.semaphore, 1);
    return true;
}

static nart_res own_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_semaphore_acquire(cx, &a->thing->u.semaphore, &a->u.waiter, 1);
    if (r == 0)
        nart_semaphore_release(&a->thing->u.semaphore, 1);
    return r;
}

static void own_end(struct arm *a)
{
    free(a->thing);
}

static void own_answered(struct arm *a, nart_res r)
{
    (void)a;
    EXPECT(r == 0, "%s", nart_err_name(r));
}

const struct kind own_semaphore = { "own semaphore", 0,    own_begin, own_call,
                                    own_answered,    NULL, own_end };

/* ---- tokens ---- */

static bool token_open(struct thing *t)
{
    nart_res r = nart_token_new(rt, &t->u.token[0]);
    EXPECT(r == 0, "%s", nart_err_name(r));
    for (int i = 1; i < 3; i++) {
        r = nart_token_child(&t->u.token[i - 1], &t->u.token[i]);
        EXPECT(r == 0, "%s", nart_err_name(r));
    }
    return true;
}

static void token_deed(struct thing *t, nart_cx *cx)
{
    (void)cx;
    if (pick(2))
        nart_token_cancel(&t->u.token[pick(3)]);
}

static void token_close(struct thing *t)
{
    for (int i = 0; i < 3; i++)
        nart_token_release(&t->u.token[i]);
    t->closed = true;
}

static const struct sort token = { token_open, token_deed, NULL, token_close };

static bool token_begin(struct arm *a)
{
    a->thing = thing_of(&token);
    if (a->thing)
        nart_token_clone(&a->thing->u.token[pick(3)], &a->u.token.token);
    return a->thing != NULL;
}

static void token_end(struct arm *a)
{
    nart_token_release(&a->u.token.token);
}

static nart_res token_call(nart_cx *cx, struct arm *a)
{
    return nart_token_await(cx, &a->u.token.token, &a->u.token.waiter);
}

static bool token_ready(const struct arm *a)
{
    return nart_token_is_cancelled(&a->u.token.token);
}

static void token_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 && token_ready(a), "%s", nart_err_name(r));
}

/* ---- notifications and wait groups ---- */

static bool notify_open(struct thing *n)
{
    (void)n;
    return true;
}

static void notify_deed(struct thing *n, nart_cx *cx)
{
    (void)cx;
    if (pick(4)) {
        nart_notify_one(&n->u.notify);
        n->total++;
    } else {
        nart_notify_all(&n->u.notify);
        n->total += 100000; /* wakes every waiter */
    }
}

static void notify_close(struct thing *n)
{
    nart_notify_close(&n->u.notify);
    n->closed = true;
}

static void notify_deed_or_close(struct thing *n, nart_cx *cx)
{
    if (pick(16) == 15)
        notify_close(n);
    else
        notify_deed(n, cx);
}

static const struct sort notify = { notify_open, notify_deed_or_close, NULL, notify_close };

static bool notify_begin(struct arm *a)
{
    a->thing = thing_of(&notify);
    return a->thing != NULL;
}

static nart_res notify_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_notify_await(cx, &a->thing->u.notify, &a->u.waiter);

    a->thing->held += r == 0;
    return r;
}

static void notify_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || (r == NART_ECLOSED && a->thing->closed), "%s", nart_err_name(r));
    EXPECT(a->thing->held <= a->thing->total, "%u notifications, %u answers", a->thing->total,
           a->thing->held);
}

static bool thing_closed(const struct arm *a)
{
    return a->thing->closed;
}

static bool group_open(struct thing *g)
{
    nart_res r = nart_wait_group_add(&g->u.group, 1);

    EXPECT(r == 0, "%s", nart_err_name(r));
    return true;
}

static void group_deed(struct thing *g, nart_cx *cx)
{
    (void)cx;
    nart_res r = pick(3) == 0           ? nart_wait_group_add(&g->u.group, 1)
                 : g->u.group.count > 0 ? nart_wait_group_done(&g->u.group)
                                        : 0;
    EXPECT(r == 0, "%s", nart_err_name(r));
    g->held += g->u.group.count == 0;
}

static void group_close(struct thing *g)
{
    nart_wait_group_close(&g->u.group);
    g->closed = true;
}

static const struct sort group = { group_open, group_deed, NULL, group_close };

static bool group_begin(struct arm *a)
{
    a->thing = thing_of(&group);
    return a->thing != NULL;
}

static nart_res group_call(nart_cx *cx, struct arm *a)
{
    return nart_wait_group_await(cx, &a->thing->u.group, &a->u.waiter);
}

static void group_answered(struct arm *a, nart_res r)
{
    EXPECT((r == 0 && a->thing->held > 0) || (r == NART_ECLOSED && a->thing->closed), "%s",
           nart_err_name(r));
}

static bool group_ready(const struct arm *a)
{
    return a->thing->closed || a->thing->u.group.count == 0;
}

/* ---- the shutdown ---- */

static void shutdown_deed(struct thing *s, nart_cx *cx)
{
    (void)s, (void)cx;
    if (pick(32) == 31)
        (void)nart_rt_shutdown(rt);
}

static void nothing_close(struct thing *s)
{
    s->closed = true;
}

static const struct sort shutdown_asked = { notify_open, shutdown_deed, NULL, nothing_close };

static nart_res shutdown_call(nart_cx *cx, struct arm *a)
{
    return nart_shutdown_await(cx, &a->u.waiter);
}

static bool shutdown_begin(struct arm *a)
{
    (void)a;
    return true;
}

static bool shutdown_ready(const struct arm *a)
{
    (void)a;
    return nart_rt_is_shutdown(rt);
}

static void shutdown_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 && (freeing || shutdown_ready(a)), "%s", nart_err_name(r));
}

/* ---- joins ---- */

static bool join_open(struct thing *j)
{
    struct handle *h = handle_new();

    j->u.kid = task_spawn(&h->u.join);
    if (j->u.kid)
        j->rx = h;
    else
        handle_retire(h);
    return j->u.kid != NULL;
}

static void join_close(struct thing *j)
{
    struct handle *h = j->rx;

    j->rx = NULL;
    if (h) {
        nart_join_release(&h->u.join);
        handle_retire(h);
    }
    j->closed = true;
}

/* Of a handle without a waiter. */
static void join_move(struct thing *j)
{
    struct handle *h = handle_new(), *old = j->rx;

    nart_join_move(&h->u.join, &old->u.join);
    j->rx = h;
    handle_retire(old);
}

static void join_deed(struct thing *j, nart_cx *cx)
{
    uint32_t what = pick(8);

    (void)cx;
    if (what == 0)
        task_ask(j->u.kid, pick(2));
    else if (what < 4 && !j->rx->u.join.wait.task)
        join_move(j);
    else if (what == 4 && !j->rx->u.join.wait.task)
        join_close(j);
}

static const struct sort join = { join_open, join_deed, NULL, join_close };

static bool join_begin(struct arm *a)
{
    struct thing *j = thing_of(&join);
    return j && handle_take(a, j, j->rx);
}

static nart_res join_call(nart_cx *cx, struct arm *a)
{
    struct thing *j = a->thing;
    nart_res result = 0, r = nart_join_await(cx, &a->handle->u.join, &result);

    if (r == 0)
        EXPECT(!j->held && task_ended(j->u.kid) && !join_aborted(j->u.kid) && result == j->u.kid->r,
               "answer %lld", (long long)result);
    else if (r == NART_EABORTED)
        EXPECT(!j->held && (join_aborted(j->u.kid) || freeing), "aborted");
    else if (r == NART_EUSED)
        EXPECT(j->held, "used");
    j->held |= r == 0 || r == NART_EABORTED;
    return r;
}

static bool join_ready(const struct arm *a)
{
    const struct thing *j = a->thing;
    return a->handle->closed || j->held || task_ended(j->u.kid) || j->u.kid->dropped;
}

static void join_answered(struct arm *a, nart_res r)
{
    if (r == -EDEADLK)
        EXPECT(a->thing->u.kid == a->task, "not its own");
    else
        EXPECT(r == 0 || r == NART_EABORTED || r == NART_EUSED ||
                   (r == NART_ESTALE && (a->handle->closed || freeing)),
               "%s", nart_err_name(r));
}

/* ---- task sets ---- */

enum { NODES = 4 };

/* In memory that stays until the program ends. */
struct set {
    nart_task_set set;
    nart_task_set_node nodes[NODES];
    struct task *kid[NODES];
};

static void set_add(struct thing *s, nart_cx *cx)
{
    nart_task_set *set = &s->u.set->set;
    nart_join j = { 0 };
    nart_res r = NODES;
    bool spawn = cx && pick(2);

    if (nart_task_set_len(set) == NODES)
        return;
    struct task *kid = spawn ? task_spawn_set(cx, set, &r) : task_spawn(&j);
    if (!kid)
        return;
    if (!spawn)
        r = nart_task_set_add(set, &j);
    EXPECT(r >= 0 && r < NODES, "%s", nart_err_name(r));
    s->u.set->kid[r] = kid;
}

static bool set_open(struct thing *s)
{
    s->u.set = page_new(sizeof *s->u.set);
    nart_task_set_init(&s->u.set->set, s->u.set->nodes, NODES);
    set_add(s, NULL);
    return true;
}

static void set_ask(struct thing *s, bool aborted)
{
    for (int i = 0; i < NODES; i++) {
        struct task *kid = s->u.set->kid[i];
        if (kid && !task_ended(kid) && !kid->dropped) {
            kid->asked = true;
            kid->aborted |= aborted;
        }
    }
}

static void set_close(struct thing *s)
{
    set_ask(s, false);
    nart_task_set_close(&s->u.set->set);
    s->closed = true;
}

static void set_deed(struct thing *s, nart_cx *cx)
{
    uint32_t what = pick(16);

    if (what < 10) {
        set_add(s, cx);
    } else if (what == 10) {
        set_ask(s, false);
        (void)nart_task_set_cancel(&s->u.set->set);
    } else if (what == 11) {
        set_ask(s, true);
        (void)nart_task_set_abort(&s->u.set->set);
    } else if (what == 12) {
        nart_task_set_detach(&s->u.set->set);
        s->closed = true;
    } else if (what == 13) {
        set_close(s);
    }
}

static const struct sort set = { set_open, set_deed, NULL, set_close };

static bool set_begin(struct arm *a)
{
    return thing_take(a, thing_of(&set));
}

static void set_end(struct arm *a)
{
    a->thing->users--;
}

static nart_res set_call(nart_cx *cx, struct arm *a)
{
    struct set *s = a->thing->u.set;
    nart_res result = 0, r = nart_task_set_next(cx, &s->set, &result);

    if (r >= 0) {
        const struct task *kid = s->kid[r];
        s->kid[r] = NULL;
        EXPECT(kid && (task_ended(kid) || kid->dropped || kid->aborted), "no such task");
        EXPECT(result == (join_aborted(kid) ? NART_EABORTED : kid->r), "answer %lld",
               (long long)result);
    }
    return r;
}

static void set_answered(struct arm *a, nart_res r)
{
    EXPECT(r >= 0 || (r == -ECHILD && nart_task_set_len(&a->thing->u.set->set) == 0) ||
               (r == NART_ECLOSED && a->thing->closed) || (r == -EBUSY && a->thing->users > 1) ||
               freeing,
           "%s", nart_err_name(r));
}

static bool set_ready(const struct arm *a)
{
    const struct set *s = a->thing->u.set;
    bool ended = nart_task_set_len(&s->set) == 0;

    for (int i = 0; i < NODES; i++)
        ended |= s->kid[i] && task_ended(s->kid[i]);
    return a->thing->closed || (a->thing->users == 1 && ended);
}

/* All of them end: no answer is taken. */
static bool all_over(const struct set *s)
{
    for (int i = 0; i < NODES; i++)
        if (s->kid[i] && !task_over(s->kid[i]))
            return false;
    return true;
}

static nart_res all_call(nart_cx *cx, struct arm *a)
{
    struct set *s = a->thing->u.set;
    uint32_t len = nart_task_set_len(&s->set);
    nart_res r = nart_task_set_wait_all(cx, &s->set);

    EXPECT(r != 0 || (all_over(s) && nart_task_set_len(&s->set) == len), "one is left");
    return r;
}

static void all_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || (r == NART_ECLOSED && a->thing->closed) ||
               (r == -EBUSY && a->thing->users > 1),
           "%s", nart_err_name(r));
}

static bool all_ready(const struct arm *a)
{
    return a->thing->closed || (a->thing->users == 1 && all_over(a->thing->u.set));
}

/* ---- hundreds of waits in one hand-written call ---- */

struct crowd {
    nart_timer timer;
    nart_waiter waiter[CROWD];
};

static nart_notify crowd[4];

static bool crowd_open(struct thing *c)
{
    memset(crowd, 0, sizeof crowd);
    c->total = 1;
    return true;
}

static void crowd_deed(struct thing *c, nart_cx *cx)
{
    (void)c, (void)cx;
    nart_notify_one(&crowd[pick(4)]);
}

static void crowd_close(struct thing *c)
{
    for (int i = 0; i < 4; i++)
        nart_notify_close(&crowd[i]);
    c->closed = true;
}

static const struct sort crowds = { crowd_open, crowd_deed, NULL, crowd_close };

static bool crowd_begin(struct arm *a)
{
    a->thing = thing_of(&crowds);
    a->ns = pick_time() + NART_MS;
    if (a->thing)
        a->u.crowd = page_new(sizeof *a->u.crowd);
    return a->thing != NULL;
}

static nart_res crowd_call(nart_cx *cx, struct arm *a)
{
    nart_res r = nart_sleep(cx, &a->u.crowd->timer, a->ns);

    a->task->waits += CROWD; /* also when one of them answers: those before it were called */
    for (int i = 0; i < CROWD && r == NART_PENDING; i++)
        r = nart_notify_await(cx, &crowd[i % 4], &a->u.crowd->waiter[i]);
    return r;
}

static void crowd_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || (r == NART_ECLOSED && a->thing->closed), "%s", nart_err_name(r));
}

static void crowd_end(struct arm *a)
{
    if (a->called) /* it lost a race, and is no longer registered */
        page_free(a->u.crowd, sizeof *a->u.crowd);
    else
        page_bury(a->task, a->u.crowd, sizeof *a->u.crowd);
}

/* ---- the table of kinds ---- */

const struct kind sync_kinds[] = {
    { "acquire", 1, acquire_begin, acquire_call, acquire_answered, NULL, NULL },
    { "token", 1, token_begin, token_call, token_answered, token_ready, token_end },
    { "notify", 1, notify_begin, notify_call, notify_answered, thing_closed, NULL },
    { "group", 1, group_begin, group_call, group_answered, group_ready, NULL },
    { "shutdown", 1, shutdown_begin, shutdown_call, shutdown_answered, shutdown_ready, NULL },
    { "join", 1, join_begin, join_call, join_answered, join_ready, NULL },
    { "set", 1, set_begin, set_call, set_answered, set_ready, set_end },
    { "wait_all", 1, set_begin, all_call, all_answered, all_ready, set_end },
    { "lock", 1, lock_begin, lock_call, lock_answered, lock_ready, lock_end },
    { "crowd", 0, crowd_begin, crowd_call, crowd_answered, thing_closed, crowd_end },
};
_Static_assert(sizeof sync_kinds / sizeof *sync_kinds == SYNC_KINDS,
               "SYNC_KINDS in program.h is their number");
const struct sort *const sync_sorts[SYNC_SORTS] = { &semaphore, &token,          &notify,
                                                    &group,     &join,           &set,
                                                    &crowds,    &shutdown_asked, &lock_sort };

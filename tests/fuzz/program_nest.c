/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Nurseries of random programs: at each poll and in their drop, their tasks use the memory of
 * the body that opened them. Bodies join them, also in races and under deadlines, and lose races
 * meanwhile; bodies that are the task's own poll return without joining. */
#include "program.h"

#include <nart/driver.h>

enum { NESTS = 32 };
static struct body *nests[NESTS]; /* with an open one */
static uint32_t nest_count;

void nests_begin(void)
{
    nest_count = 0;
}

bool nest_is(const nart__wait *w)
{
    for (uint32_t i = 0; i < nest_count; i++)
        if (w == &nests[i]->nest.nursery.wait)
            return true;
    return false;
}

static void spawn(nart_cx *cx, struct body *b)
{
    if (!task_spawn_in(cx, b))
        return;
    b->nest.children++;
    EXPECT(!b->nest.cancelled, "a task is spawned into a nursery that was cancelled");
}

void nest_open(nart_cx *cx, struct body *b)
{
    uint32_t flags = pick(2) ? NART_NURSERY_CANCEL_ON_ERROR : 0;

    if (nest_count == NESTS)
        return;
    nart_res r = nart_nursery_open(cx, &b->nest.nursery, flags);
    EXPECT(r == 0, "%s", nart_err_name(r));
    b->nest.open = true;
    nests[nest_count++] = b;
    for (uint32_t n = pick(4); n > 0; n--)
        spawn(cx, b);
}

void nest_close(struct body *b)
{
    EXPECT(b->nest.children == 0, "%u tasks use what is gone", b->nest.children);
    for (uint32_t i = 0; i < nest_count; i++)
        if (nests[i] == b)
            nests[i] = nests[--nest_count];
    b->nest = (struct nest){ 0 };
}

nart_res nest_join(nart_cx *cx, struct body *b)
{
    struct nest *n = &b->nest;
    nart_res error = 0, r = nart_nursery_join(cx, &n->nursery, &error);

    if (r == NART_PENDING) {
        n->joining = true;
        n->may |=
            task_told(b->task) || told_from_above(b) || (b->scoped && b->scope_from <= virtual_now);
        return r;
    }
    b->task->answers++;
    b->task->errors += r < 0;
    b->task->refusals += r == -ECANCELED;
    if (!n->open) {
        EXPECT(r == NART_ECLOSED, "%s", nart_err_name(r));
        return r;
    }
    EXPECT(r == 0 || (r == -ECANCELED && (task_told(b->task) || told_from_above(b))) ||
               (r == -ETIMEDOUT && b->scoped && b->scope_from <= virtual_now),
           "%s", nart_err_name(r));
    EXPECT(error == n->error, "%s, and the first error was %s", nart_err_name(error),
           nart_err_name(n->error));
    nest_close(b);
    return r;
}

/* ---- everything that a body awaits ---- */

static bool any_below(const struct body *b, bool (*is)(const struct body *))
{
    if (is(b))
        return true;
    for (int i = 0; i < ARMS; i++)
        if (b->kid[i] && any_below(b->kid[i], is))
            return true;
    for (const struct body *n = b->next; n; n = n->behind)
        if (any_below(n, is))
            return true;
    return false;
}

static bool is_open(const struct body *b)
{
    return b->nest.open;
}

bool nest_below(const struct body *b)
{
    return any_below(b, is_open);
}

static bool is_used(const struct body *b)
{
    return b->nest.children > 0;
}

bool nest_used_below(const struct body *b)
{
    return any_below(b, is_used);
}

bool nest_told(const struct body *b)
{
    return freeing || b->nest.cancelled || b->nest.may || b->task->aborted;
}

static bool joins(const struct body *b)
{
    return b->nest.joining;
}

bool nest_joins_below(const struct body *b)
{
    return any_below(b, joins);
}

static bool is_in_the_end(const struct body *b)
{
    const struct task *t;

    for (uint32_t i = 0; (t = task_at(i)); i++)
        if (t->owner == b && t->header && !(t->header->state & NART__T_CANCELLED))
            return false;
    return joins(b);
}

bool nest_ends_below(const struct body *b)
{
    return any_below(b, is_in_the_end);
}

void nest_lost(struct body *b)
{
    b->nest.cancelled |= b->nest.open;
    for (int i = 0; i < ARMS; i++)
        if (b->kid[i])
            nest_lost(b->kid[i]);
    for (struct body *n = b->next; n; n = n->behind)
        nest_lost(n);
}

/* ---- the tasks of a nursery ---- */

void nest_child_uses(struct task *t)
{
    t->owner->nest.uses++;
}

void nest_child_ends(struct task *t)
{
    struct nest *n = &t->owner->nest;
    bool cancelled = t->r == -ECANCELED && t->header->state & NART__T_CANCELLED;
    nart_res r = !t->answered || cancelled ? NART_EABORTED : t->r;

    n->uses++;
    n->children--;
    if (r >= 0 || n->error)
        return;
    n->error = r;
    n->cancelled |= n->nursery.flags & NART_NURSERY_CANCEL_ON_ERROR;
}

void nests_deed(nart_cx *cx)
{
    struct body *b = nest_count > 0 ? nests[pick(nest_count)] : NULL;

    if (!b)
        return;
    if (cx && pick(4)) {
        spawn(cx, b);
    } else if (pick(2)) {
        nart_nursery_cancel(&b->nest.nursery);
        b->nest.cancelled = true;
    }
    EXPECT(nart_nursery_len(&b->nest.nursery) == b->nest.children, "%u tasks",
           nart_nursery_len(&b->nest.nursery));
}

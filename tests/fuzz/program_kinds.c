/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The operations of awaits: those that take time, and the choice among all kinds, each with a
 * model of its correct answers. */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sleeps ---- */

static bool sleep_begin(struct arm *a)
{
    a->ns = pick_time();
    a->at = virtual_now + a->ns;
    return true;
}

/* A relative one counts from its first call, an absolute one does not. */
static int64_t relative_due(const struct arm *a)
{
    return a->from + a->ns;
}

static nart_res sleep_call(nart_cx *cx, struct arm *a)
{
    return nart_sleep(cx, &a->u.timer, a->ns);
}

static void sleep_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0, "%s", nart_err_name(r));
    EXPECT(relative_due(a) <= virtual_now, "%lld us early",
           (long long)(relative_due(a) - virtual_now) / 1000);
}

static bool sleep_ready(const struct arm *a)
{
    return a->called && relative_due(a) <= time_seen;
}

static nart_res until_call(nart_cx *cx, struct arm *a)
{
    return nart_sleep_until(cx, &a->u.timer, a->at);
}

static void until_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 && a->at <= virtual_now, "%s", nart_err_name(r));
}

static bool until_ready(const struct arm *a)
{
    return a->at <= time_seen;
}

/* `at` holds the time of the first call of all races. */
static bool resume_begin(struct arm *a)
{
    a->ns = pick_time();
    return true;
}

static nart_res resume_call(nart_cx *cx, struct arm *a)
{
    if (!a->turn)
        a->at = virtual_now + a->ns;
    a->turn = 1;
    return nart_sleep_resume(cx, &a->u.timer, a->ns);
}

static void resume_answered(struct arm *a, nart_res r)
{
    until_answered(a, r);
    a->turn = 0;
}

static bool resume_ready(const struct arm *a)
{
    return a->turn && a->at <= time_seen;
}

/* ---- operations that never wait ---- */

static bool always_begin(struct arm *a)
{
    (void)a;
    return true;
}

static nart_res yes_call(nart_cx *cx, struct arm *a)
{
    return nart_sleep(cx, &a->u.timer, 0);
}

static void yes_answered(struct arm *a, nart_res r)
{
    (void)a;
    EXPECT(r == 0, "%s", nart_err_name(r));
}

/* ---- intervals and retries ---- */

/* Started by the first call, which has a clock. */
static nart_res interval_call(nart_cx *cx, struct arm *a)
{
    nart_interval *i = &a->u.interval;

    if (!a->turn) {
        nart_res r = nart_interval_init(cx, i, a->ns + 1);
        EXPECT(r == 0, "%s", nart_err_name(r));
        i->missed = (nart_missed)pick(3);
        a->at = virtual_now + a->ns + 1;
        a->turn = 1;
    }
    return nart_interval_tick(cx, i);
}

static void interval_answered(struct arm *a, nart_res r)
{
    EXPECT(r == 0 || (r > 0 && a->u.interval.missed != NART_MISSED_BURST), "%s", nart_err_name(r));
    EXPECT(a->at <= virtual_now, "%lld us early", (long long)(a->at - virtual_now) / 1000);
    EXPECT(a->u.interval.next > a->at, "the next tick is not later");
    a->at = a->u.interval.next;
}

/* Each wait is as long as nart_backoff_delay() says. */
static nart_res backoff_call(nart_cx *cx, struct arm *a)
{
    nart_backoff *b = &a->u.backoff;

    if (!a->turn) {
        b->initial = b->max ? b->initial : a->ns;
        b->max = 4 * a->ns;
        b->deadline = NART_NEVER;
        b->retries = 3;
        a->at = virtual_now + nart_backoff_delay(b);
        a->turn = 1;
    }
    return nart_backoff_wait(cx, b);
}

static void backoff_answered(struct arm *a, nart_res r)
{
    if (r == NART_EEXHAUSTED)
        EXPECT(a->u.backoff.waited == 3, "%u waits", a->u.backoff.waited);
    else
        EXPECT(r == 0 && a->at <= virtual_now, "%s", nart_err_name(r));
    a->turn = 0;
}

/* ---- the table of kinds ---- */

static const struct kind time_kinds[] = {
    { "sleep", 0, sleep_begin, sleep_call, sleep_answered, sleep_ready, NULL },
    { "sleep_until", 0, sleep_begin, until_call, until_answered, until_ready, NULL },
    { "sleep_resume", 0, resume_begin, resume_call, resume_answered, resume_ready, NULL },
    { "interval", 0, resume_begin, interval_call, interval_answered, resume_ready, NULL },
    { "backoff", 0, resume_begin, backoff_call, backoff_answered, resume_ready, NULL },
};
static const struct kind now = { "sleep 0", 0, always_begin, yes_call, yes_answered, NULL, NULL };

#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof *(a)))

/* Half of the programs favour one kind, so that many tasks wait in one object. */
static const struct kind *theme;

static const struct kind *pick_from_all(void)
{
    switch (pick(8)) {
    case 0:
    case 1:
        return &time_kinds[pick(COUNT(time_kinds))];
    case 2:
    case 3:
    case 4:
        return &sync_kinds[pick(SYNC_KINDS)];
    case 5:
        return &io_kinds[pick(IO_KINDS)];
    case 6:
        return &pool_kinds[pick(POOL_KINDS)];
    default:
        return &value_kinds[pick(VALUE_KINDS)];
    }
}

const struct kind *pick_kind(void)
{
    return theme && pick(2) ? theme : pick_from_all();
}

const struct kind *pick_flood(void)
{
    enum { FLOODS = 3 };
    const struct kind *const all[FLOODS] = { &now, &own_semaphore, &own_channel };
    return all[pick(FLOODS)];
}

/* ---- objects ---- */

enum { THINGS = 128, EACH = 2 };
static struct thing things[THINGS];
static uint32_t thing_count;
static bool over; /* no more of them */

struct thing *thing_of(const struct sort *sort)
{
    struct thing *found[THINGS];
    uint32_t n = 0;

    for (uint32_t i = 0; i < thing_count; i++)
        if (things[i].sort == sort && !things[i].closed)
            found[n++] = &things[i];
    if (n >= EACH || (n > 0 && pick(4)) || thing_count == THINGS || over)
        return n ? found[pick(n)] : NULL;
    struct thing *t = &things[thing_count++];
    *t = (struct thing){ .sort = sort, .closed = true }; /* not to be found while it opens */
    t->closed = !sort->open(t);
    return t->closed ? NULL : t;
}

void things_begin(void)
{
    thing_count = 0;
    over = false;
    theme = pick(2) ? pick_from_all() : NULL;
}

static struct thing *thing_any(void)
{
    uint32_t i = pick(VALUE_SORTS + SYNC_SORTS + IO_SORTS + 1);

    if (i < VALUE_SORTS)
        return thing_of(value_sorts[i]);
    i -= VALUE_SORTS;
    if (i == SYNC_SORTS + IO_SORTS)
        return thing_of(&pool_sort);
    return thing_of(i < SYNC_SORTS ? sync_sorts[i] : io_sorts[i - SYNC_SORTS]);
}

/* Mostly on objects that operations already use. */
void things_deed(nart_cx *cx)
{
    struct thing *t = thing_count > 0 && pick(4) ? &things[pick(thing_count)] : thing_any();

    if (t && !t->closed)
        t->sort->deed(t, cx);
}

void things_rest(void)
{
    for (uint32_t i = 0; i < thing_count; i++)
        if (things[i].sort->rest && !things[i].closed)
            things[i].sort->rest(&things[i]);
}

void things_end(void)
{
    over = true;
    for (uint32_t i = 0; i < thing_count; i++)
        if (!things[i].closed)
            things[i].sort->close(&things[i]);
}

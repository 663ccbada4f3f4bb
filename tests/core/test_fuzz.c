/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random programs checked against a model of the headers' guarantees. Each task is three levels of
 * bodies that send, receive, sleep, yield, race, spawn, join, cancel, abort, open scopes and
 * shields, and stop or abandon losers; it is also cancelled and aborted from outside. For every
 * answer the model knows whether the task must stop, which scopes have expired and which answers
 * are allowed; and, when all is quiet, that no task waits for something available. Virtual time,
 * fixed seeds. */
#include "core.h"
#include "virtual.h"

enum { LEVELS = 3, CHANNELS = 4, TOPS = 8, IDS = 4096, PARKED = 24 };

/* ---- the model ---- */

static struct {
    bool asked, aborted, ended, dropped;
    nart_res r;
} model[IDS]; /* by task */

static uint32_t program, spawned, dropped;
static uint64_t sent[CHANNELS], taken[CHANNELS]; /* the values are 0, 1, 2 ... */
static long answers, timeouts, cancellations, races;

/* ---- state of the tasks ---- */

struct level {
    nart_co co;
    nart_timer timer;
    nart_join kid;
    nart_tx tx[2];
    int chan[2]; /* of tx */
    nart_res n, m;
    int64_t at;
    uint32_t kid_id, left, act, burst;
    int which, begun;
    bool scoped, stopping, kid_used, in_use;
};

struct parked {
    enum what { ON_SEND, ON_RECV, ON_JOIN } what;
    uint32_t which; /* channel or task */
    int level;
};

struct actor {
    struct level lv[LEVELS];
    uint64_t seed;
    uint32_t id;
    int shield_level, shield_begun; /* owner of the shield: its level, and the run of that level */
    uint32_t shield_poll;           /* in which it was opened */
    int64_t shield_until;
    int parked;
    struct parked on[PARKED];
};

static nart_rt *rt;
static nart_tx first_tx[CHANNELS];
static nart_rx rx[CHANNELS];
static struct actor *actors[IDS]; /* those with a live frame */

/* ---- what the model expects ---- */

enum stop { NO, MAYBE, YES };

static bool shield_holds(const nart_cx *cx, const struct actor *f)
{
    return f->shield_level >= 0 && f->shield_until > cx->now && !model[f->id].aborted;
}

/* Was the shield opened by a body at level d or above? An abandoned body does not count. */
static bool under_shield(const nart_cx *cx, const struct actor *f, int d)
{
    return shield_holds(cx, f) && f->shield_level <= d &&
           f->shield_begun == f->lv[f->shield_level].begun;
}

/* Must operations of level d answer -ECANCELED unconditionally? A body under a shield also hides a
 * NART_STOP, until the poll ends, from everything evaluated after it; one that opens a shield while
 * it is being stopped hides the task's cancellation from the others from the next poll on. */
static enum stop told_to_stop(const nart_cx *cx, const struct actor *f, int d)
{
    bool maybe = false;

    for (int e = 0; e < d; e++) {
        if (!f->lv[e].stopping)
            continue;
        if (!shield_holds(cx, f) || f->shield_level <= e)
            return YES;
        maybe |= !under_shield(cx, f, d);
    }
    if (!model[f->id].asked)
        return maybe ? MAYBE : NO;
    if (!shield_holds(cx, f))
        return YES;
    return maybe || f->shield_poll == cx->self->polls ? MAYBE : NO;
}

static int64_t own_scope(const struct actor *f, int d)
{
    return f->lv[d].scoped ? f->lv[d].co.deadline : NART_NEVER;
}

static int64_t outer_scope(const nart_cx *cx, const struct actor *f, int d)
{
    int64_t outer = NART_NEVER;

    for (int e = under_shield(cx, f, d) ? f->shield_level : 0; e < d; e++)
        if (own_scope(f, e) < outer)
            outer = own_scope(f, e);
    return outer;
}

static bool right(const nart_cx *cx, nart_res r, enum stop stop, int64_t own, int64_t outer)
{
    if (r == -ECANCELED)
        return stop != NO || outer <= cx->now;
    if (r == -ETIMEDOUT)
        return stop != YES && own <= cx->now && outer > cx->now;
    if (stop == YES) /* it is sticky */
        return false;
    return r != NART_PENDING || (own > cx->now && outer > cx->now) ||
           cx->go <= 0; /* deferred: budget spent */
}

/* Checks every answer of every operation. */
static nart_res judge(nart_cx *cx, struct actor *f, int d, nart_res r)
{
    enum stop stop = told_to_stop(cx, f, d);
    int64_t own = own_scope(f, d), outer = outer_scope(cx, f, d);

    answers++;
    timeouts += r == -ETIMEDOUT;
    cancellations += r == -ECANCELED;
    if (!right(cx, r, stop, own, outer))
        test_fail(__FILE__, __LINE__,
                  "program %u, task %u, level %d: %s; stop expected %d, own scope %" PRId64
                  ", outer %" PRId64 ", now %" PRId64 ", shield of level %d until %" PRId64,
                  program, f->id, d, nart_err_name(r), (int)stop, own, outer, cx->now,
                  f->shield_level, f->shield_until);
    return r;
}

/* An await of level d has completed: its waits are withdrawn, at levels below as well. */
static void forget(struct actor *f, int d)
{
    while (f->parked > 0 && f->on[f->parked - 1].level >= d)
        f->parked--;
}

static nart_res park(struct actor *f, int d, nart_res r, enum what what, uint32_t which)
{
    if (r != NART_PENDING) {
        forget(f, d);
        return r;
    }
    CHECK(f->parked < PARKED);
    f->on[f->parked++] = (struct parked){ what, which, d };
    return r;
}

/* ---- operations, with bookkeeping ---- */

static nart_res op_send(nart_cx *cx, struct actor *f, int d, int k)
{
    struct level *l = &f->lv[d];
    int c = l->chan[k];
    nart_res r = judge(cx, f, d, nart_send(cx, &l->tx[k], &sent[c]));

    if (r == 0)
        sent[c]++;
    return park(f, d, r, ON_SEND, (uint32_t)c);
}

static nart_res op_recv(nart_cx *cx, struct actor *f, int d, int c)
{
    uint64_t v = UINT64_MAX;
    nart_res r = judge(cx, f, d, nart_recv(cx, &rx[c], &v));

    if (r == 0)
        CHECK_EQ(v, taken[c]++); /* none lost, none duplicated, in order */
    return park(f, d, r, ON_RECV, (uint32_t)c);
}

static nart_res op_sleep(nart_cx *cx, struct actor *f, int d)
{
    int64_t at = f->lv[d].at;
    nart_res r = judge(cx, f, d, nart_sleep_until(cx, &f->lv[d].timer, at));

    if (r == 0)
        CHECK_LE(at, virtual_now); /* not early */
    if (r != NART_PENDING)
        forget(f, d);
    return r;
}

static nart_res op_join(nart_cx *cx, struct actor *f, int d)
{
    struct level *l = &f->lv[d];
    nart_res r = judge(cx, f, d, nart_join_await(cx, &l->kid, &l->m));
    uint32_t id = l->kid_id;
    bool aborted =
        model[id].ended ? model[id].r == -ECANCELED && model[id].asked : model[id].aborted;

    if (r == 0) {
        CHECK(!l->kid_used && model[id].ended && !aborted);
        CHECK_RES(l->m, model[id].r);
    } else if (r == NART_EABORTED) {
        CHECK(!l->kid_used && aborted);
    } else if (r == NART_EUSED) {
        CHECK(l->kid_used);
    } else if (r == NART_ESTALE) {
        CHECK_EQ(nart_join_task(&l->kid).gen, 0);
    }
    if (r == 0 || r == NART_EABORTED)
        l->kid_used = true;
    return park(f, d, r, ON_JOIN, id);
}

static void ask(uint32_t id, nart_task task, bool to_abort)
{
    nart_res r = to_abort ? nart_task_abort(rt, task) : nart_task_cancel(rt, task);

    CHECK(r == 0 || r == NART_ESTALE);
    if (r)
        return;
    CHECK(!model[id].ended);
    model[id].asked = true;
    model[id].aborted |= to_abort;
}

static uint32_t new_actor(uint64_t seed, nart_join *join);

/* ---- the bodies ---- */

static void open_shield(nart_cx *cx, struct actor *f, int d, int64_t ns)
{
    if (ns <= 0 || shield_holds(cx, f) || model[f->id].aborted)
        return;
    f->shield_level = d;
    f->shield_begun = f->lv[d].begun;
    f->shield_poll = cx->self->polls;
    f->shield_until = nart_now(cx) + ns;
}

static void close_shield(struct actor *f, int d)
{
    if (f->shield_level == d && f->shield_begun == f->lv[d].begun)
        f->shield_level = -1;
}

static nart_res body(nart_cx *cx, struct actor *f, int d)
{
    struct level *l = &f->lv[d];
    const int e = d + 1 < LEVELS ? d + 1 : 0; /* the level below, if any */

    NART_BEGIN(cx, &l->co);
    l->begun++;
    l->n = 0;
    for (l->left = random_below(&f->seed, 14); l->left-- > 0;) {
        l->act = (uint32_t)random_next(&f->seed);
        nart_timer_cancel(&l->timer);
        l->at = virtual_now + (int64_t)random_below(&f->seed, 20) * NART_MS;
        l->scoped = false;
        switch (l->act % 20) { /* actions without an await */
        case 0:
            nart_join_release(&l->kid);
            l->kid_used = false;
            l->kid_id = new_actor(random_next(&f->seed), &l->kid);
            break;
        case 1:
            ask(l->kid_id, nart_join_task(&l->kid), l->act & 0x100);
            break;
        case 2:
            if (l->act & 0x700)
                break;
            ask(f->id, nart_cx_task(cx), l->act & 0x800);
            break;
        default:
            break;
        }
        if (l->act % 20 == 3) {
            NART_AWAIT(l->n, op_send(cx, f, d, 0));
        } else if (l->act % 20 == 4) {
            NART_AWAIT(l->n, op_recv(cx, f, d, l->chan[0]));
        } else if (l->act % 20 == 5) {
            l->scoped = true;
            NART_AWAIT_FOR(l->n, 5 * NART_MS, op_send(cx, f, d, 1));
        } else if (l->act % 20 == 6) {
            l->scoped = true;
            NART_AWAIT_UNTIL(l->n, l->at, op_recv(cx, f, d, l->chan[1]));
        } else if (l->act % 20 == 7) {
            NART_AWAIT(l->n, op_sleep(cx, f, d));
        } else if (l->act % 20 == 8) {
            NART_YIELD();
        } else if (l->act % 20 == 9) {
            races++;
            NART_AWAIT_ANY(l->which, l->n, op_recv(cx, f, d, l->chan[0]), op_send(cx, f, d, 1),
                           op_sleep(cx, f, d));
            CHECK(!l->tx[1].wait.task);
        } else if (l->act % 20 == 10) {
            races++;
            NART_AWAIT_ANY(l->which, l->n, op_send(cx, f, d, 0), op_join(cx, f, d),
                           op_recv(cx, f, d, l->chan[1]), op_sleep(cx, f, d));
            CHECK(!l->tx[0].wait.task && !l->kid.wait.task);
        } else if (l->act % 20 == 11) {
            l->scoped = true;
            NART_AWAIT_FOR(l->n, 3 * NART_MS, op_join(cx, f, d));
        } else if (l->act % 20 == 12 && e && !f->lv[e].in_use) {
            l->scoped = true;
            f->lv[e].in_use = true;
            NART_AWAIT_FOR(l->n, (int64_t)(l->act >> 8 & 15) * NART_MS, body(cx, f, e));
            f->lv[e].in_use = false;
        } else if (l->act % 20 == 13 && e && !f->lv[e].in_use) {
            races++;
            f->lv[e].in_use = true;
            NART_AWAIT_ANY(l->which, l->n, body(cx, f, e), op_recv(cx, f, d, l->chan[1]),
                           op_sleep(cx, f, d));
            if (l->which != 0 && l->act & 0x10000) {
                l->stopping = true;
                NART_STOP(l->n, body(cx, f, e));
                l->stopping = false;
            } else if (l->which != 0 && l->act & 0x20000) {
                nart_co_init(&f->lv[e].co); /* abandoned */
            } else if (l->which != 0) {
                NART_AWAIT(l->n, body(cx, f, e)); /* resumes it */
            }
            f->lv[e].in_use = false;
        } else if (l->act % 20 == 14 && e && !f->lv[e].in_use) {
            races++;
            l->scoped = true;
            f->lv[e].in_use = true;
            NART_AWAIT_FOR(l->n, 8 * NART_MS,
                           NART_ANY(l->which, op_send(cx, f, d, 0), body(cx, f, e)));
            if (nart_co_active(&f->lv[e].co)) {
                l->scoped = false;
                nart_co_init(&f->lv[e].co);
            }
            f->lv[e].in_use = false;
        } else if (l->act % 20 == 15) {
            open_shield(cx, f, d, 4 * NART_MS);
            NART_SHIELD(4 * NART_MS);
            NART_AWAIT(l->n, op_recv(cx, f, d, l->chan[0]));
            NART_AWAIT(l->n, op_sleep(cx, f, d));
            if (l->act & 0x100) {
                NART_UNSHIELD();
                close_shield(f, d);
            }
        } else if (l->act % 20 == 16) {
            for (l->burst = 0; l->burst < 300; l->burst++) { /* more than the budget */
                l->at = 0;
                NART_AWAIT(l->n, op_sleep(cx, f, d));
                if (l->n < 0)
                    break;
            }
        } else if (l->act % 20 == 17) {
            NART_AWAIT(l->n, op_join(cx, f, d));
        }
        if (l->n == -ECANCELED && random_below(&f->seed, 4))
            break; /* most unwind, some continue */
    }
    l->scoped = false;
    close_shield(f, d);
    forget(f, d - 1);
    NART_END(l->n);
}

static nart_res actor_poll(nart_cx *cx, void *frame)
{
    struct actor *f = frame;

    f->parked = 0;
    CHECK(nart_cx_cancelled(cx) == (told_to_stop(cx, f, 0) == YES));
    nart_res r = body(cx, f, 0);
    if (r == NART_PENDING)
        return r;
    r = r == -ECANCELED ? r : (nart_res)(f->id + 1000);
    model[f->id].ended = true;
    model[f->id].r = r;
    return r;
}

static void actor_drop(void *frame)
{
    struct actor *f = frame;

    CHECK(!model[f->id].dropped);
    CHECK(model[f->id].ended || model[f->id].aborted);
    model[f->id].dropped = true;
    actors[f->id] = NULL;
    dropped++;
    for (int d = 0; d < LEVELS; d++) {
        struct level *l = &f->lv[d];
        for (int k = 0; k < 2; k++) {
            CHECK(!l->tx[k].wait.task);
            nart_tx_close(&l->tx[k]);
        }
        CHECK(!l->kid.wait.task);
        if (random_below(&f->seed, 2))
            ask(l->kid_id, nart_join_task(&l->kid), true);
        nart_join_release(&l->kid);
    }
}

static const nart_task_type actor_type = NART_TASK_TYPE(struct actor, actor_poll, actor_drop);

static uint32_t new_actor(uint64_t seed, nart_join *join)
{
    nart_res err;
    struct actor *f = spawned + 1 < IDS ? nart_rt_spawn_begin(rt, &actor_type, &err) : NULL;

    if (!f) {
        memset(join, 0, sizeof *join);
        return 0;
    }
    uint32_t id = ++spawned; /* 0 means none */
    f->id = id;
    f->seed = seed;
    f->shield_level = -1;
    for (int d = 0; d < LEVELS; d++)
        for (int k = 0; k < 2; k++) {
            f->lv[d].chan[k] = (int)random_below(&f->seed, CHANNELS);
            CHECK_RES(nart_tx_clone(&first_tx[f->lv[d].chan[k]], &f->lv[d].tx[k]), 0);
        }
    actors[id] = f;
    CHECK_RES(nart_rt_spawn_commit(rt, f, join), 0);
    return id;
}

/* ---- nothing is ready or due: every waiter has a reason ---- */

static void check_rest(void)
{
    for (uint32_t id = 1; id <= spawned; id++) {
        const struct actor *f = actors[id];
        if (!f || model[id].ended || model[id].aborted)
            continue;
        CHECK_LE(1, f->parked);
        for (int i = 0; i < f->parked; i++) {
            uint32_t w = f->on[i].which;
            uint64_t in = sent[w % CHANNELS] - taken[w % CHANNELS];
            if (f->on[i].what == ON_SEND)
                CHECK_EQ(in, nart_tx_capacity(&first_tx[w]));
            else if (f->on[i].what == ON_RECV)
                CHECK_EQ(in, 0);
            else
                CHECK(!model[w].ended && !model[w].dropped);
        }
    }
    for (int c = 0; c < CHANNELS; c++)
        CHECK_EQ(nart_rx_len(&rx[c]), sent[c] - taken[c]);
}

/* ---- one program ---- */

static void run(uint64_t seed, uint32_t slots)
{
    nart_join top[TOPS];
    uint32_t ids[TOPS];

    memset(model, 0, sizeof model);
    memset(actors, 0, sizeof actors);
    memset(sent, 0, sizeof sent);
    memset(taken, 0, sizeof taken);
    spawned = dropped = 0;
    rt = NEW_RT(SLOTS(slots));
    for (int c = 0; c < CHANNELS; c++)
        new_chan(rt, 1u << random_below(&seed, 3), &first_tx[c], &rx[c]);
    for (int i = 0; i < TOPS; i++)
        ids[i] = new_actor(random_next(&seed), &top[i]);

    bool alive = true;
    for (int turns = 0; alive && turns < 3000; turns++) {
        alive = step(rt);
        uint32_t r = (uint32_t)random_next(&seed), i = r >> 8 & (TOPS - 1);
        if (!alive) {
            check_rest();
            if (nart_rt_task_count(rt) > 0 && r % 8) { /* make them active again */
                uint64_t v;
                int c = (int)(r >> 16 & (CHANNELS - 1));
                if (nart_try_send(&first_tx[c], &sent[c]) == 0)
                    sent[c]++;
                else if (nart_try_recv(&rx[c], &v) == 0)
                    CHECK_EQ(v, taken[c]++);
                alive = true;
            }
        }
        if (r % 16 == 0)
            ask(ids[i], nart_join_task(&top[i]), false);
        if (r % 64 == 1)
            ask(ids[i], nart_join_task(&top[i]), true);
        if (r % 32 == 2)
            nart_join_release(&top[i]);
        if (r % 16 == 3 && nart_join_task(&top[i]).gen == 0)
            ids[i] = new_actor(random_next(&seed), &top[i]);
    }
    for (int i = 0; i < TOPS; i++)
        if (random_below(&seed, 2))
            nart_join_release(&top[i]);
    for (uint32_t id = 1; id <= spawned; id++)
        if (!model[id].ended)
            model[id].asked = model[id].aborted = true;
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(dropped, spawned);
    for (int i = 0; i < TOPS; i++)
        nart_join_release(&top[i]);
    for (int c = 0; c < CHANNELS; c++) {
        uint64_t v;
        while (nart_try_recv(&rx[c], &v) == 0)
            CHECK_EQ(v, taken[c]++);
        CHECK_EQ(sent[c], taken[c]);
        nart_tx_close(&first_tx[c]);
        nart_rx_close(&rx[c]);
    }
}

static void run_many(uint32_t first, uint32_t programs, uint32_t slots)
{
    for (program = first; program < first + programs; program++)
        run(program * 2654435761u | 1, slots);
    CHECK_LE(20000, answers);
    CHECK_LE(200, timeouts);
    CHECK_LE(500, cancellations);
    CHECK_LE(500, races);
}

TEST(programs_with_room)
{
    run_many(1, 200, 300);
}

TEST(programs_short_of_slots)
{
    run_many(1000, 200, 16);
}

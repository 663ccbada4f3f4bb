/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_rt_dump(): every task with its chain of awaits, compared with golden/dump.txt. */
#include "dump_tasks.h"
#include "virtual.h"

#include <nart/nursery.h>
#include <nart/sync.h>
#include <stdio.h>

FIXTURE_RT();
static char text[8192];

static const char *slurp(FILE *f)
{
    CHECK(f);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

static const char *dump(nart_rt *of)
{
    FILE *f = tmpfile();
    CHECK(f);
    nart_rt_dump(of, f);
    return slurp(f);
}

TEST_WITH(every_task_is_shown_with_what_it_waits_for, rt)
{
    nart_join shielded, ended;
    struct conn *c = spawn(rt, &conn_type, NULL);
    struct boss *joins = spawn(rt, &joins_type, NULL), *races = spawn(rt, &races_type, NULL);

    new_chan(rt, 1, &c->tx, &c->rx);
    new_chan(rt, 1, &races->tx, &races->rx);
    spawn(rt, &by_hand_type, NULL);
    spawn(rt, &by_hand_type, &joins->join);
    spawn(rt, &by_hand_type, &races->join);
    spawn(rt, &sleeps_type, NULL);
    spawn(rt, &shields_type, &shielded);
    spawn(rt, &ends_type, &ended);
    settle(rt);
    CHECK_RES(cancel(rt, &shielded), 0);
    settle(rt);
    spawn(rt, &yields_type, NULL);
    CHECK_LE(1, nart_rt_poll(rt, 0));
    spawn(rt, &sleeps_type, NULL);

    static char shown[sizeof text];
    strcpy(shown, dump(rt));
    CHECK_STR(shown, slurp(fopen(TEST_SOURCE_DIR "/golden/dump.txt", "r")));
    nart_join_release(&shielded);
    nart_join_release(&ended);
}

TEST_WITH(deadlines_count_from_now_however_long_the_loop_stood, rt)
{
    spawn(rt, &sleeps_type, NULL);
    settle(rt);
    virtual_now += 4 * NART_SEC;
    CHECK(strstr(dump(rt), "deadline in 3.0 s"));
    virtual_now += 5 * NART_SEC;
    CHECK(strstr(dump(rt), "deadline 2.0 s ago")); /* overdue */
}

/* The previous task of a slot leaves nothing that the dump of the next one would follow. */
TEST_WITH(a_new_task_in_a_slot_shows_nothing_of_the_old_one, rt)
{
    for (int boxed = 0; boxed < 2; boxed++) {
        nart_join join;
        CHECK_RES(boxed ? nart_rt_spawn_boxed(rt, &decides_type, NULL, &join)
                        : nart_rt_spawn(rt, &decides_type, NULL, &join),
                  0);
        settle(rt);
        CHECK(nart_join_done(&join));
        nart_join_release(&join);
        CHECK_RES(boxed ? nart_rt_spawn_boxed(rt, &yields_type, NULL, &join)
                        : nart_rt_spawn(rt, &yields_type, NULL, &join),
                  0);
        CHECK(strstr(dump(rt), "ready: not polled yet\n"));
        CHECK_RES(abort_task(rt, &join), 0);
        settle(rt);
        nart_join_release(&join);
    }
}

/* ---- from within a poll ---- */

struct looks {
    nart_co co;
};

static nart_res looks_run(nart_cx *cx, void *frame)
{
    struct looks *f = frame;

    NART_BEGIN(cx, &f->co);
    dump(nart_cx_rt(cx));
    CHECK(strstr(text, "looks#0 running\n")); /* what it waited for before is over */
    NART_END(0);
}

static const nart_task_type looks_type = NART_TASK_TYPE(struct looks, looks_run, NULL);

TEST_WITH(a_task_can_have_its_runtime_dumped, rt)
{
    CHECK_RES(nart_block_on(rt, &looks_type, NULL, NULL), 0);
    CHECK_STR(dump(rt), "nart: 0 tasks\n");
}

/* ---- what a task holds ---- */

struct owner {
    nart_co co;
    nart_nursery kids;
    nart_timer timer;
};

static nart_res owner_run(nart_cx *cx, void *frame)
{
    struct owner *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    r = nart_nursery_open(cx, &f->kids, 0);
    if (r == 0)
        r = nart_nursery_spawn(cx, &f->kids, &sleeps_type, NULL);
    if (r == 0)
        NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_SEC));
    if (r == 0)
        NART_AWAIT(r, nart_nursery_join(cx, &f->kids, NULL));
    NART_END(r);
}

static const nart_task_type owner_type = NART_TASK_TYPE(struct owner, owner_run, NULL);

TEST_WITH(an_open_nursery_is_not_what_its_owner_waits_for, rt)
{
    spawn(rt, &owner_type, NULL);
    settle(rt);
    dump(rt);
    CHECK(strstr(text, "holds a nursery  deadline in 1.0 s\n"));
    CHECK(strstr(text, "sleep  deadline in 1.0 s\n"));
    virtual_now += NART_SEC;
    settle(rt);
    dump(rt);
    CHECK(strstr(text, "  nursery\n"));
    CHECK(!strstr(text, "holds a nursery"));
}

/* ---- very many waits ---- */

enum { VERY_MANY = 200000 };

static nart_notify never;
static nart_waiter *waiters;

static nart_res very_many_poll(nart_cx *cx, void *frame)
{
    nart_res r = NART_PENDING;

    (void)frame;
    for (int i = 0; i < VERY_MANY && r == NART_PENDING; i++)
        r = nart_notify_await(cx, &never, &waiters[i]);
    return r;
}

TEST(a_dump_of_very_many_waits_needs_little_stack)
{
    static const nart_task_type type = NART_TASK_TYPE(int, very_many_poll, NULL);
    rt_open();

    waiters = calloc(VERY_MANY, sizeof *waiters);
    CHECK(waiters);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    CHECK_EQ(nart_rt_poll(rt, 0), 1);
    char *all;
    size_t size;
    FILE *out = open_memstream(&all, &size);
    CHECK(out);
    nart_rt_dump(rt, out);
    fclose(out);
    CHECK(strstr(all, "more than 256 waits"));
    free(all);
    rt_close();
    nart_notify_close(&never);
    free(waiters);
}

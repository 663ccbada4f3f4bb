/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tasks that share a world. */
#include "../core/core.h"
#include "world_test.h"

struct adder {
    nart_co co;
    nart_world *world;
    int64_t n;
    int times;
    nart_res r;
};

static nart_res adder_run(nart_cx *cx, void *frame)
{
    struct adder *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->times > 0; f->times--) {
        f->r = alpha_write(f->world, add_number, &f->n);
        if (f->r < 0)
            NART_RETURN(f->r);
        NART_YIELD();
    }
    NART_END(0);
}

static const nart_task_type adder_type = NART_TASK_TYPE(struct adder, adder_run, NULL);

TEST_WITH(three_tasks_share_a_world, world)
{
    nart_rt *rt = new_rt();
    int64_t n = 0;

    CHECK_RES(alpha_add(world, NULL, NULL), 0);
    for (int i = 1; i <= 3; i++) {
        struct adder init = { .world = world, .n = i, .times = 10 };
        CHECK_RES(nart_rt_spawn(rt, &adder_type, &init, NULL), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(alpha_read(world, get_number, &n), 0);
    CHECK_EQ(n, 60);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- accesses of fibers ---- */

struct turn {
    nart_world *world;
    nart_cx *cx;
    int yields;
    nart_res r;
};

static nart_res add_slowly(struct number *value, void *arg)
{
    struct turn *t = arg;

    for (int i = 0; i < t->yields; i++)
        CHECK_RES(nart_yield(t->cx), 0);
    value->n++;
    return 0;
}

static nart_res adds(nart_cx *cx, void *arg)
{
    struct turn *t = arg;

    t->cx = cx;
    t->r =
        t->yields % 2 ? alpha_write(t->world, add_slowly, t) : beta_write(t->world, add_slowly, t);
    return 0;
}

TEST_WITH(an_access_lasts_while_its_function_awaits, world)
{
    nart_rt *rt = new_rt();
    struct turn a = { .world = world, .yields = 3 }, b = { .world = world, .yields = 6 },
                again = { .world = world, .yields = 1 };
    int64_t n = 0;

    CHECK_RES(alpha_add(world, NULL, NULL), 0);
    CHECK_RES(beta_add(world, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(rt, adds, &a, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(rt, adds, &b, NULL, NULL), 0); /* begins later, ends later */
    CHECK_RES(nart_rt_fiber_spawn(rt, adds, &again, NULL, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(a.r, 0);
    CHECK_RES(b.r, 0);
    CHECK_RES(again.r, NART_ECONFLICT);
    CHECK_RES(alpha_read(world, get_number, &n), 0);
    CHECK_EQ(n, 1);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* A task that writes alpha runs the loop of another runtime inside the handler; the task there
 * wants alpha too. */
struct host {
    nart_world *world;
    nart_rt *other;
    nart_res polled;
};

static nart_res drive_the_other(struct number *value, void *arg)
{
    struct host *f = arg;

    f->polled = nart_rt_poll(f->other, 0);
    return value->n;
}

static nart_res host_run(nart_cx *cx, void *frame)
{
    struct host *f = frame;

    (void)cx;
    return alpha_write(f->world, drive_the_other, f);
}

static const nart_task_type host_type = NART_TASK_TYPE(struct host, host_run, NULL);

TEST_WITH(a_task_meets_the_use_of_another_task, numbers)
{
    nart_rt *rt = new_rt(), *other = new_rt();
    struct host init = { .world = world, .other = other };
    nart_join outer = { 0 }, inner = { 0 };
    int64_t n = 0;

    struct adder *b = spawn(other, &adder_type, &inner);
    *b = (struct adder){ .world = world, .n = 5, .times = 1 };
    CHECK_RES(nart_rt_spawn(rt, &host_type, &init, &outer), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK(nart_join_done(&outer));
    CHECK_EQ(((struct host *)nart_join_frame(&outer))->polled, 1);
    CHECK(nart_join_done(&inner));
    CHECK_RES(b->r, NART_ECONFLICT);
    CHECK_RES(alpha_read(world, get_number, &n), 0);
    CHECK_EQ(n, 1);
    nart_join_release(&outer);
    nart_join_release(&inner);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(nart_rt_free(other), 0);
}

/* ---- a handler in a frame, fed by a channel ---- */

static nart_res on_number(struct number *sum, const struct number *factor, const uint64_t *n)
{
    sum->n += factor->n * (int64_t)*n;
    return 0;
}
NART_HANDLER(on_number, const uint64_t, EXCLUSIVE(alpha), SHARED(beta));

struct feeder {
    nart_co co;
    nart_tx tx;
    uint64_t i;
};

static nart_res feeder_run(nart_cx *cx, void *frame)
{
    struct feeder *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 1; f->i <= 100 && r == 0; f->i++)
        NART_AWAIT(r, nart_send(cx, &f->tx, &f->i));
    NART_END(r);
}

static void feeder_drop(void *frame)
{
    nart_tx_close(&((struct feeder *)frame)->tx);
}

static const nart_task_type feeder_type = NART_TASK_TYPE(struct feeder, feeder_run, feeder_drop);

struct eater {
    nart_co co;
    nart_rx rx;
    nart_handler handler;
    uint64_t n;
};

static nart_res eater_run(nart_cx *cx, void *frame)
{
    struct eater *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_recv(cx, &f->rx, &f->n));
        if (r < 0)
            break;
        r = on_number_run(&f->handler, &f->n);
        if (r < 0)
            break;
    }
    NART_END(r);
}

static void eater_drop(void *frame)
{
    struct eater *f = frame;

    nart_rx_close(&f->rx);
    CHECK_RES(nart_handler_finish(&f->handler), 0);
}

static const nart_task_type eater_type = NART_TASK_TYPE(struct eater, eater_run, eater_drop);

static struct eater *start_eater(nart_rt *rt, nart_world *w, nart_tx *tx, nart_join *join)
{
    struct eater *f = spawn(rt, &eater_type, join);

    new_chan(rt, 4, tx, &f->rx);
    CHECK_RES(nart_handler_init(&f->handler, w, &on_number_handler), 0);
    return f;
}

TEST_WITH(a_handler_is_fed_by_tasks, numbers)
{
    nart_rt *rt = new_rt();
    struct feeder feeder = { 0 };
    nart_join join = { 0 };
    int64_t n = 0;

    start_eater(rt, world, &feeder.tx, &join);
    for (int i = 0; i < 2; i++) {
        struct feeder another = { 0 };
        CHECK_RES(nart_tx_clone(&feeder.tx, &another.tx), 0);
        CHECK_RES(nart_rt_spawn(rt, &feeder_type, &another, NULL), 0);
    }
    CHECK_RES(nart_rt_spawn(rt, &feeder_type, &feeder, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK(nart_join_done(&join));
    CHECK_RES(alpha_read(world, get_number, &n), 0);
    CHECK_EQ(n, 1 + 3 * 2 * 5050);
    nart_join_release(&join);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST_WITH(a_task_that_is_aborted_leaves_no_use_behind, numbers)
{
    nart_rt *rt = new_rt();
    nart_join join = { 0 };
    nart_tx tx = { 0 };
    uint64_t ten = 10;
    int64_t n = 0;

    start_eater(rt, world, &tx, &join);
    CHECK_RES(nart_try_send(&tx, &ten), 0);
    settle(rt);
    CHECK_RES(abort_task(rt, &join), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(alpha_write(world, add_number, &n), 0);
    CHECK_RES(alpha_read(world, get_number, &n), 0);
    CHECK_EQ(n, 21);
    nart_join_release(&join);
    nart_tx_close(&tx);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(a_task_finds_that_the_world_has_ended)
{
    world = new_numbers();
    nart_rt *rt = new_rt();
    nart_join join = { 0 };
    nart_tx tx = { 0 };
    uint64_t ten = 10;

    struct eater *f = start_eater(rt, world, &tx, &join);
    settle(rt);
    CHECK_RES(nart_world_free(world), 0);
    CHECK_RES(nart_try_send(&tx, &ten), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(on_number_run(&f->handler, &ten), NART_ESTALE);
    CHECK(nart_join_done(&join)); /* ended with the handler's result */
    nart_join_release(&join);
    nart_tx_close(&tx);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* world.c: tasks measure, and two handlers of a world process the readings. Each handler names what
 * it reads and writes, and can reach nothing else. */
#include <nart/nart.h>

#include <stdio.h>

struct limits {
    int low, high;
};

struct room {
    int degrees;
    bool heating;
};

struct tally {
    unsigned readings, switched;
};

NART_RESOURCE(limits, struct limits);
NART_RESOURCE(room, struct room);
NART_RESOURCE(tally, struct tally);
NART_RESOURCE_DEFINE(limits);
NART_RESOURCE_DEFINE(room);
NART_RESOURCE_DEFINE(tally);

struct reading {
    int degrees;
};

NART_CHAN_TYPED(reading, struct reading);

/* ---- the handlers ---- */

static nart_res keep(struct room *room, struct tally *tally, const struct reading *e)
{
    room->degrees = e->degrees;
    tally->readings++;
    return 0;
}
NART_HANDLER(keep, const struct reading, EXCLUSIVE(room), EXCLUSIVE(tally));

static nart_res heat(const struct limits *limits, struct room *room, struct tally *tally,
                     const struct reading *e)
{
    bool want = e->degrees < limits->low || (room->heating && e->degrees < limits->high);

    if (want != room->heating) {
        room->heating = want;
        tally->switched++;
        printf("%d degrees: heating %s\n", e->degrees, want ? "on" : "off");
    }
    return 0;
}
NART_HANDLER(heat, const struct reading, SHARED(limits), EXCLUSIVE(room), EXCLUSIVE(tally));

/* ---- the tasks ---- */

struct sensor {
    nart_co co;
    nart_tx tx;
    nart_timer timer;
    struct reading now;
    int step, left;
};

static nart_res sensor_run(nart_cx *cx, void *frame)
{
    struct sensor *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (; s->left > 0 && r == 0; s->left--, s->now.degrees += s->step) {
        NART_AWAIT(r, nart_sleep(cx, &s->timer, NART_MS));
        if (r == 0)
            NART_AWAIT(r, reading_send(cx, &s->tx, s->now));
    }
    NART_END(r);
}

static void sensor_drop(void *frame)
{
    struct sensor *s = frame;
    nart_tx_close(&s->tx);
}

static const nart_task_type sensor_type = NART_TASK_TYPE(struct sensor, sensor_run, sensor_drop);

/* Hands each reading to every handler, in their order. */
struct keeper {
    nart_co co;
    nart_rx rx;
    nart_handler handlers[2];
    struct reading reading;
};

static nart_res keeper_run(nart_cx *cx, void *frame)
{
    struct keeper *k = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &k->co);
    for (;;) {
        NART_AWAIT(r, reading_recv(cx, &k->rx, &k->reading));
        if (r < 0)
            break;
        for (int i = 0; i < 2 && r == 0; i++)
            r = nart_handler_run(&k->handlers[i], &k->reading);
        if (r < 0)
            break;
    }
    NART_END(r == NART_ECLOSED ? 0 : r);
}

static void keeper_drop(void *frame)
{
    struct keeper *k = frame;

    nart_rx_close(&k->rx);
    for (int i = 0; i < 2; i++)
        nart_handler_finish(&k->handlers[i]);
}

static const nart_task_type keeper_type = NART_TASK_TYPE(struct keeper, keeper_run, keeper_drop);

/* ---- all together ---- */

static nart_res build(nart_world *world)
{
    static const struct limits limits = { .low = 18, .high = 22 };
    nart_res r = limits_add(world, &limits, NULL);

    if (r == 0)
        r = room_add(world, NULL, NULL);
    if (r == 0)
        r = tally_add(world, NULL, NULL);
    return r;
}

static nart_res start(nart_rt *rt, nart_world *world)
{
    static const nart_handler_type *const types[] = { &keep_handler, &heat_handler };
    struct sensor falling = { .now = { 24 }, .step = -1, .left = 10 };
    nart_res r;
    struct keeper *k = nart_rt_spawn_begin(rt, &keeper_type, &r);

    if (!k)
        return r;
    r = reading_open(rt, NART_CHAN_LOCAL, 4, &falling.tx, &k->rx);
    for (int i = 0; i < 2 && r == 0; i++)
        r = nart_handler_init(&k->handlers[i], world, types[i]);
    nart_rt_spawn_commit(rt, k,
                         NULL); /* tasks that were not spawned are dropped with the runtime */
    if (r == 0)
        r = nart_rt_spawn(rt, &sensor_type, &falling, NULL);
    if (r < 0)
        nart_tx_close(&falling.tx);
    return r;
}

static nart_res check(const struct tally *tally, void *arg)
{
    (void)arg;
    printf("%u readings, switched %u times\n", tally->readings, tally->switched);
    return tally->readings == 10 && tally->switched == 1;
}

int main(void)
{
    nart_world *world = NULL;
    nart_rt *rt = NULL;
    nart_res r = nart_world_new(NULL, &world);

    if (r == 0)
        r = build(world);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = start(rt, world);
    if (r == 0)
        r = nart_rt_run(rt);
    if (r == 0)
        r = tally_read(world, check, NULL);
    if (r < 0)
        fprintf(stderr, "world: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    nart_world_free(world);
    return r == 1 ? 0 : 1;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The programs of examples/ under both drivers: each file is compiled into this one, unchanged. Its main() runs
 * the tasks on a loop; then a C task on tokio spawns the same tasks, from the same types. Not here: world.c,
 * because a world belongs to one thread, and fetch.c, sealer and feedgate, which need a loop beside tokio; the
 * tests of kvproxy run it under both. */
#include "bridge.h"

int echo_main(int argc, char **argv);
int join_main(void);
int poll_main(void);
int race_main(void);
int timeouts_main(void);

#define main echo_main
#include "../../examples/echo.c"
#undef main
#define main join_main
#include "../../examples/join.c"
#undef main
#define main poll_main
#include "../../examples/poll.c"
#undef main
#define main race_main
#include "../../examples/race.c"
#undef main
#define main timeouts_main
#include "../../examples/timeouts.c"
#undef main

#include <nart/net.h>

/* ---- an example on tokio ---- */

/* Spawns the tasks of an example, as its main() does. `*out`: the one whose result counts. */
typedef nart_res start_fn(nart_cx *cx, nart_join *out);

struct stage {
    nart_co co;
    start_fn *start;
    nart_join task;
    nart_res answer;
};

static nart_res stage_run(nart_cx *cx, void *frame)
{
    struct stage *s = frame;
    nart_res r;

    NART_BEGIN(cx, &s->co);
    CHECK_RES(s->start(cx, &s->task), 0);
    NART_AWAIT(r, nart_join_await(cx, &s->task, &s->answer));
    CHECK_RES(r, 0);
    NART_END(s->answer);
}

static void stage_drop(void *frame)
{
    struct stage *s = frame;
    nart_join_release(&s->task);
}

static const nart_task_type stage_type =
    NART_TASK_TYPE_FLAGS(struct stage, stage_run, stage_drop, NART_TASK_SEND);

static nart_res on_tokio(start_fn *begin)
{
    nart_tokio_op op = { 0 };
    int64_t value = -1;

    CHECK_RES(nart_tokio_spawn_task(bridge, &stage_type, &(struct stage){ .start = begin }, &op),
              0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    nart_tokio_op_close(&op);
    return value;
}

/* ---- the examples ---- */

static nart_res start_echo(nart_cx *cx, nart_join *out)
{
    struct server server = { .pause = { 0 } };
    struct client client = { .i = 0 };
    nart_rt *rt = nart_cx_rt(cx);
    nart_addr addr;

    CHECK_RES(nart_addr_parse(&addr, "127.0.0.1:0"), 0);
    CHECK_RES(sock_listen(rt, &server.listener, &addr, &client.to), 0);
    CHECK_RES(nart_spawn(cx, &server_type, &server, NULL), 0);
    return nart_spawn(cx, &client_type, &client, out);
}

TEST_WITH(echo_runs_on_both, both)
{
    char *argv[] = { (char *)"echo", NULL };

    CHECK_EQ(echo_main(1, argv), 0);
    CHECK_EQ(on_tokio(start_echo), 0);
}

static nart_res start_join(nart_cx *cx, nart_join *out)
{
    return nart_spawn(cx, &sum_type, NULL, out);
}

TEST_WITH(join_runs_on_both, both)
{
    CHECK_EQ(join_main(), 0);
    CHECK_EQ(on_tokio(start_join), 285);
}

static struct bell example_bell;

static nart_res start_poll(nart_cx *cx, nart_join *out)
{
    return nart_spawn(cx, &listener_type, &(struct listener){ .bell = &example_bell }, out);
}

TEST_WITH(poll_runs_on_both, both)
{
    struct ringer ringer = { .bell = &example_bell };
    pthread_t thread;

    CHECK_EQ(poll_main(), 0);
    CHECK_EQ(pthread_create(&thread, NULL, ring, &ringer), 0);
    CHECK_EQ(on_tokio(start_poll), 0);
    atomic_store(&ringer.stop, true);
    pthread_join(thread, NULL);
}

static nart_res start_race(nart_cx *cx, nart_join *out)
{
    struct producer p = { 0 };
    struct consumer c = { 0 };

    CHECK_RES(number_open(nart_cx_rt(cx), NART_CHAN_LOCAL, 4, &p.tx, &c.rx), 0);
    CHECK_RES(nart_spawn(cx, &producer_type, &p, NULL), 0);
    return nart_spawn(cx, &consumer_type, &c, out);
}

TEST_WITH(race_runs_on_both, both)
{
    CHECK_EQ(race_main(), 0);
    CHECK_EQ(on_tokio(start_race), 0);
}

static nart_res start_timeouts(nart_cx *cx, nart_join *out)
{
    return nart_spawn(cx, &job_type, NULL, out);
}

TEST_WITH(timeouts_runs_on_both, both)
{
    CHECK_EQ(timeouts_main(), 0);
    CHECK_EQ(on_tokio(start_timeouts), 0);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* redis SOCKET: commands awaited in bodies and in fibers over one connection of hiredis; a reply that comes late; a
 * connection that is lost. */
#include "check.h"
#include "nart_redis.h"

#include <signal.h>
#include <string.h>

enum { TASKS = 50, ROUNDS = 40 };

static nart_rt *rt;

struct client {
    nart_co co;
    nart_redis *redis;
    nart_redis_op op, other;
    int id, round;
};

static bool is(const nart_redis_op *op, int type, const char *text)
{
    return op->reply && op->reply->type == type && strcmp(op->reply->str, text) == 0;
}

/* ---- many tasks, one connection ---- */

static nart_res counting_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    for (c->round = 1; c->round <= ROUNDS; c->round++) {
        NART_AWAIT(r, nart_redis_command(cx, c->redis, &c->op, "INCR body:%d", c->id));
        CHECK_RES(r, 0);
        CHECK(c->op.reply->type == REDIS_REPLY_INTEGER && c->op.reply->integer == c->round);
    }
    nart_redis_op_close(&c->op);
    NART_END(0);
}

NART_TASK_TYPED(counting, struct client, counting_run, NULL);

static nart_res counting_fiber(nart_cx *cx, void *arg)
{
    const struct client *c = arg;
    nart_redis_op op = { 0 };

    for (int round = 1; round <= ROUNDS; round++) {
        CHECK_RES(nart_await(cx, nart_redis_command(cx, c->redis, &op, "INCR fiber:%d", c->id)), 0);
        CHECK(op.reply->integer == round);
    }
    nart_redis_op_close(&op);
    return 0;
}

/* ---- what an operation must stand ---- */

static nart_res never(nart_cx *cx)
{
    nart_res r = nart_op_enter(cx);
    return r ? r : nart_op_park(cx);
}

static void count_value(redisAsyncContext *ac, void *reply, void *arg)
{
    (void)ac;
    *(int *)arg += reply && strcmp(((redisReply *)reply)->str, "1") == 0;
}

static int called_back;

static nart_res hard_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;
    int which = 0;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_redis_command(cx, &c->redis[0], &c->op, "SET a %s", "1"));
    CHECK_RES(r, 0);
    CHECK(is(&c->op, REDIS_REPLY_STATUS, "OK"));
    NART_AWAIT(r, nart_redis_command(cx, &c->redis[0], &c->op, "LPUSH a x"));
    CHECK_RES(r, 0);
    CHECK(c->op.reply->type == REDIS_REPLY_ERROR);
    NART_AWAIT(r, nart_redis_command(cx, &c->redis[0], &c->op, "%y"));
    CHECK_RES(r, -EINVAL);
    /* callbacks of hiredis work beside operations */
    CHECK(redisAsyncCommand(c->redis[0].ac, count_value, &called_back, "GET a") == REDIS_OK);

    /* its deadline passes: the late reply goes to nobody, the next one to its own command */
    NART_AWAIT_FOR(r, 1, nart_redis_command(cx, &c->redis[0], &c->op, "BLPOP list 0"));
    CHECK_RES(r, -ETIMEDOUT);
    CHECK(c->op.reply == NULL);
    NART_AWAIT(r, nart_redis_command(cx, &c->redis[1], &c->op, "RPUSH list late"));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_redis_command(cx, &c->redis[0], &c->op, "ECHO next"));
    CHECK_RES(r, 0);
    CHECK(is(&c->op, REDIS_REPLY_STRING, "next"));
    CHECK(called_back == 1);

    /* it loses a race, and continues when it is called again */
    NART_AWAIT_ANY(which, r, nart_redis_command(cx, &c->redis[0], &c->other, "BLPOP list 0"),
                   nart_redis_command(cx, &c->redis[1], &c->op, "RPUSH other x"));
    CHECK(which == 1);
    NART_AWAIT(r, nart_redis_command(cx, &c->redis[1], &c->op, "RPUSH list won"));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_redis_command(cx, &c->redis[0], &c->other, "BLPOP list 0"));
    CHECK_RES(r, 0);
    CHECK(c->other.reply->elements == 2 && strcmp(c->other.reply->element[1]->str, "won") == 0);

    /* the connection is lost while one waits */
    NART_AWAIT_ANY(
        which, r, nart_redis_command(cx, &c->redis[0], &c->other, "BLPOP list 0"),
        nart_redis_command(cx, &c->redis[1], &c->op, "CLIENT KILL TYPE normal SKIPME yes"));
    if (which == 1)
        NART_AWAIT(r, nart_redis_command(cx, &c->redis[0], &c->other, "BLPOP list 0"));
    CHECK_RES(r, -ECONNRESET);
    nart_redis_op_close(&c->op); /* if it has lost the race: another command is to begin */
    NART_AWAIT(r, nart_redis_command(cx, &c->redis[0], &c->op, "PING"));
    CHECK_RES(r, -ECONNRESET);
    CHECK(c->redis[0].ac == NULL);
    nart_redis_op_close(&c->op);
    nart_redis_op_close(&c->other);
    NART_END(0);
}

NART_TASK_TYPED(hard, struct client, hard_run, NULL);

/* Cancelled before its first command, and then while one is under way. */
static nart_res cancelled_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    if (c->id == 0) {
        NART_AWAIT(r, never(cx));
        CHECK_RES(r, -ECANCELED);
    }
    NART_AWAIT(r, nart_redis_command(cx, c->redis, &c->op, "BLPOP cancelled 0"));
    CHECK_RES(r, -ECANCELED);
    CHECK(!c->op.pending && !c->op.reply);
    NART_END(0);
}

NART_TASK_TYPED(cancelled, struct client, cancelled_run, NULL);

static void abandoned_drop(void *frame)
{
    struct client *c = frame;
    nart_redis_op_close(&c->op);
}

/* Its runtime is freed while it waits. */
static nart_res abandoned_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = nart_redis_command(cx, c->redis, &c->op, "BLPOP abandoned 0");
    return r;
}

NART_TASK_TYPED(abandoned, struct client, abandoned_run, abandoned_drop);

static void connect_to(const char *path, nart_redis *out)
{
    redisAsyncContext *ac = redisAsyncConnectUnix(path);

    CHECK(ac && ac->err == 0);
    CHECK_RES(nart_redis_attach(rt, ac, out), 0);
    CHECK_RES(nart_redis_attach(rt, ac, &(nart_redis){ 0 }), -EINVAL);
}

static void cancel_both(nart_redis *redis)
{
    for (int id = 0; id < 2; id++) {
        nart_join join;
        CHECK_RES(cancelled_rt_spawn(rt, &(struct client){ .redis = redis, .id = id }, &join), 0);
        CHECK(nart_rt_poll(rt, 0) == 1);
        CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
        CHECK_RES(nart_rt_run(rt), 0);
        nart_join_release(&join);
    }
}

int main(int argc, char **argv)
{
    nart_redis redis[2];
    nart_res r = -1;

    CHECK(argc == 2);
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    CHECK_RES(nart_rt_new(NULL, &rt), 0);
    for (int i = 0; i < 2; i++)
        connect_to(argv[1], &redis[i]);
    CHECK_RES(nart_rt_run(rt), 0); /* connections keep no run waiting */
    for (int id = 0; id < TASKS; id++) {
        static struct client fibers[TASKS];
        fibers[id] = (struct client){ .redis = redis, .id = id };
        CHECK_RES(counting_rt_spawn(rt, &(struct client){ .redis = redis, .id = id }, NULL), 0);
        CHECK_RES(nart_rt_fiber_spawn(rt, counting_fiber, &fibers[id], NULL, NULL), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(hard_block_on(rt, &(struct client){ .redis = redis }, &r), 0);
    CHECK_RES(r, 0);
    nart_redis_close(&redis[0]); /* it was lost */
    connect_to(argv[1], &redis[0]);
    cancel_both(&redis[0]);
    CHECK_RES(abandoned_rt_spawn(rt, &(struct client){ .redis = &redis[1] }, NULL), 0);
    CHECK(nart_rt_poll(rt, 0) == 1);
    nart_redis_close(&redis[0]);
    CHECK_RES(nart_rt_free(rt), 0);
    nart_redis_close(&redis[1]);
    return 0;
}

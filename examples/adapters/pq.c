/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pq FOLDER: queries and notifications of libpq awaited in bodies and in fibers, over the socket of PostgreSQL in
 * FOLDER. */
#include "check.h"
#include "nart_pq.h"

#include <string.h>

enum { TASKS = 6, ROUNDS = 20 };

static nart_rt *rt;
static char conninfo[256], two_hosts[320], refused[] = "host=127.0.0.1 port=1 user=postgres";

struct client {
    nart_co co;
    nart_pq pq, second;
    PGnotify *note;
    int round;
    char number[16];
    const char *values[1];
};

static void client_drop(void *frame)
{
    struct client *c = frame;

    nart_pq_close(&c->pq);
    nart_pq_close(&c->second);
}

static bool is(const nart_pq *pq, const char *value)
{
    return PQresultStatus(pq->result) == PGRES_TUPLES_OK && PQntuples(pq->result) == 1 &&
           strcmp(PQgetvalue(pq->result, 0, 0), value) == 0;
}

/* ---- many connections ---- */

static nart_res adding_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_pq_connect(cx, &c->pq, conninfo));
    CHECK_RES(r, 0);
    for (c->round = 0; c->round < ROUNDS; c->round++) {
        (void)snprintf(c->number, sizeof c->number, "%d", c->round);
        c->values[0] = c->number;
        NART_AWAIT(r, nart_pq_query(cx, &c->pq, "select $1::int", 1, c->values));
        CHECK_RES(r, 0);
        CHECK(is(&c->pq, c->number));
    }
    NART_END(0);
}

NART_TASK_TYPED(adding, struct client, adding_run, client_drop);

static nart_res adding_fiber(nart_cx *cx, void *arg)
{
    nart_pq pq = { 0 };

    (void)arg;
    CHECK_RES(nart_await(cx, nart_pq_connect(cx, &pq, conninfo)), 0);
    for (int round = 0; round < ROUNDS; round++) {
        CHECK_RES(nart_await(cx, nart_pq_query(cx, &pq, "select repeat('x', 100000)", 0, NULL)), 0);
        CHECK(PQgetlength(pq.result, 0, 0) == 100000);
    }
    nart_pq_close(&pq);
    return 0;
}

/* ---- what an operation must stand ---- */

static nart_res hard_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_pq_query(cx, &c->pq, "select 1", 0, NULL));
    CHECK_RES(r, -EBADF);
    NART_AWAIT(r, nart_pq_notification(cx, &c->pq, &c->note));
    CHECK_RES(r, -EBADF);
    NART_AWAIT(r, nart_pq_connect(cx, &c->pq, refused));
    CHECK_RES(r, -ECONNRESET);
    CHECK(c->pq.conn == NULL && strstr(c->pq.message, "refused"));
    /* the first address refuses, and libpq tries the next one with another socket of the same number */
    NART_AWAIT(r, nart_pq_connect(cx, &c->pq, two_hosts));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_pq_connect(cx, &c->pq, two_hosts));
    CHECK_RES(r, -EINVAL);
    NART_END(0);
}

NART_TASK_TYPED(hard, struct client, hard_run, client_drop);

static nart_res listening_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;
    int which = 0;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_pq_connect(cx, &c->pq, conninfo));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_pq_connect(cx, &c->second, conninfo));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_pq_query(cx, &c->pq, "select nonsense", 0, NULL));
    CHECK_RES(r, 0);
    CHECK(PQresultStatus(c->pq.result) == PGRES_FATAL_ERROR);

    /* its deadline passes: the next query gets its own result */
    NART_AWAIT_FOR(r, 1, nart_pq_query(cx, &c->pq, "select pg_sleep(0.02)", 0, NULL));
    CHECK_RES(r, -ETIMEDOUT);
    NART_AWAIT(r, nart_pq_query(cx, &c->pq, "select 'own'", 0, NULL));
    CHECK_RES(r, 0);
    CHECK(is(&c->pq, "own"));

    /* it loses a race, and continues */
    NART_AWAIT_ANY(which, r, nart_pq_query(cx, &c->pq, "select pg_advisory_lock(1)", 0, NULL),
                   nart_pq_query(cx, &c->second, "select 1", 0, NULL));
    CHECK_RES(r, 0);
    if (which == 0)
        NART_AWAIT(r, nart_pq_query(cx, &c->second, "select 1", 0, NULL));
    else
        NART_AWAIT(r, nart_pq_query(cx, &c->pq, "select pg_advisory_lock(1)", 0, NULL));
    CHECK_RES(r, 0);

    /* notifications: while one waits, and before */
    NART_AWAIT(r, nart_pq_query(cx, &c->pq, "listen news", 0, NULL));
    CHECK_RES(r, 0);
    NART_AWAIT_FOR(r, 1, nart_pq_notification(cx, &c->pq, &c->note));
    CHECK_RES(r, -ETIMEDOUT);
    for (c->round = 0; c->round < 2; c->round++) {
        NART_AWAIT_ANY(which, r, nart_pq_notification(cx, &c->pq, &c->note),
                       nart_pq_query(cx, &c->second, "notify news, 'text'", 0, NULL));
        CHECK_RES(r, 0);
        if (which == 1)
            NART_AWAIT(r, nart_pq_notification(cx, &c->pq, &c->note));
        else
            NART_AWAIT(r, nart_pq_query(cx, &c->second, "notify news, 'text'", 0, NULL));
        CHECK_RES(r, 0);
        CHECK(strcmp(c->note->relname, "news") == 0 && strcmp(c->note->extra, "text") == 0);
        PQfreemem(c->note);
    }

    /* the connection is lost while it waits */
    NART_AWAIT(r, nart_pq_query(cx, &c->second,
                                "select pg_terminate_backend(pid) from pg_stat_activity "
                                "where query = 'listen news'",
                                0, NULL));
    CHECK_RES(r, 0);
    NART_AWAIT(r, nart_pq_notification(cx, &c->pq, &c->note));
    CHECK_RES(r, -ECONNRESET);
    CHECK(c->pq.conn == NULL);
    NART_END(0);
}

NART_TASK_TYPED(listening, struct client, listening_run, client_drop);

/* Is cancelled, or its runtime is freed. */
static nart_res slow_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_pq_connect(cx, &c->pq, conninfo));
    CHECK_RES(r, -ECANCELED);
    CHECK(c->pq.conn == NULL);
    NART_END(0);
}

NART_TASK_TYPED(slow, struct client, slow_run, client_drop);

int main(int argc, char **argv)
{
    nart_res r = -1;

    CHECK(argc == 2);
    (void)snprintf(conninfo, sizeof conninfo, "host=%s user=postgres", argv[1]);
    (void)snprintf(two_hosts, sizeof two_hosts, "host=127.0.0.1,%s port=1,5432 user=postgres",
                   argv[1]);
    CHECK_RES(nart_rt_new(NULL, &rt), 0);
    for (int i = 0; i < TASKS; i++) {
        CHECK_RES(adding_rt_spawn(rt, NULL, NULL), 0);
        CHECK_RES(nart_rt_fiber_spawn(rt, adding_fiber, NULL, NULL, NULL), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(hard_block_on(rt, NULL, &r), 0);
    CHECK_RES(r, 0);
    CHECK_RES(listening_block_on(rt, NULL, &r), 0);
    CHECK_RES(r, 0);
    check_ends(rt, &slow_type);
    return 0;
}

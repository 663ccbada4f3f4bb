/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kvproxy.c: a key-value proxy. The hot half is C, on nart's loop: sockets, parsing, and a cache. The cold half
 * is a client of redis in Rust, on tokio's threads: redis/src/lib.rs.
 *
 *   cmake --preset release && cmake --build --preset release --target kvproxy
 *   redis-server --appendonly yes &
 *   build/release/examples/kvproxy/kvproxy -l 127.0.0.1:7000 &
 *   nc 127.0.0.1 7000
 *
 *   kvproxy [-l ADDR:PORT] [-r redis://HOST:PORT/] [-c CONNECTIONS] [-q OPERATIONS] [-m CACHED VALUES]
 *           [-d DEADLINE_MS] [-p PATIENCE_MS] [-g GRACE_MS] [-t]
 *
 * A client sends lines and gets one line for each, in their order:
 *
 *   PING             PONG
 *   GET <key>        VALUE <value>, or NONE
 *   SET <key> <...>  OK: redis has acknowledged it. The value is the rest of the line
 *   DEL <key>        OK, or NONE: there was no such key
 *   STATS            the counters
 *
 * or, in place of these:
 *
 *   ERR <text>       the line is wrong, or too long. Nothing was done
 *   BUSY             too many operations run (-q). Nothing was done. Or there are too many connections (-c):
 *                    then the proxy closes this one, too
 *   FAIL <text>      redis is away, or did not answer within the deadline (-d). A SET or DEL was done, or it
 *                    was not: a GET that succeeds tells, and its answer then holds
 *
 * GET is answered from the cache, if it can be, without leaving the loop; also while redis is away. That is right
 * as long as every program that writes to redis does so through this proxy; other writes may stay unseen, and a
 * redis that lost its data may be masked, until the key is written or displaced.
 *
 * A client that closes its connection, or only its sending side, cancels its operation. One that does not read
 * its replies for the patience (-p) is closed. SIGTERM stops accepting, lets requests end within the grace,
 * cancels the rest, and prints the counters.
 *
 * With -t the same tasks run on tokio, one after another, in place of the loop: so the cache needs no lock.
 *
 * Read request.h and cache.h first, then conn.c from its end: conn_run(), answer_hot() (the cache) and
 * cold_run() (redis); then server.c. */
#include "kvproxy.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void proxy_stats(const struct proxy *p, char text[STATS_TEXT])
{
    const struct counts *n = &p->n;

    snprintf(text, STATS_TEXT,
             "open %" PRIu32 " accepted %" PRIu64 " refused %" PRIu64 " requests %" PRIu64
             " hits %" PRIu64 " wrong %" PRIu64 " busy %" PRIu64 " running %" PRIu32
             " submitted %" PRIu64 " ok %" PRIu64 " failed %" PRIu64 " cancelled %" PRIu64,
             p->open, n->accepted, n->refused, n->requests, n->hits, n->wrong, n->busy, p->running,
             n->submitted, n->ok, n->failed, n->cancelled);
}

/* ---- the root task: starts the server, on the loop or on tokio, and ends with SIGTERM ---- */

struct root {
    nart_co co;
    struct server server;
    nart_waiter shutdown;
    nart_join join;
    nart_tokio_op op;
};

static nart_res server_start(nart_cx *cx, struct root *f)
{
    if (f->server.p->on_tokio)
        return nart_tokio_spawn_task(f->server.p->tokio, &server_type, &f->server, &f->op);
    return nart_spawn(cx, &server_type, &f->server, &f->join);
}

static nart_res server_ended(nart_cx *cx, struct root *f)
{
    nart_res result = 0;

    if (f->server.p->on_tokio)
        return nart_tokio_op_await(cx, &f->op, NULL);
    nart_res r = nart_join_await(cx, &f->join, &result);
    return r < 0 ? r : result;
}

static nart_res root_run(nart_cx *cx, void *frame)
{
    struct root *f = frame;
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &f->co);
    r = server_start(cx, f);
    if (r < 0)
        NART_RETURN(r);
    NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &f->shutdown), server_ended(cx, f));
    if (r == 0 && which == 0) {
        nart_tokio_op_cancel(&f->op);
        NART_AWAIT(r, server_ended(cx, f));
    }
    NART_END(r);
}

static void root_drop(void *frame)
{
    struct root *f = frame;

    nart_join_release(&f->join);
    nart_tokio_op_close(&f->op);
}

static const nart_task_type root_type = NART_TASK_TYPE(struct root, root_run, root_drop);

/* Serves until SIGTERM, then ends the tasks and the bridge. 0: nothing was left. */
static nart_res serve(struct proxy *p, nart_rt *rt)
{
    struct root root = { .server = { .p = p } };
    nart_tokio_report report = NART_TOKIO_REPORT_INIT;
    nart_res result = 0;
    char text[STATS_TEXT];

    nart_res r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = nart_block_on(rt, &root_type, &root, &result);
    if (r == 0)
        r = result;
    if (r < 0)
        return r;
    r = nart_rt_shutdown_within(rt, p->grace, 10 * NART_SEC, NULL);
    nart_res ended = nart_tokio_shutdown(p->tokio, 10 * NART_SEC, &report);
    proxy_stats(p, text);
    printf("%s\nsubmitted %" PRIu64 " ok %" PRIu64 " error %" PRIu64 " cancelled %" PRIu64
           " panicked %" PRIu64 " shutdown %" PRIu64 " leaked %" PRIu64 "\n",
           text, report.submitted, report.ok, report.error, report.cancelled, report.panicked,
           report.shutdown, report.leaked_tasks + report.leaked_threads);
    return r < 0 ? r : ended;
}

/* ---- the options ---- */

static bool parse(int argc, char **argv, struct proxy *p, size_t *cached)
{
    int c, n = 0;
    char more;

    while ((c = getopt(argc, argv, "l:r:c:q:m:d:p:g:t")) != -1) {
        if (strchr("cqmdpg", c) && (sscanf(optarg, "%9d%c", &n, &more) != 1 || n < 0))
            return false;
        if (c == 'l')
            p->listen = optarg;
        else if (c == 'r')
            p->url = optarg;
        else if (c == 'c')
            p->max_open = (uint32_t)n;
        else if (c == 'q')
            p->max_running = (uint32_t)n;
        else if (c == 'm')
            *cached = (size_t)n;
        else if (c == 'd')
            p->deadline = n * NART_MS;
        else if (c == 'p')
            p->patience = n * NART_MS;
        else if (c == 'g')
            p->grace = n * NART_MS;
        else if (c == 't')
            p->on_tokio = true;
        else
            return false;
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    static struct proxy proxy = {
        .listen = "127.0.0.1:0",
        .url = "redis://127.0.0.1/",
        .max_open = 1000,
        .max_running = 128,
        .deadline = NART_SEC,
        .patience = 10 * NART_SEC,
        .grace = 2 * NART_SEC,
    };
    struct proxy *p = &proxy;
    size_t cached = 4096;
    nart_rt *rt = NULL;

    if (!parse(argc, argv, p, &cached)) {
        fputs("usage: kvproxy [-l ADDR:PORT] [-r URL] [-c CONNECTIONS] [-q OPERATIONS]\n"
              "               [-m VALUES] [-d DEADLINE_MS] [-p PATIENCE_MS] [-g GRACE_MS] [-t]\n",
              stderr);
        return 2;
    }
    nart_res r = cache_open(&p->cache, cached);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_tokio_new(NULL, &p->tokio);
    if (r == 0)
        r = serve(p, rt);
    if (r < 0)
        fprintf(stderr, "kvproxy: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    nart_tokio_free(p->tokio);
    cache_close(&p->cache);
    return r < 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kvproxy.c: a key-value proxy. The hot half is C, on nart's loop: sockets, parsing, and a cache. The cold half
 * is a client of redis in Rust, on tokio's threads: redis/src/lib.rs.
 *
 *   redis-server --appendonly yes &
 *   kvproxy -l 127.0.0.1:7000 &
 *   nc 127.0.0.1 7000
 *
 *   kvproxy [-l ADDR:PORT] [-r redis://HOST:PORT/] [-c CONNECTIONS] [-q OPERATIONS] [-m CACHED VALUES]
 *           [-d DEADLINE_MS] [-p PATIENCE_MS] [-g GRACE_MS]
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
 * Read request.h, cache.h, and then conn.c from its end: conn_run(), answer_hot() (the cache), cold_run()
 * (redis). */
#include "kvproxy.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void proxy_stats(const struct proxy *p, char text[STATS_TEXT])
{
    const struct counts *n = &p->n;

    snprintf(text, STATS_TEXT,
             "open %" PRIu32 " accepted %" PRIu64 " refused %" PRIu64 " requests %" PRIu64
             " hits %" PRIu64 " wrong %" PRIu64 " busy %" PRIu64 " running %" PRIu32
             " submitted %" PRIu64 " ok %" PRIu64 " none %" PRIu64 " failed %" PRIu64
             " cancelled %" PRIu64,
             p->open, n->accepted, n->refused, n->requests, n->hits, n->wrong, n->busy, p->running,
             n->submitted, n->ok, n->none, n->failed, n->cancelled);
}

/* ---- the server ---- */

struct server {
    nart_co co;
    struct proxy *p;
    nart_tcp_listener listener;
    nart_tcp accepted;
    nart_waiter shutdown, closed;
    nart_timer pause;
};

/* As many connections as are served may be open to be refused; others are not accepted yet. */
static nart_res accept_next(nart_cx *cx, struct server *s)
{
    while (s->p->open >= 2 * s->p->max_open) {
        nart_res r = nart_notify_await(cx, &s->p->closed, &s->closed);
        if (r < 0)
            return r;
    }
    return nart_tcp_accept(cx, &s->listener, &s->accepted, NULL);
}

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &s->co);
    for (;;) {
        NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &s->shutdown), accept_next(cx, s));
        if (which == 0 || r == -ECANCELED)
            break;
        if (r == 0)
            r = conn_start(cx, s->p, &s->accepted);
        if (r == 0)
            continue;
        nart_tcp_close(&s->accepted);
        /* out of descriptors or slots: wait until others have ended */
        NART_AWAIT(r, nart_sleep(cx, &s->pause, 10 * NART_MS));
        if (r < 0)
            break;
    }
    NART_END(r);
}

static void server_drop(void *frame)
{
    struct server *s = frame;

    nart_tcp_close(&s->accepted);
    nart_tcp_listener_close(&s->listener);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct server, server_run, server_drop);

static nart_res until_run(nart_cx *cx, void *frame)
{
    return nart_shutdown_await(cx, frame);
}

static const nart_task_type until_type = NART_TASK_TYPE(nart_waiter, until_run, NULL);

/* Opens the listener and spawns the server, which takes it over. */
static nart_res start(struct proxy *p, nart_rt *rt, const char *listen)
{
    struct server server = { .p = p };
    nart_addr addr;
    char text[NART_ADDR_TEXT] = "";

    nart_res r = nart_addr_parse(&addr, listen);
    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &server.listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&server.listener, &addr);
    if (r == 0)
        r = nart_addr_format(&addr, text, sizeof text);
    if (r >= 0)
        r = nart_rt_spawn(rt, &server_type, &server, NULL);
    if (r < 0) {
        server_drop(&server);
        return r;
    }
    printf("listening at %s\n", text);
    fflush(stdout);
    return 0;
}

/* Serves until SIGTERM, then ends the tasks and the bridge. 0: nothing was left. */
static nart_res serve(struct proxy *p, nart_rt *rt, const char *listen, int64_t grace)
{
    nart_tokio_report report = NART_TOKIO_REPORT_INIT;
    char text[STATS_TEXT];

    nart_res r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = start(p, rt, listen);
    if (r == 0)
        r = nart_block_on(rt, &until_type, NULL, NULL);
    if (r < 0)
        return r;
    r = nart_rt_shutdown_within(rt, grace, 10 * NART_SEC, NULL);
    nart_res ended = nart_tokio_shutdown(p->tokio, 10 * NART_SEC, &report);
    proxy_stats(p, text);
    printf("%s\nsubmitted %" PRIu64 " ok %" PRIu64 " error %" PRIu64 " cancelled %" PRIu64
           " panicked %" PRIu64 " shutdown %" PRIu64 " leaked %" PRIu64 "\n",
           text, report.submitted, report.ok, report.error, report.cancelled, report.panicked,
           report.shutdown, report.leaked_tasks + report.leaked_threads);
    return r < 0 ? r : ended;
}

/* ---- the options ---- */

struct options {
    const char *listen;
    size_t cached;
    int64_t grace;
};

static bool parse(int argc, char **argv, struct proxy *p, struct options *o)
{
    int c;

    while ((c = getopt(argc, argv, "l:r:c:q:m:d:p:g:")) != -1) {
        int64_t n = c == '?' || c == 'l' || c == 'r' ? 0 : atoi(optarg);
        switch (c) {
        case 'l':
            o->listen = optarg;
            break;
        case 'r':
            p->url = optarg;
            break;
        case 'c':
            p->max_open = (uint32_t)n;
            break;
        case 'q':
            p->max_running = (uint32_t)n;
            break;
        case 'm':
            o->cached = (size_t)n;
            break;
        case 'd':
            p->deadline = n * NART_MS;
            break;
        case 'p':
            p->patience = n * NART_MS;
            break;
        case 'g':
            o->grace = n * NART_MS;
            break;
        default:
            return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    static struct proxy proxy = { .url = "redis://127.0.0.1/",
                                  .max_open = 1000,
                                  .max_running = 128,
                                  .deadline = NART_SEC,
                                  .patience = 10 * NART_SEC };
    struct proxy *p = &proxy;
    struct options o = { .listen = "127.0.0.1:0", .cached = 4096, .grace = 2 * NART_SEC };
    nart_rt *rt = NULL;

    if (!parse(argc, argv, p, &o)) {
        fputs(
            "usage: kvproxy [-l ADDR:PORT] [-r URL] [-c CONNECTIONS] [-q OPERATIONS] [-m VALUES]\n"
            "               [-d DEADLINE_MS] [-p PATIENCE_MS] [-g GRACE_MS]\n",
            stderr);
        return 2;
    }
    nart_res r = cache_open(&p->cache, o.cached);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_tokio_new(NULL, &p->tokio);
    if (r == 0)
        r = serve(p, rt, o.listen, o.grace);
    if (r < 0)
        fprintf(stderr, "kvproxy: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    nart_tokio_free(p->tokio);
    cache_close(&p->cache);
    return r < 0;
}

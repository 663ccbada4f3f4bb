/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sealer.c: a TCP server whose loop never waits for a disk or for another server.
 *
 *   sealer [-l 127.0.0.1:0] [-a URL] [-q QUEUE] [-g GRACE_MS] JOURNAL
 *
 * A client sends lines and gets one line for each:
 *
 *   PING       PONG, by the loop, at once
 *   SEAL <n>   n rounds of a hash, and a record of it in the journal, on the blocking pool. OK <seq>: it is
 *              on the disk. BUSY: the queue of the pool is full. ERR <text>: it may be in the journal.
 *   STAT       the counters
 *
 * A client that closes its connection, or only its sending side, cancels its SEAL. Each sealed record is
 * announced by a POST to the URL: at most once, because the journal is what counts. SIGTERM stops
 * accepting, lets running work end within the grace, cancels the rest, and prints the counters.
 *
 * Read job_run() (on the pool), seal_run() (a SEAL on the loop) and announcer_run() (HTTP) first. */
#include "journal.h"

#include <nart/nart.h>
#include <nart/net.h>
#include <nart/shutdown.h>
#include <nart/tokio.h>

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, ANNOUNCEMENTS = 1024, TEXT = 512 };

NART_CHAN_TYPED(record, struct record);

struct sealer {
    struct journal journal;
    nart_rt *rt;
    nart_tokio *tokio;
    const char *url;
    /* The loop's: */
    uint64_t accepted, busy, announced;
    /* Those of the pool's threads, too. They are only numbers: relaxed. */
    atomic_uint_fast64_t args, started, unstarted, sealed, stopped, failed, unannounced;
};

static uint64_t get(atomic_uint_fast64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void add(atomic_uint_fast64_t *count, int by)
{
    atomic_fetch_add_explicit(count, (uint_fast64_t)by, memory_order_relaxed);
}

/* In the end an accepted SEAL was unstarted, sealed, stopped or failed; a sealed one was announced or not.
 * `args`: the jobs that exist, accepted or not. */
static void counters(struct sealer *s, char text[TEXT])
{
    snprintf(text, TEXT,
             "tasks %" PRIu32 " accepted %" PRIu64 " busy %" PRIu64 " args %" PRIu64
             " started %" PRIu64 " unstarted %" PRIu64 " sealed %" PRIu64 " stopped %" PRIu64
             " failed %" PRIu64 " announced %" PRIu64 " unannounced %" PRIu64 "\n",
             nart_rt_task_count(s->rt), s->accepted, s->busy, get(&s->args), get(&s->started),
             get(&s->unstarted), get(&s->sealed), get(&s->stopped), get(&s->failed), s->announced,
             get(&s->unannounced));
}

/* ---- a job of the blocking pool ---- */

struct job {
    struct sealer *s;
    nart_tx announcements;
    uint64_t n;
    bool started;
};

static struct job *job_new(struct sealer *s, uint64_t n)
{
    struct job *j = calloc(1, sizeof *j);

    if (j) {
        j->s = s;
        j->n = n;
        add(&s->args, 1);
    }
    return j;
}

/* Called once for each job that was accepted: by the pool's thread after job_run(), or by the thread that
 * cancels a job in the queue. */
static void job_free(void *arg)
{
    struct job *j = arg;

    nart_tx_close(&j->announcements);
    add(&j->s->args, -1);
    free(j);
}

static void job_drop(void *arg)
{
    struct job *j = arg;

    if (!j->started)
        add(&j->s->unstarted, 1);
    job_free(j);
}

/* On a thread of the pool: may block. */
static nart_res job_run(void *arg, const nart_tokio_stop *stop)
{
    struct job *j = arg;
    struct sealer *s = j->s;
    struct record record = { .n = j->n, .seal = j->n };

    j->started = true;
    add(&s->started, 1);
    for (uint64_t i = 0; i < j->n; i++) {
        if (i % 4096 == 0 && nart_tokio_stopped(stop)) {
            add(&s->stopped, 1);
            return -ECANCELED;
        }
        record.seal = mix(record.seal + i);
    }
    int r = journal_append(&s->journal, &record);
    if (r < 0) {
        add(&s->failed, 1);
        return r;
    }
    add(&s->sealed, 1);
    if (s->url && record_try_send(&j->announcements, record) < 0)
        add(&s->unannounced, 1); /* too many are queued: nothing waits for the other server */
    return (nart_res)record.seq;
}

/* ---- announcing: a task that reads from a channel and awaits HTTP requests ---- */

struct announcer {
    nart_co co;
    struct sealer *s;
    nart_rx records;
    struct record record;
    nart_tokio_op op;
    int64_t status;
};

static nart_res post_begin(struct announcer *a)
{
    char text[RECORD_TEXT + 1];
    nart_http_opts post = NART_HTTP_OPTS_INIT;

    record_format(&a->record, text);
    post.url = a->s->url;
    post.method = "POST";
    post.body = text;
    post.body_len = RECORD_TEXT;
    post.timeout_ns = 5 * NART_SEC;
    return nart_http_request(a->s->tokio, &post, &a->op);
}

static nart_res announcer_run(nart_cx *cx, void *frame)
{
    struct announcer *a = frame;
    nart_res r;

    NART_BEGIN(cx, &a->co);
    for (;;) {
        NART_AWAIT(r, record_recv(cx, &a->records, &a->record));
        if (r < 0)
            break; /* cancelled, or all who could send have ended */
        r = post_begin(a);
        if (r == 0)
            NART_AWAIT(r, nart_tokio_op_await(cx, &a->op, &a->status));
        if (r == 0 && a->status / 100 == 2)
            a->s->announced++;
        else
            add(&a->s->unannounced, 1);
        nart_tokio_op_close(&a->op);
    }
    NART_END(r == NART_ECLOSED ? 0 : r);
}

static void announcer_drop(void *frame)
{
    struct announcer *a = frame;

    nart_rx_close(&a->records);
    nart_tokio_op_close(&a->op);
}

static const nart_task_type announcer_type =
    NART_TASK_TYPE(struct announcer, announcer_run, announcer_drop);

/* ---- a connection ---- */

struct conn {
    nart_co co, seal;
    struct sealer *s;
    nart_tcp sock;
    nart_tx announcements;
    nart_waiter shutdown;
    nart_tokio_op op;
    int64_t seq;
    uint64_t n;
    size_t len, done;
    char in[128], line[128], out[TEXT];
};

static nart_res receive(nart_cx *cx, struct conn *c)
{
    return nart_tcp_recv(cx, &c->sock, c->in + c->len, sizeof c->in - c->len);
}

/* Moves the next line of the input to `line`, without its end. */
static bool take_line(struct conn *c)
{
    char *end = memchr(c->in, '\n', c->len);

    if (!end)
        return false;
    size_t n = (size_t)(end - c->in);
    memcpy(c->line, c->in, n);
    c->line[n] = '\0';
    c->len -= n + 1;
    memmove(c->in, end + 1, c->len);
    return true;
}

static nart_res job_begin(struct conn *c)
{
    struct job *j = job_new(c->s, c->n);

    if (!j)
        return -ENOMEM;
    nart_res r = c->s->url ? nart_tx_clone(&c->announcements, &j->announcements) : 0;
    if (r == 0)
        r = nart_tokio_blocking(c->s->tokio, "seal", job_run, j, job_drop, &c->op);
    if (r < 0)
        job_free(j); /* it was not accepted, so it is still ours */
    return r;
}

/* Seals c->n. Answers below 0 if the client has gone: then conn_drop() closes the operation, which removes
 * the job from the queue, or sets its stop flag if it runs. */
static nart_res seal_run(nart_cx *cx, struct conn *c)
{
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &c->seal);
    r = job_begin(c);
    if (r == -EAGAIN) {
        c->s->busy++;
        snprintf(c->out, sizeof c->out, "BUSY\n");
        NART_RETURN(0);
    }
    c->s->accepted += r == 0;
    while (r == 0) {
        NART_AWAIT_ANY(which, r, nart_tokio_op_await(cx, &c->op, &c->seq), receive(cx, c));
        if (r == -ECANCELED || (r < 0 && which == 1))
            NART_RETURN(r); /* cancelled, a broken connection, or more input than fits */
        if (which == 0)
            break;
        if (r == 0)
            NART_RETURN(-ECONNRESET);
        c->len += (size_t)r;
        r = 0;
    }
    if (r < 0)
        snprintf(c->out, sizeof c->out, "ERR %s\n", nart_strerror(r));
    else
        snprintf(c->out, sizeof c->out, "OK %" PRId64 "\n", c->seq);
    nart_tokio_op_close(&c->op);
    NART_END(0);
}

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res r = 0;
    int which = 0;
    char rest;

    NART_BEGIN(cx, &c->co);
    while (r >= 0) {
        if (!take_line(c)) {
            NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &c->shutdown), receive(cx, c));
            if (r < 0 || which == 0 || r == 0)
                break;
            c->len += (size_t)r;
            continue;
        }
        if (strcmp(c->line, "PING") == 0) {
            snprintf(c->out, sizeof c->out, "PONG\n");
        } else if (strcmp(c->line, "STAT") == 0) {
            counters(c->s, c->out);
        } else if (sscanf(c->line, "SEAL %" SCNu64 "%c", &c->n, &rest) == 1) {
            NART_AWAIT(r, seal_run(cx, c));
            if (r < 0)
                break;
        } else {
            snprintf(c->out, sizeof c->out, "ERR unknown command\n");
        }
        NART_AWAIT(r, nart_tcp_send_all(cx, &c->sock, c->out, strlen(c->out), &c->done));
    }
    NART_END(r);
}

static void conn_drop(void *frame)
{
    struct conn *c = frame;

    nart_tokio_op_close(&c->op);
    nart_tx_close(&c->announcements);
    nart_tcp_close(&c->sock);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, conn_drop);

/* ---- the server ---- */

struct server {
    nart_co co;
    struct sealer *s;
    nart_tcp_listener listener;
    nart_tcp accepted;
    nart_tx announcements;
    nart_waiter shutdown;
    nart_timer pause;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *f = frame;
    struct conn *c;
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &f->shutdown),
                       nart_tcp_accept(cx, &f->listener, &f->accepted, NULL));
        if (which == 0 || r == -ECANCELED)
            break;
        if (r == 0 && (c = nart_spawn_begin(cx, &conn_type, &r)) != NULL) {
            c->s = f->s;
            nart_tcp_move(&c->sock, &f->accepted);
            if (f->s->url)
                r = nart_tx_clone(&f->announcements, &c->announcements);
            nart_spawn_commit(cx, c, NULL);
            continue;
        }
        nart_tcp_close(&f->accepted);
        /* out of descriptors or slots: refuse, and wait until others have ended */
        NART_AWAIT(r, nart_sleep(cx, &f->pause, 10 * NART_MS));
        if (r < 0)
            break;
    }
    NART_END(r);
}

static void server_drop(void *frame)
{
    struct server *f = frame;

    nart_tcp_close(&f->accepted);
    nart_tcp_listener_close(&f->listener);
    nart_tx_close(&f->announcements);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct server, server_run, server_drop);

static nart_res until_run(nart_cx *cx, void *frame)
{
    return nart_shutdown_await(cx, frame);
}

static const nart_task_type until_type = NART_TASK_TYPE(nart_waiter, until_run, NULL);

/* Opens the listener and spawns the tasks; they take over what they get. */
static nart_res start(struct sealer *s, const char *listen)
{
    struct server server = { .s = s };
    struct announcer announcer = { .s = s };
    nart_addr addr;
    char text[NART_ADDR_TEXT] = "";

    nart_res r = nart_addr_parse(&addr, listen);
    if (r == 0)
        r = nart_tcp_listen(s->rt, &addr, NULL, &server.listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&server.listener, &addr);
    if (r == 0)
        r = nart_addr_format(&addr, text, sizeof text);
    if (r >= 0 && s->url)
        r = record_open(s->rt, NART_CHAN_MPSC, ANNOUNCEMENTS, &server.announcements,
                        &announcer.records);
    if (r >= 0 && s->url) {
        r = nart_rt_spawn(s->rt, &announcer_type, &announcer, NULL);
        if (r < 0)
            announcer_drop(&announcer);
    }
    if (r >= 0)
        r = nart_rt_spawn(s->rt, &server_type, &server, NULL);
    if (r < 0) {
        server_drop(&server);
        return r;
    }
    printf("listening at %s, %" PRIu64 " records\n", text, s->journal.records);
    fflush(stdout);
    return 0;
}

/* Serves until SIGTERM, then ends the tasks and the bridge. 0: nothing was left. */
static nart_res serve(struct sealer *s, const char *listen, int64_t grace)
{
    nart_tokio_report report = NART_TOKIO_REPORT_INIT;
    char text[TEXT];

    nart_res r = nart_rt_shutdown_on(s->rt, SIGTERM);
    if (r == 0)
        r = start(s, listen);
    if (r == 0)
        r = nart_block_on(s->rt, &until_type, NULL, NULL);
    if (r < 0)
        return r;
    r = nart_rt_shutdown_within(s->rt, grace, NART_SEC, NULL);
    nart_res ended = nart_tokio_shutdown(s->tokio, NART_SEC, &report);
    counters(s, text);
    fputs(text, stdout);
    printf("submitted %" PRIu64 " ok %" PRIu64 " error %" PRIu64 " cancelled %" PRIu64
           " panicked %" PRIu64 " shutdown %" PRIu64 " leaked %" PRIu32 "\n",
           report.submitted, report.ok, report.error, report.cancelled, report.panicked,
           report.shutdown, report.leaked_blocking);
    return r < 0 ? r : ended;
}

int main(int argc, char **argv)
{
    static struct sealer sealer;
    struct sealer *s = &sealer;
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    const char *listen = "127.0.0.1:0";
    int64_t grace = 2 * NART_SEC;
    int c, n = 0;
    bool good = true;
    char more;

    opts.max_blocking = THREADS;
    opts.queue_cap = 64;
    while ((c = getopt(argc, argv, "l:a:q:g:")) != -1) {
        if (strchr("qg", c))
            good = good && sscanf(optarg, "%9d%c", &n, &more) == 1 && n >= 0;
        if (c == 'l')
            listen = optarg;
        else if (c == 'a')
            s->url = optarg;
        else if (c == 'q')
            opts.queue_cap = (uint32_t)n;
        else if (c == 'g')
            grace = n * NART_MS;
        else
            good = false;
    }
    if (!good || optind != argc - 1) {
        fputs("usage: sealer [-l ADDR:PORT] [-a URL] [-q QUEUE] [-g GRACE_MS] JOURNAL\n", stderr);
        return 2;
    }
    nart_res r = journal_open(&s->journal, argv[optind]);
    if (r == 0)
        r = nart_rt_new(NULL, &s->rt);
    if (r == 0)
        r = nart_tokio_new(&opts, &s->tokio);
    if (r == 0)
        r = serve(s, listen, grace);
    if (r < 0)
        fprintf(stderr, "sealer: %s\n", nart_strerror(r));
    nart_rt_free(s->rt);
    nart_tokio_free(s->tokio);
    journal_close(&s->journal);
    return r < 0;
}

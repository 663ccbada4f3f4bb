/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* conn.c: the task of a connection. It reads a line, answers it, and reads the next one. */
#include "kvproxy.h"

#include <redis_client.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct conn {
    nart_co co, cold, wait, leave;
    struct proxy *p;
    nart_tcp sock;
    nart_waiter shutdown;
    bool refused;  /* there are too many connections */
    bool skipping; /* the rest of a line that is too long */
    bool gone;     /* the client */
    bool running;  /* `op` is counted in p->running */
    /* The operation. */
    struct request q; /* in the first line of `in` */
    struct cache_slot *slot;
    uint32_t version;
    nart_tokio_op op;
    /* The first `line` bytes of `in` are the line that is answered; what is behind it was sent ahead. */
    size_t line, len, out_len, done;
    char in[LINE_MAX_LEN + 512], out[VALUE_MAX + 64];
};

/* ---- lines ---- */

static nart_res receive(nart_cx *cx, struct conn *c)
{
    return nart_tcp_recv(cx, &c->sock, c->in + c->len, sizeof c->in - c->len);
}

/* Whether there is a line. Its end is part of `c->line`. */
static bool find_line(struct conn *c)
{
    const char *end = memchr(c->in, '\n', c->len);

    if (end)
        c->line = (size_t)(end - c->in) + 1;
    else if (c->len == sizeof c->in) {
        c->skipping = true;
        c->len = 0;
    }
    return end != NULL;
}

static void drop_line(struct conn *c)
{
    c->len -= c->line;
    memmove(c->in, c->in + c->line, c->len);
    c->line = 0;
}

/* Sets the reply: one line, whatever the texts in it contain. */
__attribute__((format(printf, 2, 3))) static void reply(struct conn *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(c->out, sizeof c->out - 1, format, args);
    va_end(args);
    c->out_len = n < (int)sizeof c->out - 1 ? (size_t)n : sizeof c->out - 2;
    for (size_t i = 0; i < c->out_len; i++) {
        if (c->out[i] == '\n')
            c->out[i] = ' ';
    }
    c->out[c->out_len++] = '\n';
}

static void reply_value(struct conn *c, const char *value, size_t len)
{
    static const char word[] = "VALUE ";

    memcpy(c->out, word, sizeof word - 1);
    memcpy(c->out + sizeof word - 1, value, len);
    c->out_len = sizeof word - 1 + len;
    c->out[c->out_len++] = '\n';
}

/* ---- an operation of redis ---- */

static nart_res operation_begin(struct conn *c)
{
    struct proxy *p = c->p;
    const uint8_t *key = (const uint8_t *)c->q.key, *value = (const uint8_t *)c->q.value;
    nart_res r;

    if (c->q.verb == VERB_GET)
        r = redis_get(p->tokio, p->url, key, c->q.key_len, &c->op);
    else if (c->q.verb == VERB_SET)
        r = redis_set(p->tokio, p->url, key, c->q.key_len, value, c->q.value_len, &c->op);
    else
        r = redis_del(p->tokio, p->url, key, c->q.key_len, &c->op);
    if (r < 0)
        return r;
    p->n.submitted++;
    p->running++;
    c->running = true;
    c->version = c->slot->version;
    if (c->q.verb != VERB_GET)
        cache_write_begin(c->slot, c->q.key, c->q.key_len);
    return 0;
}

/* The operation has ended. Counts it, and sets the reply. */
static void operation_end(struct conn *c)
{
    struct proxy *p = c->p;
    int64_t found = 1; /* 0: there is no such key */
    size_t len;
    const char *text = nart_tokio_op_message(&c->op, &len);
    nart_res r = nart_tokio_op_try(&c->op, c->q.verb == VERB_SET ? NULL : &found);

    p->running--;
    c->running = false;
    if (c->q.verb != VERB_GET)
        cache_write_end(c->slot);
    p->n.ok += r == 0;
    p->n.cancelled += r == NART_EABORTED;
    p->n.failed += r < 0 && r != NART_EABORTED;
    if (r == NART_EABORTED) {
        reply(c, "FAIL redis did not answer in time");
    } else if (r < 0) {
        reply(c, "FAIL %s", *text ? text : nart_strerror(r));
    } else if (!found) {
        reply(c, "NONE");
    } else if (c->q.verb != VERB_GET) {
        reply(c, "OK");
    } else if (len > VALUE_MAX || memchr(text, '\n', len)) {
        reply(c, "FAIL another program has set a value that is too long, or not a line");
    } else {
        reply_value(c, text, len);
        cache_fill(c->slot, c->version, c->q.key, c->q.key_len, text, len);
    }
    nart_tokio_op_close(&c->op);
}

/* Waits until the operation has ended, or the client has gone. What it sends meanwhile is kept for later, as
 * much as there is space for; the rest stays in the system's buffers, so that a client that sends too much
 * ahead has to wait. */
static nart_res wait_run(nart_cx *cx, struct conn *c)
{
    nart_res r = 0;
    int which = 0;

    NART_BEGIN(cx, &c->wait);
    while (c->len < sizeof c->in) {
        NART_AWAIT_ANY(which, r, nart_tokio_op_await(cx, &c->op, NULL), receive(cx, c));
        if (which == 0 || r == -ECANCELED)
            NART_RETURN(r);
        c->gone = r <= 0;
        if (c->gone)
            NART_RETURN(r);
        c->len += (size_t)r;
    }
    NART_AWAIT(r, nart_tokio_op_await(cx, &c->op, NULL));
    NART_END(r);
}

/* Answers what the cache cannot answer. An operation that is abandoned, by the deadline, by a client that
 * has gone or by a shutdown, is cancelled, and then awaited: once it has ended, a write is with redis or never
 * will be, so later reads see it or nobody does. */
static nart_res cold_run(nart_cx *cx, struct conn *c)
{
    struct proxy *p = c->p;
    nart_res r = 0;

    NART_BEGIN(cx, &c->cold);
    if (p->running >= p->max_running) {
        p->n.busy++;
        reply(c, "BUSY");
        NART_RETURN(0);
    }
    r = operation_begin(c);
    if (r < 0) {
        reply(c, "FAIL %s", nart_strerror(r));
        NART_RETURN(0);
    }
    nart_co_init(&c->wait);
    NART_AWAIT_FOR(r, p->deadline, wait_run(cx, c));
    if (nart_tokio_op_status(&c->op) == NART_TOKIO_STATUS_RUNNING) {
        nart_tokio_op_cancel(&c->op);
        NART_SHIELD(5 * NART_SEC);
        NART_AWAIT(r, nart_tokio_op_await(cx, &c->op, NULL));
        NART_UNSHIELD();
    }
    if (nart_tokio_op_status(&c->op) == NART_TOKIO_STATUS_RUNNING)
        NART_RETURN(r); /* conn_drop() abandons it */
    operation_end(c);
    NART_END(c->gone ? -ECONNRESET : 0);
}

/* ---- a request ---- */

/* Answers the line if redis is not needed for that. */
static bool answer_hot(struct conn *c)
{
    struct proxy *p = c->p;
    size_t len = c->line - 1;
    const char *wrong, *value;
    char text[STATS_TEXT];

    p->n.requests++;
    if (len > 0 && c->in[len - 1] == '\r')
        len--;
    wrong = c->skipping ? "the line is too long" : request_parse(&c->q, c->in, len);
    c->skipping = false;
    if (wrong) {
        p->n.wrong++;
        reply(c, "ERR %s", wrong);
        return true;
    }
    if (c->q.verb == VERB_PING) {
        reply(c, "PONG");
        return true;
    }
    if (c->q.verb == VERB_STATS) {
        proxy_stats(p, text);
        reply(c, "STATS %s", text);
        return true;
    }
    c->slot = cache_slot(&p->cache, c->q.key, c->q.key_len);
    value = cache_find(c->slot, c->q.key, c->q.key_len, &len);
    if (c->q.verb != VERB_GET || !value)
        return false;
    p->n.hits++;
    reply_value(c, value, len);
    return true;
}

/* ---- the connection ---- */

static nart_res send_reply(nart_cx *cx, struct conn *c)
{
    return nart_tcp_send_all(cx, &c->sock, c->out, c->out_len, &c->done);
}

/* Ends the stream, and waits for the client to end its own: if bytes of it were not read when the socket is
 * closed, the kernel would discard replies that are under way. */
static nart_res leave_run(nart_cx *cx, struct conn *c)
{
    nart_res r;

    NART_BEGIN(cx, &c->leave);
    r = nart_tcp_shutdown(&c->sock, NART_WRITE);
    for (c->len = 0; r >= 0;) {
        NART_AWAIT(r, receive(cx, c));
        if (r == 0)
            break;
    }
    NART_END(r);
}

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res r = 0;
    int which = 0;

    NART_BEGIN(cx, &c->co);
    if (c->refused) {
        reply(c, "BUSY");
        NART_AWAIT_FOR(r, c->p->patience, send_reply(cx, c));
    }
    while (r >= 0 && !c->refused) {
        if (!find_line(c)) {
            NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &c->shutdown), receive(cx, c));
            if (r < 0 || which == 0 || r == 0)
                break;
            c->len += (size_t)r;
            continue;
        }
        if (!answer_hot(c))
            NART_AWAIT(r, cold_run(cx, c));
        drop_line(c);
        if (r >= 0)
            NART_AWAIT_FOR(r, c->p->patience, send_reply(cx, c));
    }
    if (r >= 0)
        NART_AWAIT_FOR(r, NART_SEC, leave_run(cx, c));
    NART_END(r);
}

static void conn_drop(void *frame)
{
    struct conn *c = frame;
    struct proxy *p = c->p;

    if (c->running) { /* Its slot of the cache is not used any more: nobody knows when a write ends. */
        p->running--;
        p->n.cancelled++;
    }
    nart_tokio_op_close(&c->op);
    nart_tcp_close(&c->sock);
    p->open--;
    nart_notify_one(&p->closed);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, conn_drop);

nart_res conn_start(nart_cx *cx, struct proxy *p, nart_tcp *accepted)
{
    nart_res r;
    struct conn *c = nart_spawn_begin(cx, &conn_type, &r);

    if (!c)
        return r;
    c->p = p;
    c->refused = p->open++ >= p->max_open;
    p->n.accepted++;
    p->n.refused += c->refused;
    nart_tcp_move(&c->sock, accepted);
    return nart_spawn_commit(cx, c, NULL);
}

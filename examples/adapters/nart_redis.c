/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_redis.c: hiredis says by its hooks for which directions it waits; a watch calls it back.
 *
 * hiredis frees a reply when its callback returns. An awaiting task reads it later, so the callback keeps it: the
 * reader's function that frees is replaced by one that spares the reply just handed over. */
#include "nart_redis.h"

#include <stdlib.h>

/* ---- hooks of hiredis ---- */

static void set_dirs(nart_redis *c, uint32_t dirs)
{
    c->dirs = dirs;
    nart_res r = nart_watch_set(&c->watch, dirs, NART_NEVER);
    if (r == 0)
        return;
    c->err = r;
    r = nart_watch_set(&c->watch, 0, 0); /* the hooks have no answer: give up in the next tick */
    (void)r;
}

static void add_read(void *arg)
{
    nart_redis *c = arg;
    set_dirs(c, c->dirs | NART_READ);
}

static void del_read(void *arg)
{
    nart_redis *c = arg;
    set_dirs(c, c->dirs & ~(uint32_t)NART_READ);
}

static void add_write(void *arg)
{
    nart_redis *c = arg;
    set_dirs(c, c->dirs | NART_WRITE);
}

static void del_write(void *arg)
{
    nart_redis *c = arg;
    set_dirs(c, c->dirs & ~(uint32_t)NART_WRITE);
}

/* The context is freed, by hiredis itself when the connection is lost. */
static void cleanup(void *arg)
{
    nart_redis *c = arg;

    nart_watch_stop(&c->watch);
    c->ac = NULL;
    if (c->err == 0)
        c->err = -ECONNRESET;
}

static void on_event(nart_watch *w, uint32_t events, void *arg)
{
    nart_redis *c = arg;

    (void)w;
    if (events & NART_ALARM) {
        redisAsyncFree(c->ac);
        return;
    }
    if (events & NART_READ)
        redisAsyncHandleRead(c->ac);
    if (events & NART_WRITE && c->ac)
        redisAsyncHandleWrite(c->ac);
}

/* ---- replies ---- */

static _Thread_local void *kept; /* the reply that the callback has handed over */

static void free_unless_kept(void *reply)
{
    if (reply != kept)
        freeReplyObject(reply);
    kept = NULL;
}

struct request {
    nart_redis *c;
    nart_oneshot_tx tx;
};

static void on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
    struct request *q = arg;
    struct nart_redis_answer a = { .reply = reply };

    (void)ac;
    if (!reply)
        a.err = q->c->err ? q->c->err : -ECONNRESET;
    if (nart_oneshot_send(&q->tx, &a) == 0) /* else nobody waits any more */
        kept = reply;
    free(q);
}

static void drop_answer(void *value)
{
    struct nart_redis_answer *a = value;

    if (a->reply)
        freeReplyObject(a->reply);
}

/* ---- for users ---- */

nart_res nart_redis_attach(nart_rt *rt, redisAsyncContext *ac, nart_redis *out)
{
    static _Thread_local redisReplyObjectFunctions keeping;

    *out = (nart_redis){ 0 };
    if (!ac || ac->err || ac->ev.data)
        return -EINVAL;
    nart_res r = nart_watch_start(rt, &out->watch, ac->c.fd, on_event, out);
    if (r)
        return r;
    keeping = *ac->c.reader->fn;
    keeping.freeObject = free_unless_kept;
    ac->c.reader->fn = &keeping;
    ac->ev.data = out;
    ac->ev.addRead = add_read;
    ac->ev.delRead = del_read;
    ac->ev.addWrite = add_write;
    ac->ev.delWrite = del_write;
    ac->ev.cleanup = cleanup;
    out->ac = ac;
    return 0;
}

void nart_redis_close(nart_redis *c)
{
    if (c && c->ac)
        redisAsyncFree(c->ac);
}

/* Sends the command. 0 or the error of nart_redis_command(). */
static nart_res begin(nart_redis *c, nart_redis_op *op, const char *format, va_list args)
{
    nart_redis_op_close(op);
    if (!c->ac)
        return c->err ? c->err : -ECONNRESET;
    struct request *q = malloc(sizeof *q);
    if (!q)
        return -ENOMEM;
    *q = (struct request){ .c = c };
    nart_res r = nart_oneshot_link(&op->answer, sizeof op->answer, drop_answer, &q->tx, &op->rx);
    if (r == 0 && redisvAsyncCommand(c->ac, on_reply, q, format, args) != REDIS_OK)
        r = c->ac->c.flags & (REDIS_DISCONNECTING | REDIS_FREEING) ? -ECONNRESET : -EINVAL;
    if (r) {
        nart_oneshot_tx_close(&q->tx);
        nart_oneshot_rx_close(&op->rx);
        free(q);
        return r;
    }
    op->pending = true;
    return 0;
}

nart_res nart_redis_command(nart_cx *cx, nart_redis *c, nart_redis_op *op, const char *format, ...)
{
    if (!op->pending) {
        va_list args;
        nart_res r = nart_op_enter(cx); /* a cancelled task sends nothing */
        if (r)
            return r;
        va_start(args, format);
        r = begin(c, op, format, args);
        va_end(args);
        if (r)
            return r;
    }
    nart_res r = nart_oneshot_recv(cx, &op->rx, &op->answer);
    if (r == NART_PENDING || r == -EBUSY)
        return r;
    op->pending = false;
    if (r) {
        nart_oneshot_rx_close(&op->rx);
        return r;
    }
    op->reply = op->answer.reply;
    return op->answer.err;
}

void nart_redis_op_close(nart_redis_op *op)
{
    if (op->pending)
        nart_oneshot_rx_close(&op->rx); /* drops an answer that was sent */
    if (op->reply)
        freeReplyObject(op->reply);
    op->reply = NULL;
    op->pending = false;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_redis.h: hiredis (0.14 or later) in a nart loop. Copy nart_redis.h and nart_redis.c into your project.
 *
 *     redisAsyncContext *ac = redisAsyncConnect("127.0.0.1", 6379);
 *     r = nart_redis_attach(rt, ac, &redis);
 *     ...
 *     NART_AWAIT(r, nart_redis_command(cx, &redis, &f->op, "GET %s", key));  // r = nart_await(...) in a fiber
 *     if (r == 0)
 *         use(f->op.reply);
 *     nart_redis_op_close(&f->op);
 *
 * Any number of tasks may have a command under way on one connection. Commands with callbacks
 * (redisAsyncCommand()) work beside them, subscriptions included.
 * hiredis writes to sockets that may be closed: ignore SIGPIPE.
 * Thread: all functions are called on the runtime's own. */
#ifndef NART_REDIS_H
#define NART_REDIS_H

#include <nart/nart.h>

#include <hiredis/async.h>

/* A connection. Must stay where it is until it is closed. Zeroed = closed. */
typedef struct nart_redis {
    redisAsyncContext *ac; /* NULL: closed, or the connection was lost */
    nart_watch watch;
    uint32_t dirs;
    nart_res err; /* why it was lost */
} nart_redis;

/* A command and its reply. Zeroed = idle. Does not move while a command is under way. */
typedef struct nart_redis_op {
    redisReply
        *reply; /* of the last command; freed by the next one, and by nart_redis_op_close() */
    nart_oneshot_rx rx;
    struct nart_redis_answer {
        redisReply *reply;
        nart_res err;
    } answer;
    bool pending;
} nart_redis_op;

/* Connects a context to the loop. 0; -EINVAL it failed already (ac->err) or is attached to a loop; errors of
 * nart_watch_start(). On success the context is the connection's; else it stays the caller's. */
NART_MUST_USE nart_res nart_redis_attach(nart_rt *rt, redisAsyncContext *ac, nart_redis *out);

/* Closes: commands that are under way answer -ECONNRESET. Accepts NULL and a closed one. Not in a callback of
 * hiredis. */
void nart_redis_close(nart_redis *c);

/* Sends a command and waits for its reply. @return 0 and op->reply, which can be of type REDIS_REPLY_ERROR;
 * -ECANCELED, -ETIMEDOUT: the server may have executed the command, its reply is dropped; -ECONNRESET the
 * connection was lost or is closed; -EINVAL a format that hiredis does not know; -ENOMEM; errors of
 * nart_watch_set(). An operation that lost a race continues when it is called again; to start another command, close
 * it first. */
NART_MUST_USE nart_res nart_redis_command(nart_cx *cx, nart_redis *c, nart_redis_op *op,
                                          const char *format, ...);

/* Frees the reply, or drops it when it arrives. Call it before the memory ends. Accepts an idle one. */
void nart_redis_op_close(nart_redis_op *op);

#endif

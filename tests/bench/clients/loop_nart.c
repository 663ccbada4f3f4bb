/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

#include <nart_redis.h>
#include <stdlib.h>

static nart_rt *rt;
static nart_notify ended;
static nart_redis redis;

void loop_open(void)
{
    if (nart_rt_new(NULL, &rt) != 0)
        clients_fail("no runtime");
}

static nart_res until_run(nart_cx *cx, void *waiter)
{
    return nart_notify_await(cx, &ended, waiter);
}

NART_TASK_TYPED(until, nart_waiter, until_run, NULL);

void loop_run(void)
{
    if (until_block_on(rt, NULL, NULL) != 0)
        clients_fail("the loop failed");
}

void loop_stop(void)
{
    nart_notify_one(&ended);
}

void loop_close(void)
{
    nart_redis_close(&redis);
    (void)nart_rt_free(rt);
}

void loop_redis(redisAsyncContext *ac)
{
    if (nart_redis_attach(rt, ac, &redis) != 0)
        clients_fail("cannot attach");
}

struct loop_io {
    nart_watch watch;
    loop_io_fn *fn;
    void *arg;
    int fd;
};

static void on_event(nart_watch *w, uint32_t events, void *arg)
{
    const struct loop_io *io = arg;

    (void)w;
    io->fn(io->fd, (events & NART_READ ? CLIENTS_IN : 0) | (events & NART_WRITE ? CLIENTS_OUT : 0),
           io->arg);
}

struct loop_io *loop_io_new(int fd, loop_io_fn *fn, void *arg)
{
    struct loop_io *io = calloc(1, sizeof *io);

    if (!io || nart_watch_start(rt, &io->watch, fd, on_event, io) != 0)
        clients_fail("cannot watch");
    io->fn = fn;
    io->arg = arg;
    io->fd = fd;
    return io;
}

void loop_io_set(struct loop_io *io, int dirs)
{
    if (nart_watch_set(&io->watch,
                       (dirs & CLIENTS_IN ? NART_READ : 0u) |
                           (dirs & CLIENTS_OUT ? NART_WRITE : 0u),
                       NART_NEVER) != 0)
        clients_fail("cannot set");
}

void loop_io_free(struct loop_io *io)
{
    nart_watch_stop(&io->watch);
    free(io);
}

static nart_watch timer;
static void (*timer_fn)(void *arg);

static void on_alarm(nart_watch *w, uint32_t events, void *arg)
{
    (void)w, (void)events;
    timer_fn(arg);
}

void loop_timer(long ms, void (*fn)(void *arg), void *arg)
{
    timer_fn = fn;
    if (!timer.rt && nart_watch_start(rt, &timer, -1, on_alarm, arg) != 0)
        clients_fail("no timer");
    if (nart_watch_set(&timer, 0,
                       ms < 0 ? NART_NEVER : nart_time_add(nart_rt_now(rt), ms * NART_MS)) != 0)
        clients_fail("no timer");
}

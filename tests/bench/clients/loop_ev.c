/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

#include <ev.h>
#include <hiredis/adapters/libev.h>
#include <stdlib.h>

static struct ev_loop *loop;
static ev_timer timer;
static void (*timer_fn)(void *arg);

static void on_timer(struct ev_loop *l, ev_timer *t, int events)
{
    (void)l, (void)events;
    timer_fn(t->data);
}

void loop_open(void)
{
    loop = ev_default_loop(EVBACKEND_EPOLL);
    if (!loop)
        clients_fail("no loop");
    ev_init(&timer, on_timer);
}

void loop_run(void)
{
    (void)ev_run(loop, 0);
}

void loop_stop(void)
{
    ev_break(loop, EVBREAK_ALL);
}

void loop_close(void)
{
    ev_loop_destroy(loop);
}

void loop_redis(redisAsyncContext *ac)
{
    if (redisLibevAttach(loop, ac) != REDIS_OK)
        clients_fail("cannot attach");
}

struct loop_io {
    ev_io io;
    loop_io_fn *fn;
    void *arg;
};

static void on_io(struct ev_loop *l, ev_io *w, int events)
{
    const struct loop_io *io = (const struct loop_io *)w;

    (void)l;
    io->fn(w->fd, (events & EV_READ ? CLIENTS_IN : 0) | (events & EV_WRITE ? CLIENTS_OUT : 0),
           io->arg);
}

struct loop_io *loop_io_new(int fd, loop_io_fn *fn, void *arg)
{
    struct loop_io *io = calloc(1, sizeof *io);

    if (!io)
        clients_fail("no memory");
    ev_io_init(&io->io, on_io, fd, 0);
    io->fn = fn;
    io->arg = arg;
    return io;
}

void loop_io_set(struct loop_io *io, int dirs)
{
    ev_io_stop(loop, &io->io);
    ev_io_set(&io->io, io->io.fd,
              (dirs & CLIENTS_IN ? EV_READ : 0) | (dirs & CLIENTS_OUT ? EV_WRITE : 0));
    ev_io_start(loop, &io->io);
}

void loop_io_free(struct loop_io *io)
{
    ev_io_stop(loop, &io->io);
    free(io);
}

void loop_timer(long ms, void (*fn)(void *arg), void *arg)
{
    timer_fn = fn;
    timer.data = arg;
    ev_timer_stop(loop, &timer);
    if (ms < 0)
        return;
    ev_timer_set(&timer, (double)ms / 1000, 0);
    ev_timer_start(loop, &timer);
}

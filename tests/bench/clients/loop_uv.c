/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "clients.h"

#include <hiredis/adapters/libuv.h>
#include <stdlib.h>
#include <uv.h>

static uv_timer_t timer;
static void (*timer_fn)(void *arg);

void loop_open(void)
{
    (void)uv_timer_init(uv_default_loop(), &timer);
}

void loop_run(void)
{
    (void)uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

void loop_stop(void)
{
    uv_stop(uv_default_loop());
}

void loop_close(void)
{
}

void loop_redis(redisAsyncContext *ac)
{
    if (redisLibuvAttach(ac, uv_default_loop()) != REDIS_OK)
        clients_fail("cannot attach");
}

struct loop_io {
    uv_poll_t poll;
    loop_io_fn *fn;
    void *arg;
    int fd;
};

static void on_poll(uv_poll_t *poll, int status, int events)
{
    const struct loop_io *io = poll->data;

    (void)status;
    io->fn(io->fd,
           (events & UV_READABLE ? CLIENTS_IN : 0) | (events & UV_WRITABLE ? CLIENTS_OUT : 0),
           io->arg);
}

struct loop_io *loop_io_new(int fd, loop_io_fn *fn, void *arg)
{
    struct loop_io *io = calloc(1, sizeof *io);

    if (!io || uv_poll_init_socket(uv_default_loop(), &io->poll, fd) != 0)
        clients_fail("cannot watch");
    io->poll.data = io;
    io->fn = fn;
    io->arg = arg;
    io->fd = fd;
    return io;
}

void loop_io_set(struct loop_io *io, int dirs)
{
    (void)uv_poll_start(
        &io->poll, (dirs & CLIENTS_IN ? UV_READABLE : 0) | (dirs & CLIENTS_OUT ? UV_WRITABLE : 0),
        on_poll);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_io_free(struct loop_io *io)
{
    uv_close((uv_handle_t *)&io->poll, on_closed);
}

static void on_timer(uv_timer_t *t)
{
    timer_fn(t->data);
}

void loop_timer(long ms, void (*fn)(void *arg), void *arg)
{
    timer_fn = fn;
    timer.data = arg;
    if (ms < 0)
        (void)uv_timer_stop(&timer);
    else
        (void)uv_timer_start(&timer, on_timer, (uint64_t)ms, 0);
}

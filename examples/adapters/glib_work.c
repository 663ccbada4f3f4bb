/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* glib_work.c: the work that both directions do, and what their tests have in common. */
#include "glib_test.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

NART_CHAN_TYPED(number, int);

nart_rt *runtime;
GMainContext *context;
GMainLoop *nested;

void open_all(void)
{
    CHECK_RES(nart_rt_new(NULL, &runtime), 0);
    context = g_main_context_new();
}

void close_all(void)
{
    CHECK_RES(nart_rt_free(runtime), 0);
    g_main_context_unref(context);
}

void new_pipe(int ends[2])
{
    CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
}

static bool readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) > 0;
}

void some_ticks(void)
{
    for (int i = 0; i < TICKS; i++)
        CHECK_RES(nart_rt_poll(runtime, 0), 0);
}

GSource *attach(GSource *source, GSourceFunc fn, gpointer data)
{
    g_source_set_callback(source, fn, data, NULL);
    g_source_attach(source, context);
    g_source_unref(source);
    return source;
}

GSource *watch_fd(int fd, GUnixFDSourceFunc fn, gpointer data)
{
    return attach(g_unix_fd_source_new(fd, G_IO_IN), G_SOURCE_FUNC(fn), data);
}

int polls;

gint count_polls(GPollFD *fds, guint n, gint timeout)
{
    polls++;
    return g_poll(fds, n, timeout);
}

gboolean set_flag(gpointer flag)
{
    *(bool *)flag = true;
    return G_SOURCE_REMOVE;
}

gboolean notify(gpointer n)
{
    nart_notify_one(n);
    return G_SOURCE_REMOVE;
}

gboolean quit_nested(gpointer unused)
{
    (void)unused;
    g_main_loop_quit(nested);
    return G_SOURCE_REMOVE;
}

void run_nested(void)
{
    nested = g_main_loop_new(context, FALSE);
    g_main_loop_run(nested);
    g_main_loop_unref(nested);
}

nart_res waits(nart_cx *cx, void *unused)
{
    nart_notify n = { 0 };
    nart_waiter w = { 0 };

    (void)unused;
    return nart_await(cx, nart_notify_await(cx, &n, &w));
}

/* ---- the work of one side, in the loop of the other ---- */

static struct {
    int timers, idles, bytes, woken; /* of the context */
    int slept, received, got;        /* of the runtime */
    int ack, acks;                   /* a pipe to the thread */
    int in, out;                     /* a pipe: tasks write, a source reads */
    int back_in;                     /* the other way round */
    nart_fd back_out;
    nart_tx tx; /* from the thread to a task */
    nart_rx rx;
    nart_notify done;
    nart_waiter waiter;
} work;

static bool is_done(void)
{
    return work.timers == ROUNDS && work.bytes == ROUNDS && work.woken == ROUNDS &&
           work.slept == ROUNDS && work.received == ROUNDS && work.got == ROUNDS;
}

static void look_if_done(void)
{
    if (is_done())
        nart_notify_one(&work.done);
}

static gboolean on_timer(gpointer unused)
{
    (void)unused;
    CHECK(write(work.back_in, "x", 1) == 1);
    work.timers++;
    look_if_done();
    return work.timers < ROUNDS ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean on_idle(gpointer unused)
{
    (void)unused;
    CHECK(!readable(work.in)); /* a source of a higher priority was ready as well */
    return ++work.idles < ROUNDS ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean on_byte(gint fd, GIOCondition condition, gpointer unused)
{
    char c;

    (void)unused;
    CHECK(condition == G_IO_IN);
    CHECK(read(fd, &c, 1) == 1); /* one per call: the rest is reported again */
    work.bytes++;
    look_if_done();
    return work.bytes < ROUNDS ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* The thread has made the source ready. */
static gboolean on_wake(GSource *source, GSourceFunc callback, gpointer unused)
{
    (void)callback, (void)unused;
    g_source_set_ready_time(source, -1);
    work.woken++;
    look_if_done();
    CHECK(write(work.acks, "x", 1) == 1);
    return G_SOURCE_CONTINUE;
}

/* Wakes a task and a source, each time when the source has been dispatched: a wake-up that is lost shows as a hang. */
static gpointer thread(gpointer source)
{
    char c;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK_RES(nart_send_blocking(&work.tx, &i, NART_NEVER), 0);
        g_source_set_ready_time(source, 0);
        CHECK(read(work.ack, &c, 1) == 1);
    }
    nart_tx_close(&work.tx);
    return NULL;
}

static nart_res sleeps(nart_cx *cx, void *unused)
{
    nart_timer timer = { 0 };

    (void)unused;
    for (; work.slept < ROUNDS; work.slept++) {
        CHECK_RES(nart_await(cx, nart_sleep(cx, &timer, NART_MS / 10)), 0);
        CHECK(write(work.out, "x", 1) == 1);
    }
    look_if_done();
    return 0;
}

static nart_res receives(nart_cx *cx, void *unused)
{
    int value;

    (void)unused;
    for (; nart_await(cx, number_recv(cx, &work.rx, &value)) == 0; work.received++)
        CHECK(value == work.received);
    look_if_done();
    nart_rx_close(&work.rx);
    return 0;
}

static nart_res reads(nart_cx *cx, void *unused)
{
    char c;

    (void)unused;
    for (; work.got < ROUNDS; work.got++)
        CHECK_RES(nart_await(cx, nart_fd_read(cx, &work.back_out, &c, 1)), 1);
    look_if_done();
    return 0;
}

static nart_res awaits_all(nart_cx *cx, void *unused)
{
    (void)unused;
    CHECK_RES(nart_await(cx, nart_notify_await(cx, &work.done, &work.waiter)), 0);
    return nart_rt_shutdown(nart_cx_rt(cx));
}

void work_together(void (*run)(void))
{
    static GSourceFuncs funcs = { .dispatch = on_wake };
    int there[2], back[2], acks[2];

    new_pipe(there);
    new_pipe(back);
    CHECK(pipe2(acks, O_CLOEXEC) == 0);
    memset(&work, 0, sizeof work);
    work.in = there[0];
    work.out = there[1];
    work.back_in = back[1];
    work.ack = acks[0];
    work.acks = acks[1];
    CHECK_RES(nart_fd_open(runtime, back[0], 0, &work.back_out), 0);
    CHECK_RES(number_open(runtime, NART_CHAN_MPSC, 4, &work.tx, &work.rx), 0);
    (void)attach(g_timeout_source_new(1), on_timer, NULL);
    (void)attach(g_idle_source_new(), on_idle, NULL);
    (void)watch_fd(work.in, on_byte, NULL);
    GSource *source = attach(g_source_new(&funcs, sizeof(GSource)), NULL, NULL);
    CHECK_RES(nart_rt_fiber_spawn(runtime, sleeps, NULL, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(runtime, receives, NULL, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(runtime, reads, NULL, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(runtime, awaits_all, NULL, NULL, NULL), 0);
    GThread *t = g_thread_new("other", thread, source);
    run();
    (void)g_thread_join(t);
    g_source_destroy(source);
    CHECK(is_done());
    CHECK_RES(nart_fd_close(&work.back_out), 0);
    close(acks[0]);
    close(acks[1]);
    close(work.back_in);
    close(work.in);
    close(work.out);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* glib: GLib and nart on one thread: a context inside a runtime; glib_source.c has the other direction. */
#include "glib_test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static nart_glib glib;

/* An idle pair of loops makes no system call: its context does not poll, its runtime has no tick. */
static gint must_not_poll(GPollFD *fds, guint n, gint timeout)
{
    (void)fds, (void)n, (void)timeout;
    check_failed(__FILE__, __LINE__, "an idle context polls");
    return 0;
}

static void run_runtime(void)
{
    GMainContext *idle = g_main_context_new();
    nart_glib other;

    g_main_context_set_poll_func(idle, must_not_poll);
    CHECK_RES(nart_glib_start(runtime, &other, idle), 0);
    CHECK_RES(nart_rt_run(runtime), 0);
    nart_glib_stop(&other);
    g_main_context_unref(idle);
}

static void a_context_works_inside(void)
{
    open_all();
    CHECK_RES(nart_glib_start(runtime, &glib, context), 0);
    work_together(run_runtime);
    nart_glib_stop(&glib);
    nart_glib_stop(&glib);
    close_all();
}

/* A source closes its descriptor, and another one gets the number. */
struct replaced {
    int ends[2], copy, read;
    bool copies;
};

static gboolean on_second(gint fd, GIOCondition condition, gpointer arg)
{
    struct replaced *e = arg;
    char c;

    (void)condition;
    CHECK(read(fd, &c, 1) == 1 && c == '2');
    e->read++;
    return G_SOURCE_CONTINUE;
}

static gboolean on_first(gint fd, GIOCondition condition, gpointer arg)
{
    struct replaced *e = arg;

    (void)condition;
    if (e->copies) /* which stays readable */
        e->copy = dup(fd);
    close(e->ends[0]);
    close(e->ends[1]);
    new_pipe(e->ends);
    CHECK(e->ends[0] == fd);
    (void)watch_fd(fd, on_second, e);
    return G_SOURCE_REMOVE;
}

static void a_descriptor_is_replaced(bool copies)
{
    struct replaced e = { .copies = copies };

    open_all();
    new_pipe(e.ends);
    g_main_context_set_poll_func(context, count_polls);
    (void)watch_fd(e.ends[0], on_first, &e);
    CHECK_RES(nart_glib_start(runtime, &glib, context), 0);
    CHECK(write(e.ends[1], "1", 1) == 1);
    some_ticks();
    CHECK(e.read == 0);
    polls = 0;
    some_ticks();
    CHECK(polls == 0); /* the copy, which is still readable, makes nothing spin */
    for (int i = 1; i <= 3; i++) {
        CHECK(write(e.ends[1], "2", 1) == 1);
        some_ticks();
        CHECK(e.read == i);
    }
    nart_glib_stop(&glib);
    if (copies)
        close(e.copy);
    close(e.ends[0]);
    close(e.ends[1]);
    close_all();
}

/* A second source of the same descriptor waits for the other direction. */
static gboolean on_writable(gint fd, GIOCondition condition, gpointer flag)
{
    (void)fd;
    CHECK(condition == G_IO_OUT);
    return set_flag(flag);
}

static gboolean never(gint fd, GIOCondition condition, gpointer unused)
{
    (void)fd, (void)condition, (void)unused;
    check_failed(__FILE__, __LINE__, "it is not readable");
    return G_SOURCE_REMOVE;
}

static void a_descriptor_has_two_sources(void)
{
    bool flag = false;
    int ends[2];

    open_all();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    (void)watch_fd(ends[0], never, NULL);
    CHECK_RES(nart_glib_start(runtime, &glib, context), 0);
    some_ticks();
    (void)attach(g_unix_fd_source_new(ends[0], G_IO_OUT), G_SOURCE_FUNC(on_writable), &flag);
    nart_glib_look(&glib);
    some_ticks();
    CHECK(flag);
    nart_glib_stop(&glib);
    close(ends[0]);
    close(ends[1]);
    close_all();
}

/* poll(2) always reports it, and the kernel does not watch it. */
static gboolean count_calls(gint fd, GIOCondition condition, gpointer calls)
{
    (void)fd, (void)condition;
    return ++*(int *)calls < ROUNDS ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void a_regular_file_is_always_ready(void)
{
    int calls = 0, fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    open_all();
    CHECK(fd >= 0);
    CHECK_RES(nart_glib_start(runtime, &glib, context), 0);
    some_ticks();
    (void)watch_fd(fd, count_calls, &calls);
    nart_glib_look(&glib);
    some_ticks();
    CHECK(calls == ROUNDS);
    nart_glib_stop(&glib);
    close(fd);
    close_all();
}

/* What a task attaches. */
static nart_res attaches(nart_cx *cx, void *unused)
{
    nart_notify n = { 0 };
    nart_waiter w = { 0 };

    (void)unused;
    (void)attach(g_timeout_source_new(0), notify, &n);
    nart_glib_look(&glib);
    return nart_await(cx, nart_notify_await(cx, &n, &w));
}

/* A runtime that waits only for a timer of the context makes a few ticks. */
static void nothing_spins(void)
{
    bool flag = false;

    open_all();
    g_main_context_set_poll_func(context, count_polls);
    (void)attach(g_timeout_source_new(50), set_flag, &flag);
    CHECK_RES(nart_glib_start(runtime, &glib, context), 0);
    for (int i = 0; i < 10; i++)
        CHECK_RES(flag ? 0 : nart_rt_poll(runtime, NART_NEVER), 0);
    CHECK(flag && polls < 10);
    nart_glib_stop(&glib);
    close_all();
}

/* A main loop inside a callback, and an iteration inside a task. */
static gboolean nest(gpointer done)
{
    (void)attach(g_timeout_source_new(1), quit_nested, NULL);
    run_nested();
    *(bool *)done = true;
    nart_glib_look(&glib); /* no effect, and none is needed */
    return G_SOURCE_REMOVE;
}

static nart_res iterates(nart_cx *cx, void *unused)
{
    bool flag = false, after = false;

    (void)unused;
    (void)attach(g_timeout_source_new(1), set_flag, &flag);
    while (!flag)
        (void)g_main_context_iteration(context, TRUE);
    (void)attach(g_idle_source_new(), set_flag, &after);
    nart_glib_look(&glib);
    while (!after)
        nart_yield(cx);
    return 0;
}

static void tasks_and_callbacks_nest(void)
{
    bool nested_ended = false;
    nart_res r = -1;

    open_all();
    CHECK_RES(nart_glib_start(runtime, &glib, context), 0);
    CHECK_RES(nart_fiber_block_on(runtime, attaches, NULL, NULL, &r), 0);
    CHECK_RES(r, 0);
    CHECK_RES(nart_fiber_block_on(runtime, iterates, NULL, NULL, &r), 0);
    CHECK_RES(r, 0);
    (void)attach(g_idle_source_new(), nest, &nested_ended);
    nart_glib_look(&glib);
    some_ticks();
    CHECK(nested_ended);
    CHECK_RES(nart_fiber_block_on(runtime, attaches, NULL, NULL, &r), 0);
    nart_glib_stop(&glib);
    close_all();
}

static gboolean stop_itself(gpointer g)
{
    nart_glib_stop(g);
    memset(g, 0x5a, sizeof(nart_glib));
    g_free(g);
    return G_SOURCE_REMOVE;
}

static gpointer acquire(gpointer of)
{
    return GINT_TO_POINTER(g_main_context_acquire(of));
}

static void a_context_is_stopped(void)
{
    nart_glib *own = g_new0(nart_glib, 1);

    open_all();
    CHECK_RES(nart_glib_start(NULL, &glib, context), -EINVAL);
    CHECK_RES(nart_glib_start(runtime, own, context), 0);
    g_main_context_unref(context); /* the adapter has the last reference */
    (void)attach(g_idle_source_new(), stop_itself, own);
    nart_glib_look(own);
    some_ticks();

    context = g_main_context_new();
    CHECK_RES(nart_glib_start(runtime, &glib, context), 0);
    CHECK(!g_thread_join(g_thread_new("other", acquire, context)));
    CHECK_RES(nart_rt_free(runtime), 0); /* first */
    nart_glib_look(&glib);
    nart_glib_stop(&glib);
    CHECK_RES(nart_rt_new(NULL, &runtime), 0);
    CHECK(g_thread_join(g_thread_new("other", acquire, context)) !=
          NULL); /* it ends as the owner */
    CHECK_RES(nart_glib_start(runtime, &glib, context), -EBUSY);
    close_all();
}

int main(void)
{
    a_context_works_inside();
    a_descriptor_is_replaced(false);
    a_descriptor_is_replaced(true);
    a_descriptor_has_two_sources();
    a_regular_file_is_always_ready();
    nothing_spins();
    tasks_and_callbacks_nest();
    a_context_is_stopped();
    test_runtime_inside();
    return 0;
}

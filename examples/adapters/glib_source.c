/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* glib_source.c: a runtime inside a context of GLib. */
#include "glib_test.h"

#include <unistd.h>

static uint64_t ticks(nart_rt *of)
{
    nart_rt_stats stats = { .size = sizeof stats };

    nart_rt_stats_get(of, &stats);
    return stats.ticks;
}

static void on_ended(nart_res why, gpointer loop)
{
    CHECK_RES(why, 0);
    g_main_loop_quit(loop);
}

static GSource *attach_runtime(nart_rt *of, nart_glib_ended *ended, gpointer data)
{
    return attach(nart_glib_source_new(of), G_SOURCE_FUNC(ended), data);
}

static void run_main_loop(void)
{
    GMainLoop *loop = g_main_loop_new(context, FALSE);
    nart_rt *idle;

    CHECK_RES(nart_rt_new(NULL, &idle), 0);
    GSource *other = attach_runtime(idle, on_ended, NULL);
    (void)attach_runtime(runtime, on_ended, loop);
    g_main_loop_run(loop);
    CHECK(ticks(idle) == 1); /* the first: from then on its descriptor reports what happens */
    g_source_destroy(other);
    CHECK_RES(nart_rt_free(idle), 0);
    g_main_loop_unref(loop);
}

static void a_runtime_works_inside(void)
{
    open_all();
    work_together(run_main_loop);
    close_all();
}

static void not_ended(nart_res why, gpointer unused)
{
    (void)unused;
    CHECK_RES(why, NART_PENDING);
}

static nart_res destroys(nart_cx *cx, void *source)
{
    g_source_destroy(source);
    return nart_rt_shutdown(nart_cx_rt(cx));
}

/* The source is destroyed, by the program or by a task, or its context is freed: before the rt. */

static void a_runtime_is_removed(void)
{
    for (int how = 0; how < 3; how++) {
        open_all();
        GSource *source = attach_runtime(runtime, not_ended, NULL);
        while (g_main_context_iteration(context, FALSE))
            ;
        CHECK_RES(how == 1 ? nart_rt_fiber_spawn(runtime, destroys, source, NULL, NULL)
                           : nart_rt_fiber_spawn(runtime, waits, NULL, NULL, NULL),
                  0);
        CHECK(g_main_context_iteration(context, TRUE));
        if (how == 0)
            g_source_destroy(source);
        CHECK(!g_main_context_pending(context));
        CHECK(nart_rt_task_count(runtime) == (how == 1 ? 0 : 1));
        if (how == 2) {
            g_main_context_unref(context); /* destroys its sources */
            context = g_main_context_new();
        }
        close_all();
    }
}

/* A callback shuts down a runtime without tasks. */
static gboolean shut_down(gpointer unused)
{
    (void)unused;
    CHECK_RES(nart_rt_shutdown(runtime), 0);
    return G_SOURCE_REMOVE;
}

static void a_callback_shuts_down(void)
{
    open_all();
    GMainLoop *loop = g_main_loop_new(context, FALSE);
    (void)attach_runtime(runtime, on_ended, loop);
    (void)attach(g_timeout_source_new(5), shut_down, NULL);
    g_main_loop_run(loop);
    g_main_loop_unref(loop);
    close_all();
}

/* Tasks run in the main loop of a callback; a callback runs in that of a task. */
static nart_res ends_nested(nart_cx *cx, void *unused)
{
    nart_timer timer = { 0 };
    bool flag = false;

    (void)unused;
    CHECK_RES(nart_await(cx, nart_sleep(cx, &timer, NART_MS)), 0);
    (void)attach(g_timeout_source_new(1), set_flag, &flag);
    while (!flag)
        (void)g_main_context_iteration(context, TRUE);
    (void)quit_nested(NULL);
    return nart_rt_shutdown(nart_cx_rt(cx));
}

static gboolean nest_runtime(gpointer unused)
{
    (void)unused;
    CHECK_RES(nart_rt_fiber_spawn(runtime, ends_nested, NULL, NULL, NULL), 0);
    run_nested();
    return G_SOURCE_REMOVE;
}

static void main_loops_nest(void)
{
    open_all();
    GMainLoop *loop = g_main_loop_new(context, FALSE);
    (void)attach_runtime(runtime, on_ended, loop);
    (void)attach(g_idle_source_new(), nest_runtime, NULL);
    g_main_loop_run(loop);
    g_main_loop_unref(loop);
    close_all();
}

/* Tasks that are always ready, and sources of a lower and of a higher priority. */
struct order {
    int low, high;
    bool ended;
    GMainLoop *loop;
};

static nart_res spins(nart_cx *cx, void *arg)
{
    struct order *o = arg;

    CHECK_RES(nart_rt_shutdown(nart_cx_rt(cx)), 0); /* the runtime runs until the task ends */
    for (int i = 0; i < TICKS; i++) {
        CHECK(o->low == 0);
        nart_yield(cx);
    }
    CHECK(o->high == ROUNDS);
    o->ended = true;
    return 0;
}

static void on_ended_in_order(nart_res why, gpointer arg)
{
    struct order *o = arg;

    CHECK(o->ended);
    on_ended(why, o->loop);
}

static gboolean on_high(gpointer arg)
{
    struct order *o = arg;

    return ++o->high < ROUNDS ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean on_low(gpointer arg)
{
    struct order *o = arg;

    CHECK(o->high == ROUNDS && o->ended);
    o->low++;
    return G_SOURCE_REMOVE;
}

static void priorities_hold(void)
{
    struct order o = { 0 };

    open_all();
    o.loop = g_main_loop_new(context, FALSE);
    CHECK_RES(nart_rt_fiber_spawn(runtime, spins, &o, NULL, NULL), 0);
    GSource *source = attach_runtime(runtime, on_ended_in_order, &o);
    (void)attach(g_idle_source_new(), on_low, &o);
    g_source_set_priority(attach(g_idle_source_new(), on_high, &o), G_PRIORITY_HIGH);
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_main_loop_run(o.loop);
    g_main_loop_unref(o.loop);
    close_all();
}

/* A main loop that waits only for a task, which waits for a timer or a descriptor, makes a few iterations. */
static nart_res sleeps_once(nart_cx *cx, void *loop)
{
    nart_timer timer = { 0 };

    CHECK_RES(nart_await(cx, nart_sleep(cx, &timer, 50 * NART_MS)), 0);
    g_main_loop_quit(loop);
    return 0;
}

struct reader {
    nart_fd in;
    GMainLoop *loop;
};

static nart_res reads_once(nart_cx *cx, void *arg)
{
    struct reader *r = arg;
    char c;

    CHECK_RES(nart_await(cx, nart_fd_read(cx, &r->in, &c, 1)), 1);
    g_main_loop_quit(r->loop);
    return 0;
}

static gboolean write_one(gpointer fd)
{
    CHECK(write(GPOINTER_TO_INT(fd), "x", 1) == 1);
    return G_SOURCE_REMOVE;
}

static void nothing_spins(void)
{
    struct reader reader;
    int ends[2];

    open_all();
    new_pipe(ends);
    reader.loop = g_main_loop_new(context, FALSE);
    g_main_context_set_poll_func(context, count_polls);
    GSource *source = attach_runtime(runtime, not_ended, NULL);
    for (int timer = 0; timer < 2; timer++) {
        if (timer) {
            CHECK_RES(nart_rt_fiber_spawn(runtime, sleeps_once, reader.loop, NULL, NULL), 0);
        } else {
            CHECK_RES(nart_fd_open(runtime, ends[0], 0, &reader.in), 0);
            CHECK_RES(nart_rt_fiber_spawn(runtime, reads_once, &reader, NULL, NULL), 0);
            (void)attach(g_timeout_source_new(50), write_one, GINT_TO_POINTER(ends[1]));
        }
        polls = 0;
        g_main_loop_run(reader.loop);
        CHECK(polls < 10);
    }
    g_source_destroy(source);
    CHECK_RES(nart_fd_close(&reader.in), 0);
    close(ends[1]);
    g_main_loop_unref(reader.loop);
    close_all();
}

/* Another thread runs the context: the runtime refuses, and the source says why. */
static void on_refused(nart_res why, gpointer answer)
{
    *(nart_res *)answer = why;
}

static gpointer iterate(gpointer answer)
{
    while (*(nart_res *)answer == 0)
        (void)g_main_context_iteration(context, TRUE);
    return NULL;
}

static void a_failure_is_reported(void)
{
    nart_res answer = 0;

    open_all();
    some_ticks(); /* binds it */
    CHECK_RES(nart_rt_fiber_spawn(runtime, waits, NULL, NULL, NULL), 0);
    (void)attach_runtime(runtime, on_refused, &answer);
    (void)g_thread_join(g_thread_new("other", iterate, &answer));
    CHECK_RES(answer, NART_EWRONGTHREAD);
    CHECK(!g_main_context_pending(context));
    close_all();
}

void test_runtime_inside(void)
{
    a_runtime_works_inside();
    a_runtime_is_removed();
    a_callback_shuts_down();
    main_loops_nest();
    priorities_hold();
    nothing_spins();
    a_failure_is_reported();
}

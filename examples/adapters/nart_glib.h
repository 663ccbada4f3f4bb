/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_glib.h: GLib (2.58 or later) and nart on one thread, in both directions. Copy nart_glib.h and nart_glib.c into
 * your project.
 *
 *     r = nart_glib_start(rt, &glib, NULL);   // nart_rt_run() dispatches the sources of the default context
 *
 *     GSource *s = nart_glib_source_new(rt);  // g_main_loop_run() polls the tasks of the runtime
 *     g_source_attach(s, NULL);
 *
 * Tasks and callbacks run on the same thread, never at the same time, so they may share memory without a lock.
 * Timers of GLib have a resolution of a millisecond, and so have those of nart inside of GLib.
 * Thread: all functions are called on the runtime's own. */
#ifndef NART_GLIB_H
#define NART_GLIB_H

#include <nart/nart.h>

#include <glib.h>

/* ---- a context of GLib inside a runtime ---- */

/* Must stay where it is until it is stopped. Zeroed = stopped. */
typedef struct nart_glib {
    GMainContext *context; /* NULL: stopped */
    nart_watch watch;
    GPollFD *fds; /* what the next iteration polls */
    int n_fds, max_fds, priority, epoll;
    bool at_once;  /* the next iteration does not wait */
    bool *stopped; /* dispatching: where to store that a callback has stopped it */
} nart_glib;

/* Lets the runtime run one iteration of the context per tick, when a source may be ready. In an iteration GLib's
 * priorities hold, as they do in a GMainLoop. A main loop that a callback runs, or an iteration that a task
 * makes, dispatches sources of the context as usual; the runtime continues after it.
 * The context does not keep nart_rt_run() waiting. Other threads may use it as usual. What a task, or a callback that
 * is none of the context's, attaches to it (g_timeout_add(), g_idle_add() ...) takes effect with nart_glib_look().
 * context: NULL is the default one. The thread owns it (g_main_context_acquire()) until it is stopped.
 * 0; -EBUSY another thread owns the context; errors of epoll_create1(), nart_watch_start() and nart_watch_set().
 * Cost: per iteration a poll(), and one system call for each descriptor of the context, because sources may have
 * replaced it under its number. While no source is ready: none. */
NART_MUST_USE nart_res nart_glib_start(nart_rt *rt, nart_glib *g, GMainContext *context);

/* Sources were attached outside of the context's callbacks: looks when they are ready. No effect inside of these. */
void nart_glib_look(nart_glib *g);

/* Stops, also in a callback of the context, and before or after nart_rt_free(). The sources stay attached. */
void nart_glib_stop(nart_glib *g);

/* ---- a runtime inside a context of GLib ---- */

/* Called when the runtime was asked to shut down and its last task has ended: `why` is 0; or when it failed: an error
 * of nart_rt_poll(). The source is removed afterwards. To end a GMainLoop then, call g_main_loop_quit(). */
typedef void nart_glib_ended(nart_res why, gpointer data);

/* A source that runs a tick of the runtime per dispatch, when there is something to do. Like every source: attach it
 * to a context, and call g_source_set_callback(s, G_SOURCE_FUNC(ended), data, NULL) with a nart_glib_ended, or do not.
 * Its priority (g_source_set_priority()) is that of all tasks. Tasks run in nested main loops, too, but not in one that
 * a task runs.
 * Call g_source_destroy() before nart_rt_free(); destroying it does not change the runtime. */
GSource *nart_glib_source_new(nart_rt *rt);

#endif

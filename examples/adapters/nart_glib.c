/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_glib.c: the two halves of an iteration of GLib, with nart's wait between them.
 *
 * A context inside a runtime
 *  1. plan(): prepares and queries. The descriptors go into an epoll set, for which one watch waits; the timeout is its
 *     alarm.
 *  2. on_event(): polls the descriptors, checks and dispatches; then 1 again.
 * A source may close its descriptor, and another one open a descriptor of the same number, between two plans: nobody
 * notices, and the kernel has removed the first one from the set. So each plan registers all of them again. None is
 * unregistered: when the set reports what poll() does not find, a descriptor without a source, or a copy of one that
 * was closed, a new set is made.
 */
#include "nart_glib.h"

#include <glib-unix.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- a context of GLib inside a runtime ---- */

/* False: the kernel does not watch it (a regular file, a closed descriptor). */
static bool add(nart_glib *g, const GPollFD *fd)
{
    /* GIOCondition has the values of poll(2), and so has epoll */
    struct epoll_event event = { .events = fd->events };

    return epoll_ctl(g->epoll, EPOLL_CTL_MOD, fd->fd, &event) == 0 ||
           epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd->fd, &event) == 0;
}

/* Prepares the next iteration, and the wait for it. 0 or an error of nart_watch_set(). */
static nart_res plan(nart_glib *g)
{
    gint ms;

    (void)g_main_context_prepare(g->context, &g->priority);
    while ((g->n_fds = g_main_context_query(g->context, g->priority, &ms, g->fds, g->max_fds)) >
           g->max_fds)
        g->fds = g_renew(GPollFD, g->fds, (gsize)(g->max_fds = g->n_fds));
    g->at_once = ms == 0;
    for (int i = 0; i < g->n_fds && ms != 0; i++)
        if (!add(g, &g->fds[i]))
            g->at_once = true;
    int64_t at = g->at_once ? 0
                 : ms < 0   ? NART_NEVER
                            : nart_time_add(nart_rt_now(g->watch.rt), ms * NART_MS);
    return nart_watch_set(&g->watch, NART_READ, at);
}

static void on_event(nart_watch *w, uint32_t events, void *arg);

/* Makes an empty set. */
static nart_res new_set(nart_rt *rt, nart_glib *g)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    nart_res r = fd < 0 ? -errno : nart_watch_start(rt, &g->watch, fd, on_event, g);

    if (r) {
        if (fd >= 0)
            close(fd);
        return r;
    }
    if (g->epoll >= 0)
        close(g->epoll);
    g->epoll = fd;
    return 0;
}

static void on_event(nart_watch *w, uint32_t events, void *arg)
{
    nart_glib *g = arg;
    bool stopped = false;
    GMainContext *context = g_main_context_ref(g->context); /* a callback may stop, and free `g` */
    gint n = g_main_context_get_poll_func(context)(g->fds, (guint)g->n_fds, 0);

    g->stopped = &stopped;
    if (g_main_context_check(context, g->priority, g->fds, g->n_fds))
        g_main_context_dispatch(context);
    g_main_context_unref(context);
    if (stopped)
        return;
    g->stopped = NULL;
    nart_res r = 0;
    if (n == 0 && events & NART_READ && !g->at_once) /* the set reports what is no longer polled */
        r = new_set(w->rt, g);
    if (r == 0)
        r = plan(g);
    if (r)
        nart_watch_stop(&g->watch);
}

nart_res nart_glib_start(nart_rt *rt, nart_glib *g, GMainContext *context)
{
    *g = (nart_glib){ 0 };
    context = context ? context : g_main_context_default();
    if (!g_main_context_acquire(context))
        return -EBUSY;
    *g = (nart_glib){ .context = g_main_context_ref(context), .epoll = -1 };
    nart_res r = new_set(rt, g);
    if (r == 0)
        r = plan(g);
    if (r)
        nart_glib_stop(g);
    return r;
}

void nart_glib_look(nart_glib *g)
{
    if (g->context && !g->stopped && nart_watch_set(&g->watch, NART_READ, 0) != 0)
        nart_watch_stop(&g->watch);
}

void nart_glib_stop(nart_glib *g)
{
    if (!g->context)
        return;
    if (g->stopped)
        *g->stopped = true;
    nart_watch_stop(&g->watch);
    if (g->epoll >= 0)
        close(g->epoll);
    g_free(g->fds);
    g_main_context_release(g->context);
    g_main_context_unref(g->context);
    *g = (nart_glib){ 0 };
}

/* ---- a runtime inside a context of GLib ---- */

typedef struct runtime_source {
    GSource base;
    nart_rt *rt;
    gpointer fd;
} runtime_source;

static bool ended(nart_rt *rt)
{
    return nart_rt_is_shutdown(rt) && nart_rt_task_count(rt) == 0;
}

/* Has the runtime something to do without an event? Else until when. */
static gboolean is_due(GSource *source, gint *ms)
{
    nart_rt *rt = ((runtime_source *)source)->rt;
    int64_t at = ended(rt) ? 0 : nart_rt_next_deadline(rt), left;

    *ms = -1;
    if (at == NART_NEVER)
        return FALSE;
    left = at > 0 ? at - nart_rt_now(rt) : 0;
    if (left <= 0)
        return TRUE;
    left = (left - 1) / NART_MS + 1; /* never early */
    *ms = left < G_MAXINT ? (gint)left : G_MAXINT;
    return FALSE;
}

static gboolean check(GSource *source)
{
    gint ms;
    return g_source_query_unix_fd(source, ((runtime_source *)source)->fd) || is_due(source, &ms);
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    nart_rt *rt = ((runtime_source *)source)->rt;
    nart_res r = nart_rt_poll(rt, 0);

    if (g_source_is_destroyed(source)) /* by a task, which may have freed nothing yet */
        return G_SOURCE_REMOVE;
    if (r >= 0 && !ended(rt))
        return G_SOURCE_CONTINUE;
    if (callback)
        ((nart_glib_ended *)(void (*)(void))callback)(r < 0 ? r : 0, data);
    return G_SOURCE_REMOVE;
}

GSource *nart_glib_source_new(nart_rt *rt)
{
    static GSourceFuncs funcs = { .prepare = is_due, .check = check, .dispatch = dispatch };
    GSource *source = g_source_new(&funcs, sizeof(runtime_source));
    runtime_source *own = (runtime_source *)source;

    g_source_set_name(source, "nart");
    own->rt = rt;
    own->fd = g_source_add_unix_fd(source, nart_rt_backend_fd(rt), G_IO_IN);
    return source;
}

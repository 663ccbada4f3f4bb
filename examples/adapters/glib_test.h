/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* glib_test.h: what both directions of the program `glib` use. */
#ifndef GLIB_TEST_H
#define GLIB_TEST_H

#include "check.h"
#include "nart_glib.h"

#include <glib-unix.h>

enum { ROUNDS = 50, TICKS = 200 };

extern nart_rt *runtime;
extern GMainContext *context;
extern GMainLoop *nested;
extern int polls; /* by count_polls() */

void open_all(void);
void close_all(void);
void new_pipe(int ends[2]);
void some_ticks(void);

/* Attaches the source, and gives it to the context. */
GSource *attach(GSource *source, GSourceFunc fn, gpointer data);
GSource *watch_fd(int fd, GUnixFDSourceFunc fn, gpointer data);

gint count_polls(GPollFD *fds, guint n, gint timeout);
gboolean set_flag(gpointer flag);
gboolean notify(gpointer n);
gboolean quit_nested(gpointer unused);
void run_nested(void);
nart_res waits(nart_cx *cx, void *unused); /* for ever */

/* Timers, descriptors, threads and tasks work side by side, until all are done, in the loop that `run` runs. */
void work_together(void (*run)(void));

/* Tests that a runtime works inside a context. */
void test_runtime_inside(void);

#endif

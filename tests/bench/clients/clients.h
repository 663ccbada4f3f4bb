/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clients.h: hiredis and libcurl on a loop: nart, libuv or libev. Each has a file loop_<name>.c, and a program. */
#ifndef CLIENTS_H
#define CLIENTS_H

#include <hiredis/async.h>

enum { CLIENTS_IN = 1, CLIENTS_OUT = 2 };

/* A socket of libcurl. */
struct loop_io;
typedef void loop_io_fn(int fd, int events, void *arg);

void loop_open(void);
void loop_run(void); /* until loop_stop() is called in a callback */
void loop_stop(void);
void loop_close(void);

/* By the adapter that hiredis, or nart, has for the loop. */
void loop_redis(redisAsyncContext *ac);

struct loop_io *loop_io_new(int fd, loop_io_fn *fn, void *arg);
void loop_io_set(struct loop_io *io, int dirs);
void loop_io_free(struct loop_io *io);
void loop_timer(long ms, void (*fn)(void *arg), void *arg); /* the only one; -1: none */

/* The work. Both print nanoseconds, of the clock and of the processor: per command, and of the whole. */
void ping(const char *path, long n, int in_flight);
void transfer(const char *url, int n); /* `n` at a time */

struct clients_times {
    double wall, processor;
};

void clients_begin(struct clients_times *t);
void clients_print(const struct clients_times *since, double n);
void clients_fail(const char *what);

#endif

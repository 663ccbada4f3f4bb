/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* feedgate.h: the roles of the program, each a process of its own. */
#ifndef FEEDGATE_H
#define FEEDGATE_H

#include <nart/nart.h>
#include <nart/net.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GATE_SUBSCRIBERS = 16 }; /* at most */

struct options {
    char *server; /* the program that serves prices */
    int64_t seconds;
    uint64_t rate; /* messages a second */
    int subscribers;
    char *trace; /* the file for a trace of the run, or NULL */
};

/* `self`: the program to start for the other roles. The functions answer an exit status. */
int gateway_main(const struct options *o, char *self);

/* `window`: the number of messages that may be in flight to the gateway. */
int generator_main(const char *to, uint64_t rate, int64_t duration, uint64_t window);

int subscriber_main(const char *to, int count);

static inline int64_t wall_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * NART_SEC + ts.tv_nsec;
}

#endif

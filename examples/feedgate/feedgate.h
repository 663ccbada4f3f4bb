/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* feedgate.h: the roles of the program, each a process of its own. */
#ifndef FEEDGATE_H
#define FEEDGATE_H

#include <nart/nart.h>
#include <nart/net.h>

#include <string.h>
#include <time.h>

enum { GATE_SUBSCRIBERS = 16 };

struct options {
    const char *server; /* the program that serves prices */
    int seconds;
    uint64_t rate; /* messages a second */
    int subscribers;
};

int gateway_main(const struct options *o, const char *self);
int generator_main(const char *to, uint64_t rate, int64_t duration);
int subscriber_main(const char *to, int count);

static inline int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * NART_SEC + ts.tv_nsec;
}

#endif

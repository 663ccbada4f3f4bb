/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* main.c: ping SOCKET N IN_FLIGHT; or transfer URL N. */
#include "clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double clock_of(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* The time, and the processor time of the program, which other load on the machine does not change. */
void clients_begin(struct clients_times *t)
{
    t->wall = clock_of(CLOCK_MONOTONIC);
    t->processor = clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

void clients_print(const struct clients_times *since, double n)
{
    struct clients_times now;

    clients_begin(&now);
    (void)printf("%.1f %.1f\n", (now.wall - since->wall) / n,
                 (now.processor - since->processor) / n);
}

void clients_fail(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    exit(1);
}

/* ---- hiredis ---- */

static struct {
    long n, sent, answered;
    struct clients_times begin;
} pings;

static void on_pong(redisAsyncContext *ac, void *reply, void *arg)
{
    (void)arg;
    if (!reply || ((redisReply *)reply)->type != REDIS_REPLY_STATUS)
        clients_fail("no PONG");
    if (++pings.answered == pings.n) {
        clients_print(&pings.begin, (double)pings.n);
        redisAsyncDisconnect(ac);
        loop_stop();
    } else if (pings.sent < pings.n) {
        pings.sent++;
        (void)redisAsyncCommand(ac, on_pong, NULL, "PING");
    }
}

void ping(const char *path, long n, int in_flight)
{
    redisAsyncContext *ac = redisAsyncConnectUnix(path);

    if (!ac || ac->err)
        clients_fail("cannot connect");
    loop_redis(ac);
    pings.n = n;
    clients_begin(&pings.begin);
    for (; pings.sent < in_flight && pings.sent < n; pings.sent++)
        (void)redisAsyncCommand(ac, on_pong, NULL, "PING");
    loop_run();
}

int main(int argc, char **argv)
{
    loop_open();
    if (argc == 5 && strcmp(argv[1], "ping") == 0)
        ping(argv[2], atol(argv[3]), atoi(argv[4]));
    else if (argc == 4 && strcmp(argv[1], "transfer") == 0)
        transfer(argv[2], atoi(argv[3]));
    else
        clients_fail("ping SOCKET N IN_FLIGHT | transfer URL N");
    loop_close();
    return 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load.c: clients that send a line and wait for the reply, for measure.py.
 *
 *   load PORT CLIENTS ROUNDS LINE     prints round trips per second, and their median and 99th percentile in
 *                                     nanoseconds */
#include <nart/nart.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static nart_addr server;
static char line[128];
static int rounds;
static int64_t *times; /* of all round trips */
static size_t count;

static int64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NART_SEC + ts.tv_nsec;
}

struct client {
    nart_co co;
    nart_tcp sock;
    int64_t at;
    size_t done;
    int i;
    char buf[256];
};

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_tcp_connect(cx, &c->sock, &server));
    for (c->i = 0; c->i < rounds && r >= 0; c->i++) {
        c->at = now();
        NART_AWAIT(r, nart_tcp_send_all(cx, &c->sock, line, strlen(line), &c->done));
        if (r >= 0)
            NART_AWAIT(r, nart_tcp_recv(cx, &c->sock, c->buf, sizeof c->buf));
        if (r <= 0 || c->buf[r - 1] != '\n')
            break; /* over loopback a reply arrives in one piece */
        times[count++] = now() - c->at;
    }
    nart_tcp_close(&c->sock);
    NART_END(r);
}

NART_TASK_TYPED(client, struct client, client_run, NULL);

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    char at[32];
    nart_rt *rt = NULL;

    int clients = 0;
    char more;

    if (argc != 5 || sscanf(argv[2], "%4d%c", &clients, &more) != 1 || clients < 1 ||
        sscanf(argv[3], "%9d%c", &rounds, &more) != 1 || rounds < 1) {
        fputs("usage: migrate_load PORT CLIENTS ROUNDS LINE\n", stderr);
        return 2;
    }
    size_t all = (size_t)clients * (size_t)rounds;
    snprintf(line, sizeof line, "%.100s\n", argv[4]);
    snprintf(at, sizeof at, "127.0.0.1:%.5s", argv[1]);
    times = calloc(all, sizeof *times);
    nart_res r = times && all > 0 ? nart_addr_parse(&server, at) : -EINVAL;
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    for (int i = 0; i < clients && r == 0; i++)
        r = client_rt_spawn(rt, NULL, NULL);
    int64_t begin = now();
    if (r == 0)
        r = nart_rt_run(rt);
    int64_t ns = now() - begin;
    nart_rt_free(rt);
    if (r < 0 || count < all) {
        fprintf(stderr, "load: %zu of %zu replies, %s\n", count, all, nart_strerror(r));
        return 1;
    }
    qsort(times, count, sizeof *times, compare);
    printf("%.0f %lld %lld\n", (double)count * 1e9 / (double)ns, (long long)times[count / 2],
           (long long)times[count * 99 / 100]);
    free(times);
    return 0;
}

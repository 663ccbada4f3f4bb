/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* heartbeat.c: a client that keeps its connection alive. One task sends a ping periodically, another one reads.
 *
 * What to look at
 *  - talk(): both tasks use the connection of their parent. The nursery makes that safe: the parent ends after them.
 *    Each ends by an error, which cancels the other.
 *  - a handle may have one reader and one writer at the same time: the two tasks need no lock.
 *  - read_loop(): the deadline of the await detects a silent peer. It needs no timer of its own.
 * Usage: heartbeat ADDRESS:PORT [PERIOD [TIMEOUT [CONNECT_TIMEOUT]]], in milliseconds: from one ping to the next, 1000
 * by default; without a line from the peer, 3000; until it is connected, 5000. */
#include <nart/nart.h>

#include <stdio.h>
#include <string.h>

struct link {
    nart_tcp sock;
    nart_addr addr;
    int64_t period, timeout, connect_timeout;
};

static nart_res heartbeat(nart_cx *cx, void *arg)
{
    struct link *link = arg;
    nart_interval every;
    nart_res r = nart_interval_init(cx, &every, link->period);

    every.missed = NART_MISSED_DELAY; /* one ping after a delay, not all that are missing */
    while (r >= 0) {
        size_t done = 0;

        r = nart_await(cx, nart_interval_tick(cx, &every));
        if (r >= 0)
            r = nart_await(cx, nart_tcp_send_all(cx, &link->sock, "ping\n", 5, &done));
    }
    return r;
}

/* Ends with an error, whatever happened: NART_EEOF if the peer has closed, -ETIME if it is silent. */
static nart_res read_loop(nart_cx *cx, void *arg)
{
    struct link *link = arg;
    char buf[1024], *line;
    nart_stream s = { 0 };
    nart_res n = nart_stream_init_tcp(&s, &link->sock, buf, sizeof buf);

    while (n >= 0) {
        n = nart_await_for(cx, link->timeout, nart_stream_read_line(cx, &s, 0, &line));
        if (n >= 0 && strcmp(line, "pong") != 0) {
            printf("received: %s\n", line);
            fflush(stdout);
        }
    }
    return n == -ETIMEDOUT ? -ETIME : n;
}

static nart_res talk(nart_cx *cx, struct link *link)
{
    nart_nursery both = { 0 };
    nart_res joined, error = 0, r = nart_nursery_open(cx, &both, NART_NURSERY_CANCEL_ON_ERROR);

    if (r == 0)
        r = nart_nursery_fiber_spawn(cx, &both, heartbeat, link, NULL);
    if (r == 0)
        r = nart_nursery_fiber_spawn(cx, &both, read_loop, link, NULL);
    if (r < 0)
        nart_nursery_cancel(&both); /* one without the other is of no use */
    joined = nart_await(cx, nart_nursery_join(cx, &both, &error));
    return r < 0 ? r : joined < 0 ? joined : error;
}

static nart_res client(nart_cx *cx, void *arg)
{
    struct link *link = arg;
    nart_res r =
        nart_await_for(cx, link->connect_timeout, nart_tcp_connect(cx, &link->sock, &link->addr));

    if (r == 0)
        r = talk(cx, link);
    nart_tcp_close(&link->sock);
    return r;
}

int main(int argc, char **argv)
{
    int ms[] = { 1000, 3000, 5000 }, good = argc > 1;
    nart_rt *rt = NULL;
    char more;

    for (int i = 2; i < argc && i < 5; i++)
        good = good && sscanf(argv[i], "%9d%c", &ms[i - 2], &more) == 1 && ms[i - 2] > 0;
    if (!good) {
        fputs(
            "usage: heartbeat ADDRESS:PORT [PERIOD [TIMEOUT [CONNECT_TIMEOUT]]], in milliseconds\n",
            stderr);
        return 2;
    }
    struct link link = { .period = ms[0] * NART_MS,
                         .timeout = ms[1] * NART_MS,
                         .connect_timeout = ms[2] * NART_MS };
    nart_res answer = 0, r = nart_addr_parse(&link.addr, argv[1]);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_fiber_block_on(rt, client, &link, NULL, &answer);
    nart_rt_free(rt);
    if (r == 0)
        r = answer;
    if (r == NART_EEOF)
        puts("the peer has closed");
    else if (r == -ETIME)
        puts("the peer is silent");
    else
        fprintf(stderr, "heartbeat: %s\n", nart_strerror(r));
    return r == NART_EEOF ? 0 : 1;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* generator.c: the exchange: a process that sends sequenced datagrams at a steady rate.
 *
 * Twice a millisecond it sends what is due since the last time. When the machine did not let it run
 * for a while it sends 5 ms worth at most and goes on from there: what it offers is what the machine
 * carries. The end is told by some empty datagrams with the last sequence. */
#include "feedgate.h"

#include "feed.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = NART_UDP_BATCH, FAREWELLS = 8 };

#define STEP (NART_MS / 2)
#define MOST (5 * NART_MS)

static volatile sig_atomic_t stop_asked;

static void on_signal(int sig)
{
    (void)sig;
    stop_asked = 1;
}

struct generator {
    nart_co co;
    nart_udp udp;
    nart_addr to;
    nart_timer timer;
    int64_t begin, next, end;
    uint64_t rate, seq, due;
    uint64_t seed;
    size_t filled, sent;
    int i;
};

/* Too large for a slot, and there is one generator. */
static struct feed_packet packets[PACKETS];
static nart_udp_msg msgs[PACKETS];
static uint8_t mid[FEED_INSTRUMENTS];

static uint64_t draw(struct generator *g)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return g->seed;
}

/* A level near the middle, on its own side of it; the middle wanders. */
static struct feed_message make_message(struct generator *g)
{
    uint64_t r = draw(g);
    unsigned instrument = (unsigned)(r % FEED_INSTRUMENTS);
    unsigned side = (unsigned)(r >> 8 & 1), depth = (unsigned)(r >> 9 & 15);
    unsigned m = mid[instrument];

    if ((r >> 16 & 31) == 0)
        mid[instrument] = (uint8_t)(r >> 21 & 1 ? (m < 200 ? m + 1 : m) : (m > 50 ? m - 1 : m));
    return (struct feed_message){ .seq = ++g->seq,
                                  .qty = (uint32_t)(r >> 32) % 100,
                                  .instrument = (uint16_t)instrument,
                                  .side = (uint8_t)side,
                                  .price = (uint8_t)(side == FEED_BID ? m - depth : m + 1 + depth) };
}

/* Fills datagrams with `count` messages, as many as fit. The number of datagrams. */
static size_t fill(struct generator *g, uint64_t count)
{
    size_t n = 0;

    for (; n < PACKETS && count > 0; n++) {
        struct feed_packet *p = &packets[n];
        uint32_t some = count < FEED_BATCH ? (uint32_t)count : FEED_BATCH;
        p->magic = FEED_MAGIC;
        p->count = some;
        p->sent_ns = clock_ns(CLOCK_REALTIME);
        for (uint32_t i = 0; i < some; i++)
            p->msgs[i] = make_message(g);
        msgs[n].buf = p;
        msgs[n].len = sizeof *p;
        msgs[n].addr = g->to;
        count -= some;
    }
    return n;
}

static size_t farewell(struct generator *g)
{
    packets[0].magic = FEED_MAGIC;
    packets[0].count = 0;
    packets[0].sent_ns = clock_ns(CLOCK_REALTIME);
    packets[0].msgs[0].seq = g->seq;
    msgs[0].buf = &packets[0];
    msgs[0].len = sizeof packets[0];
    msgs[0].addr = g->to;
    return 1;
}

/* Messages that are due by now and have not been made. */
static uint64_t due(struct generator *g, int64_t now)
{
    int64_t behind = now - g->begin - (int64_t)(g->due * (uint64_t)NART_SEC / g->rate);
    if (behind > MOST) /* the machine was elsewhere: that part is not offered */
        g->begin += behind - MOST;
    uint64_t total = (uint64_t)(now - g->begin) * g->rate / (uint64_t)NART_SEC;
    uint64_t n = total > g->due ? total - g->due : 0;
    uint64_t most = (uint64_t)PACKETS * FEED_BATCH;
    n = n < most ? n : most;
    g->due += n;
    return n;
}

static nart_res generator_run(nart_cx *cx, void *frame)
{
    struct generator *g = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &g->co);
    g->begin = g->next = nart_now(cx);
    g->end = g->begin + g->end;
    while (nart_now(cx) < g->end && !stop_asked) {
        g->next += STEP;
        NART_AWAIT(r, nart_sleep_until(cx, &g->timer, g->next));
        g->filled = fill(g, due(g, nart_now(cx)));
        for (g->sent = 0; g->sent < g->filled && r >= 0; g->sent += (size_t)r)
            NART_AWAIT(r, nart_udp_send_many(cx, &g->udp, msgs + g->sent, g->filled - g->sent));
        if (r < 0)
            NART_RETURN(r);
    }
    for (g->i = 0; g->i < FAREWELLS; g->i++) {
        NART_AWAIT(r, nart_sleep(cx, &g->timer, 20 * NART_MS));
        g->filled = farewell(g);
        NART_AWAIT(r, nart_udp_send_many(cx, &g->udp, msgs, g->filled));
        if (r == -ECONNREFUSED) /* it has heard enough and gone */
            break;
    }
    printf("sent %" PRIu64 "\n", g->seq);
    NART_END(0);
}

static void generator_drop(void *frame)
{
    struct generator *g = frame;
    nart_udp_close(&g->udp);
}

static const nart_task_type generator_type =
    NART_TASK_TYPE(struct generator, generator_run, generator_drop);

int generator_main(const char *to, uint64_t rate, int64_t duration)
{
    nart_rt *rt;
    struct generator g = { .rate = rate, .seed = 0x9e3779b97f4a7c15u, .end = duration };
    nart_addr any;
    nart_res answer = -1;
    char go;

    memset(mid, 128, sizeof mid);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_addr_parse(&g.to, to);
    if (r == 0)
        r = nart_addr_parse(&any, "127.0.0.1:0");
    if (r == 0)
        r = nart_udp_open(rt, &any, NULL, &g.udp);
    if (r == 0 && read(STDIN_FILENO, &go, 1) == 1) /* the gateway says when */
        r = nart_block_on(rt, &generator_type, &g, &answer);
    if (r < 0 || answer < 0) {
        fprintf(stderr, "generator: %s\n", nart_strerror(r < 0 ? r : answer));
        return 1;
    }
    nart_rt_free(rt);
    return 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* generator.c: the process that sends the feed, sequenced datagrams at a steady rate.
 *
 * Every 100 us it sends the messages that are due. It adapts to the machine: time in which it did not
 * run counts up to 5 ms, and no more messages are in flight than the gateway's receive buffer holds (the
 * gateway reports its progress through standard input). Messages beyond that are not sent later. Some
 * empty datagrams with the last sequence mark the end. */
#include "feed.h"
#include "feedgate.h"

#include <fcntl.h>
#include <unistd.h>

enum { PACKETS = NART_UDP_BATCH, AT_ONCE = PACKETS * FEED_BATCH, FAREWELLS = 5 };

#define STEP (NART_MS / 10)
#define MOST (5 * NART_MS)

struct generator {
    nart_co co;
    nart_udp udp;
    nart_fd input;
    nart_timer timer;
    struct feed_progress progress;
    int64_t duration, end, last; /* last: when it was looked what is due */
    uint64_t rate, credit;       /* credit: messages times nanoseconds, not yet sent */
    uint64_t window, seq, seed;
    size_t filled, sent;
    int i, which;
};

/* Too large for a slot, and there is one generator. */
static struct feed_packet packets[PACKETS];
static nart_udp_msg msgs[PACKETS];
static uint8_t middle[FEED_INSTRUMENTS];

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
    unsigned m = middle[instrument];

    if ((r >> 16 & 31) == 0)
        middle[instrument] = (uint8_t)(r >> 21 & 1 ? (m < 200 ? m + 1 : m) : (m > 50 ? m - 1 : m));
    return (struct feed_message){ .seq = ++g->seq,
                                  .qty = (uint32_t)(r >> 32) % 100,
                                  .instrument = (uint16_t)instrument,
                                  .side = (uint8_t)side,
                                  .price =
                                      (uint8_t)(side == FEED_BID ? m - depth : m + 1 + depth) };
}

static void stamp(size_t i, uint32_t count)
{
    packets[i].magic = FEED_MAGIC;
    packets[i].count = count;
    packets[i].sent_ns = wall_clock();
    msgs[i].buf = &packets[i];
    msgs[i].len = sizeof packets[i];
}

/* Packs the messages into datagrams. Answers the number of datagrams. */
static size_t fill(struct generator *g, uint64_t count)
{
    size_t n = 0;

    for (; count > 0; n++) {
        uint32_t some = count < FEED_BATCH ? (uint32_t)count : FEED_BATCH;
        stamp(n, some);
        for (uint32_t i = 0; i < some; i++)
            packets[n].msgs[i] = make_message(g);
        count -= some;
    }
    return n;
}

/* How many messages to send now. */
static uint64_t due(struct generator *g, int64_t now)
{
    int64_t elapsed = now - g->last < MOST ? now - g->last : MOST;
    uint64_t room = g->progress.seq + g->window - g->seq;

    g->last = now;
    g->credit += (uint64_t)elapsed * g->rate;
    uint64_t n = g->credit / (uint64_t)NART_SEC;
    g->credit %= (uint64_t)NART_SEC;
    n = n < room ? n : room;
    return n < AT_ONCE ? n : AT_ONCE;
}

/* Awaits a report of the gateway's progress. 0: the gateway has ended. */
static nart_res progress_await(nart_cx *cx, struct generator *g)
{
    for (;;) {
        nart_res r = nart_fd_ready(cx, &g->input, NART_READ);
        if (r < 0)
            return r;
        ssize_t n = read(STDIN_FILENO, &g->progress, sizeof g->progress);
        if (n >= 0)
            return n;
        if (errno != EAGAIN)
            return -errno;
        nart_fd_clear(&g->input, NART_READ);
    }
}

static nart_res generator_run(nart_cx *cx, void *frame)
{
    struct generator *g = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &g->co);
    NART_AWAIT(r, progress_await(cx, g));
    g->last = nart_now(cx);
    g->end = g->last + g->duration;
    while (r > 0 && g->last < g->end) {
        NART_AWAIT_ANY(g->which, r, nart_sleep(cx, &g->timer, STEP), progress_await(cx, g));
        if (r < 0 || g->which == 1)
            continue;
        g->filled = fill(g, due(g, nart_now(cx)));
        r = 1;
        for (g->sent = 0; g->sent < g->filled && r > 0; g->sent += (size_t)r)
            NART_AWAIT(r, nart_udp_send_many(cx, &g->udp, msgs + g->sent, g->filled - g->sent));
    }
    nart_timer_cancel(&g->timer);
    for (g->i = 0; g->i < FAREWELLS && r >= 0; g->i++) {
        stamp(0, 0);
        packets[0].msgs[0].seq = g->seq;
        NART_AWAIT(r, nart_udp_send_many(cx, &g->udp, msgs, 1));
        if (r >= 0)
            NART_AWAIT(r, nart_sleep(cx, &g->timer, 10 * NART_MS));
    }
    printf("sent %" PRIu64 "\n", g->seq);
    NART_END(r == -ECONNREFUSED ? 0 : r); /* the gateway has received the end and closed */
}

static void generator_drop(void *frame)
{
    struct generator *g = frame;
    nart_udp_close(&g->udp);
    nart_fd_close(&g->input);
}

static const nart_task_type generator_type =
    NART_TASK_TYPE(struct generator, generator_run, generator_drop);

static nart_res open_ends(struct generator *g, nart_rt *rt, const char *to)
{
    nart_addr any, gateway;

    nart_res r = nart_addr_parse(&gateway, to);
    if (r == 0)
        r = nart_addr_parse(&any, "127.0.0.1:0");
    if (r == 0)
        r = nart_udp_open(rt, &any, NULL, &g->udp);
    if (r == 0)
        r = nart_udp_connect(&g->udp, &gateway);
    if (r == 0 && fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) < 0)
        r = -errno;
    if (r == 0)
        r = nart_fd_open(rt, STDIN_FILENO, NART_FD_BORROW, &g->input);
    return r;
}

int generator_main(const char *to, uint64_t rate, int64_t duration, uint64_t window)
{
    nart_rt *rt = NULL;
    struct generator g = {
        .rate = rate, .duration = duration, .window = window, .seed = 0x9e3779b97f4a7c15u
    };
    nart_res answer = 0;

    memset(middle, 128, sizeof middle);
    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = open_ends(&g, rt, to);
    if (r == 0)
        r = nart_block_on(rt, &generator_type, &g, &answer);
    nart_rt_free(rt);
    r = r < 0 ? r : answer;
    if (r < 0)
        fprintf(stderr, "generator: %s\n", nart_strerror(r));
    return r < 0;
}

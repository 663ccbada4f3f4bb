/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Many watches at a time, and what a hostile library does in their callbacks. */
#include "net_test.h"

#include <nart/watch.h>

#include <fcntl.h>
#include <sys/eventfd.h>

FIXTURE_RT();

#include "full.h"

/* Always readable and writable. */
static int new_fd(void)
{
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(fd >= 0);
    return fd;
}

static void tick(void)
{
    CHECK_LE(0, nart_rt_poll(rt, 0));
}

static void count(nart_watch *w, uint32_t events, void *arg)
{
    (void)w, (void)events;
    ++*(int *)arg;
}

static nart_res busy_run(nart_cx *cx, void *frame)
{
    (void)frame;
    nart_wake_self(cx);
    return nart_op_park(cx);
}

static const nart_task_type busy_type =
    NART_TASK_TYPE_FLAGS(int, busy_run, NULL, NART_TASK_BACKGROUND);

enum { MANY = 600, ALARMS = 1000, PER_LOOK = 256, PER_TICK = 64 };

/* More than one look reports, while more tasks are ready than one tick polls. */
TEST_WITH(hundreds_of_watches_and_tasks_take_turns, rt)
{
    static nart_watch w[MANY];
    static int fds[MANY], calls[MANY];
    int ticks = 30;

    for (int i = 0; i < MANY; i++) {
        fds[i] = new_fd();
        CHECK_RES(nart_watch_start(rt, &w[i], fds[i], count, &calls[i]), 0);
        CHECK_RES(nart_watch_set(&w[i], NART_READ, NART_NEVER), 0);
    }
    for (int i = 0; i < 2 * PER_TICK; i++)
        spawn(rt, &busy_type, &(int){ 0 }, NULL);
    for (int i = 0; i < ticks; i++)
        CHECK_EQ(nart_rt_poll(rt, 0), PER_TICK);
    for (int i = 0; i < MANY; i++)
        CHECK_LE(ticks * PER_LOOK / MANY, calls[i]);
    for (int i = 0; i < MANY; i += 2) { /* the rest are still on when the runtime is freed */
        CHECK_RES(nart_watch_stop(&w[i]), 0);
        close(fds[i]);
    }
    CHECK_RES(nart_rt_free(rt), 0);
    for (int i = 0; i < MANY; i++)
        CHECK(w[i].rt == NULL);
    for (int i = 1; i < MANY; i += 2)
        close(fds[i]);
    rt_open();
}

/* Each alarm stops its neighbour, if that has not rung. More are due than one look expires. */
static struct {
    nart_watch w[ALARMS];
    bool rung[ALARMS];
} alarms;

static void ring(nart_watch *w, uint32_t events, void *arg)
{
    size_t i = (size_t)(w - alarms.w), neighbour = i ^ 1;

    (void)arg;
    CHECK_EQ(events, NART_ALARM);
    CHECK(!alarms.rung[i] && !alarms.rung[neighbour]);
    alarms.rung[i] = true;
    CHECK_RES(nart_watch_stop(&alarms.w[neighbour]), 0);
}

TEST_WITH(hundreds_of_alarms_ring_and_tasks_run, rt)
{
    int ticks = 0, rung = 0;

    for (int i = 0; i < ALARMS; i++) {
        CHECK_RES(nart_watch_start(rt, &alarms.w[i], -1, ring, NULL), 0);
        CHECK_RES(nart_watch_set(&alarms.w[i], 0, 0), 0);
    }
    for (int i = 0; i < 2 * PER_TICK; i++)
        spawn(rt, &busy_type, &(int){ 0 }, NULL);
    for (; rung < ALARMS / 2; ticks++) {
        CHECK_LE(ticks, ALARMS);
        CHECK_EQ(nart_rt_poll(rt, 0), PER_TICK);
        rung = 0;
        for (int i = 0; i < ALARMS; i++)
            rung += alarms.rung[i];
    }
    tick();
    for (int i = 0; i < ALARMS; i++)
        CHECK_RES(nart_watch_stop(&alarms.w[i]), 0);
}

/* ---- in a callback ---- */

static struct {
    nart_watch w[4];
    int fds[4], calls[4];
} chain;

/* Starts the next one, whose descriptor is ready. */
static void start_next(nart_watch *w, uint32_t events, void *arg)
{
    size_t i = (size_t)(w - chain.w);

    (void)events, (void)arg;
    if (chain.calls[i]++ > 0 || i == 3)
        return;
    CHECK_RES(nart_watch_start(rt, w + 1, chain.fds[i + 1], start_next, NULL), 0);
    CHECK_RES(nart_watch_set(w + 1, NART_WRITE, NART_NEVER), 0);
}

TEST_WITH(a_watch_that_a_callback_starts_is_called_in_the_next_tick, rt)
{
    for (int i = 0; i < 4; i++)
        chain.fds[i] = new_fd();
    CHECK_RES(nart_watch_start(rt, chain.w, chain.fds[0], start_next, NULL), 0);
    CHECK_RES(nart_watch_set(chain.w, NART_WRITE, NART_NEVER), 0);
    for (int n = 1; n <= 4; n++) {
        tick();
        for (int i = 0; i < 4; i++)
            CHECK_EQ(chain.calls[i], n - i > 0 ? n - i : 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_RES(nart_watch_stop(&chain.w[i]), 0);
        close(chain.fds[i]);
    }
}

static int reconnects;

/* The library's connection fails, and it opens another one, which gets the number. */
static void reconnect(nart_watch *w, uint32_t events, void *arg)
{
    int *fd = arg, before = *fd;

    (void)events;
    close(*fd);
    *fd = new_fd();
    CHECK_EQ(*fd, before);
    CHECK_RES(nart_watch_start(rt, w, *fd, reconnect, arg), 0);
    CHECK_RES(nart_watch_set(w, NART_READ, NART_NEVER), 0);
    reconnects++;
}

TEST_WITH(a_callback_replaces_its_descriptor, rt)
{
    nart_watch w = { 0 };
    int fd = new_fd();

    CHECK_RES(nart_watch_start(rt, &w, fd, reconnect, &fd), 0);
    CHECK_RES(nart_watch_set(&w, NART_READ, NART_NEVER), 0);
    for (int i = 1; i <= 10; i++) {
        tick();
        CHECK_EQ(reconnects, i);
    }
    CHECK_RES(nart_watch_stop(&w), 0);
    close(fd);
}

/* ---- connecting ---- */

static int begin_connect(const nart_addr *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    CHECK(fd >= 0);
    CHECK(connect(fd, sockaddr_of(at), at->len) == 0 || errno == EINPROGRESS);
    return fd;
}

static void keep(nart_watch *w, uint32_t events, void *arg)
{
    *(uint32_t *)arg = events;
    CHECK_RES(nart_watch_set(w, 0, NART_NEVER), 0);
}

/* libpq sends when it is called: before the connection is there, that would fail or block. */
TEST_WITH(a_socket_that_connects_is_not_ready, full)
{
    int fd = begin_connect(&full.at), calls = 0;
    nart_watch w = { 0 };

    CHECK_RES(nart_watch_start(rt, &w, fd, count, &calls), 0);
    CHECK_RES(nart_watch_set(&w, NART_READ | NART_WRITE, NART_NEVER), 0);
    for (int i = 0; i < 20; i++)
        tick();
    CHECK_EQ(calls, 0);
    CHECK_RES(nart_watch_stop(&w), 0);
    close(fd);
}

TEST_WITH(a_socket_is_ready_when_it_is_connected_or_refused, rt)
{
    for (int refused = 0; refused < 2; refused++) {
        nart_addr at;
        nart_watch w = { 0 };
        uint32_t events = 0;
        int listener = raw_listen(&at, 8);

        if (refused)
            close(listener); /* nobody listens there */
        int fd = begin_connect(&at);
        CHECK_RES(nart_watch_start(rt, &w, fd, keep, &events), 0);
        CHECK_RES(nart_watch_set(&w, NART_WRITE, NART_NEVER), 0);
        while (events == 0)
            CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
        CHECK_EQ(events, refused ? NART_WRITE | NART_ERROR | NART_HANGUP : NART_WRITE);
        CHECK_RES(nart_watch_stop(&w), 0);
        close(fd);
        if (!refused)
            close(listener);
    }
}

/* ---- anything, at random ---- */

enum { HOSTS = 40, RUNS = 2000 };

/* A watch, and what is known of it. */
struct hostile {
    nart_watch w;
    int fd;
    bool started, registered; /* registered: for the file that the number names now */
    uint32_t dirs;
    int64_t at;
    int called, replaced, changed; /* in which tick */
    bool must; /* it has been ready since before the tick, and nothing has changed it */
};

static struct hostile hostile[HOSTS];
static uint64_t seed;
static int now;

static void act(void);

static void on_hostile(nart_watch *w, uint32_t events, void *arg)
{
    struct hostile *h = arg;

    CHECK(w == &h->w && h->started);
    if (events == NART_ALARM) {
        CHECK_LE(h->at, nart_rt_now(rt));
        h->at = NART_NEVER;
    } else {
        CHECK(events != 0 && (events & ~h->dirs) == 0);
        CHECK(events == h->dirs || h->changed == now);
        CHECK(h->registered || h->replaced == now); /* it was received before */
        CHECK(h->called != now);                    /* at most once per tick */
        h->called = now;
        h->must = false;
    }
    for (uint32_t n = random_below(&seed, 3); n > 0; n--)
        act();
}

/* Does something to one of them. */
static void act(void)
{
    struct hostile *h = &hostile[random_below(&seed, HOSTS)];

    h->must = false;
    switch (random_below(&seed, 8)) {
    case 0:
        CHECK_RES(nart_watch_stop(&h->w), 0);
        h->started = false;
        return;
    case 1: { /* another file gets the number */
        int fd = new_fd();
        CHECK_EQ(dup3(fd, h->fd, O_CLOEXEC), h->fd);
        close(fd);
        h->registered = false;
        h->replaced = now;
        return;
    }
    case 2:
    case 3:
        CHECK_RES(nart_watch_start(rt, &h->w, h->fd, on_hostile, h), 0);
        h->started = true;
        h->dirs = 0;
        h->at = NART_NEVER;
        return;
    default:
        if (!h->started)
            return;
    }
    uint32_t dirs = random_below(&seed, 4) * NART_READ;
    int64_t at = random_below(&seed, 2) ? NART_NEVER : nart_rt_now(rt);
    CHECK_RES(nart_watch_set(&h->w, dirs, at), 0);
    h->registered |= dirs != h->dirs;
    h->changed = now;
    h->dirs = dirs;
    h->at = at;
}

TEST_WITH(no_watch_is_called_for_what_it_does_not_wait_for, rt)
{
    for (seed = 1; seed < 1 + 4 * UINT64_C(1000); seed += 1000) {
        memset(hostile, 0, sizeof hostile);
        for (int i = 0; i < HOSTS; i++)
            hostile[i].fd = new_fd();
        uint64_t first = seed;
        for (now = 1; now <= RUNS; now++) {
            act();
            for (int i = 0; i < HOSTS; i++)
                hostile[i].must = hostile[i].started && hostile[i].dirs && hostile[i].registered;
            tick();
            for (int i = 0; i < HOSTS; i++)
                CHECK(!hostile[i].must);
        }
        for (int i = 0; i < HOSTS; i++) {
            CHECK_RES(nart_watch_stop(&hostile[i].w), 0);
            close(hostile[i].fd);
        }
        seed = first;
    }
}

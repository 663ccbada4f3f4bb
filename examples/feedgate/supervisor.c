/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* supervisor.c: the root task.
 *
 *  1. Awaits the subscribers, starts the other tasks, tells the generator to begin.
 *  2. Prints a line each second. Ctrl-C closes the generator's input, which ends the feed early.
 *  3. The end of the feed ends the market task, which closes its channel; that ends the publisher, which
 *     closes the tokens; that ends the connections. All are joined one after another, so nothing is cut
 *     off. The market task is cancelled only if the generator has died without sending the end.
 *  4. Shuts the bridge down. */
#include "gate.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>

#define PATIENCE (5 * NART_SEC) /* with a market task that awaits the end of the feed */
#define SHUTDOWN (10 * NART_SEC)

/* The tasks that are joined. */
enum {
    MARKET,
    PUBLISHER,
    SAVER,
    FETCHER,
    CONNECTION = FETCHER + 4,
    JOINS = CONNECTION + GATE_SUBSCRIBERS
};

struct supervisor {
    nart_co co, phase;
    struct gate *g;
    struct acceptor acceptor;
    nart_fd generator, subscribers; /* their outputs: readable when they end */
    nart_join joins[JOINS];
    nart_timer timer;
    nart_tokio_op ending;
    uint64_t messages; /* at the last line */
    int i, which;
};

/* ---- Ctrl-C: one word, which both sides exchange: 0, the waker of who waits, or INTERRUPTED ---- */

#define INTERRUPTED ((uintptr_t)1) /* no task's waker: those are even */

static atomic_uintptr_t interrupt;

static void on_interrupt(int sig)
{
    int saved = errno;
    uintptr_t waker = atomic_exchange(&interrupt, INTERRUPTED);

    (void)sig;
    if (waker != INTERRUPTED)
        nart_waker_wake((nart_waker){ waker });
    errno = saved;
}

static nart_res interrupt_await(nart_cx *cx)
{
    nart_res r = nart_op_enter(cx);
    if (r)
        return r;
    if (atomic_exchange(&interrupt, nart_cx_waker(cx).w) == INTERRUPTED)
        return 0;
    return nart_op_park(cx);
}

/* A second Ctrl-C ends the program at once. */
static void watch_interrupts(void)
{
    struct sigaction once = { .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND };

    sigemptyset(&once.sa_mask);
    sigaction(SIGINT, &once, NULL);
}

/* ---- the task ---- */

static nart_res start_tasks(nart_cx *cx, struct supervisor *s)
{
    struct market market = { .g = s->g };
    struct publisher publisher = { .g = s->g };
    struct fetcher fetcher = { .g = s->g };
    struct saver saver = { .g = s->g };

    nart_res r = top_open(s->g->rt, NART_CHAN_LOCAL, 1024, &market.tops, &publisher.tops);
    if (r < 0)
        return r;
    r = nart_spawn(cx, &market_type, &market, &s->joins[MARKET]);
    if (r < 0) {
        nart_tx_close(&market.tops);
        nart_rx_close(&publisher.tops);
        return r;
    }
    r = nart_spawn(cx, &publisher_type, &publisher, &s->joins[PUBLISHER]);
    if (r < 0) {
        nart_rx_close(&publisher.tops);
        return r;
    }
    r = nart_spawn(cx, &saver_type, &saver, &s->joins[SAVER]);
    for (int i = FETCHER; i < CONNECTION && r == 0; i++)
        r = nart_spawn(cx, &fetcher_type, &fetcher, &s->joins[i]);
    return r;
}

/* Awaits output, or its end. */
static nart_res output_await(nart_cx *cx, nart_fd *h, int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    for (;;) {
        nart_res r = nart_fd_ready(cx, h, NART_READ);
        if (r < 0)
            return r;
        if (poll(&p, 1, 0) != 0)
            return 0;
        nart_fd_clear(h, NART_READ);
    }
}

/* Awaits the subscribers and starts the tasks that need them. */
static nart_res start_run(nart_cx *cx, struct supervisor *s)
{
    struct gate *g = s->g;
    nart_res r = 0;

    NART_BEGIN(cx, &s->phase);
    s->acceptor = (struct acceptor){ .g = g, .joins = &s->joins[CONNECTION] };
    r = nart_fd_open(g->rt, g->generator.out, NART_FD_BORROW, &s->generator);
    if (r == 0)
        r = nart_fd_open(g->rt, g->subscribers.out, NART_FD_BORROW, &s->subscribers);
    if (r < 0)
        NART_RETURN(r);
    NART_AWAIT_ANY(s->which, r, acceptor_run(cx, &s->acceptor), interrupt_await(cx),
                   output_await(cx, &s->subscribers, g->subscribers.out));
    if (r >= 0 && s->which == 1)
        r = -EINTR;
    if (r >= 0 && s->which == 2) {
        fprintf(stderr, "feedgate: the subscribers ended before they were connected\n");
        r = -ECONNABORTED;
    }
    if (r >= 0)
        r = start_tasks(cx, s);
    if (r < 0)
        NART_RETURN(r);
    NART_YIELD(); /* they begin */
    NART_END(0);
}

static void print_line(struct supervisor *s)
{
    struct gate *g = s->g;

    printf("%8" PRIu64 " messages  lost %" PRIu64 "  p50 %6.1f us  p99 %8.1f us  http %" PRIu64
           "  snapshots %" PRIu64 "\n",
           g->messages - s->messages, g->book.lost,
           (double)histogram_at(&g->since_arrival, 0.5) / 1e3,
           (double)histogram_at(&g->since_arrival, 0.99) / 1e3, g->fetched.submitted,
           g->saved.submitted);
    s->messages = g->messages;
}

/* Waits until the generator has sent everything. */
static nart_res watch_run(nart_cx *cx, struct supervisor *s)
{
    struct gate *g = s->g;
    nart_res r = 0;

    NART_BEGIN(cx, &s->phase);
    do {
        NART_AWAIT_ANY(s->which, r, output_await(cx, &s->generator, g->generator.out),
                       nart_sleep(cx, &s->timer, NART_SEC), interrupt_await(cx));
        if (r >= 0 && s->which == 1)
            print_line(s);
        if (r >= 0 && s->which == 2) {
            g->cut_short = true;
            process_close_input(&g->generator);
        }
    } while (r >= 0 && s->which != 0);
    NART_END(r);
}

static const char *task_name(int i)
{
    static const char *const names[] = { "market", "publisher", "saver", "fetcher" };
    return i >= CONNECTION ? "connection" : names[i < FETCHER ? i : FETCHER];
}

static void note_end(struct gate *g, int i, nart_res r)
{
    if (r >= 0)
        return;
    g->failed++;
    fprintf(stderr, "feedgate: a %s ended: %s\n", task_name(i), nart_strerror(r));
}

/* Only the market task can wait for something that never arrives. */
static nart_res await_all_run(nart_cx *cx, struct supervisor *s)
{
    struct gate *g = s->g;
    nart_res r = 0, answer = 0;

    NART_BEGIN(cx, &s->phase);
    for (s->i = 0; s->i < CONNECTION + g->connected; s->i++) {
        NART_AWAIT_FOR(r, s->i == MARKET ? PATIENCE : NART_NEVER,
                       nart_join_await(cx, &s->joins[s->i], &answer));
        if (r == -ETIMEDOUT) {
            nart_task_cancel(g->rt, nart_join_task(&s->joins[s->i]));
            NART_AWAIT(r, nart_join_await(cx, &s->joins[s->i], &answer));
        }
        if (r == -ECANCELED)
            NART_RETURN(r);
        note_end(g, s->i, r < 0 ? r : answer);
        nart_join_release(&s->joins[s->i]);
    }
    NART_END(0);
}

static nart_res supervisor_run(nart_cx *cx, void *frame)
{
    struct supervisor *s = frame;
    struct gate *g = s->g;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    NART_AWAIT(r, start_run(cx, s));
    if (r < 0)
        NART_RETURN(r);
    gate_tell(g);
    NART_AWAIT(r, watch_run(cx, s));
    if (r < 0)
        NART_RETURN(r);
    g->closing = true;
    NART_AWAIT(r, await_all_run(cx, s));
    if (r >= 0)
        r = nart_tokio_shutdown_begin(g->tokio, SHUTDOWN, &s->ending);
    if (r >= 0)
        NART_AWAIT(r, nart_tokio_op_await(cx, &s->ending, NULL));
    NART_END(r == -ETIMEDOUT ? 0 : r); /* the report names what did not end */
}

static void supervisor_drop(void *frame)
{
    struct supervisor *s = frame;

    for (int i = 0; i < JOINS; i++)
        nart_join_release(&s->joins[i]);
    nart_fd_close(&s->generator);
    nart_fd_close(&s->subscribers);
    nart_tokio_op_close(&s->ending);
}

static const nart_task_type supervisor_type =
    NART_TASK_TYPE(struct supervisor, supervisor_run, supervisor_drop);

nart_res supervise(struct gate *g)
{
    struct supervisor s = { .g = g };
    nart_res answer = 0;

    watch_interrupts();
    nart_res r = nart_block_on(g->rt, &supervisor_type, &s, &answer);
    return r < 0 ? r : answer;
}

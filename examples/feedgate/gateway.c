/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gateway.c: starts the processes, runs the loop, stops everything in order.
 *
 * The supervisor is the root task. It starts the others, says "go" to the exchange when all
 * subscribers are there, prints a line each second, and when the feed has ended (or on Ctrl-C, by
 * asking the exchange to end it) awaits the others one after another: nothing is cut off. */
#include "gate.h"
#include "process.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BUFFER (8 << 20) /* bytes */

struct supervisor {
    nart_co co;
    struct gate *g;
    struct process *exchange;
    nart_tx tops; /* on their way to the tasks */
    nart_rx tops_rx;
    nart_join market, publisher, acceptor, saver, fetchers[GATE_FETCHERS];
    nart_timer timer;
    nart_tokio_op ending;
    uint64_t messages; /* at the last line */
    int i, which;
};

static struct gate gate; /* large, and there is one */

/* ---- Ctrl-C: a flag and a waker, both fit for a signal handler ---- */

static void on_interrupt(int sig)
{
    (void)sig;
    atomic_store(&gate.interrupted, true);
    nart_waker_wake((nart_waker){ atomic_load(&gate.interrupt_waker) });
}

static nart_res interrupt_await(nart_cx *cx, struct gate *g)
{
    nart_res r = nart_op_enter(cx);
    if (r)
        return r;
    atomic_store(&g->interrupt_waker, nart_cx_waker(cx).w);
    return atomic_exchange(&g->interrupted, false) ? 0 : nart_op_park(cx);
}

/* ---- the supervisor ---- */

static void print_line(struct supervisor *s)
{
    struct gate *g = s->g;
    char line[160];
    int n = snprintf(line, sizeof line,
                     "%8" PRIu64 " messages/s  lost %" PRIu64 "  p50 %6.1f us  p99 %8.1f us  "
                     "http %" PRIu64 "  snapshots %" PRIu64 "\n",
                     g->messages - s->messages, g->book.lost,
                     (double)histogram_at(&g->since_arrival, 0.5) / 1e3,
                     (double)histogram_at(&g->since_arrival, 0.99) / 1e3, g->fetched, g->saved);
    s->messages = g->messages;
    ssize_t written = write(STDOUT_FILENO, line, (size_t)n);
    (void)written; /* a line that nobody can read is not missed */
}

static nart_res start_tasks(nart_cx *cx, struct supervisor *s)
{
    struct market market = { .g = s->g };
    struct publisher publisher = { .g = s->g };
    struct acceptor acceptor = { .g = s->g };
    struct fetcher fetcher = { .g = s->g };
    struct saver saver = { .g = s->g };

    nart_tx_move(&market.tops, &s->tops);
    nart_res r = nart_spawn(cx, &market_type, &market, &s->market);
    if (r < 0) {
        nart_tx_close(&market.tops);
        return r;
    }
    nart_rx_move(&publisher.tops, &s->tops_rx);
    r = nart_spawn(cx, &publisher_type, &publisher, &s->publisher);
    if (r < 0) {
        nart_rx_close(&publisher.tops);
        return r;
    }
    r = nart_spawn(cx, &acceptor_type, &acceptor, &s->acceptor);
    if (r == 0)
        r = nart_spawn(cx, &saver_type, &saver, &s->saver);
    for (int i = 0; i < GATE_FETCHERS && r == 0; i++)
        r = nart_spawn(cx, &fetcher_type, &fetcher, &s->fetchers[i]);
    return r;
}

static nart_res supervisor_run(nart_cx *cx, void *frame)
{
    struct supervisor *s = frame;
    struct gate *g = s->g;
    nart_res r, answer = 0;

    NART_BEGIN(cx, &s->co);
    r = start_tasks(cx, s);
    if (r < 0)
        NART_RETURN(r);
    while (g->connected < g->opts.subscribers) {
        NART_AWAIT(r, nart_sleep(cx, &s->timer, 5 * NART_MS));
        if (r < 0)
            NART_RETURN(r);
    }
    if (write(s->exchange->in, "!", 1) != 1)
        NART_RETURN(-EPIPE);
    for (;;) {
        NART_AWAIT_ANY(s->which, r, nart_join_await(cx, &s->market, &answer),
                       nart_sleep(cx, &s->timer, NART_SEC), interrupt_await(cx, g));
        if (r < 0 || s->which == 0)
            break;
        if (s->which == 1) {
            print_line(s);
        } else { /* the exchange ends the feed, and everything follows from that */
            g->cut_short = true;
            process_signal(s->exchange, SIGTERM);
        }
    }
    if (r == 0)
        r = answer;
    g->closing = true;
    if (r == 0)
        NART_AWAIT(r, nart_join_await(cx, &s->publisher, &answer));
    if (r == 0)
        NART_AWAIT(r, nart_join_await(cx, &s->acceptor, &answer));
    if (r == 0)
        NART_AWAIT(r, nart_join_await(cx, &s->saver, &answer));
    for (s->i = 0; s->i < GATE_FETCHERS && r == 0; s->i++)
        NART_AWAIT(r, nart_join_await(cx, &s->fetchers[s->i], &answer));
    if (r == 0)
        r = nart_tokio_shutdown_begin(g->tokio, 2 * NART_SEC, &s->ending);
    if (r == 0)
        NART_AWAIT(r, nart_tokio_op_await(cx, &s->ending, NULL));
    NART_END(r);
}

static void supervisor_drop(void *frame)
{
    struct supervisor *s = frame;
    nart_join_release(&s->market);
    nart_join_release(&s->publisher);
    nart_join_release(&s->acceptor);
    nart_join_release(&s->saver);
    for (int i = 0; i < GATE_FETCHERS; i++)
        nart_join_release(&s->fetchers[i]);
    nart_tx_close(&s->tops);
    nart_rx_close(&s->tops_rx);
    nart_tokio_op_close(&s->ending);
}

static const nart_task_type supervisor_type =
    NART_TASK_TYPE(struct supervisor, supervisor_run, supervisor_drop);

/* ---- setting up ---- */

/* The loop gets the last CPU for itself when there are several; the bridge's threads then keep off
 * it. */
static void pin_to_last_cpu(void)
{
    cpu_set_t all, one;

    if (sched_getaffinity(0, sizeof all, &all) < 0 || CPU_COUNT(&all) < 2)
        return;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET((size_t)cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET((size_t)cpu, &one);
        (void)sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

static nart_res open_sockets(struct gate *g)
{
    nart_udp_opts udp = NART_UDP_OPTS_INIT;
    nart_addr any;
    int bytes = RECEIVE_BUFFER;

    nart_res r = nart_addr_parse(&any, "127.0.0.1:0");
    if (r == 0)
        r = nart_tcp_listen(g->rt, &any, NULL, &g->listener);
    udp.flags = NART_UDP_STAMPS;
    udp.rcvbuf = bytes;
    if (r == 0)
        r = nart_udp_open(g->rt, &any, &udp, &g->udp);
    if (r == 0) /* beyond the system's cap where that is allowed */
        (void)setsockopt((int)nart_udp_fd(&g->udp), SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
                         sizeof bytes);
    for (int i = 0; i < GATE_PACKETS; i++) {
        g->msgs[i].buf = &g->packets[i];
        g->msgs[i].cap = sizeof g->packets[i];
    }
    return r;
}

struct children {
    struct process exchange, subscribers, server;
};

static nart_res start_processes(struct gate *g, const char *self, struct children *c)
{
    char udp[NART_ADDR_TEXT], tcp[NART_ADDR_TEXT], rate[24], seconds[16], count[16], line[64];
    nart_addr addr;

    nart_res r = nart_udp_local_addr(&g->udp, &addr);
    if (r == 0)
        r = nart_addr_format(&addr, udp, sizeof udp);
    if (r >= 0)
        r = nart_tcp_listener_addr(&g->listener, &addr);
    if (r == 0)
        r = nart_addr_format(&addr, tcp, sizeof tcp);
    if (r < 0)
        return r;
    snprintf(rate, sizeof rate, "%" PRIu64, g->opts.rate);
    snprintf(seconds, sizeof seconds, "%d", g->opts.seconds);
    snprintf(count, sizeof count, "%d", g->opts.subscribers);
    char *exchange[] = { (char *)self, "generate", udp, rate, seconds, NULL };
    char *subscribers[] = { (char *)self, "subscribe", tcp, count, NULL };
    char *server[] = { (char *)g->opts.server, "--faulty", NULL };
    if (!process_start(&c->server, server) || !process_start(&c->exchange, exchange) ||
        !process_start(&c->subscribers, subscribers))
        return -errno;
    if (!process_line(&c->server, line, sizeof line)) {
        fprintf(stderr, "feedgate: %s did not say its port\n", g->opts.server);
        return -ENOENT;
    }
    snprintf(g->base_url, sizeof g->base_url, "http://127.0.0.1:%.40s", line);
    return 0;
}

static void read_results(struct gate *g, struct children *c, struct result *res)
{
    char line[96];

    if (process_line(&c->exchange, line, sizeof line))
        (void)sscanf(line, "sent %" SCNu64, &g->last_sent);
    while (res->subscribers < g->opts.subscribers &&
           process_line(&c->subscribers, line, sizeof line) &&
           sscanf(line, "last %" SCNu64, &res->last[res->subscribers]) == 1)
        res->subscribers++;
    process_signal(&c->server, SIGTERM);
    (void)process_end(&c->server);
    res->children_ok = process_end(&c->exchange) == 0;
    res->children_ok &= process_end(&c->subscribers) == 0;
}

static int open_snapshot(void)
{
    char path[] = "/tmp/feedgate-XXXXXX";
    int fd = mkstemp(path);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static nart_res run(struct gate *g, struct children *c, struct result *res)
{
    struct supervisor s = { .g = g, .exchange = &c->exchange };
    nart_tokio_opts tokio = NART_TOKIO_OPTS_INIT;
    nart_res answer = 0;

    pin_to_last_cpu();
    nart_res r = nart_tokio_new(&tokio, &g->tokio);
    if (r == 0)
        r = top_open(g->rt, NART_CHAN_LOCAL, 1024, &s.tops, &s.tops_rx);
    if (r == 0)
        r = nart_block_on(g->rt, &supervisor_type, &s, &answer);
    res->tokio = (nart_tokio_report)NART_TOKIO_REPORT_INIT;
    if (r == 0)
        r = answer < 0 ? answer : nart_tokio_report_get(g->tokio, &res->tokio);
    return r;
}

int gateway_main(const struct options *o, const char *self)
{
    struct gate *g = &gate;
    struct children children = { .exchange.pid = -1, .subscribers.pid = -1, .server.pid = -1 };
    struct result res = { .subscribers = 0 };
    nart_rt_opts rt = NART_RT_OPTS_INIT;
    bool good = false;

    g->opts = *o;
    book_init(&g->book);
    g->snapshot_fd = open_snapshot();
    rt.name = "feedgate";
    rt.spin_ns = 50 * NART_US;
    signal(SIGINT, on_interrupt);
    nart_res r = nart_rt_new(&rt, &g->rt);
    if (r == 0)
        r = open_sockets(g);
    if (r == 0)
        r = start_processes(g, self, &children);
    if (r == 0)
        r = run(g, &children, &res);
    nart_udp_close(&g->udp);
    nart_tcp_listener_close(&g->listener);
    read_results(g, &children, &res);
    if (r < 0) {
        fprintf(stderr, "feedgate: %s\n", nart_strerror(r));
    } else {
        res.interrupted = g->cut_short;
        good = report(g, &res);
    }
    nart_rt_free(g->rt);
    nart_tokio_free(g->tokio);
    close(g->snapshot_fd);
    return good ? 0 : 1;
}

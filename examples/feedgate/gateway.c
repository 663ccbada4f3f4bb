/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gateway.c: opens the sockets, starts the processes, runs the supervisor, closes all in order. */
#include "gate.h"
#include "report.h"

#include <nart/trace.h>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#define RECEIVE_BUFFER (8 << 20) /* bytes */
#define DATAGRAM_COST 2048       /* bytes of it for one datagram, with what the kernel adds */
#define TRACE_EVENTS 20000       /* the last ones, of the loop and of tokio */

static struct gate gate; /* large, and there is only one */

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

static nart_res open_udp(struct gate *g, const nart_addr *any)
{
    nart_udp_opts opts = NART_UDP_OPTS_INIT;
    int bytes = RECEIVE_BUFFER;
    socklen_t len = sizeof bytes;

    opts.flags = NART_UDP_TIMESTAMPS;
    opts.rcvbuf = bytes;
    nart_res r = nart_udp_open(g->rt, any, &opts, &g->udp);
    if (r < 0)
        return r;
    int fd = (int)nart_udp_fd(&g->udp);
    /* Above the system's limit, if privileged. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len) < 0)
        return -errno;
    g->window = (uint64_t)(bytes / DATAGRAM_COST) * FEED_BATCH;
    for (int i = 0; i < GATE_PACKETS; i++) {
        g->msgs[i].buf = &g->packets[i];
        g->msgs[i].cap = sizeof g->packets[i];
    }
    return 0;
}

static nart_res complain(const char *what, nart_res r)
{
    fprintf(stderr, "feedgate: %s: %s\n", what, nart_strerror(r));
    return r;
}

static nart_res open_sockets(struct gate *g)
{
    nart_addr addr;

    nart_res r = nart_addr_parse(&addr, "127.0.0.1:0");
    if (r == 0)
        r = open_udp(g, &addr);
    if (r == 0)
        r = nart_tcp_listen(g->rt, &addr, NULL, &g->listener);
    if (r == 0)
        r = nart_udp_local_addr(&g->udp, &addr);
    if (r == 0)
        r = nart_addr_format(&addr, g->feed_addr, sizeof g->feed_addr);
    if (r >= 0)
        r = nart_tcp_listener_addr(&g->listener, &addr);
    if (r == 0)
        r = nart_addr_format(&addr, g->top_addr, sizeof g->top_addr);
    return r < 0 ? complain("cannot open sockets", r) : 0;
}

static nart_res open_runtime(struct gate *g)
{
    nart_rt_opts opts = NART_RT_OPTS_INIT;

    g->snapshot_file = tmpfile();
    if (!g->snapshot_file)
        return complain("cannot make a temporary file", -errno);
    opts.name = "feedgate";
    opts.spin_ns = NART_MS; /* over the pauses of the generator */
    nart_res r = nart_rt_new(&opts, &g->rt);
    return r < 0 ? complain("cannot make a runtime", r) : 0;
}

static nart_res start(struct process *p, char *const argv[])
{
    int r = process_start(p, argv);
    return r < 0 ? complain(argv[0], r) : 0;
}

static nart_res start_server(struct gate *g)
{
    char *argv[] = { g->opts.server, "--faulty", NULL }, port[32];

    nart_res r = start(&g->server, argv);
    if (r < 0)
        return r;
    if (!process_line(&g->server, port, sizeof port))
        return complain("the price server said no port", -EPROTO);
    snprintf(g->base_url, sizeof g->base_url, "http://127.0.0.1:%s", port);
    return 0;
}

static nart_res start_processes(struct gate *g, char *self)
{
    char rate[24], seconds[24], window[24], count[16];
    char *generator[] = { self, "generate", g->feed_addr, rate, seconds, window, NULL };
    char *subscribers[] = { self, "subscribe", g->top_addr, count, NULL };

    snprintf(rate, sizeof rate, "%" PRIu64, g->opts.rate);
    snprintf(seconds, sizeof seconds, "%" PRId64, g->opts.seconds);
    snprintf(window, sizeof window, "%" PRIu64, g->window);
    snprintf(count, sizeof count, "%d", g->opts.subscribers);
    nart_res r = start_server(g);
    if (r == 0)
        r = start(&g->generator, generator);
    if (r == 0)
        r = start(&g->subscribers, subscribers);
    if (r == 0 && fcntl(g->generator.in, F_SETFL, O_NONBLOCK) < 0)
        r = complain("a pipe", -errno);
    return r;
}

/* A trace of the loop and of tokio's threads, from now on. */
static nart_res trace_begin(struct gate *g)
{
    nart_res r = nart_trace_start(g->rt, TRACE_EVENTS);

    if (r == 0)
        r = nart_tokio_trace_start(g->tokio, g->rt, TRACE_EVENTS);
    return r < 0 ? complain("cannot trace", r) : 0;
}

static nart_res trace_end(struct gate *g)
{
    FILE *out = fopen(g->opts.trace, "w");

    if (!out)
        return complain(g->opts.trace, -errno);
    nart_res r = nart_trace_stop(g->rt, out); /* the number of events that were overwritten */
    if (fclose(out) != 0 && r >= 0)
        r = -errno;
    return r < 0 ? complain(g->opts.trace, r) : 0;
}

static nart_res run(struct gate *g, struct result *res)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;

    printf("price server: process %ld; generator: process %ld; subscribers: process %ld\n",
           (long)g->server.pid, (long)g->generator.pid, (long)g->subscribers.pid);
    pin_to_last_cpu();
    nart_res r = nart_tokio_new(&opts, &g->tokio);
    if (r == 0 && g->opts.trace)
        r = trace_begin(g);
    if (r == 0)
        r = supervise(g);
    if (r == 0 && g->opts.trace)
        r = trace_end(g);
    if (r == 0)
        r = nart_tokio_report_get(g->tokio, &res->tokio);
    return r < 0 ? complain("the run was broken off", r) : 0;
}

/* Collects the reports of the processes. The gateway's sockets are closed by now. */
static void end_processes(struct gate *g, struct result *res)
{
    char line[96];

    process_close_input(&g->generator);
    while (g->generator.pid > 0 && process_line(&g->generator, line, sizeof line))
        (void)sscanf(line, "sent %" SCNu64, &g->last_sent);
    while (res->subscribers < g->opts.subscribers && g->subscribers.pid > 0 &&
           process_line(&g->subscribers, line, sizeof line) &&
           sscanf(line, "last %" SCNu64, &res->last[res->subscribers]) == 1)
        res->subscribers++;
    process_close_input(&g->server);
    while (g->server.pid > 0 && process_line(&g->server, line, sizeof line))
        (void)sscanf(line,
                     "slow %" SCNu64 " refused %" SCNu64 " reset %" SCNu64 " stalled %" SCNu64,
                     &res->faults[0], &res->faults[1], &res->faults[2], &res->faults[3]);
    res->processes_ok = process_end(&g->generator) == 0;
    res->processes_ok &= process_end(&g->subscribers) == 0;
    res->processes_ok &= process_end(&g->server) == 0;
}

int gateway_main(const struct options *o, char *self)
{
    struct gate *g = &gate;
    struct result res = { .tokio = NART_TOKIO_REPORT_INIT };

    g->opts = *o;
    g->generator = g->subscribers = g->server = (struct process)PROCESS_NONE;
    book_init(&g->book);
    nart_res r = open_runtime(g);
    if (r == 0)
        r = open_sockets(g);
    if (r == 0)
        r = start_processes(g, self);
    if (r == 0)
        r = run(g, &res);
    nart_tcp_listener_close(&g->listener);
    nart_udp_close(&g->udp);
    nart_rt_free(g->rt);
    end_processes(g, &res);
    bool good = r == 0 && report(g, &res);
    (void)nart_tokio_shutdown(g->tokio, NART_SEC, NULL); /* if the run was broken off */
    nart_tokio_free(g->tokio);
    if (g->snapshot_file)
        fclose(g->snapshot_file);
    return good ? 0 : 1;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* refresh.c: a value that is fetched by HTTP periodically, and used by a task that never waits for it.
 *
 * What to look at
 *  - the rate is a resource of a world. refresher() writes it. The handler on_query() names it as what it reads, and is
 *    called with a pointer to it. Neither refers to the other.
 *  - refresher(): its interval skips the ticks that pass while a request takes longer. get_rate() sets a deadline for
 *    the whole request. If a request fails, the old rate stays. The page is a line: one without its end is cut off.
 *  - serve(): it holds the join handles of both tasks, so an error of either ends the program.
 *  - get() is HTTP/1.0 over TCP. For https use nart_http_request() of the bridge, as cold_http.c does; nothing else
 *    changes.
 * Usage: refresh ADDRESS:PORT [MILLISECONDS between requests]. It gets http://ADDRESS:PORT/rate. The answer to a
 * datagram with an amount is the amount times the rate. It serves until SIGTERM. */
#include <nart/nart.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 1000000000 }; /* of a rate, and of an amount */

/* ---- the world ---- */

struct rate {
    long long value; /* 0: not known yet */
};

NART_RESOURCE(rate, struct rate);
NART_RESOURCE_DEFINE(rate);

struct query {
    const char *amount;
    char reply[64];
};

static nart_res on_query(const struct rate *rate, struct query *query)
{
    char *end;
    const long long amount = strtoll(query->amount, &end, 10);

    if (rate->value == 0 || end == query->amount || *end || amount < 0 || amount > LIMIT)
        return snprintf(query->reply, sizeof query->reply, "unknown");
    return snprintf(query->reply, sizeof query->reply, "%lld", amount * rate->value);
}

NART_HANDLER(on_query, struct query, SHARED(rate));

static nart_res set_rate(struct rate *rate, void *value)
{
    rate->value = *(const nart_res *)value;
    return 0;
}

/* ---- cold: the refresh ---- */

struct program {
    nart_addr server;
    int64_t period;
    nart_world *world;
    nart_udp queries;
};

/* The response, as a string, up to the end of the stream. */
static nart_res get(nart_cx *cx, const nart_addr *server, nart_tcp *sock, char *buf, size_t cap)
{
    static const char ask[] = "GET /rate HTTP/1.0\r\n\r\n";
    size_t done = 0, len = 0;
    nart_res r = nart_await(cx, nart_tcp_connect(cx, sock, server));

    if (r == 0)
        r = nart_await(cx, nart_tcp_send_all(cx, sock, ask, sizeof ask - 1, &done));
    while (r > 0 && len < cap - 1) {
        r = nart_await(cx, nart_tcp_recv(cx, sock, buf + len, cap - 1 - len));
        len += r > 0 ? (size_t)r : 0;
    }
    buf[len] = '\0';
    return r;
}

/* Answers the rate, which is above 0, or an error. */
static nart_res get_rate(nart_cx *cx, const nart_addr *server)
{
    char buf[2048], *body, *end = NULL;
    nart_tcp sock = { 0 };
    long long rate = 0;
    int status = 0;
    nart_res r = nart_await_for(cx, NART_SEC, get(cx, server, &sock, buf, sizeof buf));

    nart_tcp_close(&sock);
    if (r < 0)
        return r;
    body = strstr(buf, "\r\n\r\n");
    if (body)
        rate = strtoll(body, &end, 10);
    if (sscanf(buf, "HTTP/%*s %d", &status) != 1 || status != 200 || rate <= 0 || rate > LIMIT ||
        (strcmp(end, "\n") != 0 && strcmp(end, "\r\n") != 0))
        return -EPROTO;
    return rate;
}

/* Reports what is new: a rate, or an error. */
static nart_res refresher(nart_cx *cx, void *arg)
{
    struct program *p = arg;
    nart_interval every;
    nart_res got, last = 0, r = nart_interval_init_at(&every, nart_now(cx), p->period);

    every.missed = NART_MISSED_SKIP;
    while (r >= 0 && (r = nart_await(cx, nart_interval_tick(cx, &every))) >= 0) {
        got = get_rate(cx, &p->server);
        if (got == -ECANCELED)
            return got;
        if (got > 0)
            r = rate_write(p->world, set_rate, &got);
        if (got > 0 && got != last)
            printf("the rate is %lld\n", (long long)got);
        else if (got != last)
            printf("no new rate: %s\n", nart_err_name(got));
        fflush(stdout);
        last = got;
    }
    return r;
}

/* ---- hot: the queries ---- */

static nart_res responder(nart_cx *cx, void *arg)
{
    struct program *p = arg;
    nart_handler handler = { 0 };
    nart_addr from;
    char amount[32];
    nart_res r = nart_handler_init(&handler, p->world, &on_query_handler);

    while (r >= 0) {
        struct query query = { .amount = amount };

        r = nart_await(cx, nart_udp_recv(cx, &p->queries, amount, sizeof amount - 1, &from));
        if (r == -EMSGSIZE) { /* no query */
            r = 0;
            continue;
        }
        if (r < 0)
            break;
        amount[r] = '\0';
        r = on_query_run(&handler, &query);
        if (r >= 0 && nart_await(cx, nart_udp_send(cx, &p->queries, query.reply, (size_t)r,
                                                   &from)) == -ECANCELED)
            r = -ECANCELED; /* another error concerns this reply only */
    }
    nart_handler_finish(&handler);
    return r;
}

/* Until the shutdown, or the end of a task. */
static nart_res serve(nart_cx *cx, void *arg)
{
    nart_join hot = { 0 }, cold = { 0 };
    nart_waiter shutdown = { 0 };
    int which = 0;
    nart_res error = 0, r = nart_fiber_spawn(cx, responder, arg, NULL, &hot);

    if (r == 0)
        r = nart_fiber_spawn(cx, refresher, arg, NULL, &cold);
    if (r == 0)
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_join_await(cx, &hot, &error), nart_join_await(cx, &cold, &error));
    nart_join_release(&hot);
    nart_join_release(&cold);
    return r < 0 || which == 0 ? r : error;
}

static nart_res run(nart_rt *rt, struct program *p)
{
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res answer = 0, r = nart_addr_parse(&addr, "127.0.0.1:0");

    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = nart_udp_open(rt, &addr, NULL, &p->queries);
    if (r == 0)
        r = nart_udp_local_addr(&p->queries, &addr);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = nart_fiber_block_on(rt, serve, p, NULL, &answer);
    if (r == 0)
        r = nart_rt_shutdown_within(rt, 0, NART_SEC, NULL); /* cancels what still runs */
    return r < 0 ? r : answer;
}

int main(int argc, char **argv)
{
    struct program p = { .period = 0 };
    nart_rt *rt = NULL;
    int period = 10000;
    char more;

    if (argc < 2 || (argc > 2 && sscanf(argv[2], "%9d%c", &period, &more) != 1) || period < 0) {
        fputs("usage: refresh ADDRESS:PORT [MILLISECONDS between requests]\n", stderr);
        return 2;
    }
    nart_res r = nart_addr_parse(&p.server, argv[1]);
    p.period = period * NART_MS;
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_world_new(NULL, &p.world);
    if (r == 0)
        r = rate_add(p.world, NULL, NULL);
    if (r == 0)
        r = run(rt, &p);
    if (r < 0)
        fprintf(stderr, "refresh: %s\n", nart_strerror(r));
    nart_udp_close(&p.queries);
    nart_rt_free(rt);
    nart_world_free(p.world);
    return r < 0;
}

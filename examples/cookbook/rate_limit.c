/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rate_limit.c: a token bucket that tasks share. It limits how many requests are sent at once, and how many per second.
 *
 * What to look at
 *  - bucket_take(): no task fills the bucket; its level is computed from the time. A task that finds it empty takes the
 *    next token in advance, and sleeps until that is due. So tasks are served in order.
 *  - bucket_take(): a task that is cancelled while it sleeps returns its token.
 *  - bucket_take() is an ordinary function that contains an await. Any fiber can call it, at any depth.
 * Usage: rate_limit ADDRESS:PORT [REQUESTS [BURST [MILLISECONDS per token [TIMEOUT]]]]. Three tasks send the requests,
 * which are lines "NUMBER TIME", and read a line as the answer to each. The first connection or answer that takes more
 * than TIMEOUT milliseconds, 5000 by default, ends all. */
#include <nart/nart.h>

#include <stdio.h>

struct bucket {
    int64_t interval; /* nanoseconds per token */
    int64_t burst;    /* tokens that it can hold */
    int64_t empty;    /* the time when it is empty, or was: its level is (now - empty) / interval */
};

static nart_res bucket_take(nart_cx *cx, struct bucket *b)
{
    const int64_t full = nart_now(cx) - b->burst * b->interval;
    nart_timer timer = { 0 };
    nart_res r;

    if (b->empty < full) /* more does not fit */
        b->empty = full;
    b->empty += b->interval;
    r = nart_await(cx, nart_sleep_until(cx, &timer, b->empty)); /* at once, if that has passed */
    if (r < 0)
        b->empty -= b->interval;
    return r;
}

struct work {
    nart_addr server;
    struct bucket bucket;
    int requests, sent;
    int64_t timeout;
};

static nart_res send_requests(nart_cx *cx, struct work *work, nart_tcp *sock)
{
    char in[256], out[64], *answer = NULL;
    nart_stream s = { 0 };
    nart_res r = nart_await_for(cx, work->timeout, nart_tcp_connect(cx, sock, &work->server));

    if (r == 0)
        r = nart_stream_init_tcp(&s, sock, in, sizeof in);
    while (r >= 0 && work->sent < work->requests) {
        const int number = ++work->sent;
        size_t done = 0;
        int len;

        r = bucket_take(cx, &work->bucket);
        if (r < 0)
            break;
        len = snprintf(out, sizeof out, "%d %lld\n", number, (long long)nart_now(cx));
        r = nart_await(cx, nart_stream_write_all(cx, &s, out, (size_t)len, &done));
        if (r >= 0)
            r = nart_await_for(cx, work->timeout, nart_stream_read_line(cx, &s, 0, &answer));
        if (r >= 0)
            printf("%d: %s\n", number, answer);
    }
    return r < 0 ? r : 0;
}

static nart_res worker(nart_cx *cx, void *work)
{
    nart_tcp sock = { 0 };
    nart_res r = send_requests(cx, work, &sock);

    nart_tcp_close(&sock);
    return r;
}

static nart_res work_all(nart_cx *cx, void *work)
{
    nart_nursery workers = { 0 };
    nart_res joined, error = 0, r = nart_nursery_open(cx, &workers, NART_NURSERY_CANCEL_ON_ERROR);

    for (int i = 0; i < 3 && r == 0; i++)
        r = nart_nursery_fiber_spawn(cx, &workers, worker, work, NULL);
    joined = nart_await(cx, nart_nursery_join(cx, &workers, &error));
    return error < 0 ? error : joined < 0 ? joined : r;
}

int main(int argc, char **argv)
{
    int n[] = { 30, 5, 50, 5000 }, good = argc > 1;
    nart_rt *rt = NULL;
    char more;

    for (int i = 2; i < argc && i < 6; i++)
        good = good && sscanf(argv[i], "%8d%c", &n[i - 2], &more) == 1 && n[i - 2] >= 0;
    if (!good || n[1] > 9999) { /* BURST tokens take less time than the clock counts */
        fputs("usage: rate_limit ADDRESS:PORT [REQUESTS [BURST [MILLISECONDS per token "
              "[TIMEOUT]]]]\n",
              stderr);
        return 2;
    }
    struct work work = { .requests = n[0], .timeout = n[3] * NART_MS };
    nart_res answer = 0, r = nart_addr_parse(&work.server, argv[1]);
    work.bucket.empty = INT64_MIN; /* so it begins full */
    work.bucket.burst = n[1];
    work.bucket.interval = n[2] * NART_MS;
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_fiber_block_on(rt, work_all, &work, NULL, &answer);
    if (r == 0)
        r = answer;
    if (r < 0)
        fprintf(stderr, "rate_limit: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}

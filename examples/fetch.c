/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fetch.c: a task of the loop awaits an HTTP request that tokio makes, while another task runs on.
 * Usage: fetch [URL]. Look at fetch_run() first. */
#include <nart/nart.h>
#include <nart/tokio.h>

#include <stdio.h>

struct fetch {
    nart_co co;
    nart_tokio *tokio;
    const char *url;
    nart_tokio_op op;
    int64_t status;
};

static nart_res fetch_run(nart_cx *cx, void *frame)
{
    struct fetch *f = frame;
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_res r;

    NART_BEGIN(cx, &f->co);
    get.url = f->url;
    get.timeout_ns = 5 * NART_SEC;
    r = nart_http_request(f->tokio, &get, &f->op); /* tokio's threads make the request */
    if (r == 0)
        NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->status)); /* the loop goes on */
    if (r == 0)
        printf("%s: status %d\n", f->url, (int)f->status);
    else
        printf("%s: %s %s\n", f->url, nart_strerror(r), nart_tokio_op_message(&f->op, NULL));
    nart_tokio_op_close(&f->op);
    NART_END(r);
}

/* The hot half: it never waits for the network. */
struct ticker {
    nart_co co;
    nart_timer timer;
    long ticks;
};

static nart_res ticker_run(nart_cx *cx, void *frame)
{
    struct ticker *t = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &t->co);
    while (r == 0) {
        NART_AWAIT(r, nart_sleep(cx, &t->timer, NART_MS));
        t->ticks += r == 0;
    }
    printf("the loop ran %ld times meanwhile\n", t->ticks);
    NART_END(r);
}

NART_TASK_TYPED(fetch, struct fetch, fetch_run, NULL);
NART_TASK_TYPED(ticker, struct ticker, ticker_run, NULL);

int main(int argc, char **argv)
{
    nart_rt *rt = NULL;
    nart_tokio *tokio = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);
    struct ticker ticker = { .ticks = 0 };

    if (r == 0)
        r = nart_tokio_new(NULL, &tokio);
    if (r == 0)
        r = ticker_rt_spawn(rt, &ticker, NULL);
    if (r == 0) {
        struct fetch f = { .tokio = tokio, .url = argc > 1 ? argv[1] : "https://example.com/" };
        r = fetch_block_on(rt, &f, &answer);
    }
    if (tokio) { /* its threads end before the loop is freed */
        nart_res ended = nart_tokio_shutdown(tokio, 5 * NART_SEC, NULL);
        if (r == 0)
            r = ended;
    }
    if (r < 0)
        fprintf(stderr, "%s\n", nart_strerror(r));
    nart_rt_free(rt);
    nart_tokio_free(tokio);
    return r == 0 && answer == 0 ? 0 : 1;
}

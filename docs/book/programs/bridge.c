/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bridge.md: a function that blocks, on the threads of the bridge, and the order of the end. */
#include <nart/nart.h>
#include <nart/tokio.h>

#include <stdio.h>
#include <stdlib.h>

static nart_tokio *tokio;

// --8<-- [start:blocking]
/* On a thread of the pool: it may block, and take as long as it needs. */
static nart_res count_primes(void *arg, const nart_tokio_stop *stop)
{
    int64_t limit = *(int64_t *)arg, found = 0;

    for (int64_t n = 2; n < limit; n++) {
        int64_t d = 2;
        while (d * d <= n && n % d != 0)
            d++;
        found += d * d > n;
        if (n % 1024 == 0 && nart_tokio_stopped(stop))
            return -ECANCELED;
    }
    return found;
}

static nart_res primes(nart_cx *cx, int64_t limit, int64_t *found)
{
    int64_t *arg = malloc(sizeof *arg);
    nart_tokio_op op = { 0 };
    nart_res r;

    if (!arg)
        return -ENOMEM;
    *arg = limit;
    r = nart_tokio_blocking(tokio, "primes", count_primes, arg, free, &op);
    if (r < 0) {
        free(arg); /* it was not accepted: the argument is still ours */
        return r;
    }
    r = nart_await_for(cx, 10 * NART_SEC, nart_tokio_op_await(cx, &op, found));
    nart_tokio_op_close(&op); /* cancels it, if it still runs */
    return r;
}
// --8<-- [end:blocking]

// --8<-- [start:run]
static nart_res run(nart_cx *cx, void *arg)
{
    int64_t found = 0;
    nart_res r = primes(cx, 100000, &found);

    (void)arg;
    if (r == 0)
        printf("%lld primes\n", (long long)found);
    return r;
}
// --8<-- [end:run]

// --8<-- [start:main]
int main(void)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_report report = NART_TOKIO_REPORT_INIT;
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    opts.max_blocking = 2;
    if (r == 0)
        r = nart_tokio_new(&opts, &tokio);
    if (r == 0)
        r = nart_fiber_block_on(rt, run, NULL, NULL, &answer);
    if (r == 0)
        r = answer;
    if (tokio) { /* first what works for the loop, then the loop, then the bridge's memory */
        nart_res ended = nart_tokio_shutdown(tokio, 5 * NART_SEC, &report);
        if (ended < 0)
            fprintf(stderr, "work is left: %s\n", nart_strerror(ended));
        else
            printf("%llu operations, all ended\n", (unsigned long long)report.submitted);
    }
    nart_rt_free(rt);
    nart_tokio_free(tokio);
    if (r < 0)
        fprintf(stderr, "%s\n", nart_strerror(r));
    return r < 0;
}
// --8<-- [end:main]

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* system_pool.c: a function that computes for long, on a thread of a pool. */
#include "main.h"

#include <stdio.h>

// --8<-- [start:program]
/* A job: its data, and a function that a thread of the pool calls with it. */
struct primes {
    uint32_t below, count;
};

static bool is_prime(uint32_t n)
{
    for (uint32_t i = 2; i * i <= n; i++)
        if (n % i == 0)
            return false;
    return n >= 2;
}

static nart_res primes_do(void *data, const nart_job *job)
{
    struct primes *p = data;

    for (uint32_t n = 0; n < p->below; n++) {
        if (nart_work_cancelled(job)) /* nobody waits any more */
            return -ECANCELED;
        p->count += is_prime(n);
    }
    return 0;
}

static const nart_work_type primes_type = NART_WORK_TYPE(struct primes, primes_do, NULL);

static nart_res count(nart_cx *cx, uint32_t below, int64_t ns)
{
    const struct primes init = { .below = below };
    nart_work work = { 0 };
    nart_res r;

    r = nart_await_for(cx, ns, nart_work_run(cx, &work, NULL, &primes_type, &init));
    if (r == 0) {
        const struct primes *p = nart_work_data(&work); /* the pool's copy */
        printf("%u primes below %u\n", p->count, p->below);
    } else {
        printf("below %u: %s\n", below, nart_err_name(r));
    }
    nart_work_close(&work);
    return r;
}

static nart_res program(nart_cx *cx, void *arg)
{
    nart_res r = count(cx, 10000, NART_SEC * 60);

    (void)arg;
    if (r == 0)
        r = count(cx, UINT32_MAX, 10 * NART_MS); /* would take very long */
    return r == -ETIMEDOUT ? 0 : r;
}
// --8<-- [end:program]

int main(void)
{
    int status = run_fiber(program, NULL);

    nart_workers_shutdown(NULL, NART_NEVER); /* jobs that run have seen nart_work_cancelled() */
    return status;
}

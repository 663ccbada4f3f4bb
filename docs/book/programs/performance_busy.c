/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* performance_busy.c: a loop that spins on a processor of its own, and how fast it gets values of another thread.
 * Compile it with -D_GNU_SOURCE, for CPU_SET(). */
#include <nart/nart.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VALUES = 200 };

NART_CHAN_TYPED(stamp, int64_t);

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NART_SEC + t.tv_nsec;
}

// --8<-- [start:pin]
/* Leaves this thread the last of its processors, if there are several. Answers which one, or -1. */
static int pin_to_last(void)
{
    cpu_set_t all, one;
    int cpu = CPU_SETSIZE - 1;

    if (sched_getaffinity(0, sizeof all, &all) < 0 || CPU_COUNT(&all) < 2)
        return -1;
    while (!CPU_ISSET((size_t)cpu, &all))
        cpu--;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0 ? cpu : -1;
}
// --8<-- [end:pin]

// --8<-- [start:program]
/* The other thread sends the time, 20 microseconds apart. */
static void *feed(void *arg)
{
    const struct timespec pause = { .tv_nsec = 20000 };
    nart_tx *tx = arg;
    nart_res r = 0;

    for (int i = 0; i < VALUES && r == 0; i++) {
        nanosleep(&pause, NULL);
        r = stamp_try_send(tx, now()); /* no system call, no locked instruction */
    }
    nart_tx_close(tx);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static nart_res hot(nart_cx *cx, void *arg)
{
    int64_t took[VALUES], stamp;
    size_t n = 0;

    while (nart_await(cx, stamp_recv(cx, arg, &stamp)) == 0)
        took[n++] = now() - stamp;
    qsort(took, n, sizeof *took, by_value);
    if (n > 0)
        printf("%zu values, median %d ns, most %d ns\n", n, (int)took[n / 2], (int)took[n - 1]);
    return n == VALUES ? 0 : -EIO;
}

static nart_res run(nart_rt *rt)
{
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;
    nart_tx tx;
    nart_rx rx;
    pthread_t thread;
    nart_res answer = 0, r;

    opts.kind = NART_CHAN_SPSC;
    opts.flags = NART_CHAN_SPINNING; /* the loop looks into the channel: sends wake nobody */
    opts.elem = sizeof(int64_t);
    opts.capacity = VALUES;
    r = nart_chan_open(rt, &opts, &tx, &rx);
    if (r < 0)
        return r;
    r = -pthread_create(&thread, NULL, feed, &tx); /* before this thread is pinned */
    if (r == 0) {
        pin_to_last();
        r = nart_fiber_block_on(rt, hot, &rx, NULL, &answer);
        pthread_join(thread, NULL);
    } else {
        nart_tx_close(&tx);
    }
    nart_rx_close(&rx);
    return r < 0 ? r : answer;
}

int main(void)
{
    nart_rt_opts opts = NART_RT_OPTS_INIT;
    nart_rt *rt = NULL;
    nart_res r;

    opts.flags = NART_RT_SPINNING; /* never parks */
    r = nart_rt_new(&opts, &rt);
    if (r == 0)
        r = run(rt);
    nart_rt_free(rt);
    return r < 0;
}
// --8<-- [end:program]

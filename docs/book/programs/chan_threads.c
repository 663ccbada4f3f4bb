/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan_threads.c: two threads send to a task. */
#include <nart/nart.h>

#include <pthread.h>
#include <stdio.h>

// --8<-- [start:program]
NART_CHAN_TYPED(numbers, int);

/* An ordinary thread: it may block. */
static void *counts(void *arg)
{
    nart_tx *tx = arg;
    nart_res r = 0;

    for (int i = 1; i <= 1000 && r == 0; i++)
        r = nart_send_blocking(tx, &i, NART_NEVER);
    nart_tx_close(tx);
    return NULL;
}

static nart_res adds(nart_cx *cx, void *arg)
{
    nart_rx *rx = arg;
    int value, sum = 0;
    nart_res r;

    while ((r = nart_await(cx, numbers_recv(cx, rx, &value))) == 0)
        sum += value;
    nart_rx_close(rx);
    return r == NART_ECLOSED ? sum : r;
}

static nart_res run(nart_rt *rt, nart_res *sum)
{
    nart_tx tx[2] = { 0 };
    nart_rx rx;
    pthread_t threads[2];
    int started = 0;
    nart_res r = numbers_open(rt, NART_CHAN_MPSC, 16, &tx[0], &rx);

    if (r == 0)
        r = nart_tx_clone(&tx[0], &tx[1]); // an end for each thread
    while (r == 0 && started < 2) {
        r = -pthread_create(&threads[started], NULL, counts, &tx[started]);
        started += r == 0;
    }
    if (r == 0)
        r = nart_fiber_block_on(rt, adds, &rx, NULL, sum);
    nart_rx_close(&rx); // after an error: a thread that sends gets NART_ECLOSED
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    for (int i = started; i < 2; i++)
        nart_tx_close(&tx[i]);
    return r;
}
// --8<-- [end:program]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res sum = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = run(rt, &sum);
    nart_rt_free(rt);
    printf("sum %d\n", (int)sum);
    return r < 0 || sum < 0;
}

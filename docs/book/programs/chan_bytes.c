/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chan_bytes.c: messages of any length, written and read in place. */
#include <nart/nart.h>

#include <pthread.h>
#include <stdio.h>

// --8<-- [start:program]
static void *writes(void *arg)
{
    nart_bytes_tx *tx = arg;
    nart_bytes_buf buf;
    nart_res r = 0;

    for (int i = 8; i <= 10 && r == 0; i++) {
        r = nart_bytes_claim_blocking(tx, 32, &buf, NART_NEVER); // at most 32 bytes
        if (r == 0) {
            buf.len = (size_t)snprintf(buf.ptr, 32, "message %d", i);
            r = nart_bytes_commit(tx, &buf);
        }
    }
    nart_bytes_tx_close(tx);
    return NULL;
}

static nart_res reads(nart_cx *cx, void *arg)
{
    nart_bytes_rx *rx = arg;
    nart_bytes_msg msg;
    nart_res r;

    while ((r = nart_await(cx, nart_bytes_recv(cx, rx, &msg))) == 0) {
        printf("%zu bytes: %.*s\n", msg.len, (int)msg.len, (const char *)msg.ptr);
        nart_bytes_release(rx, &msg);
    }
    nart_bytes_rx_close(rx);
    return r == NART_ECLOSED ? 0 : r;
}
// --8<-- [end:program]

static nart_res run(nart_rt *rt)
{
    nart_bytes_opts opts = NART_BYTES_OPTS_INIT;
    nart_bytes_tx tx;
    nart_bytes_rx rx;
    pthread_t thread;
    nart_res answer = 0;

    // --8<-- [start:open]
    opts.kind = NART_BYTES_SPSC;
    opts.capacity = 4096;
    nart_res r = nart_bytes_open(rt, &opts, &tx, &rx);
    // --8<-- [end:open]
    if (r == 0) {
        r = -pthread_create(&thread, NULL, writes, &tx);
        if (r == 0) {
            r = nart_fiber_block_on(rt, reads, &rx, NULL, &answer);
            nart_bytes_rx_close(&rx);
            pthread_join(thread, NULL);
        }
    }
    nart_bytes_tx_close(&tx);
    nart_bytes_rx_close(&rx);
    return r < 0 ? r : answer;
}

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = run(rt);
    nart_rt_free(rt);
    return r < 0;
}

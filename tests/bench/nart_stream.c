/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values from another thread, which retries while the channel is full, to a task that awaits
 * them. */
#include "nart_rows.h"

#include <nart/chan.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>

NART_CHAN_TYPED(u64, uint64_t);

enum { PLACES = 1024 };

struct sender {
    nart_tx tx;
    uint64_t n;
};

static void *sender_main(void *arg)
{
    struct sender *s = arg;
    nart_tx tx = { 0 }; /* on this stack: the receiver's frame is not written to */
    uint64_t n = s->n;

    nart_tx_move(&tx, &s->tx);
    for (uint64_t i = 0; i < n; i++) {
        nart_res r;
        while ((r = u64_try_send(&tx, i)) == -EAGAIN)
            sched_yield();
        bench_must(r, "send");
    }
    nart_tx_close(&tx);
    return NULL;
}

struct stream {
    struct work w;
    uint32_t kind, flags;
    nart_rx rx;
    struct sender sender;
    pthread_t thread;
    uint64_t value;
};

/* Starts the thread on its own processor: on the loop's it would have to wait for a loop that
 * spins. */
static void start_sender(nart_cx *cx, struct stream *s)
{
    nart_chan_opts o = { sizeof o, s->kind, s->flags, sizeof(uint64_t), PLACES, NULL };

    bench_must(nart_chan_open(nart_cx_rt(cx), &o, &s->sender.tx, &s->rx), "open");
    s->sender.n = s->w.n;
    bench_pin_to(1);
    errno = pthread_create(&s->thread, NULL, sender_main, &s->sender);
    if (errno)
        bench_fail("thread");
    bench_pin_to(0);
}

static nart_res stream_run(nart_cx *cx, void *frame)
{
    struct stream *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->w.co);
    start_sender(cx, s);
    for (s->w.i = 0; s->w.i < s->w.n; s->w.i++) {
        NART_AWAIT(r, u64_recv(cx, &s->rx, &s->value));
        bench_must(r, "recv");
        bench_must(s->value == s->w.i ? 0 : -EBADMSG, "order");
    }
    pthread_join(s->thread, NULL); /* it has sent everything */
    nart_rx_close(&s->rx);
    NART_END(0);
}

static double stream(nart_rt *rt, bench_how how, uint64_t n, uint32_t kind, uint32_t flags)
{
    static const nart_task_type type = NART_TASK_TYPE(struct stream, stream_run, NULL);

    return how(rt, &type, &(struct stream){ .kind = kind, .flags = flags }, n);
}

double spsc_stream(nart_rt *rt, bench_how how, uint64_t n)
{
    return stream(rt, how, n, NART_CHAN_SPSC, 0);
}

double spsc_stream_spin(nart_rt *rt, bench_how how, uint64_t n)
{
    return stream(rt, how, n, NART_CHAN_SPSC, NART_CHAN_SPINNING);
}

double mpsc_stream(nart_rt *rt, bench_how how, uint64_t n)
{
    return stream(rt, how, n, NART_CHAN_MPSC, 0);
}

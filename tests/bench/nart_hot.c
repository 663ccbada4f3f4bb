/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What HTTP costs the messages of a hot loop. A thread sends the time, every 50 us, to a task of a loop that
 * spins on a processor of its own. In every second block of messages, other tasks of the loop make GET
 * requests, as many as the other processor bears: there are tokio's worker, the server, and the sender, which
 * sleeps between two messages. */
#include "nart_allocs.h"
#include "nart_http.h"

#include <nart/chan.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

NART_CHAN_TYPED(stamp, int64_t);

enum {
    PLACES = 64,
    INTERVAL = 50000, /* ns */
    PAIRS = 10,       /* of blocks without and with HTTP */
    SETTLE = 100      /* messages at the begin of a block that are not measured */
};

/* ---- the sender ------------------------------------------------------------------------------ */

struct sender {
    nart_tx tx;
    pthread_t thread;
    atomic_bool stop;
};

static void *sender_main(void *arg)
{
    struct sender *s = arg;

    prctl(PR_SET_TIMERSLACK, 1UL); /* ns; the default adds 50 us to each sleep */
    while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
        nart_res r = stamp_try_send(&s->tx, bench_now());
        if (r != -EAGAIN) /* the task does not receive between blocks */
            bench_must(r, "send");
        nanosleep(&(struct timespec){ .tv_nsec = INTERVAL }, NULL);
    }
    nart_tx_close(&s->tx);
    return NULL;
}

/* ---- the hot task ---------------------------------------------------------------------------- */

struct latencies {
    int64_t *ns;
    uint64_t n;
};

struct hot {
    nart_co co;
    struct gets gets;
    nart_join joins[GET_TASKS];
    nart_rx rx;
    int64_t stamp;
    uint64_t per_block, i;
    int block, joined;
    struct latencies kinds[2]; /* without and with HTTP */
    uint64_t allocs, made;     /* of all measured parts with HTTP: allocations here, and requests */
    int64_t time;              /* of them all */
};

static bool has_http(const struct hot *h)
{
    return h->block % 2 == 1;
}

static void gets_begin(struct hot *h, nart_cx *cx)
{
    if (!has_http(h))
        return;
    h->gets.left = UINT64_MAX;
    gets_spawn(cx, &h->gets, h->joins);
}

/* Adds what was counted until now; with `sign` -1, at the begin, takes it away. */
static void count(struct hot *h, int sign)
{
    if (!has_http(h))
        return;
    h->allocs += (uint64_t)sign * allocs_of_thread();
    h->made += (uint64_t)sign * (UINT64_MAX - h->gets.left);
    h->time += sign * bench_now();
}

static void take(struct hot *h)
{
    struct latencies *l = &h->kinds[h->block % 2];

    if (h->i == SETTLE)
        count(h, -1);
    if (h->i >= SETTLE)
        l->ns[l->n++] = bench_now() - h->stamp;
}

static nart_res hot_run(nart_cx *cx, void *frame)
{
    struct hot *h = *(struct hot **)frame;
    nart_res r = 0;

    NART_BEGIN(cx, &h->co);
    for (h->block = 0; h->block < 2 * PAIRS; h->block++) {
        gets_begin(h, cx);
        for (h->i = 0; h->i < SETTLE + h->per_block; h->i++) {
            NART_AWAIT(r, stamp_recv(cx, &h->rx, &h->stamp));
            bench_must(r, "recv");
            take(h);
        }
        count(h, 1);
        h->gets.left = 0;
        for (h->joined = 0; has_http(h) && h->joined < GET_TASKS; h->joined++) {
            NART_AWAIT(r, nart_join_await(cx, &h->joins[h->joined], NULL));
            bench_must(r, "join");
            nart_join_release(&h->joins[h->joined]);
        }
    }
    NART_END(0);
}

/* ---- the row --------------------------------------------------------------------------------- */

static void open_all(struct hot *h, nart_rt *rt, struct sender *s)
{
    nart_chan_opts o = {
        sizeof o, NART_CHAN_SPSC, NART_CHAN_SPINNING, sizeof(int64_t), PLACES, NULL
    };

    bench_pin_to(0); /* so tokio's worker runs on another processor */
    h->gets.bridge = open_bridge(GET_TASKS);
    bench_must(nart_chan_open(rt, &o, &s->tx, &h->rx), "open");
    bench_pin_to(1);
    gets_serve(&h->gets);
    errno = pthread_create(&s->thread, NULL, sender_main, s);
    if (errno)
        bench_fail("thread");
    bench_pin_to(0);
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(struct latencies *l)
{
    qsort(l->ns, l->n, sizeof *l->ns, by_value);
    return (double)l->ns[l->n / 2];
}

double http_hot(uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct hot *, hot_run, NULL);
    nart_rt_opts spins = { .size = sizeof spins, .flags = NART_RT_SPINNING };
    nart_rt *rt = bench_runtime(&spins);
    struct hot h = { .per_block = (n + PAIRS - 1) / PAIRS }, *hot = &h;
    struct sender sender = { 0 };

    for (int i = 0; i < 2; i++)
        if (!(h.kinds[i].ns = calloc(PAIRS * h.per_block, sizeof *h.kinds[i].ns)))
            bench_fail("memory");
    open_all(&h, rt, &sender);
    bench_must(nart_block_on(rt, &type, &hot, NULL), "block_on");
    atomic_store_explicit(&sender.stop, true, memory_order_relaxed);
    pthread_join(sender.thread, NULL);
    nart_rx_close(&h.rx);
    close_bridge(h.gets.bridge);
    bench_must(nart_rt_free(rt), "nart_rt_free");

    double quiet = median(&h.kinds[0]), http = median(&h.kinds[1]);
    free(h.kinds[0].ns);
    free(h.kinds[1].ns);
    bench_print("http_hot", "quiet", quiet, "ns");
    bench_print("http_hot_get", "nart", (double)h.time / (double)h.made, "ns");
    bench_print("http_hot_allocs", "nart", (double)h.allocs, "allocations");
    return http;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The channel rows on the ring of Concurrency Kit. It holds pointers, one less than its size,
 * and has no blocking: a side that finds it full or empty yields the processor and retries. */
#include "bench.h"

#include <ck_ring.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>

enum { PAIR_PLACES = 64, STREAM_PLACES = 1024 };

struct channel {
    ck_ring_t ring;
    ck_ring_buffer_t places[STREAM_PLACES];
};

typedef bool (*enqueue)(ck_ring_t *, ck_ring_buffer_t *, const void *);
typedef bool (*dequeue)(ck_ring_t *, const ck_ring_buffer_t *, void *);

static void expect(bool ok, const char *what)
{
    if (ok)
        return;
    errno = EBADMSG;
    bench_fail(what);
}

static double per_op(int64_t start, uint64_t n)
{
    return (double)(bench_now() - start) / (double)n;
}

/* ---- both ends on one thread ------------------------------------------------------------------ */

static inline void pairs(uint64_t n, enqueue put, dequeue take)
{
    static struct channel c;
    void *value = NULL;

    ck_ring_init(&c.ring, PAIR_PLACES);
    for (uint64_t i = 0; i < n; i++) {
        expect(put(&c.ring, c.places, (void *)(uintptr_t)i), "put");
        expect(take(&c.ring, c.places, &value), "take");
        BENCH_KEEP(value);
    }
}

static double spsc_pair(uint64_t n)
{
    pairs(n / 10, ck_ring_enqueue_spsc, ck_ring_dequeue_spsc);
    int64_t start = bench_now();
    pairs(n, ck_ring_enqueue_spsc, ck_ring_dequeue_spsc);
    return per_op(start, n);
}

static double mpsc_pair(uint64_t n)
{
    pairs(n / 10, ck_ring_enqueue_mpsc, ck_ring_dequeue_mpsc);
    int64_t start = bench_now();
    pairs(n, ck_ring_enqueue_mpsc, ck_ring_dequeue_mpsc);
    return per_op(start, n);
}

/* ---- from another thread ---------------------------------------------------------------------- */

struct sender {
    struct channel *channel;
    uint64_t n;
};

static inline void send_all(const struct sender *s, enqueue put)
{
    bench_pin_to(1);
    for (uint64_t i = 0; i < s->n; i++)
        while (!put(&s->channel->ring, s->channel->places, (void *)(uintptr_t)i))
            sched_yield();
}

static void *send_spsc(void *arg)
{
    send_all(arg, ck_ring_enqueue_spsc);
    return NULL;
}

static void *send_mpsc(void *arg)
{
    send_all(arg, ck_ring_enqueue_mpsc);
    return NULL;
}

static inline void receive_all(uint64_t n, void *(*send)(void *), dequeue take)
{
    static struct channel c;
    struct sender s = { &c, n };
    void *value = NULL;
    pthread_t thread;

    ck_ring_init(&c.ring, STREAM_PLACES);
    errno = pthread_create(&thread, NULL, send, &s);
    if (errno)
        bench_fail("thread");
    for (uint64_t i = 0; i < n; i++) {
        while (!take(&c.ring, c.places, &value))
            sched_yield();
        expect((uintptr_t)value == i, "order");
    }
    pthread_join(thread, NULL);
}

static double spsc_stream(uint64_t n)
{
    bench_pin_to(0);
    receive_all(n / 10, send_spsc, ck_ring_dequeue_spsc);
    int64_t start = bench_now();
    receive_all(n, send_spsc, ck_ring_dequeue_spsc);
    return per_op(start, n);
}

static double mpsc_stream(uint64_t n)
{
    bench_pin_to(0);
    receive_all(n / 10, send_mpsc, ck_ring_dequeue_mpsc);
    int64_t start = bench_now();
    receive_all(n, send_mpsc, ck_ring_dequeue_mpsc);
    return per_op(start, n);
}

static const struct bench_row rows[] = {
    { "spsc_pair", "ns", "ck", spsc_pair, NULL },
    { "mpsc_pair", "ns", "ck", mpsc_pair, NULL },
    { "spsc_stream", "ns", "ck", spsc_stream, NULL },
    { "mpsc_stream", "ns", "ck", mpsc_stream, NULL },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

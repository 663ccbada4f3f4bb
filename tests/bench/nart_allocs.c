/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The allocations of the bridge: a separate program, because its malloc counts. It counts every
 * allocation of the process, including those of tokio and its threads, after a warm-up batch. */
#include "nart_allocs.h"

#include "nart_bridge.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* glibc's own functions, under names that are not interposed. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);

static _Atomic uint64_t allocations;
static _Thread_local uint64_t allocations_here;

uint64_t allocs_of_thread(void)
{
    return allocations_here;
}

static void count(void)
{
    allocations_here++;
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    count();
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    count();
    return __libc_memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    count();
    *out = __libc_memalign(align, size);
    return *out ? 0 : ENOMEM;
}

/* Runs a batch like the others, and counts allocations instead of measuring time. */
static double per_op;

static double count_batches(nart_rt *rt, const nart_task_type *type, void *init, uint64_t n)
{
    struct work *w = init;
    nart_res result = 0;

    w->n = n;
    for (int run = 0; run < 2; run++) {
        uint64_t before = allocations;
        bench_must(nart_block_on(rt, type, init, &result), "block_on");
        bench_must(result, "batch");
        per_op = (double)(allocations - before) / (double)n;
    }
    return per_op;
}

static double batch_allocs(batch_begin begin, uint64_t n)
{
    nart_rt *rt = bench_runtime(NULL);
    nart_tokio *bridge = open_bridge(n);
    double each = run_batch(rt, count_batches, bridge, begin, n);

    close_bridge(bridge);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    return each;
}

/* ---- wakes from a thread of tokio ------------------------------------------------------------ */

struct wakes {
    nart_waker waker;
    uint64_t n;
    double each;
};

static nart_res wake_often(void *arg, const nart_tokio_stop *stop)
{
    struct wakes *w = arg;
    uint64_t before = allocations;
    (void)stop;

    for (uint64_t i = 0; i < w->n; i++)
        nart_waker_wake(w->waker);
    w->each = (double)(allocations - before) / (double)w->n;
    return 0;
}

struct woken {
    nart_co co;
    nart_tokio *bridge;
    struct wakes *wakes;
    nart_tokio_op op;
};

static nart_res woken_run(nart_cx *cx, void *frame)
{
    struct woken *w = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &w->co);
    w->wakes->waker = nart_cx_waker(cx);
    bench_must(nart_tokio_blocking(w->bridge, "wakes", wake_often, w->wakes, NULL, &w->op),
               "begin");
    NART_AWAIT(r, nart_tokio_op_await(cx, &w->op, NULL));
    nart_tokio_op_close(&w->op);
    NART_END(r);
}

static double wake_allocs(uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct woken, woken_run, NULL);
    nart_rt *rt = bench_runtime(NULL);
    nart_tokio *bridge = open_bridge(1);
    struct wakes wakes = { .n = n };
    struct woken init = { .bridge = bridge, .wakes = &wakes };

    bench_must(nart_block_on(rt, &type, &init, NULL), "block_on");
    close_bridge(bridge);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    return wakes.each;
}

/* bridge_allocs is the row of operations; the other two figures are printed beside it. */
static double bridge_allocs(uint64_t n)
{
    bench_print("bridge_allocs_c", "nart", batch_allocs(begin_task, n), "allocations");
    bench_print("bridge_allocs_blocking", "nart", batch_allocs(begin_blocking, n), "allocations");
    bench_print("bridge_allocs_wake", "nart", wake_allocs(n), "allocations");
    return batch_allocs(begin_future, n);
}

static const struct bench_row rows[] = {
    { "bridge_allocs", "allocations", "nart", bridge_allocs, NULL },
#if NART_HTTP
    { "http_hot", "ns", "nart", http_hot, NULL },
#endif
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

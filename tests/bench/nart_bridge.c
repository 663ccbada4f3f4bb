/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rows of the bridge to tokio. */
#include "nart_bridge.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- batches --------------------------------------------------------------------------------- */

static double batch(batch_begin begin, bench_how how, uint64_t n)
{
    nart_rt *rt = bench_runtime(NULL);
    nart_tokio *bridge = open_bridge(n);
    double per_op = run_batch(rt, how, bridge, begin, n);

    close_bridge(bridge);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    return per_op;
}

static double futures_task(uint64_t n)
{
    return batch(begin_future, bench_as_task, n);
}

static double futures_root(uint64_t n)
{
    return batch(begin_future, bench_as_root, n);
}

static double c_tasks(uint64_t n)
{
    return batch(begin_task, bench_as_task, n);
}

static double blocking(uint64_t n)
{
    return batch(begin_blocking, bench_as_task, n);
}

/* ---- wakes from a thread of tokio ------------------------------------------------------------ */

/* The loop's thread and one of tokio's take turns: tokio's asks and wakes, the loop's answers.
 * Each side has its own cache line. */
struct turns {
    _Alignas(128) _Atomic uint64_t asked;
    _Alignas(128) _Atomic uint64_t answered;
    _Atomic uint64_t open; /* the current listener answers turns up to here */
    nart_waker waker;      /* of the listening task; written before `open` */
    int eventfd;           /* wakes the bare loop */
    uint64_t n;
    int64_t total;        /* total time of n turns of a spinning loop */
    int64_t *nart, *bare; /* time of each of n turns of a parked one */
};

/* Body of a spin loop: the processor's pause instruction, where there is one. */
static void pause_once(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#endif
}

static void await_answer(struct turns *t, uint64_t turn)
{
    while (atomic_load_explicit(&t->answered, memory_order_acquire) != turn)
        pause_once();
}

static void await_open(struct turns *t, uint64_t last)
{
    while (atomic_load_explicit(&t->open, memory_order_acquire) != last)
        pause_once();
}

static void ask_task(struct turns *t, uint64_t turn)
{
    atomic_store_explicit(&t->asked, turn, memory_order_release);
    nart_waker_wake(t->waker);
    await_answer(t, turn);
}

/* The task: answers requests, ends after its last turn. */
struct answerer {
    struct turns *turns;
    uint64_t last;
    bool open;
};

static nart_res answerer_run(nart_cx *cx, void *frame)
{
    struct answerer *a = frame;
    struct turns *t = a->turns;
    nart_res r = nart_op_enter(cx);

    if (r != 0)
        return r;
    if (!a->open) {
        a->open = true;
        t->waker = nart_cx_waker(cx);
        atomic_store_explicit(&t->open, a->last, memory_order_release);
    }
    uint64_t asked = atomic_load_explicit(&t->asked, memory_order_acquire);
    atomic_store_explicit(&t->answered, asked, memory_order_release);
    return asked == a->last ? 0 : nart_op_park(cx);
}

static const nart_task_type answerer_type = NART_TASK_TYPE(struct answerer, answerer_run, NULL);

static void answer_on_nart(nart_rt *rt, struct turns *t, uint64_t last)
{
    bench_must(nart_block_on(rt, &answerer_type, &(struct answerer){ t, last, false }, NULL),
               "block_on");
}

/* Runs `ask` on a thread of tokio and `answer` here, each on its own processor. */
static void with_tokio_thread(nart_rt *rt, nart_res (*ask)(void *, const nart_tokio_stop *),
                              void (*answer)(nart_rt *, struct turns *), struct turns *t)
{
    bench_pin_to(0);
    nart_tokio *bridge = open_bridge(1);
    nart_tokio_op op = { 0 };

    bench_must(nart_tokio_blocking(bridge, "ask", ask, t, NULL, &op), "blocking");
    answer(rt, t);
    close_bridge(bridge);
    nart_tokio_op_close(&op);
}

/* -- a loop that spins -- */

static nart_res ask_spinning(void *arg, const nart_tokio_stop *stop)
{
    struct turns *t = arg;
    uint64_t warm = t->n / 10, turn = 0;
    (void)stop;

    bench_pin_to(1);
    await_open(t, warm + t->n);
    while (turn < warm)
        ask_task(t, ++turn);
    int64_t start = bench_now();
    while (turn < warm + t->n)
        ask_task(t, ++turn);
    t->total = bench_now() - start;
    return 0;
}

static void answer_all(nart_rt *rt, struct turns *t)
{
    answer_on_nart(rt, t, t->n / 10 + t->n);
}

static double wake_spin(uint64_t n)
{
    nart_rt_opts spins = { .size = sizeof spins, .flags = NART_RT_SPINNING };
    nart_rt *rt = bench_runtime(&spins);
    struct turns t = { .n = n };

    with_tokio_thread(rt, ask_spinning, answer_all, &t);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    return (double)t.total / (double)n;
}

/* -- a parked loop; in blocks between its turns, a bare epoll and eventfd -- */

enum { BLOCK = 50, SLEEPY = 50000 }; /* turns; ns */

/* Long enough for the other side to fall asleep; equal for both kinds of loop. */
static void let_it_sleep(void)
{
    int64_t until = bench_now() + SLEEPY;

    while (bench_now() < until)
        pause_once();
}

static void ask_bare(struct turns *t, uint64_t turn)
{
    uint64_t one = 1;

    atomic_store_explicit(&t->asked, turn, memory_order_release);
    if (write(t->eventfd, &one, sizeof one) != sizeof one)
        bench_fail("write");
    await_answer(t, turn);
}

/* A turn takes microseconds, so the clock may be read around each: the pauses between are left
 * out. */
static void time_block(void (*ask)(struct turns *, uint64_t), struct turns *t, uint64_t turn,
                       int64_t *took)
{
    uint64_t last = turn + BLOCK;

    await_open(t, last);
    while (turn < last) {
        let_it_sleep();
        int64_t start = bench_now();
        ask(t, ++turn);
        *took++ = bench_now() - start;
    }
}

static nart_res ask_parked(void *arg, const nart_tokio_stop *stop)
{
    struct turns *t = arg;
    (void)stop;

    bench_pin_to(1);
    for (uint64_t turn = 0; turn < 2 * t->n; turn += 2 * BLOCK) {
        time_block(ask_task, t, turn, &t->nart[turn / 2]);
        time_block(ask_bare, t, turn + BLOCK, &t->bare[turn / 2]);
    }
    return 0;
}

static void answer_bare(int ep, struct turns *t, uint64_t last)
{
    struct epoll_event event;
    uint64_t asked, count;

    atomic_store_explicit(&t->open, last, memory_order_release);
    do {
        if (epoll_wait(ep, &event, 1, -1) != 1 ||
            read(t->eventfd, &count, sizeof count) != sizeof count)
            bench_fail("epoll_wait");
        asked = atomic_load_explicit(&t->asked, memory_order_acquire);
        atomic_store_explicit(&t->answered, asked, memory_order_release);
    } while (asked != last);
}

static void answer_in_blocks(nart_rt *rt, struct turns *t)
{
    struct epoll_event event = { .events = EPOLLIN };
    int ep = epoll_create1(EPOLL_CLOEXEC);

    if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, t->eventfd, &event))
        bench_fail("epoll_ctl");
    for (uint64_t turn = 0; turn < 2 * t->n; turn += 2 * BLOCK) {
        answer_on_nart(rt, t, turn + BLOCK);
        answer_bare(ep, t, turn + 2 * BLOCK);
    }
    close(ep);
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(int64_t *values, uint64_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return (double)values[n / 2];
}

/* Medians: one turn in which a thread is preempted takes longer than a thousand others. */
static double wake_park(uint64_t n)
{
    nart_rt *rt = bench_runtime(NULL);
    uint64_t turns = (n + BLOCK - 1) / BLOCK * BLOCK;
    struct turns t = { .n = turns,
                       .eventfd = eventfd(0, EFD_CLOEXEC),
                       .nart = calloc(turns, sizeof *t.nart),
                       .bare = calloc(turns, sizeof *t.bare) };

    if (t.eventfd < 0 || !t.nart || !t.bare)
        bench_fail("wake_park");
    with_tokio_thread(rt, ask_parked, answer_in_blocks, &t);
    close(t.eventfd);
    bench_must(nart_rt_free(rt), "nart_rt_free");
    double nart = median(t.nart, turns), bare = median(t.bare, turns);
    free(t.nart);
    free(t.bare);
    bench_print("bridge_wake_park", "eventfd", bare, "ns");
    return nart;
}

static const struct bench_row rows[] = {
    { "bridge_batch", "ns", "nart", futures_task, futures_root },
    { "bridge_batch_c", "ns", "nart", c_tasks, NULL },
    { "bridge_hop", "ns", "nart", bridge_hop, NULL },
    { "blocking_batch", "ns", "nart", blocking, NULL },
    { "blocking_lone", "ns", "nart", blocking_lone, NULL },
    { "tokio_tcp_echo", "ns", "nart", tokio_tcp_echo, NULL },
    { "guest_spawn", "ns", "nart", guest_spawn, NULL },
    { "guest_pingpong", "ns", "nart", guest_pingpong, NULL },
#if NART_HTTP
    { "http_get", "ns", "nart", http_get, NULL },
#endif
    { "bridge_wake_spin", "ns", "nart", wake_spin, NULL },
    { "bridge_wake_park", "ns", "nart", wake_park, NULL },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

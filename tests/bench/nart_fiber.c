/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fibers: yields, spawns and channels as in nart_exec.c and nart_chan.c, the bare switch, and memory. */
#include "nart_rows.h"

#include <nart/chan.h>
#include <nart/fiber.h>

#include <string.h>

NART_CHAN_TYPED(u64, uint64_t);

/* The measured task: it runs the row's fiber. */
struct host {
    struct work w;
    nart_fiber_fn fn; /* its argument is the host's count */
    nart_join join;
};

static nart_res host_run(nart_cx *cx, void *frame)
{
    struct host *h = frame;
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &h->w.co);
    bench_must(nart_fiber_spawn(cx, h->fn, &h->w.n, NULL, &h->join), "spawn");
    NART_AWAIT(r, nart_join_await(cx, &h->join, &result));
    bench_must(r, "join");
    nart_join_release(&h->join);
    NART_END(result);
}

static double in_fiber(nart_rt *rt, bench_how how, uint64_t n, nart_fiber_fn fn)
{
    static const nart_task_type type = NART_TASK_TYPE(struct host, host_run, NULL);

    return how(rt, &type, &(struct host){ .fn = fn }, n);
}

/* ---- yielding ------------------------------------------------------------------------------- */

static nart_res yields(nart_cx *cx, void *count)
{
    uint64_t n = *(const uint64_t *)count;
    nart_res r = 0;

    for (uint64_t i = 0; i < n && r == 0; i++)
        r = nart_yield(cx);
    return r;
}

double fiber_yield(nart_rt *rt, bench_how how, uint64_t n)
{
    return in_fiber(rt, how, n, yields);
}

/* ---- spawning and joining ------------------------------------------------------------------- */

static nart_res value(nart_cx *cx, void *arg)
{
    (void)cx;
    return (nart_res)(uintptr_t)arg;
}

static nart_res spawns(nart_cx *cx, void *count)
{
    uint64_t n = *(const uint64_t *)count;
    nart_res result = 0;
    nart_join join;

    for (uint64_t i = 0; i < n; i++) {
        bench_must(nart_fiber_spawn(cx, value, (void *)(uintptr_t)i, NULL, &join), "spawn");
        bench_must(nart_await(cx, nart_join_await(cx, &join, &result)), "join");
        BENCH_KEEP(result);
        nart_join_release(&join);
    }
    return 0;
}

double fiber_spawn_join(nart_rt *rt, bench_how how, uint64_t n)
{
    return in_fiber(rt, how, n, spawns);
}

/* ---- n values to another fiber and back ----------------------------------------------------- */

struct ends {
    nart_tx tx;
    nart_rx rx;
};

static nart_res echo(nart_cx *cx, void *arg)
{
    struct ends *e = arg;
    uint64_t v = 0;
    nart_res r;

    while ((r = nart_await(cx, u64_recv(cx, &e->rx, &v))) == 0)
        bench_must(nart_await(cx, u64_send(cx, &e->tx, v)), "send");
    nart_rx_close(&e->rx);
    nart_tx_close(&e->tx);
    return r == NART_ECLOSED ? 0 : r;
}

static nart_res pingpong(nart_cx *cx, void *count)
{
    uint64_t n = *(const uint64_t *)count, v = 0;
    nart_res result = 0;
    struct ends mine, its;
    nart_join join;

    bench_must(u64_open(nart_cx_rt(cx), NART_CHAN_LOCAL, 1, &mine.tx, &its.rx), "open");
    bench_must(u64_open(nart_cx_rt(cx), NART_CHAN_LOCAL, 1, &its.tx, &mine.rx), "open");
    bench_must(nart_fiber_spawn(cx, echo, &its, NULL, &join), "spawn");
    for (uint64_t i = 0; i < n; i++) {
        bench_must(nart_await(cx, u64_send(cx, &mine.tx, i)), "send");
        bench_must(nart_await(cx, u64_recv(cx, &mine.rx, &v)), "recv");
        BENCH_KEEP(v);
    }
    nart_tx_close(&mine.tx);
    bench_must(nart_await(cx, nart_join_await(cx, &join, &result)), "join");
    nart_join_release(&join);
    nart_rx_close(&mine.rx);
    return result;
}

double fiber_pingpong(nart_rt *rt, bench_how how, uint64_t n)
{
    return in_fiber(rt, how, n, pingpong);
}

/* ---- the switch alone ----------------------------------------------------------------------- */

static nart__stack_point here, there;

static NART__NOINLINE void switch_back(void)
{
    for (;;)
        nart__fiber_switch(&there, &here);
}

/* Where a call leaves the stack pointer: on x86-64 it has pushed the return address. */
#ifdef __x86_64__
#define AT_ENTRY 8
#else
#define AT_ENTRY 16
#endif

double fiber_switch(uint64_t n)
{
    static NART__ALIGNAS(16) char stack[16384];

    there.sp = stack + sizeof stack - AT_ENTRY;
    there.pc = (const void *)(uintptr_t)switch_back;
    int64_t start = bench_now();
    for (uint64_t i = 0; i < n; i += 2)
        nart__fiber_switch(&here, &there);
    return (double)(bench_now() - start) / (double)n;
}

/* ---- memory --------------------------------------------------------------------------------- */

static nart_res parked(nart_cx *cx, void *until)
{
    nart_timer timer = { 0 };
    char used[1024];

    memset(used, 1, sizeof used);
    BENCH_KEEP(used);
    return nart_await(cx, nart_sleep_until(cx, &timer, *(const int64_t *)until));
}

double fiber_memory(uint64_t fibers)
{
    static const nart_rt_opts opts = NART_RT_OPTS_INIT;
    int64_t until = bench_now() + 3600 * NART_SEC;
    nart_rt *rt = bench_runtime(&opts);
    uint64_t before = bench_resident_bytes();

    for (uint64_t i = 0; i < fibers; i++)
        bench_must(nart_rt_fiber_spawn(rt, parked, &until, NULL, NULL), "spawn");
    while (bench_must(nart_rt_poll(rt, 0), "poll") > 0)
        continue;
    uint64_t grown = bench_resident_bytes() - before;
    bench_must(nart_rt_free(rt), "free");
    return (double)grown / (double)fibers;
}

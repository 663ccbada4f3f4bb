/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A million operations leave no more behind than the first ones: counted in bytes that malloc has given
 * out, Rust's and those of every thread included, and in pages of the process. */
#include "bridge.h"

#include <malloc.h>
#include <stdio.h>

enum { BATCH = 1000, WARM_UP = 20, ROUNDS = 1000, BYTES = 256 << 10, PAGES = 256 };

struct memory {
    size_t bytes;
    long pages;
};

static struct memory memory_now(void)
{
    struct memory now = { 0, 0 };
#if defined __GLIBC__ && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    struct mallinfo2 m = mallinfo2();
    now.bytes = m.uordblks + m.hblkhd;
#endif
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%*d %ld", &now.pages) == 1);
    fclose(f);
    return now;
}

static void need_counts(void)
{
#ifdef TEST_SANITIZED
    SKIP("a sanitizer keeps what is freed, and looks for leaks itself");
#endif
    if (test_under_valgrind())
        SKIP("valgrind keeps what is freed, and looks for leaks itself");
    if (memory_now().bytes == 0)
        SKIP("this libc does not count what it has given out");
}

static nart_res nothing(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    return 0;
}

static nart_tokio_op ops[BATCH];

/* One of each kind, and of each end: awaited, cancelled, closed while it runs, detached. */
static void begin(int i)
{
    nart_tokio_op *op = &ops[i];

    if (i % 3 == 0)
        CHECK_RES(test_value(bridge, i, op), 0);
    else if (i % 3 == 1)
        CHECK_RES(test_yield(bridge, 1, op), 0);
    else
        CHECK_RES(nart_tokio_blocking(bridge, "nothing", nothing, NULL, NULL, op), 0);
    switch (i % 8) {
    case 0:
        nart_tokio_op_cancel(op);
        break;
    case 1:
        nart_tokio_op_close(op);
        break;
    case 2:
        nart_tokio_op_detach(op);
        break;
    }
}

struct batch {
    nart_co co;
    int i;
};

static nart_res batch_run(nart_cx *cx, void *frame)
{
    struct batch *b = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &b->co);
    for (int i = 0; i < BATCH; i++)
        begin(i);
    for (b->i = 0; b->i < BATCH; b->i++) {
        if (!ops[b->i].op)
            continue;
        NART_AWAIT(r, nart_tokio_op_await(cx, &ops[b->i], NULL));
        CHECK(r == 0 || r == NART_EABORTED);
        nart_tokio_op_close(&ops[b->i]);
    }
    NART_END(0);
}

static const nart_task_type batch_type = NART_TASK_TYPE(struct batch, batch_run, NULL);

static struct memory after(int rounds)
{
    for (int i = 0; i < rounds; i++)
        CHECK_RES(run(&batch_type, NULL), 0);
    for (nart_tokio_report r = report();
         r.ok + r.error + r.cancelled + r.panicked + r.shutdown < r.submitted; r = report())
        let_others_run(); /* detached operations end, too */
    return memory_now();
}

TEST(a_million_operations_leave_nothing_behind)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;

    need_counts();
    opts.queue_cap = BATCH;
    both_open_with(&opts);
    struct memory early = after(WARM_UP), late = after(ROUNDS);
    CHECK_LE(late.bytes, early.bytes + BYTES); /* a byte in every fourth would show */
    CHECK_LE(late.pages, early.pages + PAGES);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* 4 KiB of a file in the page cache, through the default pool: one read at a time, or 64 at once. */
#include "nart_rows.h"

#include <nart/file.h>

enum { READERS = 64 };

struct reader {
    struct work w;
    nart_file file;
    nart_file_op op;
    int64_t at;
    char *buf;
};

static char buffers[READERS][BENCH_PIECE];

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *d = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &d->w.co);
    bench_must(nart_file_adopt(&d->file, bench_open_file()), "adopt");
    for (d->w.i = 0; d->w.i < d->w.n; d->w.i++) {
        NART_AWAIT(n, nart_file_read(cx, &d->op, &d->file, d->buf, BENCH_PIECE, d->at));
        if (bench_must(n, "read") != BENCH_PIECE)
            NART_RETURN(-EIO);
        d->at = (d->at + BENCH_PIECE) % BENCH_FILE;
    }
    nart_file_finish(&d->file);
    nart_file_op_close(&d->op);
    NART_END(0);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

double file_read_1(nart_rt *rt, bench_how how, uint64_t n)
{
    struct reader init = { .buf = buffers[0] };

    return how(rt, &reader_type, &init, n);
}

/* The driver gives this row one processor. */
double file_read_1_cpu(nart_rt *rt, bench_how how, uint64_t n)
{
    return file_read_1(rt, how, n);
}

/* All readers, which share the count. */
static nart_join joins[READERS];

static nart_res readers_run(nart_cx *cx, void *frame)
{
    struct work *d = frame;
    nart_res r = 0, result = 0;

    NART_BEGIN(cx, &d->co);
    for (d->i = 0; d->i < READERS; d->i++) {
        struct reader *one = nart_spawn_begin(cx, &reader_type, NULL);
        if (!one)
            bench_fail("spawn");
        one->w.n = d->n / READERS;
        one->buf = buffers[d->i];
        nart_spawn_commit(cx, one, &joins[d->i]);
    }
    for (d->i = 0; d->i < READERS; d->i++) {
        NART_AWAIT(r, nart_join_await(cx, &joins[d->i], &result));
        bench_must(r, "join");
        bench_must(result, "reader");
        nart_join_release(&joins[d->i]);
    }
    NART_END(0);
}

double file_read_64(nart_rt *rt, bench_how how, uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(struct work, readers_run, NULL);

    struct work init = { 0 };

    return how(rt, &type, &init, n);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* testing_faults.c: a parser under a transport that delivers little and fails, and a program without memory. */
#include <nart/nart.h>

#undef NDEBUG /* assert() is what tests */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --8<-- [start:tested]
/* The code that is tested: reads "SUM a b", answers the sum. It takes any stream. */
static nart_res serve_sum(nart_cx *cx, nart_stream *s)
{
    char *line, text[32];
    int a, b;
    size_t done = 0;
    nart_res n = nart_await(cx, nart_stream_read_line(cx, s, 0, &line));

    if (n < 0)
        return n;
    if (sscanf(line, "SUM %d %d", &a, &b) != 2)
        return -EBADMSG;
    n = snprintf(text, sizeof text, "%d\n", a + b);
    return nart_await(cx, nart_stream_write_all(cx, s, text, (size_t)n, &done));
}
// --8<-- [end:tested]

// --8<-- [start:transport]
/* A transport that reads and writes one byte at a time. Call number `at` answers `fault`. */
struct faulty {
    const char *input;
    char output[64];
    size_t read, written;
    int calls, at;
    nart_res fault;
};

static nart_res faulty_enter(nart_cx *cx, struct faulty *f)
{
    nart_res r = nart_op_enter(cx); /* -ECANCELED after a cancellation */

    if (r < 0 || f->calls++ != f->at)
        return r;
    if (f->fault == -ECANCELED)
        nart_task_cancel(nart_cx_rt(cx), nart_cx_task(cx));
    return f->fault;
}

static nart_res faulty_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    struct faulty *f = io;
    nart_res r = faulty_enter(cx, f);

    (void)len;
    if (r != 0)
        return r;
    if (f->input[f->read] == '\0')
        return 0;
    *(char *)buf = f->input[f->read++];
    return 1;
}

static nart_res faulty_write(nart_cx *cx, void *io, const struct iovec *pieces, size_t n)
{
    struct faulty *f = io;
    nart_res r = faulty_enter(cx, f);

    if (r != 0)
        return r;
    while (n > 1 && pieces->iov_len == 0)
        pieces++, n--;
    f->output[f->written++] = *(const char *)pieces->iov_base;
    return 1;
}

static nart_res faulty_close(void *io)
{
    (void)io;
    return 0;
}

static const nart_stream_type faulty_type = {
    .abi = NART_STREAM_ABI,
    .name = "faulty",
    .read = faulty_read,
    .write = faulty_write,
    .close = faulty_close,
};
// --8<-- [end:transport]

// --8<-- [start:each]
static nart_res test_run(nart_cx *cx, void *arg)
{
    nart_stream s = { 0 };
    char buf[32];
    nart_res r = nart_stream_init(&s, &faulty_type, arg, buf, sizeof buf);

    if (r == 0)
        r = serve_sum(cx, &s);
    nart_stream_close(&s);
    return r;
}

/* Lets the first call fail, then the second, and so on, until none is left that could. */
static void test_each(nart_rt *rt, nart_res fault)
{
    struct faulty f;
    nart_res answer = -1;

    for (int i = 0; answer < 0; i++) {
        f = (struct faulty){ .input = "SUM 40 2\n", .at = i, .fault = fault };
        if (nart_fiber_block_on(rt, test_run, &f, NULL, &answer) < 0)
            abort();
        assert(answer < 0 || strcmp(f.output, "42\n") == 0); /* no half answer */
    }
    printf("%d calls, each of which answered %s once\n", f.calls, nart_err_name(fault));
}
// --8<-- [end:each]

// --8<-- [start:memory]
/* An allocator that fails from its allocation number `left` on, and counts what was not freed. */
struct memory {
    int left, blocks;
};

static void *memory_alloc(void *arg, size_t size, size_t align)
{
    struct memory *m = arg;
    void *p = m->left-- > 0 ? aligned_alloc(align, (size + align - 1) / align * align) : NULL;

    m->blocks += p != NULL;
    return p;
}

static void memory_free(void *arg, void *p, size_t size, size_t align)
{
    struct memory *m = arg;

    (void)size, (void)align;
    free(p);
    m->blocks--;
}

static void test_without_memory(void)
{
    struct memory m = { .left = 0 };
    nart_alloc alloc = { memory_alloc, memory_free, &m };
    nart_rt_opts opts = NART_RT_OPTS_INIT;
    nart_rt *rt = NULL;
    nart_res r;

    opts.alloc = &alloc;
    r = nart_rt_new(&opts, &rt);
    printf("no memory for a runtime: %s\n", nart_err_name(r));
    m.left = 100;
    r = nart_rt_new(&opts, &rt);
    assert(r == 0);
    nart_rt_free(rt);
    assert(m.blocks == 0);
}
// --8<-- [end:memory]

int main(void)
{
    nart_rt *rt = NULL;

    if (nart_rt_new(NULL, &rt) < 0)
        return 1;
    test_each(rt, -ECONNRESET);
    test_each(rt, -ECANCELED);
    nart_rt_free(rt);
    test_without_memory();
    return 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* uv: a loop of libuv inside a runtime: pipes, timers, work of its thread pool, and tasks of nart beside them. */
#include "check.h"
#include "nart_uv.h"

#include <string.h>
#include <unistd.h>

enum { ROUNDS = 100 };

static nart_rt *rt;
static nart_uv uv;
static uv_loop_t loop;
static int timers, worked, bytes;

static void on_timer(uv_timer_t *timer)
{
    if (++timers == ROUNDS)
        uv_close((uv_handle_t *)timer, NULL);
}

static void work(uv_work_t *w)
{
    *(int *)w->data = 1;
}

static void after_work(uv_work_t *w, int status)
{
    (void)w;
    CHECK(status == 0 && worked == 1);
    worked++;
}

static void allocate(uv_handle_t *h, size_t size, uv_buf_t *out)
{
    static char buf[64];

    (void)h;
    (void)size;
    *out = uv_buf_init(buf, sizeof buf);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n > 0)
        bytes += (int)n;
    else if (n == UV_EOF)
        uv_close((uv_handle_t *)s, NULL);
}

struct task {
    nart_co co;
    nart_timer timer;
    int end, left;
};

/* Writes to the pipe that the loop reads. */
static nart_res write_run(nart_cx *cx, void *frame)
{
    struct task *t = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &t->co);
    for (t->left = ROUNDS; t->left > 0; t->left--) {
        NART_AWAIT(r, nart_sleep(cx, &t->timer, NART_MS / 10));
        CHECK(r == 0 && write(t->end, "x", 1) == 1);
    }
    close(t->end);
    NART_END(0);
}

NART_TASK_TYPED(writer, struct task, write_run, NULL);

static nart_res await_run(nart_cx *cx, void *frame)
{
    (void)frame;
    return nart_uv_await(cx, &uv);
}

NART_TASK_TYPED(awaiter, struct task, await_run, NULL);

static nart_res await_fiber(nart_cx *cx, void *arg)
{
    uv_timer_t *timer = arg;

    CHECK(uv_timer_init(&loop, timer) == 0 && uv_timer_start(timer, on_timer, 1, 0) == 0);
    nart_uv_look(&uv); /* outside of the loop's callbacks */
    return nart_await(cx, nart_uv_await(cx, &uv));
}

/* A loop without work does not run. */
static void on_prepare(uv_prepare_t *prepare)
{
    ++*(int *)prepare->data;
}

static void add_idle(nart_uv *idle, uv_loop_t *its_loop, uv_prepare_t *prepare, int *runs)
{
    CHECK(uv_loop_init(its_loop) == 0 && uv_prepare_init(its_loop, prepare) == 0);
    CHECK(uv_prepare_start(prepare, on_prepare) == 0);
    prepare->data = runs;
    CHECK_RES(nart_uv_start(rt, idle, its_loop), 0);
}

int main(void)
{
    nart_uv idle;
    uv_loop_t its_loop;
    uv_prepare_t prepare;
    int runs = 0;
    uv_timer_t timer;
    uv_work_t job = { .data = &worked };
    uv_pipe_t reader;
    nart_join join;
    nart_res r = -1;
    int ends[2];

    CHECK(pipe(ends) == 0);
    CHECK(uv_loop_init(&loop) == 0);
    CHECK(uv_timer_init(&loop, &timer) == 0 && uv_timer_start(&timer, on_timer, 0, 1) == 0);
    CHECK(uv_queue_work(&loop, &job, work, after_work) == 0);
    CHECK(uv_pipe_init(&loop, &reader, 0) == 0 && uv_pipe_open(&reader, ends[0]) == 0);
    CHECK(uv_read_start((uv_stream_t *)&reader, allocate, on_read) == 0);

    CHECK_RES(nart_rt_new(NULL, &rt), 0);
    add_idle(&idle, &its_loop, &prepare, &runs);
    CHECK_RES(nart_uv_start(rt, &uv, &loop), 0);
    CHECK_RES(nart_rt_run(rt), 0); /* there is no task yet */
    CHECK(timers == 0);
    CHECK_RES(writer_rt_spawn(rt, &(struct task){ .end = ends[1] }, NULL), 0);
    CHECK_RES(awaiter_block_on(rt, NULL, &r), 0);
    CHECK_RES(r, 0);
    CHECK(timers == ROUNDS && worked == 2 && bytes == ROUNDS);

    timers = ROUNDS - 1;
    CHECK_RES(nart_rt_fiber_spawn(rt, await_fiber, &timer, NULL, &join), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK(timers == ROUNDS);
    nart_join_release(&join);
    nart_uv_stop(&uv);
    CHECK(runs == 1); /* what was started before it */
    CHECK_RES(nart_rt_free(rt), 0);
    nart_uv_look(&idle);
    nart_uv_stop(&idle); /* after its runtime */
    uv_close((uv_handle_t *)&prepare, NULL);
    CHECK(uv_run(&its_loop, UV_RUN_DEFAULT) == 0 && uv_loop_close(&its_loop) == 0);
    CHECK(uv_loop_close(&loop) == 0);
    return 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What an operation allocates on the loop's thread, Rust's allocations included: malloc and its kin are
 * interposed. */
#include "bridge.h"

#include <stdlib.h>
#include <string.h>

/* volatile: the compiler knows malloc, and that it changes no variable of ours. */
static _Thread_local volatile uint64_t allocations;

#if defined __GLIBC__ && !defined TEST_SANITIZED
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size)
{
    allocations = allocations + 1;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    allocations = allocations + 1;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    allocations = allocations + 1;
    return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    allocations = allocations + 1;
    return __libc_memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
    allocations = allocations + 1;
    *p = __libc_memalign(align, size);
    return *p ? 0 : ENOMEM;
}
#endif

static void need_interposition(void)
{
    uint64_t before = allocations;
    void *volatile p = malloc(1);
    free(p);
    if (allocations == before)
        SKIP("malloc cannot be interposed here");
}

enum { N = 1000 };

struct subject {
    nart_co co;
    nart_res (*begin)(nart_tokio_op *op);
    nart_tokio_op op;
    nart_tokio_local local;
    int64_t value;
    uint64_t before;
    int i;
};

/* Allocations for N operations, each begun, awaited and closed. The first ones are not counted. */
static nart_res subject_run(nart_cx *cx, void *frame)
{
    struct subject *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (s->i = 0; s->i < N + 10; s->i++) {
        if (s->i == 10)
            s->before = allocations;
        CHECK_RES(s->begin(&s->op), 0);
        NART_AWAIT(r, nart_tokio_op_await(cx, &s->op, &s->value));
        CHECK(r <= 0);
        nart_tokio_op_close(&s->op);
    }
    NART_END((nart_res)(allocations - s->before));
}

static const nart_task_type subject_type = NART_TASK_TYPE(struct subject, subject_run, NULL);

static nart_res allocations_of(nart_res (*begin)(nart_tokio_op *op))
{
    need_interposition();
    both_open();
    return run(&subject_type, &(struct subject){ .begin = begin });
}

static nart_res begin_future(nart_tokio_op *op)
{
    return test_value(bridge, 1, op);
}

static nart_res begin_long_future(nart_tokio_op *op)
{
    return test_yield(bridge, 20, op); /* 20 polls and wakes more */
}

static nart_res nothing(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    return 0;
}

static nart_res answer_at_once(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static nart_res begin_task(nart_tokio_op *op)
{
    static const nart_task_type type =
        NART_TASK_TYPE_FLAGS(char[192], answer_at_once, NULL, NART_TASK_SEND);

    return nart_tokio_spawn_task(bridge, &type, NULL, op);
}

static nart_res begin_job(nart_tokio_op *op)
{
    return nart_tokio_blocking(bridge, "nothing", nothing, NULL, NULL, op);
}

#if NART_HTTP
static nart_res begin_request(nart_tokio_op *op)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    get.url = "http://127.0.0.1:1/refused"; /* no server */
    return nart_http_request(bridge, &get, op);
}

static nart_http_client *client;

static nart_res begin_request_of_client(nart_tokio_op *op)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    get.url = "http://127.0.0.1:1/refused";
    if (!client)
        CHECK_RES(nart_http_client_new(bridge, NULL, &client), 0);
    get.client = client;
    return nart_http_request(bridge, &get, op);
}
#endif

TEST(a_future_costs_one_allocation)
{
    CHECK_EQ(allocations_of(begin_future), N); /* tokio's own */
}

TEST(a_c_task_on_tokio_costs_one_allocation)
{
    CHECK_EQ(allocations_of(begin_task), N); /* tokio's own */
}

TEST(polls_and_wakes_do_not_allocate)
{
    CHECK_EQ(allocations_of(begin_long_future), N);
}

TEST(a_blocking_function_does_not_allocate)
{
    CHECK_EQ(allocations_of(begin_job), 0);
}

/* A full queue costs no memory, however often it refuses. */
TEST(a_refused_function_does_not_allocate)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op running = { 0 }, queued = { 0 }, more = { 0 };

    need_interposition();
    opts.max_blocking = 1;
    opts.queue_cap = 1;
    both_open_with(&opts);
    CHECK_RES(nart_tokio_blocking(bridge, "held", held_job, NULL, NULL, &running), 0);
    wait_for(&jobs_held, 1);
    CHECK_RES(nart_tokio_blocking(bridge, "queued", nothing, NULL, NULL, &queued), 0);
    uint64_t before = allocations;
    for (int i = 0; i < N; i++)
        CHECK_RES(nart_tokio_blocking(bridge, "more", nothing, NULL, NULL, &more), -EAGAIN);
    CHECK_EQ(allocations, before);
    set_word(&job_gate, 1);
    CHECK_RES(wait_for_answer(&running, NULL), 0);
    CHECK_RES(wait_for_answer(&queued, NULL), 0);
    nart_tokio_op_close(&running);
    nart_tokio_op_close(&queued);
}

TEST(an_http_request_does_not_allocate)
{
#if NART_HTTP
    CHECK_EQ(allocations_of(begin_request), 0);
#else
    SKIP("this build has no HTTP");
#endif
}

TEST(an_http_request_of_a_client_does_not_allocate)
{
#if NART_HTTP
    CHECK_EQ(allocations_of(begin_request_of_client), 0);
    nart_http_client_free(client);
#else
    SKIP("this build has no HTTP");
#endif
}

static nart_res ping_pong_run(nart_cx *cx, void *frame)
{
    struct subject *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    CHECK_RES(test_local_ping_pong(bridge, N, &s->local), 0);
    s->before = allocations;
    NART_AWAIT(r, nart_tokio_local_await(cx, &s->local, &s->value));
    CHECK_RES(r, 0);
    s->before = allocations - s->before;
    CHECK_RES(nart_tokio_local_close(&s->local), 0);
    NART_END((nart_res)s->before);
}

static const nart_task_type ping_pong_type = NART_TASK_TYPE(struct subject, ping_pong_run, NULL);

/* N wakes from a worker, N of a worker, and the polls that they cause. */
TEST(polling_and_waking_a_local_future_does_not_allocate)
{
    need_interposition();
    both_open();
    (void)run(&ping_pong_type, NULL); /* what tokio keeps per thread is made */
    CHECK_EQ(run(&ping_pong_type, NULL), 0);
}

TEST(logging_allocates_nothing)
{
    nart_tokio_log log = { 0 };

    need_interposition();
    CHECK_RES(nart_tokio_log_open(NULL, 64, &log), 0);
    test_log_numbers("a", 10);
    uint64_t before = allocations;
    test_log_numbers("a", N);
    CHECK_EQ(allocations, before);
    CHECK_RES(nart_tokio_log_close(&log), N + 10);
}

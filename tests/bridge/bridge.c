/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "bridge.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

nart_rt *loop;
nart_tokio *bridge;

static const nart_rt_opts loop_opts = { .size = sizeof loop_opts, .alloc = &test_alloc };

nart_tokio_report report(void)
{
    nart_tokio_report r = NART_TOKIO_REPORT_INIT;

    CHECK_RES(nart_tokio_report_get(bridge, &r), 0);
    CHECK_LE(r.ok + r.error + r.cancelled + r.panicked + r.shutdown, r.submitted);
    return r;
}

void wait_until_all_work_has_ended(void)
{
    while (test_running(bridge) > 0)
        let_others_run();
}

void both_close(void)
{
    if (bridge) {
        nart_res r = nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL);
        CHECK(r == 0 || r == -EALREADY);
        wait_until_all_work_has_ended(); /* what the shutdown has leaked ends later */
        nart_tokio_report n = report();
        CHECK_EQ(n.ok + n.error + n.cancelled + n.panicked + n.shutdown, n.submitted);
        nart_tokio_free(bridge);
        bridge = NULL;
    }
    if (loop) {
        CHECK_RES(nart_rt_free(loop), 0);
        loop = NULL;
    }
}

void both_open_with(const nart_tokio_opts *opts)
{
    static bool registered;

    CHECK_RES(nart_rt_new(&loop_opts, &loop), 0);
    CHECK_RES(nart_tokio_new(opts, &bridge), 0);
    if (!registered)
        test_at_end(both_close);
    registered = true;
}

void both_open(void)
{
    both_open_with(NULL);
}

void open_with_workers(uint32_t workers)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    opts.workers = workers;
    both_open_with(&opts);
}

void open_with_two_blocking_threads(void)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    opts.max_blocking = 2;
    both_open_with(&opts);
}

/* The linker passes the calls of the whole program here, static or dynamic: see bridge.cmake. */
static int64_t threads_left = INT64_MAX;

#ifdef NART_TEST_SHARED
#define __wrap_pthread_create pthread_create

static int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*body)(void *),
                                 void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    *(void **)(void *)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(t, attr, body, arg);
}
#else
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
#endif

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*body)(void *),
                          void *arg)
{
    if (__atomic_sub_fetch(&threads_left, 1, __ATOMIC_RELAXED) < 0)
        return EAGAIN;
    return __real_pthread_create(t, attr, body, arg);
}

uint16_t listen_locally(int fd, int backlog)
{
    struct sockaddr_in addr = { .sin_family = AF_INET };
    socklen_t len = sizeof addr;

    CHECK(fd >= 0);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    CHECK_EQ(listen(fd, backlog), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    return ntohs(addr.sin_port);
}

int connect_locally(uint16_t port)
{
    const int on = 1;
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    return fd;
}

void tcp_pair(int ends[2])
{
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ends[0] = connect_locally(listen_locally(listener, 1));
    ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(ends[1] >= 0);
    CHECK_EQ(setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    close(listener);
}

pid_t start_program(const char *const argv[], int *input, FILE **output)
{
    int in[2], out[2];

    CHECK_EQ(pipe(in), 0);
    CHECK_EQ(pipe(out), 0);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execv(argv[0], (char *const *)(uintptr_t)argv); /* as its declaration demands */
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *input = in[1];
    *output = fdopen(out[0], "r");
    CHECK(*output != NULL);
    return child;
}

void check_child(pid_t child)
{
    int status = 0;

    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void end_leaking_child(void)
{
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

void allow_threads(int64_t n)
{
    __atomic_store_n(&threads_left, n, __ATOMIC_RELAXED);
}

nart_res run(const nart_task_type *type, const void *init)
{
    nart_res result = 0;

    CHECK_RES(nart_block_on(loop, type, init, &result), 0);
    return result;
}

nart_res run_on_tokio(nart_tokio *rt, const nart_task_type *type, const void *init, int64_t *value)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_spawn_task(rt, type, init, &op), 0);
    nart_res r = wait_for_answer(&op, value);
    nart_tokio_op_close(&op);
    return r;
}

static nart_res op_waiter_poll(nart_cx *cx, void *frame)
{
    struct op_waiter *w = frame;
    return nart_tokio_op_await(cx, w->op, w->value);
}

static nart_res local_waiter_poll(nart_cx *cx, void *frame)
{
    struct local_waiter *w = frame;
    return nart_tokio_local_await(cx, w->local, w->value);
}

const nart_task_type op_waiter_type = NART_TASK_TYPE(struct op_waiter, op_waiter_poll, NULL);
const nart_task_type local_waiter_type =
    NART_TASK_TYPE(struct local_waiter, local_waiter_poll, NULL);

void pass_through_rust(const nart_task_type *sends, const void *init,
                       const nart_task_type *receives, nart_tokio_op *op, uint64_t n)
{
    int64_t value = 0;

    CHECK_RES(nart_rt_spawn(loop, sends, init, NULL), 0);
    CHECK_EQ(run(receives, NULL), n);
    CHECK_RES(wait_for_answer(op, &value), 0);
    CHECK_EQ(value, n);
    nart_tokio_op_close(op);
}

nart_res await_op(nart_tokio_op *op, int64_t *value)
{
    return run(&op_waiter_type, &(struct op_waiter){ op, value });
}

nart_res await_local(nart_tokio_local *local, int64_t *value)
{
    return run(&local_waiter_type, &(struct local_waiter){ local, value });
}

static uint64_t worker_gate;

void occupy_worker(nart_tokio_op *op)
{
    CHECK_RES(test_block_worker(bridge, &worker_gate, op), 0);
    wait_for(&worker_gate, 1);
}

void let_worker_go(void)
{
    set_word(&worker_gate, 2);
}

void release_worker(nart_tokio_op *op)
{
    let_worker_go();
    CHECK_RES(wait_for_answer(op, NULL), 0);
    nart_tokio_op_close(op);
}

uint64_t jobs_held, job_gate;

nart_res held_job(void *arg, const nart_tokio_stop *stop)
{
    (void)arg;
    (void)stop;
    count(&jobs_held);
    wait_for(&job_gate, 1);
    return 0;
}

uint64_t args_dropped;

void drop_arg(void *arg)
{
    (void)arg;
    count(&args_dropped);
}

uint64_t read_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

void set_word(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

void count(uint64_t *word)
{
    __atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
}

/* Sleeps, so that threads of a lower priority run, too. */
void let_others_run(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}

void wait_for(const uint64_t *word, uint64_t n)
{
    while (read_word(word) < n)
        let_others_run();
}

nart_res wait_for_answer(const nart_tokio_op *op, int64_t *value)
{
    nart_res r;
    while ((r = nart_tokio_op_try(op, value)) == NART_PENDING)
        let_others_run();
    return r;
}

int64_t clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NART_SEC + t.tv_nsec;
}

uint32_t random_number(void)
{
    static uint32_t state = 12345;
    uint32_t next = __atomic_load_n(&state, __ATOMIC_RELAXED) * 1664525u + 1013904223u;

    __atomic_store_n(&state, next, __ATOMIC_RELAXED); /* two threads may get the same number */
    return next >> 16;
}

void random_pause(uint32_t max)
{
    for (uint32_t n = random_number() % (max + 1); n > 0; n--)
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

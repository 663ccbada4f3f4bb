/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* uv_guest: a runtime inside a loop of libuv: tasks, callbacks and another thread work side by side; either side ends
 * first; a side without work makes no system call. */
#include "check.h"
#include "nart_uv_guest.h"

#include <fcntl.h>
#include <unistd.h>

enum { ROUNDS = 50 };

NART_CHAN_TYPED(number, int);

static nart_rt *runtime;
static uv_loop_t loop;
static nart_uv_guest guest;

static void open_all(void)
{
    CHECK_RES(nart_rt_new(NULL, &runtime), 0);
    CHECK(uv_loop_init(&loop) == 0);
    CHECK(nart_uv_guest_start(&guest, &loop, runtime) == 0);
}

static void close_all(void)
{
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    CHECK(uv_loop_close(&loop) == 0);
    CHECK_RES(nart_rt_free(runtime), 0);
}

static uint64_t ticks(nart_rt *of)
{
    nart_rt_stats stats = { .size = sizeof stats };

    nart_rt_stats_get(of, &stats);
    return stats.ticks;
}

/* ---- work of both sides ---- */

static struct {
    int timers, woken;        /* of the loop */
    int slept, received, got; /* of the runtime */
    int written;              /* a pipe: callbacks write, a task reads */
    int ack, acks;            /* a pipe to the thread */
    nart_fd read;
    nart_tx tx;
    nart_rx rx;
} work;

static void on_timer(uv_timer_t *timer)
{
    CHECK(write(work.written, "x", 1) == 1);
    if (++work.timers == ROUNDS)
        uv_close((uv_handle_t *)timer, NULL);
}

static void on_wake(uv_async_t *async)
{
    CHECK(write(work.acks, "x", 1) == 1);
    if (++work.woken == ROUNDS)
        uv_close((uv_handle_t *)async, NULL);
}

/* Wakes a task and a handle, each time when the handle has been called: a wake-up that is lost shows as a hang. */
static void thread(void *async)
{
    char c;

    for (int i = 0; i < ROUNDS; i++) {
        CHECK_RES(nart_send_blocking(&work.tx, &i, NART_NEVER), 0);
        CHECK(uv_async_send(async) == 0);
        CHECK(read(work.ack, &c, 1) == 1);
    }
    nart_tx_close(&work.tx);
}

static nart_res sleeps(nart_cx *cx, void *unused)
{
    nart_timer timer = { 0 };

    (void)unused;
    for (; work.slept < ROUNDS; work.slept++)
        CHECK_RES(nart_await(cx, nart_sleep(cx, &timer, NART_MS / 10)), 0);
    return 0;
}

static nart_res receives(nart_cx *cx, void *unused)
{
    int value;

    (void)unused;
    for (; nart_await(cx, number_recv(cx, &work.rx, &value)) == 0; work.received++)
        CHECK(value == work.received);
    nart_rx_close(&work.rx);
    return 0;
}

static nart_res reads(nart_cx *cx, void *unused)
{
    char c;

    (void)unused;
    for (; work.got < ROUNDS; work.got++)
        CHECK_RES(nart_await(cx, nart_fd_read(cx, &work.read, &c, 1)), 1);
    return nart_rt_shutdown(nart_cx_rt(cx)); /* the others continue */
}

static void stop_idle(uv_timer_t *timer)
{
    nart_uv_guest *idle = timer->data;

    CHECK(ticks(idle->rt) == 1); /* the first: from then on its descriptor reports what happens */
    nart_uv_guest_stop(idle);
    nart_uv_guest_stop(idle);
    uv_close((uv_handle_t *)timer, NULL);
}

static void both_work(void)
{
    uv_timer_t timer, later;
    uv_async_t async;
    uv_thread_t t;
    nart_uv_guest idle;
    nart_rt *other;
    int ends[2], acks[2];

    open_all();
    CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(acks, O_CLOEXEC) == 0);
    work.written = ends[1];
    work.ack = acks[0];
    work.acks = acks[1];
    CHECK_RES(nart_fd_open(runtime, ends[0], 0, &work.read), 0);
    CHECK_RES(number_open(runtime, NART_CHAN_MPSC, 4, &work.tx, &work.rx), 0);
    CHECK_RES(nart_rt_fiber_spawn(runtime, sleeps, NULL, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(runtime, receives, NULL, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(runtime, reads, NULL, NULL, NULL), 0);
    CHECK_RES(nart_rt_new(NULL, &other), 0);
    CHECK(nart_uv_guest_start(&idle, &loop, other) == 0);
    later.data = &idle;
    CHECK(uv_timer_init(&loop, &timer) == 0 && uv_timer_start(&timer, on_timer, 1, 1) == 0);
    CHECK(uv_timer_init(&loop, &later) == 0 && uv_timer_start(&later, stop_idle, 50, 0) == 0);
    CHECK(uv_async_init(&loop, &async, on_wake) == 0);
    CHECK(uv_thread_create(&t, thread, &async) == 0);
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    CHECK(uv_thread_join(&t) == 0);
    CHECK_RES(guest.why, 0);
    CHECK(work.timers == ROUNDS && work.woken == ROUNDS && work.slept == ROUNDS &&
          work.received == ROUNDS && work.got == ROUNDS);
    CHECK_RES(nart_fd_close(&work.read), 0);
    close(ends[1]);
    close(acks[0]);
    close(acks[1]);
    CHECK_RES(nart_rt_free(other), 0);
    close_all();
}

/* ---- ends ---- */

static nart_res waits(nart_cx *cx, void *unused)
{
    nart_notify n = { 0 };
    nart_waiter w = { 0 };

    (void)unused;
    return nart_await(cx, nart_notify_await(cx, &n, &w));
}

static void stop_guest(uv_timer_t *timer)
{
    nart_uv_guest_stop(&guest);
    uv_close((uv_handle_t *)timer, NULL);
}

static void shut_down(uv_timer_t *timer)
{
    CHECK_RES(nart_rt_shutdown(runtime), 0);
    uv_close((uv_handle_t *)timer, NULL);
}

static nart_res stops_guest(nart_cx *cx, void *unused)
{
    (void)unused;
    nart_uv_guest_stop(&guest);
    return waits(cx, NULL);
}

/* A callback, or a task, stops the guest while a task waits; a callback shuts down a runtime without tasks. */
static void either_side_ends(void)
{
    static const uv_timer_cb ends[] = { stop_guest, NULL, shut_down };

    for (int how = 0; how < 3; how++) {
        uv_timer_t timer;
        open_all();
        if (how < 2)
            CHECK_RES(
                nart_rt_fiber_spawn(runtime, how == 0 ? waits : stops_guest, NULL, NULL, NULL), 0);
        if (ends[how])
            CHECK(uv_timer_init(&loop, &timer) == 0 &&
                  uv_timer_start(&timer, ends[how], 5, 0) == 0);
        CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
        CHECK(nart_rt_task_count(runtime) == (how < 2 ? 1 : 0));
        close_all();
    }
}

/* ---- nothing spins ---- */

static int iterations;

static void count(uv_check_t *check)
{
    (void)check;
    iterations++;
}

static nart_res sleeps_once(nart_cx *cx, void *check)
{
    nart_timer timer = { 0 };

    CHECK_RES(nart_await(cx, nart_sleep(cx, &timer, 50 * NART_MS)), 0);
    uv_close(check, NULL);
    return nart_rt_shutdown(nart_cx_rt(cx));
}

/* A loop that waits only for a task makes a few iterations. */
static void nothing_spins(void)
{
    uv_check_t check;

    open_all();
    CHECK(uv_check_init(&loop, &check) == 0 && uv_check_start(&check, count) == 0);
    CHECK_RES(nart_rt_fiber_spawn(runtime, sleeps_once, &check, NULL, NULL), 0);
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    CHECK(iterations < 10);
    close_all();
}

static void run_elsewhere(void *unused)
{
    (void)unused;
    CHECK(uv_run(&loop, UV_RUN_DEFAULT) == 0);
}

/* Another thread runs the loop: the runtime refuses. */
static void a_failure_is_reported(void)
{
    uv_thread_t t;

    open_all();
    CHECK_RES(nart_rt_fiber_spawn(runtime, waits, NULL, NULL, NULL), 0);
    CHECK(nart_rt_poll(runtime, 0) == 1); /* binds it */
    CHECK_RES(nart_rt_fiber_spawn(runtime, waits, NULL, NULL, NULL), 0);
    CHECK(uv_thread_create(&t, run_elsewhere, NULL) == 0 && uv_thread_join(&t) == 0);
    CHECK_RES(guest.why, NART_EWRONGTHREAD);
    close_all();
}

int main(void)
{
    both_work();
    either_side_ends();
    nothing_spins();
    a_failure_is_reported();
    return 0;
}

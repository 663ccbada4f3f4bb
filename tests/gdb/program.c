/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program for a debugger: tasks of every kind wait, it prints them by nart_rt_dump(), and stops in stop_here().
 * With an argument it then aborts. */
#include <nart/nart.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static nart_rt *rt;
static nart_notify never;

struct inner {
    nart_co co;
    nart_waiter waiter;
    nart_res r;
};

static nart_res inner(nart_cx *cx, struct inner *f)
{
    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_notify_await(cx, &never, &f->waiter));
    NART_END(f->r);
}

struct outer {
    nart_co co;
    struct inner inner;
    nart_res r;
};

static nart_res outer(nart_cx *cx, void *frame)
{
    struct outer *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_FOR(f->r, 50 * NART_SEC, inner(cx, &f->inner));
    NART_END(f->r);
}

static const nart_task_type outer_type = NART_TASK_TYPE(struct outer, outer, NULL);

static nart_res by_hand(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    return NART_PENDING;
}

static const nart_task_type by_hand_type = NART_TASK_TYPE(uint64_t, by_hand, NULL);

__attribute__((noinline)) static nart_res deep(nart_cx *cx, int n)
{
    nart_waiter waiter = { 0 };
    nart_res r = n > 0 ? deep(cx, n - 1) : nart_await(cx, nart_notify_await(cx, &never, &waiter));

    return r + n - n;
}

static nart_res fiber(nart_cx *cx, void *arg)
{
    (void)arg;
    return nart_await(cx, deep(cx, 2));
}

static nart_res sleeper(nart_cx *cx, void *arg)
{
    nart_timer t = { 0 };

    (void)arg;
    return nart_await(cx, nart_sleep(cx, &t, 20 * NART_SEC));
}

static nart_res at_once(nart_cx *cx, void *arg)
{
    (void)cx, (void)arg;
    return -EIO;
}

__attribute__((noinline)) static void stop_here(const nart_rt *of)
{
    __asm__ volatile("" : : "r"(of) : "memory");
}

static void ignore(nart_watch *w, uint32_t events, void *arg)
{
    (void)w, (void)events, (void)arg;
}

static nart_res stopper(nart_cx *cx, void *arg)
{
    nart_res r = nart_await(cx, nart_yield(cx));

    nart_rt_dump(rt, stdout);
    fflush(stdout);
    stop_here(rt);
    if (arg)
        abort();
    nart_rt_stop(rt);
    return r;
}

int main(int argc, char **argv)
{
    int fds[2];
    nart_watch w = { 0 };
    nart_join held;

    (void)argc;
    if (pipe(fds) < 0 || nart_rt_new(NULL, &rt) < 0 ||
        nart_rt_spawn(rt, &outer_type, NULL, NULL) < 0 ||
        nart_rt_spawn(rt, &by_hand_type, NULL, NULL) < 0 ||
        nart_rt_fiber_spawn(rt, fiber, NULL, NULL, NULL) < 0 ||
        nart_rt_fiber_spawn(rt, sleeper, NULL, NULL, NULL) < 0 ||
        nart_rt_fiber_spawn(rt, at_once, NULL, NULL, &held) < 0 ||
        nart_rt_fiber_spawn(rt, stopper, argv[1], NULL, NULL) < 0)
        return 1;
    if (nart_watch_start(rt, &w, fds[0], ignore, NULL) < 0 ||
        nart_watch_set(&w, NART_READ, nart_time_add(nart_rt_now(rt), 30 * NART_SEC)) < 0 ||
        nart_rt_run(rt) < 0)
        return 1;
    nart_watch_stop(&w);
    nart_join_release(&held);
    close(fds[0]);
    close(fds[1]);
    return nart_rt_free(rt) < 0;
}

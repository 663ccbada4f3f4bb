/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every macro of nart/fiber.h, each as an expression. */
#include <nart/nart.h>

#include <string.h>

nart_res fiber(nart_cx *cx, void *arg);
nart_res spawning(nart_rt *rt, nart_remote remote, nart_cx *cx);
nart_res spawning_into(nart_cx *cx, nart_nursery *n, nart_task_set *s, nart_pool *p);

nart_res fiber(nart_cx *cx, void *arg)
{
    nart_timer one, other;
    nart_arm both[2];
    int which = 0;
    nart_res r = nart_yield(cx);

    (void)arg;
    memset(&one, 0, sizeof one);
    memset(&other, 0, sizeof other);
    switch (r) {
    case 0:
        r = nart_await(cx, nart_sleep(cx, &one, NART_MS)) + nart_await(cx, nart_sleep(cx, &one, 1));
        break;
    default:
        r = nart_await_until(cx, NART_NEVER, nart_sleep(cx, &one, NART_MS));
    }
    if (nart_await_for(cx, NART_SEC,
                       NART_ANY(which, nart_sleep(cx, &one, 1), nart_sleep(cx, &other, 2))) < 0)
        return r;
    r = nart_await_any(cx, which, nart_sleep(cx, &one, 1),
                       NART_AFTER(&other, 2, nart_sleep(cx, &other, 2)));
    if (r == 0 && which == 0)
        r = nart_await_any_fair(cx, which, nart_sleep(cx, &one, 1), nart_sleep(cx, &other, 2));
    memset(both, 0, sizeof both);
    r |= nart_await_any_biased(cx, which, nart_sleep(cx, &one, 1), nart_sleep(cx, &other, 2));
    r |= nart_await_all(cx, both, nart_sleep(cx, &one, 1), nart_sleep(cx, &other, 2));
    r |= nart_await_all_ok(cx, both, nart_sleep(cx, &one, 1), nart_sleep(cx, &other, 2));
    return r | nart_await_stop(cx, nart_sleep(cx, &one, 1));
}

nart_res spawning(nart_rt *rt, nart_remote remote, nart_cx *cx)
{
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_fiber f;
    nart_res answer = 0;
    int value = 1;
    nart_res r = nart_fiber_spawn(cx, fiber, &value, NULL, NULL);

    r |= nart_fiber_spawn_value(cx, fiber, &value, &opts, NULL);
    r |= nart_rt_fiber_spawn(rt, fiber, NULL, &opts, NULL);
    r |= nart_remote_fiber_spawn(remote, fiber, NULL, &opts);
    r |= nart_fiber_block_on(rt, fiber, NULL, NULL, &answer);
    r |= nart_fiber_init(&f, fiber, &value, &opts);
    return r | nart_spawn(cx, NART_FIBER_TYPE(fiber), &f, NULL) | answer;
}

nart_res spawning_into(nart_cx *cx, nart_nursery *n, nart_task_set *s, nart_pool *p)
{
    int value = 1;
    nart_res r = nart_nursery_fiber_spawn(cx, n, fiber, &value, NULL);

    r |= nart_nursery_fiber_spawn_value(cx, n, fiber, &value, NULL);
    r |= nart_task_set_fiber_spawn(cx, s, fiber, &value, NULL);
    r |= nart_task_set_fiber_spawn_value(cx, s, fiber, &value, NULL);
    r |= nart_await(cx, nart_pool_fiber_spawn(cx, p, fiber, &value, NULL));
    return r | nart_await(cx, nart_pool_fiber_spawn_value(cx, p, fiber, &value, NULL));
}

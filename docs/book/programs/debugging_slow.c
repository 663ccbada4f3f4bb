/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* debugging_slow.c: a poll that takes too long: found by a watchdog while it runs, and reported when it ends. */
#include <nart/nart.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

// --8<-- [start:program]
static nart_watchdog watchdog; /* zeroed */
static atomic_bool found;

/* Another thread: looks every millisecond. It costs the loop nothing. */
static void *watch(void *arg)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    const char *name = NULL;

    (void)arg;
    while (nart_watchdog_look(&watchdog, &name) < 20 * NART_MS)
        nanosleep(&pause, NULL);
    printf("the watchdog: a poll of %s runs for more than 20 ms\n", name ? name : "a task");
    atomic_store(&found, true);
    return NULL;
}

/* A task that computes until the watchdog has noticed. */
static nart_res stubborn(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };

    (void)arg;
    while (!atomic_load(&found))
        ;
    return nart_await(cx, nart_sleep(cx, &timer, NART_MS));
}

static nart_res run(nart_rt *rt)
{
    nart_observe_opts opts = NART_OBSERVE_OPTS_INIT;
    pthread_t thread = 0;
    nart_res answer = 0, r;

    opts.slow_ns = 10 * NART_MS;
    opts.watchdog = &watchdog;
    r = nart_rt_observe(rt, &opts);
    if (r == 0)
        r = -pthread_create(&thread, NULL, watch, NULL);
    if (r != 0)
        return r;
    r = nart_fiber_block_on(rt, stubborn, NULL, NULL, &answer);
    pthread_join(thread, NULL); /* before the watchdog's memory ends */
    return r < 0 ? r : answer;
}
// --8<-- [end:program]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = run(rt);
    nart_rt_free(rt);
    return r < 0;
}

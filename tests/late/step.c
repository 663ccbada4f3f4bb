/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* step.c: stops one thread at a time. Also called from signal handlers. */
#include "step.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static _Thread_local const char *stop_at;
static bool stopped, go_on;

static void wait_for(bool *word)
{
    while (!__atomic_load_n(word, __ATOMIC_RELAXED))
        (void)sched_yield();
    __atomic_store_n(word, false, __ATOMIC_RELAXED);
}

void nart__step(const char *name)
{
    if (!stop_at || strcmp(stop_at, name) != 0)
        return;
    stop_at = NULL;
    __atomic_store_n(&stopped, true, __ATOMIC_RELAXED);
    wait_for(&go_on);
}

void step_stop_at(const char *name)
{
    stop_at = name;
}

void step_wait(void)
{
    wait_for(&stopped);
}

void step_go_on(void)
{
    __atomic_store_n(&go_on, true, __ATOMIC_RELAXED);
}

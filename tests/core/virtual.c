/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A clock for tests: see virtual.h. */
#include "virtual.h"

#include "runtime.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BEGINNING (1000 * NART_SEC)

static int64_t beginning = BEGINNING;
int64_t virtual_now = BEGINNING;
unsigned long virtual_reads;

int clock_gettime(clockid_t id, struct timespec *ts)
{
    if (id != CLOCK_MONOTONIC)
        return (int)syscall(SYS_clock_gettime, id, ts);
    virtual_reads++;
    ts->tv_sec = (time_t)(virtual_now / NART_SEC);
    ts->tv_nsec = (long)(virtual_now % NART_SEC);
    return 0;
}

int64_t at_ms(int64_t ms)
{
    return beginning + ms * NART_MS;
}

int64_t elapsed_ms(void)
{
    return (virtual_now - beginning) / NART_MS;
}

static nart_res tick(nart_rt *rt)
{
    nart_res polls = nart_rt_poll(rt, 0);
    CHECK_LE(0, polls);
    return polls;
}

void virtual_restart(void)
{
    beginning = virtual_now;
}

bool step(nart_rt *rt)
{
    if (tick(rt) > 0)
        return true;
    int64_t next = nart_rt_next_deadline(rt);
    if (next == NART_NEVER)
        return false;
    if (next > virtual_now)
        virtual_now = next;
    return true;
}

void run_all(nart_rt *rt)
{
    while (step(rt))
        continue;
}

void run_to_the_end(nart_rt *rt, nart_join *join)
{
    run_all(rt);
    CHECK(nart_join_done(join));
    nart_join_release(join);
}

void run_until(nart_rt *rt, int64_t at)
{
    settle(rt);
    for (int64_t next; (next = nart_rt_next_deadline(rt)) <= at;) {
        if (next > virtual_now)
            virtual_now = next;
        settle(rt);
    }
    virtual_now = at;
    settle(rt);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* observe.h: shared by the observation tests: a runtime whose clock advances only when a poll
 * advances it. */
#ifndef NART_TEST_OBSERVE_H
#define NART_TEST_OBSERVE_H

#include "../core/core.h"

#include <nart/clock.h>
#include <nart/observe.h>

static inline nart_rt *paused_rt(void (*report)(void *, const char *))
{
    nart_rt *rt = NEW_RT(.name = "test", .report = report);

    CHECK_RES(nart_rt_clock_pause(rt), 0);
    return rt;
}

/* A task whose polls take the given times. */
struct work {
    nart_co co;
    const int64_t *ns;
    int n, i;
};

static inline nart_res work_run(nart_cx *cx, void *frame)
{
    struct work *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < f->n; f->i++) {
        CHECK_RES(nart_rt_clock_advance(nart_cx_rt(cx), f->ns[f->i]), 0);
        NART_YIELD();
    }
    NART_END(0);
}

static const nart_task_type work_type = NART_TASK_TYPE(struct work, work_run, NULL);

static inline void work(nart_rt *rt, const int64_t *ns, int n)
{
    struct work init = { .ns = ns, .n = n };
    CHECK_RES(nart_block_on(rt, &work_type, &init, NULL), 0);
}

#endif

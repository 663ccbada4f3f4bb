/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* observe.h: what a runtime's observer is made of. See observe.c. */
#ifndef NART_OBSERVE_OBSERVE_H
#define NART_OBSERVE_OBSERVE_H

#include "../core/runtime.h"
#include "histogram.h"
#include "trace.h"

#include <nart/observe.h>

typedef struct nart__poll_watch {
    int64_t slow_ns; /* NART_NEVER: no report */
    nart_watchdog *dog;
    nart__histogram times;
} nart__poll_watch;

/* There as long as one of its parts is. */
typedef struct nart__observer_state {
    nart__observer observer;   /* first */
    nart__exit_hook exit_hook; /* it goes with the runtime */
    nart_rt *rt;
    nart__poll_watch *polls; /* or NULL */
    nart__trace *trace;      /* or NULL */

    nart__task *task; /* that is polled; NULL: its poll began unobserved */
    const nart_task_type *type;
    uint32_t gen;
    bool woke_itself;
    int64_t begun;
} nart__observer_state;

/* A poll has begun, or has ended: 0 and NULL. */
void nart__watchdog_note(nart_watchdog *dog, int64_t since, const char *name);

/* The eyes of a runtime, made at need: NULL when there is no memory. */
nart__observer_state *nart__observer_state_open(nart_rt *rt);

/* Those that there are, or NULL. */
nart__observer_state *nart__observer_state_of(const nart_rt *rt);

/* One of its parts is gone: closes them if it was the last. */
void nart__observer_state_close(nart__observer_state *e);

#endif

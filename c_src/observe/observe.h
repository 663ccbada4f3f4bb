/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* observe.h: the state of a runtime's observer. See observe.c. */
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

/* Exists as long as one of its parts is on. */
typedef struct nart__observer_state {
    nart__observer observer;   /* first */
    nart__exit_hook exit_hook; /* closes it with the runtime */
    nart_rt *rt;
    nart__poll_watch *polls; /* or NULL */
    nart__trace *trace;      /* or NULL */

    nart__task *task; /* being polled; NULL: its poll began unobserved */
    const nart_task_type *type;
    uint32_t gen;
    bool woke_itself;
    int64_t begun;
} nart__observer_state;

/* Notes that a poll has begun, or with 0 and NULL that it has ended. */
void nart__watchdog_note(nart_watchdog *dog, int64_t since, const char *name);

/* The state of a runtime, made when needed; NULL: out of memory. */
nart__observer_state *nart__observer_state_open(nart_rt *rt);

/* The state of a runtime, or NULL. */
nart__observer_state *nart__observer_state_of(const nart_rt *rt);

/* Called when a part is switched off: frees the state after the last. */
void nart__observer_state_close(nart__observer_state *e);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* observe.h: what a runtime's observer is made of. See observe.c. */
#ifndef NART_OBSERVE_OBSERVE_H
#define NART_OBSERVE_OBSERVE_H

#include "../core/runtime.h"
#include "times.h"
#include "trace.h"

#include <nart/observe.h>

typedef struct nart__watch_polls {
    int64_t slow_ns; /* NART_NEVER: no report */
    nart_watchdog *dog;
    nart__times times;
} nart__watch_polls;

/* There as long as one of its parts is. */
typedef struct nart__eyes {
    nart__observer observer; /* first */
    nart__guest guest;       /* it goes with the runtime */
    nart_rt *rt;
    nart__watch_polls *polls; /* or NULL */
    nart__trace *trace;       /* or NULL */

    nart__task *task; /* that is polled; NULL: its poll began unobserved */
    const nart_task_type *type;
    uint32_t gen;
    bool woke_itself;
    int64_t begun;
} nart__eyes;

/* A poll has begun, or has ended: 0 and NULL. */
void nart__watchdog_told(nart_watchdog *dog, int64_t since, const char *name);

/* The eyes of a runtime, made at need: NULL when there is no memory. */
nart__eyes *nart__eyes_open(nart_rt *rt);

/* Those that there are, or NULL. */
nart__eyes *nart__eyes_of(const nart_rt *rt);

/* One of its parts is gone: closes them if it was the last. */
void nart__eyes_close(nart__eyes *e);

#endif

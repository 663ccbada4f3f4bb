/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* GET requests of C tasks on a loop, to a server on a thread of its own. */
#ifndef NART_BENCH_HTTP_H
#define NART_BENCH_HTTP_H

#include "nart_bridge.h"

enum { GET_TASKS = 16 };

struct gets {
    nart_tokio *bridge;
    char url[64];
    uint64_t left; /* requests to make; the tasks end at 0 */
};

/* Starts the server on a thread with the processors of this one. */
void gets_serve(struct gets *g);

/* Spawns the tasks. Each makes one request after the other, on connections that are kept. */
void gets_spawn(nart_cx *cx, struct gets *g, nart_join joins[GET_TASKS]);

#endif

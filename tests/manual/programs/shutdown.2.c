/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A server that receives the signal, and ends. */
#include "example.h"

#include <signal.h>

struct server {
    nart_co co;
    nart_waiter waiter;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    raise(SIGTERM);
    NART_AWAIT(r, nart_shutdown_await(cx, &c->waiter));
    NART_END(r);
}

static const nart_task_type server_type = NART_TASK_TYPE(struct server, server_run, NULL);

/* DECLARATIONS */

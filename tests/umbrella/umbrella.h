/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the tests of the clients (clients/): a runtime, a bridge, and servers. */
#ifndef NART_TEST_UMBRELLA_H
#define NART_TEST_UMBRELLA_H

#include "test.h"

#include <clients.h>
#include <nart/rt.h>

extern nart_rt *loop;
extern nart_tokio *bridge;

/* The fixture `both`. At its end the bridge is shut down, and nothing may be left. */
void both_open(void);
void both_close(void);

/* Awaits an operation that was begun with `begun`, which must be 0. Returns its result. Within `ns`, if that is
 * not 0. */
nart_res await_for(nart_res begun, nart_tokio_op *op, int64_t ns);
nart_res await(nart_res begun, nart_tokio_op *op);

/* Closes the operation, whose message must contain this text. */
void check_message(nart_tokio_op *op, const char *text);

/* A folder that is removed at the end of the case. */
const char *new_folder(void);

/* A server with a Unix socket in a folder, which accepts connections. It ends with the case. */
struct server {
    char folder[32];
    char url[96]; /* as its client takes it */
    int pid;
    int said; /* what it prints */
};
void redis_start(struct server *s);                   /* zeroed; or killed before */
void postgres_start(struct server *s);                /* prints the statements that it runs */
void server_wait(struct server *s, const char *text); /* until it has printed that once more */
void server_kill(struct server *s);

#endif

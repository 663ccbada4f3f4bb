/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* server.h: what the servers of this folder share. Each has two forms, which differ in the task of a connection:
 * in <name>.c it is a body of nart/co.h, in <name>_fibers.c a fiber. To compare them:
 *
 *     diff -y -W 200 examples/servers/kv.c examples/servers/kv_fibers.c
 *
 *   echo   sends back what it receives
 *   kv     keeps values under keys: SET, GET and DEL, a line each
 *   http   answers every GET with the same page: HTTP/1.1
 *   chat   sends what a client says to all others; one that does not read is dropped
 *   proxy  connects its clients with another server: both directions, half close, idle timeout */
#ifndef SERVER_H
#define SERVER_H

#include <nart/nart.h>

struct server {
    /* The task of a connection, one of the two. It closes the socket. */
    const nart_task_type *type; /* its frame begins with the nart_tcp */
    nart_fiber_fn fiber;        /* its argument is the nart_tcp */

    const char *argument; /* what is expected after the address; NULL: nothing */
    int64_t grace; /* how long connections may go on after the signal, before they are cancelled */

    /* Called before the first connection, and after the last; may be NULL. */
    nart_res (*open)(nart_rt *rt, const char *argument);
    void (*close)(void);
};

/* How long a client may do nothing: the program's last argument, five seconds if it is omitted. */
extern int64_t server_timeout;

/* Serves until SIGINT or SIGTERM. Answers the program's exit status. */
int server_main(const struct server *server, int argc, char **argv);

/* Closes a nart_tcp: the drop function of a connection whose frame holds nothing else. */
void server_drop_sock(void *sock);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* echo.c: the README's connection as a body, in a server of examples/servers, whose clients test it. */
#include "server.h"

/* Its timeouts are five seconds: here, that of the server. */
#undef NART_SEC
#define NART_SEC (server_timeout / 5)

#include README_BLOCK

static const nart_task_type echo_type = NART_TASK_TYPE(struct echo, echo_run, server_drop_sock);

int main(int argc, char **argv)
{
    return server_main(&(struct server){ .type = &echo_type }, argc, argv);
}

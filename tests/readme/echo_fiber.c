/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* echo_fiber.c: the README's connection as a fiber, likewise. */
#include "server.h"

#undef NART_SEC
#define NART_SEC (server_timeout / 5)

#include README_BLOCK

int main(int argc, char **argv)
{
    return server_main(&(struct server){ .fiber = echo }, argc, argv);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The task on one end of a connection, this program on the other. */
#include "example.h"

#include <string.h>

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = example_rt();
    struct conn c = { .len = 0 };
    char back[8];
    int server, client;

    example_tcp(&server, &client);
    if (send(client, "one\r\ntwo", 8, 0) != 8 || shutdown(client, SHUT_WR) != 0 ||
        nart_tcp_adopt(rt, server, &c.sock) != 0)
        return 1;
    return example_run(rt, conn_run, sizeof c, &c) || recv(client, back, 8, MSG_WAITALL) != 8 ||
           memcmp(back, "one\ntwo\n", 8) != 0;
}

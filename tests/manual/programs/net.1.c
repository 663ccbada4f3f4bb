/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The task on one end of a connection, this program on the other. */
#include "example.h"

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = example_rt();
    struct echo e = { .len = 0 };
    char back[4];
    int server, client;

    example_tcp(&server, &client);
    if (send(client, "echo", 4, 0) != 4 || shutdown(client, SHUT_WR) != 0 ||
        nart_tcp_adopt(rt, server, &e.sock) != 0)
        return 1;
    return example_run(rt, echo_run, sizeof e, &e) || recv(client, back, 4, MSG_WAITALL) != 4 ||
           memcmp(back, "echo", 4) != 0;
}

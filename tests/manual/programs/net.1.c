/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The task on one end of a connection, this program on the other. */
#include "example.h"

#include <sys/socket.h>
#include <unistd.h>

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = example_rt();
    struct echo e = { .len = 0 };
    nart_addr at;
    char back[4];
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

    if (nart_addr_parse(&at, "127.0.0.1:0") != 0 ||
        bind(server, (struct sockaddr *)&at.storage, at.len) != 0 || listen(server, 1) != 0 ||
        getsockname(server, (struct sockaddr *)&at.storage, &at.len) != 0 ||
        connect(client, (struct sockaddr *)&at.storage, at.len) != 0 ||
        send(client, "echo", 4, 0) != 4 || shutdown(client, SHUT_WR) != 0 ||
        nart_tcp_adopt(rt, accept(server, NULL, NULL), &e.sock) != 0)
        return 1;
    return example_run(rt, echo_run, sizeof e, &e) || recv(client, back, 4, MSG_WAITALL) != 4 ||
           memcmp(back, "echo", 4) != 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The task between this program, which is the client, and its child, which is the server. */
#include "example.h"

#include <string.h>
#include <sys/wait.h>

/* DECLARATIONS */

/* Receives to the end, and sends that back. */
static int serve(int listening)
{
    char got[16];
    int sock = accept(listening, NULL, NULL);
    ssize_t n = recv(sock, got, sizeof got, MSG_WAITALL);

    return n < 0 || send(sock, got, (size_t)n, 0) != n;
}

int main(void)
{
    struct proxy p = { .to = { .len = sizeof p.to.storage } };
    char back[16];
    int server, client, status, listening = socket(AF_INET, SOCK_STREAM, 0);

    if (listen(listening, 1) != 0 ||
        getsockname(listening, (struct sockaddr *)&p.to.storage, &p.to.len) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0)
        return serve(listening);
    nart_rt *rt = example_rt();
    example_tcp(&server, &client);
    if (send(client, "there and back", 14, 0) != 14 || shutdown(client, SHUT_WR) != 0 ||
        nart_tcp_adopt(rt, server, &p.in) != 0)
        return 1;
    return example_run(rt, proxy_run, sizeof p, &p) ||
           recv(client, back, sizeof back, MSG_WAITALL) != 14 ||
           memcmp(back, "there and back", 14) != 0 || waitpid(child, &status, 0) != child ||
           status != 0;
}

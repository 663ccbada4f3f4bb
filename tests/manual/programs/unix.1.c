/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The task is the client; a process is the server. */
#include "example.h"

#include <string.h>
#include <sys/wait.h>

/* DECLARATIONS */

static int serve(int server)
{
    char got[8];
    int client = accept(server, NULL, NULL);

    return client < 0 || recv(client, got, 6, MSG_WAITALL) != 6 || memcmp(got, "hello\n", 6) != 0 ||
           send(client, "hi\n", 3, 0) != 3;
}

int main(void)
{
    struct greet g = { .done = 0 };
    int server = socket(AF_UNIX, SOCK_STREAM, 0), status = 1;
    nart_res answer = -1;

    if (nart_addr_parse(&g.to, "unix:") != 0 ||
        bind(server, (struct sockaddr *)&g.to.storage, g.to.len) != 0 || listen(server, 1) != 0)
        return 1;
    g.to.len = sizeof g.to.storage;
    if (getsockname(server, (struct sockaddr *)&g.to.storage, &g.to.len) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0)
        _exit(serve(server));
    nart_rt *rt = example_rt();
    const nart_task_type type = NART_TASK_TYPE(struct greet, greet_run, NULL);
    if (nart_block_on(rt, &type, &g, &answer) != 0 || answer != 3)
        return 1;
    nart_rt_free(rt);
    return waitpid(child, &status, 0) != child || status != 0;
}

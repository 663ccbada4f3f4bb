/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A listener on localhost, by name. */
#include "example.h"

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = NULL; /* in real time: the name may be looked up by a thread */
    nart_addr at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || nart_rt_new(NULL, &rt) != 0 || nart_addr_parse(&at, "127.0.0.1:0") != 0 ||
        bind(fd, (struct sockaddr *)&at.storage, at.len) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&at.storage, &at.len) != 0)
        return 1;
    struct client c = { .name = "localhost", .port = nart_addr_port(&at) };
    int status = example_run(rt, client_run, sizeof c, &c);

    close(fd);
    return status;
}

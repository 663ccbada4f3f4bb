/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first address refuses, the second answers. */
#include "example.h"

/* DECLARATIONS */

static int bound(nart_addr *at, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || nart_addr_parse(at, "127.0.0.1:0") != 0 ||
        bind(fd, (struct sockaddr *)&at->storage, at->len) != 0 ||
        getsockname(fd, (struct sockaddr *)&at->storage, &at->len) != 0)
        exit(1);
    if (backlog > 0 && listen(fd, backlog) != 0)
        exit(1);
    return fd;
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct client c = { .connect = { .text = "" } };
    int refuses = bound(&c.at[0], 0), answers = bound(&c.at[1], 1);
    int status = example_run(rt, client_run, sizeof c, &c);

    close(refuses);
    close(answers);
    return status;
}

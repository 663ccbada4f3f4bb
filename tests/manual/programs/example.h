/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Shared by the programs around the examples. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <nart/nart.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A runtime with virtual time, which advances when it is idle. */
static inline nart_rt *example_rt(void)
{
    nart_rt *rt = NULL;

    if (nart_rt_new(NULL, &rt) != 0 || nart_rt_clock_pause(rt) != 0 || nart_rt_clock_auto(rt) != 0)
        abort();
    return rt;
}

/* The two ends of a TCP connection. */
static inline void example_tcp(int *one, int *other)
{
    nart_addr at;
    int server = socket(AF_INET, SOCK_STREAM, 0);

    *other = socket(AF_INET, SOCK_STREAM, 0);
    if (nart_addr_parse(&at, "127.0.0.1:0") != 0 ||
        bind(server, (struct sockaddr *)&at.storage, at.len) != 0 || listen(server, 1) != 0 ||
        getsockname(server, (struct sockaddr *)&at.storage, &at.len) != 0 ||
        connect(*other, (struct sockaddr *)&at.storage, at.len) != 0 ||
        (*one = accept(server, NULL, NULL)) < 0)
        abort();
    close(server);
}

/* Runs a task to its end and frees the runtime. 0 if the task answers 0. */
static inline int example_run(nart_rt *rt, nart_poll_fn poll, uint32_t size, const void *init)
{
    nart_task_type type = { NART_TASK_ABI, 0, "example", size, 16, poll, NULL, { NULL, NULL } };
    nart_res answer = -1, r = nart_block_on(rt, &type, init, &answer);

    if (r == 0)
        r = answer;
    if (r != 0)
        fprintf(stderr, "%s\n", nart_err_name(r));
    nart_rt_free(rt);
    return r != 0;
}

#endif

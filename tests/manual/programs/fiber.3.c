/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A socket passes to a fiber. */
#include "example.h"

static nart_tcp sock;

static void close_sock(void *of)
{
    nart_tcp_close(of);
}

static nart_res serve(nart_cx *cx, void *arg)
{
    char byte = 0;
    nart_res n = nart_await(cx, nart_tcp_recv(cx, arg, &byte, 1));

    nart_tcp_close(arg);
    return n == 1 && byte == 'a' ? 0 : -EIO;
}

static nart_res run(nart_cx *cx, void *arg)
{
    (void)arg;
    /* STATEMENTS */
    return nart_tcp_fd(&sock) == -EBADF ? 0 : -EIO;
}

int main(void)
{
    nart_rt *rt = example_rt();
    nart_res answer = -1;
    int one, other;
    char end;

    example_tcp(&one, &other);
    if (nart_tcp_adopt(rt, one, &sock) != 0 || send(other, "a", 1, 0) != 1 ||
        nart_fiber_block_on(rt, run, NULL, NULL, &answer) != 0 || answer != 0 ||
        nart_rt_run(rt) != 0)
        return 1;
    nart_rt_free(rt);
    return recv(other, &end, 1, 0) != 0; /* the fiber has closed it */
}

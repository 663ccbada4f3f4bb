/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The statement on a connection. */
#include "example.h"

/* DECLARATIONS */

int main(void)
{
    struct {
        nart_tcp sock;
    } frame, *f = &frame;
    nart_rt *rt = example_rt();
    nart_res r;
    int one, other;

    example_tcp(&one, &other);
    if (nart_tcp_adopt(rt, one, &f->sock) != 0)
        return 1;
    /* STATEMENTS */
    if (r != 0 || nart_sock_ttl(nart_tcp_fd(&f->sock)) != 64)
        return 1;
    nart_rt_free(rt);
    close(other);
    return 0;
}

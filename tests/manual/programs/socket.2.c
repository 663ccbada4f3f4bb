/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Connects to this program. */
#include "example.h"

struct frame {
    nart_co co;
    nart_tcp sock;
    nart_socket raw;
    nart_addr from, to;
};

/* DECLARATIONS */

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_tcp_close(&f->sock);
    NART_END(r);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct frame f = { .raw = { 0 } };
    int listening = socket(AF_INET, SOCK_STREAM, 0);

    if (nart_addr_parse(&f.from, "127.0.0.1:0") != 0 || listen(listening, 1) != 0 ||
        nart_sock_local_addr(listening, &f.to) != 0)
        return 1;
    return example_run(rt, run, sizeof f, &f) || accept(listening, NULL, NULL) < 0;
}

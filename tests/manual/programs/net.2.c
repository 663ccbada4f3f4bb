/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sends one message to this program. */
#include "example.h"

struct frame {
    nart_co co;
    nart_tcp sock;
    nart_tcp_writer out;
    const char *buf;
    size_t len;
};

/* DECLARATIONS */

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_tcp_close(&f->sock);
    NART_END(r == 5 && nart_tcp_writer_left(&f->out) == 0 ? 0 : -EIO);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct frame f = { .buf = "hello", .len = 5 };
    char got[5];
    int one, other;

    example_tcp(&one, &other);
    if (nart_tcp_adopt(rt, one, &f.sock) != 0)
        return 1;
    return example_run(rt, run, sizeof f, &f) || recv(other, got, 5, MSG_WAITALL) != 5 ||
           memcmp(got, "hello", 5) != 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A line that is too long, and the one after it. */
#include "example.h"

#include <string.h>

struct conn {
    nart_co co;
    nart_tcp sock;
    nart_stream s;
    char *line;
    char buf[64];
};

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &c->co);
    n = nart_stream_init_tcp(&c->s, &c->sock, c->buf, sizeof c->buf);
    if (n < 0)
        NART_RETURN(n);
    /* STATEMENTS */
    if (n == 0)
        NART_AWAIT(n, nart_stream_read_line(cx, &c->s, 0, &c->line));
    n = n == 4 && strcmp(c->line, "next") == 0 ? 0 : -EIO;
    nart_stream_close(&c->s);
    NART_END(n);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct conn c = { .line = NULL };
    char text[205];
    int server, client;

    memset(text, 'x', 200);
    memcpy(text + 200, "\nnext", 5);
    example_tcp(&server, &client);
    if (send(client, text, sizeof text, 0) != sizeof text || shutdown(client, SHUT_WR) != 0 ||
        nart_tcp_adopt(rt, server, &c.sock) != 0)
        return 1;
    return example_run(rt, conn_run, sizeof c, &c);
}

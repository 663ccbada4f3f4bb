/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* http.c: answers every GET with the same page. http.h has what it understands. */
#include "http.h"
#include "server.h"

struct conn {
    nart_tcp sock;
    nart_co co;
    size_t done;
    struct http http;
};

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    struct http *h = &c->http;
    nart_res n;

    NART_BEGIN(cx, &c->co);
    for (;;) {
        NART_AWAIT_FOR(n, server_timeout,
                       nart_tcp_recv(cx, &c->sock, h->in + h->have, sizeof h->in - h->have));
        if (n <= 0)
            break;
        h->have += (size_t)n;
        for (http_answer(h); h->len > 0; http_answer(h)) {
            NART_AWAIT_FOR(n, server_timeout,
                           nart_tcp_send_all(cx, &c->sock, h->out, h->len, &c->done));
            if (n < 0 || h->last)
                goto end;
            h->len = 0;
        }
    }
end:
    nart_tcp_close(&c->sock);
    NART_END(n);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, server_drop_sock);

int main(int argc, char **argv)
{
    return server_main(&(struct server){ .type = &conn_type }, argc, argv);
}

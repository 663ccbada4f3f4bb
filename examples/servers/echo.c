/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* echo.c: sends back what it receives. A client that sends nothing, or reads nothing, for too long is closed. */
#include "server.h"

struct echo {
    nart_tcp sock;
    nart_co co;
    size_t len, done;
    char buf[1024];
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *e = frame;
    nart_res n;

    NART_BEGIN(cx, &e->co);
    for (;;) {
        NART_AWAIT_FOR(n, server_timeout, nart_tcp_recv(cx, &e->sock, e->buf, sizeof e->buf));
        if (n <= 0)
            break;
        e->len = (size_t)n;
        NART_AWAIT_FOR(n, server_timeout,
                       nart_tcp_send_all(cx, &e->sock, e->buf, e->len, &e->done));
        if (n < 0)
            break;
    }
    nart_tcp_close(&e->sock);
    NART_END(n);
}

static const nart_task_type echo_type = NART_TASK_TYPE(struct echo, echo_run, server_drop_sock);

int main(int argc, char **argv)
{
    return server_main(&(struct server){ .type = &echo_type }, argc, argv);
}

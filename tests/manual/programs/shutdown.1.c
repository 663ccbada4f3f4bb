/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct server {
    nart_co co;
    nart_waiter waiter;
    nart_tcp_listener listener;
    nart_tcp peer;
};

static nart_res serve(nart_cx *cx, void *frame)
{
    struct server *c = frame;
    nart_res r = 0;
    int which = -1;

    NART_BEGIN(cx, &c->co);
    /* STATEMENTS */
    nart_tcp_listener_close(&c->listener);
    NART_END(which == 0 ? r : -EIO);
}

int main(void)
{
    nart_rt *rt = example_rt();
    struct server c = { .co = { 0 } };
    nart_task_type type = NART_TASK_TYPE(struct server, serve, NULL);
    nart_join join = { 0 };
    nart_addr at;

    if (nart_addr_parse(&at, "127.0.0.1:0") != 0 ||
        nart_tcp_listen(rt, &at, NULL, &c.listener) != 0 ||
        nart_rt_spawn(rt, &type, &c, &join) != 0)
        return 1;
    nart_join_release(&join);
    nart_res r = nart_rt_shutdown_within(rt, NART_SEC, NART_SEC, NULL);
    nart_rt_free(rt);
    return r != 0;
}

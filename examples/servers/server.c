/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* server.c: accepts connections until a signal, and spawns a task for each, of either form. */
#include "server.h"

#include <signal.h>
#include <stdio.h>

int64_t server_timeout = 5 * NART_SEC;

void server_drop_sock(void *sock)
{
    nart_tcp_close(sock);
}

/* On success the socket passes to the task. */
static nart_res start(nart_cx *cx, const struct server *server, nart_tcp *sock)
{
    nart_fiber_fn serve = server->fiber;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    void *frame;
    nart_res r = 0;

    opts.drop = server_drop_sock;
    if (serve)
        return nart_fiber_spawn_value(cx, serve, sock, &opts, NULL);
    frame = nart_spawn_boxed_begin(cx, server->type, &r);
    if (!frame)
        return r;
    nart_tcp_move(frame, sock);
    return nart_spawn_commit(cx, frame, NULL);
}

struct acceptor {
    nart_co co;
    const struct server *server;
    nart_tcp_listener listener;
    nart_tcp accepted;
    nart_waiter shutdown;
    nart_timer pause;
};

static nart_res acceptor_run(nart_cx *cx, void *frame)
{
    struct acceptor *a = frame;
    nart_res r;
    int which = 0;

    NART_BEGIN(cx, &a->co);
    for (;;) {
        NART_AWAIT_ANY(which, r, nart_shutdown_await(cx, &a->shutdown),
                       nart_tcp_accept(cx, &a->listener, &a->accepted, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = start(cx, a->server, &a->accepted);
        if (r == 0)
            continue;
        /* no descriptor or no memory: refuse, and wait until others have ended */
        nart_tcp_close(&a->accepted);
        NART_AWAIT(r, nart_sleep(cx, &a->pause, 10 * NART_MS));
        if (r < 0)
            break;
    }
    nart_tcp_listener_close(&a->listener);
    NART_END(r);
}

static void acceptor_drop(void *frame)
{
    struct acceptor *a = frame;

    nart_tcp_close(&a->accepted);
    nart_tcp_listener_close(&a->listener);
}

NART_TASK_TYPED(acceptor, struct acceptor, acceptor_run, acceptor_drop);

static nart_res run(nart_rt *rt, const struct server *server, char **argv)
{
    struct acceptor acceptor = { .server = server };
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res answer = 0;
    nart_res r = nart_rt_shutdown_on(rt, SIGINT);

    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = nart_addr_parse(&addr, argv[1]);
    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &acceptor.listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&acceptor.listener, &addr);
    if (r == 0 && server->open)
        r = server->open(rt, argv[2]);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = acceptor_block_on(rt, &acceptor, &answer);
    if (server->close)
        server->close();
    if (r == 0)
        r = answer;
    if (r == 0)
        r = nart_rt_shutdown_within(rt, server->grace, NART_SEC, NULL);
    return r;
}

int server_main(const struct server *server, int argc, char **argv)
{
    const int least = server->argument ? 3 : 2;
    nart_rt *rt = NULL;
    int ms = 0;
    char more;
    nart_res r;

    if (argc < least || argc > least + 1 ||
        (argc > least && (sscanf(argv[least], "%9d%c", &ms, &more) != 1 || ms < 0))) {
        fprintf(stderr, "usage: %s ADDRESS:PORT %s [MILLISECONDS]\n", argv[0],
                server->argument ? server->argument : "");
        return 2;
    }
    if (argc > least)
        server_timeout = ms * NART_MS;
    r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = run(rt, server, argv);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", argv[0], nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* connections.c: a task for each connection. One can be cancelled, the shutdown cancels all.
 *
 * What to look at
 *  - accept_all(): nart_fiber_spawn_value() moves the socket to the new task. If the spawn fails, it stays here.
 *  - serve(): a connection is a loop. When its task is cancelled, the await in it answers -ECANCELED. All errors end
 *    the loop in the same way, and the socket is closed after it. nart_shield() lets a cancelled task send its goodbye.
 *  - obey(): nart_task_cancel() takes an id. Ids are never used again: one of a task that has ended answers
 *    NART_ESTALE.
 * Usage: connections [ADDRESS:PORT]. It sends back each line, but `cancel ID` cancels the connection that was greeted
 * with that ID. It serves until SIGTERM. */
#include <nart/nart.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static nart_res say(nart_cx *cx, nart_stream *s, const char *text)
{
    size_t done = 0;

    return nart_await_for(cx, NART_SEC, nart_stream_write_all(cx, s, text, strlen(text), &done));
}

/* Answers a line, which has space for the end of line. */
static nart_res obey(nart_cx *cx, nart_stream *s, char *line, size_t len)
{
    nart_task task;

    if (sscanf(line, "cancel %" SCNu32 ".%" SCNu32, &task.slot, &task.gen) == 2)
        return say(cx, s,
                   nart_task_cancel(nart_cx_rt(cx), task) == 0 ? "done\n" : "it has ended\n");
    memcpy(line + len, "\n", 2);
    return say(cx, s, line);
}

static nart_res serve(nart_cx *cx, void *arg)
{
    nart_task task = nart_cx_task(cx);
    char buf[1024], text[64], *line;
    nart_stream s = { 0 };
    nart_res n = nart_stream_init_tcp(&s, arg, buf, sizeof buf);

    snprintf(text, sizeof text, "you are %" PRIu32 ".%" PRIu32 "\n", task.slot, task.gen);
    if (n == 0)
        n = say(cx, &s, text);
    while (n >= 0) {
        n = nart_await(cx, nart_stream_read_line(cx, &s, sizeof buf - 1, &line));
        if (n >= 0)
            n = obey(cx, &s, line, (size_t)n);
    }
    if (n == -ECANCELED) {
        nart_shield(cx, NART_SEC);
        if (say(cx, &s, "goodbye\n") < 0)
            puts("a client does not read its goodbye");
    }
    printf("%" PRIu32 ".%" PRIu32 " ends: %s\n", task.slot, task.gen, nart_err_name(n));
    fflush(stdout);
    nart_tcp_close(arg);
    return n;
}

static void close_sock(void *sock)
{
    nart_tcp_close(sock);
}

static nart_res accept_all(nart_cx *cx, void *arg)
{
    nart_tcp_listener *listener = arg;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_tcp sock = { 0 };
    nart_waiter shutdown = { 0 };
    nart_timer pause = { 0 };
    int which = 1;
    nart_res r = 0;

    opts.drop = close_sock;
    while (r >= 0) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = nart_fiber_spawn_value(cx, serve, &sock, &opts, NULL);
        if (r == 0)
            continue;
        nart_tcp_close(&sock); /* no descriptor or no memory: until another one has ended */
        r = nart_await(cx, nart_sleep(cx, &pause, 10 * NART_MS));
    }
    nart_tcp_listener_close(listener);
    return r;
}

static nart_res run(nart_rt *rt, nart_tcp_listener *listener, const char *address)
{
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res answer = 0, r = nart_addr_parse(&addr, address);

    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, listener);
    if (r == 0)
        r = nart_tcp_listener_addr(listener, &addr);
    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = nart_fiber_block_on(rt, accept_all, listener, NULL, &answer);
    if (r == 0)
        r = nart_rt_shutdown_within(rt, 0, 2 * NART_SEC, NULL); /* cancels what is left, at once */
    return r < 0 ? r : answer;
}

int main(int argc, char **argv)
{
    nart_tcp_listener listener = { 0 };
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = run(rt, &listener, argc > 1 ? argv[1] : "127.0.0.1:4000");
    if (r < 0)
        fprintf(stderr, "connections: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* connections.c: a task for each connection. One can be cancelled, the shutdown cancels all.
 *
 * What to look at
 *  - accept_all(): nart_fiber_spawn_value() moves the socket to the new task. If the spawn fails, it stays here.
 *  - serve(): a connection is a loop. When its task is cancelled, the await in it answers -ECANCELED. All errors end
 *    the loop in the same way, and the socket is closed after it.
 *  - leave(): nart_shield() lets a cancelled task send its goodbye. Closing a socket that has unread bytes resets the
 *    connection, and the client may lose the goodbye. So it ends its own direction first, and reads the rest.
 *  - obey(): connections have numbers and are on a list, so that a client cannot cancel other tasks. The elements are on
 *    the stacks of their fibers. All run on one thread, so the list needs no lock.
 * Usage: connections [ADDRESS:PORT [TIMEOUT]]. It sends back each line, but `cancel N` cancels the connection that was
 * greeted as N. One that sends nothing for TIMEOUT milliseconds, 60000 by default, is closed, and so is one that reads
 * nothing for a second. It serves until SIGTERM. */
#include <nart/nart.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conn {
    struct conn *next, **prev;
    nart_task task;
    unsigned long number;
};

static struct conn *conns;
static unsigned long greeted;
static int64_t timeout;

static nart_res say(nart_cx *cx, nart_stream *s, const char *text, size_t len)
{
    size_t done = 0;

    return nart_await_for(cx, NART_SEC, nart_stream_write_all(cx, s, text, len, &done));
}

/* Answers a line. */
static nart_res obey(nart_cx *cx, nart_stream *s, char *line, size_t len)
{
    struct conn *c = conns;

    if (strncmp(line, "cancel ", 7) == 0) {
        while (c && c->number != strtoul(line + 7, NULL, 10))
            c = c->next;
        if (!c)
            return say(cx, s, "no such connection\n", 19);
        nart_task_cancel(nart_cx_rt(cx), c->task);
        return say(cx, s, "done\n", 5);
    }
    line[len] = '\n'; /* in place of the NUL */
    return say(cx, s, line, len + 1);
}

/* The goodbye of a cancelled task. */
static void leave(nart_cx *cx, nart_stream *s)
{
    char rest[1024];

    nart_shield(cx, NART_SEC);
    if (say(cx, s, "goodbye\n", 8) < 0)
        puts("a client does not read its goodbye");
    else if (nart_await(cx, nart_stream_shutdown(cx, s)) == 0)
        while (nart_await(cx, nart_stream_read(cx, s, rest, sizeof rest)) > 0)
            ;
}

static nart_res serve(nart_cx *cx, void *arg)
{
    struct conn c = {
        .next = conns, .prev = &conns, .task = nart_cx_task(cx), .number = ++greeted
    };
    char buf[1024], text[64], *line;
    nart_stream s = { 0 };
    nart_res n = nart_stream_init_tcp(&s, arg, buf, sizeof buf);

    if (conns)
        conns->prev = &c.next;
    conns = &c;
    if (n == 0)
        n = say(cx, &s, text, (size_t)snprintf(text, sizeof text, "you are %lu\n", c.number));
    while (n >= 0) {
        n = nart_await_for(cx, timeout, nart_stream_read_line(cx, &s, 0, &line));
        if (n >= 0)
            n = obey(cx, &s, line, (size_t)n);
    }
    *c.prev = c.next;
    if (c.next)
        c.next->prev = c.prev;
    if (n == -ECANCELED)
        leave(cx, &s);
    printf("%lu ends: %s\n", c.number, nart_err_name(n));
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
    int ms = 60000;
    char more;

    if ((argc > 2 && sscanf(argv[2], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: connections [ADDRESS:PORT [TIMEOUT in milliseconds]]\n", stderr);
        return 2;
    }
    timeout = ms * NART_MS;
    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = run(rt, &listener, argc > 1 ? argv[1] : "127.0.0.1:4000");
    if (r < 0)
        fprintf(stderr, "connections: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    return r < 0;
}

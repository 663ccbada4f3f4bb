/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chat.c: what a client says is sent to all others. No client waits for one that reads too slowly: that one is dropped.
 *
 * What to look at
 *  - say(): each client has a queue of its own, a local channel. line_try_send() never waits. If a queue is full, its
 *    client is QUEUE lines behind, and its task is cancelled.
 *  - talk(): a race between the next line of the queue and the next line of the client. The arm that loses has consumed
 *    nothing.
 *  - join(): the elements of the list of clients are on the stacks of their fibers. All run on one thread, so the list
 *    needs no lock; say() does not await while it walks the list.
 *  - serve(): the tasks of all clients are in a nursery. After its join all of them have ended.
 * Usage: chat [ADDRESS:PORT]. It serves until SIGTERM. */
#include <nart/nart.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 256, QUEUE = 64 }; /* bytes of a line, lines that a client may lag behind */

struct line {
    size_t len;
    char text[LINE];
};

NART_CHAN_TYPED(line, struct line);

struct client {
    struct client *next, **prev;
    nart_task task;
    bool slow;
    nart_tx queue;
    nart_rx lines;
    char name[16];
};

static struct client *clients;
static unsigned joined;

/* To all but `by`. */
static void say(nart_cx *cx, const struct client *by, const char *sign, const char *text)
{
    struct line line;

    line.len = (size_t)snprintf(line.text, LINE, "%s%s%s\n", by->name, sign, text);
    for (struct client *c = clients; c; c = c->next)
        if (c != by && line_try_send(&c->queue, line) == -EAGAIN && !c->slow) {
            c->slow = true;
            nart_task_cancel(nart_cx_rt(cx), c->task);
        }
}

/* Until the client has gone, or this task is cancelled. */
static nart_res talk(nart_cx *cx, struct client *me, nart_stream *s)
{
    struct line line;
    char *text;
    int which;
    nart_res r = 0;

    while (r >= 0) {
        size_t done = 0;

        r = nart_await_any(cx, which, line_recv(cx, &me->lines, &line),
                           nart_stream_read_line(cx, s, LINE - 32, &text));
        if (r >= 0 && which == 0) {
            r = nart_await(cx, nart_stream_write_all(cx, s, line.text, line.len, &done));
        } else if (r >= 0) {
            say(cx, me, ": ", text);
            nart_yield(cx); /* so that others can read what a fast one says */
        }
    }
    return r;
}

static nart_res join(nart_cx *cx, void *sock)
{
    struct client me = { .next = clients, .prev = &clients, .task = nart_cx_task(cx) };
    char buf[LINE];
    nart_stream s = { 0 };
    nart_res r = line_open(nart_cx_rt(cx), NART_CHAN_LOCAL, QUEUE, &me.queue, &me.lines);

    if (r == 0)
        r = nart_stream_init_tcp(&s, sock, buf, sizeof buf);
    if (r == 0) {
        snprintf(me.name, sizeof me.name, "client %u", ++joined);
        if (clients)
            clients->prev = &me.next;
        clients = &me;
        say(cx, &me, "", " has joined");
        r = talk(cx, &me, &s);
        *me.prev = me.next;
        if (me.next)
            me.next->prev = me.prev;
        say(cx, &me, "", me.slow ? " does not read and was dropped" : " has left");
    }
    nart_tx_close(&me.queue);
    nart_rx_close(&me.lines);
    nart_tcp_close(sock);
    return r;
}

static void close_sock(void *sock)
{
    nart_tcp_close(sock);
}

/* Spawns the task of a client. On success the socket is the task's. */
static nart_res admit(nart_cx *cx, nart_nursery *all, nart_tcp *sock)
{
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_fiber fiber;
    nart_res r;

    opts.value = sizeof *sock;
    opts.drop = close_sock;
    r = nart_fiber_init(&fiber, join, sock, &opts);
    if (r == 0)
        r = nart_nursery_spawn(cx, all, NART_FIBER_TYPE(join), &fiber);
    if (r == 0)
        *sock = (nart_tcp){ 0 };
    return r;
}

static nart_res serve(nart_cx *cx, void *arg)
{
    nart_tcp_listener *listener = arg;
    nart_nursery all = { 0 };
    nart_tcp sock = { 0 };
    nart_waiter shutdown = { 0 };
    nart_timer pause = { 0 };
    int which = 1;
    nart_res r = nart_nursery_open(cx, &all, 0);

    if (r < 0)
        return r;
    while (r >= 0) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = admit(cx, &all, &sock);
        if (r == 0)
            continue;
        nart_tcp_close(&sock); /* no descriptor or no memory: until another one has ended */
        r = nart_await(cx, nart_sleep(cx, &pause, 10 * NART_MS));
    }
    nart_nursery_cancel(&all);
    return nart_await(cx, nart_nursery_join(cx, &all, NULL)); /* all have left */
}

int main(int argc, char **argv)
{
    nart_tcp_listener listener = { 0 };
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_rt *rt = NULL;
    nart_res r = nart_addr_parse(&addr, argc > 1 ? argv[1] : "127.0.0.1:4000");

    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = nart_tcp_listen(rt, &addr, NULL, &listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&listener, &addr);
    if (r == 0) {
        nart_addr_format(&addr, text, sizeof text);
        printf("listening at %s\n", text);
        fflush(stdout);
        r = nart_fiber_block_on(rt, serve, &listener, NULL, NULL);
    }
    if (r < 0)
        fprintf(stderr, "chat: %s\n", nart_strerror(r));
    nart_tcp_listener_close(&listener);
    nart_rt_free(rt);
    return r < 0;
}

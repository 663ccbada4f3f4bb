/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chat.c: what a client says is sent to all others. No client waits for one that reads too slowly: that one is dropped.
 *
 * What to look at
 *  - say(): each client has a queue of its own, a local channel. line_try_send() never waits. If a queue is full, its
 *    client is QUEUE lines behind, and its task is cancelled. One line is said at a time, and the tasks of all others
 *    run before the next: so only a client that does not read is behind, not one whose task had no turn.
 *  - talk(): two branches, which are functions with stacks of their own, until one of them ends. hear() reads what the
 *    client says, write_all() writes what the others say, also while hear() waits for its turn to speak.
 *  - the elements of the list of clients are on the stacks of their fibers. All run on one thread, so the list
 *    needs no lock; say() does not await while it walks the list.
 *  - serve(): the tasks of all clients are in a nursery. After its join all of them have ended.
 * Usage: chat [ADDRESS:PORT [TIMEOUT]]. It serves until SIGTERM. A client may be silent for as long as it likes: it
 * listens. One that does not take a line for TIMEOUT milliseconds, 60000 by default, is dropped. */
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
    nart_stream stream;
    nart_tx queue;
    nart_rx lines;
    char name[16];
};

static struct client *clients;
static unsigned joined;
static nart_mutex turn; /* to speak */
static int64_t timeout;

/* To all but `by`. */
static nart_res say(nart_cx *cx, const struct client *by, const char *sign, const char *text)
{
    nart_lock lock = { 0 };
    struct line line;
    nart_res r = nart_await(cx, nart_mutex_lock(cx, &turn, &lock));

    if (r < 0)
        return r;
    line.len = (size_t)snprintf(line.text, LINE, "%s%s%s\n", by->name, sign, text);
    for (struct client *c = clients; c; c = c->next)
        if (c != by && line_try_send(&c->queue, line) == -EAGAIN && !c->slow) {
            c->slow = true;
            nart_task_cancel(nart_cx_rt(cx), c->task);
        }
    nart_yield(cx); /* the tasks of the others take the line */
    nart_lock_release(&lock);
    return 0;
}

static nart_res hear(nart_cx *cx, void *arg)
{
    struct client *me = arg;
    char *text;
    nart_res r = 0;

    while (r >= 0) {
        r = nart_await(cx, nart_stream_read_line(cx, &me->stream, LINE - 32, &text));
        if (r >= 0)
            r = say(cx, me, ": ", text);
    }
    return r;
}

static nart_res write_all(nart_cx *cx, void *arg)
{
    struct client *me = arg;
    struct line line;
    nart_res r = 0;

    while (r >= 0) {
        size_t done = 0;

        r = nart_await(cx, line_recv(cx, &me->lines, &line));
        if (r >= 0)
            r = nart_await_for(cx, timeout,
                               nart_stream_write_all(cx, &me->stream, line.text, line.len, &done));
    }
    me->slow |= r == -ETIMEDOUT;
    return r;
}

/* Until the client has gone, or this task is cancelled. */
static nart_res talk(nart_cx *cx, struct client *me)
{
    nart_branch in = { 0 }, out = { 0 };
    nart_arm runs[2] = { 0 }, stops[2] = { 0 };
    nart_res r = nart_await_all_ok(cx, runs, nart_branch_run(cx, &in, hear, me),
                                   nart_branch_run(cx, &out, write_all, me));
    nart_res stopped =
        nart_await_all(cx, stops, nart_branch_stop(cx, &in), nart_branch_stop(cx, &out));

    return r < 0 ? r : stopped;
}

static nart_res join(nart_cx *cx, void *sock)
{
    struct client me = { .prev = &clients, .task = nart_cx_task(cx) };
    char buf[LINE];
    nart_res r = line_open(nart_cx_rt(cx), NART_CHAN_LOCAL, QUEUE, &me.queue, &me.lines);

    snprintf(me.name, sizeof me.name, "client %u", ++joined);
    if (r == 0)
        r = nart_stream_init_tcp(&me.stream, sock, buf, sizeof buf);
    if (r == 0)
        r = say(cx, &me, "", " has joined");
    if (r == 0) {
        me.next = clients;
        if (clients)
            clients->prev = &me.next;
        clients = &me;
        r = talk(cx, &me);
        *me.prev = me.next;
        if (me.next)
            me.next->prev = me.prev;
        if (me.slow)
            nart_shield(cx, NART_SEC); /* it is cancelled */
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

static nart_res serve(nart_cx *cx, void *arg)
{
    nart_tcp_listener *listener = arg;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_nursery all = { 0 };
    nart_tcp sock = { 0 };
    nart_waiter shutdown = { 0 };
    nart_timer pause = { 0 };
    int which = 1;
    nart_res r = nart_nursery_open(cx, &all, 0);

    if (r < 0)
        return r;
    opts.drop = close_sock;
    while (r >= 0) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = nart_nursery_fiber_spawn_value(cx, &all, join, &sock, &opts);
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
    int ms = 60000;
    char more;

    if ((argc > 2 && sscanf(argv[2], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: chat [ADDRESS:PORT [TIMEOUT in milliseconds]]\n", stderr);
        return 2;
    }
    timeout = ms * NART_MS;
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

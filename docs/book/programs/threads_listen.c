/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* threads_listen.c: a server on four threads, each with a runtime and a listener at the same address. Arguments: the
 * address, and milliseconds after which a client that sends or reads nothing is closed. */
#include <nart/nart.h>

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

// --8<-- [start:loop]
enum { LOOPS = 4 };

/* A thread, its runtime and its listener. The first loop runs on the main thread. */
struct loop {
    nart_rt *rt;
    nart_tcp_listener listener;
    nart_remote remote;
    pthread_t thread;
    nart_res answer;
};

/* Called on the main thread: a runtime then belongs to the thread that first runs it. */
static nart_res loop_open(struct loop *l, nart_addr *at)
{
    nart_tcp_listen_opts opts = NART_TCP_LISTEN_OPTS_INIT;
    nart_res r = nart_rt_new(NULL, &l->rt);

    opts.flags = NART_LISTEN_REUSE_PORT;
    if (r == 0)
        r = nart_tcp_listen(l->rt, at, &opts, &l->listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&l->listener, at); // port 0: all get the one of the first
    if (r == 0)
        l->remote = nart_rt_remote(l->rt);
    return r;
}
// --8<-- [end:loop]

static int64_t timeout; /* constant once the threads begin */

static nart_res client(nart_cx *cx, void *arg)
{
    nart_tcp *sock = arg;
    char buf[4096];
    nart_res n;

    do {
        size_t done = 0;
        n = nart_await_for(cx, timeout, nart_tcp_recv(cx, sock, buf, sizeof buf));
        for (nart_res i = 0; i < n; i++)
            buf[i] = (char)toupper((unsigned char)buf[i]);
        if (n > 0)
            n = nart_await_for(cx, timeout, nart_tcp_send_all(cx, sock, buf, (size_t)n, &done));
    } while (n > 0);
    nart_tcp_close(sock);
    return n;
}

static void close_socket(void *sock)
{
    nart_tcp_close(sock);
}

static nart_res serve(nart_cx *cx, void *arg)
{
    nart_tcp_listener *listener = arg;
    nart_fiber_opts opts = NART_FIBER_OPTS_INIT;
    nart_waiter stop = { 0 };
    nart_timer pause = { 0 };
    int which = 1;
    nart_res r = 0;

    opts.drop = close_socket;
    while (which == 1 && r != -ECANCELED) {
        nart_tcp sock = { 0 };
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &stop),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (which == 1 && r == 0)
            r = nart_fiber_spawn_value(cx, client, &sock, &opts, NULL);
        if (which == 1 && r < 0) { // too many descriptors, or no memory
            nart_tcp_close(&sock);
            r = nart_await(cx, nart_sleep(cx, &pause, 100 * NART_MS));
        }
    }
    nart_tcp_listener_close(listener);
    return r;
}

// --8<-- [start:thread]
/* Serves until the runtime is asked to shut down. */
static void loop_serve(struct loop *l)
{
    nart_res r = nart_fiber_block_on(l->rt, serve, &l->listener, NULL, &l->answer);

    if (r < 0)
        l->answer = r;
}

/* Clients have 5 seconds to end by themselves, and 1 more when they are cancelled. */
static void loop_end(struct loop *l)
{
    nart_res r = l->rt ? nart_rt_shutdown_within(l->rt, 5 * NART_SEC, NART_SEC, NULL) : 0;

    if (l->answer == 0)
        l->answer = r;
    nart_tcp_listener_close(&l->listener);
    nart_rt_free(l->rt);
}

static void *loop_thread(void *loop)
{
    loop_serve(loop);
    loop_end(loop);
    return NULL;
}
// --8<-- [end:thread]

// --8<-- [start:main]
/* Runs the first loop here and the others on threads, until SIGTERM. */
static nart_res run(struct loop *loops, const char *where)
{
    nart_addr at;
    int started = 1;
    nart_res r = nart_addr_parse(&at, where);

    for (int i = 0; i < LOOPS && r == 0; i++)
        r = loop_open(&loops[i], &at);
    if (r == 0)
        r = nart_rt_shutdown_on(loops[0].rt, SIGTERM);
    while (r == 0 && started < LOOPS) {
        r = -pthread_create(&loops[started].thread, NULL, loop_thread, &loops[started]);
        started += r == 0;
    }
    if (r == 0) {
        printf("listening at %s\n", where);
        fflush(stdout);
        loop_serve(&loops[0]);
    }
    for (int i = 1; i < started; i++) // the first one was asked by the signal
        nart_remote_shutdown(loops[i].remote);
    loop_end(&loops[0]);
    for (int i = 1; i < started; i++)
        pthread_join(loops[i].thread, NULL);
    for (int i = started; i < LOOPS; i++)
        loop_end(&loops[i]);
    for (int i = 0; i < LOOPS && r == 0; i++)
        r = loops[i].answer;
    return r;
}
// --8<-- [end:main]

int main(int argc, char **argv)
{
    struct loop loops[LOOPS] = { 0 };
    const char *where = argc > 1 ? argv[1] : "127.0.0.1:7000";
    int ms = 30000;
    char more;

    if ((argc > 2 && sscanf(argv[2], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: threads_listen [ADDRESS:PORT [TIMEOUT in milliseconds]]\n", stderr);
        return 2;
    }
    timeout = ms * NART_MS;
    nart_res r = run(loops, where);
    if (r < 0)
        fprintf(stderr, "threads_listen at %s: %s\n", where, nart_strerror(r));
    return r < 0;
}

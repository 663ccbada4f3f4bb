/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* embed_poll.c: nart inside a program that has a loop of its own, by poll(). Standard input is the program's, the
 * connection is a fiber's: together they are a small netcat.
 *
 * What to look at
 *  - host_loop(): it waits for its own descriptor and for one of the runtime, at most until the next deadline of the
 *    runtime, and then runs one tick. All of it is one thread, so both sides may use the same data without a lock.
 *  - a channel leads from the program to a fiber: nart_try_send() works outside of tasks. While the channel is full,
 *    the program does not read its input. So a slow peer slows the input down, and memory is bounded.
 *  - closing the sender notifies the fiber that the input has ended. The end of the peer's direction does not end the
 *    input: the peer may still read. One that has closed the connection is noticed by the next sends.
 * Adapters for loops of libuv and GLib: examples/adapters.
 * Usage: embed_poll ADDRESS:PORT [QUIET [CONNECT_TIMEOUT]], in milliseconds. It sends "ping" when it has sent nothing
 * for QUIET, 10000 by default, and ends when it is not connected within CONNECT_TIMEOUT, 5000. */
#include <nart/nart.h>

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

struct chunk {
    size_t len;
    char bytes[512];
};

NART_CHAN_TYPED(chunk, struct chunk);

struct link {
    nart_addr addr;
    int64_t quiet, connect_timeout;
    nart_rx input;
    nart_tcp sock;
    nart_res end;
};

/* ---- nart's side ---- */

static nart_res reader(nart_cx *cx, void *arg)
{
    struct link *link = arg;
    char buf[4096];
    nart_res n;

    while ((n = nart_await(cx, nart_tcp_recv(cx, &link->sock, buf, sizeof buf))) > 0)
        if (fwrite(buf, 1, (size_t)n, stdout) < (size_t)n || fflush(stdout) != 0)
            return -errno;
    return n; /* 0: the peer has ended its direction, and may still read */
}

static nart_res writer(nart_cx *cx, void *arg)
{
    struct link *link = arg;
    struct chunk chunk;
    nart_timer timer = { 0 };
    int which;
    nart_res r = 0;

    while (r >= 0) {
        size_t done = 0;

        r = nart_await_any(cx, which, chunk_recv(cx, &link->input, &chunk),
                           nart_sleep(cx, &timer, link->quiet));
        if (r == 0 && which == 1)
            chunk = (struct chunk){ 5, "ping\n" };
        if (r == 0)
            r = nart_await(cx, nart_tcp_send_all(cx, &link->sock, chunk.bytes, chunk.len, &done));
    }
    return r == NART_ECLOSED ? nart_tcp_shutdown(&link->sock, NART_WRITE) : r;
}

static nart_res talk(nart_cx *cx, void *arg)
{
    struct link *link = arg;
    nart_nursery both = { 0 };
    nart_res error = 0;
    nart_res r =
        nart_await_for(cx, link->connect_timeout, nart_tcp_connect(cx, &link->sock, &link->addr));

    if (r == 0)
        r = nart_nursery_open(cx, &both, NART_NURSERY_CANCEL_ON_ERROR);
    if (r == 0)
        r = nart_nursery_fiber_spawn(cx, &both, reader, link, NULL);
    if (r == 0)
        r = nart_nursery_fiber_spawn(cx, &both, writer, link, NULL);
    if (r < 0)
        nart_nursery_cancel(&both);
    if (nart_await(cx, nart_nursery_join(cx, &both, &error)) == 0)
        r = r < 0 ? r : error;
    link->end = r;
    nart_tcp_close(&link->sock);
    return r;
}

/* ---- the program's side ---- */

/* Passes on what standard input has; there is space in the channel. */
static void read_input(nart_tx *tx)
{
    struct chunk chunk;
    ssize_t n = read(STDIN_FILENO, chunk.bytes, sizeof chunk.bytes);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        chunk.len = (size_t)n;
        if (chunk_try_send(tx, chunk) == 0)
            return;
    }
    nart_tx_close(tx); /* the input has ended, or the fiber */
}

/* Until the runtime has no task left. */
static nart_res host_loop(nart_rt *rt, nart_tx *tx)
{
    nart_res r = nart_rt_poll(rt, 0);

    while (r >= 0 && nart_rt_task_count(rt) > 0) {
        struct pollfd fds[2] = { { .fd = nart_rt_backend_fd(rt), .events = POLLIN },
                                 { .fd = -1, .events = POLLIN } }; /* poll() skips -1 */
        int64_t at, ms = -1;

        if (nart_tx_len(tx) < nart_tx_capacity(tx)) /* 0 and 0 once it is closed */
            fds[1].fd = STDIN_FILENO;
        at = nart_rt_next_deadline(rt); /* right before the wait: valid until the runtime is used */
        if (at != NART_NEVER)
            ms = at <= nart_rt_now(rt) ? 0 : (at - nart_rt_now(rt) + NART_MS - 1) / NART_MS;
        if (poll(fds, 2, ms > 60000 ? 60000 : (int)ms) < 0 && errno != EINTR)
            return -errno;
        if (fds[1].revents != 0)
            read_input(tx);
        r = nart_rt_poll(rt, 0);
    }
    return r < 0 ? r : 0;
}

int main(int argc, char **argv)
{
    int ms[] = { 10000, 5000 }, good = argc > 1;
    nart_tx tx = { 0 };
    nart_rt *rt = NULL;
    char more;

    for (int i = 2; i < argc && i < 4; i++)
        good = good && sscanf(argv[i], "%9d%c", &ms[i - 2], &more) == 1 && ms[i - 2] >= 0;
    if (!good) {
        fputs("usage: embed_poll ADDRESS:PORT [QUIET [CONNECT_TIMEOUT]], in milliseconds\n",
              stderr);
        return 2;
    }
    struct link link = { .quiet = ms[0] * NART_MS, .connect_timeout = ms[1] * NART_MS };
    nart_res r = nart_addr_parse(&link.addr, argv[1]);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = chunk_open(rt, NART_CHAN_LOCAL, 16, &tx, &link.input);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, talk, &link, NULL, NULL);
    if (r == 0)
        r = host_loop(rt, &tx);
    if (r == 0)
        r = link.end;
    if (r < 0)
        fprintf(stderr, "embed_poll: %s\n", nart_strerror(r));
    nart_tx_close(&tx);
    nart_rx_close(&link.input);
    nart_rt_free(rt);
    return r < 0;
}

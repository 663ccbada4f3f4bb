/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ends.h: the ends of a connection, over TCP or a Unix socket, for what both do by the same code. */
#ifndef NART_NET_ENDS_H
#define NART_NET_ENDS_H

#include "unix_test.h"

/* A kind of test: which sockets, and the form of the task. */
enum { TCP_BODY, TCP_FIBER, UNIX_BODY, UNIX_FIBER };

static bool is_unix;
static uint32_t form;
static nart_unix sock; /* the runtime's end; of TCP: its `conn` */
static int peer;       /* the other end, plain and blocking; -1: closed */

static inline void conn_open(uint32_t kind)
{
    const int buffer = 65536;
    int fds[2];

    rt_open();
    is_unix = kind >= UNIX_BODY;
    form = kind & 1 ? FIBER : BODY;
    if (is_unix)
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    else
        raw_pair(&fds[0], &fds[1]);
    /* Fixed sizes: else TCP adapts them, to more than a test sends. */
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer), 0);
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer), 0);
    if (is_unix)
        CHECK_RES(nart_unix_adopt(rt, fds[0], &sock), 0);
    else
        CHECK_RES(nart_tcp_adopt(rt, fds[0], &sock.conn), 0);
    peer = fds[1];
}

static inline void conn_close(void)
{
    CHECK_RES(nart_unix_close(&sock), 0);
    if (peer >= 0)
        close(peer);
    rt_close();
}

static inline void raw_read(char *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(peer, buf + done, len - done);
        CHECK_LE(1, n);
        done += (size_t)n;
    }
}

/* Reads so many bytes at the other end while the runtime runs. */
static inline void drain(char *buf, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = recv(peer, buf + done, len - done, MSG_DONTWAIT);
        if (n > 0)
            done += (size_t)n;
        else
            CHECK_LE(0, nart_rt_poll(rt, NART_MS));
    }
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A proxy of HTTP that makes tunnels (CONNECT), one after another. */
#ifndef NART_TEST_PROXY_H
#define NART_TEST_PROXY_H

#include "peer.h"
#include "threads.h"

#include <poll.h>

struct proxy {
    char url[64]; /* of the proxy */
    uint16_t to;  /* the port of 127.0.0.1 to which every tunnel leads, whatever the request says */
    char head[1024]; /* of the last request */
    int listener;
    pthread_t thread;
};

/* Copies what one side sends to the other one, until one ends. */
static inline void proxy_relay(int a, int b)
{
    struct pollfd fds[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
    char buf[4096];

    for (;;) {
        CHECK(poll(fds, 2, -1) > 0);
        for (int i = 0; i < 2; i++) {
            if (!fds[i].revents)
                continue;
            ssize_t n = recv(fds[i].fd, buf, sizeof buf, 0);
            if (n <= 0)
                return;
            if (send(fds[!i].fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
                return;
        }
    }
}

static inline void *proxy_run(void *arg)
{
    struct proxy *p = arg;
    int fd;

    while ((fd = accept(p->listener, NULL, NULL)) >= 0) {
        int server = connect_locally(p->to);
        peer_read_head(fd, p->head, sizeof p->head);
        peer_say(fd, "HTTP/1.1 200 Connection established\r\n\r\n");
        proxy_relay(fd, server);
        close(server);
        close(fd);
    }
    return NULL;
}

static inline void proxy_open(struct proxy *p, uint16_t to)
{
    p->to = to;
    p->listener = peer_listen(p->url, sizeof p->url);
    p->thread = thread_start(proxy_run, p);
}

/* The tunnels must have ended. */
static inline void proxy_close(struct proxy *p)
{
    CHECK_EQ(shutdown(p->listener, SHUT_RDWR), 0);
    thread_join(p->thread);
    close(p->listener);
}

#endif

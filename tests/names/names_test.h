/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* names_test.h: addresses that answer, refuse, or never answer. */
#ifndef NART_NAMES_TEST_H
#define NART_NAMES_TEST_H

#include "../net/net_test.h"

#include <nart/resolve.h>

#include <fcntl.h>
#include <netinet/in.h>

enum { QUEUED = 8, PLACES_MOST = 32 };

/* A place to connect to. The kernel drops connection requests to a listener whose queue is full, so connects to
 * such a place stay in progress. */
struct place {
    nart_addr at;
    int fd, queued[QUEUED];
};

enum { ANSWERS, REFUSES, SILENT };

/* `host` is "127.0.0.1:0" or the like. False: its port is in use. */
static inline bool place_try(struct place *p, const char *host, int kind)
{
    CHECK_RES(nart_addr_parse(&p->at, host), 0);
    p->fd = socket(p->at.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(p->fd >= 0);
    if (bind(p->fd, sockaddr_of(&p->at), p->at.len) != 0) {
        CHECK_EQ(errno, EADDRINUSE);
        close(p->fd);
        return false;
    }
    CHECK_EQ(getsockname(p->fd, (struct sockaddr *)&p->at.storage, &p->at.len), 0);
    if (kind != REFUSES)
        CHECK_EQ(listen(p->fd, kind == SILENT ? 0 : 64), 0);
    for (int i = 0; i < QUEUED; i++) {
        p->queued[i] = -1;
        if (kind != SILENT)
            continue;
        p->queued[i] =
            socket(p->at.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(p->queued[i] >= 0);
        CHECK(connect(p->queued[i], sockaddr_of(&p->at), p->at.len) == 0 || errno == EINPROGRESS);
    }
    return true;
}

static inline void place_open(struct place *p, const char *host, int kind)
{
    CHECK(place_try(p, host, kind));
}

static inline void place_finish(struct place *p)
{
    for (int i = 0; i < QUEUED; i++)
        if (p->queued[i] >= 0)
            close(p->queued[i]);
    close(p->fd);
}

/* "127.0.0.1:80": static, four at a time. */
static inline const char *text_of(const nart_addr *at)
{
    static char text[4][NART_ADDR_TEXT];
    static int next;

    next = (next + 1) % 4;
    CHECK_LE(0, nart_addr_format(at, text[next], sizeof text[next]));
    return text[next];
}

/* Open descriptors of the process. */
static inline int descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

#endif

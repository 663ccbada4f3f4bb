/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The server of an HTTP request as a case plays it itself, step by step. */
#ifndef NART_TEST_PEER_H
#define NART_TEST_PEER_H

#include "bridge.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client of the bridge; the options need no size. */
static inline nart_http_client *peer_client(const nart_http_client_opts *given)
{
    nart_http_client_opts opts = *given;
    nart_http_client *client = NULL;
    char why[200];

    opts.size = sizeof opts;
    opts.error = why;
    opts.error_len = sizeof why;
    if (nart_http_client_new(bridge, &opts, &client) != 0)
        test_fail(__FILE__, __LINE__, "no client: %s", why);
    CHECK_STR(why, "");
    return client;
}

/* Listens, and writes the start of its URLs. */
static inline int peer_listen(char *url, size_t size)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(url, size, "http://127.0.0.1:%d", listen_locally(fd, 16));
    return fd;
}

/* Reads to the end of a head, and nothing behind it. */
static inline void peer_read_head(int fd, char *head, size_t size)
{
    size_t n = 0;

    do {
        CHECK(n + 1 < size);
        CHECK_EQ(recv(fd, head + n, 1, 0), 1);
        head[++n] = '\0';
    } while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0);
}

/* Reads exactly this text. */
static inline void peer_expect(int fd, const char *text)
{
    char got[256];
    size_t n = strlen(text);

    CHECK(n < sizeof got);
    CHECK_EQ(recv(fd, got, n, MSG_WAITALL), n);
    got[n] = '\0';
    CHECK_STR(got, text);
}

static inline void peer_say(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

#endif

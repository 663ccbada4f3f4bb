/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* full.h: the fixture `full` of tests in which a connect stays in progress. Include it after FIXTURE_RT(). */
#ifndef NART_NET_FULL_H
#define NART_NET_FULL_H

/* The fixture `full`: a runtime, and a listener whose queue is full. The kernel drops further
 * connection requests, so they stay in progress. */
static struct {
    int listener, first[8];
    nart_addr at;
} full;

static inline void full_open(void)
{
    rt_open();
    full.listener = raw_listen(&full.at, 0);
    for (int i = 0; i < 8; i++) {
        full.first[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(full.first[i] >= 0);
        CHECK(connect(full.first[i], sockaddr_of(&full.at), full.at.len) == 0 ||
              errno == EINPROGRESS);
    }
}

static inline void full_close(void)
{
    for (int i = 0; i < 8; i++)
        close(full.first[i]);
    close(full.listener);
    rt_close();
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* conn.h: the fixture `conn` of the socket tests, a runtime with one connection. */
#ifndef NART_NET_CONN_H
#define NART_NET_CONN_H

#include "net_test.h"

FIXTURE_RT();
static nart_tcp sock; /* the runtime's end */
static int peer;      /* the other end, plain and blocking; -1: closed */

static inline void conn_open(void)
{
    rt_open();
    peer = tcp_pair(rt, &sock);
}

static inline void conn_close(void)
{
    CHECK_RES(nart_tcp_close(&sock), 0);
    if (peer >= 0)
        close(peer);
    rt_close();
}

/* The peer closes, with a reset. */
static inline void peer_reset(void)
{
    raw_reset(peer);
    peer = -1;
}

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kvproxy.h: what the connections share. They run on one thread at a time, so plain memory is enough. */
#ifndef KVPROXY_H
#define KVPROXY_H

#include "cache.h"

#include <nart/nart.h>
#include <nart/net.h>
#include <nart/shutdown.h>
#include <nart/tokio.h>

struct counts {
    uint64_t accepted, refused;                /* connections */
    uint64_t requests, hits, wrong, busy;      /* lines; those that were answered without redis */
    uint64_t submitted, ok, failed, cancelled; /* operations, and in which way they ended */
};

struct proxy {
    /* the options */
    const char *listen, *url; /* url: of redis */
    uint32_t max_open, max_running;
    int64_t deadline, patience, grace; /* of redis; with clients; with both at the end */
    bool on_tokio;

    nart_tokio *tokio;
    struct cache cache;
    struct counts n;
    uint32_t open, running; /* connections, those that are refused included; operations */
    nart_notify closed;     /* a connection has ended */
};

enum { STATS_TEXT = 256 };

/* Writes the counters into `text`, without an end of line. */
void proxy_stats(const struct proxy *p, char text[STATS_TEXT]);

/* ---- server.c: the task that accepts connections. tokio may run it, or a loop ---- */

struct server {
    nart_co co;
    struct proxy *p;
    nart_tcp_listener listener;
    nart_tcp accepted;
    nart_waiter shutdown, closed;
    nart_timer pause;
};

extern const nart_task_type server_type;

/* ---- conn.c: a connection ---- */

/* Spawns a task for an accepted connection, which is taken over. Returns 0, or the errors of nart_spawn(). */
nart_res conn_start(nart_cx *cx, struct proxy *p, nart_tcp *accepted);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* connect.h: one connect to several places, in a runtime whose clock is stopped, so that each start of an attempt is
 * exact. */
#ifndef NART_CONNECT_TEST_H
#define NART_CONNECT_TEST_H

#include "names_test.h"

#include "op.h"

#include <nart/clock.h>
#include <nart/fiber.h>

FIXTURE_PAUSED();

struct op {
    OP_FIELDS;
    nart_connect connect;
    nart_tcp s;
    nart_addr at[NART_CONNECT_MAX + 1];
    size_t n;
    nart_connect_opts *opts;
};

static inline nart_res op_connect(nart_cx *cx, struct op *op)
{
    return nart_tcp_connect_any(cx, &op->connect, &op->s, op->at, op->n, op->opts);
}

OP_TASK(op_connect);

/* The places of a test, which its fixture closes. */
static struct place places[4];
static int n_places;

/* An operation that connects to new places: 'a' answers, 'r' refuses, 's' is silent; a capital: of IPv6. */
static inline struct op to(const char *kinds)
{
    struct op op = { .limit = NART_NEVER };
    char host[32];

    for (const char *k = kinds; *k; k++) {
        struct place *p = &places[n_places++];
        snprintf(host, sizeof host, "127.0.0.%d:0", n_places);
        place_open(p, *k < 'a' ? "[::1]:0" : host,
                   (*k | 32) == 'a'   ? ANSWERS
                   : (*k | 32) == 'r' ? REFUSES
                                      : SILENT);
        op.at[op.n++] = p->at;
    }
    return op;
}

static inline void stopped_open(void)
{
    paused_open();
}

static inline void places_close(void)
{
    while (n_places > 0)
        place_finish(&places[--n_places]);
}

static inline void stopped_close(void)
{
    paused_close();
    places_close();
}

static inline void advance(int64_t ns)
{
    CHECK_RES(nart_rt_clock_advance(rt, ns), 0);
    settle(rt);
}

/* Runs until the operation has answered: connections on the loopback interface need no time of the clock. */
static inline nart_res answer_of(const struct op *op)
{
    while (op->res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    return op->res;
}

static inline bool is_connected_to(const nart_tcp *s, const struct place *p)
{
    nart_addr peer;

    CHECK_RES(nart_tcp_peer_addr(s, &peer), 0);
    return strcmp(text_of(&peer), text_of(&p->at)) == 0;
}

#endif

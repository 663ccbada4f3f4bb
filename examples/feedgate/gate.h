/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gate.h: what the tasks of the gateway share. They run on one thread, so plain memory is enough.
 *
 *   generator --UDP--> market --channel--> publisher --tokens--> connections --TCP--> subscribers
 *                        | book
 *   fetchers --HTTP by tokio--> price server          saver --write and fsync--> blocking pool */
#ifndef FEEDGATE_GATE_H
#define FEEDGATE_GATE_H

#include "book.h"
#include "feedgate.h"
#include "histogram.h"
#include "process.h"

#include <nart/tokio.h>

NART_CHAN_TYPED(top, struct feed_top);
NART_CHAN_TYPED(token, uint8_t);

enum { GATE_PACKETS = 32, GATE_TABLE = FEED_INSTRUMENTS + 1 };

/* How a cold operation ended. */
enum outcome {
    OUTCOME_OK,
    OUTCOME_STATUS,  /* an answer, and a refusal: 500 */
    OUTCOME_TIMEOUT, /* too slow, or stalled */
    OUTCOME_BROKEN,  /* reset, or ended within the body */
    OUTCOMES
};

struct cold {
    uint64_t submitted, outcomes[OUTCOMES];
};

struct gate {
    struct options opts;
    nart_rt *rt;
    nart_tokio *tokio;
    struct process generator, subscribers, server;
    char feed_addr[NART_ADDR_TEXT], top_addr[NART_ADDR_TEXT]; /* where feed and subscribers come */

    /* market */
    nart_udp udp;
    nart_udp_msg msgs[GATE_PACKETS];
    struct feed_packet packets[GATE_PACKETS];
    struct book book;
    uint64_t window, told; /* how far the generator may be ahead; the progress it was sent last */
    uint64_t messages, last_sent; /* last_sent: what the generator says it sent */
    bool dirty[FEED_INSTRUMENTS]; /* the top changed while the channel was full */
    struct histogram since_arrival, since_sent;
    uint64_t allocs_first, allocs_last; /* of the hot thread, at the first and the last message */

    /* publisher */
    nart_tcp_listener listener;
    struct feed_top table[GATE_TABLE]; /* the last top of each instrument; then the book's end */
    uint32_t version[GATE_TABLE];
    nart_tx wake[GATE_SUBSCRIBERS]; /* a token: new tops are available */
    int connected;

    /* cold path */
    char base_url[64];
    bool closing; /* the feed has ended: no new cold operations, when there were enough */
    struct cold fetched, saved;
    struct book snapshot; /* being written; unchanged until that has ended */
    FILE *snapshot_file;

    /* supervisor */
    bool cut_short; /* by Ctrl-C */
    int failed;     /* tasks that ended with an error */
};

/* Sends the generator the progress of the feed. */
void gate_tell(struct gate *g);

/* ---- frames: each task holds what it must release ---- */

struct market {
    nart_co co;
    struct gate *g;
    nart_tx tops;
    int i;
};
struct publisher {
    nart_co co;
    struct gate *g;
    nart_rx tops;
    struct feed_top top;
};
struct fetcher {
    nart_co co;
    struct gate *g;
    nart_tokio_op op;
    nart_timer timer;
    int64_t status;
    char url[96];
};
struct saver {
    nart_co co;
    struct gate *g;
    nart_tokio_op op;
    nart_timer timer;
};

extern const nart_task_type market_type, publisher_type, fetcher_type, saver_type;

/* A body: awaits the subscribers, and spawns a task for each. */
struct acceptor {
    nart_co co;
    struct gate *g;
    nart_join *joins; /* GATE_SUBSCRIBERS */
};
nart_res acceptor_run(nart_cx *cx, struct acceptor *a);

/* The root task: starts the others, awaits their end. */
nart_res supervise(struct gate *g);

/* Allocations by the calling thread, Rust's included; UINT64_MAX where they cannot be counted. */
uint64_t thread_allocs(void);

#endif

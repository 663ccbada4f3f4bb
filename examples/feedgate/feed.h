/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* feed.h: the messages: the generator's datagrams, the gateway's progress, and the stream to
 * subscribers. Native byte order, because both ends are on one machine here. */
#ifndef FEEDGATE_FEED_H
#define FEEDGATE_FEED_H

#include <stdint.h>

#define FEED_MAGIC 0x4e415254u

enum {
    FEED_INSTRUMENTS = 64,
    FEED_LEVELS = 256, /* prices run from 0 to 255 */
    FEED_BATCH = 16    /* messages per datagram */
};

enum { FEED_BID, FEED_ASK };

/* The new quantity at a price; 0: none. */
struct feed_message {
    uint64_t seq; /* from 1, without gaps */
    uint32_t qty;
    uint16_t instrument;
    uint8_t side;
    uint8_t price;
};

/* One datagram. count 0: the end, and msgs[0].seq is the last sequence that was sent. */
struct feed_packet {
    uint32_t magic;
    uint32_t count;
    int64_t sent_ns; /* CLOCK_REALTIME */
    struct feed_message msgs[FEED_BATCH];
};

/* To the generator's standard input. The first one starts the feed, the input's end stops it. */
struct feed_progress {
    uint64_t seq; /* the last sequence that has been received */
};

/* Best bid and ask of an instrument, as subscribers get it. */
struct feed_top {
    uint64_t seq; /* of the message that changed it */
    uint32_t bid_qty, ask_qty;
    uint16_t instrument; /* FEED_INSTRUMENTS: no instrument, seq is the book's last one */
    uint8_t bid, ask;
    uint32_t reserved;
};

#endif

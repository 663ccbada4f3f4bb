/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* book.h: order books by price level. */
#ifndef FEEDGATE_BOOK_H
#define FEEDGATE_BOOK_H

#include "feed.h"

#include <stdbool.h>

struct book_side {
    uint32_t qty[FEED_LEVELS];
    int best; /* -1: empty */
};

struct book {
    struct book_side sides[FEED_INSTRUMENTS][2];
    uint64_t seq;  /* of the last message applied */
    uint64_t lost; /* sequences that were skipped */
    uint64_t late; /* duplicate or reordered sequences; not applied */
};

void book_init(struct book *b);

/* Applies a message. True when the instrument's best bid or ask has changed. */
bool book_apply(struct book *b, const struct feed_message *m);

struct feed_top book_top(const struct book *b, unsigned instrument);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* book.c: order books by price level: a quantity per price, and the index of the best. Finding the
 * next best after the best was removed is a scan, of a few levels as a rule and FEED_LEVELS at most. */
#include "book.h"

#include <string.h>

void book_init(struct book *b)
{
    memset(b, 0, sizeof *b);
    for (int i = 0; i < FEED_INSTRUMENTS; i++)
        b->sides[i][FEED_BID].best = b->sides[i][FEED_ASK].best = -1;
}

/* Bids are better when higher, asks when lower. */
static bool better(int side, int price, int best)
{
    return best < 0 || (side == FEED_BID ? price > best : price < best);
}

static int next_best(const struct book_side *s, int side, int from)
{
    int step = side == FEED_BID ? -1 : 1;
    for (int p = from; p >= 0 && p < FEED_LEVELS; p += step)
        if (s->qty[p])
            return p;
    return -1;
}

bool book_apply(struct book *b, const struct feed_message *m)
{
    if (m->instrument >= FEED_INSTRUMENTS || m->side > FEED_ASK)
        return false;
    if (m->seq <= b->seq) {
        b->late++;
        return false;
    }
    b->lost += m->seq - b->seq - 1;
    b->seq = m->seq;
    struct book_side *s = &b->sides[m->instrument][m->side];
    s->qty[m->price] = m->qty;
    if (m->qty && better(m->side, m->price, s->best))
        s->best = m->price;
    else if (m->price != s->best)
        return false;
    else if (!m->qty)
        s->best = next_best(s, m->side, m->price);
    return true;
}

struct feed_top book_top(const struct book *b, unsigned instrument)
{
    const struct book_side *bid = &b->sides[instrument][FEED_BID];
    const struct book_side *ask = &b->sides[instrument][FEED_ASK];
    struct feed_top t = { .seq = b->seq, .instrument = (uint16_t)instrument };

    if (bid->best >= 0) {
        t.bid = (uint8_t)bid->best;
        t.bid_qty = bid->qty[bid->best];
    }
    if (ask->best >= 0) {
        t.ask = (uint8_t)ask->best;
        t.ask_qty = ask->qty[ask->best];
    }
    return t;
}

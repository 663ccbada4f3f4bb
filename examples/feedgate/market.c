/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* market.c: the hot task. Datagrams in batches, the books, the tops that changed into a channel.
 *
 * It never waits for the publisher: when the channel is full the instrument is marked and its newest
 * top follows later. It waits only at the end, so that no top is lost. */
#include "gate.h"

#include <unistd.h>

void gate_tell(struct gate *g)
{
    struct feed_progress p = { .seq = g->book.seq };

    g->told = p.seq;
    /* The pipe has room, or the generator has ended, which the supervisor sees. */
    ssize_t n = write(g->generator.in, &p, sizeof p);
    (void)n;
}

static void take_message(struct market *m, const struct feed_message *msg, int64_t arrived,
                         int64_t sent)
{
    struct gate *g = m->g;
    unsigned i = msg->instrument;

    if (book_apply(&g->book, msg) || g->dirty[i])
        g->dirty[i] = top_try_send(&m->tops, book_top(&g->book, i)) != 0;
    int64_t now = wall_clock();
    histogram_add(&g->since_arrival, now - arrived);
    histogram_add(&g->since_sent, now - sent);
    g->messages++;
}

static bool is_of_the_feed(const nart_udp_msg *msg)
{
    const struct feed_packet *p = msg->buf;

    if (msg->len != sizeof *p || p->magic != FEED_MAGIC || p->count > FEED_BATCH)
        return false;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->msgs[i].instrument >= FEED_INSTRUMENTS || p->msgs[i].side > FEED_ASK)
            return false;
    return true;
}

/* True at the end of the feed. */
static bool take_packet(struct market *m, const nart_udp_msg *msg)
{
    const struct feed_packet *p = msg->buf;
    struct gate *g = m->g;

    if (!is_of_the_feed(msg))
        return false;
    if (p->count == 0) {
        g->last_sent = p->msgs[0].seq;
        return true;
    }
    if (g->messages == 0)
        g->allocs_first = thread_allocs();
    for (uint32_t i = 0; i < p->count; i++)
        take_message(m, &p->msgs[i], msg->stamp, p->sent_ns);
    g->allocs_last = thread_allocs();
    return false;
}

static nart_res market_run(nart_cx *cx, void *frame)
{
    struct market *m = frame;
    struct gate *g = m->g;
    nart_res r = 0;
    bool ended = false;

    NART_BEGIN(cx, &m->co);
    do {
        NART_AWAIT(r, nart_udp_recv_many(cx, &g->udp, g->msgs, GATE_PACKETS));
        ended = false;
        for (nart_res i = 0; i < r; i++)
            ended |= take_packet(m, &g->msgs[i]);
        if (g->book.seq - g->told >= g->window / 4)
            gate_tell(g);
    } while (r >= 0 && !ended);
    for (m->i = 0; m->i < FEED_INSTRUMENTS && r >= 0; m->i++)
        if (g->dirty[m->i])
            NART_AWAIT(r, top_send(cx, &m->tops, book_top(&g->book, (unsigned)m->i)));
    if (r >= 0)
        NART_AWAIT(
            r, top_send(cx, &m->tops,
                        (struct feed_top){ .seq = g->book.seq, .instrument = FEED_INSTRUMENTS }));
    nart_tx_close(&m->tops);
    NART_END(r);
}

static void market_drop(void *frame)
{
    struct market *m = frame;
    nart_tx_close(&m->tops);
}

const nart_task_type market_type =
    NART_TASK_TYPE_FLAGS(struct market, market_run, market_drop, NART_TASK_URGENT);

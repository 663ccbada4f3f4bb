/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* subscriber.c: a process with some subscribers: each reads tops until the gateway closes, checks that
 * every instrument's sequence only grows, and reports the last sequence. */
#include "feed.h"
#include "feedgate.h"

enum { ROOM = 64 };

struct subscriber {
    nart_co co;
    nart_tcp sock;
    nart_addr to;
    uint64_t last;
    uint64_t seen[FEED_INSTRUMENTS];
    size_t have; /* bytes in buf */
    struct feed_top buf[ROOM];
};

/* Processes whole tops and keeps the rest for the next read. False if a sequence decreases. */
static bool take(struct subscriber *s)
{
    size_t n = s->have / sizeof *s->buf;

    for (size_t i = 0; i < n; i++) {
        const struct feed_top *t = &s->buf[i];
        if (t->instrument < FEED_INSTRUMENTS) {
            if (t->seq < s->seen[t->instrument])
                return false;
            s->seen[t->instrument] = t->seq;
        }
        s->last = t->seq > s->last ? t->seq : s->last;
    }
    s->have -= n * sizeof *s->buf;
    memmove(s->buf, s->buf + n, s->have);
    return true;
}

static nart_res subscriber_run(nart_cx *cx, void *frame)
{
    struct subscriber *s = frame;
    nart_res r;

    NART_BEGIN(cx, &s->co);
    NART_AWAIT(r, nart_tcp_connect(cx, &s->sock, &s->to));
    while (r >= 0) {
        NART_AWAIT(r,
                   nart_tcp_recv(cx, &s->sock, (char *)s->buf + s->have, sizeof s->buf - s->have));
        if (r <= 0)
            break;
        s->have += (size_t)r;
        if (!take(s)) {
            fprintf(stderr, "subscriber: an instrument went back in time\n");
            NART_RETURN(-EPROTO);
        }
    }
    printf("last %" PRIu64 "\n", s->last);
    NART_END(r);
}

static void subscriber_drop(void *frame)
{
    struct subscriber *s = frame;
    nart_tcp_close(&s->sock);
}

static const nart_task_type subscriber_type =
    NART_TASK_TYPE(struct subscriber, subscriber_run, subscriber_drop);

int subscriber_main(const char *to, int count)
{
    nart_rt *rt = NULL;
    struct subscriber s = { .last = 0 };

    nart_res r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_addr_parse(&s.to, to);
    for (int i = 0; i < count && r == 0; i++)
        r = nart_rt_spawn(rt, &subscriber_type, &s, NULL);
    if (r == 0)
        r = nart_rt_run(rt);
    nart_rt_free(rt);
    if (r < 0)
        fprintf(stderr, "subscriber: %s\n", nart_strerror(r));
    return r < 0;
}

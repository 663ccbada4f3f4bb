/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Right and wrong bodies for c_src/cmake/nart-check. An await that loses variables has a comment with `lost:` and
 * their names; another mistake has the comment `switch`, `break`, `return`, `repeated` or `fiber`. Nothing else may be
 * found. */
#include <nart/nart.h>

#include <stdio.h>
#include <string.h>

struct part {
    nart_co co;
    nart_timer timer;
};

struct frame {
    nart_co co;
    nart_arm all[2];
    nart_timer timer;
    nart_tcp sock;
    nart_tcp_listener listener;
    nart_rx rx;
    nart_tx tx;
    nart_join join;
    nart_semaphore sem;
    nart_mutex mutex;
    nart_bytes_rx bytes;
    nart_stream stream;
    nart_udp udp;
    struct part part;
    size_t done;
    int64_t wait;
    int i, n, kind;
    char buf[8];
};

struct point {
    int x, y;
    struct {
        int deep[2];
    } z;
};

struct borrowed {
    struct part *part;
};

/* A program's own macros. */
#define TRY(dst, ...)                                                                              \
    do {                                                                                           \
        NART_AWAIT(dst, __VA_ARGS__);                                                              \
        if ((dst) < 0)                                                                             \
            NART_RETURN(dst);                                                                      \
    } while (0)
#define SET(v, to) ((v) = (to))
#ifdef NOT_DEFINED
#define OTHER_BRANCH(v) (void)(v)
#else
#define OTHER_BRANCH(v) use(v)
#endif

int use(int value);
int fill(int *value);
_Noreturn void die(void);
void die_too(void) __attribute__((noreturn));
nart_res begin(nart_cx *cx, struct point *at);
nart_res lends(nart_cx *cx, int which, struct borrowed *out);
nart_res runs_part(nart_cx *cx, int which, struct part *part);
nart_res read_some(nart_cx *cx, char *buf, size_t len);
nart_res collect(nart_cx *cx, struct frame *f, char *buf, size_t len, size_t *done);
nart_res part_run(nart_cx *cx, struct part *part);
nart_res takes(nart_cx *cx, const struct point *by);
nart_res fine(nart_cx *cx, struct frame *f);
nart_res lost(nart_cx *cx, struct frame *f);

/* ---- right ---- */

nart_res fine(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int which = 0, n = 0, same = f->n;
    static int kept;
    char buf[8];
    struct frame *g = f;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_MS)); /* set by it, read after it */
    if (r < 0)
        NART_RETURN(r);
    NART_AWAIT(r, nart_sleep(cx, &g->timer, same)); /* equals its initial value */
    n = use(f->n);
    f->n = n + (int)sizeof n;
    NART_YIELD();
    n = 3; /* set before it is read */
    (void)n;
    kept++; /* one for all tasks, but it keeps its value */
    NART_AWAIT_ANY(which, r, nart_sleep(cx, &f->timer, 1), nart_sleep(cx, &g->timer, 2));
    if (which == 1)
        r = 0;
    f->n = use(kept);
    fill(&n);
    NART_YIELD();
    fill(&n); /* passing the address counts as setting it */
    f->n = n;
    NART_AWAIT_FOR(r, NART_MS, NART_ANY(which, read_some(cx, buf, sizeof buf), fine(cx, f)));
    f->i = which + buf[0];
    for (int k = 0; k < 3; k++) /* no await inside */
        f->n += k;
    NART_AWAIT_UNTIL(r, f->n, nart_sleep(cx, &f->timer, 1));
    NART_END(r);
}

nart_res loops(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int n = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 3; f->i++) {
        n = 0;
        while (n < 10)
            n++;
        do {
            f->n = n;
            NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_MS)); /* lost: n */
            if (r == -ETIMEDOUT)
                continue;
            if (r < 0)
                goto out;
            n = f->n;
        } while (f->n < 0);
        switch (f->kind) {
        case 1:
            f->n = 1;
            break;
        default:
            f->n = n = 2;
        }
        if (f->n == n)
            break;
    }
out:
    f->n = 0;
    NART_END(r);
}

/* What is written only with the answer may be a local variable. */
nart_res answers(nart_cx *cx, struct frame *f)
{
    nart_res r, res;
    uint64_t value;
    nart_tcp peer = { 0 };
    nart_addr from;
    bool won = false;
    char buf[8];

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_join_await(cx, &f->join, &res));
    f->n = (int)(r + res);
    for (;;) {
        NART_AWAIT_FOR(r, NART_SEC, nart_recv(cx, &f->rx, &value));
        if (r < 0)
            break;
        f->n = (int)value;
        NART_AWAIT(r, NART_AFTER(&f->timer, NART_MS, nart_recv(cx, &f->rx, &value)));
        f->n = (int)value;
        NART_AWAIT(r, nart_tcp_accept(cx, &f->listener, &peer, &from));
        if (r == 0 && from.len > 0)
            nart_tcp_move(&f->sock, &peer);
        NART_AWAIT(r, read_some(cx, buf, sizeof buf));
        if (r > 0)
            fwrite(buf, 1, (size_t)r, stdout);
        NART_AWAIT_ANY(won, r, nart_sleep(cx, &f->timer, f->wait), nart_recv(cx, &f->rx, &value));
        if (won)
            f->n = (int)value;
    }
    NART_END(r);
}

/* Members, and elements with a constant index, are set one by one. */
nart_res members(nart_cx *cx, struct frame *f)
{
    struct point p, q, *at = &q;
    int pair[2];

    NART_BEGIN(cx, &f->co);
    p.x = 1;
    p.y = 2;
    p.z.deep[0] = p.z.deep[1] = 3;
    pair[0] = pair[1] = p.x;
    f->n = p.x + p.y + p.z.deep[0] + pair[0] + (int)sizeof at->z;
    NART_YIELD();
    p.x = p.y = 4;
    p.z.deep[1] = 5;
    pair[1] = 6;
    f->n = p.x + p.y + p.z.deep[1] + pair[1];
    NART_YIELD();
    p = (struct point){ .x = 1, .y = 2 };
    memset(&q, 0, sizeof q);
    f->n = p.x + q.y + p.z.deep[f->i];
    NART_END(0);
}

nart_res paths(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int n, k = 0;

    NART_BEGIN(cx, &f->co);
    if (f->n && (n = use(f->n)) > 0)
        f->n = n;
    NART_YIELD();
    if (f->n > 3)
        n = 1;
    else if (f->n > 2)
        NART_RETURN(0);
    else if (f->n > 1)
        goto again;
    else if (f->n > 0)
        die();
    else
        n = 2;
    f->n = n;
again:
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1));
    do {
        k = use(k = f->n);
        if (k == 2)
            continue;
    } while (k < 10 || !f->n);
    switch (k) {
    case 1:
        n = 1;
        break;
    case 2:
        NART_RETURN(k);
    default:
        n = k;
    }
    f->n = n;
    if (f->i++ < 3)
        goto again;
    NART_END(r);
}

nart_res expressions(nart_cx *cx, struct frame *f)
{
    int n = 0, k = 0;
    long word = 0;

    NART_BEGIN(cx, &f->co);
    word = n = k = f->n;
    f->n = n + k + (int)word;
    NART_YIELD();
    f->n = (int)sizeof(word) + (int)sizeof n;
    n = f->n ? (k = 1) : (k = 2);
    word = (k, 3);
    f->n += n + k + (int)word;
    f->n = _Generic(n, int : 1, default : n);
    NART_YIELD();
    f->n = _Generic(word, int : word, default : 1);
    (void)n;
    (void)&k;
    NART_END(0);
}

nart_res more_paths(nart_cx *cx, struct frame *f)
{
    nart_res r;
    int n = 0, k = 0;
    struct point at;
    struct borrowed borrowed;

    NART_BEGIN(cx, &f->co);
    n = k = f->n;
    NART_AWAIT(r, lends(cx, 1, &borrowed));
    f->n = borrowed.part != NULL;
    for (f->i = 0; f->i < 3; f->i++) {
        char row[4];

        row[f->i] = 1; /* of a new array */
        f->n = row[f->i];
        NART_YIELD();
    }
    f->n = (int)sizeof(n + 1) + _Generic(f->i, int : 1, default : n + 1);
    if (sscanf(f->buf, "%d", &n) == 1)
        f->n = n;
    (void)begin(cx, &at); /* not awaited */
    f->n = at.x + n;
    NART_YIELD();
    (void)begin(cx, &at);
    f->n = at.x;
    if (f->n > 3)
        n = 1;
    else
        die_too();
    f->n = n;
    if (!(f->n && (k = use(1)) > 0))
        f->n = 0;
    else
        f->n = k;
    if (NART_LIKELY(f->n && (n = use(1)) > 0))
        f->n = n;
    NART_YIELD();
    while (1) {
        if (f->i++ > 3)
            NART_RETURN(0);
        NART_YIELD();
    }
    f->n = n + k; /* not reached */
    NART_END(r);
}

/* Without NART_BEGIN it is no body: its variables survive what it calls. */
nart_res no_body(nart_cx *cx, struct frame *f)
{
    int n = use(f->n);
    nart_res r = lost(cx, f);

    if (r == NART_PENDING)
        return r;
    return n;
}

/* ---- wrong ---- */

nart_res lost_on_paths(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int n = 5;
    int64_t wait;

    NART_BEGIN(cx, &f->co);
    wait = n = use(f->n);
    NART_YIELD(); /* lost: wait n */
    NART_AWAIT_FOR(r, wait, fine(cx, f));
    if (f->n && (n = use(1)) > 0)
        f->n = 1;
    f->n = n;
    n = 2;
    NART_YIELD(); /* lost: n */
    switch (f->n) {
    case 1:
        n = 2;
        break;
    }
    f->n = n;
    n = 3;
    for (;;) {
        NART_YIELD(); /* lost: n */
        if (f->n)
            break;
        n = 2;
    }
    f->n = n;
    if (f->n) {
        n = 4;
        goto out;
    }
    NART_RETURN(0);
out:
    NART_YIELD(); /* lost: n */
    NART_END(n);
}

nart_res not_answers(nart_cx *cx, struct frame *f)
{
    nart_res r, res;
    uint64_t value;
    bool won;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_join_await(cx, &f->join, &res));
    NART_AWAIT_ANY(won, r, nart_recv(cx, &f->rx, &value), fine(cx, f)); /* lost: res */
    if (res == 0)
        NART_YIELD(); /* lost: r won value */
    if (won)
        f->n = (int)value;
    NART_END(r);
}

nart_res initialised(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    while (use(f->n)) {
        const int n = use(f->n);
        char text[16];
        struct point p = { .x = n };

        snprintf(text, sizeof text, "%d", n);
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: n text p */
        printf("%s %d %d\n", text, n, p.z.deep[1]);
    }
    for (int k = 0; k < 3; k++)
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: k */
    NART_END(r);
}

/* The operation waits in them. */
nart_res handles(nart_cx *cx, struct frame *f)
{
    nart_res r;
    nart_timer timer = { 0 }, second = { 0 };
    struct part part = { .co = { 0 } }, parts[2];
    nart_waiter waiter = { 0 };
    nart_rx rx = { 0 };
    struct point at = { 0 };

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_sleep(cx, &timer, 1)); /* lost: timer */
    NART_AWAIT_ANY(f->i, r, nart_sleep(cx, &f->timer, 1),
                   nart_sleep(cx, &timer, 1));                /* lost: timer */
    NART_AWAIT(r, NART_AFTER(&second, NART_MS, fine(cx, f))); /* lost: second */
    NART_AWAIT(r, part_run(cx, &part));                       /* lost: part */
    NART_AWAIT(r, runs_part(cx, 1, &part));                   /* lost: part */
    memset(parts, 0, sizeof parts);
    NART_AWAIT(r, part_run(cx, parts + f->i));                      /* lost: parts */
    NART_AWAIT(r, nart_semaphore_acquire(cx, &f->sem, &waiter, 1)); /* lost: waiter */
    NART_AWAIT(r, nart_recv(cx, &rx, &f->n));                       /* lost: rx */
    NART_AWAIT(r, begin(cx, &at));                                  /* lost: at */
    NART_END(r);
}

/* An arm of a NART_ALL is not evaluated again after its answer, while others are pending. */
nart_res arms(nart_cx *cx, struct frame *f)
{
    nart_res r;
    nart_arm arms[2] = { { .res = 0 } };
    uint64_t value, other, unused, after;
    int which = 0;
    char buf[8];

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ALL(r, f->all, nart_recv(cx, &f->rx, &value), fine(cx, f)); /* lost: value */
    f->n = (int)value;
    NART_AWAIT_ALL_OK(r, f->all, nart_recv(cx, &f->rx, &unused),
                      read_some(cx, buf, 8)); /* lost: buf */
    f->n = buf[0];
    NART_AWAIT_FOR(
        r, 1,
        NART_ALL(f->all, nart_recv(cx, &f->rx, &f->i),                      /* the deadline */
                 NART_AFTER(&f->timer, 1, nart_recv(cx, &f->rx, &after)))); /* lost: after */
    f->n = (int)after;
    NART_AWAIT_ALL(r, f->all, NART_ANY(which, fine(cx, f), nart_recv(cx, &f->rx, &other)),
                   fine(cx, f)); /* lost: which other */
    f->n = which ? (int)other : 0;
    NART_AWAIT_ALL(r, arms, fine(cx, f), loops(cx, f)); /* lost: arms */
    NART_AWAIT_ANY(which, r, NART_ALL(f->all, fine(cx, f), loops(cx, f)),
                   nart_recv(cx, &f->rx, &value));
    f->n = which ? (int)value : 0;
    NART_END(r);
}

/* An operation continues from what it wrote there before it waited. */
nart_res continued(nart_cx *cx, struct frame *f)
{
    nart_res r;
    size_t done = 0;
    char head[4];
    struct point at;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_tcp_send_all(cx, &f->sock, f->buf, sizeof f->buf, &f->done));
    NART_AWAIT(r, nart_tcp_send_all(cx, &f->sock, f->buf, sizeof f->buf, &done)); /* lost: done */
    NART_AWAIT(r, nart_send_many(cx, &f->tx, f->buf, sizeof f->buf, &done));      /* lost: done */
    NART_AWAIT(r, nart_stream_write_all(cx, &f->stream, f->buf, 2, &done));       /* lost: done */
    NART_AWAIT(r, nart_stream_read_exact(cx, &f->stream, head, 4, &f->done));     /* lost: head */
    NART_AWAIT(r, nart_stream_read_exact(cx, &f->stream, &at, 4, &f->done));      /* lost: at */
    NART_END(r);
}

nart_res more_continued(nart_cx *cx, struct frame *f)
{
    nart_res r;
    size_t done = 0;
    char head[4];
    nart_stream other;
    nart_stream_copier copier = { 0 };
    nart_udp_msg msgs[2];

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, collect(cx, f, f->buf, sizeof f->buf, &done)); /* lost: done */
    NART_AWAIT(r, collect(cx, f, head, sizeof head, &f->done));  /* lost: head */
    other = f->stream;
    NART_AWAIT(r, nart_stream_copy(cx, &f->stream, &other, &copier)); /* lost: other copier */
    msgs[0].buf = f->buf;
    NART_AWAIT(r, nart_udp_recv_many(cx, &f->udp, msgs, 2)); /* lost: msgs */
    NART_END(r);
}

/* A handle is needed by what closes, releases or moves it. */
nart_res closed(nart_cx *cx, struct frame *f)
{
    nart_res r;
    nart_tcp peer, moved, kept = { 0 };
    nart_bytes_msg msg;
    nart_lock lock = { 0 };

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_bytes_recv(cx, &f->bytes, &msg));
    NART_AWAIT(r, nart_tcp_accept(cx, &f->listener, &peer, NULL)); /* lost: msg */
    nart_bytes_release(&f->bytes, &msg);
    NART_AWAIT(r, nart_tcp_accept(cx, &f->listener, &moved, NULL)); /* lost: peer */
    nart_tcp_close(&peer);
    r = nart_mutex_try_lock(cx, &f->mutex, &lock);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: moved lock */
    nart_tcp_move(&kept, &moved);
    nart_lock_release(&lock);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1));
    nart_tcp_move(&kept, &f->sock); /* overwritten */
    nart_tcp_close(&kept);
    NART_AWAIT(r, nart_tcp_accept(cx, &f->listener, &peer, NULL)); /* received, and used at once */
    nart_tcp_move(&f->sock, &peer);
    NART_END(r);
}

nart_res inputs(nart_cx *cx, struct frame *f)
{
    nart_res r, all[3];
    char text[8];
    struct point by;
    int i = 0;
    int64_t wait;

    NART_BEGIN(cx, &f->co);
    memcpy(text, "1234567", sizeof text);
    NART_AWAIT(r, nart_tcp_send(cx, &f->sock, text, sizeof text)); /* lost: text */
    NART_AWAIT(r, read_some(cx, text + f->i, 2));                  /* lost: text */
    f->n = text[1];
    by.x = by.y = 1;
    NART_AWAIT(r, takes(cx, &by));                      /* lost: by */
    NART_AWAIT(r, f->n ? takes(cx, &by) : fine(cx, f)); /* lost: by */
    wait = use(1);
    NART_AWAIT_FOR(r, wait, fine(cx, f)); /* read once */
    wait = use(1);
    NART_AWAIT_UNTIL(r, wait, fine(cx, f)); /* read once */
    wait = use(1);
    NART_YIELD(); /* lost: wait */
    NART_AWAIT_FOR(r, wait, fine(cx, f));
    NART_AWAIT_UNTIL(r, wait, fine(cx, f));
    for (i = 0; i < 3; i++) {
        NART_AWAIT(all[i], fine(cx, f)); /* lost: i all */
    }
    NART_END(all[1]);
}

nart_res in_macros(nart_cx *cx, struct frame *f)
{
    nart_res r;
    int n, k, other;

    NART_BEGIN(cx, &f->co);
    SET(n, 3);
    k = other = n;
    TRY(r, nart_sleep(cx, &f->timer, 1)); /* lost: n other */
    if (SET(k, n) == 2)
        OTHER_BRANCH(other);
    NART_AWAIT_LOCAL(r, NULL, f, fine(cx, f)); /* lost: k */
    NART_END(k);
}

nart_res parameters(nart_cx *cx, struct frame *f, int *n)
{
    NART_BEGIN(cx, &f->co);
    *n = 3; /* what it points to is not lost */
    NART_YIELD();
    f->n = *n++;
    NART_YIELD(); /* lost: n */
    *n = 4;
    NART_END(0);
}

nart_res returns(nart_cx *cx, struct frame *f)
{
    if (!f)
        return -EINVAL; /* not begun */
    NART_BEGIN(cx, &f->co);
    if (f->n > 3)
        return -EINVAL; /* return */
    NART_YIELD();
    for (;;) {
        switch (f->n) {
        case 1:
            continue;
        default:
            return lost(cx, f); /* return */
        }
    }
    NART_END(0);
}

nart_res lost(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int total = 0, last = 0, *at = &f->n;

    NART_BEGIN(cx, &f->co);
    total++;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: total */
    total += 2;
    NART_YIELD(); /* lost: total */
    f->n = total;
    at = &f->i;
    NART_AWAIT_FOR(r, NART_MS, nart_sleep(cx, &f->timer, 1)); /* lost: at */
    *at = 3;
    for (f->i = 0; f->i < 3; f->i++) {
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: last */
        f->n += last;
        last = f->i;
    }
    last = f->n;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, last)); /* lost: last */
    NART_END(r);
}

nart_res lost_in_parts(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    nart_addr addr = { .len = 0 };
    int pair[2] = { 0, 0 };

    NART_BEGIN(cx, &f->co);
    addr.len = 3;
    NART_AWAIT(r, nart_tcp_connect(cx, &f->sock, &addr)); /* lost: addr */
    addr.len = 4;
    pair[f->i] = 1;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: addr */
    f->n = (int)addr.len;
    pair[1] = 3;
    NART_STOP(r, fine(cx, f)); /* lost: pair */
    f->n += pair[1];
    NART_END(r);
}

nart_res lost_on_a_path(nart_cx *cx, struct frame *f)
{
    nart_res r = 0, first = 0;
    bool open = false;

    NART_BEGIN(cx, &f->co);
    if (f->n > 3) {
        open = true;
        NART_AWAIT(first, nart_sleep(cx, &f->timer, 1)); /* lost: open */
    }
    if (f->n > 4)
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: first open */
    NART_END(open ? first : r);
}

nart_res lost_in_a_race(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int which = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(which, r, nart_sleep(cx, &f->timer, 1), fine(cx, f));
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: which */
    if (which == 1)
        NART_STOP(r, fine(cx, f));
    NART_END(r);
}

nart_res lost_in_several(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int which = 0, other = 0, n = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY_FAIR(which, r, nart_sleep(cx, &f->timer, 1), fine(cx, f));
    n = 3;
    NART_AWAIT_ALL(r, f->all, fine(cx, f), loops(cx, f)); /* lost: n which */
    NART_AWAIT_FOR(r, NART_MS,
                   NART_ANY_BIASED(other, fine(cx, f), loops(cx, f))); /* lost: n which */
    f->n = f->all[0].res < 0 ? other : n;
    NART_AWAIT_ALL_OK(r, f->all, fine(cx, f), loops(cx, f)); /* lost: which */
    if (which == 1)
        NART_STOP(r, fine(cx, f));
    NART_END(r);
}

/* Changes in an awaited expression are made in each poll. */
nart_res repeats(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    nart_res all[2];

    NART_BEGIN(cx, &f->co);
    f->i = 0;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, f->i++));                              /* repeated */
    NART_AWAIT_ANY(f->i, r, fine(cx, f), nart_sleep(cx, &f->timer, f->wait *= 2)); /* repeated */
    NART_AWAIT_ALL(r, f->all, fine(cx, f), nart_sleep(cx, &f->timer, --f->wait));  /* repeated */
    NART_AWAIT_FOR(r, f->n++, fine(cx, f));                                        /* once */
    NART_AWAIT_UNTIL(r, f->n++, fine(cx, f));
    NART_AWAIT(all[f->i++], fine(cx, f));
    NART_END(all[0]);
}

nart_res awaits_as_fibers_do(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int which;

    NART_BEGIN(cx, &f->co);
    r = nart_await(cx, nart_sleep(cx, &f->timer, 1));         /* fiber */
    r = nart_await_for(cx, 1, fine(cx, f));                   /* fiber */
    r = nart_await_any(cx, which, fine(cx, f), loops(cx, f)); /* fiber */
    r = nart_yield(cx);                                       /* fiber */
    f->n = which;
    NART_END(r);
}

nart_res misplaced(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    if (f->n)
        break; /* break */
#ifdef __SIZEOF_INT128__
    switch ((nart__point)(unsigned)f->kind) {
    case 1:
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* switch */
        break;
    default:
        break;
    }
#endif
    NART_END(r);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* connect.c: connects to the first of several addresses that answers (Happy Eyeballs, RFC 8305).
 *
 * The operation has a wait of its own, which begins before those of its attempts. A list of waits is withdrawn
 * from its newest to its oldest, so when this wait is withdrawn, nothing waits in the attempts any more, and
 * they can be closed there. That happens however the task stops waiting: the state is idle exactly while its
 * wait has no task.
 *
 * Each poll
 *  1. looks at the attempts under way: the first that is connected ends the operation;
 *  2. starts the next attempt if none is under way, if one has failed, or if the delay since the last start is
 *     over; of the addresses that are left, the first of the other family than the last one has precedence;
 *  3. answers the last failure if no address is left and no attempt is under way; else parks, until the next
 *     start if there is one.
 *
 * Bounds: NART_CONNECT_MAX addresses, all of which may be under way; a poll looks at each. */
#include "names.h"

#include <netinet/in.h>

#define ATTEMPT_DELAY (250 * NART_MS)

/* ---- attempts ---- */

static void pack(nart__attempt *a, const nart_addr *from)
{
    *a = (nart__attempt){ .family = (uint16_t)from->storage.ss_family };
    if (a->family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &from->storage, sizeof in);
        memcpy(a->host, &in.sin_addr, sizeof in.sin_addr);
        a->port = in.sin_port;
    } else {
        struct sockaddr_in6 in;
        memcpy(&in, &from->storage, sizeof in);
        memcpy(a->host, &in.sin6_addr, sizeof in.sin6_addr);
        a->port = in.sin6_port;
        a->scope = in.sin6_scope_id;
    }
}

static void unpack(const nart__attempt *a, nart_addr *to)
{
    *to = (nart_addr){ .len = 0 };
    if (a->family == AF_INET) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = a->port };
        memcpy(&in.sin_addr, a->host, sizeof in.sin_addr);
        memcpy(&to->storage, &in, sizeof in);
        to->len = sizeof in;
    } else {
        struct sockaddr_in6 in = { .sin6_family = AF_INET6,
                                   .sin6_port = a->port,
                                   .sin6_scope_id = a->scope };
        memcpy(&in.sin6_addr, a->host, sizeof in.sin6_addr);
        memcpy(&to->storage, &in, sizeof in);
        to->len = sizeof in;
    }
}

static void close_attempt(nart__attempt *a)
{
    (void)nart__io_close(&a->io, NULL);
    a->io = (nart_io){ .id = 0 };
}

static void write_text(nart_connect *op)
{
    char where[NART_ADDR_TEXT];
    nart_addr addr;

    *op->text = '\0';
    for (uint32_t i = 0; i < op->n; i++) {
        const nart__attempt *a = &op->at[i];
        const char *how = a->res == 0              ? "not tried"
                          : a->res == NART_PENDING ? "pending"
                                                   : nart_err_name(a->res);
        unpack(a, &addr);
        (void)nart_addr_format(&addr, where, sizeof where);
        nart__text_add(op->text, sizeof op->text, "%s%s: %s", i ? "; " : "", where, how);
    }
}

static void close_attempts(nart_connect *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        if (op->at[i].res == NART_PENDING)
            close_attempt(&op->at[i]);
    op->n = 0;
}

/* Ends the operation, however it was left. */
static void connect_withdraw(nart__wait *w)
{
    nart_connect *op = (nart_connect *)(void *)((char *)w - offsetof(nart_connect, wait));

    write_text(op);
    close_attempts(op);
}

static const struct nart__wait_ops connect_ops = { "connect", connect_withdraw };

/* The same within a poll of the operation: else closing would wake the running task. */
static void unwait_attempts(nart_cx *cx, nart_connect *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        if (op->at[i].res == NART_PENDING)
            nart__io_unwait(&op->at[i].io, NART_WRITE, cx);
}

/* ---- one poll ---- */

/* The attempt has failed: the next one need not wait. */
static void failed(nart_connect *op, nart__attempt *a, nart_res r)
{
    a->res = (int32_t)r;
    op->last = r;
    op->next_at = INT64_MIN;
}

/* An attempt under way: 0 it is connected; 1 it has failed; or NART_PENDING, -ETIMEDOUT, -ECANCELED. */
static nart_res look_at(nart_cx *cx, nart_connect *op, nart__attempt *a)
{
    int32_t go = cx->go;

    nart_res r = nart__io_want(&a->io, NART_WRITE, cx);
    cx->go = go; /* the whole operation is one answer */
    if (r <= 0)
        return r;
    r = a->io.drv->sys->sock_error(a->fd);
    if (r == 0)
        return 0;
    close_attempt(a);
    op->open--;
    failed(op, a, r);
    return 1;
}

/* The next address to try, or NULL: of the other family than the last one if there is one. */
static nart__attempt *next_attempt(nart_connect *op)
{
    nart__attempt *first = NULL;

    for (uint32_t i = 0; i < op->n; i++) {
        nart__attempt *a = &op->at[i];
        if (a->res == 0 && a->family != op->family)
            return a;
        if (a->res == 0 && !first)
            first = a;
    }
    return first;
}

/* Starts the attempt: as look_at(). */
static nart_res start(nart_cx *cx, nart_connect *op, nart__attempt *a)
{
    nart_tcp s;
    nart_addr addr;

    unpack(a, &addr);
    op->family = a->family;
    op->tried++;
    nart_res r = nart__tcp_connect_start(cx, &s, NULL, &addr);
    if (r < 0) {
        failed(op, a, r);
        return 1;
    }
    a->io = s.io;
    a->fd = s.fd;
    a->res = NART_PENDING;
    op->open++;
    op->next_at = nart_time_add(nart_now(cx), op->delay);
    return r == 0 ? 0 : look_at(cx, op, a);
}

/* One poll: >= 0 the index of the connected attempt; NART_PENDING; or how the operation ends. */
static nart_res step(nart_cx *cx, nart_connect *op)
{
    nart_res stop = NART_PENDING, r;

    for (uint32_t i = 0; i < op->n; i++) {
        if (op->at[i].res != NART_PENDING)
            continue;
        r = look_at(cx, op, &op->at[i]);
        if (r == 0)
            return i;
        if (r < 0 && r != NART_PENDING)
            stop = r; /* a deadline: another attempt may be connected all the same */
    }
    if (stop != NART_PENDING)
        return stop;
    for (;;) {
        nart__attempt *a = op->tried < op->n ? next_attempt(op) : NULL;
        if (!a)
            return op->open > 0 ? NART_PENDING : op->last;
        if (op->open > 0 && op->next_at > nart_now(cx))
            return NART_PENDING;
        r = start(cx, op, a);
        if (r == 0)
            return a - op->at;
        if (r < 0 && r != NART_PENDING)
            return r;
    }
}

/* ---- the operation ---- */

static nart_res begin(nart_cx *cx, nart_connect *op, const nart_tcp *s, const nart_addr *addrs,
                      size_t n, const nart_connect_opts *opts)
{
    nart_connect_opts o = NART_CONNECT_OPTS_INIT;

    *op->text = '\0';
    nart_res r = nart__opts_copy(&o, sizeof o, opts, offsetof(nart_connect_opts, reserved));
    if (r)
        return r;
    if (!addrs || n == 0 || n > NART_CONNECT_MAX || o.attempt_delay < 0) {
        nart__text_add(op->text, sizeof op->text, "%s",
                       o.attempt_delay < 0 ? "attempt_delay is negative"
                                           : "1 to 16 addresses are needed");
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        r = nart__addr_check(&addrs[i]);
        if (r) {
            nart__text_add(op->text, sizeof op->text, "address %zu is neither of IPv4 nor of IPv6",
                           i);
            return r;
        }
        pack(&op->at[i], &addrs[i]);
    }
    if (!cx->drv->sys)
        return NART_EDRIVER;
    if (s->io.drv)
        return -EISCONN;
    op->sock = s;
    op->from = addrs;
    op->n = (uint32_t)n;
    op->open = op->tried = 0;
    op->last = 0;
    op->family = AF_UNSPEC;
    op->delay = o.attempt_delay ? o.attempt_delay : ATTEMPT_DELAY;
    return 0;
}

/* Continues to wait in all that it waits in: the budget of the poll is spent. */
static void stay(nart_cx *cx, nart_connect *op)
{
    for (uint32_t i = 0; i < op->n; i++)
        if (op->at[i].res == NART_PENDING)
            nart__io_stay(&op->at[i].io, NART_WRITE, cx);
}

/* First line: 0, or what the operation answers. A wait that an earlier poll left behind for other arguments is
 * withdrawn. */
static nart_res enter(nart_cx *cx, nart_connect *op, const nart_tcp *s, const void *from)
{
    nart__wait *w = &op->wait;

    if (w->task && w->task == cx->self && cx->stop)
        unwait_attempts(cx, op);
    nart_res r = nart__enter(cx, w);
    if (r == NART_PENDING && w->task == cx->self)
        stay(cx, op);
    if (r || !w->task)
        return r;
    if (nart__wait_taken(cx, w))
        return -EBUSY;
    if (op->sock != s || op->from != from) {
        unwait_attempts(cx, op);
        nart__withdraw(w);
    }
    return 0;
}

/* Parks in the operation's wait, with the next start as a deadline. */
static nart_res park(nart_cx *cx, nart_connect *op)
{
    bool begun;

    nart_res r = nart__park_in(cx, &op->wait, &begun);
    if (begun)
        op->wait.ops = &connect_ops;
    if (r == NART_PENDING && op->tried < op->n)
        nart__cx_until(cx, op->next_at);
    return r;
}

nart_res nart_tcp_connect_any(nart_cx *cx, nart_connect *op, nart_tcp *s, const nart_addr *addrs,
                              size_t n, const nart_connect_opts *opts)
{
    nart_res r = enter(cx, op, s, addrs);
    if (r)
        return r;
    if (!op->wait.task) {
        r = begin(cx, op, s, addrs, n, opts);
        if (r)
            return r;
        op->next_at = NART_NEVER; /* none is set before the first start */
        r = park(cx, op);         /* before the attempts: see the top */
        if (r != NART_PENDING)
            return r;
        nart__answers_after_all(cx);
    }
    r = step(cx, op);
    if (r == NART_PENDING)
        return park(cx, op);
    unwait_attempts(cx, op);
    if (r >= 0 && s->io.drv)
        r = -EISCONN; /* it was opened by other code in the meantime */
    if (r >= 0) {
        nart__attempt *a = &op->at[r];
        nart__tcp_take(s, &a->io, a->fd);
        a->res = 0;
        close_attempts(op);
    }
    nart__withdraw(&op->wait);
    return r < 0 ? r : 0;
}

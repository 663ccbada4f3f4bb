/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* connect.c: connects to the first of several addresses that answers (Happy Eyeballs, RFC 8305): addresses of the
 * caller, or those of a name, which are asked for in two questions.
 *
 * The operation has a wait of its own, which begins before those of its attempts. A list of waits is withdrawn
 * from its newest to its oldest, so when this wait is withdrawn, nothing waits in the attempts any more, and
 * they can be closed there. That happens however the task stops waiting: the state is idle exactly while its
 * wait has no task.
 *
 * Each poll
 *  1. adds the addresses of a question that was answered. If those of IPv4 come first, the first start waits for the
 *     others, for the resolution delay;
 *  2. looks at the attempts under way: the first that is connected ends the operation;
 *  3. starts the next attempt if none is under way, if one has failed, or if the delay since the last start is
 *     over; of the addresses that are left, the first of the other family than the last one has precedence;
 *  4. answers the last failure if nothing is left and nothing under way; else parks, until the next start if there
 *     is one.
 *
 * Bounds: NART_CONNECT_MAX addresses, all of which may be under way; a poll looks at each. */
#include "names.h"

#include <netinet/in.h>

#define ATTEMPT_DELAY (250 * NART_MS)
#define RESOLUTION_DELAY (50 * NART_MS)

enum { SIX, FOUR }; /* the two questions */

static const nart__question questions[] = { NART__ASK_AAAA, NART__ASK_A };

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

/* ---- the report ---- */

/* The attempt ends, with its answer or with the operation. */
static void report_end(nart_connect *op, const nart__attempt *a, nart_res r, int64_t now)
{
    if (a->number > op->max_report)
        return;
    nart_connect_attempt *to = &op->report[a->number - 1];
    to->res = r;
    to->took = now - to->begin;
}

static void report_begin(nart_connect *op, nart__attempt *a, const nart_addr *addr, int64_t now)
{
    a->number = ++op->attempts;
    if (a->number <= op->max_report)
        op->report[a->number - 1] =
            (nart_connect_attempt){ .addr = *addr, .res = NART_PENDING, .begin = now };
}

/* ---- the text ---- */

static void add_item(nart_connect *op, const char *what, const char *how)
{
    nart__text_add(op->text, sizeof op->text, "%s%s: %s", strlen(op->text) > op->named ? "; " : "",
                   what, how);
}

/* Adds how everything has ended, or has not. */
static void write_text(nart_connect *op)
{
    char where[NART_ADDR_TEXT];
    nart_addr addr;

    for (int f = SIX; f <= FOUR; f++)
        if (nart__is_asking(&op->asker[f]))
            add_item(op, nart__question_text(questions[f]), "pending");
    for (uint32_t i = 0; i < op->n; i++) {
        const nart__attempt *a = &op->at[i];
        const char *how = a->res == 0              ? "not tried"
                          : a->res == NART_PENDING ? "pending"
                                                   : nart_err_name(a->res);
        unpack(a, &addr);
        (void)nart_addr_format(&addr, where, sizeof where);
        add_item(op, where, how);
    }
}

/* ---- the end ---- */

static void end_questions(nart_connect *op)
{
    nart__ask_end(&op->asker[SIX]);
    nart__ask_end(&op->asker[FOUR]);
}

static void close_attempts(nart_connect *op)
{
    const nart_cx *cx = op->wait.task->owner;
    int64_t now = op->open > 0 && op->max_report > 0 ? cx->drv->now(cx->host) : 0;

    for (uint32_t i = 0; i < op->n; i++) {
        if (op->at[i].res != NART_PENDING)
            continue;
        report_end(op, &op->at[i], NART_PENDING, now);
        close_attempt(&op->at[i]);
    }
    op->n = 0;
}

/* Ends the operation, however it was left. */
static void connect_withdraw(nart__wait *w)
{
    nart_connect *op = (nart_connect *)(void *)((char *)w - offsetof(nart_connect, wait));

    write_text(op);
    close_attempts(op);
    end_questions(op);
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
static void failed(nart_cx *cx, nart_connect *op, nart__attempt *a, nart_res r)
{
    report_end(op, a, r, nart_now(cx));
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
    failed(cx, op, a, r);
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
    report_begin(op, a, &addr, nart_now(cx));
    nart_res r = nart__tcp_connect_start(cx, &s, NULL, &addr);
    if (r < 0) {
        failed(cx, op, a, r);
        return 1;
    }
    a->io = s.io;
    a->fd = s.fd;
    a->res = NART_PENDING;
    op->open++;
    op->next_at = nart_time_add(nart_now(cx), op->delay);
    return r == 0 ? 0 : look_at(cx, op, a);
}

/* Adds the addresses of answered questions: 0; or -ETIMEDOUT, -ECANCELED. */
static nart_res take_answers(nart_cx *cx, nart_connect *op)
{
    nart_res stop = 0;

    for (int f = SIX; f <= FOUR; f++) {
        if (!nart__is_asking(&op->asker[f]))
            continue;
        const nart__answer *a = nart__asked(cx, &op->asker[f]);
        if (a->res == -ETIMEDOUT || a->res == -ECANCELED)
            stop = a->res;
        if (a->res == NART_PENDING || stop)
            continue;
        op->found[f] = a->res;
        for (nart_res i = 0; i < a->res && i < NART_CONNECT_MAX / 2; i++) {
            nart_addr addr = ((const nart_addr *)a->data)[i];
            nart__set_port(&addr, op->port);
            pack(&op->at[op->n++], &addr);
        }
        if (a->res < 0)
            add_item(op, nart__question_text(questions[f]),
                     a->data ? (const char *)a->data : nart_err_name(a->res));
        nart__ask_end(&op->asker[f]);
        if (f == FOUR)
            op->resolve_at = nart_time_add(nart_now(cx), op->resolution_delay);
    }
    return stop;
}

static bool awaits_six(const nart_connect *op)
{
    return op->attempts == 0 && nart__is_asking(&op->asker[SIX]);
}

/* No address is left, and no attempt is under way. */
static nart_res end_of(const nart_connect *op)
{
    if (nart__is_asking(&op->asker[SIX]) || nart__is_asking(&op->asker[FOUR]))
        return NART_PENDING;
    if (op->n > 0)
        return op->last;
    return op->found[FOUR] != NART_ENONAME ? op->found[FOUR] : op->found[SIX];
}

/* One poll: >= 0 the index of the connected attempt; NART_PENDING; or how the operation ends. */
static nart_res step(nart_cx *cx, nart_connect *op)
{
    nart_res stop = take_answers(cx, op), r;

    for (uint32_t i = 0; i < op->n; i++) {
        if (op->at[i].res != NART_PENDING)
            continue;
        r = look_at(cx, op, &op->at[i]);
        if (r == 0)
            return i;
        if (r < 0 && r != NART_PENDING)
            stop = r; /* a deadline: another attempt may be connected all the same */
    }
    if (stop)
        return stop;
    for (;;) {
        nart__attempt *a = op->attempts < op->n ? next_attempt(op) : NULL;
        if (!a)
            return op->open > 0 ? NART_PENDING : end_of(op);
        if (awaits_six(op) ? op->resolve_at > nart_now(cx)
                           : op->open > 0 && op->next_at > nart_now(cx))
            return NART_PENDING;
        r = start(cx, op, a);
        if (r == 0)
            return a - op->at;
        if (r < 0 && r != NART_PENDING)
            return r;
    }
}

/* ---- the operation ---- */

/* Begins the operation, without addresses. */
static nart_res begin(nart_cx *cx, nart_connect *op, const nart_tcp *s, const void *from,
                      const nart_connect_opts *opts, nart_connect_opts *o)
{
    *op->text = '\0';
    op->attempts = 0;
    *o = (nart_connect_opts)NART_CONNECT_OPTS_INIT;
    nart_res r = nart__sized_in(o, sizeof *o, opts, offsetof(nart_connect_opts, reserved));
    if (r)
        return r;
    const char *bad = o->attempt_delay < 0           ? "attempt_delay is negative"
                      : o->resolution_delay < 0      ? "resolution_delay is negative"
                      : !o->report != !o->max_report ? "report and max_report need each other"
                                                     : NULL;
    if (bad) {
        nart__text_add(op->text, sizeof op->text, "%s", bad);
        return -EINVAL;
    }
    if (!cx->drv->sys)
        return NART_EDRIVER;
    if (s->io.drv)
        return -EISCONN;
    op->sock = s;
    op->from = from;
    op->n = op->open = op->named = 0;
    op->report = o->report;
    op->max_report = o->max_report < NART_CONNECT_MAX ? (uint32_t)o->max_report : NART_CONNECT_MAX;
    op->last = 0;
    op->family = AF_UNSPEC;
    op->delay = o->attempt_delay ? o->attempt_delay : ATTEMPT_DELAY;
    op->resolution_delay = o->resolution_delay ? o->resolution_delay : RESOLUTION_DELAY;
    op->next_at = NART_NEVER; /* none is set before the first start */
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

/* Parks, with the next start as a deadline. */
static nart_res park(nart_cx *cx, nart_connect *op)
{
    bool begun;

    nart_res r = nart__park_in(cx, &op->wait, &begun);
    if (r != NART_PENDING)
        return r;
    if (op->attempts < op->n)
        nart__cx_until(cx, awaits_six(op) ? op->resolve_at : op->next_at);
    if (nart__is_asking(&op->asker[SIX]) || nart__is_asking(&op->asker[FOUR]))
        return nart__pending_outside(cx);
    return NART_PENDING;
}

/* After begin() or in a later poll. */
static nart_res go_on(nart_cx *cx, nart_connect *op, nart_tcp *s)
{
    if (!op->wait.task)
        nart__ask_wait(cx, &op->wait, &connect_ops); /* before the attempts: see the top */
    nart_res r = step(cx, op);
    if (r == NART_PENDING)
        return park(cx, op);
    unwait_attempts(cx, op);
    if (r >= 0 && s->io.drv)
        r = -EISCONN; /* it was opened by other code in the meantime */
    if (r >= 0) {
        nart__attempt *a = &op->at[r];
        nart__tcp_take(s, &a->io, a->fd);
        a->res = 0;
        op->open--;
        report_end(op, a, 0, nart_now(cx));
        close_attempts(op);
        end_questions(op);
    }
    nart__withdraw(&op->wait);
    if (r < 0)
        return r;
    *op->text = '\0';
    return 0;
}

nart_res nart_tcp_connect_any(nart_cx *cx, nart_connect *op, nart_tcp *s, const nart_addr *addrs,
                              size_t n, const nart_connect_opts *opts)
{
    nart_connect_opts o;

    nart_res r = enter(cx, op, s, addrs);
    if (r || op->wait.task)
        return r ? r : go_on(cx, op, s);
    r = begin(cx, op, s, addrs, opts, &o);
    if (r)
        return r;
    if (!addrs || n == 0 || n > NART_CONNECT_MAX) {
        nart__text_add(op->text, sizeof op->text, "1 to 16 addresses are needed");
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        r = nart__addr_check(&addrs[i]);
        if (r == 0 && nart_addr_port(&addrs[i]) == 0)
            r = -EINVAL;
        if (r) {
            nart__text_add(op->text, sizeof op->text, "address %zu %s", i,
                           nart__addr_check(&addrs[i]) ? "is neither of IPv4 nor of IPv6"
                                                       : "has port 0: set the port of the server");
            return r;
        }
        pack(&op->at[op->n++], &addrs[i]);
    }
    return go_on(cx, op, s);
}

nart_res nart_tcp_connect_host(nart_cx *cx, nart_connect *op, nart_tcp *s, const char *name,
                               uint16_t port, const nart_connect_opts *opts)
{
    nart_connect_opts o;
    char host[NART_NAME_SIZE];
    nart_addr numeric;

    nart_res r = enter(cx, op, s, name);
    if (r || op->wait.task)
        return r ? r : go_on(cx, op, s);
    r = begin(cx, op, s, name, opts, &o);
    if (r)
        return r;
    r = nart__target(name, host, &port, &numeric, op->text, sizeof op->text);
    if (r >= 0 && port == 0) {
        nart__text_add(op->text, sizeof op->text,
                       "port 0: give the server's, as `port` or as in \"example.org:80\"");
        r = -EINVAL;
    }
    if (r < 0)
        return r;
    if (r == 1) {
        pack(&op->at[op->n++], &numeric);
        return go_on(cx, op, s);
    }
    nart__text_add(op->text, sizeof op->text, "%s: ", host);
    op->family = AF_INET; /* the first attempt is to one of IPv6 */
    op->named = (uint32_t)strlen(op->text);
    op->port = port;
    for (int f = SIX; f <= FOUR && r == 0; f++)
        r = nart__ask(cx, &op->asker[f], o.resolver, questions[f], host, &op->wait);
    if (r) {
        end_questions(op);
        return r;
    }
    return go_on(cx, op, s);
}

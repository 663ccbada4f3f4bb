/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* resolve.c: the operations that look a name up. Each asks one question and waits in its own wait, whose withdrawal
 * ends the question: so the state is idle exactly while its wait has no task. */
#include "names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

/* ---- names and addresses ---- */

const char *nart__question_text(nart__question q)
{
    static const char *const text[] = { "A", "AAAA", "A and AAAA", "PTR", "SRV" };
    return text[q];
}

nart_res nart__name_check(const char *name)
{
    const char *dot;

    if (!name || !*name || strlen(name) > 254)
        return -EINVAL;
    for (const char *label = name; *label; label = *dot ? dot + 1 : dot) {
        dot = strchr(label, '.');
        if (!dot)
            dot = label + strlen(label);
        if (dot == label || dot - label > 63)
            return -EINVAL;
    }
    return 0;
}

nart_res nart__host_of(const char *text, char host[NART_NAME_SIZE], const char **service)
{
    const char *end = text ? strchr(text, *text == '[' ? ']' : ':') : NULL;

    *service = NULL;
    *host = '\0';
    if (!text)
        return -EINVAL;
    if (*text == '[') {
        text++;
        if (!end || (end[1] && end[1] != ':') || !memchr(text, ':', (size_t)(end - text)))
            return -EINVAL;
        *service = end[1] ? end + 2 : NULL;
    } else if (end && !strchr(end + 1, ':')) {
        *service = end + 1;
    } else {
        end = text + strlen(text); /* a name, or an IPv6 address */
    }
    if (end - text >= NART_NAME_SIZE || (*service && !**service))
        return -EINVAL;
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    return 0;
}

nart_res nart__service_port(const char *service, uint16_t *port)
{
    const struct addrinfo hints = { .ai_family = AF_INET };
    struct addrinfo *found;
    char *end;

    if (*service >= '0' && *service <= '9') {
        unsigned long n = strtoul(service, &end, 10);
        *port = (uint16_t)n;
        return *end || n > UINT16_MAX ? -EINVAL : 0;
    }
    if (strchr("+- \t\n\v\f\r", *service)) /* getaddrinfo() reads a number behind these */
        return -EINVAL;
    int status = getaddrinfo(NULL, service, &hints, &found);
    if (status)
        return status == EAI_MEMORY ? -ENOMEM : NART_ENONAME;
    struct sockaddr_in in;
    memcpy(&in, found->ai_addr, sizeof in);
    *port = ntohs(in.sin_port);
    freeaddrinfo(found);
    return 0;
}

/* c-ares, and getaddrinfo() by other rules, read an address also from some that are none, such as "0177.0.0.1". */
static bool has_four_numbers(const char *host)
{
    int n = 0;

    (void)sscanf(host, "%*[0-9].%*[0-9].%*[0-9].%*[0-9]%n", &n);
    return n > 0 && !host[n];
}

nart_res nart__numeric(const char *host, uint16_t port, nart_addr *out)
{
    char text[NART_ADDR_TEXT];
    bool v6 = strchr(host, ':');

    if (!v6 && (*host < '0' || *host > '9'))
        return 0; /* "unix" is no address either */
    (void)snprintf(text, sizeof text, v6 ? "[%s]:%u" : "%s:%u", host, port);
    nart_res r = nart_addr_parse(out, text);
    return r == 0 ? 1 : v6 || has_four_numbers(host) ? r : 0;
}

nart_res nart__target(const char *name, char host[NART_NAME_SIZE], uint16_t *port, nart_addr *out,
                      char *text, size_t cap)
{
    const char *service, *why = "this is no name of a host";

    nart_res r = nart__host_of(name, host, &service);
    if (r == 0 && service) {
        why = *port ? "the port is given twice" : "this is neither a port nor a service";
        r = *port ? -EINVAL : nart__service_port(service, port);
    }
    if (r == 0) {
        r = nart__numeric(host, *port, out);
        if (r == 0)
            r = nart__name_check(host);
        why = r == -ENODEV ? "no interface has this name" : "this is no name of a host";
    }
    if (r < 0)
        nart__text_add(text, cap, "%s", why);
    return r;
}

void nart__set_port(nart_addr *a, uint16_t port)
{
    in_port_t be = htons(port); /* at the same offset in both */
    memcpy((char *)&a->storage + offsetof(struct sockaddr_in, sin_port), &be, sizeof be);
}

/* ---- the operation ---- */

static void lookup_withdraw(nart__wait *w)
{
    nart_lookup *op = (nart_lookup *)(void *)((char *)w - offsetof(nart_lookup, wait));
    nart__ask_end(&op->asker);
}

static const struct nart__wait_ops lookup_ops = { "name lookup", lookup_withdraw };

/* What an operation asks, and what it gives its caller. */
typedef struct nart__query {
    nart_lookup *op;
    nart__question question;
    const char *name; /* or an address as text */
    const void *what, *out;
    size_t cap;
    uint16_t port;
} nart__query;

/* 0, or -EBUSY and the like. Withdraws what an earlier poll has asked for other arguments. */
static nart_res enter(nart_cx *cx, const nart__query *q, nart_lookup_opts *o,
                      const nart_lookup_opts *opts)
{
    nart__wait *w = &q->op->wait;

    nart_res r = nart__enter(cx, w);
    if (r)
        return r;
    if (w->task && nart__wait_taken(cx, w))
        return -EBUSY;
    if (w->task && (q->op->what != q->what || q->op->out != q->out))
        nart__withdraw(w);
    *o = (nart_lookup_opts)NART_LOOKUP_OPTS_INIT;
    r = nart__sized_in(o, sizeof *o, opts, offsetof(nart_lookup_opts, reserved));
    if (r)
        *q->op->text = '\0';
    return r;
}

static nart_res invalid(nart_lookup *op, const char *why)
{
    *op->text = '\0';
    nart__text_add(op->text, sizeof op->text, "%s", why);
    return -EINVAL;
}

static void say(const nart__query *q, const char *how)
{
    nart__text_add(q->op->text, sizeof q->op->text, "%s: %s: %s", q->name,
                   nart__question_text(q->question), how);
}

/* Asks, and waits for the answer: NULL and *r; or the answer, which the caller copies before finish(). The wait
 * begins before those of the asker, for the reason at the top of connect.c. */
static nart__answer *await(nart_cx *cx, const nart__query *q, nart_resolver *via, nart_res *r)
{
    nart_lookup *op = q->op;
    bool begun;

    if (!op->wait.task) {
        *op->text = '\0';
        op->what = q->what;
        op->out = q->out;
        *r = nart__ask(cx, &op->asker, via, q->question, q->name, &op->wait);
        if (*r) {
            say(q, nart_err_name(*r));
            return NULL;
        }
        nart__ask_wait(cx, &op->wait, &lookup_ops);
    }
    nart__answer *a = nart__asked(cx, &op->asker);
    if (a->res != NART_PENDING)
        return a;
    if (!*op->text)
        say(q, "pending"); /* for whatever ends the wait */
    *r = nart__park_in(cx, &op->wait, &begun);
    if (*r == NART_PENDING)
        (void)nart__pending_outside(cx);
    return NULL;
}

/* The operation has its answer. */
static nart_res finish(const nart__query *q, const nart__answer *a, nart_res r)
{
    nart_lookup *op = q->op;

    *op->text = '\0';
    if (a->res < 0)
        say(q, a->data ? (const char *)a->data : nart_err_name(a->res));
    nart__withdraw(&op->wait);
    return r;
}

nart_res nart_resolve(nart_cx *cx, nart_lookup *op, const char *name, uint16_t port, nart_addr *out,
                      size_t cap, const nart_lookup_opts *opts)
{
    char host[NART_NAME_SIZE];
    nart__query q = { .op = op, .name = host, .what = name, .out = out };
    const char *service;
    nart_lookup_opts o;

    nart_res r = enter(cx, &q, &o, opts);
    if (r)
        return r;
    if (o.family != AF_UNSPEC && o.family != AF_INET && o.family != AF_INET6)
        return invalid(op, "family is neither AF_INET nor AF_INET6");
    if (!out || cap == 0)
        return invalid(op, "no memory for addresses");
    if (op->wait.task) {
        (void)nart__host_of(name, host, &service);
    } else {
        *op->text = '\0';
        r = nart__target(name, host, &port, out, op->text, sizeof op->text);
        if (r < 0 || (r == 1 && (o.family == AF_UNSPEC || o.family == out->storage.ss_family)))
            return r;
        if (r == 1) {
            nart__text_add(op->text, sizeof op->text, "%s is an address of the other family", host);
            return NART_ENONAME;
        }
        op->port = port;
    }
    q.question = o.family == AF_UNSPEC  ? NART__ASK_ADDRS
                 : o.family == AF_INET6 ? NART__ASK_AAAA
                                        : NART__ASK_A;
    const nart__answer *a = await(cx, &q, o.resolver, &r);
    if (!a)
        return r;
    nart_res n = a->res > 0 && (size_t)a->res > cap ? (nart_res)cap : a->res;
    for (nart_res i = 0; i < n; i++) {
        out[i] = ((const nart_addr *)a->data)[i];
        nart__set_port(&out[i], op->port);
    }
    return finish(&q, a, n);
}

nart_res nart_resolve_reverse(nart_cx *cx, nart_lookup *op, const nart_addr *addr, char *out,
                              size_t cap, const nart_lookup_opts *opts)
{
    char text[INET6_ADDRSTRLEN];
    nart__query q = { .op = op, .question = NART__ASK_PTR, .name = text, .what = addr, .out = out };
    nart_lookup_opts o;

    nart_res r = enter(cx, &q, &o, opts);
    if (r)
        return r;
    r = nart__addr_check(addr);
    if (r) {
        *op->text = '\0';
        return r;
    }
    bool v6 = nart__is_v6(addr);
    const char *host = (const char *)&addr->storage + (v6 ? offsetof(struct sockaddr_in6, sin6_addr)
                                                          : offsetof(struct sockaddr_in, sin_addr));
    (void)inet_ntop(v6 ? AF_INET6 : AF_INET, host, text, sizeof text);
    const nart__answer *a = await(cx, &q, o.resolver, &r);
    if (!a)
        return r;
    if (a->res < 0)
        return finish(&q, a, a->res);
    size_t len = strlen(a->data);
    if (!out || len >= cap)
        return finish(&q, a, -ENOSPC);
    memcpy(out, a->data, len + 1);
    return finish(&q, a, (nart_res)len);
}

/* ---- services ---- */

/* A number below n. */
static uint64_t draw(uint64_t *seed, uint64_t n)
{
    uint64_t bits = 0;

    for (int i = 0; i < 2; i++) {
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bits = bits << 32 | *seed >> 32;
    }
    return bits % n;
}

/* How often a place is chosen, relative to others: one without weight seldom, as long as others have one. */
static uint64_t share_of(const nart_srv *s)
{
    return s->weight ? (uint64_t)s->weight << 16 : 1;
}

/* Chooses the next place among all[0 .. n), which are of one priority, and moves it to the front (RFC 2782). */
static void choose(nart_srv *all, size_t n, uint64_t *seed)
{
    uint64_t total = 0;
    size_t i = 0;

    for (size_t k = 0; k < n; k++)
        total += share_of(&all[k]);
    for (uint64_t at = draw(seed, total); at >= share_of(&all[i]); i++)
        at -= share_of(&all[i]);
    nart_srv chosen = all[i];
    memmove(all + 1, all, i * sizeof *all);
    all[0] = chosen;
}

static void order(nart_srv *all, size_t n, uint64_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        size_t same = 1;
        while (i + same < n && all[i + same].priority == all[i].priority)
            same++;
        choose(all + i, same, seed);
    }
}

nart_res nart_resolve_srv(nart_cx *cx, nart_lookup *op, const char *name, nart_srv *out, size_t cap,
                          const nart_lookup_opts *opts)
{
    nart__query q = { .op = op, .question = NART__ASK_SRV, .name = name, .what = name, .out = out };
    nart_lookup_opts o;

    nart_res r = enter(cx, &q, &o, opts);
    if (r)
        return r;
    if (!out || cap == 0)
        return invalid(op, "no memory for places");
    if (nart__name_check(name) != 0)
        return invalid(op, "this is no name of a service");
    nart__answer *a = await(cx, &q, o.resolver, &r);
    if (!a)
        return r;
    if (a->res < 0)
        return finish(&q, a, a->res);
    a->random ^= (uint64_t)nart_now(cx) ^ (uint64_t)(uintptr_t)a->data;
    order(a->data, (size_t)a->res, &a->random);
    nart_res n = (size_t)a->res > cap ? (nart_res)cap : a->res;
    memcpy(out, a->data, (size_t)n * sizeof *out);
    return finish(&q, a, n);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* redis_server.c: a server that speaks the protocol of redis (RESP), for redis-cli and redis-benchmark.
 *
 * What to look at
 *  - obey_all(): it obeys all requests that are complete in the buffer, while their replies fit. conn_run() then sends
 *    these replies together, usually by one system call. That makes pipelining fast.
 *  - a connection is a body of nart/co.h, because there may be many: a body takes less time and memory than a fiber.
 *    The task that accepts is a fiber.
 *  - parse() and obey() do not use sockets: they read and write memory.
 * Usage: redis_server [ADDRESS:PORT [TIMEOUT]]. It serves until SIGINT or SIGTERM. As in redis, connections may be idle
 * for as long as they like. One that does not read its replies for TIMEOUT milliseconds, 10000 by default, is closed.
 * Try it:
 *     redis-benchmark -t ping,set,get,incr -P 16 -q */
#include <nart/nart.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    ARGS = 8,            /* of a request, at most */
    IN = 16384,          /* bytes of a request, at most */
    OUT = 2 * IN + 1024, /* bytes of replies: one that begins in the first half fits */
    CHAINS = 1 << 16
};

struct text {
    const char *at;
    size_t len;
};

/* ---- the store: one thread, so no lock ---- */

struct entry {
    struct entry *next;
    size_t key, value; /* their lengths */
    char bytes[];      /* the key, then the value */
};

static struct entry *chains[CHAINS];

/* Where the entry is, or would be. A server for strangers needs a hash with a secret key, such as SipHash. */
static struct entry **find(struct text key)
{
    uint64_t hash = 14695981039346656037U; /* FNV-1a */
    struct entry **at;

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * 1099511628211U;
    at = &chains[(hash ^ hash >> 32) % CHAINS];
    while (*at && ((*at)->key != key.len || memcmp((*at)->bytes, key.at, key.len) != 0))
        at = &(*at)->next;
    return at;
}

/* Was there one? */
static bool erase(struct entry **at)
{
    struct entry *old = *at;

    if (old)
        *at = old->next;
    free(old);
    return old != NULL;
}

/* False: no memory. */
static bool store(struct text key, struct text value)
{
    struct entry **at = find(key), *e = malloc(sizeof *e + key.len + value.len);

    if (!e)
        return false;
    erase(at);
    *e = (struct entry){ *at, key.len, value.len };
    memcpy(e->bytes, key.at, key.len);
    memcpy(e->bytes + key.len, value.at, value.len);
    *at = e;
    return true;
}

/* ---- requests ---- */

struct request {
    int argc;
    struct text argv[ARGS];
};

/* Up to 18 digits, which always fit. */
static bool integer(struct text t, int64_t *n)
{
    const size_t sign = t.len > 0 && t.at[0] == '-';

    *n = 0;
    for (size_t i = sign; i < t.len; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return false;
        *n = i < sign + 18 ? *n * 10 + (t.at[i] - '0') : *n;
    }
    *n = sign ? -*n : *n;
    return t.len > sign && t.len <= sign + 18;
}

/* Reads "*3\r\n" or "$5\r\n". Answers 1, 0 if it is incomplete, or -EPROTO. */
static nart_res header(const char **p, const char *end, char mark, int64_t max, int64_t *n)
{
    const char *line = *p, *newline = memchr(line, '\n', (size_t)(end - line));

    if (!newline)
        return 0;
    *p = newline + 1;
    if (newline - line < 3 || line[0] != mark || newline[-1] != '\r' ||
        !integer((struct text){ line + 1, (size_t)(newline - line - 2) }, n) || *n < 0 || *n > max)
        return -EPROTO;
    return 1;
}

/* Answers the length of the request that `data` begins with, 0 if it is incomplete, or -EPROTO. */
static nart_res parse(const char *data, size_t len, struct request *rq)
{
    const char *p = data, *end = data + len, *newline = memchr(data, '\n', len);
    int64_t count = 0, n = 0;
    nart_res r = 1;

    rq->argc = 0;
    if (!newline)
        return 0;
    if (*data != '*') { /* "PING\r\n": words, for people; the newline ends these scans */
        for (p += strspn(p, " \r\t"); p < newline && rq->argc < ARGS; p += strspn(p, " \r\t")) {
            rq->argv[rq->argc++] = (struct text){ p, strcspn(p, " \r\t\n") };
            p += rq->argv[rq->argc - 1].len;
        }
        return newline + 1 - data;
    }
    r = header(&p, end, '*', ARGS, &count);
    while (r > 0 && rq->argc < count) {
        r = header(&p, end, '$', IN, &n);
        if (r <= 0)
            break;
        if (end - p < n + 2)
            return 0;
        rq->argv[rq->argc++] = (struct text){ p, (size_t)n };
        p += n + 2;
    }
    return r > 0 ? p - data : r;
}

/* ---- replies ---- */

struct conn {
    nart_tcp sock;
    nart_co co;
    nart_stream stream;
    nart_res more;    /* of obey_all() */
    size_t len, done; /* of `out`; how much of it is sent */
    char in[IN], out[OUT];
};

static void put(struct conn *c, const char *at, size_t len)
{
    memcpy(c->out + c->len, at, len);
    c->len += len;
}

static void put_line(struct conn *c, const char *text)
{
    put(c, text, strlen(text));
    put(c, "\r\n", 2);
}

static void put_number(struct conn *c, char mark, int64_t n)
{
    c->len += (size_t)sprintf(c->out + c->len, "%c%" PRId64 "\r\n", mark, n);
}

static void put_bulk(struct conn *c, const char *at, size_t len)
{
    put_number(c, '$', (int64_t)len);
    put(c, at, len);
    put(c, "\r\n", 2);
}

static void increment(struct conn *c, struct text key)
{
    const struct entry *e = *find(key);
    char digits[24];
    int64_t n = 0;

    if (e && !integer((struct text){ e->bytes + e->key, e->value }, &n))
        put_line(c, "-ERR value is not an integer or out of range");
    else if (!store(key, (struct text){ digits, (size_t)sprintf(digits, "%" PRId64, n + 1) }))
        put_line(c, "-OOM out of memory");
    else
        put_number(c, ':', n + 1);
}

static bool is(const struct request *rq, const char *name, int argc)
{
    return rq->argc == argc && rq->argv[0].len == strlen(name) &&
           strncasecmp(rq->argv[0].at, name, rq->argv[0].len) == 0;
}

static void obey(struct conn *c, const struct request *rq)
{
    const struct text *arg = rq->argv;

    if (is(rq, "GET", 2)) {
        const struct entry *e = *find(arg[1]);

        if (e)
            put_bulk(c, e->bytes + e->key, e->value);
        else
            put_line(c, "$-1");
    } else if (is(rq, "SET", 3)) {
        put_line(c, store(arg[1], arg[2]) ? "+OK" : "-OOM out of memory");
    } else if (is(rq, "INCR", 2)) {
        increment(c, arg[1]);
    } else if (is(rq, "DEL", 2)) {
        put_number(c, ':', erase(find(arg[1])));
    } else if (is(rq, "PING", 1)) {
        put_line(c, "+PONG");
    } else if (is(rq, "CONFIG", 3)) { /* redis-benchmark asks for "save" and "appendonly" */
        put_line(c, "*2");
        put_bulk(c, arg[2].at, arg[2].len);
        put_bulk(c, "", 0);
    } else if (rq->argc > 0 && is(rq, "COMMAND", rq->argc)) { /* redis-cli asks for help texts */
        put_line(c, "*0");
    } else if (rq->argc > 0) {
        put_line(c, "-ERR unknown command, or wrong number of arguments");
    }
}

/* ---- connections ---- */

static int64_t timeout;

/* Obeys the requests that are complete, as long as their replies fit. Answers above 0 if there may be more, 0 if not,
 * or -EPROTO. */
static nart_res obey_all(struct conn *c)
{
    nart_res n = 1;

    while (n > 0 && c->len < IN) {
        struct request rq;
        char *data;
        size_t len = nart_stream_peek(&c->stream, &data);

        n = len > 0 ? parse(data, len, &rq) : 0;
        if (n > 0) {
            obey(c, &rq);
            nart_stream_consume(&c->stream, (size_t)n);
        }
    }
    if (n < 0)
        put_line(c, "-ERR Protocol error");
    return n;
}

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res r;

    NART_BEGIN(cx, &c->co);
    r = nart_stream_init_tcp(&c->stream, &c->sock, c->in, IN);
    while (r >= 0) {
        c->more = obey_all(c);
        NART_AWAIT_FOR(r, timeout, nart_stream_write_all(cx, &c->stream, c->out, c->len, &c->done));
        c->len = 0;
        if (r >= 0 && c->more == 0) /* waits for one byte more than there is */
            NART_AWAIT(r, nart_stream_fill(cx, &c->stream, nart_stream_peek(&c->stream, NULL) + 1));
        else if (r >= 0)
            r = c->more;
    }
    nart_stream_close(&c->stream);
    NART_END(r);
}

static void conn_drop(void *frame)
{
    nart_tcp_close(&((struct conn *)frame)->sock);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, conn_drop);

/* On success the socket passes to the task. */
static nart_res start(nart_cx *cx, nart_tcp *sock)
{
    nart_res r = 0;
    struct conn *c = nart_spawn_boxed_begin(cx, &conn_type, &r);

    if (!c)
        return r;
    nart_tcp_move(&c->sock, sock);
    return nart_spawn_commit(cx, c, NULL);
}

static nart_res accept_all(nart_cx *cx, nart_tcp_listener *listener)
{
    nart_tcp sock = { 0 };
    nart_waiter shutdown = { 0 };
    nart_timer pause = { 0 };
    int which = 1;
    nart_res r = 0;

    while (r >= 0) {
        r = nart_await_any(cx, which, nart_shutdown_await(cx, &shutdown),
                           nart_tcp_accept(cx, listener, &sock, NULL));
        if (r == -ECANCELED || which == 0)
            break;
        if (r == 0)
            r = start(cx, &sock);
        if (r == 0)
            continue;
        nart_tcp_close(&sock); /* no descriptor or no memory: until another one has ended */
        r = nart_await(cx, nart_sleep(cx, &pause, 10 * NART_MS));
    }
    return r;
}

static nart_res serve(nart_cx *cx, void *address)
{
    nart_tcp_listener listener = { 0 };
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res r = nart_addr_parse(&addr, address);

    if (r == 0)
        r = nart_tcp_listen_here(cx, &addr, NULL, &listener);
    if (r == 0)
        r = nart_tcp_listener_addr(&listener, &addr);
    if (r == 0 && nart_addr_format(&addr, text, sizeof text) > 0) {
        printf("listening at %s\n", text);
        fflush(stdout);
        r = accept_all(cx, &listener);
    }
    nart_tcp_listener_close(&listener);
    return r;
}

int main(int argc, char **argv)
{
    nart_rt *rt = NULL;
    int ms = 10000;
    char more;

    if ((argc > 2 && sscanf(argv[2], "%9d%c", &ms, &more) != 1) || ms < 0) {
        fputs("usage: redis_server [ADDRESS:PORT [TIMEOUT in milliseconds]]\n", stderr);
        return 2;
    }
    timeout = ms * NART_MS;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGINT);
    if (r == 0)
        r = nart_rt_shutdown_on(rt, SIGTERM);
    if (r == 0)
        r = nart_fiber_block_on(rt, serve, argc > 1 ? argv[1] : "127.0.0.1:6379", NULL, &answer);
    if (r == 0)
        r = answer;
    if (r == 0)
        r = nart_rt_shutdown_within(rt, 0, NART_SEC, NULL); /* ends the connections */
    if (r < 0)
        fprintf(stderr, "redis_server: %s\n", nart_strerror(r));
    nart_rt_free(rt);
    for (size_t i = 0; i < CHAINS; i++)
        while (erase(&chains[i]))
            ;
    return r < 0;
}

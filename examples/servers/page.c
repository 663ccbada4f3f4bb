/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* page.c: http.h. A request is parsed again from its beginning until its head is complete: it is short. */
#include "http.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PAGE "Hello, world!\n"

struct request {
    bool head;   /* the answer has no body */
    bool old;    /* HTTP/1.0 */
    bool keep;   /* the connection stays open */
    size_t body; /* bytes of the request's body */
    unsigned hosts, lengths;
    int status;
};

struct piece {
    const char *at;
    size_t len;
};

static bool is(struct piece p, const char *text)
{
    return p.len == strlen(text) && strncasecmp(p.at, text, p.len) == 0;
}

static struct piece trimmed(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (at < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct piece){ at, (size_t)(end - at) };
}

/* "GET / HTTP/1.1" */
static int first_line(struct request *q, const char *at, const char *end)
{
    const char *target = memchr(at, ' ', (size_t)(end - at));
    const char *version = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;

    if (!version || target == at || version == target + 1)
        return 400;
    struct piece method = { at, (size_t)(target - at) },
                 v = { version + 1, (size_t)(end - version - 1) };
    if (v.len != 8 || memcmp(v.at, "HTTP/", 5) != 0 || v.at[6] != '.')
        return 400;
    if (v.at[5] != '1')
        return 505;
    q->old = v.at[7] == '0';
    q->keep = !q->old;
    q->head = method.len == 4 && memcmp(method.at, "HEAD", 4) == 0;
    return q->head || (method.len == 3 && memcmp(method.at, "GET", 3) == 0) ? 200 : 405;
}

static bool length(struct request *q, struct piece value)
{
    size_t n = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9' || n > SIZE_MAX / 20)
            return false;
        n = n * 10 + (size_t)(value.at[i] - '0');
    }
    q->body = n;
    return value.len > 0 && ++q->lengths == 1;
}

static void connection(struct request *q, struct piece value)
{
    const char *at = value.at, *end = value.at + value.len;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct piece token = trimmed(at, comma ? comma : end);
        if (is(token, "close"))
            q->keep = false;
        else if (q->old && is(token, "keep-alive"))
            q->keep = true;
        at = comma ? comma + 1 : end;
    }
}

/* "Name: value". 0, or the status of an error after which nothing more can be understood. */
static int field(struct request *q, const char *at, const char *end)
{
    const char *colon = memchr(at, ':', (size_t)(end - at));

    if (!colon || colon == at || memchr(at, ' ', (size_t)(colon - at)) ||
        memchr(at, '\t', (size_t)(colon - at)))
        return 400;
    struct piece name = { at, (size_t)(colon - at) }, value = trimmed(colon + 1, end);
    if (is(name, "Host"))
        q->hosts++;
    else if (is(name, "Connection"))
        connection(q, value);
    else if (is(name, "Content-Length") && !length(q, value))
        return 400;
    else if (is(name, "Transfer-Encoding"))
        return 501;
    return 0;
}

/* The head of a request: its bytes, or 0 if it is not complete. An error is in q->status, without q->keep. */
static size_t parse(struct request *q, const char *at, size_t len)
{
    const char *begin = at, *end = at + len, *newline;
    bool first = true;

    *q = (struct request){ .status = 200 };
    for (; (newline = memchr(at, '\n', (size_t)(end - at))) != NULL; at = newline + 1) {
        const char *stop = newline > at && newline[-1] == '\r' ? newline - 1 : newline;
        int error = 0;
        if (stop == at && !first) {
            bool bad = !q->old && q->hosts != 1;
            q->status = bad ? 400 : q->status;
            q->keep = q->keep && !bad;
            return (size_t)(newline + 1 - begin);
        }
        if (stop == at)
            continue; /* an empty line before a request is ignored */
        if (first)
            q->status = first_line(q, at, stop);
        else
            error = field(q, at, stop);
        if (error)
            q->status = error;
        if (q->status != 200 && q->status != 405) {
            q->keep = false;
            return (size_t)(newline + 1 - begin);
        }
        first = false;
    }
    return 0;
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 405:
        return "Method Not Allowed\r\nAllow: GET, HEAD";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

/* False: it does not fit. */
static bool answer(struct http *h, const struct request *q)
{
    static const char plain[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\n" PAGE;
    size_t room = sizeof h->out - h->len;

    if (q->status == 200 && q->keep && !q->head && !q->old) {
        if (room < sizeof plain - 1)
            return false;
        memcpy(h->out + h->len, plain, sizeof plain - 1);
        h->len += sizeof plain - 1;
        return true;
    }
    const char *page = q->status == 200 ? PAGE : "";
    int n =
        snprintf(h->out + h->len, room,
                 "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s",
                 q->status, reason(q->status), strlen(page),
                 !q->keep ? "Connection: close\r\n"
                 : q->old ? "Connection: keep-alive\r\n"
                          : "",
                 q->head ? "" : page);
    if (n < 0 || (size_t)n >= room)
        return false;
    h->len += (size_t)n;
    return true;
}

void http_answer(struct http *h)
{
    size_t at = 0;

    while (!h->last && at < h->have) {
        struct request q;
        size_t body = h->skip < h->have - at ? h->skip : h->have - at;
        h->skip -= body;
        at += body;
        size_t used = parse(&q, h->in + at, h->have - at);
        if (used == 0 && h->have - at == sizeof h->in) {
            q = (struct request){ .status = 431 };
            used = sizeof h->in;
        }
        if (used == 0 || !answer(h, &q))
            break;
        at += used;
        h->skip = q.body;
        h->last = !q.keep;
    }
    h->have -= at;
    memmove(h->in, h->in + at, h->have);
}

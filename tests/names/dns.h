/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dns.h: a name server on a thread of its own, over UDP and TCP, that answers from a table: truthfully, or as bad
 * servers do. */
#ifndef NART_TEST_DNS_H
#define NART_TEST_DNS_H

#include "names_test.h"

#include <nart/detail/atomic.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* How a question is answered. */
enum {
    DNS_TRUTH,
    DNS_SERVFAIL,
    DNS_REFUSED,
    DNS_SILENCE,
    DNS_WRONG_ID,       /* a lie with another id, then the truth */
    DNS_WRONG_QUESTION, /* a lie that answers another question, then the truth */
    DNS_MIRROR,         /* the question itself a hundred times, then the truth */
    DNS_GARBAGE,        /* bytes, then the truth */
    DNS_TRUNCATED,      /* by UDP; the truth by TCP */
    DNS_HELD,           /* the truth, after dns_release() */
    DNS_OTHER_PLACE,    /* a lie from another port, then the truth */
    DNS_GIANT,          /* a datagram of 60,000 bytes that begins with a lie's id, then the truth */
    DNS_CUT,     /* the truth without its last bytes: one more each time, until nothing is left */
    DNS_TCP_CUT, /* by UDP truncated; by TCP the truth, cut likewise, and the end */
    DNS_MANY     /* 3,000 addresses, by TCP */
};

/* "name" A "127.0.0.1" | AAAA "::1" | PTR "host.test" | SRV "priority weight port host" | CNAME "other". The mode of the
 * first record of a name and type is that of the answer. A name without records does not exist. */
struct dns_record {
    const char *name;
    int type;
    const char *data;
    int mode;
    uint32_t ttl;
};

enum { DNS_HELD_MOST = 4096, DNS_PACKET = 65536 };

struct dns_held {
    unsigned char query[300];
    size_t len;
    struct sockaddr_in from;
};

struct dns {
    const struct dns_record *records; /* ends with one without a name */
    int udp, tcp, command[2];
    char servers[32]; /* for nart_resolver_opts */
    pthread_t thread;
    NART__ATOMIC(uint32_t) queries; /* questions so far, by UDP */
    NART__ATOMIC(uint32_t) tcp_queries;
    struct dns_held *held;
    size_t n_held, cut;
};

static inline uint32_t dns_queries(struct dns *d)
{
    return NART__LOAD(&d->queries, NART__ACQUIRE);
}

/* ---- packets ---- */

static inline size_t dns_put16(unsigned char *p, unsigned n)
{
    p[0] = (unsigned char)(n >> 8);
    p[1] = (unsigned char)n;
    return 2;
}

static inline size_t dns_put_name(unsigned char *p, const char *name)
{
    size_t at = 0;
    while (*name && strcmp(name, ".") != 0) {
        size_t n = strcspn(name, ".");
        p[at++] = (unsigned char)n;
        memcpy(p + at, name, n);
        at += n;
        name += n + (name[n] == '.');
    }
    p[at++] = 0;
    return at;
}

/* The question's name as text, and the length of the question. */
static inline size_t dns_question(const unsigned char *q, size_t len, char *name, int *type)
{
    size_t at = 12, out = 0;
    while (at < len && q[at]) {
        size_t n = q[at++];
        CHECK(at + n < len && out + n + 2 < 256);
        memcpy(name + out, q + at, n);
        out += n;
        name[out++] = '.';
        at += n;
    }
    name[out ? out - 1 : 0] = '\0';
    *type = q[at + 1] << 8 | q[at + 2];
    return at + 5 - 12;
}

static inline size_t dns_put_record(unsigned char *p, const struct dns_record *r)
{
    unsigned char data[512];
    size_t n = 0, at = 0;
    unsigned priority, weight, port;
    char host[256];

    switch (r->type) {
    case ns_t_a:
        CHECK_EQ(inet_pton(AF_INET, r->data, data), 1);
        n = 4;
        break;
    case ns_t_aaaa:
        CHECK_EQ(inet_pton(AF_INET6, r->data, data), 1);
        n = 16;
        break;
    case ns_t_srv:
        CHECK_EQ(sscanf(r->data, "%u %u %u %255s", &priority, &weight, &port, host), 4);
        n = dns_put16(data, priority);
        n += dns_put16(data + n, weight);
        n += dns_put16(data + n, port);
        n += dns_put_name(data + n, host);
        break;
    default:
        n = dns_put_name(data, r->data);
    }
    at += dns_put_name(p, r->name);
    at += dns_put16(p + at, (unsigned)r->type);
    at += dns_put16(p + at, 1);
    at += dns_put16(p + at, r->ttl >> 16);
    at += dns_put16(p + at, r->ttl & 0xffff);
    at += dns_put16(p + at, (unsigned)n);
    memcpy(p + at, data, n);
    return at + n;
}

/* Records of a name, following one alias. */
static inline size_t dns_put_records(const struct dns *d, unsigned char *out, const char *name,
                                     int type, unsigned *n, bool *exists)
{
    size_t at = 0;
    for (const struct dns_record *r = d->records; r->name; r++) {
        if (strcasecmp(r->name, name) != 0)
            continue;
        *exists = true;
        if (r->type != type && r->type != ns_t_cname)
            continue;
        if (r->data) {
            at += dns_put_record(out + at, r);
            ++*n;
        }
        if (r->type == ns_t_cname)
            at += dns_put_records(d, out + at, r->data, type, n, exists);
    }
    return at;
}

enum { DNS_LIE_ID = 1, DNS_LIE_QUESTION = 2, DNS_LIE_TC = 4, DNS_LIE_RECORD = 8 };

static inline size_t dns_reply(const struct dns *d, const unsigned char *q, size_t len, int lies,
                               int rcode, unsigned char *out)
{
    char name[256];
    int type;
    bool exists = false;
    unsigned n = 0;
    size_t question = dns_question(q, len, name, &type), at = 12 + question;

    memcpy(out, q, at);
    memset(out + 6, 0, 6);
    if (lies & DNS_LIE_ID)
        out[0] ^= 0x55;
    if (lies & DNS_LIE_QUESTION)
        out[13] = out[13] == 'x' ? 'y' : 'x';
    if (lies & (DNS_LIE_ID | DNS_LIE_QUESTION | DNS_LIE_RECORD)) {
        static const struct dns_record four = { "lie", ns_t_a, "192.0.2.66", 0, 60 },
                                       six = { "lie", ns_t_aaaa, "2001:db8::66", 0, 60 };
        struct dns_record lie = type == ns_t_aaaa ? six : four;
        lie.name = name;
        at += dns_put_record(out + at, &lie);
        n = 1;
        exists = true;
    } else if (lies & DNS_LIE_TC) {
        exists = true;
    } else if (rcode == 0) {
        at += dns_put_records(d, out + at, name, type, &n, &exists);
    }
    out[2] = (unsigned char)(0x84 | (lies & DNS_LIE_TC ? 2 : 0) | (q[2] & 1));
    out[3] = (unsigned char)(0x80 | (rcode ? rcode : exists ? 0 : 3));
    dns_put16(out + 6, n);
    return at;
}

static inline int dns_mode(const struct dns *d, const unsigned char *q, size_t len)
{
    char name[256];
    int type;

    (void)dns_question(q, len, name, &type);
    for (const struct dns_record *r = d->records; r->name; r++)
        if (r->type == type && strcasecmp(r->name, name) == 0)
            return r->mode;
    return DNS_TRUTH;
}

/* ---- the thread ---- */

static inline void dns_send(const struct dns *d, const unsigned char *p, size_t len,
                            const struct sockaddr_in *to)
{
    (void)sendto(d->udp, p, len, 0, (const struct sockaddr *)to, sizeof *to);
}

/* From a socket that the question was not sent to. */
static inline void dns_from_elsewhere(const unsigned char *p, size_t len,
                                      const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(sendto(fd, p, len, 0, (const struct sockaddr *)to, sizeof *to), len);
    close(fd);
}

/* The next shorter length of a message: all of it after none. */
static inline size_t dns_cut(struct dns *d, size_t len)
{
    size_t left = len - d->cut % (len + 1);

    d->cut++;
    return left;
}

static inline void dns_by_udp(struct dns *d, unsigned char *out)
{
    unsigned char q[512];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(d->udp, q, sizeof q, 0, (struct sockaddr *)&from, &size);

    if (n < 17)
        return;
    size_t len = (size_t)n;
    int mode = dns_mode(d, q, len);
    (void)__atomic_add_fetch(&d->queries, 1, __ATOMIC_ACQ_REL);
    switch (mode) {
    case DNS_SILENCE:
        return;
    case DNS_SERVFAIL:
        dns_send(d, out, dns_reply(d, q, len, 0, 2, out), &from);
        return;
    case DNS_REFUSED:
        dns_send(d, out, dns_reply(d, q, len, 0, 5, out), &from);
        return;
    case DNS_TRUNCATED:
    case DNS_TCP_CUT:
    case DNS_MANY:
        dns_send(d, out, dns_reply(d, q, len, DNS_LIE_TC, 0, out), &from);
        return;
    case DNS_HELD:
        CHECK(d->n_held < DNS_HELD_MOST && len <= sizeof d->held->query);
        memcpy(d->held[d->n_held].query, q, len);
        d->held[d->n_held].len = len;
        d->held[d->n_held++].from = from;
        return;
    case DNS_WRONG_ID:
        dns_send(d, out, dns_reply(d, q, len, DNS_LIE_ID, 0, out), &from);
        break;
    case DNS_WRONG_QUESTION:
        dns_send(d, out, dns_reply(d, q, len, DNS_LIE_QUESTION, 0, out), &from);
        break;
    case DNS_MIRROR:
        for (int i = 0; i < 100; i++)
            dns_send(d, q, len, &from);
        break;
    case DNS_OTHER_PLACE:
        dns_from_elsewhere(out, dns_reply(d, q, len, DNS_LIE_RECORD, 0, out), &from);
        break;
    case DNS_GIANT:
        memset(out + dns_reply(d, q, len, DNS_LIE_ID, 0, out), 0xff, 1000);
        dns_send(d, out, 60000, &from);
        break;
    case DNS_CUT:
        dns_send(d, out, dns_cut(d, dns_reply(d, q, len, 0, 0, out)), &from);
        return;
    case DNS_GARBAGE:
        dns_send(d, (const unsigned char *)"\xff\xff garbage, not a message", 25, &from);
        break;
    default:
        break;
    }
    dns_send(d, out, dns_reply(d, q, len, 0, 0, out), &from);
}

/* Repeats the only record of a reply, which has the question's name. */
static inline size_t dns_repeat(unsigned char *reply, size_t len, unsigned times)
{
    size_t question = 12;

    while (reply[question])
        question += reply[question] + 1U;
    question += 5;
    size_t rest = len - question - (question - 12 - 4); /* the record after its name */
    unsigned char record[64] = { 0xc0, 12 };            /* "the name at 12" */
    memcpy(record + 2, reply + len - rest, rest);
    for (unsigned i = 0; i < times; i++)
        memcpy(reply + question + i * (rest + 2), record, rest + 2);
    dns_put16(reply + 6, times);
    return question + times * (rest + 2);
}

static inline bool dns_read_all(int fd, unsigned char *p, size_t n)
{
    return recv(fd, p, n, MSG_WAITALL) == (ssize_t)n;
}

static inline void dns_by_tcp(struct dns *d, unsigned char *out)
{
    unsigned char q[512];
    int fd = accept4(d->tcp, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    while (dns_read_all(fd, q, 2)) {
        size_t len = (size_t)q[0] << 8 | q[1];
        if (len > sizeof q || !dns_read_all(fd, q, len))
            break;
        (void)__atomic_add_fetch(&d->tcp_queries, 1, __ATOMIC_ACQ_REL);
        size_t n = dns_reply(d, q, len, 0, 0, out + 2);
        int mode = dns_mode(d, q, len);
        if (mode == DNS_MANY)
            n = dns_repeat(out + 2, n, 3000);
        dns_put16(out, (unsigned)n);
        size_t sent = mode == DNS_TCP_CUT ? dns_cut(d, n + 2) : n + 2;
        if (send(fd, out, sent, MSG_NOSIGNAL) != (ssize_t)sent || sent < n + 2)
            break;
    }
    close(fd);
}

static inline void dns_answer_held(struct dns *d, unsigned char *out)
{
    for (size_t i = 0; i < d->n_held; i++) {
        const struct dns_held *h = &d->held[i];
        dns_send(d, out, dns_reply(d, h->query, h->len, 0, 0, out), &h->from);
    }
    d->n_held = 0;
}

static inline void *dns_serve(void *arg)
{
    struct dns *d = arg;
    unsigned char *out = malloc(DNS_PACKET);
    char command = 0;

    CHECK(out);
    while (command != 'q') {
        struct pollfd p[] = { { d->udp, POLLIN, 0 },
                              { d->tcp, POLLIN, 0 },
                              { d->command[0], POLLIN, 0 } };
        CHECK_LE(1, poll(p, 3, -1));
        if (p[0].revents)
            dns_by_udp(d, out);
        if (p[1].revents)
            dns_by_tcp(d, out);
        if (p[2].revents && !p[0].revents && read(d->command[0], &command, 1) == 1 &&
            command == 'r')
            dns_answer_held(d, out);
    }
    free(out);
    return NULL;
}

/* At an address; port 0: a free one. */
static inline void dns_open_at(struct dns *d, const struct dns_record *records, const char *host,
                               uint16_t port)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;

    memset(d, 0, sizeof *d);
    d->records = records;
    d->held = calloc(DNS_HELD_MOST, sizeof *d->held);
    CHECK(d->held);
    for (;;) { /* until both have the same port */
        at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
        CHECK_EQ(inet_pton(AF_INET, host, &at.sin_addr), 1);
        d->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        d->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(d->udp >= 0 && d->tcp >= 0);
        int space = 1 << 22;
        (void)setsockopt(d->udp, SOL_SOCKET, SO_RCVBUF, &space, sizeof space);
        CHECK_EQ(bind(d->udp, (struct sockaddr *)&at, sizeof at), 0);
        CHECK_EQ(getsockname(d->udp, (struct sockaddr *)&at, &len), 0);
        if (bind(d->tcp, (struct sockaddr *)&at, sizeof at) == 0)
            break;
        close(d->udp);
        close(d->tcp);
    }
    CHECK_EQ(listen(d->tcp, 16), 0);
    snprintf(d->servers, sizeof d->servers, "%s:%u", host, ntohs(at.sin_port));
    CHECK_EQ(pipe2(d->command, O_CLOEXEC), 0);
    CHECK_EQ(pthread_create(&d->thread, NULL, dns_serve, d), 0);
}

static inline void dns_open(struct dns *d, const struct dns_record *records)
{
    dns_open_at(d, records, "127.0.0.1", 0);
}

/* Answers the held questions, once all that have been sent were read. */
static inline void dns_release(struct dns *d)
{
    CHECK_EQ(write(d->command[1], "r", 1), 1);
}

static inline void dns_finish(struct dns *d)
{
    CHECK_EQ(write(d->command[1], "q", 1), 1);
    CHECK_EQ(pthread_join(d->thread, NULL), 0);
    close(d->command[0]);
    close(d->command[1]);
    close(d->udp);
    close(d->tcp);
    free(d->held);
}

#endif

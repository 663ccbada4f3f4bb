/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* names.h: shared parts of resolving names and of connecting to what they resolve to. */
#ifndef NART_NAMES_NAMES_H
#define NART_NAMES_NAMES_H

#include "../net/net.h"

#include <nart/resolve.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Appends to a text of `cap` bytes; what does not fit becomes "...". */
static inline void __attribute__((format(printf, 3, 4)))
nart__text_add(char *text, size_t cap, const char *fmt, ...)
{
    size_t len = strlen(text);
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text + len, cap - len, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= cap - len)
        memcpy(text + cap - sizeof "...", "...", sizeof "...");
}

/* ---- questions ---- */

typedef enum nart__question {
    NART__ASK_A,
    NART__ASK_AAAA,
    NART__ASK_ADDRS, /* of both families, in one order */
    NART__ASK_PTR,   /* the name is an address as text */
    NART__ASK_SRV
} nart__question;

/* "A", "AAAA" ..., for texts. */
const char *nart__question_text(nart__question q);

/* The answer to a question. */
typedef struct nart__answer {
    nart_res res; /* NART_PENDING; the number of records, above 0; or an error */
    void *
        data; /* nart_addr[res], port 0; the name; nart_srv[res] by priority; or text about the error, or NULL */
    size_t size;     /* of `data` in bytes */
    uint64_t random; /* for the order of places */
} nart__answer;

/* Asks, for the operation that waits in `wait`, which is woken by the answer. `via`: NULL, the runtime's own.
 * 0: nart__asked() knows the answer, also if it has come already; or an error, and nothing was asked. */
nart_res nart__ask(nart_cx *cx, nart__asker *a, nart_resolver *via, nart__question q,
                   const char *name, nart__wait *wait);

/* Begins the wait of an operation, which is idle, without looking at deadlines: the answer may be there. */
static inline void nart__ask_wait(nart_cx *cx, nart__wait *w, const struct nart__wait_ops *ops)
{
    nart__wait_begin(cx->self, w);
    w->ops = ops;
    nart__wait_request(cx, w);
}

/* The answer, valid until nart__ask_end(). Only after nart__ask(), in a poll of the operation whose wait has begun. It
 * may be -ECANCELED or -ETIMEDOUT. */
nart__answer *nart__asked(nart_cx *cx, nart__asker *a);

/* Is there a question, answered or not? */
static inline bool nart__is_asking(const nart__asker *a)
{
    return a->lookup != NULL;
}

/* The asker is no longer interested. Fine without a question. */
void nart__ask_end(nart__asker *a);

/* ---- resolve.c ---- */

/* The host in "host", "host:service", "address", "[address]" or "[address]:service", and the service or NULL. -EINVAL:
 * it is none of them. */
nart_res nart__host_of(const char *text, char host[NART_NAME_SIZE], const char **service);

/* The port of a service, which may be a number: 0; or -EINVAL, NART_ENONAME, -ENOMEM. Reads /etc/services. */
nart_res nart__service_port(const char *service, uint16_t *port);

/* A host of nart__host_of(): 1 and *out, its address; 0: it is a name; -EINVAL, -ENODEV: it is neither. */
nart_res nart__numeric(const char *host, uint16_t port, nart_addr *out);

/* All of this for the first poll of an operation: as nart__numeric(); *port is that of the text, or stays. After an
 * error `text` has the reason. */
nart_res nart__target(const char *name, char host[NART_NAME_SIZE], uint16_t *port, nart_addr *out,
                      char *text, size_t cap);

/* 0, or -EINVAL: it can be no name. */
nart_res nart__name_check(const char *name);

static inline bool nart__is_v6(const nart_addr *a)
{
    return a->storage.ss_family == AF_INET6;
}

void nart__set_port(nart_addr *a, uint16_t port);

#endif

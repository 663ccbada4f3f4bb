/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* system.c: names without c-ares: the C library's functions, which block, on a thread of the default pool.
 *
 * Each question is a job of its own. There are no resolvers, and nothing is kept or shared. A job whose asker has
 * left ends by itself; the pool owns its data. */
#include "names.h"

#ifndef NART_CARES

#include <nart/work.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

/* The data of a job. */
struct question {
    nart__question question;
    char name[NART_NAME_SIZE];
    int status; /* 0 or EAI_* */
    nart_addr *addrs;
    char host[NART_NAME_SIZE];
};

struct nart__lookup {
    nart_work work;
    nart__answer answer;
    struct question question;
};

static nart_res error_of(int status)
{
    switch (status) {
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
        return NART_ENONAME;
    case EAI_MEMORY:
        return -ENOMEM;
    default:
        return NART_EDNS;
    }
}

/* getaddrinfo() does not look up "127.1" or "0x7f000001", but reads an address from it. It is none: see
 * nart__numeric(). No server has such a name. */
static bool is_number(const char *name)
{
    struct in_addr ignored;
    return inet_aton(name, &ignored) != 0;
}

static nart_res look_up(struct question *q)
{
    const struct addrinfo hints = { .ai_family = q->question == NART__ASK_A      ? AF_INET
                                                 : q->question == NART__ASK_AAAA ? AF_INET6
                                                                                 : AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM };
    struct addrinfo *found;
    nart_res n = 0;

    q->status = is_number(q->name) ? EAI_NONAME : getaddrinfo(q->name, NULL, &hints, &found);
    if (q->status)
        return error_of(q->status);
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        n++;
    q->addrs = calloc((size_t)n, sizeof *q->addrs);
    n = 0;
    for (const struct addrinfo *a = found; a && q->addrs; a = a->ai_next) {
        memcpy(&q->addrs[n].storage, a->ai_addr, a->ai_addrlen);
        q->addrs[n++].len = a->ai_addrlen;
    }
    freeaddrinfo(found);
    return q->addrs ? n : -ENOMEM;
}

static nart_res look_up_name(struct question *q)
{
    nart_addr addr;

    (void)nart__numeric(q->name, 0, &addr);
    q->status = getnameinfo((const struct sockaddr *)&addr.storage, addr.len, q->host,
                            sizeof q->host, NULL, 0, NI_NAMEREQD);
    return q->status ? error_of(q->status) : 1;
}

static nart_res question_run(void *data, const nart_job *job)
{
    struct question *q = data;

    (void)job; /* these functions cannot be interrupted */
    return q->question == NART__ASK_PTR ? look_up_name(q) : look_up(q);
}

static void question_drop(void *data)
{
    free(((struct question *)data)->addrs);
}

static const nart_work_type question_type =
    NART_WORK_TYPE(struct question, question_run, question_drop);

/* ---- askers ---- */

nart_res nart__ask(nart_cx *cx, nart__asker *a, nart_resolver *via, nart__question q,
                   const char *name, nart__wait *wait)
{
    (void)cx, (void)via;
    if (q == NART__ASK_SRV)
        return -ENOSYS;
    struct nart__lookup *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    l->question.question = q;
    (void)snprintf(l->question.name, sizeof l->question.name, "%s", name);
    *a = (nart__asker){ .lookup = l, .wait = wait };
    return 0;
}

nart__answer *nart__asked(nart_cx *cx, nart__asker *a)
{
    struct nart__lookup *l = a->lookup;
    int32_t go = cx->go;

    nart_res r = nart_work_run(cx, &l->work, NULL, &question_type, &l->question);
    cx->go = go; /* the operation that asks is one answer */
    l->answer.res = r;
    if (r == NART_PENDING)
        return &l->answer;
    struct question *done = nart_work_data(&l->work);
    if (r > 0)
        l->answer.data = l->question.question == NART__ASK_PTR ? (void *)done->host : done->addrs;
    else if (done && done->status)
        l->answer.data = (void *)(uintptr_t)gai_strerror(done->status);
    return &l->answer;
}

void nart__ask_end(nart__asker *a)
{
    struct nart__lookup *l = a->lookup;

    if (!l)
        return;
    nart_work_close(&l->work);
    free(l);
    *a = (nart__asker){ .lookup = NULL };
}

/* ---- resolvers ---- */

nart_res nart_resolver_new(nart_rt *rt, const nart_resolver_opts *opts, nart_resolver **out)
{
    nart_res r = out ? nart__rt_check(rt) : -EINVAL;

    (void)opts;
    if (out)
        *out = NULL;
    return r ? r : -ENOSYS;
}

nart_res nart_resolver_free(nart_resolver *r)
{
    (void)r; /* there is none */
    return 0;
}

#endif

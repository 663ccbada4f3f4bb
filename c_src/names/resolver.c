/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* resolver.c: questions of operations, and the cache.
 *
 * What it keeps true
 *  1. A lookup is a question with its answer. It is in the table while it is pending or kept; so equal questions
 *     find it. It is freed when it is in no table and nobody asks.
 *  2. c-ares cannot withdraw one query. So a pending lookup belongs to c-ares until nart__lookup_done(), and askers
 *     come and go.
 *  3. Answers with a time to live are kept until it ends, by the runtime's clock; the oldest one is given up when
 *     there are too many. Errors are not kept.
 *
 * Bounds: `max_kept` answers, and the pending queries, whose time c-ares limits. Everything is O(1) but for
 * collisions in a table of 256. */
#include "resolver.h"

#ifdef NART_CARES

#include <strings.h>

#define TTL_MAX 86400

/* ---- memory ---- */

static void lookup_free(nart__lookup *l)
{
    nart__free(&l->rt->alloc, l->answer.data, l->answer.size, _Alignof(max_align_t));
    nart__free(&l->rt->alloc, l, l->size, _Alignof(nart__lookup));
}

static void free_unused(nart__lookup *l)
{
    if (!l->in && !l->askers && l->answer.res != NART_PENDING)
        lookup_free(l);
}

void *nart__lookup_data(nart__lookup *l, size_t size)
{
    l->answer.data = nart__alloc(&l->rt->alloc, size, _Alignof(max_align_t));
    l->answer.size = size;
    return l->answer.data;
}

/* ---- the table ---- */

static uint32_t hash_of(nart__question q, const char *name)
{
    uint32_t h = UINT32_C(2166136261) ^ (uint32_t)q; /* FNV-1a */

    for (; *name; name++)
        h = (h ^ (unsigned char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name)) *
            UINT32_C(16777619);
    return h;
}

static nart__lookup **place_of(nart_resolver *r, uint32_t hash)
{
    return &r->bucket[hash % NART__LOOKUP_BUCKETS];
}

static bool is_kept(const nart__lookup *l)
{
    return l->in && l->answer.res != NART_PENDING;
}

/* Removes it from the table, and from the list of kept answers. */
static void drop(nart__lookup *l)
{
    nart_resolver *r = l->in;
    nart__lookup **p = place_of(r, l->hash);

    while (*p != l)
        p = &(*p)->chain;
    *p = l->chain;
    if (is_kept(l)) {
        *(l->older ? &l->older->newer : &r->oldest) = l->newer;
        *(l->newer ? &l->newer->older : &r->newest) = l->older;
        r->kept--;
    }
    l->in = NULL;
    free_unused(l);
}

static void keep(nart__lookup *l)
{
    nart_resolver *r = l->in;

    l->newer = NULL;
    l->older = r->newest;
    *(r->newest ? &r->newest->newer : &r->oldest) = l;
    r->newest = l;
    if (++r->kept > r->max_kept)
        drop(r->oldest);
}

static nart__lookup *find(nart_resolver *r, uint32_t hash, nart__question q, const char *name)
{
    for (nart__lookup *l = *place_of(r, hash), *next; l; l = next) {
        next = l->chain;
        if (l->hash != hash || l->question != q || strcasecmp(l->name, name) != 0)
            continue;
        if (l->answer.res == NART_PENDING || l->expires > nart__rt_now(r->rt))
            return l;
        drop(l);
    }
    return NULL;
}

void nart__lookup_done(nart__lookup *l, nart_res res, int ttl)
{
    for (nart__asker *a = l->askers; a; a = a->next)
        if (a->wait->task)
            nart__ready(a->wait->task);
    if (res > 0 && ttl > 0 && l->in->max_kept > 0) {
        l->answer.res = res;
        l->expires = nart_time_add(nart__rt_now(l->rt), (ttl < TTL_MAX ? ttl : TTL_MAX) * NART_SEC);
        keep(l);
        return;
    }
    drop(l); /* it is pending, so this does not free it */
    l->answer.res = res;
    free_unused(l);
}

/* ---- askers ---- */

nart_res nart__ask(nart_cx *cx, nart__asker *a, nart_resolver *via, nart__question q,
                   const char *name, nart__wait *wait)
{
    nart_rt *rt = nart__cx_rt(cx);

    if (!rt || rt->first)
        return NART_EDRIVER;
    if (!via && !rt->resolver) {
        nart_res r = nart_resolver_new(rt, NULL, &rt->resolver);
        if (r)
            return r;
    }
    nart_resolver *in = via ? via : rt->resolver;
    if (in->rt != rt)
        return NART_EDRIVER;
    uint32_t hash = hash_of(q, name);
    nart__lookup *l = find(in, hash, q, name);
    bool fresh = !l;
    if (fresh) {
        size_t size = sizeof *l + strlen(name) + 1;
        l = nart__alloc(&rt->alloc, size, _Alignof(nart__lookup));
        if (!l)
            return -ENOMEM;
        nart__lookup **place = place_of(in, hash);
        *l = (nart__lookup){ .chain = *place,
                             .in = in,
                             .rt = rt,
                             .answer = { .res = NART_PENDING },
                             .hash = hash,
                             .question = q,
                             .size = size };
        memcpy(l->name, name, strlen(name) + 1);
        *place = l;
    }
    *a = (nart__asker){ .next = l->askers, .prev = &l->askers, .lookup = l, .wait = wait };
    if (a->next)
        a->next->prev = &a->next;
    l->askers = a;
    if (fresh)
        nart__cares_send(in, l);
    return 0;
}

const nart__answer *nart__asked(nart_cx *cx, nart__asker *a)
{
    (void)cx;
    return &a->lookup->answer;
}

void nart__ask_end(nart__asker *a)
{
    nart__lookup *l = a->lookup;

    if (!l)
        return;
    *a->prev = a->next;
    if (a->next)
        a->next->prev = a->prev;
    *a = (nart__asker){ .lookup = NULL };
    free_unused(l);
}

/* ---- resolvers ---- */

static void resolver_end(nart_resolver *r)
{
    nart_rt *rt = r->rt;

    nart__cares_close(r); /* nothing is pending any more */
    while (r->oldest)
        drop(r->oldest);
    if (rt->resolver == r)
        rt->resolver = NULL;
    nart__free(&rt->alloc, r, sizeof *r, _Alignof(nart_resolver));
}

static void rt_gone(nart__exit_hook *g)
{
    resolver_end((nart_resolver *)(void *)g); /* its first member */
}

nart_res nart_resolver_new(nart_rt *rt, const nart_resolver_opts *opts, nart_resolver **out)
{
    nart_resolver_opts o = NART_RESOLVER_OPTS_INIT;

    if (!out)
        return -EINVAL;
    *out = NULL;
    nart_res r = nart__rt_check(rt);
    if (r == 0 && rt->first)
        r = NART_EDRIVER;
    if (r == 0)
        r = nart__sized_in(&o, sizeof o, opts, offsetof(nart_resolver_opts, reserved));
    if (r)
        return r;
    if (o.flags & ~(uint32_t)(NART_RESOLVER_NO_CACHE | NART_RESOLVER_NO_HOSTS) || o.timeout < 0 ||
        o.tries > INT32_MAX || o.ndots > 15)
        return -EINVAL;
    nart_resolver *in = nart__alloc(&rt->alloc, sizeof *in, _Alignof(nart_resolver));
    if (!in)
        return -ENOMEM;
    *in = (nart_resolver){ .rt = rt, .max_kept = o.cache ? o.cache : 256 };
    if (o.flags & NART_RESOLVER_NO_CACHE)
        in->max_kept = 0;
    r = nart__cares_open(in, &o);
    if (r) {
        nart__free(&rt->alloc, in, sizeof *in, _Alignof(nart_resolver));
        return r;
    }
    in->hook.rt_gone = rt_gone;
    nart__exit_hook_add(rt, &in->hook);
    *out = in;
    return 0;
}

nart_res nart_resolver_free(nart_resolver *r)
{
    nart_res allowed = r ? nart__rt_check(r->rt) : 0;

    if (!r || allowed == NART_EWRONGTHREAD)
        return allowed;
    nart__exit_hook_remove(&r->hook);
    resolver_end(r);
    return 0;
}

#endif

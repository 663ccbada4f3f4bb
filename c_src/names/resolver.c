/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* resolver.c: questions of operations, and the cache.
 *
 * What it keeps true
 *  1. A lookup is a question with its answer. It is in the table while it is pending or kept; so equal questions
 *     find it. It is freed when it is in no table and nobody asks.
 *  2. c-ares cannot withdraw one query. So a pending lookup belongs to c-ares until nart__lookup_done(), and askers
 *     come and go.
 *  3. Answers with a time to live are kept until it ends, by the runtime's clock; the one whose last use is longest
 *     ago is dropped when there are too many. Of the errors only the absence of a name or record is kept.
 *  4. When the hosts file or resolv.conf has changed, all answers are dropped, and pending ones are not kept: any name
 *     may be in it now, and other servers may know others. After a change of resolv.conf the pending questions are
 *     sent again, to its servers. A lookup looks at the files if none has done so in the last second.
 *
 * Bounds: `max_kept` answers, and the pending queries, whose time c-ares limits. Everything is O(1) but for
 * collisions in a table of 256. */
#include "resolver.h"

#include "../sys.h"

#ifdef NART_CARES

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#define CONF "/etc/resolv.conf"
#define NEGATIVE (5 * NART_SEC)

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

static void list_remove(nart__lookup *l)
{
    *(l->older ? &l->older->newer : &l->in->oldest) = l->newer;
    *(l->newer ? &l->newer->older : &l->in->newest) = l->older;
    l->in->kept--;
}

static void list_add(nart__lookup *l)
{
    l->newer = NULL;
    l->older = l->in->newest;
    *(l->older ? &l->older->newer : &l->in->oldest) = l;
    l->in->newest = l;
    l->in->kept++;
}

/* Removes it from the table, and from the list of kept answers. */
static void drop(nart__lookup *l)
{
    nart__lookup **p = place_of(l->in, l->hash);

    while (*p != l)
        p = &(*p)->chain;
    *p = l->chain;
    if (is_kept(l))
        list_remove(l);
    l->in = NULL;
    free_unused(l);
}

static void drop_kept(nart_resolver *r)
{
    while (r->oldest)
        drop(r->oldest);
}

static void use_again(nart__lookup *l)
{
    list_remove(l);
    list_add(l);
}

static nart__lookup *find(nart_resolver *r, uint32_t hash, nart__question q, const char *name)
{
    for (nart__lookup *l = *place_of(r, hash), *next; l; l = next) {
        next = l->chain;
        if (l->hash != hash || l->question != q || strcasecmp(l->name, name) != 0)
            continue;
        if (l->answer.res == NART_PENDING)
            return l;
        if (l->expires > nart__rt_now(r->rt)) {
            use_again(l);
            return l;
        }
        drop(l);
    }
    return NULL;
}

static nart__file_state state_of(const char *path)
{
    struct stat s;

    if (nart__sys_file_stat(-1, path, false, &s) < 0)
        return (nart__file_state){ 0 };
    return (nart__file_state){
        .changed = (uint64_t)s.st_ctim.tv_sec * NART_SEC + (uint64_t)s.st_ctim.tv_nsec,
        .size = (uint64_t)s.st_size,
        .inode = (uint64_t)s.st_ino,
        .device = (uint64_t)s.st_dev,
    };
}

const char *nart__conf_path(const nart_resolver *r)
{
    return r->opts.resolv_conf ? r->opts.resolv_conf : CONF;
}

static bool is_same(const nart__file_state *a, const nart__file_state *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Follows changes of the files. A resolv.conf that is missing or empty is being replaced: the servers stay. If it
 * cannot be read, it is tried again a second later. */
static void look_at_files(nart_resolver *r)
{
    int64_t now = nart__rt_now(r->rt);

    if (now < r->look_at)
        return;
    r->look_at = nart_time_add(now, NART_SEC);
    nart__file_state hosts = r->no_hosts || r->max_kept == 0 ? r->hosts : state_of(NART__HOSTS);
    nart__file_state conf = state_of(nart__conf_path(r));
    bool same = is_same(&hosts, &r->hosts);
    r->hosts = hosts;
    if (conf.size > 0 && !is_same(&conf, &r->conf) && nart__cares_reopen(r) == 0) {
        r->conf = conf;
        same = false;
    }
    if (same)
        return;
    r->changes++;
    drop_kept(r);
}

void nart__lookup_done(nart__lookup *l, nart_res res, int64_t keep)
{
    nart_resolver *r = l->in;

    for (nart__asker *a = l->askers; a; a = a->next)
        if (a->wait->task)
            nart__ready(a->wait->task);
    if (keep > 0 && r->max_kept > 0 && l->changes == r->changes) {
        l->answer.res = res;
        l->expires = nart_time_add(nart__rt_now(l->rt), keep);
        list_add(l);
        if (r->kept > r->max_kept)
            drop(r->oldest);
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
    look_at_files(in);
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
                             .changes = in->changes,
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

nart__answer *nart__asked(nart_cx *cx, nart__asker *a)
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

/* Copies the strings of its options. */
static nart_res keep_strings(nart_resolver *r)
{
    const char **const each[] = { &r->opts.servers, &r->opts.resolv_conf, &r->opts.domains };
    enum { N = sizeof each / sizeof *each };
    size_t len[N], at = 0;

    for (size_t i = 0; i < N; i++)
        r->strings_size += len[i] = *each[i] ? strlen(*each[i]) + 1 : 0;
    r->strings = nart__alloc(&r->rt->alloc, r->strings_size + 1, 1);
    if (!r->strings)
        return -ENOMEM;
    for (size_t i = 0; i < N; at += len[i++])
        if (*each[i])
            *each[i] = memcpy(r->strings + at, *each[i], len[i]);
    return 0;
}

static void resolver_release(nart_resolver *r)
{
    nart_rt *rt = r->rt;

    nart__free(&rt->alloc, r->strings, r->strings_size + 1, 1);
    nart__free(&rt->alloc, r, sizeof *r, _Alignof(nart_resolver));
}

static void resolver_end(nart_resolver *r)
{
    nart_rt *rt = r->rt;

    nart__cares_close(r); /* nothing is pending any more */
    drop_kept(r);
    if (rt->resolver == r)
        rt->resolver = NULL;
    resolver_release(r);
}

static void rt_gone(nart__exit_hook *g)
{
    resolver_end((nart_resolver *)(void *)g); /* its first member */
}

/* "192.0.2.1:53" or "[2001:db8::1]:53"? Without a scope, which c-ares does not have. */
static bool is_host_and_port(const char *before, const char *host, int len, const char *after)
{
    char text[INET6_ADDRSTRLEN + sizeof "[]:65535:53"];
    nart_addr addr;

    int n = snprintf(text, sizeof text, "%s%.*s%s", before, len, host, after);
    return n < (int)sizeof text && !strchr(text, '%') && nart_addr_parse(&addr, text) == 0 &&
           addr.storage.ss_family != AF_UNIX;
}

/* The port may be missing, and then the brackets. c-ares would take "192.0.2.1:99999", and cut the number. */
static bool are_servers(const char *list)
{
    for (const char *end; list; list = *end ? end + 1 : NULL) {
        end = list + strcspn(list, ",");
        int len = end - list < INT16_MAX ? (int)(end - list) : INT16_MAX;
        if (!is_host_and_port("", list, len, "") && !is_host_and_port("", list, len, ":53") &&
            !is_host_and_port("[", list, len, "]:53"))
            return false;
    }
    return true;
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
        o.negative < 0 || o.tries > INT32_MAX || o.ndots > 15 ||
        (o.servers && !are_servers(o.servers)))
        return -EINVAL;
    nart_resolver *in = nart__alloc(&rt->alloc, sizeof *in, _Alignof(nart_resolver));
    if (!in)
        return -ENOMEM;
    *in = (nart_resolver){ .rt = rt,
                           .max_kept = o.cache ? o.cache : 256,
                           .negative = o.negative ? o.negative : NEGATIVE,
                           .no_hosts = o.flags & NART_RESOLVER_NO_HOSTS,
                           .opts = o };
    if (o.flags & NART_RESOLVER_NO_CACHE)
        in->max_kept = 0;
    r = keep_strings(in);
    if (r == 0) {
        in->conf = state_of(nart__conf_path(in)); /* before it is read: so no change is missed */
        r = nart__cares_open(in);
    }
    if (r) {
        resolver_release(in);
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

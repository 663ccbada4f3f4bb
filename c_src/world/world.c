/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* world.c: a typed store of single values, and the functions that are called with them.
 *
 * Invariants
 *  1. A resource has any number of read accesses, or one write access.
 *  2. An access lasts as long as a call: accesses form a stack, of which w->open is the innermost, but for those
 *     of fibers that await within. So the rule is checked by comparing a new access with those on the stack. In the common case the stack is
 *     empty, and one test is enough, however many resources the access has.
 *  3. A value does not move, and its address is its identity: accesses compare addresses.
 *  4. A handler may outlive its world: it holds a reference to the world's head, and finds there that the
 *     world has been freed.
 *
 * Lookup is by the address of the nart_resource, in an open-addressed table that is at most half full.
 *
 * Bounds: a nested access compares its resources with each one in use: 8 x 8 per level at most.
 *
 * Not handled: two threads. All functions but nart_world_bind() compare the thread. */
#include "../base/alloc.h"
#include "../base/thread.h"

#include <nart/world.h>

#include <string.h>

struct resource {
    const nart_resource *key;
    struct resource *before; /* the one added before this one */
    void (*drop)(void *value);
    void *value;
};

struct world {
    nart_world head;         /* head.open is &ended when the world is being freed */
    struct resource *last;   /* the one added last */
    struct resource **table; /* by key */
    size_t places;           /* slots of the table, a power of two; 0: no table yet */
    size_t count;
    size_t refs; /* its own, and one per handler */
    nart_alloc alloc;
};

/* Is pushed onto the stack of a world that has been freed, so that the one test detects that, too. */
static nart__access ended;

static struct world *inside(const nart_world *w)
{
    return (struct world *)(uintptr_t)w;
}

static bool is_here(const nart_world *w)
{
    return w->thread == nart__thread_id;
}

/* 0, or the error with which the world cannot be used now on this thread. */
static nart_res check(const nart_world *w)
{
    if (!w)
        return -EINVAL;
    if (!is_here(w))
        return NART_EWRONGTHREAD;
    return w->open == &ended ? NART_ESTALE : 0;
}

/* ---- the table ---- */

static size_t table_bytes(size_t places)
{
    return places * sizeof(void *);
}

/* The slot of the key: where it is, or belongs. */
static struct resource **place_of(struct resource **table, size_t places, const nart_resource *key)
{
    /* Keys have neighbouring addresses: the product spreads them over its high bits. */
    size_t i = (size_t)((uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15) >> 32);

    while (table[i &= places - 1] && table[i]->key != key)
        i++;
    return &table[i];
}

static struct resource *find(const nart_world *w, const nart_resource *key)
{
    const struct world *in = inside(w);
    return in->places ? *place_of(in->table, in->places, key) : NULL;
}

static void free_table(struct world *w)
{
    nart__free(&w->alloc, w->table, table_bytes(w->places), _Alignof(void *));
}

/* Makes space for one more resource. */
static nart_res grow(struct world *w)
{
    if (w->count < w->places / 2)
        return 0;
    size_t places = w->places ? 2 * w->places : 16;
    struct resource **table = nart__alloc(&w->alloc, table_bytes(places), _Alignof(void *));
    if (!table)
        return -ENOMEM;
    memset(table, 0, table_bytes(places));
    for (struct resource *r = w->last; r; r = r->before)
        *place_of(table, places, r->key) = r;
    free_table(w);
    w->table = table;
    w->places = places;
    return 0;
}

/* ---- resources ---- */

static size_t align_of(const nart_resource *key)
{
    return key->align > _Alignof(struct resource) ? key->align : _Alignof(struct resource);
}

/* The value follows the head, at its own alignment; so a value of size 0 has an address of its own,
 * too. */
static size_t offset_of(const nart_resource *key)
{
    return (sizeof(struct resource) + align_of(key) - 1) & ~(align_of(key) - 1);
}

static size_t bytes_of(const nart_resource *key)
{
    return offset_of(key) + key->size;
}

static nart_res check_key(const nart_resource *key)
{
    if (!key)
        return -EINVAL;
    if (key->abi != NART_WORLD_ABI)
        return NART_EABI;
    bool sound = key->align && !(key->align & (key->align - 1)) && key->align <= PTRDIFF_MAX / 4 &&
                 key->size <= PTRDIFF_MAX / 2;
    return sound ? 0 : -EINVAL;
}

nart_res nart_world_add(nart_world *w, const nart_resource *key, const void *init,
                        void (*drop)(void *value))
{
    nart_res r = check(w);

    if (r == 0)
        r = check_key(key);
    if (r == 0 && find(w, key))
        r = -EEXIST;
    if (r == 0)
        r = grow(inside(w));
    if (r)
        return r;
    struct world *in = inside(w);
    struct resource *new = nart__alloc(&in->alloc, bytes_of(key), align_of(key));
    if (!new)
        return -ENOMEM;
    *new = (struct resource){ key, in->last, drop, (char *)new + offset_of(key) };
    if (init)
        memcpy(new->value, init, key->size);
    else
        memset(new->value, 0, key->size);
    *place_of(in->table, in->places, key) = new;
    in->last = new;
    in->count++;
    return 0;
}

nart_res nart_world_has(const nart_world *w, const nart_resource *key)
{
    nart_res r = check(w);
    if (r)
        return r;
    return find(w, key) ? 0 : -ENOENT;
}

/* ---- the world ---- */

nart_res nart_world_new(const nart_alloc *alloc, nart_world **out)
{
    if (!out)
        return -EINVAL;
    *out = NULL;
    if (!alloc)
        alloc = &nart__alloc_std;
    struct world *w = nart__alloc(alloc, sizeof *w, _Alignof(struct world));
    if (!w)
        return -ENOMEM;
    *w = (struct world){ .head.thread = nart__self_thread(), .refs = 1, .alloc = *alloc };
    *out = &w->head;
    return 0;
}

static void release(struct world *w)
{
    if (--w->refs == 0) {
        nart_alloc a = w->alloc;
        nart__free(&a, w, sizeof *w, _Alignof(struct world));
    }
}

static void drop_all(struct world *w)
{
    while (w->last) {
        struct resource *r = w->last;
        w->last = r->before;
        if (r->drop)
            r->drop(r->value);
        nart__free(&w->alloc, r, bytes_of(r->key), align_of(r->key));
    }
    free_table(w);
}

nart_res nart_world_free(nart_world *w)
{
    if (!w)
        return 0;
    if (!is_here(w))
        return NART_EWRONGTHREAD;
    if (w->open)
        return -EBUSY;
    w->open = &ended;
    drop_all(inside(w));
    release(inside(w));
    return 0;
}

nart_res nart_world_bind(nart_world *w)
{
    if (!w)
        return -EINVAL;
    if (w->open)
        return -EBUSY;
    w->thread = nart__self_thread();
    return 0;
}

/* ---- uses ---- */

/* Are value i of a and value j of b the same, and does one of the two write it? */
static bool clash(const nart__access *a, uint32_t i, const nart__access *b, uint32_t j)
{
    return a->value[i] == b->value[j] && (a->exclusive >> i | b->exclusive >> j) & 1;
}

static bool exclude(const nart__access *a, const nart__access *b)
{
    if (a == b)
        return true; /* a handler inside itself: it can be on the stack only once */
    for (uint32_t i = 0; i < a->count; i++)
        for (uint32_t j = 0; j < b->count; j++)
            if (clash(a, i, b, j))
                return true;
    return false;
}

static nart_res enter(nart_world *w, nart__access *a)
{
    nart_res r = check(w);

    if (r)
        return r;
    for (const nart__access *b = w->open; b; b = b->up)
        if (exclude(a, b))
            return NART_ECONFLICT;
    a->up = w->open;
    w->open = a;
    return 0;
}

/* The innermost one, unless a fiber has awaited within it: others may have begun since. */
static void leave(nart_world *w, const nart__access *a)
{
    nart__access **at = &w->open;

    while (*at != a)
        at = &(*at)->up;
    *at = a->up;
}

nart_res nart__world_enter(nart_world *w, const nart_resource *key, uint32_t exclusive,
                           nart__access *a)
{
    nart_res r = nart_world_has(w, key);

    if (r)
        return r;
    a->count = 1;
    a->exclusive = exclusive;
    a->value[0] = find(w, key)->value;
    return enter(w, a);
}

void nart__world_leave(nart_world *w, const nart__access *a)
{
    leave(w, a);
}

nart_res nart_world_read(nart_world *w, const nart_resource *key,
                         nart_res (*fn)(const void *value, void *arg), void *arg)
{
    nart__access a;
    nart_res r = fn ? nart__world_enter(w, key, 0, &a) : -EINVAL;

    if (r)
        return r;
    r = fn(a.value[0], arg);
    leave(w, &a);
    return r;
}

nart_res nart_world_write(nart_world *w, const nart_resource *key,
                          nart_res (*fn)(void *value, void *arg), void *arg)
{
    nart__access a;
    nart_res r = fn ? nart__world_enter(w, key, 1, &a) : -EINVAL;

    if (r)
        return r;
    r = fn(a.value[0], arg);
    leave(w, &a);
    return r;
}

/* ---- handlers ---- */

/* Looks the parameters up. */
static nart_res resolve(const nart_world *w, const nart_handler_type *type, nart__access *a)
{
    a->exclusive = type->exclusive;
    for (a->count = 0; type->param[a->count]; a->count++) {
        if (a->count == NART_HANDLER_PARAMS)
            return -EINVAL;
        const struct resource *r = find(w, type->param[a->count]);
        if (!r)
            return -ENOENT;
        a->value[a->count] = r->value;
        for (uint32_t i = 0; i < a->count; i++)
            if (clash(a, i, a, a->count))
                return NART_ECONFLICT;
    }
    return 0;
}

nart_res nart_handler_init(nart_handler *h, nart_world *w, const nart_handler_type *type)
{
    nart__access a = { 0 };
    nart_res r = h && type && type->call ? check(w) : -EINVAL;

    if (r)
        return r;
    if (type->abi != NART_WORLD_ABI)
        return NART_EABI;
    if (h->world)
        return -EALREADY;
    r = resolve(w, type, &a);
    if (r)
        return r;
    *h = (nart_handler){ .world = w, .call = type->call, .type = type, .access = a };
    inside(w)->refs++;
    return 0;
}

nart_res nart_handler_finish(nart_handler *h)
{
    if (!h || !h->world)
        return 0;
    nart_world *w = h->world;
    if (!is_here(w))
        return NART_EWRONGTHREAD;
    for (const nart__access *a = w->open; a; a = a->up)
        if (a == &h->access)
            return -EBUSY;
    *h = (nart_handler){ 0 };
    release(inside(w));
    return 0;
}

nart_res nart__handler_run(nart_handler *h, const void *event)
{
    nart_world *w = h->world;
    nart_res r = enter(w, &h->access);

    if (r)
        return r;
    r = h->call(h->access.value, event);
    leave(w, &h->access);
    h->access.up = NULL; /* as the fast path of nart_handler_run() expects */
    return r;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cache.h: a cache of values, with no allocation after cache_open(). A key has one slot, and displaces the
 * key that was there.
 *
 * What makes it right while reads and writes of one key overlap: only a read fills a slot, and only if no
 * write of the slot was under way at any time during the read. So it never holds a value that is older than
 * a write that has ended. All of it is used by one thread. */
#ifndef KVPROXY_CACHE_H
#define KVPROXY_CACHE_H

#include "request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_slot {
    uint32_t writes;  /* under way */
    uint32_t version; /* how many writes have ended */
    uint16_t key_len; /* 0: empty */
    uint16_t value_len;
    char key[KEY_MAX], value[VALUE_MAX];
};

struct cache {
    struct cache_slot *slots;
    size_t n;
};

/* For `n` values; 0 becomes 1. Returns 0 or -ENOMEM. */
int cache_open(struct cache *c, size_t n);
void cache_close(struct cache *c);

struct cache_slot *cache_slot(struct cache *c, const char *key, size_t len);

/* The value of the key, which is valid until the slot is used again; NULL: it is not in the cache. */
const char *cache_find(const struct cache_slot *slot, const char *key, size_t key_len, size_t *len);

/* Around a read from the store: remember what slot->version was when it began. The value is not kept if a
 * write of the slot has been under way since. */
void cache_fill(struct cache_slot *slot, uint32_t version, const char *key, size_t key_len,
                const char *value, size_t len);

/* Around a write to the store, also one that fails. It has ended when no read that begins later can miss it. */
void cache_write_begin(struct cache_slot *slot, const char *key, size_t len);
void cache_write_end(struct cache_slot *slot);

#endif

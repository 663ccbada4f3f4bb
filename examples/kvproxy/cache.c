/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cache.c: see cache.h. */
#include "cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cache_open(struct cache *c, size_t n)
{
    c->n = n > 0 ? n : 1;
    c->slots = calloc(c->n, sizeof *c->slots);
    return c->slots ? 0 : -ENOMEM;
}

void cache_close(struct cache *c)
{
    free(c->slots);
}

struct cache_slot *cache_slot(struct cache *c, const char *key, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)key[i]) * UINT64_C(1099511628211);
    return &c->slots[hash % c->n];
}

static bool has_key(const struct cache_slot *slot, const char *key, size_t len)
{
    return slot->key_len == len && memcmp(slot->key, key, len) == 0;
}

const char *cache_find(const struct cache_slot *slot, const char *key, size_t key_len, size_t *len)
{
    if (!has_key(slot, key, key_len))
        return NULL;
    *len = slot->value_len;
    return slot->value;
}

void cache_fill(struct cache_slot *slot, uint32_t version, const char *key, size_t key_len,
                const char *value, size_t len)
{
    if (slot->writes > 0 || slot->version != version)
        return; /* the value may be the one from before the write */
    slot->key_len = (uint16_t)key_len;
    slot->value_len = (uint16_t)len;
    memcpy(slot->key, key, key_len);
    memcpy(slot->value, value, len);
}

void cache_write_begin(struct cache_slot *slot, const char *key, size_t len)
{
    slot->writes++;
    if (has_key(slot, key, len))
        slot->key_len = 0;
}

void cache_write_end(struct cache_slot *slot)
{
    slot->writes--;
    slot->version++;
}

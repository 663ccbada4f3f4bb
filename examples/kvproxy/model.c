/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* model.c: see model.h. */
#include "model.h"

#include "request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t mix(const struct key *k, uint64_t version)
{
    uint64_t x = (uint64_t)k->owner << 48 ^ (uint64_t)k->index << 32 ^ version;

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

size_t key_name(const struct key *k, char *text)
{
    return (size_t)snprintf(text, NAME_MAX_LEN, "client-%u-key-%u", k->owner, k->index);
}

/* One in eight has the largest length. */
size_t key_value(const struct key *k, uint64_t version, char *text)
{
    uint64_t random = mix(k, version);
    size_t size = random % 8 == 0 ? VALUE_MAX : 64 + random / 8 % 128;
    size_t n = (size_t)snprintf(text, VALUE_MAX + 1, "%" PRIu64 " of client %u, key %u", version,
                                k->owner, k->index);

    for (; n < size; n++)
        text[n] = (char)('a' + (random + n) % 26);
    text[n] = '\0';
    return n;
}

bool key_deletes(const struct key *k, uint64_t version)
{
    return version == 0 || mix(k, version) / 1024 % 5 == 0;
}

uint64_t key_next(struct key *k)
{
    if (k->tried < k->from)
        k->tried = k->from - 1;
    return ++k->tried;
}

struct range key_range(const struct key *k)
{
    return (struct range){ k->low, k->from, k->tried };
}

static bool contains(struct range in, uint64_t version)
{
    return version == in.low || (in.from <= version && version <= in.to);
}

bool key_check(const struct key *k, struct range in, const char *value, size_t len,
               uint64_t *version)
{
    char expected[VALUE_MAX + 1];

    if (value) {
        *version = strtoull(value, NULL, 10);
        return contains(in, *version) && !key_deletes(k, *version) &&
               key_value(k, *version, expected) == len && memcmp(value, expected, len) == 0;
    }
    *version = in.low;
    for (uint64_t v = in.from; !key_deletes(k, *version) && v <= in.to; v++)
        *version = v;
    return key_deletes(k, *version);
}

bool key_may_exist(const struct key *k, struct range in)
{
    uint64_t v = in.from;

    while (v <= in.to && key_deletes(k, v))
        v++;
    return v <= in.to || !key_deletes(k, in.low);
}

void key_settle(struct key *k, uint64_t version, uint64_t tried)
{
    k->low = version;
    k->from = tried + 1;
}

void key_refused(struct key *k, uint64_t version)
{
    if (k->tried == version)
        k->tried--;
}

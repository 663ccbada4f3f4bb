/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* slab.c: slots in classes of doubling payload, 64 to 4096 bytes, in chunks that never move.
 *
 * 1. The first chunk of each class is mapped at the start, all in one mapping; a page uses memory from its
 *    first access on. A class that needs more slots maps a chunk as large as all its chunks together: so a
 *    million slots take a dozen chunks, and a program that reserves what it needs never maps again.
 * 2. A free slot is linked through its first word. Slots are reused last in, first out, because the last
 *    one is the most likely to be in the cache.
 * 3. Slots are numbered across all classes, in blocks of 64 numbers that belong to one chunk. A table
 *    of blocks maps a number to its slot in O(1). It may move: only the owner reads it.
 *
 * There are chunks rather than one large reservation per class, because address space is limited in places:
 * RLIMIT_AS, 32 bits, and tools that shadow memory count it.
 *
 * A class never uses slots of a larger one, so a limit is a limit of that class.
 * Not handled: returning pages to the system before the end. */
#include "slab.h"

#include "../sys.h"

#include <errno.h>
#include <string.h>

#define BLOCK 64u

_Static_assert(sizeof(nart__chunk) <= 64, "slots behind it keep their alignment");

/* The number of blocks for `count` slot numbers. */
static uint32_t blocks_of(uint32_t count)
{
    return (uint32_t)(((uint64_t)count + BLOCK - 1) / BLOCK);
}

/* Makes space for so many more blocks in the table. */
static int blocks_reserve(nart__slab *s, uint32_t more)
{
    uint32_t used = s->total / BLOCK, room = s->room ? s->room : 512;

    while (room - used < more)
        room *= 2;
    if (room == s->room)
        return 0;
    nart__chunk **table = nart__sys_map((size_t)room * sizeof(void *));
    if (!table)
        return -ENOMEM;
    if (s->blocks) {
        memcpy(table, s->blocks, (size_t)used * sizeof(void *));
        nart__sys_unmap(s->blocks, (size_t)s->room * sizeof(void *));
    }
    s->blocks = table;
    s->room = room;
    return 0;
}

/* Assigns the next numbers to the chunk; NULL: to none. The table has space. */
static uint32_t number_blocks(nart__slab *s, nart__chunk *chunk, uint32_t blocks)
{
    uint32_t first = s->total;

    for (uint32_t i = 0; i < blocks; i++)
        s->blocks[first / BLOCK + i] = chunk;
    s->total += blocks * BLOCK;
    return first;
}

/* Appends a chunk to its class. */
static void chunk_add(nart__slab *s, nart__class *k, nart__chunk *chunk)
{
    chunk->of = k;
    chunk->first = number_blocks(s, chunk, blocks_of(chunk->count));
    if (k->last)
        k->last->next = chunk;
    else
        k->chunks = chunk;
    k->last = chunk;
    k->made += chunk->count;
}

static void use(nart__class *k, nart__chunk *chunk)
{
    k->now = chunk;
    k->mem = chunk->mem;
    k->count = chunk->count;
    k->first = chunk->first;
    k->fresh = 0;
}

int nart__slab_init(nart__slab *s, uint32_t header, const uint32_t count[NART__CLASSES],
                    const uint32_t limit[NART__CLASSES])
{
    uint64_t blocks = 1, bytes = 0; /* one for nart__slab_number() */

    memset(s, 0, sizeof *s);
    s->header = header;
    for (int c = 0; c < NART__CLASSES; c++) {
        nart__class *k = &s->classes[c];
        k->limit = limit[c];
        k->stride = header + ((uint32_t)NART__CLASS_MIN << c);
        blocks += blocks_of(count[c]);
        bytes += (uint64_t)count[c] * k->stride;
    }
    if (blocks > NART__SLOTS_MAX / BLOCK)
        return -EINVAL;
    if (bytes > SIZE_MAX)
        return -ENOMEM;
    int err = blocks_reserve(s, (uint32_t)blocks);
    if (err)
        return err;
    s->bytes = (size_t)bytes;
    s->mem = nart__sys_map(s->bytes);
    if (!s->mem) {
        nart__slab_finish(s);
        return -ENOMEM;
    }
    unsigned char *p = s->mem;
    for (int c = 0; c < NART__CLASSES; c++) {
        nart__class *k = &s->classes[c];
        s->first[c] = (nart__chunk){ .mem = p, .count = count[c] };
        chunk_add(s, k, &s->first[c]);
        use(k, &s->first[c]);
        p += (size_t)count[c] * k->stride;
    }
    return 0;
}

void nart__slab_finish(nart__slab *s)
{
    for (int c = 0; c < NART__CLASSES; c++)
        for (nart__chunk *chunk = s->classes[c].chunks, *next; chunk; chunk = next) {
            next = chunk->next;
            NART__UNPOISON(chunk->mem, (size_t)chunk->count * chunk->of->stride);
            if (chunk->bytes)
                nart__sys_unmap(chunk, chunk->bytes);
        }
    if (s->mem)
        nart__sys_unmap(s->mem, s->bytes);
    if (s->blocks)
        nart__sys_unmap(s->blocks, (size_t)s->room * sizeof(void *));
    memset(s, 0, sizeof *s);
}

int nart__slab_number(nart__slab *s, uint32_t *number)
{
    int err = blocks_reserve(s, 1);

    if (err == 0)
        *number = number_blocks(s, NULL, 1);
    return err;
}

/* A chunk with its head in its own mapping, or NULL. */
static nart__chunk *chunk_new(const nart__class *k, uint32_t count)
{
    uint64_t bytes = 64 + (uint64_t)count * k->stride;

    nart__chunk *chunk = bytes > SIZE_MAX ? NULL : nart__sys_map((size_t)bytes);
    if (chunk) {
        chunk->mem = (unsigned char *)chunk + 64;
        chunk->bytes = (size_t)bytes;
        chunk->count = count;
    }
    return chunk;
}

int nart__slab_reserve(nart__slab *s, int c, uint32_t slots)
{
    nart__class *k = &s->classes[c];

    if (slots <= k->made)
        return 0;
    uint32_t need = slots - k->made, numbers = NART__SLOTS_MAX / BLOCK * BLOCK - s->total;
    if (slots > k->limit || need > numbers)
        return NART_ESLOTS;
    uint32_t n = need > k->made ? need : k->made;
    if (n > k->limit - k->made)
        n = k->limit - k->made;
    if (n > numbers)
        n = numbers;
    if (blocks_reserve(s, blocks_of(n)))
        return -ENOMEM;
    nart__chunk *chunk;
    while (!(chunk = chunk_new(k, n)) && n > need) /* fewer, when memory is short */
        n = n / 2 > need ? n / 2 : need;
    if (!chunk)
        return -ENOMEM;
    chunk_add(s, k, chunk);
    return 0;
}

void nart__slab_advance(nart__slab *s, int c)
{
    nart__class *k = &s->classes[c];

    k->now->used = k->fresh;
    use(k, k->now->next);
}

static void *slot_of(const nart__chunk *chunk, uint32_t slot)
{
    return chunk->mem + (size_t)(slot - chunk->first) * chunk->of->stride;
}

void *nart__slab_at(const nart__slab *s, uint32_t slot)
{
    const nart__chunk *chunk = slot < s->total ? s->blocks[slot / BLOCK] : NULL;

    return chunk && slot - chunk->first < nart__chunk_used(chunk) ? slot_of(chunk, slot) : NULL;
}

void *nart__slab_next(const nart__slab *s, uint32_t *slot)
{
    while (*slot < s->total) {
        const nart__chunk *chunk = s->blocks[*slot / BLOCK];
        if (chunk && *slot - chunk->first < nart__chunk_used(chunk))
            return slot_of(chunk, (*slot)++);
        *slot = chunk ? chunk->first + blocks_of(chunk->count) * BLOCK : *slot + BLOCK;
    }
    return NULL;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* slab.c: slots in classes of doubling payload, 64 to 4096 bytes, mapped once and never grown.
 *
 * 1. All classes lie in one mapping, reserved at the start; a page costs memory when it is first
 *    touched. So a runtime never allocates when it spawns, and unused room costs nothing.
 * 2. A free slot is linked through its first word and taken again last in, first out: the slot
 *    whose cache lines are warm.
 * 3. Slots are numbered through all classes; a number leads to its slot in at most seven compares.
 *
 * Bound: a class never lends from a larger one, so what a class holds is known before the start.
 * Not handled: giving pages back before the end. */
#include "slab.h"

#include "../sys.h"

#include <errno.h>
#include <string.h>

int nart__slab_init(nart__slab *s, uint32_t header, const uint32_t count[NART__CLASSES])
{
    uint64_t slots = 0, bytes = 0;

    memset(s, 0, sizeof *s);
    s->header = header;
    for (int c = 0; c < NART__CLASSES; c++) {
        nart__class *k = &s->classes[c];
        k->count = count[c];
        k->first = (uint32_t)slots;
        k->stride = header + ((uint32_t)NART__CLASS_MIN << c);
        slots += count[c];
        bytes += (uint64_t)count[c] * k->stride;
    }
    if (slots > INT32_MAX)
        return -EINVAL;
    s->total = (uint32_t)slots;
    s->bytes = bytes;
    if (bytes == 0)
        return 0;
    s->mem = nart__sys_map(bytes);
    if (!s->mem)
        return -ENOMEM;
    unsigned char *p = s->mem;
    for (int c = 0; c < NART__CLASSES; c++) {
        s->classes[c].mem = p;
        p += (size_t)s->classes[c].count * s->classes[c].stride;
    }
    return 0;
}

void nart__slab_finish(nart__slab *s)
{
    if (s->mem)
        nart__sys_unmap(s->mem, s->bytes);
    memset(s, 0, sizeof *s);
}

void *nart__slab_at(const nart__slab *s, uint32_t slot)
{
    for (int c = 0; c < NART__CLASSES; c++) {
        const nart__class *k = &s->classes[c];
        if (slot - k->first < k->fresh)
            return k->mem + (size_t)(slot - k->first) * k->stride;
    }
    return NULL;
}

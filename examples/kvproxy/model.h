/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* model.h: what a store may answer, to check what it does answer.
 *
 * One client writes a key, one write after the other, each a version: a value that names the version, or a
 * deletion. Others only read it. A write that was not acknowledged was done or was not; a read that follows
 * it on the same connection settles that. */
#ifndef KVPROXY_MODEL_H
#define KVPROXY_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The store has the version `low`, or one from `from` to `tried`. 0: the key was never written. */
struct key {
    unsigned owner, index;
    uint64_t low, from, tried;
};

/* The versions that a reply may be of. */
struct range {
    uint64_t low, from, to;
};

enum { NAME_MAX_LEN = 48 };

size_t key_name(const struct key *k, char *text);                    /* NAME_MAX_LEN */
size_t key_value(const struct key *k, uint64_t version, char *text); /* VALUE_MAX + 1 */
bool key_deletes(const struct key *k, uint64_t version);

/* The next version, which is now tried. */
uint64_t key_next(struct key *k);

/* Now, for a request that is sent now, unless another client writes the key before the reply. */
struct range key_range(const struct key *k);

/* Whether a value, or no value (NULL), is right. Sets the version that it is of. */
bool key_check(const struct key *k, struct range in, const char *value, size_t len,
               uint64_t *version);

/* Whether there may be a value. */
bool key_may_exist(const struct key *k, struct range in);

/* The store has this version, and none up to `tried` will follow. */
void key_settle(struct key *k, uint64_t version, uint64_t tried);

/* This version was refused: it is not done, nor will be. */
void key_refused(struct key *k, uint64_t version);

#endif

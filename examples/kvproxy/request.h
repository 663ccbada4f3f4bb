/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* request.h: a line of a client. */
#ifndef KVPROXY_REQUEST_H
#define KVPROXY_REQUEST_H

#include <stddef.h>

enum { KEY_MAX = 64, VALUE_MAX = 1024, LINE_MAX_LEN = 4 + KEY_MAX + 1 + VALUE_MAX };

enum verb { VERB_PING, VERB_STATS, VERB_GET, VERB_SET, VERB_DEL };

struct request {
    enum verb verb;
    const char *key, *value; /* within the line */
    size_t key_len, value_len;
};

/* Parses a line without its end. Returns NULL, or what is wrong with it. */
const char *request_parse(struct request *q, const char *line, size_t len);

#endif

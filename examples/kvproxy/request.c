/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* request.c: PING, STATS, GET key, SET key value, DEL key. A key is up to the next space, and a value is all
 * the rest, also if it is empty. */
#include "request.h"

#include <string.h>

struct command {
    const char *word;
    int fields; /* that follow */
};

static const struct command commands[] = {
    [VERB_PING] = { "PING", 0 }, [VERB_STATS] = { "STATS", 0 }, [VERB_GET] = { "GET", 1 },
    [VERB_SET] = { "SET", 2 },   [VERB_DEL] = { "DEL", 1 },
};

/* Its length, up to a space or the end. */
static size_t word_length(const char *text, size_t len)
{
    const char *end = memchr(text, ' ', len);

    return end ? (size_t)(end - text) : len;
}

static const struct command *find_command(const char *line, size_t len, enum verb *verb)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strlen(commands[i].word) == len && memcmp(commands[i].word, line, len) == 0) {
            *verb = (enum verb)i;
            return &commands[i];
        }
    }
    return NULL;
}

const char *request_parse(struct request *q, const char *line, size_t len)
{
    size_t n = word_length(line, len);
    const struct command *command = find_command(line, n, &q->verb);

    if (!command)
        return "unknown command";
    if (command->fields == 0)
        return n == len ? NULL : "too many words";
    if (n == len)
        return "no key";
    q->key = line + n + 1;
    len -= n + 1;
    q->key_len = word_length(q->key, len);
    if (q->key_len == 0)
        return "no key";
    if (q->key_len > KEY_MAX)
        return "the key is too long";
    if (command->fields == 1)
        return q->key_len == len ? NULL : "too many words";
    if (q->key_len == len)
        return "no value";
    q->value = q->key + q->key_len + 1;
    q->value_len = len - q->key_len - 1;
    return q->value_len > VALUE_MAX ? "the value is too long" : NULL;
}

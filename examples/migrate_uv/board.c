/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "board.h"

#include <stdio.h>
#include <string.h>

static struct member *first;

bool board_times(int argc, char **argv, uint64_t *idle_ms, uint64_t *beat_ms)
{
    uint64_t *const times[] = { idle_ms, beat_ms };
    char more;

    for (int i = 1; i < argc; i++) {
        int ms = 0;
        if (i > 2 || sscanf(argv[i], "%9d%c", &ms, &more) != 1 || ms < 1) {
            fprintf(stderr, "usage: %s [IDLE [BEAT]], both in milliseconds\n", argv[0]);
            return false;
        }
        *times[i - 1] = (uint64_t)ms;
    }
    return true;
}

void board_join(struct member *m)
{
    m->next = first;
    first = m;
}

void board_leave(struct member *m)
{
    for (struct member **at = &first; *at; at = &(*at)->next) {
        if (*at == m) {
            *at = m->next;
            return;
        }
    }
}

struct member *board_first(void)
{
    return first;
}

static unsigned publish(const char *topic, const char *text)
{
    char line[LINE];
    unsigned n = 0;

    snprintf(line, sizeof line, "MSG %.31s %.80s\n", topic, text);
    for (struct member *m = first, *next; m; m = next) {
        next = m->next; /* deliver() may make it leave */
        if (strcmp(m->topic, topic) == 0) {
            deliver(m, line);
            n++;
        }
    }
    return n;
}

void board_beat(unsigned number)
{
    char text[16];

    snprintf(text, sizeof text, "%u", number);
    publish("beat", text);
}

bool board_line(struct member *m, char reply[LINE])
{
    char *end = memchr(m->in, '\n', m->len), topic[TOPIC], text[81], rest;

    if (!end)
        return false;
    *end = '\0';
    if (strcmp(m->in, "PING") == 0) {
        snprintf(reply, LINE, "PONG\n");
    } else if (sscanf(m->in, "SUB %31s%c", topic, &rest) == 1) {
        snprintf(m->topic, sizeof m->topic, "%s", topic);
        snprintf(reply, LINE, "OK\n");
    } else if (sscanf(m->in, "PUB %31s %80[^\n]", topic, text) == 2) {
        snprintf(reply, LINE, "OK %u\n", publish(topic, text));
    } else {
        snprintf(reply, LINE, "ERR\n");
    }
    m->len -= (size_t)(end + 1 - m->in);
    memmove(m->in, end + 1, m->len);
    return true;
}

bool board_is_stuck(const struct member *m)
{
    return m->len == sizeof m->in;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "meter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse(const char *text, int64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    return strchr("+-0123456789", *text) && end > text && *end == '\0' && errno == 0;
}

static bool is_name(const char *text)
{
    size_t n = strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    return n > 0 && n < 16 && text[n] == '\0';
}

bool meter_line(struct meter *m, const char *line, char reply[METER_REPLY])
{
    int64_t value;

    if (strncmp(line, "ADD ", 4) == 0 && parse(line + 4, &value)) {
        if (m->count == 0 || m->max < value)
            m->max = value;
        m->count++;
        m->sum = (int64_t)((uint64_t)m->sum + (uint64_t)value);
        snprintf(reply, METER_REPLY, "OK %" PRId64 " %" PRId64 " %" PRId64 "\n", m->count, m->sum,
                 m->max);
        return false;
    }
    if (strncmp(line, "SAVE ", 5) == 0 && is_name(line + 5)) {
        memset(m->name, 0, sizeof m->name);
        memcpy(m->name, line + 5, strlen(line + 5));
        snprintf(reply, METER_REPLY, "SAVED\n");
        return true;
    }
    snprintf(reply, METER_REPLY, "ERR\n");
    return false;
}

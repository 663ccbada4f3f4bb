/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef METER_H
#define METER_H

#include <stdbool.h>
#include <stdint.h>

enum { METER_REPLY = 80 };

/* Of one client. */
struct meter {
    char name[16];
    int64_t count, sum, max;
};

/* Executes a line, and writes the reply. True: the meter is to be saved before it is sent. */
bool meter_line(struct meter *m, const char *line, char reply[METER_REPLY]);

#endif

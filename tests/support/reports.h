/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reports.h: a callback for the lines that a runtime reports, which counts them and keeps the first. */
#ifndef NART_TEST_REPORTS_H
#define NART_TEST_REPORTS_H

#include <string.h>

static int reports;
static char reported[1024]; /* each line ends with \n */

static inline void keep_report(void *arg, const char *line)
{
    (void)arg;
    reports++;
    if (strlen(reported) + strlen(line) + 2 < sizeof reported) {
        strcat(reported, line);
        strcat(reported, "\n");
    }
}

#endif

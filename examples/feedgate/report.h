/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* report.h: the results of a run. */
#ifndef FEEDGATE_REPORT_H
#define FEEDGATE_REPORT_H

#include "gate.h"

enum { FAULTS = 4 };

struct result {
    nart_tokio_report tokio;
    uint64_t last[GATE_SUBSCRIBERS]; /* each subscriber's last sequence */
    int subscribers;                 /* that reported one */
    uint64_t faults[FAULTS]; /* how often the price server was slow, refused, reset, stalled */
    bool processes_ok;
};

/* Prints the table. True when every check holds. */
bool report(const struct gate *g, const struct result *res);

#endif

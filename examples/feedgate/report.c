/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* report.c: the table at the end, and the checks on which the exit status stands. */
#include "report.h"

#include <inttypes.h>

static const char *const outcome_names[OUTCOMES] = { "ok", "refused (500)", "timed out", "broken off",
                                                     "other" };

static uint64_t sum(const uint64_t *n)
{
    uint64_t s = 0;
    for (int i = 0; i < OUTCOMES; i++)
        s += n[i];
    return s;
}

static bool check(bool holds, const char *what)
{
    printf("  %-4s %s\n", holds ? "ok" : "FAIL", what);
    return holds;
}

static void latency_row(const char *name, const struct histogram *h)
{
    printf("  %-24s %9.1f %9.1f %9.1f %9.1f\n", name, (double)histogram_at(h, 0.5) / 1e3,
           (double)histogram_at(h, 0.99) / 1e3, (double)histogram_at(h, 0.999) / 1e3,
           (double)h->max / 1e3);
}

static void cold_row(const char *name, uint64_t submitted, const uint64_t *outcomes)
{
    printf("  %-24s %" PRIu64 " submitted:", name, submitted);
    for (int i = 0; i < OUTCOMES; i++)
        if (outcomes[i])
            printf(" %" PRIu64 " %s", outcomes[i], outcome_names[i]);
    printf("\n");
}

static bool subscribers_agree(const struct result *res, uint64_t seq)
{
    bool agree = res->subscribers > 0;
    for (int i = 0; i < res->subscribers; i++)
        agree = agree && res->last[i] == seq;
    return agree;
}

bool report(const struct gate *g, const struct result *res)
{
    uint64_t sent = g->last_sent;
    uint64_t lost = sent > g->messages ? sent - g->messages : 0;
    uint64_t allocs = g->allocs_last - g->allocs_first;
    const nart_tokio_report *t = &res->tokio;
    bool whole = !res->interrupted, good = true;

    printf("\nfeedgate: %" PRIu64 " messages sent, %" PRIu64 " processed, %" PRIu64
           " lost (%.3f %%), %" PRIu64 " late\n",
           sent, g->messages, lost, sent ? 100.0 * (double)lost / (double)sent : 0.0, g->book.late);
    printf("\n  latency in us                  p50       p99     p99.9       max\n");
    latency_row("arrival to book", &g->since_arrival);
    latency_row("exchange to book", &g->since_sent);
    printf("\n  arrival to book\n");
    histogram_print(&g->since_arrival, stdout);
    printf("\n");
    cold_row("reference prices (HTTP)", g->fetched, g->fetch_outcome);
    cold_row("snapshots (fsync)", g->saved, g->save_outcome);
    printf("  %-24s %" PRIu64 " submitted: %" PRIu64 " ok %" PRIu64 " error %" PRIu64
           " cancelled %" PRIu64 " shutdown\n",
           "operations of the bridge", t->submitted, t->ok, t->error, t->cancelled, t->shutdown);
    printf("  %-24s", "subscribers' last");
    for (int i = 0; i < res->subscribers; i++)
        printf(" %" PRIu64, res->last[i]);
    printf(" (book: %" PRIu64 ")\n", g->book.seq);
    if (g->allocs_first == UINT64_MAX)
        printf("  allocations on the hot thread are not counted in this build\n");
    else
        printf("  %-24s %" PRIu64 "\n", "hot-thread allocations", allocs);

    printf("\n");
    good &= check(g->messages > 0, "messages were processed");
    good &= check(lost * 1000 <= sent, "at most 0.1 % lost");
    good &= check(g->allocs_first == UINT64_MAX || allocs == 0,
                  "no allocation on the hot thread from the first message to the last");
    good &= check(sum(g->fetch_outcome) == g->fetched && sum(g->save_outcome) == g->saved,
                  "every cold operation ended once");
    good &= check(t->submitted == g->fetched + g->saved &&
                      t->submitted == t->ok + t->error + t->cancelled + t->panicked + t->shutdown &&
                      t->leaked_tasks == 0 && t->leaked_blocking == 0,
                  "the bridge counts the same, and leaked nothing");
    good &= check(subscribers_agree(res, g->book.seq), "subscribers saw the book's last sequence");
    if (whole)
        good &= check(g->fetch_outcome[OUTCOME_STATUS] >= 3 &&
                          g->fetch_outcome[OUTCOME_TIMEOUT] >= 3 &&
                          g->fetch_outcome[OUTCOME_BROKEN] >= 3 && g->save_outcome[OUTCOME_OK] >= 3,
                      "the price server failed in each way at least 3 times");
    good &= check(res->children_ok, "all processes ended well");
    return good;
}

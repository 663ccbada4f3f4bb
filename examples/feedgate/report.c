/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* report.c: the table at the end, and the checks that decide the exit status. */
#include "report.h"

static uint64_t failures(const struct cold *c)
{
    return c->outcomes[OUTCOME_STATUS] + c->outcomes[OUTCOME_TIMEOUT] + c->outcomes[OUTCOME_BROKEN];
}

static bool all_ended(const struct cold *c)
{
    return c->outcomes[OUTCOME_OK] + failures(c) == c->submitted;
}

/* ---- rows ---- */

static void latency_row(const char *name, const struct histogram *h)
{
    printf("  %-22s %9.1f %9.1f %9.1f %9.1f\n", name, (double)histogram_at(h, 0.5) / 1e3,
           (double)histogram_at(h, 0.99) / 1e3, (double)histogram_at(h, 0.999) / 1e3,
           (double)h->max / 1e3);
}

static void cold_row(const char *name, const struct cold *c)
{
    printf("  %-22s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "\n", name,
           c->submitted, c->outcomes[OUTCOME_OK], c->outcomes[OUTCOME_STATUS],
           c->outcomes[OUTCOME_TIMEOUT], c->outcomes[OUTCOME_BROKEN]);
}

static void print_table(const struct gate *g, const struct result *res, uint64_t lost)
{
    printf("\n%34s %9s %9s %9s\n", "sent", "processed", "lost", "late");
    printf("  %-22s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "\n", "messages",
           g->last_sent, g->messages, lost, g->book.late);
    printf("\n%34s %9s %9s %9s\n", "p50", "p99", "p99.9", "max");
    latency_row("arrival to book, us", &g->since_arrival);
    latency_row("generator to book, us", &g->since_sent);
    printf("\n%34s %9s %9s %9s %9s\n", "submitted", "ok", "refused", "timed out", "broken");
    cold_row("prices by HTTP", &g->fetched);
    cold_row("snapshots, fsync", &g->saved);
    printf("  the price server was slow %" PRIu64 ", refused %" PRIu64 ", reset %" PRIu64
           ", stalled %" PRIu64 " times\n",
           res->faults[0], res->faults[1], res->faults[2], res->faults[3]);
    printf("\n  last sequence: %" PRIu64 " in the book;", g->book.seq);
    for (int i = 0; i < res->subscribers; i++)
        printf(" %" PRIu64, res->last[i]);
    printf(" at the subscribers\n\n  arrival to book, messages by power of two\n");
    histogram_print(&g->since_arrival, stdout);
}

/* ---- checks ---- */

static bool check(bool holds, const char *what)
{
    printf("  %-4s %s\n", holds ? "ok" : "FAIL", what);
    return holds;
}

static bool check_allocations(const struct gate *g)
{
    char what[120];

    if (g->allocs_first == UINT64_MAX) {
        printf("  --   allocations on the hot thread are not counted in this build\n");
        return true;
    }
    snprintf(what, sizeof what,
             "%" PRIu64 " allocations on the hot thread from the first message to the last",
             g->allocs_last - g->allocs_first);
    return check(g->allocs_last == g->allocs_first, what);
}

static bool bridge_agrees(const struct gate *g, const nart_tokio_report *t)
{
    return t->submitted == g->fetched.submitted + g->saved.submitted &&
           t->submitted == t->ok + t->error + t->cancelled + t->panicked + t->shutdown &&
           t->leaked_tasks == 0 && t->leaked_blocking == 0;
}

static bool subscribers_agree(const struct gate *g, const struct result *res)
{
    bool agree = res->subscribers == g->opts.subscribers;
    for (int i = 0; i < res->subscribers; i++)
        agree = agree && res->last[i] == g->book.seq;
    return agree;
}

/* A run that was cut short need not have met every fault three times. */
static bool faults_were_met(const struct gate *g, const struct result *res)
{
    uint64_t sum = 0;
    bool often = true;

    for (int i = 0; i < FAULTS; i++) {
        sum += res->faults[i];
        often = often && res->faults[i] >= 3;
    }
    return failures(&g->fetched) >= sum && (often || g->cut_short);
}

bool report(const struct gate *g, const struct result *res)
{
    uint64_t taken = g->messages - g->book.late;
    uint64_t lost = g->last_sent > taken ? g->last_sent - taken : 0;
    bool good = true;

    print_table(g, res, lost);
    printf("\n");
    good &= check(g->last_sent > 0 && lost * 1000 <= g->last_sent, "at most 0.1 % lost");
    good &= check_allocations(g);
    good &= check(all_ended(&g->fetched) && all_ended(&g->saved),
                  "each cold operation ended in one way");
    good &= check(bridge_agrees(g, &res->tokio), "the bridge counts the same, and leaked nothing");
    good &= check(faults_were_met(g, res), "the price server's faults were met, and seen");
    good &= check(subscribers_agree(g, res), "the last sequence at each subscriber is the book's");
    good &= check(g->failed == 0 && res->processes_ok, "all tasks and processes ended well");
    return good;
}

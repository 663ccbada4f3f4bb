/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/watchdog.c: a thread that observes the polls of another. Thread 0 polls, thread 1 observes.
 * loom only: relacy has no atomic pointers to const. */
#include "model.h"

#include "observe/observe.h"

enum { POLLS = 2, NOW = 100, EACH = 10 };

typedef struct state {
    nart_watchdog dog;
} state;

static state *s;

static const char names[POLLS + 1] = { 0 };

int64_t nart__sys_now(void)
{
    return NOW;
}

static void make(void)
{
    s = MODEL_NEW(state);
    NART__STORE(&s->dog.since, (int64_t)0, NART__RELAXED);
    NART__STORE(&s->dog.name, (const char *)NULL, NART__RELAXED);
}

static void unmake(void)
{
    MODEL_DELETE(s);
}

static void poll_begins(int k)
{
    nart__watchdog_note(&s->dog, k * EACH, names + k);
}

static void poll_ends(void)
{
    nart__watchdog_note(&s->dog, 0, NULL);
}

/* The number of the running poll, after checking that its name matches. 0: none. */
static int look(const char **name)
{
    nart_res r = nart_watchdog_look(&s->dog, name);
    int k = r ? (NOW - (int)r) / EACH : 0;

    MODEL_CHECK(r >= 0 && k <= POLLS);
    MODEL_CHECK(!*name || (k > 0 && *name == names + k));
    return k;
}

/* ---- polls begin and end ---- */

static void polls(unsigned i)
{
    const char *name = NULL;

    if (i == 0) {
        for (int k = 1; k <= POLLS; k++) {
            poll_begins(k);
            poll_ends();
        }
        return;
    }
    int first = look(&name), second = look(&name);
    MODEL_CHECK(first == 0 || second == 0 || first <= second);
}

/* ---- one poll hangs: it is reported with its name ---- */

static void one_stays(unsigned i)
{
    const char *name = NULL;

    if (i == 0) {
        poll_begins(1);
        poll_ends();
        poll_begins(2);
        return;
    }
    while (look(&name) != 2)
        nart__relax();
    MODEL_CHECK(name == names + 2);
}

const model_scenario model_scenarios[] = {
    { "one_stays", 2, make, one_stays, unmake, 3, 0 },
    { "polls", 2, make, polls, unmake, 3, 0 },
    { NULL, 0, NULL, NULL, NULL, 0, 0 },
};

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The timer wheel against a sorted array, in simulated time: nothing here reads a clock. The
 * cost of a call is counted in timers touched, never in time. */
#include "core/timer_wheel.h"
#include "runtime.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define US INT64_C(1000)
#define MS (1000 * US)
#define SEC (1000 * MS)
#define HOUR (3600 * SEC)
#define YEAR (8766 * HOUR)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static nart__wheel wheel;

static uint64_t random_state;

static uint64_t below(uint64_t n)
{
    return random_next(&random_state) % n;
}

/* a + b, saturating at the ends of the range. */
static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static nart__tnode *expire(int64_t now)
{
    unsigned budget = UINT32_MAX;

    return nart__wheel_expire(&wheel, now, &budget);
}

/* ---- a model: the timers in an array, sorted by deadline and order of insertion ---- */

#define MODEL_MAX 300u

struct model {
    unsigned length;
    int64_t now;
    struct entry {
        int64_t at;
        unsigned node;
    } entry[MODEL_MAX];
};

static struct model model;
static nart__tnode node[MODEL_MAX];
static bool inside[MODEL_MAX];

/* A removed node holds nothing that the wheel may still access. */
static void poison(unsigned i)
{
    memset(&node[i], 0x5A, sizeof node[i]);
}

static void check_poisoned(unsigned i)
{
    const unsigned char *byte = (const unsigned char *)&node[i];

    for (size_t k = 0; k < sizeof node[i]; k++)
        CHECK_EQ(byte[k], 0x5A);
}

static void model_start(int64_t now)
{
    model.length = 0;
    model.now = now;
    nart__wheel_init(&wheel, now);
    for (unsigned i = 0; i < MODEL_MAX; i++) {
        inside[i] = false;
        poison(i);
    }
}

static void model_cut(unsigned position)
{
    model.length--;
    memmove(&model.entry[position], &model.entry[position + 1],
            (model.length - position) * sizeof model.entry[0]);
}

/* Checks what `next` guarantees. */
static void model_check_next(void)
{
    CHECK_EQ(nart__wheel_empty(&wheel), model.length == 0);
    if (model.length == 0)
        CHECK_EQ(nart__wheel_next(&wheel), INT64_MAX);
    else
        CHECK_LE(nart__wheel_next(&wheel), model.entry[0].at);
}

static void model_add(unsigned i, int64_t at)
{
    unsigned position = model.length;

    check_poisoned(i);
    node[i].next = NULL;
    nart__wheel_add(&wheel, &node[i], at);
    inside[i] = true;

    at = at < model.now ? model.now : at;
    CHECK_EQ(node[i].at, at);
    while (position > 0 && model.entry[position - 1].at > at)
        position--;
    memmove(&model.entry[position + 1], &model.entry[position],
            (model.length - position) * sizeof model.entry[0]);
    model.entry[position] = (struct entry){ at, i };
    model.length++;
    model_check_next();
}

static void model_remove(unsigned i)
{
    unsigned position = 0;

    nart__wheel_remove(&wheel, &node[i]);
    CHECK(node[i].next == NULL);
    nart__wheel_remove(&wheel, &node[i]); /* not inserted: no effect */
    inside[i] = false;
    poison(i);
    while (model.entry[position].node != i)
        position++;
    model_cut(position);
    model_check_next();
}

/* Expires all that is due by `now`, within the budget and in the right order. */
static void model_expire(int64_t now, unsigned budget)
{
    model.now = now > model.now ? now : model.now;
    for (;;) {
        unsigned before = budget;
        nart__tnode *n = nart__wheel_expire(&wheel, now, &budget);

        CHECK_LE(budget, before);
        if (n == NULL)
            break;
        CHECK(budget < before);
        CHECK(model.length > 0);
        CHECK_EQ(n - node, model.entry[0].node);
        CHECK_EQ(n->at, model.entry[0].at);
        CHECK_LE(n->at, model.now);
        CHECK(n->next == NULL);
        inside[n - node] = false;
        poison((unsigned)(n - node));
        model_cut(0);
    }
    model_check_next();
    if (budget > 0 && model.length > 0) { /* nothing more is due, and there is time to sleep */
        CHECK(model.entry[0].at > model.now);
        CHECK(nart__wheel_next(&wheel) > model.now);
    }
    if (model.length > 0 && model.entry[0].at <= model.now)
        CHECK_LE(nart__wheel_next(&wheel), model.now);
}

static void model_drain(void)
{
    while (model.length > 0)
        model_expire(model.entry[0].at, 1000);
    for (unsigned i = 0; i < MODEL_MAX; i++)
        check_poisoned(i);
}

/* ---- random programs ---- */

struct mix {
    unsigned nodes;      /* maximum number of timers */
    unsigned magnitudes; /* deadlines are less than 2^this ns away */
    unsigned leaps;      /* the clock advances by less than 2^this ns */
    unsigned budget;     /* maximum per call; 0: unlimited */
    unsigned equal;      /* one in this many deadlines equals that of another timer */
    int64_t start;
};

/* Uniform over the orders of magnitude below 2^bits. */
static int64_t random_distance(unsigned bits)
{
    return (int64_t)below(UINT64_C(1) << below(bits + 1));
}

static void random_add(const struct mix *mix, unsigned i)
{
    int64_t at = plus(model.now, random_distance(mix->magnitudes));

    if (model.length > 0 && below(mix->equal) == 0)
        at = model.entry[below(model.length)].at;
    else if (below(20) == 0)
        at = plus(model.now, -random_distance(mix->magnitudes));
    model_add(i, at);
}

static void random_advance(const struct mix *mix)
{
    int64_t now = model.now;
    uint64_t kind = below(10);

    if (kind == 0)
        now = plus(now, -random_distance(mix->leaps));
    else if (kind < 4 && model.length > 0)
        now = plus(model.entry[0].at, (int64_t)below(3) - 1);
    else if (kind < 6)
        now = nart__wheel_next(&wheel) < INT64_MAX ? nart__wheel_next(&wheel) : now;
    else
        now = plus(now, random_distance(mix->leaps));
    model_expire(now, mix->budget == 0 ? 100000 : (unsigned)below(mix->budget + 1));
}

static void run_mix(const struct mix *mix, uint64_t seed, unsigned steps)
{
    random_state = seed;
    model_start(mix->start);
    for (unsigned step = 0; step < steps; step++) {
        unsigned i = (unsigned)below(mix->nodes);

        if (below(8) == 0)
            random_advance(mix);
        else if (inside[i])
            model_remove(i);
        else
            random_add(mix, i);
    }
    model_drain();
}

static void run_mixes(const struct mix *mix, unsigned runs, unsigned steps)
{
    for (unsigned seed = 1; seed <= runs; seed++)
        run_mix(mix, seed, steps);
}

TEST(random_programs_of_all_magnitudes)
{
    struct mix mix = { .nodes = 100, .magnitudes = 50, .leaps = 40, .equal = 10 };

    run_mixes(&mix, 100, 10000);
}

TEST(random_programs_in_milliseconds)
{
    struct mix mix = { .nodes = 300, .magnitudes = 24, .leaps = 20, .equal = 10 };

    run_mixes(&mix, 100, 10000);
}

TEST(random_programs_with_small_budgets)
{
    struct mix mix = { .nodes = 200, .magnitudes = 36, .leaps = 30, .budget = 8, .equal = 6 };

    run_mixes(&mix, 100, 10000);
}

TEST(random_programs_of_equal_deadlines)
{
    struct mix mix = { .nodes = 100, .magnitudes = 32, .leaps = 26, .budget = 5, .equal = 2 };

    run_mixes(&mix, 100, 10000);
}

TEST(random_programs_of_few_timers)
{
    struct mix mix = { .nodes = 4, .magnitudes = 40, .leaps = 38, .budget = 3, .equal = 3 };

    run_mixes(&mix, 1000, 1000);
}

TEST(random_programs_at_the_ends_of_time)
{
    static const int64_t starts[] = {
        INT64_MIN, INT64_MIN + 1, -YEAR, -SEC, -1, 1, INT64_MAX - YEAR, INT64_MAX - 1000,
    };
    struct mix mix = { .nodes = 60, .magnitudes = 62, .leaps = 62, .budget = 20, .equal = 5 };

    for (size_t i = 0; i < COUNT(starts); i++) {
        mix.start = starts[i];
        run_mixes(&mix, 200, 500);
    }
}

/* ---- all short programs ---- */

#define PROGRAM_LENGTH 6u
#define PROGRAM_TIME 8192 /* slots up to level 2 begin there */

static void small_step(unsigned op, int64_t start)
{
    static const int64_t distance[] = { 70, 70, 40 };

    if (op < 3 && inside[op])
        model_remove(op);
    else if (op < 3)
        model_add(op, model.now + distance[op]);
    else if (op < 6 && !inside[op])
        model_add(op, start + 2100); /* one deadline, set from far and from near */
    else if (op == 6)
        model_expire(model.now + 33, 1);
    else if (op == 7)
        model_expire(model.now + 1000, 2);
}

TEST(all_short_programs)
{
    model_start(0);
    for (unsigned program = 0; program < 1u << (3 * PROGRAM_LENGTH); program++) {
        int64_t start = (int64_t)program * PROGRAM_TIME;

        model_expire(start, 1);
        CHECK_EQ(model.now, start);
        for (unsigned step = 0; step < PROGRAM_LENGTH; step++)
            small_step(program >> (3 * step) & 7, start);
        while (model.length > 0)
            model_expire(model.entry[0].at, 1000);
    }
}

/* ---- single guarantees ---- */

TEST(never_early_by_a_nanosecond)
{
    for (unsigned bits = 0; bits < 63; bits++) {
        int64_t at = INT64_C(1) << bits;

        model_start(0);
        model_add(0, at);
        model_add(1, at + 1);
        model_expire(at - 1, 100);
        CHECK_EQ(model.length, 2);
        model_expire(at, 100);
        CHECK_EQ(model.length, 1);
        model_expire(at + 1, 100);
        CHECK_EQ(model.length, 0);
    }
}

TEST(one_millisecond_is_in_order_by_nanoseconds)
{
    random_state = 7;
    model_start(0);
    for (unsigned i = 0; i < MODEL_MAX; i++)
        model_add(i, 5 * MS + (int64_t)below(MS));
    model_expire(6 * MS, 100000);
    CHECK_EQ(model.length, 0);
}

/* The same deadline set from far and from near, while the older timers are half way down. */
TEST(equal_deadlines_leave_in_order_of_insertion)
{
    unsigned i = 0;

    model_start(0);
    while (i < 100)
        model_add(i++, 10 * SEC);
    for (int64_t left = 9 * SEC; i < MODEL_MAX; left -= left / 20) {
        model_expire(10 * SEC - left, 7);
        if (model.length > 0)
            model_add(i++, 10 * SEC);
    }
    CHECK_EQ(model.length, MODEL_MAX);
    model_drain();
}

TEST(a_deadline_in_the_past_is_due_at_once)
{
    static nart__tnode n;

    nart__wheel_init(&wheel, 5 * SEC);
    nart__wheel_add(&wheel, &n, 0);
    CHECK_EQ(n.at, 5 * SEC);
    CHECK_LE(nart__wheel_next(&wheel), 5 * SEC);
    CHECK(expire(5 * SEC) == &n);
    CHECK(nart__wheel_empty(&wheel));
}

/* Two timers that reset themselves to the past on every turn, and a budget for two. */
TEST(timers_set_to_the_past_do_not_starve_the_others)
{
    static nart__tnode again[2], other;
    bool seen = false;

    nart__wheel_init(&wheel, 0);
    nart__wheel_add(&wheel, &again[0], 0);
    nart__wheel_add(&wheel, &again[1], 0);
    nart__wheel_add(&wheel, &other, 100);
    for (int64_t now = 100; now < 110 && !seen; now++) {
        unsigned budget = 2;
        nart__tnode *fired[2];
        unsigned count = 0;

        while ((fired[count] = nart__wheel_expire(&wheel, now, &budget)) != NULL && ++count < 2)
            ;
        for (unsigned i = 0; i < count; i++) {
            seen = seen || fired[i] == &other;
            if (fired[i] != &other)
                nart__wheel_add(&wheel, fired[i], 0);
        }
    }
    CHECK(seen);
}

TEST(a_clock_that_steps_back_stands_still)
{
    model_start(10 * SEC);
    model_add(0, 11 * SEC);
    model_add(1, 12 * SEC);
    model_add(2, 12 * SEC);
    model_expire(9 * SEC, 100);
    model_expire(INT64_MIN, 100);
    CHECK_EQ(model.length, 3);
    model_expire(12 * SEC, 1); /* one of three, or none, for lack of budget */
    CHECK(model.length >= 2);
    model_expire(11 * SEC - 1, 100); /* still 12 s: the others do not wait for the clock */
    CHECK_EQ(model.length, 0);
    model_add(3, 11 * SEC);
    model_expire(0, 100);
    CHECK_EQ(model.length, 0);
}

TEST(ten_years_in_one_step)
{
    random_state = 11;
    model_start(0);
    for (unsigned i = 0; i < MODEL_MAX; i++)
        model_add(i, random_distance(58));
    model_expire(10 * YEAR, 100000);
    CHECK_EQ(model.length, 0);
}

TEST(the_ends_of_the_range_are_deadlines)
{
    static const int64_t at[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX };

    model_start(INT64_MIN);
    for (unsigned i = COUNT(at); i-- > 0;)
        model_add(i, at[i]);
    for (unsigned i = 0; i < COUNT(at); i++) {
        model_expire(at[i], 100);
        CHECK_EQ(model.length, COUNT(at) - 1 - i);
    }
}

TEST(an_empty_wheel_asks_for_nothing)
{
    static nart__tnode n[3];

    nart__wheel_init(&wheel, 0);
    CHECK(nart__wheel_empty(&wheel));
    CHECK_EQ(nart__wheel_next(&wheel), INT64_MAX);
    for (int64_t i = 0; i < 3; i++)
        nart__wheel_add(&wheel, &n[i], (i + 1) * MS);
    CHECK_EQ(nart__wheel_next(&wheel), MS);
    for (int64_t i = 0; i < 3; i++)
        nart__wheel_remove(&wheel, &n[i]);
    CHECK(nart__wheel_empty(&wheel));
    CHECK_EQ(nart__wheel_next(&wheel), INT64_MAX);
    CHECK(expire(INT64_MAX) == NULL);
    CHECK_EQ(nart__wheel_next(&wheel), INT64_MAX);
}

TEST(no_budget_no_work)
{
    static nart__tnode n;
    unsigned budget = 0;

    nart__wheel_init(&wheel, 0);
    nart__wheel_add(&wheel, &n, 10);
    CHECK(nart__wheel_expire(&wheel, 20, &budget) == NULL);
    CHECK_LE(nart__wheel_next(&wheel), 20);
    CHECK(expire(20) == &n);
}

/* ---- many timers ---- */

static nart__tnode *many_nodes(size_t count)
{
    nart__tnode *n = calloc(count, sizeof *n);

    CHECK(n != NULL);
    return n;
}

/* A loop that works and sleeps, when each timer touched takes `cost` of its time. */
struct sleeper {
    int64_t now, latest; /* `latest`: the maximum delay of a timer */
    uint64_t fired, wakes, calls;
    unsigned most; /* maximum number of timers touched by one call */
};

static void sleeper_run(struct sleeper *s, unsigned budget_of_call, int64_t cost)
{
    int64_t last = INT64_MIN;

    while (!nart__wheel_empty(&wheel)) {
        unsigned budget = budget_of_call;
        int64_t next = nart__wheel_next(&wheel);

        if (next > s->now) {
            s->now = next;
            s->wakes++;
        }
        s->calls++;
        for (nart__tnode *n; (n = nart__wheel_expire(&wheel, s->now, &budget)) != NULL;) {
            CHECK_LE(n->at, s->now);
            CHECK_LE(last, n->at);
            last = n->at;
            s->latest = s->now - n->at > s->latest ? s->now - n->at : s->latest;
            s->fired++;
        }
        unsigned used = budget_of_call - budget;
        s->most = used > s->most ? used : s->most;
        s->now += used * cost;
    }
}

/* A timer alone in its slot fires from there, at any distance: 1 of the budget. */
TEST(a_lone_timer_is_touched_once)
{
    static nart__tnode n;
    int64_t now = 1;

    nart__wheel_init(&wheel, now);
    for (unsigned bits = 0; bits < 60; bits++) {
        unsigned budget = 1;

        nart__wheel_add(&wheel, &n, now + (INT64_C(1) << bits));
        now += INT64_C(1) << bits;
        CHECK_EQ(nart__wheel_next(&wheel), now);
        CHECK(nart__wheel_expire(&wheel, now, &budget) == &n);
        CHECK(expire(now) == NULL);
    }
}

/* The wheel follows the clock while nothing is due. So near deadlines that are then set do not
 * share one high slot, which would have to cascade as a whole before the first of them can fire. */
TEST(a_quiet_time_leaves_no_work_behind)
{
    static nart__tnode far, n[15];
    unsigned budget = 1;

    nart__wheel_init(&wheel, 0);
    nart__wheel_add(&wheel, &far, YEAR);
    CHECK(expire(HOUR) == NULL);
    for (unsigned i = 0; i < COUNT(n); i++)
        nart__wheel_add(&wheel, &n[i], HOUR + (i + 1) * 2 * MS);
    CHECK(nart__wheel_expire(&wheel, n[0].at, &budget) == &n[0]);
}

/* Work that takes no time: a loop that sleeps until `next` fires each timer on its nanosecond. */
TEST(a_sleeping_loop_wakes_on_the_nanosecond)
{
    nart__tnode *n = many_nodes(10000);
    struct sleeper s = { 0 };

    random_state = 3;
    nart__wheel_init(&wheel, 0);
    for (unsigned i = 0; i < 10000; i++)
        nart__wheel_add(&wheel, &n[i], 1 + random_distance(45));
    sleeper_run(&s, UINT32_MAX, 0);
    CHECK_EQ(s.fired, 10000);
    CHECK_EQ(s.latest, 0);
    /* Besides a wake for every timer, one for 16 insertions and level of 1.05 ms or more. */
    CHECK_LE(s.wakes, 10000 + 5 * 10000 / 16);
    free(n);
}

/* Up to 15 timers, near or far, alone or together: no wakes besides those at deadlines. */
TEST(few_timers_cause_no_early_wakes)
{
    static nart__tnode n[15];

    random_state = 5;
    for (unsigned round = 0; round < 2000; round++) {
        int64_t at = random_distance(60);
        unsigned deadlines = 0;
        struct sleeper s = { 0 };

        nart__wheel_init(&wheel, 0);
        for (unsigned i = 0; i < COUNT(n); i++) {
            int64_t step = below(3) == 0 ? random_distance(40) : 0;

            at += step;
            deadlines += i == 0 ? at > 0 : step > 0;
            nart__wheel_add(&wheel, &n[i], at);
        }
        sleeper_run(&s, UINT32_MAX, 0);
        CHECK_EQ(s.fired, COUNT(n));
        CHECK_EQ(s.latest, 0);
        CHECK_EQ(s.wakes, deadlines);
    }
}

/* Large groups are spread ahead of time on the levels of 1.05 ms and more, not on those below:
 * from the slots of 1.1 s, 34 ms and 1.05 ms. */
TEST(a_crowd_causes_a_wake_for_each_level_it_passes)
{
    static nart__tnode n[100];
    struct sleeper s = { 0 };

    nart__wheel_init(&wheel, 0);
    for (unsigned i = 0; i < COUNT(n); i++)
        nart__wheel_add(&wheel, &n[i], 5 * SEC);
    sleeper_run(&s, UINT32_MAX, 0);
    CHECK_EQ(s.fired, COUNT(n));
    CHECK_EQ(s.latest, 0);
    CHECK_EQ(s.wakes, 1 + 3);
}

/* A removed timer costs at most one wake, in any slot. */
TEST(a_removed_timer_costs_one_wake_at_most)
{
    static nart__tnode n[20];

    random_state = 9;
    for (unsigned round = 0; round < 2000; round++) {
        unsigned kept = 0;
        struct sleeper s = { 0 };

        nart__wheel_init(&wheel, 0);
        for (unsigned i = 0; i < COUNT(n); i++)
            nart__wheel_add(&wheel, &n[i], 1 + random_distance(45));
        for (unsigned i = 0; i < COUNT(n); i++) {
            if (below(2) == 0)
                nart__wheel_remove(&wheel, &n[i]);
            else
                kept++;
        }
        sleeper_run(&s, UINT32_MAX, 0);
        CHECK_EQ(s.fired, kept);
        CHECK_EQ(s.latest, 0);
        CHECK_LE(s.wakes, COUNT(n) + 5); /* 20 insertions: possibly a crowded slot on each level */
    }
}

/* A receive that resets its deadline for every message does not keep a sleeping loop awake. */
TEST(a_deadline_is_reset_a_million_times)
{
    static nart__tnode n;
    int64_t now = 0;
    unsigned worked = 0;

    nart__wheel_init(&wheel, now);
    for (unsigned i = 0; i < 1000000; i++, now += 100 * US) {
        unsigned budget = 256;

        nart__wheel_add(&wheel, &n, now + 5 * SEC);
        CHECK(nart__wheel_expire(&wheel, now, &budget) == NULL);
        worked += nart__wheel_next(&wheel) <= now + 100 * US;
        nart__wheel_remove(&wheel, &n);
    }
    CHECK_LE(worked, 100 * SEC / (5 * SEC) + 100);
}

/* 256 timers touched per call, 100 ns each: the slots are spread before they are due, so a
 * million timers are delayed by hardly more than those due together. */
static void fire_a_million(int64_t from, int64_t span, int64_t latest, uint64_t calls)
{
    nart__tnode *n = many_nodes(1000000);
    struct sleeper s = { 0 };

    random_state = 13;
    nart__wheel_init(&wheel, 0);
    for (unsigned i = 0; i < 1000000; i++)
        nart__wheel_add(&wheel, &n[i], from + (int64_t)below((uint64_t)span));
    sleeper_run(&s, 256, 100);
    CHECK_EQ(s.fired, 1000000);
    CHECK_LE(s.most, 256);
    CHECK_LE(s.latest, latest);
    CHECK_LE(s.calls, calls);
    free(n);
}

TEST(a_million_timers_over_an_hour)
{
    fire_a_million(SEC, HOUR, 40 * US, 1050000);
}

TEST(a_million_timers_over_ten_seconds)
{
    /* All at the beginning of a slot: whatever is not spread by then is late. */
    fire_a_million(INT64_C(28) << 30, 10 * SEC, 40 * US, 1050000);
}

/* All are late, the last one by the time that sorting and firing takes. */
TEST(a_million_timers_in_one_millisecond)
{
    fire_a_million(SEC, MS, 500 * MS, 22000);
}

TEST(a_million_timers_in_one_nanosecond)
{
    fire_a_million(SEC, 1, 210 * MS, 11000);
}

/* The budget counts what is written: a timer touched, one neighbour in its old slot and one in
 * its new slot. */
TEST(a_call_writes_to_no_more_timers_than_its_budget_allows)
{
    enum { TIMERS = 3000, BUDGET = 16 };
    nart__tnode *n = many_nodes(TIMERS), *before = many_nodes(TIMERS);
    int64_t now = 0;

    random_state = 17;
    nart__wheel_init(&wheel, now);
    for (unsigned i = 0; i < TIMERS; i++)
        nart__wheel_add(&wheel, &n[i], SEC + (int64_t)below(SEC / 10));
    while (!nart__wheel_empty(&wheel)) {
        unsigned budget = BUDGET, written = 0;

        memcpy(before, n, TIMERS * sizeof *n);
        now = nart__wheel_next(&wheel) > now ? nart__wheel_next(&wheel) : now;
        while (nart__wheel_expire(&wheel, now, &budget) != NULL)
            ;
        for (unsigned i = 0; i < TIMERS; i++)
            written += memcmp(&before[i], &n[i], sizeof *n) != 0;
        CHECK_LE(written, 3 * BUDGET);
    }
    free(before);
    free(n);
}

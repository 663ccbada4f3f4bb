/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a bridge tells about its operations: how long they took, and those that have not ended. */
#include "bridge.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t legs[] = { NART_TOKIO_LEG_QUEUED, NART_TOKIO_LEG_RUNNING,
                                 NART_TOKIO_LEG_RETURNING, NART_TOKIO_LEG_WHOLE };

static nart_tokio_stats stats(void)
{
    nart_tokio_stats s = NART_TOKIO_STATS_INIT;
    CHECK_RES(nart_tokio_stats_get(bridge, &s), 0);
    return s;
}

/* The caller frees it. */
static char *dump(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    CHECK(out);
    nart_tokio_dump(bridge, out);
    CHECK_EQ(fclose(out), 0);
    return text;
}

static bool dump_has(const char *words)
{
    char *text = dump();
    bool found = strstr(text, words);

    if (!found)
        fprintf(stderr, "%s", text);
    free(text);
    return found;
}

static void check_counts(int64_t queued, int64_t running, int64_t read)
{
    CHECK_RES(nart_tokio_within(bridge, legs[0], INT64_MAX), queued);
    CHECK_RES(nart_tokio_within(bridge, legs[1], INT64_MAX), running);
    CHECK_RES(nart_tokio_within(bridge, legs[2], INT64_MAX), read);
    CHECK_RES(nart_tokio_within(bridge, legs[3], INT64_MAX), read);
}

static nart_res job(void *arg, const nart_tokio_stop *stop)
{
    (void)stop;
    if (arg)
        while (read_word(arg) != 2)
            let_others_run();
    return 0;
}

static nart_res never_run(nart_cx *cx, void *frame)
{
    return nart_sleep(cx, frame, NART_NEVER);
}

static const nart_task_type never_type =
    NART_TASK_TYPE_FLAGS(nart_timer, never_run, NULL, NART_TASK_SEND);

TEST_WITH(nothing_is_measured_at_first, both)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(test_value(bridge, 1, &op), 0);
    CHECK_RES(await_op(&op, NULL), 0);
    nart_tokio_op_close(&op);
    check_counts(0, 0, 0);
    CHECK_RES(nart_tokio_percentile(bridge, NART_TOKIO_LEG_WHOLE, 50), 0);
}

TEST_WITH(each_kind_of_work_is_measured_once, both)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_observe(bridge, true), 0);
    CHECK_RES(test_value(bridge, 1, &op), 0);
    CHECK_RES(await_op(&op, NULL), 0);
    CHECK_RES(await_op(&op, NULL), 0); /* the first time counts */
    nart_tokio_op_close(&op);
    check_counts(1, 1, 1);

    CHECK_RES(nart_tokio_blocking(bridge, "job", job, NULL, NULL, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
    check_counts(2, 2, 2);

    CHECK_RES(nart_tokio_spawn_task(bridge, &never_type, NULL, &op), 0);
    nart_tokio_op_cancel(&op);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    nart_tokio_op_close(&op);
    CHECK_RES(nart_tokio_within(bridge, NART_TOKIO_LEG_WHOLE, INT64_MAX), 3);

    CHECK_RES(nart_tokio_observe(bridge, false), 0);
    CHECK_RES(test_value(bridge, 1, &op), 0);
    CHECK_RES(await_op(&op, NULL), 0);
    nart_tokio_op_close(&op);
    CHECK_RES(nart_tokio_within(bridge, NART_TOKIO_LEG_WHOLE, INT64_MAX), 3);
}

/* The time that passes is in the leg in which it passes, and in the whole. */
TEST_WITH(time_is_counted_where_it_passes, both)
{
    const int64_t time = 20 * NART_MS;
    nart_tokio_op worker = { 0 }, op = { 0 };

    CHECK_RES(nart_tokio_observe(bridge, true), 0);
    CHECK_RES(test_sleep(bridge, 20, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
    CHECK(nart_tokio_percentile(bridge, NART_TOKIO_LEG_RUNNING, 100) >= time);
    CHECK(nart_tokio_percentile(bridge, NART_TOKIO_LEG_WHOLE, 100) >= time);

    CHECK_RES(nart_tokio_observe(bridge, false), 0);
    occupy_worker(&worker);
    CHECK_RES(nart_tokio_observe(bridge, true), 0);
    CHECK_RES(test_value(bridge, 1, &op), 0);
    for (int64_t until = clock_now() + time; clock_now() < until;)
        let_others_run();
    release_worker(&worker);
    while (report().ok < 3)
        let_others_run();
    CHECK(nart_tokio_percentile(bridge, NART_TOKIO_LEG_QUEUED, 100) >= time);
    for (int64_t until = clock_now() + time; clock_now() < until;)
        let_others_run();
    CHECK_RES(await_op(&op, NULL), 0);
    nart_tokio_op_close(&op);
    CHECK(nart_tokio_percentile(bridge, NART_TOKIO_LEG_RETURNING, 100) >= time);
    CHECK(nart_tokio_percentile(bridge, NART_TOKIO_LEG_WHOLE, 100) >= 2 * time);
}

TEST_WITH(an_operation_that_nobody_reads_is_not_read, both)
{
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_observe(bridge, true), 0);
    CHECK_RES(test_value(bridge, 1, &op), 0);
    nart_tokio_op_detach(&op);
    wait_until_all_work_has_ended();
    check_counts(1, 1, 0);
}

TEST(the_work_of_a_bridge_is_listed)
{
    static uint64_t gate;
    nart_tokio_op future = { 0 }, task = { 0 }, jobs[3] = { { 0 } };

    open_with_two_blocking_threads();
    CHECK_EQ(stats().futures, 0);
    CHECK_RES(nart_tokio_observe(bridge, true), 0);
    CHECK_RES(test_never(bridge, &future), 0);
    CHECK_RES(nart_tokio_spawn_task(bridge, &never_type, NULL, &task), 0);
    for (int i = 0; i < 3; i++)
        CHECK_RES(
            nart_tokio_blocking(bridge, i < 2 ? "held" : "behind", job, &gate, NULL, &jobs[i]), 0);
    while (stats().jobs < 2 || !dump_has("future nart_test_futures::test_never::") ||
           !dump_has("task nart_timer") || stats().tokio_queue > 0)
        let_others_run();

    nart_tokio_stats s = stats();
    CHECK_EQ(s.futures, 1);
    CHECK_EQ(s.tasks, 1);
    CHECK_EQ(s.jobs, 2);
    CHECK_EQ(s.jobs_queued, 1);
    CHECK_EQ(s.requests, 0);
    CHECK(s.tokio_tasks >= 2);
    CHECK(s.threads >= 3);
    CHECK(dump_has("blocking function held  running"));
    CHECK(dump_has("blocking function behind  queued"));
    CHECK(dump_has("bridge: futures 1, C tasks 1,"));
    set_word(&gate, 2);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(wait_for_answer(&jobs[i], NULL), 0);
        nart_tokio_op_close(&jobs[i]);
    }
    nart_tokio_op_close(&future);
    nart_tokio_op_close(&task);
    wait_until_all_work_has_ended();
    CHECK_EQ(stats().futures, 0);
    CHECK_EQ(stats().tasks, 0);
    CHECK_EQ(stats().jobs, 0);
    both_close();
}

TEST_WITH(wrong_arguments_are_refused, both)
{
    nart_tokio_stats s = { .size = 8 };

    CHECK_RES(nart_tokio_observe(NULL, true), -EINVAL);
    CHECK_RES(nart_tokio_percentile(NULL, 0, 50), -EINVAL);
    CHECK_RES(nart_tokio_percentile(bridge, 4, 50), -EINVAL);
    CHECK_RES(nart_tokio_percentile(bridge, 0, -1), -EINVAL);
    CHECK_RES(nart_tokio_percentile(bridge, 0, 101), -EINVAL);
    CHECK_RES(nart_tokio_within(NULL, 0, 1), -EINVAL);
    CHECK_RES(nart_tokio_within(bridge, 4, 1), -EINVAL);
    CHECK_RES(nart_tokio_within(bridge, 0, -1), -EINVAL);
    CHECK_RES(nart_tokio_stats_get(bridge, NULL), -EINVAL);
    CHECK_RES(nart_tokio_stats_get(bridge, &s), NART_EABI);
    nart_tokio_dump(NULL, stderr);
    nart_tokio_dump(bridge, NULL);
}

/* Another thread lists while operations of all kinds begin and end. */
static void *list_always(void *arg)
{
    while (read_word(arg) == 0) {
        free(dump());
        CHECK(stats().futures <= 64);
    }
    return NULL;
}

TEST_WITH(a_listing_races_with_everything, both)
{
    static uint64_t stop;
    nart_tokio_op ops[64] = { { 0 } };
    pthread_t thread;

    CHECK_RES(nart_tokio_observe(bridge, true), 0);
    CHECK_EQ(pthread_create(&thread, NULL, list_always, &stop), 0);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 64; i++)
            CHECK_RES(i % 4 == 0   ? nart_tokio_spawn_task(bridge, &never_type, NULL, &ops[i])
                      : i % 4 == 1 ? nart_tokio_blocking(bridge, "j", job, NULL, NULL, &ops[i])
                                   : test_yield(bridge, 2, &ops[i]),
                      0);
        for (int i = 0; i < 64; i++)
            nart_tokio_op_close(&ops[i]);
        wait_until_all_work_has_ended();
    }
    set_word(&stop, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

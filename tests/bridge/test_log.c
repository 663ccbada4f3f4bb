/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What Rust code logs arrives at the task that reads the log: in order per thread, filtered, and counted if it
 * does not fit; and nobody waits, whenever the log is opened and closed. */
#include "bridge.h"
#if NART_HTTP
#include "peer.h"
#endif
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static nart_tokio_log events;
static const nart_tokio_log_event *event;

static void open_log(const char *filter, uint32_t queue)
{
    CHECK_RES(nart_tokio_log_open(filter, queue, &events), 0);
}

/* The next event has this level, target and text. */
static void check_next(uint32_t level, const char *target, const char *text)
{
    CHECK_RES(nart_tokio_log_try(&events, &event), 0);
    CHECK_EQ(event->level, level);
    CHECK_STR(event->target, target);
    CHECK_STR(event->text, text);
    CHECK_EQ(event->text_len, strlen(text));
    CHECK_EQ(event->cut, 0);
}

static void check_none(void)
{
    CHECK_RES(nart_tokio_log_try(&events, &event), NART_PENDING);
}

/* ---- events ---- */

TEST(an_event_has_level_target_text_time_and_thread)
{
    open_log(NULL, 0);
    int64_t before = clock_now();
    test_log(NART_TOKIO_LOG_WARN, "target", "text");
    int64_t after = clock_now();
    check_next(NART_TOKIO_LOG_WARN, "target", "text");
    CHECK_LE(before, event->time);
    CHECK_LE(event->time, after);
    CHECK_EQ(event->thread_id, getpid()); /* the first thread */
    CHECK(*event->thread != '\0');
    CHECK_EQ(event->lost, 0);
    check_none();
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST(a_filter_has_levels_and_targets)
{
    open_log("warn,net=debug,net::tls=off", 0);
    test_log(NART_TOKIO_LOG_INFO, "other", "1");
    test_log(NART_TOKIO_LOG_WARN, "other", "2");
    test_log(NART_TOKIO_LOG_DEBUG, "net::tcp", "3");
    test_log(NART_TOKIO_LOG_TRACE, "net::tcp", "4");
    test_log(NART_TOKIO_LOG_ERROR, "net::tls", "5");
    check_next(NART_TOKIO_LOG_WARN, "other", "2");
    check_next(NART_TOKIO_LOG_DEBUG, "net::tcp", "3");
    check_none();
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST(without_a_filter_events_up_to_info_are_read)
{
    open_log(NULL, 0);
    test_log(NART_TOKIO_LOG_DEBUG, "a", "debug");
    test_log(NART_TOKIO_LOG_INFO, "a", "info");
    check_next(NART_TOKIO_LOG_INFO, "a", "info");
    check_none();
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST(a_long_text_is_cut_and_the_rest_counted)
{
    static char text[5000];

    memset(text, 'x', sizeof text - 1);
    open_log(NULL, 0);
    test_log(NART_TOKIO_LOG_INFO, "a", text);
    CHECK_RES(nart_tokio_log_try(&events, &event), 0);
    CHECK_EQ(strlen(event->text), event->text_len);
    CHECK_EQ(event->text_len + event->cut, sizeof text - 1);
    CHECK_LE(900, event->text_len);
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST(a_text_that_logs_or_panics_while_it_is_written_harms_nobody)
{
    open_log(NULL, 2);
    for (int i = 0; i < 10; i++) {
        test_log_nested(false);
        CHECK_RES(nart_tokio_log_try(&events, &event), 0);
        CHECK_STR(event->text, "inner");
        CHECK_RES(nart_tokio_log_try(&events, &event), 0);
        CHECK_STR(event->text, "outer");
        test_log_nested(true);
        CHECK_RES(nart_tokio_log_try(&events, &event), 0);
        CHECK_STR(event->text, "inner");
        check_none();
    }
    CHECK_RES(nart_tokio_log_close(&events), 0);
    open_log(NULL, 2); /* nobody is left in the closed one */
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

/* ---- a task that reads ---- */

struct reader {
    nart_co co;
    uint64_t want, got, last[4];
    nart_res r;
};

/* Reads numbers of threads that have one digit as their target. */
static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;

    NART_BEGIN(cx, &f->co);
    while (f->got < f->want) {
        NART_AWAIT(f->r, nart_tokio_log_next(cx, &events, &event));
        if (f->r)
            break;
        uint64_t *last = &f->last[*event->target - '0'], n = strtoull(event->text, NULL, 10);
        CHECK(n > *last);
        f->got += 1 + event->lost;
        *last = n;
    }
    NART_END(f->r ? f->r : (nart_res)f->got);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

enum { EACH = 5000 };

static void *log_numbers(void *target)
{
    test_log_numbers(target, EACH);
    return NULL;
}

TEST_WITH(events_of_threads_wake_the_task_that_reads_and_are_in_order, both)
{
    static const char *const targets[] = { "0", "1", "2" };
    pthread_t threads[3];

    open_log(NULL, 4 * EACH);
    for (int i = 0; i < 3; i++)
        threads[i] = thread_start(log_numbers, (void *)(uintptr_t)targets[i]);
    CHECK_EQ(run(&reader_type, &(struct reader){ .want = 3 * EACH }), 3 * EACH);
    for (int i = 0; i < 3; i++)
        thread_join(threads[i]);
    check_none();
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

static void *log_last(void *arg)
{
    (void)arg;
    test_log(NART_TOKIO_LOG_INFO, "3", "1");
    return NULL;
}

/* One after the other: each event finds a loop that waits, or one that is about to. */
TEST_WITH(a_task_that_waits_is_woken_by_each_event, both)
{
    open_log(NULL, 0);
    for (int i = 0; i < 200; i++) {
        pthread_t thread = thread_start(log_last, NULL);
        CHECK_EQ(run(&reader_type, &(struct reader){ .want = 1 }), 1);
        thread_join(thread);
    }
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST_WITH(the_reader_can_be_cancelled_and_read_again, both)
{
    nart_join join;

    open_log(NULL, 0);
    CHECK_RES(nart_rt_spawn(loop, &reader_type, &(struct reader){ .want = 1 }, &join), 0);
    CHECK_RES(nart_rt_poll(loop, 0), 1);
    CHECK_RES(nart_task_abort(loop, nart_join_task(&join)), 0);
    nart_join_release(&join);
    CHECK_RES(nart_rt_run(loop), 0);
    test_log(NART_TOKIO_LOG_INFO, "3", "1"); /* wakes a task that has ended */
    CHECK_EQ(run(&reader_type, &(struct reader){ .want = 1 }), 1);
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

/* ---- too many events ---- */

TEST(events_that_do_not_fit_are_lost_and_counted_by_the_next_one)
{
    open_log(NULL, 4);
    test_log_numbers("a", 10);
    for (int i = 1; i <= 4; i++) {
        char text[2] = { (char)('0' + i) };
        check_next(NART_TOKIO_LOG_INFO, "a", text);
        CHECK_EQ(event->lost, 0);
    }
    check_none();
    test_log_numbers("a", 2);
    check_next(NART_TOKIO_LOG_INFO, "a", "1");
    CHECK_EQ(event->lost, 6);
    check_next(NART_TOKIO_LOG_INFO, "a", "2");
    CHECK_EQ(event->lost, 0);
    test_log_numbers("a", 7);
    CHECK_RES(nart_tokio_log_close(&events), 7); /* 4 queued, 3 lost */
}

enum { FLOOD = 25000 };

static void *flood(void *target)
{
    test_log_numbers(target, FLOOD);
    return NULL;
}

TEST(a_flood_that_nobody_reads_is_counted_to_the_last_event)
{
    static const char *const targets[] = { "0", "1", "2", "3" };
    pthread_t threads[4];

    open_log(NULL, 64);
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start(flood, (void *)(uintptr_t)targets[i]);
    uint64_t read = 0;
    for (int i = 0; i < 32; i++) /* a slow reader */
        if (nart_tokio_log_try(&events, &event) == 0)
            read += 1 + event->lost;
    for (int i = 0; i < 4; i++)
        thread_join(threads[i]);
    CHECK_EQ(read + (uint64_t)nart_tokio_log_close(&events), 4 * FLOOD);
}

/* ---- opening and closing ---- */

TEST(what_is_no_filter_and_no_queue_is_refused)
{
    static const char *const filters[] = { "loud", "a=b", "=info", "info,warn", "\xff=info" };

    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        CHECK_RES(nart_tokio_log_open(filters[i], 0, &events), -EINVAL);
    CHECK_RES(nart_tokio_log_open(NULL, (1u << 20) + 1, &events), -EINVAL);
    CHECK_RES(nart_tokio_log_open(NULL, 0, NULL), -EINVAL);
    open_log("", 1);
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST(a_second_log_is_refused_until_the_first_is_closed)
{
    nart_tokio_log second = { 0 };

    open_log(NULL, 0);
    CHECK_RES(nart_tokio_log_open(NULL, 0, &second), -EBUSY);
    CHECK(second.log == NULL);
    CHECK_RES(nart_tokio_log_try(&second, &event), NART_ESTALE);
    CHECK_RES(nart_tokio_log_close(&events), 0);
    CHECK_RES(nart_tokio_log_close(&events), 0);
    CHECK_RES(nart_tokio_log_close(NULL), 0);
    test_log(NART_TOKIO_LOG_ERROR, "a", "nobody reads this");
    CHECK_RES(nart_tokio_log_open(NULL, 0, &second), 0);
    CHECK_RES(nart_tokio_log_try(&second, &event), NART_PENDING);
    CHECK_RES(nart_tokio_log_close(&second), 0);
}

static uint64_t enough;

static void *log_until_enough(void *arg)
{
    (void)arg;
    while (!read_word(&enough))
        test_log(NART_TOKIO_LOG_INFO, "a", "b");
    return NULL;
}

TEST(it_is_closed_and_opened_while_threads_log)
{
    pthread_t threads[2];
    int opened = 0;

    for (int i = 0; i < 2; i++)
        threads[i] = thread_start(log_until_enough, NULL);
    while (opened < 200) {
        nart_res r = nart_tokio_log_open(NULL, 8, &events);
        if (r == -EBUSY) { /* a thread is writing to the last one */
            sched_yield();
            continue;
        }
        CHECK_RES(r, 0);
        for (int i = 0; i < 20; i++)
            CHECK_LE(NART_PENDING, nart_tokio_log_try(&events, &event));
        CHECK_LE(0, nart_tokio_log_close(&events));
        opened++;
    }
    set_word(&enough, 1);
    for (int i = 0; i < 2; i++)
        thread_join(threads[i]);
}

TEST(a_logger_of_the_program_is_not_replaced)
{
    test_log_own(false);
    CHECK_RES(nart_tokio_log_open(NULL, 0, &events), -EEXIST);
    CHECK_RES(nart_tokio_log_open(NULL, 0, &events), -EEXIST);
}

TEST(a_logger_of_the_program_may_pass_events_on)
{
    test_log_own(true);
    test_log(NART_TOKIO_LOG_INFO, "a", "before");
    open_log("info", 0);
    test_log(NART_TOKIO_LOG_INFO, "a", "read");
    test_log(NART_TOKIO_LOG_DEBUG, "a", "the program's own");
    check_next(NART_TOKIO_LOG_INFO, "a", "read");
    check_none();
    CHECK_RES(nart_tokio_log_close(&events), 0);
    test_log(NART_TOKIO_LOG_INFO, "a", "after");
    CHECK_EQ(test_log_own_count(), 4);
}

/* ---- the bridge and the process ---- */

TEST(events_of_a_shutdown_arrive)
{
    nart_tokio_op op = { 0 };

    both_open();
    open_log(NULL, 0);
    CHECK_RES(test_log_future(bridge, &op), 0);
    while (nart_tokio_log_try(&events, &event) == NART_PENDING)
        let_others_run();
    CHECK_STR(event->text, "polled");
    CHECK_STR(event->thread, "nart-tokio");
    CHECK_NE(event->thread_id, getpid());
    CHECK_RES(nart_tokio_shutdown(bridge, NART_NEVER, NULL), 0);
    nart_tokio_op_close(&op);
    both_close();
    check_next(NART_TOKIO_LOG_WARN, "future", "dropped");
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST(a_log_outlives_the_task_that_waits_for_it)
{
    both_open();
    open_log(NULL, 0);
    CHECK_RES(nart_rt_spawn(loop, &reader_type, &(struct reader){ .want = 1 }, NULL), 0);
    CHECK_RES(nart_rt_poll(loop, 0), 1);
    both_close(); /* its waker is still in the log */
    test_log(NART_TOKIO_LOG_INFO, "a", "b");
    check_next(NART_TOKIO_LOG_INFO, "a", "b");
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST(a_child_of_fork_has_no_log)
{
    open_log(NULL, 0);
    test_log(NART_TOKIO_LOG_INFO, "a", "parent");
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        nart_tokio_log second = { 0 };
        test_log(NART_TOKIO_LOG_INFO, "a", "child");
        CHECK_RES(nart_tokio_log_try(&events, &event), NART_EFORK);
        CHECK_RES(nart_tokio_log_open(NULL, 0, &second), NART_EFORK);
        CHECK_RES(nart_tokio_log_close(&events), 0);
        CHECK_RES(nart_tokio_log_open(NULL, 0, &second), NART_EFORK);
        end_leaking_child();
    }
    check_child(pid);
    check_next(NART_TOKIO_LOG_INFO, "a", "parent");
    check_none();
    CHECK_RES(nart_tokio_log_close(&events), 0);
}

TEST(a_child_of_fork_may_open_one_of_its_own)
{
    open_log(NULL, 0);
    CHECK_RES(nart_tokio_log_close(&events), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        open_log(NULL, 0);
        test_log(NART_TOKIO_LOG_INFO, "a", "child");
        check_next(NART_TOKIO_LOG_INFO, "a", "child");
        CHECK_RES(nart_tokio_log_close(&events), 0);
        end_leaking_child();
    }
    check_child(pid);
}

#if NART_HTTP
/* Whether one of the events that are queued has such a target and text. */
struct seen {
    bool reqwest, hyper, rustls;
};

static void look(struct seen *seen)
{
    while (nart_tokio_log_try(&events, &event) == 0) {
        CHECK_EQ(event->lost, 0);
        seen->reqwest |= strncmp(event->target, "reqwest", 7) == 0;
        seen->hyper |= strncmp(event->target, "hyper_util", 10) == 0;
        seen->rustls |= strncmp(event->target, "rustls", 6) == 0;
    }
}

/* reqwest and rustls use `log`, hyper's parts use `tracing`. */
static void check_libraries(void)
{
    static struct test_tls tls;
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };
    struct seen seen = { 0 };
    int64_t status = 0;
    char url[64];

    if (test_under_valgrind())
        SKIP("valgrind takes what the ciphers' vector instructions write for uninitialised");
    both_open();
    CHECK_RES(test_tls_open(bridge, 0, &tls), 0);
    open_log("debug", 4096);
    snprintf(url, sizeof url, "https://localhost:%d/", tls.port);
    get.url = url;
    get.client = peer_client(&(const nart_http_client_opts){ .ca = tls.ca });
    CHECK_RES(nart_http_request(bridge, &get, &op), 0);
    CHECK_RES(await_op(&op, &status), 0);
    CHECK_EQ(status, 200);
    look(&seen);
    CHECK(seen.reqwest);
    CHECK(seen.hyper);
    CHECK(seen.rustls);
    nart_tokio_op_close(&op);
    nart_http_client_free(get.client);
    both_close();
    look(&seen);
    CHECK_RES(nart_tokio_log_close(&events), 0);
}
#endif

TEST(what_libraries_log_of_an_http_request_arrives)
{
#if NART_HTTP
    check_libraries();
#else
    SKIP("this build has no HTTP");
#endif
}

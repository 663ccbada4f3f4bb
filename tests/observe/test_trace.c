/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Traces: the exact output of a small program on a clock that only polls advance, compared with
 * golden/trace.json; and for storms a check of the format (check_trace.py), however many events
 * were lost. */
#include "observe.h"
#include "threads.h"

#include <nart/io.h>
#include <nart/trace.h>
#include <unistd.h>

FIXTURE_PAUSED(.name = "test");

/* Returns what f writes, as a string that the caller frees. */
static char *printed(nart_res *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    CHECK(out != NULL);
    *r = nart_trace_print(rt, out);
    CHECK_EQ(fclose(out), 0);
    return text;
}

static char *slurp(const char *path)
{
    static char text[65536];
    FILE *in = fopen(path, "r");

    CHECK(in != NULL);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    return text;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text++)
        n++;
    return n;
}

static void pass(nart_cx *cx, int64_t ns)
{
    CHECK_RES(nart_rt_clock_advance(nart_cx_rt(cx), ns), 0);
}

/* ---- a program with every kind of arrow ---- */

struct child {
    nart_co co;
    nart_tx tx;
    nart_timer timer;
    uint64_t value;
    nart_res r;
};

static nart_res child_run(nart_cx *cx, void *frame)
{
    struct child *f = frame;

    NART_BEGIN(cx, &f->co);
    pass(cx, 100);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 2000)); /* woken by a timer */
    pass(cx, 100);
    NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value)); /* wakes the parent */
    pass(cx, 100);
    nart_tx_close(&f->tx);
    NART_END(-ETIMEDOUT);
}

static const nart_task_type child_type = NART_TASK_TYPE(struct child, child_run, NULL);

struct parent {
    nart_co co;
    nart_join join;
    nart_tx tx;
    nart_rx rx;
    nart_waker waker;
    uint64_t value;
    nart_res r, answer;
};

static nart_res parent_run(nart_cx *cx, void *frame)
{
    struct parent *f = frame;

    NART_BEGIN(cx, &f->co);
    pass(cx, 1234);
    struct child *c = nart_spawn_begin(cx, &child_type, NULL);
    nart_tx_move(&c->tx, &f->tx);
    CHECK_RES(nart_spawn_commit(cx, c, &f->join), 0);
    pass(cx, 1);
    NART_YIELD(); /* woken by itself */
    pass(cx, 1000);
    nart_waker_wake(nart_cx_waker(cx)); /* through the inbox, spuriously */
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    pass(cx, 1000);
    NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer)); /* woken by the child's end */
    CHECK_RES(f->answer, -ETIMEDOUT);
    nart_join_release(&f->join);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    CHECK_RES(f->r, NART_ECLOSED);
    nart_rx_close(&f->rx);
    NART_END(42);
}

static const nart_task_type parent_type = NART_TASK_TYPE(struct parent, parent_run, NULL);

static void run_family(void)
{
    struct parent *f = spawn(rt, &parent_type, NULL);

    new_chan(rt, 1, &f->tx, &f->rx);
    CHECK_RES(nart_rt_run(rt), 0);
}

TEST_WITH(a_small_program_to_the_letter, paused)
{
    nart_res r;

    if (sizeof(void *) != 8)
        SKIP("frame sizes differ, so slot numbers differ");
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_trace_start(rt, 1000), 0);
    run_family();
    char *text = printed(&r);
    CHECK_RES(r, 0);
    CHECK_STR(text, slurp(TEST_SOURCE_DIR "/golden/trace.json"));
    free(text);
}

static nart_res nothing_run(nart_cx *cx, void *frame)
{
    (void)cx, (void)frame;
    return 0;
}

static const nart_task_type nothing_type = NART_TASK_TYPE(int, nothing_run, NULL);

struct reader {
    nart_co co;
    nart_fd fd;
    nart_res r;
    int end;
};

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_fd_open(nart_cx_rt(cx), f->end, 0, &f->fd), 0);
    nart_fd_clear(&f->fd, NART_READ);
    NART_AWAIT(f->r, nart_fd_ready(cx, &f->fd, NART_READ));
    nart_fd_close(&f->fd);
    NART_END(0);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

TEST_WITH(descriptors_and_the_program_have_tracks, paused)
{
    nart_join join;
    nart_res r;
    int end[2];

    CHECK_EQ(pipe(end), 0);
    struct reader *f = spawn(rt, &reader_type, &join);
    f->end = end[0];
    CHECK_RES(nart_trace_start(rt, 1000), 0);
    CHECK_RES(nart_rt_poll(rt, 0), 1);
    CHECK_EQ(write(end[1], "x", 1), 1);
    CHECK_RES(nart_rt_run(rt), 0);
    char *text = printed(&r);
    CHECK_EQ(count(text, "\"s\",\"pid\":1,\"tid\":3"), 1);
    CHECK_EQ(count(text, "\"s\",\"pid\":1,\"tid\":4"), 0); /* spawned before the trace */
    free(text);
    CHECK_RES(nart_rt_spawn(rt, &nothing_type, &(int){ 0 }, NULL), 0);
    text = printed(&r);
    CHECK_EQ(count(text, "\"s\",\"pid\":1,\"tid\":4"), 1);
    free(text);
    nart_join_release(&join);
    close(end[1]);
}

/* ---- lost events ---- */

TEST_WITH(of_too_many_events_the_newest_are_kept, paused)
{
    nart_res all, r;

    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_trace_start(rt, 1000), 0);
    run_family();
    char *text = printed(&all);
    int events = count(text, "\"B\",\"pid\":1,\"tid\":5"); /* polls of the parent */
    free(text);
    CHECK_RES(nart_trace_stop(rt, NULL), 0);

    CHECK_RES(nart_trace_start(rt, 3), 0);
    run_family();
    text = printed(&r);
    CHECK_LE(10, r);
    char lost[64];
    snprintf(lost, sizeof lost, "\"lost\":%d}", (int)r);
    CHECK(strstr(text, lost) != NULL);
    CHECK_EQ(count(text, "\"E\",\"pid\":1,\"tid\":5"), 1); /* the last poll */
    CHECK(events > 1);
    CHECK_EQ(count(text, "\"f\""), count(text, "\"s\","));
    free(text);
}

/* Whatever event the ring starts with: an arrow starts within a poll, or on one of the first four
 * tracks. */
TEST(however_much_is_lost_arrows_begin_in_slices)
{
    for (uint32_t events = 1; events < 60; events++) {
        paused_open();
        nart_res r;
        int open = 0;

        CHECK_RES(nart_rt_clock_auto(rt), 0);
        CHECK_RES(nart_trace_start(rt, events), 0);
        run_family();
        char *text = printed(&r);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
            if (strstr(line, "\"ph\":\"s\""))
                CHECK_EQ(open, 1);
            open += (strstr(line, "\"ph\":\"B\"") != NULL) - (strstr(line, "\"ph\":\"E\"") != NULL);
            CHECK(open == 0 || open == 1);
        }
        CHECK_EQ(open, 0);
        free(text);
        CHECK_RES(nart_rt_free(rt), 0);
    }
}

TEST_WITH(a_slot_s_next_task_has_a_track_of_its_own, paused)
{
    nart_res r;

    CHECK_RES(nart_trace_start(rt, 100), 0);
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_block_on(rt, &nothing_type, &(int){ 0 }, NULL), 0);
    char *text = printed(&r);
    CHECK_EQ(count(text, "thread_name"), 4 + 3);
    CHECK_EQ(count(text, "\"B\",\"pid\":1,\"tid\":7,"), 1);
    free(text);
}

/* ---- starting and stopping ---- */

struct tracer {
    nart_co co;
    nart_timer timer;
    nart_res r;
    char *text;
};

static nart_res tracer_run(nart_cx *cx, void *frame)
{
    struct tracer *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_trace_start(rt, 100), 0);
    CHECK_RES(nart_trace_start(rt, 100), -EALREADY);
    /* this poll has no slice, so its wakes have no arrows */
    CHECK_RES(nart_spawn(cx, &nothing_type, &(int){ 0 }, NULL), 0);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 1));
    f->text = printed(&f->r); /* in the middle of a poll */
    CHECK_EQ(count(f->text, "\"B\",\"pid\":1,\"tid\":6,"), 1);
    CHECK_EQ(count(f->text, "\"E\",\"pid\":1,\"tid\":6,"), 1);
    free(f->text);
    f->text = printed(&f->r); /* a second time */
    CHECK_EQ(count(f->text, "thread_name"), 6);
    free(f->text);
    CHECK_RES(nart_trace_stop(rt, NULL), 0);
    CHECK_RES(nart_trace_stop(rt, NULL), -EPERM);
    CHECK_RES(nart_trace_print(rt, stdout), -EPERM);
    NART_YIELD();
    CHECK_RES(nart_rt_observe(rt, NULL), 0); /* both, in any order */
    CHECK_RES(nart_trace_start(rt, 100), 0);
    CHECK_RES(nart_rt_observe_stop(rt), 0);
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, 1));
    CHECK_RES(nart_rt_observe(rt, NULL), 0);
    CHECK_RES(nart_trace_stop(rt, NULL), 0);
    CHECK_RES(nart_rt_poll_percentile(rt, 100), 0);
    CHECK_RES(nart_trace_start(rt, 100), 0);
    NART_END(0);
}

static const nart_task_type tracer_type = NART_TASK_TYPE(struct tracer, tracer_run, NULL);

TEST_WITH(switched_on_and_off_inside_polls, paused)
{
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_block_on(rt, &tracer_type, NULL, NULL), 0);
}

TEST_WITH(without_memory_nothing_changes, paused)
{
    for (int nth = 1; nth <= 3; nth++) {
        test_alloc_fail(nth, false);
        CHECK_RES(nart_trace_start(rt, 100), -ENOMEM);
        CHECK_RES(nart_trace_stop(rt, NULL), -EPERM);
    }
    test_alloc_fail(0, false);
    CHECK_RES(nart_trace_start(rt, 100), 0);
}

TEST_WITH(a_file_that_is_full, paused)
{
    FILE *full = fopen("/dev/full", "w");

    CHECK(full != NULL);
    CHECK_RES(nart_trace_start(rt, 100), 0);
    CHECK_RES(nart_trace_print(rt, full), -EIO);
    CHECK_RES(nart_trace_stop(rt, full), -EIO);
    CHECK_RES(nart_trace_print(rt, NULL), -EPERM); /* the trace has stopped */
    fclose(full);
}

static void *elsewhere(void *of)
{
    CHECK_RES(nart_trace_start(of, 1), NART_EWRONGTHREAD);
    CHECK_RES(nart_trace_print(of, stdout), NART_EWRONGTHREAD);
    CHECK_RES(nart_trace_stop(of, NULL), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(misuse_is_answered, paused)
{
    CHECK_RES(nart_trace_start(NULL, 1), -EINVAL);
    CHECK_RES(nart_trace_print(NULL, stdout), -EINVAL);
    CHECK_RES(nart_trace_stop(NULL, NULL), -EINVAL);
    CHECK_RES(nart_trace_start(rt, 0), -EINVAL);
    CHECK_RES(nart_rt_bind(rt), 0);
    thread_run(elsewhere, rt);
}

/* ---- for check_trace.py: the trace goes to standard output ---- */

struct stormy {
    nart_co co;
    nart_timer timer;
    nart_join join;
    uint64_t random;
    nart_res r, answer;
    int left;
};

static nart_res storm_run(nart_cx *cx, void *frame);

/* A name that must be escaped. */
static const nart_task_type storm_type = {
    NART_TASK_ABI, 0,    "a \"storm\"\\\n", sizeof(struct stormy), _Alignof(struct stormy),
    storm_run,     NULL, { NULL, NULL }
};

static nart_res storm_run(nart_cx *cx, void *frame)
{
    struct stormy *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->left > 0; f->left--) {
        f->random = f->random * 6364136223846793005u + 1442695040888963407u;
        pass(cx, (int64_t)(f->random >> 50));
        if (f->random >> 62 == 0) {
            NART_YIELD();
        } else if (f->random >> 62 == 1) {
            NART_AWAIT(f->r, nart_sleep(cx, &f->timer, (int64_t)(f->random >> 45 & 0xffff)));
        } else if (f->random >> 62 == 2) {
            struct stormy init = { .random = f->random, .left = f->left / 2 };
            CHECK_RES(nart_spawn(cx, &storm_type, &init, &f->join), 0);
            NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
            nart_join_release(&f->join);
        } else {
            nart_waker_wake(nart_cx_waker(cx));
            NART_YIELD();
        }
    }
    NART_END((nart_res)(f->random & 7) - 3);
}

static void storm(uint32_t events)
{
    CHECK_RES(nart_rt_clock_auto(rt), 0);
    CHECK_RES(nart_trace_start(rt, events), 0);
    for (int i = 0; i < 40; i++) {
        struct stormy init = { .random = (uint64_t)i, .left = 12 };
        CHECK_RES(nart_rt_spawn(rt, &storm_type, &init, NULL), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_LE(0, nart_trace_stop(rt, stdout));
}

TEST_WITH(a_storm, paused)
{
    storm(1000000);
}

TEST_WITH(a_storm_of_which_most_is_lost, paused)
{
    storm(777);
}

TEST_WITH(a_storm_of_which_nearly_all_is_lost, paused)
{
    storm(1);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Jobs in memory of their owners, as other runtimes use them; and what a pool calls for its threads. */
#include "work_test.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 3 };

static nart_workers *pool; /* one thread */
static nart_job_block b[BLOCKS];
static struct gated data[BLOCKS];
static nart_res results[BLOCKS];
static int ends;
static pthread_t ended_on[BLOCKS];

static void work_open(void)
{
    CHECK_EQ(sem_init(&begun, 0, 0), 0);
    CHECK_EQ(sem_init(&go, 0, 0), 0);
    pool = NEW_POOL(.threads = 1, .queue = 2);
}

static void work_close(void)
{
    pool_close(pool);
}

static void ended(void *arg, nart_res res)
{
    ptrdiff_t i = (struct gated *)arg - data;

    results[i] = res;
    ended_on[i] = pthread_self();
    __atomic_fetch_add(&ends, 1, __ATOMIC_SEQ_CST);
}

static nart_res start(int i, const void *owner)
{
    data[i].answer = i + 10;
    return nart_job_start(&b[i], pool, &gated_type, NULL, &data[i], ended, owner);
}

static void release(void)
{
    CHECK_EQ(sem_post(&go), 0);
}

TEST_WITH(a_job_ends_with_a_call, work)
{
    data[0].open = true;
    for (int i = 0; i < 100; i++) {
        CHECK_RES(start(0, NULL), 0);
        await_count(&ends, i + 1);
        CHECK_RES(results[0], 10);
        CHECK(!pthread_equal(ended_on[0], pthread_self()));
    }
    CHECK_EQ(runs, 100);
    CHECK_EQ(drops, 0);
    nart_job_cancel(&b[0]); /* it has ended */
    CHECK_EQ(ends, 100);
}

static void starts_again(void *arg, nart_res res)
{
    CHECK_RES(res, 10);
    if (__atomic_add_fetch(&ends, 1, __ATOMIC_SEQ_CST) < 100)
        CHECK_RES(nart_job_start(&b[0], pool, &gated_type, NULL, arg, starts_again, NULL), 0);
}

TEST_WITH(a_block_is_used_again_when_its_job_has_ended, work)
{
    data[0] = (struct gated){ .answer = 10, .open = true };
    CHECK_RES(nart_job_start(&b[0], pool, &gated_type, NULL, &data[0], starts_again, NULL), 0);
    await_count(&ends, 100);
}

TEST_WITH(a_cancelled_job_of_a_block_ends_if_it_is_queued_and_sees_it_if_it_runs, work)
{
    CHECK_RES(start(0, NULL), 0);
    sem_await(&begun);
    CHECK_RES(start(1, NULL), 0);
    nart_job_cancel(&b[1]);
    CHECK_EQ(ends, 1);
    CHECK_RES(results[1], NART_EABORTED);
    CHECK(pthread_equal(ended_on[1], pthread_self()));
    nart_job_cancel(&b[0]);
    release();
    await_count(&ends, 2);
    CHECK_RES(results[0], 10);
    CHECK_EQ(saw_cancel, 1);
    CHECK_EQ(runs, 1);
}

TEST_WITH(a_job_of_a_block_is_refused_without_a_call, work)
{
    const nart_work_type other = { .abi = NART_WORK_ABI + 1 };

    CHECK_RES(nart_job_start(NULL, pool, &gated_type, NULL, &data[0], ended, NULL), -EINVAL);
    CHECK_RES(nart_job_start(&b[0], pool, NULL, NULL, &data[0], ended, NULL), -EINVAL);
    CHECK_RES(nart_job_start(&b[0], pool, &gated_type, NULL, &data[0], NULL, NULL), -EINVAL);
    CHECK_RES(nart_job_start(&b[0], pool, &other, NULL, &data[0], ended, NULL), NART_EABI);
    CHECK_RES(start(0, NULL), 0);
    sem_await(&begun);
    nart_job_block full[3];
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_job_start(&full[i], pool, &gated_type, NULL, &data[1], ended, NULL),
                  i < 2 ? 0 : -EAGAIN);
    CHECK_EQ(ends, 0);
    CHECK_RES(nart_workers_shutdown(pool, 0), -ETIMEDOUT);
    CHECK_EQ(ends, 2);
    release();
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    CHECK_EQ(ends, 3);
    CHECK_RES(results[1], NART_ESHUTDOWN);
    CHECK_RES(start(2, NULL), NART_ESHUTDOWN);
    CHECK_EQ(ends, 3);
}

TEST(without_a_thread_a_job_of_a_block_is_refused)
{
    pool = NEW_POOL(.stack = (size_t)1 << 47); /* more than there are addresses */
    for (int i = 0; i < 3; i++)
        CHECK_RES(start(0, NULL), -EAGAIN);
    CHECK_EQ(ends, 0);
    CHECK_EQ(pool_stats(pool).threads, 0);
    pool_close(pool);
}

static void see(void *arg, const char *name, bool run)
{
    char *text = arg;
    size_t len = strlen(text);

    (void)snprintf(text + len, 100 - len, "%s%s ", name, run ? "!" : "");
}

TEST_WITH(the_jobs_of_an_owner_are_listed_and_ended, work)
{
    char text[100] = "", after[100] = "";
    int one, two;

    CHECK_RES(nart_job_start(&b[0], pool, &gated_type, "first", &data[0], ended, &one), 0);
    sem_await(&begun);
    CHECK_RES(nart_job_start(&b[1], pool, &gated_type, "other", &data[1], ended, &two), 0);
    CHECK_RES(start(2, &one), 0);
    nart_jobs_each(pool, &one, see, text);
    CHECK_STR(text, "first! struct gated ");
    nart_jobs_end(pool, &one);
    CHECK_EQ(ends, 1);
    CHECK_RES(results[2], NART_ESHUTDOWN);
    nart_jobs_each(pool, &two, see, after);
    CHECK_STR(after, "other ");
    data[1].open = true;
    release();
    await_count(&ends, 3);
    CHECK_RES(results[0], 0);
    CHECK_EQ(saw_cancel, 1);
    CHECK_RES(results[1], 0);
}

TEST_WITH(a_child_of_fork_leaves_blocks_alone, work)
{
    int status = -1;
    char text[100] = "";

    CHECK_RES(start(0, &data), 0);
    sem_await(&begun);
    CHECK_RES(start(1, &data), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        nart_job_cancel(&b[1]);
        nart_jobs_end(pool, &data);
        nart_jobs_each(pool, &data, see, text);
        CHECK_STR(text, "");
        CHECK_EQ(ends, 0);
        CHECK_RES(start(2, &data), NART_EFORK);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    data[1].open = true;
    release();
    await_count(&ends, 2);
    CHECK_EQ(saw_cancel, 0);
}

/* ---- what a pool calls ---- */

static int starts, pool_ends;
static __thread int here_started;

static void on_start(void *arg)
{
    CHECK(arg == &starts);
    CHECK_EQ(here_started++, 0);
    __atomic_fetch_add(&starts, 1, __ATOMIC_SEQ_CST);
}

static void on_end(void *arg)
{
    CHECK(arg == &starts);
    __atomic_fetch_add(&pool_ends, 1, __ATOMIC_SEQ_CST);
}

static nart_res started_do(void *arg, const nart_job *job)
{
    (void)arg, (void)job;
    return here_started;
}

static const nart_work_type started_type = NART_WORK_TYPE(struct gated, started_do, NULL);

TEST(a_thread_calls_on_start_first_and_a_pool_on_end_last)
{
    pool = NEW_POOL(.threads = 1, .idle_ns = 1, .on_start = on_start, .arg = &starts,
                    .on_end = on_end);
    CHECK_EQ(starts, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_job_start(&b[0], pool, &started_type, NULL, &data[0], ended, NULL), 0);
        await_count(&ends, i + 1);
        CHECK_RES(results[0], 1);
        while (pool_stats(pool).threads > 0)
            sched_yield();
    }
    CHECK_LE(3, starts);
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    CHECK_EQ(pool_ends, 0);
    nart_workers_free(pool);
    await_count(&pool_ends, 1); /* by the last thread, if that is still ending */
    CHECK_EQ(pool_ends, 1);
}

static nart_res closes_do(void *arg, const nart_job *job)
{
    (void)arg;
    CHECK_RES(nart_workers_shutdown(pool, 1), -EDEADLK);
    CHECK(!nart_work_cancelled(job));
    CHECK_RES(nart_workers_shutdown(pool, 0), -ETIMEDOUT);
    CHECK(nart_work_cancelled(job));
    return 7;
}

static const nart_work_type closes_type = NART_WORK_TYPE(struct gated, closes_do, NULL);

TEST_WITH(a_job_shuts_its_pool_down_without_waiting, work)
{
    CHECK_RES(nart_job_start(&b[0], pool, &closes_type, NULL, &data[0], ended, NULL), 0);
    await_count(&ends, 1);
    CHECK_RES(results[0], 7);
    CHECK_RES(start(1, NULL), NART_ESHUTDOWN);
}

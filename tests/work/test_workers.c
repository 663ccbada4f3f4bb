/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pools: options, threads, queues, shutting down, freeing, forks. */
#include "work_test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS = 4 };

static nart_rt *rt;
static nart_workers *pool;
static nart_work w[JOBS];

static void work_open(void)
{
    CHECK_EQ(sem_init(&begun, 0, 0), 0);
    CHECK_EQ(sem_init(&go, 0, 0), 0);
    rt = new_rt();
}

static void work_close(void)
{
    for (int i = 0; i < JOBS; i++)
        nart_work_close(&w[i]);
    CHECK_RES(nart_rt_free(rt), 0);
}

static nart_res start(int i, bool open)
{
    return nart_work_start(&w[i], pool, &gated_type, &(struct gated){ .order = i, .open = open });
}

static nart_res result_of(nart_work *work)
{
    struct op op = { .w = work, .await = true };

    op_start(rt, BODY, &op);
    op_finish(rt, &op);
    return op.res;
}

static void release(void)
{
    CHECK_EQ(sem_post(&go), 0);
}

/* ---- options ---- */

TEST(options_out_of_range_are_refused)
{
    const nart_workers_opts bad[] = {
        { .size = sizeof *bad, .threads = 4097 },
        { .size = sizeof *bad, .queue = (1 << 20) + 1 },
        { .size = sizeof *bad, .idle_ns = -1 },
        { .size = sizeof *bad, .stack = (64 << 10) - 1 },
    };
    const nart_workers_opts old = { .size = 8 };
    nart_workers_opts good = NART_WORKERS_OPTS_INIT;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pool = (nart_workers *)(void *)w;
        CHECK_RES(nart_workers_new(&bad[i], &pool), -EINVAL);
        CHECK(pool == NULL);
    }
    CHECK_RES(nart_workers_new(&old, &pool), NART_EABI);
    CHECK_RES(nart_workers_new(NULL, NULL), -EINVAL);
    good.alloc = &test_alloc;
    test_alloc_fail(1, false);
    CHECK_RES(nart_workers_new(&good, &pool), -ENOMEM);
    CHECK_RES(nart_workers_new(NULL, &pool), 0);
    CHECK_EQ(pool_stats(pool).threads, 0);
    nart_workers_free(pool);
    nart_workers_free(NULL);
}

TEST(stats_of_another_version_are_refused)
{
    nart_workers_stats s = { .size = 4 };

    CHECK_RES(nart_workers_stats_get(NULL, &s), NART_EABI);
    CHECK_RES(nart_workers_stats_get(NULL, NULL), -EINVAL);
    s = (nart_workers_stats){ .size = offsetof(nart_workers_stats, idle), .idle = 77 };
    CHECK_RES(nart_workers_stats_get(NULL, &s), 0);
    CHECK_EQ(s.idle, 77);
}

/* ---- threads ---- */

struct thread_facts {
    char name[16];
    sigset_t blocked;
    size_t stack;
};

static nart_res facts_do(void *data, const nart_job *job)
{
    struct thread_facts *f = data;
    pthread_attr_t attr;

    (void)job;
    CHECK_EQ(prctl(PR_GET_NAME, f->name), 0);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &f->blocked), 0);
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
    CHECK_EQ(pthread_attr_getstacksize(&attr, &f->stack), 0);
    CHECK_EQ(pthread_attr_destroy(&attr), 0);
    return 0;
}

static const nart_work_type facts_type = NART_WORK_TYPE(struct thread_facts, facts_do, NULL);

TEST_WITH(a_thread_has_a_name_a_stack_and_no_signals, work)
{
    sigset_t mine;

    pool = NEW_POOL(.name = "a name that is too long", .stack = 16 << 20);
    CHECK_RES(nart_work_start(&w[0], pool, &facts_type, NULL), 0);
    CHECK_RES(result_of(&w[0]), 0);
    struct thread_facts *f = nart_work_data(&w[0]);
    CHECK_STR(f->name, "a name that is ");
    CHECK_LE(16 << 20, f->stack);
    for (int s = 1; s < 32; s++) {
        bool fault = s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL || s == SIGTRAP;
        CHECK(s == SIGKILL || s == SIGSTOP || sigismember(&f->blocked, s) != fault);
    }
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mine), 0);
    CHECK(!sigismember(&mine, SIGTERM));
    pool_close(pool);
}

TEST_WITH(threads_are_started_for_jobs_up_to_the_limit, work)
{
    pool = NEW_POOL(.threads = 2);
    for (int i = 0; i < JOBS; i++)
        CHECK_RES(start(i, false), 0);
    sem_await(&begun);
    sem_await(&begun);
    nart_workers_stats s = pool_stats(pool);
    CHECK_EQ(s.threads, 2);
    CHECK_EQ(s.running, 2);
    CHECK_EQ(s.queued, 2);
    CHECK_EQ(s.idle, 0);
    CHECK_EQ(s.started, 2);
    for (int i = 0; i < JOBS; i++)
        release();
    for (int i = 0; i < JOBS; i++)
        CHECK_RES(result_of(&w[i]), 0);
    CHECK_EQ(pool_stats(pool).started, JOBS);
    pool_close(pool);
}

TEST_WITH(an_idle_thread_takes_the_next_job, work)
{
    pool = NEW_POOL(.threads = 8, .idle_ns = NART_NEVER);
    for (int i = 0; i < 100; i++) {
        CHECK_RES(start(0, true), 0);
        CHECK_RES(result_of(&w[0]), 0);
        while (pool_stats(pool).idle == 0)
            sched_yield();
        CHECK_EQ(pool_stats(pool).threads, 1);
    }
    pool_close(pool);
}

/* One thread is idle and called for the first job, and calls the next one for the second. */
TEST_WITH(idle_threads_run_jobs_at_the_same_time, work)
{
    pool = NEW_POOL(.threads = 3, .idle_ns = NART_NEVER);
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 3; k++)
            CHECK_RES(start(k, false), 0);
        for (int k = 0; k < 3; k++)
            sem_await(&begun);
        for (int k = 0; k < 3; k++)
            release();
        for (int k = 0; k < 3; k++)
            CHECK_RES(result_of(&w[k]), 0);
        while (pool_stats(pool).idle < 3)
            sched_yield();
    }
    pool_close(pool);
}

struct hold {
    sem_t *until;
    pthread_t thread;
};

static nart_res hold_do(void *data, const nart_job *job)
{
    struct hold *h = data;

    (void)job;
    h->thread = pthread_self();
    CHECK_EQ(sem_post(&begun), 0);
    sem_await(h->until);
    return 0;
}

static const nart_work_type hold_type = NART_WORK_TYPE(struct hold, hold_do, NULL);

static pthread_t thread_of(nart_work *work)
{
    CHECK_RES(result_of(work), 0);
    return ((struct hold *)nart_work_data(work))->thread;
}

/* Its caches are warm, and threads that are not needed reach their idle time. */
TEST_WITH(the_thread_that_has_become_idle_last_takes_the_next_job, work)
{
    sem_t until[2];

    pool = NEW_POOL(.threads = 2, .idle_ns = NART_NEVER);
    for (int round = 0; round < 20; round++) {
        int last = round / 2 % 2;
        for (int i = 0; i < 2; i++) {
            CHECK_EQ(sem_init(&until[i], 0, 0), 0);
            CHECK_RES(
                nart_work_start(&w[i], pool, &hold_type, &(struct hold){ .until = &until[i] }), 0);
            sem_await(&begun);
        }
        for (uint32_t idle = 0; idle < 2; idle++) {
            CHECK_EQ(sem_post(&until[idle == 0 ? 1 - last : last]), 0);
            while (pool_stats(pool).idle <= idle)
                sched_yield();
        }
        pthread_t expected = thread_of(&w[last]);
        CHECK(!pthread_equal(thread_of(&w[1 - last]), expected));
        CHECK_EQ(sem_post(&until[0]), 0);
        CHECK_RES(nart_work_start(&w[0], pool, &hold_type, &(struct hold){ .until = &until[0] }),
                  0);
        CHECK(pthread_equal(thread_of(&w[0]), expected));
        sem_await(&begun);
        while (pool_stats(pool).idle < 2)
            sched_yield();
    }
    pool_close(pool);
}

TEST_WITH(a_thread_that_was_idle_ends, work)
{
    pool = NEW_POOL(.idle_ns = 1);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(start(0, true), 0);
        CHECK_RES(result_of(&w[0]), 0);
        while (pool_stats(pool).threads > 0)
            sched_yield();
    }
    pool_close(pool);
}

TEST_WITH(without_a_thread_a_job_is_refused, work)
{
    pool = NEW_POOL(.stack = (size_t)1 << 47); /* more than there are addresses */
    CHECK_RES(start(0, true), -EAGAIN);
    CHECK(!nart_work_done(&w[0]));
    CHECK_EQ(runs, 0);
    CHECK_EQ(pool_stats(pool).threads, 0);
    struct op op = { .w = &w[1], .pool = pool };
    op_start(rt, BODY, &op);
    op_finish(rt, &op);
    CHECK_RES(op.res, -EAGAIN);
    pool_close(pool);
}

static nart_res exits_do(void *data, const nart_job *job)
{
    (void)data, (void)job;
    pthread_exit(NULL);
}

static const nart_work_type exits_type = NART_WORK_TYPE(struct gated, exits_do, gated_drop);

TEST_WITH(a_job_may_end_its_thread, work)
{
    pool = NEW_POOL(.threads = 1);
    CHECK_RES(nart_work_start(&w[0], pool, &exits_type, NULL), 0);
    CHECK_RES(start(1, true), 0);
    CHECK_RES(result_of(&w[0]), NART_EABORTED);
    CHECK_RES(result_of(&w[1]), 0);
    nart_work_close(&w[0]);
    CHECK_EQ(drops, 1);
    pool_close(pool);
}

/* ---- queues ---- */

TEST_WITH(a_full_queue_refuses_and_drops_nothing, work)
{
    pool = NEW_POOL(.threads = 1, .queue = 2);
    CHECK_RES(start(0, false), 0);
    sem_await(&begun);
    CHECK_RES(start(1, true), 0);
    CHECK_RES(start(2, true), 0);
    CHECK_RES(start(3, true), -EAGAIN);
    CHECK_RES(start(3, true), -EAGAIN);
    CHECK_EQ(pool_stats(pool).queued, 2);
    release();
    CHECK_RES(result_of(&w[2]), 0);
    CHECK_EQ(drops, 0);
    CHECK_RES(start(3, true), 0);
    CHECK_RES(result_of(&w[3]), 0);
    pool_close(pool);
}

TEST_EACH(operations_wait_their_turn_in_a_full_queue, BODY, FIBER)
{
    struct op ops[JOBS];

    work_open();
    pool = NEW_POOL(.threads = 1, .queue = 1);
    for (int i = 0; i < JOBS; i++) {
        ops[i] = (struct op){ .w = &w[i], .pool = pool, .init = { .order = i, .answer = i } };
        op_start(rt, kind, &ops[i]);
    }
    for (int i = 0; i < JOBS; i++)
        release();
    for (int i = 0; i < JOBS; i++) {
        op_finish(rt, &ops[i]);
        CHECK_RES(ops[i].res, i);
        CHECK_EQ(order[i], i);
    }
    work_close();
    pool_close(pool);
}

/* ---- the end ---- */

TEST_WITH(a_shutdown_ends_queued_jobs_and_cancels_those_that_run, work)
{
    struct op waits = { .w = &w[1] };

    pool = NEW_POOL(.threads = 1);
    CHECK_RES(nart_work_start(&w[0], pool, &gated_type,
                              &(struct gated){ .open = true, .until_cancelled = true }),
              0);
    sem_await(&begun);
    waits.pool = pool;
    op_start(rt, BODY, &waits);
    CHECK_RES(start(2, true), 0);
    nart_work_detach(&w[2]);
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    CHECK_RES(result_of(&w[0]), 0);
    CHECK_EQ(saw_cancel, 1);
    op_finish(rt, &waits);
    CHECK_RES(waits.res, NART_ESHUTDOWN);
    CHECK_EQ(drops, 1); /* of the one that was detached */
    CHECK_RES(start(3, true), NART_ESHUTDOWN);
    CHECK_RES(nart_workers_shutdown(pool, 0), 0);
    nart_workers_free(pool);
    CHECK_EQ(runs, 1);
}

TEST_WITH(a_shutdown_has_a_deadline, work)
{
    pool = NEW_POOL(.threads = 2);
    CHECK_RES(start(0, false), 0);
    sem_await(&begun);
    CHECK_RES(nart_workers_shutdown(pool, 0), -ETIMEDOUT);
    CHECK_RES(nart_workers_shutdown(pool, NART_MS), -ETIMEDOUT);
    release();
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    CHECK_RES(result_of(&w[0]), 0);
    nart_workers_free(pool);
}

static pthread_key_t slow_end;
static int ends;

/* The last that a thread of the pool does, and it takes its time. */
static void end_slowly(void *value)
{
    (void)value;
    usleep(2000);
    __atomic_fetch_add(&ends, 1, __ATOMIC_SEQ_CST);
}

/* Begins twice: when it runs, and when the pool is shut down. */
static nart_res slow_do(void *data, const nart_job *job)
{
    (void)data;
    CHECK_EQ(pthread_setspecific(slow_end, &ends), 0);
    CHECK_EQ(sem_post(&begun), 0);
    while (!nart_work_cancelled(job))
        sched_yield();
    CHECK_EQ(sem_post(&begun), 0);
    sem_await(&go);
    return 0;
}

static const nart_work_type slow_type = NART_WORK_TYPE(int, slow_do, NULL);

static void *shut_down(void *arg)
{
    CHECK_RES(nart_workers_shutdown(arg, NART_NEVER), 0);
    CHECK_EQ(count_of(&ends), 1); /* no thread is left */
    return NULL;
}

/* Each finds no thread when it returns, whichever joins the last one. */
TEST_WITH(threads_that_shut_one_pool_down_wait_for_its_end, work)
{
    pthread_t closers[4];

    CHECK_EQ(pthread_key_create(&slow_end, end_slowly), 0);
    pool = NEW_POOL(.threads = 1);
    CHECK_RES(nart_work_start(&w[0], pool, &slow_type, NULL), 0);
    sem_await(&begun);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&closers[i], NULL, shut_down, pool), 0);
    sem_await(&begun);
    release();
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(closers[i], NULL), 0);
    nart_workers_free(pool);
}

TEST_WITH(the_default_pool_accepts_jobs_again_after_the_last_shutdown, work)
{
    pthread_t closer;

    CHECK_EQ(pthread_key_create(&slow_end, end_slowly), 0);
    CHECK_RES(nart_work_start(&w[0], NULL, &slow_type, NULL), 0);
    sem_await(&begun);
    CHECK_EQ(pthread_create(&closer, NULL, shut_down, NULL), 0);
    sem_await(&begun); /* it shuts down */
    CHECK_RES(nart_workers_shutdown(NULL, 0), -ETIMEDOUT);
    CHECK_RES(nart_work_start(&w[1], NULL, &slow_type, NULL), NART_ESHUTDOWN);
    release();
    CHECK_EQ(pthread_join(closer, NULL), 0);
    CHECK_RES(nart_work_start(&w[1], NULL, &slow_type, NULL), 0);
    release();
    CHECK_RES(nart_workers_shutdown(NULL, NART_NEVER), 0);
}

TEST_WITH(a_pool_is_freed_with_jobs, work)
{
    pool = NEW_POOL(.threads = 1);
    CHECK_RES(start(0, false), 0);
    sem_await(&begun);
    CHECK_RES(start(1, true), 0);
    nart_workers_free(pool);
    CHECK_RES(result_of(&w[1]), NART_ESHUTDOWN);
    CHECK(!nart_work_done(&w[0]));
    release();
    CHECK_RES(result_of(&w[0]), 0);
    CHECK_EQ(saw_cancel, 1);
    CHECK_RES(start(0, true), NART_ESHUTDOWN);
}

static nart_res ends_do(void *data, const nart_job *job)
{
    (void)data, (void)job;
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), -EDEADLK);
    nart_workers_free(pool);
    return 0;
}

static const nart_work_type ends_type = NART_WORK_TYPE(int, ends_do, NULL);

TEST_WITH(a_job_may_free_its_pool_but_not_wait_for_it, work)
{
    pool = NEW_POOL(.threads = 1);
    CHECK_RES(nart_work_start(&w[0], pool, &ends_type, NULL), 0);
    CHECK_RES(result_of(&w[0]), 0);
}

/* ---- fork ---- */

static void in_a_child(void (*fn)(void))
{
    int status = -1;

    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        fn();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static nart_res in_child_run(nart_cx *cx, void *frame)
{
    (void)frame;
    return nart_work_await(cx, &w[0]);
}

static const nart_task_type in_child_type = NART_TASK_TYPE(int, in_child_run, NULL);

static nart_res result_in_child(void)
{
    nart_res answer = 0;

    rt = new_rt();
    CHECK_RES(nart_block_on(rt, &in_child_type, NULL, &answer), 0);
    return answer;
}

static void child(void)
{
    nart_workers_stats s = NART_WORKERS_STATS_INIT;

    CHECK_RES(start(1, true), NART_EFORK);
    CHECK_RES(nart_work_start(&w[0], NULL, &gated_type, NULL), NART_EFORK);
    CHECK_RES(result_in_child(), NART_EFORK);
    CHECK_RES(nart_workers_shutdown(pool, 0), NART_EFORK);
    CHECK_RES(nart_workers_stats_get(pool, &s), NART_EFORK);
    nart_workers_dump(pool, stderr);
    CHECK(!nart_work_done(&w[0]));
    nart_work_cancel(&w[0]);
    nart_work_close(&w[0]);
    nart_workers_free(pool);
    CHECK_EQ(pool_stats(NULL).running, 0); /* the default pool is a new one */
    nart_work_close(&w[2]);
}

static void child_runs(void)
{
    nart_work own = { 0 };

    rt = new_rt();
    CHECK_RES(nart_work_start(&own, NULL, &gated_type, &(struct gated){ .open = true }), 0);
    CHECK_RES(result_of(&own), 0);
    nart_work_close(&own);
    nart_work_close(&w[2]);
    CHECK_RES(nart_workers_shutdown(NULL, NART_NEVER), 0);
}

TEST_WITH(a_child_of_fork_leaves_the_parents_jobs_alone, work)
{
    pool = NEW_POOL(.threads = 1);
    CHECK_RES(start(0, false), 0);
    CHECK_RES(nart_work_start(&w[2], NULL, &gated_type, NULL), 0);
    sem_await(&begun);
    sem_await(&begun);
    in_a_child(child);
    release();
    release();
    CHECK_RES(result_of(&w[0]), 0);
    CHECK_RES(result_of(&w[2]), 0);
    CHECK_EQ(drops, 0);
    CHECK_EQ(saw_cancel, 0);
    pool_close(pool);
    CHECK_RES(nart_workers_shutdown(NULL, NART_NEVER), 0);
    in_a_child(child_runs);
}

struct forks {
    bool exits;
};

/* Returns, or ends its thread, in the child, too. */
static nart_res forks_do(void *data, const nart_job *job)
{
    const struct forks *f = data;
    int status = -1;

    (void)job;
    fflush(NULL);
    pid_t child = fork();
    if (child > 0) {
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK_EQ(status, 0);
    } else if (f->exits) {
        pthread_exit(NULL);
    }
    return 0;
}

static const nart_work_type forks_type = NART_WORK_TYPE(struct forks, forks_do, NULL);

static nart_res kills_do(void *data, const nart_job *job)
{
    (void)job;
    if (getpid() != *(const pid_t *)data)
        abort(); /* the child's status */
    return 0;
}

static const nart_work_type kills_type = NART_WORK_TYPE(pid_t, kills_do, NULL);

/* The jobs that are queued run in the parent only, and the default pool of the child is without the thread. */
TEST_WITH(a_job_that_forks_ends_the_child, work)
{
    const pid_t parent = getpid();

    for (int i = 0; i < 4; i++) {
        pool = i < 2 ? NEW_POOL(.threads = 1) : NULL;
        CHECK_RES(nart_work_start(&w[0], pool, &forks_type, &(struct forks){ .exits = i % 2 }), 0);
        CHECK_RES(nart_work_start(&w[1], pool, &kills_type, &parent), 0);
        CHECK_RES(result_of(&w[0]), 0);
        CHECK_RES(result_of(&w[1]), 0);
        nart_work_close(&w[0]);
        nart_work_close(&w[1]);
        CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
        nart_workers_free(pool);
    }
    pool = NULL;
}

/* ---- dumps ---- */

TEST_WITH(a_dump_names_the_jobs, work)
{
    char *text = NULL;
    size_t size;

    pool = NEW_POOL(.threads = 1, .name = "disk");
    CHECK_RES(start(0, false), 0);
    sem_await(&begun);
    CHECK_RES(nart_work_start(&w[1], pool, &facts_type, NULL), 0);
    FILE *out = open_memstream(&text, &size);
    nart_workers_dump(pool, out);
    fclose(out);
    CHECK_STR(text, "disk: 1 threads, 1 jobs run, 1 are queued\n"
                    "struct gated: runs\n"
                    "struct thread_facts: queued\n");
    free(text);
    release();
    pool_close(pool);
}

/* ---- storms ---- */

enum { LOOPS = 4, TASKS = 50 };

struct storm {
    nart_co co;
    nart_work work;
    nart_waiter waiter;
    nart_timer timer;
    uint64_t seed;
    nart_res expected, r;
    int left, which;
};

static nart_workers *shared;
static int storm_runs, storm_drops;

static nart_res number_do(void *data, const nart_job *job)
{
    const nart_res *n = data;

    (void)job;
    __atomic_fetch_add(&storm_runs, 1, __ATOMIC_RELAXED);
    return *n;
}

static void number_drop(void *data)
{
    (void)data;
    __atomic_fetch_add(&storm_drops, 1, __ATOMIC_RELAXED);
}

static const nart_work_type number_type = NART_WORK_TYPE(nart_res, number_do, number_drop);

/* Some jobs are awaited, some lose a race at once, some are closed while they are queued or run. */
static nart_res storm_run(nart_cx *cx, void *frame)
{
    struct storm *f = frame;

    NART_BEGIN(cx, &f->co);
    for (; f->left > 0; f->left--) {
        f->expected = (nart_res)random_below(&f->seed, 1000);
        f->which = (int)random_below(&f->seed, 3);
        if (f->which == 0) {
            f->r = nart_work_start(&f->work, shared, &number_type, &f->expected);
            CHECK(f->r == 0 || f->r == -EAGAIN);
            nart_work_close(&f->work);
        } else if (f->which == 1) {
            NART_AWAIT(f->r, nart_work_run(cx, &f->work, shared, &number_type, &f->expected));
            CHECK_RES(f->r, f->expected);
        } else {
            NART_AWAIT_ANY(f->which, f->r,
                           nart_work_run(cx, &f->work, shared, &number_type, &f->expected),
                           nart_sleep(cx, &f->timer, 0));
            CHECK_RES(f->r, f->which == 0 ? f->expected : 0);
        }
    }
    nart_work_close(&f->work);
    NART_END(0);
}

static const nart_task_type storm_type = NART_TASK_TYPE(struct storm, storm_run, NULL);

static void *loop(void *arg)
{
    nart_rt *own = NEW_RT(.flags = 0);

    for (int i = 0; i < TASKS; i++) {
        struct storm init = { .seed = (uint64_t)(uintptr_t)arg * TASKS + (uint64_t)i,
                              .left = (int)test_repeat(400) };
        CHECK_RES(nart_rt_spawn(own, &storm_type, &init, NULL), 0);
    }
    CHECK_RES(nart_rt_run(own), 0);
    CHECK_RES(nart_rt_free(own), 0);
    return NULL;
}

TEST(jobs_of_many_runtimes_are_answered_and_dropped_once)
{
    pthread_t threads[LOOPS];

    shared = NEW_POOL(.threads = 3, .queue = 8, .idle_ns = 1000);
    for (uintptr_t i = 0; i < LOOPS; i++)
        threads[i] = thread_start(loop, (void *)(i + 1)); // NOLINT(performance-no-int-to-ptr)
    for (int i = 0; i < LOOPS; i++)
        thread_join(threads[i]);
    pool_close(shared);
    CHECK_LE(1, storm_runs);
    CHECK_LE(storm_runs, storm_drops);
}

/* Jobs are started, cancelled and let go while another thread shuts the pool down, or its threads end. */
struct submitter {
    uint64_t seed;
    int accepted;
};

static bool answered(nart_work *work)
{
    while (!nart_work_done(work))
        sched_yield();
    return true;
}

static void *submit_until_closed(void *arg)
{
    struct submitter *s = arg;
    const nart_res one = 1;
    nart_work work = { 0 };
    nart_res r = 0;

    while (r != NART_ESHUTDOWN && s->accepted < 10000) {
        r = nart_work_start(&work, shared, &number_type, &one);
        CHECK(r == 0 || r == -EAGAIN || r == NART_ESHUTDOWN);
        if (r != 0)
            continue;
        s->accepted++;
        switch (random_below(&s->seed, 4)) {
        case 0:
            nart_work_cancel(&work);
            CHECK(answered(&work));
            break;
        case 1:
            nart_work_detach(&work);
            break;
        case 2:
            nart_work_close(&work);
            break;
        default:
            CHECK(answered(&work) && nart_work_data(&work) != NULL);
        }
    }
    nart_work_close(&work);
    return NULL;
}

TEST(a_shutdown_races_with_those_who_start_jobs)
{
    for (uint64_t round = 0; round < test_repeat(100); round++) {
        struct submitter s[3];
        pthread_t threads[3];
        int accepted = 0;

        storm_drops = 0;
        shared = NEW_POOL(.threads = 1 + (uint32_t)round % 3, .queue = 4, .idle_ns = 1000);
        for (uint64_t i = 0; i < 3; i++) {
            s[i] = (struct submitter){ .seed = round * 3 + i + 1 };
            threads[i] = thread_start(submit_until_closed, &s[i]);
        }
        for (uint64_t i = random_below(&(uint64_t){ round + 1 }, 100); i > 0; i--)
            sched_yield();
        CHECK_RES(nart_workers_shutdown(shared, NART_NEVER), 0);
        CHECK_EQ(pool_stats(shared).threads, 0);
        for (int i = 0; i < 3; i++) {
            thread_join(threads[i]);
            accepted += s[i].accepted;
        }
        CHECK_EQ(count_of(&storm_drops), accepted);
        nart_workers_free(shared);
    }
}

/* The pool is freed while its threads start, take jobs, fall asleep and end. */
TEST(a_pool_is_freed_at_any_moment)
{
    for (uint64_t round = 0; round < test_repeat(2000); round++) {
        nart_work works[6] = { 0 };
        uint64_t seed = round + 1;
        const nart_res one = 1;

        storm_drops = 0;
        shared = NEW_POOL(.threads = 1 + (uint32_t)round % 3, .idle_ns = 1 + (int64_t)round % 2000);
        for (int i = 0; i < 6; i++) {
            CHECK_RES(nart_work_start(&works[i], shared, &number_type, &one), 0);
            for (uint64_t k = random_below(&seed, 4); k > 0; k--)
                sched_yield();
        }
        nart_workers_free(shared);
        for (int i = 0; i < 6; i++) {
            CHECK(answered(&works[i]));
            nart_work_close(&works[i]);
        }
        CHECK_EQ(count_of(&storm_drops), 6);
    }
}

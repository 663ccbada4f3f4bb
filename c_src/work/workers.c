/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* workers.c: pools of threads that run jobs.
 *
 * What it keeps true
 *  - A job is idle, queued, running or ended; it begins at most once, ends once, and its data is dropped once.
 *  - A job is in one block, which its pool's allocator made and a handle refers to. It refers to nothing of a task but
 *    its waker, which is harmless when the task is gone.
 *  - If a job is queued, a thread exists that will look at the queue, or is being started.
 *
 * The algorithm. One lock per pool guards its queue, its counts and its jobs. It is not held across a call of user
 * code, a wake, or the start of a thread.
 *  1. Submitting appends to the queue. If more jobs are queued than threads are idle, and there are fewer threads than
 *     allowed, it counts one more and starts it; otherwise it signals one.
 *  2. A thread takes the first job, runs it without the lock, and ends it under the lock: from then on it is the
 *     handle's, and the thread only wakes the waker that it has read before. A job that its handle has left is dropped
 *     and freed by the thread.
 *  3. A handle that leaves a queued job removes it; one that leaves a running job marks it so.
 *  4. A thread that was idle for idle_ns detaches itself and ends. While a pool shuts down, each thread that ends joins
 *     the one that has ended before it, and nart_workers_shutdown() the last one: so no thread is left when it returns.
 *     If several threads shut a pool down, one of them joins, and the others wait for that.
 *  5. A pool is freed by the last of its references: its owner, its threads, the blocks of its jobs.
 *
 * Fork: a child has none of the threads, and any of the locks may be held there. So a pool and a job know the fork epoch
 * in which they were made, and calls compare it before they take a lock. The default pool is made again in the child.
 *
 * Not handled: a job that never returns keeps its thread; a pool whose threads all do so queues for ever. */
#include "../base/alloc.h"
#include "../base/sized.h"
#include "../sys.h"
#include "work.h"

#include <stdio.h>
#include <string.h>

enum {
    THREADS_MAX = 4096,
    THREADS_DEFAULT = 8,
    QUEUE_MAX = 1 << 20,
    QUEUE_DEFAULT = 256,
    STACK_MIN = 64 << 10,
    STACK_DEFAULT = 2 << 20
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned fork_epoch; /* changed in the child only, while it has one thread */
static nart_workers the_default;
static __thread nart_workers *here; /* the pool of this thread */

/* ---- lists ---- */

static void push(struct nart__job_list *l, nart_job *j)
{
    j->next = NULL;
    j->prev = l->last;
    if (l->last)
        l->last->next = j;
    else
        l->first = j;
    l->last = j;
}

static void take(struct nart__job_list *l, nart_job *j)
{
    if (j->prev)
        j->prev->next = j->next;
    else
        l->first = j->next;
    if (j->next)
        j->next->prev = j->prev;
    else
        l->last = j->prev;
}

/* ---- pools ---- */

/* 0; -EINVAL an option out of its range. */
static nart_res pool_init(nart_workers *p, const nart_workers_opts *o)
{
    pthread_condattr_t attr;

    memset(p, 0, sizeof *p);
    p->threads_max = o->threads ? o->threads : THREADS_DEFAULT;
    p->queue_max = o->queue ? o->queue : QUEUE_DEFAULT;
    p->idle_ns = o->idle_ns ? o->idle_ns : NART_SEC;
    p->stack = o->stack ? o->stack : STACK_DEFAULT;
    if (p->threads_max > THREADS_MAX || p->queue_max > QUEUE_MAX || p->idle_ns < 0 ||
        p->stack < STACK_MIN)
        return -EINVAL;
    p->alloc = o->alloc ? *o->alloc : nart__alloc_std;
    p->fork_epoch = fork_epoch;
    p->refs = 1;
    (void)snprintf(p->name, sizeof p->name, "%s", o->name ? o->name : "nart-work");
    nart__lock_init(&p->lock);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->queued_one, &attr);
    (void)pthread_cond_init(&p->ended, &attr);
    (void)pthread_condattr_destroy(&attr);
    return 0;
}

static void default_init(void)
{
    const nart_workers_opts none = NART_WORKERS_OPTS_INIT;
    (void)pool_init(&the_default, &none);
}

static void in_child(void)
{
    fork_epoch++;
    here = NULL; /* also if a job has forked */
    default_init();
}

static void begin(void)
{
    default_init();
    (void)pthread_atfork(NULL, NULL, in_child);
}

nart_workers *nart__workers_of(nart_workers *pool)
{
    (void)pthread_once(&once, begin);
    if (!pool)
        return &the_default;
    return pool->fork_epoch == fork_epoch ? pool : NULL;
}

nart_res nart_workers_new(const nart_workers_opts *opts, nart_workers **out)
{
    nart_workers_opts o = NART_WORKERS_OPTS_INIT;

    if (!out)
        return -EINVAL;
    *out = NULL;
    nart_res r = nart__sized_in(&o, sizeof o, opts, offsetof(nart_workers_opts, reserved));
    if (r)
        return r;
    (void)pthread_once(&once, begin);
    const nart_alloc *a = o.alloc ? o.alloc : &nart__alloc_std;
    nart_workers *p = nart__alloc(a, sizeof *p, NART__ALIGNOF(nart_workers));
    if (!p)
        return -ENOMEM;
    r = pool_init(p, &o);
    if (r) {
        nart__free(a, p, sizeof *p, NART__ALIGNOF(nart_workers));
        return r;
    }
    *out = p;
    return 0;
}

static void pool_destroy(nart_workers *p)
{
    nart_alloc a = p->alloc;

    (void)pthread_cond_destroy(&p->ended);
    (void)pthread_cond_destroy(&p->queued_one);
    nart__lock_finish(&p->lock);
    nart__free(&a, p, sizeof *p, NART__ALIGNOF(nart_workers));
}

/* Leaves the lock with one reference less. */
static void unref_and_leave(nart_workers *p)
{
    bool last = --p->refs == 0;

    nart__lock_leave(&p->lock);
    if (last)
        pool_destroy(p);
}

/* ---- jobs ---- */

nart_job *nart__job_new(nart_workers *pool, size_t bytes, size_t align)
{
    if (align < NART__ALIGNOF(nart_job))
        align = NART__ALIGNOF(nart_job);
    size_t head = (sizeof(nart_job) + align - 1) & ~(align - 1);
    if (bytes > SIZE_MAX - head)
        return NULL;
    nart_job *j = nart__alloc(&pool->alloc, head + bytes, align);
    if (!j)
        return NULL;
    memset(j, 0, sizeof *j);
    j->pool = pool;
    j->bytes = head + bytes;
    j->align = align;
    j->room = bytes;
    j->data = (char *)j + head;
    j->fork_epoch = fork_epoch;
    nart__lock_enter(&pool->lock);
    pool->refs++;
    nart__lock_leave(&pool->lock);
    return j;
}

bool nart__job_is_forked(const nart_job *j)
{
    return j->fork_epoch != fork_epoch;
}

void nart__job_free(nart_job *j)
{
    nart_workers *p = j->pool;

    nart__free(&p->alloc, j, j->bytes, j->align);
    nart__lock_enter(&p->lock);
    unref_and_leave(p);
}

static void drop_data(nart_job *j)
{
    j->state = JOB_IDLE;
    if (j->has_data && j->type->drop)
        j->type->drop(j->data);
    j->has_data = false;
}

/* A job that was queued or running has its result. Answers the waker to call without the lock; `*left`: the job is the
 * caller's to free. Within the lock. */
static nart_waker end(nart_job *j, nart_res res, bool *left)
{
    nart_waker w = j->waker;

    j->waker = (nart_waker){ 0 };
    j->state = JOB_ENDED;
    j->res = res;
    *left = !j->held;
    return w;
}

/* After end(), without the lock. */
static void ended(nart_job *j, nart_waker w, bool left)
{
    if (left) {
        drop_data(j);
        nart__job_free(j);
    } else {
        nart_waker_wake(w);
    }
}

static void unqueue(nart_workers *p, nart_job *j)
{
    take(&p->queue, j);
    p->queued--;
}

/* Ends all jobs that are queued. Within the lock, which is left meanwhile. */
static void end_queued(nart_workers *p, nart_res res)
{
    nart_job *j;

    while ((j = p->queue.first)) {
        bool left;
        unqueue(p, j);
        nart_waker w = end(j, res, &left);
        nart__lock_leave(&p->lock);
        ended(j, w, left);
        nart__lock_enter(&p->lock);
    }
}

/* ---- threads ---- */

static void *work(void *arg);

/* Counts another thread if there are more jobs than threads for them: then start_thread() follows. */
static bool count_thread(nart_workers *p)
{
    if (p->queued <= p->idle || p->threads >= p->threads_max)
        return false;
    p->threads++;
    p->refs++;
    return true;
}

/* Starts a thread, which its caller has counted. If that fails, other threads take the jobs; without any, the jobs
 * end: also those of callers that have relied on the thread that was counted. */
static void start_thread(nart_workers *p)
{
    if (nart__sys_thread_start(work, p, p->stack) == 0)
        return;
    nart__lock_enter(&p->lock);
    p->threads--;
    if (p->threads == 0)
        end_queued(p, -EAGAIN);
    (void)pthread_cond_broadcast(&p->ended);
    unref_and_leave(p);
}

nart_res nart__job_submit(nart_job *j, bool bounded)
{
    nart_workers *p = j->pool;
    nart_res r = 0;

    nart__lock_enter(&p->lock);
    if (p->closing)
        r = NART_ESHUTDOWN;
    else if (bounded && p->queued >= p->queue_max)
        r = -EAGAIN;
    if (r) {
        nart__lock_leave(&p->lock);
        return r;
    }
    NART__STORE(&j->cancelled, 0u, NART__RELAXED); /* the lock publishes it */
    j->state = JOB_QUEUED;
    j->held = true;
    push(&p->queue, j);
    p->queued++;
    bool more = count_thread(p);
    nart__lock_leave(&p->lock);
    if (more)
        start_thread(p);
    else
        (void)pthread_cond_signal(&p->queued_one);
    return 0;
}

/* A result, whatever the function has returned. */
static nart_res result_of(nart_res r)
{
    if (r == -ECANCELED)
        return NART_EABORTED;
    return r < 0 && (r < -8191 || r == NART_PENDING) ? -EINVAL : r;
}

struct worker {
    nart_workers *pool;
    nart_job *job; /* that runs */
};

/* The function of the running job has returned, or has ended the thread. Enters the lock. */
static void run_over(struct worker *self, nart_res res)
{
    nart_workers *p = self->pool;
    nart_job *j = self->job;
    bool left;

    self->job = NULL;
    nart__lock_enter(&p->lock);
    take(&p->run, j);
    p->running--;
    nart_waker w = end(j, res, &left);
    nart__lock_leave(&p->lock);
    ended(j, w, left);
    nart__lock_enter(&p->lock);
}

static void run_next(struct worker *self)
{
    nart_workers *p = self->pool;
    nart_job *j = p->queue.first;

    unqueue(p, j);
    push(&p->run, j);
    p->running++;
    p->started++;
    j->state = JOB_RUNNING;
    self->job = j;
    nart__lock_leave(&p->lock);
    run_over(self, result_of(j->type->run(j->data, j)));
}

/* Waits for a job. False: the thread ends. */
static bool await_job(nart_workers *p)
{
    int err = 0;
    int64_t until = 0;

    while (!p->queue.first && !p->closing && err == 0) {
        if (until == 0)
            until = nart_time_add(nart__sys_now(), p->idle_ns);
        p->idle++;
        err = nart__sys_cond_wait(&p->queued_one, &p->lock, until);
        p->idle--;
    }
    return p->queue.first != NULL;
}

/* The end of a thread, also by pthread_exit() in a job. */
static void work_over(void *arg)
{
    struct worker *self = arg;
    nart_workers *p = self->pool;
    pthread_t before = pthread_self();
    bool joins = false;

    if (self->job)
        run_over(self, NART_EABORTED);
    here = NULL;
    p->threads--;
    bool more = count_thread(p);
    if (p->closing && !p->unowned) {
        joins = p->has_last;
        before = p->last;
        p->last = pthread_self();
        p->has_last = true;
    } else {
        (void)pthread_detach(pthread_self());
    }
    (void)pthread_cond_broadcast(&p->ended);
    nart__lock_leave(&p->lock);
    if (joins)
        (void)pthread_join(before, NULL);
    if (more)
        start_thread(p);
    nart__lock_enter(&p->lock);
    unref_and_leave(p);
}

static void *work(void *arg)
{
    struct worker self = { .pool = arg };

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    nart__sys_thread_name(self.pool->name);
    here = self.pool;
    pthread_cleanup_push(work_over, &self);
    nart__lock_enter(&self.pool->lock);
    while (await_job(self.pool))
        run_next(&self);
    pthread_cleanup_pop(1);
    return NULL;
}

/* ---- what handles do with their jobs ---- */

nart_res nart__job_look(nart_job *j, nart_waker waker)
{
    nart_workers *p = j->pool;
    nart_res r = NART_PENDING;

    nart__lock_enter(&p->lock);
    if (j->state == JOB_ENDED)
        r = j->res;
    else
        j->waker = waker;
    nart__lock_leave(&p->lock);
    return r;
}

bool nart__job_has_ended(nart_job *j)
{
    nart__lock_enter(&j->pool->lock);
    bool yes = j->state == JOB_ENDED;
    nart__lock_leave(&j->pool->lock);
    return yes;
}

void nart__job_cancel(nart_job *j)
{
    nart_workers *p = j->pool;
    nart_waker w = { 0 };
    bool left;

    nart__lock_enter(&p->lock);
    if (j->state == JOB_QUEUED) {
        unqueue(p, j);
        w = end(j, NART_EABORTED, &left);
    }
    NART__STORE(&j->cancelled, 1u, NART__RELAXED); /* a flag that publishes nothing */
    nart__lock_leave(&p->lock);
    nart_waker_wake(w);
}

bool nart__job_leave(nart_job *j, bool cancel)
{
    nart_workers *p = j->pool;

    nart__lock_enter(&p->lock);
    if (cancel && j->state == JOB_QUEUED) {
        unqueue(p, j);
        j->state = JOB_ENDED;
    }
    bool own = j->state == JOB_IDLE || j->state == JOB_ENDED;
    if (!own) {
        j->held = false;
        j->waker = (nart_waker){ 0 };
        if (cancel)
            NART__STORE(&j->cancelled, 1u, NART__RELAXED); /* as above */
    }
    nart__lock_leave(&p->lock);
    if (own)
        drop_data(j);
    return own;
}

bool nart_work_cancelled(const nart_job *job)
{
    return NART__LOAD(&job->cancelled, NART__RELAXED) != 0; /* as above */
}

/* ---- shutting down ---- */

static void close_pool(nart_workers *p)
{
    p->closing = true;
    end_queued(p, NART_ESHUTDOWN);
    for (nart_job *j = p->run.first; j; j = j->next)
        NART__STORE(&j->cancelled, 1u, NART__RELAXED); /* as above */
    (void)pthread_cond_broadcast(&p->queued_one);
}

/* Joins the thread that has ended last, which has joined those before. Within the lock, which is left meanwhile. */
static void join_last(nart_workers *p)
{
    pthread_t last = p->last;

    p->has_last = false;
    p->joins = true;
    nart__lock_leave(&p->lock);
    (void)pthread_join(last, NULL);
    nart__lock_enter(&p->lock);
    p->joins = false;
    (void)pthread_cond_broadcast(&p->ended);
}

nart_res nart_workers_shutdown(nart_workers *pool, int64_t timeout_ns)
{
    nart_workers *p = nart__workers_of(pool);

    if (!p)
        return NART_EFORK;
    if (p == here)
        return -EDEADLK;
    int64_t until = timeout_ns == NART_NEVER
                        ? NART_NEVER
                        : nart_time_add(nart__sys_now(), timeout_ns > 0 ? timeout_ns : 0);
    int err = 0;
    nart__lock_enter(&p->lock);
    p->closers++;
    close_pool(p);
    while ((p->threads > 0 || p->joins) && err == 0)
        err = nart__sys_cond_wait(&p->ended, &p->lock, until);
    nart_res r = p->threads == 0 && !p->joins ? 0 : -ETIMEDOUT;
    if (p->has_last && !p->joins)
        join_last(p);
    p->closers--;
    if (p == &the_default && p->closers == 0)
        p->closing = false;
    nart__lock_leave(&p->lock);
    return r;
}

void nart_workers_free(nart_workers *pool)
{
    if (!pool || !nart__workers_of(pool))
        return;
    nart__lock_enter(&pool->lock);
    close_pool(pool);
    pool->unowned = true;
    if (pool->has_last)
        (void)pthread_detach(pool->last);
    pool->has_last = false;
    unref_and_leave(pool);
}

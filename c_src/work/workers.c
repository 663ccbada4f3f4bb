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
 *  1. Submitting appends to the queue and requests a thread, unless one that was requested has not arrived yet: it calls
 *     the thread that has become idle last, whose caches are warm; without an idle one it starts one, if there are fewer
 *     than allowed. So a batch of jobs costs one wake, and not one each.
 *  2. A thread that arrives takes the first job, and requests the next thread if more are queued: so each queued job has
 *     a thread on its way as long as one is idle or may be started. It runs the job without the lock, ends it under the
 *     lock, takes the next one in the same section, and then only wakes the waker that it has read before. A job that
 *     its handle has left is dropped and freed by the thread.
 *  3. A handle that leaves a queued job removes it; one that leaves a running job marks it so.
 *  4. An idle thread sleeps on a word of its own (sleep_state), which decides with one exchange whether its caller needs a
 *     system call. One that was idle for idle_ns detaches itself and ends. While a pool shuts down, each thread that ends joins
 *     the one that has ended before it, and nart_workers_shutdown() the last one: so no thread is left when it returns.
 *     If several threads shut a pool down, one of them joins, and the others wait for that.
 *  5. A pool is freed by the last of its references: its owner, its threads, the blocks of its jobs.
 *
 * Not handled: a job that never returns keeps its thread; a pool whose threads all do so queues for ever. */
#include "../base/alloc.h"
#include "../sys.h"
#include "work.h"

#include <string.h>

/* Of a thread that is idle. The caller's exchange to CALLED and the thread's exchange from AWAKE to ASLEEP decide whether
 * it must be woken. */
enum sleep_state { AWAKE, ASLEEP, CALLED };

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
    j->fork_epoch = pool->fork_epoch; /* this process's: see nart__workers_of() */
    nart__lock_enter(&pool->lock);
    pool->refs++;
    nart__lock_leave(&pool->lock);
    return j;
}

void nart__job_free(nart_job *j)
{
    nart_workers *p = j->pool;

    nart__free(&p->alloc, j, j->bytes, j->align);
    nart__lock_enter(&p->lock);
    nart__workers_unref(p);
}

/* Within the lock, or by the handle, which alone changes it while it has the job. */
static uint32_t state_of(nart_job *j)
{
    return NART__LOAD(&j->state, NART__ACQUIRE); /* see end() */
}

static void set_state(nart_job *j, enum job_state state)
{
    NART__STORE(&j->state, state, NART__RELAXED); /* the lock publishes it, or nobody else has it */
}

static void drop_data(nart_job *j)
{
    set_state(j, JOB_IDLE);
    if (j->has_data && j->type->drop)
        j->type->drop(j->data);
    j->has_data = false;
}

/* A job that was queued or running has its result. Answers what to do for it without the lock. Within the lock. */
static struct nart__job_end end(nart_job *j, nart_res res)
{
    struct nart__job_end e = { j->waker, j->end, j->data, res, j->held ? NULL : j };

    j->waker = (nart_waker){ 0 };
    j->res = res;
    /* Release: the handle, which looks without the lock, has the answer. It may free the job from here on. */
    NART__STORE(&j->state, JOB_ENDED, NART__RELEASE);
    return e;
}

static void ended(struct nart__job_end e)
{
    if (e.left) {
        drop_data(e.left);
        nart__job_free(e.left);
    } else if (e.end) {
        e.end(e.data, e.res);
    } else {
        nart_waker_wake(e.waker);
    }
}

static void unqueue(nart_workers *p, nart_job *j)
{
    take(&p->queue, j);
    p->queued--;
}

static nart_job *first_of(const struct nart__job_list *l, const void *owner)
{
    nart_job *j = l->first;

    while (j && owner && j->owner != owner)
        j = j->next;
    return j;
}

void nart__workers_end(nart_workers *p, nart_res res, const void *owner)
{
    nart_job *j;

    while ((j = first_of(&p->queue, owner))) {
        unqueue(p, j);
        struct nart__job_end e = end(j, res);
        nart__lock_leave(&p->lock);
        ended(e);
        nart__lock_enter(&p->lock);
    }
    for (j = p->run.first; j; j = j->next)
        if (!owner || j->owner == owner)
            NART__STORE(&j->cancelled, 1u, NART__RELAXED); /* a flag that publishes nothing */
}

/* ---- threads ---- */

static void *work(void *arg);

/* What to do, without the lock, to get a thread for a queued job. */
struct help {
    NART__ATOMIC(uint32_t) * sleeper; /* to wake */
    bool start;                       /* a thread, which has been counted */
};

/* The thread that has become idle last is idle no more. */
static struct nart__worker *call_one(nart_workers *p)
{
    struct nart__worker *w = p->idler;

    p->idler = w->before;
    if (w->before)
        w->before->after = NULL;
    p->idle--;
    return w;
}

static void count_thread(nart_workers *p)
{
    p->starting = true;
    p->threads++;
    p->refs++;
}

/* Requests a thread, unless one is on its way or none is needed. Within the lock. */
static struct help request(nart_workers *p)
{
    struct help h = { NULL, false };

    if (!p->queue.first || p->called)
        return h;
    if (p->idler) {
        struct nart__worker *w = call_one(p);
        p->called = true;
        /* Relaxed: the lock publishes what the call is for. */
        if (NART__EXCHANGE(&w->sleep, CALLED, NART__RELAXED) == ASLEEP)
            h.sleeper = &w->sleep; /* an address, which is not accessed: the thread may end first */
    } else if (!p->starting && p->threads < p->threads_max) {
        count_thread(p);
        h.start = true;
    }
    return h;
}

/* Starts a thread, which its caller has counted. Without the lock. 1: it was started. If not, it is not counted any more,
 * but its reference is, and this returns within the lock. 0: other threads take the jobs; -EAGAIN: there is none, and the
 * jobs have ended, also those of callers that have relied on this thread. */
static nart_res start_thread(nart_workers *p)
{
    if (nart__sys_thread_start(work, p, p->stack) == 0)
        return 1;
    nart__lock_enter(&p->lock);
    p->starting = false;
    bool none = --p->threads == 0;
    if (none)
        nart__workers_end(p, -EAGAIN, NULL);
    (void)pthread_cond_broadcast(&p->ended);
    return none ? -EAGAIN : 0;
}

/* Carries out request(). */
static void carry_out(nart_workers *p, struct help h)
{
    if (h.sleeper)
        nart__sys_futex_wake(h.sleeper);
    if (h.start && start_thread(p) <= 0)
        nart__workers_unref(p);
}

/* May a job be queued? Within the lock. */
static nart_res admit(const nart_workers *p, bool bounded)
{
    if (p->closing)
        return NART_ESHUTDOWN;
    return bounded && p->queued >= p->queue_max ? -EAGAIN : 0;
}

/* Starts the first thread before a job is queued, so that the job is refused if that fails. Within the lock, which is
 * left meanwhile. */
static nart_res start_first(nart_workers *p)
{
    count_thread(p);
    nart__lock_leave(&p->lock);
    nart_res r = start_thread(p);
    if (r == 1) {
        nart__lock_enter(&p->lock);
        return 0;
    }
    p->refs--; /* not the last one: the job's, or its caller's */
    return r;
}

nart_res nart__job_submit(nart_job *j, bool bounded)
{
    nart_workers *p = j->pool;

    nart__lock_enter(&p->lock);
    nart_res r = admit(p, bounded);
    if (r == 0 && p->threads == 0) {
        r = start_first(p);
        if (r == 0)
            r = admit(p, bounded);
    }
    if (r) {
        nart__lock_leave(&p->lock);
        return r;
    }
    NART__STORE(&j->cancelled, 0u, NART__RELAXED); /* the lock publishes it */
    set_state(j, JOB_QUEUED);
    j->held = true;
    push(&p->queue, j);
    p->queued++;
    struct help h = request(p);
    nart__lock_leave(&p->lock);
    carry_out(p, h);
    return 0;
}

/* A result, whatever the function has returned. */
static nart_res result_of(nart_res r)
{
    if (r == -ECANCELED)
        return NART_EABORTED;
    return r < 0 && (r < -8191 || r == NART_PENDING) ? -EINVAL : r;
}

/* Leaves the lock, and does what had to wait for that. */
static void leave(struct nart__worker *self, struct help h)
{
    struct nart__job_end e = self->end;

    self->end = (struct nart__job_end){ 0 };
    nart__lock_leave(&self->pool->lock);
    ended(e);
    carry_out(self->pool, h);
}

/* The function of the running job has returned, or has ended the thread. Enters the lock. */
static void run_over(struct nart__worker *self, nart_res res)
{
    nart_workers *p = self->pool;
    nart_job *j = self->job;

    self->job = NULL;
    nart__lock_enter(&p->lock);
    take(&p->run, j);
    p->running--;
    self->end = end(j, res);
    if (!self->end.left)
        return;
    leave(self, (struct help){ NULL, false }); /* its drop may take long: before the next job */
    nart__lock_enter(&p->lock);
}

/* `arrived`: it was requested. False: this is a child that the job has forked; see work_over(). */
static bool run_next(struct nart__worker *self, bool arrived)
{
    nart_workers *p = self->pool;
    nart_job *j = p->queue.first;

    unqueue(p, j);
    push(&p->run, j);
    p->running++;
    p->started++;
    set_state(j, JOB_RUNNING);
    self->job = j;
    leave(self, arrived ? request(p) : (struct help){ NULL, false });
    nart_res res = result_of(j->type->run(j->data, j));
    if (nart__job_is_forked(j))
        return false;
    run_over(self, res);
    return true;
}

/* Idle, until it is called or idle_ns have passed. */
static void sleep_idle(struct nart__worker *self)
{
    const int64_t until = nart_time_add(nart__sys_now(), self->pool->idle_ns);
    uint32_t awake = AWAKE;

    /* Relaxed: the lock, which is entered afterwards, publishes what the call is for. */
    if (!NART__CAS(&self->sleep, &awake, ASLEEP, NART__RELAXED, NART__RELAXED))
        return;
    while (NART__LOAD(&self->sleep, NART__RELAXED) == ASLEEP && nart__sys_now() < until)
        nart__sys_futex_wait(&self->sleep, ASLEEP, until);
}

/* Waits for a call. False: the thread ends. */
static bool await_call(struct nart__worker *self)
{
    nart_workers *p = self->pool;

    NART__STORE(&self->sleep, AWAKE, NART__RELAXED); /* nobody else has it yet */
    self->after = NULL;
    self->before = p->idler;
    if (p->idler)
        p->idler->after = self;
    p->idler = self;
    p->idle++;
    leave(self, (struct help){ NULL, false });
    sleep_idle(self);
    nart__lock_enter(&p->lock);
    if (NART__LOAD(&self->sleep, NART__RELAXED) == CALLED) { /* written within the lock */
        p->called = false;
        return true;
    }
    if (self->after)
        self->after->before = self->before;
    else
        p->idler = self->before;
    if (self->before)
        self->before->after = self->after;
    p->idle--;
    return false;
}

/* The end of a thread, also by pthread_exit() in a job. In a child that the job has forked the pool is left alone: its
 * jobs are the parent's, and any thread may have been within its lock. */
static void work_over(void *arg)
{
    struct nart__worker *self = arg;
    nart_workers *p = self->pool;
    pthread_t before = pthread_self();
    bool joins = false;

    if (self->job && nart__job_is_forked(self->job))
        return;
    if (self->job)
        run_over(self, NART_EABORTED);
    nart__workers_here = NULL;
    p->threads--;
    struct help h = request(p);
    if (p->closing && !p->unowned) {
        joins = p->has_last;
        before = p->last;
        p->last = pthread_self();
        p->has_last = true;
    } else {
        (void)pthread_detach(pthread_self());
    }
    (void)pthread_cond_broadcast(&p->ended);
    leave(self, h);
    if (joins)
        (void)pthread_join(before, NULL);
    nart__lock_enter(&p->lock);
    nart__workers_unref(p);
}

/* Runs jobs until it has been idle for long, or the pool shuts down. Within the lock. */
static void serve(struct nart__worker *self)
{
    nart_workers *p = self->pool;
    bool arrived = true;

    do {
        for (; p->queue.first; arrived = false)
            if (!run_next(self, arrived))
                return;
        arrived = true;
    } while (!p->closing && await_call(self));
}

static void *work(void *arg)
{
    struct nart__worker self = { .pool = arg };

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    nart__sys_thread_name(self.pool->name);
    nart__workers_here = self.pool;
    if (self.pool->on_start)
        self.pool->on_start(self.pool->arg);
    pthread_cleanup_push(work_over, &self);
    nart__lock_enter(&self.pool->lock);
    self.pool->starting = false;
    serve(&self);
    pthread_cleanup_pop(1);
    return NULL;
}

/* ---- what handles do with their jobs ---- */

nart_res nart__job_look(nart_job *j, nart_waker waker)
{
    nart_workers *p = j->pool;

    if (state_of(j) == JOB_ENDED)
        return j->res;
    nart__lock_enter(&p->lock);
    bool over = state_of(j) == JOB_ENDED;
    if (!over)
        j->waker = waker;
    nart__lock_leave(&p->lock);
    return over ? j->res : NART_PENDING;
}

bool nart__job_has_ended(nart_job *j)
{
    return state_of(j) == JOB_ENDED;
}

void nart__job_cancel(nart_job *j)
{
    nart_workers *p = j->pool;
    struct nart__job_end e = { 0 };

    nart__lock_enter(&p->lock);
    if (state_of(j) == JOB_QUEUED) {
        unqueue(p, j);
        e = end(j, NART_EABORTED);
    }
    NART__STORE(&j->cancelled, 1u, NART__RELAXED); /* a flag that publishes nothing */
    nart__lock_leave(&p->lock);
    ended(e);
}

/* Is it queued or does it run? */
static bool is_active(nart_job *j)
{
    uint32_t state = state_of(j);
    return state == JOB_QUEUED || state == JOB_RUNNING;
}

bool nart__job_leave(nart_job *j, bool cancel)
{
    nart_workers *p = j->pool;
    bool active = is_active(j);

    if (active) {
        nart__lock_enter(&p->lock);
        if (cancel && state_of(j) == JOB_QUEUED) {
            unqueue(p, j);
            set_state(j, JOB_ENDED);
        }
        active = is_active(j);
        if (active) {
            j->held = false;
            j->waker = (nart_waker){ 0 };
            if (cancel)
                NART__STORE(&j->cancelled, 1u, NART__RELAXED); /* as above */
        }
        nart__lock_leave(&p->lock);
    }
    if (!active)
        drop_data(j);
    return !active;
}

bool nart_work_cancelled(const nart_job *job)
{
    return NART__LOAD(&job->cancelled, NART__RELAXED) != 0; /* as above */
}

/* ---- shutting down ---- */

void nart__workers_close(nart_workers *p)
{
    p->closing = true;
    nart__workers_end(p, NART_ESHUTDOWN, NULL);
    while (p->idler) {
        struct nart__worker *w = call_one(p);
        if (NART__EXCHANGE(&w->sleep, CALLED, NART__RELAXED) == ASLEEP) /* as in request() */
            nart__sys_futex_wake(&w->sleep);
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* work.h: pools of threads and their jobs. See workers.c. */
#ifndef NART_WORK_WORK_H
#define NART_WORK_WORK_H

#include "../base/lock.h"

#include <nart/work.h>

/* JOB_IDLE: a block that a handle keeps for its next job. */
enum job_state { JOB_IDLE, JOB_QUEUED, JOB_RUNNING, JOB_ENDED };

/* One block; the data follows at its alignment. While a job is queued or runs, all fields but `cancelled`, `state` and
 * the constant ones are guarded by the lock of its pool; otherwise they are the handle's. */
struct nart_job {
    nart_job *next, *prev;
    nart_workers *pool;  /* constant, as the next five */
    size_t bytes, align; /* of the whole block */
    size_t room;         /* for data */
    void *data;
    unsigned fork_epoch;
    NART__ATOMIC(uint32_t) cancelled; /* read by the job without the lock */
    NART__ATOMIC(uint32_t) state;     /* written within the lock; JOB_ENDED publishes the rest */
    bool held;                        /* by a handle; if not, the thread that ends it frees it */
    bool has_data;                    /* to be dropped */
    const nart_work_type *type;
    const char *name;
    nart_waker waker; /* of the task that waits for it */
    /* Of a nart_job_block, in place of the waker; the block is not the pool's. Else NULL. */
    void (*end)(void *data, nart_res res);
    const void *owner;
    nart_res res;
};

struct nart__job_list {
    nart_job *first, *last;
};

/* What is done for a job that has ended, without the lock. */
struct nart__job_end {
    nart_waker waker;
    void (*end)(void *data, nart_res res);
    void *data;
    nart_res res;
    nart_job *left; /* to be freed: its handle has left it */
};

/* A thread of a pool. */
struct nart__worker {
    nart_workers *pool;
    nart_job *job;                /* that runs */
    struct nart__job_end end;     /* of the job before, when the lock is left */
    struct nart__worker *before;  /* that has become idle before this one */
    struct nart__worker *after;   /* that has become idle after this one */
    NART__ATOMIC(uint32_t) sleep; /* see sleep_state in workers.c */
};

/* See workers.c. */
struct nart_workers {
    nart__lock lock;
    pthread_cond_t ended;
    struct nart__job_list queue, run;
    struct nart__worker *idler; /* that has become idle last */
    uint32_t threads, idle, queued, running;
    uint32_t refs;
    uint32_t closers; /* threads in nart_workers_shutdown() */
    bool called;      /* an idle thread was called and has not looked at the queue yet */
    bool starting;    /* a thread was counted and has not looked at the queue yet */
    bool closing;     /* accepts no jobs */
    bool joins;       /* a thread that shuts the pool down joins the last one */
    bool unowned;     /* freed by its owner: nobody joins its threads */
    bool has_last;    /* `last` has ended and is not joined yet */
    pthread_t last;
    uint64_t started;
    /* constant */
    uint32_t threads_max, queue_max;
    int64_t idle_ns;
    size_t stack;
    void (*on_start)(void *arg), (*on_end)(void *arg);
    void *arg;
    nart_alloc alloc;
    unsigned fork_epoch;
    char name[16];
};

/* NULL: the default pool. The pool, or NULL in a child of fork, where it is the parent's. */
nart_workers *nart__workers_of(nart_workers *pool);

extern __thread nart_workers *nart__workers_here; /* the pool of this thread */

/* Leaves the lock with one reference less. */
void nart__workers_unref(nart_workers *p);

/* Ends the jobs of an owner that are queued, and cancels those that run. Within the lock, which is left meanwhile. */
void nart__workers_end(nart_workers *p, nart_res res, const void *owner);

/* Accepts no jobs, and ends all. The same. */
void nart__workers_close(nart_workers *p);

/* 0; -EINVAL, NART_EABI. */
nart_res nart__work_type_check(const nart_work_type *t);

/* A block with room for `bytes` of data; NULL: no memory. */
nart_job *nart__job_new(nart_workers *pool, size_t bytes, size_t align);

/* Queues an idle job with data, and starts a thread if there is none for it; `bounded`: unless the queue is full.
 * 0, or -EAGAIN, NART_ESHUTDOWN: it is idle as before. */
nart_res nart__job_submit(nart_job *j, bool bounded);

/* NART_PENDING, and `waker` will be woken; or its result. */
nart_res nart__job_look(nart_job *j, nart_waker waker);

bool nart__job_has_ended(nart_job *j);

/* Cancels it: one that is queued ends. */
void nart__job_cancel(nart_job *j);

/* The handle leaves the job, and cancels it or not. True: the job has ended or never begins, and is idle; its data has
 * been dropped. False: it is not the handle's any more. */
bool nart__job_leave(nart_job *j, bool cancel);

/* Frees an idle job. */
void nart__job_free(nart_job *j);

/* nart_work_run() whose data is `size` bytes that `fill` makes in the first call, and that are dropped if the job cannot
 * be queued. */
nart_res nart__work_run(nart_cx *cx, nart_work *w, nart_workers *pool, const nart_work_type *type,
                        size_t size, void (*fill)(void *data, const void *arg), const void *arg);

/* nart_work_start() in the same way; it is queued also if the queue is full. */
nart_res nart__work_start(nart_work *w, nart_workers *pool, const nart_work_type *type, size_t size,
                          void (*fill)(void *data, const void *arg), const void *arg);

/* Is it of the parent of this process? */
bool nart__job_is_forked(const nart_job *j);

#endif

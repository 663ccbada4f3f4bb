/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/task.h: the context of a poll, the header of a task, and the inline functions of task.h. */
#ifndef NART_DETAIL_TASK_H
#define NART_DETAIL_TASK_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart_driver;
struct nart_local;

/* One per driver instance, at a stable address. Only c_src and the headers' inline functions and macros access
 * its fields. */
struct nart_cx {
    const struct nart_driver *drv; /* the driver that polls: the loop, tokio, a test */
    void *host;                    /* private to that driver */
    struct nart__task *self;       /* the task being polled; NULL between polls */
    nart_co *co;                   /* the running body */
    struct nart_scope *scope;      /* the innermost open scope; NULL: none */
    int64_t park;                  /* earliest deadline of this poll's waits, or NART_NEVER */
    int32_t go;                    /* operations left before nart__halt(): the budget, or 0 */
    uint32_t stop;                 /* NART__STOP_*: why go is 0; 0: the budget is in go */
    uint32_t flags;                /* NART__CX_* */
    uint32_t refused;              /* -ECANCELED results returned in this poll */
    int64_t now;                   /* last reading of the clock; never later than it */
    struct nart_local *locals;     /* the innermost bound value; NULL: none */
    int32_t kept;                  /* the budget while stop is not 0 */
    int32_t failed_at;             /* the budget when an await last got an error */
    struct nart_rt *group; /* under another driver than the loop: of its task's group; NULL: none */
    struct nart__fiber *fiber; /* the fiber that runs; NULL: none */
    uint64_t reserved;
};

/* Disjoint from the state bits of a task, so that one word can hold both; except RACE, which shares its bit with
 * NART__T_BOXED: neither is looked for in such a word. */
enum {
    NART__CX_AGAIN = 0x10000,   /* the task asked to be polled again */
    NART__CX_FRESH = 0x20000,   /* `now` was read in this poll */
    NART__CX_END = 0x40000,     /* the task is dropped if this poll leaves it pending */
    NART__CX_TIMED = 0x100000,  /* park is set */
    NART__CX_OUT = 0x200000,    /* an operation has left a waker somewhere */
    NART__CX_BUSY = 0x800000,   /* the poll before this one spent its budget */
    NART__CX_SPENT = 0x1000000, /* this poll has spent its budget */
    NART__CX_RACE = 0x10000000  /* an arm of a race is being evaluated */
};

/* cx->stop, bits; the table is in c_src/wait/op.c */
enum {
    NART__STOP_CANCEL = 1, /* the task is asked to end: operations return -ECANCELED */
    NART__STOP_HERE = 2,   /* inside a NART_STOP: likewise */
    NART__STOP_LOOK = 4    /* a scope has expired: the next operation checks the deadlines */
};

/* A node of the timer wheel. next == NULL: not queued. */
typedef struct nart__tnode {
    struct nart__tnode *next, *prev;
    int64_t at;
} nart__tnode;

/* The header of a task: 128 bytes, of which a poll accesses the first 64. Only c_src and co.h access it. */
struct nart__task {
    NART__ALIGNAS(64)        /* also aligns the frame in the same slot */
    struct nart__task *next; /* in the ready list or free list */
    nart_poll_fn poll;
    void *frame;
    nart__wait *waits; /* all waits of the task */
    uint32_t state;    /* NART__T_* */
    uint32_t polls;    /* wrapping count; distinguishes this poll's waits from older ones */
    nart_co *leaf;     /* the body that parked last */
    int64_t wake_at;   /* its deadline; its timer expires then or earlier */
    nart_cx *owner;    /* the cx of the driver instance that owns it */

    const nart_task_type *type;
    nart__tnode timer;
    nart__wait *joiner; /* the wait in the handle that awaits its end */
    union {
        nart_res res;   /* once it is DONE */
        int64_t shield; /* until then */
    };
    uint32_t slot, gen;
    union {
        uint64_t seq;             /* the spawn's number in its runtime */
        struct nart__task *right; /* used before its commit and after its drop: see task.c */
    };
};
typedef struct nart__task nart__task;

/* State bits of a task: disjoint from NART__CX_* (but see there), at most 29 bits; used on the owner's thread only. */
enum {
    NART__T_READY = 1,            /* on a ready list */
    NART__T_DONE = 2,             /* ended; res is final */
    NART__T_HELD = 4,             /* a join handle exists */
    NART__T_CANCELLED = 8,        /* asked to end */
    NART__T_ABORTED = 16,         /* dropped if the next poll leaves it pending */
    NART__T_DEAF = 32,            /* ignored cancellation within one poll */
    NART__T_DROPPED = 64,         /* drop has run, or will run next */
    NART__T_SHIELD = 128,         /* shielded until the time in `shield` */
    NART__T_ESCAPED = 256,        /* a waker has been handed out */
    NART__T_URGENT = 512,         /* queued in the urgent run queue */
    NART__T_BACKGROUND = 1024,    /* counted in the runtime's `background` */
    NART__T_BEGUN = 2048,         /* between begin and commit */
    NART__T_LIVE = 4096,          /* the slot holds a task */
    NART__T_SPENT = 8192,         /* its last poll exhausted the budget */
    NART__T_TIMED = 16384,        /* wake_at is not NART_NEVER */
    NART__T_IN_SET = 32768,       /* joiner belongs to a node of a task set */
    NART__T_ASLEEP = 0x80000,     /* its last poll left a sleep that never ends */
    NART__T_OUT = 0x400000,       /* parked on something outside of the runtime */
    NART__T_ENDING = 0x2000000,   /* completed; waiting for its nurseries */
    NART__T_KEPT = 0x4000000,     /* joiner belongs to a keeper */
    NART__T_DROPPING = 0x8000000, /* drop runs, or will run next */
    NART__T_BOXED = 0x10000000    /* its frame comes from the allocator */
};

NART__ASSERT(sizeof(void *) != 8 || sizeof(nart__task) == 128, "a task header is two cache lines");

static inline nart_waker nart_waker_of(nart_wakeable *w)
{
    nart_waker r;
    r.w = (uintptr_t)w | 1u;
    return r;
}

static inline void nart_wake_self(nart_cx *cx)
{
    cx->flags |= NART__CX_AGAIN;
}

/* Waits parked in this poll end at `at` at the latest. */
static inline void nart__cx_until(nart_cx *cx, int64_t at)
{
    if (at < cx->park) {
        cx->park = at;
        cx->flags |= NART__CX_TIMED;
    }
}

static inline bool nart_cx_cancelled(const nart_cx *cx)
{
    return (cx->stop & (NART__STOP_CANCEL | NART__STOP_HERE)) != 0;
}

/* The earliest deadline of a scope and its enclosing scopes. */
static inline int64_t nart__scope_earliest(const nart_scope *s)
{
    return s->deadline < s->outer ? s->deadline : s->outer;
}

/* In a BUSY poll: stops the poll if the scope has expired. See c_src/wait/op.c. */
NART_API NART__COLD void nart__scope_look(nart_cx *cx, const nart_scope *s);

static inline void nart_scope_enter(nart_cx *cx, nart_scope *s, int64_t deadline)
{
    s->up = cx->scope;
    s->co = cx->co;
    s->deadline = deadline;
    s->outer = s->up ? nart__scope_earliest(s->up) : INT64_MAX;
    cx->scope = s;
    if (NART_UNLIKELY(cx->flags & NART__CX_BUSY))
        nart__scope_look(cx, s);
}

static inline nart_res nart_scope_leave(nart_cx *cx, const nart_scope *s, nart_res r)
{
    cx->scope = s->up;
    if (NART_UNLIKELY(r == -ECANCELED) && s->deadline <= cx->now && s->outer > cx->now &&
        !nart_cx_cancelled(cx))
        r = -ETIMEDOUT;
    return r;
}

/* Cold half of nart_op_enter(): cancelled, stopped, or out of budget. */
NART_API NART__COLD nart_res nart__halt(nart_cx *cx, nart__wait *w);

/* An await has got this error: it is charged. See c_src/wait/op.c. */
NART_API NART__COLD void nart__await_error(nart_cx *cx, nart_res r);

/* An await has got `r`, which is below 0. Does it park? */
static inline bool nart__await_failed(nart_cx *cx, nart_res r)
{
    if (NART_LIKELY(r == NART_PENDING))
        return true;
    nart__await_error(cx, r);
    return false;
}

/* Errors have spent the budget: does the await that begins park? */
static inline bool nart__await_spent(nart_cx *cx)
{
    return nart__halt(cx, NULL) == NART_PENDING;
}

static inline nart_res nart_op_enter(nart_cx *cx)
{
    return NART_LIKELY(--cx->go >= 0) ? 0 : nart__halt(cx, NULL);
}

#ifdef __cplusplus
}
#endif
#endif

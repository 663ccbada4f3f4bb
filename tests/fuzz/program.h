/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* program.h: shared by the files of the generator; program.c describes what is generated and
 * checked. */
#ifndef NART_FUZZ_PROGRAM_H
#define NART_FUZZ_PROGRAM_H

#include "../core/virtual.h"

#include <nart/nart.h>

/* Runs the program that these bytes encode. Prints the failure and aborts. */
void program_run(const uint8_t *data, size_t size);

#define EXPECT(cond, ...) ((cond) ? (void)0 : program_wrong(__FILE__, __LINE__, #cond, __VA_ARGS__))
NART__NORETURN __attribute__((format(printf, 4, 5))) void
program_wrong(const char *file, int line, const char *cond, const char *format, ...);

/* ---- bytes and memory ---- */

uint32_t pick(uint32_t n);            /* from the bytes: 0 .. n - 1; 0 once they are used up */
int64_t pick_time(void);              /* 0 to 60 ms, often a whole number of them */
void *page_new(size_t size);          /* zeroed, at the end of pages of its own */
void page_free(void *p, size_t size); /* any later access faults */

/* ---- parts of a program ---- */

enum { ARMS = 8, CROWD = 200 };

struct task { /* the model of a task; lives as long as the program */
    uint32_t id;
    nart_task name;
    nart__task *header; /* NULL: not polled yet, or dropped */
    nart_branch fiber;  /* that runs `root` */
    struct body *root;
    struct body *owner; /* the body whose nursery it is in, and whose memory it uses; NULL: none */
    bool named, asked, aborted, answered, dropped, fails;
    nart_res r;
    uint32_t answers, refusals; /* in this poll: of operations; of those, -ECANCELED */
    uint32_t slept;         /* of the answers: of sleeps that may have ended in an earlier poll */
    uint32_t errors;        /* that awaits may have got: of operations and of bodies */
    uint32_t waits;         /* in this poll: maximum registered by pending operations */
    uint32_t turn, stalled; /* its polls at the last tick; ticks for which it has been ready */
    int64_t looked;         /* the clock that this poll must use: re-read after a spent budget */
    uint32_t arms;          /* when it started, and created in it */
};

/* A nursery, in the memory of the body that opened it. */
struct nest {
    nart_nursery nursery;
    uint32_t children; /* whose frames have not been dropped */
    uint32_t uses;     /* of this memory, by them */
    bool open, joining;
    bool cancelled, may; /* its tasks are; its tasks may be */
    nart_res error;      /* the first one of those that have ended */
};

struct body {
    nart_co co;
    struct task *task;
    struct body *up;
    unsigned form;
    struct arm *op[ARMS];
    struct body *kid[ARMS];
    struct body *next, *behind; /* losers that are stopped or awaited again, linked by `behind` */
    struct nest nest;
    nart_timer after;
    nart_res r, ignored, joined;
    unsigned which, inner, steps, i, n, depth;
    bool scoped, stopping, aside, flood, by_hand, by_fiber;
    struct answers *all;    /* of a NART_ALL, freed when it is over */
    uint32_t settled;       /* bits: its arms that have answered, or were withdrawn */
    int64_t scope_from, ns; /* scope_from: the earliest possible deadline */
    /* Ticks, and polls after a spent budget, in which its deadline had passed. */
    uint32_t late, overdue;
};

/* A handle in memory of its own: freed once it is closed and no arm uses it. */
struct handle {
    uint32_t users;
    bool closed;
    uint64_t seen;       /* a broadcast's next value; a watch's newest seen one */
    nart_bytes_buf buf;  /* the open claim of a sender of bytes */
    nart_bytes_msg msg;  /* the message that a receiver of bytes holds */
    struct claim *claim; /* that of the model */
    union {
        nart_tx tx;
        nart_rx rx;
        nart_bytes_tx btx;
        nart_bytes_rx brx;
        nart_oneshot_tx otx;
        nart_oneshot_rx orx;
        nart_watch_rx wrx;
        nart_broadcast_rx crx;
        nart_join join;
        nart_fd fd;
        nart_tcp tcp;
        nart_udp udp;
    } u;
};

struct arm;

/* A kind of operation. */
struct kind {
    const char *name;
    unsigned waits;               /* registered by one pending call, at most */
    bool (*begin)(struct arm *a); /* chooses its objects; false: there are none */
    nart_res (*call)(nart_cx *cx, struct arm *a);
    void (*answered)(struct arm *a, nart_res r); /* neither -ECANCELED nor -ETIMEDOUT nor -EBUSY */
    bool (*ready)(const struct arm *a);          /* must the next call answer? NULL: not known */
    void (*end)(struct arm *a);                  /* before its memory is freed; NULL: nothing */
};

/* An operation in memory of its own, freed when it has answered or lost its race. */
struct arm {
    const struct kind *kind;
    struct task *task;
    struct body *body; /* that evaluates it */
    struct handle *handle;
    struct thing *thing;
    bool called;      /* and has neither answered nor lost a race since */
    bool moved;       /* the last call made partial progress */
    uint32_t starved; /* ticks at whose end it was ready */
    uint32_t denied;  /* polls that put it off though it was ready */
    uint32_t polls;   /* of its task, at the last call */
    int64_t from, ns, at;
    uint32_t n, m, turn;
    union {
        nart_timer timer;
        nart_waiter waiter;
        nart_interval interval;
        nart_backoff backoff;
        struct crowd *crowd;
        struct held *held;
        nart_tcp_writer writer;
        struct {
            nart_token token;
            nart_waiter waiter;
        } token;
    } u;
};

extern nart_rt *rt;
extern int64_t time_seen; /* the clock reading that decides what is ready */
extern bool freeing;      /* nart_rt_free() runs */

const struct kind *pick_kind(void);
const struct kind *pick_flood(void); /* of operations that never wait */
bool handle_take(struct arm *a, struct thing *t, struct handle *h); /* false: there is none */
bool thing_take(struct arm *a, struct thing *t);
void page_bury(struct task *t, void *p, size_t size); /* once a poll of the task has ended */

/* ---- what operations work on ---- */

/* A sort of object: opened on demand, used by operations and by deeds, closed at the end or
 * before. */
struct sort {
    bool (*open)(struct thing *t); /* false: currently impossible */
    void (*deed)(struct thing *t, nart_cx *cx);
    void (*rest)(struct thing *t); /* checks at rest; NULL: none */
    void (*close)(struct thing *t);
};

struct thing {
    const struct sort *sort;
    bool closed;
    struct handle *tx[2], *rx, *more; /* NULL: closed */
    bool shut;                        /* its receiver refuses new values */
    uint64_t sent, received, dropped;
    uint32_t total, held; /* permits; notifications and their answers */
    uint32_t users;       /* arms that have not been answered */
    union {
        nart_semaphore semaphore;
        nart_notify notify;
        nart_wait_group group;
        nart_token token[3];
        nart_watch_tx watch;
        nart_broadcast_tx broadcast;
        struct claims *claims;
        struct set *set;
        struct locks *locks;
        struct pool *pool;
        struct task *kid;
        void *slot;
        struct {
            int fd[2];
            uint64_t sent[2], received[2]; /* by end i */
        } pair;
    } u;
};

struct thing *thing_of(const struct sort *sort); /* sometimes a new one; NULL: there is none */
struct handle *handle_new(void);
void handle_retire(struct handle *h); /* it has been closed */

enum {
    VALUE_KINDS = 12,
    VALUE_SORTS = 8,
    SYNC_KINDS = 10,
    SYNC_SORTS = 9,
    POOL_KINDS = 2,
    IO_KINDS = 12,
    IO_SORTS = 3
};
extern const struct kind value_kinds[], sync_kinds[], io_kinds[];
extern const struct kind pool_kinds[];
extern const struct sort pool_sort;
extern const struct kind own_channel, own_semaphore;
extern const struct sort *const value_sorts[VALUE_SORTS], *const sync_sorts[SYNC_SORTS],
                                                              *const io_sorts[IO_SORTS];

struct task *task_spawn(nart_join *join); /* NULL: there are enough */
struct task *task_spawn_set(nart_cx *cx, nart_task_set *set, nart_res *node);
nart_res task_spawn_pool(nart_cx *cx, nart_pool *pool,
                         struct task **kid); /* evaluated in each poll */
struct task *task_of(const void *frame);
struct task *task_any(void);
struct task *task_at(uint32_t i); /* NULL: there are no more */
struct task *task_spawn_in(nart_cx *cx, struct body *owner);
bool task_ended(const struct task *t);
bool task_over(const struct task *t);       /* ended, aborted or freed */
bool task_told(const struct task *t);       /* may its operations answer -ECANCELED? */
bool told_from_above(const struct body *b); /* by a body above b, or a deadline there */
bool join_aborted(const struct task *t); /* the expected answer of a join of one that has ended */
void task_ask(struct task *t, bool abort);

/* ---- nurseries ---- */

void nests_begin(void);
void nests_deed(nart_cx *cx);                /* some action on any open one */
void nest_open(nart_cx *cx, struct body *b); /* unless there are too many */
nart_res nest_join(nart_cx *cx, struct body *b);
void nest_close(struct body *b); /* its task ends, or has ended */
void nest_lost(struct body *b);  /* and those of all bodies that b awaits: b has lost a race */
bool nest_below(const struct body *b);       /* is one open, in b or below? */
bool nest_used_below(const struct body *b);  /* does one have tasks that have not ended? */
bool nest_joins_below(const struct body *b); /* does a body there wait for its tasks? */
bool nest_ends_below(const struct body *b);  /* does one wait for tasks that are all cancelled? */
bool nest_told(const struct body *b);        /* may its tasks be cancelled? */
bool nest_is(const nart__wait *w);           /* is it the wait of an open nursery? */
void nest_child_uses(struct task *t);
void nest_child_ends(struct task *t);

/* ---- locks ---- */

extern const struct sort lock_sort;
bool lock_begin(struct arm *a);
nart_res lock_call(nart_cx *cx, struct arm *a);
void lock_answered(struct arm *a, nart_res r);
bool lock_ready(const struct arm *a);
void lock_end(struct arm *a);
bool lock_is_held(const nart__wait *w); /* is it that of a lock that its task holds? */

void things_begin(void);
void things_deed(nart_cx *cx); /* some action that does not wait, on some object; cx may be NULL */
void things_rest(void);        /* nothing is ready or due */
void things_end(void);

#endif

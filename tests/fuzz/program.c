/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Programs as new users write them, generated from bytes and checked against the manual.
 *
 * What is generated. Tasks, each a tree of bodies. Every body, operation and handle has pages of
 * its own, which are unmapped as soon as the manual allows it: a body when it has ended, or has
 * lost a race and is not awaited again; an operation when it has answered, or its race is
 * decided; a handle when it is closed and no longer used. Addresses are not reused, so stale
 * references fault, in plain builds too. Bodies await operations of all kinds (program_kinds.c)
 * alone, under deadlines, in races, nested races, several until all have answered, loops of races beside
 * what is always ready,
 * under shields, after sleeps; losers are freed, stopped, restarted or awaited again. Between
 * awaits they work for milliseconds of virtual time, read the clock, close, move, cancel, abort,
 * dump and report. Some tasks are hand-written polls that wait in hundreds of places.
 *
 * What is checked.
 *  - Each kind's model: what was sent is received, dropped or returned exactly once and in
 *    order.
 *  - Nothing is early. Whatever is ready (an expired deadline, a cancelled token, an available
 *    value) is answered within a few ticks, whatever else is ready; a task that yields runs at
 *    each tick.
 *  - A poll spends its budget by NART_BUDGET answers, not by waits, and gives at most a fixed
 *    share for each arm beyond that.
 *  - -ECANCELED and -ETIMEDOUT have a cause.
 *  - After each poll a task waits for what was requested in it, and for nothing else.
 *  - When nothing is ready or due, every waiting task has a reason.
 *  - Dumps, reports and withdrawals access live memory only; at the end no block and no
 *    descriptor is left. */
#include "program.h"

#include <nart/driver.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    DEPTH = 4,
    BODIES = 48,
    TASKS = 20,
    EVER = 4096, /* tasks in one program */
    TICKS = 600,
    SHARE = 16,        /* answers of an arm after one that used up the budget */
    PATIENT = 6,       /* ticks that a ready operation may wait for its answer */
    OUTSIDE = 70,      /* plus one on a descriptor: 64 polls may pass before the loop checks */
    DENIED = 3,        /* calls that may put it off, for lack of budget */
    STARVED = 1 << 20, /* plus in a biased race, by an arm that spends every budget */
    LOOPING = 32, /* plus in a loop of races that others win: one race in four gives it a chance */
};
#define ARENA ((size_t)1 << 30)
#define PAGE ((size_t)4096)

nart_rt *rt;
bool freeing;
int64_t time_seen;

static const uint8_t *bytes, *bytes_end;
static long blocks;
static int free_descriptor;
static uint32_t bodies, tasks_live, task_limit, ticks;
static struct task *tasks[EVER];
static uint32_t task_count;

void program_wrong(const char *file, int line, const char *cond, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "%s:%d: not so: %s: ", file, line, cond);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n(tick %u, %lld us)\n", ticks, (long long)((virtual_now - at_ms(0)) / 1000));
    fflush(NULL);
    abort();
}

/* ---- bytes ---- */

static uint8_t byte(void)
{
    return bytes < bytes_end ? *bytes++ : 0;
}

uint32_t pick(uint32_t n)
{
    uint32_t b = byte();
    return (n > 256 ? b << 8 | byte() : b) % n;
}

int64_t pick_time(void)
{
    uint8_t b = byte();
    return b < 16 ? b * NART_US : b / 4 * NART_MS + (b & 3 ? 0 : 300 * NART_US);
}

/* ---- memory ---- */

static unsigned char *arena, *arena_next;

static size_t pages(size_t size)
{
    return (size + PAGE - 1) / PAGE * PAGE;
}

void *page_new(size_t size)
{
    unsigned char *p = arena_next;

    arena_next += pages(size);
    EXPECT(arena_next < arena + ARENA, "the arena is full");
    return p + pages(size) - (size + 15) / 16 * 16;
}

void page_free(void *p, size_t size)
{
    unsigned char *page = (unsigned char *)p + (size + 15) / 16 * 16 - pages(size);

    EXPECT(mprotect(page, pages(size), PROT_NONE) == 0, "no protection");
}

static void *counted_alloc(void *arg, size_t size, size_t align)
{
    void *p = NULL;

    (void)arg;
    if (posix_memalign(&p, align < sizeof p ? sizeof p : align, size) != 0)
        return NULL;
    blocks++;
    return memset(p, 0xAA, size);
}

static void counted_free(void *arg, void *p, size_t size, size_t align)
{
    (void)arg, (void)align;
    if (!p)
        return;
    memset(p, 0x55, size);
    blocks--;
    free(p);
}

static const nart_alloc counted = { counted_alloc, counted_free, NULL };

struct handle *handle_new(void)
{
    return page_new(sizeof(struct handle));
}

/* Two arms of a NART_ALL must not use one handle. */
static bool in_an_all(const struct body *b)
{
    while (b && !b->all)
        b = b->up;
    return b != NULL;
}

bool handle_take(struct arm *a, struct thing *t, struct handle *h)
{
    if (!h || (h->users > 0 && in_an_all(a->body)))
        return false;
    h->users++;
    a->handle = h;
    a->thing = t;
    return true;
}

/* A set or a pool is itself the handle in which tasks wait. */
bool thing_take(struct arm *a, struct thing *t)
{
    if (!t || (t->users > 0 && in_an_all(a->body)))
        return false;
    t->users++;
    a->thing = t;
    return true;
}

void handle_retire(struct handle *h)
{
    h->closed = true;
    if (h->users == 0)
        page_free(h, sizeof *h);
}

/* Memory that a task may still wait in until it has completed another poll. */
static struct grave {
    struct grave *next;
    const struct task *task;
    uint32_t polls;
    void *p;
    size_t size;
} * graves;

void page_bury(struct task *t, void *p, size_t size)
{
    struct grave *g = malloc(sizeof *g);

    *g = (struct grave){ graves, t, t->header ? t->header->polls : 0, p, size };
    graves = g;
}

static void graves_look(bool all)
{
    for (struct grave **at = &graves, *g; (g = *at);) {
        const nart__task *t = g->task->header;
        if (!all && t && !(t->state & NART__T_DONE) && t->polls == g->polls) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        page_free(g->p, g->size);
        free(g);
    }
}

/* ---- bodies ---- */

enum form {
    ONE,
    FOR,
    UNTIL,
    ANY2,
    ANY3,
    ANY8,
    FAIR4,
    NESTED,
    NESTED_FOR,
    UNTIL_FAIR,
    LOOP,
    LOOP_FOR,
    FLOOD,
    AFTER,
    AFTER_RACE,
    AFTER_UNTIL,
    AFTER_UNTIL_RACE,
    SHIELDED,
    NURSERY,
    BIASED3,
    ALL3,
    ALL_OK3,
    ALL_FOR,
    ALL_ALL,
    RACE_IN_ALL,
    ALL_IN_RACE,
    YIELD,
    FORMS
};
enum how { IN_TIME, IN_RACE, AT_LAST, LEFT }; /* is a nursery joined? */
static const uint8_t arms_of[FORMS] = { [ONE] = 1,
                                        [FOR] = 1,
                                        [UNTIL] = 1,
                                        [ANY2] = 2,
                                        [ANY3] = 3,
                                        [ANY8] = 8,
                                        [FAIR4] = 4,
                                        [NESTED] = 5,
                                        [NESTED_FOR] = 4,
                                        [LOOP] = 3,
                                        [UNTIL_FAIR] = 3,
                                        [LOOP_FOR] = 2,
                                        [FLOOD] = 1,
                                        [AFTER] = 1,
                                        [AFTER_RACE] = 2,
                                        [AFTER_UNTIL] = 1,
                                        [AFTER_UNTIL_RACE] = 2,
                                        [SHIELDED] = 1,
                                        [NURSERY] = 3,
                                        [BIASED3] = 3,
                                        [ALL3] = 3,
                                        [ALL_OK3] = 3,
                                        [ALL_FOR] = 3,
                                        [ALL_ALL] = 4,
                                        [RACE_IN_ALL] = 3,
                                        [ALL_IN_RACE] = 3 };

/* The answers of the arms of a NART_ALL, and what they should be. */
struct answers {
    nart_arm two[2], three[3];
    nart_res r[ARMS];
};

static struct body *body_new(struct task *t, struct body *up, bool flood)
{
    struct body *b = page_new(sizeof *b);

    bodies++;
    t->arms++;
    b->task = t;
    b->up = up;
    b->depth = up ? up->depth + 1 : 0;
    b->steps = pick(2) ? 1 : 1 + pick(5);
    b->flood = flood;
    return b;
}

static void arm_free(struct body *b, int i)
{
    struct arm *a = b->op[i];

    if (!a)
        return;
    b->op[i] = NULL;
    if (a->kind->end)
        a->kind->end(a);
    if (a->handle && --a->handle->users == 0 && a->handle->closed)
        page_free(a->handle, sizeof *a->handle);
    page_free(a, sizeof *a);
}

static void answers_free(struct body *b)
{
    if (b->all)
        page_free(b->all, sizeof *b->all);
    b->all = NULL;
}

/* With everything that it awaits. */
static void body_free(struct body *b)
{
    answers_free(b);
    for (int i = 0; i < ARMS; i++) {
        arm_free(b, i);
        if (b->kid[i])
            body_free(b->kid[i]);
    }
    for (struct body *n = b->next, *behind; n; n = behind) {
        behind = n->behind;
        body_free(n);
    }
    nest_close(b);
    bodies--;
    page_free(b, sizeof *b);
}

static void arm_new(struct body *b, int i, const struct kind *k)
{
    struct arm *a = page_new(sizeof *a);

    b->task->arms++;
    for (;; k = pick_flood()) {
        *a = (struct arm){ .kind = k, .task = b->task, .body = b };
        if (k->begin(a))
            break;
    }
    b->op[i] = a;
}

/* Chooses arm i: an operation or a body; `busy`: often one that never waits. */
static void choose(struct body *b, int i, bool busy)
{
    uint32_t what = pick(8);

    if (what < 3 && b->depth < DEPTH && bodies < BODIES)
        b->kid[i] = body_new(b->task, b, what == 0 || (busy && what == 1));
    else
        arm_new(b, i, what == 3 ? pick_flood() : pick_kind());
}

/* ---- checking operations ---- */

/* Is the running body cancelled by a NART_STOP or a scope of a body above? */
bool told_from_above(const struct body *b)
{
    for (const struct body *up = b->up; up; up = up->up)
        if (up->stopping || (up->scoped && up->scope_from <= virtual_now))
            return true;
    return false;
}

/* Or by the nursery that it is in. */
bool task_told(const struct task *t)
{
    return t->asked || freeing || (t->owner && nest_told(t->owner));
}

static void judge(struct arm *a, nart_res r)
{
    const struct body *b = a->body;

    bool late = b->scoped && b->scope_from <= virtual_now;

    if (r == -ECANCELED)
        EXPECT(task_told(a->task) || told_from_above(b) || (b->all && late),
               "task %u, %s: cancelled without a reason", a->task->id, a->kind->name);
    else if (r == -ETIMEDOUT)
        EXPECT(!b->all && late, "task %u, %s: timed out %lld us early", a->task->id, a->kind->name,
               (long long)(b->scope_from - virtual_now) / 1000);
    else if (r != -EBUSY || !a->handle || a->handle->users == 1) /* no other waiter */
        a->kind->answered(a, r);
}

/* Known to the kernel first, and to the loop after its next wait. */
static bool is_outside(const struct kind *k)
{
    return k >= io_kinds && k < io_kinds + IO_KINDS;
}

/* In a loop of races, at any level above, others may win before its turn. */
static uint32_t patience(const struct body *b, uint32_t otherwise)
{
    for (; b; b = b->up)
        if (b->form == BIASED3)
            otherwise = STARVED;
        else if (b->form == LOOP || b->form == LOOP_FOR)
            otherwise = LOOPING > otherwise ? LOOPING : otherwise;
    return otherwise;
}

/* The waits of the running task so far, by what it requested in this poll. */
static uint32_t registered(const struct task *t)
{
    uint32_t n = 0;

    for (const nart__wait *w = t->header->waits; w; w = w->more)
        n += w->seen == t->header->polls && !nest_is(w) && !lock_is_held(w);
    return n;
}

static nart_res ask(nart_cx *cx, struct arm *a)
{
    struct task *t = a->task;
    bool first = !a->called;
    uint32_t before = registered(t), waits = t->waits;

    a->called = true;
    if (first)
        a->from = virtual_now;
    a->moved = false;
    time_seen = t->looked > cx->now ? t->looked : cx->now;
    bool ready = a->kind->ready && !is_outside(a->kind) && a->kind->ready(a);
    nart_res r = a->kind->call(cx, a);
    t->waits += r == NART_PENDING ? a->kind->waits : 0;
    EXPECT(registered(t) <= before + (t->waits - waits), "task %u: %s answered %s and waits", t->id,
           a->kind->name, nart_err_name(r));
    if (r == NART_PENDING) {
        if (!ready || a->moved)
            a->denied = 0;
        else if (a->denied == 0 || a->polls != t->header->polls) /* a loser is called once more */
            a->denied++;
        a->polls = t->header->polls;
        a->starved = a->moved ? 0 : a->starved;
        EXPECT(a->denied <= patience(a->body, DENIED), "task %u: %s is ready and is put off", t->id,
               a->kind->name);
        return r;
    }
    judge(a, r);
    a->called = false;
    a->starved = a->denied = 0;
    t->answers++;
    t->refusals += r == -ECANCELED;
    virtual_now += a->body->ns / 64; /* simulates the program's own work */
    return r;
}

static nart_res body_run(nart_cx *cx, struct body *b);

/* Bodies from here upward, except `gone`. Faults on one whose memory was freed. */
static void check_chain(const nart_co *co, const nart_co *gone)
{
    for (; co; co = co->up)
        EXPECT(co != gone, "a body that has ended is referred to");
}

static void check_bodies(const nart__task *t, const nart_co *gone)
{
    check_chain(t->leaf, gone);
    for (const nart__wait *w = t->waits; w; w = w->more)
        check_chain(w->co, gone);
}

static nart_res arm(nart_cx *cx, struct body *b, int i)
{
    nart_res r;

    EXPECT(!(b->settled & 1u << i), "task %u: arm %d is over, and evaluated", b->task->id, i);
    r = b->kid[i] ? body_run(cx, b->kid[i]) : ask(cx, b->op[i]);
    if (r == NART_PENDING)
        return r;
    b->task->errors += r < 0;
    if (b->kid[i])
        check_bodies(cx->self, &b->kid[i]->co);
    if (b->all) {
        b->all->r[i] = r;
        b->settled |= 1u << i;
    }
    return r;
}

/* `r` is the result of these arms of a NART_ALL, of which some may have been withdrawn. */
static nart_res part(struct body *b, int from, int to, nart_res r)
{
    for (int i = from; i < to && r != NART_PENDING; i++) {
        if (b->settled & 1u << i)
            continue;
        b->settled |= 1u << i;
        if (b->op[i])
            b->op[i]->called = false;
        if (b->kid[i]) {
            nest_lost(b->kid[i]);
            b->kid[i]->aside = true;
        }
    }
    return r;
}

/* The arms from `from` on have these answers; the first error among them. */
static nart_res kept(const struct body *b, const nart_arm *arms, int n, int from)
{
    nart_res error = 0;

    for (int i = 0; i < n; i++) {
        EXPECT(arms[i].res == b->all->r[from + i], "task %u: arm %d answered %s, not %s",
               b->task->id, from + i, nart_err_name(b->all->r[from + i]),
               nart_err_name(arms[i].res));
        if (error == 0 && arms[i].res < 0 && arms[i].res != NART_PENDING)
            error = arms[i].res;
    }
    return error;
}

/* Is the answer of its NART_ALL right? */
static void check_all(const struct body *b)
{
    nart_res error = kept(b, b->all->three, 3, 0);

    if (b->form == ALL3 || b->form == ALL_OK3)
        EXPECT(b->r == error, "task %u: %s, not %s", b->task->id, nart_err_name(b->r),
               nart_err_name(error));
    EXPECT(b->form == ALL_OK3 || b->settled == 7, "task %u: arms %x have answered", b->task->id,
           b->settled);
}

/* After a sleep, which was an answer as well. */
static nart_res arm_after(nart_cx *cx, struct body *b)
{
    EXPECT(b->scope_from <= virtual_now, "a sleep before an operation was short");
    b->task->answers++;
    b->task->slept++;
    return arm(cx, b, 0);
}

/* ---- between awaits ---- */

static void dump(void)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    EXPECT(out, "no stream");
    nart_rt_dump(rt, out);
    fclose(out);
    free(text);
}

static void deed(nart_cx *cx)
{
    switch (pick(12)) {
    case 0:
    case 1:
        dump();
        break;
    case 2:
        virtual_now += pick_time();
        break;
    case 3:
        if (cx)
            (void)nart_now(cx);
        virtual_now += pick_time();
        break;
    case 4:
        if (task_any())
            task_ask(task_any(), pick(4) == 0);
        break;
    case 5:
        (void)task_spawn(NULL);
        break;
    case 6:
        nests_deed(cx);
        break;
    default:
        things_deed(cx);
        break;
    }
}

/* Another await, or the end. */
static bool plan(nart_cx *cx, struct body *b)
{
    if (b->steps-- == 0)
        return false;
    for (uint32_t n = pick(4); n > 1; n--)
        deed(cx);
    b->form = b->flood ? FLOOD : (enum form)pick(FORMS);
    b->ns = pick_time();
    b->n = pick(4) ? 8 + pick(256) : 16 * pick(256) * (1 + pick(4)); /* few, or many budgets */
    b->which = b->inner = b->i = 0;
    b->r = 0;
    if (b->form >= ALL3 && b->form <= ALL_IN_RACE) {
        b->all = page_new(sizeof *b->all);
        for (int i = 0; i < ARMS; i++)
            b->all->r[i] = NART_PENDING;
    }
    b->settled = 0;
    for (int i = 0; i < arms_of[b->form]; i++)
        if (b->form == FLOOD || ((b->form == LOOP || b->form == LOOP_FOR) && i == 0))
            arm_new(b, i, pick_flood());
        else
            choose(b, i, b->form == UNTIL || b->form == ANY2);
    b->late = b->overdue = 0;
    b->scoped = b->form == FOR || b->form == ALL_FOR || b->form == UNTIL || b->form == NESTED_FOR ||
                b->form == UNTIL_FAIR || b->form == LOOP_FOR;
    b->scope_from = virtual_now + b->ns;
    nart_timer_cancel(&b->after);
    return true;
}

/* The race of a loop is decided: does the loop continue? Losers restart, if their kind does. */
static bool race_again(struct body *b)
{
    if (b->r < 0 || b->kid[b->which])
        return false;
    for (int i = 0; i < arms_of[b->form]; i++)
        if (b->op[i])
            b->op[i]->called = false;
        else if (b->kid[i])
            nest_lost(b->kid[i]);
    return true;
}

static bool ended(const struct body *b)
{
    return !nart_co_active(&b->co);
}

static void keep(struct body *b, struct body *kid)
{
    kid->up = b;
    kid->depth = b->depth + 1;
    kid->aside = true;
    kid->behind = b->next;
    b->next = kid;
}

/* A loser. With an open nursery below it stays, with what it awaited, until it has ended or is
 * freed. */
static void lose(struct body *b, struct body *kid)
{
    struct body *behind;

    if (!nest_below(kid)) {
        if (!ended(kid) && !b->next && pick(2))
            keep(b, kid);
        else
            body_free(kid);
        return;
    }
    if (kid->nest.open || pick(2)) {
        keep(b, kid);
        return;
    }
    for (int i = 0; i < ARMS; i++) {
        if (kid->kid[i])
            lose(b, kid->kid[i]);
        kid->kid[i] = NULL;
    }
    for (struct body *n = kid->next; n; n = behind) {
        behind = n->behind;
        lose(b, n);
    }
    kid->next = NULL;
    body_free(kid);
}

/* The await is over: whatever has answered, lost or ended is freed; losers that the program
 * still uses are set aside. */
static void clear_up(struct body *b)
{
    b->scoped = false;
    b->settled = 0;
    answers_free(b);
    /* The answer of a sleep. */
    b->task->answers += b->form >= AFTER && b->form <= AFTER_UNTIL_RACE && b->r < 0;
    b->task->errors += b->r < 0; /* of a deadline, too */
    for (int i = 0; i < ARMS; i++) {
        struct body *kid = b->kid[i];
        arm_free(b, i);
        b->kid[i] = NULL;
        if (!kid)
            continue;
        nest_lost(kid);
        lose(b, kid);
    }
}

/* A loser to which the body returns. */
static bool stop_next(struct body *b)
{
    b->stopping = pick(2);
    if (b->stopping)
        b->next->aside = false;
    return b->stopping;
}

static bool await_next(struct body *b)
{
    bool open = nest_below(b->next); /* then it has to end */

    if (pick(4) == 0 && !open)
        return false;
    if (pick(4) == 0 && !open) /* restarted */
        nart_co_init(&b->next->co);
    b->next->steps++;
    b->next->aside = false;
    return true;
}

static void free_next(struct body *b)
{
    struct body *n = b->next;

    b->stopping = false;
    b->task->errors += b->ignored < 0;
    b->next = n->behind;
    body_free(n);
}

/* A body that restarts drops what it awaited before. */
static void begin(struct body *b)
{
    b->aside = false;
    b->stopping = false;
    b->scoped = false;
    answers_free(b);
    for (int i = 0; i < ARMS; i++) {
        arm_free(b, i);
        if (b->kid[i])
            body_free(b->kid[i]);
        b->kid[i] = NULL;
    }
    while (b->next)
        free_next(b);
}

/* Does the body abandon its nursery? A task's first body may: then the task's end waits. */
static bool leaves(struct body *b)
{
    return b->nest.open && !b->up && pick(3) == 0;
}

/* A race of these arms is decided, and the await continues without them. */
static void set_aside(struct body *b, int from, int to)
{
    for (int i = from; i < to; i++) {
        arm_free(b, i);
        if (!b->kid[i])
            continue;
        nest_lost(b->kid[i]);
        b->kid[i]->aside = true;
    }
}

/* How its nursery is joined. */
static enum how how_to_join(struct body *b)
{
    set_aside(b, 0, 2);
    if (leaves(b))
        return LEFT;
    enum how how = (enum how)pick(LEFT);

    b->ns = pick_time();
    b->scope_from = virtual_now + b->ns;
    b->scoped = how == IN_TIME;
    return how;
}

#define AWAIT NART_AWAIT
#define AWAIT_FOR NART_AWAIT_FOR
#define AWAIT_UNTIL NART_AWAIT_UNTIL
#define AWAIT_ANY NART_AWAIT_ANY
#define AWAIT_ANY_FAIR NART_AWAIT_ANY_FAIR
#define AWAIT_ANY_BIASED NART_AWAIT_ANY_BIASED
#define AWAIT_ALL NART_AWAIT_ALL
#define AWAIT_ALL_OK NART_AWAIT_ALL_OK
#define SHIELD NART_SHIELD
#define UNSHIELD NART_UNSHIELD
#define STOP NART_STOP
#define YIELD NART_YIELD

static nart_res body_run(nart_cx *cx, struct body *b)
{
    NART_BEGIN(cx, &b->co);
#include "program_forms.h"
    NART_END(b->r);
}

/* A deadline of a fiber begins when it parks: notes it where a body has it. */
static nart_res noted(struct body *b, int64_t ns, nart_res r)
{
    if (r == NART_PENDING && b->co.deadline == NART_NEVER)
        b->co.deadline = nart_time_add(virtual_now, ns);
    return r;
}

#define AWAIT(dst, ...) ((dst) = nart_await(cx, __VA_ARGS__))
#define AWAIT_FOR(dst, ns, ...)                                                                    \
    (b->co.deadline = NART_NEVER, (dst) = nart_await_for(cx, (ns), noted(b, (ns), (__VA_ARGS__))))
#define AWAIT_UNTIL(dst, at, ...)                                                                  \
    (b->co.deadline = (at), (dst) = nart_await_until(cx, b->co.deadline, __VA_ARGS__))
#define AWAIT_ANY(which, dst, ...) ((dst) = nart_await_any(cx, which, __VA_ARGS__))
#define AWAIT_ANY_FAIR(which, dst, ...) ((dst) = nart_await_any_fair(cx, which, __VA_ARGS__))
#define AWAIT_ANY_BIASED(which, dst, ...)                                                          \
    ((dst) = nart_await(cx, NART_ANY_BIASED(which, __VA_ARGS__)))
#define AWAIT_ALL(dst, arms, ...) ((dst) = nart_await_all(cx, arms, __VA_ARGS__))
#define AWAIT_ALL_OK(dst, arms, ...) ((dst) = nart_await_all_ok(cx, arms, __VA_ARGS__))
#define SHIELD(ns) nart_shield(cx, ns)
#define UNSHIELD() nart_unshield(cx)
#define STOP(dst, ...) ((dst) = nart_await_stop(cx, __VA_ARGS__))
#define YIELD() (void)nart_yield(cx)

/* The first body of a task, on a stack of its own. */
static nart_res fiber_run(nart_cx *cx, void *arg)
{
    struct body *b = arg;

#include "program_forms.h"
    return b->r;
}

/* ---- tasks ---- */

struct frame {
    struct task *task;
};

/* Without a body: three operations under a deadline, all called at each poll until one answers. */
static nart_res hand_poll(nart_cx *cx, struct body *b)
{
    nart_res r = NART_PENDING;
    nart_scope scope;

    if (!b->scoped) {
        for (int i = 0; i < 3; i++)
            arm_new(b, i, pick_kind());
        if (pick(4) == 0)
            nest_open(cx, b);
        b->scoped = true;
        b->co.deadline = b->scope_from = virtual_now + pick_time() + NART_MS;
    }
    nart_scope_enter(cx, &scope, b->co.deadline);
    for (int i = 0; i < 3 && r == NART_PENDING; i++)
        r = ask(cx, b->op[i]);
    return nart_scope_leave(cx, &scope, r);
}

static uint32_t count_arms(const struct body *b)
{
    uint32_t n = 0;

    for (const struct body *k = b->next; k; k = k->behind)
        n += 1 + count_arms(k);
    for (int i = 0; i < ARMS; i++)
        n += b->op[i] ? 1 : b->kid[i] ? 1 + count_arms(b->kid[i]) : 0;
    return n;
}

/* Only answers spend the budget, and errors once more in each await that they pass; an arm after one that used it up
 * gets a share. */
static void check_answers(const struct task *t)
{
    uint32_t answers = t->answers - t->refusals - t->slept;

    EXPECT(answers <= NART_BUDGET + SHARE * t->arms,
           "task %u gave %u answers in one poll with %u arms", t->id, answers, t->arms);
    EXPECT(!(t->header->state & NART__T_SPENT) || t->answers + t->errors >= NART_BUDGET,
           "task %u spent its budget by %u answers", t->id, t->answers);
}

/* Only what was requested in this poll is registered. */
static void check_registered(const struct task *t)
{
    uint32_t n = registered(t);

    EXPECT(n <= t->waits, "task %u waits in %u places, %u were asked for", t->id, n, t->waits);
}

/* A poll after one that used up its budget ends whatever has expired. */
static void check_overdue(struct body *b)
{
    if (b->aside)
        return;
    bool passed = b->scoped && b->co.deadline <= virtual_now && !nest_joins_below(b);
    b->overdue = passed && !(b->task->header->state & NART__T_SHIELD) ? b->overdue + 1 : 0;
    EXPECT(b->overdue <= patience(b, DENIED), "task %u: the deadline of form %u passed %lld us ago",
           b->task->id, b->form, (long long)(virtual_now - b->co.deadline) / 1000);
    for (int i = 0; i < ARMS; i++)
        if (b->kid[i])
            check_overdue(b->kid[i]);
    for (struct body *n = b->next; n; n = n->behind)
        check_overdue(n);
}

static nart_res task_poll(nart_cx *cx, void *frame)
{
    struct task *t = ((struct frame *)frame)->task;

    t->header = cx->self;
    t->name = nart_cx_task(cx);
    t->named = true;
    if (t->owner)
        nest_child_uses(t);
    t->answers = t->refusals = t->slept = t->errors = t->waits = 0;
    t->arms = count_arms(t->root);
    t->looked = cx->flags & NART__CX_BUSY ? virtual_now : 0;
    if (t->looked)
        check_overdue(t->root);
    nart_res r = t->root->by_hand    ? hand_poll(cx, t->root)
                 : t->root->by_fiber ? nart_branch_run(cx, &t->fiber, fiber_run, t->root)
                                     : body_run(cx, t->root);
    check_answers(t);
    if (r == NART_PENDING) {
        check_registered(t);
        check_bodies(t->header, NULL);
    } else {
        t->answered = true;
        t->r = r = r == -ECANCELED ? r : t->fails ? -EPROTO : (nart_res)(1000 + t->id);
        nest_lost(t->root); /* open ones are abandoned: its end waits for them */
    }
    return r;
}

static void task_drop(void *frame)
{
    struct task *t = ((struct frame *)frame)->task;

    EXPECT(!t->dropped && (t->answered || t->aborted || freeing), "task %u is dropped", t->id);
    t->dropped = true;
    if (t->owner)
        nest_child_ends(t);
    t->owner = NULL;
    t->header = NULL;
    tasks_live--;
    body_free(t->root);
    t->root = NULL;
}

static const nart_task_type task_type = NART_TASK_TYPE(struct frame, task_poll, task_drop);

static struct task *task_new(struct frame *f, struct body *owner)
{
    struct task *t = calloc(1, sizeof *t);

    tasks[t->id = task_count++] = f->task = t;
    tasks_live++;
    t->root = body_new(t, NULL, false);
    uint32_t way = pick(8);
    t->root->by_hand = way == 7;
    t->root->by_fiber = way < 3;
    t->owner = owner;
    t->fails = owner && pick(4) == 0;
    return t;
}

struct task *task_spawn(nart_join *join)
{
    if (tasks_live >= task_limit || task_count == EVER)
        return NULL;
    nart_res err;
    struct frame *f = nart_rt_spawn_begin(rt, &task_type, &err);
    if (!f) {
        EXPECT(err == NART_ESHUTDOWN, "no task: %s", nart_err_name(err));
        return NULL;
    }
    struct task *t = task_new(f, NULL);
    nart_join mine = { 0 };
    EXPECT(nart_rt_spawn_commit(rt, f, join ? join : &mine) == 0, "no commit");
    t->name = nart_join_task(join ? join : &mine);
    t->named = true;
    nart_join_release(&mine);
    return t;
}

/* The spawn failed. */
static void task_free(struct task *t)
{
    body_free(t->root);
    free(t);
    task_count--;
    tasks_live--;
}

struct task *task_spawn_set(nart_cx *cx, nart_task_set *set, nart_res *node)
{
    struct frame f;

    if (tasks_live >= task_limit || task_count == EVER)
        return NULL;
    struct task *t = task_new(&f, NULL);
    *node = nart_task_set_spawn(cx, set, &task_type, &f);
    if (*node < 0) {
        EXPECT(*node == NART_ESHUTDOWN, "no task: %s", nart_err_name(*node));
        task_free(t);
        return NULL;
    }
    t->name = nart_task_set_task(set, (uint32_t)*node);
    t->named = true;
    return t;
}

/* Its name is known from its first poll on. */
nart_res task_spawn_pool(nart_cx *cx, nart_pool *pool, struct task **kid)
{
    struct frame f;

    if (task_count == EVER)
        return -ENOSPC;
    struct task *t = task_new(&f, NULL);
    nart_res r = nart_pool_spawn(cx, pool, &task_type, &f);
    if (r == 0)
        *kid = t;
    else
        task_free(t);
    return r;
}

struct task *task_of(const void *frame)
{
    return ((const struct frame *)frame)->task;
}

struct task *task_spawn_in(nart_cx *cx, struct body *owner)
{
    struct frame f;

    if (tasks_live >= task_limit || task_count == EVER)
        return NULL;
    struct task *t = task_new(&f, owner);
    nart_res r = pick(4) ? nart_nursery_spawn(cx, &owner->nest.nursery, &task_type, &f)
                         : nart_nursery_spawn_boxed(cx, &owner->nest.nursery, &task_type, &f);
    if (r == 0)
        return t;
    EXPECT(r == NART_ESHUTDOWN || (r == NART_ECLOSED && nest_told(owner)), "%s", nart_err_name(r));
    task_free(t);
    return NULL;
}

struct task *task_any(void)
{
    return task_count ? tasks[task_count - 1 - pick(task_count < TASKS ? task_count : TASKS)]
                      : NULL;
}

/* It has answered, was aborted (a join may still hold its frame), or was freed. */
bool task_over(const struct task *t)
{
    return t->dropped || (t->header && t->header->state & NART__T_DONE);
}

bool task_ended(const struct task *t)
{
    return t->answered && task_over(t);
}

void task_ask(struct task *t, bool abort)
{
    if (!t->named)
        return;
    nart_res r = abort ? nart_task_abort(rt, t->name) : nart_task_cancel(rt, t->name);

    EXPECT(r == (task_over(t) ? NART_ESTALE : 0), "task %u: %s", t->id, nart_err_name(r));
    if (r == 0) {
        t->asked = true;
        t->aborted |= abort;
    }
}

struct task *task_at(uint32_t i)
{
    return i < task_count ? tasks[i] : NULL;
}

bool join_aborted(const struct task *t)
{
    return t->answered ? t->r == -ECANCELED && t->asked : t->aborted;
}

/* ---- after each tick ---- */

/* For how long has it been ready without an answer? */
static void check_arm(struct arm *a, bool rest)
{
    bool loop = a->body->form == LOOP || a->body->form == LOOP_FOR;

    if (!a->kind->ready || (!a->called && !loop) || !a->kind->ready(a)) {
        a->starved = 0;
        return;
    }
    EXPECT(!rest || is_outside(a->kind), "task %u: %s is ready, and nobody is polled", a->task->id,
           a->kind->name);
    EXPECT(++a->starved <= patience(a->body, is_outside(a->kind) ? OUTSIDE : PATIENT),
           "task %u: %s is ready and gets no answer", a->task->id, a->kind->name);
}

/* A shield hides an expired deadline, and so do consecutive shields of a loop. */
static void check_scope(struct body *b)
{
    if (!b->scoped || b->co.deadline > virtual_now || b->task->header->state & NART__T_SHIELD)
        b->late = 0;
    else
        EXPECT(++b->late <= patience(b, PATIENT) || nest_ends_below(b),
               "task %u: the deadline of form %u passed %lld us ago", b->task->id, b->form,
               (long long)(virtual_now - b->co.deadline) / 1000);
}

static void check_body(struct body *b, bool rest)
{
    if (b->aside || (!b->by_hand && !b->by_fiber && !nart_co_active(&b->co)))
        return;
    check_scope(b);
    EXPECT(!rest || !b->nest.joining || b->nest.children > 0, "task %u waits for nobody",
           b->task->id);
    for (int i = 0; i < ARMS; i++)
        if (b->op[i])
            check_arm(b->op[i], rest);
        else if (b->kid[i])
            check_body(b->kid[i], rest);
    for (struct body *n = b->next; n; n = n->behind)
        check_body(n, rest);
}

/* All that it waits in was requested in its last poll, and is accessible. */
static void check_waits(const struct task *t)
{
    for (const nart__wait *w = t->header->waits; w; w = w->more)
        EXPECT(w->task == t->header &&
                   (w->seen == t->header->polls || nest_is(w) || lock_is_held(w)),
               "task %u waits for what its last poll did not ask for", t->id);
}

/* A ready task gets its turn. */
static void check_turn(struct task *t)
{
    bool waits = t->header->state & NART__T_READY && t->turn == t->header->polls;

    t->turn = t->header->polls;
    t->stalled = waits ? t->stalled + 1 : 0;
    EXPECT(t->stalled <= PATIENT, "task %u is ready and is not polled", t->id);
}

/* The tasks of a cancelled nursery are cancelled, and cancelled tasks end. */
static void check_told(struct task *t, bool rest)
{
    uint32_t state = t->header->state;

    EXPECT(!t->owner || !t->owner->nest.cancelled || state & NART__T_CANCELLED,
           "task %u is not told to end", t->id);
    if (rest && state & NART__T_ENDING)
        EXPECT(nest_used_below(t->root), "task %u waits for nobody", t->id);
    else if (rest && state & NART__T_CANCELLED && !(state & NART__T_SHIELD))
        EXPECT(nest_joins_below(t->root), "task %u is cancelled, and waits", t->id);
}

static void check_tick(bool rest)
{
    ticks++;
    time_seen = virtual_now;
    graves_look(false);
    for (uint32_t i = 0; i < task_count; i++) {
        struct task *t = tasks[i];
        if (!t->header || task_over(t))
            continue;
        check_turn(t);
        check_waits(t);
        check_told(t, rest);
        if (!(t->header->state & NART__T_ENDING))
            check_body(t->root, rest);
    }
    if (rest)
        things_rest();
}

/* ---- both ways of driving the loop ---- */

/* Yields `turns` times, so that the loop never parks, then waits to be woken. */
static struct {
    uint32_t turns;
    uint64_t tick; /* of the loop */
    nart_waker waker;
} watcher;

/* Several polls of the watcher are one tick. */
static bool is_new_tick(void)
{
    nart_rt_stats s = { .size = sizeof s };
    uint64_t before = watcher.tick;

    nart_rt_stats_get(rt, &s);
    watcher.tick = s.ticks;
    return s.ticks != before;
}

static nart_res watcher_poll(nart_cx *cx, void *frame)
{
    (void)frame;
    watcher.waker = nart_cx_waker(cx);
    if (watcher.turns > 0) {
        if (is_new_tick()) {
            watcher.turns--;
            check_tick(false);
        }
        nart_wake_self(cx);
    } else {
        nart_rt_stop(rt);
    }
    return nart_cx_cancelled(cx) ? -ECANCELED : NART_PENDING;
}

static const nart_task_type watcher_type = NART_TASK_TYPE(struct frame, watcher_poll, NULL);

/* As a program of its own: the loop runs for `n` ticks. */
static void run(uint32_t n)
{
    watcher.turns = n;
    nart_waker_wake(watcher.waker);
    nart_res r = nart_rt_run(rt);
    EXPECT(r == 0 && watcher.turns == 0, "ran: %s", nart_err_name(r));
}

/* As a guest of another loop: one tick, then if idle, advance to what is due. */
static void step_once(void)
{
    nart_res polls = nart_rt_poll(rt, 0);
    int64_t next = nart_rt_next_deadline(rt);
    bool rest = polls == 0 && next > virtual_now;

    EXPECT(polls >= 0, "%s", nart_err_name(polls));
    check_tick(rest);
    if (rest && next != NART_NEVER)
        virtual_now = next;
}

static void report(void *arg, const char *line)
{
    (void)arg, (void)line;
}

/* The lowest free descriptor number equals the number of open descriptors. */
static int descriptors(void)
{
    int fd = dup(STDERR_FILENO);

    EXPECT(fd >= 0 && close(fd) == 0, "no descriptor");
    return fd;
}

static void program_begin(void)
{
    nart_rt_opts o = NART_RT_OPTS_INIT;
    nart_res r;

    arena = arena_next = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(arena != MAP_FAILED, "no arena");
    free_descriptor = descriptors();
    freeing = false;
    ticks = task_count = 0;
    virtual_now = at_ms(0);
    o.alloc = &counted;
    o.report = report;
    r = nart_rt_new(&o, &rt);
    EXPECT(r == 0, "%s", nart_err_name(r));
    r = nart_rt_spawn(rt, &watcher_type, NULL, NULL);
    EXPECT(r == 0, "%s", nart_err_name(r));
    EXPECT(nart_rt_poll(rt, 0) == 1, "the watcher");
    nests_begin();
    things_begin();
}

static void program_end(void)
{
    bool before = pick(2);

    if (pick(2))
        (void)nart_rt_quiesce(rt, 0, NULL);
    if (before)
        things_end();
    freeing = true;
    nart_res r = nart_rt_free(rt);
    EXPECT(r == 0, "%s", nart_err_name(r));
    if (!before)
        things_end();
    graves_look(true);
    for (uint32_t i = 0; i < task_count; i++) {
        EXPECT(tasks[i]->dropped, "task %u is left", i);
        free(tasks[i]);
    }
    (void)nart_lib_trim();
    EXPECT(descriptors() == free_descriptor, "descriptor %d is left", free_descriptor);
    EXPECT(blocks == 0, "%ld blocks are left", blocks);
    EXPECT(bodies == 0 && tasks_live == 0, "%u bodies are left", bodies);
    EXPECT(munmap(arena, ARENA) == 0, "no arena");
}

void program_run(const uint8_t *data, size_t size)
{
    bytes = data;
    bytes_end = data + size;
    program_begin();
    task_limit = pick(4) ? TASKS : 1 + pick(2);
    for (uint32_t n = 1 + pick(6); n > 0; n--)
        (void)task_spawn(NULL);
    while (ticks < TICKS && bytes < bytes_end) {
        for (uint32_t n = pick(6); n > 0; n--)
            deed(NULL);
        if (pick(8) == 0)
            run(1 + pick(64));
        else if (pick(3) == 0)
            run(1 + pick(8));
        else
            step_once();
    }
    for (uint32_t n = 0; n < 64; n++)
        step_once();
    program_end();
}

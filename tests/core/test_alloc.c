/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Memory: each allocation may fail and is then reported as an error; after startup there is none.
 * The program replaces malloc() and mmap(), so every allocation is counted. */
#include "core.h"

#include <nart/fiber.h>

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- counting ---- */

static long allocations, mappings, fail_mapping;
static bool no_mappings, no_calloc;

#if !defined TEST_SANITIZED && defined __GLIBC__

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    allocations++;
    return no_calloc ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    allocations++;
    return __libc_realloc(p, size);
}

void *memalign(size_t align, size_t size)
{
    allocations++;
    return __libc_memalign(align, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
    *p = memalign(align, size);
    return *p ? 0 : ENOMEM;
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    mappings++;
    if (no_mappings || (fail_mapping > 0 && --fail_mapping == 0)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    /* NOLINTNEXTLINE: the system call returns an address */
    return (void *)(intptr_t)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}
#endif

static void need_counts(void)
{
    long before = allocations;
    void *(*volatile get)(size_t) = malloc; /* prevents inlining */
    free(get(1));
    if (allocations == before)
        SKIP("a sanitizer or valgrind replaces the allocator of this program");
}

/* ---- failures ---- */

static nart_res new_counted(nart_rt **rt)
{
    nart_rt_opts opts = NART_RT_OPTS_INIT;
    opts.alloc = &test_alloc;
    return nart_rt_new(&opts, rt);
}

static void check_made(nart_rt *rt, nart_res r, nart_res expected)
{
    CHECK_RES(r, expected);
    CHECK(rt == NULL);
    CHECK_EQ(test_alloc_live(), 0);
}

TEST(a_runtime_without_memory_reports_it)
{
    nart_rt *rt = NULL;
    nart_res r = -ENOMEM;
    int failed = 0;

    for (long nth = 1; r != 0; nth++) {
        test_alloc_fail(nth, false);
        r = new_counted(&rt);
        if (r) {
            check_made(rt, r, -ENOMEM);
            failed++;
        }
    }
    test_alloc_fail(0, false);
    CHECK_LE(1, failed);
    nart_rt_free(rt);
}

TEST(a_runtime_without_mappings_reports_it)
{
    nart_rt *rt = NULL;
    nart_res r = -ENOMEM;
    int failed = 0;

    need_counts();
    for (long nth = 1; r != 0; nth++) {
        (void)nart_lib_trim(); /* else it reuses the hub of the previous runtime */
        fail_mapping = nth;
        r = new_counted(&rt);
        if (r) {
            check_made(rt, r, -ENOMEM);
            failed++;
        }
    }
    fail_mapping = 0;
    CHECK_LE(3, failed); /* slots, hub, reactor */
    nart_rt_free(rt);
}

/* The lowest free descriptor. */
static int lowest_free(void)
{
    int fd = dup(0);
    CHECK_LE(0, fd);
    close(fd);
    return fd;
}

TEST(a_runtime_without_descriptors_reports_it)
{
    struct rlimit old, none;
    nart_rt *rt = NULL;
    nart_res r = -EMFILE;
    int failed = 0;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    for (none.rlim_cur = (rlim_t)lowest_free(); r != 0; none.rlim_cur++) {
        (void)nart_lib_trim();
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
        r = new_counted(&rt);
        if (r) {
            check_made(rt, r, -EMFILE);
            failed++;
        }
        CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    }
    CHECK_LE(2, failed); /* the eventfd and the epoll descriptor */
    nart_rt_free(rt);
}

static int drops;

static nart_res once(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static void count_drop(void *frame)
{
    (void)frame;
    drops++;
}

static const nart_task_type once_type = NART_TASK_TYPE(uint64_t, once, count_drop);

struct spawner {
    nart_res spawned, begun;
};

static nart_res spawner_poll(nart_cx *cx, void *frame)
{
    struct spawner *f = frame;
    test_alloc_fail(1, true);
    f->spawned = nart_spawn_boxed(cx, &once_type, NULL, NULL);
    CHECK(!nart_spawn_boxed_begin(cx, &once_type, &f->begun));
    test_alloc_fail(0, false);
    return 0;
}

static const nart_task_type spawner_type = NART_TASK_TYPE(struct spawner, spawner_poll, NULL);

TEST(a_boxed_spawn_without_memory_loses_no_slot)
{
    nart_rt *rt = NEW_RT(.slots[0] = 2);
    nart_join join;

    for (int i = 0; i < 5; i++) {
        nart_res err = 0;
        struct spawner *f = spawn(rt, &spawner_type, &join);
        CHECK_LE(1, nart_rt_poll(rt, 0));
        CHECK_RES(f->spawned, -ENOMEM);
        CHECK_RES(f->begun, -ENOMEM);
        nart_join_release(&join);
        test_alloc_fail(1, true);
        CHECK_RES(nart_rt_spawn_boxed(rt, &once_type, NULL, NULL), -ENOMEM);
        CHECK(!nart_rt_spawn_boxed_begin(rt, &once_type, &err));
        CHECK_RES(err, -ENOMEM);
        test_alloc_fail(0, false);
    }
    CHECK_EQ(drops, 0);
    CHECK_RES(nart_rt_spawn_boxed(rt, &once_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn_boxed(rt, &once_type, NULL, NULL), 0);
    CHECK_LE(2, nart_rt_poll(rt, 0));
    CHECK_EQ(drops, 2);
    nart_rt_free(rt);
}

/* ---- growth ---- */

static nart_res stays(nart_cx *cx, void *frame)
{
    (void)frame;
    return nart_op_park(cx);
}

static const nart_task_type small_type = NART_TASK_TYPE(uint64_t, stays, count_drop);
static const nart_task_type wide_type = {
    .abi = NART_TASK_ABI, .name = "wide", .size = 200, .align = 8, .poll = stays, .drop = count_drop
};

static void fill(nart_rt *rt, const nart_task_type *type, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_RES(nart_rt_spawn(rt, type, NULL, NULL), 0);
}

TEST(a_class_that_cannot_grow_reports_it_and_grows_later)
{
    nart_rt *rt;

    need_counts();
    rt = new_rt();
    fill(rt, &small_type, 4096);
    no_mappings = true;
    for (int i = 0; i < 3; i++) {
        nart_res err = 0;
        CHECK_RES(nart_rt_spawn(rt, &small_type, NULL, NULL), -ENOMEM);
        CHECK(!nart_rt_spawn_begin(rt, &small_type, &err));
        CHECK_RES(err, -ENOMEM);
        CHECK_RES(nart_rt_spawn_boxed(rt, &wide_type, NULL, NULL), -ENOMEM);
        CHECK_RES(nart_rt_reserve(rt, 64, 4097), -ENOMEM);
        CHECK_RES(nart_rt_reserve_io(rt, 1025), -ENOMEM);
        CHECK_RES(nart_rt_spawn(rt, &wide_type, NULL, NULL), 0);
    }
    no_mappings = false;
    fill(rt, &small_type, 1);
    CHECK_EQ(nart_rt_task_count(rt), 4100);
    nart_rt_free(rt);
    CHECK_EQ(drops, 4100);
}

/* Slots are mapped first, then the records of their wakers: if one fails, nothing is used or
 * lost. */
TEST(slots_without_records_are_not_used)
{
    nart_slot_use use[NART_SLOT_CLASSES];
    nart_rt *rt;

    need_counts();
    (void)nart_lib_trim();
    rt = new_rt();
    fill(rt, &small_type, 4096);
    fail_mapping = 2;
    CHECK_RES(nart_rt_spawn(rt, &small_type, NULL, NULL), -ENOMEM);
    nart_rt_slots_get(rt, use);
    CHECK_EQ(use[0].mapped, 8192);
    mappings = 0;
    fill(rt, &small_type, 4096);
    CHECK_EQ(mappings, 1); /* the records */
    CHECK_EQ(fail_mapping, 0);
    nart_rt_free(rt);
    CHECK_EQ(drops, 8192);
}

/* The preferred size of a class fails to map, half of it succeeds. */
TEST(a_class_takes_fewer_slots_when_memory_is_short)
{
    nart_slot_use use[NART_SLOT_CLASSES];
    nart_rt *rt;

    need_counts();
    rt = new_rt();
    fill(rt, &wide_type, 2048);
    fail_mapping = 1;
    fill(rt, &wide_type, 1);
    nart_rt_slots_get(rt, use);
    CHECK_EQ(use[2].mapped, 3072);
    nart_rt_free(rt);
    CHECK_EQ(drops, 2049);
}

TEST(what_was_reserved_is_not_mapped_by_spawns)
{
    enum { MANY = 30000 };
    nart_rt *rt;

    need_counts();
    rt = new_rt();
    CHECK_RES(nart_rt_reserve(rt, sizeof(uint64_t), MANY), 0);
    CHECK_RES(nart_rt_reserve(rt, 200, MANY), 0);
    allocations = mappings = 0;
    fill(rt, &small_type, MANY);
    fill(rt, &wide_type, MANY);
    settle(rt);
    CHECK_EQ(allocations, 0);
    CHECK_EQ(mappings, 0);
    nart_rt_free(rt);
    CHECK_EQ(drops, 2 * MANY);
}

/* ---- no allocation after startup ---- */

struct worker {
    nart_co co, sub;
    nart_tx tx;
    nart_rx rx;
    nart_timer timer;
    nart_join join;
    nart_waker waker;
    uint64_t value;
    int i, which;
    nart_res r, answer;
};

static nart_res child_run(nart_cx *cx, void *frame)
{
    nart_co *co = frame;
    NART_BEGIN(cx, co);
    NART_YIELD();
    NART_END(3);
}

static const nart_task_type child_type = NART_TASK_TYPE(nart_co, child_run, NULL);

static nart_res worker_sub(nart_cx *cx, struct worker *f)
{
    NART_BEGIN(cx, &f->sub);
    NART_AWAIT(f->r, nart_send(cx, &f->tx, &f->value));
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    NART_END(f->r);
}

/* Uses one of everything, repeatedly. */
static nart_res worker_run(nart_cx *cx, void *frame)
{
    struct worker *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 500; f->i++) {
        NART_YIELD();
        CHECK_RES(nart_spawn(cx, &child_type, NULL, &f->join), 0);
        NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
        nart_join_release(&f->join);
        NART_AWAIT_FOR(f->r, NART_SEC, worker_sub(cx, f));
        NART_AWAIT(f->r, nart_sleep(cx, &f->timer, NART_US));
        NART_AWAIT_FOR(f->r, NART_US, nart_recv(cx, &f->rx, &f->value));
        CHECK_RES(f->r, -ETIMEDOUT);
        CHECK_RES(nart_spawn(cx, &child_type, NULL, &f->join), 0);
        NART_AWAIT_ANY(f->which, f->r, nart_recv(cx, &f->rx, &f->value),
                       nart_join_await(cx, &f->join, &f->answer),
                       nart_sleep(cx, &f->timer, NART_SEC));
        CHECK_EQ(f->which, 1);
        nart_timer_cancel(&f->timer);
        nart_join_release(&f->join);
        CHECK_RES(nart_spawn(cx, &child_type, NULL, &f->join), 0);
        CHECK_RES(nart_task_abort(nart_cx_rt(cx), nart_join_task(&f->join)), 0);
        NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
        CHECK_RES(f->r, NART_EABORTED);
        nart_join_release(&f->join);
        f->waker = nart_cx_waker(cx);
        nart_waker_wake(f->waker);
        NART_YIELD();
    }
    NART_END(0);
}

static void worker_drop(void *frame)
{
    struct worker *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
    nart_join_release(&f->join);
}

static const nart_task_type worker_type = NART_TASK_TYPE(struct worker, worker_run, worker_drop);

TEST(nothing_is_allocated_after_the_start)
{
    enum { WORKERS = 50 };
    nart_join joins[WORKERS];
    nart_rt *rt;

    need_counts();
    CHECK_RES(nart_rt_new(NULL, &rt), 0); /* malloc itself */
    CHECK_LE(1, allocations);
    CHECK_LE(1, mappings);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *f = spawn(rt, &worker_type, &joins[i]);
        new_chan(rt, 4, &f->tx, &f->rx);
    }
    allocations = mappings = 0;
    CHECK_RES(nart_rt_run(rt), 0);
    for (int i = 0; i < 1000; i++)
        CHECK_RES(nart_block_on(rt, &child_type, NULL, NULL), 0);
    CHECK_EQ(allocations, 0);
    CHECK_EQ(mappings, 0);
    CHECK_RES(nart_rt_spawn_boxed(rt, &child_type, NULL, NULL), 0);
    CHECK_EQ(allocations, 1); /* the frame; this shows that the counter works */
    for (int i = 0; i < WORKERS; i++)
        nart_join_release(&joins[i]);
    nart_rt_free(rt);
}

/* As nart_alloc in nart/base.h says: mapped are the task slots and their table, the wakers'
 * records, the descriptors and the events. */
TEST(a_runtime_asks_for_one_block_and_maps_five)
{
    need_counts();
    long live = test_alloc_live(), mapped = mappings;
    nart_rt *rt = new_rt();
    CHECK_EQ(test_alloc_live(), live + 1);
    CHECK_EQ(mappings, mapped + 5);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- fibers ---- */

static nart_res fiber_main(nart_cx *cx, void *calls)
{
    ++*(int *)calls;
    return nart_yield(cx) + 7;
}

static void check_no_fiber(nart_rt *rt)
{
    nart_res answer = 0;
    int calls = 0;

    CHECK_RES(nart_fiber_block_on(rt, fiber_main, &calls, NULL, &answer), 0);
    CHECK_RES(answer, -ENOMEM);
    CHECK_EQ(calls, 0);
}

/* The entry by which an overflow finds the fiber, and the stacks. */
TEST(a_fiber_without_memory_for_its_stack_is_an_answer)
{
    need_counts();
    for (int i = 0; i < 2; i++) {
        nart_rt *rt = new_rt();
        nart_res answer = 0;
        int calls = 0;

        no_calloc = i == 0; /* the second runtime uses the entry again */
        no_mappings = i == 1;
        check_no_fiber(rt);
        check_no_fiber(rt);
        no_calloc = no_mappings = false;
        CHECK_RES(nart_fiber_block_on(rt, fiber_main, &calls, NULL, &answer), 0);
        CHECK_RES(answer, 7);
        CHECK_EQ(calls, 1);
        CHECK_RES(nart_rt_free(rt), 0);
        CHECK_EQ(test_alloc_live(), 0);
    }
}

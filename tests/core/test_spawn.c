/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Spawning: two phases, slots and their classes, boxed frames, invalid types. */
#include "core.h"

#include <stdio.h>

FIXTURE_RT();
static int polls, drops;

static void tick(void)
{
    CHECK_LE(0, nart_rt_poll(rt, 0));
}

static nart_res once(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    polls++;
    return 0;
}

static nart_res never(nart_cx *cx, void *frame)
{
    (void)frame;
    nart_res r = nart_op_enter(cx);
    return r ? r : nart_op_park(cx);
}

static void count_drop(void *frame)
{
    (void)frame;
    drops++;
}

static nart_task_type type_of(uint32_t size, uint32_t align, nart_poll_fn poll)
{
    return (nart_task_type){ .abi = NART_TASK_ABI,
                             .name = "made up",
                             .size = size,
                             .align = align,
                             .poll = poll,
                             .drop = count_drop };
}

static bool all_zero(const unsigned char *p, size_t n)
{
    for (; n > 0; n--)
        if (*p++)
            return false;
    return true;
}

/* ---- two phases ---- */

TEST_WITH(a_frame_of_any_size_begins_zeroed_and_aligned, rt)
{
    static const uint32_t sizes[] = { 0,   1,   63,  64,   65,   127,  128,  129,  256,
                                      257, 512, 513, 1024, 1025, 2048, 2049, 4095, 4096 };
    for (int round = 0; round < 3; round++) { /* the later rounds use recycled slots */
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            nart_task_type type = type_of(sizes[i], 64, once);
            nart_res err = 1;
            unsigned char *frame = nart_rt_spawn_begin(rt, &type, &err);
            CHECK_RES(err, 0);
            CHECK(frame && (uintptr_t)frame % 64 == 0);
            CHECK(all_zero(frame, sizes[i]));
            memset(frame, 0xCC, sizes[i]);
            CHECK_RES(nart_rt_spawn_commit(rt, frame, NULL), 0);
            tick();
            CHECK_EQ(polls, 1);
            CHECK_EQ(drops, 1);
            polls = drops = 0;
        }
    }
}

TEST_WITH(a_committed_task_is_first_polled_on_a_later_turn, rt)
{
    nart_task_type type = type_of(8, 8, once);
    void *frame = nart_rt_spawn_begin(rt, &type, NULL);
    tick();
    CHECK_EQ(polls, 0); /* it is not scheduled before commit */
    CHECK_EQ(nart_rt_task_count(rt), 0);
    CHECK_RES(nart_rt_spawn_commit(rt, frame, NULL), 0);
    CHECK_EQ(polls, 0);
    CHECK_EQ(nart_rt_task_count(rt), 1);
    tick();
    CHECK_EQ(polls, 1);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

TEST(an_abandoned_task_gives_its_slot_back_and_is_not_dropped)
{
    nart_task_type type = type_of(8, 8, once), big = type_of(8000, 8, once);
    rt = NEW_RT(SLOTS(1));
    for (int i = 0; i < 3; i++) {
        void *frame = nart_rt_spawn_begin(rt, &type, NULL);
        CHECK(frame);
        nart_rt_spawn_abandon(rt, frame);
        nart_rt_spawn_abandon(rt, frame); /* a second call has no effect */
        frame = nart_rt_spawn_boxed_begin(rt, &big, NULL);
        CHECK(frame);
        CHECK_EQ(test_alloc_live(), 2);
        nart_rt_spawn_abandon(rt, frame);
        CHECK_EQ(test_alloc_live(), 1);
    }
    nart_rt_spawn_abandon(rt, NULL);
    tick();
    CHECK_EQ(polls, 0);
    CHECK_EQ(drops, 0);
    nart_rt_free(rt);
}

TEST_WITH(only_a_begun_frame_can_be_committed_and_only_once, rt)
{
    nart_task_type type = type_of(8, 8, once);
    char stranger[8];
    void *a = nart_rt_spawn_begin(rt, &type, NULL), *b = nart_rt_spawn_begin(rt, &type, NULL);
    CHECK_RES(nart_rt_spawn_commit(rt, stranger, NULL), -EINVAL);
    CHECK_RES(nart_rt_spawn_commit(rt, NULL, NULL), -EINVAL);
    CHECK_RES(nart_rt_spawn_commit(rt, a, NULL), 0); /* in any order */
    CHECK_RES(nart_rt_spawn_commit(rt, a, NULL), -EINVAL);
    CHECK_RES(nart_rt_spawn_commit(rt, b, NULL), 0);
    tick();
    CHECK_EQ(polls, 2);
}

/* Many frames begun at one time are committed or abandoned in any order: as begun, in reverse,
 * shuffled. If each call walked a list of them, this would take minutes. */
TEST(frames_are_committed_and_abandoned_in_any_order)
{
    enum { MANY = 1 << 17 };
    static const uint64_t steps[] = { 1, MANY - 1, 123457 }; /* odd, to visit every frame */
    nart_task_type slot = type_of(8, 8, once), box = type_of(8, 8, once);
    void **frames = calloc(MANY, sizeof *frames);

    CHECK(frames);
    rt = NEW_RT(.slots[0] = MANY);
    for (size_t order = 0; order < sizeof steps / sizeof *steps; order++) {
        polls = drops = 0;
        for (uint64_t i = 0; i < MANY; i++) {
            frames[i] = i % 8 ? nart_rt_spawn_begin(rt, &slot, NULL)
                              : nart_rt_spawn_boxed_begin(rt, &box, NULL);
            CHECK(frames[i]);
        }
        for (uint64_t n = 0; n < MANY; n++) {
            void *frame = frames[n * steps[order] % MANY];
            if (n % 4 == 3)
                nart_rt_spawn_abandon(rt, frame);
            else
                CHECK_RES(nart_rt_spawn_commit(rt, frame, NULL), 0);
            CHECK_RES(nart_rt_spawn_commit(rt, frame, NULL), -EINVAL);
        }
        CHECK_RES(nart_rt_run(rt), 0);
        CHECK_EQ(polls, MANY / 4 * 3);
        CHECK_EQ(drops, MANY / 4 * 3);
    }
    nart_rt_free(rt);
    free(frames);
}

/* ---- inside a task ---- */

struct parent {
    nart_co co;
    const nart_task_type *type;
    nart_join join;
    nart_res answer, r;
    bool boxed, abandon;
};

static nart_res parent_run(nart_cx *cx, void *frame)
{
    struct parent *f = frame;
    void *child;

    NART_BEGIN(cx, &f->co);
    child = f->boxed ? nart_spawn_boxed_begin(cx, f->type, &f->r)
                     : nart_spawn_begin(cx, f->type, &f->r);
    CHECK_RES(f->r, 0);
    if (f->abandon) {
        nart_spawn_abandon(cx, child);
        NART_RETURN(0);
    }
    CHECK_RES(nart_spawn_commit(cx, child, &f->join), 0);
    CHECK_EQ(polls, 0);
    NART_AWAIT(f->r, nart_join_await(cx, &f->join, &f->answer));
    CHECK_RES(f->r, 0);
    CHECK_EQ(polls, 1);
    NART_END(0);
}

static void parent_drop(void *frame)
{
    nart_join_release(&((struct parent *)frame)->join);
}

static const nart_task_type parent_type = NART_TASK_TYPE(struct parent, parent_run, parent_drop);

TEST_WITH(a_task_spawns_and_joins_another, rt)
{
    nart_task_type type = type_of(8, 8, once), big = type_of(100000, 64, once);
    for (int i = 0; i < 4; i++) {
        struct parent p = { .type = i & 1 ? &big : &type, .boxed = i & 1, .abandon = i & 2 };
        polls = drops = 0;
        CHECK_RES(nart_block_on(rt, &parent_type, &p, NULL), 0);
        CHECK_EQ(drops, i < 2);
    }
}

/* ---- with an initial value ---- */

struct value {
    uint64_t words[12];
};

static nart_res value_poll(nart_cx *cx, void *frame)
{
    struct value *v = frame;
    (void)cx;
    for (uint64_t i = 0; i < 12; i++)
        CHECK_EQ(v->words[i], v->words[0] ? v->words[0] + i : 0);
    memset(v, 0xDD, sizeof *v);
    polls++;
    return 0;
}

static const nart_task_type value_type = NART_TASK_TYPE(struct value, value_poll, NULL);

TEST_WITH(an_initial_value_is_copied_and_none_is_zero, rt)
{
    struct value v;
    for (int i = 0; i < 8; i++) { /* recycled slots and boxes */
        for (uint64_t k = 0; k < 12; k++)
            v.words[k] = 100 + k;
        const void *init = i & 1 ? NULL : &v;
        CHECK_RES(i & 2 ? nart_rt_spawn(rt, &value_type, init, NULL)
                        : nart_rt_spawn_boxed(rt, &value_type, init, NULL),
                  0);
        memset(&v, 0, sizeof v);
        tick();
        CHECK_EQ(polls, i + 1);
    }
}

/* ---- slots ---- */

TEST(a_full_class_answers_at_once_and_leaves_the_others_alone)
{
    nart_task_type small = type_of(64, 8, never), large = type_of(65, 8, never);
    nart_join joins[3];
    nart_res err;
    rt = NEW_RT(SLOTS(3));
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_rt_spawn(rt, &small, NULL, &joins[i]), 0);
    CHECK_RES(nart_rt_spawn(rt, &small, NULL, NULL), NART_ESLOTS);
    CHECK(!nart_rt_spawn_begin(rt, &small, &err));
    CHECK_RES(err, NART_ESLOTS);
    CHECK_RES(nart_rt_spawn_boxed(rt, &large, NULL, NULL), NART_ESLOTS); /* needs a small slot */
    CHECK_RES(nart_rt_spawn(rt, &large, NULL, NULL), 0);
    tick();
    CHECK_RES(abort_task(rt, &joins[1]), 0);
    tick();
    CHECK_RES(nart_rt_spawn(rt, &small, NULL, NULL), NART_ESLOTS); /* held: its frame stays */
    nart_join_release(&joins[1]);
    CHECK_RES(nart_rt_spawn(rt, &small, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &small, NULL, NULL), NART_ESLOTS);
    nart_join_release(&joins[0]);
    nart_join_release(&joins[2]);
    nart_rt_free(rt);
}

TEST(every_class_holds_as_many_as_it_was_given)
{
    rt = NEW_RT(SLOTS(5));
    nart_task_type types[NART_SLOT_CLASSES];
    for (int c = 0; c < NART_SLOT_CLASSES; c++) {
        types[c] = type_of(64u << c, 64, never);
        for (int i = 0; i < 5; i++)
            CHECK_RES(nart_rt_spawn(rt, &types[c], NULL, NULL), 0);
        CHECK_RES(nart_rt_spawn(rt, &types[c], NULL, NULL), NART_ESLOTS);
    }
    CHECK_EQ(nart_rt_task_count(rt), 5 * NART_SLOT_CLASSES);
    nart_rt_free(rt);
    CHECK_EQ(drops, 5 * NART_SLOT_CLASSES);
}

TEST(classes_without_a_number_have_their_default)
{
    nart_task_type small = type_of(64, 8, once), large = type_of(4096, 8, once);
    rt = NEW_RT(.slots[0] = 1);
    CHECK_RES(nart_rt_spawn(rt, &small, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &small, NULL, NULL), NART_ESLOTS);
    CHECK_RES(nart_rt_spawn(rt, &large, NULL, NULL), 0);
    nart_rt_free(rt);
}

/* ---- growth ---- */

struct grown {
    nart_waker waker;
    uint64_t number;
    uint32_t polls;
};

static uint64_t grown_sum;

static nart_res grown_poll(nart_cx *cx, void *frame)
{
    struct grown *f = frame;

    if (f->polls++ == 0) {
        f->waker = nart_cx_waker(cx);
        return nart_op_park(cx);
    }
    grown_sum += f->number;
    return 0;
}

static const nart_task_type grown_type = NART_TASK_TYPE(struct grown, grown_poll, NULL);

/* A runtime with default options: each task has a slot that does not move and a waker, and is
 * polled twice. */
TEST(a_million_tasks_in_a_default_runtime)
{
#ifdef TEST_SANITIZED
    const uint64_t many = 100000;
#else
    const uint64_t many = test_under_valgrind() ? 100000 : 1000000;
#endif
    struct grown **frames = calloc((size_t)many, sizeof(void *));
    nart_rt_stats stats = { .size = sizeof stats };

    CHECK(frames);
    CHECK_RES(nart_rt_new(NULL, &rt), 0);
    for (uint64_t i = 0; i < many; i++) {
        nart_res err;
        frames[i] = nart_rt_spawn_begin(rt, &grown_type, &err);
        CHECK_RES(err, 0);
        frames[i]->number = i;
        CHECK_RES(nart_rt_spawn_commit(rt, frames[i], NULL), 0);
    }
    CHECK_EQ(nart_rt_task_count(rt), many);
    for (nart_rt_stats_get(rt, &stats); stats.polls < many; nart_rt_stats_get(rt, &stats))
        tick();
    for (uint64_t i = 0; i < many; i++) {
        CHECK_EQ(frames[i]->number, i);
        nart_waker_wake(frames[i]->waker);
    }
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_EQ(grown_sum, many * (many - 1) / 2);
    nart_rt_stats_get(rt, &stats);
    CHECK_EQ(stats.polls, 2 * many);
    CHECK_EQ(stats.wakes_foreign, many);
    nart_rt_free(rt);
    free(frames);
}

TEST(every_class_grows)
{
    static const uint32_t first[] = { 4096, 4096, 2048, 1024, 1024, 512, 256 };
    nart_task_type types[NART_SLOT_CLASSES];
    nart_slot_use use[NART_SLOT_CLASSES];
    long all = 0;

    rt = new_rt();
    for (int c = 0; c < NART_SLOT_CLASSES; c++) {
        types[c] = type_of(64u << c, 64, never);
        for (uint32_t i = 0; i < 3 * first[c]; i++, all++)
            CHECK_RES(nart_rt_spawn(rt, &types[c], NULL, NULL), 0);
    }
    CHECK_EQ(nart_rt_task_count(rt), all);
    nart_rt_slots_get(rt, use);
    for (int c = 0; c < NART_SLOT_CLASSES; c++) {
        CHECK_EQ(use[c].bytes, 64 << c);
        CHECK_EQ(use[c].limit, 0);
        CHECK_EQ(use[c].mapped, 4 * first[c]);
        CHECK_EQ(use[c].peak, 3 * first[c]);
        CHECK_EQ(use[c].used, 3 * first[c]);
    }
    nart_rt_free(rt);
    CHECK_EQ(drops, all);
}

TEST(ids_and_joins_of_tasks_in_every_chunk)
{
    enum { MANY = 20000 };
    nart_task_type type = type_of(8, 8, never);
    nart_join *joins = calloc(MANY, sizeof *joins);

    CHECK(joins);
    rt = new_rt();
    for (int i = 0; i < MANY; i++)
        CHECK_RES(nart_rt_spawn(rt, &type, NULL, &joins[i]), 0);
    for (int i = 0; i < MANY; i += 2)
        CHECK_RES(abort_task(rt, &joins[i]), 0);
    while (nart_rt_task_count(rt) > MANY / 2)
        tick();
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(nart_join_done(&joins[i]), i % 2 == 0);
        CHECK_RES(abort_task(rt, &joins[i]), i % 2 ? 0 : NART_ESTALE);
        nart_join_release(&joins[i]);
    }
    nart_rt_free(rt);
    free(joins);
    CHECK_EQ(drops, MANY);
}

TEST(reserved_slots_are_available)
{
    nart_slot_use use[NART_SLOT_CLASSES];
    nart_task_type type = type_of(200, 8, never);

    rt = new_rt();
    CHECK_RES(nart_rt_reserve(rt, 200, 2048), 0); /* already available */
    nart_rt_slots_get(rt, use);
    CHECK_EQ(use[2].mapped, 2048);
    CHECK_RES(nart_rt_reserve(rt, 129, 2049), 0); /* the same number again */
    CHECK_RES(nart_rt_reserve(rt, 256, 10000), 0);
    CHECK_RES(nart_rt_reserve(rt, 256, 5), 0);
    nart_rt_slots_get(rt, use);
    CHECK_EQ(use[2].mapped, 10000);
    CHECK_EQ(use[2].peak, 0);
    CHECK_EQ(use[1].mapped, 4096);
    for (int i = 0; i < 10001; i++)
        CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), 0);
    nart_rt_slots_get(rt, use);
    CHECK_EQ(use[2].used, 10001);
    CHECK_EQ(use[2].mapped, 20000);
    CHECK_RES(nart_rt_reserve(rt, 4097, 1), NART_EFRAME);
    CHECK_RES(nart_rt_reserve(rt, SIZE_MAX, 1), NART_EFRAME);
    CHECK_RES(nart_rt_reserve(rt, 0, UINT32_MAX), NART_ESLOTS);
    CHECK_RES(nart_rt_reserve(NULL, 0, 1), -EINVAL);
    nart_rt_free(rt);
    CHECK_EQ(drops, 10001);

    rt = NEW_RT(.slots[0] = 10, .max_io = 4);
    CHECK_RES(nart_rt_reserve(rt, 64, 10), 0);
    CHECK_RES(nart_rt_reserve(rt, 64, 11), NART_ESLOTS);
    CHECK_RES(nart_rt_reserve(rt, 65, 10000), 0);
    CHECK_RES(nart_rt_reserve_io(rt, 4), 0);
    CHECK_RES(nart_rt_reserve_io(rt, 5), NART_EFDS);
    CHECK_RES(nart_rt_reserve_io(NULL, 1), -EINVAL);
    nart_rt_free(rt);
}

#if defined __SANITIZE_ADDRESS__
#define ASAN 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#define IS_POISONED(p, live) __asan_address_is_poisoned(p)
#else
#define IS_POISONED(p, live) ((void)(p), !(live))
#endif

/* The address sanitizer sees frames of ended tasks as inaccessible; other builds only execute the
 * calls. */
TEST(the_sanitizer_knows_which_frames_are_alive)
{
    nart_join join;

    rt = new_rt();
    for (uint32_t size = 64; size <= 4096; size *= 2) {
        nart_task_type type = type_of(size, 64, once);
        char *last = NULL;
        for (int i = 0; i < 3; i++) {
            char *frame = spawn(rt, &type, &join);
            CHECK(!last || last == frame);
            CHECK(!IS_POISONED(frame, true) && !IS_POISONED(frame + size - 1, true));
            tick();
            CHECK(nart_join_frame(&join) == frame);
            CHECK(!IS_POISONED(frame, true));
            nart_join_release(&join);
            CHECK(IS_POISONED(frame, false) && IS_POISONED(frame + size - 1, false));
            last = frame;
        }
    }
    nart_rt_free(rt);
    rt = new_rt(); /* whichever memory it gets */
    nart_task_type type = type_of(4096, 64, once);
    CHECK(spawn(rt, &type, NULL));
    tick();
    nart_rt_free(rt);
}

TEST(an_id_names_one_task_for_ever)
{
    nart_task_type type = type_of(8, 8, once);
    nart_task seen[100];
    rt = NEW_RT(SLOTS(2));
    for (int i = 0; i < 100; i++) {
        nart_join join;
        CHECK_RES(nart_rt_spawn(rt, &type, NULL, &join), 0);
        seen[i] = nart_join_task(&join);
        for (int k = 0; k < i; k++)
            CHECK(seen[k].slot != seen[i].slot || seen[k].gen != seen[i].gen);
        tick();
        nart_join_release(&join);
    }
    nart_rt_free(rt);
}

TEST(a_slot_whose_generations_are_used_up_is_not_used_again)
{
    nart_task_type type = type_of(8, 8, once);
    nart_join join;
    rt = NEW_RT(SLOTS(1));
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, &join), 0);
    join.task->gen = join.gen = UINT32_MAX; /* as after 2^32 tasks */
    tick();
    nart_join_release(&join);
    CHECK_EQ(drops, 1);
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), NART_ESLOTS);
    nart_rt_free(rt);
}

/* ---- invalid types ---- */

static void check_refused(nart_task_type type, nart_res expected)
{
    nart_res err = 0;
    CHECK_RES(nart_rt_spawn(rt, &type, NULL, NULL), expected);
    CHECK(!nart_rt_spawn_begin(rt, &type, &err));
    CHECK_RES(err, expected);
    if (expected == NART_EFRAME)
        return;
    CHECK_RES(nart_rt_spawn_boxed(rt, &type, NULL, NULL), expected);
    CHECK(!nart_rt_spawn_boxed_begin(rt, &type, &err));
    CHECK_RES(err, expected);
}

TEST(a_type_that_is_none_is_refused)
{
    nart_task_type good = type_of(8, 8, once), bad;
    rt_open();
    CHECK_RES(nart_rt_spawn(rt, NULL, NULL, NULL), -EINVAL);
    bad = good;
    bad.poll = NULL;
    check_refused(bad, -EINVAL);
    bad = good;
    bad.name = NULL;
    check_refused(bad, -EINVAL);
    bad = good;
    bad.align = 24;
    check_refused(bad, -EINVAL);
    bad.align = 128;
    check_refused(bad, -EINVAL);
    bad.align = 0;
    check_refused(bad, -EINVAL);
    bad = good;
    bad.abi = NART_TASK_ABI + 1;
    check_refused(bad, NART_EABI);
    bad = good;
    bad.size = 4097;
    check_refused(bad, NART_EFRAME);
    bad.size = UINT32_MAX;
    check_refused(bad, NART_EFRAME);
    CHECK_RES(nart_rt_spawn(NULL, &good, NULL, NULL), -EINVAL);
    CHECK_RES(nart_rt_spawn(rt, &good, NULL, NULL), 0);
    rt_close();
}

/* ---- boxes ---- */

TEST(a_boxed_frame_has_any_size_and_is_freed)
{
    static const uint32_t sizes[] = { 0, 1, 64, 4096, 4097, 1 << 20 };
    rt = NEW_RT(SLOTS(1));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        nart_task_type type = type_of(sizes[i], 64, once);
        nart_join join;
        long live = test_alloc_live();
        unsigned char *frame = nart_rt_spawn_boxed_begin(rt, &type, NULL);
        CHECK(frame && (uintptr_t)frame % 64 == 0);
        CHECK(all_zero(frame, sizes[i]));
        CHECK_EQ(test_alloc_live(), live + 1); /* the frame only */
        CHECK_RES(nart_rt_spawn_commit(rt, frame, &join), 0);
        tick();
        CHECK(nart_join_frame(&join) == frame);
        CHECK_EQ(test_alloc_live(), live + 1);
        nart_join_release(&join);
        CHECK_EQ(test_alloc_live(), live);
    }
    nart_rt_free(rt);
}

TEST(a_slot_that_had_a_boxed_frame_takes_a_small_one_again)
{
    nart_task_type box = type_of(9000, 8, once), small = type_of(64, 8, once);
    rt = NEW_RT(SLOTS(1));
    for (int i = 0; i < 4; i++) {
        CHECK_RES(i & 1 ? nart_rt_spawn(rt, &small, NULL, NULL)
                        : nart_rt_spawn_boxed(rt, &box, NULL, NULL),
                  0);
        tick();
        CHECK_EQ(polls, i + 1);
    }
    nart_rt_free(rt);
}

/* ---- counting ---- */

TEST(tasks_are_counted)
{
    nart_task_type ends = type_of(8, 8, once), stays = type_of(8, 8, never);
    nart_join join;
    rt_open();
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_rt_spawn(rt, &ends, NULL, NULL), 0);
    CHECK_RES(nart_rt_spawn(rt, &stays, NULL, &join), 0);
    CHECK_EQ(nart_rt_task_count(rt), 4);
    tick();
    CHECK_EQ(nart_rt_task_count(rt), 1);
    nart_rt_stats stats = stats_of(rt);
    CHECK_EQ(stats.spawned, 4);
    CHECK_EQ(stats.ended, 3);
    CHECK_EQ(stats.polls, 4);
    nart_join_release(&join);
    rt_close();
}

TEST_WITH(stats_of_an_older_caller_are_filled_as_far_as_it_knows, rt)
{
    struct {
        nart_rt_stats stats;
        uint64_t after;
    } old = { .stats.size = offsetof(nart_rt_stats, parks), .after = 7 };
    old.stats.parks = old.stats.ended = 7;
    nart_rt_stats_get(rt, &old.stats);
    CHECK_EQ(old.stats.parks, 7);
    CHECK_EQ(old.stats.ended, 7);
    CHECK_EQ(old.after, 7);
}

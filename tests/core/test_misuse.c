/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What breaking a rule does at run time: an error where the caller can act, an abort that names the
 * source line where only the programmer can. Misuse that compilers reject is in tests/refused. */
#include "core.h"
#include "threads.h"

#include <fcntl.h>
#include <nart/sync.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

FIXTURE_RT();

static void turn(void)
{
    CHECK_LE(0, nart_rt_poll(rt, 0));
}

/* ---- bodies ---- */

enum body { PLAIN_RETURN, PLAIN_PENDING, TWO_BODIES, NOT_ZEROED, INSIDE_ITSELF };

struct bad {
    nart_co co, sub;
    nart_tx tx;
    nart_rx rx, copy;
    uint64_t value;
    nart_res r;
    enum body what;
    int calls;
    nart_res (*again)(nart_cx *cx, struct bad *f);
};

static nart_res leaves(nart_cx *cx, struct bad *f)
{
    NART_BEGIN(cx, &f->sub);
    if (f->what == PLAIN_RETURN)
        return -EINVAL; /* not NART_RETURN */
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    NART_END(0);
}

static nart_res another(nart_cx *cx, struct bad *f)
{
    NART_BEGIN(cx, &f->sub);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    NART_END(0);
}

static nart_res calls_itself(nart_cx *cx, struct bad *f)
{
    NART_BEGIN(cx, &f->sub);
    NART_AWAIT(f->r, f->again(cx, f));
    NART_END(0);
}

static nart_res bad_run(nart_cx *cx, void *frame)
{
    struct bad *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->what == PLAIN_PENDING)
        return NART_PENDING;
    if (f->what == INSIDE_ITSELF)
        NART_AWAIT(f->r, calls_itself(cx, f));
    NART_AWAIT(f->r, f->calls++ && f->what == TWO_BODIES ? another(cx, f) : leaves(cx, f));
    NART_AWAIT(f->r, leaves(cx, f)); /* detected by its second call */
    NART_END(0);
}

static void bad_drop(void *frame)
{
    struct bad *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
}

static const nart_task_type bad_type = NART_TASK_TYPE(struct bad, bad_run, bad_drop);

static void run_bad(void *what)
{
    uint64_t v = 0;
    rt = new_rt();
    struct bad *f = spawn(rt, &bad_type, NULL);
    new_chan(rt, 1, &f->tx, &f->rx);
    f->what = *(enum body *)what;
    f->again = calls_itself;
    if (f->what == NOT_ZEROED)
        f->co.at = 12345;
    turn();
    if (f->what == TWO_BODIES || f->what == PLAIN_PENDING)
        CHECK_RES(nart_try_send(&f->tx, &v), 0);
    CHECK_RES(nart_rt_free(rt), 0); /* polls it once more */
}

#define BODY_DIES(what, text) CHECK_DIES(run_bad, &(enum body){ what }, text)

TEST(a_plain_return_aborts_at_the_next_call_by_name_and_file)
{
    BODY_DIES(PLAIN_RETURN, "leaves (");
    BODY_DIES(PLAIN_RETURN, "test_misuse.c");
    BODY_DIES(PLAIN_RETURN, "plain return");
    BODY_DIES(PLAIN_PENDING, "bad_run (");
}

TEST(two_bodies_on_one_co_abort)
{
    BODY_DIES(TWO_BODIES, "another body");
}

TEST(a_frame_that_was_not_zeroed_aborts)
{
    BODY_DIES(NOT_ZEROED, "cannot resume at line 12345");
    BODY_DIES(NOT_ZEROED, "not zeroed");
}

TEST(a_body_that_calls_itself_aborts)
{
    BODY_DIES(INSIDE_ITSELF, "calls_itself (");
    BODY_DIES(INSIDE_ITSELF, "called while it runs");
}

/* ---- handles copied or moved while a task waits on them ---- */

struct copier {
    nart_co co;
    nart_tx tx;
    nart_rx rx, copy;
    nart_join join, join_copy;
    uint64_t value;
    nart_res r, answer;
    bool use_copy, joins;
};

static nart_res copier_run(nart_cx *cx, void *frame)
{
    struct copier *f = frame;

    NART_BEGIN(cx, &f->co);
    if (f->joins)
        NART_AWAIT(f->r, nart_join_await(cx, f->use_copy ? &f->join_copy : &f->join, &f->answer));
    NART_AWAIT(f->r, nart_recv(cx, f->use_copy ? &f->copy : &f->rx, &f->value));
    NART_END(0);
}

static void copier_drop(void *frame)
{
    struct copier *f = frame;
    nart_tx_close(&f->tx);
    nart_rx_close(&f->rx);
    nart_join_release(&f->join);
}

static const nart_task_type copier_type = NART_TASK_TYPE(struct copier, copier_run, copier_drop);

static nart_res naps(nart_cx *cx, void *frame)
{
    (void)frame;
    nart_res r = nart_op_enter(cx);
    return r ? r : nart_op_park(cx);
}

static const nart_task_type naps_type = NART_TASK_TYPE(uint64_t, naps, NULL);

static struct copier *new_copier(bool joins)
{
    rt = new_rt();
    struct copier *f = spawn(rt, &copier_type, NULL);
    new_chan(rt, 1, &f->tx, &f->rx);
    CHECK_RES(nart_rt_spawn(rt, &naps_type, NULL, &f->join), 0);
    f->joins = joins;
    turn();
    return f;
}

static void use_a_copied_receiver(void *unused)
{
    struct copier *f = new_copier(false);
    (void)unused;
    f->copy = f->rx;
    f->use_copy = true;
    nart_rx_close(&f->copy);
}

static void use_a_copied_join(void *unused)
{
    struct copier *f = new_copier(true);
    (void)unused;
    f->join_copy = f->join;
    f->use_copy = true;
    nart_task_abort(rt, nart_join_task(&f->join)); /* wakes the joining task */
    turn();
}

static void move_a_join(void *unused)
{
    struct copier *f = new_copier(true);
    nart_join elsewhere;
    (void)unused;
    nart_join_move(&elsewhere, &f->join);
}

struct giver {
    nart_co co;
    nart_rx rx, value;
    nart_tx numbers, ends;
    uint64_t got;
    nart_res r;
};

/* Copies the receiver out as bytes, in the poll in which it received. */
static nart_res giver_run(nart_cx *cx, void *frame)
{
    struct giver *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->got));
    f->value = f->rx;
    f->rx = (nart_rx){ .ring = NULL };
    CHECK_RES(nart_try_send(&f->ends, &f->value), 0);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->got));
    NART_END(f->r);
}

static const nart_task_type giver_type = NART_TASK_TYPE(struct giver, giver_run, NULL);

static void give_a_receiver_by_its_bytes(void *unused)
{
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;
    nart_rx ends;
    (void)unused;

    rt = new_rt();
    struct giver *f = spawn(rt, &giver_type, NULL);
    new_chan(rt, 1, &f->numbers, &f->rx);
    opts.kind = NART_CHAN_LOCAL;
    opts.elem = sizeof(nart_rx);
    opts.capacity = 1;
    CHECK_RES(nart_chan_open(rt, &opts, &f->ends, &ends), 0);
    turn();
    CHECK_RES(nart_try_send(&f->numbers, &f->got), 0);
    turn();
}

struct locker {
    nart_co co;
    nart_mutex *mutex;
    nart_lock lock;
};

/* Copies the lock into another task's frame, in a later poll than the one that has locked. */
static nart_res locker_run(nart_cx *cx, void *frame)
{
    struct locker *f = frame;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(nart_mutex_try_lock(cx, f->mutex, &f->lock), 0);
    NART_YIELD();
    CHECK_RES(nart_spawn(cx, &naps_type, &f->lock, NULL), 0);
    NART_END(0);
}

static void give_a_lock_by_its_bytes(void *unused)
{
    static const nart_task_type locker_type = NART_TASK_TYPE(struct locker, locker_run, NULL);
    nart_mutex mutex = { .lock = { .closed = 0 } };
    struct locker init = { .mutex = &mutex };
    (void)unused;

    rt = new_rt();
    CHECK_RES(nart_rt_spawn(rt, &locker_type, &init, NULL), 0);
    turn();
    turn();
}

TEST(a_handle_that_was_copied_while_a_task_waits_in_it_aborts_by_name)
{
    CHECK_DIES(give_a_receiver_by_its_bytes, NULL, "copied or moved");
    CHECK_DIES(give_a_receiver_by_its_bytes, NULL, "task giver ");
    CHECK_DIES(use_a_copied_receiver, NULL, "copied or moved");
    CHECK_DIES(use_a_copied_receiver, NULL, "task copier ");
    CHECK_DIES(use_a_copied_join, NULL, "copied or moved");
    CHECK_DIES(use_a_copied_join, NULL, "(join)");
    CHECK_DIES(give_a_lock_by_its_bytes, NULL, "task locker ");
    CHECK_DIES(give_a_lock_by_its_bytes, NULL, "(holds a lock)");
}

TEST(a_join_that_is_moved_while_a_task_waits_in_it_aborts_by_name)
{
    CHECK_DIES(move_a_join, NULL, "copied or moved while task copier waited in it (join)");
}

TEST(a_handle_put_back_where_it_was_is_fine)
{
    struct copier *f = new_copier(false);
    nart_rx elsewhere = f->rx;
    memset(&f->rx, 0, sizeof f->rx);
    f->rx = elsewhere;
    nart_rt_free(rt);
}

/* ---- outside of a poll ---- */

struct leak {
    nart_cx *cx;
};

static nart_res leak_poll(nart_cx *cx, void *frame)
{
    ((struct leak *)frame)->cx = cx; /* a context must not be kept */
    return 0;
}

static const nart_task_type leak_type = NART_TASK_TYPE(struct leak, leak_poll, NULL);

TEST_WITH(operations_outside_of_a_poll_are_refused, rt)
{
    nart_join join, other;
    nart_timer timer = { 0 };
    nart_tx tx;
    nart_rx rx;
    uint64_t v = 4;
    struct leak *f = spawn(rt, &leak_type, &join);
    CHECK_RES(nart_rt_spawn(rt, &naps_type, NULL, &other), 0);
    new_chan(rt, 1, &tx, &rx);
    turn();
    nart_cx *cx = f->cx;
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_sleep(cx, &timer, NART_SEC), -EPERM);
        CHECK_RES(nart_sleep_until(cx, &timer, 0), -EPERM);
        CHECK_RES(nart_op_enter(cx), -EPERM);
        CHECK_RES(nart_op_park(cx), -EPERM);
        CHECK_RES(nart_op_park_until(cx, 0), -EPERM);
        CHECK_RES(nart_join_await(cx, &other, NULL), -EPERM);
        CHECK_RES(nart_send(cx, &tx, &v), -EPERM);
        CHECK_RES(nart_recv(cx, &rx, &v), -EPERM);
    }
    CHECK_EQ(nart_cx_task(cx).gen, 0);
    CHECK(nart_cx_waker(cx).w == 0);
    nart_waker_wake(nart_cx_waker(cx));
    CHECK_RES(nart_try_recv(&rx, &v), -EAGAIN); /* nothing was sent */
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    nart_join_release(&join);
    nart_join_release(&other);
}

/* ---- inside a poll ---- */

static nart_res nested_poll(nart_cx *cx, void *frame)
{
    (void)frame;
    nart_rt *own = nart_cx_rt(cx);
    CHECK(own == rt);
    CHECK_RES(nart_rt_run(own), -EDEADLK);
    CHECK_RES(nart_rt_poll(own, 0), -EDEADLK);
    CHECK_RES(nart_block_on(own, &naps_type, NULL, NULL), -EDEADLK);
    CHECK_RES(nart_rt_free(own), -EDEADLK);
    CHECK_RES(nart_rt_bind(own), -EDEADLK);
    return 0;
}

static const nart_task_type nested_type = NART_TASK_TYPE(uint64_t, nested_poll, NULL);

TEST_WITH(a_runtime_is_not_run_inside_its_own_poll, rt)
{
    CHECK_RES(nart_block_on(rt, &nested_type, NULL, NULL), 0);
    CHECK_EQ(nart_rt_task_count(rt), 0);
}

/* ---- wrong threads ---- */

static bool other_is_done;

static void *on_another_thread(void *arg)
{
    const nart_task id = *(const nart_task *)arg;
    nart_res err = 0;
    nart_tx tx;
    nart_rx rx;
    nart_chan_opts opts = {
        .size = sizeof opts, .kind = NART_CHAN_LOCAL, .elem = 8, .capacity = 1
    };

    CHECK_RES(nart_rt_run(rt), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_poll(rt, 0), NART_EWRONGTHREAD);
    CHECK_RES(nart_block_on(rt, &naps_type, NULL, NULL), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_free(rt), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_spawn(rt, &naps_type, NULL, NULL), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_spawn_boxed(rt, &naps_type, NULL, NULL), NART_EWRONGTHREAD);
    CHECK(!nart_rt_spawn_begin(rt, &naps_type, &err));
    CHECK_RES(err, NART_EWRONGTHREAD);
    CHECK(!nart_rt_spawn_boxed_begin(rt, &naps_type, &err));
    CHECK_RES(err, NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_spawn_commit(rt, NULL, NULL), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_reserve(rt, 64, 1), NART_EWRONGTHREAD);
    CHECK_RES(nart_rt_reserve_io(rt, 1), NART_EWRONGTHREAD);
    nart_rt_spawn_abandon(rt, NULL);
    CHECK_RES(nart_task_cancel(rt, id), NART_EWRONGTHREAD);
    CHECK_RES(nart_task_abort(rt, id), NART_EWRONGTHREAD);
    CHECK_RES(nart_chan_open(rt, &opts, &tx, &rx), NART_EWRONGTHREAD);
    __atomic_store_n(&other_is_done, true, __ATOMIC_RELAXED);
    return NULL;
}

/* Also while the loop runs: the refusal is free of data races. */
TEST_WITH(calls_from_the_wrong_thread_are_refused, rt)
{
    nart_join join;
    CHECK_RES(nart_rt_spawn(rt, &naps_type, NULL, &join), 0);
    turn(); /* binds it */
    nart_task id = nart_join_task(&join);
    pthread_t thread = thread_start(on_another_thread, &id);
    do
        turn();
    while (!__atomic_load_n(&other_is_done, __ATOMIC_RELAXED));
    thread_join(thread);
    CHECK_EQ(nart_rt_task_count(rt), 1);
    nart_join_release(&join);
}

static void *bind_here(void *arg)
{
    (void)arg;
    CHECK_RES(nart_rt_bind(rt), 0);
    CHECK_RES(nart_rt_poll(rt, 0), 0);
    return NULL;
}

static void *refused_here(void *arg)
{
    (void)arg;
    CHECK_RES(nart_rt_poll(rt, 0), NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(a_thread_is_not_taken_for_one_that_has_ended, rt)
{
    thread_run_both(bind_here, refused_here, NULL);
    CHECK_RES(nart_rt_bind(rt), 0);
}

/* ---- after fork ---- */

static int drops;

static void count_drop(void *frame)
{
    (void)frame;
    drops++;
}

static const nart_task_type held_type = NART_TASK_TYPE(uint64_t, naps, count_drop);

static int in_child(nart_join *held, nart_join *ended, nart_waker waker)
{
    nart_res err = 0;
    nart_rt *own;

    CHECK_RES(nart_rt_run(rt), NART_EFORK);
    CHECK_RES(nart_rt_poll(rt, 0), NART_EFORK);
    CHECK_RES(nart_block_on(rt, &naps_type, NULL, NULL), NART_EFORK);
    CHECK_RES(nart_rt_bind(rt), NART_EFORK);
    CHECK_RES(nart_rt_spawn(rt, &naps_type, NULL, NULL), NART_EFORK);
    CHECK(!nart_rt_spawn_begin(rt, &naps_type, &err));
    CHECK_RES(err, NART_EFORK);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(held)), NART_EFORK);
    nart_waker_wake(waker);
    CHECK_RES(nart_rt_free(rt), 0); /* only closes */
    CHECK_EQ(drops, 0);
    CHECK(!nart_join_done(ended));
    nart_join_release(held);
    nart_join_release(ended);
    nart_waker_wake(waker);
    CHECK_EQ(drops, 0);

    /* a new runtime of the child shares nothing with the parent's */
    CHECK_RES(nart_rt_new(NULL, &own), 0);
    rt = own;
    CHECK_RES(nart_block_on(own, &nested_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_free(own), 0);
    return 0;
}

static nart_waker naps_waker;

static nart_res naps_and_tells(nart_cx *cx, void *frame)
{
    naps_waker = nart_cx_waker(cx);
    return naps(cx, frame);
}

static const nart_task_type tells_type = NART_TASK_TYPE(uint64_t, naps_and_tells, count_drop);

TEST_WITH(a_forked_child_may_only_free, rt)
{
    nart_join held, ended;
    int status = 0;
    CHECK_RES(nart_rt_spawn(rt, &tells_type, NULL, &held), 0);
    CHECK_RES(nart_rt_spawn(rt, &held_type, NULL, &ended), 0);
    turn();
    CHECK_RES(abort_task(rt, &ended), 0);
    turn();
    CHECK(nart_join_done(&ended));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(in_child(&held, &ended, naps_waker));
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    turn(); /* the parent is unaffected */
    CHECK_EQ(nart_rt_task_count(rt), 1);
    CHECK_RES(cancel(rt, &held), 0);
    turn();
    CHECK(nart_join_done(&held));
    nart_join_release(&held);
    nart_join_release(&ended);
    CHECK_EQ(drops, 2);
}

/* ---- options ---- */

TEST(options_that_are_none_are_refused)
{
    nart_rt_opts good = NART_RT_OPTS_INIT, bad;
    nart_rt *out = (nart_rt *)&good;

    good.alloc = &test_alloc;
    CHECK_RES(nart_rt_new(&good, NULL), -EINVAL);
    bad = good;
    bad.size = 0;
    CHECK_RES(nart_rt_new(&bad, &out), NART_EABI);
    CHECK(out == NULL);
    bad.size = sizeof bad + 1;
    CHECK_RES(nart_rt_new(&bad, &out), NART_EABI);
    bad = good;
    bad.flags = 1u << 30;
    CHECK_RES(nart_rt_new(&bad, &out), -EINVAL);
    bad = good;
    bad.spin_ns = -1;
    CHECK_RES(nart_rt_new(&bad, &out), -EINVAL);
    bad = good;
    bad.max_io = UINT32_MAX;
    CHECK_RES(nart_rt_new(&bad, &out), -EINVAL);
    bad = good;
    bad.events_per_tick = UINT32_MAX;
    CHECK_RES(nart_rt_new(&bad, &out), -EINVAL);
    uint32_t *const limits[] = { &bad.polls_per_tick, &bad.inbox_per_tick, &bad.timers_per_tick,
                                 &bad.events_per_tick };
    static const uint32_t least[] = { 64, 256, 128, 256 };
    for (size_t i = 0; i < sizeof least / sizeof *least; i++) {
        bad = good;
        *limits[i] = least[i] - 1;
        CHECK_RES(nart_rt_new(&bad, &out), -EINVAL);
        *limits[i] = least[i];
        CHECK_RES(nart_rt_new(&bad, &out), 0);
        nart_rt_free(out);
    }
    bad = good;
    for (int i = 0; i < NART_SLOT_CLASSES; i++)
        bad.slots[i] = UINT32_MAX;
    CHECK_RES(nart_rt_new(&bad, &out), -EINVAL);
    CHECK(out == NULL);
    good.size = offsetof(nart_rt_opts, reserved); /* of an older caller */
    CHECK_RES(nart_rt_new(&good, &out), 0);
    nart_rt_free(out);
}

TEST(huge_limits_per_tick_are_limits)
{
    rt = NEW_RT(.polls_per_tick = UINT32_MAX, .inbox_per_tick = UINT32_MAX,
                .timers_per_tick = UINT32_MAX);
    CHECK_RES(nart_block_on(rt, &nested_type, NULL, NULL), 0);
    nart_rt_free(rt);
}

/* A runtime would otherwise have its descriptors where the program looks for standard input and output. */
TEST(a_closed_standard_stream_stays_closed)
{
    int saved[2];

    nart_lib_trim();
    for (int fd = 0; fd < 2; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        CHECK(saved[fd] >= 3);
        close(fd);
    }
    rt = NEW_RT(.flags = 0);
    CHECK_EQ(fcntl(0, F_GETFD), -1);
    CHECK_EQ(fcntl(1, F_GETFD), -1);
    nart_rt_free(rt);
    for (int fd = 0; fd < 2; fd++) {
        CHECK_EQ(dup2(saved[fd], fd), fd);
        close(saved[fd]);
    }
}

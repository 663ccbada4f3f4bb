/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Notifications and semaphores against a model: every program of a few steps, and long random ones.
 *
 * A step starts a wait, makes one leave, grants turns, or polls all tasks. A waiter leaves at its
 * next poll, so until then it may be granted a turn that it does not take. The model is the ordered
 * list of waiters and the number of free turns. */
#include "sync_test.h"

enum { TASKS = 6 };
enum step { START, LEAVE, GIVE, GIVE_MORE, SETTLE, STEPS };

static nart_rt *rt;
static enum kind kind;
static nart_notify notify, instead[TASKS];
static nart_semaphore semaphore;
static struct op op[TASKS];
static unsigned tasks;

static struct {
    int queue[TASKS], length;
    bool granted[TASKS], by_all[TASKS], leaves[TASKS], waits[TASKS];
    uint32_t want[TASKS];
    uint64_t turns;
} m;

/* ---- the model ---- */

static void model_remove(int at)
{
    m.length--;
    for (int i = at; i < m.length; i++)
        m.queue[i] = m.queue[i + 1];
}

static void model_grant(void)
{
    while (m.length > 0 && m.want[m.queue[0]] <= m.turns) {
        m.turns -= m.want[m.queue[0]];
        m.granted[m.queue[0]] = true;
        model_remove(0);
    }
    if (kind == NOTIFY && m.turns > 1)
        m.turns = 1;
}

/* Polls all tasks: those that leave pass on what they were granted. The order of the leaving does
 * not affect the result. */
static void model_settle(void)
{
    for (int i = 0; i < m.length; i++)
        if (m.leaves[m.queue[i]])
            model_remove(i--);
    for (unsigned i = 0; i < tasks; i++) {
        if (m.leaves[i] && m.granted[i]) {
            m.turns += m.by_all[i] ? 0 : m.want[i];
            m.granted[i] = false;
        }
    }
    model_grant();
}

/* ---- the steps, in the model and in the implementation ---- */

static void check(void)
{
    model_settle();
    settle(rt);
    for (unsigned i = 0; i < tasks; i++) {
        if (!m.waits[i])
            continue;
        bool over = m.leaves[i] || m.granted[i];
        bool lost = m.leaves[i] && op[i].instead && !op[i].which;
        CHECK_RES(op[i].res, !over ? NART_PENDING : m.granted[i] || lost ? 0 : -ECANCELED);
        if (op[i].instead && over)
            CHECK_EQ(op[i].which, m.granted[i]);
        m.waits[i] = !over;
        m.leaves[i] = m.granted[i] = m.by_all[i] = false;
    }
    CHECK_EQ(kind == NOTIFY ? notify.permit : nart_semaphore_permits(&semaphore), m.turns);
    CHECK_EQ(semaphore.reserved, 0);
}

static void start(unsigned i, uint32_t want, bool race)
{
    if (m.waits[i])
        return;
    check(); /* so that it is queued after the existing waiters */
    m.waits[i] = true;
    m.want[i] = want;
    m.queue[m.length++] = (int)i;
    model_grant();
    memset(&instead[i], 0, sizeof instead[i]);
    op[i] = (struct op){ .n = want, .instead = race ? &instead[i] : NULL };
    op_start(rt, &op[i], kind, kind == NOTIFY ? (void *)&notify : (void *)&semaphore);
    check();
}

static void give(uint32_t n)
{
    if (kind == NOTIFY && n == 1) {
        nart_notify_one(&notify);
        m.turns++;
        model_grant();
    } else if (kind == NOTIFY) {
        nart_notify_all(&notify);
        for (; m.length > 0; model_remove(0))
            m.granted[m.queue[0]] = m.by_all[m.queue[0]] = true;
    } else {
        CHECK_RES(nart_semaphore_release(&semaphore, n), 0);
        m.turns += n;
        model_grant();
    }
}

static void go(unsigned i, unsigned how)
{
    if (!m.waits[i] || m.leaves[i])
        return;
    m.leaves[i] = true;
    leave(rt, &op[i], op[i].instead ? RACE_LOST : how % 2 ? CANCELLED : ABORTED);
}

static void begin(void)
{
    memset(&m, 0, sizeof m);
    memset(&notify, 0, sizeof notify);
    nart_semaphore_init(&semaphore, 0);
}

/* No waiter is left, and no turn is lost. */
static void end(void)
{
    check();
    for (unsigned i = 0; i < tasks; i++)
        go(i, i);
    check();
    CHECK(!notify.queue.first && !notify.notified.first);
    CHECK(!semaphore.queue.first && !semaphore.granted.first);
}

static void take(enum step what, unsigned who, uint32_t n)
{
    if (what == START)
        start(who, n, who % 2);
    else if (what == LEAVE)
        go(who, n);
    else if (what == GIVE)
        give(1);
    else if (what == GIVE_MORE)
        give(2);
    else
        check();
}

/* ---- every program of `length` steps with three tasks ---- */

static void every_program(enum kind k, unsigned length)
{
    const unsigned choices = 9; /* start and leave for each of three tasks, and three others */
    unsigned programs = 1;

    kind = k;
    tasks = 3;
    rt = new_rt();
    for (unsigned i = 0; i < length; i++)
        programs *= choices;
    for (unsigned program = 0; program < programs; program++) {
        begin();
        for (unsigned i = 0, rest = program; i < length; i++, rest /= choices) {
            unsigned c = rest % choices, who = c % 3;
            if (c < 6)
                take(c < 3 ? START : LEAVE, who, k == NOTIFY ? 1 : 2 - who % 2);
            else
                take((enum step)(GIVE + who), 0, 0);
        }
        end();
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Fewer under an instrument. */
static unsigned steps(void)
{
#ifdef TEST_SANITIZED
    return 5;
#else
    return test_under_valgrind() ? 4 : 6;
#endif
}

TEST(every_program_of_notifications)
{
    every_program(NOTIFY, steps());
}

TEST(every_program_of_permits)
{
    every_program(SEMAPHORE, steps());
}

/* ---- long ones ---- */

static void random_programs(enum kind k)
{
    kind = k;
    tasks = TASKS;
    rt = new_rt();
    for (uint32_t program = 1; program <= 500; program++) {
        uint64_t seed = program;
        begin();
        for (int i = 0; i < 100; i++) {
            uint32_t r = (uint32_t)random_next(&seed);
            take((enum step)(r % STEPS), (r >> 8) % TASKS, k == NOTIFY ? 1 : 1 + (r >> 16) % 4);
        }
        end();
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(random_programs_of_notifications)
{
    random_programs(NOTIFY);
}

TEST(random_programs_of_permits)
{
    random_programs(SEMAPHORE);
}

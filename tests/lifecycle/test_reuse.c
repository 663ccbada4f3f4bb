/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Handles of a freed runtime whose hub serves the next one; also in a forked child. */
#include "../core/core.h"
#include "threads.h"

#include <nart/cancel.h>
#include <nart/shutdown.h>

#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- tokens ---- */

struct waiter {
    nart_co co;
    nart_waiter waiter;
    const nart_token *token;
    nart_res r;
};

static nart_res waiter_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_token_await(cx, f->token, &f->waiter));
    NART_END(f->r);
}

static const nart_task_type waiter_type = NART_TASK_TYPE(struct waiter, waiter_run, NULL);

/* A token of the previous runtime notifies no task: a waiter would wait for ever. */
TEST(a_token_of_the_runtime_before_is_not_awaited)
{
    nart_rt *rt = new_rt();
    nart_token token;
    nart_res r = 0;

    CHECK_RES(nart_token_new(rt, &token), 0);
    struct nart__hub *hub = nart_rt_remote(rt).hub;
    CHECK_RES(nart_rt_free(rt), 0);
    rt = new_rt();
    CHECK(nart_rt_remote(rt).hub == hub);
    const struct waiter init = { .token = &token };
    CHECK_RES(nart_block_on(rt, &waiter_type, &init, &r), 0);
    CHECK_RES(r, NART_EDRIVER);
    nart_token_cancel(&token);
    CHECK_RES(nart_block_on(rt, &waiter_type, &init, &r), 0);
    CHECK_RES(r, 0);
    nart_token_release(&token);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- other threads use stale handles while runtimes are created and freed ---- */

static nart_token token;
static nart_remote remote;

static nart_res nothing(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return 0;
}

static const nart_task_type nothing_type = NART_TASK_TYPE(int, nothing, NULL);

static void *use_what_is_left(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        nart_token child;
        CHECK_RES(nart_token_child(&token, &child), 0);
        nart_token_cancel(&child);
        nart_token_release(&child);
        CHECK_RES(nart_remote_spawn(remote, &nothing_type, NULL), NART_ESTALE);
        CHECK_RES(nart_remote_shutdown(remote), NART_ESTALE);
    }
    return NULL;
}

TEST(old_handles_are_used_while_runtimes_are_replaced)
{
    nart_rt *rt = new_rt();
    pthread_t threads[2];

    CHECK_RES(nart_token_new(rt, &token), 0);
    remote = nart_rt_remote(rt);
    CHECK_RES(nart_rt_free(rt), 0);
    for (int i = 0; i < 2; i++)
        threads[i] = thread_start(use_what_is_left, NULL);
    for (int i = 0; i < 300; i++) {
        rt = new_rt();
        CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &nothing_type, NULL), 0);
        CHECK_RES(nart_rt_quiesce(rt, NART_NEVER, NULL), 0);
        CHECK(!nart_rt_is_shutdown(rt));
        CHECK_RES(nart_rt_free(rt), 0);
    }
    for (int i = 0; i < 2; i++)
        thread_join(threads[i]);
    nart_token_release(&token);
}

/* The reverse: handles of runtimes that are freed while threads use them. Accepted work ends. */
static _Atomic long ended;
static const nart_remote *_Atomic current;
static _Atomic bool enough;

static void count_end(void *frame)
{
    (void)frame;
    ended++;
}

static const nart_task_type counted_type = NART_TASK_TYPE(int, nothing, count_end);

static void *spawn_and_shut_down(void *arg)
{
    long *accepted = arg;

    for (unsigned i = 0; !enough; i++) {
        const nart_remote *r = current;
        if (!r)
            continue;
        *accepted += nart_remote_spawn(*r, &counted_type, NULL) == 0;
        if (i % 64 == 63)
            (void)nart_remote_shutdown(*r);
    }
    return NULL;
}

TEST(runtimes_end_while_threads_use_them)
{
    enum { RUNTIMES = 300 };
    static nart_remote remotes[RUNTIMES];
    pthread_t threads[3];
    long accepted[3] = { 0 };

    for (int i = 0; i < 3; i++)
        threads[i] = thread_start(spawn_and_shut_down, &accepted[i]);
    for (int i = 0; i < RUNTIMES; i++) {
        nart_rt *rt = new_rt();
        remotes[i] = nart_rt_remote(rt);
        current = &remotes[i];
        for (int j = 0; j < i % 7; j++)
            CHECK_LE(0, nart_rt_poll(rt, 0));
        CHECK_RES(nart_rt_free(rt), 0);
    }
    enough = true;
    for (int i = 0; i < 3; i++)
        thread_join(threads[i]);
    CHECK_EQ(ended, accepted[0] + accepted[1] + accepted[2]);
}

/* ---- fork ---- */

/* A child drops nothing of its parent's: neither its tasks nor its pending posts. */
TEST(a_child_of_fork_leaves_the_mail_alone)
{
    nart_rt *rt = new_rt();
    int status;

    CHECK_RES(nart_remote_spawn(nart_rt_remote(rt), &counted_type, NULL), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        nart_res r = nart_rt_free(rt);
        _exit(r || ended != 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_EQ(ended, 1);
}

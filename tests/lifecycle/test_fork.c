/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A child of fork gives up what it has inherited while the parent's tasks wait in all of it: the runtime
 * first and then the handles, or the other way about. The parent's tasks go on as if nothing was. */
#include "../core/core.h"
#include "waits.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

static nart_rt *rt;

static void begin(void)
{
    rt = new_rt();
    open_all(rt);
    for (int i = 0; i < WAITS; i++) {
        const struct waiter init = { .wait = &waits[i] };
        CHECK_RES(nart_rt_spawn(rt, &waiter_type, &init, NULL), 0);
    }
    while (nart_rt_poll(rt, 0) > 0)
        continue;
    CHECK_EQ(waiting, WAITS);
}

/* Nothing has happened to the parent's tasks, and it closes while they wait. */
static void end(void)
{
    CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_EQ(waiting, WAITS);
    close_all();
    CHECK_RES(nart_rt_shutdown(rt), 0);
    while (nart_rt_poll(rt, 0) > 0)
        continue;
    CHECK_EQ(waiting, 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

static void in_a_child(void (*fn)(void))
{
    int status = -1;

    begin();
    pid_t child = fork();
    if (child == 0) {
        fn();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    end();
}

static void runtime_first(void)
{
    CHECK_RES(nart_rt_free(rt), 0);
    close_all();
    close_all();
}

TEST(the_runtime_goes_before_what_its_tasks_wait_in)
{
    in_a_child(runtime_first);
}

static void handles_first(void)
{
    close_all();
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(what_tasks_wait_in_goes_before_their_runtime)
{
    in_a_child(handles_first);
}

/* Handles are used on, too, and moved, before they are closed. */
static void used_and_moved(void)
{
    nart_tx tx = { 0 };
    nart_rx rx = { 0 };
    uint64_t value = 7;

    CHECK_RES(nart_rt_free(rt), 0);
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_RES(nart_try_send(&all.tx[i], &value), 0);
        nart_rx_move(&rx, &all.rx[i]);
        CHECK_RES(nart_try_recv(&rx, &value), 0);
        nart_rx_close(&rx);
        nart_tx_move(&tx, &all.full_tx[i]);
        nart_tx_close(&tx);
    }
    CHECK_RES(nart_oneshot_send(&all.otx[0], &value), 0);
    CHECK_RES(nart_oneshot_send(&all.otx[1], &value), 0);
    CHECK_RES(nart_watch_send(&all.wtx, &value), 1);
    CHECK_RES(nart_broadcast_send(&all.ctx, &value), 1);
    nart_notify_all(&all.notify);
    CHECK_RES(nart_semaphore_release(&all.semaphore, 2), 0);
    CHECK_RES(nart_wait_group_done(&all.group), 0);
    nart_token_cancel(&all.token);
    CHECK(nart_token_is_cancelled(&all.token));
    close_all();
}

TEST(what_tasks_waited_in_is_used_without_its_runtime)
{
    in_a_child(used_and_moved);
}

/* ---- descriptors ---- */

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    CHECK(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Of a runtime that it frees, and of one that was gone when it was forked. The parent's stay. */
TEST(a_child_is_left_without_descriptors_of_its_parent_s_runtimes)
{
    int before = descriptors(), status = -1;
    nart_rt *gone = new_rt();

    rt = new_rt();
    CHECK_RES(nart_rt_free(gone), 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK_RES(nart_rt_free(rt), 0);
        CHECK_EQ(descriptors(), before);
        rt = new_rt(); /* it can have runtimes of its own */
        CHECK_RES(nart_rt_poll(rt, 0), 0);
        CHECK_RES(nart_rt_free(rt), 0);
        (void)nart_lib_trim();
        CHECK_EQ(descriptors(), before);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_RES(nart_rt_poll(rt, 0), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

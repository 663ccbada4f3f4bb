/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* orphan.c: children whose handle is gone.
 *
 * What it keeps true: an orphan is reaped once, and is in one place: watched by a runtime, whose thread alone uses it, or
 * in the list, under the lock.
 *
 * 1. An orphan of a loop has a watch on its pidfd, which keeps neither the loop nor a shutdown waiting.
 * 2. If its runtime ends, if it has none (tokio), or if it cannot be watched, it joins the list. Each spawn and each
 *    close reaps those that have ended: at most as many as there are such children. */
#include "child.h"

#include "../base/alloc.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static nart__child *orphans;

static void hold_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void drop_lock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void set_up(void)
{
    (void)pthread_atfork(hold_lock, drop_lock, drop_lock);
}

void nart__child_free(nart__child *c)
{
    if (c->pidfd >= 0)
        nart__sys_close(c->pidfd);
    nart__free(&nart__alloc_std, c, sizeof *c, _Alignof(nart__child));
}

static nart_process_status status_of(const siginfo_t *info)
{
    bool exited = info->si_code == CLD_EXITED;

    return (nart_process_status){ exited ? info->si_status : 0, exited ? 0 : info->si_status };
}

bool nart__child_is_here(int pidfd)
{
    siginfo_t info;

    return nart__sys_child_reap(pidfd, 0, true, &info) >= 0;
}

bool nart__child_is_over(nart__child *c, bool keep)
{
    if (c->pidfd < 0 && c->parent != nart__sys_pid()) /* the id may be another one's here */
        c->over = -ECHILD;
    if (!c->over || (c->over > 0 && !c->reaped && !keep)) {
        siginfo_t info;
        c->over = nart__sys_child_reap(c->pidfd, c->pid, keep, &info);
        if (c->over > 0)
            c->status = status_of(&info);
        c->reaped = c->over > 0 && !keep;
    }
    return c->over != 0;
}

void nart__child_reap_orphans(void)
{
    hold_lock();
    for (nart__child **p = &orphans, *c; (c = *p);) {
        if (!nart__child_is_over(c, false)) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        nart__child_free(c);
    }
    drop_lock();
}

static void join_list(nart__child *c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, set_up);
    hold_lock();
    c->next = orphans;
    orphans = c;
    drop_lock();
}

static void on_end(nart_watch *w, uint32_t events, void *arg)
{
    nart__child *c = arg;

    (void)events;
    if (!nart__child_is_over(c, false))
        return;
    (void)nart_watch_stop(w);
    nart__exit_hook_remove(&c->hook);
    nart__child_free(c);
}

static void rt_gone(nart__exit_hook *g)
{
    nart__child *c = (nart__child *)(void *)((char *)g - offsetof(nart__child, hook));

    (void)nart_watch_stop(&c->watch);
    join_list(c);
}

void nart__child_leave(nart__child *c, nart_rt *rt)
{
    bool watched = rt && c->pidfd >= 0 &&
                   nart_watch_start(rt, &c->watch, c->pidfd, on_end, c) == 0 &&
                   nart_watch_set(&c->watch, NART_READ, NART_NEVER) == 0;
    if (!watched) {
        (void)nart_watch_stop(&c->watch);
        join_list(c);
        return;
    }
    c->hook.rt_gone = rt_gone;
    nart__exit_hook_add(rt, &c->hook);
}

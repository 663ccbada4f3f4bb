/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* remote.c: spawning from other threads.
 *
 * A spawn request is one block from malloc(): the post, and the frame behind it at the type's
 * alignment. The loop copies the frame into a slot and frees the block, so slots are taken on the
 * loop's thread only. Requests that are not served yet are counted and bounded, so that no thread
 * fills the memory while the loop is busy. A thread counts only inside the hub (core/hub.c), so the
 * count is zero when an incarnation of the hub ends.
 *
 * A joined task has a record beside it, `remote_task`: the keeper of the task, the sender of a oneshot whose receiver
 * is in the handle, and a post that cancels.
 *  1. The loop sends once: the task's answer when it has ended, or why it was not spawned. Every request is run or
 *     refused (core/post.c), and nart_rt_free() ends every task: so the handle always has its answer.
 *  2. The handle exists once the request is pushed, so a post that cancels is pushed later, and run later: it finds the
 *     task spawned, or its answer sent.
 *  3. The last of handle, loop and post under way frees the record. */
#include "remote.h"
#include "../sync/oneshot.h"
#include "../wait/short_name.h"

#include <stdlib.h>
#include <string.h>

/* What is sent to the handle: 0 and the task's answer, or an error. */
struct answer {
    nart_res r, result;
};

typedef struct nart__remote_task {
    nart__keeper keeper; /* first */
    nart__task *task;    /* NULL: it has not begun, or has ended */
    nart_oneshot_tx tx;
    nart__post cancel;
    nart_remote remote;
    unsigned fork_epoch;
    NART__ATOMIC(uint32_t) refs; /* the handle, the loop, a cancellation under way */
} remote_task;

typedef struct spawn_request {
    nart__post post;
    remote_task *joined; /* or NULL */
    nart__hub *hub;
    const nart_task_type *type;
    void *frame;
} spawn_request;

nart_remote nart_rt_remote(nart_rt *rt)
{
    if (!rt)
        return (nart_remote){ 0 };
    return (nart_remote){ rt->hub,
                          rt->incarnation,
                          { nart__hub_waker(rt->hub, nart__rt_mailbox(rt)) } };
}

/* ---- records of joined tasks ---- */

static void unref(remote_task *t)
{
    /* Release: what this thread did with the record. Acquire: what the others did, before it is freed. */
    if (NART__FETCH_ADD(&t->refs, UINT32_MAX, NART__ACQ_REL) == 1)
        free(t);
}

/* On the loop's thread, once. */
static void answer(remote_task *t, nart_res r, nart_res result)
{
    const struct answer a = { r, result };

    t->task = NULL;
    nart_res sent = nart_oneshot_send(&t->tx, &a);
    (void)sent; /* not if the handle was released */
    unref(t);
}

static void task_ended(nart_rt *rt, nart__keeper *k, nart_res r)
{
    (void)rt;
    answer((remote_task *)(void *)k, r == NART_EABORTED ? r : 0, r);
}

/* In a child of fork: the record is the parent's. */
static void task_forget(nart_rt *rt, nart__keeper *k)
{
    (void)rt;
    (void)k;
}

static const struct nart__keeper_ops remote_ops = { task_ended, task_forget };

/* Posted. `rt` is NULL when it was freed: the task has ended then. */
static void cancel_task(void *rt, nart__post *p)
{
    remote_task *t = (remote_task *)(void *)((char *)p - offsetof(remote_task, cancel));

    if (rt && t->task)
        nart__task_cancel(rt, t->task);
    unref(t);
}

static nart_res joined_new(nart_remote remote, nart_remote_join *out, remote_task **joined)
{
    remote_task *t = calloc(1, sizeof *t);

    if (!t || nart__oneshot_open(&nart__alloc_std, sizeof(struct answer), NULL, &t->tx,
                                 &out->answer) != 0) {
        free(t);
        return -ENOMEM;
    }
    t->keeper.ops = &remote_ops;
    t->cancel.run = cancel_task;
    t->remote = remote;
    t->fork_epoch = nart__fork_epoch();
    NART__STORE(&t->refs, 2u, NART__RELAXED); /* published by the push of the request */
    *joined = out->task = t;
    return 0;
}

/* ---- requests ---- */

/* Both relaxed: a count that publishes nothing. */
static void count_out(nart__hub *hub)
{
    (void)NART__FETCH_ADD(&hub->spawn_requests, UINT32_MAX, NART__RELAXED);
}

static bool count_in(nart__hub *hub)
{
    if (NART__FETCH_ADD(&hub->spawn_requests, 1u, NART__RELAXED) < NART_REMOTE_SPAWNS)
        return true;
    count_out(hub);
    return false;
}

static void spawn_request_free(spawn_request *o)
{
    count_out(o->hub);
    free(o);
}

/* Without a runtime, or without a free slot, the frame is dropped here. */
static void carry_out(void *to, nart__post *p)
{
    nart_rt *rt = to;
    spawn_request *o = (spawn_request *)(void *)p;
    nart_join j;
    nart_res r = rt ? nart_rt_spawn(rt, o->type, o->frame, o->joined ? &j : NULL) : NART_ESTALE;

    if (r)
        nart__frame_drop(rt, o->type, o->frame);
    if (o->joined && r) {
        answer(o->joined, r, 0);
    } else if (o->joined) {
        o->joined->task = j.task;
        nart__task_keep(j.task, &o->joined->keeper);
    } else if (r && rt && r != NART_ESHUTDOWN) {
        nart__rt_report(rt, "%s: task %s, spawned by another thread, was dropped: %s", rt->name,
                        nart__short_name(o->type->name), nart_strerror(r));
    }
    spawn_request_free(o);
}

/* 0, or -EAGAIN, -ENOMEM. */
static nart_res spawn_request_new(nart__hub *hub, const nart_task_type *type, const void *init,
                                  spawn_request **out)
{
    const size_t align = 64; /* the largest alignment of a type */
    size_t head = (sizeof(spawn_request) + align - 1) & ~(align - 1);
    size_t bytes = (head + type->size + align - 1) & ~(align - 1);

    if (!count_in(hub))
        return -EAGAIN;
    spawn_request *o = aligned_alloc(align, bytes);
    if (!o) {
        count_out(hub);
        return -ENOMEM;
    }
    memset(o, 0, bytes);
    o->post.run = carry_out;
    o->hub = hub;
    o->type = type;
    o->frame = (char *)o + head;
    if (init)
        memcpy(o->frame, init, type->size);
    *out = o;
    return 0;
}

/* Inside the hub. `out` as in spawn(). */
static nart_res order_send(nart_remote remote, const nart_task_type *type, const void *init,
                           nart_remote_join *out)
{
    spawn_request *o;
    nart_res r = spawn_request_new(remote.hub, type, init, &o);

    if (r)
        return r;
    if (out)
        r = joined_new(remote, out, &o->joined);
    if (r == 0 && nart__post_push(remote.hub, remote.waker.w, &o->post))
        return 0;
    if (r == 0 && out) {
        answer(o->joined, NART_ESTALE, 0);
        nart_remote_join_release(out);
    }
    spawn_request_free(o);
    return r ? r : NART_ESTALE;
}

/* `out` is empty; NULL: the task is detached. */
static nart_res spawn(nart_remote remote, const nart_task_type *type, const void *init,
                      nart_remote_join *out)
{
    nart_res r = nart__task_type_check(type);

    if (r == 0)
        r = nart__remote_check(remote);
    if (r)
        return r;
    if (nart__slab_class(type->size) < 0)
        return NART_EFRAME;
    if (!nart__hub_enter(remote.hub, remote.incarnation))
        return NART_ESTALE;
    r = order_send(remote, type, init, out);
    nart__hub_leave(remote.hub);
    return r;
}

nart_res nart_remote_spawn(nart_remote remote, const nart_task_type *type, const void *init)
{
    return spawn(remote, type, init, NULL);
}

nart_res nart_remote_spawn_join(nart_remote remote, const nart_task_type *type, const void *init,
                                nart_remote_join *out)
{
    if (!out)
        return -EINVAL;
    memset(out, 0, sizeof *out);
    return spawn(remote, type, init, out);
}

/* ---- handles ---- */

static void join_withdraw(nart__wait *w)
{
    (void)w; /* as in a oneshot: the waker stays */
}

static const struct nart__wait_ops join_ops = { "remote join", join_withdraw };

static bool is_forked(const nart_remote_join *j)
{
    return j->task->fork_epoch != nart__fork_epoch();
}

/* 0, or why the handle cannot be awaited. */
static nart_res join_check(const nart_remote_join *j)
{
    if (!j->task)
        return NART_ESTALE;
    if (is_forked(j))
        return NART_EFORK;
    return j->used ? NART_EUSED : 0;
}

/* What to answer when receiving has answered r. */
static nart_res join_answer(nart_remote_join *j, nart_res r, const struct answer *a,
                            nart_res *result)
{
    if (r)
        return r;
    j->used = 1;
    if (a->r == 0 && result)
        *result = a->result;
    return a->r;
}

nart_res nart_remote_join_await(nart_cx *cx, nart_remote_join *j, nart_res *result)
{
    struct answer a;
    nart_res r = join_check(j);

    if (r) {
        nart_res first = nart_op_enter(cx);
        return first ? first : r;
    }
    r = nart_oneshot_recv(cx, &j->answer, &a);
    if (r == NART_PENDING) {
        j->answer.wait.ops = &join_ops;
        return r;
    }
    return join_answer(j, r, &a, result);
}

nart_res nart_remote_join_blocking(nart_remote_join *j, nart_res *result, int64_t timeout_ns)
{
    struct answer a;
    nart_res r = join_check(j);

    if (r)
        return r;
    return join_answer(j, nart_oneshot_recv_blocking(&j->answer, &a, timeout_ns), &a, result);
}

nart_res nart_remote_join_cancel(nart_remote_join *j)
{
    remote_task *t = j->task;

    if (!t)
        return NART_ESTALE;
    if (is_forked(j))
        return NART_EFORK;
    if (j->asked)
        return 0;
    /* Relaxed: the handle has a reference. */
    (void)NART__FETCH_ADD(&t->refs, 1u, NART__RELAXED);
    if (!nart__post_send(t->remote.hub, t->remote.incarnation, t->remote.waker.w, &t->cancel)) {
        unref(t);
        return NART_ESTALE;
    }
    j->asked = 1;
    return 0;
}

void nart_remote_join_release(nart_remote_join *j)
{
    if (!j || !j->task)
        return;
    remote_task *t = j->task;
    bool forked = is_forked(j);

    nart_oneshot_rx_close(&j->answer);
    memset(j, 0, sizeof *j);
    if (!forked)
        unref(t);
}

void nart_remote_join_move(nart_remote_join *dst, nart_remote_join *src)
{
    if (dst == src)
        return;
    nart_oneshot_rx_move(&dst->answer, &src->answer);
    dst->task = src->task;
    dst->used = src->used;
    dst->asked = src->asked;
    memset(src, 0, sizeof *src);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* remote.c: spawning from other threads.
 *
 * A spawn request is one block from malloc(): the post, and the frame behind it at the type's
 * alignment. The loop copies the frame into a slot and frees the block, so slots are taken on the
 * loop's thread only. Requests that are not served yet are counted and bounded, so that no thread
 * fills the memory while the loop is busy. A thread counts only inside the hub (core/hub.c), so the
 * count is zero when an incarnation of the hub ends. */
#include "remote.h"

#include <stdlib.h>
#include <string.h>

typedef struct spawn_request {
    nart__post post;
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
    nart_res r = rt ? nart_rt_spawn(rt, o->type, o->frame, NULL) : NART_ESTALE;

    if (r)
        nart__frame_drop(rt, o->type, o->frame);
    if (r && rt && r != NART_ESHUTDOWN)
        nart__rt_report(rt, "%s: task %s, spawned by another thread, was dropped: %s", rt->name,
                        o->type->name, nart_strerror(r));
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

/* Inside the hub. */
static nart_res order_send(nart_remote remote, const nart_task_type *type, const void *init)
{
    spawn_request *o;
    nart_res r = spawn_request_new(remote.hub, type, init, &o);

    if (r)
        return r;
    if (nart__post_push(remote.hub, remote.waker.w, &o->post))
        return 0;
    spawn_request_free(o);
    return NART_ESTALE;
}

nart_res nart_remote_spawn(nart_remote remote, const nart_task_type *type, const void *init)
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
    r = order_send(remote, type, init);
    nart__hub_leave(remote.hub);
    return r;
}

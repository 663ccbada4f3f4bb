/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll.c: a poll function written by hand, and an operation written by the user, without co.h.
 *
 * The operation waits for a bell that any thread may ring. Every operation has
 * this shape: enter, try, register a waker, try again, park. */
#include <nart/nart.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* A bell with one listener. `rung` and `waker` are two words, and each side writes one before it
 * reads the other; that needs sequentially consistent accesses. (nart's own channels
 * use one word.) */
struct bell {
    atomic_bool rung;
    _Atomic(uintptr_t) waker;
};

static void bell_ring(struct bell *b)
{
    atomic_store(&b->rung, true);
    nart_waker_wake((nart_waker){ atomic_exchange(&b->waker, 0) });
}

static nart_res bell_await(nart_cx *cx, struct bell *b)
{
    nart_res r = nart_op_enter(cx); /* cancelled, or out of budget? */
    if (r)
        return r;
    if (atomic_exchange(&b->rung, false))
        return 0;
    atomic_store(&b->waker, nart_cx_waker(cx).w);
    if (atomic_exchange(&b->rung, false)) /* rung in between */
        return 0;
    return nart_op_park(cx); /* NART_PENDING, or the deadline has passed */
}

struct listener {
    struct bell *bell;
    int heard;
    int64_t deadline;
};

/* All state is in the frame; a poll may be spurious. */
static nart_res listener_poll(nart_cx *cx, void *frame)
{
    struct listener *l = frame;

    if (!l->deadline)
        l->deadline = nart_time_add(nart_now(cx), 10 * NART_SEC);
    while (l->heard < 3) {
        nart_scope scope;
        nart_scope_enter(cx, &scope, l->deadline);
        nart_res r = nart_scope_leave(cx, &scope, bell_await(cx, l->bell));
        if (r == NART_PENDING || r < 0)
            return r;
        printf("heard it %d times\n", ++l->heard);
    }
    return 0;
}

static const nart_task_type listener_type = NART_TASK_TYPE(struct listener, listener_poll, NULL);

/* Rings until it is asked to stop: several rings may be merged into one. */
struct ringer {
    struct bell *bell;
    atomic_bool stop;
};

static void *ring(void *arg)
{
    struct ringer *r = arg;
    while (!atomic_load(&r->stop))
        bell_ring(r->bell);
    return NULL;
}

int main(void)
{
    static struct bell bell;
    struct ringer ringer = { .bell = &bell };
    pthread_t thread;
    nart_rt *rt;
    nart_res answer = -1;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r < 0 || pthread_create(&thread, NULL, ring, &ringer) != 0)
        return 1;
    r = nart_block_on(rt, &listener_type, &(struct listener){ .bell = &bell }, &answer);
    atomic_store(&ringer.stop, true);
    pthread_join(thread, NULL);
    nart_rt_free(rt); /* remaining wakers are harmless */
    return r == 0 && answer == 0 ? 0 : 1;
}

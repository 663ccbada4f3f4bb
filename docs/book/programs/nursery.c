/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nursery.c: three tasks in a nursery, of which one fails. */
#include <nart/nart.h>

#include <errno.h>
#include <stdio.h>

// --8<-- [start:program]
struct part {
    nart_res fails_with; /* 0: it does not fail */
    nart_res answer;
};

static nart_res part(nart_cx *cx, void *arg)
{
    struct part *p = arg;
    nart_timer timer = { 0 };

    p->answer = p->fails_with;
    if (p->answer == 0)
        p->answer = nart_await(cx, nart_sleep(cx, &timer, 30 * NART_SEC)); // the work
    return p->answer;
}

static nart_res whole(nart_cx *cx, void *arg)
{
    struct part parts[3] = { [2] = { .fails_with = -EPIPE } };
    nart_nursery nursery = { 0 };
    nart_res first = 0, joined;
    nart_res r = nart_nursery_open(cx, &nursery, NART_NURSERY_CANCEL_ON_ERROR);

    if (r < 0)
        return r;
    for (int i = 0; i < 3 && r == 0; i++)
        r = nart_nursery_fiber_spawn(cx, &nursery, part, &parts[i], NULL);
    if (r < 0)
        nart_nursery_cancel(&nursery); // some parts alone are of no use
    joined = nart_await(cx, nart_nursery_join(cx, &nursery, &first));
    for (int i = 0; i < 3; i++)
        printf("part %d: %s\n", i, nart_err_name(parts[i].answer));
    printf("first error: %s\n", nart_err_name(first));
    (void)arg;
    return r < 0 ? r : joined < 0 ? joined : first;
}
// --8<-- [end:program]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_fiber_block_on(rt, whole, NULL, NULL, &answer);
    nart_rt_free(rt);
    return r < 0 || answer != -EPIPE;
}

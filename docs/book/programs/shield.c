/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shield.c: clean-up that has to wait. */
#include "main.h"

#include <stdio.h>

// --8<-- [start:program]
struct session {
    const char *name;
    bool shielded;
};

static nart_res say_goodbye(nart_cx *cx)
{
    nart_timer timer = { 0 };

    return nart_await(cx,
                      nart_sleep(cx, &timer, NART_MS)); // in a server: send, and read to the end
}

static nart_res session(nart_cx *cx, void *arg)
{
    const struct session *s = arg;
    nart_timer timer = { 0 };
    nart_res r = nart_await(cx, nart_sleep(cx, &timer, 30 * NART_SEC));

    if (s->shielded)
        nart_shield(cx, 2 * NART_SEC); // from here on, for two seconds at most
    printf("%s: goodbye: %s\n", s->name, nart_err_name(say_goodbye(cx)));
    nart_unshield(cx);
    return r;
}
// --8<-- [end:program]

static nart_res run(nart_cx *cx, void *arg)
{
    struct session sessions[2] = { { "without a shield", false }, { "with a shield", true } };
    nart_res r = 0, first;

    for (int i = 0; i < 2 && r == 0; i++) {
        nart_nursery nursery = { 0 };

        r = nart_nursery_open(cx, &nursery, 0);
        if (r == 0)
            r = nart_nursery_fiber_spawn(cx, &nursery, session, &sessions[i], NULL);
        if (r == 0)
            r = nart_yield(cx); // it begins
        nart_nursery_cancel(&nursery);
        if (r == 0)
            r = nart_await(cx, nart_nursery_join(cx, &nursery, &first));
    }
    (void)arg;
    return r;
}

int main(void)
{
    return run_fiber(run, NULL);
}

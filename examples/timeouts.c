/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* timeouts.c: deadlines nest. A body with a deadline of its own runs under its caller's; the earlier
 * one ends the wait, and each level gets the error of its own deadline.
 *
 * The caller gets -ETIMEDOUT in the second case and in the third one. A step whose caller has to tell the
 * two apart answers something else when its own limit has passed. */
#include <nart/nart.h>

#include <stdio.h>

struct step {
    nart_co co;
    nart_timer timer;
};

/* Works for `work` ns, but for `limit` at most. Under an earlier deadline of the caller the sleep
 * answers -ECANCELED instead, and the body unwinds. */
static nart_res step(nart_cx *cx, struct step *s, int64_t work, int64_t limit)
{
    nart_res r;

    NART_BEGIN(cx, &s->co);
    NART_AWAIT_FOR(r, limit, nart_sleep(cx, &s->timer, work));
    printf("    step: %s\n", nart_err_name(r));
    NART_END(r);
}

struct job {
    nart_co co;
    struct step step;
};

static nart_res job_run(nart_cx *cx, void *frame)
{
    struct job *j = frame;
    nart_res fits, own, outer;

    NART_BEGIN(cx, &j->co);
    puts("5 ms of work, own limit 20 s, caller's 40 s:");
    NART_AWAIT_FOR(fits, 40 * NART_SEC, step(cx, &j->step, 5 * NART_MS, 20 * NART_SEC));
    printf("  caller: %s\n", nart_err_name(fits));
    if (fits != 0)
        NART_RETURN(1);

    puts("60 s of work, own limit 10 ms, caller's 40 s:");
    NART_AWAIT_FOR(own, 40 * NART_SEC, step(cx, &j->step, 60 * NART_SEC, 10 * NART_MS));
    printf("  caller: %s\n", nart_err_name(own));
    if (own != -ETIMEDOUT)
        NART_RETURN(2);

    puts("60 s of work, own limit 50 s, caller's 10 ms:");
    NART_AWAIT_FOR(outer, 10 * NART_MS, step(cx, &j->step, 60 * NART_SEC, 50 * NART_SEC));
    printf("  caller: %s\n", nart_err_name(outer));
    NART_END(outer == -ETIMEDOUT ? 0 : 3);
}

static const nart_task_type job_type = NART_TASK_TYPE(struct job, job_run, NULL);

int main(void)
{
    nart_rt *rt;
    nart_res answer = -1;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_block_on(rt, &job_type, NULL, &answer);
    if (r < 0) {
        fprintf(stderr, "timeouts: %s\n", nart_strerror(r));
        return 1;
    }
    nart_rt_free(rt);
    return (int)answer;
}

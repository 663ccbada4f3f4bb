/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* retry_body.c: the same as bodies. */
#include <nart/nart.h>

#include <errno.h>
#include <stdio.h>

/* Succeeds the third time. */
static nart_res attempt(int number)
{
    return number < 3 ? -ECONNREFUSED : 0;
}

// --8<-- [start:form]
struct retries {
    nart_co co;
    nart_timer pause;
    int64_t wait;
    int max, used;
};

/* By hand, as in the fiber: nart_backoff of nart/time.h does this. */
static nart_res with_retries(nart_cx *cx, struct retries *f)
{
    nart_res r;

    NART_BEGIN(cx, &f->co);
    f->wait = NART_MS;
    r = attempt(1);
    f->used = 1;
    while (r < 0 && f->used < f->max) {
        NART_AWAIT(r, nart_sleep(cx, &f->pause, f->wait));
        if (r < 0)
            NART_RETURN(r);
        f->wait *= 2;
        f->used += 1;
        r = attempt(f->used);
    }
    NART_END(r);
}

struct job {
    nart_co co;
    const char *name;
    struct retries retries;
};

static nart_res job_run(nart_cx *cx, void *frame)
{
    struct job *f = frame;
    nart_res r;

    NART_BEGIN(cx, &f->co);
    f->retries.max = 5;
    NART_AWAIT(r, with_retries(cx, &f->retries));
    printf("%s: %d attempts\n", f->name, f->retries.used);
    NART_END(r);
}

NART_TASK_TYPED(job, struct job, job_run, NULL);
// --8<-- [end:form]

int main(void)
{
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    // --8<-- [start:start]
    if (r == 0)
        r = job_block_on(rt, &(struct job){ .name = "a body" }, &answer);
    // --8<-- [end:start]
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}

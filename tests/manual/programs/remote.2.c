/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

#include <pthread.h>

struct job {
    int number;
};

static nart_res job_run(nart_cx *cx, void *frame)
{
    const struct job *job = frame;

    (void)cx;
    return job->number;
}

static const nart_task_type job_type = NART_TASK_TYPE(struct job, job_run, NULL);

static nart_remote remote;
static nart_res r, answer;

static void *thread(void *arg)
{
    struct job job = { 7 };

    /* STATEMENTS */
    (void)nart_remote_shutdown(remote);
    return arg;
}

static nart_res until_run(nart_cx *cx, void *frame)
{
    return nart_shutdown_await(cx, frame);
}

static const nart_task_type until_type = NART_TASK_TYPE(nart_waiter, until_run, NULL);

int main(void)
{
    nart_rt *rt = NULL;
    pthread_t other;

    if (nart_rt_new(NULL, &rt) != 0)
        return 2;
    remote = nart_rt_remote(rt);
    if (nart_rt_spawn(rt, &until_type, NULL, NULL) != 0 ||
        pthread_create(&other, NULL, thread, NULL) != 0)
        return 3;
    nart_res ran = nart_rt_run(rt);
    pthread_join(other, NULL);
    nart_rt_free(rt);
    return ran != 0 || r != 0 || answer != 7;
}

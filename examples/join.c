/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* join.c: a task spawns others, joins them and reads their results from their frames. */
#include <nart/nart.h>

#include <stdio.h>

struct square {
    long in, out;
};

/* A poll function of its own, without a body: it answers at once. */
static nart_res square_poll(nart_cx *cx, void *frame)
{
    struct square *s = frame;
    (void)cx;
    s->out = s->in * s->in;
    return 0;
}

static const nart_task_type square_type = NART_TASK_TYPE(struct square, square_poll, NULL);

struct sum {
    nart_co co;
    nart_join children[10];
    int i;
    long total;
};

static nart_res sum_run(nart_cx *cx, void *frame)
{
    struct sum *s = frame;
    nart_res r = 0, answer;

    NART_BEGIN(cx, &s->co);
    for (s->i = 0; s->i < 10 && r == 0; s->i++)
        r = nart_spawn(cx, &square_type, &(struct square){ .in = s->i }, &s->children[s->i]);
    for (s->i = 0; s->i < 10 && r == 0; s->i++) {
        NART_AWAIT(r, nart_join_await(cx, &s->children[s->i], &answer));
        if (r == 0) {
            const struct square *child = nart_join_frame(&s->children[s->i]);
            s->total += child->out;
        }
    }
    if (r == 0)
        printf("the squares of 0 to 9 add up to %ld\n", s->total);
    NART_END(r < 0 ? r : s->total);
}

/* Releases the children, also if this task was cancelled before it joined them all. */
static void sum_drop(void *frame)
{
    struct sum *s = frame;
    for (int i = 0; i < 10; i++)
        nart_join_release(&s->children[i]);
}

static const nart_task_type sum_type = NART_TASK_TYPE(struct sum, sum_run, sum_drop);

int main(void)
{
    nart_rt *rt;
    nart_res total = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_block_on(rt, &sum_type, NULL, &total);
    if (r < 0) {
        fprintf(stderr, "join: %s\n", nart_strerror(r));
        return 1;
    }
    nart_rt_free(rt);
    return total == 285 ? 0 : 1;
}

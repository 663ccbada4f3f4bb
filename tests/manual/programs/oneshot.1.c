/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct frame {
    nart_co co;
    nart_oneshot_tx tx;
    nart_oneshot_rx rx;
    int answer;
};

static nart_res give(nart_cx *cx, void *frame)
{
    nart_oneshot_tx **tx = frame;

    (void)cx;
    return nart_oneshot_send(*tx, &(int){ 42 });
}

static const nart_task_type give_type = NART_TASK_TYPE(nart_oneshot_tx *, give, NULL);

static nart_res ask(nart_cx *cx, nart_oneshot_tx *tx)
{
    return nart_spawn(cx, &give_type, &tx, NULL);
}

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    NART_END(r == 0 && f->answer == 42 ? 0 : -EIO);
}

int main(void)
{
    return example_run(example_rt(), run, sizeof(struct frame), NULL);
}

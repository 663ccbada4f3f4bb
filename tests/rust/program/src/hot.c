/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The half in C of src/main.rs: a task that Rust spawns, and one that uses tokio. */
#include <nart/nart.h>
#include <nart/tokio.h>

nart_res hot_spawn(nart_rt *rt, nart_tokio *tokio, int64_t *sum);

/* In main.rs: ends with twice the number. */
nart_res program_double(nart_tokio *tokio, int64_t number, nart_tokio_op *op);

/* ---- spawned by Rust ---- */

struct pause {
    int64_t ns; /* set by Rust */
    nart_co co;
    nart_timer timer;
};
_Static_assert(sizeof(struct pause) == 64, "as in main.rs");

static nart_res pause_run(nart_cx *cx, void *frame)
{
    struct pause *f = frame;
    nart_res r;
    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, f->ns));
    if (r == 0)
        r = f->ns;
    NART_END(r);
}
extern const nart_task_type pause_type;
const nart_task_type pause_type = NART_TASK_TYPE(struct pause, pause_run, NULL);

/* ---- spawned by C ---- */

struct doubler {
    nart_tokio *tokio;
    int64_t *sum;
    nart_co co;
    nart_tokio_op op;
    int64_t number, twice;
};

static nart_res doubler_run(nart_cx *cx, void *frame)
{
    struct doubler *f = frame;
    nart_res r = 0;
    NART_BEGIN(cx, &f->co);
    for (f->number = 1; f->number <= 10 && r == 0; f->number++) {
        r = program_double(f->tokio, f->number, &f->op);
        if (r == 0)
            NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->twice));
        nart_tokio_op_close(&f->op);
        if (r == 0)
            *f->sum += f->twice;
    }
    NART_END(r);
}

static void doubler_drop(void *frame)
{
    struct doubler *f = frame;
    nart_tokio_op_close(&f->op);
}
NART_TASK_TYPED(doubler, struct doubler, doubler_run, doubler_drop);

nart_res hot_spawn(nart_rt *rt, nart_tokio *tokio, int64_t *sum)
{
    return doubler_rt_spawn(rt, &(struct doubler){ .tokio = tokio, .sum = sum }, NULL);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Misuse of channels: every wrong call returns an error, and loses or leaks nothing. */
#include "chan_test.h"
#include "threads.h"

TEST(open_refuses_bad_options)
{
    static const struct {
        nart_chan_opts o;
        nart_res answer;
    } cases[] = {
        { { sizeof(nart_chan_opts), 0, 0, 8, 8, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), 4, 0, 8, 8, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), LOCAL, 2, 8, 8, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), SPSC, 2, 8, 8, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), LOCAL, NART_CHAN_SPINNING, 8, 8, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), SPSC, NART_CHAN_SPINNING, 8, 8, NULL }, -EINVAL }, /* parks */
        { { sizeof(nart_chan_opts), MPSC, NART_CHAN_SPINNING, 8, 8, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), MPSC, 2, 8, 8, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), LOCAL, 0, 0, 8, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), SPSC, 0, 8, 0, NULL }, -EINVAL },
        { { sizeof(nart_chan_opts), LOCAL, 0, NART_CHAN_MAX_ELEM + 1, 8, NULL }, -EOVERFLOW },
        { { sizeof(nart_chan_opts), LOCAL, 0, SIZE_MAX, 2, NULL }, -EOVERFLOW },
        { { sizeof(nart_chan_opts), SPSC, 0, 8, NART_CHAN_MAX_CAPACITY + 1, NULL }, -EOVERFLOW },
        { { sizeof(nart_chan_opts), SPSC, 0, 1, SIZE_MAX, NULL }, -EOVERFLOW },
        { { sizeof(nart_chan_opts), LOCAL, 0, SIZE_MAX / 2, SIZE_MAX / 2, NULL }, -EOVERFLOW },
        { { 0, LOCAL, 0, 8, 8, NULL }, NART_EABI },
        { { sizeof(nart_chan_opts) - 1, LOCAL, 0, 8, 8, NULL }, NART_EABI },
        { { sizeof(nart_chan_opts) + 8, LOCAL, 0, 8, 8, NULL }, NART_EABI },
    };
    nart_rt *rt = new_rt();
    long live = test_alloc_live();
    nart_chan_opts good = { sizeof good, LOCAL, 0, 8, 8, NULL };
    nart_tx tx;
    nart_rx rx;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&tx, 0xff, sizeof tx);
        memset(&rx, 0xff, sizeof rx);
        CHECK_RES(nart_chan_open(rt, &cases[i].o, &tx, &rx), cases[i].answer);
        nart_tx_close(&tx); /* closed handles, not garbage */
        nart_rx_close(&rx);
    }
    CHECK_RES(nart_chan_open(NULL, &good, &tx, &rx), -EINVAL);
    CHECK_RES(nart_chan_open(rt, NULL, &tx, &rx), -EINVAL);
    CHECK_RES(nart_chan_open(rt, &good, NULL, &rx), -EINVAL);
    CHECK_RES(nart_chan_open(rt, &good, &tx, NULL), -EINVAL);
    CHECK_RES(nart__chan_open(rt, &good, NART__RING_ABI + 1, &tx, &rx), NART_EABI);
    CHECK_EQ(test_alloc_live(), live);
    CHECK_RES(nart_rt_free(rt), 0);
}

static size_t asked_size, asked_align;
static bool deny;

static void *denying_alloc(void *arg, size_t size, size_t align)
{
    asked_size = size;
    asked_align = align;
    return deny ? NULL : test_alloc.alloc(arg, size, align);
}

/* The largest channel requests its true size; an allocation failure is an error. */
TEST(open_without_memory)
{
    nart_alloc denying = { denying_alloc, test_alloc.free, NULL };
    nart_rt *rt = new_rt_of(&(nart_rt_opts){ .size = sizeof(nart_rt_opts), .alloc = &denying });
    nart_tx tx;
    nart_rx rx;

    deny = true;
    nart_chan_opts most = {
        sizeof most, SPSC, 0, NART_CHAN_MAX_ELEM, NART_CHAN_MAX_CAPACITY, NULL
    };
    CHECK_RES(nart_chan_open(rt, &most, &tx, &rx), -ENOMEM);
    if (SIZE_MAX > UINT32_MAX) { /* else the size exceeds the address space */
        CHECK_LE(UINT64_C(1) << 46, asked_size);
        CHECK_EQ(asked_align, NART__RING_LINE);
    }
    CHECK_RES(u64_try_send(&tx, 1), NART_ECLOSED);
    CHECK_NO_NEXT(&rx, NART_ECLOSED);
    deny = false;
    CHECK_RES(u64_open(rt, SPSC, 4, &tx, &rx), 0); /* and the runtime is unaffected */
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    CHECK_RES(nart_rt_free(rt), 0);
}

static void *open_elsewhere(void *arg)
{
    nart_tx tx;
    nart_rx rx;
    CHECK_RES(u64_open(arg, LOCAL, 4, &tx, &rx), NART_EWRONGTHREAD);
    return NULL;
}

TEST(open_on_another_thread)
{
    nart_rt *rt = new_rt();
    CHECK_RES(nart_rt_bind(rt), 0);
    thread_run(open_elsewhere, rt);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Closed and zeroed ends are accepted everywhere, and report NART_ECLOSED. */
TEST(closed_handles_answer)
{
    nart_rt *rt = new_rt();
    nart_tx tx = { 0 }, other;
    nart_rx rx = { 0 };
    struct op op;

    nart_tx_close(NULL);
    nart_rx_close(NULL);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
    CHECK_RES(u64_try_send(&tx, 1), NART_ECLOSED);
    CHECK_NO_NEXT(&rx, NART_ECLOSED);
    CHECK_RES(nart_try_send(&tx, &op), NART_ECLOSED);
    CHECK_RES(nart_try_recv(&rx, &op), NART_ECLOSED);
    send_start(rt, &op, &tx, 1);
    CHECK_RES(op.res, NART_ECLOSED);
    recv_start(rt, &op, &rx);
    CHECK_RES(op.res, NART_ECLOSED);
    CHECK_RES(nart_tx_clone(&tx, &other), NART_ECLOSED);
    CHECK_RES(nart_rx_bind(&rx, rt), NART_ECLOSED);
    CHECK(nart_tx_is_closed(&tx));
    CHECK(nart_rx_is_closed(&rx));
    CHECK_EQ(nart_tx_len(&tx), 0);
    CHECK_EQ(nart_rx_len(&rx), 0);
    CHECK_EQ(nart_tx_capacity(&tx), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}

struct big {
    uint64_t part[4];
};

NART_CHAN_TYPED(big, struct big);

struct wrong {
    nart_tx *tx;
    nart_rx *rx;
};

static nart_res wrong_run(nart_cx *cx, void *frame)
{
    struct wrong *w = frame;
    struct big b = { { 1, 2, 3, 4 } };

    CHECK_RES(big_send(cx, w->tx, b), -EINVAL);
    CHECK_RES(big_recv(cx, w->rx, &b), -EINVAL);
    CHECK_RES(big_try_send(w->tx, b), -EINVAL);
    CHECK_RES(big_try_recv(w->rx, &b), -EINVAL);
    CHECK_EQ(b.part[0] + b.part[1] + b.part[2] + b.part[3], 10);
    return 0;
}

static const nart_task_type wrong_type = NART_TASK_TYPE(struct wrong, wrong_run, NULL);

/* A typed call whose size differs from the channel's has no effect. */
TEST_EACH(wrong_type_is_refused, LOCAL, SPSC, MPSC)
{
    nart_res res = -1;
    OPEN(chan, c, kind, 4);
    CHECK_RES(u64_try_send(&c.tx, 1), 0);
    struct wrong w = { &c.tx, &c.rx };
    CHECK_RES(nart_block_on(c.rt, &wrong_type, &w, &res), 0);
    CHECK_RES(res, 0);
    CHECK_EQ(nart_rx_len(&c.rx), 1);
    CHECK_NEXT(&c.rx, 1);
}

/* A handle copied while a task waits on it ends the process with a message, not with a corrupted
 * list. */
static void copy_in_use(void *arg)
{
    struct chan c;
    struct op op;
    (void)arg;
    chan_open(&c, LOCAL, 1);
    recv_start(c.rt, &op, &c.rx);
    nart_rx copy;
    memcpy(&copy, &c.rx, sizeof copy);
    nart_rx_close(&copy);
}

TEST(copy_in_use_dies)
{
    CHECK_DIES(copy_in_use, NULL, "copied or moved");
}

TEST(spsc_has_one_sender)
{
    nart_tx other;
    OPEN(chan, c, SPSC, 4);
    CHECK_RES(nart_tx_clone(&c.tx, &other), -EINVAL);
}

/* A local channel belongs to one loop: a task of another may use it, but not wait on it. */
TEST(local_waits_on_its_own_loop_only)
{
    struct op op;
    nart_rt *other = new_rt();
    OPEN(chan, c, LOCAL, 1);
    recv_start(other, &op, &c.rx);
    CHECK_RES(op.res, NART_EDRIVER);
    send_start(other, &op, &c.tx, 1);
    CHECK_RES(op.res, 0);
    send_start(other, &op, &c.tx, 2);
    CHECK_RES(op.res, NART_EDRIVER);
    recv_start(other, &op, &c.rx);
    CHECK_RES(op.res, 0);
    CHECK_EQ(op.value, 1);
    CHECK_RES(nart_rt_free(other), 0);
}

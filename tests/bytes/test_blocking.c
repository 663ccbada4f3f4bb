/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Blocking operations specific to byte channels: held messages and claims. What applies to values
 * as well is in chan/test_blocking.c. */
#include "bytes_test.h"

TEST_EACH(a_held_message_excludes_the_next, SPSC, MPSC)
{
    nart_bytes_msg msg, none;

    OPEN(bytes, b, kind, 64);
    CHECK_RES(put(&b.tx, 8, 1), 0);
    CHECK_RES(nart_bytes_recv_blocking(&b.rx, &msg, 0), 0);
    CHECK_RES(nart_bytes_recv_blocking(&b.rx, &none, NART_NEVER), -EBUSY);
    message_check(&msg, 8, 1);
}

TEST_EACH(a_claim_waits_or_is_refused, SPSC, MPSC)
{
    static const unsigned char message[64];
    struct op op;
    nart_bytes_buf buf, none;
    nart_bytes_msg msg;

    OPEN(bytes, b, kind, 64);
    CHECK_RES(nart_bytes_send_blocking(&b.tx, message, 64, NART_NEVER), 0);
    CHECK_RES(nart_bytes_send_blocking(&b.tx, message, 1, 0), -ETIMEDOUT);
    CHECK_RES(nart_bytes_claim_blocking(&b.tx, 65, &buf, NART_NEVER), -EMSGSIZE);
    send_start(b.rt, &op, &b.tx, 8, 1);
    CHECK_RES(nart_bytes_send_blocking(&b.tx, message, 8, NART_NEVER), -EBUSY);
    CHECK_RES(nart_task_abort(b.rt, op.id), 0);
    settle(b.rt);
    CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
    CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
    CHECK_RES(nart_bytes_claim_blocking(&b.tx, 8, &buf, 0), 0);
    CHECK_RES(nart_bytes_claim_blocking(&b.tx, 8, &none, NART_NEVER), -EBUSY);
    CHECK_RES(nart_bytes_abort(&b.tx, &buf), 0);
}

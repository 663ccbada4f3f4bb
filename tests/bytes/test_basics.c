/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Byte channels without waiting: messages of every length at every offset of the ring, claims that
 * are shortened and aborted, refused calls, and closing. */
#include "bytes_test.h"

TEST_EACH(messages_are_received_whole_and_in_order, SPSC, MPSC)
{
    nart_bytes_msg msg;
    OPEN(bytes, b, kind, 1024);
    get_none(&b.rx, -EAGAIN);
    CHECK_RES(nart_bytes_try_send(&b.tx, "hello", 5), 0);
    CHECK_RES(nart_bytes_try_send(&b.tx, "world", 5), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
        CHECK_EQ(msg.len, 5);
        CHECK_EQ(memcmp(msg.ptr, i == 0 ? "hello" : "world", 5), 0);
        CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
    }
    get_none(&b.rx, -EAGAIN);
    for (uint64_t n = 0; n < 10; n++)
        CHECK_RES(put(&b.tx, 4, n), 0);
    for (uint64_t n = 0; n < 10; n++)
        get(&b.rx, 4, n);
    get_none(&b.rx, -EAGAIN);
}

/* Every length, up to the longest, at every offset: nothing depends on where the previous message
 * ended. */
TEST_EACH(every_length_fits_at_every_offset, SPSC, MPSC)
{
    for (size_t capacity = 64; capacity <= 256; capacity *= 2) {
        uint64_t n = 0;
        OPEN(bytes, b, kind, capacity);
        CHECK_EQ(nart_bytes_max_len(&b.tx), capacity);
        for (size_t len = 0; len <= capacity; len++) {
            for (size_t at = 0; at < capacity; at += 16, n++) {
                CHECK_RES(put(&b.tx, len, n), 0);
                get(&b.rx, len, n);
                CHECK_EQ(nart_bytes_tx_len(&b.tx), 0);
                CHECK_RES(put(&b.tx, 0, n), 0); /* so that the next one starts further on */
                get(&b.rx, 0, n);
            }
        }
    }
}

/* Fills the channel with messages of three lengths in turn, from every offset; then one more is
 * refused until enough space is freed, and not longer. */
TEST_EACH(full_means_full, SPSC, MPSC)
{
    for (size_t shift = 0; shift < 16; shift++) {
        size_t len[] = { 16, 40, 3 };
        uint64_t sent = 0, got = 0;
        OPEN(bytes, b, kind, 256);
        for (size_t i = 0; i < shift; i++) {
            CHECK_RES(put(&b.tx, 1, i), 0);
            get(&b.rx, 1, i);
        }
        for (int round = 0; round < 50; round++) {
            while (put(&b.tx, len[sent % 3], sent) == 0)
                sent++;
            size_t used = nart_bytes_rx_len(&b.rx);
            CHECK_LE(used, 256);
            CHECK_LE(257, used + (len[sent % 3] + 15) / 16 * 16);
            CHECK_RES(put(&b.tx, 256, 0), -EAGAIN);
            get(&b.rx, len[got % 3], got);
            got++;
        }
        while (got < sent) {
            get(&b.rx, len[got % 3], got);
            got++;
        }
        get_none(&b.rx, -EAGAIN);
    }
}

/* A long random sequence, compared with the expected contents. */
TEST_EACH(random_lengths_keep_their_contents, SPSC, MPSC)
{
    uint64_t seed = kind, lengths = kind, sent = 0, got = 0;
    size_t len = 0;
    OPEN(bytes, b, kind, 1024);
    for (int step = 0; step < 200000; step++) {
        if (random_below(&seed, 2)) {
            uint64_t before = lengths;
            len = random_below(&lengths, 300);
            if (put(&b.tx, len, sent) == 0)
                sent++;
            else
                lengths = before;
        } else if (got < sent) {
            nart_bytes_msg msg;
            CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
            message_check(&msg, msg.len, got++);
            CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
        } else {
            get_none(&b.rx, -EAGAIN);
        }
    }
    CHECK_LE(50000, got);
}

/* A payload that resembles the ring's own metadata is still only a payload. */
TEST_EACH(contents_are_never_mistaken_for_structure, SPSC, MPSC)
{
    for (uint64_t bits = 0; bits < 256; bits++) {
        uint64_t words[16];
        nart_bytes_msg msg;
        OPEN(bytes, b, kind, 256);
        for (int i = 0; i < 16; i++)
            words[i] = bits * UINT64_C(0x0101010101010101) >> (i % 8);
        for (int i = 0; i < 5; i++) {
            CHECK_RES(nart_bytes_try_send(&b.tx, words, sizeof words), 0);
            CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
            CHECK_EQ(memcmp(msg.ptr, words, sizeof words), 0);
            CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
            get_none(&b.rx, -EAGAIN);
            CHECK_RES(nart_bytes_try_send(&b.tx, "x", 1), 0);
            CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
            CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
        }
    }
}

TEST_EACH(commit_may_be_shorter_than_the_claim, SPSC, MPSC)
{
    nart_bytes_buf buf;
    OPEN(bytes, b, kind, 256);
    for (size_t len = 0; len <= 200; len++) {
        CHECK_RES(nart_bytes_try_claim(&b.tx, 200, &buf), 0);
        message_write(buf.ptr, len, len);
        buf.len = len;
        CHECK_RES(nart_bytes_commit(&b.tx, &buf), 0);
        CHECK_RES(put(&b.tx, 30, len), 0);
        get(&b.rx, len, len);
        get(&b.rx, 30, len);
    }
}

/* An aborted claim is skipped and its space is reused, even if it filled the ring. */
TEST_EACH(aborted_claims_are_passed_over, SPSC, MPSC)
{
    nart_bytes_buf buf;
    OPEN(bytes, b, kind, 128);
    for (uint64_t n = 0; n < 100; n++) {
        CHECK_RES(put(&b.tx, 10, n), 0);
        for (int i = 0; i < 3; i++) {
            CHECK_RES(nart_bytes_try_claim(&b.tx, 16, &buf), 0);
            memset(buf.ptr, 0xff, buf.len);
            CHECK_RES(nart_bytes_abort(&b.tx, &buf), 0);
            CHECK(!buf.ptr && buf.len == 0);
        }
        CHECK_RES(put(&b.tx, 20, n + 1), 0);
        get(&b.rx, 10, n);
        get(&b.rx, 20, n + 1);
        get_none(&b.rx, -EAGAIN);

        CHECK_RES(nart_bytes_try_claim(&b.tx, 128, &buf), 0);
        CHECK_RES(nart_bytes_abort(&b.tx, &buf), 0);
        CHECK_RES(put(&b.tx, 1, 0), -EAGAIN);
        get_none(&b.rx, -EAGAIN);
        CHECK_EQ(nart_bytes_rx_len(&b.rx), 0);
    }
}

/* ---- refused calls ---- */

TEST_EACH(what_can_never_fit_is_refused_at_once, SPSC, MPSC)
{
    nart_bytes_buf buf;
    nart_bytes_opts o = { sizeof o, kind, 0, 1024, 100 };
    volatile size_t huge = SIZE_MAX - 14; /* rounds up to 0; volatile hides it from gcc */
    OPEN(bytes, b, kind, 128);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 129, &buf), -EMSGSIZE);
    CHECK_RES(nart_bytes_try_claim(&b.tx, SIZE_MAX, &buf), -EMSGSIZE);
    CHECK_RES(nart_bytes_try_claim(&b.tx, (size_t)UINT32_MAX + 2, &buf), -EMSGSIZE);
    CHECK_RES(nart_bytes_try_send(&b.tx, "", huge), -EMSGSIZE);
    CHECK_RES(put(&b.tx, 128, 1), 0);
    get(&b.rx, 128, 1);
    nart_bytes_tx_close(&b.tx);
    nart_bytes_rx_close(&b.rx);

    CHECK_RES(nart_bytes_open(b.rt, &o, &b.tx, &b.rx), 0);
    CHECK_EQ(nart_bytes_max_len(&b.tx), 100);
    CHECK_EQ(nart_bytes_tx_capacity(&b.tx), 1024);
    CHECK_RES(put(&b.tx, 101, 1), -EMSGSIZE);
    for (uint64_t n = 0; n < 100; n++) { /* the margin behind the ring is large enough */
        CHECK_RES(put(&b.tx, 100, n), 0);
        get(&b.rx, 100, n);
    }
}

TEST_EACH(misuse_of_claims_is_an_error, SPSC, MPSC)
{
    nart_bytes_buf buf, other = { 0 }, copy;
    OPEN(bytes, b, kind, 256);
    CHECK_RES(nart_bytes_commit(&b.tx, &other), -EINVAL);
    CHECK_RES(nart_bytes_abort(&b.tx, &other), -EINVAL);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 8, &buf), 0);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 8, &other), -EBUSY);
    CHECK_RES(nart_bytes_try_send(&b.tx, "x", 1), -EBUSY);
    copy = buf;
    copy.len = 9;
    CHECK_RES(nart_bytes_commit(&b.tx, &copy), -EINVAL);
    copy.len = 8;
    copy.ptr = (char *)copy.ptr + 1;
    CHECK_RES(nart_bytes_abort(&b.tx, &copy), -EINVAL);
    get_none(&b.rx, -EAGAIN);
    message_write(buf.ptr, 8, 1);
    copy = buf;
    CHECK_RES(nart_bytes_commit(&b.tx, &buf), 0);
    CHECK_RES(nart_bytes_commit(&b.tx, &buf), -EINVAL);
    CHECK_RES(nart_bytes_commit(&b.tx, &copy), -EINVAL);
    CHECK_RES(nart_bytes_abort(&b.tx, &copy), -EINVAL);
    get(&b.rx, 8, 1);
    get_none(&b.rx, -EAGAIN);
}

TEST_EACH(misuse_of_messages_is_an_error, SPSC, MPSC)
{
    nart_bytes_msg msg = { 0 }, other, copy;
    OPEN(bytes, b, kind, 256);
    CHECK_RES(nart_bytes_release(&b.rx, &msg), -EINVAL);
    CHECK_RES(put(&b.tx, 8, 1), 0);
    CHECK_RES(put(&b.tx, 8, 2), 0);
    CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
    CHECK_RES(nart_bytes_try_recv(&b.rx, &other), -EBUSY);
    copy = msg;
    copy.ptr = (const char *)copy.ptr + 16;
    CHECK_RES(nart_bytes_release(&b.rx, &copy), -EINVAL);
    CHECK_EQ(nart_bytes_rx_len(&b.rx), 32);
    copy = msg;
    message_check(&msg, 8, 1);
    CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
    CHECK_RES(nart_bytes_release(&b.rx, &msg), -EINVAL);
    CHECK_RES(nart_bytes_release(&b.rx, &copy), -EINVAL);
    get(&b.rx, 8, 2);
}

TEST(open_refuses)
{
    nart_rt *rt = new_rt();
    nart_bytes_opts good = { sizeof good, SPSC, 0, 64, 0 }, o;
    nart_bytes_tx tx;
    nart_bytes_rx rx;

    CHECK_RES(nart_bytes_open(rt, NULL, &tx, &rx), -EINVAL);
    CHECK_RES(nart_bytes_open(rt, &good, NULL, &rx), -EINVAL);
    CHECK_RES(nart_bytes_open(rt, &good, &tx, NULL), -EINVAL);
    o = good, o.size--;
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), NART_EABI);
    CHECK_RES(nart__bytes_open(rt, &good, NART__BYTES_ABI + 1, &tx, &rx), NART_EABI);
    o = good, o.kind = 0;
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), -EINVAL);
    o = good, o.kind = 3;
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), -EINVAL);
    o = good, o.flags = 2;
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), -EINVAL);
    o = good, o.flags = NART_BYTES_SPINNING;
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), -EINVAL);
    o = good, o.capacity = 0;
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), -EINVAL);
    o = good, o.capacity = (size_t)NART_BYTES_MAX_CAPACITY + 1;
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), -EOVERFLOW);
    o = good, o.max_len = 65;
    CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), -EINVAL);
    CHECK(!tx.ring && !rx.ring);
    for (int nth = 1; nth <= 1; nth++) {
        test_alloc_fail(nth, false);
        CHECK_RES(nart_bytes_open(rt, &good, &tx, &rx), -ENOMEM);
        CHECK(!tx.ring && !rx.ring);
    }
    test_alloc_fail(0, false);
    CHECK_RES(nart_bytes_open(rt, &good, &tx, &rx), 0);
    nart_bytes_tx_close(&tx);
    nart_bytes_rx_close(&rx);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(capacity_is_rounded_up)
{
    size_t asked[] = { 1, 64, 65, 128, 1000 }, had[] = { 64, 64, 128, 128, 1024 };
    nart_rt *rt = new_rt();

    for (int i = 0; i < 5; i++) {
        nart_bytes_opts o = { sizeof o, MPSC, 0, asked[i], 0 };
        nart_bytes_tx tx;
        nart_bytes_rx rx;
        CHECK_RES(nart_bytes_open(rt, &o, &tx, &rx), 0);
        CHECK_EQ(nart_bytes_tx_capacity(&tx), had[i]);
        CHECK_EQ(nart_bytes_rx_capacity(&rx), had[i]);
        CHECK_EQ(nart_bytes_max_len(&tx), had[i]);
        nart_bytes_tx_close(&tx);
        nart_bytes_rx_close(&rx);
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- closing ---- */

TEST_EACH(messages_arrive_before_the_end, SPSC, MPSC)
{
    nart_bytes_msg msg;
    OPEN(bytes, b, kind, 256);
    CHECK_RES(put(&b.tx, 5, 1), 0);
    CHECK_RES(put(&b.tx, 6, 2), 0);
    CHECK(!nart_bytes_rx_is_closed(&b.rx));
    nart_bytes_tx_close(&b.tx);
    CHECK(nart_bytes_rx_is_closed(&b.rx));
    CHECK_EQ(nart_bytes_rx_len(&b.rx), 32);
    get(&b.rx, 5, 1);
    CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
    get_none(&b.rx, -EBUSY);
    CHECK_RES(nart_bytes_release(&b.rx, &msg), 0);
    get_none(&b.rx, NART_ECLOSED);
    get_none(&b.rx, NART_ECLOSED);
}

TEST_EACH(receiver_closes_first, SPSC, MPSC)
{
    nart_bytes_buf buf;
    OPEN(bytes, b, kind, 256);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 5, &buf), 0);
    CHECK(!nart_bytes_tx_is_closed(&b.tx));
    nart_bytes_rx_close(&b.rx);
    CHECK(nart_bytes_tx_is_closed(&b.tx));
    memset(buf.ptr, 1, buf.len);
    CHECK_RES(nart_bytes_commit(&b.tx, &buf), 0);
    CHECK_RES(put(&b.tx, 5, 1), NART_ECLOSED);
    CHECK_RES(put(&b.tx, 500, 1), -EMSGSIZE);
    CHECK_RES(nart_bytes_try_send(&b.tx, "", 0), NART_ECLOSED);
}

/* Closing an end aborts its open claim; messages after it arrive. */
TEST(close_aborts_the_open_claim)
{
    struct bytes b;
    nart_bytes_tx other;
    nart_bytes_buf buf;
    bytes_open(&b, MPSC, 256);
    CHECK_RES(nart_bytes_tx_clone(&b.tx, &other), 0);
    CHECK_RES(nart_bytes_try_claim(&other, 20, &buf), 0);
    CHECK_RES(put(&b.tx, 5, 1), 0);
    get_none(&b.rx, -EAGAIN); /* blocked by the open claim */
    nart_bytes_tx_close(&other);
    get(&b.rx, 5, 1);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 20, &buf), 0);
    nart_bytes_tx_close(&b.tx);
    get_none(&b.rx, NART_ECLOSED);
    bytes_finish(&b);

    bytes_open(&b, SPSC, 256);
    CHECK_RES(put(&b.tx, 5, 1), 0);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 20, &buf), 0);
    nart_bytes_tx_close(&b.tx);
    get(&b.rx, 5, 1);
    get_none(&b.rx, NART_ECLOSED);
    bytes_finish(&b);
}

TEST(clones_share_a_channel)
{
    struct bytes b;
    nart_bytes_tx c[3];
    nart_bytes_buf buf[3];
    bytes_open(&b, MPSC, 256);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_bytes_tx_clone(&b.tx, &c[i]), 0);
        CHECK_RES(nart_bytes_try_claim(&c[i], 8, &buf[i]), 0);
        message_write(buf[i].ptr, 8, (uint64_t)i);
    }
    nart_bytes_tx_close(&b.tx);
    for (int i = 2; i >= 0; i--) { /* received in claim order, whatever the order of the commits */
        get_none(&b.rx, -EAGAIN);
        CHECK_RES(nart_bytes_commit(&c[i], &buf[i]), 0);
        CHECK(!nart_bytes_rx_is_closed(&b.rx));
        nart_bytes_tx_close(&c[i]);
    }
    for (uint64_t n = 0; n < 3; n++)
        get(&b.rx, 8, n);
    get_none(&b.rx, NART_ECLOSED);
    bytes_finish(&b);

    bytes_open(&b, SPSC, 256);
    CHECK_RES(nart_bytes_tx_clone(&b.tx, &c[0]), -EINVAL);
    bytes_finish(&b);
    nart_bytes_tx zero = { 0 };
    CHECK_RES(nart_bytes_tx_clone(&zero, &c[0]), NART_ECLOSED);
}

TEST(closed_and_zeroed_handles)
{
    nart_bytes_tx tx = { 0 }, tx2 = { 0 };
    nart_bytes_rx rx = { 0 }, rx2 = { 0 };
    nart_bytes_buf buf = { 0 };
    nart_bytes_msg msg = { 0 };

    nart_bytes_tx_close(NULL);
    nart_bytes_rx_close(NULL);
    for (int i = 0; i < 2; i++) {
        nart_bytes_tx_close(&tx);
        nart_bytes_rx_close(&rx);
    }
    nart_bytes_tx_move(&tx2, &tx);
    nart_bytes_rx_move(&rx2, &rx);
    nart_bytes_tx_move(&tx, &tx);
    nart_bytes_rx_move(&rx, &rx);
    CHECK_RES(nart_bytes_try_claim(&tx, 1, &buf), NART_ECLOSED);
    CHECK_RES(nart_bytes_try_send(&tx, "", 0), NART_ECLOSED);
    CHECK_RES(nart_bytes_commit(&tx, &buf), NART_ECLOSED);
    CHECK_RES(nart_bytes_abort(&tx, &buf), NART_ECLOSED);
    CHECK_RES(nart_bytes_try_recv(&rx, &msg), NART_ECLOSED);
    CHECK_RES(nart_bytes_release(&rx, &msg), NART_ECLOSED);
    CHECK_RES(nart_bytes_rx_bind(&rx, NULL), NART_ECLOSED);
    CHECK_EQ(nart_bytes_max_len(&tx), 0);
    CHECK_EQ(nart_bytes_tx_len(&tx) + nart_bytes_rx_len(&rx), 0);
    CHECK_EQ(nart_bytes_tx_capacity(&tx) + nart_bytes_rx_capacity(&rx), 0);
    CHECK(nart_bytes_tx_is_closed(&tx));
    CHECK(nart_bytes_rx_is_closed(&rx));
}

/* A moved end keeps its claim or its message. */
TEST_EACH(moved_ends_go_on, SPSC, MPSC)
{
    nart_bytes_tx tx = { 0 };
    nart_bytes_rx rx = { 0 };
    nart_bytes_buf buf;
    nart_bytes_msg msg;
    OPEN(bytes, b, kind, 256);
    CHECK_RES(put(&b.tx, 5, 1), 0);
    CHECK_RES(nart_bytes_try_claim(&b.tx, 6, &buf), 0);
    message_write(buf.ptr, 6, 2);
    nart_bytes_tx_move(&tx, &b.tx);
    CHECK_RES(nart_bytes_commit(&b.tx, &buf), NART_ECLOSED);
    CHECK_RES(nart_bytes_commit(&tx, &buf), 0);
    CHECK_RES(nart_bytes_try_recv(&b.rx, &msg), 0);
    nart_bytes_rx_move(&rx, &b.rx);
    CHECK_RES(nart_bytes_release(&b.rx, &msg), NART_ECLOSED);
    message_check(&msg, 5, 1);
    CHECK_RES(nart_bytes_release(&rx, &msg), 0);
    get(&rx, 6, 2);
    CHECK_RES(put(&tx, 7, 3), 0);
    nart_bytes_tx_close(&tx);
    get(&rx, 7, 3);
    get_none(&rx, NART_ECLOSED);
    nart_bytes_rx_close(&rx);
}

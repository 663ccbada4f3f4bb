/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* scenarios/values.h: the slow paths that the inlines of value channels call, as in chan.c, for one
 * kind: KIND(send) is that kind's function, e.g. nart__spsc_send. Include it after the kind's file. */

nart_res nart__send_slow(nart_cx *cx, nart_tx *tx, const void *value, size_t elem)
{
    (void)elem;
    return KIND(send)(cx, tx, value);
}

nart_res nart__try_send_slow(nart_tx *tx, const void *value, size_t elem)
{
    (void)elem;
    return KIND(try_send)(tx, value);
}

nart_res nart__recv_slow(nart_cx *cx, nart_rx *rx, void *value, size_t elem)
{
    (void)elem;
    return KIND(recv)(cx, rx, value);
}

nart_res nart__try_recv_slow(nart_rx *rx, void *value, size_t elem)
{
    (void)elem;
    return KIND(try_recv)(rx, value);
}

void nart__ring_taken(nart__ring *r)
{
    nart__rx_binding_owe(&nart__chan_of(r)->binding);
}

void nart__local_sent(nart__ring *r)
{
    (void)r;
    MODEL_FAIL("not a local channel");
}

void nart__local_taken(nart__ring *r)
{
    (void)r;
    MODEL_FAIL("not a local channel");
}

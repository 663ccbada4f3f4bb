/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* calls.c: inline functions of the public headers as ordinary ones. The bridge calls them. */
#include <nart/detail/calls.h>

nart_res nart__bytes_commit_call(nart_bytes_tx *tx, nart_bytes_buf *buf)
{
    return nart_bytes_commit(tx, buf);
}

nart_res nart__bytes_release_call(nart_bytes_rx *rx, nart_bytes_msg *msg)
{
    return nart_bytes_release(rx, msg);
}

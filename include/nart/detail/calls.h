/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/calls.h: inline functions as ordinary ones, for languages that cannot compile the headers. The
 * other operations on channels need none: their slow paths (detail/chan.h, detail/bytes.h) are complete. */
#ifndef NART_DETAIL_CALLS_H
#define NART_DETAIL_CALLS_H

#include "../bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

NART_API nart_res nart__bytes_commit_call(nart_bytes_tx *tx, nart_bytes_buf *buf);
NART_API nart_res nart__bytes_release_call(nart_bytes_rx *rx, nart_bytes_msg *msg);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge, and it would need a server. */
#define NART_HTTP 1
#include "example.h"

#include <nart/tokio.h>

#include <string.h>

extern nart_res (*const example)(nart_cx *cx, void *frame);

/* DECLARATIONS */

nart_res (*const example)(nart_cx *cx, void *frame) = chat_run;

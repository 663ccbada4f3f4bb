/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only; tests/readme runs it in builds with a bridge. */
#define NART_HTTP 1
#include "example.h"

#include <nart/tokio.h>

/* DECLARATIONS */

extern const nart_poll_fn example_poll;
const nart_poll_fn example_poll = fetch_run;

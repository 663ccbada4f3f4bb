/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge. */
#include "example.h"

#include <nart/tokio.h>

/* DECLARATIONS */

extern const nart_poll_fn example_poll;
const nart_poll_fn example_poll = logger_run;

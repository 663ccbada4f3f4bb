/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge, and it would need a server. */
#define NART_HTTP 1
#include "example.h"

#include <nart/tokio.h>

/* DECLARATIONS */

extern const nart_poll_fn example_get;
const nart_poll_fn example_get = get_run;

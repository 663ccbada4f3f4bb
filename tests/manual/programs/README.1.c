/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only; tests/readme runs it, and the next one. */
#include "example.h"

/* DECLARATIONS */

extern const nart_poll_fn example_poll;
const nart_poll_fn example_poll = echo_run;

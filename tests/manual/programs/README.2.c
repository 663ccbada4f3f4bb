/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

/* DECLARATIONS */

extern const nart_fiber_fn example_fiber;
const nart_fiber_fn example_fiber = echo;

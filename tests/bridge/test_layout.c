/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The structs that both sides write down by hand: the same numbers stand in rust_bridge/src/sys.rs
 * and src/ffi/ as assertions of that side. */
#include "bridge.h"

#include <nart/driver.h>

#define OFFSET(type, field, n)                                                                     \
    _Static_assert(offsetof(type, field) == (n), #type "." #field " has moved")
#define SIZE(type, n) _Static_assert(sizeof(type) == (n), #type " has another size")
#define ALIGN(type, n) _Static_assert(_Alignof(type) == (n), #type " has another alignment")

OFFSET(nart_cx, self, 16);
OFFSET(nart_cx, go, 48);
SIZE(nart_cx, 112);
SIZE(nart__task, 128);
ALIGN(nart__task, 64);
OFFSET(nart_task_type, poll, 24);
SIZE(nart_task_type, 56);
OFFSET(nart_driver, sys, 80);
OFFSET(nart_driver, io_wake, 96);
SIZE(nart_driver, 104);
SIZE(nart_waker, sizeof(void *));

OFFSET(nart_tokio_opts, reserved, 72);
OFFSET(nart_tokio_report, leaked_name, 72);
SIZE(nart_tokio_op, 16);
SIZE(nart_tokio_local, 16);
#if NART_HTTP
OFFSET(nart_http_opts, reserved, 80);
#endif

_Static_assert(NART_TASK_ABI == 1 && NART_DRIVER_ABI == 1, "sys.rs has other versions");
_Static_assert(NART_DRIVER_MOVES == 1, "sys.rs has another flag");

TEST(both_sides_agree_when_this_compiles)
{
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The structs that both sides write down by hand: the same numbers stand in rust_bridge/src/sys.rs,
 * src/sys/ and src/ffi/ as assertions of that side. */
#include "bridge.h"

#include <nart/bytes.h>
#include <nart/cancel.h>
#include <nart/chan.h>
#include <nart/detail/trace.h>
#include <nart/driver.h>
#include <nart/net.h>
#include <nart/oneshot.h>
#include <nart/shutdown.h>
#include <nart/work.h>

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
OFFSET(nart_driver, io_stay, 112);
SIZE(nart_driver, 120);
SIZE(nart_driver_io, 128);
SIZE(nart_waker, sizeof(void *));
OFFSET(nart_rt_opts, max_io, 44);
OFFSET(nart_rt_opts, report, 88);
SIZE(nart_rt_opts, 168);
SIZE(nart_rt_left, 24);
SIZE(nart_rt_end, 40);
OFFSET(nart_rt_end, dropped, 16);
SIZE(nart_task, 8);
SIZE(nart_join, 88);
SIZE(nart_remote, 24);
OFFSET(nart__trace_item, thread, 32);
SIZE(nart__trace_item, 40 + 2 * sizeof(void *));
OFFSET(nart__trace_guest, leave, 7 * sizeof(void *));

SIZE(nart_addr, 136);
SIZE(nart_tcp, 64);
OFFSET(nart_addr, len, 128);
SIZE(nart_tx, 96);
SIZE(nart_rx, 96);
OFFSET(nart_tx, ring, 56);
OFFSET(nart_rx, ring, 56);
OFFSET(nart_tx, type, 64);
OFFSET(nart_rx, type, 64);
SIZE(nart_chan_opts, 40);
OFFSET(nart_chan_opts, drop_value, 32);
SIZE(nart_oneshot_tx, 16);
OFFSET(nart_oneshot_tx, rx, 8);
SIZE(nart_oneshot_rx, 104);
OFFSET(nart_oneshot_rx, shared, 56);
OFFSET(nart_oneshot_rx, tx, 64);
OFFSET(nart_oneshot_rx, sent, 96);
SIZE(nart_token, 8);
SIZE(nart_waiter, 72);
SIZE(nart_bytes_tx, 104);
OFFSET(nart_bytes_tx, wait.task, 16);
OFFSET(nart_bytes_tx, size, 80);
OFFSET(nart_tx, wait.task, 16);
SIZE(nart_bytes_rx, 104);
OFFSET(nart_bytes_rx, ring, 56);
OFFSET(nart_bytes_rx, held, 72);
OFFSET(nart__bytes_ring, spinning, 37);
SIZE(nart_bytes_opts, 32);
OFFSET(nart_bytes_opts, max_len, 24);
SIZE(nart_bytes_buf, 16);
SIZE(nart_bytes_msg, 16);

SIZE(nart_workers_opts, 104);
SIZE(nart_workers_stats, 32);
SIZE(nart_work_type, 56);
SIZE(nart_job_block, 128);

OFFSET(nart_tokio_opts, pool, 72);
OFFSET(nart_tokio_opts, reserved, 80);
OFFSET(nart_tokio_report, leaked_name, 72);
SIZE(nart_tokio_op, 16);
SIZE(nart_tokio_local, 16);
#if NART_HTTP
OFFSET(nart_http_opts, reserved, 112);
OFFSET(nart_http_client_opts, reserved, 160);
SIZE(nart_http_header, 48);
SIZE(nart_http_host, 32);
#endif

_Static_assert(NART_TASK_ABI == 1 && NART_DRIVER_ABI == 3, "sys.rs has other versions");
_Static_assert(NART_DRIVER_MOVES == 1, "sys.rs has another flag");
_Static_assert(NART_READ == 1 && NART_WRITE == 2 && NART_ERROR == 4 && NART_HANGUP == 8 &&
                   NART_RDHUP == 16 && NART_PRI == 32,
               "sys/io.rs has other bits");
_Static_assert(NART_EFDS == -4121, "sys.rs has another error");
_Static_assert(NART__BYTES_ABI == 1, "ends.rs has another version");
_Static_assert(NART__BYTES_ABI == 1 && NART__RING_ABI == 1, "ends.rs has other versions");
_Static_assert(NART_CHAN_SPSC == 2 && NART_CHAN_MPSC == 3, "ends.rs has other kinds");
_Static_assert(NART__RING_TYPE(NART_CHAN_MPSC, NART_CHAN_SPINNING, 8) == 0x813,
               "channel.rs reads another type word");
_Static_assert(NART_BYTES_SPSC == 1 && NART_BYTES_MPSC == 2, "ends.rs has other kinds");
_Static_assert(NART_EFRAME == -4122, "sys.rs has another error");

TEST(both_sides_agree_when_this_compiles)
{
}

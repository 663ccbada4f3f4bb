/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/nart.h
 * Includes all headers but nart/tokio.h (the bridge to tokio) and nart/driver.h (for authors of drivers).
 */
#ifndef NART_NART_H
#define NART_NART_H

#include "base.h"
#include "broadcast.h"
#include "bytes.h"
#include "cancel.h"
#include "chan.h"
#include "clock.h"
#include "co.h"
#include "fiber.h"
#include "file.h"
#include "half.h"
#include "io.h"
#include "local.h"
#include "msg.h"
#include "net.h"
#include "nursery.h"
#include "observe.h"
#include "oneshot.h"
#include "pipe.h"
#include "process.h"
#include "remote.h"
#include "resolve.h"
#include "rt.h"
#include "shutdown.h"
#include "signal.h"
#include "socket.h"
#include "stream.h"
#include "sync.h"
#include "task.h"
#include "task_set.h"
#include "time.h"
#include "trace.h"
#include "unix.h"
#include "watch.h"
#include "work.h"
#include "world.h"

#endif

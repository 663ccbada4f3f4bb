/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pool.h: the two halves of nart_pool_spawn(), for spawns that must know when the job is about to begin. */
#ifndef NART_CORE_POOL_H
#define NART_CORE_POOL_H

#include <nart/task_set.h>

/* Takes answers, and waits until fewer than `max` jobs run. 0; NART_PENDING; why no job may begin. */
nart_res nart__pool_await_room(nart_cx *cx, nart_pool *p);

/* After a 0 of that, in the same poll: spawns the job. */
nart_res nart__pool_begin(nart_cx *cx, nart_pool *p, const nart_task_type *type, const void *init);

#endif

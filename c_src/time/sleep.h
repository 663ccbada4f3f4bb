/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sleep.h: a sleep as a part of another operation. */
#ifndef NART_TIME_SLEEP_H
#define NART_TIME_SLEEP_H

#include "../wait/wait.h"

/* Begins a sleep until `at`; waits for its end. */
void nart__timer_begin(nart_cx *cx, nart_timer *t, int64_t at);
nart_res nart__timer_wait(nart_cx *cx, nart_timer *t);

/* Answers r without a sleep. */
nart_res nart__timer_refuse(nart_cx *cx, nart_res r);

#endif

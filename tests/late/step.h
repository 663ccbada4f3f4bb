/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* step.h: the library built for this folder calls nart__step() at each NART__STEP of its
 * sources. */
#ifndef NART_TEST_STEP_H
#define NART_TEST_STEP_H

void nart__step(const char *name);
#define NART__STEP(name) nart__step(name)

/* Stops the calling thread when it next reaches this step, until step_go_on(). */
void step_stop_at(const char *name);

/* For other threads: wait until a thread has stopped; resume it. Neither orders memory, so that
 * a missing order in the library remains a data race. */
void step_wait(void);
void step_go_on(void);

#endif

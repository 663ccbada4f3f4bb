/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* step.h: the library of this folder calls nart__step() at each NART__STEP of its sources. */
#ifndef NART_TEST_STEP_H
#define NART_TEST_STEP_H

void nart__step(const char *name);
#define NART__STEP(name) nart__step(name)

/* The thread that calls stops when it comes by this step next, until step_go_on(). */
void step_stop_at(const char *name);

/* From other threads: waits until a thread has stopped; lets it go on. Neither of them orders anything,
 * so a missing order in the library stays a race. */
void step_wait(void);
void step_go_on(void);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* model.h: scenarios that run unchanged under two model checkers, loom and relacy. See README.md.
 *
 * A scenario file is C11 that also compiles as C++. It is compiled with the library's unmodified C files;
 * both use the same atomics header. Declare a scenario's own shared variables NART__ATOMIC (usually relaxed:
 * then only the library makes writes visible) or MODEL_VAR (plain: then a missing edge is a data race). */
#ifndef MODEL_H
#define MODEL_H

#include "base/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct model_scenario {
    const char *name;     /* NULL ends the list */
    unsigned threads;     /* 1 .. 4; thread 0 is the owner; relacy skips those with more than 3 */
    void (*before)(void); /* creates the state (MODEL_NEW); no other thread runs */
    void (*thread)(unsigned); /* called on each thread, with its number */
    void (*after)(void);      /* checks the state after all threads have ended; MODEL_DELETE */
    int loom;                 /* preemptions per execution, or MODEL_EVERY */
    int relacy;               /* thread switches per execution, or MODEL_EVERY */
} model_scenario;

enum { MODEL_EVERY = -1 };

extern const model_scenario model_scenarios[];

/* Eventfds are numbers below this one: a write sets one, a wait blocks until it is set and resets it. Waits
 * may end spuriously. */
enum { MODEL_EVENTS = 3 };
void model_wait(int fd);
/* Returns whether it was set, and resets it. (loom only) */
bool model_take(int fd);

/* The number of the calling thread. */
unsigned model_self(void);

/* Zeroed memory, aligned to a cache line, for one execution. */
void *model_memory(size_t bytes);

void model_check(bool ok, const char *file, int line, const char *text);
#define MODEL_CHECK(cond) model_check((cond), __FILE__, __LINE__, #cond)
#define MODEL_FAIL(text) model_check(false, __FILE__, __LINE__, text)

#ifdef MODEL_RELACY
#define MODEL_VAR(T) rl::var<T>
#define MODEL_GET(v) ((v)($).load())
#define MODEL_SET(v, value) ((v)($) = (value))
#define MODEL_NEW(T) model_construct<T>()
#define MODEL_DELETE(p) model_destroy(p)
#else
#define MODEL_VAR(T) T
#define MODEL_GET(v) (v)
#define MODEL_SET(v, value) ((v) = (value))
#define MODEL_NEW(T) ((T *)model_memory(sizeof(T)))
#define MODEL_DELETE(p) ((void)(p))
#endif

#endif

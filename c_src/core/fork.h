/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fork.h: is this a child of fork()? */
#ifndef NART_CORE_FORK_H
#define NART_CORE_FORK_H

/* Of runtime.c: changed in a child, while it has one thread. */
extern unsigned nart__forks;

#endif

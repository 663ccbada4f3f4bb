/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A resolver that replaces getaddrinfo(): names that end with .hangs.test are not found, once the gate is
 * open; served.test is 127.0.0.1; two.test is 127.0.0.2 and then ::1. */
#ifndef NART_TEST_RESOLVER_H
#define NART_TEST_RESOLVER_H

#include <stdint.h>

/* The gate is open when it is 1. Look-ups of hanging names that began, and of served.test. */
extern uint64_t resolver_gate, hanging, served;

#endif

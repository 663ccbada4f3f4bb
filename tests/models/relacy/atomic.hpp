/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The atomics header (NART__ATOMIC_HEADER) of the relacy programs. */
#ifndef MODEL_RELACY_ATOMIC_HPP
#define MODEL_RELACY_ATOMIC_HPP

/* Must precede relacy, which redefines names that these declare. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <relacy/relacy.hpp>

/* Hubs and rings start as zeroed memory. */
template <typename T> struct model_atomic : rl::atomic<T> {
    model_atomic()
    {
        this->store(T(), rl::mo_relaxed, $);
    }
};

#define NART__ATOMIC(T) model_atomic<T>

#define NART__RELAXED rl::mo_relaxed
#define NART__ACQUIRE rl::mo_acquire
#define NART__RELEASE rl::mo_release
#define NART__ACQ_REL rl::mo_acq_rel

#define NART__LOAD(p, order) (p)->load(order, $)
#define NART__STORE(p, value, order) (p)->store(value, order, $)
#define NART__EXCHANGE(p, value, order) (p)->exchange(value, order, $)
#define NART__CAS(p, expected, desired, order, order_failed)                                       \
    (p)->compare_exchange(rl::bool_t<false>(), *(expected), desired, order, order_failed, $)
#define NART__FETCH_ADD(p, n, order) (p)->fetch_add(n, order, $)
#define NART__FETCH_AND(p, bits, order) (p)->fetch_and(bits, order, $)
#define NART__FETCH_OR(p, bits, order) (p)->fetch_or(bits, order, $)

#endif

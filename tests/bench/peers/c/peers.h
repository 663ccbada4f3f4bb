/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The hand-written rows. Each runs n times and returns the mean, in the unit of its row. */
#ifndef NART_BENCH_PEERS_H
#define NART_BENCH_PEERS_H

#include "bench.h"

double floor_self_wake_1(uint64_t n);
double floor_self_wake_1000(uint64_t n);
double floor_spawn_join(uint64_t n);
double floor_spawn_join_1000(uint64_t n);
double floor_local_pair(uint64_t n);
double floor_local_stream(uint64_t n);
double floor_local_pingpong(uint64_t n);
double floor_world_1(uint64_t n);
double floor_world_4(uint64_t n);
double epoll_tcp_echo(uint64_t n);
double epoll_tcp_echo_64(uint64_t n);
double epoll_tcp_echo_1000(uint64_t n);
double cascade_longest_us(uint64_t seconds);

#endif

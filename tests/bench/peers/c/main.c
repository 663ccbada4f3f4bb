/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The hand-written C peers: "floor", "epoll" and "cascade". */
#include "peers.h"

static const struct bench_row rows[] = {
    { "self_wake_1", "ns", "floor", floor_self_wake_1, NULL },
    { "self_wake_1000", "ns", "floor", floor_self_wake_1000, NULL },
    { "spawn_join", "ns", "floor", floor_spawn_join, NULL },
    { "spawn_join_1000", "ns", "floor", floor_spawn_join_1000, NULL },
    { "local_pair", "ns", "floor", floor_local_pair, NULL },
    { "local_stream", "ns", "floor", floor_local_stream, NULL },
    { "local_pingpong", "ns", "floor", floor_local_pingpong, NULL },
    { "world_1", "ns", "floor", floor_world_1, NULL },
    { "world_4", "ns", "floor", floor_world_4, NULL },
    { "tcp_echo", "ns", "epoll", epoll_tcp_echo, NULL },
    { "tcp_echo_64", "ns", "epoll", epoll_tcp_echo_64, NULL },
    { "tcp_echo_1000", "ns", "epoll", epoll_tcp_echo_1000, NULL },
    { "longest_iteration_us", "us", "cascade", cascade_longest_us, NULL },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

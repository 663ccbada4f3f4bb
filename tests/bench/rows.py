# SPDX-License-Identifier: MIT OR Apache-2.0
"""The rows of the benchmark: their counts, processors and goals."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    text: str
    needs: str | None  # the other side of the comparison: a peer, or another row of nart
    test: object  # (nart's value, the other value) -> bool


@dataclass(frozen=True)
class Row:
    name: str
    count: int
    goals: tuple = ()
    cpus: int = 1  # 1: pinned to one processor, 2: may use all
    quick: int | None = None  # the count of a quick run; None: a fiftieth
    timeout: int = 60  # seconds for one program

    def quick_count(self):
        return self.quick or max(self.count // 50, 1)


def faster(peer, factor):
    """peer / nart is at least the factor."""
    return Goal(f">= {factor:g}x {peer}", peer, lambda nart, other: other >= factor * nart)


def within(peer, factor):
    """nart takes at most factor times as long as the peer."""
    return Goal(f"<= {factor:g}x {peer}", peer, lambda nart, other: nart <= factor * other)


def within_ns(peer, extra):
    return Goal(f"<= {peer} + {extra} ns", peer, lambda nart, other: nart <= other + extra)


def at_most(limit):
    return Goal(f"<= {limit:g}", None, lambda nart, _: nart <= limit)


ROWS = (
    Row("self_wake_1", 2_000_000, (faster("nexus", 12), faster("tokio", 6))),
    Row("self_wake_1000", 2_000_000, (faster("nexus", 6), faster("tokio", 8))),
    Row("await_ready", 5_000_000),
    Row("spawn_join", 500_000, (faster("nexus", 10), faster("tokio", 10))),
    Row("spawn_join_1000", 500_000, (faster("nexus", 4),), quick=10_000),
    Row("local_pair", 10_000_000, (faster("nexus", 1.3),)),
    Row("local_stream", 3_000_000, (faster("nexus", 5), faster("tokio", 15))),
    Row("local_pingpong", 500_000, (faster("nexus", 10),)),
    Row("spsc_pair", 10_000_000, (faster("nexus", 1),)),
    Row("spsc_pair_park", 10_000_000, (within_ns("nexus", 8),)),
    Row("mpsc_pair", 10_000_000, (faster("nexus", 1.2), faster("tokio", 5))),
    Row("spsc_bytes_64", 10_000_000, (faster("nexus", 1.5),)),
    Row("spsc_bytes_64_spin", 10_000_000, (faster("nexus", 1.5),)),
    Row("mpsc_bytes_64", 10_000_000, (faster("nexus", 1.5),)),
    Row("spsc_stream", 3_000_000, (faster("nexus", 5), faster("tokio", 3)), cpus=2,
        timeout=20),
    Row("spsc_stream_spin", 3_000_000, (faster("nexus", 5),), cpus=2, timeout=20),
    Row("mpsc_stream", 3_000_000, (faster("nexus", 5), faster("tokio", 3)), cpus=2,
        timeout=20),
    Row("cancel_check", 20_000_000, (at_most(2),)),
    Row("cancel_100", 1_000_000),
    Row("cancel_1000", 1_000_000, (within("cancel_100", 1.5),)),
    Row("world_1", 20_000_000, (within_ns("floor", 3),)),
    Row("world_4", 20_000_000, (within_ns("floor", 3),)),
    Row("timer_cancel", 200_000, (faster("nexus", 8), faster("tokio", 20))),
    Row("timer_cancel_rel", 200_000, (faster("nexus", 2.5), faster("tokio", 9), faster("libuv", 1),
                                      faster("libuv_from_call", 1))),
    Row("deadline_pingpong", 1_000, quick=100),
    Row("loop_1m_timers", 1_000_000, (at_most(1.2),)),
    Row("longest_iteration_us", 60, (at_most(100),), quick=1, timeout=180),  # count: seconds
    Row("tcp_echo", 200_000, (within("epoll", 1.05), faster("tokio", 1), faster("nexus", 1),
                              faster("libuv", 1))),
    Row("tcp_echo_64", 200_000, (within("epoll", 1.05), faster("tokio", 1), faster("libuv", 1)),
        quick=6_400),
    Row("tcp_echo_1000", 200_000, (within("epoll", 1.05), faster("tokio", 1), faster("libuv", 1)),
        quick=10_000),
    Row("udp_echo", 500_000, (faster("libuv", 2),)),
    Row("udp_batch", 500_000, (faster("libuv", 1),)),
    Row("connect_addr", 20_000),
    Row("connect_name", 20_000, (within_ns("connect_addr", 20_000),)),
    Row("bridge_batch", 20_000, (faster("nexus", 1), faster("tokio", 1)), cpus=2),
    Row("bridge_batch_c", 20_000, (within("bridge_batch", 1.5),), cpus=2),
    Row("bridge_hop", 50_000, (within("tokio", 1.2),), cpus=2),
    Row("blocking_batch", 20_000, (faster("tokio", 5),), cpus=2),
    Row("blocking_lone", 50_000, (faster("tokio", 1),), cpus=2),
    Row("file_read_1", 50_000, (within("libuv", 1.3),), cpus=2),
    Row("file_read_1_cpu", 50_000, (within("libuv", 1.3),)),
    Row("file_read_64", 100_000, (within("libuv", 1.3),), cpus=2),
    Row("tokio_tcp_echo", 200_000, (within("tokio", 1.3),)),
    Row("guest_spawn", 200_000, (at_most(3_000), within("tokio", 1.1))),
    Row("guest_pingpong", 200_000, (at_most(3_000), within("tokio", 1.1))),
    Row("http_get", 50_000, (faster("tokio", 0.95),), cpus=2),
    Row("http_hot", 20_000, (within("quiet", 1.05),), cpus=2),
    Row("bridge_allocs", 2_000, (at_most(1),), cpus=2, quick=200),
    Row("bridge_wake_spin", 200_000, (faster("nexus", 2),), cpus=2, quick=1_000),
    Row("bridge_wake_park", 5_000, (within("eventfd", 1.15),), cpus=2, quick=100),
    Row("task_bytes", 1_000_000, (at_most(200),), quick=100_000),
    Row("fiber_yield", 2_000_000, (within("self_wake_1", 2),)),
    Row("fiber_spawn_join", 500_000, (within("spawn_join", 1.7), faster("tokio", 1))),
    Row("fiber_pingpong", 500_000, (faster("tokio", 1), faster("boost", 1))),
    Row("fiber_switch", 20_000_000),
    Row("fiber_memory", 100_000, (at_most(4505),), quick=10_000),  # 4.4 KiB
)

# Figures that a row prints besides its own.
EXTRA_GOALS = {
    "http_hot_allocs": (at_most(0),),
    "bridge_allocs_blocking": (at_most(1),),
    "bridge_allocs_wake": (at_most(0),),
}

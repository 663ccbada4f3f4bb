/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rows of fibers on boost.fiber, with its default scheduler, and the switch alone on boost.context. The
 * measured loop runs in a fiber of its own, which main's fiber joins. */
#include "bench.h"

#include <boost/context/fiber.hpp>
#include <boost/fiber/all.hpp>

#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

namespace
{

using boost::fibers::fiber;

template <class Work> double timed(std::uint64_t n, Work work)
{
    double per_op = 0;

    fiber([&] {
        work(n / 10);
        std::int64_t start = bench_now();
        work(n);
        per_op = static_cast<double>(bench_now() - start) / static_cast<double>(n);
    }).join();
    return per_op;
}

double fiber_yield(std::uint64_t n)
{
    return timed(n, [](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; i++)
            boost::this_fiber::yield();
    });
}

/* The fastest of boost's ways: stacks of a pool, and the new fiber runs at once. */
double fiber_spawn_join(std::uint64_t n)
{
    boost::fibers::pooled_fixedsize_stack stacks;

    return timed(n, [&](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; i++) {
            std::uint64_t answer = 0;
            fiber(boost::fibers::launch::dispatch, std::allocator_arg, stacks, [&answer, i] {
                answer = i;
            }).join();
            BENCH_KEEP(answer);
        }
    });
}

/* A buffered channel of boost holds one value less than its size: one each, as the others. */
double fiber_pingpong(std::uint64_t n)
{
    return timed(n, [](std::uint64_t count) {
        boost::fibers::buffered_channel<std::uint64_t> there(2), back(2);
        std::uint64_t v = 0;
        fiber echo([&] {
            std::uint64_t got = 0;
            while (there.pop(got) == boost::fibers::channel_op_status::success)
                back.push(got);
        });

        for (std::uint64_t i = 0; i < count; i++) {
            there.push(i);
            back.pop(v);
            BENCH_KEEP(v);
        }
        there.close();
        echo.join();
    });
}

double fiber_switch(std::uint64_t n)
{
    boost::context::fiber other([](boost::context::fiber &&back) {
        while (back)
            back = std::move(back).resume();
        return std::move(back);
    });
    std::int64_t start = bench_now();
    for (std::uint64_t i = 0; i < n; i += 2)
        other = std::move(other).resume();
    return static_cast<double>(bench_now() - start) / static_cast<double>(n);
}

/* Stacks of 16 KiB by the plain allocator, which touches the least of each: the default size would need 12 GiB. */
double fiber_memory(std::uint64_t n)
{
    std::vector<fiber> fibers(n);
    auto until = std::chrono::steady_clock::now() + std::chrono::hours(1);
    boost::fibers::fixedsize_stack small(16384);
    std::uint64_t before = bench_resident_bytes();

    for (auto &f : fibers)
        f = fiber(std::allocator_arg, small, [until] {
            char used[1024];
            std::memset(used, 1, sizeof used);
            BENCH_KEEP(used);
            boost::this_fiber::sleep_until(until);
        });
    boost::this_fiber::yield();
    double grown = static_cast<double>(bench_resident_bytes() - before);
    bench_print("fiber_memory", "boost", grown / static_cast<double>(n), "B");
    std::_Exit(0); /* nobody joins them */
}

const bench_row rows[] = {
    { "fiber_yield", "ns", "boost", fiber_yield, nullptr },
    { "fiber_spawn_join", "ns", "boost", fiber_spawn_join, nullptr },
    { "fiber_pingpong", "ns", "boost", fiber_pingpong, nullptr },
    { "fiber_switch", "ns", "boost.context", fiber_switch, nullptr },
    { "fiber_memory", "B", "boost", fiber_memory, nullptr },
};

} // namespace

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

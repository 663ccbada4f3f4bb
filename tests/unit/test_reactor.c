/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The reactor by itself, at moments that a program cannot choose. */
#include "reactor/reactor.h"
#include "sys.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static nart__reactor r;
static uint64_t serial;
static int wake_fd, ends[2];

static void end(void)
{
    nart__reactor_finish(&r, false);
    close(wake_fd);
    close(ends[1]);
}

/* A reactor that watches the read end of a pipe. */
static uint64_t begin(uint32_t max_io)
{
    uint64_t id;

    wake_fd = nart__sys_eventfd();
    CHECK_LE(0, wake_fd);
    CHECK_EQ(nart__reactor_init(&r, max_io, 16, wake_fd, &serial), 0);
    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_RES(nart__reactor_add(&r, ends[0], 0, &id), 0);
    test_at_end(end);
    return id;
}

static uint32_t ready(uint64_t id)
{
    return r.io[id & NART__INDEX_MASK].ready;
}

/* Bytes that arrive between a read that found none and the clearing of the direction are not
 * lost: the next wait reports their edge. */
TEST(known_bug_readiness_is_cleared_after_the_event)
{
    uint64_t id = begin(1);
    char c;

    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(read(ends[0], &c, 1), -1);
        CHECK_EQ(write(ends[1], "x", 1), 1);
        nart__reactor_clear(&r, id, NART_READ);
        CHECK_EQ(ready(id) & NART_READ, 0);
        CHECK_LE(1, nart__reactor_wait(&r, 0));
        CHECK_EQ(ready(id) & NART_READ, NART_READ);
        CHECK_EQ(read(ends[0], &c, 1), 1);
    }
}

TEST(an_edge_is_reported_once_and_kept)
{
    uint64_t id = begin(1);

    nart__reactor_clear(&r, id, NART_READ | NART_WRITE);
    CHECK_EQ(nart__reactor_wait(&r, 0), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(nart__reactor_wait(&r, NART_NEVER), 1);
    CHECK_EQ(ready(id), NART_READ);
    CHECK_EQ(nart__reactor_wait(&r, 0), 0); /* the kernel does not repeat an edge */
    CHECK_EQ(ready(id), NART_READ);
}

/* The kernel reports that a socket can be written only once a task has waited for it, and then also what was so
 * before. */
TEST(writes_are_reported_once_a_task_waits_for_them)
{
    uint64_t reader = begin(2), id;
    int pair[2];
    char c = 'x';

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    CHECK_RES(nart__reactor_add(&r, pair[0], 0, &id), 0);
    CHECK_EQ(ready(id), NART_READ | NART_WRITE); /* until one is tried */
    CHECK_EQ(nart__reactor_wait(&r, 0), 0);
    for (int i = 0; i < 3; i++) { /* the peer reads what was sent */
        CHECK_EQ(write(pair[0], &c, 1), 1);
        CHECK_EQ(read(pair[1], &c, 1), 1);
        CHECK_EQ(nart__reactor_wait(&r, 0), 0);
    }
    nart__reactor_clear(&r, id, NART_READ | NART_WRITE);
    CHECK_RES(nart__reactor_add_writes(&r, nart__io_of(&r, id)), 0);
    CHECK_EQ(nart__reactor_wait(&r, 0), 1);
    CHECK_EQ(ready(id), NART_WRITE | NART__IO_WRITES);
    CHECK_EQ(nart__reactor_wait(&r, 0), 0);
    CHECK_EQ(close(pair[0]), 0);
    CHECK_RES(nart__reactor_add_writes(&r, nart__io_of(&r, id)), -EBADF);
    close(pair[1]);
    CHECK_EQ(ready(reader), NART_READ | NART_WRITE);
}

/* The write end of the pipe, reopened. */
static void open_writer(void)
{
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    ends[1] = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    CHECK_LE(0, ends[1]);
}

/* A pipe is hung up while it has no writer. */
TEST(a_state_ends_with_the_event_that_does_not_say_it)
{
    uint64_t id = begin(1);

    close(ends[1]);
    CHECK_EQ(nart__reactor_wait(&r, 0), 1);
    CHECK_EQ(ready(id) & NART_HANGUP, NART_HANGUP);
    open_writer();
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(nart__reactor_wait(&r, 0), 1);
    CHECK_EQ(ready(id), NART_READ | NART_WRITE); /* both since it hung up, until one is tried */
}

TEST(a_state_ends_when_reading_would_wait)
{
    uint64_t id = begin(1);
    char c;

    close(ends[1]);
    CHECK_EQ(nart__reactor_wait(&r, 0), 1);
    nart__reactor_clear(&r, id, NART_WRITE); /* does not affect reading */
    CHECK_EQ(ready(id), NART_READ | NART_HANGUP);
    open_writer();
    CHECK_EQ(read(ends[0], &c, 1), -1);
    CHECK_EQ(errno, EAGAIN);
    nart__reactor_clear(&r, id, NART_READ);
    CHECK_EQ(ready(id), 0);
}

TEST(each_write_to_the_wake_descriptor_ends_a_wait)
{
    (void)begin(1);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(nart__sys_eventfd_write(wake_fd), 0);
        CHECK_EQ(nart__reactor_wait(&r, NART_NEVER), 1); /* it is never read */
        CHECK_EQ(nart__reactor_wait(&r, 0), 0);
    }
}

TEST(a_full_counter_of_the_wake_descriptor_loses_no_wake)
{
    const uint64_t full = UINT64_MAX - 1; /* the maximum of an eventfd */

    (void)begin(1);
    CHECK_EQ(write(wake_fd, &full, sizeof full), sizeof full);
    CHECK_EQ(nart__reactor_wait(&r, 0), 1);
    CHECK_EQ(nart__reactor_wait(&r, 0), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(nart__sys_eventfd_write(wake_fd), 0);
        CHECK_EQ(nart__reactor_wait(&r, 0), 1);
    }
}

/* Ids never repeat: when the serials are exhausted, opening fails. */
TEST(an_id_never_repeats)
{
    uint64_t id, first;
    int fd;

    serial = (UINT64_MAX >> NART__INDEX_BITS) - 2;
    first = begin(2);
    CHECK_RES(nart__reactor_del(&r, first, false, &fd), 0);
    CHECK_RES(nart__reactor_add(&r, fd, 0, &id), 0);
    CHECK(id != first);
    CHECK_RES(nart__reactor_fd(&r, first), NART_ESTALE);
    CHECK_RES(nart__reactor_fd(&r, id), fd);
    CHECK_RES(nart__reactor_del(&r, first, false, &fd), NART_ESTALE);
    CHECK_RES(nart__reactor_wake(&r, first), NART_ESTALE);
    CHECK_RES(nart__reactor_del(&r, id, false, &fd), 0);
    CHECK_RES(nart__reactor_add(&r, fd, 0, &id), NART_EFDS);
    CHECK_RES(nart__reactor_del(&r, id, false, &fd), NART_ESTALE);
    close(ends[0]);
}

/* Without a limit there is always a next record, and existing records do not move. */
TEST(the_table_grows_under_descriptors_in_use)
{
    enum { MANY = 2500 };
    struct rlimit limit;
    uint64_t id[MANY];
    int fd;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    id[0] = begin(0);
    const nart__io *first = nart__io_of(&r, id[0]);
    for (int i = 1; i < MANY; i++)
        CHECK_RES(nart__reactor_add(&r, fcntl(ends[0], F_DUPFD_CLOEXEC, 0), 0, &id[i]), 0);
    CHECK(nart__io_of(&r, id[0]) == first);
    for (int i = 0; i < MANY; i++) {
        CHECK_LE(0, nart__reactor_fd(&r, id[i]));
        nart__reactor_clear(&r, id[i], NART_READ);
    }
    CHECK_EQ(write(ends[1], "x", 1), 1);
    for (int n = 0; n < MANY;) {
        int got = nart__reactor_wait(&r, 0);
        CHECK_LE(1, got);
        n += got;
    }
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(nart__io_of(&r, id[i])->ready & NART_READ, NART_READ);
    for (int i = MANY - 1; i > 0; i -= 2) {
        CHECK_RES(nart__reactor_del(&r, id[i], false, &fd), 0);
        close(fd);
        CHECK_RES(nart__reactor_fd(&r, id[i]), NART_ESTALE);
        CHECK_RES(nart__reactor_add(&r, fcntl(ends[0], F_DUPFD_CLOEXEC, 0), 0, &id[i]), 0);
    }
    CHECK_EQ(r.used, MANY);
    CHECK_EQ(nart__reactor_reserve(&r, NART__INDEX_MASK + 1), NART_EFDS);
}

TEST(slots_are_reused_in_any_order)
{
    enum { N = 64 };
    uint64_t id[N];
    int fd;

    (void)begin(N + 1);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < N; i++)
            CHECK_RES(nart__reactor_add(&r, nart__sys_real.dup(ends[0]), 0, &id[i]), 0);
        uint64_t none;
        CHECK_RES(nart__reactor_add(&r, ends[1], 0, &none), NART_EFDS);
        for (int i = 0; i < N; i++) {
            CHECK_RES(nart__reactor_del(&r, id[(i * 37 + round) % N], false, &fd), 0);
            close(fd);
        }
    }
    CHECK_EQ(r.used, 1);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The timeouts that the loop passes to the kernel: nanoseconds where it accepts them, whole
 * milliseconds rounded up where it does not. syscall() and epoll_wait() of this program record
 * their arguments and advance the virtual clock. */
#include "../core/core.h"
#include "../core/virtual.h"

#include <limits.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool old_kernel;
static int waits, refusals;
static int64_t waited_ns; /* of the last wait that timed out */
static int waited_ms;

long syscall(long number, ...)
{
    va_list args;

    CHECK_EQ(number, SYS_epoll_pwait2);
    if (old_kernel) {
        refusals++;
        errno = ENOSYS;
        return -1;
    }
    va_start(args, number);
    (void)va_arg(args, int);
    (void)va_arg(args, struct epoll_event *);
    (void)va_arg(args, int);
    const struct timespec *ts = va_arg(args, const struct timespec *);
    va_end(args);
    waited_ns = (int64_t)ts->tv_sec * NART_SEC + ts->tv_nsec;
    waits++;
    virtual_now += waited_ns;
    return 0;
}

int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
    (void)epfd, (void)events, (void)max;
    CHECK_NE(timeout, -1); /* there is a deadline */
    if (timeout > 0) {
        CHECK(old_kernel);
        waited_ms = timeout;
        waits++;
        virtual_now += timeout * NART_MS;
    }
    return 0;
}

struct napper {
    nart_co co;
    nart_timer timer;
    int64_t ns;
};

static nart_res napper_run(nart_cx *cx, void *frame)
{
    struct napper *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, f->ns));
    NART_END(r);
}

static const nart_task_type napper_type = NART_TASK_TYPE(struct napper, napper_run, NULL);

static void nap(nart_rt *rt, int64_t ns)
{
    struct napper init = { .ns = ns };

    waits = 0;
    CHECK_RES(nart_block_on(rt, &napper_type, &init, NULL), 0);
}

TEST(the_kernel_is_asked_for_nanoseconds)
{
    static const int64_t spans[] = { 1, 100 * NART_US, 999999, NART_MS + 1, 3600 * NART_SEC + 7 };
    nart_rt *rt = new_rt();

    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        nap(rt, spans[i]);
        CHECK_EQ(waits, 1);
        CHECK_EQ(waited_ns, spans[i]);
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(an_old_kernel_is_asked_for_milliseconds_rounded_up)
{
    static const struct {
        int64_t ns;
        int ms;
    } spans[] = { { 1, 1 }, { 100 * NART_US, 1 }, { NART_MS, 1 }, { NART_MS + 1, 2 } };
    nart_rt *rt = new_rt();

    old_kernel = true;
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        nap(rt, spans[i].ns);
        CHECK_EQ(waits, 1);
        CHECK_EQ(waited_ms, spans[i].ms);
    }
    CHECK_EQ(refusals, 1); /* it is not tried again */
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST(a_time_that_an_old_kernel_cannot_say_takes_several_waits)
{
    nart_rt *rt = new_rt();

    old_kernel = true;
    nap(rt, INT_MAX * NART_MS + NART_SEC);
    CHECK_EQ(waits, 2);
    CHECK_EQ(waited_ms, 1000);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sys.c for model programs that contain a whole runtime: per-execution memory, a stopped clock, and one
 * event queue with one eventfd. */
#include "sys.h"

#include "base/thread.h"
#include "model.h"

enum { EFD = 0, EPOLL_FD = 1000 };

const nart_sys nart__sys_real;

/* The threads of a model are coroutines of one thread. */
__thread uintptr_t nart__thread_id = 1;

uintptr_t nart__thread_number(void)
{
    return nart__thread_id;
}

void *nart__sys_map(size_t bytes)
{
    return model_memory(bytes);
}

void nart__sys_unmap(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
}

void nart__sys_discard(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
}

int64_t nart__sys_now(void)
{
    return NART_SEC;
}

int nart__sys_eventfd(void)
{
    return EFD;
}

int nart__sys_epoll_create(void)
{
    return EPOLL_FD;
}

int nart__sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    (void)epfd;
    (void)op;
    (void)fd;
    (void)ev;
    return 0;
}

/* The eventfd reports no event; it only ends the wait. */
int nart__sys_epoll_wait(int epfd, struct epoll_event *evs, int max, int64_t timeout_ns)
{
    (void)epfd;
    (void)evs;
    (void)max;
    if (timeout_ns == 0)
        (void)model_take(EFD);
    else
        model_wait(EFD);
    return 0;
}

void nart__sys_close(int fd)
{
    (void)fd;
}

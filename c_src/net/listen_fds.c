/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* listen_fds.c: the sockets that a service manager has opened for this process.
 *
 * The protocol of sd_listen_fds(3): LISTEN_PID is the process they are for, LISTEN_FDS their number, LISTEN_FDNAMES
 * their names with colons between. The first one is descriptor 3. The variables are checked as a whole before
 * anything is returned, and removed whatever the answer is, except if it asks for more space. */
#include "net.h"

#include "../sys.h"

#include <nart/socket.h>

#include <stdlib.h>
#include <string.h>

enum { FIRST = 3 };

/* A variable as a number from 1 to `max`; -EINVAL: it is not set, or is no such number. */
static nart_res number_of(const char *name, int64_t max)
{
    const char *s = getenv(name);
    int64_t n = 0;

    if (!s || !*s)
        return -EINVAL;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        n = n * 10 + (*s - '0');
        if (n > max)
            return -EINVAL;
    }
    return n ? n : -EINVAL;
}

/* Cuts the name before the next colon off. NULL: there is none, or it is too long. */
static const char *next_name(const char *s, char *name)
{
    size_t n = strcspn(s, ":");

    if (n >= NART_LISTEN_FD_NAME)
        return NULL;
    memcpy(name, s, n);
    name[n] = '\0';
    return s + n;
}

static nart_res read_names(nart_listen_fd *out, size_t n)
{
    const char *s = getenv("LISTEN_FDNAMES");

    for (size_t i = 0; i < n; i++) {
        out[i].fd = FIRST + (int32_t)i;
        if (!s) {
            memcpy(out[i].name, "unknown", sizeof "unknown");
            continue;
        }
        s = next_name(s, out[i].name);
        if (!s || *s != (i + 1 < n ? ':' : '\0')) /* fewer names, or more */
            return -EINVAL;
        s++;
    }
    return 0;
}

static nart_res read_all(nart_listen_fd *out, size_t cap)
{
    if (!getenv("LISTEN_PID"))
        return 0;
    nart_res pid = number_of("LISTEN_PID", INT32_MAX);
    if (pid < 0 || pid != nart__sys_pid())
        return pid < 0 ? pid : 0;
    nart_res n = number_of("LISTEN_FDS", INT32_MAX - FIRST);
    if (n < 0)
        return n;
    if ((size_t)n > cap)
        return -ENOBUFS;
    nart_res r = read_names(out, (size_t)n);
    for (nart_res i = 0; i < n && r == 0; i++)
        r = nart__sys_cloexec(FIRST + (int)i);
    return r ? r : n;
}

nart_res nart_listen_fds(nart_listen_fd *out, size_t cap)
{
    nart_res r = read_all(out, cap);

    if (r != -ENOBUFS) {
        unsetenv("LISTEN_PID");
        unsetenv("LISTEN_PIDFDID"); /* names the same process, since systemd 258 */
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_FDNAMES");
    }
    return r;
}

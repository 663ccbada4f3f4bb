/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* error.c: answers as text. Both functions are total: every nart_res has a name and a sentence. */
#include <nart/base.h>

#include <string.h>

static const struct entry {
    int code;
    const char *name, *text;
} own[] = {
#define OWN(name, code, text) { code, "NART_" #name, text },
    NART_ERRORS(OWN)
#undef OWN
};

/* The errnos that nart itself answers or passes on often; the rest are named by number's text. */
static const struct entry system_errors[] = {
#define SYS(name) { -name, #name, NULL },
    SYS(EACCES) SYS(EADDRINUSE) SYS(EADDRNOTAVAIL) SYS(EAFNOSUPPORT) SYS(EAGAIN) SYS(EALREADY)
        SYS(EBADF) SYS(EBUSY) SYS(ECANCELED) SYS(ECONNABORTED) SYS(ECONNREFUSED) SYS(ECONNRESET)
            SYS(EDEADLK) SYS(EDESTADDRREQ) SYS(EEXIST) SYS(EFAULT) SYS(EHOSTUNREACH)
                SYS(EINPROGRESS) SYS(EINTR) SYS(EINVAL) SYS(EIO) SYS(EISCONN) SYS(EMFILE)
                    SYS(EMSGSIZE) SYS(ENETUNREACH) SYS(ENFILE) SYS(ENOBUFS) SYS(ENOENT) SYS(ENOMEM)
                        SYS(ENOSPC) SYS(ENOSYS) SYS(ENOTCONN) SYS(ENOTSOCK) SYS(EOPNOTSUPP)
                            SYS(EOVERFLOW) SYS(EPERM) SYS(EPIPE) SYS(EPROTO) SYS(EPROTOTYPE)
                                SYS(ERANGE) SYS(E2BIG) SYS(ETIMEDOUT)
#undef SYS
};

static const struct entry *find(const struct entry *e, size_t n, nart_res r)
{
    for (; n > 0; n--, e++)
        if (e->code == r)
            return e;
    return NULL;
}

#define FIND(table, r) find(table, sizeof table / sizeof *table, r)

const char *nart_strerror(nart_res r)
{
    if (r >= 0)
        return "success";
    if (r == NART_PENDING)
        return "not answered yet";
    const struct entry *e = FIND(own, r);
    if (e)
        return e->text;
    if (r < -4095)
        return "unknown error";
    return strerror((int)-r);
}

const char *nart_err_name(nart_res r)
{
    if (r >= 0)
        return "ok";
    if (r == NART_PENDING)
        return "NART_PENDING";
    const struct entry *e = FIND(own, r);
    if (!e)
        e = FIND(system_errors, r);
    return e ? e->name : "unknown";
}

uint32_t nart_version(void)
{
    return NART_VERSION_NUMBER;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* error.c: answers as text. Both functions are total: every nart_res has a name and a description. */
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

/* Every errno of Linux: blocking functions, drivers and system calls may answer any of them. */
static const struct entry system_errors[] = {
/* clang-format off */
#define SYS(name) { -name, #name, NULL },
    SYS(EPERM) SYS(ENOENT) SYS(ESRCH) SYS(EINTR) SYS(EIO) SYS(ENXIO) SYS(E2BIG) SYS(ENOEXEC)
    SYS(EBADF) SYS(ECHILD) SYS(EAGAIN) SYS(ENOMEM) SYS(EACCES) SYS(EFAULT) SYS(ENOTBLK) SYS(EBUSY)
    SYS(EEXIST) SYS(EXDEV) SYS(ENODEV) SYS(ENOTDIR) SYS(EISDIR) SYS(EINVAL) SYS(ENFILE) SYS(EMFILE)
    SYS(ENOTTY) SYS(ETXTBSY) SYS(EFBIG) SYS(ENOSPC) SYS(ESPIPE) SYS(EROFS) SYS(EMLINK) SYS(EPIPE)
    SYS(EDOM) SYS(ERANGE) SYS(EDEADLK) SYS(ENAMETOOLONG) SYS(ENOLCK) SYS(ENOSYS) SYS(ENOTEMPTY)
    SYS(ELOOP) SYS(ENOMSG) SYS(EIDRM) SYS(ECHRNG) SYS(EL2NSYNC) SYS(EL3HLT) SYS(EL3RST) SYS(ELNRNG)
    SYS(EUNATCH) SYS(ENOCSI) SYS(EL2HLT) SYS(EBADE) SYS(EBADR) SYS(EXFULL) SYS(ENOANO) SYS(EBADRQC)
    SYS(EBADSLT) SYS(EBFONT) SYS(ENOSTR) SYS(ENODATA) SYS(ETIME) SYS(ENOSR) SYS(ENONET) SYS(ENOPKG)
    SYS(EREMOTE) SYS(ENOLINK) SYS(EADV) SYS(ESRMNT) SYS(ECOMM) SYS(EPROTO) SYS(EMULTIHOP)
    SYS(EDOTDOT) SYS(EBADMSG) SYS(EOVERFLOW) SYS(ENOTUNIQ) SYS(EBADFD) SYS(EREMCHG) SYS(ELIBACC)
    SYS(ELIBBAD) SYS(ELIBSCN) SYS(ELIBMAX) SYS(ELIBEXEC) SYS(EILSEQ) SYS(ERESTART) SYS(ESTRPIPE)
    SYS(EUSERS) SYS(ENOTSOCK) SYS(EDESTADDRREQ) SYS(EMSGSIZE) SYS(EPROTOTYPE) SYS(ENOPROTOOPT)
    SYS(EPROTONOSUPPORT) SYS(ESOCKTNOSUPPORT) SYS(EOPNOTSUPP) SYS(EPFNOSUPPORT) SYS(EAFNOSUPPORT)
    SYS(EADDRINUSE) SYS(EADDRNOTAVAIL) SYS(ENETDOWN) SYS(ENETUNREACH) SYS(ENETRESET)
    SYS(ECONNABORTED) SYS(ECONNRESET) SYS(ENOBUFS) SYS(EISCONN) SYS(ENOTCONN) SYS(ESHUTDOWN)
    SYS(ETOOMANYREFS) SYS(ETIMEDOUT) SYS(ECONNREFUSED) SYS(EHOSTDOWN) SYS(EHOSTUNREACH)
    SYS(EALREADY) SYS(EINPROGRESS) SYS(ESTALE) SYS(EUCLEAN) SYS(ENOTNAM) SYS(ENAVAIL) SYS(EISNAM)
    SYS(EREMOTEIO) SYS(EDQUOT) SYS(ENOMEDIUM) SYS(EMEDIUMTYPE) SYS(ECANCELED) SYS(ENOKEY)
    SYS(EKEYEXPIRED) SYS(EKEYREVOKED) SYS(EKEYREJECTED) SYS(EOWNERDEAD) SYS(ENOTRECOVERABLE)
    SYS(ERFKILL) SYS(EHWPOISON)
#undef SYS
    /* clang-format on */
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

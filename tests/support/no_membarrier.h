/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A process without membarrier(2), as on an old kernel or in a sandbox. */
#ifndef NART_TEST_NO_MEMBARRIER_H
#define NART_TEST_NO_MEMBARRIER_H

#include "test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For the rest of the process, which is one test case. Call it before opening channels. */
static inline void forbid_membarrier(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };

    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
    CHECK_EQ(syscall(SYS_membarrier, 0, 0), -1);
    CHECK_EQ(errno, ENOSYS);
}

#endif

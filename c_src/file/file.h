/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* file.h: the data of a job on a file. See file.c. */
#ifndef NART_FILE_FILE_H
#define NART_FILE_FILE_H

#include "../base/lock.h"

#include <nart/file.h>

/* An open file: references are its handle and the jobs on it. */
typedef struct nart__file {
    int fd;
    NART__ATOMIC(uint32_t) refs;
    nart__lock position; /* of a directory: while it is set and read from. Only jobs wait for it */
} nart__file;

/* What a job has created and its task does not know of yet: it is removed with the job. */
enum { MADE_NOTHING, MADE_FILE, MADE_DIRECTORY };

/* What a job needs, and what it has found. It is the job's own: the strings and bytes of a request are copied. */
typedef struct nart__file_job {
    nart__file *file;       /* its reference: NULL once the job has run; what an open has opened */
    const char *path, *to;  /* in `bytes` */
    const nart_job *job;    /* NULL: it has not run; valid while it runs */
    int64_t offset, second; /* `offset` also of a directory, a size, a time */
    size_t len;             /* of what is read or written; of `bytes` for names */
    int flags;              /* of an open; whether data only, a link, a directory; of access() */
    int made;               /* see above: `path` */
    bool opened;            /* `file` is for the handle */
    mode_t mode;
    uint32_t uid, gid;
    nart_file_info info;
    nart_fs_info fs;
    char *loaded; /* from malloc() */
    char *bytes;  /* directly behind */
} nart__file_job;

/* The arguments of an operation, in the caller's memory. */
typedef struct nart__file_request {
    const nart_work_type *type;
    nart_file *file;            /* or NULL */
    bool takes;                 /* the handle's reference */
    const char *path, *to;      /* or NULL */
    const struct iovec *pieces; /* to write, or NULL */
    size_t n;                   /* of these */
    size_t len;
    size_t room; /* for bytes that are read or written */
    int64_t offset, second;
    int flags;
    mode_t mode;
    uint32_t uid, gid;
} nart__file_request;

/* Runs the job of a request. The job of its answer is in *j; NULL before, and if it did not succeed. */
nart_res nart__file_run(nart_cx *cx, nart_file_op *op, const nart__file_request *q,
                        nart__file_job **j);

/* The same of an open file, for a call that answers a number only. */
nart_res nart__file_run_on(nart_cx *cx, nart_file_op *op, const nart_file *f, nart__file_request q);

/* Starts a write, for whose end nart_work_await() waits. Errors as nart_work_start(); -EBADF. */
nart_res nart__file_write_start(nart_file_op *op, const nart_file *f, const struct iovec *pieces,
                                size_t n, int64_t offset);

/* The function of a job, and its drop. */
nart_res nart__file_job_do(nart__file_job *j, const nart_job *job,
                           nart_res (*call)(nart__file_job *));
void nart__file_job_drop(void *data);

/* The type of the jobs of one call: `call`_type. */
#define NART__FILE_JOB(call)                                                                       \
    static nart_res call##_job(void *data, const nart_job *job)                                    \
    {                                                                                              \
        return nart__file_job_do(data, job, nart__file_do_##call);                                 \
    }                                                                                              \
    static const nart_work_type call##_type = { NART_WORK_ABI,                                     \
                                                sizeof(nart__file_job),                            \
                                                NART__ALIGNOF(nart__file_job),                     \
                                                "file " #call,                                     \
                                                call##_job,                                        \
                                                nart__file_job_drop,                               \
                                                { NULL, NULL } }

/* What a thread does. All answer >= 0 or -errno. */
nart_res nart__file_do_open(nart__file_job *j);
nart_res nart__file_do_close(nart__file_job *j);
nart_res nart__file_do_read(nart__file_job *j);
nart_res nart__file_do_write(nart__file_job *j);
nart_res nart__file_do_sync(nart__file_job *j);
nart_res nart__file_do_truncate(nart__file_job *j);
nart_res nart__file_do_stat(nart__file_job *j);
nart_res nart__file_do_rename(nart__file_job *j);
nart_res nart__file_do_remove(nart__file_job *j);
nart_res nart__file_do_mkdir(nart__file_job *j);
nart_res nart__file_do_load(nart__file_job *j);
nart_res nart__file_do_replace(nart__file_job *j);
nart_res nart__file_do_copy(nart__file_job *j);
nart_res nart__file_do_entries(nart__file_job *j);
nart_res nart__file_do_chmod(nart__file_job *j);
nart_res nart__file_do_chown(nart__file_job *j);
nart_res nart__file_do_utimes(nart__file_job *j);
nart_res nart__file_do_access(nart__file_job *j);
nart_res nart__file_do_link(nart__file_job *j);
nart_res nart__file_do_symlink(nart__file_job *j);
nart_res nart__file_do_readlink(nart__file_job *j);
nart_res nart__file_do_realpath(nart__file_job *j);
nart_res nart__file_do_mkdirs(nart__file_job *j);
nart_res nart__file_do_mktemp(nart__file_job *j);
nart_res nart__file_do_statfs(nart__file_job *j);

/* A file with one reference; NULL: no memory. Any thread. */
nart__file *nart__file_new(int fd);

/* One reference less. 0, or what the close has answered. */
nart_res nart__file_unref(nart__file *f);

/* Bytes of entries that one job reads. */
enum { NART__FILE_ENTRIES = 32 << 10 };

/* The next entry but the dots of what nart__file_do_entries() has read; `*at` begins with 0. False: there is none. */
bool nart__file_entry(const nart__file_job *j, size_t *at, nart_dir_entry *e, int64_t *next);

#endif

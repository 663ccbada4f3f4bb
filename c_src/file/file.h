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

/* What a job needs, and what it has found. It is the job's own: the strings and bytes of `request` are copied. */
typedef struct nart__file_job {
    nart__file *file;      /* its reference: NULL once the job has run; what an open has opened */
    const char *path, *to; /* in `bytes` */
    const nart_job *job;   /* while it runs */
    int64_t offset;        /* also of a directory, and a size */
    size_t len;            /* of what is read or written; of `bytes` for names */
    int flags;             /* of an open; whether data only, a link, a directory */
    mode_t mode;
    nart_file_info info;
    char *loaded; /* from malloc() */
    char *bytes;  /* directly behind */
} nart__file_job;

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

/* A file with one reference; NULL: no memory. Any thread. */
nart__file *nart__file_new(int fd);

/* One reference less. 0, or what the close has answered. */
nart_res nart__file_unref(nart__file *f);

/* The next entry of what nart__file_do_entries() has read; `*at` begins with 0. False: there is none. */
bool nart__file_entry(const nart__file_job *j, size_t *at, nart_dir_entry *e, int64_t *next);

#endif

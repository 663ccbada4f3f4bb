/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/file.h
 * Files and directories: system calls that block, on the threads of a pool (nart/work.h).
 *
 * ```c
 * struct copier { nart_co co; nart_file file; nart_file_op op; char buf[1024]; int64_t at; };
 *
 * static nart_res print_run(nart_cx *cx, void *frame)
 * {
 *     struct copier *f = frame;
 *     nart_res r = 0;
 *
 *     NART_BEGIN(cx, &f->co);
 *     NART_AWAIT(r, nart_file_open(cx, &f->op, &f->file, "/etc/passwd", O_RDONLY, 0));
 *     while (r == 0) {
 *         NART_AWAIT(r, nart_file_read(cx, &f->op, &f->file, f->buf, sizeof f->buf, f->at));
 *         if (r <= 0)
 *             break;
 *         fwrite(f->buf, 1, (size_t)r, stdout);
 *         f->at += r;
 *         r = 0;
 *     }
 *     nart_file_finish(&f->file);
 *     nart_file_op_close(&f->op);
 *     NART_END(r);
 * }
 * ```
 *
 * A file is replaced whole, or not at all:
 *
 *     NART_AWAIT(r, nart_file_replace(cx, &f->op, "settings", f->text, f->len, 0644));
 *
 * Rules for all operations
 *  1. An operation is in a nart_file_op of the caller: zeroed = idle, used again after each answer, closed by
 *     nart_file_op_close(). One operation at a time uses it.
 *  2. No thread of the pool uses a buffer or a path of the caller: what is written, and paths, are copied before the
 *     first call returns; what is read is copied when the operation answers. So they need to stay only while the
 *     operation is awaited, and a task may leave it at any time.
 *  3. A task that leaves an operation (it is cancelled, its deadline passes, it loses a race, it is dropped): one that
 *     has not begun does nothing. One that runs continues: a write, a rename or an unlink may then be done or not;
 *     what it has read or opened is discarded. The position in `offset` is the caller's, so nothing is skipped.
 *  4. Several operations on one file may be in flight, each in a nart_file_op of its own. They run at the same time and
 *     end in any order. Await one before the next where order matters; or use a pool of one thread, which keeps it.
 *  5. A file is closed when its handle and all operations on it have ended: no operation reaches another file that
 *     got the same descriptor.
 *  6. Every operation can answer these errors, which are not repeated below: -ECANCELED and -ETIMEDOUT, and what
 *     nart_work_run() answers: -EBUSY the nart_file_op is in use; NART_EABORTED it was closed meanwhile; -EAGAIN no
 *     thread could be started; -ENOMEM; NART_ESHUTDOWN; NART_EFORK; -EINVAL an argument is missing; -EPERM; and
 *     -errno of the system call. Interrupted calls are repeated.
 *
 * **Thread** of all operations: a poll of any driver. **Cost**: as nart_work_run(), and a copy.
 */
#ifndef NART_FILE_H
#define NART_FILE_H

#include "stream.h"
#include "work.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most bytes that one read or write transfers: a larger one is short. */
#define NART_FILE_MAX (1u << 20)

/** For `offset`: at the position of the open file, which moves. Other negative offsets answer -EINVAL. */
#define NART_FILE_POSITION (-1)

struct nart__file;

/** An open file or directory. Zeroed = closed. May be moved by assignment; do not copy it. **Thread**: one at a time. */
typedef struct nart_file {
    /* private */
    struct nart__file *shared;
} nart_file;

/** An operation. Zeroed = idle. It keeps the memory of its last operation for the next. */
typedef struct nart_file_op {
    nart_workers *pool; /**< that runs it; NULL: the default pool */
    /* private */
    nart_work work;
} nart_file_op;

/** Closes an operation, as nart_work_close(): a task that awaits it is woken and gets NART_EABORTED. Never blocks.
 *  NULL and idle ones are fine. */
NART_API void nart_file_op_close(nart_file_op *op);

/* ---- open files ---- */

/** Opens a file. `flags` and `mode` are those of open(2); O_CLOEXEC is always set. Opening a FIFO waits for its other
 *  end, and keeps a thread of the pool until then: pass O_NONBLOCK, or use nart_fifo_open().
 *  @return 0 and `*out`; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_open(nart_cx *cx, nart_file_op *op, nart_file *out,
                                               const char *path, int flags, mode_t mode);

/** Makes a file of a descriptor, which it owns from then on. @return 0; -EINVAL; -ENOMEM. **Thread**: any. */
NART_API NART_MUST_USE nart_res nart_file_adopt(nart_file *out, int fd);

/** The descriptor, which stays the file's; -EBADF: closed. **Thread**: the handle's. */
NART_API nart_res nart_file_fd(const nart_file *f);

/** Closes a file on the pool, where close(2) may block, and answers its error. `*f` is empty from the first
 *  NART_PENDING on: the file is closed even if the task then leaves. While other operations use it, it is closed after the last.
 *  After NART_ESHUTDOWN and -EAGAIN it was closed on this thread.
 *  @return 0; -EBADF; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_close(nart_cx *cx, nart_file_op *op, nart_file *f);

/** Closes a file on this thread, unless operations use it: for drops, and files that were only read. Errors are lost.
 *  NULL and closed ones are fine. **Thread**: the handle's. */
NART_API void nart_file_finish(nart_file *f);

/** Reads at most `len` bytes from `offset` on. @return the number of bytes, which may be less than `len`; 0 the end of
 *  the file, or behind it; -EINVAL also: `offset` and `len` exceed INT64_MAX; -EBADF; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_read(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                               void *buf, size_t len, int64_t offset);

/** Writes at most `len` bytes from `offset` on; with O_APPEND at the end, whatever `offset` is.
 *  @return the number of bytes, which may be less than `len`; -EBADF; -ENOSPC no space is left; -EFBIG beyond the limit
 *  of the process, or what files of the file system can have; -EINVAL also: `offset` and `len` exceed INT64_MAX; see
 *  rule 6. */
NART_API NART_MUST_USE nart_res nart_file_write(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                                const void *buf, size_t len, int64_t offset);

/** The same into several pieces, in one call. @return as nart_file_read(). */
NART_API NART_MUST_USE nart_res nart_file_readv(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                                const struct iovec *pieces, size_t n,
                                                int64_t offset);

/** The same from several pieces. @return as nart_file_write(). */
NART_API NART_MUST_USE nart_res nart_file_writev(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                                 const struct iovec *pieces, size_t n,
                                                 int64_t offset);

/** fsync(2); `data_only`: fdatasync(2). Of a directory: its names are on the disk, too. @return 0; -EBADF; -EIO what was written before is lost; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_sync(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                               bool data_only);

/** ftruncate(2). @return 0; -EBADF; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_truncate(nart_cx *cx, nart_file_op *op,
                                                   const nart_file *f, int64_t size);

/** What is known of a file. Times are nanoseconds since 1970; one before 1677 or after 2262 is the nearest that fits. */
typedef struct nart_file_info {
    uint64_t dev, ino, links; /**< the device, the number on it, the number of names */
    uint64_t size, blocks;    /**< bytes, and blocks of 512 bytes */
    uint32_t mode, uid, gid;  /**< type and permissions, the owner */
    uint32_t reserved0;
    int64_t accessed, modified, changed; /**< the content, the content, the status */
    uint64_t reserved[2];
} nart_file_info;

/** fstat(2). @return 0 and `*out`; -EBADF; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_stat(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                               nart_file_info *out);

/* ---- streams ---- */

/**
 * A file as the transport of a nart_stream, which reads and writes it sequentially, each direction from an offset of its
 * own. Zero it, then set the first four fields. It stays where it is as long as the stream is used; nart_stream_close()
 * closes it and the file. One stream writes a part of a file at a time.
 *
 *     f->fs = (nart_file_stream){ .file = &f->file };
 *     r = nart_stream_init_file(&f->s, &f->fs, f->buf, sizeof f->buf);
 */
typedef struct nart_file_stream {
    nart_file *file;           /**< an open file */
    nart_workers *pool;        /**< that does the work; NULL: the default pool */
    int64_t read_at, write_at; /**< the next byte; they move with the bytes that are answered */
    /* private */
    nart_file_op in, out;
    uint32_t write, reserved;
} nart_file_stream;

/**
 * Begins a stream over a file. Operations of the stream can answer what nart_file_read() and nart_file_write() do. A
 * write that its task has left may still be done; the next one waits for that, and begins at the same offset: so the same
 * call repeats it, and an older write never overtakes a newer one. nart_stream_shutdown() flushes, and answers
 * -EOPNOTSUPP: a file has no peer that reads an end.
 * @return 0; -EINVAL no `io` or file, a negative offset, a file opened with O_APPEND, or as nart_stream_init(); -EBADF
 *   the file is closed. **Ownership**, **Thread**: as nart_stream_init().
 */
NART_API NART_MUST_USE nart_res nart_stream_init_file(nart_stream *s, nart_file_stream *io,
                                                      void *buf, size_t cap);

/* ---- paths ---- */

/** stat(2); `link`: lstat(2). @return 0 and `*out`; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_stat(nart_cx *cx, nart_file_op *op, const char *path,
                                               bool link, nart_file_info *out);

/** rename(2). @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_rename(nart_cx *cx, nart_file_op *op, const char *from,
                                                 const char *to);

/** unlink(2); `directory`: rmdir(2). @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_remove(nart_cx *cx, nart_file_op *op, const char *path,
                                                 bool directory);

/** mkdir(2). @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_mkdir(nart_cx *cx, nart_file_op *op, const char *path,
                                                mode_t mode);

/** Creates a directory, and before it those that are missing above it, which get the mode 0777; as `mkdir -p`.
 *  After an error some of them may exist. @return 0, also if it exists; -EEXIST it is no directory; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_mkdirs(nart_cx *cx, nart_file_op *op, const char *path,
                                                 mode_t mode);

/** link(2): `to` becomes another name of `from`. @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_link(nart_cx *cx, nart_file_op *op, const char *from,
                                               const char *to);

/** symlink(2): `path` becomes a link that reads `text`. @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_symlink(nart_cx *cx, nart_file_op *op, const char *text,
                                                  const char *path);

/** What a symbolic link reads, with a NUL. @return its length without that; -ENAMETOOLONG `size` is too small; see
 *  rule 6. */
NART_API NART_MUST_USE nart_res nart_path_readlink(nart_cx *cx, nart_file_op *op, const char *path,
                                                   char *buf, size_t size);

/** realpath(3): the path without symbolic links. @return as nart_path_readlink(). */
NART_API NART_MUST_USE nart_res nart_path_real(nart_cx *cx, nart_file_op *op, const char *path,
                                               char *buf, size_t size);

/** access(2), with the process's real ids; `mode`: F_OK, or of R_OK, W_OK and X_OK of unistd.h.
 *  @return 0; -EACCES not allowed; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_access(nart_cx *cx, nart_file_op *op, const char *path,
                                                 int mode);

/**
 * mkostemp(3): creates a file of a new name, with mode 0600, and opens it for reading and writing.
 * @param name ends with "XXXXXX", which the answer replaces.
 * @return 0, `*out` and `name`; -EINVAL also another end; see rule 6. A task that leaves leaves no file.
 */
NART_API NART_MUST_USE nart_res nart_file_temp(nart_cx *cx, nart_file_op *op, nart_file *out,
                                               char *name);

/** mkdtemp(3): the same for a directory, of mode 0700. @return 0 and `name`; as nart_file_temp(). */
NART_API NART_MUST_USE nart_res nart_path_mkdtemp(nart_cx *cx, nart_file_op *op, char *name);

/* ---- attributes ---- */

/** fchmod(2). @return 0; -EBADF; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_chmod(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                                mode_t mode);

/** chmod(2). @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_chmod(nart_cx *cx, nart_file_op *op, const char *path,
                                                mode_t mode);

/** fchown(2); an id of -1 stays as it is. @return 0; -EBADF; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_chown(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                                uid_t uid, gid_t gid);

/** chown(2); `link`: lchown(2). @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_chown(nart_cx *cx, nart_file_op *op, const char *path,
                                                bool link, uid_t uid, gid_t gid);

/** A time that stays as it is, and the present time, for the two below. */
#define NART_FILE_TIME_OMIT INT64_MIN
#define NART_FILE_TIME_NOW INT64_MAX

/** futimens(3), in nanoseconds since 1970. @return 0; -EBADF; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_utimes(nart_cx *cx, nart_file_op *op, const nart_file *f,
                                                 int64_t accessed, int64_t modified);

/** utimensat(2); `link`: of a symbolic link itself. @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_utimes(nart_cx *cx, nart_file_op *op, const char *path,
                                                 bool link, int64_t accessed, int64_t modified);

/** What is known of a file system. */
typedef struct nart_fs_info {
    uint64_t type;                    /**< see statfs(2) */
    uint64_t block_size;              /**< bytes */
    uint64_t blocks, free, available; /**< in blocks; `available` to users without privileges */
    uint64_t files, files_free;       /**< the most that can exist, and how many more */
    uint64_t name_max;                /**< bytes of a name */
    uint64_t reserved[4];
} nart_fs_info;

/** statfs(2): of the file system that has `path`. @return 0 and `*out`; see rule 6. */
NART_API NART_MUST_USE nart_res nart_path_statfs(nart_cx *cx, nart_file_op *op, const char *path,
                                                 nart_fs_info *out);

/* ---- whole files ---- */

/** Reads a whole file of at most `limit` bytes. A NUL that `*len` does not count follows.
 *  @return 0, `*data` and `*len`; -EFBIG it is larger; see rule 6. **Ownership**: `*data` is the caller's to free(). */
NART_API NART_MUST_USE nart_res nart_file_load(nart_cx *cx, nart_file_op *op, const char *path,
                                               size_t limit, char **data, size_t *len);

/** Replaces a file, or creates it: others see the old content or the new one, also after a crash. The new one is
 *  written to a temporary file in the same directory ("name.XXXXXX"), which is synced and renamed; then the directory
 *  is synced. After an error the old file is untouched and the temporary file removed, unless the last step failed.
 *  `mode` is changed by the umask. A symbolic link is replaced itself, and so is one of several hard links; the new file is
 *  the process's own. Its name has at most NAME_MAX - 7 bytes. @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_replace(nart_cx *cx, nart_file_op *op, const char *path,
                                                  const void *data, size_t len, mode_t mode);

/** Copies a file to a new content of `to` in the same way, with the permissions of `from` (the lower 9 bits of its
 *  mode), changed by the umask. A cancelled copy ends between two pieces, and `to` is untouched. @return 0; see rule 6. */
NART_API NART_MUST_USE nart_res nart_file_copy(nart_cx *cx, nart_file_op *op, const char *from,
                                               const char *to);

/* ---- directories ---- */

/** An entry of a directory. */
typedef struct nart_dir_entry {
    uint64_t ino;     /**< its number on the device */
    uint32_t type;    /**< DT_REG and so on: include <dirent.h>; 0: unknown, see nart_path_stat() */
    const char *name; /**< valid until the operation is used again or closed */
} nart_dir_entry;

/**
 * Reads the next entries of a directory, which nart_file_open() has opened with O_RDONLY | O_DIRECTORY. `*cursor` is 0
 * before the first call, and is moved with the answer. "." and ".." are left out, and never count as the end.
 * @return the number of entries, at most `max`; 0 the end; -EBADF; -EINVAL also `max` is 0; see rule 6.
 */
NART_API NART_MUST_USE nart_res nart_dir_read(nart_cx *cx, nart_file_op *op, const nart_file *dir,
                                              int64_t *cursor, nart_dir_entry *entries, size_t max);

#ifdef __cplusplus
}
#endif
#endif

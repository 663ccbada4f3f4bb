/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* file_stream.c: a file as the transport of a stream.
 *
 * What it keeps true
 *  - An offset moves when the bytes are answered. So a read that was left is repeated, and nothing is skipped.
 *  - At most one write is in flight. One whose operation was left continues: the next operation waits for its end, does not
 *    look at its result, and writes at the same offset. So what the stream wrote last is what stays.
 *  - The stream looks first whether the task has to leave: then it does not call. */
#include "../file/file.h"
#include "../wait/wait.h"

enum { NO_WRITE, WRITE, WRITE_LEFT };

static nart_res file_read(nart_cx *cx, void *io, void *buf, size_t len)
{
    nart_file_stream *fs = io;

    nart_res r = nart_file_read(cx, &fs->in, fs->file, buf, len, fs->read_at);
    if (r > (nart_res)len) /* the operation has begun with more room */
        r = (nart_res)len;
    if (r > 0)
        fs->read_at += r;
    return r;
}

static nart_res file_write(nart_cx *cx, void *io, const struct iovec *pieces, size_t n)
{
    nart_file_stream *fs = io;
    nart_work *w = &fs->out.work;
    nart_res r;

    if (fs->write == WRITE && !w->wait.task)
        fs->write = WRITE_LEFT;
    if (fs->write == WRITE_LEFT) {
        r = nart_work_await(cx, w);
        if (!nart_work_done(w))
            return r;
        fs->write = NO_WRITE;
    }
    if (fs->write == NO_WRITE) {
        r = nart__enter(cx, &w->wait); /* a task that is cancelled begins none */
        if (r)
            return r;
        r = nart__file_write_start(&fs->out, fs->file, pieces, n, fs->write_at);
        if (r)
            return r;
        fs->write = WRITE;
    }
    r = nart_work_await(cx, w);
    if (!nart_work_done(w))
        return r;
    fs->write = NO_WRITE;
    if (r > 0)
        fs->write_at += r;
    return r;
}

static nart_res file_close(void *io)
{
    nart_file_stream *fs = io;

    nart_file_op_close(&fs->in);
    nart_file_op_close(&fs->out);
    fs->write = NO_WRITE;
    nart_file_finish(fs->file);
    return 0;
}

static const nart_stream_type stream_type = { NART_STREAM_ABI, 0,    "file", file_read,
                                              file_write,      NULL, NULL,   file_close,
                                              { NULL, NULL } };

nart_res nart_stream_init_file(nart_stream *s, nart_file_stream *io, void *buf, size_t cap)
{
    nart_res fd = io && io->file ? nart_file_fd(io->file) : -EINVAL;

    if (fd < 0)
        return fd;
    if (io->read_at < 0 || io->write_at < 0 || fcntl((int)fd, F_GETFL) & O_APPEND)
        return -EINVAL;
    io->in.pool = io->out.pool = io->pool;
    return nart_stream_init(s, &stream_type, io, buf, cap);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/**
 * @file nart/sample.h
 * What a page can contain. Each rule of docs/reference/headers.py, and each part of a page, once.
 *
 *     nart_sample s = { 0 }; // an example
 *
 *     nart_sample_fill(&s, '-');
 *
 * Rules:
 *  1. A rule with a list:
 *      - one `item`;
 *      - another.
 *  2. Another rule: see rule 1.
 *
 * | a table     | is        |
 * |-------------|-----------|
 * | `a \ b` < c | -EINVAL   |
 */
#ifndef NART_SAMPLE_H
#define NART_SAMPLE_H

/* ---- types ------------------------------------------------------------------------------------- */

/** A handle. Zeroed = closed. */
typedef struct nart_sample {
    /* private */
    int fd;
} nart_sample;

/** Kinds. */
typedef enum nart_sample_kind {
    NART_SAMPLE_FIRST = 1, /**< the first */
    NART_SAMPLE_LAST       /**< the last */
} nart_sample_kind;

enum {
    NART_SAMPLE_FLAG = 4 /**< a flag; see NART_SAMPLE_* */
};

/** Options. */
typedef struct nart_sample_opts {
    size_t size;              /**< sizeof(nart_sample_opts) */
    const char *const *names; /**< `n` of them */
    uint32_t n, most;         /**< their number, and a limit */
    /** Called at the end. */
    void (*done)(void *arg, int how);
    uint64_t reserved[2];
} nart_sample_opts;

#define NART_SAMPLE_OPTS_INIT NART__SIZED(nart_sample_opts)

/** A number. */
#define NART_SAMPLE_SIZE 12
#define NART_SAMPLE_LARGE 24

/* ---- functions --------------------------------------------------------------------------------- */

/**
 * Fills a sample, "as it is" (nart_sample_empty() undoes it). .hidden is no request, nor is 'this'.
 * @param c a byte.
 * @return the number of bytes; -EINVAL `c` is 0 (or below; see rule 2); -EBADF, NART_EABI: both. A sentence
 *   after the list.
 * **Ownership**: the caller's. **Thread**: any.
 * **Cost**: one call.
 */
NART_API NART_MUST_USE nart_res nart_sample_fill(nart_sample *s, char c);

/** The same in a body. @return as nart_sample_fill(). **Thread**: the poller's. */
NART_API nart_res nart_sample_fill_here(nart_cx *cx, nart_sample *s, char c);

/** Empties or frees it: `s->fd` is -1 then. */
NART_API void nart_sample_empty(nart_sample *s);
NART_API void nart_sample_free(nart_sample *s);

/** Awaits it. */
#define NART_SAMPLE_AWAIT(dst, ...) NART__AWAIT(dst, __VA_ARGS__)

/** A callback. */
typedef void (*nart_sample_fn)(void *arg);

#endif

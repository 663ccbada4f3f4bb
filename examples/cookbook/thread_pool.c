/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread_pool.c: threads that block send requests to a loop, which answers them. Together they count the distinct words
 * of files.
 *
 * What to look at
 *  - the index of words belongs to the loop. It needs no lock, whatever the number of threads is.
 *  - one MPSC channel carries the requests of all threads; each thread has an SPSC channel for its answers. Threads
 *    have no loop: they use nart_send_blocking() and nart_recv_blocking().
 *  - a thread blocks while the channel of requests is full, and until it is answered. So the queues are bounded.
 *  - count() ends when all threads have closed their senders. run() closes the loop's ends on every path, before it
 *    joins a thread that uses them. So no thread waits for ever.
 * Usage: thread_pool FILE... Every 31 bytes of a longer word count as a word. */
#include <nart/nart.h>

#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, WORD = 32 };

struct request {
    uint32_t thread;
    char word[WORD];
};

NART_CHAN_TYPED(request, struct request);
NART_CHAN_TYPED(answer, bool); /* is the word new? */

struct thread {
    pthread_t id;
    bool runs;
    uint32_t number;
    nart_tx requests;
    nart_rx answers;
    char **names; /* of all files */
    int files;
    uint64_t words, new_words;
    nart_res end;
};

struct pool {
    struct thread threads[THREADS];
    nart_tx answers[THREADS];
    nart_rx requests;
    void *index; /* of tsearch() */
};

/* ---- on a thread ---- */

static nart_res read_file(struct thread *t, FILE *file)
{
    struct request ask = { .thread = t->number };
    bool is_new = false;
    nart_res r = 0;

    while (r == 0 && fscanf(file, "%31s", ask.word) == 1) {
        r = nart_send_blocking(&t->requests, &ask, NART_NEVER);
        if (r == 0)
            r = nart_recv_blocking(&t->answers, &is_new, NART_NEVER);
        t->words += r == 0;
        t->new_words += r == 0 && is_new;
    }
    return r == 0 && ferror(file) ? -EIO : r;
}

static void *thread_main(void *arg)
{
    struct thread *t = arg;

    for (int i = (int)t->number; i < t->files && t->end == 0; i += THREADS) {
        FILE *file = fopen(t->names[i], "r");

        t->end = file ? read_file(t, file) : -errno;
        if (file)
            fclose(file);
    }
    nart_tx_close(&t->requests);
    nart_rx_close(&t->answers);
    return NULL;
}

/* ---- on the loop ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Answers 1 if the word is new, 0 if not, or -ENOMEM. */
static nart_res add_word(void **index, const char *word)
{
    char *copy = strdup(word), **found = copy ? tsearch(copy, index, compare) : NULL;
    const bool is_new = found && *found == copy;

    if (!is_new)
        free(copy);
    return found ? is_new : -ENOMEM;
}

static nart_res count(nart_cx *cx, void *arg)
{
    struct pool *pool = arg;
    struct request ask;
    nart_res r;

    while ((r = nart_await(cx, request_recv(cx, &pool->requests, &ask))) == 0) {
        r = add_word(&pool->index, ask.word);
        if (r >= 0) /* the thread waits for it, so there is space */
            r = answer_try_send(&pool->answers[ask.thread], r == 1);
        if (r < 0)
            break;
    }
    return r == NART_ECLOSED ? 0 : r;
}

static nart_res start(nart_rt *rt, struct pool *pool, const nart_tx *requests, uint32_t number)
{
    struct thread *t = &pool->threads[number];
    nart_res r = nart_tx_clone(requests, &t->requests);

    t->number = number;
    if (r == 0)
        r = answer_open(rt, NART_CHAN_SPSC, 1, &pool->answers[number], &t->answers);
    if (r == 0)
        r = nart_rx_bind(&t->answers, NULL); /* a thread without a loop receives */
    if (r == 0)
        r = -pthread_create(&t->id, NULL, thread_main, t);
    t->runs = r == 0;
    if (r < 0) {
        nart_tx_close(&t->requests);
        nart_rx_close(&t->answers);
    }
    return r;
}

static nart_res run(nart_rt *rt, struct pool *pool)
{
    nart_tx requests;
    nart_res ended = 0, r = request_open(rt, NART_CHAN_MPSC, 64, &requests, &pool->requests);

    for (uint32_t i = 0; i < THREADS && r == 0; i++)
        r = start(rt, pool, &requests, i);
    nart_tx_close(&requests); /* the threads have their own */
    if (r == 0)
        r = nart_fiber_block_on(rt, count, pool, NULL, &ended);
    nart_rx_close(&pool->requests);
    for (int i = 0; i < THREADS; i++) {
        nart_tx_close(&pool->answers[i]);
        if (pool->threads[i].runs)
            pthread_join(pool->threads[i].id, NULL);
        if (r == 0)
            r = ended < 0 ? ended : pool->threads[i].end;
    }
    return r;
}

int main(int argc, char **argv)
{
    struct pool pool = { .index = NULL };
    uint64_t words = 0, new_words = 0;
    nart_rt *rt = NULL;
    nart_res r = nart_rt_new(NULL, &rt);

    for (int i = 0; i < THREADS; i++) {
        pool.threads[i].names = argv + 1;
        pool.threads[i].files = argc - 1;
    }
    if (r == 0)
        r = run(rt, &pool);
    for (int i = 0; i < THREADS; i++) {
        words += pool.threads[i].words;
        new_words += pool.threads[i].new_words;
    }
    printf("%llu words, %llu different ones\n", (unsigned long long)words,
           (unsigned long long)new_words);
    if (r < 0)
        fprintf(stderr, "thread_pool: %s\n", nart_strerror(r));
    tdestroy(pool.index, free);
    nart_rt_free(rt);
    return r < 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* journal.h: an append-only file of records. What journal_append() has acknowledged survives a crash. */
#ifndef SEALER_JOURNAL_H
#define SEALER_JOURNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct record {
    uint64_t seq; /* its position, counted from 1 */
    uint64_t n, seal;
};

struct journal {
    int fd;
    bool broken; /* what is on the disk is not known */
    uint64_t records;
    pthread_mutex_t lock;
};

/* Opens or creates the file, and removes a record that was cut off. Returns 0 or -errno: -EWOULDBLOCK if
 * another process has it open. */
int journal_open(struct journal *j, const char *path);

void journal_close(struct journal *j);

/* Sets r->seq and returns 0 when the record is on the disk. Otherwise -errno: then it may be in the file
 * or not. Any thread; blocks. */
int journal_append(struct journal *j, struct record *r);

/* The text of a record in the journal: three numbers, a checksum of them, and a line feed. */
enum { RECORD_TEXT = 4 * 17 };
void record_format(const struct record *r, char text[RECORD_TEXT + 1]);

/* Mixes the bits of a number. It stands for a cryptographic hash. */
static inline uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

#endif

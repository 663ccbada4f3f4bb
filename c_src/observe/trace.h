/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* trace.h: the events and the state of a trace. See trace.c and trace_json.c. */
#ifndef NART_OBSERVE_TRACE_H
#define NART_OBSERVE_TRACE_H

#include "../core/runtime.h"

#include <nart/detail/trace.h>

/* Tracks that belong to no task. */
enum {
    NART__TRACK_INBOX = 1,
    NART__TRACK_TIMERS,
    NART__TRACK_EVENTS,
    NART__TRACK_PROGRAM,
    NART__TRACK_TASKS
};

typedef enum nart__trace_kind {
    NART__TRACE_SPAWN,
    NART__TRACE_WAKE,  /* flow: of the arrow that begins here */
    NART__TRACE_BEGIN, /* of a poll. flow: of the arrow that ends here; 0: none */
    NART__TRACE_PARK,  /* end of a poll */
    NART__TRACE_END,   /* the same, and of the task: result */
    NART__TRACE_OUT,   /* flow: of the arrow to a guest that begins here */
    NART__TRACE_IN     /* flow: of the arrow from a guest that ends here */
} nart__trace_kind;

typedef struct nart__trace_event {
    int64_t at;
    union {
        const char *name; /* of the task that begins, is woken, spawned or polled */
        nart__trace_guest *guest;
    };
    union {
        nart_task task;
        uint32_t arrow;
    };
    nart__trace_kind kind;
    uint32_t track; /* the track that shows it */
    union {
        uint64_t flow;
        nart_res result;
    };
} nart__trace_event;

/* The state of the task in a slot. */
typedef struct nart__trace_lane {
    uint64_t flow; /* the arrow that its next poll ends; 0: none */
    uint32_t gen, track, shown;
} nart__trace_lane;

typedef struct nart__trace {
    nart_rt *rt;
    size_t bytes;
    int64_t begun;
    uint64_t flows;    /* arrows so far */
    uint64_t count;    /* events so far */
    uint32_t capacity; /* events that the ring holds */
    uint32_t tracks;   /* the next track */
    uint32_t lane_count;
    nart__trace_lane *lanes;   /* of each slot number below lane_count; grows with the slots */
    nart__trace_lane spare;    /* shared by slots without a lane */
    nart__trace_event *events; /* a ring: event i is at i % capacity */
    nart__trace_guest *guests;
} nart__trace;

static inline nart__trace_lane *nart__trace_lane_at(nart__trace *tr, uint32_t slot)
{
    return slot < tr->lane_count ? &tr->lanes[slot] : &tr->spare;
}

void nart__trace_begins(nart__trace *tr, const nart__task *t, int64_t at);
void nart__trace_ends(nart__trace *tr, const nart__task *t, uint32_t gen, bool ended, int64_t at);
void nart__trace_woken(nart__trace *tr, const nart__task *t, nart__cause cause, int64_t at);
void nart__trace_free(nart__trace *tr);

/* The number of events that were overwritten, or -EIO. */
nart_res nart__trace_print(nart__trace *tr, FILE *out);

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* trace_json.c: writes a trace as JSON, in the Trace Event Format of Chrome's and Perfetto's viewers.
 *
 * What it keeps true, whatever the ring has overwritten: slices nest (each E has its B), each arrow that
 * ends has begun, times ascend.
 *
 * 1. One line per event, oldest first. A poll is a pair B, E on the track of its task; a spawn and an end
 *    are marks there (i); an arrow is a pair s, f, each within a slice. An arrow that begins outside of a
 *    poll gets a slice of length zero.
 * 2. If events were overwritten, or the trace was started inside a poll, the first events may be the end
 *    of a poll, and wakes in it, without its B: they are left out.
 * 3. A poll that has not ended is shown as ending now.
 *
 * Times are in microseconds, with three digits for nanoseconds. */
#include "trace.h"

#include <inttypes.h>
#include <string.h>

typedef struct printer {
    nart__trace *tr;
    FILE *out;
    int64_t at;      /* time of the event being written */
    uint32_t open;   /* the track whose slice is open; 0: none */
    uint64_t arrows; /* the first arrow written; 0: none yet */
} printer;

static void print_escaped(FILE *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if ((unsigned char)*s < ' ')
            fprintf(out, "\\u%04x", (unsigned)*s);
        else
            fputc(*s, out);
    }
}

/* NART_TASK_TYPE(struct conn, ...) names its type "struct conn". */
static void print_name(FILE *out, const char *name)
{
    print_escaped(out, strncmp(name, "struct ", 7) == 0 ? name + 7 : name);
}

/* Begins a line. The first line of the file is not an event, so each one begins with a comma. */
static void head(const printer *p, const char *ph, uint32_t track)
{
    int64_t ns = p->at - p->tr->begun;
    fprintf(p->out, ",\n{\"ph\":\"%s\",\"pid\":1,\"tid\":%" PRIu32 ",\"ts\":%" PRId64 ".%03d", ph,
            track, ns / 1000, (int)(ns % 1000));
}

static void print_track(const printer *p, uint32_t track, const char *name, const nart_task *task)
{
    fprintf(p->out, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%" PRIu32 ",\"name\":\"thread_name\",",
            track);
    fputs("\"args\":{\"name\":\"", p->out);
    print_name(p->out, name);
    if (task)
        fprintf(p->out, "#%" PRIu32, task->slot);
    fputs("\"}}", p->out);
}

/* Writes the name of a task's track, once. */
static void name_track(const printer *p, const nart__trace_event *ev)
{
    nart__trace_lane *lane = nart__trace_lane_at(p->tr, ev->task.slot);

    if (lane->shown == ev->track)
        return;
    lane->shown = ev->track;
    print_track(p, ev->track, ev->name, &ev->task);
}

static void print_mark(const printer *p, uint32_t track, const char *what)
{
    head(p, "i", track);
    fprintf(p->out, ",\"s\":\"t\",\"name\":\"%s\"}", what);
}

static void print_arrow(const printer *p, const char *ph, uint32_t track, uint64_t flow)
{
    head(p, ph, track);
    fprintf(p->out, ",\"id\":%" PRIu64 ",\"cat\":\"wake\",\"name\":\"wake\"}", flow);
}

static void print_wake(printer *p, const nart__trace_event *ev)
{
    bool slice = ev->track < NART__TRACK_TASKS;

    if (!slice && p->open != ev->track)
        return;
    if (slice) {
        head(p, "B", ev->track);
        fputs(",\"name\":\"", p->out);
        print_name(p->out, ev->name);
        fprintf(p->out, "#%" PRIu32 "\"}", ev->task.slot);
    }
    print_arrow(p, "s", ev->track, ev->flow);
    if (slice) {
        head(p, "E", ev->track);
        fputs("}", p->out);
    }
    if (!p->arrows)
        p->arrows = ev->flow;
}

static void print_begin(printer *p, const nart__trace_event *ev)
{
    head(p, "B", ev->track);
    fputs(",\"name\":\"", p->out);
    print_name(p->out, ev->name);
    fprintf(p->out, "\",\"args\":{\"task\":\"%" PRIu32 ":%" PRIu32 "\"}}", ev->task.slot,
            ev->task.gen);
    p->open = ev->track;
    if (ev->flow && p->arrows && ev->flow >= p->arrows)
        print_arrow(p, "f\",\"bp\":\"e", ev->track, ev->flow);
}

static void print_end(printer *p, const nart__trace_event *ev)
{
    if (p->open != ev->track)
        return;
    head(p, "E", ev->track);
    const char *error = nart_err_name(ev->result);
    if (ev->result < 0 && strcmp(error, "unknown") != 0)
        fprintf(p->out, ",\"args\":{\"result\":\"%s\"}}", error);
    else
        fprintf(p->out, ",\"args\":{\"result\":%" PRId64 "}}", ev->result);
    p->open = 0;
    if (ev->kind == NART__TRACE_END)
        print_mark(p, ev->track, "end");
}

static void print_event(printer *p, const nart__trace_event *ev)
{
    p->at = ev->at;
    switch (ev->kind) {
    case NART__TRACE_SPAWN:
        name_track(p, ev);
        print_mark(p, ev->track, "spawn");
        break;
    case NART__TRACE_WAKE:
        print_wake(p, ev);
        break;
    case NART__TRACE_BEGIN:
        name_track(p, ev);
        print_begin(p, ev);
        break;
    case NART__TRACE_PARK:
    case NART__TRACE_END:
        print_end(p, ev);
        break;
    }
}

nart_res nart__trace_print(nart__trace *tr, FILE *out)
{
    static const char *const others[] = { "inbox", "timers", "events", "program" };
    uint64_t lost = tr->count > tr->capacity ? tr->count - tr->capacity : 0;
    printer p = { .tr = tr, .out = out };

    for (uint32_t i = 0; i < tr->lane_count; i++)
        tr->lanes[i].shown = 0;
    fprintf(out, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"lost\":%" PRIu64 "},\n", lost);
    fputs("\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":"
          "\"",
          out);
    print_escaped(out, tr->rt->name);
    fputs("\"}}", out);
    for (uint32_t i = 0; i < NART__TRACK_TASKS - NART__TRACK_INBOX; i++)
        print_track(&p, NART__TRACK_INBOX + i, others[i], NULL);
    for (uint64_t i = lost; i < tr->count; i++)
        print_event(&p, &tr->events[i % tr->capacity]);
    if (p.open) {
        p.at = nart__rt_now(tr->rt);
        head(&p, "E", p.open);
        fputs("}", out);
    }
    fputs("\n]}\n", out);
    return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}

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
 * 4. Each guest is a process of its own, behind the runtime's events. Of its arrows only those are written whose
 *    begin is: it is asked for those that begin in its part, and notified of those that begin in the runtime's.
 *
 * Times are in microseconds, with three digits for nanoseconds. */
#include "../wait/short_name.h"
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

static void print_escaped_n(FILE *out, const char *s, size_t n)
{
    for (const char *end = s + n; s < end; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if ((unsigned char)*s < ' ')
            fprintf(out, "\\u%04x", (unsigned)*s);
        else
            fputc(*s, out);
    }
}

static void print_escaped(FILE *out, const char *s)
{
    print_escaped_n(out, s, strlen(s));
}

static void print_name(FILE *out, const char *name)
{
    print_escaped(out, nart__short_name(name));
}

/* Begins a line. The first line of the file is not an event, so each one begins with a comma. */
static void head_of(const printer *p, const char *ph, uint32_t process, uint32_t track, int64_t at)
{
    int64_t ns = at - p->tr->begun;
    fprintf(p->out,
            ",\n{\"ph\":\"%s\",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32 ",\"ts\":%" PRId64 ".%03d", ph,
            process, track, ns / 1000, (int)(ns % 1000));
}

static void head(const printer *p, const char *ph, uint32_t track)
{
    head_of(p, ph, 1, track, p->at);
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

/* ---- guests ---- */

/* The process of a guest. */
static uint32_t process_of(const nart__trace *tr, const nart__trace_guest *guest)
{
    uint32_t n = 2;

    for (const nart__trace_guest *g = tr->guests; g != guest; g = g->next)
        n++;
    return n;
}

/* The end of a line of an arrow. Numbers of two processes differ, and viewers read them as doubles. */
static void print_flow(FILE *out, uint32_t process, uint32_t arrow, uint64_t flow)
{
    fprintf(out, ",\"id\":%" PRIu64 ",\"cat\":\"tokio\",\"name\":\"%s\"}",
            ((uint64_t)process << 40) + flow, arrow == NART__TRACE_SUBMIT ? "submit" : "answer");
}

/* The end of an arrow that lies in the runtime's part. Outside of a poll it gets a slice of length zero. */
static void print_guest_arrow(const printer *p, const nart__trace_event *ev)
{
    bool begins = ev->kind == NART__TRACE_OUT, slice = ev->track < NART__TRACK_TASKS;

    if (!slice && p->open != ev->track)
        return;
    if (!begins && !ev->guest->begins(ev->guest, ev->arrow, ev->flow))
        return;
    if (slice) {
        head(p, "B", ev->track);
        fprintf(p->out, ",\"name\":\"%s\"}", begins ? "submit" : "read");
    }
    head(p, begins ? "s" : "f\",\"bp\":\"e", ev->track);
    print_flow(p->out, process_of(p->tr, ev->guest), ev->arrow, ev->flow);
    if (slice) {
        head(p, "E", ev->track);
        fputs("}", p->out);
    }
    if (begins)
        ev->guest->begun(ev->guest, ev->arrow, ev->flow);
}

static void print_item(const printer *p, uint32_t process, const nart__trace_item *item)
{
    switch (item->what) {
    case NART__TRACE_THREAD:
        fprintf(p->out,
                ",\n{\"ph\":\"M\",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32
                ",\"name\":\"thread_name\",\"args\":{\"name\":\"",
                process, item->thread);
        print_escaped_n(p->out, item->name, item->name_len);
        fputs("\"}}", p->out);
        break;
    case NART__TRACE_SLICE:
        head_of(p, "X", process, item->thread, item->at);
        fprintf(p->out, ",\"dur\":%" PRId64 ".%03d,\"name\":\"", item->took / 1000,
                (int)(item->took % 1000));
        print_escaped_n(p->out, item->name, item->name_len);
        fprintf(p->out, "\",\"args\":{\"operation\":%" PRIu64 "}}", item->flow);
        break;
    default:
        head_of(p, item->what == NART__TRACE_ARROW_BEGINS ? "s" : "f\",\"bp\":\"e", process,
                item->thread, item->at);
        print_flow(p->out, process, item->arrow, item->flow);
        break;
    }
}

static void print_guest(const printer *p, nart__trace_guest *g)
{
    uint32_t process = process_of(p->tr, g);
    nart__trace_item item;

    fprintf(p->out,
            ",\n{\"ph\":\"M\",\"pid\":%" PRIu32 ",\"name\":\"process_name\",\"args\":{\"name\":\"",
            process);
    print_escaped(p->out, g->name);
    fputs("\"}}", p->out);
    while (g->item(g, &item))
        print_item(p, process, &item);
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
    case NART__TRACE_OUT:
    case NART__TRACE_IN:
        print_guest_arrow(p, ev);
        break;
    }
}

nart_res nart__trace_print(nart__trace *tr, FILE *out)
{
    static const char *const others[] = { "inbox", "timers", "events", "program" };
    uint64_t lost = tr->count > tr->capacity ? tr->count - tr->capacity : 0;
    printer p = { .tr = tr, .out = out };

    uint64_t all = lost;
    for (nart__trace_guest *g = tr->guests; g; g = g->next)
        all += g->open(g);
    for (uint32_t i = 0; i < tr->lane_count; i++)
        tr->lanes[i].shown = 0;
    fprintf(out, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"lost\":%" PRIu64 "},\n", all);
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
    for (nart__trace_guest *g = tr->guests; g; g = g->next)
        print_guest(&p, g);
    fputs("\n]}\n", out);
    return fflush(out) == 0 && !ferror(out) ? (nart_res)all : -EIO;
}

#include <string.h>

#include "client.h"

/* Frames of the site. What they say was checked by attach_decode(); what is
 * checked here is that they answer something. */

/* An unsolicited event. @return false: no memory for it */
static bool tell(struct motet *m, enum motet_event_kind kind,
                 const struct attach_frame *f)
{
    struct request *r = mem_alloc(&m->mem, sizeof *r);
    if (r == NULL) {
        return false;
    }
    r->async = true;
    r->event.port = f->port;
    r->event.dest = f->target;
    r->event.held = f->held;
    r->event.seq = f->seq;
    r->event.cap = f->cap;
    if (kind == MOTET_EVENT_PORT_ADOPTED) {
        r->event.port = f->cap.ui;
    }
    request_tell(m, r, kind, MOTET_OK);
    return true;
}

/* The request that a frame answers. NULL: given up meanwhile, or (then *bad) of
 * an id or an op never asked for. */
static struct request *asked(struct motet *m, const struct attach_frame *f,
                             enum attach_op op, bool *bad)
{
    struct request *r = map_get(&m->by_id, f->id, 0);
    *bad = f->id > m->last_id || (r != NULL && r->op != op);
    return *bad ? NULL : r;
}

static void finish(struct motet *m, struct request *r,
                   const struct attach_frame *f)
{
    request_remove(m, r);
    r->done = true;
    r->result = *f;
    r->result.err = moved_err(m, r, f->err);
}

static bool on_result(struct motet *m, const struct attach_frame *f)
{
    bool bad;
    struct request *r = asked(m, f, f->answers, &bad);
    if (r == NULL) {
        return !bad;
    }
    if (r->async) {
        return false; /* SEND, CALL and RECEIVE have answers of their own */
    }
    finish(m, r, f);
    return true;
}

static bool on_sent(struct motet *m, const struct attach_frame *f)
{
    bool bad;
    struct request *r = asked(m, f, ATTACH_SEND, &bad);
    if (r == NULL) {
        return !bad;
    }
    finish(m, r, f);
    if (r->async) {
        request_tell(m, r, MOTET_EVENT_SENT, r->result.err);
    }
    return true;
}

static bool on_receive_end(struct motet *m, const struct attach_frame *f)
{
    bool bad;
    struct request *r = asked(m, f, ATTACH_RECEIVE, &bad);
    if (r == NULL) {
        return !bad;
    }
    m->ended_id = f->id;
    m->ended_err = f->err;
    request_remove(m, r);
    request_free(m, r);
    return true;
}

static bool on_gone(struct motet *m, const struct attach_frame *f)
{
    m->greeted = f->err;
    stream_lose(m);
    return true;
}

/* ---- messages -----------------------------------------------------------
 */

/* @return false: too long, or no memory */
static bool letter_begin(struct motet *m, const struct attach_frame *f)
{
    if (f->total - f->annex_bytes > m->body_max) {
        return false;
    }
    struct letter *letter = mem_alloc_raw(&m->mem, sizeof *letter + f->total);
    if (letter == NULL) {
        return false;
    }
    *letter = (struct letter){
        .memory = ++m->last_memory,
        .arrived_ns = now_ns(),
        .port = f->port,
        .source = f->source,
        .target = f->target,
        .subject = f->subject,
        .pi = f->pi,
        .held = f->held,
        .seq = f->seq,
        .watch = f->watch,
        .remaining_ms = f->remaining_ms,
        .news = f->news,
        .total = f->total,
        .annex_bytes = f->annex_bytes,
    };
    m->coming = letter;
    m->begun = *f;
    return true;
}

static bool on_call_done(struct motet *m, const struct attach_frame *f,
                         struct letter *letter)
{
    bool bad;
    struct request *r = asked(m, f, ATTACH_CALL, &bad);
    if (r == NULL) {
        letter_free(m, letter);
        return !bad;
    }
    finish(m, r, f);
    r->letter = letter;
    if (f->err != MOTET_OK) {
        letter_free(m, letter);
        r->letter = NULL;
    }
    if (r->async) {
        request_tell(m, r, MOTET_EVENT_CALL_DONE, r->result.err);
    }
    return true;
}

static bool on_deliver(struct motet *m, const struct attach_frame *f,
                       struct letter *letter)
{
    bool bad;
    struct request *r = asked(m, f, ATTACH_RECEIVE, &bad);
    if (bad) {
        letter_free(m, letter);
        return false;
    }
    if (r != NULL) {
        request_remove(m, r);
        request_free(m, r);
    }
    letter->on = port_find(m, letter->port);
    if (letter->on == NULL) { /* deleted meanwhile */
        list_append(&m->orphans, &letter->link);
        return true;
    }
    list_append(&m->inbox, &letter->link);
    m->inbox_count++;
    return true;
}

/* A frame of DELIVER or CALL_DONE. */
static bool take_part(struct motet *m, const struct attach_frame *f)
{
    uint32_t at = 0;
    const enum attach_gathered g = attach_gather(&m->gather, f, &at);
    if (g == ATTACH_BAD) {
        return false;
    }
    if (g == ATTACH_TAKEN_BACK) {
        letter_free(m, m->coming);
        m->coming = NULL;
        return true;
    }
    if ((f->flags & ATTACH_CONT) == 0 && !letter_begin(m, f)) {
        return false;
    }
    if (f->chunk_bytes > 0) {
        memcpy(m->coming->data + at, f->chunk, f->chunk_bytes);
    }
    if (g != ATTACH_WHOLE) {
        return true;
    }
    struct letter *letter = m->coming;
    m->coming = NULL;
    return m->begun.op == ATTACH_DELIVER ? on_deliver(m, &m->begun, letter)
                                         : on_call_done(m, &m->begun, letter);
}

static bool take_frame(struct motet *m, const struct attach_frame *f)
{
    if (m->gather.op != 0 || attach_has_payload(f->op)) {
        return take_part(m, f);
    }
    if (f->op == ATTACH_RESULT) {
        return on_result(m, f);
    }
    if (f->op == ATTACH_SENT) {
        return on_sent(m, f);
    }
    if (f->op == ATTACH_RECEIVE_END) {
        return on_receive_end(m, f);
    }
    if (f->op == ATTACH_ROOM) {
        return tell(m, MOTET_EVENT_ROOM, f);
    }
    if (f->op == ATTACH_CANCELLED) {
        return tell(m, MOTET_EVENT_CANCELLED, f);
    }
    if (f->op == ATTACH_PORT_GONE) {
        return tell(m, MOTET_EVENT_PORT_GONE, f);
    }
    if (f->op == ATTACH_PORT_ADOPTED) {
        return port_adopted(m, f) && tell(m, MOTET_EVENT_PORT_ADOPTED, f);
    }
    if (f->op == ATTACH_PORT_MOVED) {
        return port_moved(m, f) && tell(m, MOTET_EVENT_PORT_MOVED, f);
    }
    if (f->op == ATTACH_FROZEN) {
        m->frozen = f->on;
        return true;
    }
    return on_gone(m, f);
}

bool arrive(struct motet *m, size_t size)
{
    struct attach_frame f;
    if (size > ATTACH_PACKET_MAX) {
        return false;
    }
    struct reader r = reader_of(m->packet, size);
    while (reader_left(&r) > 0 && !m->lost) {
        if (!attach_decode(&r, ATTACH_SITE, &f) || !take_frame(m, &f)) {
            return false;
        }
    }
    return true;
}

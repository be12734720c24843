#include "client.h"

static struct attach_frame call_frame(const struct motet_port *from,
                                      const struct motet_dest *to,
                                      int64_t timeout_ms)
{
    return (struct attach_frame){
        .op = ATTACH_CALL,
        .port = from->cap.ui,
        .dest = *to,
        .timeout_ms = timeout_ms,
    };
}

static uint64_t done_by(int64_t timeout_ms)
{
    if (timeout_ms < 0) {
        return DEADLINE_NEVER;
    }
    return after_ms(timeout_ms == 0 ? LOCAL_MS : timeout_ms + GRACE_MS);
}

/* Writes and waits. @return the outcome; r->letter on success */
static enum motet_err call_and_wait(struct motet *m, struct attach_frame *f,
                                    const struct motet_bytes parts[2],
                                    struct request *r)
{
    if (m->lost) {
        return MOTET_E_DETACHED;
    }
    if (!request_add(m, r, ATTACH_CALL)) {
        return MOTET_E_NO_MEMORY;
    }
    const uint64_t by_ns = done_by(f->timeout_ms);
    r->port = f->port;
    f->id = r->id;
    enum motet_err err = stream_write(m, f, parts, 2, by_ns);
    const bool written = err == MOTET_OK;
    while (written && err == MOTET_OK && !r->done) {
        err = stream_read(m, by_ns);
    }
    request_remove(m, r);
    if (written && r->done) {
        return r->result.err;
    }
    return written ? MOTET_E_MAYBE_TIMEOUT : err;
}

enum motet_err motet_call_from(struct motet_port *from, struct motet_dest to,
                               struct motet_out out, struct motet_msg *reply,
                               int64_t timeout_ms)
{
    struct request r = {0};
    struct motet_bytes parts[2];
    if (reply != NULL) {
        *reply = (struct motet_msg){0};
    }
    if (from == NULL) {
        return MOTET_E_INVALID;
    }
    struct motet *m = from->motet;
    struct attach_frame f = call_frame(from, &to, timeout_ms);
    enum motet_err err = out_parts(m, &out, parts, &f);
    if (err == MOTET_OK && from->moved) {
        err = MOTET_E_MOVED;
    }
    if (err == MOTET_OK) {
        err = call_and_wait(m, &f, parts, &r);
    }
    letter_free(m, m->replied);
    m->replied = r.letter;
    if (err == MOTET_OK && reply != NULL) {
        letter_show(m, r.letter, reply);
    }
    return err;
}

enum motet_err motet_call(struct motet *m, struct motet_dest to,
                          struct motet_out out, struct motet_msg *reply,
                          int64_t timeout_ms)
{
    struct motet_port *from = motet_own_port(m);
    if (from == NULL && m != NULL) {
        if (reply != NULL) {
            *reply = (struct motet_msg){0};
        }
        return m->lost ? MOTET_E_DETACHED : MOTET_E_LIMIT;
    }
    return motet_call_from(from, to, out, reply, timeout_ms);
}

enum motet_err motet_call_start(struct motet_port *from, struct motet_dest to,
                                struct motet_out out, int64_t timeout_ms,
                                uint64_t token, uint64_t *call)
{
    struct motet_bytes parts[2];
    if (from == NULL) {
        return MOTET_E_INVALID;
    }
    struct motet *m = from->motet;
    struct attach_frame f = call_frame(from, &to, timeout_ms);
    enum motet_err err = out_parts(m, &out, parts, &f);
    if (err != MOTET_OK || m->lost) {
        return err != MOTET_OK ? err : MOTET_E_DETACHED;
    }
    if (from->moved) {
        return MOTET_E_MOVED;
    }
    struct request *r = request_new(m, ATTACH_CALL);
    if (r == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    r->port = f.port;
    r->event.port = f.port;
    r->event.dest = to.target;
    r->event.token = token;
    r->event.call = r->id;
    f.id = r->id;
    if (call != NULL) {
        *call = r->id;
    }
    err = stream_write(m, &f, parts, 2, done_by(timeout_ms));
    if (err != MOTET_OK && !r->done) {
        request_remove(m, r);
        request_free(m, r);
        return err;
    }
    return MOTET_OK; /* or it is an event already */
}

enum motet_err motet_cancel(struct motet *m, uint64_t call)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_CANCEL, .of = call};
    if (m == NULL) {
        return MOTET_E_INVALID;
    }
    const struct request *made = map_get(&m->by_id, call, 0);
    if (made == NULL || made->op != ATTACH_CALL) {
        return MOTET_E_STATE;
    }
    return request_ask(m, &f, &r);
}

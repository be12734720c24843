#include "client.h"
#include "nucleus/base/ui.h"

struct motet_dest motet_to(const char *name)
{
    /* An impossible name: a UI of no kind, that the site refuses. */
    return motet_to_ui(ui_name_ok(name) ? ui_of_name(name)
                                        : (struct motet_ui){0});
}

struct motet_dest motet_to_waiting(const char *name)
{
    struct motet_dest dest = motet_to(name);
    dest.wait = true;
    return dest;
}

struct motet_dest motet_to_ui(struct motet_ui ui)
{
    return (struct motet_dest){.target = ui, .mode = MOTET_TO_ANY};
}

struct motet_dest motet_to_all(struct motet_ui group)
{
    return (struct motet_dest){.target = group, .mode = MOTET_TO_ALL};
}

struct motet_dest motet_to_control(struct motet_ui site)
{
    return motet_to_ui(ui_of_control(ui_site(site)));
}

struct motet_out motet_body(const void *body, size_t size)
{
    return (struct motet_out){.body = {.data = body, .size = size}};
}

struct motet_out motet_annexed(const void *annex, size_t annex_size,
                               const void *body, size_t size)
{
    return (struct motet_out){
        .annex = {.data = annex, .size = annex_size},
        .body = {.data = body, .size = size},
    };
}

/* Checks pieces (the annex first) and notes their sizes in the frame. */
static enum motet_err check_parts(const struct motet *m,
                                  const struct motet_bytes *parts, size_t count,
                                  struct attach_frame *f)
{
    size_t body_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && parts[i].size > m->body_max - body_bytes) {
            return MOTET_E_TOO_BIG;
        }
        body_bytes += i > 0 ? parts[i].size : 0;
    }
    if (parts[0].size > MOTET_ANNEX_MAX) {
        return MOTET_E_TOO_BIG;
    }
    f->annex_bytes = (uint8_t)parts[0].size;
    f->total = (uint32_t)(body_bytes + parts[0].size);
    return MOTET_OK;
}

enum motet_err out_parts(const struct motet *m, const struct motet_out *out,
                         struct motet_bytes parts[2], struct attach_frame *f)
{
    if (out->block != NULL) {
        return MOTET_E_INVALID; /* it is of a site, and this is none */
    }
    parts[0] = out->annex;
    parts[1] = out->body;
    return check_parts(m, parts, 2, f);
}

static struct attach_frame send_frame(const struct motet_port *from,
                                      const struct motet_dest *to,
                                      int64_t timeout_ms, bool wait)
{
    return (struct attach_frame){
        .op = ATTACH_SEND,
        .port = from->cap.ui,
        .dest = *to,
        .timeout_ms = timeout_ms,
        .wait = wait,
    };
}

/* How long the way to the site and back may take. */
static uint64_t outcome_by(int64_t timeout_ms)
{
    if (timeout_ms < 0) {
        return DEADLINE_NEVER;
    }
    return after_ms(timeout_ms == 0 ? LOCAL_MS : timeout_ms + GRACE_MS);
}

static enum motet_err send_parts(struct motet_port *from,
                                 struct attach_frame *f,
                                 const struct motet_bytes *parts, size_t count)
{
    struct motet *m = from->motet;
    struct request r = {0};
    enum motet_err err = check_parts(m, parts, count, f);
    if (err != MOTET_OK) {
        return err;
    }
    if (m->lost || from->moved) {
        return m->lost ? MOTET_E_DETACHED : MOTET_E_MOVED;
    }
    r.port = f->port;
    if (!request_add(m, &r, ATTACH_SEND)) {
        return MOTET_E_NO_MEMORY;
    }
    const uint64_t by_ns = outcome_by(f->timeout_ms);
    f->id = r.id;
    err = stream_write(m, f, parts, count, by_ns);
    const bool written = err == MOTET_OK;
    while (written && err == MOTET_OK && !r.done) {
        err = stream_read(m, by_ns);
    }
    request_remove(m, &r);
    if (written && r.done) {
        return r.result.err;
    }
    return written ? MOTET_E_MAYBE_TIMEOUT : err;
}

enum motet_err motet_sendv(struct motet_port *from, struct motet_dest to,
                           struct motet_bytes annex,
                           const struct motet_bytes *parts, size_t count,
                           int64_t timeout_ms)
{
    struct motet_bytes all[1 + MOTET_PARTS_MAX] = {annex};
    if (from == NULL || count > MOTET_PARTS_MAX ||
        (parts == NULL && count > 0)) {
        return MOTET_E_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        all[1 + i] = parts[i];
    }
    struct attach_frame f = send_frame(from, &to, timeout_ms, true);
    return send_parts(from, &f, all, 1 + count);
}

static enum motet_err send_one(struct motet_port *from,
                               const struct motet_dest *to,
                               const struct motet_out *out, int64_t timeout_ms,
                               bool wait)
{
    if (from == NULL) {
        return MOTET_E_INVALID;
    }
    const struct motet_bytes parts[2] = {out->annex, out->body};
    struct attach_frame f = send_frame(from, to, timeout_ms, wait);
    return send_parts(from, &f, parts, 2);
}

enum motet_err motet_send(struct motet_port *from, struct motet_dest to,
                          struct motet_out out, int64_t timeout_ms)
{
    return send_one(from, &to, &out, timeout_ms, true);
}

enum motet_err motet_try_send(struct motet_port *from, struct motet_dest to,
                              struct motet_out out, int64_t timeout_ms)
{
    return send_one(from, &to, &out, timeout_ms, false);
}

enum motet_err motet_send_start(struct motet_port *from, struct motet_dest to,
                                struct motet_out out, int64_t timeout_ms,
                                uint64_t token)
{
    struct motet_bytes parts[2];
    if (from == NULL) {
        return MOTET_E_INVALID;
    }
    struct motet *m = from->motet;
    struct attach_frame f = send_frame(from, &to, timeout_ms, true);
    enum motet_err err = out_parts(m, &out, parts, &f);
    if (err != MOTET_OK || m->lost) {
        return err != MOTET_OK ? err : MOTET_E_DETACHED;
    }
    if (from->moved) {
        return MOTET_E_MOVED;
    }
    struct request *r = request_new(m, ATTACH_SEND);
    if (r == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    r->port = f.port;
    r->event.port = f.port;
    r->event.dest = to.target;
    r->event.token = token;
    f.id = r->id;
    err = stream_write(m, &f, parts, 2, outcome_by(timeout_ms));
    if (err != MOTET_OK && !r->done) {
        request_remove(m, r);
        request_free(m, r);
        return err;
    }
    return MOTET_OK; /* or it is an event already */
}

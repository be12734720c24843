#include <stdio.h>
#include <string.h>

#include "client.h"
#include "nucleus/base/ui.h"

/* Moving ports: calls to the control ports of sites. What is said there is
 * proto/control.proto; so that a program needs no other library for these few
 * fields, they are written and read here by hand. */

enum {
    REQUEST_MAX = 256, /* bytes */
    TRIES_MAX = 3,     /* to find a port that moves at the same time */

    OP_MEMBERS = 3,
    OP_PORT = 8,
    OP_MIGRATE = 9,
    OP_MOVE = 10,
    OP_ABORT = 11,
    OP_WHERE = 14,
};

/* ---- What is asked ---------------------------------------------------------
 */

static void put_varint(struct writer *w, uint64_t v)
{
    while (v >= 0x80) {
        write_u8(w, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    write_u8(w, (uint8_t)v);
}

static void put_number(struct writer *w, uint32_t field, uint64_t v)
{
    put_varint(w, (uint64_t)field << 3);
    put_varint(w, v);
}

static void put_bytes(struct writer *w, uint32_t field, const void *data,
                      size_t size)
{
    put_varint(w, (uint64_t)field << 3 | 2);
    put_varint(w, size);
    write_span(w, data, size);
}

/* A request that names something by a UI. */
static size_t ask_of(uint8_t out[REQUEST_MAX], uint64_t op, struct motet_ui ui)
{
    struct writer w = writer_of(out, REQUEST_MAX);
    put_number(&w, 1, op);
    put_number(&w, 2, ui.hi);
    put_number(&w, 3, ui.lo);
    CHECK(writer_ok(&w));
    return w.at;
}

/* ... or a move by its id. */
static size_t ask_move(uint8_t out[REQUEST_MAX], uint64_t op, uint64_t id,
                       bool wait)
{
    struct writer w = writer_of(out, REQUEST_MAX);
    put_number(&w, 1, op);
    put_number(&w, 7, id);
    put_number(&w, 8, wait);
    CHECK(writer_ok(&w));
    return w.at;
}

/* ---- What is answered ------------------------------------------------------
 */

struct item {
    uint32_t field;
    uint64_t number;
    struct reader inside; /* of bytes, a text or a message */
};

static uint64_t get_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t byte = read_u8(r);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return v;
        }
    }
    r->failed = true;
    return 0;
}

/* @return false at the end, and where nothing can be read any more */
static bool next_item(struct reader *r, struct item *it)
{
    if (reader_left(r) == 0) {
        return false;
    }
    const uint64_t tag = get_varint(r);
    *it = (struct item){.field = (uint32_t)(tag >> 3)};
    if ((tag & 7) == 0) {
        it->number = get_varint(r);
    } else if ((tag & 7) == 2) {
        const uint64_t size = get_varint(r);
        const void *bytes =
            size <= reader_left(r) ? read_span(r, (size_t)size) : NULL;
        if (bytes == NULL) {
            r->failed = true;
            return false;
        }
        it->inside = reader_of(bytes, (size_t)size);
    } else {
        r->failed = true; /* nothing there is of another kind */
    }
    return reader_ok(r);
}

static bool is_text(const struct item *it, const char *text)
{
    return it->inside.size == strlen(text) &&
           (it->inside.size == 0 ||
            memcmp(it->inside.data, text, it->inside.size) == 0);
}

static void copy_text(const struct item *it, char text[MOTET_NAME_MAX + 1])
{
    const size_t size = it->inside.size <= MOTET_NAME_MAX ? it->inside.size : 0;
    if (size > 0) {
        memcpy(text, it->inside.data, size);
    }
    text[size] = '\0';
}

/* Calls a control port. @param r  what it says; until the next call
 * @return the error it says, or that of the call; PROTOCOL: nonsense */
static enum motet_err ask_site(struct motet *m, struct motet_ui site,
                               const uint8_t *request, size_t size,
                               uint64_t by_ns, struct reader *r)
{
    struct motet_msg msg;
    struct item it;
    enum motet_err said = MOTET_OK;
    const enum motet_err err =
        motet_call(m, motet_to_control(site), motet_body(request, size), &msg,
                   ms_until(by_ns));
    if (err != MOTET_OK) {
        return err;
    }
    *r = reader_of(msg.body, msg.body_bytes);
    struct reader look = *r;
    while (next_item(&look, &it)) {
        if (it.field == 1) {
            said = it.number < MOTET_E_COUNT ? (enum motet_err)it.number
                                             : MOTET_E_PROTOCOL;
        }
    }
    return reader_ok(&look) ? said : MOTET_E_PROTOCOL;
}

/* ---- Finding what is meant -------------------------------------------------
 */

/* What is to be done, as far as it is known. */
struct plan {
    struct motet_cap port;
    char site[MOTET_NAME_MAX + 1];
    char receiver[MOTET_NAME_MAX + 1]; /* "": as the actor that has it */
    unsigned flags;
    uint64_t by_ns;
    struct motet_ui from;
    uint64_t to;
};

static bool read_where(const char *to, struct plan *plan)
{
    const char *slash = to != NULL ? strchr(to, '/') : NULL;
    const size_t size = to == NULL      ? 0
                        : slash != NULL ? (size_t)(slash - to)
                                        : strlen(to);
    if (size == 0 || size > MOTET_NAME_MAX) {
        return false;
    }
    memcpy(plan->site, to, size);
    if (slash == NULL) {
        return ui_name_ok(plan->site);
    }
    if (!ui_name_ok(plan->site) || !ui_name_ok(slash + 1)) {
        return false;
    }
    (void)snprintf(plan->receiver, sizeof plan->receiver, "%s", slash + 1);
    return true;
}

/* Where the port lives, as its own site knows or guesses. */
static enum motet_err find_port(struct motet *m, struct plan *plan)
{
    uint8_t request[REQUEST_MAX];
    struct reader r;
    struct item it;
    struct item in;
    const size_t size = ask_of(request, OP_WHERE, plan->port.ui);
    const enum motet_err err =
        ask_site(m, m->site, request, size, plan->by_ns, &r);
    uint64_t site = 0;
    while (err == MOTET_OK && next_item(&r, &it)) {
        while (it.field == 11 && next_item(&it.inside, &in)) {
            site = in.field == 1 ? in.number : site;
        }
    }
    plan->from = ui_of_site(site);
    return err == MOTET_OK && site == 0 ? MOTET_E_NO_PORT : err;
}

/* The site called so. */
static enum motet_err find_site(struct motet *m, struct plan *plan)
{
    uint8_t request[REQUEST_MAX];
    struct reader r;
    struct item it;
    struct item in;
    struct motet_ui after = {0};
    bool more = true;
    while (more) {
        const size_t size = ask_of(request, OP_MEMBERS, after);
        const enum motet_err err =
            ask_site(m, m->site, request, size, plan->by_ns, &r);
        if (err != MOTET_OK) {
            return err;
        }
        const uint64_t last = after.hi;
        more = false;
        while (next_item(&r, &it)) {
            bool named = false;
            more = more || (it.field == 2 && it.number != 0);
            while (it.field == 5 && next_item(&it.inside, &in)) {
                after.hi = in.field == 1 ? in.number : after.hi;
                named = named || (in.field == 4 && is_text(&in, plan->site));
            }
            if (named) {
                plan->to = after.hi;
                return MOTET_OK;
            }
        }
        more = more && after.hi != last;
    }
    return MOTET_E_NO_SITE;
}

/* The name of the actor that has it now. */
static enum motet_err find_receiver(struct motet *m, struct plan *plan,
                                    char name[MOTET_NAME_MAX + 1])
{
    uint8_t request[REQUEST_MAX];
    struct reader r;
    struct item it;
    struct item in;
    (void)snprintf(name, MOTET_NAME_MAX + 1, "%s", plan->receiver);
    if (name[0] != '\0') {
        return MOTET_OK;
    }
    const size_t size = ask_of(request, OP_PORT, plan->port.ui);
    const enum motet_err err =
        ask_site(m, plan->from, request, size, plan->by_ns, &r);
    while (err == MOTET_OK && next_item(&r, &it)) {
        while (it.field == 7 && next_item(&it.inside, &in)) {
            if (in.field == 3) {
                copy_text(&in, name);
            }
        }
    }
    return err == MOTET_OK && name[0] == '\0' ? MOTET_E_NO_ACTOR : err;
}

/* ---- Moving ----------------------------------------------------------------
 */

static enum motet_err begin(struct motet *m, const struct plan *plan,
                            const char *receiver, struct motet_move *move)
{
    uint8_t inside[REQUEST_MAX];
    uint8_t request[REQUEST_MAX];
    struct writer in = writer_of(inside, sizeof inside);
    struct writer w = writer_of(request, sizeof request);
    struct reader r;
    struct item it;
    put_number(&in, 1, plan->port.ui.hi);
    put_number(&in, 2, plan->port.ui.lo);
    put_number(&in, 3, plan->port.key);
    put_number(&in, 4, plan->to);
    put_bytes(&in, 5, receiver, strlen(receiver));
    put_number(&in, 7, (plan->flags & MOTET_MOVE_DROP) != 0);
    put_number(&w, 1, OP_MIGRATE);
    put_bytes(&w, 6, inside, in.at);
    CHECK(writer_ok(&in) && writer_ok(&w));
    const enum motet_err err =
        ask_site(m, plan->from, request, w.at, plan->by_ns, &r);
    *move = (struct motet_move){.site = plan->from};
    while (err == MOTET_OK && next_item(&r, &it)) {
        move->id = it.field == 9 ? it.number : move->id;
    }
    return err;
}

static enum motet_err try_begin(struct motet *m, struct plan *plan,
                                struct motet_move *move)
{
    char receiver[MOTET_NAME_MAX + 1];
    enum motet_err err = find_port(m, plan);
    if (err == MOTET_OK) {
        err = find_receiver(m, plan, receiver);
    }
    return err == MOTET_OK ? begin(m, plan, receiver, move) : err;
}

enum motet_err motet_migrate_start(struct motet *m,
                                   const struct motet_cap *port, const char *to,
                                   unsigned flags, int64_t timeout_ms,
                                   struct motet_move *move)
{
    struct plan plan = {.flags = flags, .by_ns = after_ms(timeout_ms)};
    if (m == NULL || port == NULL || move == NULL ||
        (flags & ~(unsigned)MOTET_MOVE_DROP) != 0 || !read_where(to, &plan)) {
        return MOTET_E_INVALID;
    }
    *move = (struct motet_move){0};
    plan.port = *port;
    enum motet_err err = find_site(m, &plan);
    if (err != MOTET_OK) {
        return err;
    }
    err = MOTET_E_NO_PORT;
    for (int i = 0; i < TRIES_MAX && err == MOTET_E_NO_PORT; i++) {
        err = try_begin(m, &plan, move);
    }
    return err;
}

static void read_move(struct reader *r, struct motet_move_info *info)
{
    struct item it;
    while (next_item(r, &it)) {
        if (it.field == 2) {
            info->over = it.number != 0;
        } else if (it.field == 4 && it.number < MOTET_E_COUNT) {
            info->err = (enum motet_err)it.number;
        } else if (it.field == 10) {
            info->ports = (uint32_t)it.number;
        } else if (it.field == 11) {
            info->queued = (uint32_t)it.number;
        } else if (it.field == 12) {
            info->bytes = it.number;
        } else if (it.field == 14) {
            info->frozen_ns = it.number;
        } else if (it.field == 15) {
            info->sent_ns = it.number;
        } else if (it.field == 16) {
            info->prepared_ns = it.number;
        } else if (it.field == 17) {
            info->over_ns = it.number;
        }
    }
}

/* As it is, or (wait) once it is over. */
static enum motet_err look(struct motet *m, const struct motet_move *move,
                           bool wait, uint64_t by_ns,
                           struct motet_move_info *info)
{
    uint8_t request[REQUEST_MAX];
    struct reader r = {0};
    struct item it;
    bool found = false;
    const size_t size = ask_move(request, OP_MOVE, move->id, wait);
    const enum motet_err err =
        ask_site(m, move->site, request, size, by_ns, &r);
    *info = (struct motet_move_info){0};
    while (next_item(&r, &it)) {
        if (it.field == 10) {
            read_move(&it.inside, info);
            found = true;
        }
    }
    return found ? MOTET_OK : err == MOTET_OK ? MOTET_E_PROTOCOL : err;
}

enum motet_err motet_migrate_wait(struct motet *m,
                                  const struct motet_move *move,
                                  struct motet_move_info *info,
                                  int64_t timeout_ms)
{
    struct motet_move_info own;
    info = info != NULL ? info : &own;
    if (m == NULL || move == NULL) {
        return MOTET_E_INVALID;
    }
    if (move->id == 0) { /* it went to another actor of its site, at once */
        *info = (struct motet_move_info){.over = true, .ports = 1};
        return MOTET_OK;
    }
    enum motet_err err = MOTET_E_TIMEOUT;
    if (timeout_ms != 0) {
        err = look(m, move, true, after_ms(timeout_ms), info);
    }
    if (motet_err_ran(err) != MOTET_RAN_YES && !m->lost &&
        (err == MOTET_E_TIMEOUT || err == MOTET_E_MAYBE_TIMEOUT)) {
        err = look(m, move, false, after_ms(LOCAL_MS), info);
    }
    if (err != MOTET_OK) {
        return err;
    }
    return info->over ? info->err : MOTET_E_TIMEOUT;
}

enum motet_err motet_migrate_abort(struct motet *m,
                                   const struct motet_move *move,
                                   int64_t timeout_ms)
{
    uint8_t request[REQUEST_MAX];
    struct reader r;
    if (m == NULL || move == NULL) {
        return MOTET_E_INVALID;
    }
    if (move->id == 0) {
        return MOTET_E_STATE;
    }
    const size_t size = ask_move(request, OP_ABORT, move->id, false);
    return ask_site(m, move->site, request, size, after_ms(timeout_ms), &r);
}

enum motet_err motet_port_migrate(struct motet_port *port, const char *to,
                                  unsigned flags, int64_t timeout_ms)
{
    struct motet_move move;
    if (port == NULL || port->moved) {
        return port == NULL ? MOTET_E_INVALID : MOTET_E_MOVED;
    }
    struct motet *m = port->motet;
    const uint64_t by_ns = after_ms(timeout_ms);
    const struct motet_cap cap = port->cap; /* the handle may be deleted */
    enum motet_err err =
        motet_migrate_start(m, &cap, to, flags, timeout_ms, &move);
    if (err != MOTET_OK) {
        return err;
    }
    err = motet_migrate_wait(m, &move, NULL, ms_until(by_ns));
    if (err != MOTET_E_TIMEOUT && err != MOTET_E_MAYBE_TIMEOUT) {
        return err;
    }
    if (motet_migrate_abort(m, &move, LOCAL_MS) == MOTET_OK) {
        return MOTET_E_TIMEOUT;
    }
    err = motet_migrate_wait(m, &move, NULL, 0);
    return err == MOTET_E_TIMEOUT ? MOTET_E_MAYBE_TIMEOUT : err;
}

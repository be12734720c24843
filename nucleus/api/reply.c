#include "client.h"

static bool known_cancelled(const struct motet *m, uint64_t held)
{
    list_foreach (it, &m->events) {
        const struct request *r = LIST_ENTRY(it, struct request, link);
        if (r->event.kind == MOTET_EVENT_CANCELLED && r->event.held == held) {
            return true;
        }
    }
    return false;
}

static enum motet_err answer(const struct motet_msg *msg,
                             const struct motet_out *out, enum motet_err why)
{
    struct motet_bytes parts[2];
    if (msg == NULL || msg->motet == NULL) {
        return MOTET_E_INVALID;
    }
    struct motet *m = msg->motet;
    struct attach_frame f = {.op = ATTACH_REPLY, .id = msg->held, .err = why};
    if (msg->held == 0 || known_cancelled(m, msg->held)) {
        return MOTET_E_STATE;
    }
    enum motet_err err = out_parts(m, out, parts, &f);
    if (err != MOTET_OK || m->lost) {
        return err != MOTET_OK ? err : MOTET_E_DETACHED;
    }
    err = stream_say(m, &f, parts, 2);
    loop_signal(m);
    return err;
}

enum motet_err motet_reply_out(const struct motet_msg *msg,
                               struct motet_out out)
{
    return answer(msg, &out, MOTET_OK);
}

enum motet_err motet_reply(const struct motet_msg *msg, const void *body,
                           size_t size)
{
    return motet_reply_out(msg, motet_body(body, size));
}

enum motet_err motet_refuse(const struct motet_msg *msg, enum motet_err why)
{
    const struct motet_out nothing = {0};
    if ((size_t)why >= MOTET_E_COUNT || motet_err_ran(why) != MOTET_RAN_NO) {
        return MOTET_E_INVALID;
    }
    return answer(msg, &nothing, why);
}

enum motet_err motet_forward(const struct motet_msg *msg, struct motet_dest to)
{
    struct request r;
    if (msg == NULL || msg->motet == NULL) {
        return MOTET_E_INVALID;
    }
    if (msg->held == 0 || known_cancelled(msg->motet, msg->held)) {
        return MOTET_E_STATE;
    }
    struct attach_frame f = {
        .op = ATTACH_FORWARD, .held = msg->held, .dest = to};
    return request_ask(msg->motet, &f, &r);
}

/* ---- memory -------------------------------------------------------------
 */

static struct letter *find_saved(struct motet *m, uint64_t memory)
{
    list_foreach (it, &m->saved) {
        struct letter *l = LIST_ENTRY(it, struct letter, link);
        if (l->memory == memory) {
            return l;
        }
    }
    return NULL;
}

void motet_msg_free(struct motet_msg *msg)
{
    if (msg == NULL || msg->motet == NULL || msg->memory == 0) {
        return;
    }
    struct motet *m = msg->motet;
    struct letter *gone = NULL;
    if (m->received != NULL && m->received->memory == msg->memory) {
        gone = m->received;
        m->received = NULL;
    } else if (m->replied != NULL && m->replied->memory == msg->memory) {
        gone = m->replied;
        m->replied = NULL;
    } else {
        gone = find_saved(m, msg->memory);
    }
    letter_free(m, gone);
    msg->memory = 0;
    msg->annex = NULL;
    msg->annex_bytes = 0;
    msg->body = NULL;
    msg->body_bytes = 0;
}

enum motet_err motet_save(const struct motet_msg *msg, uint64_t *id)
{
    if (msg == NULL || msg->motet == NULL || id == NULL) {
        return MOTET_E_INVALID;
    }
    struct motet *m = msg->motet;
    struct letter *l = m->received;
    if (l == NULL || l->memory != msg->memory) {
        l = find_saved(m, msg->memory);
    } else {
        m->received = NULL;
        list_append(&m->saved, &l->link);
    }
    *id = msg->memory;
    return l != NULL ? MOTET_OK : MOTET_E_STATE;
}

enum motet_err motet_restore(struct motet *m, uint64_t id,
                             struct motet_msg *msg)
{
    if (m == NULL || msg == NULL) {
        return MOTET_E_INVALID;
    }
    struct letter *l = find_saved(m, id);
    if (l == NULL) {
        *msg = (struct motet_msg){0};
        return MOTET_E_STATE;
    }
    letter_show(m, l, msg);
    return MOTET_OK;
}

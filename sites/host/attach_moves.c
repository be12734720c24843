#include <stdio.h>

#include "attach_inside.h"
#include "nucleus/base/ui.h"

/* Ports that move away from an attached program, or to it.
 *
 * While a port moves away its actor must do nothing: the program is not read.
 * It is told (FROZEN), since it may be told nothing else for as long as a link
 * is broken. When the port has gone, what was begun from it goes on elsewhere:
 * to the program it ends here, and its outcome comes to the attachment server
 * of the new owner, which knows nothing of it and lets it fall. */

enum { LATE_MAX = 4096 }; /* replies of all peers; beyond it they are lost */

/* ---- Who is heard ----------------------------------------------------------
 */

bool peer_frozen(const struct peer *p)
{
    const struct site *site = peer_site(p);
    return site != NULL && p->attached &&
           nucleus_actor_frozen(site_nucleus(site), p->actor);
}

static void tell_frozen(struct peer *p, bool on)
{
    const struct attach_frame f = {.op = ATTACH_FROZEN, .on = on};
    peer_push(p, &f, NULL);
}

void peer_freeze(struct peer *p)
{
    if (!list_linked(&p->frozen)) {
        list_append(&p->server->frozen, &p->frozen);
        tell_frozen(p, true);
        guest_dirty(p);
    }
}

static void say_lates(struct attach *a)
{
    /* What is late again goes behind these. */
    for (uint32_t count = a->late_count; count > 0; count--) {
        struct attach_late *late =
            LIST_ENTRY(list_first(&a->lates), struct attach_late, link);
        struct peer *p = late->peer;
        const struct attach_late say = *late;
        list_remove(&late->link);
        a->late_count--;
        mem_free(&a->mem, late, sizeof *late);
        if (p->doomed || peer_site(p) == NULL) {
            buf_unref(say.data);
            continue;
        }
        (void)reply_say(p, say.held, say.err, say.annex_bytes, say.data);
    }
}

void guests_look(struct attach *a)
{
    list_foreach (it, &a->frozen) {
        struct peer *p = LIST_ENTRY(it, struct peer, frozen);
        if (!peer_frozen(p)) {
            list_remove(&p->frozen);
            tell_frozen(p, false);
            guest_dirty(p);
        }
    }
    if (!list_empty(&a->lates)) {
        say_lates(a);
    }
}

/* ---- Late replies ----------------------------------------------------------
 */

bool reply_later(struct peer *p, uint64_t held, enum motet_err err,
                 uint8_t annex_bytes, struct buf *data)
{
    struct attach *a = p->server;
    if (a->late_count >= LATE_MAX) {
        return false;
    }
    struct attach_late *late = mem_alloc(&a->mem, sizeof *late);
    if (late == NULL) {
        return false;
    }
    late->peer = p;
    late->held = held;
    late->err = err;
    late->annex_bytes = annex_bytes;
    late->data = data;
    list_append(&a->lates, &late->link);
    a->late_count++;
    return true;
}

void peer_moves_free(struct peer *p)
{
    struct attach *a = p->server;
    list_remove(&p->frozen);
    list_foreach (it, &p->sends) {
        peer_send_free(LIST_ENTRY(it, struct attach_send, link));
    }
    list_foreach (it, &a->lates) {
        struct attach_late *late = LIST_ENTRY(it, struct attach_late, link);
        if (late->peer == p) {
            buf_unref(late->data);
            list_remove(&late->link);
            a->late_count--;
            mem_free(&a->mem, late, sizeof *late);
        }
    }
}

/* ---- Ports that come and go ------------------------------------------------
 */

void guest_adopted(struct peer *p, const struct nuc_effect *e)
{
    struct nuc_in in = {.kind = NUC_PORT_INFO, .port = e->port};
    struct nuc_out out = {0};
    const enum motet_err err = guest_op(p, &in, &out);
    const struct nuc_port_attr *attr = &out.port.attr;
    const struct attach_frame f = {
        .op = ATTACH_PORT_ADOPTED,
        .cap = {.ui = e->port, .key = e->key},
        .enabled = attr->enabled,
        .priority = attr->priority,
        .queue_msgs_max = attr->queue_msgs_max,
        .queue_bytes_max = attr->queue_bytes_max,
        .seq = e->seq,
    };
    (void)err; /* NO_PORT: it has gone again, which is told next */
    p->port_count++;
    p->watch_count += (uint32_t)e->watch;
    peer_push(p, &f, NULL);
}

/* What was begun from it goes on elsewhere; for the program it ends. */
static void end_begun(struct peer *p, struct motet_ui port)
{
    struct attach_frame f = {.err = MOTET_E_MAYBE_MOVED};
    list_foreach (it, &p->sends) {
        struct attach_send *send = LIST_ENTRY(it, struct attach_send, link);
        if (ui_equal(send->port, port)) {
            f.op = ATTACH_SENT;
            f.id = send->id;
            peer_send_free(send);
            peer_push(p, &f, NULL);
        }
    }
    list_foreach (it, &p->calls) {
        struct attach_call *call = LIST_ENTRY(it, struct attach_call, link);
        if (ui_equal(call->port, port)) {
            f.op = ATTACH_CALL_DONE;
            f.id = call->id;
            peer_call_free(call);
            peer_push(p, &f, NULL);
        }
    }
}

void guest_moved(struct peer *p, const struct nuc_effect *e)
{
    const struct attach_frame f = {.op = ATTACH_PORT_MOVED, .port = e->port};
    const uint32_t watches = (uint32_t)e->watch;
    p->port_count -= p->port_count > 0;
    p->watch_count -= watches < p->watch_count ? watches : p->watch_count;
    end_begun(p, e->port);
    peer_push(p, &f, NULL);
}

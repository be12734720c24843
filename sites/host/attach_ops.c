#include <stdio.h>
#include <string.h>

#include "attach_inside.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/ui.h"

enum { NS_PER_MS = 1000000 };

uint64_t peer_deadline(int64_t timeout_ms)
{
    return timeout_ms < 0 ? DEADLINE_NEVER
                          : uv_hrtime() + (uint64_t)timeout_ms * NS_PER_MS;
}

enum motet_err guest_op(struct peer *p, struct nuc_in *in, struct nuc_out *out)
{
    in->now_ns = uv_hrtime();
    in->actor = p->actor;
    p->server->worked = true;
    return site_op(peer_site(p), in, out);
}

static void tell(struct peer *p, enum attach_op op, uint64_t id,
                 enum motet_err err)
{
    const struct attach_frame f = {.op = op, .id = id, .err = err};
    peer_push(p, &f, NULL);
}

/* The answer to `f`; `with` carries the results, or NULL. */
static void answer(struct peer *p, const struct attach_frame *f,
                   enum motet_err err, const struct attach_frame *with)
{
    struct attach_frame result = {0};
    if (with != NULL && err == MOTET_OK) {
        result = *with;
    }
    result.op = ATTACH_RESULT;
    result.id = f->id;
    result.answers = f->op;
    result.err = err;
    peer_push(p, &result, NULL);
}

/* ---- the actor ----------------------------------------------------------
 */

static enum motet_err greet(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_ACTOR_NEW, .name = f->name, .pi = p->pi};
    struct nuc_out out;
    if (f->magic != ATTACH_MAGIC || f->version != ATTACH_VERSION) {
        return MOTET_E_VERSION;
    }
    if (f->name[0] != '\0' && !ui_name_ok(f->name)) {
        return MOTET_E_INVALID;
    }
    const enum motet_err err = guest_op(p, &in, &out);
    if (err != MOTET_OK) {
        return err;
    }
    p->actor = out.ui;
    p->attached = true;
    if (!map_put(&p->server->by_actor, out.ui.hi, out.ui.lo, p)) {
        peer_doom(p, "no memory left for it");
    }
    return MOTET_OK;
}

static void on_hello(struct peer *p, const struct attach_frame *f)
{
    const enum motet_err err = greet(p, f);
    const struct site_config *cfg = site_config(peer_site(p));
    struct attach_frame with = {
        .source = p->actor,
        .target = ui_of_site(cfg->site),
        .body_bytes_max = cfg->nucleus.body_bytes_max,
    };
    (void)snprintf(with.name, sizeof with.name, "%s", cfg->name);
    answer(p, f, err, &with);
    p->last = err != MOTET_OK;
}

static void on_bye(struct peer *p, const struct attach_frame *f)
{
    (void)f;
    peer_end(p, MOTET_NEWS_CLOSED, NULL);
}

static void on_adopts(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_ACTOR_ADOPTS, .in = f->on};
    struct nuc_out out;
    answer(p, f, guest_op(p, &in, &out), NULL);
}

static void on_actor_find(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_ACTOR_FIND, .name = f->name};
    struct nuc_out out;
    const enum motet_err err = guest_op(p, &in, &out);
    const struct attach_frame with = {.target = out.ui};
    answer(p, f, err, &with);
}

/* ---- ports --------------------------------------------------------------
 */

static struct nuc_port_attr attr_of(const struct attach_frame *f)
{
    return (struct nuc_port_attr){
        .enabled = f->enabled,
        .priority = f->priority,
        .queue_msgs_max = f->queue_msgs_max,
        .queue_bytes_max = f->queue_bytes_max,
    };
}

static void on_port_new(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_PORT_NEW, .attr = attr_of(f)};
    struct nuc_out out = {0};
    enum motet_err err = MOTET_E_LIMIT;
    if (p->port_count < p->server->limits.ports_max) {
        err = guest_op(p, &in, &out);
    }
    p->port_count += err == MOTET_OK;
    const struct attach_frame with = {.cap = out.cap};
    answer(p, f, err, &with);
}

static void on_port_end(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_PORT_END, .port = f->port};
    struct nuc_out out;
    const enum motet_err err = guest_op(p, &in, &out);
    p->port_count -= err == MOTET_OK;
    answer(p, f, err, NULL);
}

static void on_port_set(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {
        .kind = NUC_PORT_SET, .port = f->port, .attr = attr_of(f)};
    struct nuc_out out;
    answer(p, f, guest_op(p, &in, &out), NULL);
}

static void on_port_info(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_PORT_INFO, .port = f->port};
    struct nuc_out out;
    const enum motet_err err = guest_op(p, &in, &out);
    const struct nuc_port_info *info = &out.port;
    struct attach_frame with = {
        .source = info->actor,
        .enabled = info->attr.enabled,
        .priority = info->attr.priority,
        .queue_msgs_max = info->attr.queue_msgs_max,
        .queue_bytes_max = info->attr.queue_bytes_max,
        .queue_msgs = info->queue_msgs,
        .queue_bytes = info->queue_bytes,
        .waiting = info->waiting,
        .seq = info->seq,
    };
    if (info->oldest_ns != 0 && info->oldest_ns < in.now_ns) {
        with.oldest_ms = (in.now_ns - info->oldest_ns) / NS_PER_MS;
    }
    if (info->actor_name != NULL) {
        (void)snprintf(with.name, sizeof with.name, "%s", info->actor_name);
    }
    answer(p, f, err, &with);
}

/* ---- groups -------------------------------------------------------------
 */

static void on_group_new(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_GROUP_NEW, .name = f->name};
    struct nuc_out out = {0};
    enum motet_err err = MOTET_E_INVALID;
    if (f->name[0] == '\0' || ui_name_ok(f->name)) {
        err = guest_op(p, &in, &out);
    }
    const struct attach_frame with = {.cap = out.cap};
    answer(p, f, err, &with);
}

static void on_group_change(struct peer *p, const struct attach_frame *f)
{
    const bool insert = f->op == ATTACH_GROUP_INSERT;
    struct nuc_in in = {
        .kind = insert ? NUC_GROUP_INSERT : NUC_GROUP_REMOVE,
        .cap = f->cap,
        .port = f->port,
    };
    struct nuc_out out;
    answer(p, f, guest_op(p, &in, &out), NULL);
}

static void on_group_list(struct peer *p, const struct attach_frame *f)
{
    struct attach_member members[ATTACH_MEMBERS_MAX];
    struct attach_frame with = {.members = members};
    enum motet_err err = MOTET_OK;
    while (with.member_count < ATTACH_MEMBERS_MAX) {
        struct nuc_in in = {
            .kind = NUC_GROUP_LIST,
            .dest = {.target = f->target},
            .index = f->index + with.member_count,
        };
        struct nuc_out out;
        err = guest_op(p, &in, &out);
        if (err != MOTET_OK) {
            break;
        }
        members[with.member_count++] = (struct attach_member){
            .port = out.member.port, .site = out.member.site};
    }
    answer(p, f, err == MOTET_E_NO_MEMBER ? MOTET_OK : err, &with);
}

/* ---- messages -----------------------------------------------------------
 */

static struct msg message_of(const struct attach_frame *f, struct buf *data)
{
    return (struct msg){.annex_bytes = f->annex_bytes, .data = data};
}

/* Its outcome will follow. */
static void remember(struct peer *p, const struct attach_frame *f,
                     uint64_t token)
{
    struct attach *a = p->server;
    struct attach_send *send = mem_alloc(&a->mem, sizeof *send);
    if (send == NULL) {
        peer_doom(p, "no memory left for its messages");
        return;
    }
    send->peer = p;
    send->port = f->port;
    send->id = f->id;
    send->token = token;
    list_append(&p->sends, &send->link);
    p->send_count++;
    if (!map_put(&a->by_send, token, 0, send)) {
        peer_doom(p, "no memory left for its messages");
    }
}

static void on_send(struct peer *p, const struct attach_frame *f,
                    struct buf *data)
{
    struct nuc_in in = {
        .kind = NUC_SEND,
        .port = f->port,
        .dest = f->dest,
        .deadline_ns = peer_deadline(f->timeout_ms),
        .token = ++p->server->last_token,
        .notify = NUC_NOTIFY_ALWAYS,
        .wait = f->wait,
        .msg = message_of(f, data),
    };
    struct nuc_out out = {0};
    enum motet_err err = MOTET_E_LIMIT;
    if (p->send_count < p->server->limits.sends_max) {
        err = guest_op(p, &in, &out);
    }
    if (err != MOTET_OK) {
        buf_unref(data);
    }
    if (err != MOTET_OK || out.settled) {
        tell(p, ATTACH_SENT, f->id, err);
    } else {
        remember(p, f, in.token);
    }
}

static void tell_not_called(struct peer *p, uint64_t id, enum motet_err err)
{
    tell(p, ATTACH_CALL_DONE, id, err);
}

static enum motet_err call(struct peer *p, const struct attach_frame *f,
                           struct buf *data, struct attach_call *rec)
{
    struct attach *a = p->server;
    struct nuc_in in = {
        .kind = NUC_CALL,
        .port = f->port,
        .dest = f->dest,
        .deadline_ns = peer_deadline(f->timeout_ms),
        .msg = message_of(f, data),
    };
    struct nuc_out out;
    const enum motet_err err = guest_op(p, &in, &out);
    if (err != MOTET_OK) {
        return err;
    }
    rec->peer = p;
    rec->id = f->id;
    rec->port = f->port;
    rec->call = out.call;
    list_append(&p->calls, &rec->link);
    p->call_count++;
    if (!map_put(&a->by_call, rec->call, 0, rec)) {
        peer_doom(p, "no memory left for its calls");
    }
    return MOTET_OK;
}

static void on_call(struct peer *p, const struct attach_frame *f,
                    struct buf *data)
{
    struct attach *a = p->server;
    struct attach_call *rec = NULL;
    enum motet_err err = MOTET_E_LIMIT;
    if (p->call_count < a->limits.calls_max) {
        rec = mem_alloc(&a->mem, sizeof *rec);
        err = rec != NULL ? call(p, f, data, rec) : MOTET_E_NO_MEMORY;
    }
    if (err != MOTET_OK) {
        buf_unref(data);
        mem_free(&a->mem, rec, sizeof *rec);
        tell_not_called(p, f->id, err);
    }
}

static enum motet_err reply(struct peer *p, uint64_t held,
                            enum motet_err status, uint8_t annex_bytes,
                            struct buf *data)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_REPLY,
        .held = held,
        .msg = {.status = (uint16_t)status,
                .annex_bytes = annex_bytes,
                .data = data},
    };
    const enum motet_err err = guest_op(p, &in, &out);
    if (err == MOTET_OK && p->held_count > 0) {
        p->held_count--;
    }
    return err;
}

/* The reply is lost here; that the request was executed is not. */
static enum motet_err reply_lost(struct peer *p, uint64_t held)
{
    return reply(p, held, MOTET_E_MAYBE_LOST, 0, NULL);
}

enum motet_err reply_say(struct peer *p, uint64_t held, enum motet_err status,
                         uint8_t annex_bytes, struct buf *data)
{
    const enum motet_err err = reply(p, held, status, annex_bytes, data);
    if (err == MOTET_E_MOVING &&
        reply_later(p, held, status, annex_bytes, data)) {
        return MOTET_OK;
    }
    if (err != MOTET_OK) {
        buf_unref(data);
    }
    return err != MOTET_OK && err != MOTET_E_STATE && err != MOTET_E_PERMISSION
               ? reply_lost(p, held)
               : err;
}

static void on_reply(struct peer *p, const struct attach_frame *f,
                     struct buf *data, enum motet_err refused)
{
    enum motet_err err;
    if (refused == MOTET_OK) {
        err = reply_say(p, f->id, f->err, f->annex_bytes, data);
    } else {
        buf_unref(data);
        err = reply_lost(p, f->id);
    }
    (void)err; /* STATE, PERMISSION: it owes no such reply */
}

static void on_forward(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_FORWARD, .held = f->held, .dest = f->dest};
    struct nuc_out out;
    const enum motet_err err = guest_op(p, &in, &out);
    if (err == MOTET_OK && p->held_count > 0) {
        p->held_count--;
    }
    answer(p, f, err, NULL);
}

static void on_cancel(struct peer *p, const struct attach_frame *f)
{
    enum motet_err err = MOTET_E_STATE;
    list_foreach (it, &p->calls) {
        const struct attach_call *rec =
            LIST_ENTRY(it, struct attach_call, link);
        if (rec->id == f->of) {
            struct nuc_in in = {.kind = NUC_CANCEL, .call = rec->call};
            struct nuc_out out;
            err = guest_op(p, &in, &out);
            break;
        }
    }
    answer(p, f, err, NULL);
}

static void on_watch(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {
        .kind = NUC_WATCH, .port = f->port, .subject = f->subject};
    struct nuc_out out = {0};
    enum motet_err err = MOTET_E_LIMIT;
    if (p->watch_count < p->server->limits.watches_max) {
        err = guest_op(p, &in, &out);
    }
    p->watch_count += err == MOTET_OK;
    const struct attach_frame with = {.watch = out.watch};
    answer(p, f, err, &with);
}

static void on_unwatch(struct peer *p, const struct attach_frame *f)
{
    struct nuc_in in = {.kind = NUC_UNWATCH, .watch = f->watch};
    struct nuc_out out;
    const enum motet_err err = guest_op(p, &in, &out);
    p->watch_count -= err == MOTET_OK && p->watch_count > 0;
    answer(p, f, err, NULL);
}

static void on_receive_stop(struct peer *p, const struct attach_frame *f)
{
    ask_stop(p, f->id);
}

/* Those with payload are not here. */
static void (*const handlers[ATTACH_RESULT])(struct peer *,
                                             const struct attach_frame *) = {
    [ATTACH_HELLO] = on_hello,
    [ATTACH_BYE] = on_bye,
    [ATTACH_PORT_NEW] = on_port_new,
    [ATTACH_PORT_END] = on_port_end,
    [ATTACH_PORT_SET] = on_port_set,
    [ATTACH_PORT_INFO] = on_port_info,
    [ATTACH_GROUP_NEW] = on_group_new,
    [ATTACH_GROUP_INSERT] = on_group_change,
    [ATTACH_GROUP_REMOVE] = on_group_change,
    [ATTACH_GROUP_LIST] = on_group_list,
    [ATTACH_RECEIVE] = ask_receive,
    [ATTACH_RECEIVE_STOP] = on_receive_stop,
    [ATTACH_FORWARD] = on_forward,
    [ATTACH_CANCEL] = on_cancel,
    [ATTACH_WATCH] = on_watch,
    [ATTACH_UNWATCH] = on_unwatch,
    [ATTACH_ACTOR_FIND] = on_actor_find,
    [ATTACH_ADOPTS] = on_adopts,
};

void peer_request(struct peer *p, const struct attach_frame *f,
                  struct buf *data, enum motet_err refused)
{
    CHECK(f->op < ATTACH_RESULT);
    if (f->op == ATTACH_REPLY) {
        on_reply(p, f, data, refused);
    } else if (f->op == ATTACH_SEND && refused == MOTET_OK) {
        on_send(p, f, data);
    } else if (f->op == ATTACH_CALL && refused == MOTET_OK) {
        on_call(p, f, data);
    } else if (f->op == ATTACH_SEND) {
        tell(p, ATTACH_SENT, f->id, refused);
    } else if (f->op == ATTACH_CALL) {
        tell_not_called(p, f->id, refused);
    } else {
        handlers[f->op](p, f);
    }
}

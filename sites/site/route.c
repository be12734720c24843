#include <string.h>

#include "deaths.h"
#include "inside.h"
#include "moves.h"

static void copy_text(char *to, size_t size, const char *from)
{
    size_t length = from == NULL ? 0 : strnlen(from, size - 1);

    if (length > 0) {
        memcpy(to, from, length);
    }
    to[length] = '\0';
}

struct site_note *site_note(struct site *s, enum site_effect_kind kind,
                            const char *name, const char *addr,
                            const char *detail)
{
    struct site_note *n = ring_push(&s->notes);

    n->e = (struct site_effect){.kind = kind};
    copy_text(n->name, sizeof n->name, name);
    copy_text(n->addr, sizeof n->addr, addr);
    copy_text(n->detail, sizeof n->detail, detail);
    return n;
}

static struct site_log *note_log(struct site *s, enum site_log_kind kind,
                                 const char *name, const char *addr,
                                 const char *detail)
{
    struct site_log *l = &site_note(s, SITE_LOG, name, addr, detail)->e.log;

    l->kind = kind;
    return l;
}

void site_net(struct site *s, struct net_in *in)
{
    in->now_ns = s->now_ns;
    enum motet_err err = netmgr_step(s->netmgr, in);
    (void)err; /* what cannot be done is nothing to undo: see the callers */
    s->flush = true;
}

static void tell_members(struct site *s, struct member_in *in)
{
    in->now_ns = s->now_ns;
    members_step(s->members, in);
}

static enum motet_err tell_directory(struct site *s, struct dir_in *in)
{
    in->now_ns = s->now_ns;
    return directory_step(s->directory, in);
}

/* Facts from other sites and outcomes: the nucleus takes them as they are. */
static void tell_nucleus(struct site *s, struct nuc_in *in)
{
    struct nuc_out out;

    in->now_ns = s->now_ns;
    enum motet_err err = nucleus_step(s->nucleus, in, &out);
    (void)err; /* a fact about something that is gone by now */
}

static void rebirth(struct site *s, uint32_t incarnation, const char *why)
{
    if (s->reborn) {
        return;
    }
    s->reborn = true;
    trace_add(&s->trace, s->now_ns, TRACE_REBIRTH, 0, incarnation, 0);
    note_log(s, SITE_LOG_REBIRTH, NULL, NULL, why)->incarnation = incarnation;
    site_note(s, SITE_REBIRTH, NULL, NULL, NULL)->e.incarnation = incarnation;
}

/* ---- from the network manager ----------------------------------------------
 */

static void on_offer(struct site *s, const struct net_effect *e)
{
    struct nuc_out out = {0};
    if (e->msg.kind == MSG_MIGRATE) {
        const enum motet_err taken = moves_offer(s, e);
        buf_unref(e->msg.data);
        site_net(s, &(struct net_in){.kind = NET_IN_VERDICT,
                                     .flow = e->flow,
                                     .err = taken,
                                     .room_msgs = UINT32_MAX,
                                     .room_bytes = UINT32_MAX});
        return;
    }
    struct nuc_in in = {.kind = NUC_NET_DELIVER,
                        .now_ns = s->now_ns,
                        .src = e->src,
                        .dst = e->dst,
                        .place = e->place,
                        .about = e->about,
                        .msg = e->msg,
                        .in = e->owned};
    enum motet_err err = nucleus_step(s->nucleus, &in, &out);

    if (err != MOTET_OK) {
        buf_unref(e->msg.data);
    }
    site_net(s, &(struct net_in){.kind = NET_IN_VERDICT,
                                 .flow = e->flow,
                                 .err = err,
                                 .room_msgs = out.room_msgs,
                                 .room_bytes = out.room_bytes});
}

static void on_session(struct site *s, const struct net_effect *e, bool news)
{
    tell_members(s, &(struct member_in){.kind = MEMBER_IN_SESSION,
                                        .site = e->site,
                                        .incarnation = e->incarnation,
                                        .name = e->name,
                                        .address = e->addr,
                                        .up = e->up,
                                        .rtt_ns = e->rtt_ns});
    tell_nucleus(s, &(struct nuc_in){.kind = NUC_SITE,
                                     .site = e->site,
                                     .incarnation = e->incarnation,
                                     .state = e->up ? NUC_SITE_REACHABLE
                                                    : NUC_SITE_UNREACHABLE,
                                     .rtt_ns = e->rtt_ns});
    if (news) {
        enum motet_err err =
            tell_directory(s, &(struct dir_in){.kind = DIR_IN_PEER,
                                               .site = e->site,
                                               .incarnation = e->incarnation,
                                               .up = e->up});
        (void)err; /* only PUBLISH fails */
    }
}

static void on_net_session(struct site *s, const struct net_effect *e)
{
    struct member_info info;
    bool news = true;

    /* A change of the round trip only is no news for the directory. */
    for (uint64_t at = 0; members_next(s->members, at, &info); at = info.site) {
        if (info.site == e->site) {
            news = info.session != e->up || info.incarnation != e->incarnation;
            break;
        }
    }
    on_session(s, e, news);
    if (news) {
        struct site_log *l =
            note_log(s, e->up ? SITE_LOG_SESSION_UP : SITE_LOG_SESSION_DOWN,
                     e->name, e->addr, NULL);
        l->site = e->site;
        l->incarnation = e->incarnation;
    }
}

static void on_ctl(struct site *s, const struct net_effect *e)
{
    struct wire_ctl c;

    if (!wire_decode_ctl(s->ctl, e->bytes, e->size, &c)) {
        note_log(s, SITE_LOG_STRANGER, NULL, NULL, "malformed control message")
            ->site = e->site;
        return;
    }
    if (c.kind == WIRE_CTL_MEMBER) {
        tell_members(s, &(struct member_in){.kind = MEMBER_IN_MSG,
                                            .site = e->site,
                                            .incarnation = e->incarnation,
                                            .msg = c.member});
        return;
    }
    if (c.dir->kind == DIR_SYNC || c.dir->kind == DIR_SYNCED) {
        deaths_message(s, e->site, c.dir);
        return;
    }
    if (c.dir->kind == DIR_DELTA &&
        !members_know(s->members, c.dir->author, c.dir->incarnation)) {
        return; /* of its end nobody would tell us; it is sent again */
    }
    enum motet_err err = tell_directory(
        s, &(struct dir_in){.kind = DIR_IN_MSG, .site = e->site, .msg = c.dir});
    (void)err; /* only PUBLISH fails */
}

static void on_refused_us(struct site *s, const struct net_effect *e)
{
    struct site_log *l =
        note_log(s, SITE_LOG_REFUSED_US, NULL, NULL, e->detail);

    l->err = e->err;
    l->site = e->site;
    if (e->err == MOTET_E_STALE) {
        rebirth(s, e->incarnation, e->detail);
    } else if (e->err != MOTET_E_AGAIN && e->err != MOTET_E_LIMIT) {
        l = &site_note(s, SITE_REFUSED, NULL, NULL, e->detail)->e.log;
        l->kind = SITE_LOG_REFUSED_US;
        l->err = e->err;
        l->site = e->site;
    }
}

static void on_net_log(struct site *s, const struct net_effect *e)
{
    bool stranger = e->kind == NET_STRANGER;
    struct site_log *l =
        note_log(s, stranger ? SITE_LOG_STRANGER : SITE_LOG_REFUSED_PEER, NULL,
                 NULL, e->detail);

    l->err = e->err;
    l->site = e->site;
    l->incarnation = e->incarnation;
}

static void on_heard(struct site *s, const struct net_effect *e,
                     enum member_in_kind kind)
{
    tell_members(s, &(struct member_in){
                        .kind = kind,
                        .site = e->site,
                        .incarnation = e->incarnation,
                    });
}

static void on_outcome(struct site *s, const struct net_effect *e)
{
    if (moves_ticket(e->ticket)) {
        moves_outcome(s, e->ticket, e->err);
        return;
    }
    tell_nucleus(s, &(struct nuc_in){.kind = NUC_NET_OUTCOME,
                                     .ticket = e->ticket,
                                     .err = e->err,
                                     .place = e->place});
}

static void on_net(struct site *s, const struct net_effect *e)
{
    switch (e->kind) {
    case NET_DIAL: {
        struct site_note *n = site_note(s, SITE_DIAL, NULL, e->addr, NULL);
        n->e.dial = e->dial;
        n->e.peer = e->site;
        break;
    }
    case NET_CLOSE:
        site_conn_close(s, e->conn);
        break;
    case NET_FRAME:
        conn_frame(s, e->conn, &e->frame);
        break;
    case NET_OFFER:
        on_offer(s, e);
        break;
    case NET_OUTCOME:
        on_outcome(s, e);
        break;
    case NET_WHERE:
        tell_nucleus(s, &(struct nuc_in){.kind = NUC_WHERE,
                                         .port = e->dst,
                                         .place = e->place});
        break;
    case NET_ROOM_FOR:
        tell_nucleus(s, &(struct nuc_in){.kind = NUC_NET_ROOM_FOR,
                                         .src = e->src,
                                         .dst = e->dst});
        break;
    case NET_GOT_CTL:
        on_ctl(s, e);
        break;
    case NET_SESSION:
        on_net_session(s, e);
        break;
    case NET_HEARD:
        on_heard(s, e, MEMBER_IN_HEARD);
        break;
    case NET_PEER_BYE:
        deaths_begin(s, e->site, e->incarnation, NUC_SITE_LEFT);
        on_heard(s, e, MEMBER_IN_BYE);
        break;
    case NET_SUPERSEDED:
        deaths_begin(s, e->site, e->incarnation, NUC_SITE_DEAD);
        on_heard(s, e, MEMBER_IN_DEAD);
        break;
    case NET_REFUSED_US:
        on_refused_us(s, e);
        break;
    case NET_REFUSED_PEER:
    case NET_STRANGER:
        on_net_log(s, e);
        break;
    case NET_PATH:
        paths_offer(s, e);
        break;
    }
}

/* What a NET_FRAME effect held of a message goes back once it is encoded. */
static void release_frame(const struct net_effect *e)
{
    if (e->kind != NET_FRAME) {
        return;
    }
    if (e->frame.kind == NET_DATA) {
        buf_unref(e->frame.u.data.hold);
    } else if (e->frame.kind == NET_CTL) {
        buf_unref(e->frame.u.ctl.hold);
    }
}

static bool drain_nucleus(struct site *s);

/* A frame for ourselves is fed when all that came of the one before is dealt
 * with: the network manager offers one message at a time. */
static bool feed_loop(struct site *s)
{
    const struct net_effect *first = ring_pop(&s->looped);

    if (first == NULL) {
        return false;
    }
    const struct net_effect e = *first; /* its slot may be pushed over */
    site_net(s, &(struct net_in){
                    .kind = NET_IN_FRAME, .conn = e.conn, .frame = &e.frame});
    release_frame(&e);
    return true;
}

static bool drain_net(struct site *s)
{
    const struct net_effect *e;
    bool any = false;

    do {
        while ((e = netmgr_effect(s->netmgr)) != NULL) {
            any = true;
            if (e->kind == NET_FRAME && net_is_loop(e->conn)) {
                memcpy(ring_push(&s->looped), e, sizeof *e);
                continue;
            }
            on_net(s, e);
            release_frame(e);
            drain_nucleus(s); /* it wants its effects taken after each step */
        }
    } while (feed_loop(s));
    return any;
}

void loop_fini(struct site *s)
{
    const struct net_effect *e;

    while ((e = ring_pop(&s->looped)) != NULL) {
        release_frame(e);
    }
    ring_fini(&s->looped);
}

/* ---- from the nucleus ------------------------------------------------------
 */

static void on_to_net(struct site *s, const struct nuc_effect *e)
{
    struct net_in in = {.kind = NET_IN_SEND,
                        .now_ns = s->now_ns,
                        .ticket = e->ticket,
                        .src = e->src,
                        .dst = e->dst,
                        .msg = e->msg,
                        .deadline_ns = e->deadline_ns,
                        .wait = e->wait,
                        .here = e->here};
    enum motet_err err = netmgr_step(s->netmgr, &in);

    s->flush = true;
    if (err == MOTET_OK) {
        return;
    }
    buf_unref(e->msg.data);
    if (e->ticket != 0) {
        tell_nucleus(s, &(struct nuc_in){.kind = NUC_NET_OUTCOME,
                                         .ticket = e->ticket,
                                         .err = err});
    }
}

static void on_publish(struct site *s, const struct nuc_effect *e)
{
    struct record r = {.kind = RECORD_MEMBER,
                       .present = e->in,
                       .subject = e->port,
                       .group = e->target};

    copy_text(r.name, sizeof r.name, e->name);
    (void)netmgr_where(s->netmgr, e->port, &r.epoch);
    enum motet_err err = tell_directory(
        s, &(struct dir_in){.kind = DIR_IN_PUBLISH, .record = &r});
    if (err != MOTET_OK) {
        s->publish_err = err;
    }
}

static bool is_answer_to_send(const struct site *s, const struct nuc_effect *e)
{
    return s->sending.active && e->kind == NUC_SENT && e->err != MOTET_OK &&
           motet_err_ran(e->err) == MOTET_RAN_NO &&
           e->token == s->sending.token && e->actor.hi == s->sending.actor.hi &&
           e->actor.lo == s->sending.actor.lo;
}

static void to_actor(struct site *s, const struct nuc_effect *e)
{
    if (is_answer_to_send(s, e)) {
        s->sending.active = false;
        s->sending.err = e->err;
        return;
    }
    if (!actors_take(s, e)) {
        s->attached_moved += e->kind == NUC_PORT_MOVED;
        memcpy(ring_push(&s->attached), e, sizeof *e);
    }
}

static void on_nuc(struct site *s, const struct nuc_effect *e)
{
    switch (e->kind) {
    case NUC_TO_NET:
        on_to_net(s, e);
        break;
    case NUC_NET_CANCEL:
        site_net(s,
                 &(struct net_in){.kind = NET_IN_CANCEL, .ticket = e->ticket});
        break;
    case NUC_NET_ROOM:
        site_net(s, &(struct net_in){.kind = NET_IN_ROOM, .dst = e->port});
        break;
    case NUC_NET_PORT_END:
        records_ended(s, e->port);
        site_net(s, &(struct net_in){.kind = NET_IN_PORT_END, .dst = e->port});
        break;
    case NUC_PUBLISH:
        on_publish(s, e);
        break;
    case NUC_DELIVER:
    case NUC_RECEIVE_END:
    case NUC_SENT:
    case NUC_CALL_DONE:
    case NUC_ROOM:
    case NUC_CANCELLED:
    case NUC_PORT_GONE:
    case NUC_PORT_MOVED:
    case NUC_PORT_ADOPTED:
        to_actor(s, e);
        break;
    }
}

static bool drain_nucleus(struct site *s)
{
    const struct nuc_effect *e;
    bool any = false;

    while ((e = nucleus_effect(s->nucleus)) != NULL) {
        on_nuc(s, e);
        any = true;
    }
    return any;
}

/* ---- from membership and the directory -------------------------------------
 */

static void send_ctl(struct site *s, uint64_t site, const struct writer *w)
{
    CHECK(writer_ok(w));
    site_net(s, &(struct net_in){.kind = NET_IN_CTL,
                                 .site = site,
                                 .bytes = w->data,
                                 .size = (uint32_t)w->at});
}

void site_send_dir(struct site *s, uint64_t site, const struct dir_msg *msg)
{
    uint8_t bytes[NET_CTL_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);

    wire_encode_dir(msg, &w);
    send_ctl(s, site, &w);
}

void site_directory_gone(struct site *s, uint64_t site, uint32_t incarnation)
{
    enum motet_err err = tell_directory(
        s, &(struct dir_in){
               .kind = DIR_IN_GONE, .site = site, .incarnation = incarnation});
    (void)err; /* only PUBLISH fails */
}

/* A life of it is known: those before are over, even if membership was never
 * told of them. */
static void site_lives(struct site *s, const struct member_effect *e)
{
    deaths_begin(s, e->site, e->incarnation - 1, NUC_SITE_DEAD);
    tell_nucleus(s, &(struct nuc_in){.kind = NUC_SITE,
                                     .site = e->site,
                                     .incarnation = e->incarnation,
                                     .state = e->state == MEMBER_SUSPECT
                                                  ? NUC_SITE_UNREACHABLE
                                                  : NUC_SITE_REACHABLE});
}

static void on_member_state(struct site *s, const struct member_effect *e)
{
    struct site_log *l =
        note_log(s, SITE_LOG_MEMBER, e->name, e->address, NULL);
    struct net_in view = {.kind = NET_IN_VIEW};

    l->state = e->state;
    l->site = e->site;
    l->incarnation = e->incarnation;
    if (e->site != s->cfg.site) {
        if (e->state == MEMBER_DEAD || e->state == MEMBER_LEFT) {
            deaths_begin(s, e->site, e->incarnation,
                         e->state == MEMBER_DEAD ? NUC_SITE_DEAD
                                                 : NUC_SITE_LEFT);
        } else {
            site_lives(s, e);
        }
    }
    view.view_sites = members_alive(s->members, &view.view_lowest);
    site_net(s, &view);
}

static void on_member(struct site *s, const struct member_effect *e)
{
    uint8_t bytes[NET_CTL_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);

    switch (e->kind) {
    case MEMBER_SEND:
        wire_encode_member(e->msg, &w);
        send_ctl(s, e->site, &w);
        break;
    case MEMBER_STATE:
        on_member_state(s, e);
        break;
    case MEMBER_MEET:
        site_net(s, &(struct net_in){.kind = NET_IN_PEER,
                                     .site = e->site,
                                     .addr = e->address});
        break;
    case MEMBER_SELF_DEAD:
        rebirth(s, e->incarnation, "the cluster holds this site for dead");
        break;
    }
}

static bool drain_members(struct site *s)
{
    const struct member_effect *e;
    bool any = false;

    while ((e = members_effect(s->members)) != NULL) {
        on_member(s, e);
        any = true;
    }
    return any;
}

/* What is withdrawn says nothing: the port is somewhere else, or ended. */
static void on_owner(struct site *s, const struct dir_effect *e)
{
    const struct record *r = e->record;

    if (e->in) {
        site_net(s,
                 &(struct net_in){.kind = NET_IN_WHERE,
                                  .dst = r->subject,
                                  .site = r->site != 0 ? r->site : e->site,
                                  .incarnation = r->site != 0 ? r->incarnation
                                                              : e->incarnation,
                                  .epoch = r->epoch});
    }
}

static void on_directory(struct site *s, const struct dir_effect *e)
{
    uint8_t bytes[NET_CTL_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);

    switch (e->kind) {
    case DIR_SEND:
        wire_encode_dir(e->msg, &w);
        send_ctl(s, e->site, &w);
        break;
    case DIR_MEMBER:
        tell_nucleus(s, &(struct nuc_in){.kind = NUC_GROUP_MEMBER,
                                         .dest = {.target = e->record->group},
                                         .name = e->record->name,
                                         .src = e->record->subject,
                                         .site = e->site,
                                         .epoch = e->record->epoch,
                                         .in = e->in});
        break;
    case DIR_OWNER:
        on_owner(s, e);
        break;
    }
}

static bool drain_directory(struct site *s)
{
    const struct dir_effect *e;
    bool any = false;

    while ((e = directory_effect(s->directory)) != NULL) {
        on_directory(s, e);
        any = true;
    }
    return any;
}

/* ---- all together ----------------------------------------------------------
 */

void site_settle(struct site *s)
{
    bool again;

    do {
        again = drain_net(s);
        again = drain_nucleus(s) || again;
        again = drain_members(s) || again;
        again = drain_directory(s) || again;
        again = moves_drain(s) || again;
    } while (again);
}

enum motet_err site_nuc(struct site *s, struct nuc_in *in, struct nuc_out *out)
{
    bool send = in->kind == NUC_SEND;
    struct buf *data = in->msg.data;

    in->now_ns = s->now_ns;
    s->publish_err = MOTET_OK;
    if (send) {
        buf_ref(data); /* so that it is the caller's again if it is refused */
        s->sending.active = true;
        s->sending.actor = in->actor;
        s->sending.token = in->token;
        s->sending.err = MOTET_OK;
    }
    enum motet_err err = nucleus_step(s->nucleus, in, out);
    site_settle(s);
    if (!send) {
        return err != MOTET_OK ? err : s->publish_err;
    }
    s->sending.active = false;
    if (err != MOTET_OK) {
        buf_unref(data); /* the one just taken; the caller keeps its own */
        return err;
    }
    if (s->sending.err == MOTET_OK) {
        buf_unref(data);
    }
    return s->sending.err;
}

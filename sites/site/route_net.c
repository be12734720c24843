#include <string.h>

#include "deaths.h"
#include "moves.h"
#include "route.h"

/* Effects of the network manager. */

static void give_verdict(struct site *s, uint64_t flow, enum motet_err err,
                         uint32_t room_msgs, uint32_t room_bytes)
{
    struct net_in *in = &s->in.verdict;

    in->kind = NET_IN_VERDICT;
    in->flow = flow;
    in->err = err;
    in->room_msgs = room_msgs;
    in->room_bytes = room_bytes;
    site_net(s, in);
}

static void on_offer(struct site *s, const struct net_effect *e)
{
    struct nuc_out *out = &s->in.out;
    if (e->msg.kind == MSG_MIGRATE) {
        const enum motet_err taken = moves_offer(s, e);
        buf_unref(e->msg.data);
        give_verdict(s, e->flow, taken, UINT32_MAX, UINT32_MAX);
        return;
    }
    struct nuc_in *in = &s->in.deliver;
    in->kind = NUC_NET_DELIVER;
    in->now_ns = s->now_ns;
    in->src = e->src;
    in->dst = e->dst;
    in->place = e->place;
    in->about = e->about;
    in->msg = e->msg;
    in->in = e->owned;
    enum motet_err err = nucleus_step(s->nucleus, in, out);

    if (err != MOTET_OK) {
        buf_unref(e->msg.data);
    }
    give_verdict(s, e->flow, err, out->room_msgs, out->room_bytes);
}

static void on_session(struct site *s, const struct net_effect *e, bool news)
{
    route_members(s, &(struct member_in){.kind = MEMBER_IN_SESSION,
                                         .site = e->site,
                                         .incarnation = e->incarnation,
                                         .name = e->name,
                                         .address = e->addr,
                                         .up = e->up,
                                         .rtt_ns = e->rtt_ns});
    route_nucleus(s, &(struct nuc_in){.kind = NUC_SITE,
                                      .site = e->site,
                                      .incarnation = e->incarnation,
                                      .state = e->up ? NUC_SITE_REACHABLE
                                                     : NUC_SITE_UNREACHABLE,
                                      .rtt_ns = e->rtt_ns});
    if (news) {
        enum motet_err err =
            route_directory(s, &(struct dir_in){.kind = DIR_IN_PEER,
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
            route_log(s, e->up ? SITE_LOG_SESSION_UP : SITE_LOG_SESSION_DOWN,
                      e->name, e->addr, NULL);
        l->site = e->site;
        l->incarnation = e->incarnation;
    }
}

static void on_ctl(struct site *s, const struct net_effect *e)
{
    struct wire_ctl c;

    if (!wire_decode_ctl(s->ctl, e->bytes, e->size, &c)) {
        route_log(s, SITE_LOG_STRANGER, NULL, NULL, "malformed control message")
            ->site = e->site;
        return;
    }
    if (c.kind == WIRE_CTL_MEMBER) {
        route_members(s, &(struct member_in){.kind = MEMBER_IN_MSG,
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
    enum motet_err err = route_directory(
        s, &(struct dir_in){.kind = DIR_IN_MSG, .site = e->site, .msg = c.dir});
    (void)err; /* only PUBLISH fails */
}

static void on_refused_us(struct site *s, const struct net_effect *e)
{
    struct site_log *l =
        route_log(s, SITE_LOG_REFUSED_US, NULL, NULL, e->detail);

    l->err = e->err;
    l->site = e->site;
    if (e->err == MOTET_E_STALE) {
        route_rebirth(s, e->incarnation, e->detail);
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
        route_log(s, stranger ? SITE_LOG_STRANGER : SITE_LOG_REFUSED_PEER, NULL,
                  NULL, e->detail);

    l->err = e->err;
    l->site = e->site;
    l->incarnation = e->incarnation;
}

static void on_heard(struct site *s, const struct net_effect *e,
                     enum member_in_kind kind)
{
    route_members(s, &(struct member_in){
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
    struct nuc_in *in = &s->in.outcome;
    nucleus_foresee(s->nucleus, e->next);
    in->kind = NUC_NET_OUTCOME;
    in->ticket = e->ticket;
    in->err = e->err;
    in->place = e->place;
    route_nucleus(s, in);
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
        route_nucleus(s, &(struct nuc_in){.kind = NUC_WHERE,
                                          .port = e->dst,
                                          .place = e->place});
        break;
    case NET_ROOM_FOR:
        route_nucleus(s, &(struct nuc_in){.kind = NUC_NET_ROOM_FOR,
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

bool route_drain_net(struct site *s)
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
            /* It wants its effects taken after each step. */
            route_drain_nucleus(s);
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

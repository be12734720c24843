#include "control.h"

#include <string.h>

#include "moves.h"
#include "nucleus/base/ui.h"

/* The actor behind the control port: all management is calls to it. It answers
 * with what the machines hold, a page at a time. */

static uint64_t age_ms(const struct site *s, uint64_t since_ns)
{
    return since_ns >= s->now_ns ? 0 : (s->now_ns - since_ns) / 1000000;
}

/* ---- the answers -----------------------------------------------------------
 */

static void answer_status(struct site *s, struct page *p)
{
    Motet__ControlSite *m = &p->site;
    struct nuc_counts n = nucleus_counts(s->nucleus);
    uint64_t lowest;

    motet__control_site__init(m);
    p->reply.site = m;
    SET(m, site, s->cfg.site);
    SET(m, incarnation, s->cfg.incarnation);
    m->name = s->name;
    m->cluster = s->cluster;
    m->address = s->address;
    m->version = s->version;
    SET(m, insecure, s->cfg.insecure);
    SET(m, uptime_ms, age_ms(s, s->born_ns));
    SET(m, alive, members_alive(s->members, &lowest));
    SET(m, members_view, members_view(s->members));
    SET(m, directory_view, directory_view(s->directory));
    SET(m, records, directory_records(s->directory));
    SET(m, memory_bytes, s->mem.used_bytes);
    SET(m, memory_peak_bytes, s->mem.peak_bytes);
    SET(m, memory_cap_bytes, s->mem.cap_bytes);
    SET(m, ports, n.ports);
    SET(m, actors, n.actors);
    SET(m, groups, n.groups);
    SET(m, calls, n.calls);
    SET(m, held, n.held);
    SET(m, queued, n.queued_msgs);
    SET(m, sent, n.sent);
    SET(m, delivered, n.delivered);
    SET(m, refused, n.refused);
    SET(m, maybe, n.maybe);
    SET(m, lost, n.lost);
}

static void answer_members(struct site *s, const request_t *q, struct page *p)
{
    struct member_info info;
    uint64_t at = q->after_hi;

    p->reply.members = p->member_list;
    while (members_next(s->members, at, &info)) {
        if (p->reply.n_members == PAGE_ITEMS) {
            SET(&p->reply, more, 1);
            return;
        }
        Motet__ControlMember *m = &p->members[p->reply.n_members];
        p->member_list[p->reply.n_members++] = m;
        motet__control_member__init(m);
        SET(m, site, info.site);
        SET(m, incarnation, info.incarnation);
        SET(m, state, (uint32_t)info.state);
        SET(m, session, info.session || info.site == s->cfg.site);
        SET(m, since_ms, age_ms(s, info.since_ns));
        SET(m, rtt_ns, info.rtt_ns);
        m->name = control_text(info.name);
        m->address = control_text(info.address);
        at = info.site;
    }
}

static void fill_link(const struct site *s, const struct net_link_stats *l,
                      Motet__ControlLink *m)
{
    motet__control_link__init(m);
    SET(m, site, l->site);
    SET(m, incarnation, l->incarnation);
    SET(m, up, l->up);
    SET(m, up_ms, l->up ? age_ms(s, l->up_since_ns) : 0);
    SET(m, rtt_ns, l->rtt_ns);
    SET(m, tx_packets, l->tx_packets);
    SET(m, rx_packets, l->rx_packets);
    SET(m, tx_bytes, l->tx_bytes);
    SET(m, rx_bytes, l->rx_bytes);
    SET(m, tx_fragments, l->tx_fragments);
    SET(m, rx_fragments, l->rx_fragments);
    SET(m, retrans, l->retrans);
    SET(m, dups, l->dups);
    SET(m, naks, l->naks);
    SET(m, breaks, l->breaks);
    SET(m, flows_out, l->flows_out);
    SET(m, flows_in, l->flows_in);
    SET(m, backlog_bytes, l->backlog_bytes);
}

static void fill_path(const struct site *s, const struct net_link_stats *l,
                      Motet__ControlLink *m)
{
    struct path_stats p;

    SET(m, path_ups, l->fast_ups);
    SET(m, path_downs, l->fast_downs);
    if (!site_path_stats(s, l->fast, &p)) {
        return;
    }
    SET(m, path_up, 1);
    SET(m, path_used, l->fast_used);
    SET(m, path_rtt_ns, p.rtt_ns);
    SET(m, path_mtu, p.mtu);
    SET(m, path_window_bytes, p.window_bytes);
    SET(m, path_flight_bytes, p.flight_bytes);
    SET(m, path_queue_bytes, p.queue_bytes);
    SET(m, path_tx_packets, p.tx_packets);
    SET(m, path_rx_packets, p.rx_packets);
    SET(m, path_tx_bytes, p.tx_bytes);
    SET(m, path_rx_bytes, p.rx_bytes);
    SET(m, path_tx_frames, p.tx_frames);
    SET(m, path_rx_frames, p.rx_frames);
    SET(m, path_retrans, p.retrans);
    SET(m, path_lost, p.lost);
    SET(m, path_dups, p.dups);
    SET(m, path_defs, p.defs);
    SET(m, path_forged, p.forged);
    SET(m, path_congested, p.congested);
    SET(m, path_key, p.key_out);
}

static void answer_links(struct site *s, const request_t *q, struct page *p)
{
    uint64_t at = q->after_hi;
    struct net_link_stats stats;

    p->reply.links = p->link_list;
    while (netmgr_next_link(s->netmgr, at, &stats)) {
        if (p->reply.n_links == PAGE_ITEMS) {
            SET(&p->reply, more, 1);
            return;
        }
        size_t i = p->reply.n_links++;
        p->stats[i] = stats;
        p->link_list[i] = &p->links[i];
        fill_link(s, &p->stats[i], &p->links[i]);
        fill_path(s, &p->stats[i], &p->links[i]);
        p->links[i].name = p->stats[i].name;
        p->links[i].address = p->stats[i].addr;
        at = stats.site;
    }
}

static bool fill_port(struct site *s, struct motet_ui ui, Motet__ControlPort *m)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_PORT_INFO, .port = ui};

    if (site_nuc(s, &in, &out) != MOTET_OK) {
        return false;
    }
    motet__control_port__init(m);
    SET(m, hi, ui.hi);
    SET(m, lo, ui.lo);
    m->actor = control_text(out.port.actor_name);
    SET(m, enabled, out.port.attr.enabled);
    SET(m, priority, out.port.attr.priority);
    SET(m, queue_msgs, out.port.queue_msgs);
    SET(m, queue_msgs_max, out.port.attr.queue_msgs_max);
    SET(m, queue_bytes, out.port.queue_bytes);
    SET(m, queue_bytes_max, out.port.attr.queue_bytes_max);
    SET(m, waiting, out.port.waiting);
    SET(m, seq, out.port.seq);
    SET(m, oldest_ms,
        out.port.oldest_ns == 0 ? 0 : age_ms(s, out.port.oldest_ns));
    return true;
}

static void add_port(struct site *s, struct motet_ui ui, struct page *p)
{
    Motet__ControlPort *m = &p->ports[p->reply.n_ports];

    if (fill_port(s, ui, m)) {
        p->port_list[p->reply.n_ports++] = m;
    }
}

static void answer_ports(struct site *s, const request_t *q, struct page *p)
{
    struct motet_ui at = {q->after_hi, q->after_lo};

    p->reply.ports = p->port_list;
    while (nucleus_next_port(s->nucleus, at, &at)) {
        if (p->reply.n_ports == PAGE_ITEMS) {
            SET(&p->reply, more, 1);
            return;
        }
        add_port(s, at, p);
    }
}

static void answer_port(struct site *s, const request_t *q, struct page *p)
{
    p->reply.ports = p->port_list;
    add_port(s, (struct motet_ui){q->after_hi, q->after_lo}, p);
    if (p->reply.n_ports == 0) {
        SET(&p->reply, err, MOTET_E_NO_PORT);
    }
}

static void add_group(struct site *s, struct motet_ui ui, const char *name,
                      uint32_t members, struct page *p)
{
    size_t i = p->reply.n_groups++;
    Motet__ControlGroup *g = &p->groups[i];
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_GROUP_LIST, .dest = {.target = ui}};

    p->group_list[i] = g;
    motet__control_group__init(g);
    SET(g, hi, ui.hi);
    SET(g, lo, ui.lo);
    memcpy(p->group_names[i], name, strnlen(name, MOTET_NAME_MAX));
    g->name = p->group_names[i];
    SET(g, member_count, members);
    g->members = p->group_member_list[i];
    while (g->n_members < GROUP_MEMBERS_MAX &&
           site_nuc(s, &in, &out) == MOTET_OK) {
        Motet__ControlGroupMember *m = &p->group_members[i][g->n_members];
        p->group_member_list[i][g->n_members++] = m;
        motet__control_group_member__init(m);
        SET(m, hi, out.member.port.hi);
        SET(m, lo, out.member.port.lo);
        SET(m, site, out.member.site);
        in.index++;
    }
}

static void answer_groups(struct site *s, const request_t *q, struct page *p)
{
    struct motet_ui at = {q->after_hi, q->after_lo};
    const char *name;
    uint32_t members;

    p->reply.groups = p->group_list;
    while (nucleus_next_group(s->nucleus, at, &at, &name, &members)) {
        if (p->reply.n_groups == GROUP_PAGE_ITEMS) {
            SET(&p->reply, more, 1);
            return;
        }
        add_group(s, at, name, members, p);
    }
}

static void answer_group(struct site *s, const request_t *q, struct page *p)
{
    struct motet_ui want = {q->after_hi, q->after_lo};
    struct motet_ui at = {0, 0};
    const char *name;
    uint32_t members;

    if (q->name != NULL && ui_name_ok(q->name)) {
        want = ui_of_name(q->name);
    }
    p->reply.groups = p->group_list;
    while (nucleus_next_group(s->nucleus, at, &at, &name, &members)) {
        if (ui_equal(at, want)) {
            add_group(s, at, name, members, p);
            return;
        }
    }
    SET(&p->reply, err, MOTET_E_NO_GROUP);
}

/* @return false: it will be answered later */
static bool answer(struct site *s, const struct motet_view *v,
                   const request_t *q, struct page *p)
{
    switch (q->op) {
    case MOTET__CONTROL_REQUEST__OP__PING:
        SET(&p->reply, body, q->body);
        break;
    case MOTET__CONTROL_REQUEST__OP__STATUS:
        answer_status(s, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__MEMBERS:
        answer_members(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__LINKS:
        answer_links(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__PORTS:
        answer_ports(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__PORT:
        answer_port(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__GROUPS:
        answer_groups(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__GROUP:
        answer_group(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__MIGRATE:
        return control_migrate(s, v, q, p);
    case MOTET__CONTROL_REQUEST__OP__MOVE:
        return control_move(s, v, q, p);
    case MOTET__CONTROL_REQUEST__OP__ABORT:
        control_abort(s, v, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__MOVES:
        control_moves(s, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__ADOPT:
        control_adopt(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__WHERE:
        control_where(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__LEAVE:
        control_leave(s, v, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__ACTORS:
        control_actors(s, q, p);
        break;
    case MOTET__CONTROL_REQUEST__OP__WAY:
        control_way(s, v, q, p);
        break;
    case _MOTET__CONTROL_REQUEST__OP_IS_INT_SIZE:
    default:
        SET(&p->reply, err, MOTET_E_INVALID);
        break;
    }
    return true;
}

/* ---- the actor -------------------------------------------------------------
 */

static void send_reply(struct motet_self *self, uint64_t held,
                       const reply_t *reply)
{
    struct mem *mem = &self->site->own;
    size_t size = motet__control_reply__get_packed_size(reply);
    uint8_t *bytes = size == 0 ? NULL : mem_alloc(mem, size);
    struct motet_out out = {.body = {.data = bytes, .size = size}};

    CHECK(size == 0 || bytes != NULL);
    if (size > 0) {
        motet__control_reply__pack(reply, bytes);
    }
    enum motet_err err = motet_actor_reply(self, held, &out);
    (void)err; /* the caller gave up, or its deadline tells it */
    mem_free(mem, bytes, size);
}

struct page *page_new(struct site *s)
{
    struct page *p = mem_alloc(&s->own, sizeof *p);

    CHECK(p != NULL);
    motet__control_reply__init(&p->reply);
    return p;
}

void page_reply(struct site *s, uint64_t held, struct page *p)
{
    if (s->control != NULL) {
        send_reply(s->control, held, &p->reply);
    }
    mem_free(&s->own, p, sizeof *p);
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *view)
{
    struct site *s = self->site;
    (void)state;

    if (view->held == 0) {
        return;
    }
    struct page *p = page_new(s);
    bool now = true;
    const ProtobufCMessage *m =
        arena_unpack(s->ctl, &motet__control_request__descriptor, view->body,
                     view->body_bytes);
    if (m == NULL) {
        SET(&p->reply, err, MOTET_E_INVALID);
    } else {
        now = answer(s, view, (const request_t *)m, p);
    }
    if (now) {
        page_reply(s, view->held, p);
    } else {
        mem_free(&s->own, p, sizeof *p);
    }
}

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    struct motet_cap cap;
    (void)state;
    (void)args;

    self->site->control = self;
    return motet_actor_port_new(self, &cap);
}

static void on_stop(struct motet_self *self, void *state)
{
    (void)state;
    self->site->control = NULL;
}

const struct motet_supervisor site_control = {
    .name = "control",
    .on_start = on_start,
    .on_message = on_message,
    .on_stop = on_stop,
};

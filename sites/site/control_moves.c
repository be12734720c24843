#include <string.h>

#include "control.h"
#include "moves.h"
#include "nucleus/base/ui.h"

/* The part of the control port that moves ports, and tells of it. */

/* ---- What is answered ------------------------------------------------------
 */

static uint64_t since(const struct move_note *n, enum move_time time)
{
    return n->at_ns[time] > n->at_ns[MOVE_ASKED]
               ? n->at_ns[time] - n->at_ns[MOVE_ASKED]
               : 0;
}

static void add_note(const struct site *s, const struct move_note *n,
                     struct page *p)
{
    if (p->reply.n_moves == PAGE_ITEMS) {
        SET(&p->reply, more, 1);
        return;
    }
    Motet__ControlMove *m = &p->moves[p->reply.n_moves];
    p->move_list[p->reply.n_moves++] = m;
    p->reply.moves = p->move_list;
    motet__control_move__init(m);
    SET(m, id, n->id);
    SET(m, over, n->over);
    SET(m, came, n->came);
    SET(m, err, (uint32_t)n->err);
    SET(m, from, n->from);
    SET(m, to, n->to);
    SET(m, hi, n->port.hi);
    SET(m, lo, n->port.lo);
    SET(m, epoch, n->epoch);
    SET(m, ports, n->ports);
    SET(m, queued, n->queued);
    SET(m, dropped, n->dropped);
    SET(m, bytes, n->bytes);
    SET(m, asked_by, n->asked_by);
    SET(m, frozen_ns, since(n, MOVE_FROZEN));
    SET(m, sent_ns, since(n, MOVE_SENT));
    SET(m, prepared_ns, since(n, MOVE_PREPARED));
    SET(m, over_ns, n->over ? since(n, MOVE_OVER) : 0);
    SET(m, ago_ms, n->over ? (s->now_ns - n->at_ns[MOVE_OVER]) / 1000000 : 0);
    m->receiver = control_text(n->receiver);
}

void control_moved(struct site *s, uint64_t held, const struct move_note *note)
{
    struct page *p = page_new(s);

    SET(&p->reply, err, (uint32_t)note->err);
    SET(&p->reply, move, note->id);
    add_note(s, note, p);
    page_reply(s, held, p);
}

/* ---- Who may ---------------------------------------------------------------
 */

/* Its owner's site has said who it is; an operator may do everything. */
static bool is_operator(const struct site *s, const struct motet_view *v)
{
    return v->pi.uid == 0 || v->pi.uid == s->cfg.operator_uid;
}

static enum motet_err may_move(struct site *s, const struct motet_view *v,
                               const Motet__ControlMigrate *q,
                               struct motet_ui port, struct motet_ui *owner)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_PORT_INFO, .port = port};

    if (site_nuc(s, &in, &out) != MOTET_OK) {
        return MOTET_E_NO_PORT;
    }
    *owner = out.port.actor;
    const bool capable = q->has_key && q->key == out.port.key;
    return capable || is_operator(s, v) ? MOTET_OK : MOTET_E_PERMISSION;
}

/* ---- Beginning one ---------------------------------------------------------
 */

/* To another actor of this site. */
static enum motet_err give_here(struct site *s, const struct move_request *q)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_PORT_GIVE};
    bool adopts;

    if (q->count == 0) {
        return MOTET_E_INVALID; /* a whole actor is here already */
    }
    if (!nucleus_actor(s->nucleus, q->receiver, &in.subject, &adopts)) {
        return MOTET_E_NO_ACTOR;
    }
    for (uint32_t i = 0; i < q->count; i++) {
        if (!actors_consent(s, in.subject, q->ports[i])) {
            return MOTET_E_DECLINED;
        }
        in.port = q->ports[i];
        const enum motet_err err = site_nuc(s, &in, &out);
        if (err != MOTET_OK) {
            return err;
        }
        move_port_given(s, in.port);
    }
    return MOTET_OK;
}

static enum motet_err request(struct site *s, const struct motet_view *v,
                              const Motet__ControlMigrate *q,
                              struct move_request *r, struct motet_ui *port)
{
    bool adopts;
    enum motet_err err = MOTET_OK;

    *port = (struct motet_ui){q->hi, q->lo};
    r->to = q->to;
    r->receiver = q->receiver != NULL ? q->receiver : "";
    r->drop = q->drop != 0;
    r->pi = v->pi;
    if (r->receiver[0] != '\0' && !ui_name_ok(r->receiver)) {
        return MOTET_E_INVALID;
    }
    if (q->actor != NULL) {
        if (!nucleus_actor(s->nucleus, q->actor, &r->actor, &adopts)) {
            return MOTET_E_NO_ACTOR;
        }
        err = is_operator(s, v) ? MOTET_OK : MOTET_E_PERMISSION;
    } else {
        err = may_move(s, v, q, *port, &r->actor);
        if (!q->whole && !q->all) {
            r->ports = port;
            r->count = 1;
        }
    }
    return err;
}

/* All ports of an actor, at most as many as one move may have. */
static struct motet_ui *all_ports(struct site *s, struct move_request *r,
                                  uint32_t most)
{
    struct motet_ui at = {0, 0};
    struct motet_ui *all = mem_alloc(&s->own, most * sizeof *all);

    CHECK(all != NULL);
    while (r->count < most &&
           nucleus_next_port_of(s->nucleus, r->actor, at, &at)) {
        all[r->count++] = at;
    }
    r->ports = all;
    return all;
}

enum { ALL_PORTS_MAX = 256 }; /* of one move of all ports of an actor */

static enum motet_err migrate(struct site *s, const struct motet_view *v,
                              const Motet__ControlMigrate *q, uint64_t *id)
{
    struct move_request r = {0};
    struct motet_ui port;
    struct motet_ui *all = NULL;
    enum motet_err err = request(s, v, q, &r, &port);

    *id = 0;
    if (err == MOTET_OK && q->all) {
        all = all_ports(s, &r, ALL_PORTS_MAX);
        err = r.count > 0 ? MOTET_OK : MOTET_E_NO_PORT;
    }
    if (err == MOTET_OK) {
        err = r.to == s->cfg.site ? give_here(s, &r) : moves_start(s, &r, id);
    }
    mem_free(&s->own, all, ALL_PORTS_MAX * sizeof *all);
    return err;
}

bool control_migrate(struct site *s, const struct motet_view *v,
                     const request_t *q, struct page *p)
{
    uint64_t id = 0;
    enum motet_err err = MOTET_E_INVALID;

    if (q->migrate != NULL) {
        err = migrate(s, v, q->migrate, &id);
    }
    if (err == MOTET_OK && id != 0 && q->wait && moves_await(s, id, v->held)) {
        return false;
    }
    SET(&p->reply, err, (uint32_t)err);
    SET(&p->reply, move, id);
    return true;
}

bool control_move(struct site *s, const struct motet_view *v,
                  const request_t *q, struct page *p)
{
    const struct move_note *n = moves_find(s, q->move);

    if (n == NULL) {
        SET(&p->reply, err, MOTET_E_STATE);
        return true;
    }
    if (!n->over && q->wait && moves_await(s, q->move, v->held)) {
        return false;
    }
    SET(&p->reply, err, n->over ? (uint32_t)n->err : 0);
    add_note(s, n, p);
    return true;
}

void control_abort(struct site *s, const struct motet_view *v,
                   const request_t *q, struct page *p)
{
    const struct move_note *n = moves_find(s, q->move);
    const bool own = n != NULL && !n->came && n->asked_by == v->pi.uid;
    const enum motet_err err = own || is_operator(s, v)
                                   ? moves_cancel(s, q->move)
                                   : MOTET_E_PERMISSION;
    SET(&p->reply, err, (uint32_t)err);
}

void control_moves(struct site *s, struct page *p)
{
    const struct move_note *n;

    list_foreach (it, &s->moves) {
        add_note(s, &LIST_ENTRY(it, struct move, link)->note, p);
    }
    for (uint32_t i = 0; (n = moves_past(s, i)) != NULL; i++) {
        add_note(s, n, p);
    }
}

/* ---- Looking ---------------------------------------------------------------
 */

/* What a PREPARE would be answered, as far as it can be told before. */
static enum motet_err could_adopt(struct site *s,
                                  const Motet__ControlMigrate *q)
{
    struct motet_ui actor;
    bool adopts;

    if (q->ports > migration_limits_default().ports_max ||
        nucleus_counts(s->nucleus).ports + q->ports >
            s->cfg.nucleus.ports_max) {
        return MOTET_E_LIMIT;
    }
    if (s->mem.used_bytes + q->bytes * 2 > s->mem.cap_bytes) {
        return MOTET_E_NO_MEMORY;
    }
    if (q->kind != NULL && q->kind[0] != '\0') {
        if (s->cfg.actor_kind == NULL ||
            s->cfg.actor_kind(s->cfg.actor_ctx, q->kind) == NULL) {
            return MOTET_E_NO_ACTOR;
        }
        return q->actor != NULL &&
                       nucleus_actor(s->nucleus, q->actor, &actor, &adopts)
                   ? MOTET_E_NAME_TAKEN
                   : MOTET_OK;
    }
    if (q->receiver == NULL ||
        !nucleus_actor(s->nucleus, q->receiver, &actor, &adopts)) {
        return MOTET_E_NO_ACTOR;
    }
    return adopts ? MOTET_OK : MOTET_E_DECLINED;
}

void control_adopt(struct site *s, const request_t *q, struct page *p)
{
    const enum motet_err err =
        q->migrate != NULL ? could_adopt(s, q->migrate) : MOTET_E_INVALID;
    SET(&p->reply, err, (uint32_t)err);
}

void control_where(struct site *s, const request_t *q, struct page *p)
{
    const struct motet_ui port = {q->after_hi, q->after_lo};
    Motet__ControlWhere *w = &p->where;
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_PORT_INFO, .port = port};
    struct mig_xid xid;
    uint64_t epoch;

    motet__control_where__init(w);
    p->reply.where = w;
    const bool here = site_nuc(s, &in, &out) == MOTET_OK;
    const struct place_of place = netmgr_where(s->netmgr, port, &epoch);
    SET(w, site, here ? s->cfg.site : place.site);
    SET(w, incarnation, here ? s->cfg.incarnation : place.incarnation);
    SET(w, epoch, here && epoch == 0 ? 1 : epoch);
    SET(w, here, here);
    SET(w, birth_site, ui_site(port));
    SET(w, state, (uint32_t)migration_state(s->migration, port, &xid));
}

static void add_actor(struct site *s, struct motet_ui ui, const char *name,
                      bool adopts, struct page *p)
{
    Motet__ControlActor *m = &p->actors[p->reply.n_actors];
    const struct motet_self *a = actors_find(s, ui);
    struct motet_ui port = {0, 0};
    struct motet_ui at = {0, 0};
    uint32_t ports = 0;

    while (nucleus_next_port_of(s->nucleus, ui, at, &at)) {
        port = ports == 0 ? at : port;
        ports++;
    }
    motet__control_actor__init(m);
    p->actor_list[p->reply.n_actors++] = m;
    SET(m, hi, ui.hi);
    SET(m, lo, ui.lo);
    m->name = control_text(name);
    m->kind = control_text(a != NULL ? a->table->name : "");
    SET(m, ports, ports);
    SET(m, movable, a != NULL && a->table->save != NULL);
    SET(m, adopts, adopts);
    SET(m, port_hi, port.hi);
    SET(m, port_lo, port.lo);
}

void control_actors(struct site *s, const request_t *q, struct page *p)
{
    struct motet_ui at = {q->after_hi, q->after_lo};
    const char *name;
    bool adopts;

    p->reply.actors = p->actor_list;
    while (nucleus_next_actor(s->nucleus, at, &at, &name, &adopts)) {
        if (p->reply.n_actors == PAGE_ITEMS) {
            SET(&p->reply, more, 1);
            return;
        }
        add_actor(s, at, name, adopts, p);
    }
}

void control_leave(struct site *s, const struct motet_view *v, struct page *p)
{
    enum motet_err err = MOTET_E_PERMISSION;

    if (is_operator(s, v)) {
        site_note(s, SITE_LEAVE, NULL, NULL, NULL);
        err = MOTET_OK;
    }
    SET(&p->reply, err, (uint32_t)err);
}

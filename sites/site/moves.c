#include "moves.h"

#include <string.h>

#include "nucleus/base/ui.h"

#define MS UINT64_C(1000000)

enum {
    QUIET_MS_MAX = 2000, /* for an actor to have done what it was given */
    LATER_MS = 20, /* until a refused move is tried again: what was in its way
                    * goes on meanwhile */
    AGAIN_MS = 1,  /* until what could not be done is tried again */
};

/* ---- Life ------------------------------------------------------------------
 */

bool moves_create(struct site *s)
{
    const struct migration_config c = {
        .site = s->cfg.site,
        .incarnation = s->cfg.incarnation,
        .seed = prng_next(&s->prng),
        .limits = migration_limits_default(),
        .mem = &s->mem,
        .trace = &s->trace,
    };

    s->migration = migration_create(&c);
    return s->migration != NULL;
}

static void move_free(struct site *s, struct move *m)
{
    list_remove(&m->link);
    mem_free(&s->own, m->groups.all,
             m->groups.capacity * sizeof *m->groups.all);
    mem_free(&s->mem, m->content, m->content_capacity);
    mem_free(&s->own, m->ports, m->count * sizeof *m->ports);
    mem_free(&s->own, m, sizeof *m);
}

void moves_fini(struct site *s)
{
    list_foreach (it, &s->moves) {
        move_free(s, LIST_ENTRY(it, struct move, link));
    }
    list_foreach (it, &s->arrivals) {
        arrival_free(s, LIST_ENTRY(it, struct arrival, link));
    }
    records_fini(s);
    if (s->migration != NULL) {
        migration_destroy(s->migration);
    }
}

enum motet_err site_migrate(struct site *s, struct mig_in *in)
{
    in->now_ns = s->now_ns;
    return migration_step(s->migration, in);
}

/* ---- Asking for one --------------------------------------------------------
 */

static bool member_of(const struct site *s, uint64_t site,
                      struct member_info *info)
{
    for (uint64_t at = 0; members_next(s->members, at, info); at = info->site) {
        if (info->site == site) {
            return true;
        }
    }
    return false;
}

static enum motet_err destination(const struct site *s, uint64_t site,
                                  uint32_t *incarnation)
{
    struct member_info info;

    if (!member_of(s, site, &info)) {
        return MOTET_E_NO_SITE;
    }
    if (info.state == MEMBER_DEAD || info.state == MEMBER_LEFT) {
        return MOTET_E_SITE_DEAD;
    }
    *incarnation = info.incarnation;
    return info.session ? MOTET_OK : MOTET_E_UNREACHABLE;
}

static uint32_t count_ports(const struct site *s, struct motet_ui actor)
{
    struct motet_ui at = {0, 0};
    uint32_t count = 0;

    while (nucleus_next_port_of(s->nucleus, actor, at, &at)) {
        count++;
    }
    return count;
}

/* The ports of the request, or of all its actor. */
static enum motet_err take_ports(struct site *s, const struct move_request *q,
                                 struct move *m)
{
    struct motet_ui at = {0, 0};
    const uint32_t most = migration_limits_default().ports_max;

    m->count = q->count != 0 ? q->count : count_ports(s, q->actor);
    if (m->count > most) {
        m->count = 0;
        return MOTET_E_LIMIT;
    }
    m->ports = mem_alloc(&s->own, m->count * sizeof *m->ports);
    CHECK(m->count == 0 || m->ports != NULL);
    for (uint32_t i = 0; i < m->count; i++) {
        if (q->count != 0) {
            at = q->ports[i];
        } else if (!nucleus_next_port_of(s->nucleus, q->actor, at, &at)) {
            return MOTET_E_STATE;
        }
        m->ports[i].ui = at;
        m->note.port = i == 0 ? at : m->note.port;
    }
    return MOTET_OK;
}

/* Whether each of them may move: theirs, and not moving already. */
static enum motet_err check_ports(struct site *s, const struct move *m)
{
    struct mig_xid xid;

    for (uint32_t i = 0; i < m->count; i++) {
        struct nuc_out out;
        struct nuc_in in = {
            .kind = NUC_PORT_INFO, .now_ns = s->now_ns, .port = m->ports[i].ui};
        if (ui_kind(in.port) != UI_PORT) {
            return MOTET_E_STATE;
        }
        if (nucleus_step(s->nucleus, &in, &out) != MOTET_OK) {
            return MOTET_E_NO_PORT;
        }
        if (out.port.frozen ||
            migration_state(s->migration, in.port, &xid) != MIG_NONE) {
            return MOTET_E_MOVING;
        }
        if (!ui_equal(out.port.actor, m->actor)) {
            return MOTET_E_INVALID;
        }
    }
    return MOTET_OK;
}

static bool is_asked(const struct site *s, const struct move *m)
{
    list_foreach (it, &s->moves) {
        const struct move *other = LIST_ENTRY(it, const struct move, link);
        for (uint32_t i = 0; i < other->count; i++) {
            for (uint32_t k = 0; k < m->count && m->count <= 64; k++) {
                if (ui_equal(other->ports[i].ui, m->ports[k].ui)) {
                    return true;
                }
            }
        }
        if (m->self != NULL && other->self == m->self) {
            return true;
        }
    }
    return false;
}

static enum motet_err prepare(struct site *s, const struct move_request *q,
                              struct move *m)
{
    enum motet_err err = destination(s, q->to, &m->incarnation);

    if (err != MOTET_OK) {
        return err;
    }
    if (q->count == 0) {
        m->self = actors_find(s, q->actor);
        if (m->self == NULL || m->self->table->save == NULL ||
            m->self->table->restore == NULL) {
            return MOTET_E_STATE;
        }
    }
    err = take_ports(s, q, m);
    if (err == MOTET_OK) {
        err = check_ports(s, m);
    }
    return err == MOTET_OK && is_asked(s, m) ? MOTET_E_MOVING : err;
}

enum motet_err moves_start(struct site *s, const struct move_request *q,
                           uint64_t *id)
{
    if (q->to == s->cfg.site || s->moving >= MOVES_ASKED_MAX) {
        return q->to == s->cfg.site ? MOTET_E_INVALID : MOTET_E_LIMIT;
    }
    struct move *m = mem_alloc(&s->own, sizeof *m);
    CHECK(m != NULL);
    m->actor = q->actor;
    m->drop = q->drop;
    memcpy(m->note.receiver, q->receiver, strnlen(q->receiver, MOTET_NAME_MAX));
    const enum motet_err err = prepare(s, q, m);
    if (err != MOTET_OK) {
        move_free(s, m);
        return err;
    }
    m->note.id = ++s->move_ids;
    m->attempt = m->note.id;
    m->note.from = s->cfg.site;
    m->note.to = q->to;
    m->note.ports = m->count;
    m->note.asked_by = q->pi.uid;
    m->note.at_ns[MOVE_ASKED] = s->now_ns;
    m->give_up_ns = s->now_ns + QUIET_MS_MAX * MS;
    s->moving++;
    list_append(&s->moves, &m->link);
    *id = m->note.id;
    return MOTET_OK;
}

/* ---- Finding ---------------------------------------------------------------
 */

static struct move *by_id(const struct site *s, uint64_t id)
{
    list_foreach (it, &s->moves) {
        struct move *m = LIST_ENTRY(it, struct move, link);
        if (m->note.id == id) {
            return m;
        }
    }
    return NULL;
}

struct move *move_of(const struct site *s, const struct mig_xid *xid)
{
    list_foreach (it, &s->moves) {
        struct move *m = LIST_ENTRY(it, struct move, link);
        if (m->begun && m->note.xid.number == xid->number &&
            xid->site == s->cfg.site) {
            return m;
        }
    }
    return NULL;
}

const struct move_note *moves_past(const struct site *s, uint32_t index)
{
    const uint32_t count =
        s->move_notes < MOVES_KEPT ? (uint32_t)s->move_notes : MOVES_KEPT;
    if (index >= count) {
        return NULL;
    }
    return &s->notes_kept[(s->move_notes - 1 - index) % MOVES_KEPT];
}

const struct move_note *moves_find(const struct site *s, uint64_t id)
{
    const struct move *m = by_id(s, id);
    const struct move_note *note;

    for (uint32_t i = 0; m == NULL && (note = moves_past(s, i)) != NULL; i++) {
        if (note->id == id) {
            return note;
        }
    }
    return m != NULL ? &m->note : NULL;
}

bool moves_await(struct site *s, uint64_t id, uint64_t held)
{
    struct move *m = by_id(s, id);

    if (m == NULL || m->waiter_count == MOVES_WAITERS_MAX) {
        return false;
    }
    m->waiters[m->waiter_count++] = held;
    return true;
}

/* ---- The end ---------------------------------------------------------------
 */

void move_keep_note(struct site *s, const struct move_note *note)
{
    s->notes_kept[s->move_notes % MOVES_KEPT] = *note;
    s->move_notes++;
}

void move_end(struct site *s, struct move *m, enum motet_err err)
{
    m->note.over = true;
    m->note.err = err;
    m->note.at_ns[MOVE_OVER] = s->now_ns;
    if (m->count > 0) {
        m->note.epoch = m->ports[0].epoch + 1;
    }
    move_keep_note(s, &m->note);
    for (uint32_t i = 0; i < m->waiter_count; i++) {
        control_moved(s, m->waiters[i], &m->note);
    }
    s->moving--;
    move_free(s, m);
}

enum motet_err moves_cancel(struct site *s, uint64_t id)
{
    struct move *m = by_id(s, id);

    if (m == NULL) {
        return MOTET_E_STATE;
    }
    if (m->begun) {
        return site_migrate(
            s, &(struct mig_in){.kind = MIG_IN_CANCEL, .xid = m->note.xid});
    }
    move_end(s, m, MOTET_E_CANCELLED);
    return MOTET_OK;
}

/* ---- The beginning ---------------------------------------------------------
 */

static void thaw_first(struct site *s, const struct move *m, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)move_port_here(s, NUC_PORT_THAW, m->ports[i].ui,
                             m->ports[i].epoch);
    }
}

static enum motet_err freeze(struct site *s, struct move *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        const enum motet_err err = move_port_freeze(s, m, &m->ports[i]);
        if (err != MOTET_OK) {
            thaw_first(s, m, i);
            return err;
        }
    }
    m->note.at_ns[MOVE_FROZEN] = s->now_ns;
    return MOTET_OK;
}

/* What is smoothed of the round trip to the destination. */
static uint64_t rtt_of(const struct site *s, uint64_t site)
{
    struct member_info info;

    return member_of(s, site, &info) ? info.rtt_ns : 0;
}

/* All is frozen from here on, to the answer. */
static enum motet_err begin(struct site *s, struct move *m)
{
    enum motet_err err = destination(s, m->note.to, &m->incarnation);

    if (err != MOTET_OK) {
        return err;
    }
    err = freeze(s, m);
    if (err != MOTET_OK) {
        return err;
    }
    if (m->self != NULL) {
        m->self->frozen = true;
    }
    err = move_pack(s, m);
    if (err == MOTET_OK) {
        err = site_migrate(s, &(struct mig_in){.kind = MIG_IN_START,
                                               .site = m->note.to,
                                               .incarnation = m->incarnation,
                                               .rtt_ns = rtt_of(s, m->note.to),
                                               .ports = m->ports,
                                               .count = m->count});
    }
    if (err != MOTET_OK) {
        thaw_first(s, m, m->count);
        actors_thaw(s, m->self);
        return err;
    }
    m->begun = true;
    m->note.xid = migration_last(s->migration);
    m->note.at_ns[MOVE_SENT] = s->now_ns;
    return MOTET_OK;
}

static bool may_come_good(enum motet_err err)
{
    return err == MOTET_E_AGAIN || err == MOTET_E_LIMIT ||
           err == MOTET_E_UNREACHABLE;
}

/* An actor may have made, adopted or ended ports since it was asked for. */
static enum motet_err check_all(struct site *s, struct move *m)
{
    if (m->self == NULL) {
        return check_ports(s, m);
    }
    const struct move_request q = {.actor = m->actor};
    mem_free(&s->own, m->ports, m->count * sizeof *m->ports);
    m->ports = NULL;
    enum motet_err err = take_ports(s, &q, m);
    m->note.ports = m->count;
    if (err == MOTET_OK) {
        err = check_ports(s, m);
    }
    return err == MOTET_E_MOVING ? MOTET_E_AGAIN : err; /* one is coming */
}

static void move_unbegin(struct move *m)
{
    m->begun = false;
    m->content_size = 0;
    m->groups.count = 0;
    m->note.queued = 0;
    m->parts = 0;
    m->parts_sent = 0;
    m->parts_done = 0;
}

bool move_again(struct site *s, struct move *m, enum motet_err err)
{
    if (err != MOTET_E_AGAIN || s->now_ns >= m->give_up_ns) {
        return false;
    }
    move_unbegin(m);
    m->later_ns = m->later_ns == 0 ? LATER_MS * MS : 2 * m->later_ns;
    m->not_before_ns = s->now_ns + m->later_ns;
    m->attempt = ++s->move_ids;
    return true;
}

static void try_begin(struct site *s, struct move *m)
{
    if (m->self != NULL &&
        (actors_find(s, m->actor) != m->self || m->self->ending)) {
        move_end(s, m, MOTET_E_NO_ACTOR); /* it has ended meanwhile */
        return;
    }
    if (s->now_ns < m->not_before_ns) {
        return;
    }
    const bool quiet = actors_quiet(s, m->actor);
    const enum motet_err err = quiet ? check_all(s, m) : MOTET_E_AGAIN;
    const enum motet_err begun = err == MOTET_OK ? begin(s, m) : err;
    if (begun == MOTET_OK) {
        return;
    }
    move_unbegin(m);
    if (!may_come_good(begun) || s->now_ns >= m->give_up_ns) {
        move_end(s, m, begun);
    }
}

void moves_run(struct site *s)
{
    list_foreach (it, &s->moves) {
        struct move *m = LIST_ENTRY(it, struct move, link);
        if (!m->begun) {
            try_begin(s, m);
        } else if (m->parts_sent < m->parts) {
            move_send_parts(s, m);
        }
    }
    site_settle(s);
    arrivals_run(s);
    records_run(s);
    if (migration_deadline_ns(s->migration) <= s->now_ns) {
        const enum motet_err err =
            site_migrate(s, &(struct mig_in){.kind = MIG_IN_TICK});
        CHECK(err == MOTET_OK);
    }
    site_settle(s);
}

uint64_t moves_deadline_ns(const struct site *s)
{
    uint64_t at = migration_deadline_ns(s->migration);
    const uint64_t records_ns = records_deadline_ns(s);

    list_foreach (it, &s->moves) {
        const struct move *m = LIST_ENTRY(it, const struct move, link);
        if (!m->begun || m->parts_sent < m->parts) {
            const uint64_t soon = s->now_ns + AGAIN_MS * MS;
            const uint64_t due =
                soon > m->not_before_ns ? soon : m->not_before_ns;
            at = due < at ? due : at;
        }
    }
    list_foreach (it, &s->arrivals) {
        const struct arrival *a = LIST_ENTRY(it, const struct arrival, link);
        if (!a->installed) {
            const uint64_t due = a->whole ? s->now_ns : a->give_up_ns;
            at = due < at ? due : at;
        }
    }
    return records_ns < at ? records_ns : at;
}

/* ---- From other sites ------------------------------------------------------
 */

void moves_gone(struct site *s, uint64_t site, uint32_t incarnation)
{
    const enum motet_err err = site_migrate(
        s, &(struct mig_in){
               .kind = MIG_IN_GONE, .site = site, .incarnation = incarnation});
    CHECK(err == MOTET_OK);
    records_gone(s, site, incarnation);
}

enum motet_err moves_offer(struct site *s, const struct net_effect *e)
{
    struct wire_migrate m;
    const struct buf *data = e->msg.data;

    if (!ui_equal(e->src, ui_of_control(e->place.site)) || data == NULL) {
        return MOTET_E_PROTOCOL;
    }
    if (data->size > 0 && data->data[0] != WIRE_MIGRATE_VERSION) {
        return MOTET_E_VERSION;
    }
    if (!wire_decode_migrate(data->data, data->size, &m)) {
        return MOTET_E_PROTOCOL;
    }
    if (m.frame.kind == MIG_PREPARE) {
        arrival_part(s, e->place.site, &m);
        return MOTET_OK;
    }
    const enum motet_err err = site_migrate(
        s, &(struct mig_in){
               .kind = MIG_IN_FRAME, .site = e->place.site, .frame = &m.frame});
    CHECK(err == MOTET_OK);
    return MOTET_OK;
}

/* It is not understood over there, and would not be the next time. */
static bool hopeless(enum motet_err err)
{
    return err == MOTET_E_VERSION || err == MOTET_E_PROTOCOL ||
           err == MOTET_E_TOO_BIG;
}

static struct move *by_attempt(const struct site *s, uint64_t attempt)
{
    list_foreach (it, &s->moves) {
        struct move *m = LIST_ENTRY(it, struct move, link);
        if (m->begun && m->attempt == attempt) {
            return m;
        }
    }
    return NULL;
}

/* A part of a PREPARE has arrived, or will not. */
void moves_outcome(struct site *s, uint64_t ticket, enum motet_err err)
{
    struct move *m = by_attempt(s, (ticket & ~(UINT64_C(1) << 63)) >> 16);

    if (m == NULL || (err != MOTET_OK && !hopeless(err))) {
        return; /* it times out */
    }
    const enum motet_err step = site_migrate(
        s, &(struct mig_in){.kind = err == MOTET_OK ? MIG_IN_PROGRESS
                                                    : MIG_IN_CANCEL,
                            .xid = m->note.xid,
                            .err = err});
    (void)step; /* it is over */
    if (err == MOTET_OK) {
        m->parts_done++;
        move_send_parts(s, m);
    }
}

#include <string.h>

#include "migration_priv.h"

/* One move and what the rules make of it: its timers, its effects, its end. */

static size_t move_bytes(uint32_t count)
{
    return sizeof(struct mig_move) + count * sizeof(struct mig_port);
}

static void ports_forget(struct migration *m, const struct mig_move *mv,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct motet_ui ui = mv->ports[i].ui;
        CHECK(map_remove(&m->ports, ui.hi, ui.lo) == mv);
    }
}

static enum motet_err ports_enter(struct migration *m, struct mig_move *mv)
{
    for (uint32_t i = 0; i < mv->count; i++) {
        const struct motet_ui ui = mv->ports[i].ui;
        const struct mig_move *other = map_get(&m->ports, ui.hi, ui.lo);
        enum motet_err err = MOTET_OK;
        if (other != NULL) {
            err = other == mv ? MOTET_E_INVALID : MOTET_E_STATE;
        } else if (!map_put(&m->ports, ui.hi, ui.lo, mv)) {
            err = MOTET_E_NO_MEMORY;
        }
        if (err != MOTET_OK) {
            ports_forget(m, mv, i);
            return err;
        }
    }
    return MOTET_OK;
}

static void move_free(struct migration *m, struct mig_move *mv)
{
    list_remove(&mv->node);
    deadline_clear(&m->deadlines, &mv->timer);
    mem_free(m->cfg.mem, mv, move_bytes(mv->count));
}

enum motet_err mig_move_new(struct migration *m, const struct mig_port *ports,
                            uint32_t count, struct mig_move **made)
{
    struct mig_move *mv = mem_alloc(m->cfg.mem, move_bytes(count));
    if (mv == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    mv->count = count;
    memcpy(mv->ports, ports, count * sizeof *ports);
    /* Armed from now to its end, so that to move it later cannot fail. */
    if (!deadline_set(&m->deadlines, &mv->timer, DEADLINE_NEVER - 1)) {
        move_free(m, mv);
        return MOTET_E_NO_MEMORY;
    }
    const enum motet_err err = ports_enter(m, mv);
    if (err != MOTET_OK) {
        move_free(m, mv);
        return err;
    }
    for (int phase = 0; phase < MIG_PHASE_COUNT; phase++) {
        for (int i = 0; i < MIG_OUT_COUNT; i++) {
            mv->outs[phase][i].move = mv;
        }
    }
    *made = mv;
    return MOTET_OK;
}

void mig_moves_fini(struct migration *m)
{
    struct list *lists[] = {&m->away, &m->here, &m->over};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        list_foreach (it, lists[i]) {
            move_free(m, LIST_ENTRY(it, struct mig_move, node));
        }
    }
    map_fini(&m->ports);
    deadlines_fini(&m->deadlines);
}

struct mig_move *mig_away(const struct migration *m, uint64_t number)
{
    list_foreach (it, &m->away) {
        struct mig_move *mv = LIST_ENTRY(it, struct mig_move, node);
        if (mv->xid.number == number) {
            return mv;
        }
    }
    return NULL;
}

struct mig_move *mig_here(const struct migration *m, struct mig_xid xid)
{
    list_foreach (it, &m->here) {
        struct mig_move *mv = LIST_ENTRY(it, struct mig_move, node);
        if (mv->xid.site == xid.site && mv->xid.number == xid.number &&
            mv->xid.incarnation == xid.incarnation) {
            return mv;
        }
    }
    return NULL;
}

uint64_t mig_settled(const struct migration *m)
{
    struct list *first = list_first(&m->away);
    return first == NULL ? m->next
                         : LIST_ENTRY(first, struct mig_move, node)->xid.number;
}

/* ---- Timers ---------------------------------------------------------------
 */

/* Sets the timer of an armed move: cannot fail. */
static void arm(struct migration *m, struct mig_move *mv, uint64_t after_ns)
{
    const uint64_t far = DEADLINE_NEVER - 1;
    const uint64_t at_ns =
        after_ns < far - m->now_ns ? m->now_ns + after_ns : far;
    CHECK(deadline_set(&m->deadlines, &mv->timer, at_ns));
}

static void arm_query(struct migration *m, struct mig_move *mv)
{
    const uint64_t left_ns =
        mv->hold_at_ns > m->now_ns ? mv->hold_at_ns - m->now_ns : 0;
    const uint64_t query_ns = m->cfg.limits.query_ns;
    arm(m, mv, left_ns < query_ns ? left_ns : query_ns);
}

void mig_progress(struct migration *m, struct mig_move *mv)
{
    if (mv->state == MIG_FRZ) {
        arm(m, mv, mv->wait_ns);
    }
}

void mig_due(struct migration *m, struct mig_move *mv)
{
    arm(m, mv, DEADLINE_NEVER - 1);
    if (mv->state == MIG_FRZ) {
        CHECK(mig_follow_move(m, mv, MIG_ON_TIMEOUT, MOTET_E_TIMEOUT));
        return;
    }
    if (mv->state == MIG_PRP && m->now_ns >= mv->hold_at_ns) {
        CHECK(mig_follow_move(m, mv, MIG_ON_HOLD_OVER, MOTET_OK));
        return;
    }
    if (mv->state == MIG_FWD) {
        const uint64_t max_ns = m->cfg.limits.retry_max_ns;
        mv->wait_ns = mv->wait_ns < max_ns / 2 ? mv->wait_ns * 2 : max_ns;
        arm(m, mv, mv->wait_ns);
    } else {
        arm_query(m, mv);
    }
    CHECK(mig_follow_move(m, mv, MIG_ON_RETRY, MOTET_OK));
}

/* ---- Effects --------------------------------------------------------------
 */

static void push(struct migration *m, struct mig_out *out,
                 const struct mig_effect *effect)
{
    out->effect = *effect;
    list_append(&m->outs, &out->node);
    if (out->move != NULL) {
        out->move->waiting++;
    }
}

static bool waits(const struct mig_out outs[MIG_OUT_COUNT])
{
    return list_linked(&outs[MIG_OUT_STEP].node) ||
           list_linked(&outs[MIG_OUT_SEND].node);
}

static enum mig_phase phase_of(enum mig_state from, enum mig_state to)
{
    if (from == to) {
        return MIG_REPEAT;
    }
    if (to == MIG_FRZ || to == MIG_PRP) {
        return MIG_BEGIN;
    }
    return to == MIG_FWD ? MIG_COMMITS : MIG_END;
}

/* The room for the effects of a transition; NULL when there is none left. */
static struct mig_out *outs_for(struct migration *m, struct mig_move *mv,
                                enum mig_phase phase)
{
    if (mv != NULL) {
        struct mig_out *outs = mv->outs[phase];
        if (!waits(outs)) {
            return outs;
        }
        CHECK(phase == MIG_REPEAT);
        return NULL;
    }
    CHECK(phase == MIG_REPEAT);
    for (int i = 0; i < MIG_LOOSE_MAX; i++) {
        if (!waits(m->loose[i])) {
            return m->loose[i];
        }
    }
    return NULL;
}

/* What is done with the ports. @return false: nothing */
static bool ports_effect(enum mig_state from, enum mig_state to,
                         struct mig_effect *e)
{
    e->epoch_plus = 0;
    if (from == to || to == MIG_FRZ || to == MIG_FWD || to == MIG_PRP) {
        return false;
    }
    if (from == MIG_PRP) {
        e->kind = to == MIG_OWN ? MIG_ACTIVATE : MIG_DISCARD;
        e->epoch_plus = to == MIG_OWN ? 1 : 0;
        return true;
    }
    e->kind = to == MIG_OWN ? MIG_THAW : MIG_DROP;
    e->epoch_plus = to == MIG_OWN ? 2 : 0;
    return true;
}

static struct mig_frame frame_for(const struct migration *m,
                                  const struct mig_at *at,
                                  enum mig_frame_kind kind)
{
    const bool source = at->xid.site == m->cfg.site;
    struct mig_frame f = {
        .kind = kind,
        .xid = at->xid,
        .from_incarnation = m->cfg.incarnation,
        .to_incarnation = at->incarnation,
        .settled = source ? mig_settled(m) : 0,
        .err = kind == MIG_REFUSE ? at->err : MOTET_OK,
    };
#ifdef MOTET_BUG_ONE_NAK
    if (kind == MIG_REFUSE) {
        f.kind = MIG_NEVER;
    }
#endif
    return f;
}

static void tell(struct migration *m, const struct mig_at *at,
                 const struct mig_rule *rule, enum mig_state to)
{
    struct mig_out *outs = outs_for(m, at->move, phase_of(at->state, to));
    if (outs == NULL) {
        return;
    }
    struct mig_effect e = {
        .kind = MIG_STEP,
        .site = at->site,
        .incarnation = at->incarnation,
        .xid = at->xid,
        .from = at->state,
        .to = to,
        .event = at->event,
        .err = at->err,
    };
    if (at->move != NULL) {
        e.ports = at->move->ports;
        e.count = at->move->count;
    }
    push(m, &outs[MIG_OUT_STEP], &e);
    if (ports_effect(at->state, to, &e)) {
        push(m, &outs[MIG_OUT_PORTS], &e);
    }
    if (rule->answer != MIG_NOTHING) {
        e.kind = MIG_SEND;
        e.epoch_plus = 0;
        e.ports = NULL;
        e.count = 0;
        e.frame = frame_for(m, at, (enum mig_frame_kind)rule->answer);
        push(m, &outs[MIG_OUT_SEND], &e);
    }
}

const struct mig_effect *migration_effect(struct migration *m)
{
    struct mig_move *done = m->taken;
    m->taken = NULL;
    if (done != NULL && done->over && done->waiting == 0) {
        move_free(m, done);
    }
    struct list *first = list_first(&m->outs);
    if (first == NULL) {
        return NULL;
    }
    list_remove(first);
    struct mig_out *out = LIST_ENTRY(first, struct mig_out, node);
    m->effect = out->effect;
    m->taken = out->move;
    if (m->taken != NULL) {
        m->taken->waiting--;
    }
    return &m->effect;
}

/* ---- Transitions ----------------------------------------------------------
 */

static enum mig_state next_of(const struct mig_rule *rule, enum mig_state from,
                              enum mig_event event)
{
    (void)from;
    (void)event;
#ifdef MOTET_BUG_TAKEOVER
    if (from == MIG_PRP && event == MIG_ON_GONE) {
        return MIG_OWN;
    }
#endif
#ifdef MOTET_BUG_RESUME
    if (from == MIG_FWD && event == MIG_ON_GONE) {
        return MIG_OWN;
    }
#endif
#ifdef MOTET_BUG_LATE_ABORT
    if (from == MIG_FWD && event == MIG_ON_RETRY) {
        return MIG_OWN;
    }
#endif
    return rule->next;
}

static void end(struct migration *m, struct mig_move *mv, enum mig_state from)
{
    ports_forget(m, mv, mv->count);
    deadline_clear(&m->deadlines, &mv->timer);
    list_remove(&mv->node);
    list_append(&m->over, &mv->node);
    mv->over = true;
    if (from == MIG_PRP) {
        m->heres--;
    } else {
        m->aways--;
    }
}

static void enter(struct migration *m, struct mig_move *mv, enum mig_state to)
{
    const enum mig_state from = mv->state;
    mv->state = to;
    mv->since_ns = m->now_ns;
    switch (to) {
    case MIG_FRZ:
        list_append(&m->away, &mv->node);
        m->aways++;
        arm(m, mv, mv->wait_ns);
        break;
    case MIG_PRP:
        list_append(&m->here, &mv->node);
        m->heres++;
        mv->hold_at_ns = m->now_ns + m->cfg.limits.hold_ns;
        arm_query(m, mv);
        break;
    case MIG_FWD:
        mv->wait_ns = m->cfg.limits.retry_min_ns;
        arm(m, mv, mv->wait_ns);
        break;
    case MIG_OWN:
        if (from == MIG_PRP) {
            struct mig_source *s = mig_source(m, mv->site);
            CHECK(s != NULL && s->incarnation == mv->incarnation);
            mig_source_activate(s, mv->xid.number);
        }
        end(m, mv, from);
        break;
    case MIG_NONE:
    case MIG_STATE_COUNT:
        end(m, mv, from);
        break;
    }
}

bool mig_follow(struct migration *m, const struct mig_at *at)
{
    const struct mig_rule *rule = mig_rule(at->state, at->event);
    if (rule == NULL) {
        return false;
    }
    const enum mig_state to = next_of(rule, at->state, at->event);
    trace_add(m->cfg.trace, m->now_ns, TRACE_MIGRATE,
              (uint32_t)at->state << 16 | (uint32_t)at->event << 8 |
                  (uint32_t)to,
              at->xid.site, at->xid.number);
    if (to != at->state) {
        CHECK(at->move != NULL);
        enter(m, at->move, to);
    }
    tell(m, at, rule, to);
    return true;
}

bool mig_follow_move(struct migration *m, struct mig_move *mv,
                     enum mig_event event, enum motet_err err)
{
    const struct mig_at at = {
        .move = mv,
        .site = mv->site,
        .incarnation = mv->incarnation,
        .xid = mv->xid,
        .state = mv->state,
        .event = event,
        .err = err,
    };
    return mig_follow(m, &at);
}

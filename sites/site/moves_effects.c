#include "moves.h"

/* What the machine (sites/core/migration.h) decided, carried out. */

static void on_send(struct site *s, const struct mig_effect *e)
{
    struct move *m = move_of(s, &e->xid);

    if (e->frame.kind != MIG_PREPARE) {
        move_send_frame(s, e->site, &e->frame);
    } else if (m != NULL) {
        m->settled = e->frame.settled;
        move_send_parts(s, m);
    }
}

static void on_step(struct site *s, const struct mig_effect *e)
{
    struct move *m = move_of(s, &e->xid);
    struct site_log *l = &site_note(s, SITE_LOG, NULL, NULL, NULL)->e.log;

    if (m != NULL && e->event == MIG_ON_PREPARED && e->from == MIG_FRZ) {
        m->note.at_ns[MOVE_PREPARED] = s->now_ns;
        m->note.at_ns[MOVE_COMMITTED] = s->now_ns;
    }
    *l = (struct site_log){
        .kind = SITE_LOG_MOVE,
        .site = e->xid.site,
        .incarnation = e->xid.incarnation,
        .value = e->xid.number,
        .from = e->from,
        .event = e->event,
        .to = e->to,
        .port = e->count > 0 ? e->ports[0].ui : (struct motet_ui){0},
        .epoch = e->count > 0 ? e->ports[0].epoch : 0,
    };
}

static void on_thaw(struct site *s, const struct mig_effect *e)
{
    struct move *m = move_of(s, &e->xid);

    for (uint32_t i = 0; i < e->count; i++) {
        const struct mig_port *p = &e->ports[i];
        (void)move_port_here(s, NUC_PORT_THAW, p->ui, p->epoch + e->epoch_plus);
    }
    if (m != NULL) {
        actors_thaw(s, m->self);
        if (!move_again(s, m, e->err)) {
            move_end(s, m, e->err != MOTET_OK ? e->err : MOTET_E_TIMEOUT);
        }
    }
}

static void on_drop(struct site *s, const struct mig_effect *e)
{
    struct move *m = move_of(s, &e->xid);
    const struct move_groups none = {0};

    for (uint32_t i = 0; i < e->count; i++) {
        const struct mig_port *p = &e->ports[i];
        move_port_away(s, e, p, m != NULL && m->self != NULL);
        records_away(
            s, m != NULL ? &m->groups : &none, p->ui,
            (struct place_of){.site = e->site, .incarnation = e->incarnation},
            p->epoch + 1);
    }
    if (m != NULL) {
        if (m->self != NULL) {
            actors_moved(s, m->self);
        }
        move_end(s, m, e->err);
    }
}

static void note_arrival(struct site *s, const struct arrival *a,
                         const struct mig_effect *e)
{
    struct move_note note = {
        .xid = e->xid,
        .over = true,
        .came = true,
        .from = e->site,
        .to = s->cfg.site,
        .ports = e->count,
        .queued = a->queued,
        .bytes = a->size,
    };

    if (e->count > 0) {
        note.port = e->ports[0].ui;
        note.epoch = e->ports[0].epoch + 1;
    }
    note.at_ns[MOVE_OVER] = s->now_ns;
    move_keep_note(s, &note);
}

static void on_activate(struct site *s, const struct mig_effect *e)
{
    struct arrival *a = arrival_find(s, &e->xid);

    for (uint32_t i = 0; i < e->count; i++) {
        const struct mig_port *p = &e->ports[i];
        const uint64_t epoch = p->epoch + e->epoch_plus;
        const bool lives = move_port_here(s, NUC_PORT_ACTIVATE, p->ui, epoch);
        records_here(s, p->ui, epoch, lives);
    }
    CHECK(a != NULL);
    if (a->self != NULL) {
        actors_arrived(s, a->self);
    }
    note_arrival(s, a, e);
    arrival_free(s, a);
}

static void on_discard(struct site *s, const struct mig_effect *e)
{
    struct arrival *a = arrival_find(s, &e->xid);

    if (a != NULL) {
        arrival_discard(s, a, e->site, e->incarnation);
        arrival_free(s, a);
    }
}

bool moves_drain(struct site *s)
{
    const struct mig_effect *e;
    bool any = false;

    if (s->moves_draining) {
        return false; /* one is being carried out */
    }
    s->moves_draining = true;
    while ((e = migration_effect(s->migration)) != NULL) {
        any = true;
        switch (e->kind) {
        case MIG_SEND:
            on_send(s, e);
            break;
        case MIG_STEP:
            on_step(s, e);
            break;
        case MIG_THAW:
            on_thaw(s, e);
            break;
        case MIG_DROP:
            on_drop(s, e);
            break;
        case MIG_ACTIVATE:
            on_activate(s, e);
            break;
        case MIG_DISCARD:
            on_discard(s, e);
            break;
        }
    }
    s->moves_draining = false;
    return any;
}

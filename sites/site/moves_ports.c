#include "moves.h"

/* What is done to one port as it moves, in the nucleus and in the network
 * manager at once. */

enum { FREEZE_TRIES = 64 };

static void nuc_port(struct site *s, enum nuc_kind kind, struct motet_ui port,
                     bool with_actor)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = kind, .now_ns = s->now_ns, .port = port, .in = with_actor};
    const enum motet_err err = nucleus_step(s->nucleus, &in, &out);

    (void)err; /* STATE: it is not frozen, as after a failure half-way */
    site_settle(s);
}

static uint64_t epoch_of(const struct site *s, struct motet_ui port)
{
    uint64_t epoch;

    (void)netmgr_where(s->netmgr, port, &epoch);
    return epoch == 0 ? 1 : epoch;
}

/* What the ports do, for whoever watches over them (P5). */
static void tell(struct site *s, struct motet_ui port, enum site_log_kind kind,
                 enum motet_err err, uint64_t epoch)
{
    struct site_log *l = &site_note(s, SITE_LOG, NULL, NULL, NULL)->e.log;

    *l = (struct site_log){
        .kind = kind, .err = err, .value = epoch, .port = port};
}

/* Its actor may have ended meanwhile: then it ends as it thaws. */
static bool tell_here(struct site *s, struct motet_ui port, uint64_t epoch)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_PORT_INFO, .now_ns = s->now_ns, .port = port};
    const bool lives = nucleus_step(s->nucleus, &in, &out) == MOTET_OK;

    tell(s, port, lives ? SITE_LOG_PORT_HERE : SITE_LOG_PORT_AWAY,
         lives ? MOTET_OK : MOTET_E_NO_ACTOR, epoch);
    return lives;
}

enum motet_err move_port_freeze(struct site *s, struct move *m,
                                struct mig_port *p)
{
    enum motet_err err = MOTET_E_AGAIN;

    p->epoch = epoch_of(s, p->ui);
    for (int i = 0; err == MOTET_E_AGAIN && i < FREEZE_TRIES; i++) {
        struct nuc_out out;
        struct nuc_in in = {.kind = NUC_PORT_FREEZE,
                            .now_ns = s->now_ns,
                            .port = p->ui,
                            .in = m->drop};
        const uint64_t lost = nucleus_counts(s->nucleus).lost;
        err = nucleus_step(s->nucleus, &in, &out);
        m->note.dropped += (uint32_t)(nucleus_counts(s->nucleus).lost - lost);
        site_settle(s);
    }
    if (err != MOTET_OK) {
        return err;
    }
    struct net_in in = {
        .kind = NET_IN_FREEZE, .now_ns = s->now_ns, .dst = p->ui};
    err = netmgr_step(s->netmgr, &in);
    if (err != MOTET_OK) {
        nuc_port(s, NUC_PORT_THAW, p->ui, false);
        return err;
    }
    tell(s, p->ui, SITE_LOG_PORT_FROZEN, MOTET_OK, p->epoch);
    return MOTET_OK;
}

bool move_port_here(struct site *s, enum nuc_kind how, struct motet_ui port,
                    uint64_t epoch)
{
    site_net(
        s, &(struct net_in){.kind = NET_IN_HERE, .dst = port, .epoch = epoch});
    nuc_port(s, how, port, false);
    return tell_here(s, port, epoch);
}

void move_port_away(struct site *s, const struct mig_effect *e,
                    const struct mig_port *p, bool with_actor)
{
    site_net(s, &(struct net_in){.kind = NET_IN_AWAY,
                                 .dst = p->ui,
                                 .site = e->site,
                                 .incarnation = e->incarnation,
                                 .epoch = p->epoch + 1});
    site_settle(s);
    nuc_port(s, NUC_PORT_DROP, p->ui, with_actor);
    if (e->err != MOTET_OK) {
        tell(s, p->ui, SITE_LOG_PORT_AWAY, e->err, p->epoch + 1);
    }
}

void move_port_given(struct site *s, struct motet_ui port)
{
    (void)tell_here(s, port, epoch_of(s, port));
}

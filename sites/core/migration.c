#include "migration.h"

#include "migration_priv.h"

struct migration_limits migration_limits_default(void)
{
    const uint64_t ms_ns = 1000000;
    return (struct migration_limits){
        .moves_max = 64,
        .ports_max = 65536,
        .unsettled_max = MIG_WINDOW,
        .answer_ns = 1000 * ms_ns,
        .retry_min_ns = 100 * ms_ns,
        .retry_max_ns = 1000 * ms_ns,
        .query_ns = 1000 * ms_ns,
        .hold_ns = 60000 * ms_ns,
    };
}

struct migration *migration_create(const struct migration_config *cfg)
{
    const struct migration_limits *l = &cfg->limits;
    CHECK(cfg->site != 0 && cfg->incarnation != 0);
    CHECK(cfg->mem != NULL && cfg->trace != NULL);
    CHECK(l->moves_max > 0 && l->ports_max > 0);
    CHECK(l->unsettled_max > 0 && l->unsettled_max <= MIG_WINDOW);
    CHECK(l->answer_ns > 0 && l->query_ns > 0 && l->hold_ns > 0);
    CHECK(l->retry_min_ns > 0 && l->retry_max_ns >= l->retry_min_ns);
    struct migration *m = mem_alloc(cfg->mem, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->cfg = *cfg;
    m->next = 1;
    list_init(&m->away);
    list_init(&m->here);
    list_init(&m->over);
    list_init(&m->sources);
    list_init(&m->outs);
    map_init(&m->ports, cfg->mem, cfg->seed);
    map_init(&m->source_map, cfg->mem, ~cfg->seed);
    deadlines_init(&m->deadlines, cfg->mem);
    return m;
}

void migration_destroy(struct migration *m)
{
    if (m == NULL) {
        return;
    }
    mig_moves_fini(m);
    mig_sources_fini(m);
    mem_free(m->cfg.mem, m, sizeof *m);
}

static bool ports_ok(const struct migration *m, const struct mig_port *ports,
                     uint32_t count)
{
    if (ports == NULL || count == 0 || count > m->cfg.limits.ports_max) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ports[i].epoch > MIG_PORT_EPOCH_MAX) {
            return false;
        }
    }
    return true;
}

/* ---- From here ------------------------------------------------------------
 */

static enum motet_err start(struct migration *m, const struct mig_in *in)
{
    const struct migration_limits *l = &m->cfg.limits;
    if (in->site == 0 || in->site == m->cfg.site || in->incarnation == 0 ||
        !ports_ok(m, in->ports, in->count)) {
        return MOTET_E_INVALID;
    }
    if (mig_source_over(m, in->site, in->incarnation)) {
        return MOTET_E_SITE_DEAD;
    }
    if (m->aways >= l->moves_max ||
        m->next - mig_settled(m) >= l->unsettled_max) {
        return MOTET_E_LIMIT;
    }
    struct mig_move *mv = NULL;
    const enum motet_err err = mig_move_new(m, in->ports, in->count, &mv);
    if (err != MOTET_OK) {
        return err;
    }
    mv->xid = (struct mig_xid){.site = m->cfg.site,
                               .incarnation = m->cfg.incarnation,
                               .number = m->next};
    m->next++;
    mv->state = MIG_OWN;
    mv->site = in->site;
    mv->incarnation = in->incarnation;
    const uint64_t rtt_ns =
        in->rtt_ns < l->hold_ns / 4 ? in->rtt_ns : l->hold_ns / 4;
    mv->wait_ns = 4 * rtt_ns > l->answer_ns ? 4 * rtt_ns : l->answer_ns;
    CHECK(mig_follow_move(m, mv, MIG_ON_START, MOTET_OK));
    return MOTET_OK;
}

/* The move away of an xid of mine, NULL when it is not under way. */
static struct mig_move *mine(const struct migration *m, struct mig_xid xid)
{
    if (xid.site != m->cfg.site || xid.incarnation != m->cfg.incarnation) {
        return NULL;
    }
    return mig_away(m, xid.number);
}

static enum motet_err cancel(struct migration *m, const struct mig_in *in)
{
    struct mig_move *mv = mine(m, in->xid);
    const enum motet_err err =
        in->err != MOTET_OK ? in->err : MOTET_E_CANCELLED;
    if (mv == NULL || !mig_follow_move(m, mv, MIG_ON_CANCELLED, err)) {
        return MOTET_E_STATE;
    }
    return MOTET_OK;
}

/* Incarnations of `site` up to this one are over. */
static void ended(struct migration *m, uint64_t site, uint32_t incarnation)
{
    struct list *lists[] = {&m->away, &m->here};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        list_foreach (it, lists[i]) {
            struct mig_move *mv = LIST_ENTRY(it, struct mig_move, node);
            if (mv->site == site && mv->incarnation <= incarnation) {
                CHECK(mig_follow_move(m, mv, MIG_ON_GONE, MOTET_E_SITE_DEAD));
            }
        }
    }
}

static void gone(struct migration *m, const struct mig_in *in)
{
    if (in->site == 0 || in->site == m->cfg.site) {
        return;
    }
    ended(m, in->site, in->incarnation);
    mig_source_gone(m, in->site, in->incarnation);
}

static void tick(struct migration *m)
{
    struct deadline *t;
    while ((t = deadlines_pop(&m->deadlines, m->now_ns)) != NULL) {
        mig_due(m, CONTAINER_OF(t, struct mig_move, timer));
    }
}

/* ---- From other sites -----------------------------------------------------
 */

/* Whether a frame can be of the incarnation that sent it, and for this one. */
static bool bound(const struct migration *m, uint64_t site,
                  const struct mig_frame *f)
{
    return site != 0 && site != m->cfg.site && f->from_incarnation != 0 &&
           f->to_incarnation == m->cfg.incarnation && f->xid.number != 0 &&
           !mig_source_over(m, site, f->from_incarnation);
}

/* Whether a frame can be of the source of its xid. */
static bool of_source(uint64_t site, const struct mig_frame *f)
{
    return f->xid.site == site && f->xid.incarnation == f->from_incarnation;
}

/* A higher incarnation shows that the earlier ones are over. */
static void heard(struct migration *m, uint64_t site, uint32_t incarnation)
{
    ended(m, site, incarnation - 1);
    const struct mig_source *s = mig_source(m, site);
    if (s != NULL && s->incarnation < incarnation) {
        mig_source_gone(m, site, incarnation - 1);
    }
}

/* The source is over with what is below: also with what is held here, then. */
static void settle(struct migration *m, const struct mig_frame *f,
                   struct mig_source *s)
{
    if (f->settled <= s->settled) {
        return;
    }
    list_foreach (it, &m->here) {
        struct mig_move *mv = LIST_ENTRY(it, struct mig_move, node);
        if (mv->site == s->site && mv->xid.number < f->settled) {
            CHECK(mig_follow_move(m, mv, MIG_ON_ABORTED, MOTET_OK));
        }
    }
    mig_source_settle(s, f->settled);
}

/* Whether a number can be told from those of 4,096 moves before. */
static bool number_ok(const struct mig_frame *f)
{
    return f->settled <= f->xid.number &&
           f->xid.number - f->settled < MIG_WINDOW;
}

static bool offer_ok(const struct migration *m, uint64_t site,
                     const struct mig_frame *f)
{
    return f->kind == MIG_PREPARE && bound(m, site, f) && of_source(site, f) &&
           number_ok(f);
}

/* Why an offer that is not held cannot be followed, MOTET_OK when it can. */
static enum motet_err refusal(const struct migration *m, uint64_t site,
                              const struct mig_frame *f,
                              const struct mig_port *ports, uint32_t count)
{
    const struct mig_source *s = mig_source(m, site);
    if (s != NULL && s->incarnation == f->from_incarnation) {
        const uint64_t number = f->xid.number;
        const bool beyond = number >= s->settled + MIG_WINDOW;
        if (!(beyond && f->settled > s->settled) &&
            mig_source_seen(s, number)) {
            return MOTET_E_STATE;
        }
    }
    if (!ports_ok(m, ports, count)) {
        return MOTET_E_INVALID;
    }
    if (m->heres >= m->cfg.limits.moves_max || !mig_source_room(m, site)) {
        return MOTET_E_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (map_get(&m->ports, ports[i].ui.hi, ports[i].ui.lo) != NULL) {
            return MOTET_E_STATE;
        }
    }
    return MOTET_OK;
}

enum mig_ask migration_asks(const struct migration *m, uint64_t site,
                            const struct mig_frame *f,
                            const struct mig_port *ports, uint32_t count)
{
    if (!offer_ok(m, site, f)) {
        return MIG_IGNORE;
    }
    if (mig_here(m, f->xid) != NULL ||
        refusal(m, site, f, ports, count) != MOTET_OK) {
        return MIG_ANSWER;
    }
    return MIG_INSTALL;
}

static void refuse(struct migration *m, const struct mig_in *in,
                   struct mig_source *s, enum motet_err err)
{
    const uint64_t number = in->frame->xid.number;
    const bool activated = s != NULL && mig_source_activated(s, number);
    const struct mig_at at = {
        .site = in->site,
        .incarnation = in->frame->from_incarnation,
        .xid = in->frame->xid,
        .state = activated ? MIG_OWN : MIG_NONE,
        .event = MIG_ON_PREPARE_BAD,
        .err = err,
    };
    if (s != NULL) {
        mig_source_see(s, number);
    }
    CHECK(mig_follow(m, &at));
}

static enum motet_err hold(struct migration *m, const struct mig_in *in,
                           struct mig_source *s)
{
    if (s == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    struct mig_move *mv = NULL;
    const enum motet_err err = mig_move_new(m, in->ports, in->count, &mv);
    if (err != MOTET_OK) {
        return err;
    }
    mig_source_see(s, in->frame->xid.number);
    mv->xid = in->frame->xid;
    mv->state = MIG_NONE;
    mv->site = in->site;
    mv->incarnation = in->frame->from_incarnation;
    CHECK(mig_follow_move(m, mv, MIG_ON_PREPARE, MOTET_OK));
    return MOTET_OK;
}

/* @return why what was installed is not held */
static enum motet_err prepare(struct migration *m, const struct mig_in *in)
{
    const struct mig_frame *f = in->frame;
    const bool installed = in->err == MOTET_OK;
    if (!offer_ok(m, in->site, f)) {
        return installed ? MOTET_E_STALE : MOTET_OK;
    }
    heard(m, in->site, f->from_incarnation);
    struct mig_source *s = mig_source_of(m, in->site, f->from_incarnation);
    if (s != NULL) {
        settle(m, f, s);
    }
    struct mig_move *held = mig_here(m, f->xid);
    if (held != NULL) {
        CHECK(mig_follow_move(m, held, MIG_ON_PREPARE, MOTET_OK));
        return installed ? MOTET_E_STATE : MOTET_OK;
    }
    enum motet_err err = refusal(m, in->site, f, in->ports, in->count);
    if (err == MOTET_OK) {
        err = installed ? hold(m, in, s) : in->err;
    }
    if (err != MOTET_OK) {
        refuse(m, in, s, err);
    }
    return installed ? err : MOTET_OK;
}

static enum mig_event event_of(const struct mig_frame *f,
                               const struct mig_move *mv)
{
    (void)mv;
#ifdef MOTET_BUG_ONE_NAK
    if (f->kind == MIG_NEVER && mv != NULL && mv->state == MIG_FRZ) {
        return MIG_ON_REFUSED;
    }
#endif
    switch (f->kind) {
    case MIG_PREPARED:
        return MIG_ON_PREPARED;
    case MIG_REFUSE:
        return MIG_ON_REFUSED;
    case MIG_COMMIT:
        return MIG_ON_COMMITTED;
    case MIG_COMMIT_ACK:
        return MIG_ON_ACKED;
    case MIG_NEVER:
        return MIG_ON_NEVER;
    case MIG_ABORT:
        return MIG_ON_ABORTED;
    case MIG_QUERY:
        return MIG_ON_QUERIED;
    case MIG_PREPARE:
    case MIG_FRAME_COUNT:
        break;
    }
    return MIG_EVENT_COUNT;
}

/* Why the ports stay here, or MOTET_OK. */
static enum motet_err reason_of(const struct mig_frame *f)
{
    if (f->kind == MIG_REFUSE) {
        const bool known = f->err > MOTET_OK && f->err < MOTET_E_COUNT;
        return known ? f->err : MOTET_E_STATE;
    }
    return f->kind == MIG_NEVER ? MOTET_E_TIMEOUT : MOTET_OK;
}

/* A frame to the source of its xid. */
static void to_source(struct migration *m, uint64_t site,
                      const struct mig_frame *f)
{
    if (f->xid.site != m->cfg.site ||
        f->xid.incarnation != m->cfg.incarnation || f->xid.number >= m->next) {
        return;
    }
    struct mig_move *mv = mig_away(m, f->xid.number);
    if (mv != NULL &&
        (mv->site != site || mv->incarnation != f->from_incarnation)) {
        return;
    }
    (void)mig_follow(m, &(struct mig_at){
                            .move = mv,
                            .site = site,
                            .incarnation = f->from_incarnation,
                            .xid = f->xid,
                            .state = mv == NULL ? MIG_NONE : mv->state,
                            .event = event_of(f, mv),
                            .err = reason_of(f),
                        });
}

/* COMMIT or ABORT to the destination. What the source is over with needs no
 * answer; what cannot be remembered must not be promised. */
static void to_destination(struct migration *m, uint64_t site,
                           const struct mig_frame *f)
{
    if (!of_source(site, f) || (f->kind == MIG_COMMIT && !number_ok(f))) {
        return;
    }
    struct mig_source *s = mig_source_of(m, site, f->from_incarnation);
    if (s == NULL) {
        return;
    }
    settle(m, f, s);
    const uint64_t number = f->xid.number;
    struct mig_move *mv = mig_here(m, f->xid);
    if (mv != NULL) {
        (void)mig_follow_move(m, mv, event_of(f, mv), MOTET_OK);
        return;
    }
    if (number < s->settled || number - s->settled >= MIG_WINDOW) {
        return;
    }
    mig_source_see(s, number);
    (void)mig_follow(
        m, &(struct mig_at){
               .site = site,
               .incarnation = f->from_incarnation,
               .xid = f->xid,
               .state = mig_source_activated(s, number) ? MIG_OWN : MIG_NONE,
               .event = event_of(f, NULL),
           });
}

static void frame(struct migration *m, uint64_t site, const struct mig_frame *f)
{
    if (!bound(m, site, f)) {
        return;
    }
    heard(m, site, f->from_incarnation);
    if (f->kind == MIG_COMMIT || f->kind == MIG_ABORT) {
        to_destination(m, site, f);
    } else {
        to_source(m, site, f);
    }
}

/* ---- The machine ----------------------------------------------------------
 */

enum motet_err migration_step(struct migration *m, const struct mig_in *in)
{
    m->now_ns = in->now_ns;
    switch (in->kind) {
    case MIG_IN_START:
        return start(m, in);
    case MIG_IN_CANCEL:
        return cancel(m, in);
    case MIG_IN_PREPARE:
        return prepare(m, in);
    case MIG_IN_PROGRESS: {
        struct mig_move *mv = mine(m, in->xid);
        if (mv != NULL) {
            mig_progress(m, mv);
        }
        break;
    }
    case MIG_IN_FRAME:
        frame(m, in->site, in->frame);
        break;
    case MIG_IN_GONE:
        gone(m, in);
        break;
    case MIG_IN_TICK:
        tick(m);
        break;
    }
    return MOTET_OK;
}

uint64_t migration_deadline_ns(const struct migration *m)
{
    return deadlines_next(&m->deadlines);
}

struct mig_xid migration_last(const struct migration *m)
{
    return (struct mig_xid){
        .site = m->cfg.site,
        .incarnation = m->cfg.incarnation,
        .number = m->next - 1,
    };
}

enum mig_state migration_state(const struct migration *m, struct motet_ui port,
                               struct mig_xid *xid)
{
    const struct mig_move *mv = map_get(&m->ports, port.hi, port.lo);
    if (mv == NULL) {
        return MIG_NONE;
    }
    if (xid != NULL) {
        *xid = mv->xid;
    }
    return mv->state;
}

bool migration_next(const struct migration *m, uint32_t index,
                    struct mig_info *info)
{
    const struct list *lists[] = {&m->away, &m->here};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        list_foreach (it, lists[i]) {
            const struct mig_move *mv = LIST_ENTRY(it, struct mig_move, node);
            if (index > 0) {
                index--;
                continue;
            }
            *info = (struct mig_info){
                .xid = mv->xid,
                .state = mv->state,
                .site = mv->site,
                .ports = mv->count,
                .since_ns = mv->since_ns,
            };
            return true;
        }
    }
    return false;
}

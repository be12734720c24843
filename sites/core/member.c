#include "member.h"

#include <string.h>

#include "member_priv.h"
#include "nucleus/base/hash.h"

struct member_config member_config_default(void)
{
    const uint64_t ms_ns = 1000000;
    return (struct member_config){
        .sites_max = 1024,
        .probe_ns = 250 * ms_ns,
        .probe_timeout_ns = 100 * ms_ns,
        .window_ns = 2000 * ms_ns,
        .reprobe_ns = 100 * ms_ns,
        .gossip_ns = 100 * ms_ns,
        .dead_kept_ns = 300 * MEMBER_SECOND_NS,
        .indirect = 3,
        .fanout = 3,
        .verifiers = 8,
        .awareness_max = 8,
    };
}

static void check_config(const struct member_config *cfg)
{
    CHECK(cfg->site != 0 && cfg->mem != NULL && cfg->trace != NULL);
    CHECK(cfg->name != NULL && cfg->address != NULL);
    CHECK(cfg->sites_max >= 1 && cfg->sites_max <= 1 << 20);
    CHECK(cfg->probe_ns > 0 && cfg->window_ns > 0);
    CHECK(cfg->reprobe_ns > 0 && cfg->gossip_ns > 0);
    CHECK(cfg->indirect <= MEMBER_UPDATES_MAX);
    CHECK(cfg->fanout <= MEMBER_UPDATES_MAX);
    CHECK(cfg->awareness_max >= 1);
}

/* What does not fit is cut: the wire and the host have checked the length. */
static void copy_text(char *to, const char *from, size_t size)
{
    const size_t length = from == NULL ? 0 : strnlen(from, size - 1);
    if (length > 0) {
        memcpy(to, from, length);
    }
    to[length] = 0;
}

static struct member_update update_of(uint64_t site, uint32_t incarnation,
                                      const char *name, const char *address)
{
    struct member_update u;
    memset(&u, 0, sizeof u);
    u.site = site;
    u.incarnation = incarnation;
    u.state = MEMBER_ALIVE;
    copy_text(u.name, name, sizeof u.name);
    copy_text(u.address, address, sizeof u.address);
    return u;
}

/* Of each of the two tables. */
static size_t live_bytes(const struct members *m)
{
    return m->cfg.sites_max * sizeof(struct member *);
}

struct members *members_create(const struct member_config *cfg)
{
    check_config(cfg);
    struct members *m = mem_alloc(cfg->mem, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->cfg = *cfg;
    m->cfg.name = NULL; /* kept in `self` */
    m->cfg.address = NULL;
    prng_init(&m->prng, cfg->seed);
    deadlines_init(&m->deadlines, cfg->mem);
    map_init(&m->map, cfg->mem, prng_next(&m->prng));
    list_init(&m->all);
    list_init(&m->relays);
    for (uint32_t i = 0; i < GOSSIP_SENDS_MAX; i++) {
        list_init(&m->queue[i]);
    }
    pool_init(&m->relay_pool, cfg->mem, sizeof(struct relay), RELAYS_MAX);
    m->probe_due_ns = DEADLINE_NEVER;
    m->gossip_due_ns = DEADLINE_NEVER;
    m->sync_due_ns = DEADLINE_NEVER;
    member_outs_init(m);
    const struct member_update self =
        update_of(cfg->site, cfg->incarnation, cfg->name, cfg->address);
    m->live = mem_alloc(cfg->mem, live_bytes(m));
    m->linked = mem_alloc(cfg->mem, live_bytes(m));
    if (m->live != NULL && m->linked != NULL) {
        m->self = member_add(m, &self, 0);
    }
    if (m->self == NULL) {
        members_destroy(m);
        return NULL;
    }
    return m;
}

void members_destroy(struct members *m)
{
    if (m == NULL) {
        return;
    }
    list_foreach (it, &m->all) {
        member_forget(m, LIST_ENTRY(it, struct member, node));
    }
    member_outs_fini(m);
    pool_fini(&m->relay_pool);
    map_fini(&m->map);
    deadlines_fini(&m->deadlines);
    mem_free(m->cfg.mem, m->live, live_bytes(m));
    mem_free(m->cfg.mem, m->linked, live_bytes(m));
    mem_free(m->cfg.mem, m, sizeof *m);
}

/* ---- Inputs -------------------------------------------------------------- */

static bool same_life(const struct member *x, uint32_t incarnation)
{
    return x != NULL && !member_ended(x) && x->u.incarnation == incarnation;
}

static void session_up(struct members *m, const struct member_in *in)
{
    struct member *x = member_find(m, in->site);
    const struct member_update u =
        update_of(in->site, in->incarnation, in->name, in->address);
    bool stranger = false;
    if (x == NULL) {
        x = member_add(m, &u, in->now_ns);
        stranger = true;
    } else if (in->incarnation > x->u.incarnation) {
        member_renew(m, x, &u, in->now_ns);
        stranger = true;
    }
    if (!same_life(x, in->incarnation)) {
        m->ignored++; /* no room; or a session with the dead: it will close */
        return;
    }
    x->rtt_ns = in->rtt_ns;
    if (x->session) {
        return; /* only the round trip changed */
    }
    member_link(m, x, true);
    member_hear(m, x, in->now_ns);
    member_acquit(m, x, in->now_ns);
    member_retime(m, x);
    member_gossip_arm(m, in->now_ns);
    if (stranger || m->count <= SYNC_ALWAYS_MAX) {
        member_sync(m, x, false);
    }
}

static void session_down(struct members *m, const struct member_in *in)
{
    struct member *x = member_find(m, in->site);
    if (!same_life(x, in->incarnation) || !x->session) {
        return;
    }
    member_link(m, x, false);
    x->meet_ns = in->now_ns + MEMBER_MEET_NS;
    member_suspect(m, x, in->now_ns);
    member_retime(m, x);
}

static void message(struct members *m, const struct member_in *in)
{
    struct member *x = member_find(m, in->site);
    if (!same_life(x, in->incarnation) || in->msg == NULL ||
        in->msg->update_count > MEMBER_UPDATES_MAX) {
        m->ignored++;
        return;
    }
    member_hear(m, x, in->now_ns);
    for (uint32_t i = 0; i < in->msg->update_count; i++) {
        member_apply(m, &in->msg->updates[i], in->now_ns);
    }
    /* The update may have ended or evicted the sender itself. */
    x = member_find(m, in->site);
    if (same_life(x, in->incarnation)) {
        member_got(m, x, in->msg, in->now_ns);
    }
}

static void known_end(struct members *m, const struct member_in *in,
                      enum member_state state)
{
    struct member *x = member_find(m, in->site);
    if (x != NULL && !member_ended(x) && x->u.incarnation <= in->incarnation) {
        member_end(m, x, state, in->now_ns);
    }
}

/* A late loop proves nothing about others. A suspect without a session is not
 * cleared for good: it is suspected anew, for longer. */
static void stall(struct members *m, const struct member_in *in)
{
    if (in->late_ns < m->cfg.probe_timeout_ns) {
        member_aware(m, 1);
        return;
    }
    member_aware(m, m->cfg.awareness_max);
    m->probe.running = false;
    for (uint32_t i = 0; i < m->live_count; i++) {
        struct member *x = m->live[i];
        if (x->u.state == MEMBER_SUSPECT) {
            member_clear(m, x, in->now_ns);
            if (!x->session) {
                member_suspect(m, x, in->now_ns);
            }
        }
    }
}

static void member_due(struct members *m, struct member *x, uint64_t now_ns)
{
    if (member_ended(x)) {
        if (now_ns >= x->end_ns) {
            member_forget(m, x);
            return;
        }
    } else {
        if (x->u.state == MEMBER_SUSPECT && now_ns >= x->end_ns) {
            member_end(m, x, MEMBER_DEAD, now_ns);
            return;
        }
        if (x->u.state == MEMBER_SUSPECT && now_ns >= x->reprobe_ns) {
            member_reprobe(m, x, now_ns);
        }
        if (!x->session && now_ns >= x->meet_ns) {
            member_meet(m, x, now_ns);
        }
    }
    member_retime(m, x);
}

static void tick(struct members *m, uint64_t now_ns)
{
    struct deadline *t;
    while ((t = deadlines_pop(&m->deadlines, now_ns)) != NULL) {
        if (t->kind == TIMER_RELAY) {
            member_relay_late(m, CONTAINER_OF(t, struct relay, timer));
            continue;
        }
        struct member *x = CONTAINER_OF(t, struct member, timer);
        CHECK(deadline_set(&m->deadlines, t, MEMBER_FAR_NS));
        member_due(m, x, now_ns);
    }
    member_probe_tick(m, now_ns);
    member_gossip_tick(m, now_ns);
    member_sync_tick(m, now_ns);
}

void members_step(struct members *m, const struct member_in *in)
{
    if (in->kind != MEMBER_IN_STALL && in->kind != MEMBER_IN_TICK &&
        (in->site == 0 || in->site == m->cfg.site)) {
        m->ignored++;
        return;
    }
    struct member *x;
    switch (in->kind) {
    case MEMBER_IN_SESSION:
        if (in->up) {
            session_up(m, in);
        } else {
            session_down(m, in);
        }
        break;
    case MEMBER_IN_HEARD:
        x = member_find(m, in->site);
        if (same_life(x, in->incarnation)) {
            member_hear(m, x, in->now_ns);
        }
        break;
    case MEMBER_IN_MSG:
        message(m, in);
        break;
    case MEMBER_IN_DEAD:
        known_end(m, in, MEMBER_DEAD);
        break;
    case MEMBER_IN_BYE:
        known_end(m, in, MEMBER_LEFT);
        break;
    case MEMBER_IN_STALL:
        stall(m, in);
        break;
    case MEMBER_IN_TICK:
        tick(m, in->now_ns);
        break;
    }
}

/* ---- Questions ----------------------------------------------------------- */

uint64_t members_deadline_ns(const struct members *m)
{
    uint64_t at = deadlines_next(&m->deadlines);
    if (at >= MEMBER_FAR_NS) {
        at = DEADLINE_NEVER;
    }
    at = m->probe_due_ns < at ? m->probe_due_ns : at;
    at = m->gossip_due_ns < at ? m->gossip_due_ns : at;
    return m->sync_due_ns < at ? m->sync_due_ns : at;
}

bool members_next(const struct members *m, uint64_t after,
                  struct member_info *info)
{
    struct list *node = list_first(&m->all);
    if (after != 0) {
        const struct member *last = member_find(m, after);
        node = last == NULL ? NULL : list_after(&m->all, &last->node);
    }
    if (node == NULL) {
        return false;
    }
    const struct member *x = LIST_ENTRY(node, struct member, node);
    *info = (struct member_info){
        .site = x->u.site,
        .incarnation = x->u.incarnation,
        .state = x->u.state,
        .session = x->session,
        .since_ns = x->since_ns,
        .rtt_ns = x->rtt_ns,
        .name = x->u.name,
        .address = x->u.address,
    };
    return true;
}

bool members_know(const struct members *m, uint64_t site, uint32_t incarnation)
{
    const struct member *x = member_find(m, site);
    return x != NULL && x->u.incarnation == incarnation;
}

uint32_t members_alive(const struct members *m, uint64_t *lowest)
{
    *lowest = m->cfg.site;
    for (uint32_t i = 0; i < m->live_count; i++) {
        if (m->live[i]->u.site < *lowest) {
            *lowest = m->live[i]->u.site;
        }
    }
    return m->live_count + 1;
}

static uint64_t life_hash(const struct member *x)
{
    static const uint64_t seed[2] = {UINT64_C(0x76696577), 1};
    return hash_words(seed, x->u.site, x->u.incarnation);
}

uint64_t members_view(const struct members *m)
{
    uint64_t sum = life_hash(m->self);
    for (uint32_t i = 0; i < m->live_count; i++) {
        sum += life_hash(m->live[i]);
    }
    return sum;
}

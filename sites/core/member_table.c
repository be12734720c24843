#include <string.h>

#include "member_priv.h"

struct member *member_find(const struct members *m, uint64_t site)
{
    return map_get(&m->map, site, 0);
}

/* ---- The live ones, in order of probing ---------------------------------- */

static void live_put(struct members *m, uint32_t slot, struct member *x)
{
    m->live[slot] = x;
    x->slot = slot;
}

/* A newcomer takes a random place among those still to be probed this round. */
static void live_add(struct members *m, struct member *x)
{
    const uint32_t last = m->live_count;
    const uint32_t from = m->turn < last ? m->turn : last;
    const uint32_t at =
        from + (uint32_t)prng_below(&m->prng, (uint64_t)last - from + 1);
    m->live_count++;
    if (at != last) {
        live_put(m, last, m->live[at]);
    }
    live_put(m, at, x);
}

static void live_remove(struct members *m, struct member *x)
{
    uint32_t hole = x->slot;
    if (hole == MEMBER_NO_SLOT) {
        return;
    }
    x->slot = MEMBER_NO_SLOT;
    m->live_count--;
    if (hole <
        m->turn) { /* the probed stay before the turn, the others after */
        m->turn--;
        if (hole != m->turn) {
            live_put(m, hole, m->live[m->turn]);
        }
        hole = m->turn;
    }
    if (hole != m->live_count) {
        live_put(m, hole, m->live[m->live_count]);
    }
}

/* ---- Those with a session --------------------------------------------------
 */

static void link_put(struct members *m, uint32_t slot, struct member *x)
{
    m->linked[slot] = x;
    x->link_slot = slot;
}

void member_link(struct members *m, struct member *x, bool session)
{
    if (x->session == session) {
        return;
    }
    x->session = session;
    if (session) {
        link_put(m, m->linked_count, x);
        m->linked_count++;
    } else {
        m->linked_count--;
        link_put(m, x->link_slot, m->linked[m->linked_count]);
    }
}

uint32_t member_pick(struct members *m, const struct member *except,
                     uint32_t max, struct member **picked)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->linked_count && count < max; i++) {
        const uint32_t j =
            i + (uint32_t)prng_below(&m->prng, m->linked_count - i);
        struct member *x = m->linked[j];
        link_put(m, j, m->linked[i]);
        link_put(m, i, x);
        if (x != except) {
            picked[count] = x;
            count++;
        }
    }
    return count;
}

/* ---- Coming and going ---------------------------------------------------- */

void member_retime(struct members *m, struct member *x)
{
    uint64_t at = MEMBER_FAR_NS;
    if (x == m->self) {
        at = MEMBER_FAR_NS;
    } else if (member_ended(x)) {
        at = x->end_ns;
    } else {
        if (!x->session) {
            at = x->meet_ns;
        }
        if (x->u.state == MEMBER_SUSPECT) {
            at = x->end_ns < at ? x->end_ns : at;
            at = x->reprobe_ns < at ? x->reprobe_ns : at;
        }
    }
    /* It is armed, or was popped just now: there is a place in the heap. */
    CHECK(deadline_set(&m->deadlines, &x->timer, at));
}

void member_meet(struct members *m, struct member *x, uint64_t now_ns)
{
    x->meet_ns = now_ns + MEMBER_MEET_NS;
    member_tell(m, MEMBER_MEET, &x->u);
}

/* A life begins here: of a new site, or of a new incarnation. */
static void begin(struct members *m, struct member *x,
                  const struct member_update *u, uint64_t now_ns)
{
    x->u = *u;
    x->u.state = MEMBER_ALIVE;
    member_link(m, x, false);
    x->cleared = false;
    x->rtt_ns = 0;
    x->since_ns = now_ns;
    x->heard_ns = now_ns;
    x->meet_ns = now_ns;
    member_tell(m, MEMBER_STATE, &x->u);
    trace_add(m->cfg.trace, now_ns, TRACE_ALIVE, u->incarnation, u->site, 0);
    if (x->slot == MEMBER_NO_SLOT) {
        live_add(m, x);
    }
    member_queue(m, x, now_ns);
    member_probe_arm(m, now_ns);
    member_retime(m, x);
}

static bool evict_one(struct members *m)
{
    list_foreach (it, &m->all) {
        struct member *x = LIST_ENTRY(it, struct member, node);
        if (member_ended(x)) {
            member_forget(m, x);
            return true;
        }
    }
    return false;
}

static bool enter(struct members *m, struct member *x, uint64_t site)
{
    if (!member_outs_reserve(m, m->count + 1)) {
        return false;
    }
    if (!deadline_set(&m->deadlines, &x->timer, MEMBER_FAR_NS)) {
        return false;
    }
    if (!map_put(&m->map, site, 0, x)) {
        deadline_clear(&m->deadlines, &x->timer);
        return false;
    }
    return true;
}

struct member *member_add(struct members *m, const struct member_update *u,
                          uint64_t now_ns)
{
    if (m->count >= m->cfg.sites_max && !evict_one(m)) {
        return NULL;
    }
    struct member *x = mem_alloc(m->cfg.mem, sizeof *x);
    if (x == NULL) {
        return NULL;
    }
    x->timer.kind = TIMER_MEMBER;
    x->slot = MEMBER_NO_SLOT;
    if (!enter(m, x, u->site)) {
        mem_free(m->cfg.mem, x, sizeof *x);
        return NULL;
    }
    list_append(&m->all, &x->node);
    m->count++;
    if (m->count == 1) { /* this site itself: known to itself, not news */
        x->u = *u;
        x->since_ns = now_ns;
    } else {
        begin(m, x, u, now_ns);
    }
    return x;
}

void member_forget(struct members *m, struct member *x)
{
    member_unqueue(m, x);
    live_remove(m, x);
    member_link(m, x, false);
    map_remove(&m->map, x->u.site, 0);
    list_remove(&x->node);
    deadline_clear(&m->deadlines, &x->timer);
    m->count--;
    mem_free(m->cfg.mem, x, sizeof *x);
}

void member_renew(struct members *m, struct member *x,
                  const struct member_update *u, uint64_t now_ns)
{
    if (!member_ended(x)) {
        member_end(m, x, MEMBER_DEAD, now_ns);
    }
    begin(m, x, u, now_ns);
}

/* ---- States -------------------------------------------------------------- */

static void suspect_for(struct members *m, struct member *x, uint64_t window_ns,
                        uint64_t wait_ns, uint64_t now_ns)
{
    if (x->u.state != MEMBER_ALIVE) {
        return;
    }
    x->u.state = MEMBER_SUSPECT;
    x->since_ns = now_ns;
    x->first_seq = m->seq + 1;
    x->reprobes = 0;
    x->end_ns = now_ns + window_ns;
    x->reprobe_ns = now_ns + wait_ns + prng_below(&m->prng, m->cfg.reprobe_ns);
    member_tell(m, MEMBER_STATE, &x->u);
    trace_add(m->cfg.trace, now_ns, TRACE_SUSPECT, x->u.incarnation, x->u.site,
              x->u.refutes);
    member_queue(m, x, now_ns);
    member_retime(m, x);
}

/* The verifiers probe at once; who still suspects when half of the window is
 * over probes as well, so that nobody declares a death unasked. */
void member_suspect(struct members *m, struct member *x, uint64_t now_ns)
{
    const uint64_t window_ns = m->cfg.window_ns * (1 + m->awareness);
    const uint64_t wait_ns = member_verifies(m, x) ? 0 : window_ns / 2;
    suspect_for(m, x, window_ns, wait_ns, now_ns);
}

/* Someone else has waited out a window already: half of one is enough. */
static void check_death(struct members *m, struct member *x, uint64_t now_ns)
{
    const uint64_t window_ns = m->cfg.window_ns * (1 + m->awareness) / 2;
    suspect_for(m, x, window_ns, 0, now_ns);
}

void member_clear(struct members *m, struct member *x, uint64_t now_ns)
{
    if (x->u.state != MEMBER_SUSPECT) {
        return;
    }
    x->u.state = MEMBER_ALIVE;
    x->since_ns = now_ns;
    member_unqueue(m, x);
    member_tell(m, MEMBER_STATE, &x->u);
    trace_add(m->cfg.trace, now_ns, TRACE_CLEARED, x->u.incarnation, x->u.site,
              x->u.refutes);
    member_retime(m, x);
}

void member_end(struct members *m, struct member *x, enum member_state state,
                uint64_t now_ns)
{
    CHECK(!member_ended(x) && x != m->self);
    x->u.state = state;
    member_link(m, x, false);
    x->since_ns = now_ns;
    x->meet_ns = now_ns;
    x->end_ns = now_ns + m->cfg.dead_kept_ns;
    live_remove(m, x);
    member_tell(m, MEMBER_STATE, &x->u);
    trace_add(m->cfg.trace, now_ns,
              state == MEMBER_DEAD ? TRACE_DEAD : TRACE_LEFT, x->u.incarnation,
              x->u.site, x->u.refutes);
    member_queue(m, x, now_ns);
    member_retime(m, x);
}

void member_acquit(struct members *m, struct member *x, uint64_t now_ns)
{
    if (x->u.state == MEMBER_SUSPECT) {
        x->cleared = true;
        x->cleared_refutes = x->u.refutes;
        x->cleared_ns = now_ns;
        member_clear(m, x, now_ns);
    }
}

void member_hear(struct members *m, struct member *x, uint64_t now_ns)
{
    x->heard_ns = now_ns;
    /* What came in the same turn may have been sent before the session broke.
     */
    if (now_ns > x->since_ns) {
        member_acquit(m, x, now_ns);
    }
}

/* ---- What others say ----------------------------------------------------- */

static void apply_to_self(struct members *m, const struct member_update *u,
                          uint64_t now_ns)
{
    struct member_update *mine = &m->self->u;
    if (u->incarnation < mine->incarnation ||
        (u->incarnation == mine->incarnation && u->state == MEMBER_ALIVE)) {
        return;
    }
    if (u->incarnation > mine->incarnation || u->state != MEMBER_SUSPECT) {
        if (m->self_dead_told || u->incarnation == UINT32_MAX) {
            m->ignored++;
            return;
        }
        m->self_dead_told = true;
        struct member_update reborn = *mine;
        reborn.incarnation = u->incarnation + 1;
        member_tell(m, MEMBER_SELF_DEAD, &reborn);
        trace_add(m->cfg.trace, now_ns, TRACE_REBIRTH, reborn.incarnation,
                  mine->site, 0);
        return;
    }
    if (u->refutes >= mine->refutes && u->refutes < UINT32_MAX) {
        mine->refutes = u->refutes + 1;
        member_aware(m, 1);
        member_queue(m, m->self, now_ns);
    }
}

static bool fresh(const struct members *m, const struct member *x,
                  uint64_t now_ns)
{
    return now_ns - x->heard_ns < m->cfg.window_ns;
}

/* A death is taken of an incarnation that is held for alive, and only without
 * evidence to the contrary; else it starts a check of one's own. So the
 * losing side of a partition cannot kill the winners through a third site. */
static void apply_death(struct members *m, struct member *x,
                        const struct member_update *u, uint64_t now_ns)
{
    if (u->refutes > x->u.refutes) {
        x->u.refutes = u->refutes;
    }
    const bool doubt = x->session && x->u.state == MEMBER_ALIVE;
    if (doubt || fresh(m, x, now_ns)) {
        check_death(m, x, now_ns);
        return;
    }
    member_end(m, x, MEMBER_DEAD, now_ns);
}

static void apply_suspicion(struct members *m, struct member *x,
                            const struct member_update *u, uint64_t now_ns)
{
    if (u->refutes < x->u.refutes) {
        return;
    }
    /* The same suspicion that evidence has just cleared here. */
    if (x->cleared && x->cleared_refutes == u->refutes &&
        now_ns - x->cleared_ns < m->cfg.window_ns) {
        return;
    }
    if (u->refutes > x->u.refutes) { /* it has lived since: a new window */
        x->u.refutes = u->refutes;
        member_clear(m, x, now_ns);
    }
    member_suspect(m, x, now_ns);
}

static void apply_life(struct members *m, struct member *x,
                       const struct member_update *u, uint64_t now_ns)
{
    if (u->refutes <= x->u.refutes) {
        return;
    }
    x->u.refutes = u->refutes;
    member_clear(m, x, now_ns);
    member_queue(m, x, now_ns);
}

/* Someone holds a site for alive that is dead here for long: let the two meet,
 * so that the rules of HELLO decide which of them is reborn. */
static void apply_to_ended(struct members *m, struct member *x,
                           const struct member_update *u, uint64_t now_ns)
{
    if (u->state != MEMBER_ALIVE && u->state != MEMBER_SUSPECT) {
        return;
    }
    if (x->u.state == MEMBER_DEAD && now_ns >= x->meet_ns &&
        now_ns - x->since_ns >= 2 * m->cfg.window_ns) {
        member_meet(m, x, now_ns);
    }
}

static bool well_formed(const struct member_update *u)
{
    return u->site != 0 && u->state >= MEMBER_ALIVE &&
           u->state <= MEMBER_LEFT &&
           strnlen(u->name, sizeof u->name) < sizeof u->name &&
           strnlen(u->address, sizeof u->address) < sizeof u->address;
}

/* A site or an incarnation that was not known: NULL when it is not taken. The
 * end of a life that was never seen here is no news. */
static struct member *acquaint(struct members *m, struct member *x,
                               const struct member_update *u, uint64_t now_ns)
{
    const bool ended = u->state == MEMBER_DEAD || u->state == MEMBER_LEFT;
    if (ended) {
        if (x != NULL && !member_ended(x)) {
            member_end(m, x, MEMBER_DEAD, now_ns);
        }
        return NULL;
    }
    if (x == NULL) {
        x = member_add(m, u, now_ns);
    } else {
        member_renew(m, x, u, now_ns);
    }
    if (x != NULL) {
        member_meet(m, x, now_ns);
        member_retime(m, x);
    }
    return x;
}

void member_apply(struct members *m, const struct member_update *u,
                  uint64_t now_ns)
{
    if (!well_formed(u)) {
        m->ignored++;
        return;
    }
    if (u->site == m->cfg.site) {
        apply_to_self(m, u, now_ns);
        return;
    }
    struct member *x = member_find(m, u->site);
    if (x == NULL || u->incarnation > x->u.incarnation) {
        x = acquaint(m, x, u, now_ns);
    }
    if (x == NULL || u->incarnation != x->u.incarnation) {
        return;
    }
    if (member_ended(x)) {
        apply_to_ended(m, x, u, now_ns);
        return;
    }
    switch (u->state) {
    case MEMBER_ALIVE:
        apply_life(m, x, u, now_ns);
        break;
    case MEMBER_SUSPECT:
        apply_suspicion(m, x, u, now_ns);
        break;
    case MEMBER_DEAD:
        apply_death(m, x, u, now_ns);
        break;
    case MEMBER_LEFT:
        member_end(m, x, MEMBER_LEFT, now_ns);
        break;
    }
}

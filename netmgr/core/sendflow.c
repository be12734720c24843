#include <string.h>

#include "nucleus/base/hash.h"
#include "parts.h"

/* Messages to other sites, kept until their outcome. */

struct kept *sflow_slot(const struct sflow *f, uint64_t seq)
{
    return &f->ring[seq & (f->ring_slots - 1)];
}

/* ---- Finding and making ----------------------------------------------------
 */

static struct sflow *find(const struct netmgr *n, struct motet_ui src,
                          struct motet_ui dst, bool returning, uint64_t key[2])
{
    key[0] = hash_words(n->key_seed, src.hi, src.lo);
    key[1] = hash_words(n->key_seed, dst.hi, dst.lo) + (returning ? 1 : 0);
    struct sflow *f = map_get(&n->sflow_by_key, key[0], key[1]);
    while (f != NULL && !(f->returning == returning && ui_equal(f->src, src) &&
                          ui_equal(f->dst, dst))) {
        f = f->chain;
    }
    return f;
}

static bool index_put(struct netmgr *n, struct sflow *f)
{
    struct sflow *first = map_get(&n->sflow_by_key, f->key_hi, f->key_lo);
    if (first == NULL) {
        return map_put(&n->sflow_by_key, f->key_hi, f->key_lo, f);
    }
    f->chain = first->chain;
    first->chain = f;
    return true;
}

static void index_remove(struct netmgr *n, struct sflow *f)
{
    struct sflow *first = map_get(&n->sflow_by_key, f->key_hi, f->key_lo);
    if (first == f) {
        map_remove(&n->sflow_by_key, f->key_hi, f->key_lo);
        if (f->chain != NULL) { /* a place was just made */
            CHECK(map_put(&n->sflow_by_key, f->key_hi, f->key_lo, f->chain));
        }
        return;
    }
    while (first != NULL && first->chain != f) {
        first = first->chain;
    }
    CHECK(first != NULL);
    first->chain = f->chain;
}

struct sflow *sflow_find(const struct netmgr *n, struct motet_ui src,
                         struct motet_ui dst, bool returning)
{
    uint64_t key[2];
    return find(n, src, dst, returning, key);
}

/* Most messages are for the flow of the one before. */
static struct sflow *find_again(struct netmgr *n, struct motet_ui src,
                                struct motet_ui dst, bool returning)
{
    struct sflow *f = n->sent;
    if (f == NULL || f->returning != returning || !ui_equal(f->dst, dst) ||
        !ui_equal(f->src, src)) {
        f = sflow_find(n, src, dst, returning);
        n->sent = f;
    }
    return f;
}

static bool enter(struct netmgr *n, struct sflow *f)
{
    f->from = pflows_get(n, &n->sport_by_ui, f->src);
    f->to = pflows_get(n, &n->tport_by_ui, f->dst);
    return f->from != NULL && f->to != NULL &&
           timer_start(n, &f->timer, TIMER_FLOW) && index_put(n, f);
}

static void give_back(struct netmgr *n, struct sflow *f)
{
    pflows_release(n, &n->sport_by_ui, f->from);
    pflows_release(n, &n->tport_by_ui, f->to);
    deadline_clear(&n->timers, &f->timer);
    mem_free(n->mem, f->ring, f->ring_slots * sizeof(*f->ring));
    pool_put(&n->sflow_pool, f);
}

/* Numbers of a new flow begin above all that a flow between these ports had
 * before at this site in this incarnation: the receiver may remember that one.
 * Of numbers of other sites it is told by the origin. */
struct sflow *sflow_make(struct netmgr *n, struct peer *p, struct motet_ui src,
                         struct motet_ui dst, bool returning,
                         struct place where, enum motet_err *err)
{
    uint64_t key[2];
    (void)find(n, src, dst, returning, key);
    struct sflow *f = pool_take(&n->sflow_pool);
    if (f == NULL) {
        *err = n->sflow_pool.used >= n->limits.flows_max ? MOTET_E_LIMIT
                                                         : MOTET_E_NO_MEMORY;
        return NULL;
    }
    f->key_hi = key[0];
    f->key_lo = key[1];
    f->src = src;
    f->dst = dst;
    f->returning = returning;
    f->ring_slots = RING_FIRST;
    f->ring = mem_alloc(n->mem, f->ring_slots * sizeof(*f->ring));
    if (f->ring == NULL || !enter(n, f)) {
        give_back(n, f);
        *err = MOTET_E_NO_MEMORY;
        return NULL;
    }
    list_append(&f->from->flows, &f->of_src);
    list_append(&f->to->flows, &f->of_dst);
    f->peer = p;
    f->incarnation = where.incarnation;
    f->epoch = where.epoch;
    f->origin_site = n->site;
    f->origin_epoch = locate_epoch(n, src);
    f->una = n->next_base++ << 20;
    f->nxt = f->hi = f->end = f->top = f->una;
    f->due_ns = DEADLINE_NEVER;
    f->rto_at_ns = DEADLINE_NEVER;
    f->idle_at_ns = n->now + SEND_IDLE_NS;
    timer_before(n, &f->timer, f->idle_at_ns);
    list_append(&p->sflows, &f->node);
    p->stats.flows_out++;
    trace_add(n->trace, n->now, TRACE_FLOW_NEW, f->returning, f->src.lo,
              f->dst.lo);
    return f;
}

void sflow_free(struct netmgr *n, struct sflow *f)
{
    CHECK(f->una == f->end);
    sflow_unbind(n, f);
    list_remove(&f->ready);
    list_remove(&f->room);
    list_remove(&f->node);
    list_remove(&f->of_src);
    list_remove(&f->of_dst);
    if (n->filled == f) {
        n->filled = NULL;
    }
    if (n->sent == f) {
        n->sent = NULL;
    }
    f->peer->stats.flows_out--;
    uint64_t used = (f->end >> 20) + 1;
    n->next_base = used > n->next_base ? used : n->next_base;
    index_remove(n, f);
    trace_add(n->trace, n->now, TRACE_FLOW_END, f->returning, f->src.lo,
              f->dst.lo);
    give_back(n, f);
}

void sflow_unbind(struct netmgr *n, struct sflow *f)
{
    if (f->handle != 0) {
        map_remove(&n->sflow_by_handle, 0, f->handle);
        f->handle = 0;
    }
    f->await = false;
    f->bind_due = false;
    f->nxt = f->una;
    f->fragment = 0;
    f->flight_bytes = 0;
    f->rto_at_ns = DEADLINE_NEVER;
    f->dup_acks = 0;
}

/* ---- Settling --------------------------------------------------------------
 */

/* The accounts of a message that ends. */
static void release(struct netmgr *n, struct sflow *f, uint64_t seq,
                    struct kept *k, enum motet_err err)
{
    if (k->ticket != 0) {
        n->tickets--;
        outcome_push(n, k->ticket, err,
                     (struct place_of){.site = f->peer->site,
                                       .incarnation = f->peer->incarnation});
    }
    if (seq < f->nxt) {
        f->flight_bytes -= k->bytes;
    }
    f->kept_bytes -= k->bytes;
    n->kept_bytes -= k->bytes;
    n->kept--;
    f->peer->kept--;
    f->live--;
    buf_unref(k->msg.data);
    k->msg.data = NULL;
    k->bytes = 0;
    k->live = false;
}

void sflow_settle(struct netmgr *n, struct sflow *f, uint64_t seq,
                  enum motet_err err)
{
    struct kept *k = sflow_slot(f, seq);
    if (!k->live) {
        return;
    }
    release(n, f, seq, k, err);
    if (seq == f->nxt) {
        f->fragment = 0; /* what was begun is never finished */
    }
}

void sflow_drop(struct netmgr *n, struct sflow *f)
{
    for (uint64_t seq = f->una; seq < f->end; seq++) {
        struct kept *k = sflow_slot(f, seq);
        if (!k->live) {
            continue;
        }
        if (k->ticket != 0) {
            n->tickets--;
        }
        k->ticket = 0; /* no outcome */
        release(n, f, seq, k, MOTET_OK);
    }
    f->una = f->nxt = f->hi = f->end;
    sflow_free(n, f);
}

void sflow_settle_all(struct netmgr *n, struct sflow *f, enum motet_err maybe,
                      enum motet_err no)
{
    for (uint64_t seq = f->una; seq < f->end; seq++) {
        sflow_settle(n, f, seq, seq < f->hi ? maybe : no);
    }
    sflow_tidy(n, f);
}

void sflow_accepted(struct netmgr *n, struct sflow *f, uint64_t next)
{
    for (; f->una < next; f->una++) {
        struct kept *k = sflow_slot(f, f->una);
        /* By then they have long left the caches. */
        __builtin_prefetch(sflow_slot(f, f->una + 4));
        __builtin_prefetch(sflow_slot(f, f->una + 2)->msg.data);
        if (k->live) {
            release(n, f, f->una, k, MOTET_OK);
        }
    }
    if (f->nxt < next) {
        f->nxt = next;
        f->fragment = 0;
    }
    if (f->hi < next) {
        f->hi = next;
    }
}

void sflow_drop_voids(struct netmgr *n, struct sflow *f)
{
    if (f->live == 0 && f->una < f->end) {
        f->una = f->hi = f->end;
        sflow_unbind(n, f);
    }
}

static uint64_t half(uint64_t whole)
{
    return (whole + 1) / 2;
}

void sflow_tidy(struct netmgr *n, struct sflow *f)
{
    if (f->frozen) {
        list_remove(&f->ready);
        return;
    }
    if (f->peer->conns[f->lane] == NULL) {
        sflow_drop_voids(n, f);
    }
    while (f->end > f->una && f->end > f->top &&
           !sflow_slot(f, f->end - 1)->live) {
        f->end--; /* nobody saw it: the number can be taken back */
    }
    if (f->una == f->end) {
        f->due_ns = DEADLINE_NEVER;
        f->rto_at_ns = DEADLINE_NEVER;
        f->starved = false;
        if (f->idle_at_ns == DEADLINE_NEVER) {
            f->idle_at_ns = n->now + SEND_IDLE_NS;
            timer_before(n, &f->timer, f->idle_at_ns);
        }
    }
    if (f->blocked && !list_linked(&f->room) &&
        f->end - f->una <= half(n->limits.flow_msgs_max) &&
        f->kept_bytes <= half(n->limits.flow_bytes_max)) {
        list_append(&n->rooms, &f->room);
    }
    lane_poke(n, f);
}

void rooms_tell(struct netmgr *n)
{
    struct list *it;
    while ((it = list_first(&n->rooms)) != NULL &&
           n->effect_count + 8 < EFFECTS_MAX) {
        struct sflow *f = LIST_ENTRY(it, struct sflow, room);
        list_remove(it);
        f->blocked = false;
        struct net_effect *e = effect_push(n, NET_ROOM_FOR);
        e->src = f->src;
        e->dst = f->dst;
    }
    n->more = n->more || it != NULL;
}

/* ---- Sending ---------------------------------------------------------------
 */

bool sflow_ring_fit(struct netmgr *n, struct sflow *f, uint64_t count)
{
    uint32_t slots = f->ring_slots;
    while (slots < count && slots < UINT32_C(1) << 31) {
        slots *= 2;
    }
    if (slots == f->ring_slots) {
        return slots >= count;
    }
    struct kept *ring = mem_alloc(n->mem, slots * sizeof(*ring));
    if (ring == NULL) {
        return false;
    }
    for (uint64_t seq = f->una; seq < f->end; seq++) {
        ring[seq & (slots - 1)] = *sflow_slot(f, seq);
    }
    mem_free(n->mem, f->ring, f->ring_slots * sizeof(*ring));
    f->ring = ring;
    f->ring_slots = slots;
    return true;
}

/* Whether the flow's own queue takes one more. A sender that waits may have as
 * many again; what returns is only counted, since nobody waits for room. */
static bool has_room(const struct netmgr *n, const struct sflow *f,
                     uint32_t bytes, bool wait)
{
    uint64_t times = wait || f->returning ? 2 : 1;
    if (f->end - f->una >= times * n->limits.flow_msgs_max) {
        return false;
    }
    return f->returning || f->kept_bytes == 0 ||
           f->kept_bytes + bytes <= times * n->limits.flow_bytes_max;
}

static enum motet_err check_message(const struct netmgr *n,
                                    const struct net_in *in)
{
    const struct msg *m = &in->msg;
    if (m->kind < MSG_SEND || m->kind >= MSG_KIND_COUNT ||
        m->annex_bytes > MOTET_ANNEX_MAX || m->annex_bytes > msg_bytes(m) ||
        ui_is_group(in->dst)) {
        return MOTET_E_INVALID;
    }
    return msg_body_bytes(m) > n->limits.body_bytes_max ? MOTET_E_TOO_BIG
                                                        : MOTET_OK;
}

static enum motet_err flow_for(struct netmgr *n, const struct net_in *in,
                               struct sflow **found)
{
    enum motet_err err = MOTET_OK;
    const bool returning = msg_returns(in->msg.kind);
    struct sflow *f = find_again(n, in->src, in->dst, returning);
    if (f != NULL) {
        *found = f;
        return place_dead(f->peer, f->incarnation) ? MOTET_E_SITE_DEAD
                                                   : MOTET_OK;
    }
    if (place_elsewhere(n, locate(n, in->src))) {
        return MOTET_E_NO_PORT; /* the numbers of its flows are made there */
    }
    const struct place where = locate(n, in->dst);
    struct peer *p = n->self;
    if (where.site != n->site) {
        p = peer_find(n, where.site);
        if (p == NULL || (p->seen == 0 && p->addr[0] == 0)) {
            /* Others have met it, where they say that the port went there. */
            return where.epoch != 0 ? MOTET_E_UNREACHABLE : MOTET_E_NO_SITE;
        }
    } else if (!in->here && where.epoch == 0 &&
               (where.incarnation == 0 ||
                where.incarnation >= n->incarnation)) {
        return MOTET_E_NO_PORT;
    }
    if (place_dead(p, where.incarnation)) {
        return MOTET_E_SITE_DEAD;
    }
    *found = sflow_make(n, p, in->src, in->dst, returning, where, &err);
    return err;
}

void sflow_append(struct netmgr *n, struct sflow *f, const struct msg *msg,
                  uint64_t ticket, uint64_t deadline_ns)
{
    uint32_t bytes = msg_bytes(msg);
    struct kept *k = sflow_slot(f, f->end);
    k->msg = *msg;
    k->ticket = ticket;
    k->deadline_ns = deadline_ns;
    k->bytes = bytes;
    k->live = true;
    f->end++;
    f->live++;
    f->kept_bytes += bytes;
    f->peer->kept++;
    n->kept++;
    n->kept_bytes += bytes;
    f->idle_at_ns = DEADLINE_NEVER;
    if (ticket != 0) {
        n->tickets++;
    }
    if (deadline_ns < f->due_ns) {
        f->due_ns = deadline_ns;
        timer_before(n, &f->timer, f->due_ns);
    }
}

enum motet_err sflow_in_send(struct netmgr *n, const struct net_in *in)
{
    struct sflow *f;
    enum motet_err err = check_message(n, in);
    if (err == MOTET_OK) {
        err = flow_for(n, in, &f);
    }
    if (err != MOTET_OK) {
        return err;
    }
    uint32_t body_max = f->peer->body_bytes_max;
    if (body_max != 0 && msg_body_bytes(&in->msg) > body_max) {
        return MOTET_E_TOO_BIG;
    }
    if (!has_room(n, f, msg_bytes(&in->msg), in->wait)) {
        f->blocked = true;
        return MOTET_E_AGAIN;
    }
    if (!sflow_ring_fit(n, f, f->end - f->una + 1)) {
        return MOTET_E_NO_MEMORY;
    }
    if (in->ticket != 0 && !outcome_reserve(n)) {
        return MOTET_E_NO_MEMORY;
    }
    sflow_append(n, f, &in->msg, in->ticket, in->deadline_ns);
    lane_poke(n, f);
    return MOTET_OK;
}

enum motet_err sflow_in_cancel(struct netmgr *n, const struct net_in *in)
{
    struct sflow *f = sflow_find(n, in->src, in->dst, false);
    if (f == NULL || in->ticket == 0) {
        return MOTET_E_STATE;
    }
    for (uint64_t seq = f->una; seq < f->end; seq++) {
        const struct kept *k = sflow_slot(f, seq);
        if (k->live && k->ticket == in->ticket) {
            sflow_settle(n, f, seq,
                         seq < f->hi ? MOTET_E_MAYBE_CANCELLED
                                     : MOTET_E_CANCELLED);
            sflow_tidy(n, f);
            return MOTET_OK;
        }
    }
    return MOTET_E_STATE; /* its outcome was told already */
}

/* ---- Time ------------------------------------------------------------------
 */

static void settle_due(struct netmgr *n, struct sflow *f)
{
    uint64_t next_ns = DEADLINE_NEVER;
    for (uint64_t seq = f->una; seq < f->end; seq++) {
        const struct kept *k = sflow_slot(f, seq);
        if (!k->live) {
            continue;
        }
        if (k->deadline_ns > n->now) {
            next_ns = k->deadline_ns < next_ns ? k->deadline_ns : next_ns;
            continue;
        }
        sflow_settle(n, f, seq,
                     seq < f->hi  ? MOTET_E_MAYBE_TIMEOUT
                     : f->starved ? MOTET_E_FULL
                                  : MOTET_E_TIMEOUT);
    }
    f->due_ns = next_ns;
    sflow_tidy(n, f);
}

void sflow_timer(struct netmgr *n, struct sflow *f)
{
    if (f->frozen) {
        return; /* armed again when it thaws */
    }
    if (n->now >= f->due_ns) {
        settle_due(n, f);
    }
    if (n->now >= f->rto_at_ns) {
        sflow_rto(n, f);
    }
    if (f->circle_ns != 0 && n->now >= f->circle_ns) {
        f->circle_ns = 0;
        sflow_tidy(n, f);
    }
    if (f->una == f->end && n->now >= f->idle_at_ns) {
        sflow_free(n, f);
        return;
    }
    timer_before(n, &f->timer, f->due_ns);
    timer_before(n, &f->timer, f->rto_at_ns);
    timer_before(n, &f->timer, f->idle_at_ns);
    if (f->circle_ns != 0) {
        timer_before(n, &f->timer, f->circle_ns);
    }
}

/* ---- Moving ----------------------------------------------------------------
 */

/* What is uncertain stays so: it is asked for at the new place, where the
 * record of the flow is now. */
void sflow_move(struct netmgr *n, struct sflow *f, struct place where)
{
    if (f->frozen) {
        return; /* looked at again when it thaws */
    }
    struct peer *to =
        where.site == n->site ? n->self : net_peer_get(n, where.site);
    sflow_unbind(n, f);
    if (to == NULL || place_dead(to, where.incarnation)) {
        sflow_settle_all(
            n, f, to == NULL ? MOTET_E_MAYBE_LOST : MOTET_E_MAYBE_SITE_DEAD,
            to == NULL ? MOTET_E_NO_SITE : MOTET_E_SITE_DEAD);
        sflow_drop_voids(n, f);
        sflow_tidy(n, f);
        return;
    }
    list_remove(&f->ready);
    list_remove(&f->node);
    f->peer->kept -= f->live;
    f->peer->stats.flows_out--;
    f->peer = to;
    f->incarnation = where.incarnation;
    f->epoch = where.epoch;
    f->circle_ns = 0;
    to->kept += f->live;
    to->stats.flows_out++;
    list_append(&to->sflows, &f->node);
    sflow_drop_voids(n, f);
    sflow_tidy(n, f);
}

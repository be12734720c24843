#include "member_priv.h"
#include "nucleus/base/hash.h"

static const uint64_t verifier_seed[2] = {UINT64_C(0x76657269666965),
                                          UINT64_C(0x6d656d62657273)};

/* About `verifiers` of the live sites probe a suspect from the start; each
 * knows by itself whether it is one of them. */
bool member_verifies(const struct members *m, const struct member *x)
{
    const uint64_t rank = hash_words(verifier_seed, x->u.site, m->cfg.site);
    return rank % (m->live_count + UINT64_C(1)) < m->cfg.verifiers;
}

void member_aware(struct members *m, uint32_t more)
{
    m->awareness += more;
    if (m->awareness >= m->cfg.awareness_max) {
        m->awareness = m->cfg.awareness_max - 1;
    }
}

/* All waiting for answers is longer the less I trust myself (Lifeguard). A
 * round trip that a cut or a pause has stretched must not stretch it without
 * end: the turn of the others would not come. */
static uint64_t timeout_ns(const struct members *m, const struct member *x)
{
    const uint64_t most_ns = MEMBER_SECOND_NS;
    const uint64_t rtt4_ns = x->rtt_ns < most_ns / 4 ? 4 * x->rtt_ns : most_ns;
    const uint64_t least_ns = m->cfg.probe_timeout_ns;
    return (rtt4_ns > least_ns ? rtt4_ns : least_ns) * (1 + m->awareness);
}

static uint64_t period_ns(const struct members *m, const struct member *x)
{
    const uint64_t least_ns = m->cfg.probe_ns * (1 + m->awareness);
    const uint64_t needed_ns = timeout_ns(m, x) * 5 / 2;
    return needed_ns > least_ns ? needed_ns : least_ns;
}

static void send_ping(struct members *m, const struct member *to, uint32_t seq)
{
    struct member_msg *msg = member_packet(m, MEMBER_PING);
    if (msg == NULL) {
        return;
    }
    msg->seq = seq;
    /* A suspect must hear of it, to refute. */
    member_fill(m, msg, to->u.state == MEMBER_SUSPECT ? to : NULL);
    member_packet_send(m, msg, to);
}

static bool send_about(struct members *m, enum member_msg_kind kind,
                       const struct member *to, uint64_t target, uint32_t seq)
{
    struct member_msg *msg = member_packet(m, kind);
    if (msg == NULL) {
        return false;
    }
    msg->target = target;
    msg->seq = seq;
    member_fill(m, msg, NULL);
    member_packet_send(m, msg, to);
    return true;
}

/* ---- The probe of each period -------------------------------------------- */

static void ask_others(struct members *m, struct member *x, uint64_t now_ns)
{
    struct member *helpers[MEMBER_UPDATES_MAX];
    struct probe *p = &m->probe;
    const uint32_t count = member_pick(m, x, m->cfg.indirect, helpers);
    for (uint32_t i = 0; i < count; i++) {
        if (send_about(m, MEMBER_PING_REQ, helpers[i], p->site, p->seq)) {
            p->helpers++;
        }
    }
    p->asked = true;
    const uint64_t least_ns = now_ns + timeout_ns(m, x);
    if (p->end_ns < least_ns) {
        p->end_ns = least_ns;
    }
    m->probe_due_ns = p->end_ns;
}

static struct member *next_in_turn(struct members *m)
{
    if (m->live_count == 0) {
        return NULL;
    }
    if (m->turn >= m->live_count) {
        m->turn = 0;
        for (uint32_t i = m->live_count - 1; i > 0; i--) {
            const uint32_t j = (uint32_t)prng_below(&m->prng, (uint64_t)i + 1);
            struct member *x = m->live[i];
            m->live[i] = m->live[j];
            m->live[j] = x;
            m->live[i]->slot = i;
            m->live[j]->slot = j;
        }
    }
    struct member *x = m->live[m->turn];
    m->turn++;
    return x;
}

static void begin_probe(struct members *m, uint64_t now_ns)
{
    struct member *x = next_in_turn(m);
    if (x == NULL) {
        m->probe_due_ns = DEADLINE_NEVER;
        return;
    }
    m->seq++;
    m->probe = (struct probe){
        .running = true,
        .site = x->u.site,
        .incarnation = x->u.incarnation,
        .seq = m->seq,
        .began_ns = now_ns,
        .end_ns = now_ns + period_ns(m, x),
    };
    trace_add(m->cfg.trace, now_ns, TRACE_PROBE, m->seq, x->u.site, 0);
    if (!x->session) {
        ask_others(m, x, now_ns);
        return;
    }
    send_ping(m, x, m->seq);
    m->probe_due_ns = now_ns + timeout_ns(m, x);
}

/* The one probed, if it still lives the same life. */
static struct member *probed(const struct members *m)
{
    struct member *x = member_find(m, m->probe.site);
    if (x == NULL || member_ended(x) ||
        x->u.incarnation != m->probe.incarnation) {
        return NULL;
    }
    return x;
}

static bool answered(const struct members *m, const struct member *x)
{
    return m->probe.acked || x->heard_ns > m->probe.began_ns;
}

static void end_probe(struct members *m, struct member *x, uint64_t now_ns)
{
    const struct probe *p = &m->probe;
    m->probe.running = false;
    if (answered(m, x)) {
        if (m->awareness > 0) {
            m->awareness--;
        }
        return;
    }
    trace_add(m->cfg.trace, now_ns, TRACE_PROBE_MISS, p->seq, p->site,
              m->awareness);
    member_suspect(m, x, now_ns);
    /* Helpers that did not even say no: the fault may be mine. */
    member_aware(m, p->helpers > 0 ? p->helpers - p->nacks : 1);
}

void member_probe_tick(struct members *m, uint64_t now_ns)
{
    if (now_ns < m->probe_due_ns) {
        return;
    }
    if (m->probe.running) {
        struct member *x = probed(m);
        if (x != NULL && !m->probe.asked && !answered(m, x)) {
            ask_others(m, x, now_ns);
            return;
        }
        if (x != NULL && now_ns < m->probe.end_ns) {
            m->probe_due_ns = m->probe.end_ns; /* answered: all is well */
            return;
        }
        if (x != NULL) {
            end_probe(m, x, now_ns);
        }
    }
    m->probe.running = false;
    begin_probe(m, now_ns);
}

void member_probe_arm(struct members *m, uint64_t now_ns)
{
    if (m->probe_due_ns == DEADLINE_NEVER) {
        m->probe_due_ns = now_ns + prng_below(&m->prng, m->cfg.probe_ns);
    }
    if (m->sync_due_ns == DEADLINE_NEVER) {
        m->sync_due_ns = now_ns + prng_below(&m->prng, MEMBER_SYNC_NS);
    }
}

/* Directly and through another in turn; only through others without session. */
void member_reprobe(struct members *m, struct member *x, uint64_t now_ns)
{
    const bool early = member_verifies(m, x);
    x->reprobe_ns = now_ns + m->cfg.reprobe_ns * (early ? 1 : 2);
    m->seq++;
    if (x->session) {
        send_ping(m, x, m->seq);
    }
    struct member *helper;
    if ((!x->session || x->reprobes % 2 == 1) &&
        member_pick(m, x, 1, &helper) == 1) {
        (void)send_about(m, MEMBER_PING_REQ, helper, x->u.site, m->seq);
    }
    x->reprobes++;
}

/* ---- Probes in the name of others ---------------------------------------- */

static void relay_free(struct members *m, struct relay *r)
{
    deadline_clear(&m->deadlines, &r->timer);
    list_remove(&r->node);
    pool_put(&m->relay_pool, r);
}

static void relay_answer(struct members *m, struct relay *r,
                         enum member_msg_kind kind)
{
    const struct member *origin = member_find(m, r->origin);
    if (origin != NULL && origin->session) {
        (void)send_about(m, kind, origin, r->target, r->origin_seq);
    }
    relay_free(m, r);
}

void member_relay_late(struct members *m, struct relay *r)
{
    relay_answer(m, r, MEMBER_NACK);
}

/* Whoever asks for one that is dead here has missed the notice. */
static void send_nack(struct members *m, const struct member *to,
                      const struct member *ended, uint32_t seq)
{
    struct member_msg *msg = member_packet(m, MEMBER_NACK);
    if (msg == NULL) {
        return;
    }
    msg->target = ended->u.site;
    msg->seq = seq;
    member_fill(m, msg, ended);
    member_packet_send(m, msg, to);
}

static void relay_begin(struct members *m, const struct member *from,
                        const struct member_msg *req, uint64_t now_ns)
{
    const struct member *x = member_find(m, req->target);
    if (x != NULL && member_ended(x)) {
        send_nack(m, from, x, req->seq);
        return;
    }
    if (x == NULL || x == from || !x->session) {
        (void)send_about(m, MEMBER_NACK, from, req->target, req->seq);
        return;
    }
    struct relay *r = pool_take(&m->relay_pool);
    if (r == NULL) {
        m->ignored++;
        return;
    }
    const uint64_t at_ns = now_ns + timeout_ns(m, x) * 4 / 5;
    if (!deadline_set(&m->deadlines, &r->timer, at_ns)) {
        pool_put(&m->relay_pool, r);
        return;
    }
    m->seq++;
    r->timer.kind = TIMER_RELAY;
    r->origin = from->u.site;
    r->target = req->target;
    r->origin_seq = req->seq;
    r->seq = m->seq;
    list_append(&m->relays, &r->node);
    send_ping(m, x, r->seq);
}

/* ---- Answers ------------------------------------------------------------- */

/* Another vouches for `x`: evidence, if it was asked after the suspicion. */
static void vouched(struct members *m, struct member *x, uint32_t seq,
                    uint64_t now_ns)
{
    const bool asked = m->seq - seq < UINT32_C(1) << 31;
    const bool after = seq - x->first_seq < UINT32_C(1) << 31;
    if (asked && (after || x->u.state != MEMBER_SUSPECT)) {
        member_hear(m, x, now_ns);
    }
}

static void got_ack(struct members *m, const struct member *from,
                    const struct member_msg *msg, uint64_t now_ns)
{
    const uint64_t target = msg->target == 0 ? from->u.site : msg->target;
    if (m->probe.running && m->probe.seq == msg->seq &&
        m->probe.site == target) {
        m->probe.acked = true;
    }
    if (target != from->u.site) {
        struct member *x = member_find(m, target);
        if (x != NULL && x != m->self && !member_ended(x)) {
            vouched(m, x, msg->seq, now_ns);
        }
        return;
    }
    list_foreach (it, &m->relays) {
        struct relay *r = LIST_ENTRY(it, struct relay, node);
        if (r->seq == msg->seq && r->target == target) {
            relay_answer(m, r, MEMBER_ACK);
        }
    }
}

static void answer_sync(struct members *m, struct member *from, uint64_t now_ns)
{
    if (from->answered_ns == 0 ||
        now_ns - from->answered_ns >= MEMBER_SECOND_NS) {
        from->answered_ns = now_ns;
        member_sync(m, from, false);
    }
}

void member_got(struct members *m, struct member *from,
                const struct member_msg *msg, uint64_t now_ns)
{
    switch (msg->kind) {
    case MEMBER_PING:
        (void)send_about(m, MEMBER_ACK, from, 0, msg->seq);
        break;
    case MEMBER_ACK:
        got_ack(m, from, msg, now_ns);
        break;
    case MEMBER_PING_REQ:
        if (msg->target == m->cfg.site) {
            (void)send_about(m, MEMBER_ACK, from, msg->target, msg->seq);
        } else {
            relay_begin(m, from, msg, now_ns);
        }
        break;
    case MEMBER_NACK:
        if (m->probe.running && m->probe.seq == msg->seq &&
            m->probe.site == msg->target && m->probe.nacks < m->probe.helpers) {
            m->probe.nacks++;
        }
        break;
    case MEMBER_GOSSIP:
        break;
    case MEMBER_SYNC:
        if (msg->want) {
            answer_sync(m, from, now_ns);
        }
        break;
    }
}

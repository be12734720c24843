#include "member_priv.h"

/* Times an update is sent: 4 * ceil(log10(n + 1)) (SWIM, section 4.1). */
static uint32_t sends_wanted(const struct members *m)
{
    const uint64_t above = (uint64_t)m->live_count + 2;
    uint32_t digits = 1;
    for (uint64_t power = 10; power < above; power *= 10) {
        digits++;
    }
    return 4 * digits;
}

void member_unqueue(struct members *m, struct member *x)
{
    if (list_linked(&x->queued)) {
        list_remove(&x->queued);
        m->queue_count--;
    }
}

void member_queue(struct members *m, struct member *x, uint64_t now_ns)
{
    member_unqueue(m, x);
    x->sent = 0;
    list_append(&m->queue[0], &x->queued);
    m->queue_count++;
    member_gossip_arm(m, now_ns);
}

static void count_send(struct members *m, struct member *x)
{
    member_unqueue(m, x);
    x->sent++;
    if (x->sent < sends_wanted(m)) {
        CHECK(x->sent < GOSSIP_SENDS_MAX);
        list_append(&m->queue[x->sent], &x->queued);
        m->queue_count++;
    }
}

static void put(struct member_msg *msg, const struct member *x)
{
    msg->updates[msg->update_count] = x->u;
    msg->update_count++;
}

void member_fill(struct members *m, struct member_msg *msg,
                 const struct member *first)
{
    struct member *chosen[MEMBER_UPDATES_MAX];
    uint32_t count = 0;
    if (first != NULL) {
        put(msg, first);
    }
    uint32_t left = m->queue_count;
    for (uint32_t sent = 0; sent < GOSSIP_SENDS_MAX && left > 0; sent++) {
        list_foreach (it, &m->queue[sent]) {
            struct member *x = LIST_ENTRY(it, struct member, queued);
            left--;
            if (x == first) {
                continue;
            }
            if (msg->update_count == MEMBER_UPDATES_MAX) {
                left = 0;
                break;
            }
            put(msg, x);
            chosen[count] = x;
            count++;
        }
    }
    /* Counted afterwards, so that none is met again further down the queue. */
    for (uint32_t i = 0; i < count; i++) {
        count_send(m, chosen[i]);
    }
}

void member_gossip_arm(struct members *m, uint64_t now_ns)
{
    if (m->gossip_due_ns == DEADLINE_NEVER && m->queue_count > 0) {
        m->gossip_due_ns = now_ns + prng_below(&m->prng, m->cfg.gossip_ns);
    }
}

void member_gossip_tick(struct members *m, uint64_t now_ns)
{
    if (now_ns < m->gossip_due_ns) {
        return;
    }
    struct member *to[MEMBER_UPDATES_MAX];
    const uint32_t count = member_pick(m, NULL, m->cfg.fanout, to);
    for (uint32_t i = 0; i < count && m->queue_count > 0; i++) {
        struct member_msg *msg = member_packet(m, MEMBER_GOSSIP);
        if (msg == NULL) {
            break;
        }
        member_fill(m, msg, NULL);
        member_packet_send(m, msg, to[i]);
    }
    /* Without a session there is nobody to tell: the next session arms it. */
    m->gossip_due_ns = m->queue_count > 0 && count > 0
                           ? now_ns + m->cfg.gossip_ns
                           : DEADLINE_NEVER;
}

void member_sync(struct members *m, const struct member *to, bool want)
{
    struct member_msg *msg = NULL;
    list_foreach (it, &m->all) {
        if (msg == NULL) {
            msg = member_packet(m, MEMBER_SYNC);
            if (msg == NULL) {
                return;
            }
            msg->want = want;
            want = false; /* one answer to all parts */
        }
        put(msg, LIST_ENTRY(it, struct member, node));
        if (msg->update_count == MEMBER_UPDATES_MAX) {
            member_packet_send(m, msg, to);
            msg = NULL;
        }
    }
    if (msg != NULL) {
        member_packet_send(m, msg, to);
    }
}

void member_sync_tick(struct members *m, uint64_t now_ns)
{
    if (now_ns < m->sync_due_ns) {
        return;
    }
    m->sync_due_ns =
        m->live_count > 0 ? now_ns + MEMBER_SYNC_NS : DEADLINE_NEVER;
    struct member *to;
    if (member_pick(m, NULL, 1, &to) == 1) {
        member_sync(m, to, true);
    }
}

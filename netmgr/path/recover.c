#include <string.h>

#include "inside.h"

/* Acknowledgements, round trips, loss: RFC 9002 sections 5 and 6. The counter
 * of a packet is its number there. */

struct packet *packet_at(const struct path *p, uint64_t counter)
{
    return &p->sent[counter & (p->sent_slots - 1)];
}

static bool grow(struct path *p)
{
    const uint32_t slots = p->sent_slots == 0 ? SENT_FIRST : p->sent_slots * 2;
    struct packet *ring = mem_alloc(p->mem, slots * sizeof(*ring));
    if (ring == NULL) {
        return false;
    }
    for (uint64_t c = p->sent_low; c < p->counter; c++) {
        ring[c & (slots - 1)] = *packet_at(p, c);
    }
    mem_free(p->mem, p->sent, p->sent_slots * sizeof(*ring));
    p->sent = ring;
    p->sent_slots = slots;
    return true;
}

bool recover_room(struct path *p)
{
    const uint64_t used = p->counter - p->sent_low;
    if (used < p->sent_slots) {
        return true;
    }
    return p->sent_slots < PATH_PACKETS_MAX && grow(p);
}

void recover_sent(struct path *p, struct frame *frames, size_t size,
                  bool eliciting, bool probe)
{
    struct packet *k = packet_at(p, p->counter);
    *k = (struct packet){
        .at_ns = p->now,
        .frames = frames,
        .size = (uint32_t)size,
        .out = eliciting,
        .eliciting = eliciting,
        .probe = probe,
        .told = p->told,
    };
    p->told = 0;
    if (!eliciting) {
        if (p->sent_low == p->counter) {
            p->sent_low++; /* nothing will be heard of it */
        }
        return;
    }
    control_sent(p, size);
    k->limited = control_in_use(p);
    p->eliciting_ns = p->now;
    p->out_eliciting++;
    if (p->silent_ns == 0) {
        p->silent_ns = p->now;
    }
    p->probes -= p->probes > 0;
}

/* Counters below which nothing is out are forgotten. */
static void settle_low(struct path *p)
{
    while (p->sent_low < p->counter && !packet_at(p, p->sent_low)->out) {
        p->sent_low++;
    }
}

/* ---- Round trips -----------------------------------------------------------
 */

/* The least round trip of each round: what was sent in one is acknowledged in
 * the next. */
static void note_round(struct path *p, uint64_t rtt)
{
    if (p->round_rtt == 0 || rtt < p->round_rtt) {
        p->round_rtt = rtt;
    }
    if (p->largest_acked >= p->round_end) {
        p->least_rtt = p->round_rtt;
        p->round_rtt = 0;
        p->round_end = p->counter;
        /* A round in which there was little to send says little. */
        if (p->drain_ns == 0) {
            p->came_bytes -= p->came_bytes / CAME_SHARE;
        }
        if (p->round_bytes > p->came_bytes) {
            p->came_bytes = p->round_bytes;
        }
        p->round_bytes = 0;
    }
}

bool recover_late(const struct path *p, uint64_t rtt)
{
    return rtt > p->rtt_min + p->rtt_min / 8 + GRANULARITY_NS;
}

/* The least round trip is that of the way without a queue, but the way may be
 * another by now. What was heard before the span that ends is forgotten, as in
 * BBR; but first, if all of the span was later than that, it is made sure that
 * this is no queue of ours: for a moment little is sent. */
static void next_span(struct path *p, uint64_t rtt)
{
    uint64_t length = RTT_SPAN_NS;
    if (p->drain_ns == 0 && recover_late(p, p->rtt_min_span)) {
        length = 2 * p->srtt > DRAIN_NS ? 2 * p->srtt : DRAIN_NS;
        p->drain_ns = p->now + length;
    } else {
        p->drain_ns = 0;
        p->rtt_min = p->rtt_min_span;
    }
    p->rtt_min_span = rtt;
    p->span_end_ns = p->now + length;
}

static void note_least(struct path *p, uint64_t rtt)
{
    if (p->now >= p->span_end_ns) {
        next_span(p, rtt);
    }
    p->rtt_min_span = rtt < p->rtt_min_span ? rtt : p->rtt_min_span;
    p->rtt_min = rtt < p->rtt_min ? rtt : p->rtt_min;
}

static void sample(struct path *p, uint64_t sent_ns, uint64_t delay_ns)
{
    uint64_t rtt = p->now > sent_ns ? p->now - sent_ns : 1;
    p->rtt_latest = rtt;
    if (p->srtt == 0) {
        p->rtt_min = rtt;
        p->rtt_min_span = rtt;
        p->span_end_ns = p->now + RTT_SPAN_NS;
        p->srtt = rtt;
        p->rttvar = rtt / 2;
        return;
    }
    note_least(p, rtt);
    delay_ns = delay_ns < ACK_DELAY_NS ? delay_ns : ACK_DELAY_NS;
    if (rtt >= p->rtt_min + delay_ns) {
        rtt -= delay_ns;
    }
    note_round(p, rtt);
    const uint64_t apart = rtt > p->srtt ? rtt - p->srtt : p->srtt - rtt;
    p->rttvar = p->rttvar - p->rttvar / 4 + apart / 4;
    p->srtt = p->srtt - p->srtt / 8 + rtt / 8;
    p->srtt = p->srtt == 0 ? 1 : p->srtt;
}

uint64_t recover_pto(const struct path *p)
{
    if (p->srtt == 0) {
        return 2 * RTT_FIRST_NS;
    }
    const uint64_t var = 4 * p->rttvar;
    return p->srtt + (var > GRANULARITY_NS ? var : GRANULARITY_NS) +
           ACK_DELAY_NS;
}

/* ---- Loss ------------------------------------------------------------------
 */

static void lost(struct path *p, struct packet *k)
{
    k->out = false;
    p->flight -= k->size;
    p->out_eliciting--;
    if (k->probe) {
        mtu_lost(p); /* says nothing of congestion: RFC 9000 14.4 */
        return;
    }
    p->stats.lost++;
    p->large_lost += k->size > PATH_MTU_MIN;
    if (p->large_lost >= SHRINK_LOST) {
        mtu_shrink(p);
    }
    send_again(p, k);
    control_lost(p, k->at_ns);
}

/* Of those sent before the largest acknowledged one: which are lost, and when
 * will the next be? */
static void find_lost(struct path *p)
{
    const uint64_t rtt = p->rtt_latest > p->srtt ? p->rtt_latest : p->srtt;
    uint64_t wait = rtt + rtt / 8;
    uint64_t first_ns = 0;
    uint64_t last_ns = 0;
    wait = wait > GRANULARITY_NS ? wait : GRANULARITY_NS;
    p->loss_at_ns = DEADLINE_NEVER;
    for (uint64_t c = p->sent_low; c < p->largest_acked; c++) {
        struct packet *k = packet_at(p, c);
        if (!k->out) {
            continue;
        }
        if (p->largest_acked - 1 - c >= PACKET_THRESHOLD ||
            k->at_ns + wait <= p->now) {
            first_ns = first_ns == 0 ? k->at_ns : first_ns;
            last_ns = k->at_ns;
            lost(p, k);
        } else {
            const uint64_t at = k->at_ns + wait;
            p->loss_at_ns = at < p->loss_at_ns ? at : p->loss_at_ns;
        }
    }
    if (last_ns - first_ns > 3 * recover_pto(p)) {
        control_collapse(p); /* persistent congestion */
    }
    settle_low(p);
}

/* ---- ACK -------------------------------------------------------------------
 */

static void acked(struct path *p, uint64_t counter)
{
    struct packet *k = packet_at(p, counter);
    if (!k->out) {
        return;
    }
    k->out = false;
    p->out_eliciting--;
    p->tx_confirmed = p->tx_confirmed || counter >= p->tx_first;
    control_acked(p, k);
    receive_told(p, k->told);
    if (k->size > PATH_MTU_MIN) {
        p->large_lost = 0;
    }
    if (k->probe) {
        mtu_acked(p, k->size);
    }
    while (k->frames != NULL) {
        struct frame *f = k->frames;
        k->frames = f->next;
        send_acked(p, f);
    }
}

static bool acked_range(struct path *p, uint64_t low, uint64_t high)
{
    bool news = false;
    uint64_t c = low < p->sent_low ? p->sent_low : low;
    for (; c <= high && c < p->counter; c++) {
        news = news || packet_at(p, c)->out;
        acked(p, c);
    }
    return news;
}

static void heard_ack(struct path *p, uint64_t largest, uint64_t sent_ns,
                      uint64_t delay_ns, bool news)
{
    if (news && sent_ns != 0) {
        sample(p, sent_ns, delay_ns);
    }
    if (largest + 1 > p->largest_acked) {
        p->largest_acked = largest + 1;
    }
    if (news) {
        p->pto_count = 0;
        p->probes = 0;
    }
    settle_low(p);
    find_lost(p);
    if (news) {
        p->silent_ns = p->out_eliciting > 0 ? p->now : 0;
    }
}

/* Reads an ACK twice: once to see that it is good, once to believe it. */
bool recover_ack(struct path *p, struct reader *r, bool commit)
{
    uint64_t high = read_u64(r);
    const uint64_t largest = high;
    const uint64_t delay_ns = (uint64_t)read_u32(r) * 1000;
    const uint8_t count = read_u8(r);
    uint64_t length = read_u32(r);
    uint64_t sent_ns = 0;
    bool news = false;
    if (!reader_ok(r) || high >= p->counter || length > high ||
        count >= RANGES_MAX) {
        return false;
    }
    if (commit && high >= p->sent_low && packet_at(p, high)->out) {
        sent_ns = packet_at(p, high)->at_ns;
    }
    for (unsigned i = 0;; i++) {
        const uint64_t low = high - length;
        if (commit) {
            news = acked_range(p, low, high) || news;
        }
        if (i == count) {
            break;
        }
        const uint64_t gap = read_u32(r);
        length = read_u32(r);
        if (!reader_ok(r) || gap < 2 || gap > low || length > low - gap) {
            return false;
        }
        high = low - gap;
    }
    if (commit) {
        heard_ack(p, largest, sent_ns, delay_ns, news);
    }
    return true;
}

/* ---- Time ------------------------------------------------------------------
 */

static uint64_t pto_at(const struct path *p)
{
    if (p->out_eliciting == 0) {
        return DEADLINE_NEVER;
    }
    uint64_t wait = recover_pto(p);
    const uint64_t most = wait > PTO_MAX_NS ? wait : PTO_MAX_NS;
    for (uint32_t i = 0; i < p->pto_count && wait < most; i++) {
        wait *= 2;
    }
    return p->eliciting_ns + (wait < most ? wait : most);
}

uint64_t recover_deadline(const struct path *p)
{
    if (p->loss_at_ns != DEADLINE_NEVER) {
        return p->loss_at_ns;
    }
    return pto_at(p);
}

/* Nothing was heard for too long: the frames of the oldest two packets go
 * again, past the window. */
static void probe(struct path *p)
{
    p->pto_count++;
    p->probes = 2;
    if (p->pto_count >= SHRINK_PTOS && p->small_only) {
        mtu_shrink(p);
    }
    unsigned again = 0;
    for (uint64_t c = p->sent_low; c < p->counter && again < p->probes; c++) {
        struct packet *k = packet_at(p, c);
        if (k->out && k->frames != NULL) {
            send_again(p, k);
            again++;
        }
    }
    p->eliciting_ns = p->now; /* if nothing can be sent, wait on */
}

void recover_tick(struct path *p)
{
    if (p->state != PATH_UP) {
        return;
    }
    if (p->silent_ns != 0 && p->pto_count >= 3 &&
        p->now - p->silent_ns >= SILENCE_NS + 4 * p->srtt) {
        path_down(p, "nothing was acknowledged for too long");
        return;
    }
    if (p->loss_at_ns <= p->now) {
        find_lost(p);
    } else if (pto_at(p) <= p->now) {
        probe(p);
    }
}

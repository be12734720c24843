#include "inside.h"

/* How much may be under way, and when it may leave: NewReno as in RFC 9002
 * section 7, and its pacing. What is left open there, how fast the window grows
 * and what a loss leaves of it, is as in TCP Illinois (Liu, Basar, Srikant
 * 2008): where round trips show no queue, a loss is hardly congestion, so the
 * window grows faster and shrinks less: not below what rounds carry lately and
 * a little more, as a way that loses by chance carries more when more is sent,
 * and one that is full does not (as in BBR, Cardwell et al. 2016). With a
 * queue, or when much is lost, a loss leaves 0.7 of the window, as in RFC 9438.
 */

enum {
    CALM_GROWTH = 8,    /* this part of the window in a round trip, */
    CALM_LEAST = 2,     /* but as many datagrams at least, */
    CALM_MOST = 8,      /* and at most; else 1 */
    CALM_PERCENT = 92,  /* of the window, at least */
    CAME_PERCENT = 110, /* of what rounds carry lately */
    LOSS_PERCENT = 70,
    HEAVY_LOSS = 200000, /* of a million, lately: that is congestion */
    BURST_PACKETS = 10,
    DRAIN_PACKETS = 4, /* under way while a queue of ours is ruled out */
};

static const uint64_t BURST_NS = 2 * MS; /* what a late timer catches up */

static uint64_t least(const struct path *p)
{
    return 2 * (uint64_t)p->mtu;
}

void control_init(struct path *p)
{
    p->window = 10 * (uint64_t)PATH_MTU_MIN;
    p->threshold = UINT64_MAX;
    p->credit = (uint64_t)BURST_PACKETS * PATH_MTU_MIN;
    p->paced_ns = p->now;
}

void control_mtu(struct path *p)
{
    const uint64_t first = 10 * (uint64_t)p->mtu;
    const uint64_t begin =
        first < 4 * PATH_DATAGRAM_MAX ? first : 4 * (uint64_t)PATH_DATAGRAM_MAX;
    if (p->threshold == UINT64_MAX && p->window < begin) {
        p->window = begin; /* as if it had been known from the start */
    }
    p->window = p->window < least(p) ? least(p) : p->window;
}

bool control_in_use(const struct path *p)
{
    const uint64_t used = p->flight + 2 * (uint64_t)p->mtu;
    return p->window < p->threshold ? 2 * used >= p->window : used >= p->window;
}

uint64_t control_room(const struct path *p)
{
    if (p->flight == 0 || p->probes > 0) {
        return p->mtu;
    }
    const uint64_t little = (uint64_t)DRAIN_PACKETS * p->mtu;
    const uint64_t most =
        p->drain_ns != 0 && little < p->window ? little : p->window;
    return p->flight < most ? most - p->flight : 0;
}

/* Bytes a second: 1.25 windows in a round trip. */
static uint64_t rate(const struct path *p)
{
    const uint64_t rtt = p->srtt == 0 ? RTT_FIRST_NS : p->srtt;
    const uint64_t window = p->window;
    return window * 5 / 4 * (SECOND / 1000) / (rtt / 1000 + 1);
}

static uint64_t burst(const struct path *p)
{
    const uint64_t packets = (uint64_t)BURST_PACKETS * p->mtu;
    const uint64_t late = rate(p) * BURST_NS / SECOND;
    return packets > late ? packets : late;
}

bool control_paced(struct path *p)
{
    const uint64_t most = burst(p);
    const uint64_t past = p->now - p->paced_ns;
    const uint64_t per_second = rate(p);
    const uint64_t full = past >= SECOND
                              ? per_second
                              : per_second * (past / 1000) / (SECOND / 1000);
    if (full > 0 || past >= SECOND) {
        p->credit = p->credit + full > most ? most : p->credit + full;
        p->paced_ns = p->now;
    }
    return p->credit >= p->mtu || p->probes > 0;
}

uint64_t control_deadline(const struct path *p)
{
    if (p->credit >= p->mtu) {
        return p->now;
    }
    return p->paced_ns +
           (p->mtu - p->credit) * (SECOND / 1000) / (rate(p) / 1000 + 1) + 1;
}

void control_sent(struct path *p, size_t size)
{
    p->flight += size;
    p->credit -= size < p->credit ? size : p->credit;
}

/* Packets lost lately, of a million. */
static void note_loss(struct path *p, bool lost)
{
    const uint32_t share = 64;
    p->loss -= p->loss / share;
    p->loss += lost ? 1000000 / share : 0;
}

/* No queue stands on the way, and little is lost. A queue that stands delays
 * the fastest packet of a round, too; what only some are late by is the noise
 * of machines (as in HyStart++, RFC 9406). */
static bool calm(const struct path *p)
{
    return p->least_rtt != 0 && p->loss < HEAVY_LOSS &&
           !recover_late(p, p->least_rtt);
}

/* Datagrams in a round trip. */
static uint64_t growth(const struct path *p)
{
    const uint64_t part = p->window / p->mtu / CALM_GROWTH;
    if (!calm(p)) {
        return 1;
    }
    if (part < CALM_LEAST) {
        return CALM_LEAST;
    }
    return part < CALM_MOST ? part : CALM_MOST;
}

void control_acked(struct path *p, const struct packet *k)
{
    note_loss(p, false);
    p->flight -= k->size;
    p->round_bytes += k->size;
    if (!k->limited || (k->at_ns <= p->recovery_ns && !calm(p))) {
        return;
    }
    if (p->window < p->threshold) {
        p->window += k->size;
    } else {
        p->grown += growth(p) * p->mtu * k->size;
        p->window += p->grown / p->window;
        p->grown %= p->window;
    }
    if (p->window > p->limits.window_bytes) {
        p->window = p->limits.window_bytes;
    }
}

/* Of the window, after a loss. */
static uint64_t left(const struct path *p)
{
    if (!calm(p)) {
        return p->window * LOSS_PERCENT / 100;
    }
    const uint64_t less = p->window * CALM_PERCENT / 100;
    const uint64_t came = p->came_bytes * CAME_PERCENT / 100;
    if (came < less) {
        return less;
    }
    return came < p->window ? came : p->window;
}

void control_lost(struct path *p, uint64_t sent_ns)
{
    note_loss(p, true);
    if (sent_ns <= p->recovery_ns) {
        return; /* the same event */
    }
    p->recovery_ns = p->now;
    p->stats.congested++;
    p->window = left(p);
    p->window = p->window < least(p) ? least(p) : p->window;
    p->threshold = p->window;
}

void control_collapse(struct path *p)
{
    p->window = least(p);
    p->recovery_ns = 0;
    p->came_bytes = 0;
}

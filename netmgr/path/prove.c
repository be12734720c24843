#include <string.h>

#include "inside.h"
#include "nucleus/base/hash.h"

/* Addresses: nothing is sent to one before it has answered a challenge, beyond
 * what came from there. And what size of datagrams the way carries. */

/* Sizes worth a try: what is left of common links by IP and UDP. */
static const uint32_t sizes[] = {PATH_MTU_MIN, 1392, 1452, 1472,
                                 8952,         8972, 16384};

/* ---- Challenges ------------------------------------------------------------
 */

void prove_start(struct path *p, const struct path_addr *addr, bool limited)
{
    p->tokens++;
    p->proof = (struct proof){
        .active = true,
        .limited = limited,
        .addr = *addr,
        .token = hash_words(p->token_key, p->tokens,
                            (uint64_t)p->id_in << 32 | p->life),
        .due_ns = p->now,
    };
}

void prove_heard(struct path *p, const struct path_addr *from, size_t size,
                 bool newest)
{
    struct proof *t = &p->proof;
    if (t->active && addr_equal(&t->addr, from)) {
        t->credit += size;
        return;
    }
    if (p->state == PATH_PROVING && p->dialed) {
        return; /* it was told where the other side is */
    }
    if (newest && !addr_equal(&p->addr, from)) {
        prove_start(p, from, true);
        t->credit = size;
    }
}

void prove_challenged(struct path *p, const struct path_addr *from,
                      uint64_t token)
{
    p->answer_to = *from;
    p->answer = token;
    p->answer_due = true;
}

void prove_answered(struct path *p, uint64_t token)
{
    struct proof *t = &p->proof;
    if (!t->active || t->token != token) {
        return;
    }
    t->active = false;
    p->addr = t->addr;
    if (p->state == PATH_PROVING) {
        p->state = PATH_UP;
        mtu_start(p);
    }
}

/* No more goes to an address than came from there. */
static size_t challenge_room(const struct path *p)
{
    const struct proof *t = &p->proof;
    return t->limited && t->credit < PATH_MTU_MIN ? (size_t)t->credit
                                                  : PATH_MTU_MIN;
}

static bool challenge_due(const struct path *p)
{
    const struct proof *t = &p->proof;
    return t->active && t->due_ns <= p->now && t->tries < PROVE_TRIES &&
           challenge_room(p) >= CHALLENGE_BYTES;
}

size_t prove_write(struct path *p, struct writer *w, struct path_addr *to)
{
    struct proof *t = &p->proof;
    const bool challenge = challenge_due(p);
    size_t size = PATH_MTU_MIN;
    if (!challenge && !p->answer_due) {
        return 0;
    }
    *to = p->answer_due ? p->answer_to : t->addr;
    if (p->answer_due) {
        write_u8(w, PIECE_RESPONSE);
        write_u64(w, p->answer);
        p->answer_due = false;
    }
    if (challenge && addr_equal(to, &t->addr)) {
        write_u8(w, PIECE_CHALLENGE);
        write_u64(w, t->token);
        t->due_ns = p->now + (PROVE_FIRST_NS << t->tries);
        t->tries++;
        size = challenge_room(p);
        t->credit -= t->limited ? size : 0;
    }
    const size_t full = size - PATH_HEADER_BYTES - PATH_TAG_BYTES;
    if (w->at < full) { /* so that the way is known to carry as much */
        const size_t pad = full - w->at;
        memset(write_room(w, pad), PIECE_PAD, pad);
    }
    return w->at;
}

uint64_t prove_deadline(const struct path *p)
{
    const struct proof *t = &p->proof;
    if (!t->active || (t->due_ns <= p->now && t->tries < PROVE_TRIES &&
                       challenge_room(p) < CHALLENGE_BYTES)) {
        return DEADLINE_NEVER; /* until more comes from there */
    }
    return t->due_ns;
}

void prove_tick(struct path *p)
{
    struct proof *t = &p->proof;
    if (!t->active || t->tries < PROVE_TRIES || t->due_ns > p->now) {
        return;
    }
    t->active = false;
    if (p->state == PATH_PROVING) {
        path_down(p, "no answer");
    }
}

/* ---- Size of datagrams -----------------------------------------------------
 */

void mtu_start(struct path *p)
{
    p->mtu_at = 1;
    p->mtu_tries = 0;
    p->mtu_due_ns = p->now;
}

uint32_t mtu_wanted(const struct path *p)
{
    if (p->mtu_flying || p->mtu_due_ns > p->now ||
        p->mtu_at >= ARRAY_LEN(sizes) || sizes[p->mtu_at] > p->limits.mtu_max ||
        p->pto_count > 0) {
        return 0;
    }
    return sizes[p->mtu_at];
}

void mtu_acked(struct path *p, uint32_t size)
{
    p->mtu_flying = false;
    if (size > p->mtu && p->mtu_at < ARRAY_LEN(sizes) &&
        size == sizes[p->mtu_at]) {
        p->mtu = size;
        control_mtu(p);
        p->mtu_at++;
        p->mtu_tries = 0;
    }
}

void mtu_lost(struct path *p)
{
    p->mtu_flying = false;
    p->mtu_tries++;
    p->mtu_due_ns = p->now + MTU_NEXT_NS;
    if (p->mtu_tries >= PROBE_TRIES) {
        p->mtu_tries = 0;
        p->mtu_due_ns = p->now + MTU_AGAIN_NS;
    }
}

void mtu_shrink(struct path *p)
{
    p->large_lost = 0;
    if (p->mtu > PATH_MTU_MIN) {
        p->mtu = PATH_MTU_MIN;
        p->mtu_at = 1;
        p->mtu_tries = 0;
        p->mtu_due_ns = p->now + 60 * SECOND;
    }
}

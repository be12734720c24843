#include <string.h>

#include "inside.h"

/* What a datagram says; frames in their order. Everything is looked at before
 * anything is believed. */

/* ---- Bitmaps of frames -----------------------------------------------------
 */

static bool bit(const uint64_t *map, uint64_t number)
{
    const uint64_t at = number % PATH_FRAMES_MAX;
    return (map[at / 64] >> at % 64 & 1) != 0;
}

static void set_bit(uint64_t *map, uint64_t number)
{
    const uint64_t at = number % PATH_FRAMES_MAX;
    map[at / 64] |= UINT64_C(1) << at % 64;
}

static void clear_bit(uint64_t *map, uint64_t number)
{
    const uint64_t at = number % PATH_FRAMES_MAX;
    map[at / 64] &= ~(UINT64_C(1) << at % 64);
}

static bool delivered(const struct path *p, uint64_t number)
{
    return number < p->floor || bit(p->done, number);
}

static void deliver(struct path *p, uint64_t number)
{
    set_bit(p->done, number);
    while (bit(p->done, p->floor)) {
        clear_bit(p->done, p->floor);
        clear_bit(p->got, p->floor);
        p->floor++;
    }
    p->follow = number;
    p->stats.rx_frames++;
}

/* ---- Frames ----------------------------------------------------------------
 */

struct frame_in {
    uint64_t number;
    uint64_t before; /* 0 = follows none */
    const uint8_t *bytes;
    uint16_t size;
};

/* Numbers are sent cut to 32 bits: the one nearest to what is expected. @return
 * false: out of the window */
static bool read_frame(const struct path *p, struct reader *r,
                       struct frame_in *f)
{
    const uint32_t number = read_u32(r);
    const uint16_t back = read_u16(r);
    f->size = read_u16(r);
    f->bytes = read_span(r, f->size);
    const int64_t ahead = (int32_t)(number - (uint32_t)p->floor);
    if (!reader_ok(r) || f->size == 0 || ahead >= PATH_FRAMES_MAX ||
        (ahead < 0 && (uint64_t)-ahead > p->floor - 1)) {
        return false;
    }
    f->number = p->floor + (uint64_t)ahead;
    if (back >= f->number || back > PATH_FRAMES_MAX) {
        return false;
    }
    f->before = back == 0 ? 0 : f->number - back;
    return true;
}

static void hold(struct path *p, const struct frame_in *f)
{
    struct held *h = mem_alloc_raw(p->mem, sizeof(*h) + f->size);
    if (h == NULL || !map_put(&p->held_after, f->before, 0, h)) {
        mem_free(p->mem, h, sizeof(*h) + f->size);
        path_down(p, "no memory for what came early");
        return;
    }
    *h = (struct held){
        .number = f->number, .before = f->before, .size = f->size};
    memcpy(h->bytes, f->bytes, f->size);
    list_append(&p->held, &h->link);
    p->held_bytes += f->size;
    p->stats.defs++;
}

static void held_free(struct path *p, struct held *h)
{
    list_remove(&h->link);
    p->held_bytes -= h->size;
    mem_free(p->mem, h, sizeof(*h) + h->size);
}

/* @return whether it can be delivered now */
static bool take_frame(struct path *p, const struct frame_in *f)
{
    if (f->number < p->floor || bit(p->got, f->number)) {
        p->stats.dups++;
        return false;
    }
    if (f->before != 0 && !delivered(p, f->before) &&
        map_get(&p->held_after, f->before, 0) != NULL) {
        path_down(p, "two frames follow one");
        return false;
    }
    set_bit(p->got, f->number);
    if (f->before == 0 || delivered(p, f->before)) {
        deliver(p, f->number);
        return true;
    }
    hold(p, f);
    return false;
}

/* What waited for the frame delivered last. */
static bool take_held(struct path *p, const uint8_t **data, size_t *size)
{
    if (p->follow == 0) {
        return false;
    }
    struct held *h = map_remove(&p->held_after, p->follow, 0);
    p->follow = 0;
    if (h == NULL) {
        return false;
    }
    deliver(p, h->number);
    p->lent = h;
    *data = h->bytes;
    *size = h->size;
    return true;
}

bool path_frame(struct path *p, const uint8_t **data, size_t *size)
{
    if (p->lent != NULL) {
        held_free(p, p->lent);
        p->lent = NULL;
    }
    if (p->state != PATH_UP) {
        p->in = reader_of(NULL, 0);
        return false;
    }
    if (take_held(p, data, size)) {
        return true;
    }
    while (reader_left(&p->in) > 0 && p->state == PATH_UP) {
        const uint8_t piece = read_u8(&p->in);
        struct frame_in f;
        if (piece == PIECE_LOOSE) {
            *size = read_u16(&p->in);
            *data = read_span(&p->in, *size);
            return true;
        }
        if (piece == PIECE_FRAME) {
            /* Good a moment ago; but the floor has moved since. */
            if (read_frame(p, &p->in, &f) && take_frame(p, &f)) {
                *data = f.bytes;
                *size = f.size;
                return true;
            }
        } else if (piece == PIECE_ACK) {
            (void)recover_ack(p, &p->in, false);
        } else if (piece == PIECE_CHALLENGE || piece == PIECE_RESPONSE) {
            (void)read_u64(&p->in);
        }
    }
    return false;
}

void receive_fini(struct path *p)
{
    p->lent = NULL;
    list_foreach (it, &p->held) {
        struct held *h = LIST_ENTRY(it, struct held, link);
        map_remove(&p->held_after, h->before, 0);
        held_free(p, h);
    }
}

/* ---- What was received -----------------------------------------------------
 */

/* Adds a counter to the ranges; the lowest is dropped when there is no room. */
static void note_counter(struct path *p, uint64_t counter)
{
    uint32_t i = 0;
    while (i < p->range_count && p->ranges[i].low > counter + 1) {
        i++;
    }
    struct range *r = &p->ranges[i];
    if (i < p->range_count && r->low == counter + 1) {
        r->low = counter;
        if (i + 1 < p->range_count && r[1].high + 1 == counter) {
            r->low = r[1].low;
            p->range_count--;
            memmove(&r[1], &r[2], (p->range_count - i - 1) * sizeof(*r));
        }
        return;
    }
    if (i < p->range_count && r->high + 1 == counter) {
        r->high = counter;
        return;
    }
    if (i < p->range_count && r->low <= counter && counter <= r->high) {
        return;
    }
    if (i == RANGES_MAX) {
        return;
    }
    p->range_count -= p->range_count == RANGES_MAX;
    memmove(&r[1], r, (p->range_count - i) * sizeof(*r));
    *r = (struct range){.low = counter, .high = counter};
    p->range_count++;
}

static void owe_ack(struct path *p, uint64_t counter, bool eliciting)
{
    const uint64_t expected = p->range_count == 0 ? 0 : p->ranges[0].high + 1;
    note_counter(p, counter);
    if (counter >= expected) {
        p->largest_ns = p->now;
    }
    if (!eliciting) {
        return;
    }
    p->ack_owed++;
    if (p->ack_owed >= 2 || counter != expected) {
        p->ack_due_ns = p->now;
    } else if (p->ack_due_ns == DEADLINE_NEVER) {
        p->ack_due_ns = p->now + ACK_DELAY_NS;
    }
}

void receive_write_ack(struct path *p, struct writer *w)
{
    const struct range *r = p->ranges;
    uint32_t count = 1;
    while (count < p->range_count && r[0].high - r[count].low < UINT32_MAX) {
        count++;
    }
    write_u8(w, PIECE_ACK);
    write_u64(w, r[0].high);
    const uint64_t us = (p->now - p->largest_ns) / 1000;
    write_u32(w, us < UINT32_MAX ? (uint32_t)us : UINT32_MAX);
    write_u8(w, (uint8_t)(count - 1));
    write_u32(w, (uint32_t)(r[0].high - r[0].low));
    for (uint32_t i = 1; i < count; i++) {
        write_u32(w, (uint32_t)(r[i - 1].low - r[i].high));
        write_u32(w, (uint32_t)(r[i].high - r[i].low));
    }
    p->told = r[0].high + 1;
    p->ack_owed = 0;
    p->ack_due_ns = DEADLINE_NEVER;
}

void receive_told(struct path *p, uint64_t told)
{
    while (p->range_count > 1 && p->ranges[p->range_count - 1].high < told) {
        p->range_count--;
    }
}

/* ---- A packet --------------------------------------------------------------
 */

/* What one look found. */
struct look {
    bool good;
    bool eliciting;
    bool close;
    uint64_t may_hold; /* bytes of frames */
};

static struct look look_at(struct path *p, const uint8_t *plain, size_t size)
{
    struct look l = {.good = true};
    struct reader r = reader_of(plain, size);
    struct frame_in f;
    while (reader_left(&r) > 0 && l.good) {
        const uint8_t piece = read_u8(&r);
        switch (piece) {
        case PIECE_PAD:
            break;
        case PIECE_PING:
            l.eliciting = true;
            break;
        case PIECE_ACK:
            l.good = recover_ack(p, &r, false);
            break;
        case PIECE_CHALLENGE:
        case PIECE_RESPONSE:
            (void)read_u64(&r);
            break;
        case PIECE_FRAME:
            l.eliciting = true;
            l.good = read_frame(p, &r, &f);
            l.may_hold += l.good ? f.size : 0;
            break;
        case PIECE_LOOSE: {
            const uint16_t n = read_u16(&r);
            l.eliciting = true;
            l.good = n > 0 && read_span(&r, n) != NULL;
            break;
        }
        case PIECE_CLOSE:
            l.close = true;
            break;
        default:
            l.good = false;
        }
    }
    l.good = l.good && reader_ok(&r);
    return l;
}

/* Challenges and answers; with `acks`, those too. */
static void believe(struct path *p, const struct path_addr *from,
                    const uint8_t *plain, size_t size, bool acks)
{
    struct reader r = reader_of(plain, size);
    struct frame_in f;
    while (reader_left(&r) > 0) {
        const uint8_t piece = read_u8(&r);
        if (piece == PIECE_ACK) {
            (void)recover_ack(p, &r, acks);
        } else if (piece == PIECE_CHALLENGE) {
            const uint64_t token = read_u64(&r);
            if (!acks) {
                prove_challenged(p, from, token);
            }
        } else if (piece == PIECE_RESPONSE) {
            const uint64_t token = read_u64(&r);
            if (!acks) {
                prove_answered(p, token);
            }
        } else if (piece == PIECE_FRAME) {
            (void)read_frame(p, &r, &f);
        } else if (piece == PIECE_LOOSE) {
            const uint16_t n = read_u16(&r);
            (void)read_span(&r, n);
        }
    }
}

static enum path_taken broken(struct path *p, const char *why)
{
    path_down(p, why);
    return PATH_BROKEN;
}

enum path_taken path_receive(struct path *p, uint64_t now_ns,
                             const struct path_addr *from, const uint8_t *data,
                             size_t size, uint8_t *plain)
{
    size_t plain_size = 0;
    uint64_t counter = 0;
    p->now = now_ns > p->now ? now_ns : p->now;
    p->in = reader_of(NULL, 0);
    if (p->state == PATH_DOWN ||
        !protect_open(p, data, size, plain, &plain_size, &counter)) {
        return PATH_DROPPED;
    }
    const struct look l = look_at(p, plain, plain_size);
    if (!l.good) {
        return broken(p, "a packet that breaks the protocol");
    }
    if (p->held_bytes + l.may_hold > PATH_HELD_BYTES_MAX) {
        return PATH_DROPPED; /* as if it had been lost: not acknowledged */
    }
    prove_heard(p, from, size, counter >= p->rx_high);
    believe(p, from, plain, plain_size, false);
    protect_took(p, counter);
    if (p->state == PATH_PROVING) {
        return PATH_DROPPED; /* not acknowledged: all of it comes again */
    }
    p->stats.rx_packets++;
    p->stats.rx_bytes += size;
    believe(p, from, plain, plain_size, true);
    owe_ack(p, counter, l.eliciting);
    if (l.close) {
        path_down(p, "the other side ended it");
        return PATH_TAKEN;
    }
    p->in = reader_of(plain, plain_size);
    return PATH_TAKEN;
}

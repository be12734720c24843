#include <string.h>

#include "inside.h"

/* Frames that wait, and what a datagram is filled with. */

static void queue_add(struct queue *q, struct frame *f)
{
    f->next = NULL;
    if (q->last == NULL) {
        q->first = f;
    } else {
        q->last->next = f;
    }
    q->last = f;
    q->bytes += f->size;
}

static struct frame *queue_take(struct queue *q)
{
    struct frame *f = q->first;
    q->first = f->next;
    if (q->first == NULL) {
        q->last = NULL;
    }
    q->bytes -= f->size;
    f->next = NULL;
    return f;
}

static void frame_free(struct path *p, struct frame *f)
{
    list_remove(&f->live);
    mem_free(p->mem, f, sizeof(*f) + f->size);
}

uint8_t *path_room(struct path *p, enum path_class class, uint64_t stream,
                   size_t size)
{
    CHECK(size > 0 && size <= path_frame_max(p));
    p->small_only = p->small_only && size <= PATH_FRAME_BYTES_MIN;
    struct frame *f = mem_alloc_raw(p->mem, sizeof(*f) + size);
    if (f == NULL) {
        return NULL;
    }
    memset(f, 0, sizeof(*f));
    f->size = (uint16_t)size;
    f->id = stream;
    f->loose = class == PATH_LOOSE;
    queue_add(class == PATH_DATA ? &p->data : &p->urgent, f);
    return f->bytes;
}

bool path_send(struct path *p, enum path_class class, uint64_t stream,
               const void *data, size_t size)
{
    uint8_t *room = path_room(p, class, stream, size);
    if (room != NULL) {
        memcpy(room, data, size);
    }
    return room != NULL;
}

/* ---- Numbers and streams ---------------------------------------------------
 */

/* Gives the frame its number, and the one that it follows. @return false: not
 * now */
static bool enlist(struct path *p, struct frame *f)
{
    struct list *lowest = list_first(&p->live);
    if (lowest != NULL &&
        p->next_number - LIST_ENTRY(lowest, const struct frame, live)->number >=
            PATH_FRAMES_MAX) {
        return false;
    }
    if (f->id != 0) {
        struct stream *s = map_get(&p->streams, f->id, 0);
        if (s == NULL) {
            s = mem_alloc(p->mem, sizeof(*s));
            if (s == NULL) {
                return false;
            }
            s->id = f->id;
            if (!map_put(&p->streams, f->id, 0, s)) {
                mem_free(p->mem, s, sizeof(*s));
                return false;
            }
        }
        f->back = s->unacked > 0 ? (uint16_t)(p->next_number - s->last) : 0;
        s->last = p->next_number;
        s->unacked++;
        f->stream = s;
    }
    f->number = p->next_number++;
    list_append(&p->live, &f->live);
    return true;
}

static void stream_release(struct path *p, struct stream *s)
{
    if (s != NULL && --s->unacked == 0) {
        map_remove(&p->streams, s->id, 0);
        mem_free(p->mem, s, sizeof(*s));
    }
}

void send_acked(struct path *p, struct frame *f)
{
    stream_release(p, f->stream);
    frame_free(p, f);
}

void send_again(struct path *p, struct packet *k)
{
    while (k->frames != NULL) {
        struct frame *f = k->frames;
        k->frames = f->next;
        if (f->loose) {
            frame_free(p, f);
            continue;
        }
#ifdef MOTET_BUG_NO_REPAIR
        send_acked(p, f);
        continue;
#endif
        p->stats.retrans++;
        queue_add(&p->again, f);
    }
}

static void queue_free(struct path *p, struct queue *q)
{
    while (q->first != NULL) {
        send_acked(p, queue_take(q));
    }
}

void send_fini(struct path *p)
{
    queue_free(p, &p->again);
    queue_free(p, &p->urgent);
    queue_free(p, &p->data);
    for (uint64_t c = p->sent_low; c < p->counter && p->sent_slots > 0; c++) {
        struct packet *k = packet_at(p, c);
        while (k->out && k->frames != NULL) {
            struct frame *f = k->frames;
            k->frames = f->next;
            send_acked(p, f);
        }
    }
    mem_free(p->mem, p->sent, p->sent_slots * sizeof(*p->sent));
}

/* ---- Filling a packet ------------------------------------------------------
 */

struct filling {
    struct frame *first;
    struct frame *last;
    bool eliciting;
};

static size_t room_for(const struct frame *f)
{
    return f->size + (size_t)PATH_FRAME_OVERHEAD;
}

static void put_frame(struct path *p, struct filling *l, struct frame *f,
                      struct writer *w)
{
    write_u8(w, f->loose ? PIECE_LOOSE : PIECE_FRAME);
    if (!f->loose) {
        write_u32(w, (uint32_t)f->number);
        write_u16(w, f->back);
    }
    write_u16(w, f->size);
    write_span(w, f->bytes, f->size);
    p->stats.tx_frames++;
    l->eliciting = true;
    if (l->last == NULL) {
        l->first = f;
    } else {
        l->last->next = f;
    }
    l->last = f;
}

/* @return whether it came to the end of the queue */
static bool fill_from(struct path *p, struct queue *q, struct filling *l,
                      struct writer *w)
{
    while (q->first != NULL) {
        struct frame *f = q->first;
        if (w->size - w->at < room_for(f)) {
            return false;
        }
        if (!f->loose && f->number == 0) {
            if (!enlist(p, f)) {
                return false;
            }
            p->drained += f->size;
        }
        put_frame(p, l, queue_take(q), w);
    }
    return true;
}

/* A frame larger than the way carries now can never leave. */
static bool all_fit(const struct path *p)
{
    const size_t most = path_frame_max(p);
    const struct queue *all[] = {&p->again, &p->urgent, &p->data};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i]->first != NULL && all[i]->first->size > most) {
            return false;
        }
    }
    return true;
}

static bool waiting(const struct path *p)
{
    return p->again.first != NULL || p->urgent.first != NULL ||
           p->data.first != NULL;
}

static size_t finish(struct path *p, uint8_t *out, struct writer *w,
                     const struct filling *l, bool probe)
{
    const size_t size = PATH_HEADER_BYTES + w->at + PATH_TAG_BYTES;
    CHECK(writer_ok(w) && w->at > 0);
    recover_sent(p, l->first, size, l->eliciting, probe);
    p->stats.tx_packets++;
    p->stats.tx_bytes += size;
    return protect_seal(p, out, w->at);
}

/* Contents of a packet of `size` bytes. */
static struct writer contents(uint8_t *out, size_t size)
{
    return writer_of(out + PATH_HEADER_BYTES,
                     size - PATH_HEADER_BYTES - PATH_TAG_BYTES);
}

static size_t write_mtu_probe(struct path *p, uint8_t *out, uint32_t size)
{
    struct writer w = contents(out, size);
    struct filling l = {.eliciting = true};
    write_u8(&w, PIECE_PING);
    const size_t pad = w.size - w.at;
    memset(write_room(&w, pad), PIECE_PAD, pad);
    p->mtu_flying = true;
    return finish(p, out, &w, &l, true);
}

/* How large a packet may be that carries frames; 0: none may leave. */
static size_t allowed(struct path *p)
{
    return control_room(p) >= p->mtu && control_paced(p) ? p->mtu : 0;
}

static size_t write_normal(struct path *p, uint8_t *out)
{
    const bool ack = p->ack_due_ns <= p->now;
    size_t size = 0;
    if (waiting(p) || p->probes > 0) {
        size = allowed(p);
    }
    if (size == 0 && !ack) {
        return 0;
    }
    struct writer w = contents(out, size > 0 ? size : PATH_MTU_MIN);
    struct filling l = {0};
    if (p->ack_owed > 0) {
        receive_write_ack(p, &w);
    }
    if (size > 0 && fill_from(p, &p->again, &l, &w) &&
        fill_from(p, &p->urgent, &l, &w)) {
        (void)fill_from(p, &p->data, &l, &w);
    }
    if (p->probes > 0 && !l.eliciting && w.at < w.size) {
        write_u8(&w, PIECE_PING);
        l.eliciting = true;
    }
    if (l.eliciting && p->largest_acked == 0 && p->answer != 0 &&
        w.size - w.at >= 9) {
        write_u8(&w, PIECE_RESPONSE); /* the one before may have been lost */
        write_u64(&w, p->answer);
    }
    return w.at == 0 ? 0 : finish(p, out, &w, &l, false);
}

size_t path_write(struct path *p, uint64_t now_ns, uint8_t *out,
                  struct path_addr *to)
{
    p->now = now_ns > p->now ? now_ns : p->now;
    if (p->state == PATH_DOWN || !recover_room(p) || !protect_ready(p)) {
        return 0;
    }
    struct writer w = contents(out, PATH_MTU_MIN);
    struct filling l = {0};
    if (prove_write(p, &w, to) > 0) {
        return finish(p, out, &w, &l, false);
    }
    if (p->state != PATH_UP) {
        return 0;
    }
    *to = p->addr;
    if (!all_fit(p)) {
        path_down(p, "the way carries only smaller datagrams now");
        return 0;
    }
    const uint32_t probe = mtu_wanted(p);
    if (probe > 0 && p->flight + 3 * (uint64_t)probe <= p->window) {
        return write_mtu_probe(p, out, probe);
    }
    return write_normal(p, out);
}

size_t path_farewell(struct path *p, uint64_t now_ns, uint8_t *out,
                     struct path_addr *to)
{
    p->now = now_ns > p->now ? now_ns : p->now;
    if (p->addr.size == 0 || !recover_room(p) || !protect_ready(p)) {
        return 0;
    }
    struct writer w = contents(out, PATH_MTU_MIN);
    struct filling l = {0};
    *to = p->addr;
    write_u8(&w, PIECE_CLOSE);
    return finish(p, out, &w, &l, false);
}

size_t path_frame_max(const struct path *p)
{
    return p->mtu - (size_t)PATH_HEADER_BYTES - PATH_TAG_BYTES -
           PATH_FRAME_OVERHEAD;
}

uint64_t path_drained(struct path *p)
{
    const uint64_t drained = p->drained;
    p->drained = 0;
    return drained;
}

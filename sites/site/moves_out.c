#include <string.h>

#include "deaths.h"
#include "moves.h"
#include "nucleus/base/ui.h"

/* ---- Content ---------------------------------------------------------------
 */

static bool put(struct site *s, struct move *m, const void *data, size_t size)
{
    if (m->content_size + size > MOVE_IN_BYTES_MAX) {
        return false;
    }
    if (m->content_size + size > m->content_capacity) {
        size_t want = m->content_capacity == 0 ? 4096 : m->content_capacity * 2;
        while (want < m->content_size + size) {
            want *= 2;
        }
        uint8_t *grown =
            mem_resize(&s->mem, m->content, m->content_capacity, want);
        if (grown == NULL) {
            return false;
        }
        m->content = grown;
        m->content_capacity = want;
    }
    if (size > 0) {
        memcpy(m->content + m->content_size, data, size);
    }
    m->content_size += size;
    return true;
}

/* Writes an item and lets go of it. */
static bool put_item(struct site *s, struct move *m, struct image_item *it)
{
    uint8_t bytes[WIRE_ITEM_BYTES + WIRE_ITEM_FIELDS_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    const struct buf *data;

    wire_encode_item(it, &w, &data);
    CHECK(writer_ok(&w));
    const bool ok = put(s, m, bytes, w.at) &&
                    (data == NULL || put(s, m, data->data, data->size));
    image_release(it);
    return ok;
}

/* Of which deaths the ports were told: a number, and what follows. */
static bool put_deaths(struct site *s, struct move *m)
{
    uint8_t bytes[16];
    struct list *at = NULL;
    struct tomb tomb;
    uint32_t count = 0;

    while (deaths_next(s, &at, &tomb)) {
        count++;
    }
    struct writer w = writer_of(bytes, sizeof bytes);
    write_u32(&w, count);
    if (!put(s, m, bytes, w.at)) {
        return false;
    }
    for (at = NULL; deaths_next(s, &at, &tomb);) {
        w = writer_of(bytes, sizeof bytes);
        write_u64(&w, tomb.site);
        write_u32(&w, tomb.incarnation);
        if (!put(s, m, bytes, w.at)) {
            return false;
        }
    }
    return true;
}

static bool put_head(struct site *s, struct move *m)
{
    uint8_t bytes[128];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct wire_content c = {
        .count = m->count,
        .flags = m->self != NULL ? WIRE_CONTENT_ACTOR : 0,
    };

    memcpy(c.actor, m->note.receiver, sizeof c.actor);
    wire_encode_content(&c, &w);
    if (!put(s, m, bytes, w.at)) {
        return false;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        w = writer_of(bytes, sizeof bytes);
        wire_encode_port(&m->ports[i], &w);
        CHECK(writer_ok(&w));
        if (!put(s, m, bytes, w.at)) {
            return false;
        }
    }
    return put_deaths(s, m);
}

/* ---- An actor --------------------------------------------------------------
 */

static bool put_state(struct site *s, struct move *m)
{
    const struct motet_self *a = m->self;
    const size_t size = a->table->save(a->state, NULL, 0);
    struct image_item it = {.kind = IMAGE_ACTOR};

    if (size > s->cfg.nucleus.body_bytes_max) {
        return false;
    }
    memcpy(it.name, a->name, sizeof it.name);
    memcpy(it.text, a->table->name, strnlen(a->table->name, MOTET_NAME_MAX));
    if (size > 0) {
        it.data = buf_new(&s->mem, (uint32_t)size);
        if (it.data == NULL) {
            return false;
        }
        CHECK(a->table->save(a->state, it.data->data, size) == size);
    }
    return put_item(s, m, &it);
}

static bool put_timers(struct site *s, struct move *m)
{
    list_foreach (node, &m->self->timers) {
        const struct actor_timer *t =
            LIST_ENTRY(node, const struct actor_timer, link);
        const uint64_t at_ns = t->deadline.at_ns;
        struct image_item it = {
            .kind = IMAGE_TIMER,
            .id = t->id,
            .left_ns = at_ns > s->now_ns ? at_ns - s->now_ns : 0,
        };
        if (!put_item(s, m, &it)) {
            return false;
        }
    }
    return true;
}

/* ---- A port ----------------------------------------------------------------
 */

/* Whose place is not its birth site's is told with the epoch at which it came
 * there, so that whoever knows better goes by that. */
static void add_epoch(const struct site *s, struct image_item *it)
{
    struct motet_ui who = it->peer;
    uint64_t epoch;

    if (it->kind == IMAGE_HELD) {
        who = it->msg.reply_to;
    } else if (it->kind != IMAGE_CALL && it->kind != IMAGE_WATCH &&
               it->kind != IMAGE_WATCHER) {
        return;
    }
    const struct place_of place = netmgr_where(s->netmgr, who, &epoch);
    if (place.site == it->place.site) {
        it->epoch = epoch;
    }
}

/* A message with the network manager: first what the nucleus knows of it. */
static bool put_kept(struct site *s, struct move *m, struct image_item *it)
{
    struct image_item parcel;

    if (it->ticket != 0 &&
        nucleus_image_parcel(s->nucleus, it->ticket, &parcel)) {
        if (!put_item(s, m, &parcel)) {
            image_release(it);
            return false;
        }
    } else {
        it->ticket = 0;
    }
    return put_item(s, m, it);
}

static void note_group(struct site *s, struct move *m, struct motet_ui port,
                       struct motet_ui group)
{
    struct move_groups *g = &m->groups;

    if (g->count == g->capacity) {
        const uint32_t more = g->capacity == 0 ? 8 : g->capacity * 2;
        g->all = mem_resize(&s->own, g->all, g->capacity * sizeof *g->all,
                            more * sizeof *g->all);
        CHECK(g->all != NULL);
        g->capacity = more;
    }
    g->all[g->count].port = port;
    g->all[g->count].group = group;
    g->count++;
}

static bool put_port(struct site *s, struct move *m, struct motet_ui port)
{
    struct nuc_walk nuc = {0};
    struct net_walk net = {0};
    struct image_item it;

    while (nucleus_image(s->nucleus, port, &nuc, &it)) {
        m->note.queued += it.kind == IMAGE_QUEUED;
        if (it.kind == IMAGE_MEMBER) {
            note_group(s, m, port, it.peer);
        }
        add_epoch(s, &it);
        if (!put_item(s, m, &it)) {
            return false;
        }
    }
    while (netmgr_image(s->netmgr, port, &net, &it)) {
        if (it.kind == IMAGE_KEPT ? !put_kept(s, m, &it)
                                  : !put_item(s, m, &it)) {
            return false;
        }
    }
    return true;
}

enum motet_err move_pack(struct site *s, struct move *m)
{
    bool ok = put_head(s, m);

    if (ok && m->self != NULL) {
        ok = put_state(s, m) && put_timers(s, m);
    }
    for (uint32_t i = 0; ok && i < m->count; i++) {
        ok = put_port(s, m, m->ports[i].ui);
    }
    if (!ok) {
        return m->content_size >= MOVE_IN_BYTES_MAX / 2 ? MOTET_E_TOO_BIG
                                                        : MOTET_E_NO_MEMORY;
    }
    const uint32_t body = s->cfg.net.body_bytes_max;
    m->part_bytes = body < WIRE_PART_BYTES + WIRE_MIGRATE_BYTES
                        ? body - WIRE_MIGRATE_BYTES
                        : WIRE_PART_BYTES;
    m->parts =
        (uint32_t)((m->content_size + m->part_bytes - 1) / m->part_bytes);
    m->note.bytes = m->content_size;
    return m->parts <= WIRE_PARTS_MAX ? MOTET_OK : MOTET_E_TOO_BIG;
}

/* ---- Sending ---------------------------------------------------------------
 */

enum { FRAME_MS_MAX = 2000 }; /* what is older is of no use */

/* @return what the network manager says; the data was taken if that is OK */
static enum motet_err send(struct site *s, uint64_t to, struct buf *data,
                           uint64_t ticket)
{
    struct net_in in = {
        .kind = NET_IN_SEND,
        .now_ns = s->now_ns,
        .ticket = ticket,
        .src = ui_of_control(s->cfg.site),
        .dst = ui_of_control(to),
        .msg = {.kind = MSG_MIGRATE, .data = data},
        .deadline_ns = ticket != 0
                           ? DEADLINE_NEVER
                           : s->now_ns + FRAME_MS_MAX * UINT64_C(1000000),
        .wait = true,
    };
    const enum motet_err err = netmgr_step(s->netmgr, &in);

    s->flush = true;
    return err;
}

static struct buf *pack_frame(struct site *s, const struct wire_migrate *m)
{
    struct buf *b = buf_new(&s->mem, WIRE_MIGRATE_BYTES + m->size);

    if (b != NULL) {
        struct writer w = writer_of(b->data, b->size);
        wire_encode_migrate(m, &w);
        write_span(&w, m->bytes, m->size);
        CHECK(writer_ok(&w) && w.at == b->size);
    }
    return b;
}

void move_send_frame(struct site *s, uint64_t to, const struct mig_frame *f)
{
    const struct wire_migrate m = {.frame = *f, .parts = 1};
    struct buf *b = pack_frame(s, &m);

    if (b != NULL && send(s, to, b, 0) != MOTET_OK) {
        buf_unref(b); /* said again where need be */
    }
}

void move_send_parts(struct site *s, struct move *m)
{
    while (m->parts_sent < m->parts &&
           m->parts_sent - m->parts_done < MOVE_WINDOW) {
        const size_t at = (size_t)m->parts_sent * m->part_bytes;
        const size_t left = m->content_size - at;
        const struct wire_migrate part = {
            .frame = {.kind = MIG_PREPARE,
                      .xid = m->note.xid,
                      .from_incarnation = s->cfg.incarnation,
                      .to_incarnation = m->incarnation,
                      .settled = m->settled},
            .part = (uint16_t)m->parts_sent,
            .parts = (uint16_t)m->parts,
            .bytes = m->content + at,
            .size = (uint32_t)(left < m->part_bytes ? left : m->part_bytes),
        };
        struct buf *b = pack_frame(s, &part);
        const uint64_t ticket =
            UINT64_C(1) << 63 | m->attempt << 16 | m->parts_sent;
        if (b == NULL || send(s, m->note.to, b, ticket) != MOTET_OK) {
            buf_unref(b);
            return; /* tried again in the next tick, until it times out */
        }
        m->parts_sent++;
    }
}

#include <string.h>

#include "deaths.h"
#include "moves.h"
#include "nucleus/base/ui.h"

#define MS UINT64_C(1000000)

enum { ASSEMBLE_MS = 10000 }; /* from part to part */

/* ---- Parts -----------------------------------------------------------------
 */

static bool same_xid(const struct mig_xid *a, const struct mig_xid *b)
{
    return a->site == b->site && a->incarnation == b->incarnation &&
           a->number == b->number;
}

struct arrival *arrival_find(const struct site *s, const struct mig_xid *xid)
{
    list_foreach (it, &s->arrivals) {
        struct arrival *a = LIST_ENTRY(it, struct arrival, link);
        if (same_xid(&a->xid, xid)) {
            return a;
        }
    }
    return NULL;
}

static void drop_bytes(struct site *s, struct arrival *a)
{
    mem_free(&s->mem, a->bytes, a->capacity);
    a->bytes = NULL;
    a->capacity = 0;
}

void arrival_free(struct site *s, struct arrival *a)
{
    list_remove(&a->link);
    drop_bytes(s, a);
    mem_free(&s->own, a->ports, a->count * sizeof *a->ports);
    mem_free(&s->own, a, sizeof *a);
}

static bool keep(struct site *s, struct arrival *a, const void *data,
                 size_t size)
{
    if (a->size + size > MOVE_IN_BYTES_MAX) {
        return false;
    }
    if (a->size + size > a->capacity) {
        size_t want = a->capacity == 0 ? 4096 : a->capacity * 2;
        while (want < a->size + size) {
            want *= 2;
        }
        uint8_t *grown = mem_resize(&s->mem, a->bytes, a->capacity, want);
        if (grown == NULL) {
            return false;
        }
        a->bytes = grown;
        a->capacity = want;
    }
    memcpy(a->bytes + a->size, data, size);
    a->size += size;
    return true;
}

static void refuse(struct site *s, const struct arrival *a,
                   const struct mig_frame *f, enum motet_err err)
{
    const enum motet_err step =
        site_migrate(s, &(struct mig_in){.kind = MIG_IN_PREPARE,
                                         .site = a->from,
                                         .frame = f,
                                         .ports = a->ports,
                                         .count = a->count,
                                         .err = err});
    (void)step; /* it is refused all the same */
}

static struct arrival *begin(struct site *s, uint64_t from,
                             const struct wire_migrate *m)
{
    uint32_t count = 0;

    list_foreach (it, &s->arrivals) {
        count += !LIST_ENTRY(it, const struct arrival, link)->installed;
    }
    if (m->part != 0 || count >= MOVES_IN_MAX) {
        return NULL;
    }
    struct arrival *a = mem_alloc(&s->own, sizeof *a);
    CHECK(a != NULL);
    a->xid = m->frame.xid;
    a->from = from;
    a->frame = m->frame;
    a->parts = m->parts;
    list_append(&s->arrivals, &a->link);
    return a;
}

/* Parts come in order, each once; what does not fit that is of a move that is
 * over. */
void arrival_part(struct site *s, uint64_t from, const struct wire_migrate *m)
{
    struct arrival *a = arrival_find(s, &m->frame.xid);
    const struct arrival nobody = {.from = from, .xid = m->frame.xid};

    if (a == NULL) {
        a = begin(s, from, m);
    }
    if (a == NULL) {
        if (m->part + 1 == m->parts) {
            refuse(s, &nobody, &m->frame, MOTET_E_LIMIT);
        }
        return;
    }
    if (a->whole || m->part != a->got || m->parts != a->parts ||
        from != a->from) {
        return;
    }
    a->got++;
    a->give_up_ns = s->now_ns + ASSEMBLE_MS * MS;
    if (!keep(s, a, m->bytes, m->size)) {
        refuse(s, a, &a->frame, MOTET_E_NO_MEMORY);
        arrival_free(s, a);
        return;
    }
    a->whole = a->got == a->parts;
}

/* ---- Installing ------------------------------------------------------------
 */

/* Reads the content of one arrival into the machines. */
struct fitter {
    struct site *s;
    struct arrival *a;
    struct reader r;
    struct motet_ui owner; /* the actor that is to own the ports */
    struct motet_ui port;  /* the one whose items come */
    uint32_t ports;        /* begun */
    uint64_t ticket;     /* of the message that follows its parcel: there ... */
    uint64_t new_ticket; /* ... and here */
};

static enum motet_err nuc_item(struct fitter *f, const struct image_item *it,
                               struct nuc_out *out)
{
    const struct nuc_in in = {.kind = NUC_PORT_ITEM,
                              .now_ns = f->s->now_ns,
                              .actor = f->owner,
                              .port = f->port,
                              .item = it};
    return nucleus_step(f->s->nucleus, &in, out);
}

static enum motet_err net_item(struct fitter *f, const struct image_item *it)
{
    const struct net_in in = {
        .kind = NET_IN_ITEM, .now_ns = f->s->now_ns, .item = it};
    return netmgr_step(f->s->netmgr, &in);
}

/* The next port, which must be one of those that the PREPARE names. */
static enum motet_err fit_port(struct fitter *f, const struct image_item *it)
{
    struct nuc_out out;
    struct site *s = f->s;

    if (f->ports == f->a->count ||
        !ui_equal(f->a->ports[f->ports].ui, it->port)) {
        return MOTET_E_PROTOCOL;
    }
    if (f->a->self == NULL && !actors_consent(s, f->owner, it->port)) {
        return MOTET_E_DECLINED;
    }
    f->port = it->port;
    const enum motet_err err = nuc_item(f, it, &out);
    if (err != MOTET_OK) {
        return err;
    }
    f->ports++;
    return netmgr_step(s->netmgr, &(struct net_in){.kind = NET_IN_FREEZE,
                                                   .now_ns = s->now_ns,
                                                   .dst = it->port});
}

/* Where others live may be known better here than it was over there. */
static void correct_place(const struct site *s, struct image_item *it)
{
    const struct motet_ui who =
        it->kind == IMAGE_HELD ? it->msg.reply_to : it->peer;
    uint64_t epoch;

    if (it->kind != IMAGE_HELD && it->kind != IMAGE_CALL &&
        it->kind != IMAGE_WATCH && it->kind != IMAGE_WATCHER) {
        return;
    }
    if (it->place.site == 0 || ui_kind(who) != UI_PORT) {
        return;
    }
    const struct place_of place = netmgr_where(s->netmgr, who, &epoch);
    if (epoch > it->epoch) {
        it->place = place;
    }
}

static enum motet_err fit_kept(struct fitter *f, struct image_item *it)
{
    struct nuc_out out;
    enum motet_err err = MOTET_OK;

    if (it->ticket != 0) {
        if (it->ticket != f->ticket) {
            return MOTET_E_PROTOCOL;
        }
        it->ticket = f->new_ticket;
        err = nuc_item(f, it, &out);
    }
    f->ticket = 0;
    return err == MOTET_OK ? net_item(f, it) : err;
}

static enum motet_err fit_item(struct fitter *f, struct image_item *it)
{
    struct nuc_out out = {0};
    enum motet_err err = MOTET_OK;

    if (f->ticket != 0 && it->kind != IMAGE_KEPT) {
        return MOTET_E_PROTOCOL;
    }
    switch (it->kind) {
    case IMAGE_ACTOR:
    case IMAGE_TIMER:
        if (f->ports > 0 || f->a->self == NULL) {
            return MOTET_E_PROTOCOL;
        }
        return actors_fit(f->s, f->a->self, it);
    case IMAGE_PORT:
        return fit_port(f, it);
    case IMAGE_SFLOW:
    case IMAGE_RFLOW:
        return net_item(f, it);
    case IMAGE_KEPT:
        return fit_kept(f, it);
    case IMAGE_MEMBER:
    case IMAGE_HELD:
    case IMAGE_QUEUED:
    case IMAGE_CALL:
    case IMAGE_WATCH:
    case IMAGE_WATCHER:
    case IMAGE_PARCEL:
    case IMAGE_STALLED:
    case IMAGE_WAITING:
        break;
    case IMAGE_KIND_COUNT:
        return MOTET_E_PROTOCOL;
    }
    correct_place(f->s, it);
    if (it->kind == IMAGE_HELD && f->a->self != NULL &&
        it->holder.site == f->a->from) {
        it->holder.site = 0; /* it comes along */
    }
    f->a->queued += it->kind == IMAGE_QUEUED;
    err = nuc_item(f, it, &out);
    if (err == MOTET_OK && it->kind == IMAGE_PARCEL) {
        f->ticket = it->ticket;
        f->new_ticket = out.ticket;
    }
    return err;
}

/* Takes its data along; the machines take those on success. */
static enum motet_err fit_next(struct fitter *f)
{
    struct image_item it;
    const uint8_t *data;
    uint32_t size;

    if (!wire_decode_item(&f->r, &it, &data, &size)) {
        return MOTET_E_PROTOCOL;
    }
    if (size > 0) {
        struct buf *b = buf_copy(&f->s->mem, data, size);
        if (b == NULL) {
            return MOTET_E_NO_MEMORY;
        }
        if (it.kind == IMAGE_ACTOR) {
            it.data = b;
        } else {
            it.msg.data = b;
        }
    }
    const enum motet_err err = fit_item(f, &it);
    if (err != MOTET_OK || it.kind == IMAGE_ACTOR) {
        image_release(&it);
    }
    return err;
}

/* The first item of a whole actor makes it. */
static enum motet_err make_owner(struct fitter *f, const struct wire_content *c)
{
    bool adopts;

    if ((c->flags & WIRE_CONTENT_ACTOR) == 0) {
        return nucleus_actor(f->s->nucleus, c->actor, &f->owner, &adopts)
                   ? MOTET_OK
                   : MOTET_E_NO_ACTOR;
    }
    struct reader peek = f->r;
    struct image_item it;
    const uint8_t *data;
    uint32_t size;
    if (!wire_decode_item(&peek, &it, &data, &size) || it.kind != IMAGE_ACTOR) {
        return MOTET_E_PROTOCOL;
    }
    const enum motet_err err =
        actors_embryo(f->s, it.text, it.name, &f->a->self);
    if (err == MOTET_OK) {
        f->owner = f->a->self->ui;
    }
    return err;
}

static enum motet_err fit(struct fitter *f, const struct wire_content *c)
{
    enum motet_err err = make_owner(f, c);

    while (err == MOTET_OK && reader_left(&f->r) > 0) {
        err = fit_next(f);
        site_settle(f->s);
    }
    if (err == MOTET_OK && (f->ports != f->a->count || f->ticket != 0)) {
        err = MOTET_E_PROTOCOL;
    }
    for (uint32_t i = 0; err == MOTET_OK && i < f->ports; i++) {
        if (!nucleus_image_whole(f->s->nucleus, f->a->ports[i].ui)) {
            err = MOTET_E_PROTOCOL;
        }
    }
    return err;
}

static bool read_head(struct site *s, struct arrival *a, struct reader *r,
                      struct wire_content *c)
{
    const size_t port_bytes = 24;

    if (!wire_decode_content(r, c) ||
        c->count > migration_limits_default().ports_max ||
        c->count > reader_left(r) / port_bytes) {
        return false;
    }
    a->ports = mem_alloc(&s->own, c->count * sizeof *a->ports);
    CHECK(c->count == 0 || a->ports != NULL);
    a->count = c->count;
    for (uint32_t i = 0; i < c->count; i++) {
        a->ports[i] = wire_decode_port(r);
    }
    return reader_ok(r);
}

/* The ports were told of deaths: so are those who live here, first of all. */
static enum motet_err read_deaths(struct site *s, struct reader *r)
{
    const uint32_t count = read_u32(r);
    bool told = true;

    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        struct tomb tomb;
        tomb.site = read_u64(r);
        tomb.incarnation = read_u32(r);
        if (reader_ok(r) && tomb.site != 0 && tomb.incarnation != 0) {
            told = deaths_told(s, &tomb) && told;
        }
    }
    if (!reader_ok(r)) {
        return MOTET_E_PROTOCOL;
    }
    return told ? MOTET_OK : MOTET_E_AGAIN;
}

/* What has been installed is named by what has been frozen. */
static void undo(struct site *s, struct arrival *a, uint32_t count,
                 uint64_t site, uint32_t incarnation)
{
    for (uint32_t i = 0; i < count; i++) {
        struct nuc_out out;
        struct nuc_in in = {.kind = NUC_PORT_DISCARD,
                            .now_ns = s->now_ns,
                            .port = a->ports[i].ui};
        site_net(s, &(struct net_in){.kind = NET_IN_AWAY,
                                     .dst = a->ports[i].ui,
                                     .site = site,
                                     .incarnation = incarnation,
                                     .epoch = a->ports[i].epoch + 1});
        site_settle(s);
        const enum motet_err err = nucleus_step(s->nucleus, &in, &out);
        (void)err; /* STATE: it was never begun */
        site_settle(s);
    }
    if (a->self != NULL) {
        actors_moved(s, a->self);
        a->self = NULL;
    }
}

void arrival_discard(struct site *s, struct arrival *a, uint64_t site,
                     uint32_t incarnation)
{
    if (a->installed) {
        undo(s, a, a->count, site, incarnation);
    }
}

static void install(struct site *s, struct arrival *a)
{
    struct fitter f = {.s = s, .a = a, .r = reader_of(a->bytes, a->size)};
    struct wire_content c;
    enum motet_err err = MOTET_E_PROTOCOL;

    if (read_head(s, a, &f.r, &c)) {
        const enum mig_ask ask = migration_asks(s->migration, a->from,
                                                &a->frame, a->ports, a->count);
        if (ask == MIG_IGNORE) {
            arrival_free(s, a);
            return;
        }
        err = ask == MIG_INSTALL ? read_deaths(s, &f.r) : MOTET_E_STALE;
        err = err == MOTET_OK ? fit(&f, &c) : err;
    }
    drop_bytes(s, a);
    if (err == MOTET_OK) {
        a->installed = true;
        err = site_migrate(s, &(struct mig_in){.kind = MIG_IN_PREPARE,
                                               .site = a->from,
                                               .frame = &a->frame,
                                               .ports = a->ports,
                                               .count = a->count});
    } else {
        refuse(s, a, &a->frame, err);
    }
    if (err != MOTET_OK) {
        undo(s, a, f.ports, a->from, a->frame.from_incarnation);
        arrival_free(s, a);
    }
}

void arrivals_run(struct site *s)
{
    list_foreach (it, &s->arrivals) {
        struct arrival *a = LIST_ENTRY(it, struct arrival, link);
        if (a->installed) {
            continue;
        }
        if (a->whole) {
            install(s, a);
            site_settle(s);
        } else if (s->now_ns >= a->give_up_ns) {
            arrival_free(s, a);
        }
    }
}

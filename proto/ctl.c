#include "arena.h"
#include "nucleus/base/ui.h"
#include "proto/motet.pb-c.h"

/* ---- Writing ---------------------------------------------------------------
 */

static void pack_ctl(const Motet__Ctl *m, struct writer *w)
{
    if (protobuf_c_message_get_packed_size(&m->base) > NET_CTL_BYTES_MAX) {
        w->failed = true;
        return;
    }
    pb_pack(&m->base, w);
}

static void put_update(const struct member_update *u, Motet__MemberUpdate *m)
{
    motet__member_update__init(m);
    PB_PUT(m, site, u->site);
    PB_PUT(m, incarnation, u->incarnation);
    PB_PUT(m, refutes, u->refutes);
    PB_PUT(m, state, u->state);
    pb_put_text(u->name, &m->has_name, &m->name);
    pb_put_text(u->address, &m->has_address, &m->address);
}

void wire_encode_member(const struct member_msg *msg, struct writer *w)
{
    Motet__MemberUpdate updates[MEMBER_UPDATES_MAX];
    Motet__MemberUpdate *list[MEMBER_UPDATES_MAX];
    Motet__Member m = MOTET__MEMBER__INIT;
    Motet__Ctl ctl = MOTET__CTL__INIT;

    CHECK(msg->update_count <= MEMBER_UPDATES_MAX);
    for (uint32_t i = 0; i < msg->update_count; i++) {
        put_update(&msg->updates[i], &updates[i]);
        list[i] = &updates[i];
    }
    PB_PUT(&m, kind, msg->kind);
    PB_PUT(&m, seq, msg->seq);
    PB_PUT(&m, target, msg->target);
    PB_PUT(&m, want, msg->want);
    m.n_updates = msg->update_count;
    m.updates = list;
    ctl.member = &m;
    pack_ctl(&ctl, w);
}

static void put_record(const struct record *r, Motet__Record *m)
{
    motet__record__init(m);
    PB_PUT(m, kind, r->kind);
    PB_PUT(m, present, r->present);
    PB_PUT(m, version, r->version);
    PB_PUT(m, subject_hi, r->subject.hi);
    PB_PUT(m, subject_lo, r->subject.lo);
    PB_PUT(m, group_hi, r->group.hi);
    PB_PUT(m, group_lo, r->group.lo);
    PB_PUT(m, epoch, r->epoch);
    PB_PUT(m, site, r->site);
    PB_PUT(m, incarnation, r->incarnation);
    pb_put_text(r->name, &m->has_name, &m->name);
}

static void put_digest(const struct dir_digest *d, Motet__Digest *m)
{
    motet__digest__init(m);
    PB_PUT(m, author, d->author);
    PB_PUT(m, incarnation, d->incarnation);
    PB_PUT(m, version, d->version);
}

static void encode_delta(const struct dir_msg *msg, Motet__Ctl *ctl,
                         struct writer *w)
{
    Motet__Record records[DIR_RECORDS_MAX];
    Motet__Record *list[DIR_RECORDS_MAX];
    Motet__Dir *m = ctl->dir;

    CHECK(msg->record_count <= DIR_RECORDS_MAX);
    for (uint32_t i = 0; i < msg->record_count; i++) {
        put_record(&msg->records[i], &records[i]);
        list[i] = &records[i];
    }
    PB_PUT(m, author, msg->author);
    PB_PUT(m, incarnation, msg->incarnation);
    PB_PUT(m, after, msg->after);
    PB_PUT(m, upto, msg->upto);
    PB_PUT(m, full, msg->full);
    PB_PUT(m, first, msg->first);
    m->n_records = msg->record_count;
    m->records = list;
    pack_ctl(ctl, w);
}

static void encode_digest(const struct dir_msg *msg, Motet__Ctl *ctl,
                          struct writer *w)
{
    Motet__Digest digest[DIR_DIGEST_MAX];
    Motet__Digest *list[DIR_DIGEST_MAX];
    Motet__Dir *m = ctl->dir;

    CHECK(msg->digest_count <= DIR_DIGEST_MAX);
    for (uint32_t i = 0; i < msg->digest_count; i++) {
        put_digest(&msg->digest[i], &digest[i]);
        list[i] = &digest[i];
    }
    PB_PUT(m, want, msg->want);
    m->n_digest = msg->digest_count;
    m->digest = list;
    pack_ctl(ctl, w);
}

static void encode_sync(const struct dir_msg *msg, Motet__Ctl *ctl,
                        struct writer *w)
{
    Motet__Dir *m = ctl->dir;

    PB_PUT(m, author, msg->author);
    PB_PUT(m, incarnation, msg->incarnation);
    PB_PUT(m, full, msg->full);
    PB_PUT(m, upto, msg->upto);
    PB_PUT(m, token, msg->token);
    pack_ctl(ctl, w);
}

void wire_encode_dir(const struct dir_msg *msg, struct writer *w)
{
    Motet__Dir m = MOTET__DIR__INIT;
    Motet__Ctl ctl = MOTET__CTL__INIT;

    ctl.dir = &m;
    PB_PUT(&m, kind, msg->kind);
    if (msg->kind == DIR_DELTA) {
        encode_delta(msg, &ctl, w);
    } else if (msg->kind == DIR_SYNC || msg->kind == DIR_SYNCED) {
        encode_sync(msg, &ctl, w);
    } else {
        encode_digest(msg, &ctl, w);
    }
}

/* ---- Reading ---------------------------------------------------------------
 */

/* Who tells of a death may never have learnt the name. */
static bool name_ok(const struct member_update *u)
{
    if (u->name[0] == '\0') {
        return u->state == MEMBER_DEAD || u->state == MEMBER_LEFT;
    }
    return ui_name_ok(u->name);
}

static bool get_update(const Motet__MemberUpdate *m, struct member_update *u)
{
    if (m->site == 0 || m->state < MEMBER_ALIVE || m->state > MEMBER_LEFT) {
        return false;
    }
    u->site = m->site;
    u->incarnation = m->incarnation;
    u->refutes = m->refutes;
    u->state = (enum member_state)m->state;
    return pb_take_text(&m->name, u->name, sizeof u->name) && name_ok(u) &&
           pb_take_address(&m->address, u->address, sizeof u->address);
}

static bool get_member(const Motet__Member *m, struct member_msg *msg)
{
    if (m->kind < MEMBER_PING || m->kind > MEMBER_SYNC ||
        m->n_updates > MEMBER_UPDATES_MAX) {
        return false;
    }
    *msg = (struct member_msg){
        .kind = (enum member_msg_kind)m->kind,
        .seq = m->seq,
        .target = m->target,
        .want = m->want != 0,
        .update_count = (uint32_t)m->n_updates,
    };
    for (size_t i = 0; i < m->n_updates; i++) {
        if (!get_update(m->updates[i], &msg->updates[i])) {
            return false;
        }
    }
    return true;
}

/* The name of a static group makes its UI: nobody can put a member under a name
 * that is not that of the group. A withdrawn record needs no name. */
static bool group_ok(const struct record *r)
{
    if (r->name[0] != '\0' && !ui_name_ok(r->name)) {
        return false;
    }
    if (r->kind == RECORD_OWNER) {
        return r->name[0] == '\0' && (r->group.hi | r->group.lo) == 0 &&
               (r->site != 0) == (r->incarnation != 0);
    }
    if (r->site != 0 || r->incarnation != 0) {
        return false;
    }
    if (ui_kind(r->group) != UI_STATIC_GROUP) {
        return ui_kind(r->group) == UI_GROUP;
    }
    if (r->name[0] == '\0') {
        return !r->present;
    }
    return ui_equal(r->group, ui_of_name(r->name));
}

static bool subject_ok(const struct record *r)
{
    return ui_kind(r->subject) == UI_PORT ||
           (r->kind == RECORD_MEMBER && ui_kind(r->subject) == UI_CONTROL);
}

static bool get_record(const Motet__Record *m, struct record *r)
{
    if (m->kind < RECORD_MEMBER || m->kind > RECORD_OWNER || m->version == 0) {
        return false;
    }
    *r = (struct record){
        .kind = (enum record_kind)m->kind,
        .present = m->present != 0,
        .version = m->version,
        .subject = {m->subject_hi, m->subject_lo},
        .group = {m->group_hi, m->group_lo},
        .epoch = m->epoch,
        .site = m->site,
        .incarnation = m->incarnation,
    };
    return pb_take_text(&m->name, r->name, sizeof r->name) && subject_ok(r) &&
           group_ok(r);
}

static bool get_delta(const Motet__Dir *m, struct wire_arena *a)
{
    if (m->author == 0 || m->after > m->upto || m->want || m->n_digest != 0 ||
        m->n_records > DIR_RECORDS_MAX) {
        return false;
    }
    for (size_t i = 0; i < m->n_records; i++) {
        if (!get_record(m->records[i], &a->records[i])) {
            return false;
        }
    }
    a->dir = (struct dir_msg){
        .kind = DIR_DELTA,
        .author = m->author,
        .incarnation = m->incarnation,
        .after = m->after,
        .upto = m->upto,
        .full = m->full != 0,
        .first = m->first != 0,
        .record_count = (uint32_t)m->n_records,
        .records = a->records,
    };
    return true;
}

static bool get_digest(const Motet__Dir *m, struct wire_arena *a)
{
    if (m->n_records != 0 || m->n_digest > DIR_DIGEST_MAX) {
        return false;
    }
    for (size_t i = 0; i < m->n_digest; i++) {
        const Motet__Digest *d = m->digest[i]; /* author 0: the begin of all */
        a->digest[i] = (struct dir_digest){
            .author = d->author,
            .incarnation = d->incarnation,
            .version = d->version,
        };
    }
    a->dir = (struct dir_msg){
        .kind = DIR_DIGEST,
        .want = m->want != 0,
        .digest_count = (uint32_t)m->n_digest,
        .digest = a->digest,
    };
    return true;
}

static bool get_sync(const Motet__Dir *m, struct wire_arena *a)
{
    if (m->n_records != 0 || m->n_digest != 0 || m->token == 0 ||
        (m->kind == DIR_SYNC && (m->author == 0 || m->incarnation == 0))) {
        return false;
    }
    a->dir = (struct dir_msg){
        .kind = (enum dir_msg_kind)m->kind,
        .author = m->author,
        .incarnation = m->incarnation,
        .full = m->full != 0,
        .upto = m->upto,
        .token = m->token,
    };
    return true;
}

static bool get_dir(const Motet__Dir *m, struct wire_arena *a)
{
    if (m->kind == DIR_SYNC || m->kind == DIR_SYNCED) {
        return get_sync(m, a);
    }

    if (m->kind == DIR_DELTA) {
        return get_delta(m, a);
    }
    return m->kind == DIR_DIGEST && get_digest(m, a);
}

bool wire_decode_ctl(struct wire_arena *a, const uint8_t *data, size_t size,
                     struct wire_ctl *c)
{
    if (size > NET_CTL_BYTES_MAX) {
        return false;
    }
    const Motet__Ctl *m = (const Motet__Ctl *)arena_unpack(
        a, &motet__ctl__descriptor, data, size);
    if (m == NULL || (m->member == NULL) == (m->dir == NULL)) {
        return false;
    }
    *c = (struct wire_ctl){.kind = WIRE_CTL_DIR, .dir = &a->dir};
    if (m->dir != NULL) {
        return get_dir(m->dir, a);
    }
    *c = (struct wire_ctl){.kind = WIRE_CTL_MEMBER, .member = &a->member};
    return get_member(m->member, &a->member);
}

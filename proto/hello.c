#include "hello.h"

#include "arena.h"
#include "proto/motet.pb-c.h"

static uint32_t packed_size(const ProtobufCMessage *msg)
{
    const size_t size = protobuf_c_message_get_packed_size(msg);
    CHECK(size <= WIRE_HELLO_MAX - WIRE_PREFIX_BYTES);
    return (uint32_t)size;
}

/* ---- HELLO -----------------------------------------------------------------
 */

static Motet__Hello hello_pb(const struct net_hello *h)
{
    Motet__Hello m = MOTET__HELLO__INIT;

    PB_PUT(&m, version_min, h->version_min);
    PB_PUT(&m, version_max, h->version_max);
    PB_PUT(&m, site, h->site);
    PB_PUT(&m, incarnation, h->incarnation);
    PB_PUT(&m, to_site, h->to_site);
    PB_PUT(&m, to_incarnation, h->to_incarnation);
    PB_PUT(&m, lane, h->lane);
    PB_PUT(&m, answer, h->answer);
    PB_PUT(&m, insecure, h->insecure);
    PB_PUT(&m, view_sites, h->view_sites);
    PB_PUT(&m, view_lowest, h->view_lowest);
    PB_PUT(&m, body_bytes_max, h->body_bytes_max);
    PB_PUT(&m, features, h->features);
    PB_PUT(&m, token, h->token);
    pb_put_text(h->name, &m.has_name, &m.name);
    pb_put_text(h->cluster, &m.has_cluster, &m.cluster);
    pb_put_text(h->address, &m.has_address, &m.address);
    return m;
}

uint32_t hello_size(const struct net_frame *f)
{
    const Motet__Hello m = hello_pb(f->u.hello);
    return packed_size(&m.base);
}

void hello_put(const struct net_frame *f, struct writer *w)
{
    const Motet__Hello m = hello_pb(f->u.hello);
    pb_pack(&m.base, w);
}

static bool hello_ok(const Motet__Hello *m)
{
    return m->version_min != 0 && m->version_min <= m->version_max &&
           m->version_max <= UINT16_MAX && m->site != 0 &&
           m->incarnation != 0 && m->lane < NET_LANES_DIALED;
}

bool hello_get(struct frame_in *in, struct net_frame *f)
{
    const size_t size = reader_left(&in->r);
    const Motet__Hello *m = (const Motet__Hello *)arena_unpack(
        in->arena, &motet__hello__descriptor, read_span(&in->r, size), size);
    if (m == NULL || !hello_ok(m)) {
        return false;
    }
    struct net_hello *h = &in->arena->hello;
    *h = (struct net_hello){
        .version_min = (uint16_t)m->version_min,
        .version_max = (uint16_t)m->version_max,
        .site = m->site,
        .incarnation = m->incarnation,
        .to_site = m->to_site,
        .to_incarnation = m->to_incarnation,
        .lane = (enum net_lane)m->lane,
        .answer = m->answer != 0,
        .insecure = m->insecure != 0,
        .view_sites = m->view_sites,
        .view_lowest = m->view_lowest,
        .body_bytes_max = m->body_bytes_max,
        .features = m->features,
        .token = m->token,
    };
    f->u.hello = h;
    return pb_take_name(&m->name, h->name, sizeof h->name) &&
           pb_take_name(&m->cluster, h->cluster, sizeof h->cluster) &&
           pb_take_address(&m->address, h->address, sizeof h->address);
}

/* ---- REFUSE ----------------------------------------------------------------
 */

static Motet__Refuse refuse_pb(const struct net_refuse *r)
{
    Motet__Refuse m = MOTET__REFUSE__INIT;

    PB_PUT(&m, err, r->err);
    PB_PUT(&m, incarnation, r->incarnation);
    PB_PUT(&m, site, r->site);
    pb_put_text(r->detail, &m.has_detail, &m.detail);
    return m;
}

uint32_t refuse_size(const struct net_frame *f)
{
    const Motet__Refuse m = refuse_pb(f->u.refuse);
    return packed_size(&m.base);
}

void refuse_put(const struct net_frame *f, struct writer *w)
{
    const Motet__Refuse m = refuse_pb(f->u.refuse);
    pb_pack(&m.base, w);
}

bool refuse_get(struct frame_in *in, struct net_frame *f)
{
    const size_t size = reader_left(&in->r);
    const Motet__Refuse *m = (const Motet__Refuse *)arena_unpack(
        in->arena, &motet__refuse__descriptor, read_span(&in->r, size), size);
    if (m == NULL || m->err == MOTET_OK || m->err >= MOTET_E_COUNT) {
        return false;
    }
    struct net_refuse *r = &in->arena->refuse;
    r->err = (enum motet_err)m->err;
    r->incarnation = m->incarnation;
    r->site = m->site;
    f->u.refuse = r;
    return pb_take_text(&m->detail, r->detail, sizeof r->detail);
}

#include "proto/wire.h"
#include "wire_samples.h"

TestSuite(wire, .init = setup, .fini = teardown, .timeout = 60);

/* ---- What is taken ---------------------------------------------------------
 */

static void same_hello(const struct net_hello *a, const struct net_hello *b)
{
    cr_expect_eq(a->version_min, b->version_min);
    cr_expect_eq(a->version_max, b->version_max);
    cr_expect_eq(a->site, b->site);
    cr_expect_eq(a->incarnation, b->incarnation);
    cr_expect_eq(a->to_site, b->to_site);
    cr_expect_eq(a->to_incarnation, b->to_incarnation);
    cr_expect_eq(a->lane, b->lane);
    cr_expect_eq(a->answer, b->answer);
    cr_expect_eq(a->insecure, b->insecure);
    cr_expect_eq(a->view_sites, b->view_sites);
    cr_expect_eq(a->view_lowest, b->view_lowest);
    cr_expect_eq(a->body_bytes_max, b->body_bytes_max);
    cr_expect_eq(a->features, b->features);
    cr_expect_eq(a->token, b->token);
    cr_expect_arr_eq(a->name, b->name, sizeof a->name);
    cr_expect_arr_eq(a->cluster, b->cluster, sizeof a->cluster);
    cr_expect_arr_eq(a->address, b->address, sizeof a->address);
}

static void same_ui(struct motet_ui a, struct motet_ui b)
{
    cr_expect(ui_equal(a, b));
}

static void same_bind(const struct net_bind *a, const struct net_bind *b)
{
    cr_expect_eq(a->handle, b->handle);
    cr_expect_eq(a->returning, b->returning);
    cr_expect_eq(a->resume, b->resume);
    same_ui(a->src, b->src);
    same_ui(a->dst, b->dst);
    cr_expect_eq(a->pi.uid, b->pi.uid);
    cr_expect_eq(a->pi.gid, b->pi.gid);
    cr_expect_eq(a->pi.domain, b->pi.domain);
    cr_expect_eq(a->epoch, b->epoch);
    cr_expect_eq(a->base, b->base);
    cr_expect_eq(a->src_epoch, b->src_epoch);
    cr_expect_eq(a->origin_site, b->origin_site);
    cr_expect_eq(a->origin_epoch, b->origin_epoch);
}

static void same_bytes(const uint8_t *a, const uint8_t *b, uint32_t size)
{
    if (size != 0) {
        cr_expect_arr_eq(a, b, size);
    }
}

static void same_data(const struct net_data *a, const struct net_data *b)
{
    cr_expect_eq(a->handle, b->handle);
    cr_expect_eq(a->round, b->round);
    cr_expect_eq(a->flags, b->flags);
    cr_expect_eq(a->seq, b->seq);
    cr_expect_eq(a->total, b->total);
    cr_expect_eq(a->offset, b->offset);
    cr_expect_eq(a->size, b->size);
    cr_expect_eq(a->msg.kind, b->msg.kind);
    cr_expect_eq(a->msg.annex_bytes, b->msg.annex_bytes);
    cr_expect_eq(a->msg.status, b->msg.status);
    cr_expect_eq(a->msg.remaining_ms, b->msg.remaining_ms);
    cr_expect_eq(a->msg.call, b->msg.call);
    same_ui(a->msg.reply_to, b->msg.reply_to);
    same_ui(a->msg.target, b->msg.target);
    same_bytes(a->bytes, b->bytes, a->size);
    cr_expect_eq(b->msg.pi.uid | b->msg.pi.gid | b->msg.pi.domain, 0);
    cr_expect_null(b->msg.data);
    cr_expect_null(b->hold);
}

static void same_ack(const struct net_ack *a, const struct net_ack *b)
{
    cr_expect_eq(a->handle, b->handle);
    cr_expect_eq(a->round, b->round);
    cr_expect_eq(a->flags, b->flags);
    cr_expect_eq(a->status, b->status);
    cr_expect_eq(a->next, b->next);
    cr_expect_eq(a->credit_msgs, b->credit_msgs);
    cr_expect_eq(a->credit_bytes, b->credit_bytes);
}

static void same_moved(const struct net_moved *a, const struct net_moved *b)
{
    cr_expect_eq(a->handle, b->handle);
    cr_expect_eq(a->site, b->site);
    cr_expect_eq(a->incarnation, b->incarnation);
    cr_expect_eq(a->epoch, b->epoch);
    cr_expect_eq(a->next, b->next);
}

static void same_frame(const struct net_frame *a, const struct net_frame *b)
{
    cr_assert_eq(a->kind, b->kind);
    switch (a->kind) {
    case NET_HELLO:
        same_hello(a->u.hello, b->u.hello);
        break;
    case NET_REFUSE:
        cr_expect_eq(a->u.refuse->err, b->u.refuse->err);
        cr_expect_eq(a->u.refuse->incarnation, b->u.refuse->incarnation);
        cr_expect_arr_eq(a->u.refuse->detail, b->u.refuse->detail,
                         sizeof a->u.refuse->detail);
        break;
    case NET_BIND:
        same_bind(&a->u.bind, &b->u.bind);
        break;
    case NET_UNBOUND:
        cr_expect_eq(a->u.unbound, b->u.unbound);
        break;
    case NET_DATA:
        same_data(&a->u.data, &b->u.data);
        break;
    case NET_ACK:
        same_ack(&a->u.ack, &b->u.ack);
        break;
    case NET_MOVED:
        same_moved(&a->u.moved, &b->u.moved);
        break;
    case NET_CTL:
        cr_expect_eq(a->u.ctl.size, b->u.ctl.size);
        same_bytes(a->u.ctl.bytes, b->u.ctl.bytes, a->u.ctl.size);
        break;
    case NET_PING:
    case NET_PONG:
        cr_expect_eq(a->u.ping, b->u.ping);
        break;
    case NET_BYE:
    case NET_FRAME_COUNT:
        break;
    }
}

Test(wire, round_trips)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct net_frame f;
        const size_t size = encode(&samples[i].f);
        cr_expect_eq(size, wire_size(&samples[i].f), "%s", samples[i].name);
        cr_assert_eq(decode(wire, size, true, &f), WIRE_FRAME, "%s",
                     samples[i].name);
        same_frame(&samples[i].f, &f);
    }
}

Test(wire, one_frame_after_the_other)
{
    uint8_t two[64];
    struct writer w = writer_of(two, sizeof two);
    struct net_frame f;
    size_t used = 0;

    wire_encode(sample("least ack"), &w);
    wire_encode(sample("ping"), &w);
    cr_assert(writer_ok(&w));
    cr_assert_eq(wire_decode(arena, two, w.at, true, &f, &used), WIRE_FRAME);
    cr_expect_eq(f.kind, NET_ACK);
    cr_expect_eq(used, 36);
    cr_assert_eq(wire_decode(arena, two + used, w.at - used, true, &f, &used),
                 WIRE_FRAME);
    cr_expect_eq(f.kind, NET_PING);
    cr_expect_eq(used, 16);
}

/* Whatever the machine left in a VOID: nothing of it travels. */
Test(wire, a_void_is_empty)
{
    struct net_frame f = *sample("last fragment");
    struct net_frame g;

    f.u.data.flags = NET_DATA_VOID;
    cr_expect_eq(wire_size(&f), 32);
    cr_assert_eq(decode(wire, encode(&f), true, &g), WIRE_FRAME);
    cr_expect_eq(g.u.data.handle, 7);
    cr_expect_eq(g.u.data.seq, 3);
    cr_expect_eq(g.u.data.total, 0);
    cr_expect_eq(g.u.data.size, 0);
    cr_expect_eq(g.u.data.msg.call, 0);
}

/* The layout that wire.h promises, byte by byte: it is the protocol. */
Test(wire, the_layout_of_data)
{
    const struct net_frame f = {
        .kind = NET_DATA,
        .u.data = {.handle = 0x04030201,
                   .round = 0x0605,
                   .flags = NET_DATA_MORE,
                   .seq = 0x100f0e0d0c0b0a09,
                   .total = 0x14131211,
                   .offset = 0x18171615,
                   .size = 1,
                   .msg = {.kind = MSG_REPLY,
                           .annex_bytes = 7,
                           .call = 0x201f1e1d1c1b1a19,
                           .reply_to = {0x2827262524232221, 0x302f2e2d2c2b2a29},
                           .target = {0x3837363534333231, 0x403f3e3d3c3b3a39},
                           .remaining_ms = 0x44434241,
                           .status = 5},
                   .bytes = bytes}};
    cr_assert_eq(encode(&f), 81);
    const uint8_t prefix[8] = {NET_DATA, 0x81, 0, 0, 73, 0, 0, 0};
    cr_expect_arr_eq(wire, prefix, sizeof prefix);
    for (uint8_t i = 1; i <= 0x44; i++) {
        const uint8_t want = i == 8 ? MSG_REPLY : i;
        cr_expect_eq(wire[7 + i], want, "byte %d", 7 + i);
    }
    const uint8_t end[5] = {5, 0, 0, 0, bytes[0]};
    cr_expect_arr_eq(wire + 76, end, sizeof end);
}

/* ---- Damage ----------------------------------------------------------------
 */

/* Every byte of small frames; of large ones the headers and some of the rest.
 */
static size_t next_place(size_t at)
{
    return at < 1100 ? at + 1 : at + 97;
}

Test(wire, a_part_is_never_a_frame)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const size_t size = encode(&samples[i].f);
        for (size_t n = 0; n < size; n = next_place(n)) {
            struct net_frame f;
            cr_assert_eq(decode(wire, n, true, &f), WIRE_MORE, "%s at %zu",
                         samples[i].name, n);
        }
    }
}

/* What is taken in spite of the damage is a frame: it has an encoding, which is
 * taken again. */
static void damage(const char *name, size_t size, size_t at)
{
    static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff};
    static uint8_t again[WIRE_FRAME_MAX];
    const uint8_t was = wire[at];

    for (size_t i = 0; i < ARRAY_LEN(values) + 8; i++) {
        struct net_frame f;
        wire[at] = i < 8 ? (uint8_t)(was ^ (1U << i)) : values[i - 8];
        if (decode(wire, size, true, &f) == WIRE_FRAME) {
            struct writer w = writer_of(again, sizeof again);
            wire_encode(&f, &w);
            cr_assert(writer_ok(&w), "%s at %zu", name, at);
            cr_assert_eq(decode(again, w.at, true, &f), WIRE_FRAME, "%s at %zu",
                         name, at);
        }
        wire[at] = was;
    }
}

Test(wire, damage_is_harmless)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const size_t size = encode(&samples[i].f);
        for (size_t at = 0; at < size; at = next_place(at)) {
            damage(samples[i].name, size, at);
        }
    }
}

Test(wire, a_writer_without_room_fails)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const size_t size = wire_size(&samples[i].f);
        for (size_t n = 0; n < size; n = next_place(n)) {
            uint8_t *room = malloc(n == 0 ? 1 : n);
            cr_assert_not_null(room);
            struct writer w = writer_of(room, n);
            wire_encode(&samples[i].f, &w);
            cr_assert_not(writer_ok(&w), "%s", samples[i].name);
            free(room);
        }
    }
}

#include "proto/motet.pb-c.h"
#include "proto/wire.h"
#include "wire_samples.h"

/* Each frame is encoded, and what is wrong with it is then written over the
 * bytes: so a refusal is for the reason given and no other. */

TestSuite(wire_refusals, .init = setup, .fini = teardown, .timeout = 60);

static const struct refusal {
    const char *why;
    const char *sample;
    size_t at;
    uint8_t byte;
} refusals[] = {
    {"no kind", "ping", 0, 0},
    {"a kind past the last", "ping", 0, NET_FRAME_COUNT},
    {"any other kind", "ping", 0, 255},
    {"byte a", "ping", 2, 1},
    {"byte b", "ping", 3, 1},
    {"a flag of PING", "ping", 1, 1},
    {"a flag of HELLO", "least hello", 1, 1},
    {"a flag of CTL", "most ctl", 1, 1},
    {"an unknown flag of BIND", "most bind", 1, 4},
    {"an unknown flag of DATA", "send", 1, NET_DATA_ASK | 8},
    {"an unknown flag of ACK", "most ack", 1, 8},
    {"a PING too short", "ping", 4, 7},
    {"a PING too long", "ping", 4, 9},
    {"a BYE that says more", "bye", 4, 1},
    {"a CTL past the limit", "most ctl", 4, 1},
    {"DATA shorter than its header", "empty send", 4, 23},
    {"DATA shorter than its extension", "send", 1, 0x80 | NET_DATA_ASK},
    {"DATA without its extension", "empty send", 1, 0x80},
    {"a PONG of 16 MiB", "pong", 7, 1},
    {"an annex past the limit", "send", 14, MOTET_ANNEX_MAX + 1},
    {"an annex larger than all", "empty send", 14, 1},
    {"a message of no kind", "send", 15, 0},
    {"a message of no kind, extended", "last fragment", 15, 0},
    {"a message kind past the last", "last fragment", 15, MSG_KIND_COUNT},
    {"a message kind of 255", "last fragment", 15, 255},
    {"a request without extension", "send", 15, MSG_REQUEST},
    {"a status past the last", "last fragment", 76, MOTET_E_COUNT},
    {"a status with a high byte", "last fragment", 77, 1},
    {"bytes that are zero", "last fragment", 78, 1},
    {"bytes that are zero, too", "last fragment", 79, 1},
    {"news of nothing", "news", 76, 0},
    {"news past the last", "news", 76, MOTET_NEWS_LEFT_GROUP + 1},
    {"a fragment that passes the end", "send", 24, 123},
    {"a fragment that ends early, without MORE", "send", 24, 125},
    {"a fragment beyond the end", "send", 28, 1},
    {"MORE after the end", "send", 1, NET_DATA_MORE},
    {"offset and size that pass 32 bits", "last fragment", 29, 255},
    {"an empty fragment of more", "empty send", 24, 1},
    {"a void that has more", "void", 1, NET_DATA_VOID | NET_DATA_MORE},
    {"a void with an annex", "void", 14, 1},
    {"a void with a kind", "void", 15, MSG_SEND},
    {"a void with a total", "void", 24, 1},
    {"a void with an offset", "void", 28, 1},
    {"a void with bytes", "send", 1, NET_DATA_VOID},
    {"a void with an extension", "news", 1, 0x80 | NET_DATA_VOID},
    {"number 0", "empty send", 16, 0},
    {"a source of no kind", "least bind", 12 + 11, 0},
    {"a source that is a group", "least bind", 12 + 11, UI_GROUP << 4},
    {"a destination of no kind", "least bind", 28 + 11, 0},
    {"a destination of unknown kind", "least bind", 28 + 11, 0xf0},
    {"a destination that is a group", "least bind", 28 + 11,
     UI_STATIC_GROUP << 4},
    {"an ACK of unknown status", "least ack", 14, MOTET_E_COUNT},
    {"an ACK of large status", "least ack", 15, 255},
    {"a HELLO that is no protobuf", "least hello", 8, 0xff},
};

Test(wire_refusals, refuses)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];
        struct net_frame f;
        const size_t size = encode(sample(r->sample));
        cr_assert_eq(decode(wire, size, true, &f), WIRE_FRAME);
        cr_assert_neq(wire[r->at], r->byte, "%s: no change", r->why);
        wire[r->at] = r->byte;
        cr_expect_eq(decode(wire, size, true, &f), WIRE_BAD, "%s", r->why);
    }
}

Test(wire_refusals, refuses_a_moved_to_nowhere)
{
    struct net_frame f = *sample("moved");
    struct net_frame g;
    f.u.moved.site = 0;
    cr_expect_eq(decode(wire, encode(&f), true, &g), WIRE_BAD);
}

Test(wire_refusals, a_fragment_of_one_byte_too_many)
{
    struct net_frame f;
    (void)encode(sample("last fragment"));
    const uint8_t past[4] = {0x49, 0x40}; /* 24 + 48 + 16384 + 1 */
    memcpy(wire + 4, past, sizeof past);
    cr_expect_eq(decode(wire, sizeof wire, true, &f), WIRE_BAD);

    /* Without the extension the frame would fit, the fragment does not. */
    (void)encode(sample("first fragment"));
    const uint8_t plain[4] = {0x19, 0x40}; /* 24 + 16384 + 1 */
    memcpy(wire + 4, plain, sizeof plain);
    cr_expect_eq(decode(wire, sizeof wire, true, &f), WIRE_BAD);
}

Test(wire_refusals, strangers_say_hello_or_refuse)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const struct net_frame *f = &samples[i].f;
        const bool taken = f->kind == NET_HELLO || f->kind == NET_REFUSE;
        struct net_frame g;
        cr_expect_eq(decode(wire, encode(f), false, &g),
                     taken ? WIRE_FRAME : WIRE_BAD, "%s", samples[i].name);
    }
}

/* An unknown field of protobuf fills a HELLO up to a size. */
static size_t hello_of_size(size_t size)
{
    const size_t at = encode(sample("least hello"));
    const size_t fill = size - at - 4; /* a tag and a length of two each */
    const uint8_t head[4] = {0xfa, 0x3f, (uint8_t)(fill | 0x80),
                             (uint8_t)(fill >> 7)};

    memset(wire + at, 'x', size - at);
    memcpy(wire + at, head, sizeof head);
    wire[4] = (uint8_t)(size - WIRE_PREFIX_BYTES);
    wire[5] = (uint8_t)((size - WIRE_PREFIX_BYTES) >> 8);
    return size;
}

Test(wire_refusals, a_hello_has_a_limit)
{
    struct net_frame f;
    for (int known = 0; known <= 1; known++) {
        const size_t most = hello_of_size(WIRE_HELLO_MAX);
        cr_expect_eq(decode(wire, most, known, &f), WIRE_FRAME);
        const size_t past = hello_of_size(WIRE_HELLO_MAX + 1);
        cr_expect_eq(decode(wire, past, known, &f), WIRE_BAD);
        cr_expect_eq(decode(wire, 8, known, &f), WIRE_BAD, "seen at once");
    }
}

Test(wire_refusals, a_size_out_of_range_is_seen_at_once)
{
    struct net_frame f;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const enum net_frame_kind kind = samples[i].f.kind;
        const uint8_t prefix[8] = {(uint8_t)kind, 0, 0, 0, 0xff, 0xff};
        cr_expect_eq(decode(prefix, 8, true, &f), WIRE_BAD, "%s",
                     samples[i].name);
    }
    const uint8_t shorter[8] = {NET_PING, 0, 0, 0, 7};
    cr_expect_eq(decode(shorter, 8, true, &f), WIRE_BAD);
}

/* The frame in `wire`, `extra` zeroes longer. */
static enum wire_result longer(size_t size, uint8_t extra)
{
    struct net_frame f;
    memset(wire + size, 0, extra);
    wire[4] = (uint8_t)(wire[4] + extra);
    return decode(wire, size + extra, true, &f);
}

Test(wire_refusals, a_void_carries_nothing)
{
    size_t size = encode(sample("void"));
    cr_expect_eq(longer(size, 1), WIRE_BAD, "bytes");
    size = encode(sample("void"));
    wire[1] |= 0x80;
    cr_expect_eq(longer(size, 48), WIRE_BAD, "an extension");
}

Test(wire_refusals, fragments_that_never_end)
{
    struct net_frame f;
    size_t size = encode(sample("empty send"));
    wire[1] = NET_DATA_MORE;
    wire[24] = 1;
    cr_expect_eq(decode(wire, size, true, &f), WIRE_BAD, "empty, more");
    wire[1] = 0;
    wire[28] = 1;
    cr_expect_eq(decode(wire, size, true, &f), WIRE_BAD, "empty, at the end");

    /* offset + size is 16,383 in 32 bits */
    size = encode(sample("last fragment"));
    wire[1] |= NET_DATA_MORE;
    wire[29] = 0xff;
    cr_expect_eq(decode(wire, size, true, &f), WIRE_BAD, "wraps around");
}

/* ---- HELLO and REFUSE ------------------------------------------------------
 */

static enum wire_result take_hello(const struct net_hello *h)
{
    const struct net_frame f = {.kind = NET_HELLO, .u.hello = h};
    struct net_frame g;
    return decode(wire, encode(&f), false, &g);
}

#define REFUSES_HELLO(...)                                          \
    do {                                                            \
        struct net_hello h = hello_most;                            \
        cr_assert_eq(take_hello(&h), WIRE_FRAME);                   \
        __VA_ARGS__;                                                \
        cr_expect_eq(take_hello(&h), WIRE_BAD, "%s", #__VA_ARGS__); \
    } while (0)

Test(wire_refusals, a_hello_of_bad_fields)
{
    REFUSES_HELLO(h.version_min = 0);
    REFUSES_HELLO(h.version_max--);
    REFUSES_HELLO(h.site = 0);
    REFUSES_HELLO(h.incarnation = 0);
    REFUSES_HELLO(h.lane = NET_LANE_COUNT);
    REFUSES_HELLO(h.name[0] = '\0');
    REFUSES_HELLO(h.name[3] = '!');
    REFUSES_HELLO(h.cluster[0] = '\0');
    REFUSES_HELLO(h.cluster[3] = ' ');
    REFUSES_HELLO(h.address[3] = ' ');
    REFUSES_HELLO(h.address[3] = '\n');
}

static enum wire_result take_raw(enum net_frame_kind kind,
                                 const ProtobufCMessage *m)
{
    struct net_frame f;
    const size_t size = protobuf_c_message_pack(m, wire + 8);
    memset(wire, 0, 8);
    wire[0] = (uint8_t)kind;
    wire[4] = (uint8_t)size;
    wire[5] = (uint8_t)(size >> 8);
    return decode(wire, size + 8, false, &f);
}

Test(wire_refusals, a_hello_that_does_not_fit_our_struct)
{
    static uint8_t text[NET_ADDR_MAX + 1] = "name";
    Motet__Hello m = MOTET__HELLO__INIT;

    memset(text + 4, 'x', sizeof text - 4);
    m.has_version_min = m.has_version_max = m.has_site = m.has_incarnation = 1;
    m.version_min = m.version_max = m.incarnation = 1;
    m.site = 1;
    m.has_name = m.has_cluster = m.has_address = 1;
    m.name = m.cluster = m.address = (ProtobufCBinaryData){63, text};
    cr_assert_eq(take_raw(NET_HELLO, &m.base), WIRE_FRAME);
    m.version_max = UINT16_MAX + 1;
    cr_expect_eq(take_raw(NET_HELLO, &m.base), WIRE_BAD, "version");
    m.version_max = 1;
    m.name.len = 64;
    cr_expect_eq(take_raw(NET_HELLO, &m.base), WIRE_BAD, "name");
    m.name.len = 63;
    m.cluster.len = 64;
    cr_expect_eq(take_raw(NET_HELLO, &m.base), WIRE_BAD, "cluster");
    m.cluster.len = 63;
    m.address.len = 64;
    cr_expect_eq(take_raw(NET_HELLO, &m.base), WIRE_BAD, "address");
    m.address.len = 63;
    text[62] = 0;
    cr_expect_eq(take_raw(NET_HELLO, &m.base), WIRE_BAD, "NUL");
}

Test(wire_refusals, a_refuse_says_why)
{
    static uint8_t text[128];
    Motet__Refuse m = MOTET__REFUSE__INIT;

    memset(text, 'x', sizeof text);
    m.has_err = m.has_detail = 1;
    m.err = MOTET_E_COUNT - 1;
    m.detail = (ProtobufCBinaryData){127, text};
    cr_assert_eq(take_raw(NET_REFUSE, &m.base), WIRE_FRAME);
    m.detail.len = 128;
    cr_expect_eq(take_raw(NET_REFUSE, &m.base), WIRE_BAD, "long detail");
    m.detail.len = 3;
    text[1] = '\033';
    cr_expect_eq(take_raw(NET_REFUSE, &m.base), WIRE_BAD, "escape");
    m.has_detail = 0;
    m.err = MOTET_OK;
    cr_expect_eq(take_raw(NET_REFUSE, &m.base), WIRE_BAD, "no error");
    m.err = MOTET_E_COUNT;
    cr_expect_eq(take_raw(NET_REFUSE, &m.base), WIRE_BAD, "past the last");
}

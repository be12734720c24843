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
    {"a PONG of 16 MiB", "pong", 7, 1},
    {"an annex past the limit", "send", 14, MOTET_ANNEX_MAX + 1},
    {"an annex larger than all", "empty send", 14, 1},
    {"a message of no kind", "send", 15, 0},
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

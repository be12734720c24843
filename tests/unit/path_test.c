#include "deploy/sim/cipher.h"
#include "netmgr/path/path.h"
#include "path_world.h"

/* One UDP path: two machines back to back. */

TestSuite(path, .timeout = 60);

Test(path, comes_up_in_a_round_trip_and_a_half)
{
    struct p_world *w = p_open(1, NULL);
    const uint64_t begin = w->now;
    p_up(w, P_S);
    cr_assert_eq(w->end[0].up_ns - begin, 20 * P_MS);
    cr_assert_eq(w->end[1].up_ns - begin, 30 * P_MS);
    p_close(w);
}

Test(path, frames_arrive_in_the_order_of_their_stream)
{
    struct p_world *w = p_open(2, NULL);
    p_up(w, P_S);
    for (int i = 0; i < 1000; i++) {
        p_send(w, (uint32_t)i % 2, (uint8_t)(i / 2 % P_STREAMS), 100);
        if (i % 10 == 0) {
            p_run(w, w->now + P_MS);
        }
    }
    p_run(w, w->now + P_S);
    cr_assert(p_all_came(w));
    cr_assert_eq(path_stats(w->end[0].path).retrans, 0);
    cr_assert_eq(path_stats(w->end[0].path).mtu, 1472);
    cr_assert_eq(path_stats(w->end[0].path).flight_bytes, 0);
    p_close(w);
}

Test(path, is_quiet_when_nothing_is_to_be_said)
{
    struct p_world *w = p_open(3, NULL);
    p_up(w, P_S);
    p_run(w, w->now + 5 * P_S);
    const uint64_t before = path_stats(w->end[0].path).tx_packets;
    p_run(w, w->now + 100 * P_S);
    cr_assert_eq(path_stats(w->end[0].path).tx_packets, before);
    cr_assert_eq(path_state(w->end[0].path), PATH_UP);
    p_close(w);
}

/* ---- Strangers -------------------------------------------------------------
 */

/* Whatever is not sealed under the key gets no answer and changes nothing. */
Test(path, strangers_get_no_answer)
{
    static uint8_t rubbish[PATH_DATAGRAM_MAX + 1];
    struct p_world *w = p_open(4, NULL);
    const struct path_addr stranger = p_addr(9, 9);
    p_up(w, P_S);
    p_run(w, w->now + P_S);
    const struct path_stats before = path_stats(w->end[1].path);
    for (int n = 0; n < 5000; n++) {
        const size_t size = prng_below(&w->prng, 1500);
        for (size_t i = 0; i < size; i++) {
            rubbish[i] = (uint8_t)prng_next(&w->prng);
        }
        if (n % 2 == 0 && size > 16) { /* it looks like ours */
            const uint8_t head[8] = {
                PATH_VERSION, (uint8_t)(n / 2 % 3), 1, 0, 0x22, 0x22, 0x22,
                0x22};
            memcpy(rubbish, head, sizeof head);
        }
        cr_assert_not(p_give(w, 1, &stranger, rubbish, size));
    }
    cr_assert_not(p_give(w, 1, &stranger, rubbish, sizeof rubbish));
    p_run(w, w->now + P_S);
    cr_assert_eq(w->end[1].strangers_told, 0);
    const struct path_stats after = path_stats(w->end[1].path);
    cr_assert_eq(after.tx_packets, before.tx_packets);
    cr_assert_eq(after.key_in, 0);
    cr_assert_geq(after.forged, 5000);
    p_send(w, 0, 1, 100);
    p_run(w, w->now + P_S);
    cr_assert(p_all_came(w));
    p_close(w);
}

Test(path, too_many_forgeries_end_it)
{
    struct path_limits l = path_limits_default();
    uint8_t rubbish[64] = {PATH_VERSION, 0, 1, 0, 0x22, 0x22, 0x22, 0x22, 200};
    const struct path_addr stranger = p_addr(9, 9);
    l.forged_max = 100;
    struct p_world *w = p_open(5, &l);
    p_up(w, P_S);
    for (int n = 0; n < 99; n++) {
        (void)p_give(w, 1, &stranger, rubbish, sizeof rubbish);
    }
    cr_assert_eq(path_state(w->end[1].path), PATH_UP);
    (void)p_give(w, 1, &stranger, rubbish, sizeof rubbish);
    cr_assert_eq(path_state(w->end[1].path), PATH_DOWN);
    p_close(w);
}

/* ---- Replay ----------------------------------------------------------------
 */

/* Every datagram of a conversation once more, at once and long after. */
Test(path, nothing_is_taken_twice)
{
    struct p_world *w = p_open(6, NULL);
    w->way[0].dup = 1000000;
    w->way[1].dup = 1000000;
    w->way[0].jitter_ns = 30 * P_MS;
    p_up(w, 5 * P_S);
    for (int i = 0; i < 500; i++) {
        p_send(w, 0, (uint8_t)(i % P_STREAMS), 60);
        p_send(w, 1, (uint8_t)(i % P_STREAMS), 60);
        p_run(w, w->now + P_MS);
    }
    p_run(w, w->now + 2 * P_S);
    cr_assert(p_all_came(w));
    cr_assert_gt(path_stats(w->end[1].path).dups, 400);
    p_close(w);
}

Test(path, a_replay_from_elsewhere_is_dropped)
{
    static uint8_t out[PATH_DATAGRAM_MAX];
    struct path_addr to;
    struct p_world *w = p_open(7, NULL);
    const struct path_addr stranger = p_addr(9, 9);
    p_up(w, P_S);
    p_run(w, w->now + P_S);
    p_send(w, 0, 1, 100);
    const size_t size = path_write(w->end[0].path, w->now, out, &to);
    cr_assert_gt(size, 0);
    cr_assert(p_give(w, 1, &w->end[0].addr, out, size));
    cr_assert_not(p_give(w, 1, &stranger, out, size));
    p_run(w, w->now + P_S);
    cr_assert_eq(w->end[1].strangers_told, 0);
    cr_assert_eq(w->end[1].came[1], 1);
    p_close(w);
}

/* ---- Addresses -------------------------------------------------------------
 */

Test(path, follows_a_new_port)
{
    struct p_world *w = p_open(8, NULL);
    p_up(w, P_S);
    for (uint8_t port = 2; port < 12; port++) {
        w->end[0].addr = p_addr(1, port); /* a NAT forgot it */
        const uint64_t begin = w->end[1].strangers_told;
        for (int i = 0; i < 50; i++) {
            p_send(w, 0, 1, 100);
            p_send(w, 1, 1, 100);
            p_run(w, w->now + 5 * P_MS);
        }
        p_run(w, w->now + 2 * P_S);
        cr_assert(p_all_came(w), "port %u", port);
        /* until the challenge is answered, the old one is used */
        cr_assert_gt(w->end[1].strangers_told, begin);
    }
    cr_assert_eq(path_state(w->end[0].path), PATH_UP);
    p_close(w);
}

/* A packet taken on the way and sent on from elsewhere: what is sent there is
 * no more than came from there, and data stays on its way. */
Test(path, an_unproved_address_gets_little)
{
    static uint8_t out[PATH_DATAGRAM_MAX];
    struct path_addr to;
    struct p_world *w = p_open(9, NULL);
    const struct path_addr elsewhere = p_addr(7, 7);
    p_up(w, P_S);
    p_run(w, w->now + P_S);
    uint64_t stolen = 0;
    for (int i = 0; i < 20; i++) {
        p_send(w, 0, 1, 300);
        const size_t size = path_write(w->end[0].path, w->now, out, &to);
        cr_assert_gt(size, 0);
        (void)p_give(w, 1, &elsewhere, out, size);
        stolen += size;
        p_send(w, 1, 1, 900);
        p_run(w, w->now + 100 * P_MS);
        cr_assert_leq(w->end[1].strangers_told, stolen);
    }
    cr_assert_gt(w->end[1].strangers_told, 0);
    cr_assert_leq(w->end[1].strangers_told, stolen);
    p_run(w, w->now + 5 * P_S);
    cr_assert(p_all_came(w));
    p_close(w);
}

/* ---- Keys and counters -----------------------------------------------------
 */

Test(path, keys_change_under_load)
{
    struct path_limits l = path_limits_default();
    l.key_packets = 20;
    l.key_hard = 5000;
    struct p_world *w = p_open(10, &l);
    w->way[0] = (struct p_way){.delay_ns = 5 * P_MS,
                               .jitter_ns = 5 * P_MS,
                               .loss = 100000,
                               .dup = 50000,
                               .mtu = 1472};
    w->way[1] = w->way[0];
    p_up(w, 10 * P_S);
    for (int i = 0; i < 4000; i++) {
        p_send(w, 0, (uint8_t)(i % P_STREAMS), 700);
        p_send(w, 1, (uint8_t)(i % P_STREAMS), 700);
        p_run(w, w->now + 2 * P_MS);
    }
    p_run(w, w->now + 40 * P_S);
    cr_assert(p_all_came(w));
    /* The last key may have been taken by one who then had nothing to say. */
    const uint32_t out = path_stats(w->end[0].path).key_out;
    const uint32_t in = path_stats(w->end[1].path).key_in;
    cr_assert_gt(in, 20);
    cr_assert(out == in || out == in + 1, "%u out, %u in", out, in);
    /* only what came twice, or later than anybody waits for, did not open */
    cr_assert_lt(path_stats(w->end[1].path).forged, 40);
    p_close(w);
}

Test(path, keys_change_with_time)
{
    struct path_limits l = path_limits_default();
    struct p_world *w = p_open(11, &l);
    p_up(w, P_S);
    for (int i = 0; i < 30; i++) {
        p_send(w, 0, 1, 100);
        p_run(w, w->now + 60 * P_S);
    }
    cr_assert(p_all_came(w));
    cr_assert_geq(path_stats(w->end[0].path).key_out, 2);
    p_close(w);
}

/* The counter is exhausted: the path ends, and not one nonce came twice. */
Test(path, a_counter_never_wraps)
{
    static bool seen[65536];
    static uint8_t out[PATH_DATAGRAM_MAX];
    struct path_limits l = path_limits_default();
    struct path_addr to;
    uint64_t packets = 0;
    l.counter_max = 500;
    l.key_packets = 16;
    struct p_world *w = p_open(12, &l);
    p_up(w, P_S);
    while (path_state(w->end[0].path) == PATH_UP && packets < 10000) {
        p_send(w, 0, 1, 1100);
        for (size_t size;
             (size = path_write(w->end[0].path, w->now, out, &to)) > 0;) {
            const unsigned counter = (unsigned)(out[8] | out[9] << 8);
            cr_assert_not(seen[counter], "counter %u twice", counter);
            cr_assert_lt(counter, 500);
            seen[counter] = true;
            packets++;
            p_fly(w, 0, out, size);
        }
        p_run(w, w->now + P_MS);
    }
    cr_assert_eq(path_state(w->end[0].path), PATH_DOWN);
    cr_assert_str_eq(path_why(w->end[0].path), "no counter is left");
    cr_assert_eq(path_farewell(w->end[0].path, w->now, out, &to), 0);
    cr_assert_leq(w->cipher.sealed, 1000);
    cr_assert_eq(w->cipher.nonces_twice, 0);
    p_close(w);
}

/* Nothing is confirmed: the key is not used past its hard limit. */
Test(path, a_key_is_never_overused)
{
    struct path_limits l = path_limits_default();
    static uint8_t out[PATH_DATAGRAM_MAX];
    struct path_addr to;
    l.key_packets = 3;
    l.key_hard = 10;
    struct p_world *w = p_open(13, &l);
    p_up(w, P_S);
    w->way[1].cut = true; /* no ACK comes back */
    const uint64_t end = w->now + 60 * P_S;
    while (path_state(w->end[0].path) == PATH_UP && w->now < end) {
        p_send(w, 0, 1, 1100);
        while (path_write(w->end[0].path, w->now, out, &to) > 0) {
            cr_assert_lt(out[8], 10);
        }
        w->now += 5 * P_MS;
        path_tick(w->end[0].path, w->now);
    }
    cr_assert_eq(path_state(w->end[0].path), PATH_DOWN);
    cr_assert_str_eq(path_why(w->end[0].path),
                     "a key is used up and the next was not confirmed");
    p_close(w);
}

/* However long nothing is acknowledged: what is sent can be opened. */
Test(path, is_never_two_keys_ahead)
{
    struct path_limits l = path_limits_default();
    l.key_packets = 4;
    struct p_world *w = p_open(20, &l);
    w->way[0].jitter_ns = 10 * P_MS;
    p_up(w, P_S);
    for (int round = 0; round < 20; round++) {
        w->way[1].cut = round % 2 == 1;
        for (int i = 0; i < 40; i++) {
            p_send(w, 0, 1, 700);
            p_run(w, w->now + 3 * P_MS);
            cr_assert_leq(path_stats(w->end[0].path).key_out,
                          path_stats(w->end[1].path).key_in + 1);
        }
    }
    cr_assert_eq(path_stats(w->end[1].path).forged, 0);
    cr_assert_gt(path_stats(w->end[1].path).key_in, 8);
    p_close(w);
}

/* ---- The way changes -------------------------------------------------------
 */

Test(path, a_black_hole_is_noticed)
{
    for (uint32_t side = 0; side < 2; side++) {
        struct p_world *w = p_open(14 + side, NULL);
        p_up(w, P_S);
        p_run(w, w->now + P_S);
        w->way[side].cut = true;
        p_send(w, 0, 1, 100);
        p_send(w, 1, 1, 100);
        const uint64_t begin = w->now;
        while (path_state(w->end[side].path) == PATH_UP) {
            p_run(w, w->now + 10 * P_MS);
            cr_assert_lt(w->now - begin, 3 * P_S);
        }
        cr_assert_gt(w->now - begin, P_S);
        p_close(w);
    }
}

Test(path, a_farewell_is_heard_at_once)
{
    static uint8_t out[PATH_DATAGRAM_MAX];
    struct path_addr to;
    struct p_world *w = p_open(16, NULL);
    p_up(w, P_S);
    const size_t size = path_farewell(w->end[0].path, w->now, out, &to);
    cr_assert_gt(size, 0);
    (void)p_give(w, 1, &w->end[0].addr, out, size);
    cr_assert_eq(path_state(w->end[1].path), PATH_DOWN);
    p_close(w);
}

/* The way carries only small datagrams from now on. */
Test(path, survives_a_smaller_mtu)
{
    struct p_world *w = p_open(17, NULL);
    p_up(w, P_S);
    p_run(w, w->now + P_S);
    cr_assert_eq(path_stats(w->end[0].path).mtu, 1472);
    w->way[0].mtu = 1250;
    for (int i = 0; i < 200; i++) {
        p_send(w, 0, 1, 300);
    }
    p_run(w, w->now + 5 * P_S);
    cr_assert_eq(path_state(w->end[0].path), PATH_UP);
    cr_assert_eq(path_stats(w->end[0].path).mtu, PATH_MTU_MIN);
    cr_assert(p_all_came(w));
    p_close(w);
}

Test(path, takes_jumbo_datagrams_where_they_fit)
{
    struct p_world *w = p_open(18, NULL);
    w->way[0].mtu = 65536;
    p_up(w, P_S);
    for (int i = 0; i < 200; i++) {
        p_send(w, 0, 1, 1100);
    }
    p_run(w, w->now + P_S);
    cr_assert_eq(path_stats(w->end[0].path).mtu, PATH_DATAGRAM_MAX);
    cr_assert_eq(path_stats(w->end[1].path).mtu, 1472);
    p_close(w);
}

/* ---- A hostile other side --------------------------------------------------
 */

static struct path_aead inner;
static bool first_frame; /* is in the packet sealed last */

static void seal_and_look(void *ctx, void *key,
                          const uint8_t nonce[PATH_NONCE_BYTES],
                          const uint8_t *aad, size_t aad_size, uint8_t *data,
                          size_t size)
{
    static const uint8_t head[] = {5, 1, 0, 0, 0};
    first_frame = memmem(data, size, head, sizeof head) != NULL;
    inner.seal(ctx, key, nonce, aad, aad_size, data, size);
}

static bool has_first_frame(void)
{
    return first_frame;
}

/* The first frame of a stream never comes; all others wait for it. */
Test(path, never_holds_more_than_its_limit)
{
    struct p_world *w = p_open(19, NULL);
    inner = w->aead;
    w->aead.seal = seal_and_look;
    p_up(w, P_S);
    w->way[0].drop = has_first_frame;
    size_t most = 0;
    for (int i = 0; i < 3000; i++) {
        while (path_state(w->end[0].path) == PATH_UP &&
               path_stats(w->end[0].path).queue_bytes < 50000) {
            p_send(w, 0, 1, 1100);
        }
        p_run(w, w->now + 2 * P_MS);
        most = w->mem.used_bytes > most ? w->mem.used_bytes : most;
    }
    cr_assert_gt(most, PATH_HELD_BYTES_MAX, "the limit was not reached");
    cr_assert_lt(most, 2 * PATH_HELD_BYTES_MAX);
    cr_assert_eq(w->end[1].came[1], 0);
    p_close(w);
}

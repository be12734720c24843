#ifndef FATE_H
#define FATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/prng.h"

/* What a bad network does to what is sent over one link, in one direction: the
 * one engine behind the simulator, the relay and the switch. Pure: time comes
 * in, chance comes from a seed, the verdict goes out.
 *
 * A packet meets, in this order:
 *
 *   blackhole, cut    dropped
 *   burst             Gilbert-Elliott: a burst begins at a packet with the
 *                     chance `burst`, lasts `burst_length` packets in the
 *                     mean, and loses all but `burst_kept` of them (Elliott
 *                     1963)
 *   loss              each packet by itself
 *   rate, queue       packets leave one after the other at `rate`; one that
 *                     would make more than `queue` bytes wait is dropped
 *   duplicate         two copies from here on, each delayed by itself
 *   corrupt           one bit of the copy is flipped
 *   delay, jitter,    later by `delay`, give or take up to `jitter` (uniform),
 *   tail              and by an exponential time of mean `tail` besides. What
 *                     is sent later may overtake, as with netem
 *   reorder           held back by up to `reorder_by`: others overtake
 *   clog              held until the clog is gone; nothing is lost
 *
 * The number of draws for a packet does not depend on the parameters: the k-th
 * packet of a link meets the same loss whether or not it is also delayed. */

#define FATE_NEVER UINT64_MAX /* a time that never comes */
#define FATE_WHOLE UINT64_MAX /* no bit of it is flipped */

enum {
    FATE_COPIES_MAX = 2,
    FATE_CERTAIN = 1000000, /* chances are parts of a million */
};

/* All zero: a perfect link. */
struct fate_params {
    uint64_t delay_ns;
    uint64_t jitter_ns;
    uint64_t tail_ns;
    uint32_t loss;
    uint32_t burst;
    uint32_t burst_length; /* packets; 0 = FATE_BURST_LENGTH */
    uint32_t burst_kept;   /* of a burst, what passes all the same */
    uint32_t duplicate;
    uint32_t reorder;
    uint64_t reorder_by_ns; /* 0 = FATE_REORDER_BY_NS */
    uint32_t corrupt;
    uint64_t rate;  /* bytes a second; 0 = no limit */
    uint64_t queue; /* bytes that may wait for `rate`; 0 = FATE_QUEUE_BYTES */
    bool cut;
    bool blackhole;
    bool clog;
    bool reset; /* connections break: done by who carries them, not here */
};

enum { FATE_BURST_LENGTH = 8, FATE_QUEUE_BYTES = 256 << 10 };
#define FATE_REORDER_BY_NS 10000000ULL

/* clang-format off */
#define FATES(X)                                                       \
    X(PASSED, "passed") X(CUT, "cut") X(BLACKHOLE, "blackhole")                \
    X(LOSS, "loss") X(BURST, "burst") X(QUEUE, "queue")
/* clang-format on */
#define FATE_ENUM(name, text) FATE_##name,
enum fate { FATES(FATE_ENUM) FATE_COUNT };
#undef FATE_ENUM

struct fate_copy {
    uint64_t at_ns; /* when it arrives; FATE_NEVER while the link is clogged */
    uint64_t flip;  /* the bit that is wrong, 0 .. 8 * size - 1; FATE_WHOLE */
};

struct fate_verdict {
    enum fate reason; /* FATE_PASSED: `count` copies arrive */
    uint32_t count;
    struct fate_copy copy[FATE_COPIES_MAX];
};

struct fate_stats {
    uint64_t packets; /* asked for */
    uint64_t bytes;
    uint64_t judged[FATE_COUNT]; /* by verdict; their sum is `packets` */
    uint64_t duplicated;
    uint64_t reordered; /* copies */
    uint64_t corrupted; /* copies */
    uint64_t delayed;   /* copies that arrive later than they were sent */
};

/* One direction of one link. Plain data: a copy is a fork of it. Anyone may
 * read it and write `params` and `clogged_until_ns`; the rest is the engine's.
 */
struct fate_link {
    struct fate_params params;
    uint64_t
        clogged_until_ns; /* nothing arrives before, whatever `clog` says */
    struct fate_stats stats;
    struct prng chance;
    struct prng aside;
    bool in_burst;
    uint64_t free_ns; /* when all that waits for `rate` will have left */
};

/** A perfect link. The same seed, parameters and packets: the same verdicts. */
void fate_init(struct fate_link *l, uint64_t seed);

/** The seed of the direction from one end to the other, of a whole network. */
uint64_t fate_seed(uint64_t seed, uint64_t from, uint64_t to);

/** The fate of a packet of `size` bytes (1 or more) sent now. Never less than
 * the last `now_ns`. */
void fate_packet(struct fate_link *l, uint64_t now_ns, size_t size,
                 struct fate_verdict *v);

/** The same for packets whose number nobody controls (ARP): they do not take
 * part in the count of draws, nor in bursts. */
void fate_packet_aside(struct fate_link *l, uint64_t now_ns, size_t size,
                       struct fate_verdict *v);

/**
 * The fate of bytes of a reliable stream (TCP): loss, bursts and a full queue
 * show as delay, by retransmissions after 50 ms and doubling, as of a
 * connection that is in use (what follows tells of the gap); order is kept;
 * duplicates do not show.
 *
 * @param last_ns  no earlier than this: the arrival of what went before on this
 *                 stream; 0 at its beginning
 * @param flip     set to a bit that is wrong, or FATE_WHOLE
 * @return when they arrive; FATE_NEVER while the link is cut or clogged (ask
 *         again when it is not: the caller keeps them). What a blackhole does
 *         to a stream is the caller's affair.
 */
uint64_t fate_stream(struct fate_link *l, uint64_t now_ns, size_t size,
                     uint64_t last_ns, uint64_t *flip);

enum { FATE_WEATHERS = 4 }; /* from good to very bad */

/** Draws what a link is like, as bad as said: 0 .. FATE_WEATHERS - 1. `rate`
 * (bytes a second) changes in bad weather only. */
void fate_weather(struct fate_params *f, uint64_t *rate, struct prng *p,
                  uint32_t badness);

/** One delay (without rate, loss and clog), drawn: of a handshake. */
uint64_t fate_delay(struct fate_link *l);

/** When what was held up arrives, now that it is no longer. */
uint64_t fate_release(const struct fate_link *l, uint64_t now_ns);

const char *fate_text(enum fate reason);

#endif

#ifndef PATH_INSIDE_H
#define PATH_INSIDE_H

#include "netmgr/path/path.h"
#include "nucleus/base/cursor.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"

/* The inside of a path. Who does what:
 *
 *   path.c      the interface, time
 *   protect.c   keys, counters, the replay window
 *   prove.c     addresses: challenges; the size of datagrams
 *   send.c      frames that wait, and what a datagram is filled with
 *   receive.c   what a datagram says; frames in their order
 *   recover.c   acknowledgements, round trips, loss
 *   control.c   how much may be under way, and when (RFC 9002 section 7) */

#define MS 1000000ULL
#define SECOND (1000 * MS)

enum {
    RANGES_MAX = 32,      /* of packets received, told in one ACK */
    PACKET_THRESHOLD = 3, /* RFC 9002 6.1.1 */
    PROVE_TRIES = 6,
    PROBE_TRIES = 3,      /* of one size of datagrams */
    SHRINK_LOST = 10,     /* large packets in a row lost: they do not fit */
    SHRINK_PTOS = 4,      /* nothing at all comes through */
    CHALLENGE_BYTES = 64, /* of a packet with an answer and a challenge */
    WORDS = PATH_FRAMES_MAX / 64,
    REPLAY_WORDS = PATH_REPLAY_WINDOW / 64,
    SENT_FIRST = 64, /* slots of the first ring of packets */
    CAME_SHARE = 16, /* forgotten in a round of what rounds carry */
};

static const uint64_t ACK_DELAY_NS = 5 * MS;
static const uint64_t GRANULARITY_NS = 1 * MS;
static const uint64_t RTT_FIRST_NS = 100 * MS;
static const uint64_t PTO_MAX_NS = 250 * MS;  /* between probes */
static const uint64_t SILENCE_NS = 1500 * MS; /* without an ACK: it is down */
static const uint64_t PROVE_FIRST_NS = 100 * MS;
static const uint64_t MTU_NEXT_NS = 200 * MS; /* after a probe was lost */
static const uint64_t MTU_AGAIN_NS = 600 * SECOND;
static const uint64_t OLD_KEY_NS = 5 * SECOND;
static const uint64_t DRAIN_NS = 200 * MS;       /* or two round trips */
static const uint64_t RTT_SPAN_NS = 10 * SECOND; /* then a way may be longer */

/* What a packet is made of. */
enum piece {
    PIECE_PAD = 0,
    PIECE_PING,
    PIECE_ACK,       /* u64 largest, u32 delay in us, u8 ranges, then u32 below
                      * the largest, and (u32 gap, u32 more) for each range */
    PIECE_CHALLENGE, /* u64 token */
    PIECE_RESPONSE,  /* u64 token */
    PIECE_FRAME,     /* u32 number, u16 back, u16 size, bytes */
    PIECE_LOOSE,     /* u16 size, bytes */
    PIECE_CLOSE,
};

struct key {
    void *ready; /* NULL = none */
    uint8_t iv[PATH_NONCE_BYTES];
    uint64_t number;
};

struct stream {
    uint64_t id;
    uint64_t last; /* number of its last frame */
    uint32_t unacked;
};

struct frame {
    struct frame *next; /* in a queue, or in a packet */
    struct list live;   /* path.live, once it has a number */
    struct stream *stream;
    uint64_t number;
    uint64_t id; /* of the stream, 0 = none */
    uint16_t back;
    uint16_t size;
    bool loose;
    uint8_t bytes[];
};

struct queue {
    struct frame *first;
    struct frame *last;
    uint64_t bytes;
};

/* One packet sent. */
struct packet {
    uint64_t at_ns;
    struct frame *frames;
    uint32_t size;
    bool out;       /* neither acknowledged nor held for lost */
    bool eliciting; /* and counted as under way */
    bool probe;     /* of the size of datagrams */
    bool limited;   /* sent when the window was in use */
    uint64_t told;  /* the highest counter that its ACK told of, plus one */
};

struct range {
    uint64_t low, high;
};

/* A frame that came before the one it has to follow. */
struct held {
    struct list link;
    uint64_t number;
    uint64_t before;
    uint32_t size;
    uint8_t bytes[];
};

struct proof {
    bool active;
    bool limited; /* by what came from there */
    struct path_addr addr;
    uint64_t token;
    uint64_t due_ns;
    uint64_t credit;
    uint32_t tries;
};

struct path {
    struct path_limits limits;
    const struct path_aead *aead;
    struct mem *mem;
    enum path_state state;
    const char *why;
    bool dialed;
    int cipher;
    uint16_t life;
    uint32_t id_in, id_out;
    uint64_t now;
    uint64_t token_key[2];
    uint64_t tokens;

    /* protect.c */
    struct key tx, rx, rx_old, rx_next;
    uint8_t tx_secret[PATH_SECRET_BYTES]; /* of the next key */
    uint8_t rx_secret[PATH_SECRET_BYTES]; /* of the key after rx_next */
    uint64_t tx_first;                    /* counter under `tx` */
    uint64_t tx_since_ns;
    bool tx_confirmed;
    uint64_t rx_since_ns;
    uint64_t counter; /* of the next packet */
    uint64_t rx_high; /* highest counter taken, plus one */
    uint64_t replay[REPLAY_WORDS];

    /* prove.c */
    struct path_addr addr; /* proved */
    struct proof proof;
    struct path_addr answer_to;
    uint64_t answer;
    bool answer_due;
    uint32_t mtu;
    uint32_t mtu_at; /* index of the size being tried */
    uint32_t mtu_tries;
    bool mtu_flying;
    bool small_only; /* no frame is larger than every way carries */
    uint32_t large_lost;
    uint64_t mtu_due_ns;

    /* send.c */
    struct queue again, urgent, data;
    struct map streams;
    struct list live; /* frames with a number, lowest first */
    uint64_t next_number;
    uint64_t drained;

    /* receive.c */
    struct reader in;
    uint64_t floor; /* all frames below it were delivered */
    uint64_t got[WORDS];
    uint64_t done[WORDS];
    struct map held_after; /* number that it follows -> struct held */
    struct list held;
    uint64_t held_bytes;
    struct held *lent;
    uint64_t follow; /* delivered: does one wait for it? 0 = no */
    struct range ranges[RANGES_MAX]; /* highest first */
    uint32_t range_count;
    uint64_t largest_ns; /* when the highest came */
    uint64_t told;       /* of the packet being written; see struct packet */
    uint32_t ack_owed;   /* eliciting packets not acknowledged */
    uint64_t ack_due_ns; /* DEADLINE_NEVER = none */

    /* recover.c */
    struct packet *sent; /* ring */
    uint32_t sent_slots;
    uint64_t sent_low;      /* lowest counter that may be out */
    uint64_t largest_acked; /* plus one */
    uint64_t srtt, rttvar, rtt_latest;
    uint64_t rtt_min;      /* of this span of time and the one before */
    uint64_t rtt_min_span; /* of this one */
    uint64_t span_end_ns;
    uint64_t drain_ns;    /* little may be under way until then; 0 = it may */
    uint64_t round_rtt;   /* least of this round, 0 = none yet */
    uint64_t least_rtt;   /* and of the last one, 0 = there was none */
    uint64_t round_end;   /* the round ends when this is acknowledged */
    uint64_t round_bytes; /* acknowledged in this round */
    uint64_t came_bytes;  /* in the best of the last ones */
    uint64_t grown;       /* what is left of the last growth */
    uint64_t loss_at_ns;
    uint64_t eliciting_ns; /* the last eliciting packet was sent */
    uint64_t silent_ns;    /* since then something waits for an ACK; 0 = not */
    uint32_t pto_count;
    uint32_t probes; /* packets that may go past the window */
    uint32_t out_eliciting;

    /* control.c */
    uint64_t window, threshold, flight, recovery_ns;
    uint32_t loss;   /* packets lost lately, of a million */
    uint64_t credit; /* of pacing, in bytes */
    uint64_t paced_ns;

    struct path_stats stats;
};

/* ---- path.c ---- */
void path_down(struct path *p, const char *why);
bool addr_equal(const struct path_addr *a, const struct path_addr *b);

/* ---- protect.c ---- */
void protect_init(struct path *p, const uint8_t secret[PATH_SECRET_BYTES]);
void protect_fini(struct path *p);
/** Takes the next key if it is time. @return false: no counter or no key is
 * left, and the path is down */
bool protect_ready(struct path *p);
/** Seals a packet whose contents stand behind the room of its header; call
 * protect_ready() before it is filled. @return its size */
size_t protect_seal(struct path *p, uint8_t *out, size_t contents);
/** Opens into `plain`. @return whether it is new and real; then `size` bytes
 * and the counter. Changes nothing but the keys. */
bool protect_open(struct path *p, const uint8_t *data, size_t data_size,
                  uint8_t *plain, size_t *size, uint64_t *counter);
/** From now on that counter is old. */
void protect_took(struct path *p, uint64_t counter);
void wipe(void *data, size_t size);

/* ---- prove.c ---- */
void prove_start(struct path *p, const struct path_addr *addr, bool limited);
/** An authentic packet of `size` bytes came from `from`; `newest`: no later
 * one was sent. */
void prove_heard(struct path *p, const struct path_addr *from, size_t size,
                 bool newest);
void prove_challenged(struct path *p, const struct path_addr *from,
                      uint64_t token);
void prove_answered(struct path *p, uint64_t token);
/** A packet of its own for a challenge or an answer. @return contents, or 0 */
size_t prove_write(struct path *p, struct writer *w, struct path_addr *to);
uint64_t prove_deadline(const struct path *p);
void prove_tick(struct path *p);
void mtu_start(struct path *p);
/** The size to try now, 0 = none. */
uint32_t mtu_wanted(const struct path *p);
void mtu_acked(struct path *p, uint32_t size);
void mtu_lost(struct path *p);
/** Large datagrams seem to vanish. */
void mtu_shrink(struct path *p);

/* ---- send.c ---- */
/** A frame arrived. */
void send_acked(struct path *p, struct frame *f);
/** The frames of a packet go again. */
void send_again(struct path *p, struct packet *k);
void send_fini(struct path *p);

/* ---- receive.c ---- */
void receive_fini(struct path *p);
void receive_write_ack(struct path *p, struct writer *w);
/** The other side knows of all up to `told` (plus one). */
void receive_told(struct path *p, uint64_t told);

/* ---- recover.c ---- */
struct packet *packet_at(const struct path *p, uint64_t counter);
/** Notes the packet that is about to be sealed. @return false: no room */
bool recover_room(struct path *p);
void recover_sent(struct path *p, struct frame *frames, size_t size,
                  bool eliciting, bool probe);
/** What an ACK says. @return false: it says what cannot be */
bool recover_ack(struct path *p, struct reader *r, bool commit);
uint64_t recover_pto(const struct path *p);
/** Whether a round trip is later than one without a queue. */
bool recover_late(const struct path *p, uint64_t rtt);
uint64_t recover_deadline(const struct path *p);
void recover_tick(struct path *p);

/* ---- control.c ---- */
void control_init(struct path *p);
void control_mtu(struct path *p);
bool control_in_use(const struct path *p);
/** Bytes that may be sent now; whether pacing forbids is told apart. */
uint64_t control_room(const struct path *p);
bool control_paced(struct path *p);
uint64_t control_deadline(const struct path *p);
void control_sent(struct path *p, size_t size);
void control_acked(struct path *p, const struct packet *k);
void control_lost(struct path *p, uint64_t sent_ns);
void control_collapse(struct path *p);

#endif

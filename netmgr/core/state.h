#ifndef NETMGR_STATE_H
#define NETMGR_STATE_H

#include "netmgr/core/netmgr.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "nucleus/base/pool.h"
#include "nucleus/base/prng.h"
#include "nucleus/base/ui.h"

/* The inside of a network manager: its state. What the files do for each other
 * is in parts.h. Who does what:
 *
 *   netmgr.c   the steps, the effects, the timers
 *   peer.c     sites: acquaintance, death, misbehaviour
 *   dial.c     dialing them
 *   session.c  connections: HELLO, adoption
 *   frames.c   the way of frames, PING, round trips
 *   hello.c    the HELLO rules, a pure function
 *   fast.c     the path over datagrams, and when it is taken
 *   ways.c     links that have a way of their own
 *   locate.c   where a port lives
 *   move.c     flows of ports that move
 *   loop.c     the session with this site itself
 *   sendflow.c messages kept until their outcome
 *   answer.c   what the other side says of them
 *   lane.c     emission: which flow is next
 *   recvflow.c flows from others: BIND, records, eviction
 *   accept.c   their messages: assembly, the offer, the acknowledgement */

enum {
    EFFECTS_MAX = 1024,      /* ring of effects: bounds what one step gives */
    EFFECTS_SPARE = 256,     /* left free by FLUSH and TICK for nested steps */
    NOTES_MAX = 64,          /* HELLOs and REFUSEs among them */
    SEEDS_MAX = 64,          /* seed addresses */
    OVERRIDES_MAX = 1 << 20, /* ports known to live away from their birth site;
                              * those here among them are never forgotten */
    RING_FIRST = 4,          /* slots of a flow's first ring */
    QUANTUM_BYTES = NET_FRAGMENT_BYTES, /* of one flow in its turn */
    FRAME_OVERHEAD = 32, /* of a DATA frame, in the backlog: never more than is
                          * written, or what was drained never adds up */
    DIALS_BESIDE = 3,    /* with the latest as many as may wait to be known
                          * from one address */
    DATAGRAM_BYTES = 1024, /* payload in a datagram */
    DATAGRAM_FLIGHT = 64,  /* messages of a flow in flight on a datagram path */
    CREDIT_MSGS_MAX = 4096,
    ACK_MSGS = 64, /* not acknowledged yet: no more delay */
    ACK_BYTES = 65536,
};

#define MS 1000000ULL
#define SECOND (1000 * MS)
#define FAR (UINT64_MAX - 1) /* an armed timer that means nothing yet */

static const uint64_t HELLO_NS = 3 * SECOND;
static const uint64_t HELLO_REPEAT_NS = 100 * MS; /* on a datagram path */
static const uint64_t DIAL_MIN_NS = 50 * MS;
static const uint64_t DIAL_MAX_NS = 2 * SECOND;
/* What asks for a connection may have been lost, and is not asked again soon:
 * after this another one is dialed beside it, so that a link that heals is in
 * use within a second. */
static const uint64_t DIAL_BESIDE_NS = 800 * MS;
static const uint64_t AGAIN_NS = 850 * MS;     /* after REFUSE AGAIN */
static const uint64_t REFUSED_NS = 5 * SECOND; /* after any other REFUSE */
static const uint64_t BLIP_NS = 100 * MS;      /* a shorter break is no news */
static const uint64_t PING_BUSY_NS = 500 * MS;
static const uint64_t PING_IDLE_NS = 2 * SECOND;
static const uint64_t PONG_STREAM_NS = 3 * SECOND; /* broken without it */
static const uint64_t PONG_BULK_NS = 5 * SECOND;   /* nor anything else moved */
static const uint64_t PONG_DATAGRAM_NS = 10 * SECOND;
static const uint64_t STALL_NS = 1 * SECOND; /* this loop itself was late */
static const uint64_t ACK_DELAY_NS = 5 * MS;
static const uint64_t RTO_MIN_NS = 20 * MS;
static const uint64_t RTO_FIRST_NS = 200 * MS; /* round trip not known */
static const uint64_t RTO_MAX_NS = 1 * SECOND;
static const uint64_t CIRCLE_NS = 50 * MS; /* until news of a move are due */
static const uint64_t SEND_IDLE_NS = 15 * SECOND; /* then a flow is freed; ...*/
static const uint64_t RECV_IDLE_NS = 30 * SECOND; /* well before this record */
static const uint64_t RECV_SWEEP_NS = 60 * SECOND;
static const uint64_t MEMORY_WAIT_NS = 100 * MS;
static const uint64_t VIOLATION_WINDOW_NS = 60 * SECOND;
static const uint64_t BAN_MIN_NS = 30 * SECOND;
static const uint64_t BAN_MAX_NS = 600 * SECOND;
static const uint64_t TWIN_WAIT_NS = 750 * MS;
static const uint64_t TWIN_FORGET_NS = 10 * SECOND;

enum timer_kind {
    TIMER_CONN = 1, /* HELLO is late, or to be repeated */
    TIMER_DIAL,
    TIMER_SEED,
    TIMER_PING,
    TIMER_ACK,
    TIMER_FLOW,
    TIMER_SWEEP,
    TIMER_BLIP,
};

struct peer;
struct seed;

struct conn {
    struct list node; /* netmgr.conns */
    uint64_t id;
    uint64_t verified; /* site by certificate, 0 = not known */
    uint64_t up_ns;
    struct peer *peer; /* once adopted */
    struct peer *whom; /* dialed for this peer ... */
    struct seed *seed; /* ... or at this seed address */
    enum net_lane lane;
    bool dialed;
    bool datagram;
    bool loop;
    uint64_t backlog;       /* bytes of DATA not drained */
    uint64_t unanswered_ns; /* first PING since the last PONG, 0 = none */
    uint64_t pinged_ns;
    uint32_t unbound; /* the last handle answered UNBOUND, and when */
    uint64_t unbound_turn;
    uint64_t token;    /* in our HELLO */
    uint64_t srtt_ns;  /* FAST: by PING, 0 = not known */
    uint32_t answers;  /* of the first ones */
    uint32_t fragment; /* FAST: payload of a DATA frame at most */
    struct deadline timer;
    char addr[NET_ADDR_MAX + 1];
};

struct dial {
    uint64_t id;                   /* under way, 0 = not */
    bool wanted;                   /* try when the timer comes */
    uint64_t beside[DIALS_BESIDE]; /* earlier ones, not answered; 0 = none */
    uint64_t beside_ns;            /* when `id` gets another one beside it */
    uint64_t back_off_ns;
    uint64_t not_before_ns;
    struct deadline timer;
    struct peer *peer;
    enum net_lane lane;
};

struct seed {
    struct list node;
    uint64_t dial;
    uint64_t site;     /* who answered there, 0 = nobody yet */
    struct conn *conn; /* waiting for its HELLO */
    bool self;         /* this site's own address */
    uint64_t back_off_ns;
    struct deadline timer;
    char addr[NET_ADDR_MAX + 1];
};

struct twin {
    uint32_t incarnation; /* of the newcomer, 0 = none */
    uint64_t asked_ns;    /* PING to the present one */
    bool answered;
};

struct peer {
    struct list node; /* netmgr.peers */
    uint64_t site;
    uint32_t incarnation; /* the one that lives, 0 = none */
    uint32_t seen;        /* highest */
    uint32_t dead;        /* highest declared dead, or left */
    uint32_t lost;        /* likewise, and what moved away from it is known */
    bool wanted;          /* a session with it */
    bool up;              /* CONTROL is adopted */
    bool told_up; /* by NET_SESSION; a break that heals at once is no news */
    uint32_t told_incarnation;
    struct deadline blip;
    char name[MOTET_NAME_MAX + 1];
    char addr[NET_ADDR_MAX + 1];       /* to dial */
    char hello_addr[NET_ADDR_MAX + 1]; /* by its own word */
    uint32_t body_bytes_max;           /* what it takes, 0 = not known */
    struct conn *conns[NET_LANE_COUNT];
    struct dial dials[NET_LANES_DIALED];
    bool fast_used; /* small messages take conns[NET_FAST] */
    struct twin twin;

    struct deadline ping;
    uint64_t srtt_ns, var_ns; /* 0 = not known */
    uint64_t told_rtt_ns;
    uint64_t heard_turn;

    uint64_t violation_ns; /* the first of the window */
    uint32_t violations;
    uint64_t banned_ns; /* until */
    uint64_t ban_ns;

    struct list sflows; /* in order of creation */
    struct list rflows;
    struct list ready[NET_LANE_COUNT]; /* sflows that can emit */
    struct list acks;                  /* rflows that owe an ACK now */
    struct list lazy_acks;             /* ... or within ACK_DELAY_NS */
    struct list starved; /* rflows that wait for memory, not for a port */
    struct list dirty;   /* netmgr.dirty */
    struct deadline ack;
    uint32_t kept;         /* messages without an outcome */
    uint64_t evicted_next; /* highest `next` of evicted records */
    uint64_t assembly_bytes;
    struct net_link_stats stats;
};

struct kept {
    struct msg msg;
    uint64_t ticket;
    uint64_t deadline_ns;
    uint32_t bytes;
    bool live; /* else a VOID */
};

/* A flow to another site. Numbers:
 *
 *   una <= nxt <= end    una..nxt are in flight in this round
 *   una <= hi  <= end    below hi: transmitted whole, so that without an ACK
 *                        nobody knows; from hi on certainly not delivered */
struct sflow {
    struct list node;    /* peer.sflows */
    struct list ready;   /* peer.ready[lane] */
    struct list room;    /* netmgr.rooms: NET_ROOM_FOR is due */
    struct list of_src;  /* pflows.flows of its source ... */
    struct list of_dst;  /* ... and of its destination */
    struct sflow *chain; /* same key, other ports */
    uint64_t key_hi, key_lo;
    struct peer *peer;
    struct pflows *from, *to;
    uint64_t origin_site, origin_epoch;
    struct motet_ui src, dst;
    struct motet_pi pi;   /* as bound */
    uint32_t incarnation; /* that the destination belongs to, 0 = any */
    uint32_t handle;      /* 0 = not bound */
    uint16_t round;
    uint8_t lane;
    bool returning;
    bool await;    /* BIND(resume) not answered yet */
    bool bind_due; /* repeat the BIND (datagram) */
    bool strayed;  /* its last BIND may still arrive, from a path that ended */
    bool starved;  /* no credit, or rewound */
    bool blocked;  /* a sender was told AGAIN */
    bool frozen;   /* its source moves: nothing happens to it */
    struct kept *ring;
    uint32_t ring_slots; /* power of two */
    uint32_t fragment;   /* bytes of message `nxt` already sent */
    uint64_t una, nxt, hi, end;
    uint64_t top; /* no byte of this number or a later one was ever sent */
    uint64_t credit_msgs;
    uint64_t credit_bytes;
    uint64_t flight_bytes;
    uint64_t kept_bytes;
    uint64_t epoch;
    uint32_t live; /* kept messages that are no VOID */
    uint32_t dup_acks;
    uint64_t due_ns;    /* no kept message is due before it */
    uint64_t rto_at_ns; /* DEADLINE_NEVER = not running */
    uint64_t rto_ns;
    uint64_t back_ns;    /* when it last went back */
    uint64_t circle_ns;  /* not before: its destination was denied where it is
                          * said to be; 0 = no matter */
    uint64_t idle_at_ns; /* DEADLINE_NEVER while something is kept */
    struct deadline timer;
};

enum ack_due { ACK_NONE, ACK_LAZY, ACK_NOW };

/* The flows of one port: to it from others, to it from here, or from it. */
struct pflows {
    struct motet_ui ui;
    struct list flows;
};

/* A flow from another site: also the record of what was accepted. */
struct rflow {
    struct list node; /* peer.rflows */
    struct list lru;  /* netmgr.lru, least recently used first */
    struct list port; /* dport.rflows */
    struct list due;  /* peer.acks or lazy_acks */
    struct list wait; /* peer.starved */
    struct rflow *chain;
    uint64_t key_hi, key_lo;
    struct peer *peer;
    uint32_t incarnation; /* of the peer, when it was last bound */
    struct pflows *dport;
    struct motet_ui src, dst;
    struct motet_pi pi;
    uint64_t src_epoch;
    uint64_t origin_site, origin_epoch;
    uint32_t generation;
    uint32_t handle; /* 0 = not bound */
    uint32_t last_handle;
    uint16_t round;
    uint16_t refused; /* enum motet_err for `next`, 0 = not */
    uint16_t gone;    /* enum motet_err, 0 = not */
    uint8_t lane;
    bool returning;
    bool starved; /* credit is owed when there is room */
    bool sure;    /* `next` is the owner's word */
    uint8_t ack;  /* enum ack_due */
    uint64_t next;
    uint64_t credit_msgs;
    uint32_t credit_bytes;
    uint32_t unacked_msgs, unacked_bytes;
    struct buf *part; /* of message `next` */
    uint32_t have;
    uint64_t used_ns;
};

struct override {
    struct list lru; /* unless it lives here */
    struct motet_ui dst;
    uint64_t site;
    uint32_t incarnation; /* 0 = any */
    uint64_t epoch;
};

struct outcome {
    uint64_t ticket;
    enum motet_err err;
    struct place_of place;
};

union note {
    struct net_hello hello;
    struct net_refuse refuse;
};

struct netmgr {
    struct net_limits limits;
    struct mem *mem;
    struct trace *trace;
    struct prng prng;
    uint64_t now;
    uint64_t turn;
    uint64_t site;
    uint32_t incarnation;
    bool insecure;
    enum net_transport transport;
    struct net_way ways[NET_WAYS_MAX];
    uint32_t way_count;
    bool chacha;
    bool leaving;
    bool more; /* a step stopped at the ring of effects */
    char name[MOTET_NAME_MAX + 1];
    char cluster[MOTET_NAME_MAX + 1];
    char address[NET_ADDR_MAX + 1];
    uint32_t view_sites;
    uint64_t view_lowest;
    uint32_t selves; /* own HELLOs that came back */

    struct deadlines timers;
    struct deadline sweep;
    struct list peers;
    struct list conns;
    struct list seeds;
    struct list dirty; /* peers with something to emit */
    struct list rooms;
    struct list lru; /* rflows */
    struct list overrides;
    struct map peer_by_site;
    struct map conn_by_id;
    struct map sflow_by_key;
    struct map sflow_by_handle;
    struct map rflow_by_key;
    struct map rflow_by_handle; /* (site, handle) */
    struct map dport_by_ui;     /* struct pflows: flows to ports here ... */
    struct map sport_by_ui;     /* ... flows from ports here ... */
    struct map tport_by_ui;     /* ... and their destinations */
    struct map frozen;          /* ports that stand still */
    struct map override_by_ui;
    struct pool peer_pool;
    struct pool conn_pool;
    struct pool seed_pool;
    struct pool sflow_pool;
    struct pool rflow_pool;
    struct pool pflows_pool;
    struct pool override_pool;
    uint64_t key_seed[2];
    uint64_t next_dial;
    struct peer *self;    /* the loop; not among `peers` */
    struct sflow *sent;   /* the one last looked for, or NULL */
    struct sflow *filled; /* by NET_IN_ITEM: its KEPT follow */
    uint64_t filled_at;   /* number of the next */
    uint64_t next_base;   /* of a new flow, in units of 2^20 */
    uint32_t next_handle;
    uint32_t next_generation;
    uint64_t evicted_next;   /* of peers forgotten altogether */
    uint64_t evicted_abroad; /* of lives that are over */
    uint32_t sessions;

    struct rflow *offered; /* waits for its VERDICT */
    enum msg_kind offered_kind;
    uint32_t offered_bytes;
    uint64_t offered_seq;
    bool offered_ask;

    struct net_effect *effects;         /* ring of EFFECTS_MAX */
    uint32_t effect_head, effect_count; /* the one borrowed included */
    bool effect_taken;
    union note *notes;
    uint32_t note_next;
    uint32_t notes_step;      /* in this step */
    struct outcome *outcomes; /* ring; room for all that are kept */
    uint32_t outcome_slots, outcome_head, outcome_count;
    struct net_effect outcome; /* the one borrowed */
    uint32_t kept;
    uint32_t tickets; /* of them, those that want an outcome */
    uint64_t kept_bytes;
};

#endif

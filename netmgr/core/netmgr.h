#ifndef NETMGR_H
#define NETMGR_H

#include <motet/err.h>
#include <motet/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/image.h"
#include "nucleus/base/mem.h"
#include "nucleus/base/msg.h"
#include "nucleus/base/trace.h"

/* The network manager of a site: sessions with other sites and the flows in
 * them. A pure machine; frames are plain structs here, bytes elsewhere (proto).
 *
 * Session: one per pair of incarnations. Two lanes, a connection each: CONTROL
 * always, BULK on demand. A broken connection is not an outcome: it is dialed
 * again (back-off 50 ms doubling to 2 s, jittered) and the flows go on. A
 * connection is a *stream* (ordered, until it breaks) or, when the driver says
 * so, a *datagram* path: each packet may be lost, duplicated or reordered.
 *
 * Flow: the ordered messages of one group of kinds (queued, returning) from
 * one port to one port. The sending side numbers them from 1 and keeps each
 * until its outcome. The receiving side accepts only the next expected number
 * (go-back-N), offers it to the nucleus, acknowledges what was queued and
 * grants credit. A message that found no room is discarded there, and the
 * receiver raises the flow's `round`: frames of an older round are never
 * accepted any more, so that the sender knows exactly what is certainly not
 * delivered. A message whose deadline passes is replaced by a VOID in the same
 * place. Large messages are cut into fragments; flows of one lane take turns.
 *
 * FAST: where the session has a path over datagrams, flows of small messages,
 * acknowledgements and small membership frames take it, by `transport`. A flow
 * changes between CONTROL and FAST when all its messages have their outcome, by
 * a new BIND; when the path ends, as when a connection breaks.
 *
 * Lanes: frames of session, membership and acknowledgement go first on CONTROL.
 * A flow begins on CONTROL and, with its first message over
 * NET_EXPRESS_BYTES_MAX, moves to BULK for good once all earlier ones have
 * their outcome.
 *
 * Ports move. A flow is known by its two ports, wherever they live: each end
 * takes its half along (netmgr_image(), NET_IN_ITEM). The sending site goes
 * after a port that moved as soon as it knows where to; what was sent and has
 * no outcome is asked for there, where the record of what was taken is now.
 * Only the owner's word on that record counts. Messages between ports of this
 * very site whose flow began when one of them was elsewhere take the *loop*: a
 * session with this site itself, whose frames come back as they are.
 *
 * Ownership of messages as in nucleus.h: a step that returns MOTET_OK takes
 * in->msg.data (or in->frame's data); an effect gives its data. */

struct netmgr;

enum {
    NET_VERSION_MIN = 2,
    NET_VERSION_MAX = 2,
    NET_EXPRESS_BYTES_MAX = 8192, /* a larger message takes the bulk lane */
    NET_FRAGMENT_BYTES = 16384,   /* payload bytes in a DATA frame at most */
    NET_ADDR_MAX = 63,            /* "host:port", without the NUL */
    NET_CTL_BYTES_MAX = 16384,    /* a membership or directory message */
};

struct net_limits {
    uint32_t peers_max;            /* 1,024 */
    uint32_t flows_max;            /* 262,144 each way */
    uint32_t flow_msgs_max;        /* 1,024 kept for one flow's outcome; a
                                    * sender that waits may have as many again */
    uint32_t flow_bytes_max;       /* 4 MiB likewise; one message may be more */
    uint32_t credit_msgs_initial;  /* 16 */
    uint32_t credit_bytes_initial; /* 64 KiB */
    uint32_t body_bytes_max;       /* 16 MiB */
    uint32_t assembly_bytes_max;   /* 64 MiB of unfinished messages per peer */
    uint32_t lane_backlog_bytes;   /* 256 KiB of DATA given to a connection and
                                    * not yet drained */
    uint32_t violations_max;       /* 8 in 60 s closes the session; 30 s
                                    * back-off doubling to 10 min */
};

struct net_limits net_limits_default(void);

/* Which way small messages go, where both are there. */
enum net_transport {
    NET_TCP, /* no path over datagrams is offered or taken */
    NET_UDP, /* that path while it is up */
    NET_AUTO /* the one that answers sooner */
};

struct netmgr_config {
    uint64_t site;
    uint32_t incarnation;
    const char *name;    /* of this site; copied */
    const char *cluster; /* copied */
    const char *address; /* where others reach this site; copied */
    bool insecure;       /* no certificates: never meets a secure site */
    enum net_transport transport;
    bool chacha; /* no hardware for AES: asks for ChaCha20 on paths */
    bool past_open; /* where ports of earlier lives of this site live is not
                     * known yet: NET_IN_DEAD says when those lives are over */
    uint64_t seed;
    struct net_limits limits;
    struct mem *mem;     /* borrowed for life */
    struct trace *trace; /* borrowed for life */
};

/* FAST is a path over datagrams that the session has besides, at times. */
enum net_lane { NET_CONTROL, NET_BULK, NET_FAST, NET_LANE_COUNT };
enum { NET_LANES_DIALED = NET_FAST };

/* The connections of the loop: whoever carries out a NET_FRAME for one of them
 * feeds the frame back as NET_IN_FRAME before it takes the next effect. */
#define NET_LOOP(lane) (UINT64_MAX - (uint64_t)(lane))

static inline bool net_is_loop(uint64_t conn)
{
    return conn >= NET_LOOP(NET_LANE_COUNT - 1);
}

/* ---- Frames ----------------------------------------------------------------
 */

enum net_frame_kind {
    NET_HELLO = 1, /* first frame of a connection, both ways */
    NET_REFUSE,    /* answer to a HELLO; the connection closes */
    NET_BIND,      /* names a flow by a handle, for this connection */
    NET_UNBOUND,   /* the handle is not known: bind again */
    NET_DATA,
    NET_ACK,
    NET_MOVED, /* the port of this flow lives elsewhere now */
    NET_CTL,   /* opaque: membership or directory, best effort */
    NET_PING,  /* session liveness and round trip: echoed as PONG */
    NET_PONG,
    NET_BYE, /* this site leaves in good order */
    NET_FRAME_COUNT
};

enum net_hello_feature {
    NET_HELLO_DEAD = 1 << 0,   /* the sender has declared to_incarnation dead */
    NET_HELLO_PATH = 1 << 1,   /* it takes a path over datagrams */
    NET_HELLO_CHACHA = 1 << 2, /* ... and would rather not have AES on it */
};

struct net_hello {
    uint16_t version_min, version_max;
    uint64_t site;
    uint32_t incarnation;
    uint64_t to_site;        /* 0 = whoever answers (a seed address) */
    uint32_t to_incarnation; /* 0 = not known */
    enum net_lane lane;
    bool answer; /* sent by the side that accepted */
    bool insecure;
    uint32_t view_sites;  /* sites alive as seen by the sender, and ... */
    uint64_t view_lowest; /* ... the lowest site id of them: decides which
                           * side of a healed partition is reborn */
    uint32_t body_bytes_max;
    uint64_t features; /* enum net_hello_feature; unknown bits are ignored */
    uint64_t token;    /* with PATH: drawn for this connection */
    char name[MOTET_NAME_MAX + 1];
    char cluster[MOTET_NAME_MAX + 1];
    char address[NET_ADDR_MAX + 1];
};

struct net_refuse {
    uint64_t site;        /* who refuses */
    enum motet_err err;   /* VERSION, NAME_TAKEN, TWIN, STALE, AUTH, AGAIN,
                           * PERMISSION, LIMIT; EXISTS: there is a session
                           * between the two already */
    uint32_t incarnation; /* STALE: the least that would be taken */
    char detail[128];     /* for people: who is meant */
};

struct net_bind {
    uint32_t handle; /* chosen by the sender, never reused in a session */
    bool returning;
    bool resume; /* there are messages without outcome that were transmitted
                  * before: answer with an ACK at once */
    struct motet_ui src, dst;
    struct motet_pi pi;
    uint64_t epoch; /* of the destination, as the sender knows it; 0 = first */
    uint64_t base;  /* number of the oldest message without an outcome */
    uint64_t src_epoch; /* of the source: an earlier owner's BIND is void */
    /* Where, and at which epoch of the source, the numbers of this flow began:
     * a flow that begins anew elsewhere owes nothing to older numbers. */
    uint64_t origin_site;
    uint64_t origin_epoch;
};

enum net_data_flag {
    NET_DATA_MORE = 1 << 0, /* further fragments follow */
    NET_DATA_VOID = 1 << 1, /* nothing in this place: count it, queue nothing */
    NET_DATA_ASK = 1 << 2,  /* the sender waits for the ACK: do not delay it */
};

struct net_data {
    uint32_t handle;
    uint16_t round;
    uint8_t flags;
    uint64_t seq;
    uint32_t total;       /* bytes of the whole message (annex and body) */
    uint32_t offset;      /* of this fragment in it */
    uint32_t size;        /* bytes of this fragment */
    struct msg msg;       /* all but data; in every fragment */
    const uint8_t *bytes; /* in: borrowed from the input. out: inside `hold` */
    struct buf *hold;     /* out: a reference that keeps `bytes`; else NULL */
};

enum net_ack_flag {
    NET_ACK_REWIND = 1 << 0,  /* round was raised: send again from `next` */
    NET_ACK_REFUSED = 1 << 1, /* `next` is refused for `status`; a VOID must
                               * take its place */
    NET_ACK_GONE = 1 << 2,    /* no such port here, or its record of this flow
                               * was evicted (status MAYBE_LOST) */
};

struct net_ack {
    uint32_t handle;
    uint16_t round;
    uint8_t flags;
    uint16_t status;       /* enum motet_err */
    uint64_t next;         /* all before it are queued (or void) */
    uint64_t credit_msgs;  /* absolute: numbers below this may be sent */
    uint32_t credit_bytes; /* relative: bytes from `next` on */
};

struct net_moved {
    uint32_t handle;
    uint64_t site;
    uint32_t incarnation;
    uint64_t epoch;
    uint64_t next; /* all before it are queued; of the others the site says
                    * nothing: its record of them has moved too */
};

struct net_frame {
    enum net_frame_kind kind;
    union {
        const struct net_hello *hello;   /* borrowed like bytes */
        const struct net_refuse *refuse; /* likewise */
        struct net_bind bind;
        uint32_t unbound;
        struct net_data data;
        struct net_ack ack;
        struct net_moved moved;
        uint64_t ping; /* PING, PONG: the sender's time, echoed */
        struct {
            const uint8_t *bytes; /* as in net_data */
            uint32_t size;
            struct buf *hold;
        } ctl;
    } u;
};

/* ---- Inputs and effects ----------------------------------------------------
 */

enum net_in_kind {
    NET_IN_PEER = 1,    /* site, addr: where a site can be reached, and that a
                         * session is wanted. site 0: a seed address */
    NET_IN_FORGET,      /* site: no session wanted any more */
    NET_IN_CONN_UP,     /* conn, site (verified; 0 = not known), dial (ours; 0 =
                         * accepted), datagram, addr (of the peer) */
    NET_IN_CONN_DOWN,   /* conn */
    NET_IN_DIAL_FAILED, /* dial */
    NET_IN_FRAME,       /* conn, frame */
    NET_IN_VIOLATION,   /* conn: bytes that are no frame */
    NET_IN_DRAINED,     /* conn, bytes: left the connection's write queue */
    NET_IN_SEND,        /* ticket, src, dst, msg, deadline_ns, wait, here: the
                         * nucleus has the destination. AGAIN: the flow's own
                         * queue is full, NET_ROOM_FOR will follow. NO_SITE,
                         * SITE_DEAD, NO_PORT: refused at once */
    NET_IN_CANCEL,      /* ticket: settle now; NET_OUTCOME follows in this step,
                         * CANCELLED or MAYBE_CANCELLED */
    NET_IN_VERDICT,     /* flow, err, room_msgs, room_bytes: answer to the OFFER
                         * just given */
    NET_IN_ROOM,        /* dst: that port has room again */
    NET_IN_PORT_END, /* dst: that port ended. Flows to it answer GONE; what it
                      * had sent is still carried to its outcome */
    NET_IN_DOWN,     /* site, incarnation: it is over, but its ports may have
                      * moved: sessions end, flows wait */
    NET_IN_DEAD,     /* site, incarnation: likewise, and all is known of what
                      * moved away from there: what is left ends with it */
    NET_IN_WHERE,    /* dst, site, incarnation, epoch: the directory knows the
                      * owner */
    NET_IN_FREEZE,   /* dst: the port is about to move, or being installed: its
                      * flows stand still. NO_MEMORY */
    NET_IN_HERE,     /* dst, epoch: from now on it lives here (again) */
    NET_IN_AWAY,     /* dst, site, incarnation, epoch: it lives there, or (site
                      * 0) nobody knows. Its flows and what they keep are dropped
                      * without an outcome; who asks for it is sent on */
    NET_IN_ITEM,     /* item of a frozen port: SFLOW, its KEPT, RFLOW. LIMIT,
                      * NO_MEMORY, PROTOCOL. Takes item->msg.data on success */
    NET_IN_CTL,      /* site, bytes of a CTL frame: best effort; dropped when
                      * there is no session (UNREACHABLE) */
    NET_IN_PATH,  /* conn (a new name), dial (the CONTROL connection it belongs
                   * to), size: the path that NET_PATH offered is up, or its
                   * frames may be larger now: payload bytes of DATA. It is a
                   * connection of its own from then on: reliable, and in order
                   * for the frames of one handle */
    NET_IN_VIEW,  /* view_sites, view_lowest: for HELLO */
    NET_IN_LEAVE, /* say BYE to all */
    NET_IN_FLUSH, /* end of a turn: emit what is ready */
    NET_IN_TICK,
    NET_IN_COUNT
};

struct net_in {
    enum net_in_kind kind;
    uint64_t now_ns;
    uint64_t conn; /* the driver's name of a connection, never reused, not 0 */
    uint64_t dial;
    uint64_t site;
    uint32_t incarnation;
    const char *addr; /* borrowed */
    bool datagram;
    const struct net_frame *frame; /* borrowed, with its bytes */
    uint64_t ticket;
    struct motet_ui src, dst;
    struct msg msg;
    uint64_t deadline_ns;
    bool wait;
    bool here;
    uint64_t flow;
    enum motet_err err;
    uint32_t room_msgs, room_bytes;
    uint64_t epoch;
    const struct image_item *item; /* borrowed */
    const uint8_t *bytes;          /* CTL: borrowed, copied */
    uint32_t size;                 /* CTL, DRAINED */
    uint32_t view_sites;
    uint64_t view_lowest;
};

enum net_effect_kind {
    NET_DIAL = 1, /* dial, addr, site (0 = any), lane */
    NET_CLOSE,    /* conn, after what was written before it */
    NET_FRAME,    /* conn, frame */
    NET_OFFER,    /* flow, src, dst, msg, place: where the source lives, about:
                   * where msg.reply_to does, owned: of a WATCH, whether dst
                   * moved here (it may have ended since). Deliver, then feed
                   * NET_IN_VERDICT before anything else */
    NET_OUTCOME,  /* ticket, err, place: where it was queued, when err is OK */
    NET_WHERE,    /* dst, place, epoch: the port was found to live there */
    NET_ROOM_FOR, /* src, dst: room in the sender's own queue again */
    NET_GOT_CTL,  /* site, incarnation, bytes (borrowed from the input) */
    NET_SESSION,  /* site, incarnation, up, rtt_ns, name, addr: came up, broke,
                   * or its round trip changed by a quarter */
    NET_HEARD,    /* site, incarnation: an authenticated frame came; at most
                   * once per site and turn */
    NET_PEER_BYE, /* site, incarnation */
    NET_SUPERSEDED,   /* site, incarnation: a newer incarnation said HELLO, and
                       * this one did not answer: it is dead */
    NET_REFUSED_US,   /* err, site, incarnation, detail: our HELLO was refused.
                       * STALE: be reborn with at least `incarnation` */
    NET_REFUSED_PEER, /* err, site, incarnation, detail: for the log */
    NET_STRANGER, /* conn, err, detail: closed for a violation; for the log */
    NET_PATH, /* conn, site, name, up (dialed from here), chacha, tokens (of the
               * dialer, of the other): both sides of this CONTROL connection
               * take a path over datagrams. Ends with the connection */
};

struct net_effect {
    enum net_effect_kind kind;
    uint64_t conn;
    uint64_t dial;
    uint64_t site;
    uint32_t incarnation;
    enum net_lane lane;
    uint64_t flow;
    uint64_t ticket;
    struct motet_ui src, dst;
    struct msg msg;
    struct net_frame frame;
    enum motet_err err;
    struct place_of place, about;
    uint64_t epoch;
    uint64_t rtt_ns;
    uint64_t tokens[2];
    bool chacha;
    bool up;
    bool owned;
    const uint8_t *bytes;
    uint32_t size;
    const char *name; /* this and the next two: borrowed until the next ... */
    const char *addr; /* ... step, never NULL in the effects that list them */
    const char *detail;
};

/* HELLO rules. A HELLO is refused: VERSION (no common version), AUTH (cluster
 * differs, insecure differs, or the site is not the verified one), NAME_TAKEN
 * (another live site has that name; names both), STALE (incarnation below the
 * highest seen or declared dead: `incarnation` says where to start from), TWIN
 * (a higher incarnation while the present one still answers a PING sent on its
 * CONTROL connection at the HELLO: the newcomer is first told AGAIN and to ask
 * again after 1 s). After a healed partition in which each declared the other
 * dead, the side with the smaller view (then the higher lowest id) is refused
 * as STALE; the other side's older record of it is dropped.
 * A HELLO to a seed address whose site is in session with the dialer already is
 * refused as EXISTS. NET_SESSION tells of a break only if it lasts 100 ms.
 * When both dial at once, the connection dialed by the higher site id stays. */

/** @return NULL at the memory cap */
struct netmgr *netmgr_create(const struct netmgr_config *cfg);

/** Releases everything. No effects, no outcomes. */
void netmgr_destroy(struct netmgr *n);

/** @return MOTET_OK, or why nothing was changed (see the kinds). A frame that
 * breaks the protocol is not an error of the step: its connection closes. */
MUST_USE enum motet_err netmgr_step(struct netmgr *n, const struct net_in *in);

/** Takes the oldest effect. @return NULL when there is none; else borrowed
 * until the next call of netmgr_effect(), although steps may come between.
 * After each step all effects must be taken; the answer to a NET_OFFER must be
 * fed before the next one is taken. */
const struct net_effect *netmgr_effect(struct netmgr *n);

uint64_t netmgr_deadline_ns(const struct netmgr *n);

/** Whether a site has answered at each of the addresses that were given, this
 * one among them or not. */
bool netmgr_met_seeds(const struct netmgr *n);

/** Where a port lives, as far as is known here. epoch 0: a guess, its birth
 * site. */
struct place_of netmgr_where(const struct netmgr *n, struct motet_ui port,
                             uint64_t *epoch);

/* The image of a frozen port, item by item. Zero: at the beginning. */
struct net_walk {
    int stage;
    void *at;
    uint64_t seq;
};

/** The next item; its message data is a reference of the item's own.
 * @return false at the end */
MUST_USE bool netmgr_image(const struct netmgr *n, struct motet_ui port,
                           struct net_walk *walk, struct image_item *it);

/* For status. Counters carry the names TIPC users know. */
struct net_link_stats {
    uint64_t site;
    uint32_t incarnation;
    char name[MOTET_NAME_MAX + 1];
    char addr[NET_ADDR_MAX + 1];
    bool up;
    uint64_t up_since_ns;
    uint64_t rtt_ns;
    uint64_t tx_packets, rx_packets; /* messages */
    uint64_t tx_bytes, rx_bytes;
    uint64_t tx_fragments, rx_fragments;
    uint64_t retrans, dups, naks, breaks;
    uint32_t flows_out, flows_in;
    uint64_t backlog_bytes;
    uint64_t fast;        /* the connection of its path, 0 = none */
    uint64_t fast_rtt_ns; /* asked over it, 0 = not known */
    uint64_t fast_ups;    /* how often it came up, ... */
    uint64_t fast_downs;  /* ... and went down */
    bool fast_used;       /* small messages take it */
};

/** The peer after `after` (0: the first), in order of first acquaintance.
 * @return false at the end */
MUST_USE bool netmgr_next_link(const struct netmgr *n, uint64_t after,
                               struct net_link_stats *stats);

struct net_counts {
    uint32_t peers, sessions, flows_out, flows_in, pending; /* messages kept */
    uint64_t pending_bytes;
};
struct net_counts netmgr_counts(const struct netmgr *n);

#endif

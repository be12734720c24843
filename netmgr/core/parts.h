#ifndef NETMGR_PARTS_H
#define NETMGR_PARTS_H

#include "netmgr/core/state.h"

/* What the files of a network manager do for each other: each includes this. */

/* ---- netmgr.c ---- */

/** An effect at the end of the ring, cleared but for `frame`. CHECKs that there
 * is room. */
struct net_effect *effect_push(struct netmgr *n, enum net_effect_kind kind);
/** A NET_FRAME there; what is not of that kind is not cleared. */
struct net_effect *effect_frame(struct netmgr *n, const struct conn *c,
                                enum net_frame_kind kind);
/** Whether FLUSH and TICK may go on; sets `more` if not. */
bool effects_go_on(struct netmgr *n);
/** A place for a HELLO or REFUSE, good until its effect was carried out. */
union note *note_new(struct netmgr *n);
/** Room for one outcome more; false at the cap. */
MUST_USE bool outcome_reserve(struct netmgr *n);
void outcome_push(struct netmgr *n, uint64_t ticket, enum motet_err err,
                  struct place_of place);
/** Arms a new timer; false at the cap. It stays armed (at FAR) for life, so
 * that timer_set() cannot fail. */
MUST_USE bool timer_start(struct netmgr *n, struct deadline *t,
                          enum timer_kind kind);
void timer_set(struct netmgr *n, struct deadline *t, uint64_t at_ns);
/** Moves it earlier if need be. */
void timer_before(struct netmgr *n, struct deadline *t, uint64_t at_ns);
/** Copies a text into an array, cut to fit. */
void text_copy(char *to, size_t size, const char *from);
/** Appends likewise. */
void text_add(char *to, size_t size, const char *from);

/* ---- peer.c ---- */

struct peer *peer_find(const struct netmgr *n, uint64_t site);
/** Finds or makes; NULL at the limit or cap. */
struct peer *net_peer_get(struct netmgr *n, uint64_t site);
void peer_free(struct netmgr *n, struct peer *p);
enum motet_err peer_in(struct netmgr *n, const struct net_in *in);
enum motet_err peer_in_forget(struct netmgr *n, const struct net_in *in);
enum motet_err peer_in_dead(struct netmgr *n, const struct net_in *in);
enum motet_err peer_in_down(struct netmgr *n, const struct net_in *in);
/** All incarnations up to this one are over: ends their sessions. */
void peer_bury(struct netmgr *n, struct peer *p, uint32_t incarnation);
/** A newer incarnation takes over, or the first one comes: what was meant for
 * older ones ends. */
void peer_succeed(struct netmgr *n, struct peer *p, uint32_t incarnation);
void peer_violation(struct netmgr *n, struct conn *c, const char *detail);
void peer_dirty(struct netmgr *n, struct peer *p);
bool peer_banned(const struct netmgr *n, const struct peer *p);

/* ---- dial.c ---- */

enum motet_err peer_in_dial_failed(struct netmgr *n, const struct net_in *in);
/** A connection of that lane is needed: dial unless it is there or coming. */
void net_peer_want(struct netmgr *n, struct peer *p, enum net_lane lane);
/** The dial with that id. @return false if there is none */
bool peer_dialed(struct netmgr *n, uint64_t id, struct peer **p,
                 struct seed **seed, enum net_lane *lane);
void dial_again(struct netmgr *n, struct dial *d, uint64_t after_ns);
/** No back-off any more; what is not answered gets another one beside it. */
void dial_hurry(struct netmgr *n, struct dial *d);
/** That attempt has ended. @return false: it was the latest of all, which is
 * the caller's to note */
bool dial_over(struct dial *d, uint64_t id);
void dial_due(struct netmgr *n, struct dial *d);
void seed_again(struct netmgr *n, struct seed *s, uint64_t after_ns);
void seed_due(struct netmgr *n, struct seed *s);

/* ---- session.c ---- */

enum motet_err session_in_up(struct netmgr *n, const struct net_in *in);
/** Gives NET_CLOSE and forgets the connection; flows on it wait. */
void net_conn_close(struct netmgr *n, struct conn *c);
void conn_free(struct netmgr *n, struct conn *c);
void conn_timer(struct netmgr *n, struct conn *c);
enum motet_err session_in_down(struct netmgr *n, const struct net_in *in);
void session_tell(struct netmgr *n, struct peer *p);
/** The break has lasted, or the peer is dead: tells it if that is news. */
void session_told_down(struct netmgr *n, struct peer *p);
void session_unbind_lane(struct netmgr *n, struct peer *p, enum net_lane lane);
void session_hello_in(struct netmgr *n, struct conn *c,
                      const struct net_hello *h);
void session_refuse_in(struct netmgr *n, struct conn *c,
                       const struct net_refuse *r);
/** Answers a HELLO that came again (datagram). */
void session_hello_again(struct netmgr *n, const struct conn *c);
struct conn *conn_find(const struct netmgr *n, uint64_t id);

/** A connection that came up, not adopted yet. */
enum motet_err net_conn_new(struct netmgr *n, const struct net_in *in,
                            struct conn **made);

/* ---- fast.c ---- */

/** CONTROL is adopted: offers a path if both sides take one. */
void fast_offer(struct netmgr *n, const struct conn *c,
                const struct net_hello *h);
enum motet_err fast_in_path(struct netmgr *n, const struct net_in *in);
/** The path is no more: what went over it goes over CONTROL. */
void fast_down(struct netmgr *n, struct peer *p);
void fast_ping(struct netmgr *n, struct peer *p);
void fast_pong(struct netmgr *n, struct conn *c, uint64_t rtt_ns);
/** Decides again which way small messages go. */
void fast_judge(struct netmgr *n, struct peer *p);
/** Where flows of small messages belong now. */
enum net_lane small_lane(const struct peer *p);
/** Where acknowledgements go; NULL without a session. */
const struct conn *answer_conn(const struct peer *p);

/* ---- ways.c ---- */

/** The way of small messages on the link with a site; NULL: of all others. */
enum net_transport way_of(const struct netmgr *n, const struct peer *p);
/** Whether any link may have a path. */
bool ways_any(const struct netmgr *n);
/** @return false: too many */
MUST_USE bool ways_init(struct netmgr *n, const struct net_way *ways,
                        uint32_t count);
enum motet_err ways_in(struct netmgr *n, const struct net_in *in);

/* ---- frames.c ---- */

enum motet_err session_in_frame(struct netmgr *n, const struct net_in *in);
enum motet_err session_in_violation(struct netmgr *n, const struct net_in *in);
enum motet_err session_in_drained(struct netmgr *n, const struct net_in *in);
enum motet_err session_in_ctl(struct netmgr *n, const struct net_in *in);
enum motet_err session_in_leave(struct netmgr *n, const struct net_in *in);
void session_ping(struct netmgr *n, struct conn *c);
void ping_timer(struct netmgr *n, struct peer *p, uint64_t due_ns);
struct conn *peer_conn(const struct peer *p, enum net_lane lane);
uint64_t peer_rto(const struct peer *p);

/* ---- hello.c ---- */

enum hello_do {
    HELLO_ADOPT,
    HELLO_REFUSE,    /* with `refuse` */
    HELLO_WAIT,      /* tell AGAIN, nothing else */
    HELLO_SELF,      /* it is this very site */
    HELLO_REBORN,    /* it is this site that is to be reborn */
    HELLO_TELL,      /* tell AGAIN, and dial it from here */
    HELLO_TWIN_ASK,  /* tell AGAIN, and PING the present one */
    HELLO_SUPERSEDE, /* adopt: the present one did not answer */
};

/** What becomes of the sender of a HELLO. `p`: what is known of it, or NULL. */
enum hello_do hello_judge(const struct netmgr *n, const struct conn *c,
                          const struct net_hello *h, const struct peer *p,
                          struct net_refuse *refuse);
void hello_write(const struct netmgr *n, const struct conn *c, bool answer,
                 const struct peer *to, struct net_hello *h);

/* ---- locate.c ---- */

struct place {
    uint64_t site;
    uint32_t incarnation; /* 0 = any */
    uint64_t epoch;
};

struct place locate(const struct netmgr *n, struct motet_ui dst);
/** Notes an owner, and tells of it. @return false for old news */
bool locate_moved(struct netmgr *n, struct motet_ui dst, struct place where);
/** Likewise, and the flows from here go after it. */
bool locate_follow(struct netmgr *n, struct motet_ui dst, struct place where);
/** Forgets that a port lives here; it ended. */
void locate_ended(struct netmgr *n, struct motet_ui dst);
/** Whether the port lives here, or was made here and ended. */
bool locate_own(const struct netmgr *n, struct motet_ui dst);
/** The epoch of a port here. */
uint64_t locate_epoch(const struct netmgr *n, struct motet_ui port);
/** Whether `where` is known to be another place than this site. */
static inline bool place_elsewhere(const struct netmgr *n, struct place where)
{
    return where.epoch != 0 && where.site != n->site;
}
enum motet_err locate_in_where(struct netmgr *n, const struct net_in *in);

/* ---- move.c ---- */

enum motet_err move_in_freeze(struct netmgr *n, const struct net_in *in);
enum motet_err move_in_here(struct netmgr *n, const struct net_in *in);
enum motet_err move_in_away(struct netmgr *n, const struct net_in *in);
enum motet_err move_in_item(struct netmgr *n, const struct net_in *in);

/* ---- loop.c ---- */

MUST_USE bool loop_new(struct netmgr *n, bool past_open);

/* ---- sendflow.c ---- */

enum motet_err sflow_in_send(struct netmgr *n, const struct net_in *in);
enum motet_err sflow_in_cancel(struct netmgr *n, const struct net_in *in);
struct kept *sflow_slot(const struct sflow *f, uint64_t seq);
/** Ends message `seq`; its place is a VOID from now on. */
void sflow_settle(struct netmgr *n, struct sflow *f, uint64_t seq,
                  enum motet_err err);
/** Ends all that is kept: uncertain ones with `maybe`, the others with `no`. */
void sflow_settle_all(struct netmgr *n, struct sflow *f, enum motet_err maybe,
                      enum motet_err no);
/** All before `next` were accepted. */
void sflow_accepted(struct netmgr *n, struct sflow *f, uint64_t next);
/** Drops places that need not be sent; frees senders; to be called after
 * messages were settled. */
void sflow_tidy(struct netmgr *n, struct sflow *f);
/** Forgets the places of a flow in which nothing is kept any more. A new handle
 * with a higher base will say as much as the VOIDs would have. */
void sflow_drop_voids(struct netmgr *n, struct sflow *f);
void sflow_unbind(struct netmgr *n, struct sflow *f);
void sflow_free(struct netmgr *n, struct sflow *f);
/** Forgets it with all that it keeps: no outcomes. */
void sflow_drop(struct netmgr *n, struct sflow *f);
/** A flow with nothing kept. NULL: LIMIT or NO_MEMORY in *err. */
struct sflow *sflow_make(struct netmgr *n, struct peer *p, struct motet_ui src,
                         struct motet_ui dst, bool returning,
                         struct place where, enum motet_err *err);
/** The flow between these ports, or NULL. */
struct sflow *sflow_find(const struct netmgr *n, struct motet_ui src,
                         struct motet_ui dst, bool returning);
/** Makes room for `count` messages in all. @return false at the cap */
MUST_USE bool sflow_ring_fit(struct netmgr *n, struct sflow *f, uint64_t count);
/** Puts a message behind the last one; there must be a place in the ring. Takes
 * msg->data. */
void sflow_append(struct netmgr *n, struct sflow *f, const struct msg *msg,
                  uint64_t ticket, uint64_t deadline_ns);
void sflow_timer(struct netmgr *n, struct sflow *f);
/** To another site, or to the loop. Settles if that cannot be. */
void sflow_move(struct netmgr *n, struct sflow *f, struct place where);
/** Whether the destination is certainly dead. */
bool place_dead(const struct peer *p, uint32_t incarnation);
void rooms_tell(struct netmgr *n);

/* ---- answer.c ---- */

/* @return false when the frame breaks the protocol */
bool answer_ack(struct netmgr *n, struct peer *p, const struct net_ack *a);
bool answer_moved(struct netmgr *n, struct peer *p, const struct net_moved *m);
bool answer_unbound(struct netmgr *n, struct peer *p, uint32_t handle);
void sflow_rto(struct netmgr *n, struct sflow *f);

/* ---- lane.c ---- */

/** Puts the flow among the ready ones, or takes it out. */
void lane_poke(struct netmgr *n, struct sflow *f);
/** Emits what is ready. */
void lane_flush(struct netmgr *n);

/* ---- recvflow.c ---- */

bool rflow_bind(struct netmgr *n, struct peer *p, const struct conn *c,
                const struct net_bind *b);
struct rflow *rflow_by_handle(const struct netmgr *n, const struct peer *p,
                              uint32_t handle);
void rflow_unbind(struct netmgr *n, struct rflow *r);
void rflow_free(struct netmgr *n, struct rflow *r);
/** The flows of a port in one of the three maps; made at need, or NULL. */
struct pflows *pflows_find(const struct map *m, struct motet_ui ui);
struct pflows *pflows_get(struct netmgr *n, struct map *m, struct motet_ui ui);
/** Frees it if it is empty; NULL is allowed. */
void pflows_release(struct netmgr *n, struct map *m, struct pflows *p);
/** The record of a flow, whichever site it comes from, or NULL. */
struct rflow *rflow_find(const struct netmgr *n, struct motet_ui src,
                         struct motet_ui dst, bool returning);
/** A new record. NULL at a limit or the cap. */
struct rflow *rflow_make(struct netmgr *n, struct peer *p,
                         const struct net_bind *b);
/** It comes from that site now. */
void rflow_rehome(struct rflow *r, struct peer *p);
void rflow_part_drop(struct rflow *r);
void rflow_touch(struct netmgr *n, struct rflow *r);
void rflow_sweep(struct netmgr *n);
uint64_t rflow_id(const struct netmgr *n, const struct rflow *r);
struct rflow *rflow_by_id(const struct netmgr *n, uint64_t id);

/* ---- accept.c ---- */

bool accept_data(struct netmgr *n, struct peer *p, struct conn *c,
                 const struct net_data *d);
enum motet_err accept_in_verdict(struct netmgr *n, const struct net_in *in);
enum motet_err accept_in_room(struct netmgr *n, const struct net_in *in);
enum motet_err accept_in_port_end(struct netmgr *n, const struct net_in *in);
void ack_due(struct netmgr *n, struct rflow *r, enum ack_due due);
/** Emits the ACKs that are due now; with `lazy`, the others too. */
void ack_flush(struct netmgr *n, struct peer *p, bool lazy);
/** Memory was given back: those that waited for it may send again. */
void ack_wake(struct netmgr *n, struct peer *p);

#endif

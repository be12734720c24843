#ifndef CORE_H
#define CORE_H

#include "objects.h"

/* The inside of the nucleus.
 *
 *   nucleus.c  the interface, the table of operations, timers, leftover work
 *   effects.c  the queue of effects
 *   actor.c    actors                       port.c    ports
 *   port_end.c what the end of a port owes
 *   queue.c    the queue of a port, and who waits before it
 *   receive.c  blocked receives             parcel.c  messages on their way
 *   inner.c    messages of the nucleus      send.c    one-way messages
 *   fanout.c   to all of a group
 *   net.c      from the network manager     peer.c    other sites
 *   call.c     calls made here              held.c    requests owed a reply
 *   group.c    groups                       members.c their members
 *   watch.c    watches made here            watcher.c watches of ports here
 *   move.c     ports that leave, or stay    adopt.c   ports that come
 *   image.c    what they take along         debt.c    answers sent after them
 *
 * The rules of the inside:
 *  - A step is refused before it changes anything unless FX_STEP effects fit
 *    and there is memory. What must not fail (an end, a death, a deadline)
 *    allocates nothing.
 *  - What may take many effects (the end of a port, the death of a site, ...)
 *    is done in units, as far as fx_ready(); the rest is *work*, kept in a list
 *    and done as the effects are taken.
 *  - Lists are in the order of insertion; maps are only looked up. */

#define NS_PER_MS UINT64_C(1000000)

/* ---- nucleus.c ----------------------------------------------------------- */

/** An item with its id in `*id`. NULL and the reason in *err at a limit. */
void *ids_take(struct ids *ids, uint64_t *id, enum motet_err *err);
/** The item that has this index now, or NULL; the caller compares the id. */
void *ids_at(const struct ids *ids, uint64_t id);
/** An item under an id of another site. EXISTS when that is in use. */
void *ids_adopt(struct ids *ids, uint64_t id, enum motet_err *err);
/** The item that was adopted under this id, or NULL. */
void *ids_adopted(const struct ids *ids, uint64_t id);
void ids_put(struct ids *ids, void *item, uint64_t id);
/** NULL and LIMIT or NO_MEMORY in *err. */
void *pool_take_or(struct pool *pool, enum motet_err *err);
/** The keys of capabilities: a PRF of the site's secret. `what` keeps apart
 * what is named by the same words. */
uint64_t secret_key(const struct nucleus *n, uint64_t what, uint64_t hi,
                    uint64_t lo);
/** Half of a map key for what has a UI and a number. */
static inline uint64_t ui_fold(const struct nucleus *n, struct motet_ui ui)
{
    return hash_words(n->cfg.secret, ui.hi, ui.lo);
}

static inline void trace(struct nucleus *n, enum trace_what what,
                         uint32_t extra, uint64_t a, uint64_t b)
{
    trace_add(n->cfg.trace, n->now_ns, what, extra, a, b);
}

static inline bool ui_zero(struct motet_ui ui)
{
    return ui.hi == 0 && ui.lo == 0;
}

/* ---- effects.c ----------------------------------------------------------- */

MUST_USE bool fx_init(struct effects *fx, struct mem *mem);
void fx_fini(struct effects *fx);
/** Makes room for `count` effects. @return false at the memory cap */
MUST_USE bool fx_reserve(struct effects *fx, uint32_t count);
/** A zeroed effect at the end; there must be room. */
struct nuc_effect *fx_put(struct effects *fx, enum nuc_effect_kind kind);
/** The oldest effect, or NULL; it stays in place until the next call. */
struct nuc_effect *fx_take(struct effects *fx);

/** Whether one more unit of work may be done now. */
static inline bool fx_ready(const struct nucleus *n)
{
    return n->fx.room >= FX_STEP;
}

/* ---- actor.c ------------------------------------------------------------- */

enum motet_err actor_new(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out);
enum motet_err actor_end(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out);
enum motet_err actor_pi(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out);
enum motet_err actor_find(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out);
enum motet_err actor_adopts(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out);

static inline struct actor *actor_get(const struct nucleus *n,
                                      struct motet_ui ui)
{
    return map_get(&n->actor_by_ui, ui.hi, ui.lo);
}

/* ---- port.c, port_end.c -------------------------------------------------- */

enum motet_err port_new(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out);
enum motet_err port_end_op(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out);
enum motet_err port_set(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out);
enum motet_err port_info(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out);

static inline struct port *port_get(const struct nucleus *n, struct motet_ui ui)
{
    return map_get(&n->port_by_ui, ui.hi, ui.lo);
}

/** The port `ui` of the actor. NULL and the reason in *err: NO_PORT,
 * PERMISSION. */
struct port *port_of(const struct nucleus *n, struct motet_ui ui,
                     struct motet_ui actor, enum motet_err *err);
/** Its side, made at need; NULL at the memory cap. */
struct port_side *port_side(struct nucleus *n, struct port *p);
/** From now on it is not here; what it owes is done as work. */
void port_end(struct nucleus *n, struct port *p, enum motet_news news,
              bool asked);
/** Does what an ending port owes; frees it when that is all. */
void port_end_work(struct nucleus *n, struct port *p);
void port_free(struct nucleus *n, struct port *p);
/** Stamped on what is sent from it; its capability's key. */
struct motet_pi port_pi(const struct port *p);
uint64_t port_key(const struct nucleus *n, const struct port *p);
uint32_t port_msgs_max(const struct nucleus *n, const struct port *p);
uint32_t port_bytes_max(const struct nucleus *n, const struct port *p);

/* ---- queue.c ------------------------------------------------------------- */

/** Who asks for room in a queue. */
enum queue_side { QUEUE_LOCAL = 1, QUEUE_NET };

/** Whether a message of `bytes` may enter now, before those parked. */
bool queue_fits(const struct nucleus *n, const struct port *p, uint32_t bytes,
                enum queue_side side);
/** Whether senders here were told to wait, or to come again. */
bool queue_hungry(const struct port *p);
/** Whether one of this site may enter now, behind those parked. */
bool queue_open(const struct nucleus *n, const struct port *p, uint32_t bytes);

/**
 * Accepts a message: delivers it at once, or queues it in a parcel.
 *
 * @param held  of a request, else NULL; its parcel is set if queued
 * @return OK, or NO_MEMORY: nothing changed then
 *
 * Ownership: takes msg->data.
 */
enum motet_err queue_accept(struct nucleus *n, struct port *p,
                            struct motet_ui src, const struct msg *msg,
                            struct held *held);
/** Accepts a parcel that is in no list. Needs no memory. */
void queue_put(struct nucleus *n, struct port *p, struct parcel *q);
/** Puts a parcel before the queue. Needs no memory. */
void queue_park(struct nucleus *n, struct port *p, struct parcel *q);
/** Takes a parcel from the queue or from before it; it is in no list then.
 * Follow with queue_work() of the port. */
void queue_remove(struct nucleus *n, struct parcel *q);
/** News go behind whatever came before. Needs no memory. */
void queue_news(struct nucleus *n, struct port *p, struct parcel *q);
/** No news of this watch are left. */
void queue_drop_news(struct nucleus *n, struct port *p, uint64_t watch);
/** Gives the first message of the queue out. */
void queue_deliver(struct nucleus *n, struct port *p, uint64_t token);
/** Does what room, receivers or a change of the port allow. Call it after each
 * change; linked as work if the effects are short. */
void queue_work(struct nucleus *n, struct port *p);
/** Remembers who is to be told of room. @return AGAIN, or the limit */
enum motet_err queue_want(struct nucleus *n, struct port *p,
                          struct motet_ui src);
void queue_unwant(struct nucleus *n, struct port *p, struct want *w);
/** (Re)places an enabled port among those ready for receive-any, or takes it
 * out. @return false at the memory cap; never when it was in already */
MUST_USE bool queue_rank(struct port *p);

/* ---- receive.c ----------------------------------------------------------- */

enum motet_err receive(struct nucleus *n, const struct nuc_in *in,
                       struct nuc_out *out);
enum motet_err receive_stop(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out);
/** Who waits for a message of this port, or NULL. */
struct waiter *waiter_for(const struct port *p);
/** Ends it with an effect ... */
void waiter_end(struct nucleus *n, struct waiter *w, enum motet_err err);
/** ... and without. */
void waiter_free(struct nucleus *n, struct waiter *w);

/* ---- parcel.c, inner.c
 * ------------------------------------------------------------ */

/** A parcel in no list. NULL and the reason in *err. */
struct parcel *parcel_take(struct nucleus *n, enum parcel_role role,
                           enum motet_err *err);
/** Puts it back with its message, out of whatever it is in. */
void parcel_free(struct nucleus *n, struct parcel *q);
/** Hands it to the network manager; q->src, dst, msg, deadline_ns, wait say
 * what. */
void parcel_to_net(struct nucleus *n, struct parcel *q);
/** It is with the network manager: that must say what became of it. */
void parcel_ask_back(struct nucleus *n, const struct parcel *q);
/** The outcome of a parcel that is in no list; frees it. */
void parcel_settle(struct nucleus *n, struct parcel *q, enum motet_err err);
/** Its outcome is told elsewhere: frees it without a word. */
void parcel_moved(struct nucleus *n, struct parcel *q);
/** The network manager told its outcome. */
void parcel_told(struct nucleus *n, struct parcel *q);
/** As parcel_settle() of one that entered a queue here: stays in it. */
void parcel_accepted(struct nucleus *n, struct parcel *q);
/** Out of the group where it waits for a member. */
void parcel_unwait(struct nucleus *n, struct parcel *q);
/** Likewise, for good. */
void parcel_give_up(struct nucleus *n, struct parcel *q, enum motet_err err);
/** Its deadline came: PARKED, WAITING or STALLED. */
void parcel_expired(struct nucleus *n, struct parcel *q);
/** Sends a message of the nucleus itself from a port here, at the memory cap
 * without a parcel, that is: without another try. Takes msg->data. */
void parcel_inner(struct nucleus *n, struct motet_ui src, struct motet_ui dst,
                  const struct msg *msg);
/** Tries stalled ones of a flow again (src 0: of all), at most `count`. */
void parcel_restart(struct nucleus *n, struct peer *p, struct motet_ui src,
                    struct motet_ui dst, uint32_t count);
void parcel_follow(struct nucleus *n, struct motet_ui src, struct motet_ui dst);
/** What becomes of an outcome that is not OK: tried again? */
bool parcel_again(struct nucleus *n, struct parcel *q, enum motet_err err);
/** Its time to be tried again has come. */
void parcel_unstall(struct nucleus *n, struct parcel *q);
/** Whether its message is kept, to be handed over again if need be. */
bool parcel_keeps(const struct parcel *q);

/* ---- send.c, fanout.c ---------------------------------------------------- */

enum motet_err send_op(struct nucleus *n, const struct nuc_in *in,
                       struct nuc_out *out);
/** Sizes of a message from an actor: INVALID, TOO_BIG. */
enum motet_err msg_check(const struct nucleus *n, const struct msg *msg);
/** Where a message from `src` to a port goes: straight to *port here, or (NULL)
 * through the network manager. INVALID, NO_PORT, SITE_DEAD */
enum motet_err route(const struct nucleus *n, const struct port *src,
                     struct motet_ui ui, struct port **port);
/** A member arrived: sends on what waited for it. */
void send_woken(struct nucleus *n, struct parcel *q);
enum motet_err fanout_send(struct nucleus *n, const struct nuc_in *in,
                           struct port *src, struct group *g,
                           struct nuc_out *out);
/** The outcome of one part. */
void fanout_part(struct nucleus *n, struct fanout *f, enum motet_err err);
/** Tells an actor how its message ended, if it wants to know. */
void send_tell(struct nucleus *n, struct motet_ui actor, struct motet_ui src,
               uint64_t token, enum nuc_notify notify, enum motet_err err);
/** Adds an outcome that is not acceptance to the totals. */
void count_outcome(struct nucleus *n, enum motet_err err);

/* ---- net.c --------------------------------------------------------------- */

enum motet_err net_deliver(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out);
enum motet_err net_outcome(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out);
enum motet_err net_room_for(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out);

/* ---- peer.c -------------------------------------------------------------- */

enum motet_err peer_op(struct nucleus *n, const struct nuc_in *in,
                       struct nuc_out *out);
struct peer *peer_get(const struct nucleus *n, uint64_t site);
/** Made at need. NULL and the reason in *err. */
struct peer *peer_want(struct nucleus *n, uint64_t site, enum motet_err *err);
/** Frees it if nothing points to it. */
void peer_unwant(struct nucleus *n, struct peer *p);
/** Where a port was born: a first guess. */
struct place_of place_of_birth(struct motet_ui ui);
/** `place`, or a guess if it is not known. */
struct place_of place_or_birth(struct place_of place, struct motet_ui ui);
/** Ties something to an incarnation; 0 = the present one. */
void bond_tie(struct bond *b, struct peer *p, struct list *list,
              uint32_t incarnation);
/** Its site has died while nobody looked: it is looked at again. */
void bond_look(struct nucleus *n, struct bond *b);
enum motet_err where_op(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out);
bool port_away(const struct nucleus *n, struct motet_ui ui);
void bond_cut(struct nucleus *n, struct bond *b);
/** A later life of it is met. */
void peer_advance(struct peer *p, uint32_t incarnation);
/** Is the incarnation of a tied one over? */
bool bond_dead(const struct bond *b);
void peer_work(struct nucleus *n, struct peer *p);

/* ---- call.c -------------------------------------------------------------- */

enum motet_err call_op(struct nucleus *n, const struct nuc_in *in,
                       struct nuc_out *out);
enum motet_err call_cancel(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out);
struct call *call_get(const struct nucleus *n, uint64_t id);
/** Completes it. `reply` or NULL; its data is taken. */
void call_finish(struct nucleus *n, struct call *c, enum motet_err err,
                 const struct msg *reply);
/** Ends it from this side: `no` if it was certainly not executed, else
 * `maybe`. Later, if the network manager must say first. */
void call_give_up(struct nucleus *n, struct call *c, enum motet_err no,
                  enum motet_err maybe);
/** Its port is ending: ends it now. */
void call_abandon(struct nucleus *n, struct call *c);
void call_expired(struct nucleus *n, struct call *c);
/** The outcome of its leg, which is gone. */
void call_leg(struct nucleus *n, struct call *c, enum motet_err err,
              struct place_of place);
/** A member arrived for it. */
void call_woken(struct nucleus *n, struct parcel *q);
/** Its request is at port `server`, which lives at `place`. */
void call_moved(struct nucleus *n, struct call *c, struct motet_ui server,
                struct place_of place, uint16_t hops);
/** Forgets it without a word. */
void call_forget(struct nucleus *n, struct call *c);
/** Its server's site is dead. */
void call_bereft(struct nucleus *n, struct call *c);

/* ---- held.c -------------------------------------------------------------- */

enum motet_err held_reply(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out);
enum motet_err held_forward(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out);
/** A held for a request to `p`; of `call` made here, or of the remote caller
 * msg->reply_to, who lives at `place`. `id`: 0, or the one that it brings
 * along. Its deadline is not armed. NULL and the reason in *err. */
struct held *held_new(struct nucleus *n, struct port *p, const struct msg *msg,
                      struct call *call, struct place_of place, uint64_t id,
                      enum motet_err *err);
struct held *held_get(const struct nucleus *n, uint64_t id);
/** Makes one of a local caller that of a remote one, who lives here. */
MUST_USE bool held_globalize(struct nucleus *n, struct held *h);
/** An answer to a delivered one, from its actor or in its name. Takes
 * answer->data on success. */
enum motet_err held_answered(struct nucleus *n, struct held *h,
                             const struct msg *answer);
/** Forgets it; its parcel is the caller's business. */
void held_free(struct nucleus *n, struct held *h);
/** It was given out in an effect. */
void held_delivered(struct nucleus *n, struct held *h, const struct msg *msg);
/** The request of the caller, or NULL. */
struct held *held_find(const struct nucleus *n, struct motet_ui caller,
                       uint64_t call);
/** Tells the caller, on behalf of port `from`, why there will be no reply, and
 * forgets it. */
void held_answer(struct nucleus *n, struct held *h, struct motet_ui from,
                 enum motet_err err);
/** The caller gave up: takes the request back, or tells the server. */
void held_cancel(struct nucleus *n, struct held *h);
void held_expired(struct nucleus *n, struct held *h);
/** The outcome of a forwarded one. */
void held_forwarded(struct nucleus *n, struct held *h, struct motet_ui server,
                    struct place_of place, enum motet_err err);
/** Its port ends. */
void held_abandon(struct nucleus *n, struct held *h, enum motet_err err);

/* ---- group.c, members.c
 * --------------------------------------------------------------- */

enum motet_err group_new(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out);
enum motet_err group_insert(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out);
enum motet_err group_remove(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out);
enum motet_err group_list(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out);
enum motet_err group_member(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out);

static inline struct group *group_get(const struct nucleus *n,
                                      struct motet_ui ui)
{
    return map_get(&n->group_by_ui, ui.hi, ui.lo);
}

/** Made at need. NULL and the reason in *err. */
struct group *group_want(struct nucleus *n, struct motet_ui ui,
                         enum motet_err *err);
void group_name(struct group *g, const char *name);
/** Frees it if it is of no use any more; NULL is allowed. */
void group_unwant(struct nucleus *n, struct group *g);
/** The member that a message to `dest` goes to. NO_MEMBER, INVALID */
enum motet_err group_pick(struct nucleus *n, const struct motet_dest *dest,
                          struct motet_ui *member);
/** Sends on what waited for a member. */
void group_work(struct nucleus *n, struct group *g);
/** The actor ends. */
void group_unuse(struct nucleus *n, struct use *u);
/** Undone by the caller's group_unwant() if the actor is not to use it. */
enum motet_err group_use(struct nucleus *n, struct actor *a, struct group *g);
/** Tells the directory that a port is no member any more. */
void group_publish(struct nucleus *n, const struct group *g,
                   struct motet_ui port, bool in);

/* ---- watch.c ------------------------------------------------------------- */

enum motet_err watch_op(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out);
enum motet_err watch_stop(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out);
struct watch *watch_get(const struct nucleus *n, uint64_t id);
/** Gives the terminal news and ends it. */
void watch_fire(struct nucleus *n, struct watch *w, enum motet_news news);
/** Gives news that are not terminal; at the memory cap not. */
void watch_tell(struct nucleus *n, struct watch *w, enum motet_news news,
                struct motet_ui subject);
/** Ends it without news; a remote port is told. */
void watch_drop(struct nucleus *n, struct watch *w);
/** The outcome of its MSG_WATCH. */
void watch_leg(struct nucleus *n, struct watch *w, enum motet_err err,
               struct place_of place);
/** A watch whose news come to `p`, in no list of a subject. `id`: 0, or the one
 * that it brings along. */
struct watch *watch_new(struct nucleus *n, struct port *p, uint64_t id,
                        enum motet_err *err);
/** Forgets it without a word. */
void watch_free(struct nucleus *n, struct watch *w);
/** Asks the subject's site. @return false at the memory cap */
MUST_USE bool watch_ask(struct nucleus *n, struct watch *w);
/** Makes one of a port here that of a port anywhere. */
MUST_USE bool watch_globalize(struct nucleus *n, struct watch *w);
void watch_expired(struct nucleus *n, struct watch *w);
/** Tells one watcher of an ending port, and forgets it. */
void watcher_fire(struct nucleus *n, struct port *p, struct watcher *w,
                  enum motet_news news);
void watcher_remote_free(struct nucleus *n, struct watcher_remote *w);
/** MSG_WATCH for a port here; the same again is harmless. */
enum motet_err watcher_new(struct nucleus *n, struct port *p,
                           struct motet_ui watching, uint64_t id,
                           struct place_of place);
/** MSG_UNWATCH; of none is harmless. */
void watcher_end(struct nucleus *n, struct motet_ui watching, uint64_t id);

/* ---- move.c, adopt.c, debt.c --------------------------------------------- */

enum motet_err move_freeze(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out);
enum motet_err move_thaw(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out);
enum motet_err move_drop(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out);
enum motet_err move_activate(struct nucleus *n, const struct nuc_in *in,
                             struct nuc_out *out);
enum motet_err move_discard(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out);
enum motet_err move_give(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out);
/** Forgets one thing of a port that lives elsewhere. @return false: none left
 */
bool move_shed(struct nucleus *n, struct port *p);
/** Publishes the memberships that came with it. @return false when the effects
 * ran short */
bool adopt_joins(struct nucleus *n, struct port *p);
enum motet_err adopt_item(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out);
/** The actor of `p` may still answer this. At the memory cap it may not. */
void debt_new(struct nucleus *n, const struct port *p, const struct held *h);
void debt_free(struct nucleus *n, struct debt *d);
/** Its actor ends: whoever waits is told so. */
void debt_orphan(struct nucleus *n, struct debt *d, enum motet_err err);
/** Tells it for the first of those. */
void debt_work(struct nucleus *n);
/** An answer to what has moved. STATE: nothing is known of it */
enum motet_err debt_reply(struct nucleus *n, const struct nuc_in *in);
/** MSG_RELAY for a port here. */
enum motet_err debt_taken(struct nucleus *n, const struct nuc_in *in);

#endif

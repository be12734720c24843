#ifndef NUCLEUS_H
#define NUCLEUS_H

#include <motet/err.h>
#include <motet/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/image.h"
#include "nucleus/base/mem.h"
#include "nucleus/base/msg.h"
#include "nucleus/base/trace.h"

/* The nucleus of a site: actors, ports, groups, calls, watches, local delivery.
 * A pure machine: one input at a time goes in, its effects come out as data.
 * Local and remote targets behave the same; a message for a port that is not
 * here leaves as NUC_TO_NET, and its outcome comes back as NUC_NET_OUTCOME.
 *
 * Ownership of messages: an input with a `msg` *takes* msg.data when the step
 * returns MOTET_OK and leaves it with the caller otherwise. An effect with a
 * `msg` *gives* msg.data: whoever carries the effect out must buf_unref() it.
 *
 * Ids: an actor id and a port's UI are the names of objects; `held` names a
 * request whose reply is owed; `call`, `watch` name what an actor has
 * outstanding. No id is ever reused in one incarnation. */

struct nucleus;

struct nucleus_limits {
    uint32_t actors_max;      /* 65,536 */
    uint32_t ports_max;       /* 1,048,576 */
    uint32_t groups_max;      /* 65,536 groups known here */
    uint32_t members_max;     /* 1,048,576 group memberships known here */
    uint32_t calls_max;       /* 65,536 outstanding calls made here */
    uint32_t held_max;        /* 65,536 requests owed a reply here */
    uint32_t watches_max;     /* 65,536 watches made here; likewise of ports
                               * here by others */
    uint32_t waiters_max;     /* 65,536 blocked receives, sends, group waits */
    uint32_t queue_msgs_max;  /* 1,024 default limit of a port's queue */
    uint32_t queue_bytes_max; /* 4 MiB default limit of a port's queue */
    uint32_t body_bytes_max;  /* 16 MiB */
};

/** The table of DESIGN section 12. */
struct nucleus_limits nucleus_limits_default(void);

struct nucleus_config {
    uint64_t site;
    uint32_t incarnation;
    uint64_t secret[2]; /* keys of capabilities are a PRF of this */
    bool past_open;     /* where ports of earlier lives of this site live is not
                         * known yet: NUC_SITE says when those lives are over */
    struct nucleus_limits limits;
    struct mem *mem;     /* borrowed for life */
    struct trace *trace; /* borrowed for life */
};

enum nuc_kind {
    /* From actors: the local call dispatcher. */
    NUC_ACTOR_NEW =
        1,            /* name ("" = none), pi, push -> out.ui: the actor's UI */
    NUC_ACTOR_END,    /* actor, news: CLOSED or CRASHED. Ends all it owns */
    NUC_ACTOR_PI,     /* actor, pi */
    NUC_ACTOR_FIND,   /* name -> out.ui; NO_ACTOR */
    NUC_PORT_NEW,     /* actor, port_attr -> out.cap */
    NUC_PORT_END,     /* actor, port */
    NUC_PORT_SET,     /* actor, port, port_attr: enable, priority, limits */
    NUC_PORT_INFO,    /* port -> out.port */
    NUC_GROUP_NEW,    /* actor, name ("" = dynamic) -> out.cap; a static group
                       * is public: key 0, everyone who knows the name may
                       * insert */
    NUC_GROUP_INSERT, /* actor, cap, port of this actor; twice is OK */
    NUC_GROUP_REMOVE, /* actor, cap, port; not a member: NO_MEMBER */
    NUC_GROUP_LIST,   /* dest.target, index -> out.member (index-th member in
                       * order of arrival) or NO_MEMBER at the end */
    NUC_SEND,         /* actor, port (source), dest, msg, deadline_ns, token,
                       * notify, wait -> the outcome, see below */
    NUC_CALL,         /* actor, port, dest, msg, deadline_ns -> out.call, then
                       * NUC_CALL_DONE exactly once */
    NUC_RECEIVE,      /* actor, port (0 = any enabled), token, deadline_ns: one
                       * NUC_DELIVER or NUC_RECEIVE_END with that token */
    NUC_RECEIVE_STOP, /* actor, token: ends it with CANCELLED */
    NUC_REPLY,        /* actor, held, msg. STATE if not held any more (the
                       * caller gave up): harmless */
    NUC_FORWARD,      /* actor, held, dest: hands the request on, with the
                       * caller's identity and remaining time. Refused at
                       * once: still held */
    NUC_CANCEL,       /* actor, call: completes it as (MAYBE_)CANCELLED */
    NUC_WATCH,        /* actor, port (receives the news), subject: a port,
                       * group or site -> out.watch */
    NUC_UNWATCH,      /* actor, watch: no news after this */
    NUC_ACTOR_ADOPTS, /* actor, in: whether it takes ports that move to it */

    /* From whoever carries out the migration of ports. A port that moves is
     * frozen first: nothing is taken from its queue nor put into it, no
     * deadline of it passes, and its image may be read. What waits for room is
     * with the network manager from then on. Its actor must do nothing
     * meanwhile: nucleus_actor_frozen(). */
    NUC_PORT_FREEZE, /* port; in: drop what is queued, callers are told MOVING.
                      * MOVING: it is frozen; STATE: it cannot move; AGAIN: in
                      * a moment; NO_MEMORY */
    NUC_PORT_THAW,   /* port: it stays after all */
    NUC_PORT_DROP,   /* port: it lives elsewhere. Its actor is told
                      * NUC_PORT_MOVED; what it owes a reply for may still be
                      * answered, and is sent after it. in: its actor moved
                      * along, and owes nothing here */
    NUC_PORT_ITEM, /* port; item of it, in the order of nucleus_image(), actor:
                    * who is to own it -> out.ticket of a PARCEL. A KEPT with
                    * that ticket follows it; of its data a reference is
                    * taken. The port is frozen. EXISTS, LIMIT, AGAIN (a call
                    * of it is being handed on to here),
                    * NO_MEMORY, DECLINED, PROTOCOL: discard it. Takes
                    * item->msg.data on success */
    NUC_PORT_ACTIVATE, /* port: it is owned here; NUC_PORT_ADOPTED follows */
    NUC_PORT_DISCARD,  /* port: what was installed is forgotten */
    NUC_PORT_GIVE,     /* port, subject: another actor here, who is to own it.
                        * DECLINED, MOVING */

    /* From the network manager and the directory, through the site. */
    NUC_NET_DELIVER,  /* src, dst, msg, place: of the source, about: of
                       * msg.reply_to (each of its birth if site is 0), in: of a
                       * WATCH, dst has moved here -> OK and out.room_*; AGAIN:
                       * no room now, NUC_NET_ROOM will follow; any other:
                       * refused for good */
    NUC_NET_OUTCOME,  /* ticket, err: MOTET_OK = in the owner's queue, place:
                       * where that was. MAYBE_MOVED: whoever owns its source
                       * now will hear it */
    NUC_WHERE,        /* port, place: it was found to live there */
    NUC_NET_ROOM_FOR, /* src, dst: the sender's own queue has room again */
    NUC_GROUP_MEMBER, /* dest.target: group, name ("" if dynamic), src: member,
                       * site: where it lives, in: joined or left */
    NUC_SITE,         /* site, incarnation, state, rtt_ns */
    NUC_TICK,         /* time only */
    NUC_KIND_COUNT
};

enum nuc_site_state {
    NUC_SITE_REACHABLE = 1,
    NUC_SITE_UNREACHABLE, /* suspected, or no session: may come back */
    NUC_SITE_DEAD,        /* this incarnation never speaks again */
    NUC_SITE_LEFT,        /* likewise, in good order */
};

enum nuc_notify {
    NUC_NOTIFY_FAILURE, /* NUC_SENT only when it does not end accepted */
    NUC_NOTIFY_ALWAYS,
};

struct nuc_port_attr {
    bool enabled;             /* takes part in receive-any */
    uint8_t priority;         /* 0 = first */
    uint32_t queue_msgs_max;  /* 0 = the default of the site */
    uint32_t queue_bytes_max; /* 0 = the default of the site */
};

struct nuc_in {
    enum nuc_kind kind;
    uint64_t now_ns;       /* monotonic; never less than last time */
    struct motet_ui actor; /* on whose behalf; checked against the object */
    struct motet_ui port;
    struct motet_ui src;
    struct motet_ui dst;
    struct motet_dest dest;
    struct motet_cap cap;
    struct motet_ui subject;
    struct motet_pi pi;
    struct nuc_port_attr attr;
    struct msg
        msg; /* SEND, CALL, REPLY: only annex_bytes and data (and status
              * for REPLY) are the caller's; the nucleus stamps the rest */
    struct place_of place, about;
    const struct image_item *item; /* borrowed */
    uint64_t epoch;                /* GROUP_MEMBER: of the member; 0 = 1 */
    const char *name;              /* borrowed for the step */
    uint64_t
        deadline_ns; /* absolute; DEADLINE_NEVER; in the past: now or not */
    uint64_t token;  /* the caller's word, given back with the effect */
    uint64_t held;
    uint64_t call;
    uint64_t watch;
    uint64_t ticket;
    uint64_t site;
    uint64_t rtt_ns;
    uint32_t incarnation;
    uint32_t index;
    enum nuc_site_state state;
    enum nuc_notify notify;
    enum motet_err err;
    enum motet_news news;
    bool push; /* ACTOR_NEW: messages are delivered as they come (supervisor
                * actor) instead of being asked for by RECEIVE */
    bool wait; /* SEND: where there is no room, wait to the deadline; else AGAIN
                * at once, and NUC_ROOM when there is room again */
    bool in;
};

/* NUC_SEND and its outcome. The step refuses at once (NO_PORT, AGAIN, TOO_BIG,
 * ...: nothing was sent, no effect follows), or takes the message. A message
 * taken ends in exactly one outcome by its deadline: accepted, refused or
 * unknown; NUC_SENT tells it according to `notify`. out.settled says that the
 * outcome was "accepted" already in this step (a local queue had room); then
 * NUC_SENT does not follow, whatever `notify` says.
 * To a group with TO_ALL: one message for each member; the outcome is OK when
 * every member accepted, else the first failure. */

enum nuc_effect_kind {
    NUC_DELIVER = 1,  /* actor, token (pull) port src msg held seq target: a
                       * message was taken from `port` for the actor. held != 0:
                       * a reply is owed. MSG_NEWS: watch, news, subject */
    NUC_RECEIVE_END,  /* actor, token, err: TIMEOUT, CANCELLED, CLOSED */
    NUC_SENT,         /* actor, port, token, err */
    NUC_CALL_DONE,    /* actor, port, call, err, msg (reply, when err is OK) */
    NUC_ROOM,         /* actor, port, dst: after AGAIN */
    NUC_CANCELLED,    /* actor, port, held: its caller gave up; no reply owed */
    NUC_PORT_GONE,    /* actor, port: ended, not at its own request */
    NUC_PORT_MOVED,   /* actor, port: it is owned by another now. watch: how
                       * many watches it took along */
    NUC_PORT_ADOPTED, /* actor, port, key, seq: it is owned by this actor now;
                       * what comes has a higher seq. watch: how many of its
                       * watches came along */
    NUC_TO_NET,       /* ticket, src, dst, msg, deadline_ns, wait, here: the
                       * destination is. ticket 0: no outcome wanted */
    NUC_NET_CANCEL,   /* ticket, src, dst: settle it now, as void if that can
                       * be */
    NUC_NET_ROOM,     /* port: has room again after AGAIN */
    NUC_NET_PORT_END, /* port, news: ended; forget who sent to it, finish what
                       * it sent */
    NUC_PUBLISH,      /* group, name, port, in: for the directory */
};

struct nuc_effect {
    enum nuc_effect_kind kind;
    struct motet_ui actor;
    struct motet_ui port;
    struct motet_ui src;
    struct motet_ui dst;
    struct motet_ui target; /* group it was addressed to, 0 if direct */
    struct motet_ui subject;
    struct msg msg;
    const char *name; /* PUBLISH: borrowed until the next step */
    uint64_t token;
    uint64_t held;
    uint64_t call;
    uint64_t watch;
    uint64_t ticket;
    uint64_t seq; /* ordinal of the message on its port, from 1 */
    uint64_t deadline_ns;
    uint64_t key;
    enum motet_err err;
    enum motet_news news;
    bool wait;
    bool in;
    bool here;
};

struct nuc_port_info {
    struct motet_ui actor;
    const char *actor_name;
    struct nuc_port_attr attr;
    uint32_t queue_msgs;
    uint32_t queue_bytes;
    uint32_t waiting;   /* parked senders */
    uint64_t seq;       /* messages queued so far */
    uint64_t oldest_ns; /* when the oldest queued one was queued, 0 = none */
    uint64_t key;       /* of its capability: not for others */
    bool frozen;
};

struct nuc_member {
    struct motet_ui port;
    uint64_t site;
};

struct nuc_out {
    struct motet_ui ui;
    struct motet_cap cap;
    uint64_t call;
    uint64_t watch;
    bool settled;
    uint32_t room_msgs; /* NET_DELIVER: what the port's queue could take yet */
    uint32_t room_bytes;
    uint64_t ticket;
    struct nuc_port_info port;
    struct nuc_member member;
};

/** @return NULL at the memory cap */
struct nucleus *nucleus_create(const struct nucleus_config *cfg);

/** Releases everything, queued messages included. No effects. */
void nucleus_destroy(struct nucleus *n);

/**
 * Feeds one input.
 *
 * @param out  results, zeroed first; but for `port` and `member`, which only
 *             the inputs have that ask for them
 * @return MOTET_OK, or why it was refused: nothing has changed then.
 *         PERMISSION where `actor` does not own the object or the key is wrong;
 *         NO_MEMORY at the cap; LIMIT at a limit of the table; INVALID for a
 *         malformed argument.
 */
MUST_USE enum motet_err nucleus_step(struct nucleus *n, const struct nuc_in *in,
                                     struct nuc_out *out);

/** The outcome of that ticket is about to come: fetches what will be needed. */
void nucleus_foresee(const struct nucleus *n, uint64_t ticket);

/** Takes the oldest effect. @return NULL when there is none; else borrowed
 * until the next call of nucleus_effect(), although steps may come between.
 * After each step all effects must be taken, in whatever nesting. */
const struct nuc_effect *nucleus_effect(struct nucleus *n);

/** When NUC_TICK is due, DEADLINE_NEVER if not. */
uint64_t nucleus_deadline_ns(const struct nucleus *n);

/* The image of a frozen port, item by item. Zero: at the beginning. */
struct nuc_walk {
    int stage;
    void *at;
    uint32_t index;
};

/** The next item; its message data is a reference of the item's own.
 * @return false at the end */
MUST_USE bool nucleus_image(const struct nucleus *n, struct motet_ui port,
                            struct nuc_walk *walk, struct image_item *it);

/** What is known here of a message that the network manager keeps under this
 * ticket: IMAGE_PARCEL. @return false if nothing is */
MUST_USE bool nucleus_image_parcel(const struct nucleus *n, uint64_t ticket,
                                   struct image_item *it);

/** Whether nothing is missing of what came of a port by NUC_PORT_ITEM: what is
 * not whole must be discarded. */
MUST_USE bool nucleus_image_whole(const struct nucleus *n,
                                  struct motet_ui port);

/** Whether a port of this actor is moving away: it must not be heard now. One
 * that comes does not count: the actor does not know it yet. */
bool nucleus_actor_frozen(const struct nucleus *n, struct motet_ui actor);

/** The actor after `after` (zero UI: the first) in order of creation.
 * @return false at the end */
MUST_USE bool nucleus_next_actor(const struct nucleus *n, struct motet_ui after,
                                 struct motet_ui *actor, const char **name,
                                 bool *adopts);

/** The actor called `name`, and whether it takes ports that move to it.
 * @return false if there is none */
MUST_USE bool nucleus_actor(const struct nucleus *n, const char *name,
                            struct motet_ui *actor, bool *adopts);

/** The port after `after` among those of one actor.
 * @return false at the end */
MUST_USE bool nucleus_next_port_of(const struct nucleus *n,
                                   struct motet_ui actor, struct motet_ui after,
                                   struct motet_ui *port);

/* For status and checks: read-only walks in order of creation. */
struct nuc_counts {
    uint32_t actors, ports, groups, members, calls, held, watches, waiters;
    uint64_t queued_msgs, queued_bytes;
    uint64_t sent, delivered, refused, maybe, lost; /* totals */
};
struct nuc_counts nucleus_counts(const struct nucleus *n);

/** The port after `after` (zero UI: the first). @return false at the end */
MUST_USE bool nucleus_next_port(const struct nucleus *n, struct motet_ui after,
                                struct motet_ui *port);

/** The group after `after`; its name ("" if dynamic), borrowed until the next
 * step. @return false at the end */
MUST_USE bool nucleus_next_group(const struct nucleus *n, struct motet_ui after,
                                 struct motet_ui *group, const char **name,
                                 uint32_t *members);

#endif

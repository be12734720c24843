#ifndef MEMBER_PRIV_H
#define MEMBER_PRIV_H

#include "member.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "nucleus/base/pool.h"
#include "nucleus/base/prng.h"

/* The inside of a membership machine, shared by the member*.c files only:
 * member_table.c decides what is held of whom, member_probe.c finds out,
 * member_gossip.c spreads, member_out.c keeps the effects. */

enum {
    GOSSIP_SENDS_MAX = 40, /* times an update is sent at most: 10^10 sites */
    RELAYS_MAX = 256,      /* probes carried out for others at once */
    PACKETS_MAX = 512,     /* messages waiting to be taken; beyond: dropped */
    NOTES_PER_SITE = 4,    /* effects one site can cause in one tick or stall */
    NOTES_BASE = 80,       /* and one message: 16 updates, 4 effects each */
    SYNC_ALWAYS_MAX = 64,  /* sites: above, only strangers exchange all */
};

#define MEMBER_SECOND_NS UINT64_C(1000000000)
#define MEMBER_SYNC_NS (5 * MEMBER_SECOND_NS) /* all I know, to one site */
#define MEMBER_MEET_NS MEMBER_SECOND_NS       /* between two MEETs of a site */
/* Later than any time, but armed: moving an armed deadline cannot fail. */
#define MEMBER_FAR_NS (DEADLINE_NEVER - 1)
#define MEMBER_NO_SLOT UINT32_MAX

enum member_timer { TIMER_MEMBER = 1, TIMER_RELAY };

struct member {
    struct list node;      /* in members.all */
    struct list queued;    /* in members.queue[sent], or unlinked */
    struct deadline timer; /* always armed */
    struct member_update u;
    bool session;
    bool cleared;             /* evidence cleared a suspicion ... */
    uint32_t cleared_refutes; /* ... of this many refutes ... */
    uint64_t cleared_ns;      /* ... at that time */
    uint32_t sent;            /* times `u` was sent since it changed */
    uint32_t slot;            /* in members.live; MEMBER_NO_SLOT when ended */
    uint32_t link_slot;       /* in members.linked while `session` */
    uint32_t first_seq;       /* of the probes sent since the suspicion began */
    uint32_t reprobes;        /* sent since the suspicion began */
    uint64_t since_ns;        /* of the state */
    uint64_t heard_ns;        /* last evidence; first acquaintance counts */
    uint64_t rtt_ns;
    uint64_t meet_ns;     /* not before: the next MEET */
    uint64_t reprobe_ns;  /* SUSPECT: the next re-probe */
    uint64_t end_ns;      /* SUSPECT: it is dead. Ended: it is forgotten */
    uint64_t answered_ns; /* last answer to a SYNC that wanted one */
};

/* A probe in another's name. */
struct relay {
    struct list node; /* in members.relays */
    struct deadline timer;
    uint64_t origin;
    uint64_t target;
    uint32_t origin_seq;
    uint32_t seq; /* of my PING */
};

/* The one probe under way. */
struct probe {
    bool running;
    bool asked; /* others were asked to help */
    bool acked;
    uint64_t site;
    uint32_t incarnation;
    uint32_t seq;
    uint32_t helpers;
    uint32_t nacks;
    uint64_t began_ns;
    uint64_t end_ns;
};

/* An effect waiting to be taken. */
struct member_out {
    struct list node;
    struct member_effect effect;
    bool packet;
};

struct member_note {
    struct member_out out;
    char name[MOTET_NAME_MAX + 1];
    char address[MEMBER_ADDR_MAX + 1];
};

struct member_packet {
    struct member_out out;
    struct member_msg msg;
};

struct members {
    struct member_config cfg;
    struct prng prng;
    struct deadlines deadlines; /* of members and relays */
    struct map map;             /* site -> struct member */
    struct list all;            /* self first, then by acquaintance */
    uint32_t count;             /* of `all` */
    struct member *self;

    struct member **live; /* others alive or suspect, in order of probing */
    uint32_t live_count;
    uint32_t turn; /* live[turn] is probed next */

    struct member **linked; /* those with a session, in no order */
    uint32_t linked_count;

    struct list queue[GOSSIP_SENDS_MAX]; /* to be spread, by times sent */
    uint32_t queue_count;

    struct pool relay_pool;
    struct list relays;

    struct probe probe;
    uint64_t probe_due_ns;
    uint64_t gossip_due_ns;
    uint64_t sync_due_ns;
    uint32_t awareness; /* 0 = my own health is good */
    uint32_t seq;
    bool self_dead_told;
    uint64_t ignored; /* inputs that made no sense */

    struct pool packet_pool;
    struct list outs;
    struct list spare; /* notes: NOTES_PER_SITE for each site and a base */
    uint32_t notes;    /* waiting and spare */
    struct member_out *taken;
};

static inline bool member_ended(const struct member *x)
{
    return x->u.state == MEMBER_DEAD || x->u.state == MEMBER_LEFT;
}

/* ---- member_out.c -------------------------------------------------------- */

void member_outs_init(struct members *m);
void member_outs_fini(struct members *m);

/** Makes sure of the notes that `sites` can need. @return false at the cap */
MUST_USE bool member_outs_reserve(struct members *m, uint32_t sites);

void member_tell(struct members *m, enum member_effect_kind kind,
                 const struct member_update *u);

/** A message of `kind` to fill in; NULL when too many wait already. It goes out
 * with member_packet_send(). */
struct member_msg *member_packet(struct members *m, enum member_msg_kind kind);
void member_packet_send(struct members *m, struct member_msg *msg,
                        const struct member *to);

/* ---- member_table.c ------------------------------------------------------ */

struct member *member_find(const struct members *m, uint64_t site);

/** @return NULL when there is no room */
struct member *member_add(struct members *m, const struct member_update *u,
                          uint64_t now_ns);
void member_forget(struct members *m, struct member *x);

/** A newer incarnation takes the place of the one held, which is dead. */
void member_renew(struct members *m, struct member *x,
                  const struct member_update *u, uint64_t now_ns);
void member_suspect(struct members *m, struct member *x, uint64_t now_ns);
/** Suspected no more, for whatever reason. */
void member_clear(struct members *m, struct member *x, uint64_t now_ns);
/** Clears for evidence: the same suspicion is not taken from others again. */
void member_acquit(struct members *m, struct member *x, uint64_t now_ns);
void member_end(struct members *m, struct member *x, enum member_state state,
                uint64_t now_ns);
/** Evidence: a frame of `x` came. */
void member_hear(struct members *m, struct member *x, uint64_t now_ns);
void member_apply(struct members *m, const struct member_update *u,
                  uint64_t now_ns);

/** Arms the timer of `x` for what comes next. */
void member_retime(struct members *m, struct member *x);
/** `x` has a session now, or no more. */
void member_link(struct members *m, struct member *x, bool session);
void member_meet(struct members *m, struct member *x, uint64_t now_ns);

/** Up to `max` others with a session, without `except`, drawn at random.
 * @return how many */
uint32_t member_pick(struct members *m, const struct member *except,
                     uint32_t max, struct member **picked);

/* ---- member_probe.c ------------------------------------------------------ */

void member_probe_tick(struct members *m, uint64_t now_ns);
void member_probe_arm(struct members *m, uint64_t now_ns);
void member_reprobe(struct members *m, struct member *x, uint64_t now_ns);
void member_got(struct members *m, struct member *from,
                const struct member_msg *msg, uint64_t now_ns);
void member_relay_late(struct members *m, struct relay *r);
void member_aware(struct members *m, uint32_t more);
bool member_verifies(const struct members *m, const struct member *x);

/* ---- member_gossip.c ----------------------------------------------------- */

/** `x->u` changed: spread it. */
void member_queue(struct members *m, struct member *x, uint64_t now_ns);
void member_unqueue(struct members *m, struct member *x);

/** Adds updates to `msg`: `first` (if not NULL), then the least sent ones. */
void member_fill(struct members *m, struct member_msg *msg,
                 const struct member *first);
void member_gossip_arm(struct members *m, uint64_t now_ns);
void member_gossip_tick(struct members *m, uint64_t now_ns);
void member_sync(struct members *m, const struct member *to, bool want);
void member_sync_tick(struct members *m, uint64_t now_ns);

#endif

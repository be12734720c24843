#ifndef MEMBER_H
#define MEMBER_H

#include <motet/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/mem.h"
#include "nucleus/base/trace.h"

/* Membership: which incarnations of which sites are alive. SWIM (Das, Gupta,
 * Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey 2018) and two rules
 * of our own: *evidence* (any authenticated frame from a suspect that came
 * after the suspicion began cancels it here; a death notice about a site of
 * which fresh evidence is held only starts a check of one's own) and *stall* (a
 * late loop drops its suspicions and trusts itself less). DESIGN section 8.
 * A pure machine. Dead is a decision about an incarnation and is final. */

struct members;

struct member_config {
    uint64_t site;
    uint32_t incarnation;
    const char *name;    /* copied */
    const char *address; /* copied */
    uint64_t seed;
    uint32_t sites_max;        /* 1,024 */
    uint64_t probe_ns;         /* 250 ms */
    uint64_t probe_timeout_ns; /* 100 ms at least; 4 srtt if that is more */
    uint64_t window_ns;        /* 2 s from suspicion to death */
    uint64_t reprobe_ns;       /* 100 ms between probes of a suspect */
    uint64_t gossip_ns;        /* 100 ms */
    uint64_t dead_kept_ns;     /* 5 min: then a dead site is forgotten */
    uint32_t indirect;         /* 3 */
    uint32_t fanout;           /* 3 */
    uint32_t verifiers;        /* 8 at most re-probe a suspect */
    uint32_t awareness_max;    /* 8 */
    struct mem *mem;
    struct trace *trace;
};

/** The numbers above; the caller fills in who it is. */
struct member_config member_config_default(void);

enum member_state {
    MEMBER_ALIVE = 1,
    MEMBER_SUSPECT,
    MEMBER_DEAD,
    MEMBER_LEFT
};

enum { MEMBER_UPDATES_MAX = 16, MEMBER_ADDR_MAX = 63 };

/* What a site says of a site. `refutes` counts false alarms answered; it never
 * kills a port. Order: incarnation, then LEFT/DEAD, then refutes, then state.
 */
struct member_update {
    uint64_t site;
    uint32_t incarnation;
    uint32_t refutes;
    enum member_state state;
    char name[MOTET_NAME_MAX + 1];
    char address[MEMBER_ADDR_MAX + 1];
};

enum member_msg_kind {
    MEMBER_PING = 1,
    MEMBER_ACK,
    MEMBER_PING_REQ, /* please ping `target` and pass its ACK on */
    MEMBER_NACK,     /* the target did not answer me in time */
    MEMBER_GOSSIP,   /* updates only */
    MEMBER_SYNC,     /* all I know, in parts; `want` asks for the same back */
};

struct member_msg {
    enum member_msg_kind kind;
    uint32_t seq;
    uint64_t target; /* PING_REQ, and ACK or NACK on behalf of it; 0 = sender */
    bool want;
    uint32_t update_count;
    struct member_update updates[MEMBER_UPDATES_MAX];
};

enum member_in_kind {
    MEMBER_IN_SESSION = 1, /* site, incarnation, name, address, up, rtt_ns: a
                            * session came up (the site is alive: an update
                            * about it starts) or broke (a suspicion starts) */
    MEMBER_IN_HEARD,       /* site, incarnation: evidence */
    MEMBER_IN_MSG,         /* site (sender), incarnation, msg */
    MEMBER_IN_DEAD,        /* site, incarnation: known from elsewhere for sure
                            * (superseded by a newer incarnation) */
    MEMBER_IN_BYE,         /* site, incarnation: left */
    MEMBER_IN_STALL,       /* late_ns: my own loop was late by that much */
    MEMBER_IN_TICK,
};

struct member_in {
    enum member_in_kind kind;
    uint64_t now_ns;
    uint64_t site;
    uint32_t incarnation;
    const char *name;    /* borrowed */
    const char *address; /* borrowed */
    bool up;
    uint64_t rtt_ns;
    uint64_t late_ns;
    const struct member_msg *msg; /* borrowed */
};

enum member_effect_kind {
    MEMBER_SEND = 1, /* site, msg: best effort */
    MEMBER_STATE,    /* site, incarnation, state, name, address: changed here */
    MEMBER_MEET,     /* site, name, address: alive, and no session with it; or
                      * dead here and alive for others: HELLO decides */
    MEMBER_SELF_DEAD, /* incarnation: the cluster holds this incarnation of mine
                       * for dead; be reborn with at least `incarnation` */
};

struct member_effect {
    enum member_effect_kind kind;
    uint64_t site;
    uint32_t incarnation;
    enum member_state state;
    const char *name;
    const char *address;
    const struct member_msg *msg;
};

/** @return NULL at the memory cap */
struct members *members_create(const struct member_config *cfg);
void members_destroy(struct members *m);

/** Feeds one input. Nothing from a peer can fail it: what makes no sense is
 * ignored and counted. */
void members_step(struct members *m, const struct member_in *in);

/** The oldest effect, NULL when there is none; borrowed until the next call of
 * members_effect(), although steps may come between. After each step all
 * effects must be taken. */
const struct member_effect *members_effect(struct members *m);

uint64_t members_deadline_ns(const struct members *m);

struct member_info {
    uint64_t site;
    uint32_t incarnation;
    enum member_state state;
    bool session;
    uint64_t since_ns; /* of the state */
    uint64_t rtt_ns;
    const char *name;
    const char *address;
};

/** The site after `after` (0: the first) in order of first acquaintance; this
 * site is the first of all. @return false at the end */
MUST_USE bool members_next(const struct members *m, uint64_t after,
                           struct member_info *info);

/** Whether this life of a site is known here, be it over or not. */
bool members_know(const struct members *m, uint64_t site, uint32_t incarnation);

/** Sites alive (suspects included), this one too; and the lowest id of them. */
uint32_t members_alive(const struct members *m, uint64_t *lowest);

/** A hash over what this site holds of all live members: equal hashes, equal
 * views. */
uint64_t members_view(const struct members *m);

#endif

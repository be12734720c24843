#ifndef CHECK_STATE_H
#define CHECK_STATE_H

#include "check.h"
#include "nucleus/base/map.h"
#include "nucleus/base/mem.h"

/* What the checkers remember of a history. All records live to its end. */

struct record_head {
    struct record_head *next;
    uint32_t bytes;
};

/* An incarnation. */
struct site_rec {
    struct record_head head;
    struct site_rec *next;
    uint64_t site;
    uint32_t incarnation;
    uint32_t index;
    bool live;
    bool apart;
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t paused_ns; /* in all */
    bool viewed;
    uint64_t members_view;
    uint64_t directory_view;
};

/* A port, or what somebody took for one; also groups and sites, as targets. */
struct port_rec {
    struct record_head head;
    struct motet_ui ui;
    uint32_t index;
    struct site_rec *home; /* NULL: never made in this history */
    bool live;
    uint64_t epoch;
    bool frozen;
    uint64_t frozen_ns; /* since */
    uint64_t thawed_ns; /* when it last was that no more; 0: never */
    uint64_t still_ns;  /* since when, but for moments, it hears nothing */
    uint64_t paused_before_ns; /* of `home`, when it became that */
    uint64_t idle_ns; /* it could not run before: frozen, or on paused sites */
    uint64_t sent;    /* messages sent from here: the order of its flows */
    struct join_rec *joined; /* of a group: who ever joined */
    struct port_rec *next;
    /* Messages from here of which only a failure is told. */
    uint32_t quiet_sent, quiet_refused, quiet_failed, quiet_delivered;
    uint32_t quiet_missing;
    bool quiet_to_all;
};

struct join_rec {
    struct record_head head;
    struct join_rec *next;
    struct port_rec *port;
};

/* From one port to one target. Where the target is a port, this is a flow. */
struct flow_rec {
    struct record_head head;
    struct flow_rec *next;
    struct port_rec *src;
    struct port_rec *dst;
    uint64_t last_order;   /* of the last message delivered */
    struct msg_rec *first; /* addressed to `dst` as such, in order */
    struct msg_rec *last;
    uint32_t quiet_sent, quiet_delivered;
};

struct msg_rec {
    struct record_head head;
    struct msg_rec *next;
    struct msg_rec *next_in_flow;
    uint64_t id;
    uint64_t order; /* on its source port, from 1 */
    struct site_rec *site;
    struct port_rec *src;
    struct port_rec *target;
    struct flow_rec *flow; /* src to target */
    uint64_t begin_ns;
    uint64_t deadline_ns;
    uint64_t end_ns;
    uint64_t idle_before_ns; /* of its port, when it began */
    enum motet_err err;
    enum motet_mode how;
    bool is_call, to_group, wait, told;
    bool ended, cancelled;
    uint32_t delivered;
    uint32_t forwarded;
    uint64_t delivered_ns; /* first */
    /* Of a call. */
    struct port_rec *server; /* where it was delivered last */
    struct site_rec *holder; /* where whoever serves it is */
    bool executed, replied, let_go;
};

struct watch_rec {
    struct record_head head;
    struct watch_rec *next;
    uint64_t id;
    struct site_rec *site;
    struct port_rec *port;
    struct port_rec *subject;
    uint64_t begin_ns;
    uint32_t met_incarnation; /* of a site: heard of here at the beginning */
    bool ended;
    bool stopped;
};

/* A watching port has heard the end of a subject. */
struct dead_rec {
    struct record_head head;
    uint64_t site;
    uint32_t incarnation; /* of a site: this and earlier ones are dead */
};

struct check {
    struct check_config cfg;
    struct mem mem;
    struct record_head *records;
    struct map sites;   /* (site, incarnation) */
    struct map newest;  /* (site, 0): its last incarnation */
    struct map ports;   /* UI */
    struct map issued;  /* UI */
    struct map flows;   /* (index of source, index of target) */
    struct map msgs;    /* (id, 0) */
    struct map watches; /* (id, 0) */
    struct map dead;    /* (index of watching port, index of subject) */
    struct map met; /* (site, site): newest incarnation heard of, dead_rec */
    struct site_rec *all_sites;
    struct msg_rec *all_msgs;
    struct watch_rec *all_watches;
    struct flow_rec *all_flows;
    struct port_rec *all_ports;
    uint32_t port_count;
    uint32_t site_count;
    uint64_t now_ns;
    uint64_t hash;
    struct check_counts counts;
    uint32_t violations;
    struct check_violation kept[CHECK_VIOLATIONS_MAX];
};

enum { TEXT_OF_UI = 48 };

void *check_record(struct check *c, uint32_t bytes);
void check_index(struct map *m, uint64_t hi, uint64_t lo, void *value);

/** The record of a UI, made when there is none. */
struct port_rec *check_port(struct check *c, struct motet_ui ui);
/** The record of an incarnation, made when there is none. */
struct site_rec *check_site(struct check *c, uint64_t site,
                            uint32_t incarnation);
struct flow_rec *check_flow(struct check *c, struct port_rec *src,
                            struct port_rec *dst);

/** Whether the port exists, on a site that runs. */
bool check_alive(const struct port_rec *p);
/** Whether its site is cut off for ever. */
bool check_apart(const struct port_rec *p);
/** Whether it is frozen, or was just now: what it hears may be old. */
bool check_catches_up(const struct check *c, const struct port_rec *p);
/** For how long it could not run until now: frozen, or on paused sites. */
uint64_t check_idle_ns(const struct check *c, const struct port_rec *p);

__attribute__((format(printf, 4, 5))) void
check_violate(struct check *c, int promise, uint64_t site, const char *format,
              ...);
const char *check_ui_text(struct motet_ui ui, char text[TEXT_OF_UI]);

/* By promise; e is the event. */
void check_on_site(struct check *c, const struct check_event *e);
void check_on_port(struct check *c, const struct check_event *e);
void check_on_send(struct check *c, const struct check_event *e);
void check_on_deliver(struct check *c, const struct check_event *e);
void check_on_call(struct check *c, const struct check_event *e);
void check_on_watch(struct check *c, const struct check_event *e);
/** A message from `src` reaches `dst`: was the end of `src` told there? */
void check_news_order(struct check *c, const struct port_rec *src,
                      const struct port_rec *dst, uint64_t site, uint64_t id);
void check_end_sends(struct check *c);
void check_end_calls(struct check *c);
void check_end_watches(struct check *c);

/** The outcome of a message or call, judged by its deadline. */
void check_in_time(struct check *c, const struct msg_rec *m, int promise);
struct msg_rec *check_begin_msg(struct check *c, const struct check_event *e);

#endif

#ifndef TOOLS_DRAIN_H
#define TOOLS_DRAIN_H

#include "moving.h"

/* All that lives on a site is taken to the others: first a plan, then the moves
 * of it. Actors that save their state move as a whole; ports of other actors go
 * to a namesake that takes ports. An actor without state of which another site
 * has the like ends with its site. What can do none of that is named. */

enum drain_how {
    DRAIN_WHOLE, /* an actor with all its ports */
    DRAIN_PORT,  /* one port, to an actor that takes it */
    DRAIN_ENDS,  /* nothing is lost with it */
    DRAIN_STAYS, /* it would be lost */
};

struct drain_item {
    enum drain_how how;
    bool done;
    struct motet_ui port;           /* the first */
    char name[MOTET_NAME_MAX + 1];  /* of the port; or its UI */
    char actor[MOTET_NAME_MAX + 1]; /* "": a program that said none */
    char kind[MOTET_NAME_MAX + 1];
    char receiver[MOTET_NAME_MAX + 1];
    char why[MOVING_WHY_MAX]; /* it stays */
    uint64_t to;
    uint64_t ports;
    uint64_t queued;
    uint64_t move; /* its id, once begun */
    struct moving_note note;
};

struct drain {
    struct client *c;
    const struct site_names *names;
    uint64_t site;
    uint64_t only_to; /* 0 = any of the others */
    struct drain_item *items;
    size_t count;
    uint64_t load[CLUSTER_SITES_MAX]; /* ports planned for, by place in names */

    /* What came of it. */
    uint64_t ports_moved;
    uint64_t queued;
    uint64_t pause_ns; /* the longest */
    uint64_t took_ns;
    void (*each)(const struct drain *d, const struct drain_item *item);
};

/** Looks what is there and where it could go; over an older plan, too.
 * Gives: drain_free(). @return EXIT_DONE; else it is told */
enum exit_code drain_plan(struct drain *d);
void drain_free(struct drain *d);

uint64_t drain_ports(const struct drain *d, enum drain_how how);
size_t drain_items(const struct drain *d, enum drain_how how);

/** Carries the plan out. @return EXIT_DONE; else the first that failed is told,
 * and what has moved stays where it is */
enum exit_code drain_move(struct drain *d);

#endif

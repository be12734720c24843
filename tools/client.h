#ifndef TOOLS_CLIENT_H
#define TOOLS_CLIENT_H

#include <motet/motet.h>
#include <stdbool.h>
#include <stdint.h>

#include "cluster.h"
#include "proto/control.pb-c.h"

/* The command line as a user actor: attached to a site, with one port. All it
 * knows of a cluster it learns by calls to control ports. */

struct client {
    struct cluster *cluster; /* borrowed */
    struct site_files *at;   /* the site attached to */
    struct motet *motet;
    uint64_t site;       /* its id */
    uint64_t timeout_ns; /* of one question to a site; 0 = the default */
};

#define CLIENT_TIMEOUT_NS 5000000000ULL /* of one question to a site */

/** Chooses the cluster, the site in it, and attaches. Fills in `cluster`.
 * @return EXIT_DONE; else it is told and nothing is open */
enum exit_code client_open(struct client *c, struct cluster *cluster);

/** Attaches to that site, silently. @return as motet_attach() */
enum motet_err client_attach(struct client *c, struct site_files *site);

void client_close(struct client *c);

/** Both of client_open(): detaches and forgets the cluster. */
void client_leave(struct client *c);

/* The body of an answer. Release with client_reply_free(). */
struct client_reply {
    char *body; /* with a NUL behind it */
    size_t size;
    struct motet_ui from; /* the port that answered */
    uint64_t took_ns;
};

/** Calls and waits. @return MOTET_OK and a reply; else there is none */
enum motet_err client_call(struct client *c, const struct motet_dest *dest,
                           const void *body, size_t size, uint64_t timeout_ns,
                           struct client_reply *reply);
void client_reply_free(struct client_reply *reply);

/**
 * A question to a site's control port.
 *
 * @param site   site id; 0 = the one attached to
 * @param after  of the page before; zero = the first
 * @param name   for GROUP; or NULL
 * @param reply  set on MOTET_OK; motet__control_reply__free_unpacked()
 */
enum motet_err control_ask(struct client *c, uint64_t site,
                           Motet__ControlRequest__Op op, struct motet_ui after,
                           const char *name, Motet__ControlReply **reply);

/** PING: the site answers with the same body. As control_ask(). */
enum motet_err control_ping(struct client *c, uint64_t site, void *body,
                            size_t size, Motet__ControlReply **reply);

/** A question as it stands. @return MOTET_OK and a reply, with what it says of
 * itself in its `err`; else it got no answer */
enum motet_err control_request(struct client *c, uint64_t site,
                               const Motet__ControlRequest *q,
                               Motet__ControlReply **reply);

/** `err` of a reply, of those that are known here. */
enum motet_err control_err(const Motet__ControlReply *reply);

/** All pages of a question: `each` is called with every reply. */
enum motet_err
control_pages(struct client *c, uint64_t site, Motet__ControlRequest__Op op,
              void (*each)(const Motet__ControlReply *reply, void *user),
              void *user);

/** Tells that a site did not answer a question. @return its exit code */
enum exit_code control_failed(struct client *c, const char *site,
                              enum motet_err err);

/* ---- names -----------------------------------------------------------------
 */

struct site_name {
    uint64_t id;
    uint32_t incarnation;
    uint32_t state; /* enum member_state */
    char name[MOTET_NAME_MAX + 1];
    char address[ADDRESS_MAX];
    uint64_t rtt_ns;   /* CELL_NONE = not known */
    uint64_t since_ms; /* in this state */
    bool session;
    bool is_self; /* the one attached to */
};

/* The sites as the one attached to knows them, by name. */
struct site_names {
    struct site_name *sites;
    size_t count;
};

/** @return EXIT_DONE; else it is told. Gives: site_names_free() */
enum exit_code site_names_get(struct client *c, struct site_names *names);
void site_names_free(struct site_names *names);
const struct site_name *site_names_by_id(const struct site_names *names,
                                         uint64_t id);
const struct site_name *site_names_by_name(const struct site_names *names,
                                           const char *name);
/** As above, and tells when there is none (EXIT_MISSING). */
const struct site_name *site_names_told(const struct site_names *names,
                                        const char *name);
/** "site1", or the id as hex in `text` (32 bytes). */
const char *site_names_text(const struct site_names *names, uint64_t id,
                            char *text);
/** "alive", "suspect", "dead", "left". */
const char *site_state_text(uint32_t state);

#endif

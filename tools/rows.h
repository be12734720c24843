#ifndef TOOLS_ROWS_H
#define TOOLS_ROWS_H

#include "client.h"
#include "table.h"

/* Sites, ports and groups as rows of listings: what the control ports say,
 * joined with the files of the cluster and with each other. */

struct site_row {
    char name[MOTET_NAME_MAX + 1];
    const char *state; /* alive, suspect, dead, left, down (never seen) */
    uint64_t id;
    uint64_t incarnation;
    char address[ADDRESS_MAX];
    uint64_t pid;
    uint64_t since_ms;
    uint64_t rtt_ns;
    uint64_t ports; /* of site list only; CELL_NONE else */
    uint64_t sent;
    uint64_t delivered;
    uint64_t refused;
    uint64_t maybe;
    uint64_t lost;
    uint64_t memory_bytes;
    uint64_t view;
    uint64_t records; /* of its directory */
    bool is_self;
    const char *note; /* static, or NULL */
};

struct site_rows {
    struct site_row *rows;
    size_t count;
};

/** @return EXIT_DONE; else it is told. Gives: site_rows_free() */
enum exit_code site_rows_get(struct client *c, struct site_rows *rows);
void site_rows_free(struct site_rows *rows);
/** Asks each living site for its counters; what does not answer stays null. */
void site_rows_fill(struct client *c, struct site_rows *rows);
struct table site_rows_table(const struct site_rows *rows);

enum { GROUPS_TEXT_MAX = 256 };

struct port_row {
    char name[MOTET_NAME_MAX + 1]; /* of the only-member group; or its UI */
    char ui[MOTET_UI_TEXT_MAX];
    char site[MOTET_NAME_MAX + 1];
    char actor[MOTET_NAME_MAX + 1];
    char groups[GROUPS_TEXT_MAX]; /* comma between them */
    uint64_t site_id;
    uint64_t queue_msgs;
    uint64_t queue_msgs_max;
    uint64_t queue_bytes;
    uint64_t queue_bytes_max;
    uint64_t seq;
    uint64_t oldest_ms;
    uint64_t waiting;
    bool enabled;
    char state[64];
    struct motet_ui id;
};

struct port_rows {
    struct port_row *rows;
    size_t count;
    size_t sites_mute; /* sites that did not answer */
};

/** The ports of all living sites, or of one; by name. Gives: port_rows_free().
 *
 * @param site  a site's name, or NULL for all */
enum exit_code port_rows_get(struct client *c, const char *site,
                             struct port_rows *rows);
void port_rows_free(struct port_rows *rows);
struct table port_rows_table(const struct port_rows *rows);

struct group_member {
    struct motet_ui port;
    uint64_t site;
};

struct group_row {
    char name[MOTET_NAME_MAX + 1]; /* "" for a dynamic group */
    char ui[MOTET_UI_TEXT_MAX];
    uint64_t members;
    char sites[GROUPS_TEXT_MAX];
    struct motet_ui id;
    struct group_member *list; /* the first 256 */
    size_t list_count;
};

struct group_rows {
    struct group_row *rows;
    size_t count;
};

/** The groups that the site attached to knows, by name. Gives:
 * group_rows_free() */
enum exit_code group_rows_get(struct client *c, struct group_rows *rows);
void group_rows_free(struct group_rows *rows);
struct table group_rows_table(const struct group_rows *rows);
/** By name or UI; NULL if there is none. */
const struct group_row *group_rows_find(const struct group_rows *rows,
                                        const char *name);

#endif

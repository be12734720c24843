#ifndef HOST_CONFIG_H
#define HOST_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netmgr/core/netmgr.h"
#include "nucleus/base/check.h"

/* What a site's process is told: by a file of `key = value` lines, and by flags
 * of the same names, which win. */

enum {
    CONFIG_LIST_MAX = 16,   /* values of a key that may be repeated */
    CONFIG_TEXT_MAX = 4096, /* bytes of one value */
    CONFIG_WHY_MAX = 512,   /* bytes of an explanation */
};

struct config_list {
    char *items[CONFIG_LIST_MAX];
    uint32_t count;
};

struct config {
    char *name;
    char *cluster;
    char *listen;    /* "host:port" */
    char *advertise; /* where others reach it; NULL = as listened on */
    char *detour;    /* of loopback; NULL = none */
    char *state_dir;
    char *socket; /* of the attachment; NULL = none */
    char *ca;
    char *cert;
    char *key;
    char *log;                       /* "text", "json" or "none" */
    char *memory;                    /* "256MiB" */
    char *dump;                      /* NULL: states are not dumped */
    char *transport;                 /* "tcp", "udp" or "auto" */
    struct config_list transport_to; /* "site2 udp" */
    struct config_list join;         /* addresses of members */
    struct config_list actor;        /* "kind" or "kind:arguments" */
    struct config_list allow; /* uids that may attach beside ours and root */
    bool insecure;
    uint64_t memory_bytes;
    enum net_transport transport_code;
    struct net_way ways[CONFIG_LIST_MAX]; /* of transport_to */
    uint32_t way_count;
    bool managed; /* a service manager is told how it is; no key */
};

void config_init(struct config *c);
void config_fini(struct config *c);

/**
 * Reads a file.
 *
 * @param why  on failure: file, line and what to do; CONFIG_WHY_MAX bytes
 * @return false on failure; what was read stays
 */
MUST_USE bool config_read(struct config *c, const char *path, char *why);

/** Sets one key. Values given later win; lists are appended to.
 * @return false and `why` for an unknown key or a bad value */
MUST_USE bool config_set(struct config *c, const char *key, const char *value,
                         char *why);

/** Fills in defaults and says what is missing. @return false and `why` */
MUST_USE bool config_check(struct config *c, char *why);

/** Whether any link may go over datagrams. */
bool config_datagrams(const struct config *c);

/** The keys with a line of help each, for --help; NULL past the last. */
const char *config_key(size_t i, const char **help, bool *is_switch);

#endif

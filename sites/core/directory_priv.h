#ifndef DIRECTORY_PRIV_H
#define DIRECTORY_PRIV_H

#include "directory.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "nucleus/base/pool.h"
#include "nucleus/base/prng.h"

/* The inside of a directory, shared by the directory*.c files only:
 * directory_records.c holds authors and records, directory_sync.c exchanges
 * them, directory_out.c keeps the effects. */

enum {
    DIR_PARTS_MAX = 128,    /* messages in answer to one digest */
    DIR_SENDS_MAX = 65536,  /* messages waiting to be taken; beyond: dropped */
    DIR_RECORD_BYTES = 144, /* a record on the wire at most, name included */
    DIR_ASK_GATHERS = 10,   /* `gather_ns` between two requests for an author */
};
_Static_assert(DIR_RECORDS_MAX *DIR_RECORD_BYTES < 12 * 1024,
               "a message of records keeps below 12 KiB");

#define DIR_NOT_SWEPT UINT64_MAX

/* After that a list that was interrupted is begun again. */
#define DIR_FULL_STALE_NS UINT64_C(3000000000)

/* An effect waiting to be taken. */
struct dir_out {
    struct list node;
    bool send; /* a struct dir_send; else a struct entry */
};

struct author {
    uint64_t site;
    uint64_t least; /* lower incarnations are dead, or known to be older */
    bool known;     /* else only `least` is of interest */
    uint32_t incarnation;
    uint64_t version;    /* all changes up to it are held ... */
    uint64_t floor;      /* ... but withdrawals up to this are forgotten */
    struct list records; /* struct entry, in order of version */
    struct list gone;    /* in directory.gone when not known */
    /* A full list under way from others; DIR_NOT_SWEPT when there is none. Only
     * what is held up to this version is known to be rid of what was withdrawn
     * and forgotten, so only so much is claimed in digests. */
    uint64_t swept;
    struct entry *sweep; /* the first one held beyond it, when ... */
    uint64_t sweep_at;   /* ... the part that follows this version comes */
    uint64_t ask_ns;     /* not before: the next request for what is missing */
};

/* A record held: present, or a tombstone. It is also the effect that tells of
 * its last change, so that no change lacks memory to be told. */
struct entry {
    struct dir_out out;
    struct list node;      /* in author.records */
    struct list tomb;      /* in directory.tombs */
    struct author *author; /* NULL: dropped, waits to be told */
    uint64_t site;         /* of the author */
    uint64_t hash;         /* its share of the view while present */
    uint64_t died_ns;
    struct record r;
};

struct peer {
    uint64_t site;
    uint32_t slot; /* in directory.peers */
    /* A full list under way to it. */
    uint64_t full_author; /* 0 = none */
    bool full_done;
    uint32_t full_incarnation;
    uint64_t full_upto;
    uint64_t full_ns;
};

/* A message shared by all it goes to; records or digest follow it. */
struct dir_packet {
    uint32_t refs;
    size_t size_bytes;
    struct dir_msg msg;
};

struct dir_send {
    struct dir_out out;
    uint64_t site;
    struct dir_packet *packet;
};

struct directory {
    struct directory_config cfg;
    struct prng prng;
    uint64_t now_ns; /* of the current step */
    uint64_t key_seed[2][2];

    struct author **authors; /* by site id */
    uint32_t author_count;
    struct author *own;
    struct list gone; /* authors not known, oldest first */

    struct map records; /* by a hash of (author, kind, subject, group) */
    uint32_t entries;
    uint32_t present;
    uint64_t view;
    struct list tombs; /* oldest first */

    struct map peer_map;
    struct peer **peers;
    uint32_t peer_count;

    uint64_t told_version; /* of my own records, to everybody */
    uint64_t gather_due_ns;
    uint64_t sync_due_ns;

    struct list outs;
    struct pool send_pool;
    struct dir_send *taken;
    struct dir_effect effect; /* the one taken last ... */
    struct record record;     /* ... and its record */
    uint64_t ignored;         /* messages that made no sense */
};

/* ---- directory_out.c ------------------------------------------------------
 */

void dir_outs_init(struct directory *d);
void dir_outs_fini(struct directory *d);

/** Tells of the state of `e` when it is taken; last of all. */
void dir_tell(struct directory *d, struct entry *e);

/** A message with `count` records or digest entries to fill in; one reference.
 * @return NULL at the memory cap */
struct dir_packet *dir_packet_records(struct directory *d, uint32_t count,
                                      struct record **records);
struct dir_packet *dir_packet_digest(struct directory *d, uint32_t count,
                                     struct dir_digest **digest);
void dir_packet_unref(struct directory *d, struct dir_packet *packet);

/** Best effort. Takes a reference of its own. */
void dir_send(struct directory *d, uint64_t site, struct dir_packet *packet);

/* ---- directory_records.c --------------------------------------------------
 */

/** The place of `site` among the authors, or where it would be. */
uint32_t dir_author_at(const struct directory *d, uint64_t site);
struct author *dir_author(const struct directory *d, uint64_t site);

/** @return NULL when there is no room */
struct author *dir_author_add(struct directory *d, uint64_t site);
void dir_author_remove(struct directory *d, struct author *a);

/** Drops all records of `a` and starts it at version 0 of `incarnation`. */
void dir_author_renew(struct directory *d, struct author *a,
                      uint32_t incarnation);

/** Drops all records of `a`; incarnations up to `incarnation` are dead. */
void dir_author_gone(struct directory *d, struct author *a,
                     uint32_t incarnation);

struct entry *dir_entry(const struct directory *d, const struct author *a,
                        const struct record *r);

/** Takes a record of `a` with a version above all held of it.
 * @return MOTET_OK; LIMIT, NO_MEMORY: nothing changed */
MUST_USE enum motet_err dir_take(struct directory *d, struct author *a,
                                 const struct record *r);
void dir_drop(struct directory *d, struct entry *e);
void dir_forget_tombs(struct directory *d);
bool dir_record_ok(const struct record *r);

/* ---- directory_sync.c -----------------------------------------------------
 */

void dir_got(struct directory *d, uint64_t from, const struct dir_msg *msg);
void dir_peer(struct directory *d, uint64_t site, bool up);
void dir_peer_remove(struct directory *d, struct peer *p);
void dir_tell_all(struct directory *d);
void dir_sync(struct directory *d);

#endif

#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <motet/err.h>
#include <motet/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/mem.h"
#include "nucleus/base/trace.h"

/* The site directory: who is in each group, and where ports live that were born
 * elsewhere. Each site is the only author of its own records; they carry the
 * author's version number, rising by one with each change. Changes go at once
 * (gathered for 10 ms) to every site with a session; what was lost is repaired
 * by anti-entropy: each second a digest (author, incarnation, version) goes to
 * one site, which sends what is missing. No leader, no lock. A pure machine.
 *
 * A withdrawn record stays as a tombstone for `tombstone_ns`; a site that is
 * further behind gets the author's whole list (`full`) instead of a delta. */

struct directory;

struct directory_config {
    uint64_t site;
    uint32_t incarnation;
    uint64_t seed;
    uint32_t records_max;  /* 1,048,576, of all authors */
    uint32_t authors_max;  /* 1,024 */
    uint64_t gather_ns;    /* 10 ms */
    uint64_t sync_ns;      /* 1 s */
    uint64_t tombstone_ns; /* 5 min */
    struct mem *mem;
    struct trace *trace;
};

struct directory_config directory_config_default(void);

enum record_kind {
    RECORD_MEMBER = 1, /* `subject` (a port here) is in `group` called `name` */
    RECORD_OWNER, /* `subject` (a port that has moved) lives here, epoch; or
                   * at `site`, if that is not 0 */
};

struct record {
    enum record_kind kind;
    bool present; /* false: withdrawn */
    uint64_t version;
    struct motet_ui subject;
    struct motet_ui group;
    uint64_t epoch; /* of the port; MEMBER: 0 = it never moved */
    uint64_t site;  /* OWNER: 0 = the author */
    uint32_t incarnation;
    char name[MOTET_NAME_MAX + 1];
};

enum { DIR_RECORDS_MAX = 64, DIR_DIGEST_MAX = 256 };

enum dir_msg_kind {
    DIR_DELTA = 1,
    DIR_DIGEST,
    DIR_SYNC,   /* author, incarnation: that life is over, full: in order;
                 * token. Between sites: the directory itself has no part in
                 * it */
    DIR_SYNCED, /* token, upto: the sender's version, after it took leave of
                 * that life */
};

struct dir_digest {
    uint64_t author;
    uint32_t incarnation;
    uint64_t version;
};

struct dir_msg {
    enum dir_msg_kind kind;
    /* DELTA: the author's records with after < version <= upto, in order of
     * version; a full list may be cut into parts: `full` in each, `first` in
     * the first one. A part that does not follow what is held is dropped. */
    uint64_t author;
    uint32_t incarnation;
    uint64_t after, upto;
    bool full, first;
    uint32_t record_count;
    const struct record *records;
    /* DIGEST: in rising order of author, version 0 = nothing is held. Without
     * `want`: send me what I lack of these authors. With it: also of all other
     * authors between the first and the last one; and send me a digest of those
     * of which I have more than you. */
    bool want;
    uint32_t digest_count;
    const struct dir_digest *digest;
    uint64_t token;
};

enum dir_in_kind {
    DIR_IN_PUBLISH = 1, /* record (kind, subject, group, name, epoch) of this
                         * site; present false withdraws it */
    DIR_IN_PEER,        /* site, incarnation, up: a session came up (a digest is
                         * exchanged at once) or broke */
    DIR_IN_GONE,        /* site, incarnation: dead or left; its records go */
    DIR_IN_MSG,         /* site (sender), msg */
    DIR_IN_TICK,
};

struct dir_in {
    enum dir_in_kind kind;
    uint64_t now_ns;
    uint64_t site;
    uint32_t incarnation;
    bool up;
    const struct record *record; /* borrowed */
    const struct dir_msg *msg;   /* borrowed */
};

enum dir_effect_kind {
    DIR_SEND = 1, /* site, msg: best effort */
    DIR_MEMBER,   /* record, site (author), in: joined or left a group. Also for
                   * this site's own records, in the order published */
    DIR_OWNER,    /* record, site (author), in */
};

struct dir_effect {
    enum dir_effect_kind kind;
    uint64_t site;
    uint32_t incarnation; /* of `site`, the author; 0 = over */
    bool in;
    const struct record *record;
    const struct dir_msg *msg;
};

/** @return NULL at the memory cap */
struct directory *directory_create(const struct directory_config *cfg);
void directory_destroy(struct directory *d);

/** Feeds one input.
 * @return MOTET_OK; LIMIT or NO_MEMORY for a PUBLISH that found no room:
 *         nothing changed. Messages of peers never fail: what makes no sense is
 *         ignored; a record that finds no room leaves the author's version
 *         where it was, so that it is asked for again. */
MUST_USE enum motet_err directory_step(struct directory *d,
                                       const struct dir_in *in);

/** As members_effect(). */
const struct dir_effect *directory_effect(struct directory *d);

uint64_t directory_deadline_ns(const struct directory *d);

/** The author's version as held here; 0 = nothing known. */
uint64_t directory_version(const struct directory *d, uint64_t author);

/** Likewise, of one life of it. */
uint64_t directory_version_of(const struct directory *d, uint64_t author,
                              uint32_t incarnation);

/** A hash over all present records held: equal hashes, equal directories. */
uint64_t directory_view(const struct directory *d);

/** Whether this site says something of this kind, subject and group.
 * @param epoch  set if it does */
MUST_USE bool directory_said(const struct directory *d, const struct record *r,
                             uint64_t *epoch);

/** Present records held, of all authors. */
uint32_t directory_records(const struct directory *d);

#endif

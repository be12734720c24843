#ifndef DIRECTORY_ONE_H
#define DIRECTORY_ONE_H

#include "directory_world.h"
#include "sites/core/directory.h"

/* One directory, of site 10, and what it makes of single inputs. */

enum { BOB = 20, EVE = 30, SEEN_MAX = 512 };

static struct mem mem;
static struct trace trace;
static struct directory *d;
static uint64_t now_ns;
static struct directory_config cfg;

struct seen {
    enum dir_effect_kind kind;
    uint64_t site;
    bool in;
    struct record record;
    struct dir_msg msg; /* without its arrays */
    struct dir_digest first, last;
};
static struct seen seen[SEEN_MAX];
static uint32_t seen_count;

static inline enum motet_err step(struct dir_in in)
{
    in.now_ns = now_ns;
    const enum motet_err err = directory_step(d, &in);
    const struct dir_effect *e;
    seen_count = 0;
    while ((e = directory_effect(d)) != NULL) {
        cr_assert_lt(seen_count, SEEN_MAX);
        struct seen *s = &seen[seen_count++];
        *s = (struct seen){.kind = e->kind, .site = e->site, .in = e->in};
        if (e->kind != DIR_SEND) {
            s->record = *e->record;
            continue;
        }
        s->msg = *e->msg;
        if (e->msg->digest_count > 0) {
            s->first = e->msg->digest[0];
            s->last = e->msg->digest[e->msg->digest_count - 1];
        }
    }
    return err;
}

static inline void setup(void)
{
    mem_init(&mem, 1 << 24);
    trace_init(&trace, NULL);
    now_ns = SEC_NS;
    cfg = directory_config_default();
    cfg.site = 10;
    cfg.incarnation = 1;
    cfg.seed = 5;
    cfg.mem = &mem;
    cfg.trace = &trace;
    d = directory_create(&cfg);
    cr_assert_not_null(d);
}

static inline void teardown(void)
{
    directory_destroy(d);
    cr_assert_eq(mem.used_bytes, 0);
    cr_assert_eq(mem.blocks, 0);
}

static inline void again(void)
{
    teardown();
    d = directory_create(&cfg);
    cr_assert_not_null(d);
}

static inline enum motet_err publish(uint32_t subject, uint32_t group,
                                     bool present)
{
    const struct record r = dw_record(subject, group, present);
    return step((struct dir_in){.kind = DIR_IN_PUBLISH, .record = &r});
}

static inline void peer(uint64_t site, bool up)
{
    cr_assert_eq(
        step((struct dir_in){
            .kind = DIR_IN_PEER, .site = site, .incarnation = 1, .up = up}),
        MOTET_OK);
}

static inline void got(uint64_t from, const struct dir_msg *msg)
{
    cr_assert_eq(
        step((struct dir_in){.kind = DIR_IN_MSG, .site = from, .msg = msg}),
        MOTET_OK);
}

static inline void gone(uint64_t site, uint32_t incarnation)
{
    cr_assert_eq(step((struct dir_in){.kind = DIR_IN_GONE,
                                      .site = site,
                                      .incarnation = incarnation}),
                 MOTET_OK);
}

static inline void tick(void)
{
    cr_assert_eq(step((struct dir_in){.kind = DIR_IN_TICK}), MOTET_OK);
}

/* A delta of `author` with records of the versions after + 1 to upto. */
static struct record rows[DIR_RECORDS_MAX + 1];
static inline struct dir_msg delta(uint64_t author, uint32_t incarnation,
                                   uint64_t after, uint64_t upto)
{
    uint32_t count = 0;
    for (uint64_t v = after + 1; v <= upto && count < ARRAY_LEN(rows); v++) {
        rows[count] = dw_record((uint32_t)v, 50, true);
        rows[count].version = v;
        count++;
    }
    return (struct dir_msg){.kind = DIR_DELTA,
                            .author = author,
                            .incarnation = incarnation,
                            .after = after,
                            .upto = upto,
                            .record_count = count,
                            .records = rows};
}

static inline void take(uint64_t author, uint32_t incarnation, uint64_t after,
                        uint64_t upto)
{
    const struct dir_msg msg = delta(author, incarnation, after, upto);
    got(BOB, &msg);
}

static inline void digest(uint64_t from, bool want, uint64_t author,
                          uint32_t incarnation, uint64_t version)
{
    const struct dir_digest entry = {author, incarnation, version};
    const struct dir_msg msg = {
        .kind = DIR_DIGEST, .want = want, .digest_count = 1, .digest = &entry};
    got(from, &msg);
}

#endif

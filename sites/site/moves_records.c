#include <string.h>

#include "moves.h"
#include "nucleus/base/ui.h"

/* What others are told of where ports live.
 *
 * Each site says in the directory which of its ports have moved there. What a
 * site said of a port that it gave away is withdrawn only after a while, so
 * that the new owner's word is everywhere before: a group is never without a
 * member that it has. Where the port went is remembered for as long as a stub
 * is promised; it is said in the directory only when the life of the site is
 * over to which it went, for those who wait for it and never heard that it
 * moved. */

#define SECOND UINT64_C(1000000000)

enum {
    WITHDRAW_S = 2,
    STUB_S = 600,
    STUBS_MAX = 65536,
};

/* A port that was given away. */
struct stub {
    struct list link; /* site.fresh_stubs, then site.stubs; oldest first */
    struct motet_ui port;
    uint64_t site;
    uint32_t incarnation;
    uint64_t epoch;
    uint64_t at_ns;
    bool told; /* where it went */
    uint32_t group_count;
    struct motet_ui *groups; /* it was said here to be in these */
};

void records_init(struct site *s)
{
    list_init(&s->stubs);
    list_init(&s->fresh_stubs);
    map_init(&s->stub_by_port, &s->own, prng_next(&s->prng));
}

static void stub_free(struct site *s, struct stub *t)
{
    (void)map_remove(&s->stub_by_port, t->port.hi, t->port.lo);
    list_remove(&t->link);
    s->stub_count--;
    mem_free(&s->own, t->groups, t->group_count * sizeof *t->groups);
    mem_free(&s->own, t, sizeof *t);
}

void records_fini(struct site *s)
{
    struct list *lists[] = {&s->fresh_stubs, &s->stubs};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        list_foreach (it, lists[i]) {
            stub_free(s, LIST_ENTRY(it, struct stub, link));
        }
    }
    map_fini(&s->stub_by_port);
}

static void publish(struct site *s, const struct record *r)
{
    const enum motet_err err =
        directory_step(s->directory, &(struct dir_in){.kind = DIR_IN_PUBLISH,
                                                      .now_ns = s->now_ns,
                                                      .record = r});
    (void)err; /* no room: who asks the birth site is sent on */
}

static void publish_owner(struct site *s, struct motet_ui port, bool present,
                          uint64_t epoch, struct place_of place)
{
    const struct record r = {
        .kind = RECORD_OWNER,
        .present = present,
        .subject = port,
        .epoch = epoch,
        .site = place.site,
        .incarnation = place.incarnation,
    };
    publish(s, &r);
}

/* It is back before that was withdrawn. Of the groups that it is still in this
 * was said anew, with its new epoch; others it has left meanwhile. */
static void withdraw_left(struct site *s, const struct stub *t, uint64_t epoch)
{
    for (uint32_t i = 0; i < t->group_count; i++) {
        uint64_t said;
        const struct record r = {
            .kind = RECORD_MEMBER, .subject = t->port, .group = t->groups[i]};
        if (directory_said(s->directory, &r, &said) && said < epoch) {
            publish(s, &r);
        }
    }
}

void records_here(struct site *s, struct motet_ui port, uint64_t epoch,
                  bool lives)
{
    struct stub *t = map_get(&s->stub_by_port, port.hi, port.lo);

    if (t != NULL) {
        withdraw_left(s, t, epoch);
        stub_free(s, t);
    }
    publish_owner(s, port, lives, epoch, (struct place_of){0});
}

void records_ended(struct site *s, struct motet_ui port)
{
    uint64_t epoch;
    const struct place_of place = netmgr_where(s->netmgr, port, &epoch);

    if (place.site == s->cfg.site && epoch > 1) {
        publish_owner(s, port, false, epoch, (struct place_of){0});
    }
}

/* What was said here of where a port is, and of its groups. */
static void withdraw(struct site *s, struct stub *t)
{
    for (uint32_t i = 0; i < t->group_count; i++) {
        publish(s, &(struct record){.kind = RECORD_MEMBER,
                                    .subject = t->port,
                                    .group = t->groups[i]});
    }
    if (!t->told) {
        publish_owner(s, t->port, false, t->epoch, (struct place_of){0});
    }
    mem_free(&s->own, t->groups, t->group_count * sizeof *t->groups);
    t->groups = NULL;
    t->group_count = 0;
    list_remove(&t->link);
    list_append(&s->stubs, &t->link);
}

static struct stub *oldest(const struct list *all)
{
    struct list *first = list_first(all);
    return first != NULL ? LIST_ENTRY(first, struct stub, link) : NULL;
}

static void make_room(struct site *s)
{
    if (s->stub_count < STUBS_MAX) {
        return;
    }
    if (list_empty(&s->stubs)) {
        withdraw(s, oldest(&s->fresh_stubs));
    }
    stub_free(s, oldest(&s->stubs));
}

void records_away(struct site *s, const struct move_groups *groups,
                  struct motet_ui port, struct place_of place, uint64_t epoch)
{
    struct stub *t = map_get(&s->stub_by_port, port.hi, port.lo);

    if (t != NULL) {
        stub_free(s, t);
    }
    make_room(s);
    t = mem_alloc(&s->own, sizeof *t);
    CHECK(t != NULL);
    t->port = port;
    t->site = place.site;
    t->incarnation = place.incarnation;
    t->epoch = epoch;
    t->at_ns = s->now_ns;
    for (uint32_t i = 0; i < groups->count; i++) {
        t->group_count += ui_equal(groups->all[i].port, port);
    }
    t->groups = mem_alloc(&s->own, t->group_count * sizeof *t->groups);
    CHECK(t->groups != NULL || t->group_count == 0);
    for (uint32_t i = 0, at = 0; i < groups->count; i++) {
        if (ui_equal(groups->all[i].port, port)) {
            t->groups[at++] = groups->all[i].group;
        }
    }
    CHECK(map_put(&s->stub_by_port, port.hi, port.lo, t));
    list_append(&s->fresh_stubs, &t->link);
    s->stub_count++;
}

static void tell(struct site *s, const struct list *all, uint64_t site,
                 uint32_t incarnation)
{
    list_foreach (it, all) {
        struct stub *t = LIST_ENTRY(it, struct stub, link);
        if (t->site == site && t->incarnation <= incarnation && !t->told) {
            t->told = true;
            publish_owner(s, t->port, true, t->epoch,
                          (struct place_of){.site = t->site,
                                            .incarnation = t->incarnation});
        }
    }
}

void records_gone(struct site *s, uint64_t site, uint32_t incarnation)
{
    tell(s, &s->fresh_stubs, site, incarnation);
    tell(s, &s->stubs, site, incarnation);
}

static bool due(const struct site *s, const struct stub *t, uint64_t age_s)
{
    return t != NULL && s->now_ns - t->at_ns >= age_s * SECOND;
}

void records_run(struct site *s)
{
    struct stub *t;

    while (due(s, t = oldest(&s->fresh_stubs), WITHDRAW_S)) {
        withdraw(s, t);
    }
    while (due(s, t = oldest(&s->stubs), STUB_S)) {
        if (t->told) {
            publish_owner(s, t->port, false, t->epoch, (struct place_of){0});
        }
        stub_free(s, t);
    }
}

uint64_t records_deadline_ns(const struct site *s)
{
    const struct stub *fresh = oldest(&s->fresh_stubs);
    const struct stub *old = oldest(&s->stubs);
    uint64_t at = DEADLINE_NEVER;

    if (fresh != NULL) {
        at = fresh->at_ns + WITHDRAW_S * SECOND;
    }
    if (old != NULL && old->at_ns + STUB_S * SECOND < at) {
        at = old->at_ns + STUB_S * SECOND;
    }
    return at;
}

#include "deaths.h"

#include <string.h>

#include "moves.h"

enum { ASK_AGAIN_MS = 50 };

/* A site that must answer. */
struct witness {
    struct list link;
    uint64_t site;
    uint32_t incarnation;
    bool answered;
    uint64_t version; /* of its records, that must be held here */
};

struct death {
    struct list link;
    uint64_t site;
    uint32_t incarnation;
    enum nuc_site_state how;
    uint64_t token;
    uint64_t ask_ns; /* again */
    struct list witnesses;
};

void deaths_init(struct site *s)
{
    list_init(&s->deaths);
    map_init(&s->tombs, &s->own, prng_next(&s->prng));
    list_init(&s->tomb_list);
}

/* How far the lives of a site are known to be over. */
struct tomb_node {
    struct list link;
    struct tomb t;
};

static void death_free(struct site *s, struct death *d)
{
    list_foreach (it, &d->witnesses) {
        struct witness *w = LIST_ENTRY(it, struct witness, link);
        list_remove(it);
        mem_free(&s->own, w, sizeof *w);
    }
    list_remove(&d->link);
    mem_free(&s->own, d, sizeof *d);
}

void deaths_fini(struct site *s)
{
    list_foreach (it, &s->deaths) {
        death_free(s, LIST_ENTRY(it, struct death, link));
    }
    list_foreach (it, &s->tomb_list) {
        struct tomb_node *n = LIST_ENTRY(it, struct tomb_node, link);
        list_remove(it);
        mem_free(&s->own, n, sizeof *n);
    }
    map_fini(&s->tombs);
}

/* @return whether that is news */
static bool bury(struct site *s, uint64_t site, uint32_t incarnation)
{
    struct tomb_node *n = map_get(&s->tombs, site, 0);

    if (n == NULL) {
        n = mem_alloc(&s->own, sizeof *n);
        CHECK(n != NULL);
        n->t.site = site;
        CHECK(map_put(&s->tombs, site, 0, n));
        list_append(&s->tomb_list, &n->link);
    }
    if (n->t.incarnation >= incarnation) {
        return false;
    }
    n->t.incarnation = incarnation;
    return true;
}

static void add_witness(struct site *s, struct death *d,
                        const struct member_info *m)
{
    struct witness *w = mem_alloc(&s->own, sizeof *w);

    CHECK(w != NULL);
    w->site = m->site;
    w->incarnation = m->incarnation;
    list_append(&d->witnesses, &w->link);
}

static bool lives(const struct member_info *m)
{
    return m->state == MEMBER_ALIVE || m->state == MEMBER_SUSPECT;
}

static void ask(struct site *s, struct death *d)
{
    const struct dir_msg msg = {.kind = DIR_SYNC,
                                .author = d->site,
                                .incarnation = d->incarnation,
                                .token = d->token};

    d->ask_ns = s->now_ns + ASK_AGAIN_MS * UINT64_C(1000000);
    list_foreach (it, &d->witnesses) {
        const struct witness *w = LIST_ENTRY(it, struct witness, link);
        if (!w->answered) {
            site_send_dir(s, w->site, &msg);
        }
    }
}

void deaths_begin(struct site *s, uint64_t site, uint32_t incarnation,
                  enum nuc_site_state how)
{
    struct member_info m;

    if (incarnation == 0 || site == s->cfg.site ||
        !bury(s, site, incarnation)) {
        return;
    }
    site_net(s, &(struct net_in){.kind = NET_IN_DOWN,
                                 .site = site,
                                 .incarnation = incarnation});
    site_directory_gone(s, site, incarnation);
    moves_gone(s, site, incarnation);
    struct death *d = mem_alloc(&s->own, sizeof *d);
    CHECK(d != NULL);
    d->site = site;
    d->incarnation = incarnation;
    d->how = how;
    d->token = prng_next(&s->prng) | 1;
    list_init(&d->witnesses);
    for (uint64_t at = 0; members_next(s->members, at, &m); at = m.site) {
        if (lives(&m) && m.site != s->cfg.site && m.site != site) {
            add_witness(s, d, &m);
        }
    }
    list_append(&s->deaths, &d->link);
    ask(s, d);
}

/* ---- Answers ---------------------------------------------------------------
 */

static void answered(struct site *s, uint64_t from, const struct dir_msg *msg)
{
    list_foreach (it, &s->deaths) {
        struct death *d = LIST_ENTRY(it, struct death, link);
        if (d->token != msg->token) {
            continue;
        }
        list_foreach (at, &d->witnesses) {
            struct witness *w = LIST_ENTRY(at, struct witness, link);
            if (w->site == from) {
                w->answered = true;
                w->version = msg->upto;
            }
        }
    }
}

void deaths_message(struct site *s, uint64_t from, const struct dir_msg *msg)
{
    if (msg->kind == DIR_SYNCED) {
        answered(s, from, msg);
        return;
    }
    if (msg->author != s->cfg.site) {
        moves_gone(s, msg->author, msg->incarnation);
    }
    site_settle(s);
    site_send_dir(s, from,
                  &(struct dir_msg){
                      .kind = DIR_SYNCED,
                      .token = msg->token,
                      .upto = directory_version(s->directory, s->cfg.site)});
}

/* ---- The end ---------------------------------------------------------------
 */

static bool alive_still(const struct site *s, const struct witness *w)
{
    struct member_info m;

    for (uint64_t at = 0; members_next(s->members, at, &m); at = m.site) {
        if (m.site == w->site) {
            return lives(&m) && m.incarnation == w->incarnation;
        }
    }
    return false;
}

static bool waits_for(const struct site *s, const struct witness *w)
{
    if (w->answered && directory_version_of(s->directory, w->site,
                                            w->incarnation) >= w->version) {
        return false;
    }
    return alive_still(s, w);
}

static bool complete(struct site *s, struct death *d)
{
    list_foreach (it, &d->witnesses) {
        struct witness *w = LIST_ENTRY(it, struct witness, link);
        if (waits_for(s, w)) {
            return false;
        }
        list_remove(it);
        mem_free(&s->own, w, sizeof *w);
    }
    return true;
}

/* First what was under way to it ends, then those who watch it hear. */
static void finish(struct site *s, const struct death *d)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_SITE,
                        .now_ns = s->now_ns,
                        .site = d->site,
                        .incarnation = d->incarnation,
                        .state = d->how};

    site_net(s, &(struct net_in){.kind = NET_IN_DEAD,
                                 .site = d->site,
                                 .incarnation = d->incarnation});
    site_settle(s);
    enum motet_err err = nucleus_step(s->nucleus, &in, &out);
    (void)err; /* at the memory cap: nothing was tied to it */
    site_settle(s);
}

void deaths_run(struct site *s)
{
    list_foreach (it, &s->deaths) {
        struct death *d = LIST_ENTRY(it, struct death, link);
        if (complete(s, d)) {
            const struct death over = *d;
            death_free(s, d);
            finish(s, &over);
        } else if (s->now_ns >= d->ask_ns) {
            ask(s, d);
        }
    }
}

uint64_t deaths_deadline_ns(const struct site *s)
{
    uint64_t at = DEADLINE_NEVER;

    list_foreach (it, &s->deaths) {
        const struct death *d = LIST_ENTRY(it, const struct death, link);
        at = d->ask_ns < at ? d->ask_ns : at;
    }
    return at;
}

/* ---- Deaths that ports were told of ----------------------------------------
 */

static bool pending(const struct site *s, const struct tomb *t)
{
    list_foreach (it, &s->deaths) {
        const struct death *d = LIST_ENTRY(it, const struct death, link);
        if (d->site == t->site && d->incarnation <= t->incarnation) {
            return true;
        }
    }
    return false;
}

bool deaths_next(const struct site *s, struct list **at, struct tomb *tomb)
{
    struct list *it = *at == NULL ? list_first(&s->tomb_list)
                                  : list_after(&s->tomb_list, *at);

    for (; it != NULL; it = list_after(&s->tomb_list, it)) {
        *at = it;
        *tomb = LIST_ENTRY(it, const struct tomb_node, link)->t;
        if (!pending(s, tomb)) {
            return true;
        }
    }
    return false;
}

bool deaths_told(struct site *s, const struct tomb *tomb)
{
    const struct tomb_node *n = map_get(&s->tombs, tomb->site, 0);

    if (tomb->site == s->cfg.site) {
        return tomb->incarnation < s->cfg.incarnation;
    }
    if (n != NULL && n->t.incarnation >= tomb->incarnation) {
        return !pending(s, tomb);
    }
    members_step(s->members,
                 &(struct member_in){.kind = MEMBER_IN_DEAD,
                                     .now_ns = s->now_ns,
                                     .site = tomb->site,
                                     .incarnation = tomb->incarnation});
    deaths_begin(s, tomb->site, tomb->incarnation, NUC_SITE_DEAD);
    return false;
}

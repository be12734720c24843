#include "deaths.h"

#include <string.h>

#include "moves.h"

enum {
    ASK_AGAIN_MS = 50,
    MEET_MS = 10000, /* for which a site that starts waits for those whom it was
                      * told to join */
};

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
    struct tomb t;
    enum nuc_site_state how;
    uint64_t token;
    uint64_t ask_ns; /* again */
    struct list witnesses;
};

/* How far the lives of a site are known to be over, and how far everything here
 * was told so. */
struct tomb_node {
    struct list link;
    struct tomb t;
    uint32_t told;
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

static struct tomb_node *tomb_of(const struct site *s, uint64_t site)
{
    return map_get(&s->tombs, site, 0);
}

/* @return whether that is news */
static bool bury(struct site *s, uint64_t site, uint32_t incarnation)
{
    struct tomb_node *n = tomb_of(s, site);

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

static bool lives(const struct member_info *m)
{
    return m->state == MEMBER_ALIVE || m->state == MEMBER_SUSPECT;
}

static void ask(struct site *s, const struct death *d, const struct witness *w)
{
    site_send_dir(s, w->site,
                  &(struct dir_msg){.kind = DIR_SYNC,
                                    .author = d->t.site,
                                    .incarnation = d->t.incarnation,
                                    .full = d->how == NUC_SITE_LEFT,
                                    .token = d->token});
}

static void ask_again(struct site *s, struct death *d)
{
    d->ask_ns = s->now_ns + ASK_AGAIN_MS * UINT64_C(1000000);
    list_foreach (it, &d->witnesses) {
        const struct witness *w = LIST_ENTRY(it, struct witness, link);
        if (!w->answered) {
            ask(s, d, w);
        }
    }
}

static struct witness *witness_of(struct site *s, struct death *d,
                                  const struct member_info *m)
{
    list_foreach (it, &d->witnesses) {
        struct witness *w = LIST_ENTRY(it, struct witness, link);
        if (w->site == m->site && w->incarnation == m->incarnation) {
            return w;
        }
    }
    struct witness *w = mem_alloc(&s->own, sizeof *w);
    CHECK(w != NULL);
    w->site = m->site;
    w->incarnation = m->incarnation;
    list_append(&d->witnesses, &w->link);
    ask(s, d, w);
    return w;
}

static void death_new(struct site *s, uint64_t site, uint32_t incarnation,
                      enum nuc_site_state how)
{
    struct death *d = mem_alloc(&s->own, sizeof *d);

    CHECK(d != NULL);
    d->t = (struct tomb){.site = site, .incarnation = incarnation};
    d->how = how;
    d->token = prng_next(&s->prng) | 1;
    d->ask_ns = s->now_ns + ASK_AGAIN_MS * UINT64_C(1000000);
    list_init(&d->witnesses);
    list_append(&s->deaths, &d->link);
}

void deaths_init(struct site *s)
{
    list_init(&s->deaths);
    map_init(&s->tombs, &s->own, prng_next(&s->prng));
    list_init(&s->tomb_list);
    if (bury(s, s->cfg.site, s->cfg.incarnation - 1)) {
        death_new(s, s->cfg.site, s->cfg.incarnation - 1, NUC_SITE_DEAD);
    }
}

void deaths_begin(struct site *s, uint64_t site, uint32_t incarnation,
                  enum nuc_site_state how)
{
    if (incarnation == 0 || site == s->cfg.site ||
        !bury(s, site, incarnation)) {
        return;
    }
    site_net(s, &(struct net_in){.kind = NET_IN_DOWN,
                                 .site = site,
                                 .incarnation = incarnation});
    site_directory_gone(s, site, incarnation);
    moves_gone(s, site, incarnation);
    death_new(s, site, incarnation, how);
}

/* What another site takes for over is over here too. */
static void believe(struct site *s, uint64_t site, uint32_t incarnation,
                    enum nuc_site_state how)
{
    const struct tomb_node *n = tomb_of(s, site);

    if (site == s->cfg.site || (n != NULL && n->t.incarnation >= incarnation)) {
        return; /* of its own death it hears soon enough */
    }
    members_step(s->members, &(struct member_in){.kind = how == NUC_SITE_LEFT
                                                             ? MEMBER_IN_BYE
                                                             : MEMBER_IN_DEAD,
                                                 .now_ns = s->now_ns,
                                                 .site = site,
                                                 .incarnation = incarnation});
    deaths_begin(s, site, incarnation, how);
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
    believe(s, msg->author, msg->incarnation,
            msg->full ? NUC_SITE_LEFT : NUC_SITE_DEAD);
    site_settle(s);
    site_send_dir(s, from,
                  &(struct dir_msg){
                      .kind = DIR_SYNCED,
                      .token = msg->token,
                      .upto = directory_version(s->directory, s->cfg.site)});
}

/* ---- The end ---------------------------------------------------------------
 */

static bool has_said_all(const struct site *s, const struct witness *w)
{
    return w->answered && directory_version_of(s->directory, w->site,
                                               w->incarnation) >= w->version;
}

/* Whoever has come since is asked too; a site that starts hears of deaths
 * before it has met the others, of whom one may have what moved. */
static bool complete(struct site *s, struct death *d)
{
    const bool starts = s->now_ns - s->born_ns < MEET_MS * UINT64_C(1000000);
    bool alone = true;
    bool all = true;
    struct member_info m;

    for (uint64_t at = 0; members_next(s->members, at, &m); at = m.site) {
        if (lives(&m) && m.site != s->cfg.site && m.site != d->t.site) {
            alone = false;
            all = has_said_all(s, witness_of(s, d, &m)) && all;
        }
    }
    if (starts && (alone || !netmgr_met_seeds(s->netmgr))) {
        return false;
    }
    return all;
}

/* First what was under way to it ends, then those who watch it hear. */
static void finish(struct site *s, const struct death *d)
{
    struct nuc_out out;
    struct nuc_in in = {.kind = NUC_SITE,
                        .now_ns = s->now_ns,
                        .site = d->t.site,
                        .incarnation = d->t.incarnation,
                        .state = d->how};
    struct tomb_node *n = tomb_of(s, d->t.site);

    n->told = d->t.incarnation > n->told ? d->t.incarnation : n->told;
    site_net(s, &(struct net_in){.kind = NET_IN_DEAD,
                                 .site = d->t.site,
                                 .incarnation = d->t.incarnation});
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
            ask_again(s, d);
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

bool deaths_next(const struct site *s, struct list **at, struct tomb *tomb)
{
    struct list *it = *at == NULL ? list_first(&s->tomb_list)
                                  : list_after(&s->tomb_list, *at);

    for (; it != NULL; it = list_after(&s->tomb_list, it)) {
        const struct tomb_node *n =
            LIST_ENTRY(it, const struct tomb_node, link);
        *at = it;
        *tomb = (struct tomb){.site = n->t.site, .incarnation = n->told};
        if (n->told != 0) {
            return true;
        }
    }
    return false;
}

bool deaths_told(struct site *s, const struct tomb *tomb)
{
    const struct tomb_node *n = tomb_of(s, tomb->site);

    believe(s, tomb->site, tomb->incarnation, NUC_SITE_DEAD);
    return n != NULL && n->told >= tomb->incarnation;
}

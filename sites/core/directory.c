#include "directory.h"

#include <string.h>

#include "directory_priv.h"

struct directory_config directory_config_default(void)
{
    const uint64_t ms_ns = 1000000;
    return (struct directory_config){
        .records_max = 1048576,
        .authors_max = 1024,
        .gather_ns = 10 * ms_ns,
        .sync_ns = 1000 * ms_ns,
        .tombstone_ns = 300000 * ms_ns,
    };
}

static size_t table_bytes(const struct directory *d)
{
    return d->cfg.authors_max * sizeof(void *);
}

static bool tables_new(struct directory *d)
{
    d->authors = mem_alloc(d->cfg.mem, table_bytes(d));
    d->peers = mem_alloc(d->cfg.mem, table_bytes(d));
    if (d->authors == NULL || d->peers == NULL) {
        return false;
    }
    d->own = dir_author_add(d, d->cfg.site);
    if (d->own == NULL) {
        return false;
    }
    dir_author_renew(d, d->own, d->cfg.incarnation);
    return true;
}

struct directory *directory_create(const struct directory_config *cfg)
{
    CHECK(cfg->site != 0 && cfg->mem != NULL && cfg->trace != NULL);
    CHECK(cfg->authors_max >= 1 && cfg->records_max >= 1);
    CHECK(cfg->sync_ns > 0);
    struct directory *d = mem_alloc(cfg->mem, sizeof *d);
    if (d == NULL) {
        return NULL;
    }
    d->cfg = *cfg;
    prng_init(&d->prng, cfg->seed);
    for (int i = 0; i < 4; i++) {
        d->key_seed[i / 2][i % 2] = prng_next(&d->prng);
    }
    map_init(&d->records, cfg->mem, prng_next(&d->prng));
    map_init(&d->peer_map, cfg->mem, prng_next(&d->prng));
    list_init(&d->gone);
    list_init(&d->tombs);
    d->gather_due_ns = DEADLINE_NEVER;
    d->sync_due_ns = DEADLINE_NEVER;
    dir_outs_init(d);
    if (!tables_new(d)) {
        directory_destroy(d);
        return NULL;
    }
    return d;
}

void directory_destroy(struct directory *d)
{
    if (d == NULL) {
        return;
    }
    while (d->author_count > 0) {
        dir_author_remove(d, d->authors[d->author_count - 1]);
    }
    while (d->peer_count > 0) {
        dir_peer_remove(d, d->peers[d->peer_count - 1]);
    }
    dir_outs_fini(d);
    map_fini(&d->records);
    map_fini(&d->peer_map);
    mem_free(d->cfg.mem, d->authors, table_bytes(d));
    mem_free(d->cfg.mem, d->peers, table_bytes(d));
    mem_free(d->cfg.mem, d, sizeof *d);
}

static bool same_content(const struct record *a, const struct record *b)
{
    return a->present == b->present &&
           (!a->present || (a->epoch == b->epoch && a->site == b->site &&
                            a->incarnation == b->incarnation &&
                            strcmp(a->name, b->name) == 0));
}

static enum motet_err publish(struct directory *d, const struct record *r)
{
    if (r == NULL || !dir_record_ok(r)) {
        return MOTET_E_INVALID;
    }
    const struct entry *e = dir_entry(d, d->own, r);
    if (e == NULL ? !r->present : same_content(&e->r, r)) {
        return MOTET_OK;
    }
    struct record mine = *r;
    mine.version = d->own->version + 1;
    const enum motet_err err = dir_take(d, d->own, &mine);
    if (err != MOTET_OK) {
        return err;
    }
    d->own->version = mine.version;
    if (d->gather_due_ns == DEADLINE_NEVER) {
        d->gather_due_ns = d->now_ns + d->cfg.gather_ns;
    }
    return MOTET_OK;
}

static void gone(struct directory *d, uint64_t site, uint32_t incarnation)
{
    if (site == 0 || site == d->cfg.site) {
        return;
    }
    struct author *a = dir_author(d, site);
    if (a == NULL) {
        a = dir_author_add(d, site);
    }
    if (a != NULL) {
        dir_author_gone(d, a, incarnation);
    }
}

static void tick(struct directory *d)
{
    dir_forget_tombs(d);
    if (d->now_ns >= d->gather_due_ns) {
        dir_tell_all(d);
    }
    if (d->now_ns >= d->sync_due_ns) {
        dir_sync(d);
    }
}

enum motet_err directory_step(struct directory *d, const struct dir_in *in)
{
    d->now_ns = in->now_ns;
    switch (in->kind) {
    case DIR_IN_PUBLISH:
        return publish(d, in->record);
    case DIR_IN_PEER:
        if (in->site != 0 && in->site != d->cfg.site) {
            dir_peer(d, in->site, in->up);
        }
        break;
    case DIR_IN_GONE:
        gone(d, in->site, in->incarnation);
        break;
    case DIR_IN_MSG:
        dir_got(d, in->site, in->msg);
        break;
    case DIR_IN_TICK:
        tick(d);
        break;
    }
    return MOTET_OK;
}

uint64_t directory_deadline_ns(const struct directory *d)
{
    uint64_t at =
        d->gather_due_ns < d->sync_due_ns ? d->gather_due_ns : d->sync_due_ns;
    struct list *oldest = list_first(&d->tombs);
    if (oldest != NULL) {
        const struct entry *e = LIST_ENTRY(oldest, struct entry, tomb);
        const uint64_t forget_ns = e->died_ns + d->cfg.tombstone_ns;
        at = forget_ns < at ? forget_ns : at;
    }
    return at;
}

uint64_t directory_version(const struct directory *d, uint64_t author)
{
    const struct author *a = dir_author(d, author);
    return a == NULL ? 0 : a->version;
}

uint64_t directory_version_of(const struct directory *d, uint64_t author,
                              uint32_t incarnation)
{
    const struct author *a = dir_author(d, author);
    return a != NULL && a->known && a->incarnation == incarnation ? a->version
                                                                  : 0;
}

uint64_t directory_view(const struct directory *d)
{
    return d->view;
}

bool directory_said(const struct directory *d, const struct record *r,
                    uint64_t *epoch)
{
    const struct entry *e = dir_entry(d, d->own, r);

    if (e == NULL || !e->r.present) {
        return false;
    }
    *epoch = e->r.epoch;
    return true;
}

uint32_t directory_records(const struct directory *d)
{
    return d->present;
}

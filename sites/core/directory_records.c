#include <string.h>

#include "directory_priv.h"
#include "nucleus/base/hash.h"
#include "nucleus/base/ui.h"

/* ---- Authors ---------------------------------------------------------------
 */

uint32_t dir_author_at(const struct directory *d, uint64_t site)
{
    uint32_t low = 0;
    uint32_t high = d->author_count;
    while (low < high) {
        const uint32_t mid = low + (high - low) / 2;
        if (d->authors[mid]->site < site) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

struct author *dir_author(const struct directory *d, uint64_t site)
{
    const uint32_t at = dir_author_at(d, site);
    if (at == d->author_count || d->authors[at]->site != site) {
        return NULL;
    }
    return d->authors[at];
}

/* What is remembered of the dead goes first, the oldest of it. */
static bool evict_gone(struct directory *d)
{
    struct list *oldest = list_first(&d->gone);
    if (oldest == NULL) {
        return false;
    }
    dir_author_remove(d, LIST_ENTRY(oldest, struct author, gone));
    return true;
}

struct author *dir_author_add(struct directory *d, uint64_t site)
{
    if (d->author_count >= d->cfg.authors_max && !evict_gone(d)) {
        return NULL;
    }
    struct author *a = mem_alloc(d->cfg.mem, sizeof *a);
    if (a == NULL) {
        return NULL;
    }
    a->site = site;
    list_init(&a->records);
    list_append(&d->gone, &a->gone);
    const uint32_t at = dir_author_at(d, site);
    memmove(&d->authors[at + 1], &d->authors[at],
            (d->author_count - at) * sizeof *d->authors);
    d->authors[at] = a;
    d->author_count++;
    return a;
}

static void drop_records(struct directory *d, struct author *a)
{
    list_foreach (it, &a->records) {
        dir_drop(d, LIST_ENTRY(it, struct entry, node));
    }
}

void dir_author_remove(struct directory *d, struct author *a)
{
    drop_records(d, a);
    const uint32_t at = dir_author_at(d, a->site);
    d->author_count--;
    memmove(&d->authors[at], &d->authors[at + 1],
            (d->author_count - at) * sizeof *d->authors);
    list_remove(&a->gone);
    mem_free(d->cfg.mem, a, sizeof *a);
}

void dir_author_renew(struct directory *d, struct author *a,
                      uint32_t incarnation)
{
    drop_records(d, a);
    list_remove(&a->gone);
    a->known = true;
    a->incarnation = incarnation;
    a->least = incarnation;
    a->version = 0;
    a->floor = 0;
    a->swept = DIR_NOT_SWEPT;
    a->sweep_at = 0;
    a->ask_ns = 0;
}

void dir_author_gone(struct directory *d, struct author *a,
                     uint32_t incarnation)
{
    if (a->least < (uint64_t)incarnation + 1) {
        a->least = (uint64_t)incarnation + 1;
    }
    if (a->known && a->incarnation <= incarnation) {
        drop_records(d, a);
        a->known = false;
        a->incarnation = 0;
        a->version = 0;
        a->floor = 0;
        list_append(&d->gone, &a->gone);
    }
}

/* ---- Records ---------------------------------------------------------------
 */

struct key {
    uint64_t hi, lo;
};

/* Under a secret seed: nobody outside finds two records with one key. */
static struct key key_of(const struct directory *d, uint64_t site,
                         const struct record *r)
{
    const uint64_t words[] = {site,          r->kind,     r->subject.hi,
                              r->subject.lo, r->group.hi, r->group.lo};
    return (struct key){
        .hi = hash_bytes(d->key_seed[0], words, sizeof words),
        .lo = hash_bytes(d->key_seed[1], words, sizeof words),
    };
}

static bool same_key(const struct record *a, const struct record *b)
{
    return a->kind == b->kind && ui_equal(a->subject, b->subject) &&
           ui_equal(a->group, b->group);
}

/* The same at every site: two views are compared by it. */
static uint64_t view_hash(uint64_t site, const struct record *r)
{
    static const uint64_t seed[2] = {UINT64_C(0x6469726563746f72), 1};
    const uint64_t words[] = {
        site,          r->kind,
        r->subject.hi, r->subject.lo,
        r->group.hi,   r->group.lo,
        r->epoch,      hash_bytes(seed, r->name, strlen(r->name)),
        r->site,       r->incarnation};
    return hash_bytes(seed, words, sizeof words);
}

bool dir_record_ok(const struct record *r)
{
    return (r->kind == RECORD_MEMBER || r->kind == RECORD_OWNER) &&
           (r->subject.hi != 0 || r->subject.lo != 0) &&
           strnlen(r->name, sizeof r->name) < sizeof r->name;
}

struct entry *dir_entry(const struct directory *d, const struct author *a,
                        const struct record *r)
{
    const struct key key = key_of(d, a->site, r);
    struct entry *e = map_get(&d->records, key.hi, key.lo);
    CHECK(e == NULL || (e->author == a && same_key(&e->r, r)));
    return e;
}

/* Out of the order of versions; a sweep that stood here goes on behind it. */
static void unlink_entry(struct author *a, struct entry *e)
{
    if (a->sweep == e) {
        struct list *next = list_after(&a->records, &e->node);
        a->sweep = next == NULL ? NULL : LIST_ENTRY(next, struct entry, node);
    }
    list_remove(&e->node);
}

static void hide(struct directory *d, struct entry *e)
{
    if (e->r.present) {
        d->present--;
        d->view -= e->hash;
    }
}

void dir_drop(struct directory *d, struct entry *e)
{
    const struct key key = key_of(d, e->site, &e->r);
    CHECK(map_remove(&d->records, key.hi, key.lo) == e);
    hide(d, e);
    unlink_entry(e->author, e);
    list_remove(&e->tomb);
    e->author = NULL;
    d->entries--;
    if (e->r.present) {
        dir_tell(d, e);
    } else if (!list_linked(&e->out.node)) {
        mem_free(d->cfg.mem, e, sizeof *e);
    }
}

static void forget_oldest_tomb(struct directory *d)
{
    struct entry *e = LIST_ENTRY(list_first(&d->tombs), struct entry, tomb);
    struct author *a = e->author;
    if (a->floor < e->r.version) {
        a->floor = e->r.version;
    }
    dir_drop(d, e);
}

void dir_forget_tombs(struct directory *d)
{
    while (!list_empty(&d->tombs)) {
        const struct entry *e =
            LIST_ENTRY(list_first(&d->tombs), struct entry, tomb);
        if (d->now_ns - e->died_ns < d->cfg.tombstone_ns) {
            return;
        }
        forget_oldest_tomb(d);
    }
}

static enum motet_err entry_add(struct directory *d, struct author *a,
                                const struct record *r, struct entry **added)
{
    if (d->entries >= d->cfg.records_max) {
        if (list_empty(&d->tombs)) {
            return MOTET_E_LIMIT;
        }
        forget_oldest_tomb(d);
    }
    struct entry *e = mem_alloc(d->cfg.mem, sizeof *e);
    if (e == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    const struct key key = key_of(d, a->site, r);
    if (!map_put(&d->records, key.hi, key.lo, e)) {
        mem_free(d->cfg.mem, e, sizeof *e);
        return MOTET_E_NO_MEMORY;
    }
    e->author = a;
    e->site = a->site;
    e->r = *r;
    e->r.present = false;
    d->entries++;
    *added = e;
    return MOTET_OK;
}

enum motet_err dir_take(struct directory *d, struct author *a,
                        const struct record *r)
{
    struct entry *e = dir_entry(d, a, r);
    if (e == NULL) {
        const enum motet_err err = entry_add(d, a, r, &e);
        if (err != MOTET_OK) {
            return err;
        }
    } else {
        hide(d, e);
        unlink_entry(a, e);
        list_remove(&e->tomb);
    }
    const bool news = e->r.present || r->present;
    e->r = *r;
    list_append(&a->records, &e->node);
    if (r->present) {
        e->hash = view_hash(a->site, r);
        d->view += e->hash;
        d->present++;
    } else {
        e->died_ns = d->now_ns;
        list_append(&d->tombs, &e->tomb);
    }
    if (news) {
        dir_tell(d, e);
    }
    trace_add(d->cfg.trace, d->now_ns, TRACE_RECORD, (uint32_t)r->kind, a->site,
              r->version);
    return MOTET_OK;
}

#include "directory_priv.h"

/* ---- What others lack ------------------------------------------------------
 */

/* One message with the records of `a` from `e` on (NULL: none) that come after
 * version `after`. Moves `e` on; NULL at the end. */
static struct dir_packet *make_part(struct directory *d, const struct author *a,
                                    uint64_t after, struct entry **e)
{
    uint32_t count = 0;
    struct entry *at = *e;
    for (; at != NULL && count < DIR_RECORDS_MAX; count++) {
        struct list *next = list_after(&a->records, &at->node);
        at = next == NULL ? NULL : LIST_ENTRY(next, struct entry, node);
    }
    struct record *records;
    struct dir_packet *packet = dir_packet_records(d, count, &records);
    if (packet == NULL) {
        return NULL;
    }
    packet->msg.author = a->site;
    packet->msg.incarnation = a->incarnation;
    packet->msg.after = after;
    for (uint32_t i = 0; i < count; i++) {
        records[i] = (*e)->r;
        struct list *next = list_after(&a->records, &(*e)->node);
        *e = next == NULL ? NULL : LIST_ENTRY(next, struct entry, node);
    }
    packet->msg.upto = *e == NULL ? a->version : records[count - 1].version;
    return packet;
}

/* The first record after `version`, sought from the end: most lack little. */
static struct entry *first_after(const struct author *a, uint64_t version)
{
    struct entry *found = NULL;
    const struct list *head = &a->records;
    for (struct list *it = head->prev; it != head; it = it->prev) {
        struct entry *e = LIST_ENTRY(it, struct entry, node);
        if (e->r.version <= version) {
            break;
        }
        found = e;
    }
    return found;
}

/* Where a full list for `p` begins: where the last one broke off, or at 0.
 * @return false while another one is under way, or when `p` asked before the
 *         last answer can have reached it */
static bool full_from(const struct directory *d, const struct peer *p,
                      const struct author *a, uint64_t have, uint64_t *from)
{
    const uint64_t age_ns = d->now_ns - p->full_ns;
    *from = 0;
    if (p->full_author == 0 || age_ns >= DIR_FULL_STALE_NS) {
        return true;
    }
    if (p->full_author != a->site || p->full_incarnation != a->incarnation) {
        return p->full_done;
    }
    if (!p->full_done && p->full_upto == have) {
        *from = have;
        return true;
    }
    return age_ns >= d->cfg.sync_ns / 2;
}

static void note_full(struct directory *d, struct peer *p,
                      const struct author *a, uint64_t upto, bool done)
{
    p->full_author = a->site;
    p->full_done = done;
    p->full_incarnation = a->incarnation;
    p->full_upto = upto;
    p->full_ns = d->now_ns;
}

/* Sends `p` what it lacks of `a` when it has all up to version `have`, in at
 * most *parts messages; the rest when it asks again. */
static void send_missing(struct directory *d, struct peer *p,
                         const struct author *a, uint64_t have, uint32_t *parts)
{
    if (!a->known || have >= a->version || p->site == a->site) {
        return;
    }
    const bool full = have < a->floor;
    uint64_t from = have;
    if (full && !full_from(d, p, a, have, &from)) {
        return;
    }
    struct entry *e = first_after(a, from);
    bool first = from == 0;
    while (*parts > 0) {
        struct dir_packet *packet = make_part(d, a, from, &e);
        if (packet == NULL) {
            return;
        }
        (*parts)--;
        from = packet->msg.upto;
        packet->msg.full = full;
        packet->msg.first = full && first;
        first = false;
        dir_send(d, p->site, packet);
        dir_packet_unref(d, packet);
        if (full) {
            note_full(d, p, a, from, e == NULL);
        }
        if (e == NULL) {
            return;
        }
    }
}

void dir_tell_all(struct directory *d)
{
    d->gather_due_ns = DEADLINE_NEVER;
    const struct author *a = d->own;
    if (d->told_version == a->version) {
        return;
    }
    struct entry *e = first_after(a, d->told_version);
    do {
        struct dir_packet *packet = make_part(d, a, d->told_version, &e);
        if (packet == NULL) {
            break;
        }
        d->told_version = packet->msg.upto;
        for (uint32_t i = 0; i < d->peer_count; i++) {
            dir_send(d, d->peers[i]->site, packet);
        }
        dir_packet_unref(d, packet);
    } while (e != NULL);
    d->told_version = a->version; /* the rest is repaired by the digests */
}

/* ---- Digests ---------------------------------------------------------------
 */

/* What is certainly held. */
static uint64_t held(const struct author *a)
{
    return a->swept < a->version ? a->swept : a->version;
}

static struct dir_digest digest_of(const struct author *a)
{
    return (struct dir_digest){
        .author = a->site,
        .incarnation = a->incarnation,
        .version = held(a),
    };
}

static void send_entries(struct directory *d, uint64_t site, bool want,
                         const struct dir_digest *entries, uint32_t count)
{
    struct dir_digest *digest;
    struct dir_packet *packet = dir_packet_digest(d, count, &digest);
    if (packet == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        digest[i] = entries[i];
    }
    packet->msg.want = want;
    dir_send(d, site, packet);
    dir_packet_unref(d, packet);
}

/* All I hold, in parts. Each begins with the last entry of the part before it,
 * and two empty entries stand at the ends of all ids: so that each part says of
 * every author from its first entry to its last one what is held, or that
 * nothing is. */
static void send_digest(struct directory *d, uint64_t site)
{
    struct dir_digest part[DIR_DIGEST_MAX] = {{.author = 0}};
    uint32_t count = 1;
    for (uint32_t i = 0; i < d->author_count; i++) {
        const struct author *a = d->authors[i];
        if (!a->known || a->version == 0) {
            continue;
        }
        part[count] = digest_of(a);
        count++;
        if (count == DIR_DIGEST_MAX) {
            send_entries(d, site, true, part, count);
            part[0] = part[count - 1];
            count = 1;
        }
    }
    if (part[count - 1].author != UINT64_MAX) {
        part[count] = (struct dir_digest){.author = UINT64_MAX};
        count++;
    }
    send_entries(d, site, true, part, count);
}

/* Asks `site` for what is missing of one author. */
static void ask_for(struct directory *d, uint64_t site, struct author *a)
{
    if (d->now_ns < a->ask_ns) {
        return;
    }
    a->ask_ns = d->now_ns + d->cfg.gather_ns * DIR_ASK_GATHERS;
    const struct dir_digest entry = digest_of(a);
    send_entries(d, site, false, &entry, 1);
}

static bool sorted(const struct dir_digest *digest, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (digest[i].author <= digest[i - 1].author) {
            return false;
        }
    }
    return true;
}

/* Compares one entry of a digest with what is held. Sends what the peer lacks.
 * @return whether the peer has more; `*mine` is then what is held here */
static bool compare(struct directory *d, struct peer *p,
                    const struct dir_digest *theirs, uint32_t *parts,
                    struct dir_digest *mine)
{
    const struct author *a = dir_author(d, theirs->author);
    *mine = (struct dir_digest){.author = theirs->author};
    if (a != NULL && a->known) {
        *mine = digest_of(a);
        if (theirs->incarnation < a->incarnation) {
            send_missing(d, p, a, 0, parts);
            return false;
        }
        if (theirs->incarnation == a->incarnation) {
            send_missing(d, p, a, theirs->version, parts);
            return theirs->version > held(a) && a != d->own;
        }
    }
    return theirs->version > 0 && theirs->author != d->cfg.site &&
           (a == NULL || theirs->incarnation >= a->least);
}

static void got_digest(struct directory *d, struct peer *p,
                       const struct dir_msg *msg)
{
    if (msg->digest_count == 0 || msg->digest_count > DIR_DIGEST_MAX ||
        msg->digest == NULL || !sorted(msg->digest, msg->digest_count)) {
        d->ignored++;
        return;
    }
    struct dir_digest ask[DIR_DIGEST_MAX];
    uint32_t ask_count = 0;
    uint32_t parts = DIR_PARTS_MAX;
    uint32_t at = dir_author_at(d, msg->digest[0].author);
    for (uint32_t i = 0; i < msg->digest_count; i++) {
        const struct dir_digest *theirs = &msg->digest[i];
        for (; msg->want && at < d->author_count &&
               d->authors[at]->site < theirs->author;
             at++) {
            send_missing(d, p, d->authors[at], 0, &parts); /* not listed */
        }
        if (at < d->author_count && d->authors[at]->site == theirs->author) {
            at++;
        }
        if (compare(d, p, theirs, &parts, &ask[ask_count])) {
            ask_count++;
        }
    }
    if (msg->want && ask_count > 0) {
        send_entries(d, p->site, false, ask, ask_count);
    }
}

void dir_sync(struct directory *d)
{
    d->sync_due_ns = DEADLINE_NEVER;
    if (d->peer_count == 0) {
        return;
    }
    d->sync_due_ns = d->now_ns + d->cfg.sync_ns;
    const uint64_t at = prng_below(&d->prng, d->peer_count);
    send_digest(d, d->peers[at]->site);
}

/* ---- Deltas ----------------------------------------------------------------
 */

static bool delta_ok(const struct directory *d, const struct dir_msg *msg)
{
    if (msg->author == 0 || msg->author == d->cfg.site ||
        msg->after > msg->upto || msg->record_count > DIR_RECORDS_MAX ||
        (msg->first && msg->after != 0) ||
        (msg->record_count > 0 && msg->records == NULL)) {
        return false;
    }
    uint64_t last = msg->after;
    for (uint32_t i = 0; i < msg->record_count; i++) {
        const struct record *r = &msg->records[i];
        if (!dir_record_ok(r) || r->version <= last || r->version > msg->upto) {
            return false;
        }
        last = r->version;
    }
    return true;
}

/* What is held of the range of a full list's part, and is not in the part, was
 * withdrawn so long ago that nobody remembers. */
static void sweep(struct directory *d, struct author *a,
                  const struct dir_msg *msg)
{
    struct list *first = list_first(&a->records);
    struct entry *e =
        first == NULL ? NULL : LIST_ENTRY(first, struct entry, node);
    if (msg->after > 0 && a->sweep_at == msg->after) {
        e = a->sweep;
    }
    const uint64_t end = msg->upto < a->version ? msg->upto : a->version;
    uint32_t i = 0;
    while (e != NULL && e->r.version <= end) {
        struct list *next = list_after(&a->records, &e->node);
        while (i < msg->record_count &&
               msg->records[i].version < e->r.version) {
            i++;
        }
        const bool listed =
            i < msg->record_count && msg->records[i].version == e->r.version;
        if (e->r.version > msg->after && !listed) {
            dir_drop(d, e);
        }
        e = next == NULL ? NULL : LIST_ENTRY(next, struct entry, node);
    }
    a->sweep = e;
    a->sweep_at = msg->upto;
}

/* Whether `msg` can be taken: what comes before it is held. Else what is
 * missing must be asked for. */
static bool follows(struct author *a, const struct dir_msg *msg)
{
    if (!msg->full) {
        return msg->after <= a->version;
    }
    if (msg->first || a->swept == DIR_NOT_SWEPT) {
        a->swept = 0; /* or the first part was lost: from the beginning */
    }
    return msg->first || (msg->after > 0 && msg->after <= a->swept);
}

static uint64_t take_records(struct directory *d, struct author *a,
                             const struct dir_msg *msg)
{
    for (uint32_t i = 0; i < msg->record_count; i++) {
        const struct record *r = &msg->records[i];
        if (r->version <= a->version) {
            continue;
        }
        if (dir_take(d, a, r) != MOTET_OK) {
            return a->version; /* the rest is asked for again */
        }
        a->version = r->version;
    }
    return msg->upto;
}

static void take_all(struct directory *d, struct author *a,
                     const struct dir_msg *msg)
{
    if (msg->full) {
        sweep(d, a, msg);
    }
    const uint64_t upto = take_records(d, a, msg);
    if (a->version < upto) {
        a->version = upto;
    }
    if (msg->full && a->floor < upto) {
        a->floor = upto;
    }
    if (msg->after <= a->swept && a->swept < upto) {
        a->swept = upto;
    }
}

static void got_delta(struct directory *d, const struct peer *p,
                      const struct dir_msg *msg)
{
    if (!delta_ok(d, msg)) {
        d->ignored++;
        return;
    }
    struct author *a = dir_author(d, msg->author);
    if (a != NULL && msg->incarnation < a->least) {
        return;
    }
    if (a == NULL) {
        a = dir_author_add(d, msg->author);
        if (a == NULL) {
            return;
        }
    }
    if (!a->known || msg->incarnation > a->incarnation) {
        dir_author_renew(d, a, msg->incarnation);
    }
    if (!follows(a, msg)) {
        ask_for(d, p->site, a);
        return;
    }
    take_all(d, a, msg);
}

void dir_got(struct directory *d, uint64_t from, const struct dir_msg *msg)
{
    struct peer *p = map_get(&d->peer_map, from, 0);
    if (p == NULL || msg == NULL) {
        d->ignored++;
        return;
    }
    switch (msg->kind) {
    case DIR_DELTA:
        got_delta(d, p, msg);
        break;
    case DIR_DIGEST:
        got_digest(d, p, msg);
        break;
    case DIR_SYNC:
    case DIR_SYNCED:
        break; /* between sites */
    }
}

/* ---- Peers -----------------------------------------------------------------
 */

void dir_peer_remove(struct directory *d, struct peer *p)
{
    CHECK(map_remove(&d->peer_map, p->site, 0) == p);
    d->peer_count--;
    d->peers[p->slot] = d->peers[d->peer_count];
    d->peers[p->slot]->slot = p->slot;
    mem_free(d->cfg.mem, p, sizeof *p);
}

static struct peer *peer_add(struct directory *d, uint64_t site)
{
    if (d->peer_count >= d->cfg.authors_max) {
        return NULL;
    }
    struct peer *p = mem_alloc(d->cfg.mem, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    if (!map_put(&d->peer_map, site, 0, p)) {
        mem_free(d->cfg.mem, p, sizeof *p);
        return NULL;
    }
    p->site = site;
    p->slot = d->peer_count;
    d->peers[p->slot] = p;
    d->peer_count++;
    return p;
}

/* Each asks the other for its own records at once. What is held of third sites
 * follows with the digests: else a newcomer would get it from everybody. */
void dir_peer(struct directory *d, uint64_t site, bool up)
{
    struct peer *p = map_get(&d->peer_map, site, 0);
    if (!up) {
        if (p != NULL) {
            dir_peer_remove(d, p);
        }
        return;
    }
    if (p == NULL) {
        p = peer_add(d, site);
    }
    if (p == NULL) {
        return;
    }
    p->full_author = 0;
    const struct author *a = dir_author(d, site);
    const struct dir_digest entry = a != NULL && a->known
                                        ? digest_of(a)
                                        : (struct dir_digest){.author = site};
    send_entries(d, site, false, &entry, 1);
    if (d->sync_due_ns == DEADLINE_NEVER) {
        d->sync_due_ns = d->now_ns + prng_below(&d->prng, d->cfg.sync_ns);
    }
}

#include <string.h>

#include "core.h"

typedef enum motet_err handler(struct nucleus *n, const struct nuc_in *in,
                               struct nuc_out *out);

static enum motet_err tick(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out);

/* What room for effects an input needs to be taken. */
enum room {
    ROOM_FULL, /* with some to spare for those below */
    ROOM_STEP, /* takes things away, or tells what happened elsewhere */
    ROOM_NONE, /* must not be refused: leaves as work what does not fit */
};

/* What is asked for -> who does it. */
static const struct op {
    handler *run;
    enum room room;
} ops[NUC_KIND_COUNT] = {
    [NUC_ACTOR_NEW] = {actor_new, ROOM_FULL},
    [NUC_ACTOR_END] = {actor_end, ROOM_NONE},
    [NUC_ACTOR_PI] = {actor_pi, ROOM_FULL},
    [NUC_ACTOR_FIND] = {actor_find, ROOM_FULL},
    [NUC_PORT_NEW] = {port_new, ROOM_FULL},
    [NUC_PORT_END] = {port_end_op, ROOM_NONE},
    [NUC_PORT_SET] = {port_set, ROOM_FULL},
    [NUC_PORT_INFO] = {port_info, ROOM_FULL},
    [NUC_GROUP_NEW] = {group_new, ROOM_FULL},
    [NUC_GROUP_INSERT] = {group_insert, ROOM_FULL},
    [NUC_GROUP_REMOVE] = {group_remove, ROOM_STEP},
    [NUC_GROUP_LIST] = {group_list, ROOM_FULL},
    [NUC_SEND] = {send_op, ROOM_FULL},
    [NUC_CALL] = {call_op, ROOM_FULL},
    [NUC_RECEIVE] = {receive, ROOM_FULL},
    [NUC_RECEIVE_STOP] = {receive_stop, ROOM_STEP},
    [NUC_REPLY] = {held_reply, ROOM_FULL},
    [NUC_FORWARD] = {held_forward, ROOM_FULL},
    [NUC_CANCEL] = {call_cancel, ROOM_STEP},
    [NUC_WATCH] = {watch_op, ROOM_FULL},
    [NUC_UNWATCH] = {watch_stop, ROOM_STEP},
    [NUC_ACTOR_ADOPTS] = {actor_adopts, ROOM_FULL},
    [NUC_PORT_FREEZE] = {move_freeze, ROOM_FULL},
    [NUC_PORT_THAW] = {move_thaw, ROOM_NONE},
    [NUC_PORT_DROP] = {move_drop, ROOM_NONE},
    [NUC_PORT_ITEM] = {adopt_item, ROOM_FULL},
    [NUC_PORT_ACTIVATE] = {move_activate, ROOM_NONE},
    [NUC_PORT_DISCARD] = {move_discard, ROOM_NONE},
    [NUC_PORT_GIVE] = {move_give, ROOM_FULL},
    [NUC_NET_DELIVER] = {net_deliver, ROOM_NONE},
    [NUC_NET_OUTCOME] = {net_outcome, ROOM_NONE},
    [NUC_WHERE] = {where_op, ROOM_NONE},
    [NUC_NET_ROOM_FOR] = {net_room_for, ROOM_STEP},
    [NUC_GROUP_MEMBER] = {group_member, ROOM_NONE},
    [NUC_SITE] = {peer_op, ROOM_NONE},
    [NUC_TICK] = {tick, ROOM_NONE},
};

struct nucleus_limits nucleus_limits_default(void)
{
    return (struct nucleus_limits){
        .actors_max = 65536,
        .ports_max = 1048576,
        .groups_max = 65536,
        .members_max = 1048576,
        .calls_max = 65536,
        .held_max = 65536,
        .watches_max = 65536,
        .waiters_max = 65536,
        .queue_msgs_max = 1024,
        .queue_bytes_max = 4 << 20,
        .body_bytes_max = MOTET_BODY_DEFAULT,
    };
}

/* ---- Pools and ids ------------------------------------------------------- */

void *pool_take_or(struct pool *pool, enum motet_err *err)
{
    void *item = pool_take(pool);
    if (item == NULL) {
        *err = pool->used >= pool->limit ? MOTET_E_LIMIT : MOTET_E_NO_MEMORY;
    }
    return item;
}

/* Counts begin at random, so that ids of two sites do not meet but by chance;
 * where they do, one of the two waits. */
static void ids_init(struct ids *ids, struct mem *mem, size_t item_bytes,
                     uint32_t limit, uint64_t chance)
{
    *ids = (struct ids){.next = 1 + (chance >> 24)};
    map_init(&ids->adopted, mem, chance);
    pool_init(&ids->pool, mem, (uint32_t)item_bytes, limit);
    while (UINT64_C(1) << ids->shift < limit) {
        ids->shift++;
    }
}

void *ids_take(struct ids *ids, uint64_t *id, enum motet_err *err)
{
    void *item = pool_take_or(&ids->pool, err);
    if (item != NULL) {
        do {
            *id = ids->next << ids->shift | pool_index(&ids->pool, item);
            ids->next++;
        } while (map_get(&ids->adopted, *id, 0) != NULL);
    }
    return item;
}

void *ids_adopt(struct ids *ids, uint64_t id, enum motet_err *err)
{
    if (id == 0 || map_get(&ids->adopted, id, 0) != NULL) {
        *err = MOTET_E_EXISTS;
        return NULL;
    }
    void *item = pool_take_or(&ids->pool, err);
    if (item == NULL) {
        return NULL;
    }
    if (!map_put(&ids->adopted, id, 0, item)) {
        pool_put(&ids->pool, item);
        *err = MOTET_E_NO_MEMORY;
        return NULL;
    }
    return item;
}

void *ids_adopted(const struct ids *ids, uint64_t id)
{
    return map_get(&ids->adopted, id, 0);
}

void *ids_at(const struct ids *ids, uint64_t id)
{
    const uint64_t mask = (UINT64_C(1) << ids->shift) - 1;
    return pool_at(&ids->pool, (uint32_t)(id & mask));
}

void ids_put(struct ids *ids, void *item, uint64_t id)
{
    if (ids->adopted.count > 0 && map_get(&ids->adopted, id, 0) == item) {
        (void)map_remove(&ids->adopted, id, 0);
    }
    pool_put(&ids->pool, item);
}

uint64_t secret_key(const struct nucleus *n, uint64_t what, uint64_t hi,
                    uint64_t lo)
{
    const uint64_t words[3] = {what, hi, lo};
    uint8_t bytes[sizeof words];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(words[i / 8] >> (i % 8 * 8));
    }
    return hash_bytes(n->cfg.secret, bytes, sizeof bytes);
}

/* ---- Life ---------------------------------------------------------------- */

static void init_maps(struct nucleus *n)
{
    struct map *maps[] = {
        &n->actor_by_ui,   &n->actor_by_name, &n->port_by_ui,
        &n->group_by_ui,   &n->peer_by_site,  &n->held_by_caller,
        &n->watcher_by_id, &n->debt_by_held,  &n->away,
    };
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        map_init(maps[i], n->mem, secret_key(n, 0, 0, i));
    }
}

static void init_pools(struct nucleus *n)
{
    const struct nucleus_limits *l = &n->cfg.limits;
    struct mem *m = n->mem;
    pool_init(&n->actor_pool, m, sizeof(struct actor), l->actors_max);
    pool_init(&n->port_pool, m, sizeof(struct port), l->ports_max);
    pool_init(&n->side_pool, m, sizeof(struct port_side), l->ports_max);
    pool_init(&n->want_pool, m, sizeof(struct want), l->waiters_max);
    pool_init(&n->waiter_pool, m, sizeof(struct waiter), l->waiters_max);
    pool_init(&n->fanout_pool, m, sizeof(struct fanout), PARCELS_MAX);
    pool_init(&n->group_pool, m, sizeof(struct group), l->groups_max);
    pool_init(&n->member_pool, m, sizeof(struct member), l->members_max);
    pool_init(&n->use_pool, m, sizeof(struct use), l->groups_max);
    pool_init(&n->peer_pool, m, sizeof(struct peer), PEERS_MAX);
    pool_init(&n->watcher_pool, m, sizeof(struct watcher_remote),
              l->watches_max);
    pool_init(&n->debt_pool, m, sizeof(struct debt), l->held_max);
    pool_init(&n->join_pool, m, sizeof(struct join), l->members_max);
    ids_init(&n->parcels, m, sizeof(struct parcel), PARCELS_MAX,
             secret_key(n, 0, 3, n->cfg.incarnation));
    ids_init(&n->calls, m, sizeof(struct call), l->calls_max,
             secret_key(n, 0, 4, n->cfg.incarnation));
    ids_init(&n->helds, m, sizeof(struct held), l->held_max,
             secret_key(n, 0, 5, n->cfg.incarnation));
    ids_init(&n->watches, m, sizeof(struct watch), l->watches_max,
             secret_key(n, 0, 6, n->cfg.incarnation));
}

struct nucleus *nucleus_create(const struct nucleus_config *cfg)
{
    CHECK(cfg->site != 0 && cfg->incarnation != 0);
    struct nucleus *n = mem_alloc(cfg->mem, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    n->cfg = *cfg;
    n->mem = cfg->mem;
    if (!fx_init(&n->fx, n->mem)) {
        fx_fini(&n->fx);
        mem_free(n->mem, n, sizeof *n);
        return NULL;
    }
    deadlines_init(&n->timers, n->mem);
    init_maps(n);
    init_pools(n);
    struct list *lists[] = {&n->actors, &n->ports,  &n->groups, &n->peers,
                            &n->ending, &n->work,   &n->dying,  &n->woken,
                            &n->told,   &n->orphans};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        list_init(lists[i]);
    }
    return n;
}

/* Everything that owns memory of its own beside its place in a pool. */
static void release_messages(struct nucleus *n)
{
    for (uint32_t i = 0; i < n->parcels.pool.high; i++) {
        const struct parcel *q = pool_at(&n->parcels.pool, i);
        buf_unref(q->msg.data);
    }
    for (uint32_t i = 0; i < n->helds.pool.high; i++) {
        const struct held *h = pool_at(&n->helds.pool, i);
        buf_unref(h->msg.data);
    }
}

static void release_tables(struct nucleus *n)
{
    list_foreach (node, &n->actors) {
        struct actor *a = LIST_ENTRY(node, struct actor, node);
        map_fini(&a->tokens);
        deadlines_fini(&a->ready);
    }
    list_foreach (node, &n->groups) {
        struct group *g = LIST_ENTRY(node, struct group, node);
        map_fini(&g->by_port);
        map_fini(&g->users);
    }
    for (uint32_t i = 0; i < n->side_pool.high; i++) {
        struct port_side *s = pool_at(&n->side_pool, i);
        if (s->wants.mem != NULL) {
            map_fini(&s->wants);
        }
    }
}

void nucleus_destroy(struct nucleus *n)
{
    if (n == NULL) {
        return;
    }
    release_messages(n);
    release_tables(n);
    struct map *maps[] = {
        &n->actor_by_ui,   &n->actor_by_name, &n->port_by_ui,
        &n->group_by_ui,   &n->peer_by_site,  &n->held_by_caller,
        &n->watcher_by_id, &n->debt_by_held,  &n->parcels.adopted,
        &n->calls.adopted, &n->helds.adopted, &n->watches.adopted,
        &n->away,
    };
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        map_fini(maps[i]);
    }
    struct pool *pools[] = {
        &n->debt_pool,    &n->join_pool,    &n->actor_pool,  &n->port_pool,
        &n->side_pool,    &n->want_pool,    &n->waiter_pool, &n->fanout_pool,
        &n->group_pool,   &n->member_pool,  &n->use_pool,    &n->peer_pool,
        &n->watcher_pool, &n->parcels.pool, &n->calls.pool,  &n->helds.pool,
        &n->watches.pool,
    };
    for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
        pool_fini(pools[i]);
    }
    deadlines_fini(&n->timers);
    fx_fini(&n->fx);
    mem_free(n->mem, n, sizeof *n);
}

/* ---- Steps --------------------------------------------------------------- */

static void port_work(struct nucleus *n, struct port *p)
{
    if (p->ending) {
        port_end_work(n, p);
    } else if (adopt_joins(n, p)) {
        queue_work(n, p);
    }
}

/* Work that did not fit among the effects before. Each unit takes itself out of
 * its list, or uses up room. */
static void work(struct nucleus *n)
{
    struct list *node;
    while (fx_ready(n)) {
        if ((node = list_first(&n->told)) != NULL) {
            list_remove(node);
            parcel_told(n, LIST_ENTRY(node, struct parcel, node));
        } else if ((node = list_first(&n->work)) != NULL) {
            port_work(n, LIST_ENTRY(node, struct port, work));
        } else if (!list_empty(&n->orphans)) {
            debt_work(n);
        } else if ((node = list_first(&n->dying)) != NULL) {
            peer_work(n, LIST_ENTRY(node, struct peer, work));
        } else if ((node = list_first(&n->woken)) != NULL) {
            group_work(n, LIST_ENTRY(node, struct group, work));
        } else {
            return;
        }
    }
}

/* The port whose business a deadline is, if it is one that may be frozen. */
static const struct port *port_of_timer(const struct nucleus *n,
                                        struct deadline *t)
{
    switch ((enum timer_kind)t->kind) {
    case TIMER_PARCEL:
        return port_get(n, CONTAINER_OF(t, struct parcel, timer)->src);
    case TIMER_CALL:
        return CONTAINER_OF(t, struct call, timer)->port;
    case TIMER_HELD:
        return CONTAINER_OF(t, struct held, timer)->port;
    case TIMER_WATCH:
        return CONTAINER_OF(t, struct watch, timer)->port;
    case TIMER_WAITER:
        break;
    }
    return NULL;
}

/* What a frozen port owes is owed by whoever owns it when it thaws. The place
 * in the heap was just made. */
static bool postponed(struct nucleus *n, struct deadline *t)
{
    const struct port *p = port_of_timer(n, t);
    if (p == NULL || !p->frozen) {
        return false;
    }
    CHECK(deadline_set(&n->timers, t, n->now_ns + FROZEN_MS * NS_PER_MS));
    return true;
}

static void expire(struct nucleus *n, struct deadline *t)
{
    if (postponed(n, t)) {
        return;
    }
    switch ((enum timer_kind)t->kind) {
    case TIMER_WAITER:
        waiter_end(n, CONTAINER_OF(t, struct waiter, timer), MOTET_E_TIMEOUT);
        return;
    case TIMER_PARCEL:
        parcel_expired(n, CONTAINER_OF(t, struct parcel, timer));
        return;
    case TIMER_CALL:
        call_expired(n, CONTAINER_OF(t, struct call, timer));
        return;
    case TIMER_HELD:
        held_expired(n, CONTAINER_OF(t, struct held, timer));
        return;
    case TIMER_WATCH:
        watch_expired(n, CONTAINER_OF(t, struct watch, timer));
        return;
    }
    CHECK(false);
}

static enum motet_err tick(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out)
{
    struct deadline *t;
    (void)in;
    (void)out;
    while (fx_ready(n) && (t = deadlines_pop(&n->timers, n->now_ns)) != NULL) {
        expire(n, t);
    }
    return MOTET_OK;
}

enum motet_err nucleus_step(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    CHECK(in->now_ns >= n->now_ns);
    memset(out, 0, offsetof(struct nuc_out, port));
    if (in->kind < NUC_ACTOR_NEW || in->kind >= NUC_KIND_COUNT) {
        return MOTET_E_INVALID;
    }
    const struct op *op = &ops[in->kind];
    if (!fx_reserve(&n->fx, FX_SPARE + FX_STEP) &&
        (op->room == ROOM_FULL || (op->room == ROOM_STEP && !fx_ready(n)))) {
        return MOTET_E_NO_MEMORY;
    }
    n->now_ns = in->now_ns;
    const enum motet_err err = op->run(n, in, out);
    work(n);
    return err;
}

const struct nuc_effect *nucleus_effect(struct nucleus *n)
{
    struct nuc_effect *e = fx_take(&n->fx);
    if (e == NULL) {
        work(n);
        e = fx_take(&n->fx);
    }
    if (e != NULL && e->kind == NUC_PUBLISH) {
        /* Not earlier: the group may have gone since. */
        const struct group *g = group_get(n, e->target);
        e->name = g != NULL ? g->name : "";
    }
    return e;
}

uint64_t nucleus_deadline_ns(const struct nucleus *n)
{
    return deadlines_next(&n->timers);
}

/* ---- Looks --------------------------------------------------------------- */

struct nuc_counts nucleus_counts(const struct nucleus *n)
{
    struct nuc_counts c = n->counts;
    c.actors = n->actor_pool.used;
    c.ports = n->port_by_ui.count;
    c.groups = n->group_pool.used;
    c.members = n->member_pool.used;
    c.calls = n->calls.pool.used;
    c.held = n->helds.pool.used;
    c.watches = n->watches.pool.used;
    return c;
}

/* The port after one that is gone: serials tell the order of creation. */
static struct list *port_after_gone(const struct nucleus *n,
                                    struct motet_ui after)
{
    list_foreach (node, &n->ports) {
        const struct port *p = LIST_ENTRY(node, struct port, node);
        if (ui_serial(p->ui) > ui_serial(after)) {
            return node;
        }
    }
    return NULL;
}

bool nucleus_next_port(const struct nucleus *n, struct motet_ui after,
                       struct motet_ui *port)
{
    struct list *node;
    if (ui_zero(after)) {
        node = list_first(&n->ports);
    } else {
        const struct port *p = port_get(n, after);
        node = p != NULL ? list_after(&n->ports, &p->node)
                         : port_after_gone(n, after);
    }
    if (node == NULL) {
        return false;
    }
    *port = LIST_ENTRY(node, struct port, node)->ui;
    return true;
}

bool nucleus_next_port_of(const struct nucleus *n, struct motet_ui actor,
                          struct motet_ui after, struct motet_ui *port)
{
    const struct actor *a = actor_get(n, actor);
    if (a == NULL) {
        return false;
    }
    const struct port *p = ui_zero(after) ? NULL : port_get(n, after);
    struct list *node = p != NULL && p->actor == a
                            ? list_after(&a->ports, &p->of_actor)
                            : list_first(&a->ports);
    while (node != NULL) {
        p = LIST_ENTRY(node, struct port, of_actor);
        if (!p->ending) {
            *port = p->ui;
            return true;
        }
        node = list_after(&a->ports, node);
    }
    return false;
}

bool nucleus_next_group(const struct nucleus *n, struct motet_ui after,
                        struct motet_ui *group, const char **name,
                        uint32_t *members)
{
    const struct group *g = group_get(n, after);
    if (g == NULL && !ui_zero(after)) {
        return false;
    }
    struct list *node =
        g != NULL ? list_after(&n->groups, &g->node) : list_first(&n->groups);
    if (node == NULL) {
        return false;
    }
    g = LIST_ENTRY(node, struct group, node);
    *group = g->ui;
    *name = g->name;
    *members = g->count;
    return true;
}

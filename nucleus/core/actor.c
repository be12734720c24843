#include <string.h>

#include "core.h"

static void init(struct nucleus *n, struct actor *a, const struct nuc_in *in,
                 uint32_t serial)
{
    a->ui = ui_make(n->cfg.site, n->cfg.incarnation, UI_ACTOR, serial);
    a->pi = in->pi;
    a->push = in->push;
    list_init(&a->ports);
    list_init(&a->waiters);
    list_init(&a->uses);
    list_init(&a->debts);
    map_init(&a->tokens, n->mem, secret_key(n, 0, 1, serial));
    deadlines_init(&a->ready, n->mem);
}

/* Enters it under its UI and its name: both or none. */
static bool enter(struct nucleus *n, struct actor *a, const char *name)
{
    if (!map_put(&n->actor_by_ui, a->ui.hi, a->ui.lo, a)) {
        return false;
    }
    if (name[0] == '\0') {
        return true;
    }
    const struct motet_ui key = ui_of_name(name);
    if (!map_put(&n->actor_by_name, key.hi, key.lo, a)) {
        (void)map_remove(&n->actor_by_ui, a->ui.hi, a->ui.lo);
        return false;
    }
    memcpy(a->name, name, strlen(name) + 1);
    return true;
}

static struct actor *by_name(const struct nucleus *n, const char *name)
{
    const struct motet_ui key = ui_of_name(name);
    return map_get(&n->actor_by_name, key.hi, key.lo);
}

enum motet_err actor_new(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out)
{
    const char *name = in->name != NULL ? in->name : "";
    enum motet_err err;
    if (name[0] != '\0' && !ui_name_ok(name)) {
        return MOTET_E_INVALID;
    }
    if (name[0] != '\0' && by_name(n, name) != NULL) {
        return MOTET_E_NAME_TAKEN;
    }
    if (n->actor_serial >= UI_SERIAL_MAX) {
        return MOTET_E_LIMIT;
    }
    struct actor *a = pool_take_or(&n->actor_pool, &err);
    if (a == NULL) {
        return err;
    }
    init(n, a, in, n->actor_serial + 1);
    if (!enter(n, a, name)) {
        pool_put(&n->actor_pool, a);
        return MOTET_E_NO_MEMORY;
    }
    n->actor_serial++;
    list_append(&n->actors, &a->node);
    out->ui = a->ui;
    trace(n, TRACE_ACTOR_NEW, a->push, a->ui.lo, 0);
    return MOTET_OK;
}

static void free_actor(struct nucleus *n, struct actor *a)
{
    if (a->name[0] != '\0') {
        const struct motet_ui key = ui_of_name(a->name);
        (void)map_remove(&n->actor_by_name, key.hi, key.lo);
    }
    (void)map_remove(&n->actor_by_ui, a->ui.hi, a->ui.lo);
    list_remove(&a->node);
    map_fini(&a->tokens);
    deadlines_fini(&a->ready);
    pool_put(&n->actor_pool, a);
}

/* Its ports owe answers to others; it is told of nothing any more. */
static void end_port(struct nucleus *n, struct port *p, enum motet_news news)
{
    if (p->side != NULL) {
        list_foreach (node, &p->side->waiters) {
            waiter_free(n, LIST_ENTRY(node, struct waiter, node));
        }
    }
    if (p->frozen) {
        p->news = (uint8_t)news; /* it ends when it thaws, if that is here */
    } else if (!p->ending) {
        port_end(n, p, news, true);
    }
    deadline_clear(&p->actor->ready, &p->ready);
    list_remove(&p->of_actor);
    p->actor = NULL;
}

enum motet_err actor_end(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out)
{
    (void)out;
    struct actor *a = actor_get(n, in->actor);
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    if (in->news != MOTET_NEWS_CLOSED && in->news != MOTET_NEWS_CRASHED) {
        return MOTET_E_INVALID;
    }
    trace(n, TRACE_ACTOR_END, (uint32_t)in->news, a->ui.lo, 0);
    list_foreach (waiter, &a->waiters) {
        waiter_free(n, LIST_ENTRY(waiter, struct waiter, node));
    }
    list_foreach (port, &a->ports) {
        end_port(n, LIST_ENTRY(port, struct port, of_actor), in->news);
    }
    list_foreach (use, &a->uses) {
        group_unuse(n, LIST_ENTRY(use, struct use, of_actor));
    }
    list_foreach (debt, &a->debts) {
        debt_orphan(n, LIST_ENTRY(debt, struct debt, of_actor),
                    in->news == MOTET_NEWS_CRASHED ? MOTET_E_MAYBE_CRASHED
                                                   : MOTET_E_MAYBE_CLOSED);
    }
    free_actor(n, a);
    return MOTET_OK;
}

enum motet_err actor_adopts(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    struct actor *a = actor_get(n, in->actor);
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    a->adopts = in->in;
    return MOTET_OK;
}

bool nucleus_actor_frozen(const struct nucleus *n, struct motet_ui actor)
{
    const struct actor *a = actor_get(n, actor);
    return a != NULL && a->frozen > 0;
}

bool nucleus_next_actor(const struct nucleus *n, struct motet_ui after,
                        struct motet_ui *actor, const char **name, bool *adopts)
{
    const struct actor *a = ui_zero(after) ? NULL : actor_get(n, after);
    struct list *node = a != NULL        ? list_after(&n->actors, &a->node)
                        : ui_zero(after) ? list_first(&n->actors)
                                         : NULL;
    if (node == NULL) {
        return false;
    }
    a = LIST_ENTRY(node, struct actor, node);
    *actor = a->ui;
    *name = a->name;
    *adopts = a->adopts;
    return true;
}

bool nucleus_actor(const struct nucleus *n, const char *name,
                   struct motet_ui *actor, bool *adopts)
{
    const struct actor *a = ui_name_ok(name) ? by_name(n, name) : NULL;
    if (a == NULL) {
        return false;
    }
    *actor = a->ui;
    *adopts = a->adopts;
    return true;
}

enum motet_err actor_pi(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out)
{
    (void)out;
    struct actor *a = actor_get(n, in->actor);
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    a->pi = in->pi;
    return MOTET_OK;
}

enum motet_err actor_find(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out)
{
    if (!ui_name_ok(in->name)) {
        return MOTET_E_INVALID;
    }
    const struct actor *a = by_name(n, in->name);
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    out->ui = a->ui;
    return MOTET_OK;
}
